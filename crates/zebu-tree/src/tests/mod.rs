//! Behaviour of the tree as a whole.

mod replay;
mod requests;
mod storage;

use alloc::string::String;
use alloc::vec::Vec;

use zebu_proto::client::{CreateRequest, Request};
use zebu_proto::jute::Reader;
use zebu_proto::snapshot::NodeRecord;
use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{AclList, CreateMode, ErrorCode, OpCode, RequestedAcl, SessionId, WallMillis, Xid, Zxid};

use crate::{Loader, Outcome, Pending, RequestContext, Settings, Tree, digest};

/// A server of one, as far as the tree can tell.
struct Bench {
    tree: Tree,
    pending: Pending,
    zxid: Zxid,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let tree = Tree::new(settings);
        let pending = Pending::new(&tree);
        Self {
            tree,
            pending,
            zxid: Zxid::ZERO,
        }
    }

    /// The context of the next request, of session 7.
    fn context(&mut self) -> RequestContext<'static> {
        self.zxid = self.zxid.next();
        RequestContext {
            session: SessionId(7),
            cxid: Xid(1),
            zxid: self.zxid,
            time: WallMillis(1000 + self.zxid.0),
            ids: &[],
            session_is_live: true,
        }
    }

    fn prepare(&mut self, request: &Request<'_>) -> TxnRecord {
        let context = self.context();
        self.pending.prepare(&self.tree, &context, request)
    }

    fn apply(&mut self, record: &TxnRecord) -> Outcome {
        let outcome = self.tree.apply(record, &mut ());
        self.pending.applied(record.header.zxid);
        if let Some(digest) = record.digest {
            assert_eq!(digest.tree, self.tree.digest(), "{record:?}");
        }
        outcome
    }

    fn run(&mut self, request: &Request<'_>) -> Outcome {
        let record = self.prepare(request);
        self.apply(&record)
    }
}

fn create(path: &str, mode: CreateMode) -> Request<'_> {
    Request::Create(CreateRequest {
        op: OpCode::Create,
        path: path.into(),
        data: Some(b"data"),
        acl: RequestedAcl::List(AclList::OPEN),
        flags: mode.flags(),
        ttl_ms: -1,
    })
}

fn set_data<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    Request::SetData {
        path: path.into(),
        data: Some(data),
        version: -1,
    }
}

fn delete(path: &str) -> Request<'_> {
    Request::Delete {
        path: path.into(),
        version: -1,
    }
}

fn error(code: ErrorCode) -> Outcome {
    Outcome::Error(code.code())
}

#[test]
fn the_empty_tree_has_the_digest_of_java() {
    assert_eq!(Tree::new(Settings::default()).digest(), digest::EMPTY_TREE);
}

#[test]
fn the_root_is_born_with_a_child_that_does_not_count_as_created() {
    let tree = Tree::new(Settings::default());
    let stat = |path: &str| tree.node(path).unwrap().stat();
    assert_eq!((stat("/").cversion, stat("").num_children), (-1, 1));
    assert_eq!((stat("/zookeeper").cversion, stat("/zookeeper").num_children), (-2, 2));
    assert_eq!(stat("/zookeeper/config").aversion, -1);
    assert_eq!(tree.node_count(), 4);
}

#[test]
fn a_request_sees_what_is_on_its_way() {
    let mut bench = Bench::new(Settings::default());
    let first = bench.prepare(&create("/a", CreateMode::Persistent));
    let second = bench.prepare(&create("/a/n", CreateMode::PersistentSequential));
    let third = bench.prepare(&create("/a/n", CreateMode::PersistentSequential));
    let again = bench.prepare(&create("/a", CreateMode::Persistent));
    assert_eq!(
        again.txn,
        Txn::Error {
            err: ErrorCode::NodeExists.code()
        }
    );
    let not_empty = bench.prepare(&delete("/a"));
    assert_eq!(
        not_empty.txn,
        Txn::Error {
            err: ErrorCode::NotEmpty.code()
        }
    );
    for record in [first, second, third, again, not_empty] {
        bench.apply(&record);
    }
    let mut children: Vec<String> = bench.tree.node("/a").unwrap().children().map(String::from).collect();
    children.sort();
    assert_eq!(children, ["n0000000000", "n0000000001"]);
}

#[test]
fn the_session_takes_its_ephemerals_with_it_even_those_on_their_way() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&create("/p", CreateMode::Persistent));
    bench.run(&create("/p/a", CreateMode::Ephemeral));
    let on_its_way = bench.prepare(&create("/p/b", CreateMode::Ephemeral));
    let going = bench.prepare(&delete("/p/a"));
    let close = bench.prepare(&Request::CloseSession);
    assert_eq!(
        close.txn,
        Txn::CloseSession {
            paths: Some(alloc::vec!["/p/b".into()])
        }
    );
    for record in [on_its_way, going, close] {
        bench.apply(&record);
    }
    assert_eq!(bench.tree.node("/p").unwrap().stat().num_children, 0);
    assert_eq!(bench.tree.ephemeral_count(), 0);
}

#[test]
fn checks_come_in_the_order_of_java() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&create("/e", CreateMode::Ephemeral));
    for (request, expected) in [
        (create("nope", CreateMode::Persistent), ErrorCode::BadArguments),
        (create("/", CreateMode::Persistent), ErrorCode::NodeExists),
        (create("/x/y", CreateMode::Persistent), ErrorCode::NoNode),
        (create("/x//y", CreateMode::Persistent), ErrorCode::NoNode),
        (create("/..", CreateMode::Persistent), ErrorCode::BadArguments),
        (
            create("/e/c", CreateMode::Persistent),
            ErrorCode::NoChildrenForEphemerals,
        ),
        (create("/t", CreateMode::PersistentWithTtl), ErrorCode::Unimplemented),
        (delete("/"), ErrorCode::BadArguments),
        (delete("/zookeeper/config"), ErrorCode::BadArguments),
        (delete("/nope"), ErrorCode::NoNode),
        (
            Request::Delete {
                path: "/e".into(),
                version: 3,
            },
            ErrorCode::BadVersion,
        ),
    ] {
        assert_eq!(bench.run(&request), error(expected), "{request:?}");
    }
}

fn read_all(tree: &Tree, capture: &crate::snapshot::Capture, out: &mut Vec<u8>) -> Tree {
    while !tree.read_capture(capture, out, out.len() + 1) {}
    let mut reader = Reader::new(out);
    let mut loader = Loader::new(*tree.settings());
    for _ in 0..reader.count("sessions").unwrap().unwrap() {
        loader.session(SessionId(reader.long("id").unwrap()), reader.int("timeout").unwrap());
    }
    for _ in 0..reader.count("acls").unwrap().unwrap() {
        let key = reader.long("key").unwrap();
        loader.acl(key, AclList::decode(&mut reader).unwrap().unwrap());
    }
    while let Some(node) = NodeRecord::decode(&mut reader).unwrap() {
        loader.node(&node).unwrap();
    }
    loader.finish(capture.zxid()).unwrap()
}

#[test]
fn a_snapshot_is_the_tree_at_its_beginning_whatever_happens_meanwhile() {
    let mut bench = Bench::new(Settings::default());
    for at in 0..20 {
        bench.run(&create(&alloc::format!("/n{at}"), CreateMode::Persistent));
    }
    bench.run(&delete("/n3"));
    let capture = bench.tree.begin_capture();
    let mut out = Vec::new();
    capture.encode_head(&mut out);
    assert!(!bench.tree.read_capture(&capture, &mut out, 300));
    bench.run(&delete("/n19"));
    bench.run(&create("/n19", CreateMode::Ephemeral));
    bench.run(&create("/n3", CreateMode::Persistent));
    bench.run(&create("/new", CreateMode::Persistent));
    bench.run(&Request::SetData {
        path: "/n18".into(),
        data: None,
        version: -1,
    });
    let loaded = read_all(&bench.tree, &capture, &mut out);
    drop(bench.tree.end_capture(&capture));
    assert_eq!(loaded.digest(), capture.digest());
    assert_eq!(loaded.node_count(), capture.nodes());
    assert!(loaded.node("/n3").is_none());
    assert_eq!(loaded.node("/n18").unwrap().data().as_bytes(), b"data");
}
