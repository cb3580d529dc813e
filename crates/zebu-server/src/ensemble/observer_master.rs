//! A follower's part for its observers: what they want of the leader goes there with what its own clients want, and the
//! answers come back in one stream.
//!
//! Source: `ObserverMaster`, `FollowerRequestProcessor`, `FollowerZooKeeperServer.sync`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use zebu_proto::quorum::{HostPort, LeaderMessage, LearnerMessage, SessionTouch};
use zebu_proto::{OpCode, SessionId};
use zebu_zab::{LearnerId, ToLeader};

use super::message::LearnerSays;
use super::quorum_port::{Port, QuorumPort};
use super::state::Ensemble;
use crate::node_thread::NodeThread;

/// Who waits for something that the leader was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedBy {
    /// A client of this server.
    Here,
    /// A client of an observer of this server.
    Observer(LearnerId),
}

/// What the leader was asked for and has not answered, on behalf of this server and of its observers.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The leader answers in the order in which it was asked.
    syncs: VecDeque<AskedBy>,
    /// Whether these sessions exist. The leader may answer for one before another.
    revalidations: BTreeMap<SessionId, VecDeque<AskedBy>>,
}

impl Asked {
    pub(super) fn sync(&mut self, by: AskedBy) {
        self.syncs.push_back(by);
    }

    /// The oldest sync is answered: for whom? `None` if nobody has asked.
    pub(super) fn synced(&mut self) -> Option<AskedBy> {
        self.syncs.pop_front()
    }

    pub(super) fn revalidate(&mut self, session: SessionId, by: AskedBy) {
        self.revalidations.entry(session).or_default().push_back(by);
    }

    /// The leader has answered whether a session exists: whom? `None` if nobody has asked.
    pub(super) fn revalidated(&mut self, session: SessionId) -> Option<AskedBy> {
        let waiting = self.revalidations.get_mut(&session)?;
        let by = waiting.pop_front();
        if waiting.is_empty() {
            self.revalidations.remove(&session);
        }
        by
    }

    pub(super) fn clear(&mut self) {
        self.syncs.clear();
        self.revalidations.clear();
    }
}

impl NodeThread {
    /// Observers may connect to a follower, if it is configured so.
    pub(super) fn open_observer_port(&mut self) {
        let config = &self.shared.config.ensemble;
        let Some(ensemble) = &mut self.ensemble else { return };
        let Some(port) = config.observer_master_port.filter(|_| !ensemble.peer.is_observer()) else {
            return;
        };
        tracing::info!(port, "observers may connect (observerMasterPort)");
        let hosts: BTreeSet<String> = ensemble.quorum_listen().into_iter().map(|own| own.host).collect();
        let addresses = hosts.iter().map(|host| HostPort::new(host, port));
        ensemble.port = Some(QuorumPort::open(
            ensemble.runtime.handle(),
            &self.shared,
            Port::Observers,
            addresses.collect(),
            ensemble.role,
            &ensemble.next_learner,
        ));
    }

    /// An observer of this follower says something.
    pub(super) fn observer_said(&mut self, id: LearnerId, says: LearnerSays) {
        let Some(ensemble) = &mut self.ensemble else { return };
        let is_synced = ensemble.peer.is_synced(id);
        match says {
            LearnerSays::Protocol(message) | LearnerSays::Introduced { message, .. } => {
                self.peer(|peer, now, effects| peer.learner_said(id, &message, now, effects));
            }
            LearnerSays::Pong(sessions) => {
                // The leader is told with the next answer to a ping of its. What it does not know is left out: what an
                // observer sends must not stay here for ever.
                for SessionTouch { session, timeout_ms } in sessions {
                    if self.node.sessions().handle(session).is_some() {
                        ensemble.heard_by_observers.insert(session, timeout_ms);
                    }
                }
                self.peer(|peer, now, effects| peer.learner_said(id, &ToLeader::Pong, now, effects));
            }
            LearnerSays::Revalidate { .. } | LearnerSays::Request { .. } if !is_synced => {
                self.refuse_observer(id, "it asked for something out of turn");
            }
            LearnerSays::Revalidate { session, timeout_ms } => {
                ensemble.asked.revalidate(session, AskedBy::Observer(id));
                ensemble.send_to_leader(&LearnerMessage::Revalidate { session, timeout_ms });
            }
            LearnerSays::Request {
                session,
                xid,
                op,
                body,
                ids,
            } => {
                // A leader would take it for this server's, and end the connection to it.
                if let Err(why) = may_be_forwarded(op, &body) {
                    return self.refuse_observer(id, why);
                }
                if op == OpCode::Sync.code() {
                    ensemble.asked.sync(AskedBy::Observer(id));
                }
                ensemble.send_to_leader(&LearnerMessage::Request {
                    session,
                    cxid: xid,
                    op,
                    body: &body,
                    authinfo: Some(ids),
                });
            }
        }
    }

    fn refuse_observer(&mut self, id: LearnerId, why: &'static str) {
        self.close_learner(id, why);
        self.peer(|peer, _, effects| peer.learner_lost(id, effects));
    }

    /// The leader's word on a session.
    pub(super) fn revalidated(&mut self, session: SessionId, valid: bool) {
        let now = self.shared.clock.now();
        let Some(ensemble) = &mut self.ensemble else { return };
        match ensemble.asked.revalidated(session) {
            Some(AskedBy::Observer(id)) => {
                if valid {
                    // Its client is not here any more.
                    self.node.session_moved(session, &mut self.outputs);
                }
                ensemble.send_to_learner(id, &LeaderMessage::Revalidate { session, valid });
            }
            Some(AskedBy::Here) => self.node.revalidated(session, valid, now, &mut self.outputs),
            None => tracing::debug!(%session, "the leader answered for a session of which nobody has asked"),
        }
    }

    /// The leader has answered the oldest sync.
    pub(super) fn sync_answered(&mut self) {
        let Some(ensemble) = &mut self.ensemble else { return };
        match ensemble.asked.synced() {
            // What was committed before has been sent to it.
            Some(AskedBy::Observer(id)) => ensemble.send_to_learner(id, &LeaderMessage::Sync),
            Some(AskedBy::Here) => {
                self.node.synced();
            }
            None => tracing::debug!("the leader answered a sync that nobody has asked for"),
        }
    }
}

impl Ensemble {
    /// Sessions that observers have heard of since this was last asked.
    pub(super) fn take_heard_by_observers(&mut self) -> impl Iterator<Item = SessionTouch> + use<> {
        let heard = std::mem::take(&mut self.heard_by_observers);
        heard
            .into_iter()
            .map(|(session, timeout_ms)| SessionTouch { session, timeout_ms })
    }
}

/// Whether this is something that a learner forwards.
///
/// Source: `FollowerRequestProcessor.run`.
fn may_be_forwarded(op: i32, body: &[u8]) -> Result<(), &'static str> {
    match OpCode::from_i32(op) {
        None => Err("it forwarded an unknown operation"),
        Some(OpCode::CreateSession) if body.len() < size_of::<i32>() => Err("it asked for a session without a timeout"),
        Some(OpCode::CreateSession | OpCode::CloseSession | OpCode::Sync) => Ok(()),
        Some(op) if op.is_client_request() && op.is_write() => Ok(()),
        Some(_) => Err("it forwarded what is no write"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_those_who_have_asked() {
        let mut asked = Asked::default();
        let observer = AskedBy::Observer(LearnerId(7));
        let (one, other) = (SessionId(1), SessionId(2));
        for by in [AskedBy::Here, observer, AskedBy::Here] {
            asked.sync(by);
        }
        asked.revalidate(one, observer);
        asked.revalidate(one, AskedBy::Here);
        asked.revalidate(other, AskedBy::Here);
        assert_eq!(asked.revalidated(other), Some(AskedBy::Here));
        assert_eq!(asked.revalidated(one), Some(observer));
        assert_eq!(asked.revalidated(one), Some(AskedBy::Here));
        assert_eq!(asked.revalidated(one), None);
        assert_eq!(asked.revalidations.len(), 0);
        let order = [asked.synced(), asked.synced(), asked.synced(), asked.synced()];
        assert_eq!(order, [Some(AskedBy::Here), Some(observer), Some(AskedBy::Here), None]);
        asked.sync(observer);
        asked.clear();
        assert_eq!(asked.synced(), None);
    }

    #[test]
    fn only_what_a_learner_forwards_is_passed_on() {
        let timeout = 1000i32.to_be_bytes();
        assert_eq!(may_be_forwarded(OpCode::CreateSession.code(), &timeout), Ok(()));
        assert!(may_be_forwarded(OpCode::CreateSession.code(), &timeout[1..]).is_err());
        for op in [
            OpCode::CloseSession,
            OpCode::Sync,
            OpCode::Create,
            OpCode::Multi,
            OpCode::SetAcl,
        ] {
            assert_eq!(may_be_forwarded(op.code(), b""), Ok(()), "{op:?}");
        }
        for op in [OpCode::GetData, OpCode::Ping] {
            assert!(may_be_forwarded(op.code(), b"").is_err(), "{op:?}");
        }
        assert!(may_be_forwarded(4711, b"").is_err());
    }
}
