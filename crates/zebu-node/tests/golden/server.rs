//! A server without sockets and disks around the node.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, VecDeque};
use std::ops::DerefMut;
use std::rc::Rc;
use std::sync::Arc;

use zebu_node::auth::{AuthConfig, authenticate};
use zebu_node::{
    After, Answered, Close, ConnId, Connection, ContainerConfig, LogBatch, Node, NodeConfig, Now, Outputs,
    PendingConnect, Reader, Replica, Rope, SessionHandle, WatchAccess, WatchTable,
};
use zebu_proto::client::{ConnectRequest, ConnectResponse, ReplyHeader, Request, RequestHeader};
use zebu_proto::{ErrorCode, Id, Millis, OpCode, OwnerRules, SessionId, Sid, WallMillis, Zxid, jute};
use zebu_tree::{Settings, Tree};

use super::fixture::Run;

/// Who answers a read that has nothing to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// The node, to which it is handed over like a write.
    ByNode,
    /// The replica, at once.
    ByReplica,
}

/// A connection, and what was sent on it that nobody has looked at yet.
#[derive(Clone)]
struct Conn {
    id: ConnId,
    session: Rc<Cell<SessionId>>,
    ids: Rc<RefCell<Arc<[Id]>>>,
    sent: Rc<RefCell<VecDeque<Vec<u8>>>>,
    is_closed: Rc<Cell<bool>>,
}

impl Connection for Conn {
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

impl Conn {
    fn new(id: ConnId) -> Self {
        Self {
            id,
            session: Rc::default(),
            ids: Rc::new(RefCell::new([Id::new("ip", "127.0.0.1")].into())),
            sent: Rc::default(),
            is_closed: Rc::default(),
        }
    }

    fn send(&self, encode: impl FnOnce(&mut Rope)) {
        let mut rope = Rope::default();
        encode(&mut rope);
        let mut bytes = Vec::new();
        while let Some(chunk) = rope.take_chunk() {
            bytes.extend_from_slice(chunk.as_ref());
        }
        let mut rest = &bytes[..];
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (frame, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            self.sent.borrow_mut().push_back(frame.into());
            rest = after;
        }
        assert!(rest.is_empty(), "whole frames only");
    }
}

/// Puts everything on the connection that it concerns.
struct Wire;

impl Outputs<Conn> for Wire {
    fn send(&mut self, conn: &Conn, encode: impl FnOnce(&mut Rope)) {
        conn.send(encode);
    }

    fn answered(&mut self, _: &Conn, _: Answered) {}

    fn abandoned(&mut self, _: usize) {}

    fn established(&mut self, conn: &Conn, session: &Arc<SessionHandle>, response: &ConnectResponse) {
        conn.session.set(session.id());
        conn.send(|rope| rope.frame(|out| response.encode(out)));
    }

    fn close(&mut self, conn: &Conn, _: Close) {
        conn.is_closed.set(true);
    }
}

/// Watches that one thread uses.
struct Watches(RefCell<WatchTable<Conn>>);

struct Guard<'a>(RefMut<'a, WatchTable<Conn>>);

impl std::ops::Deref for Guard<'_> {
    type Target = WatchTable<Conn>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl WatchAccess<Conn> for Watches {
    fn lock(&self) -> impl DerefMut<Target = WatchTable<Conn>> {
        Guard(self.0.borrow_mut())
    }
}

pub(super) struct Server<'a> {
    run: &'a Run,
    reads: Reads,
    node: Node<Conn>,
    replica: Replica,
    watches: Watches,
    conns: BTreeMap<u64, Conn>,
    log: Vec<Vec<u8>>,
}

/// No session expires and no container goes while the recording is replayed.
const MONO: Millis = Millis(1000);

impl<'a> Server<'a> {
    /// A server with the settings of the one that was recorded.
    pub(super) fn new(run: &'a Run, reads: Reads) -> Self {
        let replica = Replica::new(Tree::new(Settings {
            owner_rules: OwnerRules {
                extended_types: true,
                emulate_353: false,
            },
            enforce_quota: true,
            ..Settings::default()
        }));
        let config = NodeConfig {
            sid: Sid(1),
            tick_ms: 500,
            session_timeout_ms_min: 1000,
            local_sessions: false,
            local_session_upgrading: false,
            session_timeout_ms_max: 60_000,
            reconfig_enabled: false,
            standalone_enabled: true,
            containers: ContainerConfig::default(),
        };
        // Session ids hold 40 bits of the clock that the server looked at when it started.
        let start = (run.first_session() >> 16) & 0xff_ffff_ffff;
        let now = Now {
            mono: MONO,
            wall: WallMillis(start),
        };
        Self {
            run,
            reads,
            node: Node::new(config, &replica, now),
            replica,
            watches: Watches(RefCell::new(WatchTable::new(7))),
            conns: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// The time at which the recorded server proposed the transaction that comes next.
    fn now(&self) -> Now {
        let next = self.replica.tree().last_zxid().next();
        Now {
            mono: MONO,
            wall: WallMillis(self.run.time(next.0)),
        }
    }

    /// A frame comes in, and everything happens that follows from it.
    pub(super) fn request(&mut self, connection: u64, payload: &[u8]) {
        if let Some(conn) = self.conns.get(&connection).cloned() {
            assert!(!conn.is_closed.get());
            self.later_request(&conn, payload);
        } else {
            let conn = Conn::new(ConnId(connection));
            self.conns.insert(connection, conn.clone());
            self.connect(&conn, payload);
        }
        self.settle();
    }

    fn connect(&mut self, conn: &Conn, payload: &[u8]) {
        let request = ConnectRequest::decode(payload).unwrap();
        let request = PendingConnect {
            last_zxid_seen: request.last_zxid_seen,
            timeout_ms: request.timeout_ms,
            session: request.session,
            password: request.password.into(),
            read_only: request.read_only,
        };
        let now = self.now();
        self.node.connect(&self.replica, conn, &request, now, &mut Wire);
    }

    fn later_request(&mut self, conn: &Conn, payload: &[u8]) {
        let mut reader = jute::Reader::new(payload);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let op = OpCode::from_i32(header.op);
        if op == Some(OpCode::Auth) {
            authenticate_conn(conn, header, reader.rest());
        } else if self.reads == Reads::ByReplica && op.is_none_or(|op| !op.is_write()) {
            self.read(conn, header, reader.rest());
        } else {
            let mut frame = Vec::new();
            jute::Write::buffer(&mut frame, Some(payload));
            let now = self.now();
            self.node
                .requests(&self.replica, conn.id, &conn.ids(), &frame, MONO, now);
        }
    }

    fn read(&self, conn: &Conn, header: RequestHeader, body: &[u8]) {
        let ids = conn.ids();
        let reader = Reader {
            conn,
            session: conn.session(),
            ids: &ids,
        };
        conn.send(|rope| {
            let after = self
                .replica
                .read(&self.watches, &reader, header.xid, header.op, body, rope);
            conn.is_closed.set(after == After::Close);
        });
    }

    fn settle(&mut self) {
        let batch = self.node.take_log(LogBatch::default());
        self.log.extend(batch.records().map(|(_, record)| record.to_vec()));
        if let Some(zxid) = batch.last_zxid() {
            self.node.flushed(zxid);
        }
        while self.node.can_commit() {
            let watches = self.watches.0.get_mut();
            self.node.commit(&mut self.replica, watches, &mut Wire, 1);
        }
    }

    /// The connection is gone.
    pub(super) fn disconnect(&mut self, connection: u64) {
        let id = self.conns[&connection].id;
        self.node.disconnected(id);
        self.watches.0.get_mut().remove_connection(id);
    }

    /// The first frame on the connection that was not taken yet.
    pub(super) fn next_sent(&self, connection: u64) -> Vec<u8> {
        self.conns[&connection]
            .sent
            .borrow_mut()
            .pop_front()
            .unwrap_or_default()
    }

    pub(super) fn has_closed(&self, connection: u64) -> bool {
        self.conns[&connection].is_closed.get()
    }

    pub(super) fn assert_nothing_more_was_sent(&self) {
        for (connection, conn) in &self.conns {
            assert!(conn.sent.borrow().is_empty(), "on connection {connection}");
        }
    }

    /// The records that were to be logged.
    pub(super) fn log(&self) -> &[Vec<u8>] {
        &self.log
    }
}

/// What the connection's reader does with an auth packet: it never reaches the node.
fn authenticate_conn(conn: &Conn, header: RequestHeader, body: &[u8]) {
    let Request::Auth { scheme, auth } = Request::decode(OpCode::Auth, body).unwrap() else {
        unreachable!("an auth packet");
    };
    let Some(more) = authenticate(&AuthConfig::default(), &scheme, auth, "127.0.0.1") else {
        conn.send(|rope| {
            rope.reply(
                ReplyHeader::error(header.xid, Zxid::ZERO, ErrorCode::AuthFailed),
                |_| {},
            )
        });
        conn.is_closed.set(true);
        return;
    };
    let mut ids = conn.ids().to_vec();
    ids.extend(more.into_iter().filter(|id| !conn.ids().contains(id)));
    *conn.ids.borrow_mut() = ids.into();
    conn.send(|rope| rope.reply(ReplyHeader::ok(header.xid, Zxid::ZERO), |_| {}));
}
