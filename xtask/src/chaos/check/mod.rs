//! Judges a history.
//!
//! Every write that ZooKeeper carries out has a zxid, and zxids are the order of all writes. So no search for a
//! possible order is needed, as for stores that keep theirs to themselves: the order is claimed by the answers, and
//! every answer can be held against it. A write that was not answered is *unknown*: done once, or never. One that
//! somebody has read is known from then on, with its zxid; the rest may be used once each to explain what was seen.
//!
//! | Property | What is checked | File |
//! |---|---|---|
//! | [`Property::Zxids`] | each write has a zxid of its own, and its Stat says the same | `order` |
//! | [`Property::RealTime`] | a write's zxid is above everything that anyone had been told before it was sent | `order` |
//! | [`Property::SessionOrder`] | what one session is told never goes back; its writes are done in the order they were sent | `order` |
//! | [`Property::State`] | each node's answers fit one life: made, set version by version, deleted; a read shows the state at its zxid; a refusal fits it | `keys` |
//! | [`Property::Lists`] | lists of children fit the nodes' lives; numbers of sequential nodes rise with their zxids | `folders` |
//! | [`Property::Ephemerals`] | an ephemeral node is there while its session is, and not after its end | `keys`, `folders` |
//! | [`Property::Locks`] | the lock has one holder at each zxid; what only holders may write has rising numbers | `locks` |
//! | freshness | what is read behind a `sync` is not older than any write that was answered before the `sync` was sent | `sync` |
//!
//! Freshness is counted apart: Java 3.8.0 is known to fail it.

mod folders;
mod keys;
mod locks;
mod order;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::history::{Answer, Outcome, Record, Request};
use crate::interop::client::Stat;

/// What was violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// Each write has a zxid of its own.
    Zxids,
    /// The order of zxids agrees with time.
    RealTime,
    /// The order of one session.
    SessionOrder,
    /// The state of a node.
    State,
    /// Lists of children.
    Lists,
    /// Nodes that go with their session.
    Ephemerals,
    /// One holder of the lock.
    Locks,
    /// All servers have the same tree at the end.
    Trees,
    /// Each answer is one to the request whose turn it is, and can be read.
    Answers,
    /// A server ended by itself or did not come back.
    Servers,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What was violated.
    pub property: Property,
    /// How, with the records that show it.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.property, self.text)
    }
}

/// What a history shows.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What must not be.
    pub violations: Vec<Violation>,
    /// Reads behind a `sync` that were stale.
    pub stale: Vec<String>,
    /// Reads behind a `sync`.
    pub syncs: u64,
    /// Requests.
    pub requests: u64,
    /// Writes that were carried out and answered.
    pub writes: u64,
    /// Requests whose end is unknown.
    pub unknown: u64,
    /// Unknown writes that somebody has read.
    pub resolved: u64,
    /// Sessions.
    pub sessions: u64,
    /// Times that the lock was held.
    pub holds: u64,
}

/// Records and what is known of all of them together.
struct History<'a> {
    records: &'a [Record],
    /// When a write that was not answered must have been carried out, by its index in `records`.
    resolved: BTreeMap<usize, i64>,
    /// What a read told of a part of such a write: its Stat, by record and part.
    resolved_stats: BTreeMap<(usize, usize), Stat>,
    /// The end of sessions that were closed, as a zxid.
    closed: BTreeMap<i64, i64>,
    /// The highest zxid that an answer in this session carried: it had not ended then.
    alive_until: BTreeMap<i64, i64>,
    violations: Vec<Violation>,
}

impl History<'_> {
    fn violation(&mut self, property: Property, text: String) {
        self.violations.push(Violation { property, text });
    }

    /// The zxid of a write that was carried out for certain.
    fn zxid_of(&self, index: usize) -> Option<i64> {
        match &self.records[index].outcome {
            Outcome::Done { zxid, .. } => Some(*zxid),
            Outcome::Unknown => self.resolved.get(&index).copied(),
            Outcome::Refused { .. } | Outcome::Rejected { .. } => None,
        }
    }
}

/// Judges the records of all clients; those of one client must be in the order in which they were sent.
pub fn check(records: &[Record]) -> Report {
    let mut history = History {
        records,
        resolved: BTreeMap::new(),
        resolved_stats: BTreeMap::new(),
        closed: BTreeMap::new(),
        alive_until: BTreeMap::new(),
        violations: Vec::new(),
    };
    for record in records {
        let Some(zxid) = record.outcome.zxid() else { continue };
        if record.request == Request::Close && record.outcome.is_done() {
            history.closed.insert(record.session, zxid);
        } else {
            let until = history.alive_until.entry(record.session).or_insert(0);
            *until = zxid.max(*until);
        }
    }
    let paths = folders::paths(&mut history);
    keys::resolve(&mut history, &paths);
    order::check(&mut history);
    let mut lives = keys::Lives::collect(&history, &paths);
    folders::check(&mut history, &paths, &mut lives);
    lives.check(&mut history);
    let holds = locks::check(&mut history);
    let (syncs, stale) = sync::check(records);
    let count = |wanted: &dyn Fn(&Record) -> bool| records.iter().filter(|record| wanted(record)).count() as u64;
    let mut sessions: Vec<i64> = records.iter().map(|record| record.session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    Report {
        stale,
        syncs,
        requests: records.len() as u64,
        writes: count(&|record| record.request.is_write() && record.outcome.is_done()),
        unknown: count(&|record| record.outcome == Outcome::Unknown),
        resolved: history.resolved.len() as u64,
        sessions: sessions.len() as u64,
        holds,
        violations: history.violations,
    }
}

/// A record in one line, for findings.
fn describe(record: &Record) -> String {
    format!(
        "[{:.6}..{:.6} client {} session {:#x} server {}] {:?} -> {}",
        seconds(record.sent_ns),
        seconds(record.returned_ns),
        record.client,
        record.session,
        record.server,
        record.request,
        describe_outcome(&record.outcome)
    )
}

fn describe_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { zxid, answer } => format!("zxid {zxid:#x} {}", describe_answer(answer)),
        Outcome::Refused { zxid, code } => format!("zxid {zxid:#x} refused with {code}"),
        Outcome::Rejected { code } => format!("rejected with {code}"),
        Outcome::Unknown => "unknown".to_owned(),
    }
}

fn describe_answer(answer: &Answer) -> String {
    match answer {
        Answer::Nothing => String::new(),
        Answer::Created { path, .. } => path.clone(),
        Answer::Stat(stat) => format!("version {} czxid {:#x}", stat.version, stat.czxid),
        Answer::Data { value, stat } => format!(
            "{value:?} version {} czxid {:#x} mzxid {:#x}",
            stat.version, stat.czxid, stat.mzxid
        ),
        Answer::Children { names, .. } => format!("{names:?}"),
        Answer::Multi(parts) => {
            let parts: Vec<String> = parts.iter().map(describe_answer).collect();
            format!("[{}]", parts.join("; "))
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a run is shorter than 2^53 ns by a factor of thousands"
)]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
