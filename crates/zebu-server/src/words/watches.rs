//! `wchs`, `wchc`, `wchp`: who watches what. As in the reference they show the table of data watches only.
//!
//! Source: `WatchCommand`, `WatchManager.dumpWatches`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use zebu_node::{Connection, WatchCursor};
use zebu_proto::SessionId;

use crate::shared::Shared;

/// Watches copied out under one lock: some 100 us.
const PAGE: usize = 2048;

/// `wchs`.
pub(super) fn summary(shared: &Shared) -> String {
    let totals = shared.watches.0.lock().totals();
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        totals.connections, totals.paths, totals.watches
    )
}

/// `wchc`.
pub(super) fn by_session(shared: &Shared) -> String {
    let mut sessions: BTreeMap<SessionId, BTreeSet<Arc<str>>> = BTreeMap::new();
    for_each(shared, |session, path| {
        sessions.entry(session).or_default().insert(path);
    });
    let mut out = String::new();
    for (session, paths) in sessions {
        let _ = writeln!(out, "{session}");
        for path in paths {
            let _ = writeln!(out, "\t{path}");
        }
    }
    out.push('\n');
    out
}

/// `wchp`.
pub(super) fn by_path(shared: &Shared) -> String {
    let mut paths: BTreeMap<Arc<str>, BTreeSet<SessionId>> = BTreeMap::new();
    for_each(shared, |session, path| {
        paths.entry(path).or_default().insert(session);
    });
    let mut out = String::new();
    for (path, sessions) in paths {
        let _ = writeln!(out, "{path}");
        for session in sessions {
            let _ = writeln!(out, "\t{session}");
        }
    }
    out.push('\n');
    out
}

/// Goes through all watches without holding their table for longer than a page takes. A watch may come twice.
fn for_each(shared: &Shared, mut visit: impl FnMut(SessionId, Arc<str>)) {
    let mut cursor = WatchCursor::default();
    let mut page = Vec::with_capacity(PAGE);
    let mut has_more = true;
    while has_more {
        has_more = shared.watches.0.lock().walk(&mut cursor, PAGE, |conn, path| {
            page.push((conn.session(), path.clone()))
        });
        page.drain(..).for_each(|(session, path)| visit(session, path));
    }
}
