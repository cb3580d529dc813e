//! A follower that observers learn from in place of the leader.
//!
//! What they are told is what the follower itself knows to be committed: its history is the queue. There is none beside it
//! into which a proposal could fail to get, as one that came with the follower's own synchronization does in the
//! reference (ZOOKEEPER-5088).
//!
//! Source: `org.apache.zookeeper.server.quorum.ObserverMaster`, `LearnerHandler`.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use zebu_proto::{Epoch, Millis, Sid, Zxid};

use crate::history::{LogPart, Proposal, RecentHistory, SyncPlan};
use crate::leader::{LeaderEffect, LearnerId, LogRead, Times};
use crate::log_search::{LogSearch, Step};
use crate::message::{ToLeader, ToLearner};

/// How far an observer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connected,
    /// It has got the epoch.
    Informed,
    /// It has more of this epoch than this follower knows to be committed, and waits until that has it as well.
    Ahead {
        last_zxid: Zxid,
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
struct Observer {
    sid: Option<Sid>,
    stage: Stage,
    deadline: Millis,
    /// Pings that it has not answered.
    pings: u32,
    log: LogSearch,
}

/// What a follower has for its observers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// Everything that is committed, the end of it at least.
    pub(crate) history: &'a RecentHistory,
    /// What of it is in the log on disk; `None` if nobody reads that.
    pub(crate) durable: Option<Zxid>,
}

/// The observers of a follower. The epoch is established, so that nobody has to be waited for.
#[derive(Debug)]
pub struct ObserverMaster {
    me: Sid,
    times: Times,
    /// That of the leader; none before this server follows one for good.
    epoch: Option<Epoch>,
    observers: BTreeMap<LearnerId, Observer>,
    /// The last transaction that all observers that have a history have been told of.
    relayed: Zxid,
    next_ping: Millis,
    log_reads: VecDeque<LogRead>,
}

type Effects = Vec<LeaderEffect>;

impl ObserverMaster {
    /// That of a server that is no established follower yet.
    pub(crate) const fn new(me: Sid, times: Times) -> Self {
        Self {
            me,
            times,
            epoch: None,
            observers: BTreeMap::new(),
            relayed: Zxid::ZERO,
            next_ping: Millis(0),
            log_reads: VecDeque::new(),
        }
    }

    /// The server follows an established leader.
    pub(crate) fn begin(&mut self, epoch: Epoch, history: &RecentHistory) {
        self.epoch = Some(epoch);
        self.relayed = history.last();
    }

    /// When [`ObserverMaster::tick`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        (!self.observers.is_empty()).then_some(self.next_ping)
    }

    /// Whether this observer has the history, and may serve clients.
    #[must_use]
    pub fn is_synced(&self, id: LearnerId) -> bool {
        self.observers
            .get(&id)
            .is_some_and(|observer| observer.stage == Stage::Synced)
    }

    /// Observers that have the history.
    pub fn synced(&self) -> impl Iterator<Item = Sid> {
        let observers = self.observers.values();
        let synced = observers.filter(|observer| observer.stage == Stage::Synced);
        synced.filter_map(|observer| observer.sid)
    }

    /// What is to be read from the log now, if anything: see [`crate::Leader::next_log_read`].
    pub(crate) fn next_log_read(&mut self) -> Option<LogRead> {
        self.log_reads.pop_front()
    }

    /// Somebody has connected.
    pub(crate) fn connected(&mut self, id: LearnerId, now: Millis) {
        if self.observers.is_empty() {
            self.next_ping = now.plus(self.ping_ms());
        }
        let observer = Observer {
            sid: None,
            stage: Stage::Connected,
            deadline: now.plus(self.patience_ms(Stage::Connected)),
            pings: 0,
            log: LogSearch::default(),
        };
        self.observers.insert(id, observer);
    }

    /// A connection is gone.
    pub(crate) fn lost(&mut self, id: LearnerId) {
        self.observers.remove(&id);
    }

    /// An observer says something.
    pub(crate) fn receive(
        &mut self,
        id: LearnerId,
        message: &ToLeader,
        source: Source<'_>,
        now: Millis,
        out: &mut Effects,
    ) {
        let Some(stage) = self.observers.get(&id).map(|observer| observer.stage) else {
            return;
        };
        self.set_stage(id, stage, now);
        match (message, stage) {
            (
                ToLeader::Info {
                    is_observer,
                    accepted_epoch,
                    sid,
                },
                Stage::Connected,
            ) => self.introduce(id, *is_observer, *accepted_epoch, *sid, now, out),
            // Whether it promises does not matter: the epoch is established, and it has no vote.
            (ToLeader::AckEpoch { last_zxid, .. }, Stage::Informed) => {
                self.synchronize(id, *last_zxid, source, now, out);
            }
            (ToLeader::Ack { zxid }, Stage::Syncing | Stage::Synced) => self.acked(id, *zxid, stage, now, out),
            (ToLeader::Pong, Stage::Synced) => self.ponged(id, out),
            _ => self.close(id, "it sent a packet out of turn", out),
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
        let Some(epoch) = self.epoch else {
            return self.close(id, "this server follows no leader yet", out);
        };
        if !is_observer {
            return self.close(id, "it is no observer: it has to follow the leader itself", out);
        }
        if sid == self.me {
            return self.close(id, "it has this server's id (myid)", out);
        }
        if accepted_epoch > epoch {
            return self.close(
                id,
                "it has accepted a later epoch than that of this server's leader",
                out,
            );
        }
        // A server that connects anew has given up its connection before.
        let mut others = self.observers.iter();
        let before = others.find(|(other, observer)| **other != id && observer.sid == Some(sid));
        if let Some(before) = before.map(|(other, _)| *other) {
            self.close(before, "the server has connected again", out);
        }
        if let Some(observer) = self.observers.get_mut(&id) {
            observer.sid = Some(sid);
        }
        self.set_stage(id, Stage::Informed, now);
        out.push(LeaderEffect::Send(id, ToLearner::LeaderInfo { epoch }));
    }

    /// Decides how an observer gets the history and registers it for what is new, in one step.
    fn synchronize(&mut self, id: LearnerId, last_zxid: Zxid, source: Source<'_>, now: Millis, out: &mut Effects) {
        let (Some(epoch), Some(observer)) = (self.epoch, self.observers.get_mut(&id)) else {
            return;
        };
        let start = Zxid::epoch_start(epoch);
        let last = source.history.last();
        // Nothing has come in this epoch, and the observer's history ends where it began.
        if last_zxid == start && last < start {
            return self.register(id, SyncPlan::Diff { after: last_zxid }, None, source, now, out);
        }
        // What is proposed in an epoch is committed, or the epoch ends, and this connection with it. The reference has the
        // observer take it back.
        if last_zxid > last && last_zxid.epoch() == epoch && last_zxid != start {
            return self.set_stage(id, Stage::Ahead { last_zxid }, now);
        }
        match observer.log.step(last_zxid, source.history, source.durable) {
            Step::Read { after, until } => {
                self.set_stage(id, Stage::Reading { last_zxid }, now);
                self.log_reads.push_back(LogRead {
                    learner: id,
                    after,
                    until,
                });
            }
            Step::Sync(plan, part) => self.register(id, plan, part, source, now, out),
        }
    }

    /// What [`LogRead`] asked for.
    pub(crate) fn log_read(
        &mut self,
        id: LearnerId,
        part: Option<LogPart>,
        source: Source<'_>,
        now: Millis,
        out: &mut Effects,
    ) {
        let Some(observer) = self.observers.get_mut(&id) else {
            return;
        };
        let Stage::Reading { last_zxid } = observer.stage else {
            return;
        };
        if observer.log.read(part) {
            self.synchronize(id, last_zxid, source, now, out);
        } else {
            self.register(id, SyncPlan::Snapshot, None, source, now, out);
        }
    }

    fn register(
        &mut self,
        id: LearnerId,
        plan: SyncPlan,
        part: Option<LogPart>,
        source: Source<'_>,
        now: Millis,
        out: &mut Effects,
    ) {
        let Some(epoch) = self.epoch else { return };
        self.set_stage(id, Stage::Syncing, now);
        source.history.send(id, plan, part, out);
        out.push(LeaderEffect::Send(id, ToLearner::NewLeader { epoch }));
    }

    fn acked(&mut self, id: LearnerId, zxid: Zxid, stage: Stage, now: Millis, out: &mut Effects) {
        if zxid.counter() != 0 {
            return self.close(id, "it is an observer, and acknowledged a proposal", out);
        }
        if self.epoch.map(Zxid::epoch_start) != Some(zxid) {
            return self.close(id, "it acknowledged another epoch", out);
        }
        // The second one answers UPTODATE.
        if stage == Stage::Syncing {
            self.set_stage(id, Stage::Synced, now);
            out.push(LeaderEffect::Send(id, ToLearner::UpToDate));
        }
    }

    fn ponged(&mut self, id: LearnerId, out: &mut Effects) {
        let Some(observer) = self.observers.get_mut(&id) else {
            return;
        };
        match observer.pings.checked_sub(1) {
            Some(left) => observer.pings = left,
            None => self.close(id, "it answered a ping that it did not get", out),
        }
    }

    /// Tells observers what the leader has committed since this was last called; of that, `activated` is a new configuration
    /// with the server that is meant to lead with it.
    pub(crate) fn relay(&mut self, source: Source<'_>, activated: Option<(Zxid, Sid)>, now: Millis, out: &mut Effects) {
        let (from, last) = (self.relayed, source.history.last());
        if self.epoch.is_none() || from == last {
            return;
        }
        self.relayed = last;
        let has_history = |observer: &Observer| matches!(observer.stage, Stage::Syncing | Stage::Synced);
        let told: Vec<LearnerId> = self
            .observers
            .iter()
            .filter(|(_, observer)| has_history(observer))
            .map(|(id, _)| *id)
            .collect();
        if source.history.base() > from {
            // Larger than all that is kept in memory.
            for id in told {
                self.close(
                    id,
                    "what is committed is not kept in memory: it has to connect again",
                    out,
                );
            }
        } else {
            for Proposal { zxid, txn } in source.history.after(from) {
                for id in &told {
                    let (zxid, txn) = (*zxid, txn.clone());
                    let message = match activated {
                        Some((activation, leader)) if activation == zxid => {
                            ToLearner::InformAndActivate { zxid, leader, txn }
                        }
                        _ => ToLearner::Inform { zxid, txn },
                    };
                    out.push(LeaderEffect::Send(*id, message));
                }
            }
        }
        let ahead: Vec<(LearnerId, Zxid)> = self
            .observers
            .iter()
            .filter_map(|(id, observer)| match observer.stage {
                Stage::Ahead { last_zxid } if last_zxid <= last => Some((*id, last_zxid)),
                _ => None,
            })
            .collect();
        for (id, last_zxid) in ahead {
            self.synchronize(id, last_zxid, source, now, out);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, source: Source<'_>, now: Millis, out: &mut Effects) {
        if self.observers.is_empty() || now < self.next_ping {
            return;
        }
        self.next_ping = now.plus(self.ping_ms());
        let late = self.observers.iter().filter(|(_, observer)| observer.deadline < now);
        let late: Vec<LearnerId> = late.map(|(id, _)| *id).collect();
        for id in late {
            self.close(id, "it was silent for too long (syncLimit)", out);
        }
        let zxid = source.history.last();
        for (id, observer) in &mut self.observers {
            if observer.stage == Stage::Synced {
                observer.pings += 1;
                out.push(LeaderEffect::Send(*id, ToLearner::Ping { zxid }));
            }
        }
    }

    fn close(&mut self, id: LearnerId, why: &'static str, out: &mut Effects) {
        self.observers.remove(&id);
        out.push(LeaderEffect::Close(id, why));
    }

    /// Notes that an observer is alive, and how far it has come.
    fn set_stage(&mut self, id: LearnerId, stage: Stage, now: Millis) {
        let deadline = now.plus(self.patience_ms(stage));
        if let Some(observer) = self.observers.get_mut(&id) {
            observer.stage = stage;
            observer.deadline = deadline;
        }
    }

    const fn patience_ms(&self, stage: Stage) -> u64 {
        match stage {
            Stage::Synced => self.times.sync_ms(),
            Stage::Connected | Stage::Informed | Stage::Ahead { .. } | Stage::Reading { .. } | Stage::Syncing => {
                self.times.init_ms().saturating_add(self.times.sync_ms())
            }
        }
    }

    const fn ping_ms(&self) -> u64 {
        match self.times.tick_ms / 2 {
            0 => 1,
            half => half,
        }
    }
}

#[cfg(test)]
mod tests;
