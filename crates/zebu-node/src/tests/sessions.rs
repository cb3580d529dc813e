//! Sessions: made, renewed, expired, closed.

use zebu_proto::session::password;
use zebu_proto::{CreateMode, ErrorCode, OpCode, SessionId, Zxid};
use zebu_tree::Settings;

use super::bench::{Bench, FakeConn, Got, TICK_MS, create, frame, replies};
use crate::{Connection, PendingConnect};

fn renewal(session: SessionId) -> PendingConnect {
    PendingConnect {
        session,
        password: password(session).to_vec(),
        ..Bench::connect_request()
    }
}

fn tick_after(bench: &mut Bench, ms: u64) -> usize {
    bench.pass(ms);
    let expired = bench.node.tick(&bench.replica, bench.now);
    bench.settle();
    expired.len()
}

#[test]
fn a_session_exists_once_its_transaction_is_durable() {
    let mut bench = Bench::new();
    let conn = bench.conn();
    bench.connect(&conn, &Bench::connect_request());
    assert_eq!(bench.got(&conn), []);
    bench.settle();
    assert_eq!(bench.got(&conn), [Got::Connected]);
    assert_eq!(bench.replica.tree().session_timeout(conn.session()), Some(4000));
}

#[test]
fn timeouts_are_kept_within_their_bounds() {
    let mut bench = Bench::new();
    for (wanted, given) in [(1, 2000), (-5, 2000), (0, 2000), (5000, 5000), (100_000_000, 20_000)] {
        let conn = bench.conn();
        bench.connect(
            &conn,
            &PendingConnect {
                timeout_ms: wanted,
                ..Bench::connect_request()
            },
        );
        bench.settle();
        assert_eq!(bench.replica.tree().session_timeout(conn.session()), Some(given));
    }
}

#[test]
fn a_client_that_knows_more_is_closed_without_an_answer() {
    let mut bench = Bench::new();
    let conn = bench.conn();
    bench.connect(
        &conn,
        &PendingConnect {
            last_zxid_seen: Zxid(77),
            ..Bench::connect_request()
        },
    );
    bench.settle();
    assert_eq!(bench.got(&conn), [Got::Closed]);
}

#[test]
fn a_renewal_takes_the_session_from_its_old_connection() {
    let mut bench = Bench::new();
    let old = bench.client();
    let new = bench.conn();
    bench.connect(&new, &renewal(old.session()));
    assert_eq!(bench.got(&new), [Got::Connected]);
    assert_eq!(bench.got(&old), [Got::Closed]);
    assert_eq!(new.session(), old.session());
    // The end of the old connection does not touch the session's new one.
    bench.node.disconnected(old.id());
    assert_eq!(replies(&bench.run(&new, &[frame(1, OpCode::Ping, |_| {})])), [(-2, 0)]);
}

/// What was on its way on the old connection must not take effect behind what the client did on the new one.
#[test]
fn late_requests_of_a_session_that_has_moved_on_are_dropped() {
    let mut bench = Bench::new();
    let old = bench.client();
    bench.send(&old, &[create(1, "/before", CreateMode::Persistent)]);
    let new = bench.conn();
    bench.connect(&new, &renewal(old.session()));
    bench.run(&new, &[create(1, "/new", CreateMode::Persistent)]);
    assert_eq!(replies(&bench.got(&old)), [(1, 0)], "it was there in time");
    let zxid = bench.replica.tree().last_zxid();
    bench.outputs.answered = 0;
    let late = [
        create(2, "/late", CreateMode::Persistent),
        frame(3, OpCode::Ping, |_| {}),
        frame(4, OpCode::CloseSession, |_| {}),
    ];
    assert_eq!(bench.run(&old, &late), []);
    assert_eq!(bench.outputs.answered, 3, "they are counted out");
    assert_eq!(bench.replica.tree().last_zxid(), zxid);
    assert_eq!(replies(&bench.run(&new, &[frame(2, OpCode::Ping, |_| {})])), [(-2, 0)]);
}

#[test]
fn late_requests_of_a_session_that_is_gone_are_dropped() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.run(&client, &[frame(1, OpCode::CloseSession, |_| {})]);
    let zxid = bench.replica.tree().last_zxid();
    assert_eq!(bench.run(&client, &[create(2, "/late", CreateMode::Persistent)]), []);
    assert_eq!(bench.replica.tree().last_zxid(), zxid);
}

fn check_refused(bench: &mut Bench, request: &PendingConnect) {
    let conn = bench.conn();
    bench.connect(&conn, request);
    assert_eq!(bench.got(&conn), [Got::Expired, Got::ClosedAfterOutput]);
}

#[test]
fn wrong_passwords_and_unknown_sessions_are_told_that_they_expired_and_harm_nobody() {
    let mut bench = Bench::new();
    let client = bench.client();
    let session = client.session();
    check_refused(
        &mut bench,
        &PendingConnect {
            password: alloc::vec![0; 16],
            ..renewal(session)
        },
    );
    check_refused(
        &mut bench,
        &PendingConnect {
            password: alloc::vec![],
            ..renewal(session)
        },
    );
    check_refused(&mut bench, &renewal(SessionId(4711)));
    assert_eq!(bench.got(&client), [], "the owner of the session goes on");
}

#[test]
fn a_silent_session_expires_with_its_ephemerals_and_without_a_word() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.run(&client, &[create(1, "/e", CreateMode::Ephemeral)]);
    assert_eq!(tick_after(&mut bench, 4000), 0);
    assert_eq!(tick_after(&mut bench, TICK_MS), 1);
    assert_eq!(bench.got(&client), [Got::Closed]);
    assert!(bench.replica.tree().node("/e").is_none());
    assert_eq!(bench.replica.tree().sessions().count(), 0);
    check_refused(&mut bench, &renewal(client.session()));
}

/// While its requests are in work a connection may not be read any more, and then no sign of life is seen.
#[test]
fn a_session_that_waits_for_an_answer_does_not_expire() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.send(&client, &[create(1, "/e", CreateMode::Ephemeral)]);
    bench.pass(60_000);
    assert_eq!(
        bench.node.tick(&bench.replica, bench.now),
        [],
        "the disk takes a minute"
    );
    bench.settle();
    assert_eq!(replies(&bench.got(&client)), [(1, 0)]);
    assert_eq!(tick_after(&mut bench, 4000), 0, "it has its whole time from now");
    assert_eq!(tick_after(&mut bench, TICK_MS), 1);
}

#[test]
fn closing_a_session_answers_and_then_ends_the_connection() {
    let mut bench = Bench::new();
    let client = bench.client();
    let got = bench.run(
        &client,
        &[
            create(1, "/e", CreateMode::Ephemeral),
            frame(2, OpCode::CloseSession, |_| {}),
            create(3, "/late", CreateMode::Persistent),
        ],
    );
    assert_eq!(replies(&got), [(1, 0), (2, 0), (3, ErrorCode::SessionExpired.code())]);
    assert_eq!(got[2], Got::ClosedAfterOutput);
    assert!(bench.replica.tree().node("/e").is_none());
    assert!(bench.replica.tree().node("/late").is_none());
}

#[test]
fn a_session_with_more_ephemerals_than_a_record_holds_is_closed_in_several_steps() {
    let mut bench = Bench::with(Settings {
        txn_bytes_max: 1000,
        ..Settings::default()
    });
    let client = bench.client();
    for at in 0..100 {
        let path = alloc::format!("/ephemeral-number-{at}");
        assert_eq!(
            replies(&bench.run(&client, &[create(at, &path, CreateMode::Ephemeral)])),
            [(at, 0)]
        );
    }
    bench.send(&client, &[frame(1000, OpCode::CloseSession, |_| {})]);
    let batch = bench.node.take_log(crate::LogBatch::default());
    assert!(batch.len() > 1);
    assert!(batch.records().all(|(_, bytes)| bytes.len() < 1100));
    if let Some(zxid) = batch.last_zxid() {
        bench.node.flushed(zxid);
    }
    bench.settle();
    assert_eq!(replies(&bench.got(&client)), [(1000, 0)]);
    assert_eq!(bench.replica.tree().ephemeral_count(), 0);
}

#[test]
fn sessions_of_the_data_directory_get_their_full_time_again() {
    let mut bench = Bench::new();
    let client: FakeConn = bench.client();
    bench.pass(1_000_000);
    bench.node = crate::Node::new(Bench::config(1), &bench.replica, bench.now);
    assert_eq!(tick_after(&mut bench, 3999), 0);
    let new = bench.conn();
    bench.connect(&new, &renewal(client.session()));
    assert_eq!(bench.got(&new), [Got::Connected]);
}
