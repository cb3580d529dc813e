//! What is in flight: sessions, prepared transactions, requests that wait for their turn.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{RefCell, RefMut};
use core::ops::DerefMut;

use zebu_proto::client::{ConnectResponse, ReplyHeader, Request, RequestHeader};
use zebu_proto::jute::Reader as JuteReader;
use zebu_proto::session::password;
use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{AclList, ErrorCode, Id, Millis, OpCode, SessionId, Sid, WallMillis, Xid, Zxid};
use zebu_tree::{Change, Changes, Outcome, Pending, RequestContext, Settings};

use crate::connection::{Answered, Close, ConnId, Connection, Outputs};
use crate::container::{ContainerConfig, Sweep};
use crate::log_batch::{KEPT_BYTES_MAX, LogBatch};
use crate::read::{After, Reader, Replica, WatchAccess};
use crate::reply;
use crate::session::SessionTracker;
use crate::watch::WatchTable;

/// What the configuration decides about sessions and requests.
#[derive(Clone, Copy, Debug)]
pub struct NodeConfig {
    /// Server id; a standalone server has 1 unless told otherwise.
    pub sid: Sid,
    /// `tickTime`: width of the buckets in which sessions expire, milliseconds.
    pub tick_ms: u64,
    /// `minSessionTimeout`, milliseconds.
    pub session_timeout_ms_min: i32,
    /// `maxSessionTimeout`, milliseconds.
    pub session_timeout_ms_max: i32,
    /// `reconfigEnabled`.
    pub reconfig_enabled: bool,
    /// The removal of containers.
    pub containers: ContainerConfig,
}

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// On the monotonic clock.
    pub mono: Millis,
    /// On the wall clock.
    pub wall: WallMillis,
}

/// A handshake that waits to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingConnect {
    /// Highest zxid that the client has seen.
    pub last_zxid_seen: Zxid,
    /// Wanted session timeout, any number.
    pub timeout_ms: i32,
    /// Session to renew, or none.
    pub session: SessionId,
    /// Password of the session to renew.
    pub password: Vec<u8>,
    /// The read-only byte, if it was there; it decides the form of the response.
    pub read_only: Option<bool>,
}

/// Requests of a connection that is gone, which were handed over and will not be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abandoned {
    /// How many.
    pub requests: usize,
    /// Bytes of their frames.
    pub bytes: usize,
}

/// Number of a connection in the node.
type Key = usize;

/// The part of a server that decides on writes. See the crate's documentation.
pub struct Node<C> {
    config: NodeConfig,
    settings: Settings,
    pending: Pending,
    sessions: SessionTracker,
    next_session: SessionId,
    clients: Vec<Option<Client<C>>>,
    free: Vec<Key>,
    keys: BTreeMap<ConnId, Key>,
    /// The connection on which each session was last seen.
    bound: BTreeMap<SessionId, ConnId>,
    last_prepared: Zxid,
    committed: Zxid,
    in_flight: VecDeque<InFlight>,
    log: LogBatch,
    /// Connections whose next request can be answered without waiting for a transaction.
    ready: Vec<Key>,
    sweep: Sweep,
}

/// A connection and its requests that wait, in the order in which they came.
struct Client<C> {
    conn: C,
    queue: VecDeque<Queued>,
}

impl<C> Client<C> {
    /// Takes the first request out of the queue. A queue without requests holds no memory, however many there were.
    fn next(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        queued
    }
}

/// A request that was handed over.
struct Queued {
    xid: Xid,
    op: i32,
    received: Millis,
    /// Length of the frame.
    bytes: usize,
    what: What,
}

enum What {
    /// Waits for its transaction to be applied.
    Write,
    /// Waits for the writes before it.
    Read { ids: Arc<[Id]>, body: Box<[u8]> },
    /// Waits for the writes before it, to be refused.
    Refused(ErrorCode),
    /// Came when the connection did not serve its session any more: waits for the writes before it, and nobody is told.
    Dropped,
    /// Waits for the transaction that creates its session.
    Connect {
        session: SessionId,
        read_only: Option<bool>,
    },
}

impl What {
    const fn needs_no_transaction(&self) -> bool {
        match self {
            Self::Read { .. } | Self::Refused(_) | Self::Dropped => true,
            Self::Write | Self::Connect { .. } => false,
        }
    }
}

/// A prepared transaction and who waits for it.
struct InFlight {
    record: TxnRecord,
    asker: Option<Asker>,
}

/// Who waits for a transaction, as long as the connection is there.
#[derive(Clone, Copy)]
struct Asker {
    key: Key,
    conn: ConnId,
    /// Length of the request's frame; none for a handshake.
    bytes: Option<usize>,
}

/// Transactions above this multiple of the frame limit are refused by Java's log readers; ours stay below it.
const TXN_LIMIT_FACTOR: usize = 2;

impl<C: Connection> Node<C> {
    /// A node that goes on from `replica`; its sessions all get their full timeout from now.
    #[must_use]
    pub fn new(config: NodeConfig, replica: &Replica, now: Now) -> Self {
        let tree = replica.tree();
        let mut sessions = SessionTracker::new(config.tick_ms);
        for (session, timeout_ms) in tree.sessions() {
            sessions.add(session, u64::try_from(timeout_ms).unwrap_or(0), now.mono);
        }
        Self {
            config,
            settings: *tree.settings(),
            pending: Pending::new(tree),
            sessions,
            next_session: zebu_proto::session::first_session_id(config.sid, now.wall),
            clients: Vec::new(),
            free: Vec::new(),
            keys: BTreeMap::new(),
            bound: BTreeMap::new(),
            last_prepared: tree.last_zxid(),
            committed: tree.last_zxid(),
            in_flight: VecDeque::new(),
            log: LogBatch::default(),
            ready: Vec::new(),
            sweep: Sweep::new(config.containers, now.mono),
        }
    }

    /// The sessions.
    #[must_use]
    pub const fn sessions(&self) -> &SessionTracker {
        &self.sessions
    }

    /// Number of transactions that are prepared and not yet applied.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.in_flight.len()
    }

    /// The transactions that are to be logged. Swaps in an empty batch, whose memory is used again.
    pub fn take_log(&mut self, empty: LogBatch) -> LogBatch {
        core::mem::replace(&mut self.log, empty)
    }

    /// Whether there are transactions to be logged.
    #[must_use]
    pub fn has_log(&self) -> bool {
        !self.log.is_empty()
    }

    /// Everything up to `zxid` is durable. A standalone server is its own quorum: it is committed as well.
    pub fn flushed(&mut self, zxid: Zxid) {
        assert!(zxid <= self.last_prepared, "only what was prepared can be durable");
        self.committed = self.committed.max(zxid);
    }

    /// Whether [`Node::commit`] has something to do.
    #[must_use]
    pub fn can_commit(&self) -> bool {
        !self.ready.is_empty()
            || self
                .in_flight
                .front()
                .is_some_and(|in_flight| in_flight.record.header.zxid <= self.committed)
    }

    /// When [`Node::tick`] wants to be called next.
    #[must_use]
    pub fn deadline(&self, now: Now) -> Millis {
        let tick = Millis((now.mono.0 / self.config.tick_ms + 1) * self.config.tick_ms);
        tick.min(self.sweep.deadline())
    }

    // Events.

    /// A client asks for a session, new or renewed.
    pub fn connect(
        &mut self,
        replica: &Replica,
        conn: &C,
        request: &PendingConnect,
        now: Now,
        outputs: &mut impl Outputs<C>,
    ) {
        if request.last_zxid_seen > replica.tree().last_zxid() {
            // The client knows more than this server; an answer would cost it its session.
            outputs.close(conn, Close::Now);
            return;
        }
        let timeout_ms = request
            .timeout_ms
            .max(self.config.session_timeout_ms_min)
            .min(self.config.session_timeout_ms_max);
        if request.session == SessionId::NONE {
            self.create_session(conn, request, timeout_ms, now);
        } else {
            self.renew_session(conn, request, timeout_ms, now, outputs);
        }
    }

    fn create_session(&mut self, conn: &C, request: &PendingConnect, timeout_ms: i32, now: Now) {
        let session = self.next_session;
        self.next_session = session.next();
        self.sessions
            .add(session, u64::try_from(timeout_ms).unwrap_or(0), now.mono);
        let key = self.admit(conn, session);
        let context = self.context(session, Xid(0), &[], true, now);
        let record = self.pending.create_session(&self.settings, &context, timeout_ms);
        let asker = Asker {
            key,
            conn: conn.id(),
            bytes: None,
        };
        self.propose(record, Some(asker));
        self.enqueue(
            key,
            Queued {
                xid: Xid(0),
                op: OpCode::CreateSession.code(),
                received: now.mono,
                bytes: 0,
                what: What::Connect {
                    session,
                    read_only: request.read_only,
                },
            },
        );
    }

    fn renew_session(
        &mut self,
        conn: &C,
        request: &PendingConnect,
        timeout_ms: i32,
        now: Now,
        outputs: &mut impl Outputs<C>,
    ) {
        let session = request.session;
        let is_owner = request.password == password(session);
        let renewed = if is_owner {
            self.sessions
                .renew(session, u64::try_from(timeout_ms).unwrap_or(0), now.mono)
        } else {
            None
        };
        let Some(handle) = renewed else {
            let response = ConnectResponse::invalid(request.read_only);
            outputs.send(conn, |rope| rope.frame(|out| response.encode(out)));
            outputs.close(conn, Close::AfterOutput);
            return;
        };
        if let Some(key) = self.bound.get(&session).and_then(|before| self.keys.get(before))
            && let Some(client) = &self.clients[*key]
            && client.conn.id() != conn.id()
        {
            outputs.close(&client.conn, Close::Now);
        }
        self.admit(conn, session);
        let read_only = request.read_only.map(|_| false);
        let response = ConnectResponse {
            timeout_ms,
            session,
            password: password(session),
            read_only,
        };
        outputs.established(conn, &handle, &response);
    }

    /// Requests of a client with a session: frames one behind the other, each with its length in front. All of them
    /// carry the identities that the client had shown when they came.
    ///
    /// If the session is gone, or served by another connection by now, they are dropped: this connection is being closed,
    /// and what its client did earlier, here, must not take effect behind what it does later, there. Between two servers
    /// the reference calls this a moved session; on one server it does not look.
    pub fn requests(
        &mut self,
        replica: &Replica,
        conn: ConnId,
        ids: &Arc<[Id]>,
        frames: &[u8],
        received: Millis,
        now: Now,
    ) {
        let Some(&key) = self.keys.get(&conn) else { return };
        let Some(client) = &self.clients[key] else { return };
        let session = client.conn.session();
        let is_bound = self.bound.get(&session) == Some(&conn);
        let mut rest = frames;
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
            // The connection's reader hands over whole frames.
            let Some((frame, after)) = after.split_at_checked(len) else {
                break;
            };
            rest = after;
            if is_bound {
                let asker = Asker {
                    key,
                    conn,
                    bytes: Some(frame.len()),
                };
                self.request(replica, asker, session, ids, frame, received, now);
            } else {
                self.drop_request(key, frame, received);
            }
        }
        self.note_ready(key);
    }

    #[allow(clippy::too_many_arguments, reason = "one call site, one frame of a batch")]
    fn request(
        &mut self,
        replica: &Replica,
        asker: Asker,
        session: SessionId,
        ids: &Arc<[Id]>,
        frame: &[u8],
        received: Millis,
        now: Now,
    ) {
        let mut reader = JuteReader::new(frame);
        let Ok(header) = RequestHeader::decode(&mut reader) else {
            return;
        };
        let body = reader.rest();
        let op = OpCode::from_i32(header.op).filter(|op| op.is_client_request() && op.is_write());
        let what = match op {
            Some(op) => self.write(replica, asker, session, ids, header.xid, op, body, now),
            None => What::Read {
                ids: ids.clone(),
                body: body.into(),
            },
        };
        self.enqueue(
            asker.key,
            Queued {
                xid: header.xid,
                op: header.op,
                received,
                bytes: frame.len(),
                what,
            },
        );
    }

    fn drop_request(&mut self, key: Key, frame: &[u8], received: Millis) {
        let Ok(header) = RequestHeader::decode(&mut JuteReader::new(frame)) else {
            return;
        };
        self.enqueue(
            key,
            Queued {
                xid: header.xid,
                op: header.op,
                received,
                bytes: frame.len(),
                what: What::Dropped,
            },
        );
    }

    #[allow(clippy::too_many_arguments, reason = "one call site, the parts of one request")]
    fn write(
        &mut self,
        replica: &Replica,
        asker: Asker,
        session: SessionId,
        ids: &[Id],
        xid: Xid,
        op: OpCode,
        body: &[u8],
        now: Now,
    ) -> What {
        let is_live = self.sessions.is_live(session);
        if op == OpCode::CloseSession && is_live {
            self.close_session(replica, session, xid, Some(asker), now);
            return What::Write;
        }
        let context = self.context(session, xid, ids, is_live, now);
        let record = match Request::decode(op, body) {
            Ok(Request::Reconfig { .. }) => {
                let enabled = self.config.reconfig_enabled;
                let error = if enabled {
                    ErrorCode::Unimplemented
                } else {
                    ErrorCode::ReconfigDisabled
                };
                self.pending.refuse(&context, error)
            }
            Ok(Request::CloseSession) => self.pending.refuse(&context, ErrorCode::SessionExpired),
            Ok(request) => self.pending.prepare(replica.tree(), &context, &request),
            // As in the reference a multi that cannot be read takes a zxid, other requests take none.
            Err(_) if op == OpCode::Multi => self.pending.refuse(&context, ErrorCode::MarshallingError),
            Err(_) => return What::Refused(ErrorCode::MarshallingError),
        };
        let len = self.propose(record, Some(asker));
        if len > self.settings.txn_bytes_max.saturating_mul(TXN_LIMIT_FACTOR) {
            // No server could read its log again.
            self.in_flight.pop_back();
            self.log.pop();
            let context = RequestContext {
                zxid: self.last_prepared,
                ..self.context(session, xid, ids, is_live, now)
            };
            let record = self.pending.refuse_last(&context, ErrorCode::BadArguments);
            self.enter(record, Some(asker));
        }
        What::Write
    }

    /// Closes a session, by its client's wish or because it expired.
    fn close_session(&mut self, replica: &Replica, session: SessionId, xid: Xid, asker: Option<Asker>, now: Now) {
        // The record lists the session's nodes and must stay readable: if it would grow too large, some go before.
        let tree = replica.tree();
        let ephemerals = self.pending.ephemerals(tree, session);
        let mut bytes: usize = ephemerals.iter().map(|path| path.len() + 4).sum();
        let mut surplus = ephemerals.iter();
        while bytes > self.settings.txn_bytes_max {
            let Some(path) = surplus.next() else { break };
            bytes -= path.len() + 4;
            let context = self.context(session, xid, &[], true, now);
            let record = self.pending.delete_ephemeral(tree, &context, path);
            self.propose(record, None);
        }
        let context = self.context(session, xid, &[], true, now);
        let record = self.pending.prepare(tree, &context, &Request::CloseSession);
        self.propose(record, asker);
        self.sessions.set_closing(session);
    }

    /// A connection is gone. Its watches are the caller's to remove. What waits for a turn of its own is dropped, and
    /// returned as number and bytes. Its writes go on; each is told with [`Outputs::abandoned`] when it is over.
    pub fn disconnected(&mut self, conn: ConnId) -> Abandoned {
        let mut abandoned = Abandoned::default();
        let Some(key) = self.keys.remove(&conn) else {
            return abandoned;
        };
        if let Some(client) = self.clients[key].take() {
            if self.bound.get(&client.conn.session()) == Some(&conn) {
                self.bound.remove(&client.conn.session());
            }
            for queued in &client.queue {
                if queued.what.needs_no_transaction() {
                    abandoned.requests += 1;
                    abandoned.bytes += queued.bytes;
                }
            }
        }
        self.free.push(key);
        self.ready.retain(|ready| *ready != key);
        abandoned
    }

    /// Closes sessions that own ephemeral nodes and are not known: what a crash at a bad moment of another
    /// implementation may have left behind. For a node that has just begun.
    pub fn close_orphans(&mut self, replica: &Replica, now: Now) {
        for session in replica.tree().sessions_with_ephemerals() {
            if self.sessions.handle(session).is_none() {
                self.close_session(replica, session, Xid(0), None, now);
            }
        }
    }

    /// Time has passed: sessions expire, containers go.
    ///
    /// A session does not expire while its client waits for an answer: this server is late then, and may not even read
    /// what the client sends meanwhile. (In the reference a disk that hangs makes the sessions of all who write expire.)
    pub fn tick(&mut self, replica: &Replica, now: Now) -> Vec<SessionId> {
        for client in self.clients.iter().flatten().filter(|client| !client.queue.is_empty()) {
            if let Some(session) = self.sessions.handle(client.conn.session()) {
                session.touch(now.mono);
            }
        }
        let expired = self.sessions.expire(now.mono);
        for session in &expired {
            self.close_session(replica, *session, Xid(0), None, now);
        }
        while let Some(path) = self.sweep.next(replica.tree(), now.mono, now.wall) {
            let context = self.context(SessionId::NONE, Xid(0), &[], true, now);
            let record = self.pending.delete_container(replica.tree(), &context, &path);
            self.propose(record, None);
        }
        expired
    }

    /// Applies committed transactions, at most `limit`, and answers those who wait for them. Call again while
    /// [`Node::can_commit`].
    ///
    /// A request that came behind a write is answered right after it, before anything later is applied: so every
    /// client's requests take effect in the order in which they were sent.
    pub fn commit(
        &mut self,
        replica: &mut Replica,
        watches: &mut WatchTable<C>,
        outputs: &mut impl Outputs<C>,
        limit: usize,
    ) {
        while let Some(key) = self.ready.pop() {
            self.answer_reads(key, replica, watches, outputs);
        }
        for _ in 0..limit {
            let is_committed = |front: &InFlight| front.record.header.zxid <= self.committed;
            if !self.in_flight.front().is_some_and(is_committed) {
                break;
            }
            let Some(in_flight) = self.in_flight.pop_front() else {
                break;
            };
            self.apply(&in_flight, replica, watches, outputs);
        }
        if self.in_flight.is_empty() {
            self.in_flight.shrink_to(KEPT_BYTES_MAX / size_of::<InFlight>());
        }
    }

    fn apply(
        &mut self,
        in_flight: &InFlight,
        replica: &mut Replica,
        watches: &mut WatchTable<C>,
        outputs: &mut impl Outputs<C>,
    ) {
        let InFlight { record, asker } = in_flight;
        let zxid = record.header.zxid;
        let mut telling = Telling {
            watches: &mut *watches,
            outputs: &mut *outputs,
            zxid,
            settings: self.settings,
        };
        let outcome = replica.tree.apply(record, &mut telling);
        if let Some(digest) = &record.digest {
            assert_eq!(
                digest.tree,
                replica.tree.digest(),
                "the tree is not what was prepared at {zxid}"
            );
        }
        self.pending.applied(zxid);
        if let Txn::CloseSession { .. } = record.txn {
            self.session_closed(record.header.session, asker.map(|asker| asker.conn), outputs);
        }
        if let Some(asker) = asker {
            self.answer_write(*asker, record, &outcome, outputs);
            self.answer_reads(asker.key, replica, watches, outputs);
        }
    }

    /// The session is gone: whoever still serves it is closed, except the connection that asked for it, which gets its
    /// answer first.
    fn session_closed(&mut self, session: SessionId, asked_by: Option<ConnId>, outputs: &mut impl Outputs<C>) {
        self.sessions.remove(session);
        let Some(conn) = self.bound.remove(&session) else {
            return;
        };
        if asked_by == Some(conn) {
            return;
        }
        if let Some(client) = self.keys.get(&conn).and_then(|key| self.clients[*key].as_ref()) {
            outputs.close(&client.conn, Close::Now);
        }
    }

    fn answer_write(&mut self, asker: Asker, record: &TxnRecord, outcome: &Outcome, outputs: &mut impl Outputs<C>) {
        let client = self.clients.get_mut(asker.key).and_then(Option::as_mut);
        let Some(client) = client.filter(|client| client.conn.id() == asker.conn) else {
            if let Some(bytes) = asker.bytes {
                outputs.abandoned(bytes);
            }
            return;
        };
        let Some(queued) = client.next() else { return };
        let zxid = record.header.zxid;
        match queued.what {
            What::Connect { session, read_only } => {
                // It may have expired in the meantime.
                match self.sessions.handle(session).filter(|handle| !handle.is_closing()) {
                    Some(handle) => {
                        let timeout_ms = i32::try_from(handle.timeout_ms()).unwrap_or(i32::MAX);
                        let read_only = read_only.map(|_| false);
                        let response = ConnectResponse {
                            timeout_ms,
                            session,
                            password: password(session),
                            read_only,
                        };
                        outputs.established(&client.conn, handle, &response);
                    }
                    None => outputs.close(&client.conn, Close::Now),
                }
                return;
            }
            What::Write => {
                outputs.send(&client.conn, |rope| {
                    reply::encode(queued.xid, zxid, &record.txn, outcome, rope)
                });
                if queued.op == OpCode::CloseSession.code() {
                    outputs.close(&client.conn, Close::AfterOutput);
                }
            }
            What::Read { .. } | What::Refused(_) | What::Dropped => {
                unreachable!("reads leave the queue before the next write")
            }
        }
        let answered = Answered {
            op: queued.op,
            is_refused: matches!(record.txn, Txn::Error { .. }),
            xid: queued.xid,
            zxid,
            received: queued.received,
            bytes: queued.bytes,
        };
        outputs.answered(&client.conn, answered);
    }

    /// Answers a connection's requests up to the next one that waits for a transaction.
    fn answer_reads(
        &mut self,
        key: Key,
        replica: &Replica,
        watches: &mut WatchTable<C>,
        outputs: &mut impl Outputs<C>,
    ) {
        let Some(client) = self.clients.get_mut(key).and_then(Option::as_mut) else {
            return;
        };
        let watches = Held(RefCell::new(watches));
        while let Some(front) = client.queue.front()
            && front.what.needs_no_transaction()
        {
            let Some(queued) = client.next() else { return };
            let zxid = replica.tree().last_zxid();
            let mut after = After::Open;
            let conn = &client.conn;
            match &queued.what {
                What::Read { ids, body } => {
                    let reader = Reader {
                        conn,
                        session: conn.session(),
                        ids,
                    };
                    outputs.send(conn, |rope| {
                        after = replica.read(&watches, &reader, queued.xid, queued.op, body, rope);
                    });
                }
                What::Refused(error) => outputs.send(conn, |rope| {
                    rope.reply(ReplyHeader::error(queued.xid, zxid, *error), |_| {});
                }),
                What::Dropped | What::Write | What::Connect { .. } => {}
            }
            outputs.answered(
                conn,
                Answered {
                    op: queued.op,
                    is_refused: matches!(queued.what, What::Refused(_) | What::Dropped),
                    xid: queued.xid,
                    zxid,
                    received: queued.received,
                    bytes: queued.bytes,
                },
            );
            if after == After::Close {
                outputs.close(conn, Close::AfterOutput);
            }
        }
    }

    // What the events build on.

    fn context<'a>(
        &self,
        session: SessionId,
        cxid: Xid,
        ids: &'a [Id],
        session_is_live: bool,
        now: Now,
    ) -> RequestContext<'a> {
        RequestContext {
            session,
            cxid,
            zxid: self.next_zxid(),
            time: now.wall,
            ids,
            session_is_live,
        }
    }

    /// The counter of an epoch is never used to its end. A standalone server needs no election to go on in the next.
    fn next_zxid(&self) -> Zxid {
        let last = self.last_prepared;
        if last.counter() >= u32::MAX - 1 {
            Zxid::epoch_start(zebu_proto::Epoch(last.epoch().0 + 1)).next()
        } else {
            last.next()
        }
    }

    /// Puts a transaction on its way. Returns its length in bytes.
    fn propose(&mut self, record: TxnRecord, asker: Option<Asker>) -> usize {
        assert_eq!(
            record.header.zxid,
            self.next_zxid(),
            "transactions are prepared one after the other"
        );
        self.last_prepared = record.header.zxid;
        self.enter(record, asker)
    }

    fn enter(&mut self, record: TxnRecord, asker: Option<Asker>) -> usize {
        let len = self.log.push(&record);
        self.in_flight.push_back(InFlight { record, asker });
        len
    }

    fn admit(&mut self, conn: &C, session: SessionId) -> Key {
        let client = Some(Client {
            conn: conn.clone(),
            queue: VecDeque::new(),
        });
        let key = match self.free.pop() {
            Some(key) => {
                self.clients[key] = client;
                key
            }
            None => {
                self.clients.push(client);
                self.clients.len() - 1
            }
        };
        self.keys.insert(conn.id(), key);
        self.bound.insert(session, conn.id());
        key
    }

    fn enqueue(&mut self, key: Key, queued: Queued) {
        if let Some(client) = &mut self.clients[key] {
            client.queue.push_back(queued);
        }
    }

    fn note_ready(&mut self, key: Key) {
        let is_ready = |client: &Client<C>| {
            client
                .queue
                .front()
                .is_some_and(|front| front.what.needs_no_transaction())
        };
        if self.clients[key].as_ref().is_some_and(is_ready) && !self.ready.contains(&key) {
            self.ready.push(key);
        }
    }
}

/// Tells those who watch about the changes of one transaction.
struct Telling<'a, C, O> {
    watches: &'a mut WatchTable<C>,
    outputs: &'a mut O,
    zxid: Zxid,
    settings: Settings,
}

impl<C: Connection, O: Outputs<C>> Changes for Telling<'_, C, O> {
    fn change(&mut self, change: Change, path: &str, acl: &AclList, parent_acl: Option<&AclList>) {
        self.watches
            .trigger(change, path, acl, parent_acl, self.zxid, &self.settings, self.outputs);
    }
}

/// The table of watches in the hands of the node.
struct Held<'a, C>(RefCell<&'a mut WatchTable<C>>);

impl<C> WatchAccess<C> for Held<'_, C> {
    fn lock(&self) -> impl DerefMut<Target = WatchTable<C>> {
        RefMut::map(self.0.borrow_mut(), |watches| &mut **watches)
    }
}
