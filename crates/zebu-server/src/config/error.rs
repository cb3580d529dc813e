//! Why a configuration is refused.

use std::io;
use std::path::PathBuf;

use super::notice::Place;
use super::one_line::OneLine;

/// Why a configuration is refused. Each is one line that says where, what, and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read: it is missing, or not allowed.
    #[error("{}: cannot be read: {source}", OneLine(path.display()))]
    Read {
        /// The file as it was named.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is too long to be a configuration; likely another file was named.
    #[error("{}: longer than {max_bytes} bytes, which no configuration is", OneLine(path.display()))]
    TooLong {
        /// The file as it was named.
        path: PathBuf,
        /// How long it may be.
        max_bytes: u64,
    },
    /// A line is not in the syntax of Java properties.
    #[error("{place}: \\u needs four hexadecimal digits; write \\\\ for a backslash")]
    Escape {
        /// The line.
        place: Place,
    },
    /// A value is not allowed for its key, by itself or beside another one.
    #[error("{place}: {}={}: allowed: {}", OneLine(key), OneLine(value), OneLine(allowed))]
    Value {
        /// Where it was given.
        place: Place,
        /// The key as it was written.
        key: String,
        /// The value as it was written.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A key that has no default is missing.
    #[error("{}: {key} is missing: {why}", OneLine(path.display()))]
    Missing {
        /// The file that should have it.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
    /// A host name has no address.
    #[error("{place}: {}={}: the name has no address: {source}", OneLine(key), OneLine(host))]
    Address {
        /// Where it was given.
        place: Place,
        /// The key.
        key: String,
        /// The name.
        host: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The list of servers makes no ensemble.
    #[error("{}: the list of servers is not possible: {}", OneLine(path.display()), OneLine(why))]
    Membership {
        /// The file with the list.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The file `myid` does not hold a number.
    #[error("{}: {content:?} is not a server id; allowed: one whole number, 1 to 255", OneLine(path.display()))]
    MyId {
        /// The file.
        path: PathBuf,
        /// Its first line, shortened.
        content: String,
    },
    /// zebu cannot do this yet, and going on without it would not be what the file asks for.
    #[error("{place}: {} is not supported yet: {why}", OneLine(key))]
    NotSupported {
        /// Where it was asked for.
        place: Place,
        /// The key.
        key: String,
        /// Why it is not ignored, and what to do.
        why: &'static str,
    },
}
