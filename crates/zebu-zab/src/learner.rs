//! A learner: it promises itself to a leader's epoch, takes over its history, and then logs what is proposed and applies
//! what is committed.
//!
//! Source: `org.apache.zookeeper.server.quorum.Learner`, `Follower`, `Observer`. The order of durable steps is stricter
//! than in most releases of the reference: history, then `currentEpoch`, then the acknowledgement of `NEWLEADER`, then
//! that of anything proposed since.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use zebu_proto::quorum::QuorumConfig;
use zebu_proto::{Epoch, Millis, Sid, Zxid};

use crate::history::{Proposal, RecentHistory, follows};
use crate::leader::{OwnHistory, Times};
use crate::message::{ToLeader, ToLearner};

/// What a learner wants done. Each may be done at once, in order.
///
/// The driver hands over no further message of the leader while one that changes the disk is under way
/// ([`LearnerEffect::Truncate`], [`LearnerEffect::LoadSnapshot`], [`LearnerEffect::InstallSnapshot`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnerEffect {
    /// Connect to the leader's quorum port, then call [`Learner::connected`].
    Connect(Sid),
    /// Send to the leader.
    Send(ToLeader),
    /// Make `acceptedEpoch` durable, then call [`Learner::accepted_epoch_saved`].
    SaveAcceptedEpoch(Epoch),
    /// Make `currentEpoch` durable, then call [`Learner::current_epoch_saved`].
    SaveCurrentEpoch(Epoch),
    /// Cut everything behind this off the log on disk, snapshots of it too, and load the tree from disk again; then call
    /// [`Learner::truncated`].
    Truncate(Zxid),
    /// Read a whole tree from the stream and put it in the place of the present one; then call
    /// [`Learner::snapshot_loaded`].
    LoadSnapshot,
    /// Note durably, before anything else is done, that a history of this epoch is about to be written, while
    /// `currentEpoch` is still that of the one before.
    AnnounceEpoch(Epoch),
    /// Make the tree that was loaded the history on disk: nothing else is left there. Then call
    /// [`Learner::snapshot_installed`].
    InstallSnapshot(Zxid),
    /// Append to the log. When everything up to a zxid is durable, [`Learner::flushed`] is to be called.
    Append(Proposal),
    /// Everything up to here is committed: apply it.
    Commit(Zxid),
    /// A configuration was proposed: it is to be durable before anything that comes later.
    See(Arc<QuorumConfig>),
    /// A configuration is committed.
    Activate {
        /// The configuration.
        config: Arc<QuorumConfig>,
        /// The server that is meant to lead with it, if anybody said so.
        leader: Option<Sid>,
    },
    /// The history is that of an established leader: serve.
    Serve(Epoch),
    /// The connection is to be ended and another leader looked for; the text says why.
    Leave(&'static str),
}

/// What a server without a history says about its end. Every leader answers with SNAP: nothing that a leader keeps reaches
/// back to before the first transaction, whereas 0 may be where the log in its memory begins.
///
/// Source: `ZKDatabase.loadDataBase` with `zookeeper.db.autocreate=false`.
const NO_HISTORY: Zxid = Zxid(-1);

/// How far a learner has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// It has said who it is.
    Introduced,
    /// It makes its promise durable.
    SavingAccepted,
    /// It has promised; the leader says how it gets its history.
    Promised,
    Truncating,
    Loading,
    /// It gets the history.
    Syncing,
    /// It puts what it was sent on disk.
    Installing,
    /// It appends the history to its log.
    Logging,
    /// It makes the epoch of the history durable.
    SavingCurrent,
    /// It has said that it has the history.
    Acknowledged,
    /// The leader is established.
    Broadcast,
    Over,
}

/// How a learner introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub sid: Sid,
    /// Whether it observes.
    pub is_observer: bool,
}

/// A proposal that changes the configuration.
#[derive(Debug)]
struct Reconfig {
    zxid: Zxid,
    config: Arc<QuorumConfig>,
    /// Who is meant to lead, once it is committed.
    leader: Option<Sid>,
}

/// A server that follows or observes, or is about to.
#[derive(Debug)]
pub struct Learner {
    me: Sid,
    leader: Sid,
    is_observer: bool,
    times: Times,
    own: OwnHistory,
    epoch: Epoch,
    stage: Stage,
    heard_at: Millis,
    history: RecentHistory,
    /// Whether the tree came from the leader and is not on disk yet.
    is_snapshot_pending: bool,
    /// Whether the leader is to be told that there is no history here: it could not be cut where the leader wanted.
    wants_snapshot: bool,
    /// Proposals that are not known to be committed, and those that are not applied yet.
    pending: VecDeque<Proposal>,
    /// How many of them have been appended to the log.
    appended: usize,
    /// The last proposal, or the end of the history.
    last: Zxid,
    /// The last of the history that came before `NEWLEADER`.
    history_end: Zxid,
    /// The last that the leader said is committed.
    committed: Zxid,
    /// The configuration that the leader had seen last when it sent the history.
    leaders_config: Option<Arc<QuorumConfig>>,
    /// Proposals that change the configuration and are not applied.
    reconfigs: VecDeque<Reconfig>,
    /// What is durable.
    flushed: Zxid,
    /// The last that was acknowledged by itself.
    acked: Zxid,
    #[cfg(feature = "faults")]
    takes_any_epoch: bool,
}

type Effects = Vec<LearnerEffect>;

impl Learner {
    /// A server that goes to `leader`. `history` ends with its last transaction.
    pub fn new(
        identity: Identity,
        leader: Sid,
        times: Times,
        own: OwnHistory,
        history: RecentHistory,
        now: Millis,
        out: &mut Effects,
    ) -> Self {
        out.push(LearnerEffect::Connect(leader));
        Self {
            me: identity.sid,
            leader,
            is_observer: identity.is_observer,
            times,
            own,
            epoch: own.accepted_epoch,
            stage: Stage::Connecting,
            heard_at: now,
            last: history.last(),
            history_end: history.last(),
            committed: history.last(),
            flushed: history.last(),
            acked: history.last(),
            history,
            is_snapshot_pending: false,
            wants_snapshot: false,
            leaders_config: None,
            reconfigs: VecDeque::new(),
            pending: VecDeque::new(),
            appended: 0,
            #[cfg(feature = "faults")]
            takes_any_epoch: false,
        }
    }

    /// What is on disk here is no history: the disk was emptied, and nobody said that this is a new ensemble. The leader
    /// is told so, and sends everything.
    pub const fn distrust_history(&mut self) {
        self.wants_snapshot = true;
    }

    /// The epoch of the established leader that this server follows.
    #[must_use]
    pub fn established(&self) -> Option<Epoch> {
        (self.stage == Stage::Broadcast).then_some(self.epoch)
    }

    /// Its leader.
    #[must_use]
    pub const fn leader(&self) -> Sid {
        self.leader
    }

    /// What is committed and will not be taken back. Complete once the leader is established.
    pub(crate) const fn history(&self) -> &RecentHistory {
        &self.history
    }

    /// What is durable here.
    pub(crate) const fn durable(&self) -> Zxid {
        self.flushed
    }

    /// When [`Learner::tick`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Millis {
        self.heard_at.plus(self.silence_ms_max()).plus(1)
    }

    fn silence_ms_max(&self) -> u64 {
        match self.stage {
            Stage::Acknowledged | Stage::Broadcast => self.times.sync_ms(),
            _ => self.times.init_ms(),
        }
    }

    /// The server stops following. What it has appended to its log is its history from now on, committed or not. `None`
    /// if memory is ahead of the disk, with a tree that was loaded and not made durable: it has to be read from disk.
    #[must_use]
    pub fn into_history(mut self) -> Option<RecentHistory> {
        if self.is_snapshot_pending {
            return None;
        }
        for proposal in self.pending.drain(..self.appended) {
            self.history.push(proposal);
        }
        Some(self.history)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Millis, out: &mut Effects) {
        if now.since(self.heard_at) > self.silence_ms_max() {
            self.leave("the leader was silent for too long", out);
        }
    }

    fn leave(&mut self, why: &'static str, out: &mut Effects) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            out.push(LearnerEffect::Leave(why));
        }
    }

    /// The connection could not be made, or is gone.
    pub fn lost(&mut self, out: &mut Effects) {
        self.leave("the connection to the leader is lost", out);
    }

    /// The connection to the leader is there.
    pub fn connected(&mut self, now: Millis, out: &mut Effects) {
        if self.stage != Stage::Connecting {
            return;
        }
        self.heard_at = now;
        self.stage = Stage::Introduced;
        out.push(LearnerEffect::Send(ToLeader::Info {
            is_observer: self.is_observer,
            accepted_epoch: self.own.accepted_epoch,
            sid: self.me,
        }));
    }

    /// The leader says something.
    pub fn receive(&mut self, message: ToLearner, now: Millis, out: &mut Effects) {
        self.heard_at = now;
        match (message, self.stage) {
            (_, Stage::Over) => {}
            (ToLearner::LeaderInfo { epoch }, Stage::Introduced) => self.promise(epoch, out),
            (ToLearner::Diff { .. }, Stage::Promised) => self.stage = Stage::Syncing,
            (ToLearner::Trunc { zxid }, Stage::Promised) => {
                self.stage = Stage::Truncating;
                out.push(LearnerEffect::Truncate(zxid));
            }
            (ToLearner::Snap { .. }, Stage::Promised) => {
                self.stage = Stage::Loading;
                self.is_snapshot_pending = true;
                out.push(LearnerEffect::LoadSnapshot);
            }
            // A leader may ping whoever it sends to.
            (ToLearner::Ping { .. }, Stage::Acknowledged | Stage::Broadcast) => {
                out.push(LearnerEffect::Send(ToLeader::Pong));
            }
            (ToLearner::Ping { .. }, Stage::Syncing | Stage::Installing | Stage::Logging | Stage::SavingCurrent) => {}
            (ToLearner::Proposal { zxid, txn }, stage) if stage.takes_proposals() => {
                self.proposal(Proposal { zxid, txn }, out);
            }
            (ToLearner::Commit { zxid }, stage) if stage.takes_proposals() => self.commit(zxid, out),
            (ToLearner::CommitAndActivate { zxid, leader }, stage) if stage.takes_proposals() => {
                self.name_leader(zxid, leader);
                self.commit(zxid, out);
            }
            (ToLearner::InformAndActivate { zxid, leader, txn }, stage) if stage.takes_proposals() => {
                if self.proposal(Proposal { zxid, txn }, out) {
                    self.name_leader(zxid, leader);
                    self.commit(zxid, out);
                }
            }
            (ToLearner::Inform { zxid, txn }, stage) if stage.takes_proposals() => {
                if self.proposal(Proposal { zxid, txn }, out) {
                    self.commit(zxid, out);
                }
            }
            (ToLearner::NewLeader { epoch }, Stage::Syncing) => self.history_is_complete(epoch, out),
            (ToLearner::UpToDate, Stage::Acknowledged) => self.serve(out),
            _ => self.leave("the leader sent a packet out of turn", out),
        }
    }

    // The epoch.

    fn promise(&mut self, epoch: Epoch, out: &mut Effects) {
        if epoch < self.own.accepted_epoch && !self.takes_any_epoch() {
            return self.leave("the leader's epoch is older than the one that was accepted", out);
        }
        self.epoch = epoch;
        if epoch > self.own.accepted_epoch {
            self.stage = Stage::SavingAccepted;
            out.push(LearnerEffect::SaveAcceptedEpoch(epoch));
            return;
        }
        // To promise a second time could give two leaders of one epoch a quorum.
        self.acknowledge_epoch(None, out);
    }

    #[cfg(feature = "faults")]
    const fn takes_any_epoch(&self) -> bool {
        self.takes_any_epoch
    }

    #[cfg(not(feature = "faults"))]
    #[allow(clippy::unused_self, reason = "simulated learners have it")]
    const fn takes_any_epoch(&self) -> bool {
        false
    }

    /// Makes it follow leaders of the past, to see what happens then.
    #[cfg(feature = "faults")]
    pub const fn take_any_epoch(&mut self) {
        self.takes_any_epoch = true;
    }

    /// `acceptedEpoch` is durable.
    pub fn accepted_epoch_saved(&mut self, out: &mut Effects) {
        if self.stage == Stage::SavingAccepted {
            self.own.accepted_epoch = self.epoch;
            self.acknowledge_epoch(Some(self.own.current_epoch), out);
        }
    }

    fn acknowledge_epoch(&mut self, current_epoch: Option<Epoch>, out: &mut Effects) {
        self.stage = Stage::Promised;
        let last_zxid = if self.wants_snapshot { NO_HISTORY } else { self.last };
        out.push(LearnerEffect::Send(ToLeader::AckEpoch {
            last_zxid,
            current_epoch,
        }));
    }

    // The history.

    /// The log ends with `last` now, and the tree is what it makes.
    pub fn truncated(&mut self, wanted: Zxid, last: Zxid, now: Millis, out: &mut Effects) {
        if self.stage != Stage::Truncating {
            return;
        }
        self.heard_at = now;
        self.history.truncate(last);
        if self.history.last() != last {
            self.history.restart(last);
        }
        self.begin_at(last);
        if last == wanted {
            self.stage = Stage::Syncing;
        } else {
            // What the leader thinks is here is not. The epoch is accepted by now, so that what is said about the history
            // promises nothing: the leader is asked for all of it.
            self.wants_snapshot = true;
            self.stage = Stage::Connecting;
            out.push(LearnerEffect::Connect(self.leader));
        }
    }

    /// The tree is the leader's at `zxid`.
    pub fn snapshot_loaded(&mut self, zxid: Zxid, now: Millis) {
        if self.stage == Stage::Loading {
            self.heard_at = now;
            self.history.restart(zxid);
            self.begin_at(zxid);
            self.stage = Stage::Syncing;
        }
    }

    fn begin_at(&mut self, zxid: Zxid) {
        self.last = zxid;
        self.committed = zxid;
        self.flushed = zxid;
        self.acked = zxid;
        self.pending.clear();
        self.reconfigs.clear();
        self.appended = 0;
    }

    /// Takes a proposal; `false` if it does not belong here.
    fn proposal(&mut self, proposal: Proposal, out: &mut Effects) -> bool {
        if self.stage == Stage::Syncing && proposal.zxid <= self.history.last() {
            // The reference repeats what is in the tree that it sent before.
            return false;
        }
        if !follows(self.last, proposal.zxid) {
            self.leave("the leader sent a proposal that does not follow the last one", out);
            return false;
        }
        self.last = proposal.zxid;
        self.pending.push_back(proposal);
        // Before the epoch is saved nothing of it is appended: a log must not be of a later epoch than the files say.
        if matches!(self.stage, Stage::Acknowledged | Stage::Broadcast) {
            self.append(out);
        }
        true
    }

    fn append(&mut self, out: &mut Effects) {
        self.append_up_to(self.last, out);
    }

    fn append_up_to(&mut self, last: Zxid, out: &mut Effects) {
        while let Some(proposal) = self.pending.get(self.appended).filter(|next| next.zxid <= last) {
            if let Some(reconfig) = self.reconfigs.iter().find(|reconfig| reconfig.zxid == proposal.zxid) {
                out.push(LearnerEffect::See(reconfig.config.clone()));
            }
            out.push(LearnerEffect::Append(proposal.clone()));
            self.appended += 1;
        }
    }

    /// Notes a commit. Nothing is applied before the leader is established: until then it may have to be taken back.
    fn commit(&mut self, zxid: Zxid, out: &mut Effects) {
        if self.stage == Stage::Syncing && zxid <= self.history.last() {
            return;
        }
        if zxid <= self.committed || zxid > self.last {
            return self.leave("the leader committed what it did not propose", out);
        }
        if zxid != self.next_to_commit() {
            return self.leave("the leader committed transactions out of order", out);
        }
        self.committed = zxid;
        if self.stage == Stage::Broadcast {
            self.apply(out);
        }
    }

    fn next_to_commit(&self) -> Zxid {
        let next = self.pending.partition_point(|proposal| proposal.zxid <= self.committed);
        self.pending.get(next).map_or(Zxid(-1), |proposal| proposal.zxid)
    }

    fn apply(&mut self, out: &mut Effects) {
        while let Some(front) = self.pending.front()
            && front.zxid <= self.committed
        {
            let zxid = front.zxid;
            if let Some(proposal) = self.pending.pop_front() {
                self.history.push(proposal);
                self.appended -= 1;
            }
            out.push(LearnerEffect::Commit(zxid));
            if let Some(Reconfig { config, leader, .. }) = self.reconfigs.pop_front_if(|reconfig| reconfig.zxid == zxid)
            {
                out.push(LearnerEffect::Activate { config, leader });
            }
        }
    }

    // The configuration.

    /// The transaction of the proposal that comes next changes the configuration.
    pub fn reconfig_proposed(&mut self, zxid: Zxid, config: Arc<QuorumConfig>) {
        if zxid > self.last {
            self.reconfigs.push_back(Reconfig {
                zxid,
                config,
                leader: None,
            });
        }
    }

    /// With the `NEWLEADER` that comes next the leader says which configuration it has seen last.
    pub fn config_of_leader(&mut self, config: Arc<QuorumConfig>) {
        if self.stage == Stage::Syncing {
            self.leaders_config = Some(config);
        }
    }

    fn name_leader(&mut self, zxid: Zxid, leader: Sid) {
        if let Some(reconfig) = self.reconfigs.iter_mut().find(|reconfig| reconfig.zxid == zxid) {
            reconfig.leader = Some(leader);
        }
    }

    /// What the leader had seen last was agreed on with the history, unless its proposal is still under way: then the
    /// reference takes it for committed too early.
    fn activate_leaders(&mut self, out: &mut Effects) {
        let Some(config) = self.leaders_config.take() else {
            return;
        };
        let is_under_way = |reconfig: &Reconfig| reconfig.config.version == config.version;
        if !self.reconfigs.iter().any(is_under_way) {
            out.push(LearnerEffect::Activate { config, leader: None });
        }
    }

    /// `NEWLEADER`: what came before it is the history.
    fn history_is_complete(&mut self, epoch: Epoch, out: &mut Effects) {
        if epoch != self.epoch {
            return self.leave("the leader's epoch has changed", out);
        }
        self.history_end = self.last;
        // What the history held and is committed came to its end long ago: the leader's configuration is as new.
        self.reconfigs.retain(|reconfig| reconfig.zxid > self.committed);
        if self.last.epoch() > self.own.current_epoch {
            out.push(LearnerEffect::AnnounceEpoch(epoch));
        }
        if self.is_snapshot_pending {
            self.stage = Stage::Installing;
            out.push(LearnerEffect::InstallSnapshot(self.history.last()));
        } else {
            self.log_history(out);
        }
    }

    /// The tree that was loaded is on disk.
    pub fn snapshot_installed(&mut self, out: &mut Effects) {
        if self.stage == Stage::Installing {
            self.is_snapshot_pending = false;
            self.log_history(out);
        }
    }

    fn log_history(&mut self, out: &mut Effects) {
        self.stage = Stage::Logging;
        self.append_up_to(self.history_end, out);
        self.check_logged(out);
    }

    fn check_logged(&mut self, out: &mut Effects) {
        if self.stage == Stage::Logging && self.flushed >= self.history_end {
            self.stage = Stage::SavingCurrent;
            if let Some(config) = &self.leaders_config {
                out.push(LearnerEffect::See(config.clone()));
            }
            out.push(LearnerEffect::SaveCurrentEpoch(self.epoch));
        }
    }

    /// `currentEpoch` is durable.
    pub fn current_epoch_saved(&mut self, now: Millis, out: &mut Effects) {
        if self.stage != Stage::SavingCurrent {
            return;
        }
        self.heard_at = now;
        self.own.current_epoch = self.epoch;
        self.stage = Stage::Acknowledged;
        self.acknowledge_history(out);
        // What the history held of this epoch is acknowledged behind it, and what came in the meantime is logged.
        self.acknowledge(out);
        self.append(out);
    }

    fn acknowledge_history(&self, out: &mut Effects) {
        let zxid = Zxid::epoch_start(self.epoch);
        out.push(LearnerEffect::Send(ToLeader::Ack { zxid }));
    }

    // Broadcast.

    fn serve(&mut self, out: &mut Effects) {
        self.stage = Stage::Broadcast;
        self.acknowledge_history(out);
        self.activate_leaders(out);
        self.apply(out);
        out.push(LearnerEffect::Serve(self.epoch));
    }

    /// Everything up to `zxid` is durable in the log.
    pub fn flushed(&mut self, zxid: Zxid, out: &mut Effects) {
        self.flushed = self.flushed.max(zxid);
        match self.stage {
            Stage::Logging => self.check_logged(out),
            Stage::Acknowledged | Stage::Broadcast => self.acknowledge(out),
            _ => {}
        }
    }

    /// Acknowledges, one by one, the proposals of this epoch that are durable.
    fn acknowledge(&mut self, out: &mut Effects) {
        if self.is_observer {
            return;
        }
        // A commit may overtake the flush: a quorum need not include this server.
        let start = Zxid::epoch_start(self.epoch);
        let mut zxid = self.acked.max(start);
        while zxid < self.flushed {
            zxid = zxid.next();
            out.push(LearnerEffect::Send(ToLeader::Ack { zxid }));
        }
        self.acked = self.acked.max(self.flushed);
    }
}

impl Stage {
    const fn takes_proposals(self) -> bool {
        matches!(
            self,
            Self::Syncing
                | Self::Installing
                | Self::Logging
                | Self::SavingCurrent
                | Self::Acknowledged
                | Self::Broadcast
        )
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use bytes::Bytes;

    use super::*;

    const fn zxid(epoch: i64, counter: i64) -> Zxid {
        Zxid(epoch << 32 | counter)
    }

    fn proposal(zxid: Zxid) -> ToLearner {
        ToLearner::Proposal {
            zxid,
            txn: Bytes::new(),
        }
    }

    fn append(zxid: Zxid) -> LearnerEffect {
        LearnerEffect::Append(Proposal {
            zxid,
            txn: Bytes::new(),
        })
    }

    /// A follower with a history of epoch 1 that has promised itself to the leader of epoch 2.
    struct Follower {
        learner: Learner,
        out: Effects,
    }

    impl Follower {
        fn new() -> Self {
            let own = OwnHistory {
                accepted_epoch: Epoch(1),
                current_epoch: Epoch(1),
                last_zxid: zxid(1, 5),
            };
            let times = Times {
                tick_ms: 100,
                init_limit: 10,
                sync_limit: 5,
            };
            let history = RecentHistory::new(own.last_zxid, 10);
            let mut out = Vec::new();
            let identity = Identity {
                sid: Sid(1),
                is_observer: false,
            };
            let learner = Learner::new(identity, Sid(3), times, own, history, Millis(0), &mut out);
            let mut follower = Self { learner, out };
            follower.learner.connected(Millis(1), &mut follower.out);
            follower.hear(ToLearner::LeaderInfo { epoch: Epoch(2) });
            follower.learner.accepted_epoch_saved(&mut follower.out);
            follower.out.clear();
            follower
        }

        fn hear(&mut self, message: ToLearner) -> Effects {
            self.learner.receive(message, Millis(2), &mut self.out);
            core::mem::take(&mut self.out)
        }

        fn flushed(&mut self, zxid: Zxid) -> Effects {
            self.learner.flushed(zxid, &mut self.out);
            core::mem::take(&mut self.out)
        }

        fn saved(&mut self) -> Effects {
            self.learner.current_epoch_saved(Millis(3), &mut self.out);
            core::mem::take(&mut self.out)
        }
    }

    fn ack(zxid: Zxid) -> LearnerEffect {
        LearnerEffect::Send(ToLeader::Ack { zxid })
    }

    /// ZOOKEEPER-3023, 3911, 4643, 4646, 4685: history durable, then the epoch, then its acknowledgement, then others.
    #[test]
    fn the_history_is_durable_before_the_epoch_and_the_epoch_before_its_acknowledgement() {
        let mut follower = Follower::new();
        assert_eq!(follower.hear(ToLearner::Diff { zxid: zxid(1, 7) }), vec![]);
        assert_eq!(follower.hear(proposal(zxid(1, 6))), vec![]);
        assert_eq!(follower.hear(ToLearner::Commit { zxid: zxid(1, 6) }), vec![]);
        // Under way when the leader registered this follower.
        assert_eq!(follower.hear(proposal(zxid(2, 1))), vec![]);
        assert_eq!(
            follower.hear(ToLearner::NewLeader { epoch: Epoch(2) }),
            vec![
                LearnerEffect::AnnounceEpoch(Epoch(2)),
                append(zxid(1, 6)),
                append(zxid(2, 1))
            ]
        );
        assert_eq!(follower.flushed(zxid(1, 6)), vec![]);
        assert_eq!(
            follower.flushed(zxid(2, 1)),
            vec![LearnerEffect::SaveCurrentEpoch(Epoch(2))]
        );
        assert_eq!(follower.saved(), vec![ack(zxid(2, 0)), ack(zxid(2, 1))]);
        assert_eq!(
            follower.hear(ToLearner::UpToDate),
            vec![
                ack(zxid(2, 0)),
                LearnerEffect::Commit(zxid(1, 6)),
                LearnerEffect::Serve(Epoch(2))
            ]
        );
        // ZOOKEEPER-4394: proposed before NEWLEADER, committed after it.
        assert_eq!(
            follower.hear(ToLearner::Commit { zxid: zxid(2, 1) }),
            vec![LearnerEffect::Commit(zxid(2, 1))]
        );
    }

    /// Found by simulation, seed 1162: a crash in between left a log of an epoch later than the files said.
    #[test]
    fn nothing_of_an_epoch_is_logged_behind_its_history_before_the_epoch_is_saved() {
        let mut follower = Follower::new();
        follower.hear(ToLearner::Diff { zxid: zxid(1, 5) });
        assert_eq!(
            follower.hear(ToLearner::NewLeader { epoch: Epoch(2) }),
            vec![LearnerEffect::SaveCurrentEpoch(Epoch(2))]
        );
        assert_eq!(follower.hear(proposal(zxid(2, 1))), vec![]);
        assert_eq!(follower.saved(), vec![ack(zxid(2, 0)), append(zxid(2, 1))]);
        assert_eq!(follower.flushed(zxid(2, 1)), vec![ack(zxid(2, 1))]);
    }

    #[test]
    fn an_epoch_older_than_the_accepted_one_is_refused() {
        let own = OwnHistory {
            accepted_epoch: Epoch(5),
            current_epoch: Epoch(3),
            last_zxid: zxid(3, 1),
        };
        let times = Times {
            tick_ms: 100,
            init_limit: 10,
            sync_limit: 5,
        };
        let identity = Identity {
            sid: Sid(1),
            is_observer: false,
        };
        let history = RecentHistory::new(own.last_zxid, 10);
        let mut out = Vec::new();
        let mut learner = Learner::new(identity, Sid(3), times, own, history, Millis(0), &mut out);
        learner.connected(Millis(1), &mut out);
        out.clear();
        learner.receive(ToLearner::LeaderInfo { epoch: Epoch(4) }, Millis(2), &mut out);
        assert!(matches!(out[..], [LearnerEffect::Leave(_)]), "{out:?}");
    }

    #[test]
    fn a_hole_or_a_wrong_order_ends_the_connection() {
        let leaves = |messages: &[ToLearner]| {
            let mut follower = Follower::new();
            let mut last = Vec::new();
            for message in messages {
                last = follower.hear(message.clone());
            }
            matches!(last[..], [LearnerEffect::Leave(_)])
        };
        let diff = ToLearner::Diff { zxid: zxid(1, 7) };
        assert!(
            leaves(&[diff.clone(), proposal(zxid(1, 7))]),
            "a hole behind the own history"
        );
        assert!(
            leaves(&[diff.clone(), proposal(zxid(2, 2))]),
            "a hole at the start of an epoch"
        );
        let commit = |counter| ToLearner::Commit { zxid: zxid(1, counter) };
        assert!(leaves(&[diff.clone(), commit(6)]), "committed and not proposed");
        assert!(leaves(&[
            diff.clone(),
            proposal(zxid(1, 6)),
            proposal(zxid(1, 7)),
            commit(7)
        ]));
        assert!(leaves(&[diff, ToLearner::UpToDate]), "no history yet");
        assert!(leaves(&[ToLearner::NewLeader { epoch: Epoch(2) }]));
        assert!(leaves(&[ToLearner::LeaderInfo { epoch: Epoch(2) }]), "a second time");
    }

    /// A tree that was loaded counts once it is on disk (ZOOKEEPER-3642), and what cannot be cut is asked for as a whole.
    #[test]
    fn what_is_not_on_disk_does_not_count() {
        let mut follower = Follower::new();
        assert_eq!(
            follower.hear(ToLearner::Snap { zxid: zxid(1, 9) }),
            vec![LearnerEffect::LoadSnapshot]
        );
        follower.learner.snapshot_loaded(zxid(1, 9), Millis(3));
        assert!(follower.learner.into_history().is_none());

        let mut follower = Follower::new();
        assert_eq!(
            follower.hear(ToLearner::Trunc { zxid: zxid(1, 4) }),
            vec![LearnerEffect::Truncate(zxid(1, 4))]
        );
        let mut out = Vec::new();
        follower.learner.truncated(zxid(1, 4), zxid(1, 3), Millis(3), &mut out);
        assert_eq!(out, vec![LearnerEffect::Connect(Sid(3))]);
        follower.learner.connected(Millis(4), &mut follower.out);
        assert_eq!(
            follower.hear(ToLearner::LeaderInfo { epoch: Epoch(2) }).last(),
            Some(&LearnerEffect::Send(ToLeader::AckEpoch {
                last_zxid: NO_HISTORY,
                current_epoch: None
            }))
        );
    }

    fn config(version: Zxid) -> Arc<QuorumConfig> {
        Arc::new(QuorumConfig {
            version: zebu_proto::quorum::ConfigVersion(version.0),
            ..QuorumConfig::default()
        })
    }

    fn activate(version: Zxid, leader: Option<Sid>) -> LearnerEffect {
        let config = config(version);
        LearnerEffect::Activate { config, leader }
    }

    /// H-3 of the reference: the commit of what was proposed before `NEWLEADER` may come behind it.
    #[test]
    fn scenario_11_a_change_is_seen_when_it_is_logged_and_in_force_when_it_is_applied() {
        let mut follower = Follower::new();
        let change = zxid(1, 6);
        follower.hear(ToLearner::Diff { zxid: change });
        follower.learner.reconfig_proposed(change, config(change));
        assert_eq!(follower.hear(proposal(change)), vec![]);
        follower.learner.config_of_leader(config(change));
        let logged = follower.hear(ToLearner::NewLeader { epoch: Epoch(2) });
        assert_eq!(logged[..2], [LearnerEffect::See(config(change)), append(change)]);
        follower.learner.flushed(change, &mut follower.out);
        follower.learner.current_epoch_saved(Millis(2), &mut follower.out);
        follower.out.clear();
        follower.hear(ToLearner::CommitAndActivate {
            zxid: change,
            leader: Sid(9),
        });
        let served = follower.hear(ToLearner::UpToDate);
        let expected = [
            LearnerEffect::Commit(change),
            activate(change, Some(Sid(9))),
            LearnerEffect::Serve(Epoch(2)),
        ];
        assert_eq!(served[1..], expected);
    }

    /// The reference takes it for committed.
    #[test]
    fn the_leaders_configuration_is_not_in_force_while_its_proposal_is_under_way() {
        let mut follower = Follower::new();
        let change = zxid(2, 1);
        follower.hear(ToLearner::Diff { zxid: zxid(1, 5) });
        follower.learner.reconfig_proposed(change, config(change));
        follower.hear(proposal(change));
        follower.learner.config_of_leader(config(change));
        follower.hear(ToLearner::NewLeader { epoch: Epoch(2) });
        follower.learner.flushed(change, &mut follower.out);
        follower.learner.current_epoch_saved(Millis(2), &mut follower.out);
        follower.out.clear();
        assert_eq!(
            follower.hear(ToLearner::UpToDate)[1..],
            [LearnerEffect::Serve(Epoch(2))]
        );
        let commit = ToLearner::Commit { zxid: change };
        assert_eq!(
            follower.hear(commit),
            vec![LearnerEffect::Commit(change), activate(change, None)]
        );
    }

    /// It takes the place of one that this server has seen and the leader does not know.
    #[test]
    fn the_leaders_configuration_is_kept_with_its_history_and_in_force_with_its_epoch() {
        let mut follower = Follower::new();
        follower.hear(ToLearner::Diff { zxid: zxid(1, 5) });
        let config_zxid = zxid(2, 0);
        follower.learner.config_of_leader(config(config_zxid));
        let kept = follower.hear(ToLearner::NewLeader { epoch: Epoch(2) });
        assert_eq!(
            kept,
            vec![
                LearnerEffect::See(config(config_zxid)),
                LearnerEffect::SaveCurrentEpoch(Epoch(2))
            ]
        );
        follower.learner.current_epoch_saved(Millis(2), &mut follower.out);
        follower.out.clear();
        let served = follower.hear(ToLearner::UpToDate);
        assert_eq!(
            served[1..],
            [activate(config_zxid, None), LearnerEffect::Serve(Epoch(2))]
        );
    }
}
