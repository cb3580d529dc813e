//! A leader and its learners, joined by hand: what one wants of the other arrives when the test says so.

use alloc::vec::Vec;

use zebu_proto::jute::Write as _;
use zebu_proto::session::password;
use zebu_proto::{CreateMode, Epoch, OpCode, SessionId};

use super::bench::{Bench, FakeConn, Got, TICK_MS, create, frame, replies};
use crate::{Connection, Forward, LearnerKey, LogBatch, NodeConfig, PendingConnect};

/// Servers of one ensemble; the first one leads.
pub(super) struct Members {
    pub(super) leader: Bench,
    pub(super) learners: Vec<Bench>,
}

impl Members {
    pub(super) fn new(learners: i64, configure: impl Fn(&mut NodeConfig)) -> Self {
        let member = |sid| {
            let mut config = Bench::config(sid);
            configure(&mut config);
            Bench::member(config)
        };
        let mut leader = member(1);
        leader.node.begin_leading(&leader.replica, Epoch(1), leader.now);
        let mut learners: Vec<Bench> = (2..2 + learners).map(member).collect();
        for learner in &mut learners {
            learner.node.begin_learning(&learner.replica, learner.now);
        }
        Self { leader, learners }
    }

    /// The leader gets what a learner has for it.
    pub(super) fn forward(&mut self, at: usize) {
        let forwards = self.learners[at].node.take_forwards();
        self.carry(at, forwards);
    }

    fn carry(&mut self, at: usize, forwards: Vec<Forward>) {
        let (leader, learner) = (&mut self.leader, &mut self.learners[at]);
        let key = LearnerKey(at as u64);
        for forward in forwards {
            match forward {
                Forward::Request {
                    session,
                    xid,
                    op,
                    body,
                    ids,
                } => leader
                    .node
                    .learner_request(&leader.replica, key, session, xid, op.code(), &ids, &body, leader.now)
                    .unwrap(),
                Forward::Revalidate { session, timeout_ms } => {
                    let is_valid =
                        leader
                            .node
                            .learner_revalidates(key, session, timeout_ms, leader.now, &mut leader.outputs);
                    learner
                        .node
                        .revalidated(session, is_valid, learner.now, &mut learner.outputs);
                }
            }
        }
    }

    /// What the leader has proposed is committed everywhere.
    pub(super) fn commit(&mut self) {
        let batch = self.leader.node.take_log(LogBatch::default());
        for learner in &mut self.learners {
            for (zxid, txn) in batch.records() {
                learner.node.append(zxid, txn).unwrap();
                learner.node.committed(zxid);
            }
            learner.settle();
        }
        if let Some(zxid) = batch.last_zxid() {
            self.leader.node.committed(zxid);
        }
        self.leader.settle();
    }

    /// Everything that is on its way arrives.
    pub(super) fn settle(&mut self) {
        for at in 0..self.learners.len() {
            self.learners[at].settle();
            self.forward(at);
        }
        self.commit();
    }

    /// A client of a learner, with a new session.
    pub(super) fn client(&mut self, at: usize) -> FakeConn {
        let conn = self.conn(at);
        self.learners[at].connect(&conn, &Bench::connect_request());
        self.settle();
        assert_eq!(self.learners[at].got(&conn), [Got::Connected]);
        conn
    }

    /// A connection of a learner.
    pub(super) fn conn(&mut self, at: usize) -> FakeConn {
        self.learners[at].conn()
    }

    /// A tick of the leader after some time. Returns how many sessions expired.
    pub(super) fn tick_after(&mut self, ms: u64) -> usize {
        self.leader.pass(ms);
        let expired = self.leader.node.tick(&self.leader.replica, self.leader.now);
        self.settle();
        expired.len()
    }
}

pub(super) fn renewal(session: SessionId) -> PendingConnect {
    PendingConnect {
        session,
        password: password(session).to_vec(),
        ..Bench::connect_request()
    }
}

#[test]
fn a_learner_answers_what_its_leader_has_decided() {
    let mut members = Members::new(2, |_| {});
    let client = members.client(0);
    members.learners[0].send(&client, &[create(1, "/e", CreateMode::Ephemeral)]);
    members.settle();
    assert_eq!(replies(&members.learners[0].got(&client)), [(1, 0)]);
    for tree in [&members.leader, &members.learners[1]].map(|bench| bench.replica.tree()) {
        assert!(tree.node("/e").is_some());
        assert_eq!(tree.sessions().count(), 1);
    }
}

#[test]
fn a_new_leader_gives_all_sessions_their_full_time() {
    let mut members = Members::new(1, |_| {});
    let client = members.client(0);
    members.learners[0].send(&client, &[create(1, "/e", CreateMode::Ephemeral)]);
    members.settle();
    assert_eq!(members.tick_after(3900), 0);
    let leader = &mut members.leader;
    leader.node.end_role(&mut leader.outputs);
    leader.pass(60_000);
    leader.node.begin_leading(&leader.replica, Epoch(2), leader.now);
    assert_eq!(members.tick_after(4000), 0, "4000 ms were agreed upon");
    assert_eq!(members.tick_after(TICK_MS), 1);
    assert!(members.learners[0].replica.tree().node("/e").is_none());
    assert_eq!(members.learners[0].got(&client).last(), Some(&Got::Closed));
}

#[test]
fn a_learner_speaks_for_its_clients() {
    let mut members = Members::new(1, |_| {});
    let client = members.client(0);
    let learner = &mut members.learners[0];
    let since = learner.now.mono;
    assert_eq!(learner.node.heard_of(since).count(), 1, "it has just come");
    learner.pass(3000);
    assert_eq!(learner.node.heard_of(learner.now.mono).count(), 0);
    let handle = learner.node.sessions().handle(client.session()).unwrap();
    handle.touch(learner.now.mono);
    let heard: Vec<_> = learner.node.heard_of(learner.now.mono).collect();
    assert_eq!(heard, [(client.session(), 4000)]);
    members.leader.pass(3000);
    members
        .leader
        .node
        .learner_heard_of(client.session(), members.leader.now);
    assert_eq!(members.tick_after(4000), 0);
    assert_eq!(members.tick_after(TICK_MS), 1);
}

#[test]
fn what_a_learner_brings_late_for_a_session_that_has_moved_is_not_carried_out() {
    let mut members = Members::new(2, |_| {});
    let old = members.client(0);
    let session = old.session();
    // It moves while a request is on its way.
    members.learners[0].send(&old, &[create(1, "/late", CreateMode::Persistent)]);
    let new = members.conn(1);
    members.learners[1].connect(&new, &renewal(session));
    members.forward(1);
    assert_eq!(members.learners[1].got(&new), [Got::Connected]);
    members.settle();
    assert_eq!(members.learners[0].got(&old), [Got::Closed]);
    assert!(members.leader.replica.tree().node("/late").is_none());
    members.learners[1].send(&new, &[create(1, "/new", CreateMode::Persistent)]);
    members.settle();
    assert_eq!(replies(&members.learners[1].got(&new)), [(1, 0)]);
}

/// Some clients count their requests anew on each connection.
#[test]
fn a_client_that_counts_anew_does_not_get_the_answer_to_what_it_asked_for_before() {
    let mut members = Members::new(2, |_| {});
    let old = members.client(0);
    members.learners[0].send(&old, &[create(1, "/old", CreateMode::Persistent)]);
    members.forward(0);
    // It is proposed before the leader speaks of the session, and committed after that.
    let batch = members.leader.node.take_log(LogBatch::default());
    for learner in &mut members.learners {
        for (zxid, txn) in batch.records() {
            learner.node.append(zxid, txn).unwrap();
        }
    }
    let new = members.conn(1);
    members.learners[1].connect(&new, &renewal(old.session()));
    assert!(members.leader.node.has_in_flight(old.session()));
    members.forward(1);
    assert_eq!(members.learners[1].got(&new), [Got::Connected]);
    members.learners[1].send(&new, &[create(1, "/old", CreateMode::Persistent)]);
    let zxid = batch.last_zxid().unwrap();
    for learner in &mut members.learners {
        learner.node.committed(zxid);
        learner.settle();
    }
    members.leader.node.committed(zxid);
    members.leader.settle();
    assert_eq!(members.learners[1].got(&new), [], "that was another request");
    members.settle();
    let node_exists = zebu_proto::ErrorCode::NodeExists.code();
    assert_eq!(replies(&members.learners[1].got(&new)), [(1, node_exists)]);
}

/// What a leader sends at one time comes at one time: a commit, the answer to a sync, and the commit of what the same
/// client asked for behind it.
#[test]
fn a_sync_is_answered_before_what_its_client_asked_for_behind_it() {
    let mut members = Members::new(1, |_| {});
    let client = members.client(0);
    let other = members.leader.client();
    members.commit();
    members
        .leader
        .send(&other, &[create(1, "/other", CreateMode::Persistent)]);
    let sync = frame(1, OpCode::Sync, |body| body.string("/"));
    members.learners[0].send(&client, &[sync, create(2, "/own", CreateMode::Persistent)]);
    members.learners[0].settle();
    let mut forwards = members.learners[0].node.take_forwards();
    let Some(Forward::Request { op: OpCode::Sync, .. }) = forwards.first() else {
        panic!("the sync is asked first: {forwards:?}");
    };
    forwards.remove(0);
    let first = members.leader.node.take_log(LogBatch::default());
    members.carry(0, forwards);
    let second = members.leader.node.take_log(LogBatch::default());
    let learner = &mut members.learners[0];
    let mut hear = |batch: &LogBatch| {
        for (zxid, txn) in batch.records() {
            learner.node.append(zxid, txn).unwrap();
            learner.node.committed(zxid);
        }
        learner.node.synced()
    };
    assert!(hear(&first));
    assert!(!hear(&second), "nobody waits for another sync");
    let Bench {
        node,
        replica,
        watches,
        outputs,
        ..
    } = learner;
    node.commit(replica, watches, outputs, 10);
    assert_eq!(replies(&learner.got(&client)), [(1, 0), (2, 0)]);
}

/// Found by the simulator: the first connection's request was forwarded behind the question for the session, and its
/// transaction answered the request with the same number on the second one.
#[test]
fn a_connection_that_its_client_has_left_is_closed_when_the_leader_is_asked_for_the_session() {
    let mut members = Members::new(1, |_| {});
    let old = members.client(0);
    let new = members.conn(0);
    members.learners[0].connect(&new, &renewal(old.session()));
    assert_eq!(members.learners[0].got(&old), [Got::Closed]);
    members.learners[0].send(&old, &[create(1, "/late", CreateMode::Persistent)]);
    members.forward(0);
    assert_eq!(members.learners[0].got(&new), [Got::Connected]);
    members.learners[0].send(&new, &[create(1, "/new", CreateMode::Persistent)]);
    members.settle();
    assert_eq!(replies(&members.learners[0].got(&new)), [(1, 0)]);
    assert!(members.leader.replica.tree().node("/late").is_none());
    assert!(members.leader.replica.tree().node("/new").is_some());
}

#[test]
fn a_leader_that_served_a_session_last_refuses_others_when_its_connection_is_gone() {
    let mut members = Members::new(1, |_| {});
    let old = members.client(0);
    let leader = &mut members.leader;
    let new = leader.conn();
    leader.connect(&new, &renewal(old.session()));
    assert_eq!(leader.got(&new), [Got::Connected]);
    leader.node.disconnected(new.id());
    members.learners[0].send(&old, &[create(1, "/late", CreateMode::Persistent)]);
    members.settle();
    assert_eq!(members.learners[0].got(&old), [Got::Closed]);
    assert!(members.leader.replica.tree().node("/late").is_none());
}

#[test]
fn a_leader_closes_its_own_connection_of_a_session_that_moves_to_a_learner() {
    let mut members = Members::new(1, |_| {});
    let leader = &mut members.leader;
    let old = leader.client();
    leader.send(&old, &[create(1, "/in-time", CreateMode::Persistent)]);
    let new = members.conn(0);
    members.commit();
    assert_eq!(replies(&members.leader.got(&old)), [(1, 0)]);
    members.learners[0].connect(&new, &renewal(old.session()));
    members.forward(0);
    assert_eq!(members.learners[0].got(&new), [Got::Connected]);
    assert_eq!(members.leader.got(&old), [Got::Closed]);
    members.leader.send(&old, &[create(2, "/late", CreateMode::Persistent)]);
    members.settle();
    assert!(members.leader.replica.tree().node("/late").is_none());
}

#[test]
fn learners_ask_about_sessions_and_tell_those_that_do_not_exist_that_they_expired() {
    let mut members = Members::new(1, |_| {});
    let owner = members.client(0);
    let unknown = members.conn(0);
    members.learners[0].connect(&unknown, &renewal(SessionId(4711)));
    assert_eq!(members.learners[0].got(&unknown), [], "the leader has to be asked");
    members.settle();
    assert_eq!(
        members.learners[0].got(&unknown),
        [Got::Expired, Got::ClosedAfterOutput]
    );
    let wrong = members.conn(0);
    let request = PendingConnect {
        password: alloc::vec![0; 16],
        ..renewal(owner.session())
    };
    members.learners[0].connect(&wrong, &request);
    assert_eq!(members.learners[0].got(&wrong), [Got::Expired, Got::ClosedAfterOutput]);
    assert_eq!(members.learners[0].got(&owner), [], "the owner goes on");
}

#[test]
fn writes_of_a_session_that_is_gone_are_refused_and_leave_nothing_behind() {
    let mut members = Members::new(1, |_| {});
    let client = members.client(0);
    members.learners[0].send(
        &client,
        &[
            frame(1, OpCode::CloseSession, |_| {}),
            create(2, "/late", CreateMode::Persistent),
        ],
    );
    members.settle();
    let got = members.learners[0].got(&client);
    assert_eq!(replies(&got), [(1, 0)]);
    assert_eq!(got.last(), Some(&Got::ClosedAfterOutput));
    assert!(members.leader.replica.tree().node("/late").is_none());
}
