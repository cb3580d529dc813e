//! Tells the [`Peer`] what happens, and carries out what it wants. All of it runs on the node thread.

use zebu_node::NodeRole;
use zebu_proto::{Epoch, Millis, Zxid};
use zebu_store::{EpochFile, StoreError};
use zebu_zab::{Effect, Peer, Vote};

use super::PeerEvent;
use super::election_port::{ElectionEvent, Received};
use super::master_choice::random_up_to;
use crate::exit::{ExitCode, Fatal};
use crate::node_thread::NodeThread;
use crate::shared::ServerRole;

impl NodeThread {
    /// Begins to look for a leader.
    pub(crate) fn begin_ensemble(&mut self) {
        if self.ensemble.is_none() {
            return;
        }
        self.set_role(ServerRole::Looking);
        let last = self.shared.replica.read().tree().last_zxid();
        self.begin_to_look();
        self.peer(|peer, now, effects| peer.settled(last, None, now, effects));
    }

    /// Lets the peer do something, and carries out what it wants. What was prepared before belongs to the role in which it
    /// was prepared, which may be over then: it is proposed first.
    pub(super) fn peer(&mut self, act: impl FnOnce(&mut Peer, Millis, &mut Vec<Effect>)) {
        self.propose();
        self.tell(act);
    }

    /// As [`NodeThread::peer`], for what is prepared itself.
    pub(super) fn tell(&mut self, act: impl FnOnce(&mut Peer, Millis, &mut Vec<Effect>)) {
        let now = self.shared.clock.mono();
        let Some(ensemble) = &mut self.ensemble else { return };
        act(&mut ensemble.peer, now, &mut ensemble.effects);
        self.tell_membership();
        while let Some(read) = self.ensemble.as_mut().and_then(|own| own.peer.next_log_read()) {
            self.read_log(read);
        }
        self.carry_out();
    }

    pub(crate) fn tick_peer(&mut self) {
        let now = self.shared.clock.mono();
        let is_due = self
            .ensemble
            .as_ref()
            .and_then(|ensemble| ensemble.deadline())
            .is_some_and(|deadline| deadline <= now);
        if is_due {
            self.read_only_if_due(now);
            self.peer(Peer::tick);
            self.tell_stats();
        }
    }

    /// Everything up to `zxid` is durable here.
    pub(crate) fn flushed(&mut self, zxid: Zxid) {
        if self.ensemble.is_none() {
            return self.node.flushed(zxid);
        }
        self.peer(|peer, _, effects| peer.flushed(zxid, effects));
    }

    // What happens.

    pub(crate) fn peer_event(&mut self, event: PeerEvent) {
        let Some(ensemble) = &mut self.ensemble else { return };
        match event {
            PeerEvent::Election(event) => self.election_event(event),
            PeerEvent::PortFailed { role } if role == ensemble.role => {
                // A follower goes on without observers.
                if ensemble.peer.as_leader().is_some() {
                    self.peer(|peer, _, effects| peer.step_down("the quorum port cannot be opened", effects));
                }
            }
            PeerEvent::LearnerConnected { role, id, link } if role == ensemble.role => {
                ensemble.learners.insert(id, link);
                self.peer(|peer, now, _| peer.learner_connected(id, now, &mut Vec::new()));
            }
            PeerEvent::LearnerSaid {
                role,
                id,
                said,
                unhandled,
            } if role == ensemble.role => {
                for says in said {
                    self.learner_said(role, id, says);
                }
                drop(unhandled);
            }
            PeerEvent::LogRead { role, id, part } if role == ensemble.role => {
                self.peer(|peer, now, effects| peer.log_read(id, part, now, effects));
            }
            PeerEvent::LearnerLost { role, id } if role == ensemble.role => {
                ensemble.learners.remove(&id);
                self.peer(|peer, _, effects| peer.learner_lost(id, effects));
            }
            PeerEvent::LeaderConnected { connection, sid, link } if connection == ensemble.connection => {
                ensemble.leader = Some(link);
                ensemble.master = Some(sid);
                self.peer(Peer::leader_connected);
            }
            PeerEvent::LeaderSaid {
                connection,
                said,
                unhandled,
            } => {
                for says in said {
                    self.leader_said(connection, says);
                }
                drop(unhandled);
            }
            PeerEvent::TreeReceived { connection, tree } if connection == ensemble.connection => {
                self.tree_received(*tree);
            }
            PeerEvent::LeaderLost { connection } if connection == ensemble.connection => {
                self.peer(|peer, _, effects| peer.leader_lost(effects));
            }
            PeerEvent::PortFailed { .. }
            | PeerEvent::LearnerConnected { .. }
            | PeerEvent::LearnerSaid { .. }
            | PeerEvent::LearnerLost { .. }
            | PeerEvent::LogRead { .. }
            | PeerEvent::LeaderConnected { .. }
            | PeerEvent::TreeReceived { .. }
            | PeerEvent::LeaderLost { .. } => {}
        }
    }

    fn election_event(&mut self, event: ElectionEvent) {
        tracing::debug!(?event, "on the election port");
        match event {
            ElectionEvent::Notified { from, notification } => {
                if let Some(config) = self.newer_config(from, notification.config.as_deref()) {
                    self.peer(|peer, now, effects| peer.config_heard(config, now, effects));
                }
                let notification = heard(&notification);
                self.peer(|peer, now, effects| peer.notified(from, &notification, now, effects));
            }
            ElectionEvent::Reachable(sid) => self.peer(|peer, _, _| peer.reachable(sid)),
            ElectionEvent::Panicked => self.shared.fail(Fatal {
                code: ExitCode::UnexpectedError,
                message: "a task of the election port has panicked; this is a bug in zebu".into(),
            }),
            ElectionEvent::Unreachable(sid) => self.peer(|peer, now, effects| peer.unreachable(sid, now, effects)),
        }
    }

    // What the peer wants.

    fn carry_out(&mut self) {
        loop {
            let Some(ensemble) = &mut self.ensemble else { return };
            let effects = std::mem::take(&mut ensemble.effects);
            if effects.is_empty() || self.shared.has_failed() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Notify(outgoing) => {
                        if let Some(ensemble) = &self.ensemble {
                            ensemble.notify(&outgoing);
                        }
                    }
                    Effect::Lead(effect) => self.lead(effect),
                    Effect::Learn(effect) => {
                        self.stop_reading();
                        self.learn(effect);
                    }
                    Effect::Open => {
                        self.stop_reading();
                        self.open_port();
                    }
                    Effect::See(config) => self.config_seen(&config),
                    Effect::Activate(config) => self.config_activated(&config),
                    Effect::Settle { why, must_reload } => self.settle(why, must_reload),
                }
            }
        }
    }

    pub(super) fn save_epoch(&mut self, file: EpochFile, epoch: Epoch) -> bool {
        match self.shared.store.write_epoch(file, epoch) {
            Ok(()) => true,
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    pub(super) fn fail(&self, error: &StoreError) {
        self.shared.fail(Fatal {
            code: ExitCode::DataDirectory,
            message: format!("the data directory cannot be worked with: {error}"),
        });
    }

    /// Begins to serve clients.
    pub(super) fn serve_from(&mut self, role: ServerRole, begin: impl FnOnce(&mut Self)) {
        if let Some(ensemble) = &self.ensemble {
            let now = self.shared.clock.now();
            let mut replica = self.shared.replica.write();
            let version = Zxid(ensemble.peer.members().committed().version.0);
            replica.tree_mut().set_config(&ensemble.config_text, version, now.wall);
        }
        begin(self);
        self.tell_membership();
        // Source: `Leader.lead`.
        let serves = role != ServerRole::Leader || self.shared.config.ensemble.leader_serves;
        self.shared.replica.write().set_serving(serves);
        self.set_role(role);
    }

    fn set_role(&mut self, role: ServerRole) {
        self.shared.set_role(role);
    }

    /// The role is over: nobody is served any more, and the history is put in order.
    fn settle(&mut self, why: &'static str, must_reload: bool) {
        tracing::warn!(why, "looking for a leader");
        // Whoever waits for what is committed is told: a leader hands over in the moment in which the last of it is.
        self.commit();
        self.stop_serving();
        let config = &self.shared.config.ensemble;
        let now = self.shared.clock.mono();
        if let Some(ensemble) = &mut self.ensemble {
            ensemble.end_role();
            // Voters count on what is on disk.
            let must_reload = must_reload || ensemble.is_disk_behind && !ensemble.peer.is_observer();
            // Source: `Observer.waitForObserverElectionDelay`.
            let delay = random_up_to(config.observer_election_delay_ms);
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(0);
            ensemble.look_at = ensemble.peer.is_observer().then(|| now.plus(delay_ms));
            ensemble.settling = Some(must_reload);
        }
    }

    /// No client is served any more.
    pub(super) fn stop_serving(&mut self) {
        self.set_role(ServerRole::Looking);
        self.shared.replica.write().set_serving(false);
        let abandoned = self.node.end_role(&mut self.outputs);
        self.shared.limits.finish(abandoned.requests, abandoned.bytes);
        // What is applied from here on is not known to be committed, and no client may hear of it.
        self.shared.forget_watches();
    }

    /// Once everything that was appended is durable, the next election begins.
    pub(crate) fn settle_in_the_end(&mut self) {
        let Some(ensemble) = &mut self.ensemble else { return };
        let Some(must_reload) = ensemble.settling else { return };
        if self.is_flushing || self.node.has_log() {
            return;
        }
        if ensemble.is_ending {
            // It has no vote any more. What it logged is its history when it starts again.
            return;
        }
        if ensemble.look_at.is_some_and(|at| at > self.shared.clock.mono()) {
            return;
        }
        ensemble.look_at = None;
        ensemble.settling = None;
        let (last, reloaded) = if must_reload {
            self.let_go_of_disk();
            match self.reload() {
                Some((last, recent)) => (last, Some(recent)),
                None => return,
            }
        } else {
            self.node.committed(self.node.last_prepared());
            self.commit();
            (self.node.applied(), None)
        };
        self.begin_to_look();
        self.peer(|peer, now, effects| peer.settled(last, reloaded, now, effects));
    }

    /// The server is about to end: a leader hands over.
    pub(crate) fn begin_to_end(&mut self) {
        if let Some(ensemble) = &mut self.ensemble {
            ensemble.is_ending = true;
        }
        if self.node.role() == NodeRole::Leading {
            self.peer(Peer::hand_over);
        }
    }

    /// Whether it still leads, and others are to learn what it has accepted.
    pub(crate) fn is_leading(&self) -> bool {
        self.node.role() == NodeRole::Leading
    }

    /// Ends all connections to other servers.
    pub(crate) fn end_ensemble(&mut self) {
        if let Some(mut ensemble) = self.ensemble.take() {
            ensemble.election.stop();
            ensemble.end_role();
            ensemble.runtime.shutdown_timeout(std::time::Duration::from_millis(200));
        }
    }
}

/// A notification, as the election takes it.
fn heard(received: &Received) -> zebu_zab::Notification {
    zebu_zab::Notification {
        state: received.state,
        vote: Vote {
            leader: received.leader,
            zxid: received.zxid,
            peer_epoch: received.peer_epoch.0,
        },
        round: received.round.0,
        version: received.version,
    }
}
