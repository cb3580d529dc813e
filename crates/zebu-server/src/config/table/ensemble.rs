//! Membership, and what matters only between servers.

use std::num::NonZeroU32;
use std::path::PathBuf;

use zebu_proto::quorum::Role;

use super::super::value::{INT_MAX, Set};
use super::Meaning::{Ensemble, Membership};
use super::PropertyName::{Bare, FileOnly, Prefixed, PrefixedOrBare, Stronger};
use super::{Key, flag, nothing, row, used};

const TICKS: &str = "ticks";

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
    row("multiAddress.reachabilityCheckTimeoutMs", Prefixed, Ensemble),
    // Leader, learner, election
    row("leaderServes", Prefixed, Ensemble),
    row("cnxTimeout", Prefixed, Ensemble),
    row("quorumCnxnTimeoutMs", Prefixed, Ensemble),
    row("electionPortBindRetry", Prefixed, Ensemble),
    row("tcpKeepAlive", Prefixed, Ensemble),
    row("fastleader.minNotificationInterval", Prefixed, Ensemble),
    row("fastleader.maxNotificationInterval", Prefixed, Ensemble),
    row("leader.maxTimeToWaitForEpoch", Prefixed, Ensemble),
    row("leader.maxConcurrentSnapSyncs", Prefixed, Ensemble),
    row("leader.maxConcurrentDiffSyncs", Prefixed, Ensemble),
    row("leader.ackLoggingFrequency", Prefixed, Ensemble),
    row("leader.closeSocketAsync", PrefixedOrBare, Ensemble),
    row("learner.closeSocketAsync", PrefixedOrBare, Ensemble),
    row("learner.asyncSending", PrefixedOrBare, Ensemble),
    row("leaderConnectDelayDuringRetryMs", Prefixed, Ensemble),
    row(
        "forward_learner_requests_to_commit_processor_disabled",
        Prefixed,
        Ensemble,
    ),
    row("follower.skipLearnerRequestToNextProcessor", Prefixed, Ensemble),
    row("forceSnapshotSync", Prefixed, Ensemble),
    row("snapshotSizeFactor", Prefixed, Ensemble),
    row("commitLogCount", Prefixed, Ensemble),
    row("observer.reconnectDelayMs", Prefixed, Ensemble),
    row("observer.election.DelayMs", Prefixed, Ensemble),
    row("observerMaster.sizeLimit", Prefixed, Ensemble),
    row("follower.nodelay", Bare, Ensemble),
    row("leader.nodelay", Bare, Ensemble),
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
