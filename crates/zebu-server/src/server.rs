//! Starting and stopping a server.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use zebu_node::auth::AuthConfig;
use zebu_node::{ContainerConfig, Node, NodeConfig, Replica};
use zebu_proto::{OwnerRules, Sid};
use zebu_store::{Compression, RealDisk, Store, StoreError, StoreOptions};
use zebu_tree::Settings;

use crate::clock::Clock;
use crate::config::{Config, DigestAlgorithm, Listen, SnapshotCompression};
use crate::ensemble::{self, Ensemble};
use crate::exit::{ExitCode, Fatal};
use crate::log_thread::Log;
use crate::node_thread::NodeThread;
use crate::shared::Shared;
use crate::snapshots::{self, Snapshots};
use crate::{recovery, worker};

/// Why a server could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory could not be opened, or its files are damaged.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// No port for clients.
    #[error("cannot listen on {address}: {source}. Is another server running? clientPort chooses another port")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The configuration asks for something that only the loader of configurations lets through.
    #[error("{0}")]
    Config(String),
    /// The machine gives no more threads or sockets.
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
}

impl StartError {
    /// What a process that cannot start is to exit with.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Store(_) => ExitCode::DataDirectory,
            Self::Config(_) => ExitCode::InvalidInvocation,
            Self::Bind { .. } | Self::Io(_) => ExitCode::UnexpectedError,
        }
    }
}

/// A running server. Dropping it stops it.
pub struct Server {
    pub(crate) shared: Arc<Shared>,
    address: SocketAddr,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Server {
    /// Recovers the data directory and opens the client port. Returns when clients can connect.
    ///
    /// # Errors
    /// If the directory is damaged or in use, or the port taken. Nothing is left running.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let started = Instant::now();
        let listen = config
            .client
            .ok_or_else(|| StartError::Config("no clientPort".into()))?;
        let clock = Clock::new();
        let store = Store::open(Arc::new(RealDisk), store_options(&config))?;
        let recent_count = match config.is_distributed() {
            true => config.ensemble.commit_log_count as usize,
            false => 0,
        };
        let (tree, recovered, recent) = recovery::restore(&store, tree_settings(&config), recent_count)?;
        let load_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        for cut in &recovered.cuts {
            tracing::warn!(file = %cut.path.display(), offset = cut.offset, kept = ?cut.kept, "cut off what an interrupted write left at the end of the log; it was never acknowledged");
        }
        for damaged in &recovered.damaged_snapshots {
            tracing::warn!(%damaged, "a damaged snapshot was passed over; the log made up for it");
        }
        tracing::info!(
            data_dir = %config.data_dir.display(),
            zxid = %recovered.last_zxid,
            nodes = tree.node_count(),
            txns_replayed = recovered.txns,
            "data directory loaded"
        );
        let mut replica = Replica::new(tree);
        let now = clock.now();
        let is_distributed = config.is_distributed();
        replica.set_serving(!is_distributed);
        let node = if is_distributed {
            Node::in_ensemble(node_config(&config), &replica, now)
        } else {
            Node::new(node_config(&config), &replica, now)
        };
        let last = replica.tree().last_zxid();
        let listener = bind(listen, config.client_port_listen_backlog)?;
        let address = listener.local_addr()?;
        let auth = auth_config(&config);
        let shared = Arc::new(Shared::new(config, auth, clock, store, replica));
        let _ = shared.client_address.set(address);
        shared.stats.startup.load_ms.add(load_ms, 1);
        shared.stats.startup.txns.add(recovered.txns, 1);
        // Data that is not to be trusted must not look as if it were, the next time.
        if recovered.needs_snapshot && recovered.trustworthy {
            snapshots::write_first(&shared)?;
        }
        let log = Log::start(&shared, shared.store.log_writer(last))?;
        let snapshots = Snapshots::start(&shared)?;
        let ensemble = if is_distributed {
            let data = ensemble::own_data(&shared.store, &recovered, recent)?;
            Some(Box::new(Ensemble::start(&shared, data)?))
        } else {
            None
        };
        let node = NodeThread::new(shared.clone(), node, ensemble, log, snapshots);
        let node = guarded(&shared, "zebu-node", move || node.run())?;
        // From here on what goes wrong drops a server, which ends what has begun.
        let server = Self {
            shared,
            address,
            threads: Mutex::new(vec![node]),
        };
        let workers = worker::start(&server.shared, listener)?;
        server.threads.lock().extend(workers);
        tracing::info!(
            %address,
            elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "serving clients"
        );
        Ok(server)
    }

    /// Where clients connect. With a wildcard address in the configuration this is the loopback address.
    #[must_use]
    pub fn client_address(&self) -> SocketAddr {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        address
    }

    /// Asks the server to stop: it finishes what it has accepted, flushes it and closes the connections. Sessions
    /// survive. Returns at once; [`Server::wait`] returns when it is done.
    pub fn request_stop(&self) {
        self.shared.stop();
    }

    /// Waits until the server has ended.
    ///
    /// # Errors
    /// What ended it, if nobody asked it to.
    pub fn wait(&self) -> Result<(), Fatal> {
        for thread in self.threads.lock().drain(..) {
            // A panic is reported by the thread's guard.
            let _ = thread.join();
        }
        self.shared.end().borrow().clone().unwrap_or(Ok(()))
    }

    /// Stops the server and waits until it has ended.
    pub fn stop(self) {
        self.request_stop();
        let _ = self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.request_stop();
        let _ = self.wait();
    }
}

/// A thread whose panic ends the server, in place of leaving it half alive.
///
/// # Errors
/// If there can be no more threads.
pub(crate) fn guarded(
    shared: &Arc<Shared>,
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let shared = shared.clone();
    let thread_name = name.to_owned();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
            let message = format!("the thread {thread_name} has panicked; this is a bug in zebu");
            shared.fail(Fatal {
                code: ExitCode::UnexpectedError,
                message,
            });
        }
    })
}

pub(crate) fn bind(listen: Listen, backlog: Option<u32>) -> Result<TcpListener, StartError> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, listen.port));
    match listen.host {
        Some(host) => bind_to(SocketAddr::from((host, listen.port)), backlog),
        // Both families on one socket, or only the older one where the machine has no other.
        None => bind_to(any, backlog).or_else(|error| {
            let StartError::Bind { source, .. } = &error else {
                return Err(error);
            };
            if source.kind() == std::io::ErrorKind::AddrInUse {
                return Err(error);
            }
            bind_to(SocketAddr::from((IpAddr::from([0, 0, 0, 0]), listen.port)), backlog)
        }),
    }
}

fn bind_to(address: SocketAddr, backlog: Option<u32>) -> Result<TcpListener, StartError> {
    /// Deeper than Java's 50: a storm of reconnects must not be answered with refusals.
    const BACKLOG: i32 = 1024;
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(
            backlog
                .and_then(|backlog| i32::try_from(backlog).ok())
                .unwrap_or(BACKLOG),
        )?;
        socket.set_nonblocking(true)?;
        Ok(TcpListener::from(socket))
    };
    listen().map_err(|source| StartError::Bind { address, source })
}

fn store_options(config: &Config) -> StoreOptions {
    let storage = &config.storage;
    let frame_bytes_max = config.limits.jute_max_buffer_bytes as usize;
    let defaults = StoreOptions::new(&config.data_dir);
    StoreOptions {
        log_dir: config.data_log_dir.clone(),
        prealloc_bytes: storage.pre_alloc_bytes.map_or(0, std::num::NonZeroU64::get),
        force_sync: storage.force_sync,
        compression: match storage.snapshot_compression {
            SnapshotCompression::None => Compression::None,
            SnapshotCompression::Gz => Compression::Gz,
            SnapshotCompression::Snappy => Compression::Snappy,
        },
        log_size_limit_bytes: storage.txn_log_size_limit_bytes.map_or(0, std::num::NonZeroU64::get),
        write_last_zxid_section: storage.serialize_last_processed_zxid,
        record_bytes_max: defaults.record_bytes_max.max(4 * frame_bytes_max),
        trust_empty: storage.snapshot_trust_empty,
        auto_create_dir: storage.datadir_autocreate,
        // A server alone has nobody to be filled by.
        auto_create_db: config.storage.db_autocreate || !config.is_distributed(),
        ..defaults
    }
}

fn tree_settings(config: &Config) -> Settings {
    Settings {
        owner_rules: OwnerRules {
            extended_types: config.znodes.extended_types,
            emulate_353: config.znodes.emulate_353_ttl_nodes,
        },
        skip_acl: config.auth.skip_acl,
        digest_scheme: config.auth.digest_enabled,
        enforce_quota: config.znodes.enforce_quota,
        digest: config.storage.digest,
        close_session_txn: config.storage.close_session_txn,
        txn_bytes_max: config.limits.jute_max_buffer_bytes as usize,
        hash_seed: random_seed(),
    }
}

/// The standard library draws the keys of its maps at random.
pub(crate) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

pub(crate) fn node_config(config: &Config) -> NodeConfig {
    let timeout = |ms: u32| i32::try_from(ms).unwrap_or(i32::MAX);
    let container = &config.znodes.container;
    NodeConfig {
        sid: config.server_id.unwrap_or(Sid(1)),
        tick_ms: u64::from(config.tick_time_ms),
        session_timeout_ms_min: timeout(config.sessions.min_timeout_ms),
        session_timeout_ms_max: timeout(config.sessions.max_timeout_ms),
        local_sessions: config.sessions.local,
        local_session_upgrading: config.sessions.local_upgrading,
        reconfig_enabled: config.ensemble.reconfig_enabled,
        standalone_enabled: config.ensemble.standalone_enabled,
        containers: ContainerConfig {
            check_interval_ms: u64::from(container.check_interval_ms),
            per_minute_max: u64::from(container.max_per_minute),
            never_used_ms_max: container
                .max_never_used_ms
                .map_or(0, |ms| i64::try_from(ms.get()).unwrap_or(i64::MAX)),
        },
    }
}

fn auth_config(config: &Config) -> AuthConfig {
    use zebu_node::auth::DigestAlgorithm as Algorithm;
    AuthConfig {
        algorithm: match config.auth.digest_algorithm {
            DigestAlgorithm::Md5 => Algorithm::Md5,
            DigestAlgorithm::Sha1 => Algorithm::Sha1,
            DigestAlgorithm::Sha224 => Algorithm::Sha224,
            DigestAlgorithm::Sha256 => Algorithm::Sha256,
            DigestAlgorithm::Sha384 => Algorithm::Sha384,
            DigestAlgorithm::Sha512 => Algorithm::Sha512,
        },
        digest_disabled: !config.auth.digest_enabled,
        super_digest: config
            .auth
            .super_digest
            .as_ref()
            .map(|digest| digest.as_str().to_owned()),
    }
}
