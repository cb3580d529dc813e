//! Carrying out what the state machines want done.

use std::collections::VecDeque;

use zebu_node::NodeRole;
use zebu_proto::Millis;
use zebu_zab::{Effect, LeaderEffect, LearnerEffect, LogRead, Outgoing, Peer, ToLeader, ToLearner};

use super::*;
use crate::server::fingerprint;

/// What learner and leader say of one another when the other one's program is wrong: never, here.
const COMPLAINTS: [&str; 8] = [
    "out of turn",
    "does not follow the last one",
    "committed what it did not propose",
    "out of order",
    "the leader's epoch has changed",
    "acknowledged another epoch",
    "never proposed",
    "a ping that it did not get",
];

impl World {
    /// Lets a server's peer do something, and carries out what it wants. What was prepared before belongs to the role in
    /// which it was prepared, which may be over then: it is proposed first.
    pub(super) fn act(
        &mut self,
        index: usize,
        generation: u64,
        act: impl FnOnce(&mut Peer, Millis, &mut Vec<Effect>),
    ) -> Outcome<()> {
        let side = Side {
            server: index,
            generation,
        };
        if !self.has(Bug::ProposedLate) {
            self.propose(side)?;
        }
        self.tell(index, generation, act)
    }

    /// As [`World::act`], for what is prepared itself.
    pub(super) fn tell(
        &mut self,
        index: usize,
        generation: u64,
        act: impl FnOnce(&mut Peer, Millis, &mut Vec<Effect>),
    ) -> Outcome<()> {
        let mut effects = Vec::new();
        {
            let server = &mut self.servers[index];
            if server.generation != generation {
                return Ok(());
            }
            let now = Millis(self.now + server.clock_ahead);
            let Some(process) = &mut server.process else {
                return Ok(());
            };
            act(&mut process.peer, now, &mut effects);
        }
        self.acts += 1;
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            let mut more = Vec::new();
            let carried_out = self.carry_out(index, effect, &mut more);
            let is_up = self.heed(index, carried_out)?;
            if !is_up {
                return Ok(());
            }
            queue.extend(more);
        }
        self.schedule_log_reads(self.side(index));
        self.wants_turn(self.side(index));
        Ok(())
    }

    /// Whether a server goes on after what it has done.
    pub(super) fn heed(&mut self, index: usize, done: Result<(), Stop>) -> Outcome<bool> {
        match done {
            Ok(()) => Ok(true),
            Err(Stop::Disk(error)) => self.died(index, &error).map(|()| false),
            Err(Stop::Violation(violation)) => Err(violation),
            Err(Stop::Ended) => {
                self.down(index, false);
                let delay = self.random.between(10, 2000);
                self.at(delay, Event::Start(index));
                Ok(false)
            }
        }
    }

    fn schedule_log_reads(&mut self, side: Side) {
        while let Some(process) = self.process_of(side)
            && let Some(LogRead { learner, after, until }) = process.peer.next_log_read()
        {
            let delay = self.random.between(1, 30);
            let read = Event::ReadLog {
                side,
                learner,
                after,
                until,
            };
            self.at(delay, read);
        }
    }

    pub(super) fn schedule_wake(&mut self, index: usize) {
        let server = &self.servers[index];
        let Some(process) = &server.process else { return };
        let deadlines = [process.peer.deadline(), process.read_only_at, Some(process.next_tick)];
        let Some(Millis(deadline)) = deadlines.into_iter().flatten().min() else {
            return;
        };
        let at = deadline.saturating_sub(server.clock_ahead).max(self.now + 1);
        if self
            .wakes
            .get(&index)
            .is_none_or(|before| *before > at || *before <= self.now)
        {
            self.wakes.insert(index, at);
            let generation = server.generation;
            self.at(at - self.now, Event::Wake(index, generation));
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect, more: &mut Vec<Effect>) -> Result<(), Stop> {
        let side = Side {
            server: index,
            generation: self.servers[index].generation,
        };
        self.trace(index, || format!("{effect:?}"));
        match effect {
            Effect::Notify(Outgoing { to, notification }) => self.send_notification(index, to, notification),
            Effect::Open => {
                self.stop_reading(index);
                self.process(index).is_open = true;
                // The history that it begins with may hold what is not committed, and so may a snapshot of it.
                if self.random.once_in(3) && self.process(index).is_trusted {
                    self.process(index).snapshot().map_err(Stop::Disk)?;
                    self.report.own_snapshots += 1;
                }
            }
            Effect::Settle { why, must_reload } => {
                self.complain(index, why)?;
                self.report.hand_overs += u64::from(why.starts_with("leadership is handed over"));
                // Whoever waits for what is committed is told.
                self.commit(side)?;
                self.tell_clients(side);
                if self.process(index).is_ending {
                    return Err(Stop::Ended);
                }
                self.close_all(side);
                let process = self.process(index);
                process.stop_serving();
                process.end_role();
                process.settling = Some(must_reload);
                self.report.settles += 1;
            }
            // Nobody changes these ensembles.
            Effect::See(_) | Effect::Activate(_) => {}
            Effect::Lead(effect) => self.lead(side, effect)?,
            Effect::Learn(effect) => {
                self.stop_reading(index);
                self.learn(side, effect, more)?;
            }
        }
        Ok(())
    }

    fn lead(&mut self, side: Side, effect: LeaderEffect) -> Result<(), Stop> {
        let index = side.server;
        match effect {
            LeaderEffect::SaveAcceptedEpoch(epoch) => self.schedule_epoch(side, EpochFile::Accepted, epoch),
            LeaderEffect::SaveCurrentEpoch(epoch) => self.schedule_epoch(side, EpochFile::Current, epoch),
            LeaderEffect::Send(learner, message) => {
                self.count(&message);
                self.send_to_learner(side, learner, Packet::ToLearner(message));
            }
            LeaderEffect::SendSnapshot(learner) => {
                self.report.snapshots += 1;
                if self.has(Bug::NewLeaderBeforeTree) {
                    let delay = self.random.between(5, 50);
                    self.at(delay, Event::SendTree(side, learner));
                } else {
                    self.send_tree(side, learner)?;
                }
            }
            LeaderEffect::Close(learner, why) => {
                if let Some(conn) = self.process(index).learners.remove(&learner) {
                    self.close(conn, side);
                }
                self.complain(index, why)?;
            }
            LeaderEffect::Established(epoch) => {
                let now = self.now_at(index);
                let process = self.process(index);
                process.serving = Some(epoch);
                let (last, state) = (process.tree().last_zxid(), fingerprint(process.tree()));
                process.replica.set_serving(true);
                process.node.begin_leading(&process.replica, epoch, now);
                let server = &mut self.servers[index];
                server.is_refilled = true;
                let sid = server.sid;
                self.check(|checker| checker.established(epoch, sid, last, state))?;
                self.report.epochs += 1;
            }
            LeaderEffect::Commit(zxid) => {
                self.process(index).node.committed(zxid);
                self.check(|checker| checker.committed_by_leader(zxid))?;
                if let Some(session) = self.checker.expired_by(zxid) {
                    self.session_expired(session)
                        .map_err(|what| Stop::Violation(self.violation(what)))?;
                }
            }
            LeaderEffect::Synced(id) => self.sync_answered(side, id),
            LeaderEffect::Resign(_) | LeaderEffect::See(_) | LeaderEffect::Activate { .. } => {}
        }
        Ok(())
    }

    fn learn(&mut self, side: Side, effect: LearnerEffect, more: &mut Vec<Effect>) -> Result<(), Stop> {
        let index = side.server;
        let now = Millis(self.now + self.servers[index].clock_ahead);
        match effect {
            LearnerEffect::Connect(leader) => self.connect(side, leader),
            LearnerEffect::Send(message) => {
                if let ToLeader::Ack { zxid } = message {
                    self.note_ack(index, zxid);
                }
                let packet = self.packet_for_leader(index, message);
                if let Some(link) = self.process(index).leader {
                    self.send(link, side, packet);
                }
            }
            LearnerEffect::SaveAcceptedEpoch(epoch) => self.schedule_epoch(side, EpochFile::Accepted, epoch),
            LearnerEffect::SaveCurrentEpoch(epoch) => self.schedule_epoch(side, EpochFile::Current, epoch),
            LearnerEffect::Truncate(zxid) => {
                self.servers[index].durable.truncated(zxid);
                let process = self.process(index);
                let last = process.truncate(zxid).map_err(Stop::Disk)?;
                process.peer.truncated(zxid, last, now, more);
            }
            LearnerEffect::LoadSnapshot => {
                let process = self.process(index);
                let zxid = process.load_received();
                process.peer.snapshot_loaded(zxid, now, more);
            }
            LearnerEffect::AnnounceEpoch(epoch) => {
                self.process(index).store.announce_epoch(epoch).map_err(Stop::Disk)?;
            }
            LearnerEffect::InstallSnapshot(_) => {
                self.servers[index].durable.truncated(Zxid::ZERO);
                let process = self.process(index);
                process.install().map_err(Stop::Disk)?;
                process.is_trusted = true;
                process.peer.snapshot_installed(more);
                self.report.installs += 1;
            }
            LearnerEffect::Append(proposal) => {
                let may_fail = self.has(Bug::LastSeenReported);
                let fails = may_fail && self.random.once_in(40);
                let process = self.process(index);
                if process.wrong.failed_over.is_some() {
                    return Ok(());
                }
                if fails && process.serving.is_some() {
                    process.wrong.failed_over = Some(proposal);
                    process.peer.leader_lost(more);
                    return Ok(());
                }
                if let Err(error) = process.node.append(proposal.zxid, &proposal.txn) {
                    panic!("a transaction of the leader cannot be taken over: {error}");
                }
                if process.bug == Some(Bug::HistoryAckedBeforeDurable) && process.serving.is_none() {
                    process.peer.flushed(proposal.zxid, more);
                }
            }
            LearnerEffect::Commit(zxid) => self.process(index).node.committed(zxid),
            LearnerEffect::Serve(epoch) => {
                self.commit(side)?;
                let now = self.now_at(index);
                let process = self.process(index);
                process.serving = Some(epoch);
                let (last, state) = (process.tree().last_zxid(), fingerprint(process.tree()));
                process.node.begin_learning(&process.replica, now);
                process.replica.set_serving(true);
                let server = &mut self.servers[index];
                server.is_refilled = true;
                let sid = server.sid;
                self.check(|checker| checker.serves(sid, last, state))?;
            }
            LearnerEffect::Leave(_) | LearnerEffect::See(_) | LearnerEffect::Activate { .. } => {}
        }
        Ok(())
    }

    /// What a learner says to its leader, with what it has heard of its clients.
    fn packet_for_leader(&mut self, index: usize, message: ToLeader) -> Packet {
        if message != ToLeader::Pong {
            return Packet::ToLeader(message);
        }
        let now = self.now_at(index).mono;
        let is_silent = self.has(Bug::ClientsNotHeardOf);
        let process = self.process(index);
        let since = std::mem::replace(&mut process.heard_since, now);
        let heard_of = process.node.heard_of(since).map(|(session, _)| session);
        Packet::Pong(heard_of.filter(|_| !is_silent).collect())
    }

    /// The search for a leader is over, whatever comes of it.
    fn stop_reading(&mut self, index: usize) {
        let process = self.process(index);
        process.read_only_at = None;
        if process.node.role() == NodeRole::ReadOnly {
            process.stop_serving();
        }
    }

    /// An acknowledgement says that something is durable: it must be there at the next start.
    fn note_ack(&mut self, index: usize, zxid: Zxid) {
        let process = self.process(index);
        let own = process.peer.own();
        let is_first = zxid.counter() == 0 && !std::mem::replace(&mut process.has_acked_history, true);
        let durable = if is_first { process.node.last_prepared() } else { zxid };
        let server = &mut self.servers[index];
        if is_first || zxid.counter() != 0 {
            server.durable.acknowledged(own, durable);
        }
    }

    fn complain(&self, index: usize, why: &str) -> Result<(), Stop> {
        if COMPLAINTS.iter().any(|complaint| why.contains(complaint)) {
            let sid = self.servers[index].sid;
            return Err(Stop::Violation(self.violation(format!("server {sid}: {why}"))));
        }
        Ok(())
    }

    pub(super) fn check(&mut self, check: impl FnOnce(&mut Checker) -> Result<(), String>) -> Result<(), Stop> {
        check(&mut self.checker).map_err(|what| Stop::Violation(self.violation(what)))
    }

    const fn count(&mut self, message: &ToLearner) {
        match message {
            ToLearner::Diff { .. } => self.report.diffs += 1,
            ToLearner::Trunc { .. } => self.report.truncations += 1,
            _ => {}
        }
    }
}
