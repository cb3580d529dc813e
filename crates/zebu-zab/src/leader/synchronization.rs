//! Bringing learners to the leader's history.

use super::*;

impl Leader {
    /// Decides how a learner gets the history and registers it for what is new, in one step: nothing can be committed
    /// between the two.
    pub(super) fn synchronize(&mut self, id: LearnerId, now: Millis, out: &mut Effects) {
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        let (Stage::Promised { last_zxid, .. } | Stage::Reading { last_zxid }) = learner.stage else {
            return;
        };
        // The leader has begun an epoch, and the learner's history ends there.
        if last_zxid == self.last_committed {
            return self.register(id, SyncPlan::Diff { after: last_zxid }, None, now, out);
        }
        let durable = self.reads_log.then_some(self.flushed);
        match learner.log.step(last_zxid, &self.history, durable) {
            Step::Read { after, until } => {
                learner.stage = Stage::Reading { last_zxid };
                self.log_reads.push_back(LogRead {
                    learner: id,
                    after,
                    until,
                });
            }
            Step::Sync(plan, part) => self.register(id, plan, part, now, out),
        }
    }

    /// The driver reads the log for learners that lack more than is kept in memory: it asks for [`Leader::next_log_read`]
    /// after each call. Without this they are sent the whole tree.
    pub const fn read_log(&mut self) {
        self.reads_log = true;
    }

    /// What is to be read from the log now, if anything. The driver answers each with [`Leader::log_read`], with `None` if
    /// it is not there, not whole, or more than a whole tree is worth (`zookeeper.snapshotSizeFactor`). It may take its
    /// time: the learner waits.
    pub fn next_log_read(&mut self) -> Option<LogRead> {
        self.log_reads.pop_front()
    }

    /// What [`LogRead`] asked for. The way of synchronization is decided anew, with what is in memory now.
    pub fn log_read(&mut self, id: LearnerId, part: Option<LogPart>, now: Millis, out: &mut Effects) {
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        if !matches!(learner.stage, Stage::Reading { .. }) {
            return;
        }
        if learner.log.read(part) {
            self.synchronize(id, now, out);
        } else {
            self.register(id, SyncPlan::Snapshot, None, now, out);
        }
    }

    /// Sends what brings the learner to this history, and registers it for what is new.
    fn register(&mut self, id: LearnerId, plan: SyncPlan, part: Option<LogPart>, now: Millis, out: &mut Effects) {
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        learner.stage = Stage::Syncing;
        learner.log = LogSearch::default();
        let is_observer = learner.is_observer;
        learner.history_end = self.history.last();
        let mut newest = None;
        self.history.send(id, plan, part, out);
        let mut send = |message| out.push(LeaderEffect::Send(id, message));
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

    pub(super) fn acked(&mut self, id: LearnerId, zxid: Zxid, now: Millis, out: &mut Effects) {
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
                self.membership_number += 1;
                learner.acked = learner.acked.max(learner.history_end);
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

    pub(super) fn check_history(&mut self, now: Millis, out: &mut Effects) {
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
        self.finish_reconfig(out);
        if !self.is_retired {
            out.push(LeaderEffect::Established(self.epoch));
        }
        for (id, learner) in &self.learners {
            if learner.is_synced() {
                out.push(LeaderEffect::Send(*id, ToLearner::UpToDate));
            }
        }
    }
}
