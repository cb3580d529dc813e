//! What a leader does, step by step.

mod reconfiguration;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;

use bytes::Bytes;
use zebu_proto::quorum::QuorumConfig;

use super::*;

const fn zxid(epoch: i64, counter: i64) -> Zxid {
    Zxid(epoch << 32 | counter)
}

const TIMES: Times = Times {
    tick_ms: 100,
    init_limit: 10,
    sync_limit: 5,
};

fn members(voters: i64) -> Members {
    let mut config = QuorumConfig::default();
    for sid in 1..=voters {
        let line = format!("h:{}:{}", 2000 + sid, 3000 + sid);
        config.add(&format!("server.{sid}"), &line).unwrap();
    }
    Members::new(Arc::new(config))
}

/// Server 1 of three, with a history of epoch 1 that ends with its fourth transaction.
struct Bench {
    leader: Leader,
    now: Millis,
}

const fn follower(sid: i64, accepted_epoch: u32) -> ToLeader {
    ToLeader::Info {
        is_observer: false,
        accepted_epoch: Epoch(accepted_epoch),
        sid: Sid(sid),
    }
}

const fn promise(last_zxid: Zxid, current_epoch: Option<Epoch>) -> ToLeader {
    ToLeader::AckEpoch {
        last_zxid,
        current_epoch,
    }
}

const fn ack(zxid: Zxid) -> ToLeader {
    ToLeader::Ack { zxid }
}

const TWO: LearnerId = LearnerId(20);
const THREE: LearnerId = LearnerId(30);
const LAST: Zxid = zxid(1, 4);

impl Bench {
    fn new() -> Self {
        Self::with_members(members(3))
    }

    fn with_members(members: Members) -> Self {
        let own = OwnHistory {
            accepted_epoch: Epoch(1),
            current_epoch: Epoch(1),
            last_zxid: LAST,
        };
        let mut history = RecentHistory::new(zxid(1, 1), 100);
        for counter in 2..=4 {
            history.push(proposal(zxid(1, counter)));
        }
        let now = Millis(1000);
        let mut leader = Leader::new(Sid(1), members, TIMES, own, history, now);
        leader.read_log();
        Self { leader, now }
    }

    fn hear(&mut self, id: LearnerId, message: &ToLeader) -> Effects {
        let mut out = Vec::new();
        self.leader.receive(id, message, self.now, &mut out);
        out
    }

    fn connect(&mut self, id: LearnerId, info: &ToLeader) -> Effects {
        self.leader.connected(id, self.now);
        self.hear(id, info)
    }

    fn accepted(&mut self) -> Effects {
        let mut out = Vec::new();
        self.leader.accepted_epoch_saved(self.now, &mut out);
        out
    }

    fn current(&mut self) -> Effects {
        let mut out = Vec::new();
        self.leader.current_epoch_saved(self.now, &mut out);
        out
    }

    /// With server 2 as its follower, in epoch 2.
    fn leading() -> Self {
        Self::new().lead()
    }

    fn lead(self) -> Self {
        let mut bench = self;
        bench.connect(TWO, &follower(2, 1));
        bench.accepted();
        bench.hear(TWO, &promise(LAST, Some(Epoch(1))));
        bench.current();
        bench.hear(TWO, &ack(zxid(2, 0)));
        assert_eq!(bench.leader.established(), Some(Epoch(2)));
        bench
    }

    fn propose(&mut self, zxid: Zxid) -> Effects {
        let mut out = Vec::new();
        self.leader.propose(proposal(zxid), self.now, &mut out);
        out
    }

    fn flushed(&mut self, zxid: Zxid) -> Effects {
        let mut out = Vec::new();
        self.leader.flushed(zxid, &mut out);
        out
    }

    fn sync(&mut self, id: u64) -> Effects {
        let mut out = Vec::new();
        self.leader.sync(SyncId(id), &mut out);
        out
    }

    fn tick(&mut self, after_ms: u64) -> Effects {
        self.now = self.now.plus(after_ms);
        let mut out = Vec::new();
        self.leader.tick(self.now, &mut out);
        out
    }
}

const fn proposal(zxid: Zxid) -> Proposal {
    Proposal {
        zxid,
        txn: Bytes::from_static(b"txn"),
    }
}

const fn send(to: LearnerId, message: ToLearner) -> LeaderEffect {
    LeaderEffect::Send(to, message)
}

fn resigns(effects: &[LeaderEffect]) -> bool {
    matches!(effects.last(), Some(LeaderEffect::Resign(_)))
}

#[test]
fn an_epoch_begins_when_a_quorum_has_promised_and_has_the_history() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.connect(TWO, &follower(2, 6)),
        vec![LeaderEffect::SaveAcceptedEpoch(Epoch(7))]
    );
    let epoch = Epoch(7);
    assert_eq!(bench.accepted(), vec![send(TWO, ToLearner::LeaderInfo { epoch })]);
    // Who comes later gets the same epoch.
    assert_eq!(
        bench.connect(THREE, &follower(3, 3)),
        vec![send(THREE, ToLearner::LeaderInfo { epoch })]
    );
    // A second promise of the same epoch does not count.
    assert_eq!(bench.hear(THREE, &promise(LAST, None)), vec![]);
    assert_eq!(
        bench.hear(TWO, &promise(zxid(1, 2), Some(Epoch(1)))),
        vec![LeaderEffect::SaveCurrentEpoch(epoch)]
    );
    let txn = || Bytes::from_static(b"txn");
    let mut expected = vec![send(TWO, ToLearner::Diff { zxid: LAST })];
    for counter in 3..=4 {
        let zxid = zxid(1, counter);
        expected.push(send(TWO, ToLearner::Proposal { zxid, txn: txn() }));
        expected.push(send(TWO, ToLearner::Commit { zxid }));
    }
    expected.push(send(TWO, ToLearner::NewLeader { epoch }));
    expected.push(send(THREE, ToLearner::Diff { zxid: LAST }));
    expected.push(send(THREE, ToLearner::NewLeader { epoch }));
    assert_eq!(bench.current(), expected);
    assert_eq!(
        bench.hear(THREE, &ack(zxid(7, 0))),
        vec![LeaderEffect::Established(epoch), send(THREE, ToLearner::UpToDate)]
    );
    assert_eq!(bench.hear(TWO, &ack(zxid(7, 0))), vec![send(TWO, ToLearner::UpToDate)]);
    assert_eq!(bench.hear(TWO, &ack(zxid(7, 0))), vec![], "the answer to UPTODATE");
}

#[test]
fn what_a_quorum_has_is_committed_in_order() {
    let mut bench = Bench::leading();
    let (one, two) = (zxid(2, 1), zxid(2, 2));
    assert_eq!(
        bench.propose(one),
        vec![send(
            TWO,
            ToLearner::Proposal {
                zxid: one,
                txn: Bytes::from_static(b"txn")
            }
        )]
    );
    bench.propose(two);
    assert_eq!(bench.flushed(two), vec![], "alone it is no quorum");
    let commit = |zxid| [send(TWO, ToLearner::Commit { zxid }), LeaderEffect::Commit(zxid)];
    assert_eq!(bench.hear(TWO, &ack(one)), commit(one));
    assert_eq!(bench.hear(TWO, &ack(two)), commit(two));
    // What nobody proposed cannot be acknowledged.
    assert!(matches!(
        bench.hear(TWO, &ack(zxid(2, 9)))[..],
        [LeaderEffect::Close(TWO, _)]
    ));
}

/// ZOOKEEPER-4685: a follower of the reference may acknowledge a proposal before the history.
#[test]
fn an_early_acknowledgement_is_kept_and_does_not_stand_for_the_history() {
    let mut bench = Bench::leading();
    let one = zxid(2, 1);
    bench.connect(THREE, &follower(3, 1));
    bench.hear(THREE, &promise(LAST, Some(Epoch(1))));
    bench.propose(one);
    bench.flushed(one);
    bench.leader.lost(TWO, &mut vec![]);
    assert_eq!(bench.hear(THREE, &ack(one)), vec![]);
    assert_eq!(
        bench.hear(THREE, &ack(zxid(2, 0))),
        vec![
            send(THREE, ToLearner::UpToDate),
            send(THREE, ToLearner::Commit { zxid: one }),
            LeaderEffect::Commit(one)
        ]
    );
}

/// ZOOKEEPER-2136, 3600: a leader that was deposed must not say that its state is the newest.
#[test]
fn a_sync_waits_for_what_came_before_and_for_a_sign_of_a_quorum() {
    let mut bench = Bench::leading();
    let (one, two) = (zxid(2, 1), zxid(2, 2));
    let ping = |zxid| send(TWO, ToLearner::Ping { zxid });
    assert_eq!(bench.sync(1), vec![ping(zxid(2, 0))]);
    bench.propose(one);
    assert_eq!(bench.sync(2), vec![ping(one)]);
    assert_eq!(bench.hear(TWO, &ToLeader::Pong), vec![LeaderEffect::Synced(SyncId(1))]);
    assert_eq!(
        bench.hear(TWO, &ToLeader::Pong),
        vec![],
        "what was proposed is not committed"
    );
    bench.flushed(one);
    let committed = bench.hear(TWO, &ack(one));
    assert_eq!(committed.last(), Some(&LeaderEffect::Synced(SyncId(2))));
    // A later commit shows as much as an answer to a ping. The sync is not overtaken by it: a Java follower would take the
    // one for the other (found by chaos).
    assert_eq!(bench.sync(3), vec![ping(one)]);
    bench.propose(two);
    bench.flushed(two);
    let committed = bench.hear(TWO, &ack(two));
    assert_eq!(committed.first(), Some(&LeaderEffect::Synced(SyncId(3))));
    assert!(
        committed.contains(&send(TWO, ToLearner::Commit { zxid: two })),
        "{committed:?}"
    );
}

/// A leader of the past, or one that would cut what others have, must not lead.
#[test]
fn a_leader_gives_up_before_somebody_who_is_ahead() {
    let mut bench = Bench::new();
    bench.connect(TWO, &follower(2, 1));
    bench.accepted();
    assert!(resigns(&bench.hear(TWO, &promise(zxid(1, 5), Some(Epoch(1))))));

    let mut bench = Bench::leading();
    assert!(
        resigns(&bench.connect(THREE, &follower(3, 9))),
        "it has accepted a later epoch"
    );
    let mut bench = Bench::leading();
    let stranger = follower(99, 9);
    assert!(
        !resigns(&bench.connect(THREE, &stranger)),
        "who does not vote does not decide"
    );

    // Behind is whoever has a shorter history of an earlier epoch, however long its log is.
    let mut bench = Bench::leading();
    bench.connect(THREE, &follower(3, 1));
    let effects = bench.hear(THREE, &promise(zxid(1, 9), Some(Epoch(1))));
    assert_eq!(effects[0], send(THREE, ToLearner::Trunc { zxid: LAST }));
}

#[test]
fn a_leader_without_a_quorum_gives_up() {
    let mut bench = Bench::new();
    assert!(!resigns(&bench.tick(TIMES.init_ms())));
    assert!(resigns(&bench.tick(1)), "nobody came");

    let mut bench = Bench::leading();
    bench.leader.lost(TWO, &mut vec![]);
    assert!(resigns(&bench.tick(100)));

    // A follower that is silent, and one that does not log.
    let mut bench = Bench::leading();
    bench.hear(TWO, &ack(zxid(2, 0)));
    assert!(resigns(&bench.tick(TIMES.sync_ms() + 1)));
    let mut bench = Bench::leading();
    bench.propose(zxid(2, 1));
    for _ in 0..TIMES.sync_limit * 2 {
        assert!(!resigns(&bench.tick(TIMES.tick_ms / 2)));
        bench.hear(TWO, &ToLeader::Pong);
    }
    assert!(resigns(&bench.tick(TIMES.tick_ms / 2)));
}

#[test]
fn a_server_that_connects_anew_has_one_connection() {
    let mut bench = Bench::leading();
    let again = LearnerId(21);
    let effects = bench.connect(again, &follower(2, 2));
    assert!(matches!(effects[0], LeaderEffect::Close(TWO, _)), "{effects:?}");
    let mine = bench.connect(THREE, &follower(1, 2));
    assert!(
        matches!(mine[..], [LeaderEffect::Close(THREE, _)]),
        "its own id: {mine:?}"
    );
}

fn txn(counter: i64) -> Proposal {
    proposal(zxid(1, counter))
}

/// A learner with a history from before what is in memory, which holds (1, 2) to (1, 4).
fn behind(bench: &mut Bench) -> Effects {
    bench.connect(THREE, &follower(3, 1));
    bench.hear(THREE, &promise(zxid(0, 7), Some(Epoch(0))))
}

#[test]
fn a_learner_that_is_far_behind_is_sent_what_is_in_the_log() {
    let mut bench = Bench::leading();
    let until = zxid(1, 1);
    let asked = LogRead {
        learner: THREE,
        after: zxid(0, 7),
        until,
    };
    assert_eq!(behind(&mut bench), vec![]);
    assert_eq!(bench.leader.next_log_read(), Some(asked));
    assert_eq!(bench.leader.next_log_read(), None);
    // It is not registered before the decision.
    assert!(
        !bench
            .propose(zxid(2, 1))
            .iter()
            .any(|effect| matches!(effect, LeaderEffect::Send(THREE, _)))
    );
    let mut out = Vec::new();
    let part = LogPart {
        before: zxid(0, 7),
        entries: vec![proposal(zxid(0, 8)), txn(1)],
    };
    bench.leader.log_read(THREE, Some(part), bench.now, &mut out);
    let sent: Vec<_> = out
        .iter()
        .map(|effect| match effect {
            LeaderEffect::Send(THREE, ToLearner::Proposal { zxid, .. }) => format!("proposal {zxid}"),
            LeaderEffect::Send(THREE, ToLearner::Commit { zxid }) => format!("commit {zxid}"),
            LeaderEffect::Send(THREE, ToLearner::Diff { zxid }) => format!("diff {zxid}"),
            other => format!("{other:?}"),
        })
        .collect();
    let mut expected = vec![format!("diff {LAST}")];
    for zxid in [zxid(0, 8), zxid(1, 1), zxid(1, 2), zxid(1, 3), zxid(1, 4)] {
        expected.extend([format!("proposal {zxid}"), format!("commit {zxid}")]);
    }
    expected.push(format!("proposal {}", zxid(2, 1)));
    assert_eq!(sent[..sent.len() - 1], expected);
    assert_eq!(out.last(), Some(&send(THREE, ToLearner::NewLeader { epoch: Epoch(2) })));
}

#[test]
fn a_learner_gets_the_whole_tree_if_the_log_does_not_do() {
    let hole = LogPart {
        before: zxid(0, 7),
        entries: vec![proposal(zxid(0, 9)), txn(1)],
    };
    for part in [None, Some(hole)] {
        let mut bench = Bench::leading();
        behind(&mut bench);
        let mut out = Vec::new();
        bench.leader.log_read(THREE, part, bench.now, &mut out);
        assert_eq!(out[0], LeaderEffect::SendSnapshot(THREE));
    }
}

#[test]
fn what_left_memory_while_the_log_was_read_is_read_as_well() {
    let mut bench = Bench::leading();
    behind(&mut bench);
    bench.leader.next_log_read();
    // Memory holds 100.
    for counter in 1..=99 {
        bench.propose(zxid(2, counter));
    }
    bench.flushed(zxid(2, 99));
    bench.hear(TWO, &ack(zxid(2, 99)));
    let mut out = Vec::new();
    let part = LogPart {
        before: zxid(0, 7),
        entries: vec![txn(1)],
    };
    bench.leader.log_read(THREE, Some(part), bench.now, &mut out);
    let asked = LogRead {
        learner: THREE,
        after: zxid(1, 1),
        until: zxid(1, 3),
    };
    assert_eq!(out, vec![]);
    assert_eq!(bench.leader.next_log_read(), Some(asked));
    let rest = LogPart {
        before: zxid(1, 1),
        entries: vec![txn(2), txn(3)],
    };
    bench.leader.log_read(THREE, Some(rest), bench.now, &mut out);
    assert_eq!(out[0], send(THREE, ToLearner::Diff { zxid: zxid(2, 99) }));
    assert_eq!(out.len(), 1 + 2 * (3 + 1 + 99) + 1);
}

#[test]
fn a_leader_hands_over_when_everybody_has_everything() {
    let mut bench = Bench::leading();
    let one = zxid(2, 1);
    bench.propose(one);
    let mut out = Vec::new();
    bench.leader.hand_over(bench.now, &mut out);
    assert_eq!(out, vec![]);
    assert!(bench.leader.is_handing_over());
    bench.flushed(one);
    let effects = bench.hear(TWO, &ack(one));
    assert_eq!(
        effects[..2],
        [send(TWO, ToLearner::Commit { zxid: one }), LeaderEffect::Commit(one)]
    );
    assert!(resigns(&effects));

    // Nobody waits for ever.
    let mut bench = Bench::leading();
    bench.propose(one);
    bench.leader.hand_over(bench.now, &mut out);
    assert!(!resigns(&bench.tick(TIMES.tick_ms / 2)));
    assert!(resigns(&bench.tick(TIMES.tick_ms / 2)));
}

#[test]
fn the_counter_is_not_used_up() {
    let mut bench = Bench::leading();
    bench.leader.counter_end = 2;
    bench.propose(zxid(2, 1));
    assert!(!bench.leader.is_handing_over());
    bench.propose(zxid(2, 2));
    assert!(bench.leader.is_handing_over());
}
