//! What all threads of a server share.

use std::collections::BTreeMap;
use std::ops::DerefMut;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use zebu_node::auth::AuthConfig;
use zebu_node::{ConnId, PendingConnect, Replica, WatchAccess, WatchTable};
use zebu_proto::quorum::{QuorumConfig, Role};
use zebu_proto::{Id, Millis, Zxid};
use zebu_store::Store;

use crate::clock::Clock;
use crate::config::Config;
use crate::conn::{Conn, ConnHandle};
use crate::connection_throttle::ConnectionThrottle;
use crate::ensemble::PeerEvent;
use crate::ensemble::stats::LeaderStats;
use crate::exit::Fatal;
use crate::limits::Limits;
use crate::node_queue::NodeQueue;
use crate::node_thread::ServerNode;
use crate::stats::ServerStats;
use crate::words::WordDesk;

/// What Java traces unless told otherwise. It traces nothing here; the words `gtmk` and `stmk` show and change it.
const TRACE_MASK: i64 = 306;

/// A question to the node, answered on its thread.
pub(crate) type Inspection = Box<dyn FnOnce(&ServerNode) + Send>;

/// What a server is, as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ServerRole {
    Standalone,
    Looking,
    Leader,
    Follower,
    Observer,
    ReadOnly,
}

impl ServerRole {
    const ALL: [Self; 6] = [
        Self::Standalone,
        Self::Looking,
        Self::Leader,
        Self::Follower,
        Self::Observer,
        Self::ReadOnly,
    ];

    /// Whether clients are served.
    pub(crate) const fn is_serving(self) -> bool {
        !matches!(self, Self::Looking)
    }

    /// As Java calls it in `srvr` and `mntr`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Looking => "looking",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

impl std::fmt::Display for ServerRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What the node is told.
pub(crate) enum NodeEvent {
    /// A client asks for a session.
    Connect { conn: ConnHandle, request: PendingConnect },
    /// A run of whole frames from one connection.
    Requests {
        conn: ConnId,
        ids: Arc<[Id]>,
        frames: Vec<u8>,
        received: Millis,
    },
    /// A connection is gone.
    Disconnected(ConnId),
    /// The log thread made everything up to this transaction durable.
    Flushed(Zxid, zebu_node::LogBatch),
    /// Something that concerns the ensemble.
    Peer(PeerEvent),
    /// Somebody wants to know something.
    Inspect(Inspection),
    /// Finish what is there and end.
    Stop,
}

/// Everything that more than one thread uses.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) auth: AuthConfig,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) replica: RwLock<Replica>,
    pub(crate) watches: Watches,
    pub(crate) queue: NodeQueue<NodeEvent>,
    pub(crate) limits: Limits,
    pub(crate) connection_throttle: ConnectionThrottle,
    pub(crate) stats: ServerStats,
    pub(crate) leader_stats: LeaderStats,
    pub(crate) conns: Mutex<BTreeMap<ConnId, Arc<Conn>>>,
    pub(crate) next_conn: AtomicU64,
    /// Bytes of transactions that were made durable since the start.
    pub(crate) log_bytes: AtomicU64,
    /// Sessions that all know, and those that only this server knows, for the words.
    pub(crate) sessions: AtomicU64,
    pub(crate) local_sessions: AtomicU64,
    /// Largest frame that is read.
    pub(crate) frame_bytes_max: usize,
    pub(crate) trace_mask: AtomicI64,
    pub(crate) words: WordDesk,
    /// Where clients connect; known once the socket is bound.
    pub(crate) client_address: OnceLock<std::net::SocketAddr>,
    /// The ensemble as it is: the committed configuration, and this server's part in it.
    pub(crate) membership: RwLock<CurrentMembership>,
    /// Where clients are to be served from now on.
    pub(crate) new_client_port: NewClientPort,
    role: AtomicU8,
    tree_generation: AtomicU64,
    is_stopping: AtomicBool,
    node_ended: AtomicBool,
    end: watch::Sender<Option<Result<(), Fatal>>>,
}

/// The table of watches behind its lock.
/// The ensemble as it is.
#[derive(Clone, Debug)]
pub(crate) struct CurrentMembership {
    /// The committed configuration.
    pub(crate) config: Arc<QuorumConfig>,
    /// Whether this server observes.
    pub(crate) is_observer: bool,
}

/// A socket that is to take the place of the one at which clients are served.
#[derive(Default)]
pub(crate) struct NewClientPort {
    listener: Mutex<Option<std::net::TcpListener>>,
    is_there: tokio::sync::Notify,
}

impl NewClientPort {
    pub(crate) fn put(&self, listener: std::net::TcpListener) {
        *self.listener.lock() = Some(listener);
        self.is_there.notify_one();
    }

    pub(crate) async fn wait(&self) -> std::net::TcpListener {
        loop {
            if let Some(listener) = self.listener.lock().take() {
                return listener;
            }
            self.is_there.notified().await;
        }
    }
}

pub(crate) struct Watches(pub(crate) Mutex<WatchTable<ConnHandle>>);

impl WatchAccess<ConnHandle> for Watches {
    fn lock(&self) -> impl DerefMut<Target = WatchTable<ConnHandle>> {
        self.0.lock()
    }
}

impl Shared {
    #[allow(clippy::too_many_arguments, reason = "one call site")]
    pub(crate) fn new(config: Config, auth: AuthConfig, clock: Clock, store: Store, replica: Replica) -> Self {
        let hash_seed = replica.tree().settings().hash_seed;
        let membership = CurrentMembership {
            config: Arc::new(config.ensemble.membership.clone()),
            is_observer: config.ensemble.role == Role::Observer,
        };
        let limits = Limits::new(&config.limits, &config.request_throttle);
        let connection_throttle = ConnectionThrottle::new(&config.connection_throttle, hash_seed);
        let frame_bytes_max = config.limits.jute_max_buffer_bytes as usize;
        Self {
            config,
            auth,
            clock,
            store,
            replica: RwLock::new(replica),
            watches: Watches(Mutex::new(WatchTable::new(hash_seed))),
            queue: NodeQueue::new(),
            limits,
            connection_throttle,
            stats: ServerStats::default(),
            leader_stats: LeaderStats::new(),
            conns: Mutex::new(BTreeMap::new()),
            next_conn: AtomicU64::new(1),
            log_bytes: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            local_sessions: AtomicU64::new(0),
            frame_bytes_max,
            trace_mask: AtomicI64::new(TRACE_MASK),
            words: WordDesk::new(),
            client_address: OnceLock::new(),
            membership: RwLock::new(membership),
            new_client_port: NewClientPort::default(),
            role: AtomicU8::new(ServerRole::Standalone as u8),
            tree_generation: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            node_ended: AtomicBool::new(false),
            end: watch::Sender::new(None),
        }
    }

    /// Whether new sessions are known to this server only.
    pub(crate) fn has_local_sessions(&self) -> bool {
        self.config.is_distributed() && self.config.sessions.local || self.role() == ServerRole::ReadOnly
    }

    /// What this server is.
    pub(crate) fn role(&self) -> ServerRole {
        let role = self.role.load(Ordering::Acquire);
        let known = ServerRole::ALL.into_iter().find(|known| *known as u8 == role);
        known.unwrap_or(ServerRole::Looking)
    }

    /// Whether clients are served here: a leader may be told to leave them to others (`leaderServes`).
    pub(crate) fn serves_clients(&self) -> bool {
        match self.role() {
            ServerRole::Leader => self.config.ensemble.leader_serves,
            role => role.is_serving(),
        }
    }

    pub(crate) fn set_role(&self, role: ServerRole) {
        self.role.store(role as u8, Ordering::Release);
    }

    /// Which of the trees that this server had is the present one. To be asked while the replica is held: what was begun
    /// with an earlier one is of no use with this one.
    pub(crate) fn tree_generation(&self) -> u64 {
        self.tree_generation.load(Ordering::Acquire)
    }

    /// The tree is another one from now on. The replica is held for writing.
    pub(crate) fn next_tree_generation(&self) {
        self.tree_generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Longest data of a packet of another server. Source: `BinaryInputArchive`.
    pub(crate) const fn packet_bytes_max(&self) -> usize {
        // A transaction, the largest data there is, has more in it than the request that it came from.
        4 * self.frame_bytes_max + (1 << 20)
    }

    /// Forgets all watches: their connections are about to be closed.
    pub(crate) fn forget_watches(&self) {
        let hash_seed = self.replica.read().tree().settings().hash_seed;
        let before = std::mem::replace(&mut *self.watches.0.lock(), WatchTable::new(hash_seed));
        drop(before);
    }

    /// Whether the server is ending.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Ends the server because it was told to.
    pub(crate) fn stop(&self) {
        self.finish(Ok(()));
    }

    /// Ends the server because it cannot go on. Nothing is acknowledged from here on.
    pub(crate) fn fail(&self, fatal: Fatal) {
        tracing::error!("{fatal}");
        self.finish(Err(fatal));
    }

    /// The first failure is why the server ends, even if it was told to end before: what could not be finished then was
    /// not.
    fn finish(&self, result: Result<(), Fatal>) {
        self.end.send_if_modified(|end| {
            let says_more = match end {
                None => true,
                Some(Ok(())) => result.is_err(),
                Some(Err(_)) => false,
            };
            if says_more {
                *end = Some(result);
            }
            says_more
        });
        self.is_stopping.store(true, Ordering::Release);
        self.queue.push(NodeEvent::Stop);
        for conn in self.conns.lock().values() {
            conn.wake.notify_one();
        }
    }

    /// The node answers nothing any more.
    pub(crate) fn node_has_ended(&self) {
        self.node_ended.store(true, Ordering::Release);
    }

    /// Whether the node answers nothing any more.
    pub(crate) fn has_node_ended(&self) -> bool {
        self.node_ended.load(Ordering::Acquire)
    }

    /// Whether the server ends because it cannot go on.
    pub(crate) fn has_failed(&self) -> bool {
        self.end.borrow().as_ref().is_some_and(Result::is_err)
    }

    /// Tells when the server ends, and why.
    pub(crate) fn end(&self) -> watch::Receiver<Option<Result<(), Fatal>>> {
        self.end.subscribe()
    }
}
