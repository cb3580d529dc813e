//! What the server is told before it starts: `zoo.cfg`, system properties, and the defaults under both.
//!
//! The same file that starts the Java server starts this one and means the same. Three rules give every setting its
//! value, weakest first: the default, a system property (`SERVER_JVMFLAGS`, then `JVMFLAGS`, then `-D`), the line in
//! `zoo.cfg`. That order is Java's own: it turns the lines it does not know into system properties, over those given
//! with `-D`.
//!
//! * A key that neither server knows is a [`Notice`] with its line and the nearest known key, never a refusal.
//! * A known key with a value that makes no sense is a [`ConfigError`] that names file, line, key, value and what is
//!   allowed. Where Java would go on silently with another value than the one written, zebu refuses too: a limit that is
//!   not the one in the file is worse than no start. Where Java corrects a value and says so, zebu does the same.
//! * What Java has and zebu has not is a notice where going on without it is safe, and a refusal where it is not (TLS,
//!   SASL sessions, ensembles).
//!
//! Where zebu reads a file otherwise than Java's 3.9 line, and why:
//!
//! * The text is UTF-8, and only what is not UTF-8 is ISO 8859-1: paths have the letters that an editor shows.
//! * Ten four-letter words are on by default and not one, since they only read ([`FourLetterWords::harmless`]).
//! * Properties that Java reads without the prefix `zookeeper.`, as `jute.maxbuffer`, may be lines of the file; 18
//!   spellings that only the documentation has are taken for the working ones.
//! * `autopurge.purgeInterval` may have a unit (as in Java's 3.10) and does not wrap around when it is long.
//! * A server alone without any client port is refused; Java starts one that nobody can reach.
//!
//! Start reading in `table/`: every key, what it means here, and how its value is read. `settings.rs` decides which
//! of several values counts, `draft.rs` puts the values together and checks them against one another. Nothing in here
//! knows a socket or a data directory; of the disk it reads `zoo.cfg`, the dynamic file that it names, and `myid`.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use zebu_proto::Sid;

mod draft;
pub(crate) mod dynamic_files;
mod error;
mod nearest;
mod notice;
mod one_line;
mod sections;
mod settings;
mod system;
mod table;
mod value;
mod words;

#[cfg(test)]
mod tests;

pub use error::ConfigError;
pub use notice::{Level, Notice, NoticeKind, Place};
pub use sections::{
    Auth, ConnectionThrottle, ContainerSweep, DigestAlgorithm, Ensemble, LargeRequests, Limits, Listen, Notifications,
    PeerConnections, Purge, RequestThrottle, Sessions, SnapshotCompression, Storage, SuperDigest, Znodes,
};
pub use system::SystemProperties;
pub use words::FourLetterWords;

/// Everything a server is told before it starts. A plain value: two of them make two servers in one process.
///
/// [`Config::default`] is what `zebu serve` uses without a file, [`Config::load`] what it uses with one.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The `zoo.cfg` this came from, as it was named.
    pub file: Option<PathBuf>,
    /// Where clients connect without TLS (`clientPort`, `clientPortAddress`, or this server's own `server.N` line).
    pub client: Option<Listen>,
    /// Where clients connect with TLS (`secureClientPort`). [`Config::load`] refuses it until there is TLS.
    pub secure_client: Option<Listen>,
    /// Length of the queue of connections not yet accepted (`clientPortListenBacklog`); `None` leaves it to the server.
    pub client_port_listen_backlog: Option<u32>,
    /// TCP keepalive on client connections (`clientTcpKeepAlive`).
    pub client_tcp_keep_alive: bool,
    /// Where snapshots, `myid` and the epoch files are (`dataDir`); the server works in its `version-2`.
    pub data_dir: PathBuf,
    /// Where the transaction log is (`dataLogDir`); the same as `data_dir` unless set.
    pub data_log_dir: PathBuf,
    /// The unit of time of everything that counts in ticks, milliseconds (`tickTime`).
    pub tick_time_ms: u32,
    /// This server's number, from the file `myid` in `data_dir`; a standalone server needs none.
    pub server_id: Option<Sid>,
    /// Session timeouts and local sessions.
    pub sessions: Sessions,
    /// What one client, or all of them, may take.
    pub limits: Limits,
    /// Holding back requests.
    pub request_throttle: RequestThrottle,
    /// Holding back new connections.
    pub connection_throttle: ConnectionThrottle,
    /// Transaction log and snapshots.
    pub storage: Storage,
    /// Removal of old snapshots and logs.
    pub purge: Purge,
    /// Quotas, TTL nodes, container nodes.
    pub znodes: Znodes,
    /// Who may do what.
    pub auth: Auth,
    /// Which four-letter words are answered.
    pub four_letter_words: FourLetterWords,
    /// Whether a server that has lost its ensemble goes on serving reads (`readonlymode.enabled`).
    pub read_only_mode: bool,
    /// Membership and the limits between servers. A standalone server has an empty one.
    pub ensemble: Ensemble,
}

impl Default for Config {
    /// What `zebu serve` uses without a file: client port 2181 on every interface, `./zebu-data`, ticks of 2000 ms as in
    /// the sample file, and a purge every hour that keeps three snapshots (Java keeps all of them for ever; a server
    /// that somebody just started must not fill the disk). Everything else as [`Config::java_defaults`].
    fn default() -> Self {
        Self {
            client: Some(Listen { host: None, port: 2181 }),
            data_dir: PathBuf::from("./zebu-data"),
            data_log_dir: PathBuf::from("./zebu-data"),
            purge: Purge {
                snap_retain_count: 3,
                interval_ms: NonZeroU64::new(60 * 60 * 1000),
            },
            ..Self::java_defaults().with_tick_time(2000)
        }
    }
}

impl Config {
    /// What holds under a `zoo.cfg`: the defaults of Java's 3.9 line, where the file has to name data directory and port.
    ///
    /// One deviation: the four-letter words that only read, and whose answer is bounded, are on (see
    /// [`FourLetterWords::harmless`]).
    ///
    /// Source: `QuorumPeerConfig`, `ZooKeeperServer` and the classes that read the system properties, release 3.9.5.
    #[must_use]
    pub fn java_defaults() -> Self {
        Self {
            file: None,
            client: None,
            secure_client: None,
            client_port_listen_backlog: None,
            client_tcp_keep_alive: false,
            data_dir: PathBuf::new(),
            data_log_dir: PathBuf::new(),
            tick_time_ms: 3000,
            server_id: None,
            sessions: Sessions::default(),
            limits: Limits::default(),
            request_throttle: RequestThrottle::default(),
            connection_throttle: ConnectionThrottle::default(),
            storage: Storage::default(),
            purge: Purge::default(),
            znodes: Znodes::default(),
            auth: Auth::default(),
            four_letter_words: FourLetterWords::harmless(),
            read_only_mode: false,
            ensemble: Ensemble::default(),
        }
    }

    /// Reads `path`, if there is one, over `properties` over the defaults, and checks the whole.
    ///
    /// The notices are for the operator, in the order of the file; each is one line. The file may have up to 1 MiB. A
    /// host name in `clientPortAddress` is resolved here, once, as Java does.
    ///
    /// # Errors
    /// See [`ConfigError`]: a file that cannot be read, a value that is not allowed, values that contradict one another,
    /// and what zebu cannot do yet and must not ignore.
    pub fn load(path: Option<&Path>, properties: &SystemProperties) -> Result<(Self, Vec<Notice>), ConfigError> {
        draft::load(path, properties)
    }

    /// A server for tests: a free port of the loopback interface, short ticks, no limit on connections from one address
    /// (they all come from there), every four-letter word, no purge. Durable as in production.
    ///
    /// Sessions may have timeouts of 200 ms to 60 s.
    #[must_use]
    pub fn for_test(dir: &Path) -> Self {
        let mut config = Self {
            client: Some(Listen {
                host: Some(std::net::Ipv4Addr::LOCALHOST.into()),
                port: 0,
            }),
            data_dir: dir.to_owned(),
            data_log_dir: dir.to_owned(),
            four_letter_words: FourLetterWords::all(),
            ..Self::java_defaults().with_tick_time(100)
        };
        config.sessions.max_timeout_ms = 60_000;
        config.limits.max_client_cnxns = None;
        config
    }

    /// Whether this describes a member of an ensemble and not a server alone: with `standaloneEnabled` two voters make
    /// an ensemble, without it one does.
    #[must_use]
    pub fn is_distributed(&self) -> bool {
        !self.ensemble.standalone_enabled || self.ensemble.membership.participants().count() > 1
    }

    /// The same with another tick, and the session timeouts that follow from it unless set: 2 and 20 ticks.
    #[must_use]
    fn with_tick_time(mut self, tick_time_ms: u32) -> Self {
        self.tick_time_ms = tick_time_ms;
        self.sessions.min_timeout_ms = tick_time_ms.saturating_mul(2);
        self.sessions.max_timeout_ms = tick_time_ms.saturating_mul(20);
        self
    }
}

/// A limit that is on, for defaults; 0 turns it off.
const fn limit32(value: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(value)
}

/// The same in 64 bits.
const fn limit64(value: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(value)
}
