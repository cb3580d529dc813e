//! Finding the epoch: a quorum says what it has promised, and promises more.

use super::*;

impl Leader {
    /// Begins: an ensemble of one needs nobody else.
    pub fn begin(&mut self, now: Millis, out: &mut Effects) {
        if self.phase == Phase::Discovery {
            self.discover(now, out);
        }
    }

    pub(super) fn introduce(
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
        if accepted_epoch > self.epoch && self.members.is_voter(sid) && !self.ignores_later_epochs() {
            // It has promised itself to a later leader: this one is of the past, or will soon be.
            self.close(id, "it has accepted a later epoch", out);
            return self.resign("a voter has accepted a later epoch", out);
        }
        if !matches!(self.phase, Phase::SavingAccepted | Phase::Over) {
            self.inform(out);
        }
    }

    pub(super) fn discover(&mut self, now: Millis, out: &mut Effects) {
        let known = self.count(|learner| learner.stage == Stage::Known);
        // The reference asks the committed configuration alone: two leaders, of the old and of the new one, can come to the
        // same epoch then.
        if self.members.all_quorums(|sid| known.contains(&sid)) {
            self.enter(Phase::SavingAccepted, now);
            out.push(LeaderEffect::SaveAcceptedEpoch(self.epoch));
        }
    }

    pub(super) fn enter(&mut self, phase: Phase, now: Millis) {
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
    pub(super) fn inform(&mut self, out: &mut Effects) {
        let epoch = self.epoch;
        for (id, learner) in &mut self.learners {
            if learner.stage == Stage::Known {
                learner.stage = Stage::Informed;
                out.push(LeaderEffect::Send(*id, ToLearner::LeaderInfo { epoch }));
            }
        }
    }

    pub(super) fn promised(
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
            if current_epoch > self.epoch && is_voter && !self.ignores_later_epochs() {
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

    pub(super) fn check_promises(&mut self, now: Millis, out: &mut Effects) {
        let promised = self.count(|learner| matches!(learner.stage, Stage::Promised { is_promise: true, .. }));
        if self.members.all_quorums(|sid| promised.contains(&sid)) {
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
        self.number_first_config(out);
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

    #[cfg(feature = "faults")]
    const fn ignores_later_epochs(&self) -> bool {
        self.ignores_later_epochs
    }

    #[cfg(not(feature = "faults"))]
    #[allow(clippy::unused_self, reason = "simulated leaders have it")]
    const fn ignores_later_epochs(&self) -> bool {
        false
    }
}
