//! The parts of a [`Config`](super::Config), each with Java's defaults. A field's key in `zoo.cfg` is in its comment.
//!
//! `None` in a limit means that there is no limit.

use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use zebu_proto::quorum::{QuorumConfig, Role};

use super::{limit32, limit64};

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// The interface; `None` is every interface, IPv6 and IPv4.
    pub host: Option<IpAddr>,
    /// The port; 0 takes a free one.
    pub port: u16,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Some(host) => std::net::SocketAddr::new(host, self.port).fmt(f),
            None => write!(f, "*:{}", self.port),
        }
    }
}

/// Session timeouts and local sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// The shortest timeout a client gets, milliseconds (`minSessionTimeout`, 2 ticks).
    pub min_timeout_ms: u32,
    /// The longest timeout a client gets, milliseconds (`maxSessionTimeout`, 20 ticks).
    pub max_timeout_ms: u32,
    /// Sessions that only their server knows (`localSessionsEnabled`).
    pub local: bool,
    /// A local session becomes global when it makes its first ephemeral node (`localSessionsUpgradingEnabled`).
    pub local_upgrading: bool,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            min_timeout_ms: 6000,
            max_timeout_ms: 60_000,
            local: false,
            local_upgrading: false,
        }
    }
}

/// What one client, or all of them, may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections from one address (`maxClientCnxns`).
    pub max_client_cnxns: Option<NonZeroU32>,
    /// Connections altogether (`maxCnxns`).
    pub max_cnxns: Option<NonZeroU32>,
    /// Requests in work before connections that already have one are no longer read (`globalOutstandingLimit`).
    pub global_outstanding_limit: u32,
    /// The longest frame from a client, bytes (`jute.maxbuffer`).
    pub jute_max_buffer_bytes: u32,
    /// What a single string or buffer may be longer than that when it is read back from a file, bytes
    /// (`jute.maxbuffer.extrasize`; as long again, and at least 1024).
    pub jute_extra_bytes: u32,
    /// How long a connection may take to give its connect request, milliseconds (`nio.sessionlessCnxnTimeout`).
    pub sessionless_cnxn_timeout_ms: u32,
    /// Requests big enough to be counted apart.
    pub large_requests: LargeRequests,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_client_cnxns: limit32(60),
            max_cnxns: None,
            global_outstanding_limit: 1000,
            jute_max_buffer_bytes: 0xf_ffff,
            jute_extra_bytes: 0xf_ffff,
            sessionless_cnxn_timeout_ms: 10_000,
            large_requests: LargeRequests::default(),
        }
    }
}

/// A bound on the bytes of large requests in work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LargeRequests {
    /// From how many bytes on a request is large (`largeRequestThreshold`); `None`: none is.
    pub threshold_bytes: Option<NonZeroU32>,
    /// How many bytes of large requests may be in work at once (`largeRequestMaxBytes`).
    pub max_bytes: u32,
}

impl Default for LargeRequests {
    fn default() -> Self {
        Self {
            threshold_bytes: None,
            max_bytes: Self::MAX_BYTES_DEFAULT,
        }
    }
}

impl LargeRequests {
    /// 100 MiB.
    pub(super) const MAX_BYTES_DEFAULT: u32 = 100 * 1024 * 1024;
}

/// Holding back requests (`RequestThrottler`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestThrottle {
    /// Requests in work before further ones wait (`request_throttle_max_requests`).
    pub max_requests: Option<NonZeroU32>,
    /// How long a request waits for its turn before it looks again, milliseconds (`request_throttle_stall_time`).
    pub stall_time_ms: u32,
    /// Whether a waiting request that has become stale is dropped with its connection (`request_throttle_drop_stale`).
    pub drop_stale: bool,
    /// Whether a request older than its session's timeout is stale (`request_stale_latency_check`).
    pub stale_latency_check: bool,
    /// A request that waited longer than this is refused with error -127, milliseconds (`throttled_op_wait_time`).
    pub throttled_op_wait_time_ms: Option<NonZeroU32>,
}

impl Default for RequestThrottle {
    fn default() -> Self {
        Self {
            max_requests: None,
            stall_time_ms: 100,
            drop_stale: true,
            stale_latency_check: false,
            throttled_op_wait_time_ms: None,
        }
    }
}

/// Holding back new connections: a token bucket, and on top of it a random drop (`BlueThrottle`).
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionThrottle {
    /// Size of the bucket (`connection_throttle_tokens`); `None`: no throttle at all.
    pub tokens: Option<NonZeroU32>,
    /// How often the bucket is filled, milliseconds (`connection_throttle_fill_time`).
    pub fill_time_ms: u32,
    /// Tokens per filling (`connection_throttle_fill_count`).
    pub fill_count: u32,
    /// How often the probability of a drop changes, milliseconds (`connection_throttle_freeze_time`); `None`: never.
    pub freeze_time_ms: Option<u32>,
    /// Step up of the probability when the bucket is empty, 0 to 1 (`connection_throttle_drop_increase`).
    pub drop_increase: f64,
    /// Step down when it has tokens again, 0 to 1 (`connection_throttle_drop_decrease`).
    pub drop_decrease: f64,
    /// The share of the bucket that may be missing for a step down, 0 to 1 (`connection_throttle_decrease_ratio`).
    pub decrease_ratio: f64,
    /// Whether the kinds of session cost different numbers of tokens (`connection_throttle_weight_enabled`). The bucket
    /// and its filling are then multiplied by `global_session_weight`.
    pub weight_enabled: bool,
    /// Tokens of a new session (`connection_throttle_global_session_weight`).
    pub global_session_weight: u32,
    /// Tokens of a new local session (`connection_throttle_local_session_weight`).
    pub local_session_weight: u32,
    /// Tokens of a renewed session (`connection_throttle_renew_session_weight`).
    pub renew_session_weight: u32,
}

impl Default for ConnectionThrottle {
    fn default() -> Self {
        Self {
            tokens: None,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: None,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            weight_enabled: false,
            global_session_weight: 3,
            local_session_weight: 1,
            renew_session_weight: 2,
        }
    }
}

/// Transaction log and snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Transactions between snapshots, at most; the server takes one after a random number of them between the half and
    /// the whole (`snapCount`, at least 2).
    pub snap_count: u32,
    /// Bytes of log between snapshots, at most, chosen in the same way (`snapSizeLimitInKb`).
    pub snap_size_limit_bytes: Option<NonZeroU64>,
    /// Bytes of one log file, about (`txnLogSizeLimitInKb`).
    pub txn_log_size_limit_bytes: Option<NonZeroU64>,
    /// Step by which a log file grows, bytes (`preAllocSize`, in KiB there); `None`: it grows with each write.
    pub pre_alloc_bytes: Option<NonZeroU64>,
    /// Whether a write is on the disk before it is acknowledged (`forceSync`).
    pub force_sync: bool,
    /// An fsync longer than this is worth a line in the log, milliseconds (`fsync.warningthresholdms`).
    pub fsync_warning_threshold_ms: u64,
    /// How long a write may wait for others to share its fsync, milliseconds (`flushDelay`); `None`: not at all.
    pub flush_delay_ms: Option<NonZeroU64>,
    /// How long the log waits for the next write while a flush is delayed, milliseconds (`maxWriteQueuePollTime`, a
    /// third of `flush_delay_ms`).
    pub max_write_queue_poll_time_ms: u64,
    /// Writes that share one fsync, at most (`maxBatchSize`).
    pub max_batch_size: Option<NonZeroU32>,
    /// How snapshots are compressed (`snapshot.compression.method`).
    pub snapshot_compression: SnapshotCompression,
    /// Whether a log without any snapshot is believed (`snapshot.trust.empty`).
    pub snapshot_trust_empty: bool,
    /// Whether a snapshot ends with the zxid it was taken at (`serializeLastProcessedZxid.enabled`).
    pub serialize_last_processed_zxid: bool,
    /// Whether the digest of the tree is kept, logged and compared (`digest.enabled`).
    pub digest: bool,
    /// Whether the transaction that closes a session names the nodes it removes (`closeSessionTxn.enabled`).
    pub close_session_txn: bool,
    /// Whether missing data directories are made (`datadir.autocreate`).
    pub datadir_autocreate: bool,
    /// Whether an empty data directory starts an empty database (`db.autocreate`).
    pub db_autocreate: bool,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            snap_count: 100_000,
            snap_size_limit_bytes: limit64(4 << 30),
            txn_log_size_limit_bytes: None,
            pre_alloc_bytes: limit64(64 << 20),
            force_sync: true,
            fsync_warning_threshold_ms: 1000,
            flush_delay_ms: None,
            max_write_queue_poll_time_ms: 0,
            max_batch_size: limit32(1000),
            snapshot_compression: SnapshotCompression::None,
            snapshot_trust_empty: false,
            serialize_last_processed_zxid: true,
            digest: true,
            close_session_txn: true,
            datadir_autocreate: true,
            db_autocreate: true,
        }
    }
}

/// How snapshots are written; reading goes by the name of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotCompression {
    /// `snapshot.ZXID`
    None,
    /// `snapshot.ZXID.gz`
    Gz,
    /// `snapshot.ZXID.snappy`
    Snappy,
}

/// Removal of old snapshots and of the logs that no kept snapshot needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// Snapshots to keep (`autopurge.snapRetainCount`, at least 3).
    pub snap_retain_count: u32,
    /// Time between two purges, the first at the start, milliseconds (`autopurge.purgeInterval`, in hours there unless
    /// it has a suffix); `None`: never.
    pub interval_ms: Option<NonZeroU64>,
}

impl Default for Purge {
    fn default() -> Self {
        Self {
            snap_retain_count: 3,
            interval_ms: None,
        }
    }
}

/// Quotas, TTL nodes, container nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Znodes {
    /// Whether hard quotas refuse writes (`enforceQuota`).
    pub enforce_quota: bool,
    /// Whether there are TTL nodes (`extendedTypesEnabled`).
    pub extended_types: bool,
    /// Whether TTL nodes written by 3.5.3 are read as such (`emulate353TTLNodes`).
    pub emulate_353_ttl_nodes: bool,
    /// Removal of empty container nodes and expired TTL nodes.
    pub container: ContainerSweep,
}

/// How container and TTL nodes are removed (`ContainerManager`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSweep {
    /// Time between two sweeps, milliseconds (`znode.container.checkIntervalMs`).
    pub check_interval_ms: u32,
    /// Nodes removed per minute, at most (`znode.container.maxPerMinute`).
    pub max_per_minute: u32,
    /// How old a container that never had a child gets before it is removed, milliseconds
    /// (`znode.container.maxNeverUsedIntervalMs`); `None`, as up to the 3.9 line: it stays.
    pub max_never_used_ms: Option<NonZeroU64>,
}

impl Default for ContainerSweep {
    fn default() -> Self {
        Self {
            check_interval_ms: 60_000,
            max_per_minute: 10_000,
            max_never_used_ms: None,
        }
    }
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Whether there is the scheme `digest` (`DigestAuthenticationProvider.enabled`).
    pub digest_enabled: bool,
    /// What the scheme `digest` makes of a password (`DigestAuthenticationProvider.digestAlg`).
    pub digest_algorithm: DigestAlgorithm,
    /// The digest of the user that no ACL holds back (`DigestAuthenticationProvider.superDigest`).
    pub super_digest: Option<SuperDigest>,
    /// Names that no ACL holds back, once there are schemes that give names (`superUser`, `superUser.N`).
    pub super_users: Vec<String>,
    /// Whether no ACL is checked at all (`skipACL`).
    pub skip_acl: bool,
    /// Schemes of which a client must have passed one before it may do anything (`enforce.auth.enabled`,
    /// `enforce.auth.schemes`); `None`: nothing is required.
    pub enforced_schemes: Option<Vec<String>>,
    /// Whether a client that failed in SASL may go on as nobody (`allowSaslFailedClients`).
    pub allow_sasl_failed_clients: bool,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            digest_enabled: true,
            digest_algorithm: DigestAlgorithm::Sha1,
            super_digest: None,
            super_users: Vec::new(),
            skip_acl: false,
            enforced_schemes: None,
            allow_sasl_failed_clients: false,
        }
    }
}

/// A hash for passwords in the scheme `digest`. All servers of an ensemble need the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum DigestAlgorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl DigestAlgorithm {
    /// By Java's name, in any case: `SHA1`, `SHA-1`, `SHA`, `SHA-256` and so on.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "MD5" => Self::Md5,
            "SHA" | "SHA1" | "SHA-1" => Self::Sha1,
            "SHA224" | "SHA-224" => Self::Sha224,
            "SHA256" | "SHA-256" => Self::Sha256,
            "SHA384" | "SHA-384" => Self::Sha384,
            "SHA512" | "SHA-512" => Self::Sha512,
            _ => return None,
        })
    }
}

/// `super:` and the digest of its password. Kept out of logs: its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SuperDigest(String);

impl SuperDigest {
    /// The text as configured, to compare with what a client's `user:password` comes to.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SuperDigest {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for SuperDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuperDigest(..)")
    }
}

/// Membership and the limits between servers. What tunes elections and synchronization is not read yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// The servers, their groups and weights (`server.N`, `group.N`, `weight.N`).
    pub membership: QuorumConfig,
    /// A change of it that is not known to be committed, if there was one when the server ended (the file that ends with
    /// `.dynamic.next`).
    pub last_seen: Option<QuorumConfig>,
    /// The file that holds the membership instead of `zoo.cfg` (`dynamicConfigFile`).
    pub dynamic_config_file: Option<PathBuf>,
    /// Whether one server in the list makes a server alone, not an ensemble of one (`standaloneEnabled`).
    pub standalone_enabled: bool,
    /// Whether the membership may be changed while it runs (`reconfigEnabled`).
    pub reconfig_enabled: bool,
    /// Ticks a learner has to synchronize (`initLimit`).
    pub init_limit_ticks: Option<NonZeroU32>,
    /// Ticks a learner may be behind (`syncLimit`).
    pub sync_limit_ticks: Option<NonZeroU32>,
    /// Ticks a learner tries to reach its leader (`connectToLearnerMasterLimit`); `None`: as `init_limit_ticks`.
    pub connect_to_learner_master_limit_ticks: Option<NonZeroU32>,
    /// This server's part (`peerType`; the list of servers decides where they differ).
    pub role: Role,
    /// Whether an observer writes a log and snapshots (`syncEnabled`).
    pub sync_enabled: bool,
    /// Whether the quorum and election ports are open on every interface (`quorumListenOnAllIPs`).
    pub quorum_listen_on_all_ips: bool,
    /// Where observers may follow this server (`observerMasterPort`).
    pub observer_master_port: Option<u16>,
    /// Whether a server may have several addresses (`multiAddress.enabled`).
    pub multi_address: bool,
    /// Whether a leader serves clients itself (`leaderServes`).
    pub leader_serves: bool,
    /// How long an elected server waits for its epoch once one of its voters looks for a leader again, milliseconds
    /// (`leader.maxTimeToWaitForEpoch`); `None`: as long as enough others may come.
    pub epoch_wait_ms_max: Option<u32>,
    /// Transactions that are kept in memory for learners (`commitLogCount`, at least 500).
    pub commit_log_count: u32,
    /// A learner is sent the log on disk rather than the tree if that is at most this part of the newest snapshot
    /// (`snapshotSizeFactor`, at most 1); 0: whatever it is; negative: never.
    pub snapshot_size_factor: f64,
    /// Before an observer connects to a leader, or begins anew with the followers, it waits for a random time up to this,
    /// milliseconds (`observer.reconnectDelayMs`).
    pub observer_reconnect_delay_ms: u64,
    /// Before an observer that has lost its leader looks for another, it waits for a random time up to this, milliseconds
    /// (`observer.election.DelayMs`).
    pub observer_election_delay_ms: u64,
    /// Connections between servers.
    pub connections: PeerConnections,
    /// How often an election is repeated.
    pub notifications: Notifications,
}

/// Connections between servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConnections {
    /// How long an attempt to connect to an election port may take, milliseconds (`cnxTimeout`).
    pub connect_timeout_ms: u32,
    /// How long who connects to the election port may take to say who it is, milliseconds (`quorumCnxnTimeoutMs`); `None`:
    /// `syncLimit` ticks.
    pub initial_message_timeout_ms: Option<NonZeroU32>,
    /// How often the election port is tried again if it is taken, one second later each time (`electionPortBindRetry`);
    /// `None`: for ever.
    pub election_port_bind_retry: Option<NonZeroU32>,
    /// Whether the system looks after idle connections of the election (`tcpKeepAlive`).
    pub tcp_keep_alive: bool,
    /// Whether a learner's packets are sent without waiting for more (`follower.nodelay`).
    pub follower_nodelay: bool,
    /// Whether a leader's packets are (`leader.nodelay`).
    pub leader_nodelay: bool,
}

impl Default for PeerConnections {
    fn default() -> Self {
        Self {
            connect_timeout_ms: Self::CONNECT_TIMEOUT_MS_DEFAULT,
            initial_message_timeout_ms: None,
            election_port_bind_retry: limit32(3),
            tcp_keep_alive: false,
            follower_nodelay: true,
            leader_nodelay: true,
        }
    }
}

impl PeerConnections {
    pub(super) const CONNECT_TIMEOUT_MS_DEFAULT: u32 = 5000;
}

/// When a server that looks for a leader says again whom it proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifications {
    /// For the first time, milliseconds (`fastleader.minNotificationInterval`).
    pub interval_ms_min: u32,
    /// At the longest, milliseconds (`fastleader.maxNotificationInterval`; a minute in Java, where a server that was alone
    /// for long may take as long to notice that it is so no more).
    pub interval_ms_max: u32,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            interval_ms_min: 200,
            interval_ms_max: 2000,
        }
    }
}

impl Ensemble {
    /// `snapshotSizeFactor` unless it says otherwise.
    pub(super) const SNAPSHOT_SIZE_FACTOR_DEFAULT: f64 = 0.33;
    /// The least `commitLogCount`.
    pub(super) const COMMIT_LOG_COUNT_MIN: u32 = 500;
}

impl Default for Ensemble {
    fn default() -> Self {
        Self {
            membership: QuorumConfig::default(),
            last_seen: None,
            dynamic_config_file: None,
            standalone_enabled: true,
            reconfig_enabled: false,
            init_limit_ticks: None,
            sync_limit_ticks: None,
            connect_to_learner_master_limit_ticks: None,
            role: Role::Participant,
            sync_enabled: true,
            quorum_listen_on_all_ips: false,
            observer_master_port: None,
            multi_address: false,
            leader_serves: true,
            epoch_wait_ms_max: None,
            commit_log_count: Self::COMMIT_LOG_COUNT_MIN,
            snapshot_size_factor: Self::SNAPSHOT_SIZE_FACTOR_DEFAULT,
            observer_reconnect_delay_ms: 0,
            observer_election_delay_ms: 200,
            connections: PeerConnections::default(),
            notifications: Notifications::default(),
        }
    }
}
