//! A leader's part: proposals, learners and what they ask for.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use zebu_node::{LearnerKey, NodeRole};
use zebu_proto::OpCode;
use zebu_proto::quorum::LeaderMessage;
use zebu_store::EpochFile;
use zebu_zab::{Leader, LeaderEffect, LearnerId, LogPart, LogRead, Proposal, SyncId, ToLeader, ToLearner};

use super::PeerEvent;
use super::link::TreeSource;
use super::message::LearnerSays;
use super::quorum_port::{Port, QuorumPort};
use super::state::SyncFor;
use crate::node_thread::NodeThread;
use crate::shared::{NodeEvent, ServerRole};

impl NodeThread {
    /// Proposes what was prepared and not proposed yet.
    pub(crate) fn propose(&mut self) {
        if self.node.role() != NodeRole::Leading {
            return;
        }
        self.tell_refusal();
        let proposals: Vec<Proposal> = self
            .node
            .log_mut()
            .propose()
            .map(|(zxid, txn)| Proposal {
                zxid,
                txn: Bytes::copy_from_slice(txn),
            })
            .collect();
        let new_syncs = self.node.take_new_syncs();
        if proposals.is_empty() && new_syncs == 0 {
            return;
        }
        // Before what the same clients asked for behind them, which is not answered before they are. They need not wait for
        // what came before: whatever was acknowledged to anybody is proposed.
        for _ in 0..new_syncs {
            self.sync(SyncFor::Client);
        }
        self.shared
            .leader_stats
            .proposed(proposals.iter().map(|proposal| proposal.txn.len()));
        let reconfig = self.node.take_reconfig();
        self.tell(|peer, now, effects| {
            for proposal in proposals {
                match reconfig.clone().filter(|config| config.version.0 == proposal.zxid.0) {
                    Some(config) => peer.propose_reconfig(proposal, config, now, effects),
                    None => peer.propose(proposal, now, effects),
                }
            }
        });
    }

    fn sync(&mut self, asker: SyncFor) {
        let Some(ensemble) = &mut self.ensemble else { return };
        let id = SyncId(ensemble.next_sync);
        ensemble.next_sync += 1;
        ensemble.syncs.push_back((id, asker));
        self.tell(|peer, _, effects| peer.sync(id, effects));
    }

    pub(super) fn learner_said(&mut self, role: u64, id: LearnerId, says: LearnerSays) {
        let now = self.shared.clock.now();
        let Some(ensemble) = &self.ensemble else { return };
        // The role may be over since the last thing that it said, or its connection given up.
        if ensemble.role != role || !ensemble.learners.contains_key(&id) {
            return;
        }
        let says = match says {
            LearnerSays::Introduced { message, config } => {
                let members = ensemble.peer.members();
                if members.is_dynamic() && config.is_some_and(|config| config > members.committed().version) {
                    // Source: `LearnerHandler.run`.
                    self.close_learner(id, "a later configuration is in force for it");
                    return self.peer(|peer, _, effects| peer.learner_lost(id, effects));
                }
                LearnerSays::Protocol(message)
            }
            says => says,
        };
        let Some(ensemble) = &self.ensemble else { return };
        if ensemble.peer.as_observer_master().is_some() {
            return self.observer_said(id, says);
        }
        let has_history = ensemble.peer.is_synced(id);
        let is_leading = has_history && self.node.role() == NodeRole::Leading;
        // What would begin now might not come to its end. Nobody will hear of it, as if it had come a moment later.
        let is_ending = ensemble.peer.as_leader().is_some_and(Leader::is_handing_over);
        match says {
            LearnerSays::Protocol(message) | LearnerSays::Introduced { message, .. } => {
                self.peer(|peer, now, effects| peer.learner_said(id, &message, now, effects));
            }
            LearnerSays::Pong(sessions) => {
                for touch in sessions {
                    self.node.learner_heard_of(touch.session, now);
                }
                self.peer(|peer, now, effects| peer.learner_said(id, &ToLeader::Pong, now, effects));
            }
            // Nobody serves clients before it has the history.
            LearnerSays::Revalidate { .. } | LearnerSays::Request { .. } if !is_leading => {
                self.close_learner(id, "it asked for something out of turn");
                self.peer(|peer, _, effects| peer.learner_lost(id, effects));
            }
            LearnerSays::Revalidate { .. } | LearnerSays::Request { .. } if is_ending => {}
            LearnerSays::Revalidate { session, timeout_ms } => {
                let valid =
                    self.node
                        .learner_revalidates(LearnerKey(id.0), session, timeout_ms, now, &mut self.outputs);
                if valid && self.node.has_in_flight(session) {
                    self.propose();
                    self.sync(SyncFor::Revalidation(id, session));
                } else if let Some(ensemble) = &self.ensemble {
                    ensemble.send_to_learner(id, &LeaderMessage::Revalidate { session, valid });
                }
            }
            LearnerSays::Request { op, .. } if op == OpCode::Sync.code() => {
                // What it forwarded before is proposed first.
                self.propose();
                self.sync(SyncFor::Learner(id));
            }
            LearnerSays::Request {
                session,
                xid,
                op,
                body,
                ids,
            } => {
                let shared = self.shared.clone();
                let replica = shared.replica.read();
                let key = LearnerKey(id.0);
                let taken = self
                    .node
                    .learner_request(&replica, key, session, xid, op, &ids, &body, now);
                drop(replica);
                if let Err(why) = taken {
                    self.close_learner(id, why);
                    self.peer(|peer, _, effects| peer.learner_lost(id, effects));
                }
            }
        }
    }

    pub(super) fn close_learner(&mut self, id: LearnerId, why: &str) {
        let Some(ensemble) = &mut self.ensemble else { return };
        if let Some(link) = ensemble.learners.remove(&id) {
            tracing::warn!(peer = %link.peer, why, "the connection of a learner is ended");
            link.close();
        }
    }

    pub(super) fn open_port(&mut self) {
        let Some(ensemble) = &mut self.ensemble else { return };
        tracing::info!(sid = %ensemble.sid, "elected; learners may connect");
        ensemble.port = Some(QuorumPort::open(
            ensemble.runtime.handle(),
            &self.shared,
            Port::Quorum,
            ensemble.quorum_listen(),
            ensemble.role,
            &ensemble.next_learner,
        ));
    }

    pub(super) fn lead(&mut self, effect: LeaderEffect) {
        match effect {
            LeaderEffect::SaveAcceptedEpoch(epoch) => {
                if self.save_epoch(EpochFile::Accepted, epoch) {
                    self.peer(|peer, now, effects| peer.accepted_epoch_saved(epoch, now, effects));
                }
            }
            LeaderEffect::SaveCurrentEpoch(epoch) => {
                if self.save_epoch(EpochFile::Current, epoch) {
                    self.peer(|peer, now, effects| peer.current_epoch_saved(epoch, now, effects));
                }
            }
            LeaderEffect::Send(id, message) => {
                if let Some(ensemble) = &self.ensemble {
                    let config = matches!(message, ToLearner::NewLeader { .. })
                        .then(|| ensemble.peer.members().last_seen().to_string());
                    ensemble.send_to_learner(id, &to_learner(&message, config.as_deref().map(str::as_bytes)));
                }
            }
            LeaderEffect::SendSnapshot(id) => self.send_tree(id),
            LeaderEffect::Close(id, why) => self.close_learner(id, why),
            LeaderEffect::Established(epoch) => {
                let shared = self.shared.clone();
                self.serve_from(ServerRole::Leader, |thread| {
                    let now = shared.clock.now();
                    thread.node.begin_leading(&shared.replica.read(), epoch, now);
                });
                self.shared.leader_stats.begin(self.shared.clock.mono().0);
                self.tell_stats();
                tracing::info!(%epoch, "leading");
            }
            LeaderEffect::Commit(zxid) => self.node.committed(zxid),
            LeaderEffect::Synced(id) => self.synced(id),
            // The peer turns them into effects of its own.
            LeaderEffect::Resign(_) | LeaderEffect::See(_) | LeaderEffect::Activate { .. } => {}
        }
    }

    /// Tells four-letter words who follows.
    pub(super) fn tell_stats(&self) {
        let stats = &self.shared.leader_stats;
        let (divergences, last) = self.node.divergences();
        if let Some(last) = last.filter(|_| stats.divergences.swap(divergences, Ordering::Relaxed) != divergences) {
            tracing::error!(
                zxid = %last.zxid,
                expected = %format_args!("{:x}", last.expected),
                found = %format_args!("{:x}", last.found),
                divergences,
                "the tree is not what the leader's was after the same transaction; stop this server, remove its version-2 folder, and start it again to get the leader's"
            );
        }
        let Some(ensemble) = &self.ensemble else { return };
        if let Some(observers) = ensemble.peer.as_observer_master() {
            let count = observers.synced().count() as u64;
            stats.synced_observers.store(count, Ordering::Relaxed);
        }
        let Some(leader) = ensemble.peer.as_leader() else {
            return;
        };
        let (mut followers, mut strangers, mut observers) = (0, 0, 0);
        for (sid, is_observer) in leader.synced() {
            if is_observer {
                observers += 1;
            } else {
                followers += 1;
                strangers += u64::from(!ensemble.peer.members().committed().is_participant(sid));
            }
        }
        stats.learners.store(ensemble.learners.len() as u64, Ordering::Relaxed);
        stats.synced_followers.store(followers, Ordering::Relaxed);
        stats.synced_non_voting_followers.store(strangers, Ordering::Relaxed);
        stats.synced_observers.store(observers, Ordering::Relaxed);
        stats
            .pending_syncs
            .store(ensemble.syncs.len() as u64, Ordering::Relaxed);
    }

    fn synced(&mut self, id: SyncId) {
        let Some(ensemble) = &mut self.ensemble else { return };
        let Some((oldest, asker)) = ensemble.syncs.pop_front() else {
            return;
        };
        assert_eq!(oldest, id, "syncs are answered in the order in which they were asked");
        match asker {
            SyncFor::Client => {
                self.node.synced();
            }
            SyncFor::Learner(learner) => ensemble.send_to_learner(learner, &LeaderMessage::Sync),
            SyncFor::Revalidation(learner, session) => {
                ensemble.send_to_learner(learner, &LeaderMessage::Revalidate { session, valid: true });
            }
        }
    }

    /// Reads a part of the log for a learner, beside everything else.
    pub(super) fn read_log(&self, read: LogRead) {
        let Some(ensemble) = &self.ensemble else { return };
        let LogRead { learner, after, until } = read;
        let (shared, role) = (self.shared.clone(), ensemble.role);
        ensemble.runtime.spawn_blocking(move || {
            let store = &shared.store;
            let found = store
                .log_part_bytes_max(shared.config.ensemble.snapshot_size_factor)
                .and_then(|bytes_max| store.log_part(after, until, bytes_max));
            let part = found.unwrap_or_else(|error| {
                tracing::warn!(%error, "the log could not be read for a learner, which gets the whole tree");
                None
            });
            let part = part.map(|part| LogPart {
                before: part.before,
                entries: part
                    .records
                    .into_iter()
                    .map(|(zxid, txn)| Proposal {
                        zxid,
                        txn: Bytes::from(txn),
                    })
                    .collect(),
            });
            let id = learner;
            shared
                .queue
                .push(NodeEvent::Peer(PeerEvent::LogRead { role, id, part }));
        });
    }

    fn send_tree(&mut self, id: LearnerId) {
        // What was committed so far is not sent again behind the tree.
        self.commit();
        let Some(ensemble) = &self.ensemble else { return };
        let Some(link) = ensemble.learners.get(&id) else { return };
        let (capture, generation) = {
            let mut replica = self.shared.replica.write();
            (replica.tree_mut().begin_capture(), self.shared.tree_generation())
        };
        let zxid = capture.zxid();
        tracing::info!(peer = %link.peer, %zxid, nodes = capture.nodes(), "sending the whole tree to a learner");
        link.send(|out| LeaderMessage::Snap { zxid }.encode(out));
        link.send_tree(TreeSource { capture, generation });
    }
}

fn to_learner<'a>(message: &'a ToLearner, config: Option<&'a [u8]>) -> LeaderMessage<'a> {
    match message {
        ToLearner::LeaderInfo { epoch } => LeaderMessage::leader_info(*epoch),
        ToLearner::Diff { zxid } => LeaderMessage::Diff { zxid: *zxid },
        ToLearner::Trunc { zxid } => LeaderMessage::Trunc { zxid: *zxid },
        ToLearner::Snap { zxid } => LeaderMessage::Snap { zxid: *zxid },
        ToLearner::Proposal { zxid, txn } => LeaderMessage::Proposal { zxid: *zxid, txn },
        ToLearner::Commit { zxid } => LeaderMessage::Commit { zxid: *zxid },
        ToLearner::CommitAndActivate { zxid, leader } => LeaderMessage::CommitAndActivate {
            zxid: *zxid,
            designated_leader: *leader,
        },
        ToLearner::InformAndActivate { zxid, leader, txn } => LeaderMessage::InformAndActivate {
            zxid: *zxid,
            designated_leader: *leader,
            txn,
        },
        ToLearner::Inform { zxid, txn } => LeaderMessage::Inform { zxid: *zxid, txn },
        ToLearner::NewLeader { epoch } => LeaderMessage::NewLeader { epoch: *epoch, config },
        ToLearner::UpToDate => LeaderMessage::UpToDate,
        ToLearner::Ping { zxid } => LeaderMessage::Ping { zxid: *zxid },
    }
}
