//! Clients of a node: connections that come and go, and requests of any kind in any order.
//!
//! The target stands where the server does: it keeps the connections, makes the log durable when the bytes say so, lets
//! time pass, and looks at what every client is sent.

mod driver;
mod requests;

use zebu_proto::{SessionId, Zxid};
use zebu_tree::Settings;

use self::driver::{Driver, SentAs};
use crate::cursor::Cursor;
use crate::data_dir::{DataDir, dump, settings};
use crate::request_bytes::encode;

/// Steps of one run.
const STEPS_MAX: usize = 200;

/// Replies come in the order of the requests, zxids never go back, the tree is what its log makes, and a snapshot of it
/// loads to the same tree.
pub fn run(bytes: &[u8]) {
    let mut cursor = Cursor::new(bytes);
    let mut driver = Driver::new(tree_settings(cursor.byte()));
    for _ in 0..STEPS_MAX {
        if cursor.is_at_end() {
            break;
        }
        step(&mut driver, &mut cursor);
    }
    driver.settle();
    driver.check_clients();
    driver.check_log();
    driver.check_sessions();
    check_snapshot(driver);
}

fn tree_settings(choice: u8) -> Settings {
    Settings {
        skip_acl: choice & 1 != 0,
        digest: choice & 2 == 0,
        close_session_txn: choice & 4 == 0,
        txn_bytes_max: if choice & 8 == 0 { 1 << 20 } else { 60 },
        ..settings()
    }
}

fn step(driver: &mut Driver, cursor: &mut Cursor<'_>) {
    match cursor.below(16) {
        0 => {
            let timeout_ms = cursor.choose(&[10_000, 0, -1, i32::MAX]);
            driver.connect(SessionId::NONE, timeout_ms, Zxid::ZERO);
        }
        1 => {
            let session = driver.session(cursor.byte().into());
            let last_zxid_seen = cursor.choose(&[Zxid::ZERO, Zxid(5), Zxid(i64::MAX)]);
            driver.connect(session, 10_000, last_zxid_seen);
        }
        2 => driver.disconnect(cursor.byte().into()),
        3 => driver.flush(cursor.byte().into()),
        4 => driver.commit(cursor.byte().into()),
        5 => driver.pass_time(cursor.choose(&[1, 100, 3000, 20_000])),
        6 => driver.identify(cursor.byte().into(), cursor.below(4)),
        7 => raw_request(driver, cursor),
        _ => batch(driver, cursor),
    }
}

/// Some requests that come together.
fn batch(driver: &mut Driver, cursor: &mut Cursor<'_>) {
    let conn = cursor.byte().into();
    let mut frames = Vec::new();
    for _ in 0..=cursor.below(4) {
        let (op, request) = if cursor.byte() & 1 == 0 {
            requests::write(cursor)
        } else {
            requests::read(cursor)
        };
        frames.push((op.code(), encode(&request, op)));
    }
    let sent_as = if cursor.byte() & 1 == 0 {
        SentAs::Batch
    } else {
        SentAs::ReadsAtOnce
    };
    driver.send(conn, &frames, sent_as);
}

/// A request that may be anything.
fn raw_request(driver: &mut Driver, cursor: &mut Cursor<'_>) {
    let conn = cursor.byte().into();
    let op = i32::from(cursor.byte().cast_signed());
    let len = cursor.below(64);
    let body = cursor.bytes(len).to_vec();
    driver.send(conn, &[(op, body)], SentAs::Batch);
}

fn check_snapshot(driver: Driver) {
    let mut replica = driver.into_replica();
    let tree = replica.tree_mut();
    if tree.settings().digest {
        let dir = DataDir::new();
        let expected = dump(tree);
        dir.write_snapshot(tree, zebu_store::Compression::None);
        let found = dir.recover().expect("a snapshot of ours");
        // Loading counts anew what is below a quota, as Java's does; a live tree begins to count where the node of the
        // limits is made, from what the node of the counts says then.
        assert_eq!(found.dump().without_counts(), expected.without_counts());
    }
}
