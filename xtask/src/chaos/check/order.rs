//! Zxids: unique, in agreement with time, never going back for a session.

use std::collections::BTreeMap;

use super::super::history::{Answer, Outcome, Record, Request};
use super::{History, Property, describe};

/// Checks all that needs nothing but zxids and times.
pub(super) fn check(history: &mut History<'_>) {
    unique(history);
    stats_agree(history);
    real_time(history);
    sessions(history);
}

/// The zxid below which nothing may be told any more, by time.
#[derive(Debug)]
pub(super) struct Told {
    /// (time, highest zxid that anyone had been told by then), rising.
    steps: Vec<(u64, i64)>,
}

impl Told {
    /// What the answers to the chosen records told.
    pub(super) fn new(records: &[Record], chosen: impl Fn(&Record) -> bool) -> Self {
        let mut steps: Vec<(u64, i64)> = records
            .iter()
            .filter(|record| chosen(record))
            .filter_map(|record| Some((record.returned_ns, record.outcome.zxid()?)))
            .collect();
        steps.sort_unstable();
        let mut highest = 0;
        for (_, zxid) in &mut steps {
            highest = highest.max(*zxid);
            *zxid = highest;
        }
        Self { steps }
    }

    /// The highest zxid that had been told before this time.
    pub(super) fn before(&self, time_ns: u64) -> i64 {
        let count = self.steps.partition_point(|(returned, _)| *returned < time_ns);
        count.checked_sub(1).map_or(0, |last| self.steps[last].1)
    }
}

fn unique(history: &mut History<'_>) {
    let records = history.records;
    let mut owners: BTreeMap<i64, usize> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        if !record.request.is_write() {
            continue;
        }
        let Some(zxid) = history.zxid_of(index) else { continue };
        if let Some(other) = owners.insert(zxid, index) {
            let text = format!("one zxid for {} and {}", describe(&records[other]), describe(record));
            history.violation(Property::Zxids, text);
        }
    }
}

/// The header of a write's reply and the Stat in it name the same transaction.
fn stats_agree(history: &mut History<'_>) {
    for record in history.records {
        let Outcome::Done { zxid, answer } = &record.outcome else {
            continue;
        };
        for (request, answer) in record.request.parts().iter().zip(answer.parts()) {
            let (told, owner) = match (request, answer) {
                (Request::Set { .. }, Answer::Stat(stat)) => (stat.mzxid, 0),
                (Request::Create { mode, .. }, Answer::Created { stat: Some(stat), .. }) => {
                    let owner = if mode.is_ephemeral() { record.session } else { 0 };
                    (stat.czxid, stat.ephemeral_owner - owner)
                }
                _ => continue,
            };
            if told != *zxid {
                let text = format!("the Stat says {told:#x}: {}", describe(record));
                history.violations.push(super::Violation {
                    property: Property::Zxids,
                    text,
                });
            }
            if owner != 0 {
                let text = format!("another owner: {}", describe(record));
                history.violations.push(super::Violation {
                    property: Property::Ephemerals,
                    text,
                });
            }
        }
    }
}

/// Whoever asks for a write gets a zxid above all that anyone had been told before. A refusal speaks of a state that is
/// no older than that.
fn real_time(history: &mut History<'_>) {
    let records = history.records;
    let told = Told::new(records, |_| true);
    for (index, record) in records.iter().enumerate() {
        if !record.request.is_write() {
            continue;
        }
        let before = told.before(record.sent_ns);
        let late = match &record.outcome {
            Outcome::Refused { zxid, .. } => *zxid < before,
            _ => history.zxid_of(index).is_some_and(|zxid| zxid <= before),
        };
        if late {
            let text = format!("{before:#x} had been told before {} was sent", describe(record));
            history.violation(Property::RealTime, text);
        }
    }
}

fn sessions(history: &mut History<'_>) {
    let records = history.records;
    let mut newest: BTreeMap<i64, (i64, usize)> = BTreeMap::new();
    let mut newest_write: BTreeMap<i64, (i64, usize)> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, record) in records.iter().enumerate() {
        if let Some(zxid) = record.outcome.zxid() {
            let (before, other) = *newest.entry(record.session).or_insert((zxid, index));
            if zxid < before {
                found.push((other, index));
            }
            newest.insert(record.session, (zxid.max(before), index));
        }
        if !record.request.is_write() {
            continue;
        }
        let Some(zxid) = history.zxid_of(index) else { continue };
        if let Some((before, other)) = newest_write.insert(record.session, (zxid, index))
            && before >= zxid
        {
            found.push((other, index));
        }
    }
    for (first, second) in found {
        let text = format!(
            "the order of a session: {} (zxid {:?}) and then {} (zxid {:?})",
            describe(&records[first]),
            history.zxid_of(first),
            describe(&records[second]),
            history.zxid_of(second)
        );
        history.violation(Property::SessionOrder, text);
    }
}
