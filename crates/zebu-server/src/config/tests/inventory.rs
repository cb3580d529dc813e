//! Every name that ZooKeeper documents or reads, listed here apart from the table, and every default.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};

use super::super::table::{Found, Meaning, PropertyName, by_key, by_property, keys};
use super::super::*;
use super::load;

/// Lines of `zoo.cfg` that are also properties with the prefix `zookeeper.`.
const PREFIXED: &str = "\
    multiAddress.enabled multiAddress.reachabilityCheckEnabled \
    multiAddress.reachabilityCheckTimeoutMs leaderServes cnxTimeout quorumCnxnTimeoutMs electionPortBindRetry \
    tcpKeepAlive fastleader.minNotificationInterval fastleader.maxNotificationInterval \
    leader.maxTimeToWaitForEpoch leader.maxConcurrentSnapSyncs leader.maxConcurrentDiffSyncs \
    leader.ackLoggingFrequency leader.closeSocketAsync learner.closeSocketAsync learner.asyncSending \
    leaderConnectDelayDuringRetryMs forward_learner_requests_to_commit_processor_disabled \
    follower.skipLearnerRequestToNextProcessor forceSnapshotSync snapshotSizeFactor commitLogCount \
    observer.reconnectDelayMs observer.election.DelayMs observerMaster.sizeLimit preAllocSize snapCount \
    snapSizeLimitInKb txnLogSizeLimitInKb forceSync fsync.warningthresholdms flushDelay maxWriteQueuePollTime \
    maxBatchSize snapshot.compression.method snapshot.trust.empty serializeLastProcessedZxid.enabled \
    digest.enabled closeSessionTxn.enabled datadir.autocreate db.autocreate globalOutstandingLimit maxCnxns \
    request_throttle_max_requests request_throttle_stall_time request_throttle_drop_stale \
    request_stale_latency_check request_stale_connection_check request_throttler.shutdownTimeout \
    throttled_op_wait_time largeRequestMaxBytes largeRequestThreshold connection_throttle_tokens \
    connection_throttle_fill_time connection_throttle_fill_count connection_throttle_freeze_time \
    connection_throttle_drop_increase connection_throttle_drop_decrease connection_throttle_decrease_ratio \
    connection_throttle_weight_enabled connection_throttle_global_session_weight \
    connection_throttle_local_session_weight connection_throttle_renew_session_weight \
    jute.maxbuffer.extrasize intBufferStartingSizeBytes enforceQuota maxResponseCacheSize \
    maxGetChildrenResponseCacheSize serverCnxnFactory nio.numSelectorThreads nio.numWorkerThreads \
    nio.directBufferBytes nio.sessionlessCnxnTimeout nio.shutdownTimeout clientTcpKeepAlive \
    netty.advancedFlowControl.enabled netty.server.outstandingHandshake.limit \
    netty.server.earlyDropSecureConnectionHandshakes commitProcessor.numWorkerThreads \
    commitProcessor.maxReadBatchSize commitProcessor.maxCommitBatchSize commitProcessor.shutdownTimeout \
    watchManagerName watcherCleanThreadsNum watcherCleanThreshold watcherCleanIntervalInSeconds \
    maxInProcessingDeadWatchers bitHashCacheSize extendedTypesEnabled emulate353TTLNodes 4lw.commands.whitelist \
    admin.enableServer admin.serverAddress admin.serverPort admin.idleTimeout admin.commandURL admin.httpVersion \
    admin.portUnification admin.forceHttps admin.needClientAuth admin.rateLimiterIntervalInMS \
    admin.snapshot.enabled admin.restore.enabled audit.enable audit.impl.class messageTracker.Enabled \
    messageTracker.BufferSize pathStats.enabled pathStats.slotCapacity pathStats.slotDuration pathStats.maxDepth \
    pathStats.sampleRate pathStats.initialDelay pathStats.delay pathStats.topPathMax jmx.log4j.disable \
    jmx.log4j.mbean authProvider.N DigestAuthenticationProvider.enabled DigestAuthenticationProvider.superDigest \
    DigestAuthenticationProvider.digestAlg X509AuthenticationProvider.superUser superUser \
    SASLAuthenticationProvider.superPassword IPAuthenticationProvider.usexforwardedfor ensembleAuthName \
    sessionRequireClientSASLAuth enforce.auth.enabled enforce.auth.schemes allowSaslFailedClients \
    letAnySaslUserDoX skipACL enableEagerACLCheck sasl.serverconfig kerberos.removeHostFromPrincipal \
    kerberos.removeRealmFromPrincipal kerberos.canonicalizeHostNames kerberos.minReLoginTimeMs \
    requireKerberosConfig security.auth_to_local kinit fips-mode client.portUnification client.certReload \
    ssl.authProvider ssl.sslProvider";

/// Lines of `zoo.cfg` that are no properties.
const FILE_ONLY: &str = "\
    connectToLearnerMasterLimit clientPort secureClientPort clientPortAddress secureClientPortAddress clientPortListenBacklog \
    observerMasterPort dataDir dataLogDir tickTime minSessionTimeout maxSessionTimeout maxClientCnxns \
    localSessionsEnabled localSessionsUpgradingEnabled server.N group.N weight.N version dynamicConfigFile \
    standaloneEnabled reconfigEnabled initLimit syncLimit electionAlg peerType quorumListenOnAllIPs \
    quorum.cnxn.threads.size oraclePath autopurge.snapRetainCount autopurge.purgeInterval \
    metricsProvider.className metricsProvider.httpHost metricsProvider.httpPort metricsProvider.httpsPort \
    metricsProvider.exportJvmInfo metricsProvider.numWorkerThreads metricsProvider.maxQueueSize \
    metricsProvider.workerShutdownTimeoutMs metricsProvider.prometheusMetricsSummaryRotateIntervalSeconds \
    metricsProvider.httpVersion metricsProvider.ssl.keyStore.location metricsProvider.ssl.keyStore.password \
    metricsProvider.ssl.keyStore.type metricsProvider.ssl.trustStore.location \
    metricsProvider.ssl.trustStore.password metricsProvider.ssl.trustStore.type \
    metricsProvider.ssl.need.client.auth metricsProvider.ssl.want.client.auth \
    metricsProvider.ssl.enabledProtocols metricsProvider.ssl.ciphersuites jvm.pause.monitor \
    jvm.pause.sleep.time.ms jvm.pause.warn-threshold.ms jvm.pause.info-threshold.ms quorum.auth.enableSasl \
    quorum.auth.serverRequireSasl quorum.auth.learnerRequireSasl quorum.auth.server.saslLoginContext \
    quorum.auth.learner.saslLoginContext quorum.auth.kerberos.servicePrincipal sslQuorum portUnification \
    sslQuorumReloadCertFiles";

/// Properties without the prefix.
const BARE: &str = "\
    jute.maxbuffer follower.nodelay leader.nodelay znode.container.checkIntervalMs znode.container.maxPerMinute \
    znode.container.maxNeverUsedIntervalMs readonlymode.enabled java.security.auth.login.config \
    jdk.tls.rejectClientInitiatedRenegotiation";

/// Of these there is one for clients (`ssl.X`) and one for servers (`ssl.quorum.X`).
const TLS: &str = "\
    protocol enabledProtocols ciphersuites keyStore.location keyStore.password keyStore.passwordPath \
    keyStore.type trustStore.location trustStore.password trustStore.passwordPath trustStore.type \
    context.supplier.class hostnameVerification clientHostnameVerification allowReverseDnsLookup crl ocsp \
    clientAuth handshakeDetectionTimeoutMillis";

/// Properties of the Java client.
const CLIENT: &str = "\
    zookeeper.request.timeout zookeeper.clientCnxnSocket zookeeper.client.secure zookeeper.disableAutoWatchReset \
    zookeeper.sasl.client zookeeper.sasl.clientconfig zookeeper.sasl.client.username \
    zookeeper.sasl.client.canonicalize.hostname zookeeper.sasl.client.allowReverseDnsLookup \
    zookeeper.server.principal zookeeper.server.realm zookeeper.shuffleDnsResponse \
    zookeeper.hostProvider.dnsSrvRefreshIntervalSeconds";

/// Spellings of the documentation that no server reads.
const DEAD: &str = "\
    connectionMaxTokens connectionTokenFillTime connectionTokenFillCount connectionFreezeTime \
    connectionDropIncrease connectionDropDecrease connectionDecreaseRatio requestThrottleLimit \
    requestThrottleStallTime requestThrottleDropStale requestStaleLatencyCheck requestStaleConnectionCheck \
    throttledOpWaitTime maxConcurrentSnapSyncs maxConcurrentDiffSyncs maxTimeToWaitForEpoch \
    advancedFlowControlEnabled outstandingHandshake.limit";

fn names(list: &'static str) -> Vec<&'static str> {
    list.split_whitespace().collect()
}

#[test]
fn the_list_is_the_whole_list() {
    let documented = names(PREFIXED).len() + names(FILE_ONLY).len() + names(BARE).len() + 1;
    assert_eq!(documented, 221);
    assert_eq!(names(TLS).len(), 19);
    assert_eq!(names(CLIENT).len(), 13);
    assert_eq!(names(DEAD).len(), 18);
}

#[test]
fn every_documented_key_is_in_the_table_as_line_and_as_property() {
    for key in names(PREFIXED) {
        assert_eq!(by_key(key).map(|row| row.name), Some(key));
        let property = format!("zookeeper.{key}");
        let found = by_property(&property).map(|(found, key)| (matches!(found, Found::Exact(_)), key));
        assert_eq!(found, Some((true, key)), "{property}");
    }
    for key in names(FILE_ONLY) {
        let row = by_key(key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!((row.name, row.property), (key, PropertyName::FileOnly));
    }
    for key in names(BARE) {
        assert_eq!(by_key(key).map(|row| row.name), Some(key));
        assert!(matches!(by_property(key), Some((Found::Exact(_), _))), "{key}");
    }
    for name in names(TLS) {
        for key in [format!("ssl.{name}"), format!("ssl.quorum.{name}")] {
            assert_eq!(by_key(&key).map(|row| row.name), Some(key.as_str()));
        }
    }
    for property in names(CLIENT) {
        assert!(
            matches!(by_property(property), Some((Found::Exact(_), _))),
            "{property}"
        );
    }
    for old in [
        "leader.closeSocketAsync",
        "learner.closeSocketAsync",
        "learner.asyncSending",
        "fsync.warningthresholdms",
    ] {
        assert!(matches!(by_property(old), Some((Found::Exact(_), _))), "{old}");
    }
    let (_, key) = by_property("zookeeper.observer.syncEnabled").expect("it is in the table");
    assert_eq!(key, "syncEnabled");
    assert_eq!(by_key("superUser.7").map(|row| row.name), Some("superUser.N"));
    assert_eq!(by_key("authProvider.sasl").map(|row| row.name), Some("authProvider.N"));
    assert_eq!(by_key("server.12").map(|row| row.name), Some("server.N"));
}

#[test]
fn every_dead_spelling_leads_to_a_working_key() {
    for key in names(DEAD) {
        let row = by_key(key).unwrap_or_else(|| panic!("{key}"));
        let Meaning::DeadSpelling(working) = row.meaning else {
            panic!("{key}")
        };
        let working = by_key(working).unwrap_or_else(|| panic!("{key}: {working}"));
        assert!(!matches!(working.meaning, Meaning::DeadSpelling(_)), "{key}");
    }
}

#[test]
fn no_key_is_twice_in_the_table() {
    let mut seen = BTreeSet::new();
    for key in keys() {
        assert!(seen.insert(key.name), "{}", key.name);
    }
}

/// A key, its default with a file as its `Debug` shows it, where it is.
type Shown = (&'static str, &'static str, fn(&Config) -> String);

macro_rules! defaults {
    ($($key:literal = $text:literal at $($field:ident).+;)*) => {
        &[$(($key, $text, |config| format!("{:?}", config.$($field).+))),*]
    };
}

/// The defaults of Java's release 3.9.5, beside every key that is a field of the configuration.
const DEFAULTS: &[Shown] = defaults! {
    "clientPortListenBacklog" = "None" at client_port_listen_backlog;
    "tickTime" = "3000" at tick_time_ms;
    "minSessionTimeout" = "6000" at sessions.min_timeout_ms;
    "maxSessionTimeout" = "60000" at sessions.max_timeout_ms;
    "maxClientCnxns" = "Some(60)" at limits.max_client_cnxns;
    "localSessionsEnabled" = "false" at sessions.local;
    "localSessionsUpgradingEnabled" = "false" at sessions.local_upgrading;
    "secureClientPort" = "None" at secure_client;
    "secureClientPortAddress" = "None" at secure_client;
    "globalOutstandingLimit" = "1000" at limits.global_outstanding_limit;
    "maxCnxns" = "None" at limits.max_cnxns;
    "jute.maxbuffer" = "1048575" at limits.jute_max_buffer_bytes;
    "jute.maxbuffer.extrasize" = "1048575" at limits.jute_extra_bytes;
    "largeRequestMaxBytes" = "104857600" at limits.large_requests.max_bytes;
    "largeRequestThreshold" = "None" at limits.large_requests.threshold_bytes;
    "enforceQuota" = "false" at znodes.enforce_quota;
    "request_throttle_max_requests" = "None" at request_throttle.max_requests;
    "request_throttle_stall_time" = "100" at request_throttle.stall_time_ms;
    "request_throttle_drop_stale" = "true" at request_throttle.drop_stale;
    "request_stale_latency_check" = "false" at request_throttle.stale_latency_check;
    "throttled_op_wait_time" = "None" at request_throttle.throttled_op_wait_time_ms;
    "connection_throttle_tokens" = "None" at connection_throttle.tokens;
    "connection_throttle_fill_time" = "1" at connection_throttle.fill_time_ms;
    "connection_throttle_fill_count" = "1" at connection_throttle.fill_count;
    "connection_throttle_freeze_time" = "None" at connection_throttle.freeze_time_ms;
    "connection_throttle_drop_increase" = "0.02" at connection_throttle.drop_increase;
    "connection_throttle_drop_decrease" = "0.002" at connection_throttle.drop_decrease;
    "connection_throttle_decrease_ratio" = "0.0" at connection_throttle.decrease_ratio;
    "connection_throttle_weight_enabled" = "false" at connection_throttle.weight_enabled;
    "connection_throttle_global_session_weight" = "3" at connection_throttle.global_session_weight;
    "connection_throttle_local_session_weight" = "1" at connection_throttle.local_session_weight;
    "connection_throttle_renew_session_weight" = "2" at connection_throttle.renew_session_weight;
    "clientTcpKeepAlive" = "false" at client_tcp_keep_alive;
    "nio.sessionlessCnxnTimeout" = "10000" at limits.sessionless_cnxn_timeout_ms;
    "extendedTypesEnabled" = "false" at znodes.extended_types;
    "emulate353TTLNodes" = "false" at znodes.emulate_353_ttl_nodes;
    "znode.container.checkIntervalMs" = "60000" at znodes.container.check_interval_ms;
    "znode.container.maxPerMinute" = "10000" at znodes.container.max_per_minute;
    "znode.container.maxNeverUsedIntervalMs" = "None" at znodes.container.max_never_used_ms;
    "readonlymode.enabled" = "false" at read_only_mode;
    "preAllocSize" = "Some(67108864)" at storage.pre_alloc_bytes;
    "snapCount" = "100000" at storage.snap_count;
    "snapSizeLimitInKb" = "Some(4294967296)" at storage.snap_size_limit_bytes;
    "txnLogSizeLimitInKb" = "None" at storage.txn_log_size_limit_bytes;
    "forceSync" = "true" at storage.force_sync;
    "fsync.warningthresholdms" = "1000" at storage.fsync_warning_threshold_ms;
    "flushDelay" = "None" at storage.flush_delay_ms;
    "maxWriteQueuePollTime" = "0" at storage.max_write_queue_poll_time_ms;
    "maxBatchSize" = "Some(1000)" at storage.max_batch_size;
    "snapshot.compression.method" = "None" at storage.snapshot_compression;
    "snapshot.trust.empty" = "false" at storage.snapshot_trust_empty;
    "serializeLastProcessedZxid.enabled" = "true" at storage.serialize_last_processed_zxid;
    "digest.enabled" = "true" at storage.digest;
    "closeSessionTxn.enabled" = "true" at storage.close_session_txn;
    "datadir.autocreate" = "true" at storage.datadir_autocreate;
    "db.autocreate" = "true" at storage.db_autocreate;
    "autopurge.snapRetainCount" = "3" at purge.snap_retain_count;
    "autopurge.purgeInterval" = "None" at purge.interval_ms;
    "DigestAuthenticationProvider.enabled" = "true" at auth.digest_enabled;
    "DigestAuthenticationProvider.superDigest" = "None" at auth.super_digest;
    "DigestAuthenticationProvider.digestAlg" = "Sha1" at auth.digest_algorithm;
    "superUser" = "[]" at auth.super_users;
    "superUser.N" = "[]" at auth.super_users;
    "sessionRequireClientSASLAuth" = "None" at auth.enforced_schemes;
    "enforce.auth.enabled" = "None" at auth.enforced_schemes;
    "enforce.auth.schemes" = "None" at auth.enforced_schemes;
    "allowSaslFailedClients" = "false" at auth.allow_sasl_failed_clients;
    "skipACL" = "false" at auth.skip_acl;
    "dynamicConfigFile" = "None" at ensemble.dynamic_config_file;
    "standaloneEnabled" = "true" at ensemble.standalone_enabled;
    "reconfigEnabled" = "false" at ensemble.reconfig_enabled;
    "initLimit" = "None" at ensemble.init_limit_ticks;
    "syncLimit" = "None" at ensemble.sync_limit_ticks;
    "connectToLearnerMasterLimit" = "None" at ensemble.connect_to_learner_master_limit_ticks;
    "peerType" = "Participant" at ensemble.role;
    "syncEnabled" = "true" at ensemble.sync_enabled;
    "quorumListenOnAllIPs" = "false" at ensemble.quorum_listen_on_all_ips;
    "observerMasterPort" = "None" at ensemble.observer_master_port;
    "multiAddress.enabled" = "false" at ensemble.multi_address;
    "leaderServes" = "true" at ensemble.leader_serves;
    "cnxTimeout" = "5000" at ensemble.connections.connect_timeout_ms;
    "quorumCnxnTimeoutMs" = "None" at ensemble.connections.initial_message_timeout_ms;
    "electionPortBindRetry" = "Some(3)" at ensemble.connections.election_port_bind_retry;
    "tcpKeepAlive" = "false" at ensemble.connections.tcp_keep_alive;
    "fastleader.minNotificationInterval" = "200" at ensemble.notifications.interval_ms_min;
    "fastleader.maxNotificationInterval" = "2000" at ensemble.notifications.interval_ms_max;
    "leader.maxTimeToWaitForEpoch" = "None" at ensemble.epoch_wait_ms_max;
    "snapshotSizeFactor" = "0.33" at ensemble.snapshot_size_factor;
    "commitLogCount" = "500" at ensemble.commit_log_count;
    "observer.reconnectDelayMs" = "0" at ensemble.observer_reconnect_delay_ms;
    "observer.election.DelayMs" = "200" at ensemble.observer_election_delay_ms;
    "follower.nodelay" = "true" at ensemble.connections.follower_nodelay;
    "leader.nodelay" = "true" at ensemble.connections.leader_nodelay;
};

/// Keys of the configuration that need no default, or have one that is not a field, or are checked and nothing more.
const WITHOUT_DEFAULT: &str = "clientPort clientPortAddress dataDir dataLogDir 4lw.commands.whitelist electionAlg \
    sslQuorum portUnification sslQuorumReloadCertFiles multiAddress.reachabilityCheckEnabled quorum.auth.enableSasl \
    quorum.auth.serverRequireSasl quorum.auth.learnerRequireSasl";

#[test]
fn every_default_under_a_file_is_that_of_java() {
    let loaded = load("clientPort=2181\ndataDir=/d");
    for (key, expected, shown) in DEFAULTS {
        assert_eq!(shown(&loaded.config), *expected, "{key}");
    }
    let config = loaded.config;
    assert_eq!(config.client, Some(Listen { host: None, port: 2181 }));
    assert_eq!(config.data_dir, Path::new("/d"));
    assert_eq!(config.data_log_dir, config.data_dir);
    assert_eq!(config.server_id, None);
    assert!(!config.is_distributed());
    assert_eq!(loaded.notices, Vec::<String>::new());
}

#[test]
fn every_key_of_the_configuration_has_a_default_that_is_checked() {
    let checked: BTreeSet<_> = DEFAULTS
        .iter()
        .map(|(key, ..)| *key)
        .chain(names(WITHOUT_DEFAULT))
        .collect();
    let used = keys()
        .filter(|row| matches!(row.meaning, Meaning::Used(_)))
        .map(|row| row.name);
    assert_eq!(used.collect::<BTreeSet<_>>(), checked);
}

#[test]
fn harmless_words_are_on_by_default_and_others_are_not() {
    let config = load("clientPort=2181\ndataDir=/d").config;
    let on: Vec<_> = config.four_letter_words.iter().collect();
    assert_eq!(on, names("conf dirs envi hash isro mntr ruok srvr stat wchs"));
    let off = names("cons crst dump gtmk srst stmk wchc wchp");
    assert!(off.iter().all(|word| !config.four_letter_words.allows(word)));
    assert!(off.iter().all(|word| FourLetterWords::all().allows(word)));
    assert_eq!(FourLetterWords::all().iter().count(), 18);
}

#[test]
fn without_a_file_a_server_has_port_directory_and_purge() {
    let (config, notices) = Config::load(None, &SystemProperties::default()).expect("it needs nothing");
    assert_eq!(config, Config::default());
    assert_eq!(notices, []);
    assert_eq!(config.client, Some(Listen { host: None, port: 2181 }));
    assert_eq!(config.data_dir, Path::new("./zebu-data"));
    assert_eq!(config.data_log_dir, Path::new("./zebu-data"));
    assert_eq!(config.tick_time_ms, 2000);
    assert_eq!(
        (config.sessions.min_timeout_ms, config.sessions.max_timeout_ms),
        (4000, 40_000)
    );
    assert_eq!(
        config.purge,
        Purge {
            snap_retain_count: 3,
            interval_ms: NonZeroU64::new(3_600_000)
        }
    );
    assert_eq!(config.limits.max_client_cnxns, NonZeroU32::new(60));
}

#[test]
fn a_server_for_tests_is_durable_and_takes_a_free_port_of_the_loopback() {
    let config = Config::for_test(Path::new("/somewhere"));
    let listen = config.client.expect("it has a port");
    assert!(listen.host.is_some_and(|host| host.is_loopback()));
    assert_eq!(listen.port, 0);
    assert!(config.storage.force_sync);
    assert_eq!(
        (config.sessions.min_timeout_ms, config.sessions.max_timeout_ms),
        (200, 60_000)
    );
    assert_eq!(config.data_log_dir, config.data_dir);
    assert_eq!(config.purge.interval_ms, None);
}
