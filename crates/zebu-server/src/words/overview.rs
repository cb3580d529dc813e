//! `srvr`, `stat`, and the words that are a line: `hash`, `srst`, `gtmk`, `stmk`.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::text::Decimal;
use super::{connections, text};
use crate::conn::Conn;
use crate::ensemble::stats::Sizes;
use crate::shared::{ServerRole, Shared};

/// `srvr`. Source: `StatCommand`, `ServerStats.toString`.
pub(super) fn server(shared: &Shared) -> String {
    let mut out = String::new();
    head(shared, &mut out);
    numbers(shared, &mut out);
    out
}

/// `stat`: the same with a list of the clients.
pub(super) fn with_clients(shared: &Shared, asker: &Arc<Conn>) -> String {
    let mut out = String::new();
    head(shared, &mut out);
    out.push_str("Clients:\n");
    connections::list(shared, asker, connections::Form::Brief, &mut out);
    out.push('\n');
    numbers(shared, &mut out);
    out
}

fn head(shared: &Shared, out: &mut String) {
    let _ = writeln!(out, "Zookeeper version: {}", text::version());
    if shared.role() == ServerRole::ReadOnly {
        out.push_str("READ-ONLY mode; serving only read-only clients\n");
    }
}

fn numbers(shared: &Shared, out: &mut String) {
    let stats = &shared.stats;
    let latency = stats.latency();
    let connections = shared.conns.lock().len();
    let (zxid, nodes) = {
        let replica = shared.replica.read();
        (replica.tree().last_zxid(), node_count(replica.tree()))
    };
    let _ = write!(
        out,
        "Latency min/avg/max: {}/{}/{}\nReceived: {}\nSent: {}\nConnections: {connections}\nOutstanding: {}\nZxid: {zxid}\nMode: {}\nNode count: {nodes}\n",
        latency.min,
        Decimal(latency.average()),
        latency.max,
        stats.received.get(),
        stats.sent.get(),
        shared.limits.outstanding(),
        shared.role(),
    );
    if shared.role() == ServerRole::Leader {
        let Sizes { last, min, max } = shared.leader_stats.proposals();
        let _ = writeln!(out, "Proposal sizes last/min/max: {last}/{min}/{max}");
    }
}

/// Nodes as Java counts them: its table has the root under two names.
pub(super) fn node_count(tree: &zebu_tree::Tree) -> usize {
    tree.node_count() + 1
}

/// `srst`. Source: `StatResetCommand`.
pub(super) fn reset(shared: &Shared) -> String {
    shared.stats.reset();
    shared.watches.0.lock().reset_fired();
    "Server stats reset.\n".into()
}

/// `hash`: the digests kept of the last transactions. Source: `DigestCommand`.
pub(super) fn digests(shared: &Shared) -> String {
    let digests: Vec<_> = shared.replica.read().tree().digest_log().collect();
    digests.into_iter().fold(String::new(), |mut out, (zxid, digest)| {
        let _ = writeln!(out, "{:x}: {}", zxid.0, digest.cast_signed());
        out
    })
}

/// `gtmk`.
pub(super) fn trace_mask(shared: &Shared) -> String {
    shared.trace_mask.load(Ordering::Relaxed).to_string()
}

/// `stmk`.
pub(super) fn set_trace_mask(shared: &Shared, mask: i64) -> String {
    shared.trace_mask.store(mask, Ordering::Relaxed);
    mask.to_string()
}
