//! A learner's part: what its leader says, and what its clients want of the leader.

use std::sync::Arc;

use zebu_node::Forward;
use zebu_proto::quorum::{LearnerInfo, LearnerMessage, QuorumConfig, SessionTouch};
use zebu_proto::{OpCode, SessionId, Sid, Zxid};
use zebu_store::{EpochFile, Sections, StoreError};
use zebu_tree::Tree;
use zebu_zab::{LearnerEffect, RecentHistory, ToLeader, ToLearner};

use super::leader_connection::{LeaderConnection, ReceivedTree};
use super::message::LeaderSays;
use super::observer_master::AskedBy;
use crate::node_thread::NodeThread;
use crate::recovery;
use crate::shared::ServerRole;

impl NodeThread {
    /// Sends what clients want of the leader.
    pub(crate) fn forward(&mut self) {
        let Some(ensemble) = &mut self.ensemble else { return };
        for forward in self.node.take_forwards() {
            match forward {
                Forward::Request {
                    session,
                    xid,
                    op,
                    body,
                    ids,
                } => {
                    if op == OpCode::Sync {
                        ensemble.asked.sync(AskedBy::Here);
                    }
                    ensemble.send_to_leader(&LearnerMessage::Request {
                        session,
                        cxid: xid,
                        op: op.code(),
                        body: &body,
                        authinfo: Some(ids.to_vec()),
                    });
                }
                Forward::Revalidate { session, timeout_ms } => {
                    ensemble.asked.revalidate(session, AskedBy::Here);
                    ensemble.send_to_leader(&LearnerMessage::Revalidate { session, timeout_ms });
                }
            }
        }
    }

    pub(super) fn leader_said(&mut self, connection: u64, says: LeaderSays) {
        let Some(ensemble) = &mut self.ensemble else { return };
        if connection != ensemble.connection {
            return;
        }
        match says {
            LeaderSays::Protocol(message) => {
                if let ToLearner::Ping { zxid } = message {
                    ensemble.pinged = zxid;
                }
                self.peer(|peer, now, effects| peer.leader_said(message, now, effects));
            }
            LeaderSays::Configured { message, text } => self.configured(message, &text),
            LeaderSays::Revalidated { session, is_valid } => self.revalidated(session, is_valid),
            LeaderSays::Synced => self.sync_answered(),
        }
    }

    /// A message of the leader that comes with a configuration.
    fn configured(&mut self, message: ToLearner, text: &[u8]) {
        let Some(ensemble) = &self.ensemble else { return };
        // Where nothing changes, nobody's configuration but one's own counts (ZOOKEEPER-3829).
        if ensemble.peer.members().is_dynamic() {
            let config = match QuorumConfig::from_bytes(text) {
                Ok(config) => Arc::new(config),
                Err(error) => {
                    tracing::error!(%error, "the leader sent a configuration that cannot be read");
                    return self
                        .peer(|peer, _, effects| peer.step_down("the leader's configuration cannot be read", effects));
                }
            };
            self.peer(|peer, _, _| match message {
                ToLearner::Proposal { zxid, .. }
                | ToLearner::Inform { zxid, .. }
                | ToLearner::InformAndActivate { zxid, .. } => peer.reconfig_proposed(zxid, config),
                _ => peer.config_of_leader(config),
            });
        }
        self.peer(|peer, now, effects| peer.leader_said(message, now, effects));
    }

    pub(super) fn tree_received(&mut self, received: ReceivedTree) {
        let ReceivedTree { zxid, tree, writer } = received;
        self.replace_tree(tree, true);
        if let Some(ensemble) = &mut self.ensemble {
            ensemble.received = Some(writer);
        }
        self.peer(|peer, now, effects| peer.snapshot_loaded(zxid, now, effects));
    }

    pub(super) fn learn(&mut self, effect: LearnerEffect) {
        match effect {
            LearnerEffect::Connect(leader) => self.connect_to(leader),
            LearnerEffect::Send(message) => self.tell_leader(&message),
            LearnerEffect::SaveAcceptedEpoch(epoch) => {
                if self.save_epoch(EpochFile::Accepted, epoch) {
                    self.peer(|peer, now, effects| peer.accepted_epoch_saved(epoch, now, effects));
                }
            }
            LearnerEffect::SaveCurrentEpoch(epoch) => {
                // What is on disk is not of that epoch, and must not seem so to whoever counts on it later.
                let is_whole = !self.is_disk_behind();
                if !is_whole || self.save_epoch(EpochFile::Current, epoch) {
                    self.peer(|peer, now, effects| peer.current_epoch_saved(epoch, now, effects));
                }
            }
            LearnerEffect::AnnounceEpoch(epoch) => {
                if let Err(error) = self.shared.store.announce_epoch(epoch) {
                    self.fail(&error);
                }
            }
            LearnerEffect::Truncate(zxid) => self.truncate(zxid),
            // The connection reads the tree by itself, and tells when it has it.
            LearnerEffect::LoadSnapshot => {}
            LearnerEffect::InstallSnapshot(zxid) => self.install(zxid),
            LearnerEffect::Append(proposal) => {
                // It was read once already, when it came.
                if let Err(error) = self.node.append(proposal.zxid, &proposal.txn) {
                    panic!("a transaction of the leader cannot be taken over: {error}");
                }
            }
            LearnerEffect::Commit(zxid) => self.node.committed(zxid),
            LearnerEffect::Serve(epoch) => {
                self.commit();
                let is_observer = self
                    .ensemble
                    .as_ref()
                    .is_some_and(|ensemble| ensemble.peer.is_observer());
                let role = if is_observer {
                    ServerRole::Observer
                } else {
                    ServerRole::Follower
                };
                let shared = self.shared.clone();
                self.serve_from(role, |thread| {
                    let now = shared.clock.now();
                    thread.node.begin_learning(&shared.replica.read(), now);
                });
                tracing::info!(%epoch, %role, "following a leader");
                self.open_observer_port();
                self.note_master();
            }
            // The peer turns them into effects of its own.
            LearnerEffect::Leave(_) | LearnerEffect::See(_) | LearnerEffect::Activate { .. } => {}
        }
    }

    fn connect_to(&mut self, leader: Sid) {
        let Some(ensemble) = &mut self.ensemble else { return };
        ensemble.connection += 1;
        ensemble.leader = None;
        let delay = ensemble.reconnect_delay(&self.shared);
        let routes = ensemble.routes(&self.shared, leader);
        tracing::info!(%leader, by = ?routes.iter().map(|route| route.sid.0).collect::<Vec<_>>(), "connecting to the leader");
        match LeaderConnection::open(&self.shared, routes, delay, ensemble.connection) {
            Ok(connection) => ensemble.leader_connection = Some(connection),
            Err(error) => {
                tracing::error!(%error, "no thread for the connection to the leader");
                self.peer(|peer, _, effects| peer.leader_lost(effects));
            }
        }
    }

    fn tell_leader(&mut self, message: &ToLeader) {
        let now = self.shared.clock.mono();
        let Some(ensemble) = &mut self.ensemble else { return };
        let message = match message {
            ToLeader::Info {
                is_observer,
                accepted_epoch,
                sid,
            } => {
                let info = LearnerInfo::new(*sid, ensemble.peer.members().committed().version);
                let accepted_epoch = *accepted_epoch;
                if *is_observer {
                    LearnerMessage::ObserverInfo { accepted_epoch, info }
                } else {
                    LearnerMessage::FollowerInfo { accepted_epoch, info }
                }
            }
            ToLeader::AckEpoch {
                last_zxid,
                current_epoch,
            } => LearnerMessage::AckEpoch {
                last_zxid: *last_zxid,
                current_epoch: *current_epoch,
            },
            ToLeader::Ack { zxid } => LearnerMessage::Ack { zxid: *zxid },
            ToLeader::Pong => {
                let since = std::mem::replace(&mut ensemble.heard_since, now);
                let touch = |(session, timeout_ms): (SessionId, u64)| SessionTouch {
                    session,
                    timeout_ms: i32::try_from(timeout_ms).unwrap_or(i32::MAX),
                };
                let sessions = self.node.heard_of(since).map(touch);
                LearnerMessage::Ping {
                    zxid: ensemble.pinged,
                    sessions: sessions.chain(ensemble.take_heard_by_observers()).collect(),
                }
            }
        };
        ensemble.send_to_leader(&message);
    }

    // The disk.

    /// Takes back what the leader does not know.
    fn truncate(&mut self, wanted: Zxid) {
        tracing::warn!(to = %wanted, "transactions that were never committed are taken back, as the leader asks");
        self.let_go_of_disk();
        match self.shared.store.truncate_log(wanted) {
            Ok(_) | Err(StoreError::TruncateImpossible { .. }) => {}
            Err(error) => return self.fail(&error),
        }
        if let Some((last, _)) = self.reload() {
            self.peer(|peer, now, effects| peer.truncated(wanted, last, now, effects));
        }
    }

    /// Puts the tree that the leader sent in the place of everything on disk.
    fn install(&mut self, zxid: Zxid) {
        let Some(writer) = self.ensemble.as_mut().and_then(|ensemble| ensemble.received.take()) else {
            return;
        };
        self.let_go_of_disk();
        // The tree of a Java leader holds some of the transactions behind it already: its digest says nothing.
        let sections = Sections {
            digest: None,
            last_zxid: None,
        };
        if !self.may_install(zxid) {
            return;
        }
        if let Err(error) = writer.install(sections) {
            return self.fail(&error);
        }
        self.log.renew(self.shared.store.log_writer(zxid));
        self.logged = zxid;
        self.disk_is_whole();
        self.snapshots.restart(self.node.applied_count(), self.log.bytes());
        self.peer(|peer, _, effects| peer.snapshot_installed(effects));
    }

    /// Nobody writes the log or a snapshot from here on.
    pub(super) fn let_go_of_disk(&mut self) {
        self.snapshots.abandon();
        self.log.release();
    }

    /// Reads everything from disk again. The log must have been let go.
    pub(super) fn reload(&mut self) -> Option<(Zxid, RecentHistory)> {
        let settings = *self.shared.replica.read().tree().settings();
        let recent_count = self.shared.config.ensemble.commit_log_count as usize;
        match recovery::restore(&self.shared.store, settings, recent_count) {
            Ok((tree, recovered, recent)) => {
                if !self.back_to_disk(recovered.last_zxid) {
                    return None;
                }
                self.replace_tree(tree, false);
                self.log.renew(self.shared.store.log_writer(recovered.last_zxid));
                self.logged = recovered.last_zxid;
                self.snapshots.restart(self.node.applied_count(), self.log.bytes());
                Some((recovered.last_zxid, recent))
            }
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    fn replace_tree(&mut self, tree: Tree, is_fuzzy: bool) {
        let before = {
            let mut replica = self.shared.replica.write();
            self.shared.next_tree_generation();
            let before = replica.replace(tree);
            self.node.replaced(&replica, is_fuzzy);
            before
        };
        // With the lock given back: a million nodes take a while to free.
        drop(before);
    }
}
