//! A server without sockets and disks: the test decides when the log is durable and what time it is.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use zebu_proto::client::{ConnectResponse, CreateRequest, ReplyHeader, WatchedEvent};
use zebu_proto::jute::{Reader, Write};
use zebu_proto::{AclList, CreateMode, Id, Millis, OpCode, RequestedAcl, SessionId, Sid, WallMillis, Xid, Zxid};
use zebu_tree::{Settings, Tree};

use crate::{
    Answered, Close, ConnId, Connection, ContainerConfig, LogBatch, Node, NodeConfig, Now, Outputs, PendingConnect,
    Replica, Rope, SessionHandle, WatchTable,
};

/// A connection that exists in the test only.
#[derive(Clone)]
pub(super) struct FakeConn {
    id: ConnId,
    session: Rc<Cell<SessionId>>,
    ids: Rc<RefCell<Arc<[Id]>>>,
}

impl Connection for FakeConn {
    fn id(&self) -> ConnId {
        self.id
    }

    fn ids(&self) -> Arc<[Id]> {
        self.ids.borrow().clone()
    }

    fn session(&self) -> SessionId {
        self.session.get()
    }
}

/// What a client got, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Got {
    Connected,
    Expired,
    Reply {
        xid: i32,
        zxid: i64,
        err: i32,
        body: Vec<u8>,
    },
    Event {
        event: i32,
        path: String,
        zxid: i64,
    },
    ClosedAfterOutput,
    Closed,
}

/// What all clients got.
#[derive(Default)]
pub(super) struct Recorder {
    got: BTreeMap<ConnId, Vec<Got>>,
    pub(super) answered: usize,
    /// Writes that were over when their connection was gone.
    pub(super) abandoned: usize,
    /// The client's numbers of the requests that were refused.
    pub(super) refused: Vec<i32>,
}

impl Recorder {
    fn push(&mut self, conn: &FakeConn, got: Got) {
        self.got.entry(conn.id).or_default().push(got);
    }
}

impl Outputs<FakeConn> for Recorder {
    fn send(&mut self, conn: &FakeConn, encode: impl FnOnce(&mut Rope)) {
        let mut rope = Rope::default();
        encode(&mut rope);
        let mut bytes = Vec::new();
        while let Some(chunk) = rope.take_chunk() {
            bytes.extend_from_slice(chunk.as_ref());
        }
        let mut rest = &bytes[..];
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (frame, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            rest = after;
            self.push(conn, decode(frame, conn.session.get() == SessionId::NONE));
        }
        assert!(rest.is_empty(), "whole frames only");
    }

    fn answered(&mut self, _conn: &FakeConn, answered: Answered) {
        self.answered += 1;
        if answered.is_refused {
            self.refused.push(answered.xid.0);
        }
    }

    fn abandoned(&mut self, _bytes: usize) {
        self.abandoned += 1;
    }

    fn established(&mut self, conn: &FakeConn, session: &Arc<SessionHandle>, response: &ConnectResponse) {
        assert_eq!(session.id(), response.session);
        conn.session.set(session.id());
        self.push(conn, Got::Connected);
    }

    fn close(&mut self, conn: &FakeConn, close: Close) {
        let got = match close {
            Close::AfterOutput => Got::ClosedAfterOutput,
            Close::Now => Got::Closed,
        };
        self.push(conn, got);
    }
}

fn decode(frame: &[u8], is_handshake: bool) -> Got {
    if is_handshake {
        assert_eq!(ConnectResponse::decode(frame).unwrap().session, SessionId::NONE);
        return Got::Expired;
    }
    let mut reader = Reader::new(frame);
    let header = ReplyHeader::decode(&mut reader).unwrap();
    if header.xid == Xid::NOTIFICATION {
        let event = WatchedEvent::decode(&mut reader).unwrap();
        return Got::Event {
            event: event.event as i32,
            path: event.path.into(),
            zxid: header.zxid.0,
        };
    }
    Got::Reply {
        xid: header.xid.0,
        zxid: header.zxid.0,
        err: header.err,
        body: reader.rest().into(),
    }
}

/// The server.
pub(super) struct Bench {
    pub(super) node: Node<FakeConn>,
    pub(super) replica: Replica,
    pub(super) watches: WatchTable<FakeConn>,
    pub(super) outputs: Recorder,
    pub(super) now: Now,
    next_conn: u64,
}

pub(super) const TICK_MS: u64 = 1000;

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self::started(settings, Self::config(1), Node::new)
    }

    /// A server alone with a configuration of its own.
    pub(super) fn alone(configure: impl FnOnce(&mut NodeConfig)) -> Self {
        let mut config = Self::config(1);
        configure(&mut config);
        Self::started(Settings::default(), config, Node::new)
    }

    /// A server of an ensemble, which has no role yet.
    pub(super) fn member(config: NodeConfig) -> Self {
        Self::started(Settings::default(), config, Node::in_ensemble)
    }

    pub(super) fn config(sid: i64) -> NodeConfig {
        NodeConfig {
            sid: Sid(sid),
            tick_ms: TICK_MS,
            session_timeout_ms_min: 2000,
            session_timeout_ms_max: 20_000,
            local_sessions: false,
            local_session_upgrading: false,
            reconfig_enabled: false,
            standalone_enabled: true,
            containers: ContainerConfig {
                check_interval_ms: 60_000,
                per_minute_max: 600_000,
                never_used_ms_max: 0,
            },
        }
    }

    fn started(
        settings: Settings,
        config: NodeConfig,
        start: impl FnOnce(NodeConfig, &Replica, Now) -> Node<FakeConn>,
    ) -> Self {
        let replica = Replica::new(Tree::new(settings));
        let now = Now {
            mono: Millis(10_000),
            wall: WallMillis(1_700_000_000_000),
        };
        let node = start(config, &replica, now);
        Self {
            node,
            replica,
            watches: WatchTable::new(7),
            outputs: Recorder::default(),
            now,
            next_conn: 0,
        }
    }

    pub(super) fn conn(&mut self) -> FakeConn {
        self.next_conn += 1;
        let ids: Arc<[Id]> = [Id::new("ip", "127.0.0.1")].into();
        FakeConn {
            id: ConnId(self.next_conn),
            session: Rc::default(),
            ids: Rc::new(RefCell::new(ids)),
        }
    }

    pub(super) fn connect_request() -> PendingConnect {
        PendingConnect {
            last_zxid_seen: Zxid(0),
            timeout_ms: 4000,
            session: SessionId::NONE,
            password: Vec::new(),
            read_only: None,
        }
    }

    pub(super) fn connect(&mut self, conn: &FakeConn, request: &PendingConnect) {
        self.node
            .connect(&self.replica, conn, request, self.now, &mut self.outputs);
    }

    /// A client with a session.
    pub(super) fn client(&mut self) -> FakeConn {
        let conn = self.conn();
        self.connect(&conn, &Self::connect_request());
        self.settle();
        assert_eq!(self.got(&conn), [Got::Connected]);
        conn
    }

    /// Hands requests over, all in one piece.
    pub(super) fn send(&mut self, conn: &FakeConn, requests: &[Frame]) {
        let mut frames = Vec::new();
        for request in requests {
            frames.length(8 + request.body.len());
            frames.int(request.xid);
            frames.int(request.op.code());
            frames.extend_from_slice(&request.body);
        }
        self.node
            .requests(&self.replica, conn.id, &conn.ids(), &frames, self.now.mono, self.now);
    }

    /// The log becomes durable, and everything that follows from it happens.
    pub(super) fn settle(&mut self) {
        let batch = self.node.take_log(LogBatch::default());
        if let Some(zxid) = batch.last_zxid() {
            self.node.flushed(zxid);
        }
        while self.node.can_commit() {
            self.node
                .commit(&mut self.replica, &mut self.watches, &mut self.outputs, 1);
        }
    }

    /// Requests and what comes of them.
    pub(super) fn run(&mut self, conn: &FakeConn, requests: &[Frame]) -> Vec<Got> {
        self.send(conn, requests);
        self.settle();
        self.got(conn)
    }

    /// What a client got since it was last asked for.
    pub(super) fn got(&mut self, conn: &FakeConn) -> Vec<Got> {
        self.outputs.got.remove(&conn.id).unwrap_or_default()
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now.mono = self.now.mono.plus(ms);
        self.now.wall.0 += i64::try_from(ms).unwrap();
    }

    pub(super) fn add_id(conn: &FakeConn, id: Id) {
        let mut ids: Vec<Id> = conn.ids().to_vec();
        ids.push(id);
        *conn.ids.borrow_mut() = ids.into();
    }
}

/// A request.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) xid: i32,
    pub(super) op: OpCode,
    pub(super) body: Box<[u8]>,
}

pub(super) fn frame(xid: i32, op: OpCode, write: impl FnOnce(&mut Vec<u8>)) -> Frame {
    let mut body = Vec::new();
    write(&mut body);
    Frame {
        xid,
        op,
        body: body.into(),
    }
}

pub(super) fn create_with(xid: i32, path: &str, mode: CreateMode, acl: AclList) -> Frame {
    let request = CreateRequest {
        op: OpCode::Create,
        path: path.into(),
        data: Some(b"data"),
        acl: RequestedAcl::List(acl),
        flags: mode.flags(),
        ttl_ms: -1,
    };
    frame(xid, OpCode::Create, |out| request.encode(out))
}

pub(super) fn create(xid: i32, path: &str, mode: CreateMode) -> Frame {
    create_with(xid, path, mode, AclList::OPEN)
}

pub(super) fn set(xid: i32, path: &str, data: &[u8]) -> Frame {
    frame(xid, OpCode::SetData, |out| {
        out.string(path);
        out.buffer(Some(data));
        out.int(-1);
    })
}

pub(super) fn delete(xid: i32, path: &str) -> Frame {
    frame(xid, OpCode::Delete, |out| {
        out.string(path);
        out.int(-1);
    })
}

/// A read with a path and the watch flag.
pub(super) fn read(xid: i32, op: OpCode, path: &str, watch: bool) -> Frame {
    frame(xid, op, |out| {
        out.string(path);
        out.bool(watch);
    })
}

pub(super) fn add_watch(xid: i32, path: &str, mode: i32) -> Frame {
    frame(xid, OpCode::AddWatch, |out| {
        out.string(path);
        out.int(mode);
    })
}

/// The numbers of the replies among what a client got, with their codes.
pub(super) fn replies(got: &[Got]) -> Vec<(i32, i32)> {
    got.iter()
        .filter_map(|got| match got {
            Got::Reply { xid, err, .. } => Some((*xid, *err)),
            _ => None,
        })
        .collect()
}

/// The events among what a client got: type and path.
pub(super) fn events(got: &[Got]) -> Vec<(i32, &str)> {
    got.iter()
        .filter_map(|got| match got {
            Got::Event { event, path, .. } => Some((*event, path.as_str())),
            _ => None,
        })
        .collect()
}

/// The data in the reply to getData.
pub(super) fn data(got: &Got) -> Vec<u8> {
    let Got::Reply { err: 0, body, .. } = got else {
        panic!("a successful reply, not {got:?}")
    };
    Reader::new(body).buffer("data").unwrap().unwrap().into()
}
