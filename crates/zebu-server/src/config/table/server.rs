//! Ports, sessions, limits, throttles, node types, four-letter words, and what belongs to Java's network threads.

use std::num::NonZeroU64;

use super::super::sections::LargeRequests;
use super::super::value::{INT_MAX, LONG_MAX, Set};
use super::PropertyName::{Bare, FileOnly, Prefixed};
use super::{Key, flag, nothing, used};

const MS: &str = "milliseconds";
const THREADS: &str = "zebu arranges its threads itself";
const SHUTDOWN: &str = "zebu stops without waiting for threads";
const NETTY: &str = "there is no Netty in zebu";
const CACHE: &str = "zebu answers from its tree and needs no cache of answers";
const WATCH_TABLE: &str = "zebu's table of watches has no variants and no cleaner threads";
const STALE: &str = "a request that waits for its turn goes with its connection in any case";
const BUFFERS: &str = "zebu's buffers grow and shrink by themselves";

pub(super) static KEYS: &[Key] = &[
    // Ports, sessions, data
    used("clientPort", FileOnly, Set::Port(|d, port| d.client_port = Some(port))),
    used(
        "clientPortAddress",
        FileOnly,
        Set::Text {
            allowed: "a host name or an address",
            set: |d, host| {
                d.client_host = Some(host.to_owned());
                (!host.is_empty()).then_some(())
            },
        },
    ),
    used(
        "secureClientPort",
        FileOnly,
        Set::Port(|d, port| d.secure_port = Some(port)),
    ),
    used(
        "secureClientPortAddress",
        FileOnly,
        Set::Text {
            allowed: "a host name or an address",
            set: |d, host| {
                d.secure_host = Some(host.to_owned());
                (!host.is_empty()).then_some(())
            },
        },
    ),
    used(
        "clientPortListenBacklog",
        FileOnly,
        Set::OrNone {
            unit: "connections",
            set: |d, count| d.config.client_port_listen_backlog = count,
        },
    ),
    used(
        "dataDir",
        FileOnly,
        Set::Text {
            allowed: "a directory",
            set: |d, path| d.set_data_dir(path),
        },
    ),
    used(
        "dataLogDir",
        FileOnly,
        Set::Text {
            allowed: "a directory",
            set: |d, path| d.set_data_log_dir(path),
        },
    ),
    used(
        "tickTime",
        FileOnly,
        Set::Count {
            // 20 ticks, the longest session timeout, must fit as well.
            range: [1, INT_MAX / 20],
            unit: MS,
            set: |d, ms| d.config.tick_time_ms = ms,
        },
    ),
    used(
        "minSessionTimeout",
        FileOnly,
        Set::OrNone {
            unit: MS,
            set: |d, ms| d.min_session_timeout_ms = ms,
        },
    ),
    used(
        "maxSessionTimeout",
        FileOnly,
        Set::OrNone {
            unit: MS,
            set: |d, ms| d.max_session_timeout_ms = ms,
        },
    ),
    used(
        "maxClientCnxns",
        FileOnly,
        Set::Limit {
            high: INT_MAX,
            unit: "connections",
            set: |d, limit| d.config.limits.max_client_cnxns = limit,
        },
    ),
    flag("localSessionsEnabled", FileOnly, |d, on| d.config.sessions.local = on),
    flag("localSessionsUpgradingEnabled", FileOnly, |d, on| {
        d.config.sessions.local_upgrading = on;
    }),
    // Limits
    used(
        "globalOutstandingLimit",
        Prefixed,
        Set::Count {
            range: [0, INT_MAX],
            unit: "requests",
            set: |d, count| d.config.limits.global_outstanding_limit = count,
        },
    ),
    used(
        "maxCnxns",
        Prefixed,
        Set::Limit {
            high: INT_MAX,
            unit: "connections",
            set: |d, limit| d.config.limits.max_cnxns = limit,
        },
    ),
    used(
        "jute.maxbuffer",
        Bare,
        Set::Count {
            range: [1, INT_MAX],
            unit: "bytes",
            set: |d, bytes| d.config.limits.jute_max_buffer_bytes = bytes,
        },
    ),
    used(
        "jute.maxbuffer.extrasize",
        Prefixed,
        Set::Count {
            range: [0, INT_MAX],
            unit: "bytes",
            set: |d, bytes| d.jute_extra_bytes = Some(bytes),
        },
    ),
    used(
        "largeRequestMaxBytes",
        Prefixed,
        Set::OrDefault {
            default: LargeRequests::MAX_BYTES_DEFAULT,
            set: |d, bytes| d.config.limits.large_requests.max_bytes = bytes,
        },
    ),
    used(
        "largeRequestThreshold",
        Prefixed,
        Set::Limit {
            high: INT_MAX,
            unit: "bytes",
            set: |d, limit| d.config.limits.large_requests.threshold_bytes = limit,
        },
    ),
    flag("enforceQuota", Prefixed, |d, on| d.config.znodes.enforce_quota = on),
    nothing("intBufferStartingSizeBytes", Prefixed, BUFFERS),
    nothing("maxResponseCacheSize", Prefixed, CACHE),
    nothing("maxGetChildrenResponseCacheSize", Prefixed, CACHE),
    // Throttles
    used(
        "request_throttle_max_requests",
        Prefixed,
        Set::Limit {
            high: INT_MAX,
            unit: "requests",
            set: |d, limit| d.config.request_throttle.max_requests = limit,
        },
    ),
    used(
        "request_throttle_stall_time",
        Prefixed,
        Set::Count {
            range: [1, INT_MAX],
            unit: MS,
            set: |d, ms| d.config.request_throttle.stall_time_ms = ms,
        },
    ),
    flag("request_throttle_drop_stale", Prefixed, |d, on| {
        d.config.request_throttle.drop_stale = on
    }),
    flag("request_stale_latency_check", Prefixed, |d, on| {
        d.config.request_throttle.stale_latency_check = on;
    }),
    nothing("request_stale_connection_check", Prefixed, STALE),
    nothing("request_throttler.shutdownTimeout", Prefixed, SHUTDOWN),
    used(
        "throttled_op_wait_time",
        Prefixed,
        Set::Limit {
            high: INT_MAX,
            unit: MS,
            set: |d, limit| d.config.request_throttle.throttled_op_wait_time_ms = limit,
        },
    ),
    used(
        "connection_throttle_tokens",
        Prefixed,
        Set::Limit {
            high: INT_MAX,
            unit: "tokens",
            set: |d, limit| d.config.connection_throttle.tokens = limit,
        },
    ),
    used(
        "connection_throttle_fill_time",
        Prefixed,
        Set::Count {
            range: [1, INT_MAX],
            unit: MS,
            set: |d, ms| d.config.connection_throttle.fill_time_ms = ms,
        },
    ),
    used(
        "connection_throttle_fill_count",
        Prefixed,
        Set::Count {
            range: [0, INT_MAX],
            unit: "tokens",
            set: |d, count| d.config.connection_throttle.fill_count = count,
        },
    ),
    used(
        "connection_throttle_freeze_time",
        Prefixed,
        Set::OrNone {
            unit: MS,
            set: |d, ms| d.config.connection_throttle.freeze_time_ms = ms,
        },
    ),
    used(
        "connection_throttle_drop_increase",
        Prefixed,
        Set::Ratio(|d, ratio| d.config.connection_throttle.drop_increase = ratio),
    ),
    used(
        "connection_throttle_drop_decrease",
        Prefixed,
        Set::Ratio(|d, ratio| d.config.connection_throttle.drop_decrease = ratio),
    ),
    used(
        "connection_throttle_decrease_ratio",
        Prefixed,
        Set::Ratio(|d, ratio| d.config.connection_throttle.decrease_ratio = ratio),
    ),
    flag("connection_throttle_weight_enabled", Prefixed, |d, on| {
        d.config.connection_throttle.weight_enabled = on;
    }),
    used(
        "connection_throttle_global_session_weight",
        Prefixed,
        Set::OrDefault {
            default: 3,
            set: |d, weight| d.config.connection_throttle.global_session_weight = weight,
        },
    ),
    used(
        "connection_throttle_local_session_weight",
        Prefixed,
        Set::OrDefault {
            default: 1,
            set: |d, weight| d.config.connection_throttle.local_session_weight = weight,
        },
    ),
    used(
        "connection_throttle_renew_session_weight",
        Prefixed,
        Set::OrDefault {
            default: 2,
            set: |d, weight| d.config.connection_throttle.renew_session_weight = weight,
        },
    ),
    // Network and threads
    flag("clientTcpKeepAlive", Prefixed, |d, on| {
        d.config.client_tcp_keep_alive = on
    }),
    used(
        "nio.sessionlessCnxnTimeout",
        Prefixed,
        Set::Count {
            range: [1, INT_MAX],
            unit: MS,
            set: |d, ms| d.config.limits.sessionless_cnxn_timeout_ms = ms,
        },
    ),
    nothing(
        "serverCnxnFactory",
        Prefixed,
        "zebu has one way to serve connections, and no Java classes",
    ),
    nothing("nio.numSelectorThreads", Prefixed, THREADS),
    nothing("nio.numWorkerThreads", Prefixed, THREADS),
    nothing("nio.directBufferBytes", Prefixed, BUFFERS),
    nothing("nio.shutdownTimeout", Prefixed, SHUTDOWN),
    nothing("netty.advancedFlowControl.enabled", Prefixed, NETTY),
    nothing("netty.server.outstandingHandshake.limit", Prefixed, NETTY),
    nothing("netty.server.earlyDropSecureConnectionHandshakes", Prefixed, NETTY),
    nothing("commitProcessor.numWorkerThreads", Prefixed, THREADS),
    nothing("commitProcessor.maxReadBatchSize", Prefixed, THREADS),
    nothing("commitProcessor.maxCommitBatchSize", Prefixed, THREADS),
    nothing("commitProcessor.shutdownTimeout", Prefixed, SHUTDOWN),
    // Watches and node types
    nothing("watchManagerName", Prefixed, WATCH_TABLE),
    nothing("watcherCleanThreadsNum", Prefixed, WATCH_TABLE),
    nothing("watcherCleanThreshold", Prefixed, WATCH_TABLE),
    nothing("watcherCleanIntervalInSeconds", Prefixed, WATCH_TABLE),
    nothing("maxInProcessingDeadWatchers", Prefixed, WATCH_TABLE),
    nothing("bitHashCacheSize", Prefixed, WATCH_TABLE),
    flag("extendedTypesEnabled", Prefixed, |d, on| {
        d.config.znodes.extended_types = on
    }),
    flag("emulate353TTLNodes", Prefixed, |d, on| {
        d.config.znodes.emulate_353_ttl_nodes = on
    }),
    used(
        "znode.container.checkIntervalMs",
        Bare,
        Set::Count {
            range: [1, INT_MAX],
            unit: MS,
            set: |d, ms| d.config.znodes.container.check_interval_ms = ms,
        },
    ),
    used(
        "znode.container.maxPerMinute",
        Bare,
        Set::Count {
            range: [1, INT_MAX],
            unit: "nodes",
            set: |d, count| d.config.znodes.container.max_per_minute = count,
        },
    ),
    used(
        "znode.container.maxNeverUsedIntervalMs",
        Bare,
        Set::LongLimit {
            high: LONG_MAX,
            unit: MS,
            set: |d, limit: Option<NonZeroU64>| d.config.znodes.container.max_never_used_ms = limit,
        },
    ),
    // Four-letter words, read-only mode
    used(
        "4lw.commands.whitelist",
        Prefixed,
        Set::Text {
            allowed: "four-letter words between commas, or *",
            set: |d, list| {
                d.set_four_letter_words(list);
                Some(())
            },
        },
    ),
    flag("readonlymode.enabled", Bare, |d, on| d.config.read_only_mode = on),
];
