//! Faults of a program that can be switched on in the simulated servers, to see that the simulator finds them.
//!
//! All of them but [`Bug::CounterRunsOn`] and [`Bug::EpochGoesBack`] are put in by the driver of the simulated servers,
//! between `zebu-zab`, `zebu-node` and the simulated disk and network, so that there is nothing in a real server that could be switched
//! on. The table of `docs/historical-bugs.md` says where each comes from.

/// A fault of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A server says that its log is durable before it is.
    AckBeforeFlush,
    /// A server does not save the epoch of its history.
    EpochNotSaved,
    /// H-1, H-5 (ZOOKEEPER-3023, 3911, 4646): `NEWLEADER` is acknowledged before the history is durable.
    HistoryAckedBeforeDurable,
    /// H-2 (ZOOKEEPER-4685): followers acknowledge transactions of the history by themselves, before it, and a leader takes
    /// the first acknowledgement for that of `NEWLEADER`.
    FirstAckIsTheHistorys,
    /// H-3 (ZOOKEEPER-4394): a learner gives up when a proposal from before `NEWLEADER` is committed after it.
    CommitBehindNewLeader,
    /// H-4 (ZOOKEEPER-4643): `currentEpoch` is saved before the history.
    EpochBeforeHistory,
    /// H-6 (ZOOKEEPER-4837): a snapshot with transactions that were cut off the log stays.
    SnapshotSurvivesTruncation,
    /// H-7: a cut at a transaction that is absent leaves the first one behind it.
    FirstRecordSurvivesTruncation,
    /// H-8 (ZOOKEEPER-5094): what came in a synchronization that ended early is in memory, not on disk, and counts.
    AbortedSyncKept,
    /// H-9: a learner is registered for what is new a while after it was decided what it lacks.
    RegisteredLate,
    /// H-10 (ZOOKEEPER-3642, 2872): a tree that a leader sent counts before it is on disk.
    SnapshotNotDurable,
    /// H-11 (ZOOKEEPER-4925): what came in a synchronization is missing in what this server, as leader, sends to others.
    HoleInCommittedLog,
    /// H-12 (ZOOKEEPER-2846): a tree from a leader leaves the older log where it is, and what stands in the log is sent to
    /// others across the hole.
    HoleInLogOnDisk,
    /// H-17 (ZOOKEEPER-3104): `NEWLEADER` is sent before the tree.
    NewLeaderBeforeTree,
    /// H-18 (ZOOKEEPER-1277, 2789, 4883): a leader does not look at the end of the counter of zxids.
    CounterRunsOn,
    /// H-19 (ZOOKEEPER-1675, 2136, 3600): a sync is answered by a server that does not know whether it still leads.
    SyncUnconfirmed,
    /// H-21 (ZOOKEEPER-2307, 2354, 4269): `currentEpoch` is saved before `acceptedEpoch`.
    EpochFilesSwapped,
    /// H-23 (ZOOKEEPER-2845, 4712, 4541, 4502): a server votes with what it has applied, and not with what it has logged.
    VotesBeforeLogEnds,
    /// H-33 (ZOOKEEPER-2355): a server that fails over a proposal reports it as the end of its history.
    LastSeenReported,
    /// H-34 (ZOOKEEPER-261, 2325): a server with an emptied disk votes.
    WipedVotes,
    /// H-35: a failed write or fsync is tried again, in a new file.
    FailedFsyncRetried,
    /// H-36: a server follows leaders of the past, and they take it.
    EpochGoesBack,
    /// A leader that was held up gives up before it proposes what it has prepared.
    ProposedLate,
    /// A learner lets clients go on with any session, without asking the leader whether that exists.
    SessionsUnasked,
    /// A learner does not tell its leader of which clients it has heard.
    ClientsNotHeardOf,
    /// A leader lets a client go on elsewhere before what it asked for first has come to its end.
    RevalidatedEarly,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::AckBeforeFlush,
        Self::EpochNotSaved,
        Self::HistoryAckedBeforeDurable,
        Self::FirstAckIsTheHistorys,
        Self::CommitBehindNewLeader,
        Self::EpochBeforeHistory,
        Self::SnapshotSurvivesTruncation,
        Self::FirstRecordSurvivesTruncation,
        Self::AbortedSyncKept,
        Self::RegisteredLate,
        Self::SnapshotNotDurable,
        Self::HoleInCommittedLog,
        Self::HoleInLogOnDisk,
        Self::NewLeaderBeforeTree,
        Self::CounterRunsOn,
        Self::SyncUnconfirmed,
        Self::EpochFilesSwapped,
        Self::VotesBeforeLogEnds,
        Self::LastSeenReported,
        Self::WipedVotes,
        Self::FailedFsyncRetried,
        Self::EpochGoesBack,
        Self::ProposedLate,
        Self::SessionsUnasked,
        Self::ClientsNotHeardOf,
        Self::RevalidatedEarly,
    ];
}
