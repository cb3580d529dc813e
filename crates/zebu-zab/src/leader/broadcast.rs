//! Proposing and committing; whether this server still leads, and how it stops.

use super::reconfiguration::RETIRED;
use super::*;

impl Leader {
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
        // The next one would be of an epoch that nobody has promised to.
        assert!(
            proposal.zxid.counter() < u32::MAX,
            "{} is no transaction",
            proposal.zxid
        );
        self.last_proposed = proposal.zxid;
        for (id, learner) in &mut self.learners {
            if learner.is_forwarding() && !learner.is_observer {
                learner.note_sent(proposal.zxid, now);
                let Proposal { zxid, txn } = proposal.clone();
                out.push(LeaderEffect::Send(*id, ToLearner::Proposal { zxid, txn }));
            }
        }
        let counter = proposal.zxid.counter();
        self.outstanding.push_back(proposal);
        if counter >= self.counter_end {
            self.hand_over(now, out);
        }
    }

    /// Everything up to `zxid` is durable here.
    pub fn flushed(&mut self, zxid: Zxid, out: &mut Effects) {
        if self.phase == Phase::Broadcast {
            self.flushed = self.flushed.max(zxid);
            self.commit(out);
        }
    }

    /// Commits, in order, what a quorum has made durable.
    pub(super) fn commit(&mut self, out: &mut Effects) {
        if self.phase != Phase::Broadcast {
            return;
        }
        while let Some(proposal) = self.outstanding.front().filter(|_| !self.is_retired) {
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
            // A Java follower finds the answers to what it forwarded in the order in which it did, syncs of one session and
            // writes of another: a sync is never overtaken by what was proposed after it.
            // A quorum has acknowledged the one, and so follows still.
            while let Some(sync) = self.syncs.front().filter(|sync| sync.last_proposed < zxid) {
                out.push(LeaderEffect::Synced(sync.id));
                self.syncs.pop_front();
            }
            self.last_committed = zxid;
            let new_leader = self.committed_reconfig(zxid, out);
            for (id, learner) in &self.learners {
                if !learner.is_forwarding() {
                    continue;
                }
                let txn = proposal.txn.clone();
                let message = match (learner.is_observer, new_leader) {
                    (true, None) => ToLearner::Inform { zxid, txn },
                    (true, Some(leader)) => ToLearner::InformAndActivate { zxid, leader, txn },
                    (false, None) => ToLearner::Commit { zxid },
                    (false, Some(leader)) => ToLearner::CommitAndActivate { zxid, leader },
                };
                out.push(LeaderEffect::Send(*id, message));
            }
            self.history.push(proposal);
            out.push(LeaderEffect::Commit(zxid));
        }
        self.answer_syncs(out);
        self.check_handed_over(out);
    }

    // The end.

    /// Stops leading, as soon as everything that was proposed is committed and every follower has it, but at the latest
    /// after a tick. Then nothing that a client waits for is left in doubt, the followers notice at once that their
    /// connections end, and as they all have the same history the first round of the election decides.
    ///
    /// The driver should propose nothing more ([`Leader::is_handing_over`]); what it proposes nevertheless is served if the
    /// time suffices. A leader begins this by itself when the counter of zxids nears its end.
    pub fn hand_over(&mut self, now: Millis, out: &mut Effects) {
        if self.phase != Phase::Broadcast {
            return self.resign("leadership is given up before it began", out);
        }
        if self.handing_over_since.is_none() {
            self.handing_over_since = Some(now);
            self.check_handed_over(out);
        }
    }

    /// Whether this leader is about to stop: nothing should be proposed any more.
    #[must_use]
    pub const fn is_handing_over(&self) -> bool {
        self.handing_over_since.is_some()
    }

    fn check_handed_over(&mut self, out: &mut Effects) {
        if self.handing_over_since.is_none() || !self.outstanding.is_empty() {
            return;
        }
        let (last, members) = (self.last_committed, &self.members);
        let is_behind = |learner: &Learner| {
            let is_voter = learner.sid.is_some_and(|sid| members.is_voter(sid));
            learner.is_synced() && is_voter && !learner.is_observer && learner.acked.max(self.start()) < last
        };
        if !self.learners.values().any(is_behind) {
            self.resign("leadership is handed over", out);
        }
    }

    const fn start(&self) -> Zxid {
        Zxid::epoch_start(self.epoch)
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

    pub(super) fn answer_syncs(&mut self, out: &mut Effects) {
        while let Some(sync) = self.syncs.front().filter(|_| !self.is_retired) {
            if self.last_committed < sync.last_proposed {
                return;
            }
            let round = sync.round;
            let follows = self.count(|learner| learner.is_synced() && learner.answered_round >= round);
            if !self.members.all_quorums(|sid| follows.contains(&sid)) {
                return;
            }
            out.push(LeaderEffect::Synced(sync.id));
            self.syncs.pop_front();
        }
    }

    pub(super) fn ping(&mut self, out: &mut Effects) {
        self.round += 1;
        let (round, zxid) = (self.round, self.last_proposed);
        for (id, learner) in &mut self.learners {
            if learner.is_synced() {
                learner.pings.push_back(round);
                out.push(LeaderEffect::Send(*id, ToLearner::Ping { zxid }));
            }
        }
    }

    pub(super) fn ponged(&mut self, id: LearnerId, out: &mut Effects) {
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
            Phase::Broadcast => {
                if self.is_retired {
                    self.retired_since.get_or_insert(now);
                }
                let has_waited = |since| now.since(since) >= self.times.tick_ms;
                if self.retired_since.is_some_and(has_waited) {
                    return self.resign(RETIRED, out);
                }
                if self.handing_over_since.is_some_and(has_waited) {
                    return self.resign("leadership is handed over, with something left undone", out);
                }
            }
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
        if self.phase == Phase::Broadcast && !self.is_retired {
            let synced = self.count(Learner::is_synced);
            if !self.members.all_quorums(|sid| synced.contains(&sid)) {
                return self.resign("too few followers are left for a quorum", out);
            }
        }
        self.ping(out);
    }
}
