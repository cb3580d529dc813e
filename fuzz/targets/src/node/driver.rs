//! What a server does around a node, without sockets, threads and disks.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::ops::DerefMut;
use std::rc::Rc;
use std::sync::Arc;

use zebu_node::{
    After, Answered, Close, ConnId, Connection, ContainerConfig, LogBatch, Node, NodeConfig, Now, Outputs,
    PendingConnect, Reader, Replica, Rope, SessionHandle, WatchAccess, WatchTable,
};
use zebu_proto::client::{ConnectResponse, ReplyHeader, WatchedEvent};
use zebu_proto::jute::{self, Write};
use zebu_proto::session::password;
use zebu_proto::txn::TxnRecord;
use zebu_proto::{Id, Millis, OpCode, SessionId, Sid, WallMillis, Xid, Zxid};
use zebu_tree::{Settings, Tree};

use crate::data_dir::dump;

/// Most connections of one run.
const CONNS_MAX: usize = 12;

/// How requests reach the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentAs {
    /// All of them are handed over.
    Batch,
    /// Reads are answered at once where nothing is in flight, as connection workers do.
    ReadsAtOnce,
}

/// A connection as the node knows it.
#[derive(Clone)]
struct Conn(Rc<Inner>);

struct Inner {
    id: ConnId,
    ids: RefCell<Arc<[Id]>>,
    session: Cell<SessionId>,
    handle: RefCell<Option<Arc<SessionHandle>>>,
    rope: RefCell<Rope>,
    /// Requests without an answer, in their order.
    waiting: RefCell<VecDeque<(Xid, i32)>>,
    is_closed: Cell<bool>,
}

impl Connection for Conn {
    fn id(&self) -> ConnId {
        self.0.id
    }

    fn ids(&self) -> Arc<[Id]> {
        self.0.ids.borrow().clone()
    }

    fn session(&self) -> SessionId {
        self.0.session.get()
    }
}

/// The outputs of the node. What was told is kept in the connections.
#[derive(Default)]
struct Told {
    /// Writes of connections that are gone, as far as the node has not told that they are over.
    owed: usize,
}

impl Outputs<Conn> for Told {
    fn send(&mut self, conn: &Conn, encode: impl FnOnce(&mut Rope)) {
        encode(&mut conn.0.rope.borrow_mut());
    }

    fn answered(&mut self, conn: &Conn, answered: Answered) {
        let waiting = conn.0.waiting.borrow_mut().pop_front();
        assert_eq!(
            waiting,
            Some((answered.xid, answered.op)),
            "answers come in the order of the requests"
        );
    }

    fn abandoned(&mut self, _: usize) {
        self.owed = self.owed.checked_sub(1).expect("a write of a connection that is gone");
    }

    fn established(&mut self, conn: &Conn, session: &Arc<SessionHandle>, response: &ConnectResponse) {
        assert_eq!(response.session, session.id());
        assert_eq!(conn.0.session.get(), SessionId::NONE, "a handshake ends once");
        conn.0.session.set(session.id());
        *conn.0.handle.borrow_mut() = Some(session.clone());
    }

    fn close(&mut self, conn: &Conn, _: Close) {
        conn.0.is_closed.set(true);
    }
}

/// The table of watches for those who read without the node.
struct Watches(RefCell<WatchTable<Conn>>);

impl WatchAccess<Conn> for Watches {
    fn lock(&self) -> impl DerefMut<Target = WatchTable<Conn>> {
        RefMut::map(self.0.borrow_mut(), |watches| watches)
    }
}

/// A node with everything around it.
pub(super) struct Driver {
    node: Node<Conn>,
    replica: Replica,
    watches: Watches,
    told: Told,
    conns: Vec<Conn>,
    /// Sessions that were ever given out.
    sessions: Vec<SessionId>,
    now_ms: u64,
    next_xid: i32,
    /// Every transaction, as it was logged.
    log: Vec<Vec<u8>>,
    durable: VecDeque<Zxid>,
}

impl Driver {
    pub(super) fn new(settings: Settings) -> Self {
        let replica = Replica::new(Tree::new(settings));
        let config = NodeConfig {
            sid: Sid(1),
            tick_ms: 1000,
            session_timeout_ms_min: 2000,
            session_timeout_ms_max: 20_000,
            reconfig_enabled: settings.skip_acl,
            standalone_enabled: true,
            local_sessions: false,
            local_session_upgrading: false,
            containers: ContainerConfig {
                check_interval_ms: 2000,
                per_minute_max: 10_000,
                never_used_ms_max: 5000,
            },
        };
        let now_ms = 1_000_000;
        Self {
            node: Node::new(config, &replica, now(now_ms)),
            replica,
            watches: Watches(RefCell::new(WatchTable::new(0))),
            told: Told::default(),
            conns: Vec::new(),
            sessions: Vec::new(),
            now_ms,
            next_xid: 1,
            log: Vec::new(),
            durable: VecDeque::new(),
        }
    }

    /// A session that was given out, or one that never was.
    pub(super) fn session(&self, choice: usize) -> SessionId {
        let none = SessionId(77);
        *self.sessions.get(choice % (self.sessions.len() + 1)).unwrap_or(&none)
    }

    pub(super) fn connect(&mut self, session: SessionId, timeout_ms: i32, last_zxid_seen: Zxid) {
        if self.conns.len() == CONNS_MAX {
            return;
        }
        let conn = Conn(Rc::new(Inner {
            id: ConnId(self.conns.len() as u64 + 1),
            ids: RefCell::new([Id::new("ip", "127.0.0.1")].into()),
            session: Cell::new(SessionId::NONE),
            handle: RefCell::new(None),
            rope: RefCell::new(Rope::default()),
            waiting: RefCell::new(VecDeque::new()),
            is_closed: Cell::new(false),
        }));
        let request = PendingConnect {
            last_zxid_seen,
            timeout_ms,
            session,
            password: password(session).to_vec(),
            read_only: Some(false),
        };
        self.conns.push(conn.clone());
        self.node
            .connect(&self.replica, &conn, &request, now(self.now_ms), &mut self.told);
    }

    /// A connection that can send requests.
    fn open_conn(&self, choice: usize) -> Option<Conn> {
        let open = |conn: &&Conn| conn.session() != SessionId::NONE && !conn.0.is_closed.get();
        let open: Vec<&Conn> = self.conns.iter().filter(open).collect();
        let conn = *open.get(choice.checked_rem(open.len())?)?;
        Some(conn.clone())
    }

    pub(super) fn disconnect(&mut self, choice: usize) {
        let Some(at) = choice.checked_rem(self.conns.len()) else {
            return;
        };
        let conn = self.conns[at].clone();
        conn.0.is_closed.set(true);
        let abandoned = self.node.disconnected(conn.id());
        let waiting = conn.0.waiting.borrow().len();
        let owed = waiting.checked_sub(abandoned.requests);
        self.told.owed += owed.expect("requests without an answer");
        conn.0.waiting.borrow_mut().clear();
        self.watches.0.borrow_mut().remove_connection(conn.id());
    }

    /// The client shows who it is.
    pub(super) fn identify(&mut self, choice: usize, who: usize) {
        if let Some(conn) = self.open_conn(choice) {
            let more = [
                Id::new("digest", "bob:secret"),
                Id::new("super", ""),
                Id::new("ip", "::1"),
                Id::new("x", "y"),
            ];
            *conn.0.ids.borrow_mut() = [Id::new("ip", "127.0.0.1"), more[who].clone()].into();
        }
    }

    pub(super) fn send(&mut self, choice: usize, requests: &[(i32, Vec<u8>)], sent_as: SentAs) {
        let Some(conn) = self.open_conn(choice) else { return };
        let is_live = conn
            .0
            .handle
            .borrow()
            .as_ref()
            .is_some_and(|handle| handle.touch(Millis(self.now_ms)));
        if !is_live {
            // The server drops what comes for a session that is being closed.
            return;
        }
        let mut frames = Vec::new();
        for (op, body) in requests {
            // The server answers these itself.
            if *op == OpCode::Auth.code() || conn.0.is_closed.get() {
                continue;
            }
            let xid = Xid(self.next_xid);
            self.next_xid += 1;
            let is_write = OpCode::from_i32(*op).is_some_and(|op| op.is_client_request() && op.is_write());
            let is_idle = frames.is_empty() && conn.0.waiting.borrow().is_empty();
            conn.0.waiting.borrow_mut().push_back((xid, *op));
            if sent_as == SentAs::ReadsAtOnce && is_idle && !is_write {
                self.read(&conn, xid, *op, body);
            } else {
                let start = jute::begin_frame(&mut frames);
                frames.int(xid.0);
                frames.int(*op);
                frames.extend_from_slice(body);
                jute::end_frame(&mut frames, start);
            }
        }
        let received = Millis(self.now_ms);
        self.node.requests(
            &self.replica,
            conn.id(),
            &conn.ids(),
            &frames,
            received,
            now(self.now_ms),
        );
    }

    fn read(&self, conn: &Conn, xid: Xid, op: i32, body: &[u8]) {
        let ids = conn.ids();
        let reader = Reader {
            conn,
            session: conn.session(),
            ids: &ids,
        };
        let mut rope = conn.0.rope.borrow_mut();
        let after = self.replica.read(&self.watches, &reader, xid, op, body, &mut rope);
        conn.0.waiting.borrow_mut().pop_front();
        if after == After::Close {
            conn.0.is_closed.set(true);
        }
    }

    pub(super) fn pass_time(&mut self, ms: u64) {
        self.now_ms += ms;
        self.node.close_orphans(&self.replica, now(self.now_ms));
        self.node.tick(&self.replica, now(self.now_ms));
    }

    /// Takes the log, and makes all but the last `left` of what was taken so far durable.
    pub(super) fn flush(&mut self, left: usize) {
        let batch = self.node.take_log(LogBatch::default());
        for (zxid, bytes) in batch.records() {
            let record = TxnRecord::decode(bytes).expect("a record of ours");
            assert_eq!(record.header.zxid, zxid);
            assert_eq!(record.to_vec(), bytes);
            self.log.push(bytes.to_vec());
            self.durable.push_back(zxid);
        }
        let mut flushed = None;
        while self.durable.len() > left {
            flushed = self.durable.pop_front();
        }
        if let Some(zxid) = flushed {
            self.node.flushed(zxid);
        }
    }

    pub(super) fn commit(&mut self, limit: usize) {
        let mut watches = self.watches.0.borrow_mut();
        self.node.commit(&mut self.replica, &mut watches, &mut self.told, limit);
        drop(watches);
        self.note_sessions();
    }

    fn note_sessions(&mut self) {
        for conn in &self.conns {
            let session = conn.session();
            if session != SessionId::NONE && !self.sessions.contains(&session) {
                self.sessions.push(session);
            }
        }
    }

    /// Carries out everything that is under way.
    pub(super) fn settle(&mut self) {
        self.flush(0);
        while self.node.can_commit() {
            self.commit(100);
        }
        assert_eq!(self.node.outstanding(), 0);
        assert_eq!(self.told.owed, 0, "writes that nobody was told about");
        assert!(!self.node.has_log());
    }

    /// Nobody waits for an answer, and every client was sent frames that it can follow.
    pub(super) fn check_clients(&self) {
        for conn in &self.conns {
            if !conn.0.is_closed.get() {
                assert!(conn.0.waiting.borrow().is_empty(), "requests without an answer");
            }
            if conn.session() != SessionId::NONE {
                check_stream(&drain(&mut conn.0.rope.borrow_mut()));
            }
        }
    }

    /// The log makes the same tree.
    pub(super) fn check_log(&self) {
        let tree = self.replica.tree();
        let mut replayed = Tree::new(*tree.settings());
        for bytes in &self.log {
            let record = TxnRecord::decode(bytes).expect("a record of ours");
            replayed.apply(&record, &mut ());
        }
        assert_eq!(dump(&replayed), dump(tree));
    }

    /// What expires is what is stored.
    pub(super) fn check_sessions(&self) {
        let stored = self.replica.tree().sessions();
        assert_eq!(stored.count(), self.node.sessions().len());
    }

    pub(super) fn into_replica(self) -> Replica {
        self.replica
    }
}

/// Frames whose replies carry rising numbers and zxids that do not fall.
fn check_stream(bytes: &[u8]) {
    let mut rest = bytes;
    let mut last_xid = 0;
    let mut last_zxid = 0;
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let len = usize::try_from(i32::from_be_bytes(*len)).expect("a length");
        let (frame, after) = after.split_at_checked(len).expect("a whole frame");
        rest = after;
        let mut reader = jute::Reader::new(frame);
        let header = ReplyHeader::decode(&mut reader).expect("a header");
        if header.xid == Xid::NOTIFICATION {
            WatchedEvent::decode(&mut reader).expect("an event");
            assert!(reader.is_at_end());
        } else if header.xid != Xid::PING {
            assert!(header.xid.0 > last_xid, "{} after {last_xid}", header.xid.0);
            last_xid = header.xid.0;
        }
        if header.err != 0 {
            assert!(reader.is_at_end(), "a refusal has no record");
        }
        // Some answers carry 0 or −1 in place of a zxid.
        if header.zxid > Zxid::ZERO {
            assert!(header.zxid.0 >= last_zxid, "{} after {last_zxid}", header.zxid.0);
            last_zxid = header.zxid.0;
        }
    }
    assert!(rest.is_empty());
}

fn drain(rope: &mut Rope) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = rope.take_chunk() {
        bytes.extend_from_slice(chunk.as_ref());
    }
    bytes
}

fn now(ms: u64) -> Now {
    Now {
        mono: Millis(ms),
        wall: WallMillis(ms.cast_signed()),
    }
}
