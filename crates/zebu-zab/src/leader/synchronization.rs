//! Bringing learners to the leader's history.

use super::*;

/// How often the log is read for one learner, which must come to what is kept in memory before that has moved on.
const LOG_READS_MAX: u32 = 4;

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
        let plan = if last_zxid == self.last_committed {
            SyncPlan::Diff { after: last_zxid }
        } else {
            self.history.plan(last_zxid)
        };
        let part = learner.log.take();
        let plan = match (plan, &part) {
            (SyncPlan::Older, None) if self.may_read_log(id, last_zxid) => return,
            (SyncPlan::Older, Some(part)) => part.plan(last_zxid),
            (plan, _) => plan,
        };
        self.register(id, plan, part, now, out);
    }

    /// Asks for what the learner lacks, if the log can have it.
    fn may_read_log(&mut self, id: LearnerId, last_zxid: Zxid) -> bool {
        let until = self.history.base();
        let Some(learner) = self.learners.get_mut(&id) else {
            return false;
        };
        // What has no history has nothing to go on from; and a leader may have committed what it has not made durable.
        if !self.reads_log || last_zxid <= Zxid::ZERO || until > self.flushed || learner.log_reads == LOG_READS_MAX {
            return false;
        }
        let after = learner.log.as_ref().map_or(last_zxid, LogPart::last);
        learner.stage = Stage::Reading { last_zxid };
        learner.log_reads += 1;
        self.log_reads.push_back(LogRead {
            learner: id,
            after,
            until,
        });
        true
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
        let base = self.history.base();
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        let Stage::Reading { last_zxid } = learner.stage else {
            return;
        };
        let read = match (learner.log.take(), part) {
            (Some(mut begun), Some(more)) => begun.extend(more).then_some(begun),
            (_, part) => part,
        };
        let Some(read) = read else {
            return self.register(id, SyncPlan::Snapshot, None, now, out);
        };
        let reaches_memory = read.last() >= base;
        learner.log = Some(read);
        // What is in memory has moved on since: the part in between comes from the log as well.
        if !reaches_memory {
            if !self.may_read_log(id, last_zxid) {
                self.register(id, SyncPlan::Snapshot, None, now, out);
            }
            return;
        }
        self.synchronize(id, now, out);
    }

    /// Sends what brings the learner to this history, and registers it for what is new.
    fn register(&mut self, id: LearnerId, plan: SyncPlan, part: Option<LogPart>, now: Millis, out: &mut Effects) {
        let Some(learner) = self.learners.get_mut(&id) else {
            return;
        };
        learner.stage = Stage::Syncing;
        learner.log = None;
        let is_observer = learner.is_observer;
        let last = self.history.last();
        learner.history_end = last;
        let mut send = |message| out.push(LeaderEffect::Send(id, message));
        let after = match plan {
            SyncPlan::Diff { after } if after == self.last_committed => {
                send(ToLearner::Diff { zxid: after });
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
        let base = self.history.base();
        let from_log = part.into_iter().flat_map(|part| part.entries);
        let from_log = from_log.filter(|entry| entry.zxid > after && entry.zxid <= base);
        for Proposal { zxid, txn } in from_log.chain(self.history.after(after).cloned()) {
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
