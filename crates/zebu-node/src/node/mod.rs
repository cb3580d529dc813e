//! What is in flight: sessions, prepared transactions, requests that wait for their turn.
//!
//! One value for all roles of a server: alone, or as leader, it decides on writes (`decide`); as learner it forwards them
//! and gets them back as proposals (`learn`). What is committed takes its effect in the same way in all of them (`commit`).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use zebu_proto::client::{ConnectResponse, RequestHeader};
use zebu_proto::jute::Reader as JuteReader;
use zebu_proto::quorum::QuorumConfig;
use zebu_proto::session::password;
use zebu_proto::txn::TxnRecord;
use zebu_proto::{Epoch, Id, Millis, OpCode, SessionId, Sid, WallMillis, Xid, Zxid};
use zebu_tree::{Pending, RequestContext, Settings};

use self::clients::{Asker, Client, Key, Queued, What};
use self::learn::{Forward, Revalidating};
use self::local::Ended;
use self::reconfig::{Membership, ReconfigRefusal};
use crate::connection::{Close, ConnId, Connection, Outputs};
use crate::container::{ContainerConfig, Sweep};
use crate::log_batch::LogBatch;
use crate::read::Replica;
use crate::session::{SessionHandle, SessionTracker};

mod clients;
mod commit;
mod decide;
pub(crate) mod learn;
mod local;
pub(crate) mod reconfig;

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
    /// `localSessionsEnabled`: in an ensemble, sessions are known to their server alone until they need more.
    pub local_sessions: bool,
    /// `localSessionsUpgradingEnabled`: they become known to all when they make an ephemeral node, which they may not else.
    pub local_session_upgrading: bool,
    /// `reconfigEnabled`.
    pub reconfig_enabled: bool,
    /// `standaloneEnabled`: an ensemble has two voters at least.
    pub standalone_enabled: bool,
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

/// What a server is to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It is the whole ensemble, and decides on writes.
    Alone,
    /// It leads, and decides on the writes of all.
    Leading,
    /// It follows or observes: writes go to the leader and come back as proposals.
    Learning,
    /// It has no leader, and serves those who only read.
    ReadOnly,
    /// It looks for a leader, and serves nobody.
    Looking,
}

/// The connection of a learner, in the hands of the leader that it is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LearnerKey(pub u64);

/// Who served a session last, in the eyes of a leader. It stays so when the connection is gone: what comes from elsewhere
/// is older. Source: `SessionTrackerImpl.checkSession`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The leader itself.
    Here,
    Learner(LearnerKey),
}

/// A tree that is not what the leader's was after the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The transaction.
    pub zxid: Zxid,
    /// The leader's digest.
    pub expected: u64,
    /// The one that was found.
    pub found: u64,
}

/// The part of a server that decides on writes. See the crate's documentation.
pub struct Node<C> {
    config: NodeConfig,
    settings: Settings,
    role: NodeRole,
    pending: Pending,
    sessions: SessionTracker,
    /// Those that only this server knows.
    local: SessionTracker,
    /// On a leader: what learners may still take for one of theirs.
    ended: Ended,
    next_session: SessionId,
    clients: Vec<Option<Client<C>>>,
    free: Vec<Key>,
    keys: BTreeMap<ConnId, Key>,
    /// The connection on which each session was last seen, if that is one of this server's.
    bound: BTreeMap<SessionId, ConnId>,
    /// On a leader: who served each session last.
    owners: BTreeMap<SessionId, Owner>,
    last_prepared: Zxid,
    committed: Zxid,
    /// The last transaction that was applied.
    applied: Zxid,
    /// How many were.
    applied_count: u64,
    in_flight: VecDeque<InFlight>,
    log: LogBatch,
    /// Connections whose next request can be answered without waiting for a transaction.
    ready: Vec<Key>,
    /// Connections whose syncs the leader has not answered, in the order in which they came.
    syncs: VecDeque<ConnId>,
    /// Syncs that are answered and wait for this to be applied.
    syncs_due: Vec<(Zxid, Key)>,
    /// On a leader: syncs of its own clients that the driver has not heard of.
    new_syncs: usize,
    /// On a learner: what the leader is to be told.
    forwards: Vec<Forward>,
    /// On a learner: clients that came back, and wait for the leader's word on their sessions.
    revalidating: BTreeMap<SessionId, Revalidating<C>>,
    /// Whether the tree is one of which digests say nothing, until one fits.
    is_fuzzy: bool,
    divergences: u64,
    last_divergence: Option<Divergence>,
    /// On a leader: its ensemble.
    membership: Option<Membership>,
    /// What a change has made of it, that the driver has not heard of.
    reconfig: Option<Arc<QuorumConfig>>,
    /// Why a change of it was refused last.
    refusal: Option<ReconfigRefusal>,
    sweep: Sweep,
    /// The time at the last event.
    seen_at: Millis,
}

/// A transaction on its way and who waits for it.
struct InFlight {
    record: TxnRecord,
    asker: Option<Asker>,
}

impl<C: Connection> Node<C> {
    /// The node of a server alone. It goes on from `replica`; sessions all get their full timeout from now.
    #[must_use]
    pub fn new(config: NodeConfig, replica: &Replica, now: Now) -> Self {
        let mut node = Self::in_ensemble(config, replica, now);
        node.role = NodeRole::Alone;
        node.track_sessions(replica, now);
        node
    }

    /// The node of a server of an ensemble. It serves nobody until it has a role.
    #[must_use]
    pub fn in_ensemble(config: NodeConfig, replica: &Replica, now: Now) -> Self {
        let tree = replica.tree();
        Self {
            config,
            settings: *tree.settings(),
            role: NodeRole::Looking,
            pending: Pending::new(tree),
            sessions: SessionTracker::new(config.tick_ms),
            local: SessionTracker::new(config.tick_ms),
            ended: Ended::new(&config),
            next_session: zebu_proto::session::first_session_id(config.sid, now.wall),
            clients: Vec::new(),
            free: Vec::new(),
            keys: BTreeMap::new(),
            bound: BTreeMap::new(),
            owners: BTreeMap::new(),
            last_prepared: tree.last_zxid(),
            committed: tree.last_zxid(),
            applied: tree.last_zxid(),
            applied_count: 0,
            in_flight: VecDeque::new(),
            log: LogBatch::default(),
            ready: Vec::new(),
            syncs: VecDeque::new(),
            syncs_due: Vec::new(),
            new_syncs: 0,
            forwards: Vec::new(),
            revalidating: BTreeMap::new(),
            is_fuzzy: false,
            divergences: 0,
            last_divergence: None,
            membership: None,
            reconfig: None,
            refusal: None,
            sweep: Sweep::new(config.containers, now.mono),
            seen_at: now.mono,
        }
    }

    fn track_sessions(&mut self, replica: &Replica, now: Now) {
        self.sessions = SessionTracker::new(self.config.tick_ms);
        for (session, timeout_ms) in replica.tree().sessions() {
            self.sessions
                .add(session, u64::try_from(timeout_ms).unwrap_or(0), now.mono);
        }
    }

    // Roles.

    /// What this server is to its clients.
    #[must_use]
    pub const fn role(&self) -> NodeRole {
        self.role
    }

    /// This server leads an established epoch. Its whole history is applied.
    ///
    /// # Panics
    /// If it is not.
    pub fn begin_leading(&mut self, replica: &Replica, epoch: Epoch, now: Now) {
        assert!(self.in_flight.is_empty(), "a leader begins with its history applied");
        self.begin_role(NodeRole::Leading, replica, now);
        self.pending = Pending::new(replica.tree());
        self.last_prepared = Zxid::epoch_start(epoch);
        self.sweep = Sweep::new(self.config.containers, now.mono);
        self.close_orphans(replica, now);
    }

    /// This server learns from an established leader. What it knows to be committed may still have to be applied.
    pub fn begin_learning(&mut self, replica: &Replica, now: Now) {
        self.begin_role(NodeRole::Learning, replica, now);
    }

    fn begin_role(&mut self, role: NodeRole, replica: &Replica, now: Now) {
        self.role = role;
        self.track_sessions(replica, now);
        // The clock may have been set back, ids must not be.
        let first = zebu_proto::session::first_session_id(self.config.sid, now.wall);
        self.next_session = self.next_session.max(first);
    }

    /// This server has no leader any more: its clients are closed, and what they wait for they will not hear of.
    /// Transactions that are on their way stay.
    pub fn end_role(&mut self, outputs: &mut impl Outputs<C>) -> Abandoned {
        self.membership = None;
        self.reconfig = None;
        let mut abandoned = Abandoned::default();
        let mut add = |bytes: usize| {
            abandoned.requests += 1;
            abandoned.bytes += bytes;
        };
        for client in self.clients.iter().flatten() {
            outputs.close(&client.conn, Close::Now);
            // What waits for a transaction of this server's is counted with that.
            let waiting = client.queue.iter();
            waiting
                .filter(|queued| self.role == NodeRole::Learning || !queued.what.needs_transaction())
                .filter(|queued| !matches!(queued.what, What::Connect { .. }))
                .for_each(|queued| add(queued.bytes));
        }
        for in_flight in &mut self.in_flight {
            if let Some(bytes) = in_flight.asker.take().and_then(|asker| asker.bytes) {
                add(bytes);
            }
        }
        for waiting in core::mem::take(&mut self.revalidating).values() {
            outputs.close(&waiting.conn, Close::Now);
        }
        self.role = NodeRole::Looking;
        // A leader's first zxid may be one that it never came to use.
        let last = self.in_flight.back();
        self.last_prepared = last.map_or(self.applied, |in_flight| in_flight.record.header.zxid);
        self.sessions = SessionTracker::new(self.config.tick_ms);
        self.local = SessionTracker::new(self.config.tick_ms);
        self.ended = Ended::new(&self.config);
        self.clients.clear();
        self.free.clear();
        self.keys.clear();
        self.bound.clear();
        self.owners.clear();
        self.ready.clear();
        self.syncs.clear();
        self.syncs_due.clear();
        self.new_syncs = 0;
        self.forwards.clear();
        abandoned
    }

    /// The tree was replaced by another one, from disk or from the leader. A fuzzy one was captured while it changed: it is
    /// not what its zxid says before some more transactions have been applied.
    ///
    /// # Panics
    /// If this server serves clients.
    pub fn replaced(&mut self, replica: &Replica, is_fuzzy: bool) {
        assert!(
            self.role == NodeRole::Looking,
            "the tree of clients is never replaced under them"
        );
        let last = replica.tree().last_zxid();
        self.is_fuzzy = is_fuzzy;
        self.in_flight.clear();
        self.log.clear();
        self.last_prepared = last;
        self.committed = last;
        self.applied = last;
    }

    /// The sessions that all know. See [`Node::local_sessions`] for the others.
    #[must_use]
    pub const fn sessions(&self) -> &SessionTracker {
        &self.sessions
    }

    /// Number of transactions that are on their way and not yet applied.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether a client waits for an answer.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.clients.iter().flatten().any(|client| !client.queue.is_empty())
    }

    /// The last transaction that was applied.
    #[must_use]
    pub const fn applied(&self) -> Zxid {
        self.applied
    }

    /// How many transactions were applied since this node began.
    #[must_use]
    pub const fn applied_count(&self) -> u64 {
        self.applied_count
    }

    /// The last transaction that was prepared or taken over from a leader.
    #[must_use]
    pub const fn last_prepared(&self) -> Zxid {
        self.last_prepared
    }

    /// How often the tree was not what the leader's had been, and when last.
    #[must_use]
    pub const fn divergences(&self) -> (u64, Option<Divergence>) {
        (self.divergences, self.last_divergence)
    }

    /// The transactions that are to be logged. Swaps in an empty batch, whose memory is used again.
    pub fn take_log(&mut self, empty: LogBatch) -> LogBatch {
        core::mem::replace(&mut self.log, empty)
    }

    /// The transactions that are to be logged, to be marked as proposed.
    pub const fn log_mut(&mut self) -> &mut LogBatch {
        &mut self.log
    }

    /// Whether there are transactions to be logged.
    #[must_use]
    pub fn has_log(&self) -> bool {
        !self.log.is_empty()
    }

    /// Everything up to `zxid` is durable on a standalone server, which is its own quorum: it is committed as well.
    pub fn flushed(&mut self, zxid: Zxid) {
        self.committed(zxid);
    }

    /// A quorum has everything up to `zxid`: it may be applied.
    ///
    /// # Panics
    /// If this server has not.
    pub fn committed(&mut self, zxid: Zxid) {
        assert!(zxid <= self.last_prepared, "only what is known can be committed");
        self.committed = self.committed.max(zxid);
    }

    /// Whether [`Node::commit`] has something to do.
    #[must_use]
    pub fn can_commit(&self) -> bool {
        !self.ready.is_empty()
            || self.syncs_due.iter().any(|(due, _)| *due <= self.applied)
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
        self.seen_at = now.mono;
        if self.role == NodeRole::Looking || request.last_zxid_seen > replica.tree().last_zxid() {
            // There is nobody to ask, or the client knows more than this server; an answer would cost it its session.
            outputs.close(conn, Close::Now);
            return;
        }
        let timeout_ms = request
            .timeout_ms
            .max(self.config.session_timeout_ms_min)
            .min(self.config.session_timeout_ms_max);
        if self.role == NodeRole::ReadOnly {
            self.connect_to_read(conn, request, timeout_ms, now, outputs);
        } else if request.session == SessionId::NONE && self.makes_local_sessions() {
            self.create_local_session(conn, request, timeout_ms, now, outputs);
        } else if request.session == SessionId::NONE {
            self.create_session(conn, request, timeout_ms, now);
        } else if request.password != password(request.session) {
            refuse(conn, request.read_only, false, outputs);
        } else if self.renew_local_session(conn, request, timeout_ms, now, outputs) {
            // Nobody else knows it.
        } else if self.role == NodeRole::Learning {
            self.revalidate(conn, request, timeout_ms, outputs);
        } else {
            self.renew_session(conn, request, timeout_ms, now, outputs);
        }
    }

    fn create_session(&mut self, conn: &C, request: &PendingConnect, timeout_ms: i32, now: Now) {
        let session = self.take_session_id();
        let key = self.admit(conn, session);
        if self.role == NodeRole::Learning {
            self.forwards.push(Forward::create_session(session, timeout_ms));
        } else {
            let asker = Asker {
                key,
                conn: conn.id(),
                bytes: None,
            };
            self.owned_here(session);
            self.decide_session(session, timeout_ms, Some(asker), now);
        }
        let what = What::Connect {
            session,
            read_only: request.read_only,
        };
        self.enqueue(
            key,
            Queued {
                xid: Xid(0),
                op: OpCode::CreateSession.code(),
                received: now.mono,
                bytes: 0,
                what,
            },
        );
    }

    fn take_session_id(&mut self) -> SessionId {
        let session = self.next_session;
        self.next_session = session.next();
        session
    }

    fn owned_here(&mut self, session: SessionId) {
        // There is nobody else whom a server alone could take for the owner.
        if self.role == NodeRole::Leading {
            self.owners.insert(session, Owner::Here);
        }
    }

    /// A session goes on, on this connection.
    fn go_on(
        &mut self,
        conn: &C,
        handle: &Arc<SessionHandle>,
        timeout_ms: i32,
        read_only: Option<bool>,
        outputs: &mut impl Outputs<C>,
    ) {
        let session = handle.id();
        self.close_other(session, Some(conn.id()), outputs);
        self.admit(conn, session);
        let response = ConnectResponse {
            timeout_ms,
            session,
            password: password(session),
            read_only: read_only.map(|_| self.role == NodeRole::ReadOnly),
        };
        outputs.established(conn, handle, &response);
    }

    /// Closes the connection on which a session was served up to now, unless it is this one.
    fn close_other(&mut self, session: SessionId, conn: Option<ConnId>, outputs: &mut impl Outputs<C>) {
        if let Some(key) = self.bound.get(&session).and_then(|before| self.keys.get(before))
            && let Some(client) = &self.clients[*key]
            && Some(client.conn.id()) != conn
        {
            outputs.close(&client.conn, Close::Now);
        }
    }

    /// Requests of a client with a session: frames one behind the other, each with its length in front. All of them
    /// carry the identities that the client had shown when they came.
    ///
    /// If the session is gone, or served by another connection by now, they are dropped: this connection is being closed,
    /// and what its client did earlier, here, must not take effect behind what it does later, there. Between two servers
    /// the reference calls this a moved session; on one server it does not look.
    ///
    /// Returns what came from a connection that this node does not know any more, and will never be answered.
    pub fn requests(
        &mut self,
        replica: &Replica,
        conn: ConnId,
        ids: &Arc<[Id]>,
        frames: &[u8],
        received: Millis,
        now: Now,
    ) -> Abandoned {
        let mut abandoned = Abandoned::default();
        let client = self.keys.get(&conn).and_then(|key| {
            let client = self.clients[*key].as_ref()?;
            Some((*key, client.conn.session()))
        });
        let is_bound = client.is_some_and(|(_, session)| self.bound.get(&session) == Some(&conn));
        let mut rest = frames;
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
            // The connection's reader hands over whole frames.
            let Some((frame, after)) = after.split_at_checked(len) else {
                break;
            };
            rest = after;
            let Some((key, session)) = client else {
                abandoned.requests += 1;
                abandoned.bytes += frame.len();
                continue;
            };
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
        if let Some((key, _)) = client {
            self.note_ready(key);
        }
        abandoned
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
        let op = OpCode::from_i32(header.op).filter(|op| op.is_client_request());
        let judged = op.and_then(|op| self.judge_locally(session, op, body, now));
        let what = match op {
            _ if let Some(judged) = judged => judged,
            Some(op) if op.is_write() && self.role == NodeRole::Learning => {
                self.forward(session, ids, header.xid, op, body)
            }
            Some(op) if op.is_write() => self.write(replica, asker, session, ids, header.xid, op, body, now),
            Some(OpCode::Sync) if self.role != NodeRole::Alone => self.sync(asker.conn, session, ids, header.xid, body),
            _ => What::Read {
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

    /// A connection is gone. Its watches are the caller's to remove. What waits for a turn of its own is dropped, and
    /// returned as number and bytes. Its writes go on; each that was decided on here is told with [`Outputs::abandoned`]
    /// when it is over.
    pub fn disconnected(&mut self, conn: ConnId) -> Abandoned {
        let mut abandoned = Abandoned::default();
        let Some(key) = self.keys.remove(&conn) else {
            self.revalidating.retain(|_, waiting| waiting.conn.id() != conn);
            return abandoned;
        };
        if let Some(client) = self.clients[key].take() {
            let closes = client
                .queue
                .iter()
                .any(|queued| matches!(queued.what, What::CloseLocal));
            if closes {
                self.local.remove(client.conn.session());
            }
            if self.bound.get(&client.conn.session()) == Some(&conn) {
                self.bound.remove(&client.conn.session());
            }
            let counts = |what: &What| match what {
                What::Connect { .. } => false,
                // A learner does not know which transaction will be this one's, once nobody waits for it.
                What::Write => self.role == NodeRole::Learning,
                _ => true,
            };
            for queued in client.queue.iter().filter(|queued| counts(&queued.what)) {
                abandoned.requests += 1;
                abandoned.bytes += queued.bytes;
            }
        }
        self.free.push(key);
        self.ready.retain(|ready| *ready != key);
        self.syncs_due.retain(|(_, due)| *due != key);
        abandoned
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

    /// The counter of an epoch is never used to its end. A standalone server needs no election to go on in the next; a
    /// leader is asked to give up its epoch long before.
    fn next_zxid(&self) -> Zxid {
        let last = self.last_prepared;
        if last.counter() >= u32::MAX - 1 && self.role == NodeRole::Alone {
            Zxid::epoch_start(Epoch(last.epoch().0 + 1)).next()
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
            since: self.last_prepared,
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
            let front = client.queue.front();
            front.is_some_and(|front| front.what.is_ready(self.applied))
        };
        if self.clients[key].as_ref().is_some_and(is_ready) && !self.ready.contains(&key) {
            self.ready.push(key);
        }
    }
}

/// Tells a client that its session does not exist. It is told what the server is if it has said what it would take.
fn refuse<C: Connection>(conn: &C, read_only: Option<bool>, is_read_only: bool, outputs: &mut impl Outputs<C>) {
    let response = ConnectResponse::invalid(read_only.map(|_| is_read_only));
    outputs.send(conn, |rope| rope.frame(|out| response.encode(out)));
    outputs.close(conn, Close::AfterOutput);
}
