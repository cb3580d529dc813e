//! A leader: it finds the epoch, brings learners to its history, and commits what a quorum has made durable.
//!
//! Source: `org.apache.zookeeper.server.quorum.Leader`, `LearnerHandler`.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use zebu_proto::{Epoch, Millis, Sid, Zxid};

use crate::history::{Proposal, RecentHistory, SyncPlan};
use crate::members::Members;
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

/// What a leader wants done. Each may be done at once, in order.
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
    /// A sync may be answered.
    Synced(SyncId),
    /// This server does not lead any longer; the text says why.
    Resign(&'static str),
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
}

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
        }
    }

    /// The epoch, once it is established.
    #[must_use]
    pub fn established(&self) -> Option<Epoch> {
        (self.phase == Phase::Broadcast).then_some(self.epoch)
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
        };
        self.learners.insert(id, learner);
    }

    /// A connection is gone.
    pub fn lost(&mut self, id: LearnerId) {
        self.learners.remove(&id);
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

    // Discovery.

    /// Begins: an ensemble of one needs nobody else.
    pub fn begin(&mut self, now: Millis, out: &mut Effects) {
        if self.phase == Phase::Discovery {
            self.discover(now, out);
        }
    }

    fn introduce(
        &mut self,
        id: LearnerId,
        is_observer: bool,
        accepted_epoch: Epoch,
        sid: Sid,
        now: Millis,
        out: &mut Effects,
    ) {
        if sid == self.me {
            return self.close(id, "it has this server's id (myid)", out);
        }
        // A server that connects anew has given up its connection before.
        let before = self
            .learners
            .iter()
            .find(|(other, learner)| **other != id && learner.sid == Some(sid))
            .map(|(other, _)| *other);
        if let Some(before) = before {
            self.close(before, "the server has connected again", out);
        }
        if let Some(learner) = self.learners.get_mut(&id) {
            learner.sid = Some(sid);
            learner.is_observer = is_observer;
            learner.stage = Stage::Known;
        }
        if self.phase == Phase::Discovery {
            self.epoch = self.epoch.max(Epoch(accepted_epoch.0.saturating_add(1)));
            if accepted_epoch.0 == u32::MAX {
                return self.resign("there are no more epochs", out);
            }
            return self.discover(now, out);
        }
        if accepted_epoch > self.epoch && self.members.is_voter(sid) {
            // It has promised itself to a later leader: this one is of the past, or will soon be.
            self.close(id, "it has accepted a later epoch", out);
            return self.resign("a voter has accepted a later epoch", out);
        }
        if !matches!(self.phase, Phase::SavingAccepted | Phase::Over) {
            self.inform(out);
        }
    }

    fn discover(&mut self, now: Millis, out: &mut Effects) {
        let known = self.count(|learner| learner.stage == Stage::Known);
        if self.members.committed_quorum(|sid| known.contains(&sid)) {
            self.enter(Phase::SavingAccepted, now);
            out.push(LeaderEffect::SaveAcceptedEpoch(self.epoch));
        }
    }

    fn enter(&mut self, phase: Phase, now: Millis) {
        self.phase = phase;
        self.phase_began = now;
    }

    /// `acceptedEpoch` is durable.
    pub fn accepted_epoch_saved(&mut self, now: Millis, out: &mut Effects) {
        if self.phase != Phase::SavingAccepted {
            return;
        }
        self.enter(Phase::Promises, now);
        self.inform(out);
        // An ensemble of one has its quorum at once.
        self.check_promises(now, out);
    }

    /// Tells the epoch to everybody who does not know it.
    fn inform(&mut self, out: &mut Effects) {
        let epoch = self.epoch;
        for (id, learner) in &mut self.learners {
            if learner.stage == Stage::Known {
                learner.stage = Stage::Informed;
                out.push(LeaderEffect::Send(*id, ToLearner::LeaderInfo { epoch }));
            }
        }
    }

    fn promised(
        &mut self,
        id: LearnerId,
        last_zxid: Zxid,
        current_epoch: Option<Epoch>,
        now: Millis,
        out: &mut Effects,
    ) {
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        let (is_observer, sid) = (learner.is_observer, learner.sid);
        learner.stage = Stage::Promised {
            last_zxid,
            is_promise: current_epoch.is_some(),
        };
        let is_voter = !is_observer && sid.is_some_and(|sid| self.members.is_voter(sid));
        if let Some(current_epoch) = current_epoch {
            if self.phase == Phase::Promises
                && (current_epoch, last_zxid) > (self.own.current_epoch, self.own.last_zxid)
            {
                // Its history is longer: it would be cut. Source: `Leader.waitForEpochAck`.
                self.close(id, "its history is ahead of the leader's", out);
                if is_voter {
                    self.resign("a voter is ahead of this server", out);
                }
                return;
            }
            if current_epoch > self.epoch && is_voter {
                self.close(id, "its history is of a later epoch", out);
                return self.resign("a voter has a history of a later epoch", out);
            }
        }
        match self.phase {
            Phase::Promises => self.check_promises(now, out),
            Phase::History | Phase::Broadcast => self.synchronize(id, now, out),
            _ => {}
        }
    }

    fn check_promises(&mut self, now: Millis, out: &mut Effects) {
        let promised = self.count(|learner| matches!(learner.stage, Stage::Promised { is_promise: true, .. }));
        if self.members.committed_quorum(|sid| promised.contains(&sid)) {
            self.enter(Phase::SavingCurrent, now);
            out.push(LeaderEffect::SaveCurrentEpoch(self.epoch));
        }
    }

    /// `currentEpoch` is durable.
    pub fn current_epoch_saved(&mut self, now: Millis, out: &mut Effects) {
        if self.phase != Phase::SavingCurrent {
            return;
        }
        self.enter(Phase::History, now);
        let waiting: Vec<LearnerId> = self
            .learners
            .iter()
            .filter(|(_, learner)| matches!(learner.stage, Stage::Promised { .. }))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.synchronize(id, now, out);
        }
        self.check_history(now, out);
    }

    // Synchronization.

    /// Decides how a learner gets the history and registers it for what is new, in one step: nothing can be committed
    /// between the two.
    fn synchronize(&mut self, id: LearnerId, now: Millis, out: &mut Effects) {
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        let Stage::Promised { last_zxid, .. } = learner.stage else {
            return;
        };
        learner.stage = Stage::Syncing;
        let is_observer = learner.is_observer;
        let last = self.history.last();
        let mut send = |message| out.push(LeaderEffect::Send(id, message));
        let after = match self.history.plan(last_zxid) {
            // The leader has begun an epoch, and the learner's history ends there.
            _ if last_zxid == self.last_committed => {
                send(ToLearner::Diff { zxid: last_zxid });
                last
            }
            SyncPlan::Diff { after } => {
                send(ToLearner::Diff { zxid: last });
                after
            }
            SyncPlan::Truncate { to } => {
                send(ToLearner::Trunc { zxid: to });
                to
            }
            SyncPlan::Snapshot | SyncPlan::Older => {
                // The applied tree has everything that is committed.
                out.push(LeaderEffect::SendSnapshot(id));
                last
            }
        };
        let mut send = |message| out.push(LeaderEffect::Send(id, message));
        for Proposal { zxid, txn } in self.history.after(after).cloned() {
            send(ToLearner::Proposal { zxid, txn });
            send(ToLearner::Commit { zxid });
        }
        let mut newest = None;
        if !is_observer {
            for Proposal { zxid, txn } in self.outstanding.iter().cloned() {
                newest = Some(zxid);
                send(ToLearner::Proposal { zxid, txn });
            }
        }
        send(ToLearner::NewLeader { epoch: self.epoch });
        if let (Some(zxid), Some(learner)) = (newest, self.learners.get_mut(&id)) {
            learner.note_sent(zxid, now);
        }
    }

    fn acked(&mut self, id: LearnerId, zxid: Zxid, now: Millis, out: &mut Effects) {
        let start = Zxid::epoch_start(self.epoch);
        let (phase, sync_ms, last_proposed) = (self.phase, self.times.sync_ms(), self.last_proposed);
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        if zxid.counter() == 0 {
            if zxid != start {
                return self.close(id, "it acknowledged another epoch", out);
            }
            // The second one answers UPTODATE.
            if learner.stage == Stage::Syncing {
                learner.stage = Stage::Synced;
                learner.deadline = now.plus(sync_ms);
                match phase {
                    Phase::Broadcast => {
                        out.push(LeaderEffect::Send(id, ToLearner::UpToDate));
                        self.commit(out);
                    }
                    _ => self.check_history(now, out),
                }
            }
            return;
        }
        if zxid > last_proposed {
            return self.close(id, "it acknowledged what was never proposed", out);
        }
        // Java's followers may acknowledge a proposal before the history: it is kept, and counts later.
        if zxid.epoch() == self.epoch {
            learner.note_acked(zxid);
            self.commit(out);
        }
    }

    fn check_history(&mut self, now: Millis, out: &mut Effects) {
        if self.phase != Phase::History {
            return;
        }
        let synced = self.count(Learner::is_synced);
        if !self.members.all_quorums(|sid| synced.contains(&sid)) {
            return;
        }
        self.enter(Phase::Broadcast, now);
        let start = Zxid::epoch_start(self.epoch);
        self.last_proposed = start;
        self.last_committed = start;
        self.flushed = start;
        self.next_ping = now;
        out.push(LeaderEffect::Established(self.epoch));
        for (id, learner) in &self.learners {
            if learner.is_synced() {
                out.push(LeaderEffect::Send(*id, ToLearner::UpToDate));
            }
        }
    }

    // Broadcast.

    /// Proposes the next transaction. It is to be logged here as well, and [`Leader::flushed`] is to be called then.
    ///
    /// # Panics
    /// If this server does not lead, or the zxid is not the next.
    pub fn propose(&mut self, proposal: Proposal, now: Millis, out: &mut Effects) {
        assert!(self.phase == Phase::Broadcast, "only an established leader proposes");
        assert!(
            proposal.zxid == self.last_proposed.next(),
            "{} does not follow {}",
            proposal.zxid,
            self.last_proposed
        );
        self.last_proposed = proposal.zxid;
        for (id, learner) in &mut self.learners {
            if learner.is_forwarding() && !learner.is_observer {
                learner.note_sent(proposal.zxid, now);
                let Proposal { zxid, txn } = proposal.clone();
                out.push(LeaderEffect::Send(*id, ToLearner::Proposal { zxid, txn }));
            }
        }
        self.outstanding.push_back(proposal);
    }

    /// Everything up to `zxid` is durable here.
    pub fn flushed(&mut self, zxid: Zxid, out: &mut Effects) {
        if self.phase == Phase::Broadcast {
            self.flushed = self.flushed.max(zxid);
            self.commit(out);
        }
    }

    /// Commits, in order, what a quorum has made durable.
    fn commit(&mut self, out: &mut Effects) {
        if self.phase != Phase::Broadcast {
            return;
        }
        while let Some(proposal) = self.outstanding.front() {
            let zxid = proposal.zxid;
            let has_it = |sid: Sid| {
                if sid == self.me {
                    return self.flushed >= zxid;
                }
                self.learners
                    .values()
                    .any(|learner| learner.sid == Some(sid) && learner.is_synced() && learner.acked >= zxid)
            };
            if !self.members.all_quorums(has_it) {
                break;
            }
            let Some(proposal) = self.outstanding.pop_front() else {
                break;
            };
            self.last_committed = zxid;
            for (id, learner) in &self.learners {
                if !learner.is_forwarding() {
                    continue;
                }
                let message = if learner.is_observer {
                    let Proposal { zxid, txn } = proposal.clone();
                    ToLearner::Inform { zxid, txn }
                } else {
                    ToLearner::Commit { zxid }
                };
                out.push(LeaderEffect::Send(*id, message));
            }
            self.history.push(proposal);
            out.push(LeaderEffect::Commit(zxid));
        }
        self.answer_syncs(out);
    }

    // Time, and whether this server still leads.

    /// A sync came in: it is answered with [`LeaderEffect::Synced`] once everything that was proposed before it is
    /// committed, and a quorum has shown after it that it still follows. Only then nobody else can have committed
    /// anything that this server does not know.
    pub fn sync(&mut self, id: SyncId, out: &mut Effects) {
        if self.phase != Phase::Broadcast {
            return;
        }
        self.ping(out);
        self.syncs.push_back(PendingSync {
            id,
            last_proposed: self.last_proposed,
            round: self.round,
        });
        self.answer_syncs(out);
    }

    fn answer_syncs(&mut self, out: &mut Effects) {
        while let Some(sync) = self.syncs.front() {
            if self.last_committed < sync.last_proposed {
                return;
            }
            // A commit of something proposed later shows the same.
            if self.last_committed == sync.last_proposed {
                let round = sync.round;
                let follows = self.count(|learner| learner.is_synced() && learner.answered_round >= round);
                if !self.members.all_quorums(|sid| follows.contains(&sid)) {
                    return;
                }
            }
            out.push(LeaderEffect::Synced(sync.id));
            self.syncs.pop_front();
        }
    }

    fn ping(&mut self, out: &mut Effects) {
        self.round += 1;
        let (round, zxid) = (self.round, self.last_proposed);
        for (id, learner) in &mut self.learners {
            if learner.is_synced() {
                learner.pings.push_back(round);
                out.push(LeaderEffect::Send(*id, ToLearner::Ping { zxid }));
            }
        }
    }

    fn ponged(&mut self, id: LearnerId, out: &mut Effects) {
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        match learner.pings.pop_front() {
            Some(round) => {
                learner.answered_round = round;
                self.answer_syncs(out);
            }
            None => self.close(id, "it answered a ping that it did not get", out),
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Millis, out: &mut Effects) {
        match self.phase {
            Phase::Over => return,
            Phase::Broadcast => {}
            _ => {
                if now.since(self.phase_began) > self.times.init_ms() {
                    return self.resign("no quorum came together in time (initLimit)", out);
                }
            }
        }
        if now < self.next_ping {
            return;
        }
        self.next_ping = now.plus((self.times.tick_ms / 2).max(1));
        let sync_ms = self.times.sync_ms();
        let late: Vec<(LearnerId, &'static str)> = self
            .learners
            .iter()
            .filter_map(|(id, learner)| {
                let is_behind = learner.is_synced()
                    && learner
                        .unacked
                        .is_some_and(|[(_, since), _]| now.since(since) > sync_ms);
                if is_behind {
                    Some((*id, "it did not acknowledge a proposal in time (syncLimit)"))
                } else {
                    (learner.deadline < now).then_some((*id, "it was silent for too long (syncLimit)"))
                }
            })
            .collect();
        for (id, why) in late {
            self.close(id, why, out);
        }
        if self.phase == Phase::Broadcast {
            let synced = self.count(Learner::is_synced);
            if !self.members.all_quorums(|sid| synced.contains(&sid)) {
                return self.resign("too few followers are left for a quorum", out);
            }
        }
        self.ping(out);
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
mod tests {
    use alloc::format;
    use alloc::sync::Arc;
    use alloc::vec;

    use bytes::Bytes;
    use zebu_proto::quorum::QuorumConfig;

    use super::*;

    const fn zxid(epoch: i64, counter: i64) -> Zxid {
        Zxid(epoch << 32 | counter)
    }

    const TIMES: Times = Times {
        tick_ms: 100,
        init_limit: 10,
        sync_limit: 5,
    };

    fn members(voters: i64) -> Members {
        let mut config = QuorumConfig::default();
        for sid in 1..=voters {
            let line = format!("h:{}:{}", 2000 + sid, 3000 + sid);
            config.add(&format!("server.{sid}"), &line).unwrap();
        }
        Members::new(Arc::new(config))
    }

    /// Server 1 of three, with a history of epoch 1 that ends with its fourth transaction.
    struct Bench {
        leader: Leader,
        now: Millis,
    }

    const fn follower(sid: i64, accepted_epoch: u32) -> ToLeader {
        ToLeader::Info {
            is_observer: false,
            accepted_epoch: Epoch(accepted_epoch),
            sid: Sid(sid),
        }
    }

    const fn promise(last_zxid: Zxid, current_epoch: Option<Epoch>) -> ToLeader {
        ToLeader::AckEpoch {
            last_zxid,
            current_epoch,
        }
    }

    const fn ack(zxid: Zxid) -> ToLeader {
        ToLeader::Ack { zxid }
    }

    const TWO: LearnerId = LearnerId(20);
    const THREE: LearnerId = LearnerId(30);
    const LAST: Zxid = zxid(1, 4);

    impl Bench {
        fn new() -> Self {
            let own = OwnHistory {
                accepted_epoch: Epoch(1),
                current_epoch: Epoch(1),
                last_zxid: LAST,
            };
            let mut history = RecentHistory::new(zxid(1, 1), 100);
            for counter in 2..=4 {
                history.push(proposal(zxid(1, counter)));
            }
            let now = Millis(1000);
            let leader = Leader::new(Sid(1), members(3), TIMES, own, history, now);
            Self { leader, now }
        }

        fn hear(&mut self, id: LearnerId, message: &ToLeader) -> Effects {
            let mut out = Vec::new();
            self.leader.receive(id, message, self.now, &mut out);
            out
        }

        fn connect(&mut self, id: LearnerId, info: &ToLeader) -> Effects {
            self.leader.connected(id, self.now);
            self.hear(id, info)
        }

        fn accepted(&mut self) -> Effects {
            let mut out = Vec::new();
            self.leader.accepted_epoch_saved(self.now, &mut out);
            out
        }

        fn current(&mut self) -> Effects {
            let mut out = Vec::new();
            self.leader.current_epoch_saved(self.now, &mut out);
            out
        }

        /// With server 2 as its follower, in epoch 2.
        fn leading() -> Self {
            let mut bench = Self::new();
            bench.connect(TWO, &follower(2, 1));
            bench.accepted();
            bench.hear(TWO, &promise(LAST, Some(Epoch(1))));
            bench.current();
            bench.hear(TWO, &ack(zxid(2, 0)));
            assert_eq!(bench.leader.established(), Some(Epoch(2)));
            bench
        }

        fn propose(&mut self, zxid: Zxid) -> Effects {
            let mut out = Vec::new();
            self.leader.propose(proposal(zxid), self.now, &mut out);
            out
        }

        fn flushed(&mut self, zxid: Zxid) -> Effects {
            let mut out = Vec::new();
            self.leader.flushed(zxid, &mut out);
            out
        }

        fn sync(&mut self, id: u64) -> Effects {
            let mut out = Vec::new();
            self.leader.sync(SyncId(id), &mut out);
            out
        }

        fn tick(&mut self, after_ms: u64) -> Effects {
            self.now = self.now.plus(after_ms);
            let mut out = Vec::new();
            self.leader.tick(self.now, &mut out);
            out
        }
    }

    const fn proposal(zxid: Zxid) -> Proposal {
        Proposal {
            zxid,
            txn: Bytes::from_static(b"txn"),
        }
    }

    const fn send(to: LearnerId, message: ToLearner) -> LeaderEffect {
        LeaderEffect::Send(to, message)
    }

    fn resigns(effects: &[LeaderEffect]) -> bool {
        matches!(effects.last(), Some(LeaderEffect::Resign(_)))
    }

    #[test]
    fn an_epoch_begins_when_a_quorum_has_promised_and_has_the_history() {
        let mut bench = Bench::new();
        assert_eq!(
            bench.connect(TWO, &follower(2, 6)),
            vec![LeaderEffect::SaveAcceptedEpoch(Epoch(7))]
        );
        let epoch = Epoch(7);
        assert_eq!(bench.accepted(), vec![send(TWO, ToLearner::LeaderInfo { epoch })]);
        // Who comes later gets the same epoch.
        assert_eq!(
            bench.connect(THREE, &follower(3, 3)),
            vec![send(THREE, ToLearner::LeaderInfo { epoch })]
        );
        // A second promise of the same epoch does not count.
        assert_eq!(bench.hear(THREE, &promise(LAST, None)), vec![]);
        assert_eq!(
            bench.hear(TWO, &promise(zxid(1, 2), Some(Epoch(1)))),
            vec![LeaderEffect::SaveCurrentEpoch(epoch)]
        );
        let txn = || Bytes::from_static(b"txn");
        let mut expected = vec![send(TWO, ToLearner::Diff { zxid: LAST })];
        for counter in 3..=4 {
            let zxid = zxid(1, counter);
            expected.push(send(TWO, ToLearner::Proposal { zxid, txn: txn() }));
            expected.push(send(TWO, ToLearner::Commit { zxid }));
        }
        expected.push(send(TWO, ToLearner::NewLeader { epoch }));
        expected.push(send(THREE, ToLearner::Diff { zxid: LAST }));
        expected.push(send(THREE, ToLearner::NewLeader { epoch }));
        assert_eq!(bench.current(), expected);
        assert_eq!(
            bench.hear(THREE, &ack(zxid(7, 0))),
            vec![LeaderEffect::Established(epoch), send(THREE, ToLearner::UpToDate)]
        );
        assert_eq!(bench.hear(TWO, &ack(zxid(7, 0))), vec![send(TWO, ToLearner::UpToDate)]);
        assert_eq!(bench.hear(TWO, &ack(zxid(7, 0))), vec![], "the answer to UPTODATE");
    }

    #[test]
    fn what_a_quorum_has_is_committed_in_order() {
        let mut bench = Bench::leading();
        let (one, two) = (zxid(2, 1), zxid(2, 2));
        assert_eq!(
            bench.propose(one),
            vec![send(
                TWO,
                ToLearner::Proposal {
                    zxid: one,
                    txn: Bytes::from_static(b"txn")
                }
            )]
        );
        bench.propose(two);
        assert_eq!(bench.flushed(two), vec![], "alone it is no quorum");
        let commit = |zxid| [send(TWO, ToLearner::Commit { zxid }), LeaderEffect::Commit(zxid)];
        assert_eq!(bench.hear(TWO, &ack(one)), commit(one));
        assert_eq!(bench.hear(TWO, &ack(two)), commit(two));
        // What nobody proposed cannot be acknowledged.
        assert!(matches!(
            bench.hear(TWO, &ack(zxid(2, 9)))[..],
            [LeaderEffect::Close(TWO, _)]
        ));
    }

    /// ZOOKEEPER-4685: a follower of the reference may acknowledge a proposal before the history.
    #[test]
    fn an_early_acknowledgement_is_kept_and_does_not_stand_for_the_history() {
        let mut bench = Bench::leading();
        let one = zxid(2, 1);
        bench.connect(THREE, &follower(3, 1));
        bench.hear(THREE, &promise(LAST, Some(Epoch(1))));
        bench.propose(one);
        bench.flushed(one);
        bench.leader.lost(TWO);
        assert_eq!(bench.hear(THREE, &ack(one)), vec![]);
        assert_eq!(
            bench.hear(THREE, &ack(zxid(2, 0))),
            vec![
                send(THREE, ToLearner::UpToDate),
                send(THREE, ToLearner::Commit { zxid: one }),
                LeaderEffect::Commit(one)
            ]
        );
    }

    /// ZOOKEEPER-2136, 3600: a leader that was deposed must not say that its state is the newest.
    #[test]
    fn a_sync_waits_for_what_came_before_and_for_a_sign_of_a_quorum() {
        let mut bench = Bench::leading();
        let (one, two) = (zxid(2, 1), zxid(2, 2));
        let ping = |zxid| send(TWO, ToLearner::Ping { zxid });
        assert_eq!(bench.sync(1), vec![ping(zxid(2, 0))]);
        bench.propose(one);
        assert_eq!(bench.sync(2), vec![ping(one)]);
        assert_eq!(bench.hear(TWO, &ToLeader::Pong), vec![LeaderEffect::Synced(SyncId(1))]);
        assert_eq!(
            bench.hear(TWO, &ToLeader::Pong),
            vec![],
            "what was proposed is not committed"
        );
        bench.flushed(one);
        let committed = bench.hear(TWO, &ack(one));
        assert_eq!(committed.last(), Some(&LeaderEffect::Synced(SyncId(2))));
        // A later commit shows as much as an answer to a ping.
        assert_eq!(bench.sync(3), vec![ping(one)]);
        bench.propose(two);
        bench.flushed(two);
        let committed = bench.hear(TWO, &ack(two));
        assert_eq!(committed.last(), Some(&LeaderEffect::Synced(SyncId(3))));
    }

    /// A leader of the past, or one that would cut what others have, must not lead.
    #[test]
    fn a_leader_gives_up_before_somebody_who_is_ahead() {
        let mut bench = Bench::new();
        bench.connect(TWO, &follower(2, 1));
        bench.accepted();
        assert!(resigns(&bench.hear(TWO, &promise(zxid(1, 5), Some(Epoch(1))))));

        let mut bench = Bench::leading();
        assert!(
            resigns(&bench.connect(THREE, &follower(3, 9))),
            "it has accepted a later epoch"
        );
        let mut bench = Bench::leading();
        let stranger = follower(99, 9);
        assert!(
            !resigns(&bench.connect(THREE, &stranger)),
            "who does not vote does not decide"
        );

        // Behind is whoever has a shorter history of an earlier epoch, however long its log is.
        let mut bench = Bench::leading();
        bench.connect(THREE, &follower(3, 1));
        let effects = bench.hear(THREE, &promise(zxid(1, 9), Some(Epoch(1))));
        assert_eq!(effects[0], send(THREE, ToLearner::Trunc { zxid: LAST }));
    }

    #[test]
    fn a_leader_without_a_quorum_gives_up() {
        let mut bench = Bench::new();
        assert!(!resigns(&bench.tick(TIMES.init_ms())));
        assert!(resigns(&bench.tick(1)), "nobody came");

        let mut bench = Bench::leading();
        bench.leader.lost(TWO);
        assert!(resigns(&bench.tick(100)));

        // A follower that is silent, and one that does not log.
        let mut bench = Bench::leading();
        bench.hear(TWO, &ack(zxid(2, 0)));
        assert!(resigns(&bench.tick(TIMES.sync_ms() + 1)));
        let mut bench = Bench::leading();
        bench.propose(zxid(2, 1));
        for _ in 0..TIMES.sync_limit * 2 {
            assert!(!resigns(&bench.tick(TIMES.tick_ms / 2)));
            bench.hear(TWO, &ToLeader::Pong);
        }
        assert!(resigns(&bench.tick(TIMES.tick_ms / 2)));
    }

    #[test]
    fn a_server_that_connects_anew_has_one_connection() {
        let mut bench = Bench::leading();
        let again = LearnerId(21);
        let effects = bench.connect(again, &follower(2, 2));
        assert!(matches!(effects[0], LeaderEffect::Close(TWO, _)), "{effects:?}");
        let mine = bench.connect(THREE, &follower(1, 2));
        assert!(
            matches!(mine[..], [LeaderEffect::Close(THREE, _)]),
            "its own id: {mine:?}"
        );
    }
}
