//! A server's turn: what its node thread does with what has arrived, as `node_thread.rs` and the folder `ensemble` of
//! `zebu-server` do it.

use zebu_node::{Forward, LearnerKey, NodeRole, Now};
use zebu_proto::{Id, Millis, OpCode, SessionId, WallMillis, Xid};
use zebu_zab::{Leader, Proposal, SyncId};

use super::quorum::Packet;
use super::*;
use crate::checker::OPERATOR;
use crate::server::{SyncFor, fingerprint};

/// `maxSessionTimeout` in the simulated servers.
pub(super) const SESSION_MS_MAX: i32 = 600_000;
/// A server without a leader for so long serves those who only read, if it may.
pub(super) const READ_ONLY_MS: u64 = 2000;
/// By how many transactions a leader that hands over may pass the end of the counter: those that its own clients asked for
/// in the meantime.
const COUNTER_SLACK: u32 = 40;

/// A request that a learner forwards.
#[derive(Clone)]
pub(super) struct Forwarded {
    pub(super) session: SessionId,
    pub(super) xid: Xid,
    pub(super) op: OpCode,
    pub(super) body: Vec<u8>,
    pub(super) ids: Arc<[Id]>,
}

impl World {
    /// The clocks of a server.
    pub(super) fn now_at(&self, index: usize) -> Now {
        let server = &self.servers[index];
        let wall = i64::try_from(self.now).unwrap_or(i64::MAX) + server.wall_ahead;
        Now {
            mono: Millis(self.now + server.clock_ahead),
            wall: WallMillis(1_700_000_000_000 + wall),
        }
    }

    /// Something has arrived: what follows from it is done at once, or together with what arrives a moment later.
    pub(super) fn wants_turn(&mut self, side: Side) {
        let Some(process) = self.process_of(side) else { return };
        if !std::mem::replace(&mut process.is_turn_due, true) {
            let delay = if self.random.once_in(2) {
                0
            } else {
                self.random.below(4)
            };
            self.at(delay, Event::Turn(side));
        }
    }

    /// Everything that follows from what has arrived.
    pub(super) fn turn(&mut self, side: Side) -> Outcome<()> {
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        process.is_turn_due = false;
        self.tick(side)?;
        self.propose(side)?;
        self.forward(side);
        self.make_durable(side)?;
        self.settle_in_the_end(side)?;
        let committed = self.commit(side);
        self.heed(side.server, committed)?;
        self.tell_clients(side);
        self.schedule_wake(side.server);
        Ok(())
    }

    /// Time has passed.
    fn tick(&mut self, side: Side) -> Outcome<()> {
        let now = self.now_at(side.server);
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        if process.read_only_at.take_if(|at| *at <= now.mono).is_some() {
            process.replica.set_serving(true);
            process.node.begin_reading(&process.replica, now);
        }
        // A leader that was held up for long may find out that it is none any more, and then nobody's session expires.
        if process.peer.deadline().is_some_and(|deadline| deadline <= now.mono) {
            self.act(side.server, side.generation, |peer, now, out| peer.tick(now, out))?;
        }
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        process.outbox.now = now.mono;
        if now.mono >= process.next_tick {
            process.next_tick = process.node.deadline(now);
            process.node.tick(&process.replica, now);
            process.node.expire_local(now, &mut process.outbox);
        }
        Ok(())
    }

    /// Proposes what was prepared and not proposed yet.
    pub(super) fn propose(&mut self, side: Side) -> Outcome<()> {
        let sid = self.servers[side.server].sid;
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        if process.node.role() != NodeRole::Leading {
            return Ok(());
        }
        let proposals: Vec<Proposal> = process
            .node
            .log_mut()
            .propose()
            .map(|(zxid, txn)| Proposal {
                zxid,
                txn: bytes::Bytes::copy_from_slice(txn),
            })
            .collect();
        let new_syncs = process.node.take_new_syncs();
        // Before what the same clients asked for behind them: it waits for them.
        for _ in 0..new_syncs {
            self.sync(side, SyncFor::Client)?;
        }
        for Proposal { zxid, txn } in &proposals {
            let end = self.plan.counter_end.map(|end| end + COUNTER_SLACK);
            if end.is_some_and(|end| zxid.counter() > end) {
                return Err(self.violation(format!("{zxid} is beyond the end of the counter")));
            }
            self.checker
                .proposed(*zxid, txn.clone(), sid)
                .map_err(|what| self.violation(what))?;
        }
        if !proposals.is_empty() {
            self.tell(side.server, side.generation, |peer, now, out| {
                for proposal in proposals {
                    peer.propose(proposal, now, out);
                }
            })?;
        }
        Ok(())
    }

    fn forward(&mut self, side: Side) {
        let Some(process) = self.process_of(side) else { return };
        let forwards = process.node.take_forwards();
        let Some(link) = process.leader else { return };
        for forward in forwards {
            let packet = match forward {
                Forward::Request {
                    session,
                    xid,
                    op,
                    body,
                    ids,
                } => Packet::Request(Forwarded {
                    session,
                    xid,
                    op,
                    body,
                    ids,
                }),
                Forward::Revalidate { session, .. } if self.has(Bug::SessionsUnasked) => {
                    let now = self.now_at(side.server);
                    if let Some(process) = self.process_of(side) {
                        process.node.revalidated(session, true, now, &mut process.outbox);
                    }
                    continue;
                }
                Forward::Revalidate { session, timeout_ms } => Packet::Revalidate(session, timeout_ms),
            };
            self.send(link, side, packet);
        }
    }

    /// Gets prepared transactions on their way to the disk.
    fn make_durable(&mut self, side: Side) -> Outcome<()> {
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        if process.is_flushing || !process.node.has_log() {
            return Ok(());
        }
        process.is_flushing = true;
        let written = process.write_log();
        let delay = self.random.between(1, 15);
        self.at(delay, Event::Flush(side.server, side.generation));
        written.or_else(|error| self.died(side.server, &error))
    }

    /// Once everything that was appended is durable, the next election begins.
    fn settle_in_the_end(&mut self, side: Side) -> Outcome<()> {
        let is_read_only = self.plan.is_read_only;
        let now = self.now_at(side.server);
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        if process.is_flushing || process.node.has_log() {
            return Ok(());
        }
        let Some(must_reload) = process.settling.take() else {
            return Ok(());
        };
        let reloaded = match process.settle(must_reload) {
            Ok(reloaded) => reloaded,
            Err(error) => return self.died(side.server, &error),
        };
        let last = reloaded
            .as_ref()
            .map_or_else(|| process.tree().last_zxid(), zebu_zab::RecentHistory::last);
        process.read_only_at = is_read_only.then(|| now.mono.plus(READ_ONLY_MS));
        self.act(side.server, side.generation, |peer, now, out| {
            peer.settled(last, reloaded, now, out);
        })
    }

    /// Applies what is committed, and answers.
    pub(super) fn commit(&mut self, side: Side) -> Result<(), Stop> {
        let index = side.server;
        let (sid, now) = (self.servers[index].sid, self.now_at(index).mono);
        while let Some(process) = self.process_of(side)
            && process.node.can_commit()
        {
            let before = process.node.applied();
            process.outbox.now = now;
            let watches = process.watches.get_mut();
            process
                .node
                .commit(&mut process.replica, watches, &mut process.outbox, 1);
            let (role, after) = (process.node.role(), process.node.applied());
            if after == before || !matches!(role, NodeRole::Leading | NodeRole::Learning) {
                continue;
            }
            let state = fingerprint(process.tree());
            let (_, divergence) = process.node.divergences();
            self.check(|checker| {
                if role == NodeRole::Leading {
                    checker.answered_by_leader(after);
                }
                checker.applied(sid, before, after, state)
            })?;
            if let Some(divergence) = divergence {
                let what = format!("server {sid} is not what its leader was: {divergence:?} (I7)");
                return Err(Stop::Violation(self.violation(what)));
            }
        }
        Ok(())
    }

    // A leader and its learners.

    /// A sync waits for the leader, or for who takes itself for the leader.
    pub(super) fn sync(&mut self, side: Side, asker: SyncFor) -> Outcome<()> {
        let has_bug = self.has(Bug::SyncUnconfirmed);
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        if has_bug && process.node.outstanding() == 0 {
            self.synced(side, asker);
            return Ok(());
        }
        let id = SyncId(process.next_sync);
        process.next_sync += 1;
        process.syncs.push_back((id, asker));
        self.tell(side.server, side.generation, |peer, _, out| peer.sync(id, out))
    }

    pub(super) fn sync_answered(&mut self, side: Side, id: SyncId) {
        let Some(process) = self.process_of(side) else { return };
        let Some((oldest, asker)) = process.syncs.pop_front() else {
            return;
        };
        assert_eq!(oldest, id, "syncs are answered in the order in which they were asked");
        self.synced(side, asker);
    }

    fn synced(&mut self, side: Side, asker: SyncFor) {
        match asker {
            SyncFor::Client => {
                self.process(side.server).node.synced();
            }
            SyncFor::Learner(learner) => self.send_to_learner(side, learner, Packet::Synced),
            SyncFor::Revalidation(learner, session) => {
                self.send_to_learner(side, learner, Packet::Revalidated(session, true));
            }
        }
    }

    /// Whether a learner may ask for something now; `None` if it speaks out of turn.
    fn may_ask(&mut self, side: Side, learner: LearnerId) -> Option<bool> {
        let process = self.process_of(side)?;
        let leader = process.peer.as_leader()?;
        let is_leading = leader.is_synced(learner) && process.node.role() == NodeRole::Leading;
        // What would begin now might not come to its end. Nobody will hear of it, as if it had come a moment later.
        let is_ending = Leader::is_handing_over(leader) && process.bug != Some(Bug::CounterRunsOn);
        is_leading.then_some(!is_ending)
    }

    /// A learner forwards a request.
    pub(super) fn learner_asks(&mut self, side: Side, learner: LearnerId, asked: &Forwarded) -> Outcome<()> {
        match self.may_ask(side, learner) {
            None => return self.close_learner(side, learner, "it asked for something out of turn"),
            Some(false) => return Ok(()),
            Some(true) => {}
        }
        if asked.op == OpCode::Sync {
            // What it forwarded before is proposed first.
            self.propose(side)?;
            return self.sync(side, SyncFor::Learner(learner));
        }
        self.trace(side.server, || {
            let Forwarded { session, xid, op, .. } = asked;
            format!("gets request {} {op:?} of session {session} from {learner:?}", xid.0)
        });
        let now = self.now_at(side.server);
        let process = self.process(side.server);
        let taken = process.node.learner_request(
            &process.replica,
            LearnerKey(learner.0),
            asked.session,
            asked.xid,
            asked.op.code(),
            &asked.ids,
            &asked.body,
            now,
        );
        self.wants_turn(side);
        match taken {
            Ok(()) => Ok(()),
            Err(why) => Err(self.violation(format!("a learner forwarded what it may not: {why}"))),
        }
    }

    /// A learner asks whether a session exists.
    pub(super) fn learner_revalidates(
        &mut self,
        side: Side,
        learner: LearnerId,
        session: SessionId,
        timeout_ms: i32,
    ) -> Outcome<()> {
        match self.may_ask(side, learner) {
            None => return self.close_learner(side, learner, "it asked for something out of turn"),
            Some(false) => return Ok(()),
            Some(true) => {}
        }
        let now = self.now_at(side.server);
        self.trace(side.server, || format!("is asked for session {session} by {learner:?}"));
        let process = self.process(side.server);
        let key = LearnerKey(learner.0);
        let is_valid = process
            .node
            .learner_revalidates(key, session, timeout_ms, now, &mut process.outbox);
        if is_valid && process.node.has_in_flight(session) && process.bug != Some(Bug::RevalidatedEarly) {
            self.propose(side)?;
            self.sync(side, SyncFor::Revalidation(learner, session))?;
        } else {
            self.send_to_learner(side, learner, Packet::Revalidated(session, is_valid));
        }
        self.wants_turn(side);
        Ok(())
    }

    fn close_learner(&mut self, side: Side, learner: LearnerId, why: &'static str) -> Outcome<()> {
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        if let Some(link) = process.learners.remove(&learner) {
            self.trace(side.server, || format!("ends the connection of a learner: {why}"));
            self.close(link, side);
            self.act(side.server, side.generation, |peer, _, out| {
                peer.learner_lost(learner, out);
            })?;
        }
        Ok(())
    }

    /// The leader answers whether a session exists.
    pub(super) fn revalidated(&mut self, side: Side, session: SessionId, is_valid: bool) {
        let now = self.now_at(side.server);
        if let Some(process) = self.process_of(side) {
            process.node.revalidated(session, is_valid, now, &mut process.outbox);
            self.wants_turn(side);
        }
    }

    /// A write that nobody's connection waits for, for scenarios: as if a learner had forwarded it. Whether the server
    /// leads, and has taken it.
    pub(super) fn write_at(&mut self, side: Side, op: OpCode, body: &[u8]) -> Outcome<bool> {
        const KEY: LearnerKey = LearnerKey(u64::MAX);
        let now = self.now_at(side.server);
        self.operator_xid += 1;
        let xid = Xid(self.operator_xid);
        let Some(process) = self.process_of(side) else {
            return Ok(false);
        };
        let is_ending = process.peer.as_leader().is_none_or(Leader::is_handing_over);
        if is_ending || process.node.role() != NodeRole::Leading {
            return Ok(false);
        }
        let Process { node, replica, .. } = process;
        let mut ask =
            |op: OpCode, xid, body: &[u8]| node.learner_request(replica, KEY, OPERATOR, xid, op.code(), &[], body, now);
        let mut taken = Ok(());
        if replica.tree().session_timeout(OPERATOR).is_none() {
            taken = ask(OpCode::CreateSession, Xid(0), &SESSION_MS_MAX.to_be_bytes());
        }
        taken = taken.and_then(|()| ask(op, xid, body));
        if let Err(why) = taken {
            return Err(self.violation(format!("an operator's request is none: {why}")));
        }
        self.turn(side)?;
        Ok(true)
    }
}
