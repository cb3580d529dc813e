//! Violations that are put into a good history, to see that the checks would find them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::check::{Property, Report};
use super::history::{Answer, Outcome, Record, Request};
use super::workload::{EPHEMERALS, LOCK, number};

/// A kind of violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Plant {
    /// The last acknowledged write of a node is missing in all that is read afterwards.
    LostWrite,
    /// What is read behind a sync is older than it may be.
    StaleSync,
    /// Two writes, one after the other, have zxids the other way round.
    Reorder,
    /// A write that was refused is read.
    DirtyRead,
    /// A read shows the version before the one that its zxid tells.
    StaleRead,
    /// A session reads something older than before.
    SessionBack,
    /// Two writes have one zxid.
    SameZxid,
    /// An ephemeral node is missing while its session lives.
    LostEphemeral,
    /// An ephemeral node outlives its session.
    LeftEphemeral,
    /// A client takes itself for the holder of the lock while another one is.
    TwoHolders,
    /// A sequential node that was acknowledged is not there at the end.
    LostNode,
}

impl Plant {
    /// All kinds.
    pub fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// Changes a history and says what was changed.
    ///
    /// # Errors
    /// When the history has no place for it.
    pub fn put(self, records: &mut [Record]) -> Result<String> {
        let put = match self {
            Self::LostWrite => lost_write(records),
            Self::StaleSync => stale_sync(records),
            Self::Reorder => reorder(records),
            Self::DirtyRead => dirty_read(records),
            Self::StaleRead => stale_read(records),
            Self::SessionBack => session_back(records),
            Self::SameZxid => same_zxid(records),
            Self::LostEphemeral => lost_ephemeral(records),
            Self::LeftEphemeral => left_ephemeral(records),
            Self::TwoHolders => two_holders(records),
            Self::LostNode => lost_node(records),
        };
        put.context("the history offers no place")
    }

    /// Whether a report tells of it.
    pub fn is_found(self, report: &Report) -> bool {
        let property = match self {
            Self::StaleSync => return !report.stale.is_empty(),
            Self::LostWrite | Self::DirtyRead | Self::StaleRead | Self::LostNode => Property::State,
            Self::Reorder => Property::RealTime,
            Self::SessionBack => Property::SessionOrder,
            Self::SameZxid => Property::Zxids,
            Self::LostEphemeral | Self::LeftEphemeral => Property::Ephemerals,
            Self::TwoHolders => Property::Locks,
        };
        report.violations.iter().any(|found| found.property == property)
    }
}

/// Path, zxid and index of single sets that were carried out, by zxid.
fn sets(records: &[Record]) -> Vec<(i64, usize, String)> {
    let mut sets = Vec::new();
    for (index, record) in records.iter().enumerate() {
        if let (Request::Set { path, .. }, Outcome::Done { zxid, .. }) = (&record.request, &record.outcome) {
            sets.push((*zxid, index, path.clone()));
        }
    }
    sets.sort_unstable();
    sets
}

/// Reads of a path: zxid of the reply, zxid of the data, index.
fn reads(records: &[Record], path: &str) -> Vec<(i64, i64, usize)> {
    let mut reads = Vec::new();
    for (index, record) in records.iter().enumerate() {
        if let (
            Request::Get(read),
            Outcome::Done {
                zxid,
                answer: Answer::Data { stat, .. },
            },
        ) = (&record.request, &record.outcome)
            && read == path
        {
            reads.push((*zxid, stat.mzxid, index));
        }
    }
    reads.sort_unstable();
    reads
}

fn set_answer(record: &mut Record, other: Answer) {
    if let Outcome::Done { answer, .. } = &mut record.outcome {
        *answer = other;
    }
}

fn answer(record: &Record) -> Option<Answer> {
    match &record.outcome {
        Outcome::Done { answer, .. } => Some(answer.clone()),
        _ => None,
    }
}

fn set_zxid(record: &mut Record, new: i64) {
    if let Outcome::Done { zxid, .. } = &mut record.outcome {
        *zxid = new;
    }
}

fn lost_write(records: &mut [Record]) -> Option<String> {
    for (zxid, _, path) in sets(records).iter().rev() {
        let reads = reads(records, path);
        let of_it: Vec<usize> = reads
            .iter()
            .filter(|(_, mzxid, _)| mzxid == zxid)
            .map(|(_, _, index)| *index)
            .collect();
        let is_last = reads.iter().all(|(_, mzxid, _)| mzxid <= zxid);
        let before = reads
            .iter()
            .filter(|(_, mzxid, _)| mzxid < zxid)
            .max_by_key(|(_, mzxid, _)| *mzxid);
        let Some((_, _, before)) = before.filter(|_| is_last && !of_it.is_empty()) else {
            continue;
        };
        let old = answer(&records[*before])?;
        for index in of_it {
            set_answer(&mut records[index], old.clone());
        }
        return Some(format!("the write to {path} at {zxid:#x} is not in any read"));
    }
    None
}

fn stale_sync(records: &mut [Record]) -> Option<String> {
    let written: Vec<(u64, i64)> = sets(records)
        .iter()
        .map(|(zxid, index, _)| (records[*index].returned_ns, *zxid))
        .collect();
    for index in 1..records.len() {
        let (before, after) = (&records[index - 1], &records[index]);
        let is_read = matches!(after.request, Request::Get(_)) && after.outcome.is_done();
        let is_pair = before.connection == after.connection && before.client == after.client;
        if before.request != Request::Sync || !before.outcome.is_done() || !is_read || !is_pair {
            continue;
        }
        let bound = written
            .iter()
            .filter(|(returned, _)| *returned < before.sent_ns)
            .map(|(_, zxid)| *zxid)
            .max();
        if let Some(bound) = bound {
            set_zxid(&mut records[index], bound - 1);
            return Some(format!("a read behind a sync at {:#x}", bound - 1));
        }
    }
    None
}

fn reorder(records: &mut [Record]) -> Option<String> {
    let sets = sets(records);
    for (place, (first, one, path)) in sets.iter().enumerate() {
        let later = sets[place + 1..].iter().find(|(_, two, other)| {
            other != path
                && records[*one].returned_ns < records[*two].sent_ns
                && records[*one].client != records[*two].client
        });
        let Some((second, two, _)) = later else { continue };
        for (index, new) in [(*one, *second), (*two, *first)] {
            set_zxid(&mut records[index], new);
            if let Outcome::Done {
                answer: Answer::Stat(stat),
                ..
            } = &mut records[index].outcome
            {
                stat.mzxid = new;
            }
        }
        return Some(format!("{first:#x} and {second:#x} are exchanged"));
    }
    None
}

fn dirty_read(records: &mut [Record]) -> Option<String> {
    let refused: Vec<(u64, String, String)> = records
        .iter()
        .filter_map(|record| match (&record.request, &record.outcome) {
            (Request::Set { path, value, .. }, Outcome::Refused { .. }) => {
                Some((record.sent_ns, path.clone(), value.clone()))
            }
            _ => None,
        })
        .collect();
    for (sent_ns, path, dirty) in refused {
        for (_, _, index) in reads(records, &path) {
            if records[index].returned_ns <= sent_ns {
                continue;
            }
            if let Outcome::Done {
                answer: Answer::Data { value, .. },
                ..
            } = &mut records[index].outcome
            {
                value.clone_from(&dirty);
                return Some(format!("{dirty:?} is read from {path}"));
            }
        }
    }
    None
}

fn stale_read(records: &mut [Record]) -> Option<String> {
    for (_, _, path) in sets(records) {
        let reads = reads(records, &path);
        for pair in reads.windows(2) {
            if pair[0].1 < pair[1].1 {
                let old = answer(&records[pair[0].2])?;
                set_answer(&mut records[pair[1].2], old);
                return Some(format!(
                    "{path} is read at {:#x} as it was at {:#x}",
                    pair[1].0, pair[0].0
                ));
            }
        }
    }
    None
}

fn session_back(records: &mut [Record]) -> Option<String> {
    let mut newest: BTreeMap<i64, i64> = BTreeMap::new();
    for record in records {
        let Some(zxid) = record.outcome.zxid() else { continue };
        let before = newest.insert(record.session, zxid);
        if let (Some(before), Request::Get(path), true) = (before, &record.request, record.outcome.is_done()) {
            let text = format!("{path} is read at {:#x}", before - 1);
            set_zxid(record, before - 1);
            return Some(text);
        }
    }
    None
}

fn same_zxid(records: &mut [Record]) -> Option<String> {
    let sets = sets(records);
    let [.., (first, _, _), (_, two, _)] = sets.as_slice() else {
        return None;
    };
    set_zxid(&mut records[*two], *first);
    Some(format!("{first:#x} is given twice"))
}

/// Lists of a folder that were answered: zxid and index.
fn lists(records: &[Record], folder: &str) -> Vec<(i64, usize)> {
    let mut lists = Vec::new();
    for (index, record) in records.iter().enumerate() {
        if let (Request::Children(listed), Outcome::Done { zxid, .. }) = (&record.request, &record.outcome)
            && listed == folder
        {
            lists.push((*zxid, index));
        }
    }
    lists.sort_unstable();
    lists
}

fn list_names(record: &mut Record) -> Option<(&mut Vec<String>, &mut i32)> {
    match &mut record.outcome {
        Outcome::Done {
            answer: Answer::Children { names, stat },
            ..
        } => Some((names, &mut stat.num_children)),
        _ => None,
    }
}

/// Ephemeral nodes outside of the lock's queue: name, session, zxid of their creation.
fn mayflies(records: &[Record]) -> Vec<(String, i64, i64)> {
    let prefix = format!("{EPHEMERALS}/");
    let made = |record: &Record| match (&record.request, &record.outcome) {
        (Request::Create { path, .. }, Outcome::Done { zxid, .. }) => path
            .strip_prefix(&prefix)
            .map(|name| (name.to_owned(), record.session, *zxid)),
        _ => None,
    };
    records.iter().filter_map(made).collect()
}

fn lost_ephemeral(records: &mut [Record]) -> Option<String> {
    let mut alive: BTreeMap<i64, i64> = BTreeMap::new();
    for record in records.iter() {
        if let (Some(zxid), true) = (record.outcome.zxid(), record.request != Request::Close) {
            let until = alive.entry(record.session).or_insert(0);
            *until = zxid.max(*until);
        }
    }
    let lists = lists(records, EPHEMERALS);
    for (name, session, made) in mayflies(records) {
        for (zxid, index) in &lists {
            if *zxid <= made || *zxid > alive.get(&session).copied().unwrap_or(0) {
                continue;
            }
            let Some((names, count)) = list_names(&mut records[*index]) else {
                continue;
            };
            let Some(place) = names.iter().position(|listed| *listed == name) else {
                continue;
            };
            // One that was deleted without an answer could be gone.
            names.remove(place);
            *count -= 1;
            let path = format!("{EPHEMERALS}/{name}");
            let doubtful = records.iter().any(|record| {
                matches!(&record.request, Request::Delete { path: deleted, .. } if *deleted == path)
                    && record.outcome == Outcome::Unknown
            });
            if doubtful {
                let (names, count) = list_names(&mut records[*index])?;
                names.insert(place, name.clone());
                *count += 1;
                break;
            }
            return Some(format!("{path} is missing at {zxid:#x}"));
        }
    }
    None
}

fn left_ephemeral(records: &mut [Record]) -> Option<String> {
    let closed: BTreeMap<i64, i64> = records
        .iter()
        .filter(|record| record.request == Request::Close)
        .filter_map(|record| Some((record.session, record.outcome.zxid()?)))
        .collect();
    let (_, last) = lists(records, EPHEMERALS).pop()?;
    let (name, session, _) = mayflies(records)
        .into_iter()
        .rfind(|(_, session, _)| closed.contains_key(session))?;
    let (names, count) = list_names(&mut records[last])?;
    names.push(name.clone());
    *count += 1;
    Some(format!("{name} of session {session:#x} is there at the end"))
}

fn two_holders(records: &mut [Record]) -> Option<String> {
    let own: BTreeMap<String, i64> = records
        .iter()
        .filter_map(|record| match &record.outcome {
            Outcome::Done {
                answer: Answer::Created { path, .. },
                ..
            } => Some((path.strip_prefix(LOCK)?.strip_prefix('/')?.to_owned(), record.session)),
            _ => None,
        })
        .collect();
    let deleted: BTreeMap<String, i64> = records
        .iter()
        .filter_map(|record| match (&record.request, &record.outcome) {
            (Request::Delete { path, .. }, Outcome::Done { zxid, .. }) => {
                Some((path.strip_prefix(LOCK)?.strip_prefix('/')?.to_owned(), *zxid))
            }
            _ => None,
        })
        .collect();
    let lists = lists(records, LOCK);
    // Holders that know that they are, and since when.
    let mut holders: BTreeMap<String, i64> = BTreeMap::new();
    for (zxid, index) in lists {
        let session = records[index].session;
        let (names, _) = list_names(&mut records[index])?;
        let mut order = names.clone();
        order.sort_by_key(|name| number(name));
        let Some(first) = order.first() else { continue };
        if own.get(first) == Some(&session) {
            holders.entry(first.clone()).or_insert(zxid);
            continue;
        }
        let second_is_own = order.get(1).is_some_and(|second| own.get(second) == Some(&session));
        let is_held =
            holders.get(first).is_some_and(|from| *from < zxid) && deleted.get(first).is_some_and(|gone| *gone > zxid);
        if second_is_own && is_held {
            let text = format!("{first} is not in a list at {zxid:#x}");
            let (names, count) = list_names(&mut records[index])?;
            names.retain(|name| name != first);
            *count -= 1;
            return Some(text);
        }
    }
    None
}

fn lost_node(records: &mut [Record]) -> Option<String> {
    let mut gone = None;
    for (_, index) in lists(records, "/q") {
        let (names, count) = list_names(&mut records[index])?;
        let Some(name) = gone.clone().or_else(|| names.first().cloned()) else {
            continue;
        };
        names.retain(|listed| *listed != name);
        *count -= 1;
        gone = Some(name);
    }
    gone.map(|name| format!("/q/{name} is in no list"))
}
