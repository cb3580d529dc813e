//! Watches: who is told what, when, and how often.

use zebu_proto::jute::Write;
use zebu_proto::{Acl, AclList, CreateMode, ErrorCode, Id, OpCode, Perms};

use super::bench::{
    Bench, FakeConn, Frame, Got, add_watch, create, create_with, delete, events, frame, read, replies, set,
};

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const CHANGED: i32 = 3;
const CHILDREN: i32 = 4;

fn watch(xid: i32, op: OpCode, path: &str) -> Frame {
    read(xid, op, path, true)
}

/// A server with `/a`, somebody who watches and somebody who writes.
fn scene() -> (Bench, FakeConn, FakeConn) {
    let mut bench = Bench::new();
    let watcher = bench.client();
    let writer = bench.client();
    bench.run(&writer, &[create(1, "/a", CreateMode::Persistent)]);
    (bench, watcher, writer)
}

/// What the watcher is told about a request of the writer.
fn told(
    bench: &mut Bench,
    watcher: &FakeConn,
    writer: &FakeConn,
    request: Frame,
) -> alloc::vec::Vec<(i32, alloc::string::String)> {
    bench.run(writer, &[request]);
    let got = bench.got(watcher);
    events(&got)
        .into_iter()
        .map(|(event, path)| (event, path.into()))
        .collect()
}

macro_rules! told {
    ($bench:expr, $watcher:expr, $writer:expr, $request:expr) => {{
        let all = told(&mut $bench, &$watcher, &$writer, $request);
        let all: alloc::vec::Vec<(i32, &str)> = all.iter().map(|(event, path)| (*event, path.as_str())).collect();
        alloc::format!("{all:?}")
    }};
}

fn expect(list: &[(i32, &str)]) -> alloc::string::String {
    alloc::format!("{list:?}")
}

#[test]
fn a_watch_of_getdata_fires_once() {
    let (mut bench, watcher, writer) = scene();
    bench.run(&watcher, &[watch(1, OpCode::GetData, "/a")]);
    assert_eq!(
        told!(bench, watcher, writer, set(1, "/a", b"x")),
        expect(&[(CHANGED, "/a")])
    );
    assert_eq!(told!(bench, watcher, writer, set(2, "/a", b"y")), expect(&[]));
    assert!(bench.watches.is_empty());
}

#[test]
fn exists_watches_what_is_not_there_and_reads_that_fail_watch_nothing() {
    let (mut bench, watcher, writer) = scene();
    bench.run(
        &watcher,
        &[watch(1, OpCode::GetData, "/b"), watch(2, OpCode::GetChildren, "/b")],
    );
    assert!(bench.watches.is_empty());
    bench.run(&watcher, &[watch(3, OpCode::Exists, "/b")]);
    assert_eq!(
        told!(bench, watcher, writer, create(1, "/b", CreateMode::Persistent)),
        expect(&[(CREATED, "/b")])
    );
}

#[test]
fn a_delete_is_told_once_to_a_connection_that_watches_data_and_children() {
    let (mut bench, watcher, writer) = scene();
    bench.run(
        &watcher,
        &[
            watch(1, OpCode::GetData, "/a"),
            watch(2, OpCode::GetChildren, "/a"),
            watch(3, OpCode::GetChildren, "/"),
        ],
    );
    assert_eq!(
        told!(bench, watcher, writer, delete(1, "/a")),
        expect(&[(DELETED, "/a"), (CHILDREN, "/")])
    );
    assert!(bench.watches.is_empty());
}

#[test]
fn a_persistent_watch_stays_and_covers_the_node_and_its_list_of_children() {
    let (mut bench, watcher, writer) = scene();
    bench.run(&watcher, &[add_watch(1, "/a", 0)]);
    assert_eq!(
        told!(bench, watcher, writer, set(1, "/a", b"x")),
        expect(&[(CHANGED, "/a")])
    );
    assert_eq!(
        told!(bench, watcher, writer, create(2, "/a/b", CreateMode::Persistent)),
        expect(&[(CHILDREN, "/a")])
    );
    assert_eq!(told!(bench, watcher, writer, set(3, "/a/b", b"x")), expect(&[]));
    assert_eq!(
        told!(bench, watcher, writer, delete(4, "/a/b")),
        expect(&[(CHILDREN, "/a")])
    );
    assert_eq!(
        told!(bench, watcher, writer, delete(5, "/a")),
        expect(&[(DELETED, "/a")])
    );
    assert_eq!(
        told!(bench, watcher, writer, create(6, "/a", CreateMode::Persistent)),
        expect(&[(CREATED, "/a")])
    );
}

#[test]
fn a_recursive_watch_covers_all_below_and_is_told_of_no_lists() {
    let (mut bench, watcher, writer) = scene();
    bench.run(&watcher, &[add_watch(1, "/", 1), add_watch(2, "/a", 1)]);
    assert_eq!(
        told!(bench, watcher, writer, create(1, "/a/b", CreateMode::Persistent)),
        expect(&[(CREATED, "/a/b")])
    );
    assert_eq!(
        told!(bench, watcher, writer, set(2, "/a/b", b"x")),
        expect(&[(CHANGED, "/a/b")])
    );
    assert_eq!(
        told!(bench, watcher, writer, create(3, "/ab", CreateMode::Persistent)),
        expect(&[(CREATED, "/ab")])
    );
    assert_eq!(
        told!(bench, watcher, writer, delete(4, "/a/b")),
        expect(&[(DELETED, "/a/b")])
    );
}

#[test]
fn modes_on_one_path_are_kept_apart() {
    let (mut bench, watcher, writer) = scene();
    bench.run(&watcher, &[add_watch(1, "/a", 0), watch(2, OpCode::GetData, "/a")]);
    for _ in 0..2 {
        assert_eq!(
            told!(bench, watcher, writer, set(1, "/a", b"x")),
            expect(&[(CHANGED, "/a")])
        );
    }
    let remove = |kind: i32| {
        frame(3, OpCode::RemoveWatches, move |out| {
            out.string("/a");
            out.int(kind);
        })
    };
    let none = ErrorCode::NoWatcher.code();
    assert_eq!(
        replies(&bench.run(&watcher, &[remove(2)])),
        [(3, none)],
        "the one-shot watch is gone"
    );
    assert_eq!(replies(&bench.run(&watcher, &[remove(5)])), [(3, none)]);
    assert_eq!(
        replies(&bench.run(&watcher, &[remove(9)])),
        [(3, ErrorCode::MarshallingError.code())]
    );
    assert_eq!(replies(&bench.run(&watcher, &[remove(4)])), [(3, 0)]);
    assert!(bench.watches.is_empty());
}

#[test]
fn the_writer_hears_of_its_own_change_before_it_is_answered() {
    let (mut bench, _, writer) = scene();
    bench.run(&writer, &[watch(1, OpCode::GetData, "/a")]);
    let got = bench.run(&writer, &[set(2, "/a", b"x")]);
    assert!(
        matches!(&got[..], [Got::Event { zxid, .. }, Got::Reply { zxid: reply, .. }] if zxid == reply),
        "{got:?}"
    );
}

#[test]
fn a_watch_registered_behind_a_write_does_not_see_that_write() {
    let (mut bench, _, writer) = scene();
    let got = bench.run(
        &writer,
        &[set(1, "/a", b"x"), watch(2, OpCode::GetData, "/a"), set(3, "/a", b"y")],
    );
    assert!(matches!(got[2], Got::Event { event: CHANGED, .. }), "{got:?}");
    assert_eq!(got.len(), 4);
}

#[test]
fn who_may_not_read_a_node_is_not_told_of_it_and_the_watch_is_used_up() {
    let (mut bench, watcher, writer) = scene();
    let bob = Id::new("digest", "bob:hash");
    Bench::add_id(&writer, bob.clone());
    let closed = AclList::new(alloc::vec![Acl {
        perms: Perms::ALL,
        id: bob
    }]);
    bench.run(
        &watcher,
        &[watch(1, OpCode::Exists, "/secret"), watch(2, OpCode::GetChildren, "/")],
    );
    let request = create_with(1, "/secret", CreateMode::Persistent, closed);
    assert_eq!(told!(bench, watcher, writer, request), expect(&[(CHILDREN, "/")]));
    assert!(bench.watches.is_empty());
}

#[test]
fn a_client_that_comes_back_is_told_what_it_missed() {
    let (mut bench, watcher, writer) = scene();
    let seen = bench.replica.tree().last_zxid().0;
    bench.run(
        &writer,
        &[
            set(1, "/a", b"x"),
            create(2, "/n", CreateMode::Persistent),
            create(3, "/q", CreateMode::Persistent),
        ],
    );
    bench.run(&writer, &[create(4, "/a/c", CreateMode::Persistent)]);
    let set_watches = frame(-8, OpCode::SetWatches2, |out| {
        let list = |out: &mut alloc::vec::Vec<u8>, paths: &[&str]| {
            out.length(paths.len());
            paths.iter().for_each(|path| out.string(path));
        };
        out.long(seen);
        list(out, &["/a", "/gone", "/zookeeper"]);
        list(out, &["/n", "/never"]);
        list(out, &["/a", "/lost", "/q"]);
        list(out, &["/p"]);
        list(out, &["/r"]);
    });
    let got = bench.run(&watcher, &[set_watches]);
    let expected = [
        (CHANGED, "/a"),
        (DELETED, "/gone"),
        (CREATED, "/n"),
        (CHILDREN, "/a"),
        (DELETED, "/lost"),
        (CHILDREN, "/q"),
    ];
    assert_eq!(events(&got), expected);
    assert_eq!(replies(&got), [(-8, 0)]);
    assert!(matches!(got[0], Got::Event { zxid: -1, .. }));
    // Left: data of /zookeeper, coming of /never, both tables for /p, data for /r.
    assert_eq!(bench.watches.len(), 5);
    assert_eq!(
        told!(bench, watcher, writer, create(5, "/never", CreateMode::Persistent)),
        expect(&[(CREATED, "/never")])
    );
    assert_eq!(
        told!(bench, watcher, writer, create(6, "/p", CreateMode::Persistent)),
        expect(&[(CREATED, "/p")])
    );
}

#[test]
fn watches_go_with_their_connection() {
    let (mut bench, watcher, writer) = scene();
    bench.run(
        &watcher,
        &[
            watch(1, OpCode::GetData, "/a"),
            add_watch(2, "/a", 1),
            add_watch(3, "/", 0),
        ],
    );
    assert!(!bench.watches.is_empty());
    bench.watches.remove_connection(crate::Connection::id(&watcher));
    assert!(bench.watches.is_empty());
    assert_eq!(told!(bench, watcher, writer, set(1, "/a", b"x")), expect(&[]));
}
