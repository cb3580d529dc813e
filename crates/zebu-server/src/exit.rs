//! Why a server ends, and what its process tells the shell.

use std::fmt;

/// Exit codes of the server process; those that the Java server has too mean the same.
///
/// Source: `org.apache.zookeeper.server.ExitCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Stopped because it was told to.
    Finished = 0,
    /// Something that should not happen.
    UnexpectedError = 1,
    /// Bad arguments or configuration.
    InvalidInvocation = 2,
    /// The data directory cannot be opened, read, or trusted.
    DataDirectory = 3,
    /// A snapshot could not be written.
    Snapshot = 10,
    /// The transaction log could not be written or made durable. What was acknowledged is on disk.
    TxnLog = 11,
}

impl ExitCode {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// The error that ended a server.
#[derive(Clone, Debug)]
pub struct Fatal {
    /// What the process is to exit with.
    pub code: ExitCode,
    /// What happened, and what to do.
    pub message: String,
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (exit code {})", self.message, self.code.code())
    }
}
