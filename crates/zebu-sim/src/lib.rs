//! Whole ensembles on virtual time, network and disk, from one seed.
//!
//! [`run`] starts an ensemble, lets faults happen to it for a while (crashes with loss of what was not synced, crashes in
//! the middle of an operation of the disk, failed syncs, full and emptied disks, partitions in one or both directions, lost
//! connections, pauses, jumps of the clocks, long delays) while clients with sessions write, sync, read, watch, lose their
//! connections, come back to other servers and fall silent, then none, and sees that all servers come to serve the same
//! history, in which everything is that was acknowledged, and that every request gets its answer. The servers run
//! `zebu-zab`, `zebu-node`, `zebu-tree` and `zebu-store` as they are; how these are joined (`world/turn.rs`, `effects.rs`,
//! `sockets.rs`) follows `zebu-server` line by line, since what is around them there are threads and sockets. A change of
//! the one is a change of the other. The same seed and plan do the same again, everywhere.
//!
//! What must hold at every step is in `checker`: one leader in an epoch (I1), one history (I2), nothing acknowledged lost
//! (I3), proposals in order by the leader of their epoch (I4), nothing durable lost by anything but a cut that a leader
//! ordered (I5, I6), equal trees and sessions at equal zxids (I7), ephemeral nodes exactly as long as their sessions (I8),
//! service within the limits of time once the faults stop (I9), what is on disk is what is in memory (I11); each reply is
//! that to its request, in order, and shows the state that it names; a read behind a `sync` is fresh; no event comes late.
//! An unanswered write may have been carried out or not, but at most once. Which faults of a program this finds is in
//! `docs/historical-bugs.md`.

mod bug;
mod checker;
mod faulty;
mod random;
mod server;
mod socket;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use bug::Bug;
pub use random::Random;
pub use world::Ensemble;
pub use zebu_store::sim_disk::Fault;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Servers that vote.
    pub voters: usize,
    /// Servers that observe.
    pub observers: usize,
    /// The groups of voters, if there are any: the weight of each, in the order of the voters.
    pub groups: &'static [&'static [u64]],
    /// Clients.
    pub clients: usize,
    /// Whether servers make sessions of their own, which become the ensemble's when they need to (`localSessionsEnabled`).
    pub has_local_sessions: bool,
    /// Whether servers without a leader serve clients that only read (`readonlymode.enabled`).
    pub is_read_only: bool,
    /// Virtual milliseconds in which faults happen.
    pub faulty_ms: u64,
    /// Virtual milliseconds between two faults at most.
    pub fault_ms_max: u64,
    /// Where the counter of zxids ends, if not where it really does.
    pub counter_end: Option<u32>,
    /// Virtual milliseconds between two requests of clients at most.
    pub request_ms_max: u64,
    /// A fault that is put into the program, to see that it is found.
    pub bug: Option<Bug>,
    /// Whether everything that happens is printed.
    pub is_traced: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Plan {
    /// The plans that a campaign goes through, by name.
    pub const ALL: [(&str, Self); 12] = [
        ("three", Self::DEFAULT),
        (
            "five-and-observers",
            Self {
                voters: 5,
                observers: 2,
                ..Self::DEFAULT
            },
        ),
        (
            "seven",
            Self {
                voters: 7,
                observers: 1,
                ..Self::DEFAULT
            },
        ),
        (
            "groups",
            Self {
                voters: 7,
                groups: &[&[1, 1, 0], &[1, 1, 1], &[1]],
                ..Self::DEFAULT
            },
        ),
        (
            "groups-with-weights",
            Self {
                voters: 5,
                observers: 1,
                groups: &[&[2, 1], &[1, 1, 1]],
                ..Self::DEFAULT
            },
        ),
        (
            "groups-without-weight",
            Self {
                voters: 5,
                groups: &[&[1, 1, 1], &[0, 0]],
                ..Self::DEFAULT
            },
        ),
        (
            "local-sessions",
            Self {
                has_local_sessions: true,
                observers: 1,
                ..Self::DEFAULT
            },
        ),
        (
            "read-only",
            Self {
                is_read_only: true,
                ..Self::DEFAULT
            },
        ),
        (
            "counter",
            Self {
                counter_end: Some(25),
                observers: 1,
                ..Self::DEFAULT
            },
        ),
        (
            "rough",
            Self {
                counter_end: Some(40),
                faulty_ms: 60_000,
                fault_ms_max: 1000,
                request_ms_max: 40,
                ..Self::DEFAULT
            },
        ),
        (
            "busy",
            Self {
                request_ms_max: 8,
                faulty_ms: 15_000,
                ..Self::DEFAULT
            },
        ),
        (
            "flood",
            Self {
                request_ms_max: 2,
                faulty_ms: 5_000,
                ..Self::DEFAULT
            },
        ),
    ];

    const DEFAULT: Self = Self {
        voters: 3,
        observers: 0,
        groups: &[],
        clients: 5,
        has_local_sessions: false,
        is_read_only: false,
        faulty_ms: 30_000,
        fault_ms_max: 2500,
        counter_end: None,
        request_ms_max: 80,
        bug: None,
        is_traced: false,
    };

    const fn knows_local_sessions(&self) -> bool {
        self.has_local_sessions || self.is_read_only
    }
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
    /// Reads behind a `sync`.
    pub synced_reads: u64,
    /// Learners that were sent what they lacked.
    pub diffs: u64,
    /// Those of them that lacked more than was kept in memory.
    pub log_reads: u64,
    /// Learners that had to take something back.
    pub truncations: u64,
    /// Learners that were sent the whole tree.
    pub snapshots: u64,
    /// Trees that were put in the place of a history.
    pub installs: u64,
    /// Snapshots that servers took by themselves.
    pub own_snapshots: u64,
    /// Leaders that handed over because they were told to, or because of the counter.
    pub hand_overs: u64,
    /// Disks that failed or were full, so that the server on it ended.
    pub disk_failures: u64,
    /// Disks that were emptied.
    pub wipes: u64,
    /// Sessions that clients were given.
    pub sessions: u64,
    /// Times that a client came back with its session.
    pub renewals: u64,
    /// Clients that were told that their session is over.
    pub expirations: u64,
    /// Events of watches.
    pub events: u64,
    /// Virtual milliseconds from the end of the faults until all servers served.
    pub recovery_ms: u64,
}

impl Report {
    /// Adds what another run came to; of the times to recover the longer one counts.
    pub fn add(&mut self, other: &Self) {
        self.starts += other.starts;
        self.epochs += other.epochs;
        self.settles += other.settles;
        self.committed += other.committed;
        self.acknowledged += other.acknowledged;
        self.synced_reads += other.synced_reads;
        self.diffs += other.diffs;
        self.log_reads += other.log_reads;
        self.truncations += other.truncations;
        self.snapshots += other.snapshots;
        self.installs += other.installs;
        self.own_snapshots += other.own_snapshots;
        self.hand_overs += other.hand_overs;
        self.disk_failures += other.disk_failures;
        self.wipes += other.wipes;
        self.sessions += other.sessions;
        self.renewals += other.renewals;
        self.expirations += other.expirations;
        self.events += other.events;
        self.recovery_ms = self.recovery_ms.max(other.recovery_ms);
    }
}

/// Something that must never happen did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What.
    pub what: String,
    /// When, in virtual milliseconds; `None` if an assertion of the program failed.
    pub at_ms: Option<u64>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_ms {
            Some(at_ms) => write!(f, "at {at_ms} ms: {}", self.what),
            None => write!(f, "a failed assertion: {}", self.what),
        }
    }
}

/// Simulates one ensemble.
///
/// # Errors
/// The first violation. An assertion of the program that fails is one, too.
pub fn run(seed: u64, plan: Plan) -> Result<Report, Violation> {
    let run = catch_unwind(AssertUnwindSafe(|| world::World::new(seed, plan).run()));
    run.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation {
            what: text.unwrap_or_else(|| "a panic without words".to_owned()),
            at_ms: None,
        })
    })
}
