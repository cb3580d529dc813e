//! Membership, and what matters only between servers.

use std::num::NonZeroU32;
use std::path::PathBuf;

use zebu_proto::quorum::Role;

use super::super::sections::{self, PeerConnections};
use super::super::value::{INT_MAX, Set};
use super::Meaning::{Ensemble, Membership};
use super::PropertyName::{Bare, FileOnly, Prefixed, PrefixedOrBare, Stronger};
use super::{Key, flag, not_yet, not_yet_but, nothing, row, used};

const TICKS: &str = "ticks";
const NEVER_WAITS: &str = "no thread waits for a socket";
const NO_STAGES: &str = "requests do not pass from stage to stage";

pub(super) static KEYS: &[Key] = &[
    row("server.N", FileOnly, Membership),
    row("group.N", FileOnly, Membership),
    row("weight.N", FileOnly, Membership),
    row("version", FileOnly, Membership),
    used(
        "dynamicConfigFile",
        FileOnly,
        Set::Text {
            allowed: "a file",
            set: |d, path| {
                d.config.ensemble.dynamic_config_file = Some(PathBuf::from(path));
                (!path.is_empty()).then_some(())
            },
        },
    ),
    flag("standaloneEnabled", FileOnly, |d, on| {
        d.config.ensemble.standalone_enabled = on
    }),
    flag("reconfigEnabled", FileOnly, |d, on| {
        d.config.ensemble.reconfig_enabled = on
    }),
    used(
        "initLimit",
        FileOnly,
        Set::Count {
            range: [0, INT_MAX],
            unit: TICKS,
            set: |d, ticks| d.config.ensemble.init_limit_ticks = NonZeroU32::new(ticks),
        },
    ),
    used(
        "syncLimit",
        FileOnly,
        Set::Count {
            range: [0, INT_MAX],
            unit: TICKS,
            set: |d, ticks| d.config.ensemble.sync_limit_ticks = NonZeroU32::new(ticks),
        },
    ),
    used(
        "connectToLearnerMasterLimit",
        FileOnly,
        Set::Count {
            range: [0, INT_MAX],
            unit: TICKS,
            set: |d, ticks| {
                d.config.ensemble.connect_to_learner_master_limit_ticks = NonZeroU32::new(ticks);
            },
        },
    ),
    used(
        "electionAlg",
        FileOnly,
        Set::Count {
            // Fast leader election is the only one left.
            range: [3, 3],
            unit: "",
            set: |_, _| {},
        },
    ),
    used(
        "peerType",
        FileOnly,
        Set::Text {
            allowed: "participant or observer",
            set: |d, text| {
                d.config.ensemble.role = Role::by_name(text)?;
                Some(())
            },
        },
    ),
    flag("syncEnabled", Stronger("zookeeper.observer.syncEnabled"), |d, on| {
        d.config.ensemble.sync_enabled = on;
    }),
    flag("quorumListenOnAllIPs", FileOnly, |d, on| {
        d.config.ensemble.quorum_listen_on_all_ips = on;
    }),
    used(
        "observerMasterPort",
        FileOnly,
        Set::Limit {
            high: 65_535,
            unit: "",
            set: |d, port| {
                d.config.ensemble.observer_master_port = port.and_then(|port| u16::try_from(port.get()).ok());
            },
        },
    ),
    nothing("quorum.cnxn.threads.size", FileOnly, "zebu arranges its threads itself"),
    row("oraclePath", FileOnly, Ensemble),
    flag("multiAddress.enabled", Prefixed, |d, on| {
        d.config.ensemble.multi_address = on
    }),
    flag("multiAddress.reachabilityCheckEnabled", Prefixed, |_, _| {}),
    nothing(
        "multiAddress.reachabilityCheckTimeoutMs",
        Prefixed,
        "the addresses of a server are tried one after the other",
    ),
    // Leader, learner, election
    used(
        "leaderServes",
        Prefixed,
        Set::Word {
            word: "no",
            otherwise: "yes",
            set: |d, no| d.config.ensemble.leader_serves = !no,
        },
    ),
    used(
        "cnxTimeout",
        Prefixed,
        Set::OrDefault {
            default: PeerConnections::CONNECT_TIMEOUT_MS_DEFAULT,
            set: |d, ms| d.config.ensemble.connections.connect_timeout_ms = ms,
        },
    ),
    used(
        "quorumCnxnTimeoutMs",
        Prefixed,
        Set::Limit {
            high: INT_MAX,
            unit: "ms",
            set: |d, ms| d.config.ensemble.connections.initial_message_timeout_ms = ms,
        },
    ),
    used(
        "electionPortBindRetry",
        Prefixed,
        Set::Count {
            range: [0, INT_MAX],
            unit: "times",
            set: |d, times| d.config.ensemble.connections.election_port_bind_retry = NonZeroU32::new(times),
        },
    ),
    flag("tcpKeepAlive", Prefixed, |d, on| {
        d.config.ensemble.connections.tcp_keep_alive = on;
    }),
    used(
        "fastleader.minNotificationInterval",
        Prefixed,
        Set::Count {
            range: [1, INT_MAX],
            unit: "ms",
            set: |d, ms| d.config.ensemble.notifications.interval_ms_min = ms,
        },
    ),
    used(
        "fastleader.maxNotificationInterval",
        Prefixed,
        Set::Count {
            range: [1, INT_MAX],
            unit: "ms",
            set: |d, ms| d.config.ensemble.notifications.interval_ms_max = ms,
        },
    ),
    used(
        "leader.maxTimeToWaitForEpoch",
        Prefixed,
        Set::OrNone {
            unit: "ms",
            set: |d, ms| d.config.ensemble.epoch_wait_ms_max = ms,
        },
    ),
    not_yet(
        "leader.maxConcurrentSnapSyncs",
        Prefixed,
        "the number of observers that are sent the whole tree at a time is not limited",
    ),
    not_yet(
        "leader.maxConcurrentDiffSyncs",
        Prefixed,
        "the number of observers that are brought up to date at a time is not limited",
    ),
    nothing(
        "leader.ackLoggingFrequency",
        Prefixed,
        "single acknowledgements are not logged",
    ),
    nothing("leader.closeSocketAsync", PrefixedOrBare, NEVER_WAITS),
    nothing("learner.closeSocketAsync", PrefixedOrBare, NEVER_WAITS),
    nothing("learner.asyncSending", PrefixedOrBare, NEVER_WAITS),
    nothing(
        "leaderConnectDelayDuringRetryMs",
        Prefixed,
        "a learner tries again after 5 ms, and then ever less often",
    ),
    nothing(
        "forward_learner_requests_to_commit_processor_disabled",
        Prefixed,
        NO_STAGES,
    ),
    nothing("follower.skipLearnerRequestToNextProcessor", Prefixed, NO_STAGES),
    not_yet_but(
        "forceSnapshotSync",
        Prefixed,
        "learners are sent the whole tree only if they need it",
        &["false"],
    ),
    used(
        "snapshotSizeFactor",
        Prefixed,
        Set::Text {
            allowed: "a number",
            set: |d, text| {
                let factor: f64 = text.parse().ok().filter(|factor: &f64| factor.is_finite())?;
                // As in Java: more than the whole snapshot is none.
                let is_part = factor <= 1.0;
                d.config.ensemble.snapshot_size_factor = if is_part {
                    factor
                } else {
                    sections::Ensemble::SNAPSHOT_SIZE_FACTOR_DEFAULT
                };
                Some(())
            },
        },
    ),
    used(
        "commitLogCount",
        Prefixed,
        Set::Raised {
            low: sections::Ensemble::COMMIT_LOG_COUNT_MIN,
            why: "learners that were away for a moment need that many",
            set: |d, count| d.config.ensemble.commit_log_count = count,
        },
    ),
    used(
        "observer.reconnectDelayMs",
        Prefixed,
        Set::Long {
            unit: "ms",
            set: |d, ms| d.config.ensemble.observer_reconnect_delay_ms = ms,
        },
    ),
    used(
        "observer.election.DelayMs",
        Prefixed,
        Set::Long {
            unit: "ms",
            set: |d, ms| d.config.ensemble.observer_election_delay_ms = ms,
        },
    ),
    nothing(
        "observerMaster.sizeLimit",
        Prefixed,
        "what observers lack comes from the history that a server keeps in any case (commitLogCount)",
    ),
    used(
        "follower.nodelay",
        Bare,
        Set::Word {
            word: "true",
            otherwise: "false",
            set: |d, on| d.config.ensemble.connections.follower_nodelay = on,
        },
    ),
    used(
        "leader.nodelay",
        Bare,
        Set::Word {
            word: "true",
            otherwise: "false",
            set: |d, on| d.config.ensemble.connections.leader_nodelay = on,
        },
    ),
    // Security between servers. An ensemble is refused as a whole until there is one, so nothing is left open here.
    flag("quorum.auth.enableSasl", FileOnly, |d, on| d.quorum_sasl.enabled = on),
    flag("quorum.auth.serverRequireSasl", FileOnly, |d, on| {
        d.quorum_sasl.server_requires = on
    }),
    flag("quorum.auth.learnerRequireSasl", FileOnly, |d, on| {
        d.quorum_sasl.learner_requires = on
    }),
    row("quorum.auth.server.saslLoginContext", FileOnly, Ensemble),
    row("quorum.auth.learner.saslLoginContext", FileOnly, Ensemble),
    row("quorum.auth.kerberos.servicePrincipal", FileOnly, Ensemble),
    flag("sslQuorum", FileOnly, |_, _| {}),
    flag("portUnification", FileOnly, |_, _| {}),
    flag("sslQuorumReloadCertFiles", FileOnly, |_, _| {}),
    row("ssl.quorum.protocol", Prefixed, Ensemble),
    row("ssl.quorum.enabledProtocols", Prefixed, Ensemble),
    row("ssl.quorum.ciphersuites", Prefixed, Ensemble),
    row("ssl.quorum.keyStore.location", Prefixed, Ensemble),
    row("ssl.quorum.keyStore.password", Prefixed, Ensemble),
    row("ssl.quorum.keyStore.passwordPath", Prefixed, Ensemble),
    row("ssl.quorum.keyStore.type", Prefixed, Ensemble),
    row("ssl.quorum.trustStore.location", Prefixed, Ensemble),
    row("ssl.quorum.trustStore.password", Prefixed, Ensemble),
    row("ssl.quorum.trustStore.passwordPath", Prefixed, Ensemble),
    row("ssl.quorum.trustStore.type", Prefixed, Ensemble),
    row("ssl.quorum.context.supplier.class", Prefixed, Ensemble),
    row("ssl.quorum.hostnameVerification", Prefixed, Ensemble),
    row("ssl.quorum.clientHostnameVerification", Prefixed, Ensemble),
    row("ssl.quorum.allowReverseDnsLookup", Prefixed, Ensemble),
    row("ssl.quorum.crl", Prefixed, Ensemble),
    row("ssl.quorum.ocsp", Prefixed, Ensemble),
    row("ssl.quorum.clientAuth", Prefixed, Ensemble),
    row("ssl.quorum.handshakeDetectionTimeoutMillis", Prefixed, Ensemble),
];
