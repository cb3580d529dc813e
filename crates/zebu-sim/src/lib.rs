//! Whole ensembles on virtual time, network and disk, from one seed.
//!
//! [`run`] starts an ensemble, lets faults happen to it for a while (crashes with loss of what was not synced, crashes in
//! the middle of an operation of the disk, partitions in one or both directions, pauses, long delays) while a client writes,
//! then none, and sees that all servers come to serve the same history, in which everything is that was acknowledged. The
//! servers run `zebu-zab`, `zebu-tree` and `zebu-store` as they are. The same seed and plan do the same again, everywhere.

mod checker;
mod random;
mod server;
mod world;

use std::fmt;

pub use random::Random;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Servers that vote.
    pub voters: usize,
    /// Servers that observe.
    pub observers: usize,
    /// Virtual milliseconds in which faults happen.
    pub faulty_ms: u64,
    /// A fault that is put into the program, to see that it is found.
    pub canary: Option<Canary>,
    /// Whether everything that happens is printed.
    pub is_traced: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            voters: 3,
            observers: 0,
            faulty_ms: 30_000,
            canary: None,
            is_traced: false,
        }
    }
}

/// Faults of a program, which the checkers must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// A server says that its log is durable before it is.
    AckBeforeFlush,
    /// A server does not save the epoch of its history.
    EpochNotSaved,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Processes that were started.
    pub starts: u64,
    /// Leaders that were established.
    pub epochs: u64,
    /// Times that a server gave up its role.
    pub settles: u64,
    /// Transactions that are in the common history in the end.
    pub committed: u64,
    /// Transactions that a client was told are done.
    pub acknowledged: u64,
    /// Learners that were sent what they lacked.
    pub diffs: u64,
    /// Learners that had to take something back.
    pub truncations: u64,
    /// Learners that were sent the whole tree.
    pub snapshots: u64,
    /// Trees that were put in the place of a history.
    pub installs: u64,
    /// Snapshots that servers took by themselves.
    pub own_snapshots: u64,
}

/// Something that must never happen did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What.
    pub what: String,
    /// When, in virtual milliseconds.
    pub at_ms: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} ms: {}", self.at_ms, self.what)
    }
}

/// Simulates one ensemble.
///
/// # Errors
/// The first violation.
pub fn run(seed: u64, plan: Plan) -> Result<Report, Violation> {
    world::World::new(seed, plan).run()
}
