//! The lock: whoever's node has the lowest number holds it.

use std::collections::BTreeMap;

use super::super::history::{Answer, Outcome, Record, Request};
use super::super::workload::{LOCK, LOCKED, number};
use super::{History, Property, describe};

/// From which to which zxid a session held the lock by one node.
#[derive(Clone, Debug)]
struct Hold {
    /// The first list in which the node was the lowest.
    from: i64,
    /// The last zxid at which it is known to have stood.
    to: i64,
    /// The record that shows `from`.
    record: usize,
}

/// Checks that no two nodes hold the lock at one zxid, and returns how often it was held.
pub(super) fn check(history: &mut History<'_>) -> u64 {
    let mut held: Vec<(String, Hold)> = holds(history).into_iter().collect();
    held.sort_by_key(|(_, hold)| hold.from);
    let records = history.records;
    let mut last: Option<&(String, Hold)> = None;
    let mut found = Vec::new();
    for one in &held {
        if let Some((other, before)) = last
            && one.1.from <= before.to
        {
            found.push(format!(
                "{} is taken for the holder by {} while {other} is, up to {:#x}",
                one.0,
                describe(&records[one.1.record]),
                before.to
            ));
        }
        if last.is_none_or(|(_, before)| one.1.to > before.to) {
            last = Some(one);
        }
    }
    found.extend(fences(history));
    for text in found {
        history.violation(Property::Locks, text);
    }
    held.len() as u64
}

fn holds(history: &History<'_>) -> BTreeMap<String, Hold> {
    let own = own_nodes(history);
    let mut holds: BTreeMap<String, Hold> = BTreeMap::new();
    for (index, record) in history.records.iter().enumerate() {
        let Outcome::Done { zxid, answer } = &record.outcome else {
            continue;
        };
        match (&record.request, answer) {
            (Request::Children(path), Answer::Children { names, .. }) if path == LOCK => {
                let Some(first) = names.iter().min_by_key(|name| number(name)) else {
                    continue;
                };
                let path = format!("{LOCK}/{first}");
                if own.get(&path) == Some(&record.session) {
                    let hold = holds.entry(path).or_insert(Hold {
                        from: *zxid,
                        to: *zxid,
                        record: index,
                    });
                    hold.from = hold.from.min(*zxid);
                    hold.to = hold.to.max(*zxid);
                }
            }
            (Request::Multi(_), _) => {
                if let Some(hold) = fenced_by(record).and_then(|path| holds.get_mut(path)) {
                    hold.to = hold.to.max(*zxid);
                }
            }
            // It stood until right before this.
            (Request::Delete { path, .. }, _) => {
                if let Some(hold) = holds.get_mut(path) {
                    hold.to = hold.to.max(zxid - 1);
                }
            }
            _ => {}
        }
    }
    holds
}

/// Who made which node in the lock's queue.
fn own_nodes(history: &History<'_>) -> BTreeMap<String, i64> {
    let made = |record: &Record| match &record.outcome {
        Outcome::Done {
            answer: Answer::Created { path, .. },
            ..
        } if path.starts_with(LOCK) => Some((path.clone(), record.session)),
        _ => None,
    };
    history.records.iter().filter_map(made).collect()
}

/// The node in the lock's queue on which a write to what is locked depended.
fn fenced_by(record: &Record) -> Option<&str> {
    match record.request.parts() {
        [Request::Check { path, .. }, Request::Set { path: locked, .. }] if locked == LOCKED => Some(path),
        _ => None,
    }
}

/// What only holders may write is written by holders whose numbers rise.
fn fences(history: &History<'_>) -> Vec<String> {
    let mut writes: Vec<(i64, Option<i64>, usize)> = Vec::new();
    for (index, record) in history.records.iter().enumerate() {
        if let (Some(path), Some(zxid)) = (fenced_by(record), history.zxid_of(index)) {
            writes.push((zxid, number(path), index));
        }
    }
    writes.sort_unstable();
    let late = writes.windows(2).filter(|pair| pair[0].1 > pair[1].1);
    late.map(|pair| {
        format!(
            "{} is followed by {}, of an older holder",
            describe(&history.records[pair[0].2]),
            describe(&history.records[pair[1].2])
        )
    })
    .collect()
}
