//! `cons`, `crst`, and the list of clients in `stat`.

use std::fmt::Write;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use zebu_node::ConnId;
use zebu_proto::OpCode;

use super::text::Address;
use crate::conn::Conn;
use crate::shared::Shared;
use crate::stats::ConnStats;

/// Connections copied out under one lock.
const PAGE: usize = 512;

/// How much is said of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For `stat`.
    Brief,
    /// For `cons`.
    Full,
}

/// `cons`. Source: `ConsCommand`.
pub(super) fn details(shared: &Shared, asker: &Arc<Conn>) -> String {
    let mut out = String::new();
    list(shared, asker, Form::Full, &mut out);
    out.push('\n');
    out
}

/// `crst`. Source: `CnxnStatResetCommand`.
pub(super) fn reset(shared: &Shared) -> String {
    for_each(shared, |conn| conn.outbox.peek().stats = ConnStats::new());
    "Connection stats reset.\n".into()
}

/// One line for each connection, oldest first.
pub(super) fn list(shared: &Shared, asker: &Arc<Conn>, form: Form, out: &mut String) {
    for_each(shared, |conn| line(conn, Arc::ptr_eq(conn, asker), form, out));
}

/// Goes through all connections without holding their list for longer than a page takes.
pub(super) fn for_each(shared: &Shared, mut visit: impl FnMut(&Arc<Conn>)) {
    let mut page: Vec<(ConnId, Arc<Conn>)> = Vec::with_capacity(PAGE);
    loop {
        let after = page.last().map_or(Bound::Unbounded, |(id, _)| Bound::Excluded(*id));
        page.clear();
        page.extend(
            shared
                .conns
                .lock()
                .range((after, Bound::Unbounded))
                .take(PAGE)
                .map(|(id, conn)| (*id, conn.clone())),
        );
        if page.is_empty() {
            return;
        }
        page.iter().for_each(|(_, conn)| visit(conn));
    }
}

/// Source: `ServerCnxn.dumpConnectionInfo`.
fn line(conn: &Conn, is_asker: bool, form: Form, out: &mut String) {
    let (stats, unsent) = {
        let queue = conn.outbox.peek();
        (queue.stats, queue.rope.len())
    };
    // The bits of `java.nio.channels.SelectionKey`; the reference no longer waits for anything from who asks.
    let reading = u8::from(!is_asker && !conn.is_paused.load(Ordering::Relaxed));
    let writing = if unsent > 0 { 4 } else { 0 };
    let _ = write!(
        out,
        " {}[{:x}](queued={},recved={},sent={}",
        Address(conn.peer),
        reading | writing,
        conn.in_flight.load(Ordering::Relaxed),
        stats.received,
        stats.sent
    );
    if form == Form::Full {
        session(conn, &stats, out);
    }
    out.push_str(")\n");
}

fn session(conn: &Conn, stats: &ConnStats, out: &mut String) {
    let (Some(session), Some(established)) = (conn.session_handle(), conn.established_at.get()) else {
        return;
    };
    let _ = write!(
        out,
        ",sid={},lop={},est={},to={}",
        session.id(),
        stats.last_op.map_or("NA", op_name),
        established.0,
        session.timeout_ms()
    );
    if stats.last_cxid >= 0 {
        let _ = write!(out, ",lcxid=0x{:x}", stats.last_cxid);
    }
    let latency = &stats.latency;
    let _ = write!(
        out,
        ",lzxid=0x{:x},lresp={},llat={},minlat={},avglat={},maxlat={}",
        stats.last_zxid,
        stats.last_response_ms,
        stats.last_latency_ms,
        latency.min,
        latency.total.checked_div(latency.count).unwrap_or(0),
        latency.max
    );
}

/// What the reference calls an operation that it answered. Source: `FinalRequestProcessor`.
fn op_name(op: i32) -> &'static str {
    match OpCode::from_i32(op) {
        Some(OpCode::Ping) => "PING",
        Some(OpCode::CreateSession) => "SESS",
        Some(OpCode::Multi) => "MULT",
        Some(OpCode::MultiRead) => "MLTR",
        Some(OpCode::Create | OpCode::Create2 | OpCode::CreateTtl | OpCode::CreateContainer) => "CREA",
        Some(OpCode::Delete | OpCode::DeleteContainer) => "DELE",
        Some(OpCode::SetData) => "SETD",
        Some(OpCode::Reconfig) => "RECO",
        Some(OpCode::SetAcl) => "SETA",
        Some(OpCode::CloseSession) => "CLOS",
        Some(OpCode::Sync) => "SYNC",
        Some(OpCode::Check) => "CHEC",
        Some(OpCode::Exists) => "EXIS",
        Some(OpCode::GetData) => "GETD",
        Some(OpCode::SetWatches) => "SETW",
        Some(OpCode::SetWatches2) => "STW2",
        Some(OpCode::AddWatch) => "ADDW",
        Some(OpCode::GetAcl) => "GETA",
        Some(OpCode::GetChildren | OpCode::GetChildren2) => "GETC",
        Some(OpCode::GetAllChildrenNumber) => "GETACN",
        Some(OpCode::CheckWatches) => "CHKW",
        Some(OpCode::RemoveWatches) => "REMW",
        Some(OpCode::WhoAmI) => "HOMI",
        Some(OpCode::GetEphemerals) => "GETE",
        Some(OpCode::Auth | OpCode::Sasl | OpCode::Notification | OpCode::Error) | None => "NA",
    }
}
