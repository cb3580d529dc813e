//! A leader: it finds the epoch, brings learners to its history, and commits what a quorum has made durable.
//!
//! Source: `org.apache.zookeeper.server.quorum.Leader`, `LearnerHandler`.

mod broadcast;
mod discovery;
mod reconfiguration;
mod synchronization;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use zebu_proto::quorum::{ConfigVersion, QuorumConfig};
use zebu_proto::{Epoch, Millis, Sid, Zxid};

use crate::history::{LogPart, Proposal, RecentHistory, SyncPlan};
use crate::log_search::{LogSearch, Step};
use crate::members::{Members, stays_voter};
use crate::message::{ToLeader, ToLearner};

/// A connection of a learner, by a number that is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LearnerId(pub u64);

/// A `sync` that waits: a number of the driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncId(pub u64);

/// Limits of time.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// `tickTime`, milliseconds.
    pub tick_ms: u64,
    /// `initLimit`, ticks: for each phase up to the beginning of the epoch.
    pub init_limit: u64,
    /// `syncLimit`, ticks: for what a learner is silent at most.
    pub sync_limit: u64,
}

impl Times {
    pub(crate) const fn init_ms(&self) -> u64 {
        self.tick_ms.saturating_mul(self.init_limit)
    }

    pub(crate) const fn sync_ms(&self) -> u64 {
        self.tick_ms.saturating_mul(self.sync_limit)
    }
}

/// What a leader wants done. Each may be done at once, in order. A follower that has observers of its own sends to them, and
/// ends their connections, as a leader does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaderEffect {
    /// Make `acceptedEpoch` durable, then call [`Leader::accepted_epoch_saved`].
    SaveAcceptedEpoch(Epoch),
    /// Make `currentEpoch` durable, then call [`Leader::current_epoch_saved`].
    SaveCurrentEpoch(Epoch),
    /// Send to a learner.
    Send(LearnerId, ToLearner),
    /// Send SNAP and the applied tree as it is now. What is sent to this learner later goes behind it.
    SendSnapshot(LearnerId),
    /// End a connection; the text says why.
    Close(LearnerId, &'static str),
    /// The epoch is established: serve.
    Established(Epoch),
    /// Everything up to here is committed: apply it.
    Commit(Zxid),
    /// A configuration was proposed: it is to be durable before anything that comes later is logged.
    See(Arc<QuorumConfig>),
    /// A configuration is committed, and this server meant to lead with it. If that is another one, this one stops soon.
    Activate {
        /// The configuration.
        config: Arc<QuorumConfig>,
        /// The server that is meant to lead.
        leader: Sid,
    },
    /// A sync may be answered.
    Synced(SyncId),
    /// This server does not lead any longer; the text says why.
    Resign(&'static str),
}

/// A part of the log on disk that a leader asks for ([`Leader::next_log_read`]): the last transaction at or before `after`,
/// and everything behind it up to `until`, which is durable there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// For whom it is.
    pub learner: LearnerId,
    /// The last that the learner has.
    pub after: Zxid,
    /// The last that is not in memory.
    pub until: Zxid,
}

/// How far the leader has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits until a quorum says which epochs it has promised to.
    Discovery,
    /// Makes its own promise durable.
    SavingAccepted,
    /// Waits until a quorum has promised.
    Promises,
    /// Makes its epoch durable.
    SavingCurrent,
    /// Waits until a quorum has its history.
    History,
    /// Leads.
    Broadcast,
    Over,
}

/// How far a learner has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connected,
    /// It has said who it is.
    Known,
    /// It has got the epoch.
    Informed,
    /// It has promised, and waits for the leader to be ready.
    Promised {
        last_zxid: Zxid,
        /// Not if it had accepted this epoch before: it may have promised to another leader of it.
        is_promise: bool,
    },
    /// What it lacks is being read from the log.
    Reading {
        last_zxid: Zxid,
    },
    /// It gets the history, and everything that is new.
    Syncing,
    /// It has the history.
    Synced,
}

#[derive(Debug)]
struct Learner {
    sid: Option<Sid>,
    is_observer: bool,
    stage: Stage,
    /// Everything up to here is durable there, in this epoch.
    acked: Zxid,
    deadline: Millis,
    /// The oldest proposal that it has not acknowledged, with the time when it was sent, and the newest one.
    unacked: Option<[(Zxid, Millis); 2]>,
    /// Rounds of the pings that it has not answered, in the order in which they were sent.
    pings: VecDeque<u64>,
    /// The last round that it has answered.
    answered_round: u64,
    /// The end of the history when it was registered: it has that once it has acknowledged the history.
    history_end: Zxid,
    /// What it lacks, as far as that has to be read from the log.
    log: LogSearch,
}

impl Learner {
    const fn is_forwarding(&self) -> bool {
        matches!(self.stage, Stage::Syncing | Stage::Synced)
    }

    fn is_synced(&self) -> bool {
        self.stage == Stage::Synced
    }
}

/// A sync that waits for what was proposed before it, and for a sign that this server still leads.
#[derive(Debug)]
struct PendingSync {
    id: SyncId,
    /// What was proposed last when it came.
    last_proposed: Zxid,
    /// The round of pings that was sent for it.
    round: u64,
}

/// What is known of a server's own history when it begins to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnHistory {
    /// `acceptedEpoch`.
    pub accepted_epoch: Epoch,
    /// `currentEpoch`.
    pub current_epoch: Epoch,
    /// The last transaction in the durable log, which is applied as well.
    pub last_zxid: Zxid,
}

/// A server that leads, or is about to.
#[derive(Debug)]
pub struct Leader {
    me: Sid,
    members: Members,
    times: Times,
    phase: Phase,
    phase_began: Millis,
    own: OwnHistory,
    /// The epoch; until the end of discovery the one that it would be.
    epoch: Epoch,
    history: RecentHistory,
    learners: BTreeMap<LearnerId, Learner>,
    outstanding: VecDeque<Proposal>,
    last_proposed: Zxid,
    last_committed: Zxid,
    /// What is durable here.
    flushed: Zxid,
    next_ping: Millis,
    round: u64,
    syncs: VecDeque<PendingSync>,
    /// Whether the driver reads the log on disk for learners.
    reads_log: bool,
    log_reads: VecDeque<LogRead>,
    /// Since when it only finishes what it has begun.
    handing_over_since: Option<Millis>,
    /// Counts what changes in the membership, or in who follows.
    membership_number: u64,
    /// The change of the configuration that is proposed and not committed.
    reconfig: Option<(Zxid, Arc<QuorumConfig>)>,
    /// Another server is to lead with the configuration that was committed last: this one commits nothing more, and stops
    /// when those who have heard of it have left, or soon.
    is_retired: bool,
    /// Since when that is known.
    retired_since: Option<Millis>,
    /// Where the counter of zxids ends for it.
    counter_end: u32,
    #[cfg(feature = "faults")]
    ignores_later_epochs: bool,
}

/// A leader hands over at this counter: at ten thousand transactions a second it has six seconds to do so.
const COUNTER_END: u32 = 0xffff_0000;

type Effects = Vec<LeaderEffect>;

impl Leader {
    /// A server that was elected. `history` ends with its last transaction.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn new(me: Sid, members: Members, times: Times, own: OwnHistory, history: RecentHistory, now: Millis) -> Self {
        assert!(
            history.last() == own.last_zxid,
            "the history in memory ends with {}, the log with {}",
            history.last(),
            own.last_zxid
        );
        Self {
            me,
            members,
            times,
            phase: Phase::Discovery,
            phase_began: now,
            own,
            epoch: Epoch(own.accepted_epoch.0.saturating_add(1)),
            history,
            learners: BTreeMap::new(),
            outstanding: VecDeque::new(),
            last_proposed: own.last_zxid,
            last_committed: own.last_zxid,
            flushed: own.last_zxid,
            next_ping: now,
            round: 0,
            syncs: VecDeque::new(),
            reads_log: false,
            log_reads: VecDeque::new(),
            handing_over_since: None,
            membership_number: 0,
            reconfig: None,
            is_retired: false,
            retired_since: None,
            counter_end: COUNTER_END,
            #[cfg(feature = "faults")]
            ignores_later_epochs: false,
        }
    }

    /// Makes it lead voters that have accepted a later epoch, to see what happens then.
    #[cfg(feature = "faults")]
    pub const fn ignore_later_epochs(&mut self) {
        self.ignores_later_epochs = true;
    }

    /// Makes the counter end earlier than at the end of its 32 bits, to see what happens then.
    #[cfg(feature = "faults")]
    pub const fn set_counter_end(&mut self, end: u32) {
        self.counter_end = end;
    }

    /// The epoch, once it is established.
    #[must_use]
    pub fn established(&self) -> Option<Epoch> {
        (self.phase == Phase::Broadcast).then_some(self.epoch)
    }

    /// Since when it waits for a quorum to say which epochs that has promised to; not if it has one.
    pub(crate) fn waits_for_epoch_since(&self) -> Option<Millis> {
        (self.phase == Phase::Discovery).then_some(self.phase_began)
    }

    /// Another number whenever [`Leader::members`] or [`Leader::synced`] may have changed.
    #[must_use]
    pub const fn membership_number(&self) -> u64 {
        self.membership_number
    }

    /// The configurations.
    #[must_use]
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// The last transaction that was proposed.
    #[must_use]
    pub const fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    /// When [`Leader::tick`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Millis {
        match self.phase {
            Phase::Broadcast => self.next_ping,
            _ => self.next_ping.min(self.phase_began.plus(self.times.init_ms()).plus(1)),
        }
    }

    /// Whether this learner has the history, and may serve clients.
    #[must_use]
    pub fn is_synced(&self, id: LearnerId) -> bool {
        self.learners.get(&id).is_some_and(Learner::is_synced)
    }

    /// Servers that have the history, voters and others, without this one.
    pub fn synced(&self) -> impl Iterator<Item = (Sid, bool)> {
        self.learners
            .values()
            .filter(|learner| learner.is_synced())
            .filter_map(|learner| Some((learner.sid?, learner.is_observer)))
    }

    /// The server stops leading. Everything that it has logged is its history from now on, committed or not; nothing
    /// else it knows of is.
    #[must_use]
    pub fn into_history(self) -> RecentHistory {
        let mut history = self.history;
        for proposal in self.outstanding {
            history.push(proposal);
        }
        history
    }

    // Learners.

    /// A learner has connected.
    pub fn connected(&mut self, id: LearnerId, now: Millis) {
        let learner = Learner {
            sid: None,
            is_observer: false,
            stage: Stage::Connected,
            acked: Zxid(-1),
            deadline: now.plus(self.times.init_ms()).plus(self.times.sync_ms()),
            unacked: None,
            pings: VecDeque::new(),
            answered_round: 0,
            history_end: Zxid::ZERO,
            log: LogSearch::default(),
        };
        self.learners.insert(id, learner);
    }

    /// A connection is gone.
    pub fn lost(&mut self, id: LearnerId, out: &mut Effects) {
        self.learners.remove(&id);
        self.membership_number += 1;
        self.check_retired(out);
    }

    /// A learner says something.
    pub fn receive(&mut self, id: LearnerId, message: &ToLeader, now: Millis, out: &mut Effects) {
        let (init_ms, sync_ms) = (self.times.init_ms(), self.times.sync_ms());
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        learner.deadline = if learner.is_synced() {
            now.plus(sync_ms)
        } else {
            now.plus(init_ms).plus(sync_ms)
        };
        match (message, learner.stage) {
            (
                ToLeader::Info {
                    is_observer,
                    accepted_epoch,
                    sid,
                },
                Stage::Connected,
            ) => self.introduce(id, *is_observer, *accepted_epoch, *sid, now, out),
            (
                ToLeader::AckEpoch {
                    last_zxid,
                    current_epoch,
                },
                Stage::Informed,
            ) => self.promised(id, *last_zxid, *current_epoch, now, out),
            (ToLeader::Ack { zxid }, Stage::Syncing | Stage::Synced) => self.acked(id, *zxid, now, out),
            (ToLeader::Pong, Stage::Syncing | Stage::Synced) => self.ponged(id, out),
            _ => self.close(id, "it sent a packet out of turn", out),
        }
    }

    fn close(&mut self, id: LearnerId, why: &'static str, out: &mut Effects) {
        self.learners.remove(&id);
        self.membership_number += 1;
        out.push(LeaderEffect::Close(id, why));
    }

    fn resign(&mut self, why: &'static str, out: &mut Effects) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            out.push(LeaderEffect::Resign(why));
        }
    }

    /// Whether `has` holds for this server or for a learner with the server id asked for.
    fn count(&self, has: impl Fn(&Learner) -> bool) -> BTreeSet<Sid> {
        let learners = self.learners.values().filter(|learner| has(learner));
        let voters = learners.filter(|learner| !learner.is_observer);
        voters.filter_map(|learner| learner.sid).chain([self.me]).collect()
    }
}

impl Learner {
    fn note_sent(&mut self, zxid: Zxid, now: Millis) {
        self.unacked = match self.unacked {
            None => Some([(zxid, now); 2]),
            Some([oldest, _]) => Some([oldest, (zxid, now)]),
        };
    }

    fn note_acked(&mut self, zxid: Zxid) {
        self.acked = self.acked.max(zxid);
        self.unacked = match self.unacked {
            Some([_, newest]) if newest.0 <= zxid => None,
            // When those between were sent is not kept: the newest one counts from now on.
            Some([oldest, newest]) if oldest.0 <= zxid => Some([newest; 2]),
            unacked => unacked,
        };
    }
}

#[cfg(test)]
mod tests;
