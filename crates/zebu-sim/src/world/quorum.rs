//! The quorum port: connections between leaders and learners.

use std::collections::BTreeSet;

use zebu_proto::SessionId;
use zebu_zab::{ToLeader, ToLearner};

use super::turn::Forwarded;
use super::*;
use crate::server::Dump;

/// A connection on the quorum port.
pub(super) struct Conn {
    pub(super) leader: Side,
    pub(super) learner: Side,
    learner_id: LearnerId,
    /// Nothing arrives any more, and nobody is told.
    is_broken: bool,
    /// When the last message arrives, to the leader and to the learner: nothing overtakes it.
    last: [u64; 2],
    wrong: Wrong,
}

/// What faults of the program have to remember of a connection.
#[derive(Default)]
struct Wrong {
    /// Whether the first acknowledgement has come.
    is_acked: bool,
    /// The end of the learner's history.
    peer_last: Zxid,
    /// In which turn the learner was sent what it lacks, and when it is registered for more.
    registered: Option<(u64, u64)>,
    /// Whether `NEWLEADER` has arrived.
    is_history_over: bool,
    /// Whether UPTODATE has.
    is_serving: bool,
    /// What was proposed before `NEWLEADER` and not committed.
    uncommitted: BTreeSet<Zxid>,
}

/// What goes over a connection.
#[derive(Clone)]
pub(super) enum Packet {
    ToLeader(ToLeader),
    ToLearner(ToLearner),
    Snapshot(Dump),
    /// The answer to a ping, with the sessions that were heard of.
    Pong(Vec<SessionId>),
    Request(Forwarded),
    /// Does the session exist? With its timeout in milliseconds.
    Revalidate(SessionId, i32),
    Revalidated(SessionId, bool),
    /// The oldest sync is answered.
    Synced,
}

impl Conn {
    const fn is_to_leader(packet: &Packet) -> bool {
        matches!(
            packet,
            Packet::ToLeader(_) | Packet::Pong(_) | Packet::Request(_) | Packet::Revalidate(..)
        )
    }

    pub(super) const fn receiver(&self, packet: &Packet) -> Side {
        if Self::is_to_leader(packet) {
            self.leader
        } else {
            self.learner
        }
    }
}

impl World {
    pub(super) fn connect(&mut self, side: Side, leader: Sid) {
        if let Some(conn) = self.process(side.server).leader.take() {
            self.close(conn, side);
        }
        let delay = self.random.between(1, 10);
        let dial = Event::Dial {
            from: side,
            leader,
            tries_left: 5,
        };
        self.at(delay, dial);
    }

    pub(super) fn dial(&mut self, from: Side, leader: Sid, tries_left: u32) -> Outcome<()> {
        let Side { server, generation } = from;
        let still_wants = self
            .process_of(from)
            .is_some_and(|process| process.leader.is_none() && process.peer.as_learner().is_some());
        if !still_wants {
            return Ok(());
        }
        let target = self.index_of(leader);
        let is_open = target.is_some_and(|target| {
            !self.blocked.contains(&(server, target))
                && !self.blocked.contains(&(target, server))
                && self.servers[target]
                    .process
                    .as_ref()
                    .is_some_and(|process| process.is_open)
        });
        let (Some(target), true) = (target, is_open) else {
            if tries_left > 1 {
                let dial = Event::Dial {
                    from,
                    leader,
                    tries_left: tries_left - 1,
                };
                self.at(100, dial);
                return Ok(());
            }
            return self.act(server, generation, |peer, _, out| peer.leader_lost(out));
        };
        self.serial += 1;
        let (id, learner_id) = (LinkId(self.serial), LearnerId(self.serial));
        let leader = Side {
            server: target,
            generation: self.servers[target].generation,
        };
        let conn = Conn {
            leader,
            learner: from,
            learner_id,
            is_broken: false,
            last: [self.now; 2],
            wrong: Wrong::default(),
        };
        self.conns.insert(id, conn);
        self.process(target).learners.insert(learner_id, id);
        self.process(server).leader = Some(id);
        self.act(target, leader.generation, |peer, now, out| {
            peer.learner_connected(learner_id, now, out);
        })?;
        self.act(server, generation, |peer, now, out| peer.leader_connected(now, out))
    }

    pub(super) fn send_tree(&mut self, side: Side, learner: LearnerId) -> Result<(), Stop> {
        // What was committed so far is not sent again behind the tree.
        self.commit(side)?;
        if let Some(process) = self.process_of(side) {
            let dump = process.dump();
            self.send_to_learner(side, learner, Packet::Snapshot(dump));
        }
        Ok(())
    }

    pub(super) fn send_to_learner(&mut self, side: Side, learner: LearnerId, mut packet: Packet) {
        let Some(id) = self.process(side.server).learners.get(&learner).copied() else {
            return;
        };
        if let Packet::ToLearner(message) = &mut packet
            && !self.passes(side, id, message)
        {
            return;
        }
        self.send(id, side, packet);
    }

    /// Whether a leader says something; one with a fault in its program may say something else instead.
    fn passes(&mut self, side: Side, id: LinkId, message: &mut ToLearner) -> bool {
        let delay = self.random.between(1, 20);
        let (now, acts) = (self.now, self.acts);
        let is_live = matches!(
            message,
            ToLearner::Proposal { .. } | ToLearner::Commit { .. } | ToLearner::Inform { .. }
        );
        let epoch = self.process(side.server).peer.own().current_epoch;
        let synced = match message {
            ToLearner::Proposal { zxid, .. } | ToLearner::Commit { zxid } => {
                zxid.epoch() < epoch && self.process(side.server).wrong.synced.contains(zxid)
            }
            _ => false,
        };
        let Some(conn) = self.conns.get_mut(&id) else {
            return false;
        };
        match self.plan.bug {
            Some(Bug::RegisteredLate) => {
                if matches!(message, ToLearner::Diff { .. } | ToLearner::Trunc { .. }) {
                    conn.wrong.registered = Some((acts, now + delay));
                }
                !conn
                    .wrong
                    .registered
                    .is_some_and(|(turn, at)| is_live && turn != acts && now < at)
            }
            Some(Bug::HoleInCommittedLog) => !synced,
            Some(Bug::FirstRecordSurvivesTruncation) => {
                // A leader of the reference may name the cut by the zxid that begins an epoch.
                if let ToLearner::Trunc { zxid } = message
                    && zxid.epoch() < conn.wrong.peer_last.epoch()
                {
                    *zxid = Zxid::epoch_start(conn.wrong.peer_last.epoch());
                }
                true
            }
            _ => true,
        }
    }

    pub(super) fn send(&mut self, id: LinkId, by: Side, packet: Packet) {
        let delay = self.delay();
        let at = self.now + delay;
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.is_broken) else {
            return;
        };
        let last = &mut conn.last[usize::from(conn.leader == by)];
        *last = at.max(*last);
        let delay = *last - self.now;
        self.at(delay, Event::Deliver(id, packet));
    }

    pub(super) fn deliver(&mut self, id: LinkId, packet: Packet) -> Outcome<()> {
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.is_broken) else {
            return Ok(());
        };
        let learner_id = conn.learner_id;
        let to = conn.receiver(&packet);
        let from = if to == conn.leader { conn.learner } else { conn.leader };
        if self.blocked.contains(&(from.server, to.server)) {
            conn.is_broken = true;
            return Ok(());
        }
        if let Some((server, left)) = self.cut_after.filter(|(server, _)| *server == to.server)
            && !Conn::is_to_leader(&packet)
        {
            self.cut_after = left.checked_sub(1).map(|left| (server, left));
            if left == 0 {
                self.cut(id);
                return Ok(());
            }
        }
        match packet {
            Packet::ToLeader(message) => {
                if !self.hears_leader(id, &message) {
                    return Ok(());
                }
                self.act(to.server, to.generation, |peer, now, out| {
                    peer.learner_said(learner_id, &message, now, out);
                })
            }
            Packet::ToLearner(message) => {
                if !self.hears_learner(id, to, &message)? {
                    return Ok(());
                }
                self.act(to.server, to.generation, |peer, now, out| {
                    peer.leader_said(message, now, out);
                })
            }
            Packet::Snapshot(dump) => {
                let zxid = dump.zxid;
                if let Some(process) = self.process_of(to) {
                    process.loaded = Some(dump);
                }
                self.act(to.server, to.generation, |peer, now, out| {
                    peer.leader_said(ToLearner::Snap { zxid }, now, out);
                })
            }
            Packet::Pong(sessions) => {
                let now = self.now_at(to.server);
                if let Some(process) = self.process_of(to) {
                    for session in sessions {
                        process.node.learner_heard_of(session, now);
                    }
                }
                self.act(to.server, to.generation, |peer, now, out| {
                    peer.learner_said(learner_id, &ToLeader::Pong, now, out);
                })
            }
            Packet::Request(asked) => self.learner_asks(to, learner_id, &asked),
            Packet::Revalidate(session, timeout_ms) => self.learner_revalidates(to, learner_id, session, timeout_ms),
            Packet::Revalidated(session, is_valid) => {
                self.revalidated(to, session, is_valid);
                Ok(())
            }
            Packet::Synced => {
                if let Some(process) = self.process_of(to) {
                    process.node.synced();
                    self.wants_turn(to);
                }
                Ok(())
            }
        }
    }

    /// What a leader with a fault in its program remembers of what a learner says, and whether it listens.
    fn hears_leader(&mut self, id: LinkId, message: &ToLeader) -> bool {
        let bug = self.plan.bug;
        let Some(conn) = self.conns.get_mut(&id) else {
            return false;
        };
        match message {
            ToLeader::AckEpoch { last_zxid, .. } => conn.wrong.peer_last = *last_zxid,
            ToLeader::Ack { zxid } if bug == Some(Bug::FirstAckIsTheHistorys) => {
                let is_first = !std::mem::replace(&mut conn.wrong.is_acked, true);
                if is_first {
                    // The wrong one: it waits for another in vain.
                    conn.wrong.is_history_over = zxid.counter() != 0;
                }
                return zxid.counter() != 0 || !conn.wrong.is_history_over;
            }
            _ => {}
        }
        true
    }

    /// What a learner with a fault in its program does when its leader says something, and whether it goes on.
    fn hears_learner(&mut self, id: LinkId, side: Side, message: &ToLearner) -> Outcome<bool> {
        let bug = self.plan.bug;
        let Some(conn) = self.conns.get_mut(&id) else {
            return Ok(false);
        };
        let wrong = &mut conn.wrong;
        let is_in_sync = !wrong.is_history_over;
        match message {
            ToLearner::Proposal { zxid, .. } if is_in_sync => {
                wrong.uncommitted.insert(*zxid);
            }
            ToLearner::Commit { zxid } => {
                let was_before = wrong.uncommitted.remove(zxid);
                if bug == Some(Bug::CommitBehindNewLeader) && was_before && !is_in_sync && !wrong.is_serving {
                    let why = "the leader committed what it did not propose";
                    self.act(side.server, side.generation, |peer, _, out| peer.step_down(why, out))?;
                    return Ok(false);
                }
            }
            ToLearner::NewLeader { .. } => wrong.is_history_over = true,
            ToLearner::UpToDate => wrong.is_serving = true,
            _ => {}
        }
        let Some(process) = self.process_of(side) else {
            return Ok(false);
        };
        match message {
            ToLearner::Proposal { zxid, txn } if is_in_sync => {
                let proposal = zebu_zab::Proposal {
                    zxid: *zxid,
                    txn: txn.clone(),
                };
                process.wrong.synced.insert(*zxid);
                process.wrong.sync.push(proposal);
            }
            ToLearner::Diff { .. } | ToLearner::Trunc { .. } => process.wrong.sync.clear(),
            ToLearner::NewLeader { epoch } => {
                process.wrong.sync.clear();
                if bug == Some(Bug::EpochBeforeHistory) {
                    let saved = process.save_epoch(EpochFile::Current, *epoch);
                    if let Err(error) = saved {
                        self.died(side.server, &error)?;
                        return Ok(false);
                    }
                }
            }
            _ => {}
        }
        Ok(true)
    }

    /// A follower acknowledges every transaction of the history before the history ([`Bug::FirstAckIsTheHistorys`]).
    pub(super) fn acknowledge_one_by_one(&mut self, side: Side) {
        let process = self.process(side.server);
        if process.serving.is_some() || process.has_acked_history {
            return;
        }
        let Some(conn) = process.leader else { return };
        let zxids: Vec<Zxid> = process.unflushed.iter().copied().collect();
        for zxid in zxids {
            self.send(conn, side, Packet::ToLeader(ToLeader::Ack { zxid }));
        }
    }

    // Ends of connections.

    pub(super) fn is_whole(&self, id: LinkId) -> bool {
        self.conns.get(&id).is_some_and(|conn| !conn.is_broken)
    }

    pub(super) fn connections_of(&self, side: Side) -> Vec<LinkId> {
        self.conns
            .iter()
            .filter(|(_, conn)| !conn.is_broken && (conn.leader == side || conn.learner == side))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Closes every connection of a process and tells those at their other ends.
    pub(super) fn close_all(&mut self, side: Side) {
        for id in self.connections_of(side) {
            self.close(id, side);
        }
    }

    pub(super) fn close(&mut self, id: LinkId, by: Side) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let other = if conn.leader == by { conn.learner } else { conn.leader };
        let is_broken = std::mem::replace(&mut conn.is_broken, true);
        if !is_broken && !self.blocked.contains(&(by.server, other.server)) {
            let delay = self.random.between(1, 10);
            self.at(delay, Event::Lost(id, other));
        }
    }

    /// Ends a connection; both ends are told.
    pub(super) fn cut(&mut self, id: LinkId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if !std::mem::replace(&mut conn.is_broken, true) {
            for side in [conn.leader, conn.learner] {
                let delay = self.random.between(1, 10);
                self.at(delay, Event::Lost(id, side));
            }
        }
    }

    /// Ends a connection; one end is not told.
    pub(super) fn cut_unnoticed(&mut self, id: LinkId, by: Side) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if !std::mem::replace(&mut conn.is_broken, true) {
            for side in [conn.leader, conn.learner].into_iter().filter(|side| *side != by) {
                let delay = self.random.between(1, 10);
                self.at(delay, Event::Lost(id, side));
            }
        }
    }

    pub(super) fn lost(&mut self, id: LinkId, side: Side) -> Outcome<()> {
        let Some(conn) = self.conns.get_mut(&id) else {
            return Ok(());
        };
        conn.is_broken = true;
        let (is_leader, learner_id) = (conn.leader == side, conn.learner_id);
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        if is_leader {
            process.learners.remove(&learner_id);
            return self.act(side.server, side.generation, |peer, _, out| {
                peer.learner_lost(learner_id, out);
            });
        }
        if process.leader == Some(id) {
            process.leader = None;
            return self.act(side.server, side.generation, |peer, _, out| peer.leader_lost(out));
        }
        Ok(())
    }
}
