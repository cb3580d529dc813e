//! Every key of the configuration changes its field and no other.

use super::super::table::{Meaning, keys};
use super::super::*;
use super::load_lines;

/// A change of the defaults.
type Change = fn(&mut Config);

/// A line, and what it does to the defaults.
const CHANGES: &[(&str, Change)] = &[
    ("clientPort=2182", |c| {
        c.client = Some(Listen { host: None, port: 2182 })
    }),
    ("clientPortAddress=127.0.0.1", |c| {
        c.client = Some(Listen {
            host: Some([127, 0, 0, 1].into()),
            port: 2181,
        });
    }),
    ("clientPortAddress=[::1]", |c| {
        c.client = Some(Listen {
            host: Some(std::net::Ipv6Addr::LOCALHOST.into()),
            port: 2181,
        });
    }),
    ("clientPortListenBacklog=17", |c| {
        c.client_port_listen_backlog = Some(17)
    }),
    ("clientPortListenBacklog=-1", |_| {}),
    ("dataDir=/other", |c| {
        c.data_dir = "/other".into();
        c.data_log_dir = "/other".into();
    }),
    ("dataLogDir=/log", |c| c.data_log_dir = "/log".into()),
    ("tickTime=1000", |c| {
        c.tick_time_ms = 1000;
        c.sessions.min_timeout_ms = 2000;
        c.sessions.max_timeout_ms = 20_000;
    }),
    ("minSessionTimeout=1", |c| c.sessions.min_timeout_ms = 1),
    ("minSessionTimeout=-1", |_| {}),
    ("maxSessionTimeout=600000", |c| c.sessions.max_timeout_ms = 600_000),
    ("maxClientCnxns=7", |c| c.limits.max_client_cnxns = limit32(7)),
    ("maxClientCnxns=0", |c| c.limits.max_client_cnxns = None),
    ("maxClientCnxns=-1", |c| c.limits.max_client_cnxns = None),
    ("localSessionsEnabled=TRUE", |c| c.sessions.local = true),
    ("localSessionsUpgradingEnabled=true", |c| {
        c.sessions.local_upgrading = true
    }),
    ("globalOutstandingLimit=5", |c| c.limits.global_outstanding_limit = 5),
    ("maxCnxns=5", |c| c.limits.max_cnxns = limit32(5)),
    ("jute.maxbuffer=0x400000", |c| {
        c.limits.jute_max_buffer_bytes = 0x40_0000;
        c.limits.jute_extra_bytes = 0x40_0000;
    }),
    ("jute.maxbuffer.extrasize=2000", |c| c.limits.jute_extra_bytes = 2000),
    ("jute.maxbuffer.extrasize=10", |c| c.limits.jute_extra_bytes = 1024),
    ("largeRequestMaxBytes=5", |c| c.limits.large_requests.max_bytes = 5),
    ("largeRequestThreshold=5", |c| {
        c.limits.large_requests.threshold_bytes = limit32(5)
    }),
    ("largeRequestThreshold=-7", |_| {}),
    ("enforceQuota=true", |c| c.znodes.enforce_quota = true),
    ("request_throttle_max_requests=5", |c| {
        c.request_throttle.max_requests = limit32(5)
    }),
    ("request_throttle_stall_time=5", |c| {
        c.request_throttle.stall_time_ms = 5
    }),
    ("request_throttle_drop_stale=false", |c| {
        c.request_throttle.drop_stale = false
    }),
    ("request_stale_latency_check=true", |c| {
        c.request_throttle.stale_latency_check = true
    }),
    ("throttled_op_wait_time=5", |c| {
        c.request_throttle.throttled_op_wait_time_ms = limit32(5);
    }),
    ("connection_throttle_tokens=5", |c| {
        c.connection_throttle.tokens = limit32(5)
    }),
    ("connection_throttle_fill_time=5", |c| {
        c.connection_throttle.fill_time_ms = 5
    }),
    ("connection_throttle_fill_count=5", |c| {
        c.connection_throttle.fill_count = 5
    }),
    ("connection_throttle_freeze_time=0", |c| {
        c.connection_throttle.freeze_time_ms = Some(0)
    }),
    ("connection_throttle_drop_increase=0.5", |c| {
        c.connection_throttle.drop_increase = 0.5
    }),
    ("connection_throttle_drop_decrease=1", |c| {
        c.connection_throttle.drop_decrease = 1.0
    }),
    ("connection_throttle_decrease_ratio=.25", |c| {
        c.connection_throttle.decrease_ratio = 0.25
    }),
    ("connection_throttle_weight_enabled=true", |c| {
        c.connection_throttle.weight_enabled = true
    }),
    ("connection_throttle_global_session_weight=5", |c| {
        c.connection_throttle.global_session_weight = 5;
    }),
    ("connection_throttle_local_session_weight=2", |c| {
        c.connection_throttle.local_session_weight = 2;
    }),
    ("connection_throttle_renew_session_weight=5", |c| {
        c.connection_throttle.renew_session_weight = 5;
    }),
    ("clientTcpKeepAlive=true", |c| c.client_tcp_keep_alive = true),
    ("nio.sessionlessCnxnTimeout=5", |c| {
        c.limits.sessionless_cnxn_timeout_ms = 5
    }),
    ("extendedTypesEnabled=true", |c| c.znodes.extended_types = true),
    ("emulate353TTLNodes=true", |c| c.znodes.emulate_353_ttl_nodes = true),
    ("znode.container.checkIntervalMs=5", |c| {
        c.znodes.container.check_interval_ms = 5
    }),
    ("znode.container.maxPerMinute=5", |c| {
        c.znodes.container.max_per_minute = 5
    }),
    ("znode.container.maxNeverUsedIntervalMs=5", |c| {
        c.znodes.container.max_never_used_ms = limit64(5);
    }),
    ("4lw.commands.whitelist=cons , ruok,", |c| {
        c.four_letter_words = FourLetterWords::from_list("cons,ruok").0;
    }),
    ("4lw.commands.whitelist=*", |c| {
        c.four_letter_words = FourLetterWords::all()
    }),
    ("readonlymode.enabled=true", |c| c.read_only_mode = true),
    ("preAllocSize=4", |c| c.storage.pre_alloc_bytes = limit64(4096)),
    ("preAllocSize=0", |c| c.storage.pre_alloc_bytes = None),
    ("snapCount=5", |c| c.storage.snap_count = 5),
    ("snapSizeLimitInKb=4", |c| {
        c.storage.snap_size_limit_bytes = limit64(4096)
    }),
    ("snapSizeLimitInKb=-1", |c| c.storage.snap_size_limit_bytes = None),
    ("txnLogSizeLimitInKb=4", |c| {
        c.storage.txn_log_size_limit_bytes = limit64(4096)
    }),
    ("forceSync=no", |c| c.storage.force_sync = false),
    ("forceSync=yes", |_| {}),
    ("fsync.warningthresholdms=5", |c| {
        c.storage.fsync_warning_threshold_ms = 5
    }),
    ("flushDelay=30", |c| {
        c.storage.flush_delay_ms = limit64(30);
        c.storage.max_write_queue_poll_time_ms = 10;
    }),
    ("maxWriteQueuePollTime=5", |c| {
        c.storage.max_write_queue_poll_time_ms = 5
    }),
    ("maxBatchSize=5", |c| c.storage.max_batch_size = limit32(5)),
    ("maxBatchSize=0", |c| c.storage.max_batch_size = None),
    ("snapshot.compression.method=gz", |c| {
        c.storage.snapshot_compression = SnapshotCompression::Gz;
    }),
    ("snapshot.compression.method=Snappy", |c| {
        c.storage.snapshot_compression = SnapshotCompression::Snappy;
    }),
    ("snapshot.compression.method=", |_| {}),
    ("snapshot.trust.empty=true", |c| c.storage.snapshot_trust_empty = true),
    ("serializeLastProcessedZxid.enabled=false", |c| {
        c.storage.serialize_last_processed_zxid = false;
    }),
    ("digest.enabled=False", |c| c.storage.digest = false),
    ("closeSessionTxn.enabled=false", |c| c.storage.close_session_txn = false),
    ("datadir.autocreate=false", |c| c.storage.datadir_autocreate = false),
    ("db.autocreate=false", |c| c.storage.db_autocreate = false),
    ("autopurge.snapRetainCount=5", |c| c.purge.snap_retain_count = 5),
    ("autopurge.purgeInterval=2", |c| {
        c.purge.interval_ms = limit64(7_200_000)
    }),
    ("autopurge.purgeInterval=90s", |c| c.purge.interval_ms = limit64(90_000)),
    ("autopurge.purgeInterval=0", |_| {}),
    ("autopurge.purgeInterval=-1", |_| {}),
    ("DigestAuthenticationProvider.enabled=false", |c| {
        c.auth.digest_enabled = false
    }),
    ("DigestAuthenticationProvider.superDigest=super:abc=", |c| {
        c.auth.super_digest = Some(SuperDigest::from("super:abc="));
    }),
    ("DigestAuthenticationProvider.digestAlg=sha-256", |c| {
        c.auth.digest_algorithm = DigestAlgorithm::Sha256;
    }),
    ("superUser=CN=admin", |c| {
        c.auth.super_users = vec!["CN=admin".to_owned()]
    }),
    ("superUser.1=one", |c| c.auth.super_users = vec!["one".to_owned()]),
    ("sessionRequireClientSASLAuth=false", |_| {}),
    ("enforce.auth.enabled=false", |_| {}),
    ("enforce.auth.schemes=digest", |_| {}),
    ("enforce.auth.enabled=true\nenforce.auth.schemes=digest, ip", |c| {
        c.auth.enforced_schemes = Some(vec!["digest".to_owned(), "ip".to_owned()]);
    }),
    ("allowSaslFailedClients=true", |c| {
        c.auth.allow_sasl_failed_clients = true
    }),
    ("skipACL=yes", |c| c.auth.skip_acl = true),
    ("skipACL=no", |_| {}),
    ("standaloneEnabled=true", |_| {}),
    ("reconfigEnabled=true", |c| c.ensemble.reconfig_enabled = true),
    ("initLimit=5", |c| c.ensemble.init_limit_ticks = limit32(5)),
    ("syncLimit=5", |c| c.ensemble.sync_limit_ticks = limit32(5)),
    ("connectToLearnerMasterLimit=5", |c| {
        c.ensemble.connect_to_learner_master_limit_ticks = limit32(5);
    }),
    ("electionAlg=3", |_| {}),
    ("peerType=Participant", |_| {}),
    ("syncEnabled=false", |c| c.ensemble.sync_enabled = false),
    ("observer.syncEnabled=false", |c| c.ensemble.sync_enabled = false),
    ("quorumListenOnAllIPs=true", |c| {
        c.ensemble.quorum_listen_on_all_ips = true
    }),
    ("observerMasterPort=2191", |c| {
        c.ensemble.observer_master_port = Some(2191)
    }),
    ("observerMasterPort=0", |_| {}),
    ("multiAddress.enabled=true", |c| c.ensemble.multi_address = true),
    ("leaderServes=no", |c| c.ensemble.leader_serves = false),
    ("leaderServes=yes", |_| {}),
    ("cnxTimeout=700", |c| c.ensemble.connections.connect_timeout_ms = 700),
    ("quorumCnxnTimeoutMs=900", |c| {
        c.ensemble.connections.initial_message_timeout_ms = limit32(900);
    }),
    ("quorumCnxnTimeoutMs=-1", |_| {}),
    ("electionPortBindRetry=0", |c| {
        c.ensemble.connections.election_port_bind_retry = None;
    }),
    ("tcpKeepAlive=true", |c| c.ensemble.connections.tcp_keep_alive = true),
    ("fastleader.minNotificationInterval=50", |c| {
        c.ensemble.notifications.interval_ms_min = 50;
    }),
    ("fastleader.maxNotificationInterval=60000", |c| {
        c.ensemble.notifications.interval_ms_max = 60_000;
    }),
    ("leader.maxTimeToWaitForEpoch=300", |c| {
        c.ensemble.epoch_wait_ms_max = Some(300);
    }),
    ("leader.maxTimeToWaitForEpoch=-1", |_| {}),
    ("snapshotSizeFactor=-1", |c| c.ensemble.snapshot_size_factor = -1.0),
    ("snapshotSizeFactor=0.5", |c| c.ensemble.snapshot_size_factor = 0.5),
    ("snapshotSizeFactor=2", |_| {}),
    ("commitLogCount=2000", |c| c.ensemble.commit_log_count = 2000),
    ("observer.reconnectDelayMs=80", |c| {
        c.ensemble.observer_reconnect_delay_ms = 80;
    }),
    ("observer.election.DelayMs=0", |c| {
        c.ensemble.observer_election_delay_ms = 0;
    }),
    ("follower.nodelay=false", |c| {
        c.ensemble.connections.follower_nodelay = false;
    }),
    ("leader.nodelay=false", |c| {
        c.ensemble.connections.leader_nodelay = false
    }),
    ("multiAddress.reachabilityCheckEnabled=false", |_| {}),
    ("sslQuorum=false", |_| {}),
    ("portUnification=false", |_| {}),
    ("sslQuorumReloadCertFiles=true", |_| {}),
    ("quorum.auth.enableSasl=true", |_| {}),
    ("quorum.auth.learnerRequireSasl=false", |_| {}),
    ("quorum.auth.serverRequireSasl=false", |_| {}),
];

/// Keys that have tests of their own: what they name has to exist, or they are refused for now.
const ELSEWHERE: [&str; 3] = ["dynamicConfigFile", "secureClientPort", "secureClientPortAddress"];

fn key_of(line: &str) -> &str {
    line.split('=').next().unwrap_or_default()
}

#[test]
fn every_line_changes_its_field_and_no_other() {
    let defaults = load_lines("").config;
    for (line, change) in CHANGES {
        let loaded = load_lines(line);
        let mut expected = defaults.clone();
        expected.file.clone_from(&loaded.config.file);
        change(&mut expected);
        assert_eq!(loaded.config, expected, "{line}");
        // The two lines before it may be given again; nothing else deserves a word.
        let repeats = ["clientPort", "dataDir"].contains(&key_of(line));
        assert_eq!(
            loaded.notices.len(),
            usize::from(repeats),
            "{line}: {:?}",
            loaded.notices
        );
    }
}

#[test]
fn every_key_of_the_configuration_is_tried() {
    for row in keys().filter(|row| matches!(row.meaning, Meaning::Used(_))) {
        let name = row.name.replace(".N", ".1");
        let tried = CHANGES
            .iter()
            .any(|(line, _)| line.lines().any(|line| key_of(line) == name));
        assert!(tried || ELSEWHERE.contains(&row.name), "{name}");
    }
}

#[test]
fn digest_algorithms_have_javas_names() {
    for (name, expected) in [
        ("MD5", DigestAlgorithm::Md5),
        ("SHA", DigestAlgorithm::Sha1),
        ("sha1", DigestAlgorithm::Sha1),
        ("SHA-1", DigestAlgorithm::Sha1),
        ("SHA-224", DigestAlgorithm::Sha224),
        ("SHA-384", DigestAlgorithm::Sha384),
        ("SHA512", DigestAlgorithm::Sha512),
    ] {
        let loaded = load_lines(&format!("DigestAuthenticationProvider.digestAlg={name}"));
        assert_eq!(loaded.config.auth.digest_algorithm, expected, "{name}");
    }
}

#[test]
fn super_users_add_up_in_the_order_of_the_file() {
    let config = load_lines("superUser.2=b\nsuperUser=a\nsuperUser.1=c").config;
    assert_eq!(config.auth.super_users, ["b", "a", "c"]);
}

#[test]
fn read_only_mode_answers_isro_whatever_the_list_says() {
    let config = load_lines("4lw.commands.whitelist=ruok\nreadonlymode.enabled=true").config;
    assert_eq!(
        config.four_letter_words.iter().collect::<Vec<_>>(),
        ["isro", "ruok", "srvr"]
    );
}

#[test]
fn what_java_corrects_is_corrected_with_a_word() {
    for (line, notice) in [
        ("snapCount=1", "\"snapCount\" is \"1\", 2 is used: it must be 2 or more"),
        (
            "autopurge.snapRetainCount=-4",
            "\"autopurge.snapRetainCount\" is \"-4\", 3 is used: three snapshots are the least that is kept",
        ),
        (
            "largeRequestMaxBytes=0",
            "\"largeRequestMaxBytes\" is \"0\", 104857600 is used: it must be more than 0",
        ),
        (
            "connection_throttle_global_session_weight=-1",
            "\"connection_throttle_global_session_weight\" is \"-1\", 3 is used: it must be more than 0",
        ),
        (
            "forceSync=false",
            "\"forceSync\" is \"false\" and was taken for \"yes\", as on Java; only \"no\" changes it",
        ),
        (
            "skipACL=true",
            "\"skipACL\" is \"true\" and was taken for \"no\", as on Java; only \"yes\" changes it",
        ),
        (
            "4lw.commands.whitelist=ruok,rouk",
            "\"rouk\" is no four-letter word and was ignored",
        ),
    ] {
        assert_eq!(load_lines(line).notices, [format!("zoo.cfg:3: {notice}")], "{line}");
    }
    assert_eq!(load_lines("snapCount=1").config.storage.snap_count, 2);
    assert!(load_lines("forceSync=false").config.storage.force_sync);
    assert!(!load_lines("skipACL=true").config.auth.skip_acl);
}

#[test]
fn a_local_session_never_costs_more_than_another() {
    let loaded = load_lines("connection_throttle_local_session_weight=5");
    let throttle = loaded.config.connection_throttle;
    assert_eq!((throttle.global_session_weight, throttle.renew_session_weight), (5, 5));
    assert_eq!(
        loaded.notices,
        [
            "default: \"connection_throttle_global_session_weight\" is \"3\", 5 is used: a local session must not cost more",
            "default: \"connection_throttle_renew_session_weight\" is \"2\", 5 is used: a local session must not cost more",
        ]
    );
}

#[test]
fn the_super_digest_is_kept_out_of_logs() {
    let config = load_lines("DigestAuthenticationProvider.superDigest=super:secret").config;
    assert!(!format!("{config:?}").contains("secret"));
    let digest = config.auth.super_digest.expect("it was given");
    assert_eq!(digest.as_str(), "super:secret");
}
