//! Admin server, metrics, audit, debugging, logging, and properties of the Java client.

use super::PropertyName::{FileOnly, Prefixed};
use super::{Key, not_yet, not_yet_but, nothing};

const ADMIN: &str = "there is no admin server";
const METRICS: &str = "there is no exporter of metrics";
const AUDIT: &str = "there is no audit log";
const PAUSES: &str = "there is no JVM that could pause";
const TRACKER: &str = "there is no tracking of messages";
const PATHS: &str = "there are no statistics by path";
const CLIENT: &str = "it is read by the Java client only";
const LOGGING: &str = "it is a setting of Java's logging";

pub(super) static KEYS: &[Key] = &[
    // Admin server
    not_yet_but("admin.enableServer", Prefixed, ADMIN, &["false"]),
    not_yet("admin.serverAddress", Prefixed, ADMIN),
    not_yet("admin.serverPort", Prefixed, ADMIN),
    not_yet("admin.idleTimeout", Prefixed, ADMIN),
    not_yet("admin.commandURL", Prefixed, ADMIN),
    not_yet("admin.httpVersion", Prefixed, ADMIN),
    not_yet_but("admin.portUnification", Prefixed, ADMIN, &["false"]),
    not_yet_but("admin.forceHttps", Prefixed, ADMIN, &["false"]),
    not_yet_but("admin.needClientAuth", Prefixed, ADMIN, &["false"]),
    not_yet("admin.rateLimiterIntervalInMS", Prefixed, ADMIN),
    not_yet_but("admin.snapshot.enabled", Prefixed, ADMIN, &["false"]),
    not_yet_but("admin.restore.enabled", Prefixed, ADMIN, &["false"]),
    // Metrics
    not_yet_but(
        "metricsProvider.className",
        FileOnly,
        METRICS,
        &[
            "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
            "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
        ],
    ),
    not_yet("metricsProvider.httpHost", FileOnly, METRICS),
    not_yet("metricsProvider.httpPort", FileOnly, METRICS),
    not_yet("metricsProvider.httpsPort", FileOnly, METRICS),
    nothing("metricsProvider.exportJvmInfo", FileOnly, "there is no JVM to tell of"),
    nothing(
        "metricsProvider.numWorkerThreads",
        FileOnly,
        "zebu arranges its threads itself",
    ),
    nothing("metricsProvider.maxQueueSize", FileOnly, "no metric waits in a queue"),
    nothing(
        "metricsProvider.workerShutdownTimeoutMs",
        FileOnly,
        "no metric waits in a queue",
    ),
    not_yet(
        "metricsProvider.prometheusMetricsSummaryRotateIntervalSeconds",
        FileOnly,
        METRICS,
    ),
    not_yet("metricsProvider.httpVersion", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.keyStore.location", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.keyStore.password", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.keyStore.type", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.trustStore.location", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.trustStore.password", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.trustStore.type", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.need.client.auth", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.want.client.auth", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.enabledProtocols", FileOnly, METRICS),
    not_yet("metricsProvider.ssl.ciphersuites", FileOnly, METRICS),
    // Audit, debugging
    not_yet_but("audit.enable", Prefixed, AUDIT, &["false"]),
    not_yet("audit.impl.class", Prefixed, AUDIT),
    nothing("jvm.pause.monitor", FileOnly, PAUSES),
    nothing("jvm.pause.sleep.time.ms", FileOnly, PAUSES),
    nothing("jvm.pause.warn-threshold.ms", FileOnly, PAUSES),
    nothing("jvm.pause.info-threshold.ms", FileOnly, PAUSES),
    not_yet_but("messageTracker.Enabled", Prefixed, TRACKER, &["false"]),
    not_yet("messageTracker.BufferSize", Prefixed, TRACKER),
    not_yet_but("pathStats.enabled", Prefixed, PATHS, &["false"]),
    not_yet("pathStats.slotCapacity", Prefixed, PATHS),
    not_yet("pathStats.slotDuration", Prefixed, PATHS),
    not_yet("pathStats.maxDepth", Prefixed, PATHS),
    not_yet("pathStats.sampleRate", Prefixed, PATHS),
    not_yet("pathStats.initialDelay", Prefixed, PATHS),
    not_yet("pathStats.delay", Prefixed, PATHS),
    not_yet("pathStats.topPathMax", Prefixed, PATHS),
    nothing("jmx.log4j.disable", Prefixed, LOGGING),
    nothing("jmx.log4j.mbean", Prefixed, LOGGING),
    // Logging, as the start script gives it
    nothing("root.logger", Prefixed, LOGGING),
    nothing("console.threshold", Prefixed, LOGGING),
    nothing("log.dir", Prefixed, LOGGING),
    nothing("log.file", Prefixed, LOGGING),
    nothing("log.threshold", Prefixed, LOGGING),
    nothing("log.maxfilesize", Prefixed, LOGGING),
    nothing("log.maxbackupindex", Prefixed, LOGGING),
    nothing("tracelog.dir", Prefixed, LOGGING),
    nothing("tracelog.file", Prefixed, LOGGING),
    nothing("auditlog.file", Prefixed, LOGGING),
    nothing("auditlog.threshold", Prefixed, LOGGING),
    // The Java client
    nothing("request.timeout", Prefixed, CLIENT),
    nothing("clientCnxnSocket", Prefixed, CLIENT),
    nothing("client.secure", Prefixed, CLIENT),
    nothing("disableAutoWatchReset", Prefixed, CLIENT),
    nothing("sasl.client", Prefixed, CLIENT),
    nothing("sasl.clientconfig", Prefixed, CLIENT),
    nothing("sasl.client.username", Prefixed, CLIENT),
    nothing("sasl.client.canonicalize.hostname", Prefixed, CLIENT),
    nothing("sasl.client.allowReverseDnsLookup", Prefixed, CLIENT),
    nothing("server.principal", Prefixed, CLIENT),
    nothing("server.realm", Prefixed, CLIENT),
    nothing("shuffleDnsResponse", Prefixed, CLIENT),
    nothing("hostProvider.dnsSrvRefreshIntervalSeconds", Prefixed, CLIENT),
];
