//! Local sessions, and servers that can only read.

use alloc::vec::Vec;

use zebu_proto::jute::Write;
use zebu_proto::{CreateMode, ErrorCode, OpCode, SessionId, Zxid};

use super::bench::{Bench, FakeConn, Frame, Got, TICK_MS, create, delete, frame, read, replies, set};
use super::ensemble::{Members, renewal};
use crate::{Connection, LogBatch, NodeRole, PendingConnect};

const REFUSED: i32 = ErrorCode::EphemeralOnLocalSession.code();

/// A leader and a learner with local sessions that can become global.
fn members() -> Members {
    Members::new(1, |config| {
        config.local_sessions = true;
        config.local_session_upgrading = true;
    })
}

/// Which server of [`members`] a client connects to.
#[derive(Clone, Copy, Debug)]
enum At {
    Leader,
    Learner,
}

const EVERYWHERE: [At; 2] = [At::Leader, At::Learner];

fn bench(members: &mut Members, at: At) -> &mut Bench {
    match at {
        At::Leader => &mut members.leader,
        At::Learner => &mut members.learners[0],
    }
}

/// A client with a session that is there at once.
fn connect(bench: &mut Bench) -> FakeConn {
    let conn = bench.conn();
    bench.connect(&conn, &Bench::connect_request());
    assert_eq!(bench.got(&conn), [Got::Connected]);
    assert!(bench.node.local_sessions().is_live(conn.session()));
    conn
}

/// Requests and what comes of them.
fn run(members: &mut Members, at: At, conn: &FakeConn, requests: &[Frame]) -> Vec<Got> {
    bench(members, at).send(conn, requests);
    members.settle();
    bench(members, at).got(conn)
}

fn last_zxid(members: &Members) -> Zxid {
    members.leader.replica.tree().last_zxid()
}

fn global_sessions(members: &Members) -> usize {
    members.leader.replica.tree().sessions().count()
}

fn expire(bench: &mut Bench, ms: u64) -> Vec<SessionId> {
    bench.pass(ms);
    bench.node.expire_local(bench.now, &mut bench.outputs)
}

fn multi_create(xid: i32, path: &str, mode: CreateMode) -> Frame {
    let create = create(0, path, mode);
    frame(xid, OpCode::Multi, |out| {
        out.int(OpCode::Create.code());
        out.bool(false);
        out.int(-1);
        out.extend_from_slice(&create.body);
        out.int(-1);
        out.bool(true);
        out.int(-1);
    })
}

#[test]
fn a_local_session_comes_writes_and_goes_without_a_transaction_of_its_own() {
    for at in EVERYWHERE {
        let mut members = members();
        let before = last_zxid(&members);
        let client = connect(bench(&mut members, at));
        members.settle();
        assert_eq!(last_zxid(&members), before);
        let got = run(
            &mut members,
            at,
            &client,
            &[
                create(1, "/p", CreateMode::Persistent),
                set(2, "/p", b"new"),
                multi_create(3, "/m", CreateMode::Persistent),
                read(4, OpCode::Exists, "/p", false),
                delete(5, "/p"),
            ],
        );
        assert_eq!(replies(&got), [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)], "{at:?}");
        let before = last_zxid(&members);
        let got = run(&mut members, at, &client, &[frame(6, OpCode::CloseSession, |_| {})]);
        assert_eq!(replies(&got), [(6, 0)]);
        assert_eq!(got.last(), Some(&Got::ClosedAfterOutput));
        assert!(bench(&mut members, at).node.local_sessions().is_empty());
        assert_eq!(last_zxid(&members), before);
        assert_eq!(global_sessions(&members), 0);
    }
}

#[test]
fn the_end_of_a_local_session_waits_for_what_it_asked_for_before_and_nothing_follows() {
    for at in EVERYWHERE {
        let mut members = members();
        let client = connect(bench(&mut members, at));
        let requests = [
            create(1, "/p", CreateMode::Persistent),
            frame(2, OpCode::CloseSession, |_| {}),
            create(3, "/late", CreateMode::Persistent),
        ];
        bench(&mut members, at).send(&client, &requests);
        assert_eq!(bench(&mut members, at).got(&client), []);
        members.settle();
        let got = bench(&mut members, at).got(&client);
        let expired = ErrorCode::SessionExpired.code();
        assert_eq!(replies(&got), [(1, 0), (2, 0), (3, expired)], "{at:?}");
        assert!(members.leader.replica.tree().node("/late").is_none());
    }
}

#[test]
fn a_local_session_whose_connection_goes_while_it_ends_is_over() {
    let mut members = members();
    let client = connect(&mut members.learners[0]);
    let requests = [
        create(1, "/p", CreateMode::Persistent),
        frame(2, OpCode::CloseSession, |_| {}),
    ];
    let learner = &mut members.learners[0];
    learner.send(&client, &requests);
    assert_eq!(learner.node.disconnected(client.id()).requests, 2);
    assert!(learner.node.local_sessions().is_empty());
    members.settle();
}

#[test]
fn a_local_session_becomes_one_of_all_with_its_first_ephemeral_node() {
    for at in EVERYWHERE {
        for first in [
            create(1, "/e", CreateMode::Ephemeral),
            multi_create(1, "/e", CreateMode::Ephemeral),
        ] {
            let mut members = members();
            let client = connect(bench(&mut members, at));
            let session = client.session();
            let got = run(&mut members, at, &client, &[first]);
            assert_eq!(replies(&got), [(1, 0)], "{at:?}");
            assert_eq!(global_sessions(&members), 1);
            let owner = members.leader.replica.tree().node("/e").unwrap().stat().ephemeral_owner;
            assert_eq!(owner, session.0);
            let server = bench(&mut members, at);
            assert!(server.node.local_sessions().is_empty());
            assert!(server.node.sessions().is_live(session));
            assert_eq!(
                server.node.heard_of(server.now.mono).count(),
                1,
                "its signs of life count"
            );
            // It can go on elsewhere, and ends like any other.
            let other = match at {
                At::Leader => At::Learner,
                At::Learner => At::Leader,
            };
            let moved = bench(&mut members, other).conn();
            bench(&mut members, other).connect(&moved, &renewal(session));
            members.settle();
            assert_eq!(bench(&mut members, other).got(&moved), [Got::Connected]);
            assert_eq!(members.tick_after(4000), 0);
            assert_eq!(members.tick_after(TICK_MS), 1);
            assert!(members.learners[0].replica.tree().node("/e").is_none());
        }
    }
}

#[test]
fn what_a_session_asks_for_around_its_upgrade_stays_in_order() {
    for at in EVERYWHERE {
        let mut members = members();
        let client = connect(bench(&mut members, at));
        let got = run(
            &mut members,
            at,
            &client,
            &[
                create(1, "/p", CreateMode::Persistent),
                create(2, "/p/e", CreateMode::Ephemeral),
                read(3, OpCode::Exists, "/p/e", false),
                create(4, "/p/f", CreateMode::EphemeralSequential),
                frame(5, OpCode::CloseSession, |_| {}),
            ],
        );
        assert_eq!(replies(&got), [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)], "{at:?}");
        assert_eq!(global_sessions(&members), 0);
        assert_eq!(members.leader.replica.tree().ephemeral_count(), 0);
    }
}

#[test]
fn without_upgrading_a_local_session_owns_nothing() {
    for at in EVERYWHERE {
        let mut members = Members::new(1, |config| config.local_sessions = true);
        let client = connect(bench(&mut members, at));
        let before = last_zxid(&members);
        let requests = [
            create(1, "/e", CreateMode::Ephemeral),
            multi_create(2, "/f", CreateMode::EphemeralSequential),
        ];
        let got = run(&mut members, at, &client, &requests);
        assert_eq!(replies(&got), [(1, REFUSED), (2, REFUSED)], "{at:?}");
        assert_eq!(last_zxid(&members), before, "nobody else is asked");
        let got = run(&mut members, at, &client, &[create(3, "/c", CreateMode::Container)]);
        assert_eq!(replies(&got), [(3, 0)], "it goes on");
    }
}

/// A learner that does not look at what its clients make.
#[test]
fn a_leader_makes_no_ephemeral_node_for_a_session_that_it_does_not_know() {
    let mut members = members();
    let client = connect(&mut members.learners[0]);
    let body = create(1, "/e", CreateMode::Ephemeral).body;
    let leader = &mut members.leader;
    let key = crate::LearnerKey(0);
    let create = OpCode::Create.code();
    let taken = leader.node.learner_request(
        &leader.replica,
        key,
        client.session(),
        zebu_proto::Xid(1),
        create,
        &client.ids(),
        &body,
        leader.now,
    );
    assert_eq!(taken, Ok(()));
    members.settle();
    assert!(members.leader.replica.tree().node("/e").is_none());
}

/// It holds no lock any more, and must not write as if it did.
#[test]
fn a_leader_does_not_take_a_session_that_has_expired_for_a_local_one_of_a_learner() {
    let mut members = members();
    let client = connect(&mut members.learners[0]);
    let got = run(
        &mut members,
        At::Learner,
        &client,
        &[create(1, "/lock", CreateMode::Ephemeral)],
    );
    assert_eq!(replies(&got), [(1, 0)]);
    let leader = &mut members.leader;
    leader.pass(4000 + TICK_MS);
    assert_eq!(leader.node.tick(&leader.replica, leader.now), [client.session()]);
    // The leader has applied its end, the learner has not heard of it.
    let batch = leader.node.take_log(LogBatch::default());
    leader.node.committed(batch.last_zxid().unwrap());
    leader.settle();
    for ms in [0, 19_999] {
        expire(&mut members.leader, ms);
        members.learners[0].send(&client, &[create(2, "/late", CreateMode::Persistent)]);
        members.forward(0);
        members.leader.settle();
        assert!(members.leader.replica.tree().node("/late").is_none());
    }
}

#[test]
fn a_silent_local_session_expires_on_its_server_and_leaves_no_trace() {
    for at in EVERYWHERE {
        let mut members = members();
        let client = connect(bench(&mut members, at));
        let before = last_zxid(&members);
        assert_eq!(expire(bench(&mut members, at), 4000), []);
        assert_eq!(expire(bench(&mut members, at), TICK_MS), [client.session()]);
        assert_eq!(bench(&mut members, at).got(&client), [Got::Closed], "{at:?}");
        assert!(bench(&mut members, at).node.local_sessions().is_empty());
        members.settle();
        assert_eq!(last_zxid(&members), before);
    }
}

#[test]
fn a_local_session_that_waits_for_an_answer_does_not_expire() {
    let mut members = members();
    let client = connect(&mut members.learners[0]);
    members.learners[0].send(&client, &[create(1, "/p", CreateMode::Persistent)]);
    assert_eq!(expire(&mut members.learners[0], 60_000), []);
    members.settle();
    assert_eq!(expire(&mut members.learners[0], 4000 + TICK_MS), [client.session()]);
}

#[test]
fn a_local_session_goes_on_where_it_is_known_and_nowhere_else() {
    for at in EVERYWHERE {
        let mut members = members();
        let old = connect(bench(&mut members, at));
        let server = bench(&mut members, at);
        let new = server.conn();
        server.connect(&new, &renewal(old.session()));
        assert_eq!(server.got(&new), [Got::Connected], "{at:?}");
        assert_eq!(server.got(&old), [Got::Closed]);
        let wrong = server.conn();
        let request = PendingConnect {
            password: alloc::vec![0; 16],
            ..renewal(old.session())
        };
        server.connect(&wrong, &request);
        assert_eq!(server.got(&wrong), [Got::Expired, Got::ClosedAfterOutput]);
        let other = match at {
            At::Leader => At::Learner,
            At::Learner => At::Leader,
        };
        let elsewhere = bench(&mut members, other).conn();
        bench(&mut members, other).connect(&elsewhere, &renewal(old.session()));
        members.settle();
        let got = bench(&mut members, other).got(&elsewhere);
        assert_eq!(got, [Got::Expired, Got::ClosedAfterOutput]);
        assert_eq!(bench(&mut members, at).got(&new), [], "it goes on");
    }
}

#[test]
fn local_sessions_end_with_the_role_of_their_server() {
    let mut members = members();
    let client = connect(&mut members.learners[0]);
    let learner = &mut members.learners[0];
    learner.node.end_role(&mut learner.outputs);
    assert_eq!(learner.got(&client), [Got::Closed]);
    learner.node.begin_learning(&learner.replica, learner.now);
    let back = learner.conn();
    learner.connect(&back, &renewal(client.session()));
    members.settle();
    assert_eq!(members.learners[0].got(&back), [Got::Expired, Got::ClosedAfterOutput]);
}

#[test]
fn a_server_alone_has_no_local_sessions() {
    let mut bench = Bench::alone(|config| config.local_sessions = true);
    let client = bench.client();
    assert!(bench.node.local_sessions().is_empty());
    assert_eq!(bench.replica.tree().session_timeout(client.session()), Some(4000));
}

// Read-only servers.

/// A server that had this session when it lost its leader, and serves those who only read now.
fn reader() -> (Bench, SessionId) {
    let mut bench = Bench::alone(|_| {});
    let client = bench.client();
    let made = bench.run(&client, &[create(1, "/p", CreateMode::Persistent)]);
    assert_eq!(replies(&made), [(1, 0)]);
    bench.node.end_role(&mut bench.outputs);
    bench.got(&client);
    bench.node.begin_reading(&bench.replica, bench.now);
    (bench, client.session())
}

fn read_request() -> PendingConnect {
    PendingConnect {
        read_only: Some(true),
        ..Bench::connect_request()
    }
}

#[test]
fn a_read_only_server_gives_those_who_only_read_a_session_without_a_trace() {
    let (mut bench, _) = reader();
    let before = bench.replica.tree().last_zxid();
    let client = bench.conn();
    bench.connect(&client, &read_request());
    assert_eq!(bench.got(&client), [Got::Connected]);
    let got = bench.run(
        &client,
        &[
            read(1, OpCode::GetData, "/p", true),
            read(2, OpCode::GetChildren, "/", false),
            frame(3, OpCode::Ping, |_| {}),
        ],
    );
    assert_eq!(replies(&got), [(1, 0), (2, 0), (-2, 0)]);
    let back = bench.conn();
    bench.connect(
        &back,
        &PendingConnect {
            read_only: Some(true),
            ..renewal(client.session())
        },
    );
    assert_eq!(bench.got(&back), [Got::Connected]);
    let got = bench.run(&back, &[frame(4, OpCode::CloseSession, |_| {})]);
    assert_eq!(replies(&got), [(4, 0)]);
    assert_eq!(got.last(), Some(&Got::ClosedAfterOutput));
    assert!(bench.node.local_sessions().is_empty());
    assert_eq!(bench.replica.tree().last_zxid(), before);
    assert!(!bench.node.has_log());
    assert_eq!(bench.node.last_prepared(), before);
}

#[test]
fn a_read_only_server_refuses_everything_that_would_change_something() {
    let (mut bench, _) = reader();
    let client = bench.conn();
    bench.connect(&client, &read_request());
    bench.got(&client);
    let requests = [
        create(1, "/new", CreateMode::Persistent),
        create(2, "/new", CreateMode::Ephemeral),
        set(3, "/p", b"x"),
        delete(4, "/p"),
        multi_create(5, "/new", CreateMode::Persistent),
        frame(6, OpCode::Sync, |out| out.string("/")),
        frame(7, OpCode::SetAcl, |_| {}),
        frame(8, OpCode::Reconfig, |_| {}),
        read(9, OpCode::Exists, "/p", false),
    ];
    let got = bench.run(&client, &requests);
    let refused = ErrorCode::NotReadOnly.code();
    let expected: Vec<_> = (1..=9).map(|xid| (xid, if xid == 9 { 0 } else { refused })).collect();
    assert_eq!(replies(&got), expected);
    assert!(!bench.node.has_log());
}

#[test]
fn a_read_only_server_leaves_those_who_write_and_global_sessions_to_others() {
    let (mut bench, global) = reader();
    let wants = |session, read_only| PendingConnect {
        read_only,
        ..renewal(session)
    };
    let nobody = SessionId::NONE;
    for request in [
        wants(nobody, None),
        wants(nobody, Some(false)),
        wants(global, Some(false)),
        // Its time runs out with those who have a quorum, whatever is done here.
        wants(global, Some(true)),
        PendingConnect {
            last_zxid_seen: Zxid(77),
            ..read_request()
        },
    ] {
        let conn = bench.conn();
        bench.connect(&conn, &request);
        assert_eq!(bench.got(&conn), [Got::Closed], "{request:?}");
    }
    let unknown = bench.conn();
    bench.connect(&unknown, &wants(SessionId(4711), Some(true)));
    assert_eq!(bench.got(&unknown), [Got::Expired, Got::ClosedAfterOutput]);
}

#[test]
fn sessions_of_a_read_only_server_expire_and_end_when_there_is_a_leader() {
    let (mut bench, global) = reader();
    let [silent, other] = [0, 1].map(|_| {
        let conn = bench.conn();
        bench.connect(&conn, &read_request());
        assert_eq!(bench.got(&conn), [Got::Connected]);
        conn
    });
    bench.pass(4000);
    let alive = bench.node.local_sessions().handle(other.session()).unwrap().clone();
    assert!(alive.touch(bench.now.mono));
    assert_eq!(expire(&mut bench, TICK_MS), [silent.session()]);
    assert_eq!(bench.got(&silent), [Got::Closed]);
    assert_eq!(
        bench.node.tick(&bench.replica, bench.now),
        [],
        "others are for a leader to judge"
    );
    assert!(bench.node.sessions().is_live(global));
    bench.node.end_role(&mut bench.outputs);
    assert_eq!(bench.got(&other), [Got::Closed]);
    assert_eq!(bench.node.role(), NodeRole::Looking);
    bench.node.begin_learning(&bench.replica, bench.now);
    assert!(bench.node.local_sessions().is_empty());
}
