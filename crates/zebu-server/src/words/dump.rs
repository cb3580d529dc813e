//! `dump`: sessions, their ephemeral nodes, connections.
//!
//! Source: `DumpCommand`, `ExpiryQueue.dump`, `DataTree.dumpEphemerals`, `NIOServerCnxnFactory.dumpConnections`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::Arc;

use tokio::sync::oneshot;
use zebu_node::{Now, SessionHandle, SessionTracker, bucket_end};
use zebu_proto::{Millis, SessionId, WallMillis};

use super::connections;
use super::text::{Address, Date};
use crate::conn::Conn;
use crate::node_thread::ServerNode;
use crate::shared::{NodeEvent, ServerRole, Shared};

/// Sessions copied out by the node at once: some 10 us.
const SESSIONS_PAGE: usize = 512;
/// Paths put together under one lock of the tree.
const PATHS_PAGE: usize = 256;

type Handles = Vec<Arc<SessionHandle>>;

/// All sessions, by their ids.
pub(super) struct Sessions {
    global: Handles,
    local: Handles,
}

impl Sessions {
    /// Asks the node for a page at a time; it does other things in between. `None` if the server ends.
    pub(super) async fn gather(shared: &Shared) -> Option<Self> {
        Some(Self {
            global: sessions(shared, ServerNode::sessions).await?,
            local: sessions(shared, ServerNode::local_sessions).await?,
        })
    }
}

/// Which of a node's sessions.
type Which = fn(&ServerNode) -> &SessionTracker;

async fn sessions(shared: &Shared, which: Which) -> Option<Handles> {
    let mut all = Handles::new();
    loop {
        let after = all.last().map(|handle| handle.id());
        let page = page(shared, which, after).await?;
        if page.is_empty() {
            return Some(all);
        }
        all.extend(page);
    }
}

async fn page(shared: &Shared, which: Which, after: Option<SessionId>) -> Option<Handles> {
    let (sender, receiver) = oneshot::channel();
    shared.queue.push(NodeEvent::Inspect(Box::new(move |node| {
        let page: Handles = which(node).page(after, SESSIONS_PAGE).cloned().collect();
        // Nobody waits any more: the client has gone.
        let _ = sender.send(page);
    })));
    let mut end = shared.end();
    tokio::select! {
        page = receiver => page.ok(),
        // A node that has ended answers nothing.
        _ = end.wait_for(Option::is_some) => None,
    }
}

/// The whole text.
pub(super) fn dump(shared: &Shared, sessions: &Sessions) -> String {
    let now = shared.clock.now();
    let mut out = String::from("SessionTracker dump:\n");
    dump_sessions(shared, sessions, now, &mut out);
    out.push_str("ephemeral nodes dump:\n");
    dump_ephemerals(shared, &mut out);
    out.push_str("Connections dump:\n");
    dump_connections(shared, now, &mut out);
    out
}

/// Those who expire sessions show when that will be, the others only how long they may be silent. Source:
/// `LeaderSessionTracker.dumpSessions`, `LearnerSessionTracker.dumpSessions`.
fn dump_sessions(shared: &Shared, sessions: &Sessions, now: Now, out: &mut String) {
    let has_local = shared.has_local_sessions();
    if has_local {
        out.push_str("Local ");
        dump_expiring(shared, &sessions.local, now, out);
    }
    match shared.role() {
        ServerRole::Standalone => dump_expiring(shared, &sessions.global, now, out),
        ServerRole::Leader => {
            out.push_str(if has_local { "Global " } else { "" });
            dump_expiring(shared, &sessions.global, now, out);
        }
        ServerRole::Follower | ServerRole::Observer | ServerRole::ReadOnly | ServerRole::Looking => {
            let _ = writeln!(out, "Global Sessions({}):", sessions.global.len());
            for handle in &sessions.global {
                let _ = writeln!(out, "{}\t{}ms", handle.id(), handle.timeout_ms());
            }
        }
    }
}

fn dump_expiring(shared: &Shared, sessions: &[Arc<SessionHandle>], now: Now, out: &mut String) {
    let tick_ms = u64::from(shared.config.tick_time_ms).max(1);
    let mut sets = Sets::default();
    for handle in sessions {
        sets.add(bucket_end(handle.deadline(), tick_ms), handle.id());
    }
    out.push_str("Session ");
    sets.write(now, out, |session| session);
}

fn dump_ephemerals(shared: &Shared, out: &mut String) {
    let mut owners: Vec<SessionId> = shared.replica.read().tree().ephemeral_owners().collect();
    owners.sort_unstable();
    let _ = writeln!(out, "Sessions with Ephemerals ({}):", owners.len());
    for session in owners {
        let _ = writeln!(out, "{session}:");
        let mut from = Some(0);
        while let Some(position) = from {
            let (paths, next) = shared
                .replica
                .read()
                .tree()
                .ephemerals_from(session, position, PATHS_PAGE);
            for path in paths {
                let _ = writeln!(out, "\t{path}");
            }
            from = next;
        }
    }
}

fn dump_connections(shared: &Shared, now: Now, out: &mut String) {
    // The reference looks at its connections as often as it lets one stay without a session.
    let interval_ms = u64::from(shared.config.limits.sessionless_cnxn_timeout_ms).max(1);
    let mut sets = Sets::default();
    connections::for_each(shared, |conn| {
        let deadline = match conn.session_handle() {
            Some(handle) => handle.deadline(),
            None => conn.opened.plus(interval_ms),
        };
        sets.add(bucket_end(deadline, interval_ms), conn.clone());
    });
    out.push_str("Connections ");
    sets.write(now, out, |conn: &Arc<Conn>| {
        let session = conn.session_handle().map_or(SessionId::NONE, |handle| handle.id());
        format!("ip: {} sessionId: {session}", Address(conn.peer))
    });
}

/// What ends when it shows no sign of life, by the time at which that is looked at.
struct Sets<T>(BTreeMap<Millis, Vec<T>>);

impl<T> Default for Sets<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Sets<T> {
    fn add(&mut self, end: Millis, item: T) {
        self.0.entry(end).or_default().push(item);
    }

    fn write<'a, D: Display>(&'a self, now: Now, out: &mut String, describe: impl Fn(&'a T) -> D) {
        let items: usize = self.0.values().map(Vec::len).sum();
        let _ = writeln!(out, "Sets ({})/({items}):", self.0.len());
        for (end, set) in &self.0 {
            let _ = writeln!(out, "{} expire at {}:", set.len(), Date(wall(*end, now)));
            for item in set {
                let _ = writeln!(out, "\t{}", describe(item));
            }
        }
    }
}

fn wall(mono: Millis, now: Now) -> WallMillis {
    let ahead = i64::try_from(mono.since(now.mono)).unwrap_or(i64::MAX);
    let behind = i64::try_from(now.mono.since(mono)).unwrap_or(i64::MAX);
    WallMillis(now.wall.0.saturating_add(ahead).saturating_sub(behind))
}
