//! The order of requests, and what may be seen when.

use zebu_proto::{CreateMode, ErrorCode, OpCode};

use super::bench::{Bench, Got, create, data, delete, frame, read, replies, set};

#[test]
fn nothing_is_answered_before_the_log_is_durable() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.send(&client, &[create(1, "/a", CreateMode::Persistent)]);
    while bench.node.can_commit() {
        bench
            .node
            .commit(&mut bench.replica, &mut bench.watches, &mut bench.outputs, 10);
    }
    assert_eq!(bench.got(&client), []);
    assert!(bench.replica.tree().node("/a").is_none());
    bench.settle();
    assert_eq!(replies(&bench.got(&client)), [(1, 0)]);
}

#[test]
fn a_read_between_two_writes_sees_the_first_and_not_the_second() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.run(&client, &[create(1, "/a", CreateMode::Persistent)]);
    let got = bench.run(
        &client,
        &[
            set(2, "/a", b"two"),
            read(3, OpCode::GetData, "/a", false),
            set(4, "/a", b"four"),
            read(5, OpCode::GetData, "/a", false),
            delete(6, "/a"),
            read(7, OpCode::Exists, "/a", false),
        ],
    );
    let none = ErrorCode::NoNode.code();
    assert_eq!(replies(&got), [(2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, none)]);
    assert_eq!(data(&got[1]), b"two");
    assert_eq!(data(&got[3]), b"four");
}

#[test]
fn reads_alone_need_no_transaction() {
    let mut bench = Bench::new();
    let client = bench.client();
    let got = bench.run(
        &client,
        &[read(1, OpCode::Exists, "/", false), frame(2, OpCode::Ping, |_| {})],
    );
    assert_eq!(replies(&got), [(1, 0), (-2, 0)]);
    assert_eq!(bench.outputs.answered, 2);
}

#[test]
fn an_unreadable_write_is_refused_in_its_place_and_takes_no_zxid() {
    let mut bench = Bench::new();
    let client = bench.client();
    let before = bench.replica.tree().last_zxid();
    let got = bench.run(
        &client,
        &[frame(1, OpCode::SetData, |_| {}), read(2, OpCode::Exists, "/", false)],
    );
    assert_eq!(replies(&got), [(1, ErrorCode::MarshallingError.code()), (2, 0)]);
    assert_eq!(bench.replica.tree().last_zxid(), before);
}

#[test]
fn an_operation_that_does_not_exist_is_answered_in_its_place_and_ends_the_connection() {
    let mut bench = Bench::new();
    let client = bench.client();
    let got = bench.run(
        &client,
        &[
            create(1, "/a", CreateMode::Persistent),
            frame(2, OpCode::DeleteContainer, |_| {}),
        ],
    );
    assert_eq!(replies(&got), [(1, 0), (2, ErrorCode::Unimplemented.code())]);
    assert!(matches!(got[1], Got::Reply { zxid: -1, .. }));
    assert_eq!(got[2], Got::ClosedAfterOutput);
}

/// A small request can name a node many times.
#[test]
fn a_multi_read_whose_reply_would_be_huge_is_refused() {
    let mut bench = Bench::new();
    let client = bench.client();
    let gets = |xid, count| {
        frame(xid, OpCode::MultiRead, |out| {
            use zebu_proto::jute::Write;
            for _ in 0..count {
                out.int(OpCode::GetData.code());
                out.bool(false);
                out.int(-1);
                out.string("/a");
                out.bool(false);
            }
            out.int(-1);
            out.bool(true);
            out.int(-1);
        })
    };
    let data = [7; 7000];
    bench.run(&client, &[create(1, "/a", CreateMode::Persistent), set(2, "/a", &data)]);
    let got = bench.run(
        &client,
        &[gets(3, 590), gets(4, 610), read(5, OpCode::Exists, "/a", false)],
    );
    assert_eq!(replies(&got), [(3, 0), (4, ErrorCode::BadArguments.code()), (5, 0)]);
}

#[test]
fn refused_writes_take_a_zxid_and_show_it() {
    let mut bench = Bench::new();
    let client = bench.client();
    let got = bench.run(&client, &[delete(1, "/nope"), delete(2, "/nope")]);
    let zxids: alloc::vec::Vec<i64> = got
        .iter()
        .filter_map(|got| {
            if let Got::Reply { zxid, .. } = got {
                Some(*zxid)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(zxids, [2, 3]);
}

#[test]
fn refused_is_a_write_as_a_whole_and_nothing_else() {
    let mut bench = Bench::new();
    let client = bench.client();
    // One element: a check of a node that is not there.
    let multi = frame(3, OpCode::Multi, |out| {
        use zebu_proto::jute::Write;
        out.int(OpCode::Check.code());
        out.bool(false);
        out.int(-1);
        out.string("/nope");
        out.int(-1);
        out.int(-1);
        out.bool(true);
        out.int(-1);
    });
    let requests = [
        create(1, "/a", CreateMode::Persistent),
        delete(2, "/nope"),
        multi,
        read(4, OpCode::Exists, "/nope", false),
        frame(5, OpCode::SetData, |_| {}),
        frame(6, OpCode::Multi, |_| {}),
        delete(7, "/a"),
    ];
    let got = bench.run(&client, &requests);
    assert_eq!(replies(&got).len(), requests.len());
    assert_eq!(replies(&got)[2], (3, 0));
    assert_eq!(bench.outputs.refused, [2, 5, 6]);
}

#[test]
fn a_reconfiguration_of_a_server_alone_is_refused_as_java_does() {
    let mut bench = Bench::new();
    let client = bench.client();
    let reconfig = frame(1, OpCode::Reconfig, |out| {
        use zebu_proto::jute::Write;
        out.int(-1);
        out.int(-1);
        out.int(-1);
        out.long(-1);
    });
    assert_eq!(
        replies(&bench.run(&client, &[reconfig])),
        [(1, ErrorCode::ReconfigDisabled.code())]
    );
}

#[test]
fn requests_of_a_lost_connection_are_counted_out() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.send(
        &client,
        &[
            create(1, "/a", CreateMode::Persistent),
            read(2, OpCode::Exists, "/a", false),
        ],
    );
    let abandoned = bench.node.disconnected(zebu_connection(&client));
    assert_eq!(abandoned.requests, 1, "the read");
    assert_eq!(bench.outputs.abandoned, 0, "the write still takes memory");
    bench.settle();
    assert_eq!((bench.outputs.abandoned, bench.outputs.answered), (1, 0));
    assert_eq!(bench.got(&client), []);
    assert!(
        bench.replica.tree().node("/a").is_some(),
        "what was prepared is carried out"
    );
}

fn zebu_connection(conn: &super::bench::FakeConn) -> crate::ConnId {
    use crate::Connection;
    conn.id()
}
