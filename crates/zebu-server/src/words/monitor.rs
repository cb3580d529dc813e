//! `mntr`: everything that is measured, one line each.
//!
//! The keys are those of Java's 3.9 line, and `op_count_*` of its successor; each stands for what its name says there.
//! What is not measured here is left out: a monitor that finds no key knows more than one that finds a zero.
//!
//! Source: `MonitorCommand`, `ServerMetrics`, `ZooKeeperServer.registerMetrics`.

use std::fmt::{Display, Write};
use std::sync::atomic::Ordering;

use zebu_node::Fired;

use super::overview::node_count;
use super::text::{Decimal, version};
use crate::ensemble::stats::Sizes;
use crate::shared::{ServerRole, Shared};
use crate::stats::{Distribution, Reading, Summary};

/// The whole text.
pub(super) fn values(shared: &Shared) -> String {
    let mut values = Values(String::new());
    values.put("version", version());
    values.put("server_state", shared.role());
    gauges(shared, &mut values);
    ensemble(shared, &mut values);
    counters(shared, &mut values);
    summaries(shared, &mut values);
    values.0
}

/// What is now.
fn gauges(shared: &Shared, values: &mut Values) {
    let stats = &shared.stats;
    let latency = stats.latency();
    let (nodes, data_bytes, ephemerals) = {
        let replica = shared.replica.read();
        let tree = replica.tree();
        // The reference holds the root under two names, and one of them has a byte.
        (node_count(tree), tree.data_bytes() + 1, tree.ephemeral_count())
    };
    let watches = shared.watches.0.lock().len();
    let connections = shared.conns.lock().len();
    let [last, min, max] = stats.reply_sizes.read();
    values.put("avg_latency", Decimal(latency.average()));
    values.put("max_latency", latency.max);
    values.put("min_latency", latency.min);
    values.put("packets_received", stats.received.get());
    values.put("packets_sent", stats.sent.get());
    values.put("num_alive_connections", connections);
    values.put("outstanding_requests", shared.limits.outstanding());
    values.put("uptime", shared.clock.mono().0);
    values.put("znode_count", nodes);
    values.put("watch_count", watches);
    values.put("ephemerals_count", ephemerals);
    values.put("approximate_data_size", data_bytes);
    values.put("global_sessions", shared.sessions.load(Ordering::Relaxed));
    values.put("local_sessions", shared.local_sessions.load(Ordering::Relaxed));
    if let Some(open) = open_files() {
        values.put("open_file_descriptor_count", open);
    }
    if let Some(max) = open_files_max() {
        values.put("max_file_descriptor_count", max);
    }
    let drop_probability = shared.connection_throttle.drop_probability();
    values.put("connection_drop_probability", Decimal(drop_probability));
    values.put("last_client_response_size", last);
    values.put("max_client_response_size", max);
    values.put("min_client_response_size", min);
    values.put("non_mtls_remote_conn_count", stats.connections.plain_remote.get());
    values.put("non_mtls_local_conn_count", stats.connections.plain_local.get());
    // There is no port with TLS.
    values.put("outstanding_tls_handshake", 0);
    values.put("auth_failed_count", stats.requests.auth_failed.get());
}

/// What only members of an ensemble have. Source: `QuorumZooKeeperServer`, `LeaderZooKeeperServer`.
fn ensemble(shared: &Shared, values: &mut Values) {
    if !shared.config.is_distributed() {
        return;
    }
    let role = shared.role();
    let membership = shared.membership.read().config.clone();
    values.put("quorum_size", membership.participants().count());
    let state = match role {
        ServerRole::Leader => "leading - broadcast",
        ServerRole::Follower => "following - broadcast",
        ServerRole::Observer => "observing - broadcast",
        _ => "looking",
    };
    values.put("peer_state", state);
    let stats = &shared.leader_stats;
    values.put("digest_mismatches_count", stats.divergences.load(Ordering::Relaxed));
    let observers = stats.synced_observers.load(Ordering::Relaxed);
    // Source: `QuorumPeer.getSynced_observers_metric`, `ObserverZooKeeperServer.dumpMonitorValues`.
    if role == ServerRole::Follower && shared.config.ensemble.observer_master_port.is_some() {
        values.put("synced_observers", observers);
    }
    if role == ServerRole::Observer {
        values.put("observer_master_id", stats.master.load(Ordering::Relaxed));
    }
    if role != ServerRole::Leader {
        return;
    }
    let uptime_ms = shared.clock.mono().0 - stats.since_ms.load(Ordering::Relaxed);
    let Sizes { last, min, max } = stats.proposals();
    values.put("learners", stats.learners.load(Ordering::Relaxed));
    values.put("synced_followers", stats.synced_followers.load(Ordering::Relaxed));
    let non_voting = stats.synced_non_voting_followers.load(Ordering::Relaxed);
    values.put("synced_non_voting_followers", non_voting);
    values.put("synced_observers", observers);
    values.put("pending_syncs", stats.pending_syncs.load(Ordering::Relaxed));
    values.put("leader_uptime", uptime_ms);
    values.put("last_proposal_size", last);
    values.put("max_proposal_size", max);
    values.put("min_proposal_size", min);
}

/// What has happened so far.
fn counters(shared: &Shared, values: &mut Values) {
    let stats = &shared.stats;
    let (connections, requests) = (&stats.connections, &stats.requests);
    values.put("bytes_received_count", stats.received_bytes.get());
    values.put("response_bytes", stats.reply_bytes.get());
    values.put("connection_request_count", connections.requests.get());
    values.put("connection_revalidate_count", connections.renewals.get());
    values.put("connection_rejected", connections.rejected.get());
    values.put("connection_drop_count", connections.dropped.get());
    values.put("sessionless_connections_expired", connections.sessionless_expired.get());
    values.put("stale_sessions_expired", stats.sessions_expired.get());
    values.put("request_throttle_wait_count", requests.throttle_waits.get());
    values.put("throttled_ops", requests.throttled.get());
    values.put("stale_requests_dropped", requests.stale_dropped.get());
    values.put("large_requests_rejected", requests.large_rejected.get());
    let ops: Vec<_> = stats.ops.read().collect();
    values.put("op_count_total", ops.iter().map(|(_, count)| count).sum::<u64>());
    for (name, count) in ops {
        values.put(&format!("op_count_{name}"), count);
    }
}

/// How long things took, how many there were of them.
fn summaries(shared: &Shared, values: &mut Values) {
    let stats = &shared.stats;
    let fired = *shared.watches.0.lock().fired();
    values.summary("fsynctime", &stats.fsync_ms);
    values.summary("sync_processor_batch_size", &stats.flushed_txns);
    values.summary("snapshottime", &stats.snapshot_ms);
    values.summary("dbinittime", &stats.startup.load_ms);
    values.summary("startup_txns_loaded", &stats.startup.txns);
    values.summary("connection_token_deficit", &stats.connections.token_deficit);
    values.fired("node_created_watch_count", fired.created);
    values.fired("node_deleted_watch_count", fired.deleted);
    values.fired("node_changed_watch_count", fired.changed);
    values.fired("node_children_watch_count", fired.children);
    values.distribution("readlatency", &stats.read_latency);
    values.distribution("updatelatency", &stats.update_latency);
}

/// Lines of `mntr`.
struct Values(String);

impl Values {
    fn put(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "zk_{key}\t{value}");
    }

    fn summary(&mut self, key: &str, summary: &Summary) {
        self.reading(key, &summary.read());
    }

    fn fired(&mut self, key: &str, fired: Fired) {
        let reading = Reading {
            min: fired.min,
            max: fired.max,
            total: fired.watches,
            count: fired.events,
        };
        self.reading(key, &reading);
    }

    fn reading(&mut self, key: &str, reading: &Reading) {
        self.put(&format!("avg_{key}"), Decimal(reading.average()));
        self.put(&format!("min_{key}"), reading.min);
        self.put(&format!("max_{key}"), reading.max);
        self.put(&format!("cnt_{key}"), reading.count);
        self.put(&format!("sum_{key}"), reading.total);
    }

    fn distribution(&mut self, key: &str, distribution: &Distribution) {
        self.reading(key, &distribution.read());
        let [half, p95, p99, p999] = distribution.quantiles([0.5, 0.95, 0.99, 0.999]);
        self.put(&format!("p50_{key}"), half);
        self.put(&format!("p95_{key}"), p95);
        self.put(&format!("p99_{key}"), p99);
        self.put(&format!("p999_{key}"), p999);
    }
}

/// `None` where there is no `/proc`.
fn open_files() -> Option<usize> {
    // One of them is the directory that is being read.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

fn open_files_max() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
