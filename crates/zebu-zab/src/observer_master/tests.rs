use alloc::format;
use alloc::sync::Arc;
use alloc::vec;

use bytes::Bytes;
use zebu_proto::quorum::{PeerState, QuorumConfig};

use super::*;
use crate::election::{ElectionTimes, Notification};
use crate::leader::OwnHistory;
use crate::learner::LearnerEffect;
use crate::members::Members;
use crate::peer::{Effect, Peer, PeerConfig};
use crate::vote::Vote;

const TICK_MS: u64 = 100;
const OBSERVER: LearnerId = LearnerId(1);

const fn zxid(epoch: i64, counter: i64) -> Zxid {
    Zxid(epoch << 32 | counter)
}

const fn txn(zxid: Zxid) -> (Zxid, Bytes) {
    (zxid, Bytes::from_static(b"txn"))
}

fn proposal(zxid: Zxid) -> ToLearner {
    let (zxid, txn) = txn(zxid);
    ToLearner::Proposal { zxid, txn }
}

fn inform(zxid: Zxid) -> ToLearner {
    let (zxid, txn) = txn(zxid);
    ToLearner::Inform { zxid, txn }
}

/// Server 1, which follows 3 in epoch 2, and has of epoch 1 what is kept in memory: 3, 4 and 5.
struct Follower {
    peer: Peer,
    now: Millis,
}

impl Follower {
    fn new(count_max: usize) -> Self {
        let mut members = QuorumConfig::default();
        for sid in 1..=3 {
            members
                .add(&format!("server.{sid}"), &format!("host:{sid}:1{sid}"))
                .unwrap();
        }
        let config = PeerConfig {
            sid: Sid(1),
            members: Members::new(Arc::new(members)),
            is_observer: false,
            times: Times {
                tick_ms: TICK_MS,
                init_limit: 10,
                sync_limit: 5,
            },
            election: ElectionTimes::default(),
            is_untrusted: false,
        };
        let last_zxid = zxid(1, 5);
        let own = OwnHistory {
            accepted_epoch: Epoch(1),
            current_epoch: Epoch(1),
            last_zxid,
        };
        let mut history = RecentHistory::new(zxid(1, 2), count_max);
        for counter in 3..=5 {
            let (zxid, txn) = txn(zxid(1, counter));
            history.push(Proposal { zxid, txn });
        }
        let mut out = Vec::new();
        let mut peer = Peer::new(config, own, history).with_log();
        peer.settled(last_zxid, None, Millis(0), &mut out);
        for (from, state) in [(2, PeerState::Following), (3, PeerState::Leading)] {
            let vote = Vote {
                leader: Sid(3),
                zxid: last_zxid,
                peer_epoch: 1,
            };
            let notification = Notification {
                state,
                vote,
                round: 1,
                version: 2,
            };
            peer.notified(Sid(from), &notification, Millis(1), &mut out);
        }
        assert!(out.contains(&Effect::Learn(LearnerEffect::Connect(Sid(3)))), "{out:?}");
        Self { peer, now: Millis(2) }
    }

    /// It gets this after DIFF, and follows its leader for good.
    fn established(count_max: usize, history: &[ToLearner]) -> Self {
        let mut follower = Self::new(count_max);
        follower.peer.leader_connected(follower.now, &mut Vec::new());
        follower.hear(ToLearner::LeaderInfo { epoch: Epoch(2) });
        follower
            .peer
            .accepted_epoch_saved(Epoch(2), follower.now, &mut Vec::new());
        follower.hear(ToLearner::Diff { zxid: zxid(1, 5) });
        for message in history {
            follower.hear(message.clone());
        }
        follower.hear(ToLearner::NewLeader { epoch: Epoch(2) });
        follower.peer.flushed(zxid(2, 9), &mut Vec::new());
        follower
            .peer
            .current_epoch_saved(Epoch(2), follower.now, &mut Vec::new());
        follower.hear(ToLearner::UpToDate);
        assert_eq!(follower.peer.established(), Some(Epoch(2)));
        follower
    }

    /// What the observers are to be told, or what becomes of their connections, in order.
    fn hear(&mut self, message: ToLearner) -> Vec<LeaderEffect> {
        let mut out = Vec::new();
        self.peer.leader_said(message, self.now, &mut out);
        for_observers(out)
    }

    fn commit(&mut self, zxid: Zxid) -> Vec<LeaderEffect> {
        self.hear(proposal(zxid));
        self.hear(ToLearner::Commit { zxid })
    }

    fn connect(&mut self, id: LearnerId) {
        self.peer.learner_connected(id, self.now, &mut Vec::new());
    }

    fn said(&mut self, id: LearnerId, message: &ToLeader) -> Vec<LeaderEffect> {
        let mut out = Vec::new();
        self.peer.learner_said(id, message, self.now, &mut out);
        for_observers(out)
    }

    fn introduce(&mut self, id: LearnerId, sid: i64) -> Vec<LeaderEffect> {
        self.connect(id);
        self.said(
            id,
            &ToLeader::Info {
                is_observer: true,
                accepted_epoch: Epoch(1),
                sid: Sid(sid),
            },
        )
    }

    /// An observer, server 4, connects with a history that ends there.
    fn observe(&mut self, id: LearnerId, last_zxid: Zxid) -> Vec<LeaderEffect> {
        assert_eq!(
            self.introduce(id, 3 + i64::try_from(id.0).unwrap()),
            vec![LeaderEffect::Send(id, ToLearner::LeaderInfo { epoch: Epoch(2) })]
        );
        self.said(
            id,
            &ToLeader::AckEpoch {
                last_zxid,
                current_epoch: Some(Epoch(1)),
            },
        )
    }

    /// The same, up to UPTODATE.
    fn serve(&mut self, id: LearnerId) {
        self.observe(id, zxid(1, 5));
        assert!(!self.peer.is_synced(id));
        assert_eq!(self.acknowledge(id), vec![LeaderEffect::Send(id, ToLearner::UpToDate)]);
        assert!(self.peer.is_synced(id));
        assert_eq!(self.acknowledge(id), vec![], "the second one answers UPTODATE");
    }

    fn acknowledge(&mut self, id: LearnerId) -> Vec<LeaderEffect> {
        self.said(id, &ToLeader::Ack { zxid: zxid(2, 0) })
    }

    fn tick(&mut self, ms: u64) -> Vec<LeaderEffect> {
        self.now = self.now.plus(ms);
        let mut out = Vec::new();
        self.peer.tick(self.now, &mut out);
        for_observers(out)
    }
}

fn for_observers(out: Vec<Effect>) -> Vec<LeaderEffect> {
    let effects = out.into_iter().filter_map(|effect| match effect {
        Effect::Lead(effect) => Some(effect),
        _ => None,
    });
    effects.collect()
}

fn say(message: ToLearner) -> LeaderEffect {
    LeaderEffect::Send(OBSERVER, message)
}

fn new_leader() -> LeaderEffect {
    say(ToLearner::NewLeader { epoch: Epoch(2) })
}

fn is_closed(effects: &[LeaderEffect], id: LearnerId) -> bool {
    matches!(effects, [LeaderEffect::Close(closed, _)] if *closed == id)
}

/// ZOOKEEPER-5088: a proposal that came with the follower's own synchronization reaches its observers when it is committed.
#[test]
fn a_proposal_from_the_synchronization_is_told_when_it_is_committed() {
    let mut follower = Follower::established(10, &[proposal(zxid(2, 1))]);
    assert_eq!(
        follower.observe(OBSERVER, zxid(1, 5)),
        vec![say(ToLearner::Diff { zxid: zxid(1, 5) }), new_leader()],
        "what is not committed is not told"
    );
    let (first, second) = (zxid(2, 1), zxid(2, 2));
    assert_eq!(follower.hear(proposal(second)), vec![]);
    // Whether it has acknowledged the history or not.
    assert_eq!(
        follower.hear(ToLearner::Commit { zxid: first }),
        vec![say(inform(first))]
    );
    follower.acknowledge(OBSERVER);
    assert_eq!(
        follower.hear(ToLearner::Commit { zxid: second }),
        vec![say(inform(second))]
    );
}

#[test]
fn a_new_configuration_is_told_as_one() {
    let mut follower = Follower::established(10, &[]);
    follower.serve(OBSERVER);
    let (zxid, leader) = (zxid(2, 1), Sid(3));
    follower.hear(proposal(zxid));
    let (_, txn) = txn(zxid);
    assert_eq!(
        follower.hear(ToLearner::CommitAndActivate { zxid, leader }),
        vec![say(ToLearner::InformAndActivate { zxid, leader, txn })]
    );
}

#[test]
fn an_observer_gets_what_it_lacks() {
    let mut follower = Follower::established(10, &[]);
    let diff = |last| say(ToLearner::Diff { zxid: last });
    let entry = |zxid| [say(proposal(zxid)), say(ToLearner::Commit { zxid })];
    let start = zxid(2, 0);
    assert_eq!(
        follower.observe(OBSERVER, start),
        vec![diff(start), new_leader()],
        "nothing has come since"
    );
    assert_eq!(follower.commit(zxid(2, 1)), vec![say(inform(zxid(2, 1)))]);
    let cases = [
        (zxid(1, 4), [zxid(1, 5), zxid(2, 1)].map(entry).concat()),
        (zxid(1, 5), [zxid(2, 1)].map(entry).concat()),
        (start, [zxid(2, 1)].map(entry).concat()),
        (zxid(2, 1), vec![]),
    ];
    for (last, entries) in cases {
        let expected = [vec![diff(zxid(2, 1))], entries, vec![new_leader()]].concat();
        follower.peer.learner_lost(OBSERVER, &mut Vec::new());
        assert_eq!(follower.observe(OBSERVER, last), expected, "{last}");
    }
    // A voter that was made an observer may have logged what was never committed.
    follower.peer.learner_lost(OBSERVER, &mut Vec::new());
    assert_eq!(
        follower.observe(OBSERVER, zxid(1, 7)),
        vec![LeaderEffect::SendSnapshot(OBSERVER), new_leader()]
    );
}

#[test]
fn an_observer_that_lacks_more_than_is_in_memory_gets_it_from_the_log() {
    let mut follower = Follower::established(10, &[]);
    assert_eq!(follower.observe(OBSERVER, zxid(1, 1)), vec![]);
    let read = LogRead {
        learner: OBSERVER,
        after: zxid(1, 1),
        until: zxid(1, 2),
    };
    assert_eq!(follower.peer.next_log_read(), Some(read));
    assert_eq!(follower.peer.next_log_read(), None);
    let (second, bytes) = txn(zxid(1, 2));
    let part = LogPart {
        before: zxid(1, 1),
        entries: vec![Proposal {
            zxid: second,
            txn: bytes,
        }],
    };
    let mut out = Vec::new();
    follower.peer.log_read(OBSERVER, Some(part), follower.now, &mut out);
    let messages = for_observers(out);
    assert_eq!(messages[0], say(ToLearner::Diff { zxid: zxid(1, 5) }));
    assert_eq!(messages[1], say(proposal(second)));
    assert_eq!((messages.len(), messages.last()), (10, Some(&new_leader())));

    follower.peer.learner_lost(OBSERVER, &mut Vec::new());
    follower.observe(OBSERVER, zxid(1, 1));
    let mut out = Vec::new();
    follower.peer.log_read(OBSERVER, None, follower.now, &mut out);
    assert_eq!(
        for_observers(out),
        vec![LeaderEffect::SendSnapshot(OBSERVER), new_leader()]
    );
}

/// The reference has it take back what is committed.
#[test]
fn an_observer_that_is_ahead_waits_for_the_follower() {
    let mut follower = Follower::established(10, &[proposal(zxid(2, 1))]);
    follower.hear(proposal(zxid(2, 2)));
    assert_eq!(follower.observe(OBSERVER, zxid(2, 2)), vec![]);
    assert_eq!(follower.hear(ToLearner::Commit { zxid: zxid(2, 1) }), vec![]);
    assert_eq!(
        follower.hear(ToLearner::Commit { zxid: zxid(2, 2) }),
        vec![say(ToLearner::Diff { zxid: zxid(2, 2) }), new_leader()]
    );
}

#[test]
fn what_is_not_kept_in_memory_is_not_passed_over() {
    let mut follower = Follower::established(0, &[]);
    follower.serve(OBSERVER);
    assert!(is_closed(&follower.commit(zxid(2, 1)), OBSERVER));
}

#[test]
fn strangers_and_those_out_of_turn_are_closed() {
    let info = |is_observer, accepted_epoch, sid| ToLeader::Info {
        is_observer,
        accepted_epoch: Epoch(accepted_epoch),
        sid: Sid(sid),
    };
    let mut follower = Follower::established(10, &[]);
    let mut is_refused = |message: ToLeader| {
        follower.connect(OBSERVER);
        let is_closed = is_closed(&follower.said(OBSERVER, &message), OBSERVER);
        assert_eq!(follower.said(OBSERVER, &message), vec![], "nobody is there any more");
        is_closed
    };
    assert!(is_refused(info(false, 1, 2)), "a follower");
    assert!(is_refused(info(true, 1, 1)), "the server's own id");
    assert!(is_refused(info(true, 3, 4)), "of a later epoch");
    assert!(is_refused(ToLeader::Pong));
    assert!(is_refused(ToLeader::Ack { zxid: zxid(2, 0) }));

    let is_refused = |message: ToLeader| {
        let mut follower = Follower::established(10, &[]);
        follower.serve(OBSERVER);
        is_closed(&follower.said(OBSERVER, &message), OBSERVER)
    };
    assert!(is_refused(ToLeader::Pong), "it was not asked");
    assert!(is_refused(ToLeader::Ack { zxid: zxid(1, 0) }), "another epoch");
    assert!(is_refused(ToLeader::Ack { zxid: zxid(2, 1) }), "it has no vote");
    assert!(is_refused(info(true, 1, 4)), "a second time");

    let mut follower = Follower::established(10, &[]);
    follower.serve(OBSERVER);
    let again = LearnerId(2);
    follower.connect(again);
    let out = follower.said(again, &info(true, 1, 4));
    assert!(is_closed(&out[..1], OBSERVER), "it has connected again: {out:?}");
    assert_eq!(out.len(), 2);
}

#[test]
fn nobody_observes_a_server_that_has_no_established_leader() {
    let mut follower = Follower::new(10);
    let out = follower.introduce(OBSERVER, 4);
    assert!(is_closed(&out, OBSERVER), "{out:?}");
    let mut follower = Follower::established(10, &[]);
    follower.serve(OBSERVER);
    assert_eq!(
        follower.peer.as_observer_master().map(|own| own.synced().count()),
        Some(1)
    );
    follower.peer.leader_lost(&mut Vec::new());
    assert!(follower.peer.as_observer_master().is_none());
    assert!(!follower.peer.is_synced(OBSERVER));
}

#[test]
fn observers_are_pinged_and_silent_ones_given_up() {
    let mut follower = Follower::established(10, &[]);
    follower.serve(OBSERVER);
    let ping = say(ToLearner::Ping { zxid: zxid(1, 5) });
    let half = TICK_MS / 2;
    assert_eq!(follower.tick(half), vec![ping.clone()]);
    assert_eq!(follower.said(OBSERVER, &ToLeader::Pong), vec![]);
    // The leader is not silent meanwhile.
    for _ in 0..10 {
        follower.hear(ToLearner::Ping { zxid: zxid(2, 0) });
        assert_eq!(follower.tick(half), vec![ping.clone()]);
    }
    follower.hear(ToLearner::Ping { zxid: zxid(2, 0) });
    assert!(is_closed(&follower.tick(half), OBSERVER));
    assert_eq!(follower.tick(half), vec![]);
}
