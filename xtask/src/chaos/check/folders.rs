//! Lists of children, and the names of sequential nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::history::{Answer, Outcome, Request};
use super::super::workload::number;
use super::keys::{Event, Lives};
use super::{History, Property, describe};

/// The paths of nodes by the record that asked for them: sequential ones are named by the server, and a name that was
/// not told is known from lists.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Full paths of sequential nodes by record and part.
    sequential: BTreeMap<(usize, usize), String>,
}

impl Paths {
    /// The path that a part of a record writes, if it is known.
    pub(super) fn of<'a>(&'a self, record: usize, part: usize, request: &'a Request) -> Option<&'a str> {
        match request {
            Request::Create { mode, .. } if mode.is_sequential() => {
                self.sequential.get(&(record, part)).map(String::as_str)
            }
            Request::Create { path, .. }
            | Request::Set { path, .. }
            | Request::Delete { path, .. }
            | Request::Check { path, .. } => Some(path),
            Request::Multi(_) | Request::Get(_) | Request::Children(_) | Request::Sync | Request::Close => None,
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A name without its number.
fn stem(name: &str) -> &str {
    name.trim_end_matches(|digit: char| digit.is_ascii_digit())
}

/// Finds out all names of sequential nodes, by answers and by lists.
pub(super) fn paths(history: &mut History<'_>) -> Paths {
    let records = history.records;
    let mut paths = Paths::default();
    let mut asked: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        for (part, request) in record.request.parts().iter().enumerate() {
            let Request::Create { path, mode, .. } = request else {
                continue;
            };
            if !mode.is_sequential() {
                continue;
            }
            asked.insert(path, (index, part));
            if let Outcome::Done { answer, .. } = &record.outcome
                && let Some(Answer::Created { path, .. }) = answer.parts().get(part)
            {
                paths.sequential.insert((index, part), path.clone());
            }
        }
    }
    let mut found = Vec::new();
    for record in records {
        let (
            Request::Children(folder),
            Outcome::Done {
                answer: Answer::Children { names, .. },
                ..
            },
        ) = (&record.request, &record.outcome)
        else {
            continue;
        };
        for name in names.iter().filter(|name| number(name).is_some()) {
            let path = format!("{folder}/{name}");
            let Some(place) = asked.get(stem(&path)) else { continue };
            let known = paths.sequential.entry(*place).or_insert_with(|| path.clone());
            if *known != path {
                found.push(format!(
                    "{known} and {path} come from one request: {}",
                    describe(record)
                ));
            }
        }
    }
    for text in found {
        history.violation(Property::Lists, text);
    }
    paths
}

/// What changes or shows the names in a folder.
enum Change<'a> {
    Made(&'a str),
    Gone(&'a str),
    /// A session ended, and all its nodes with it.
    Ended(i64),
    Listed(usize),
}

/// Holds every list against the nodes that are known to be there. What differs is told to the lives of those nodes,
/// where it needs an explanation.
pub(super) fn check(history: &mut History<'_>, paths: &Paths, lives: &mut Lives) {
    let records = history.records;
    let mut folders: BTreeMap<&str, Vec<(i64, u8, Change<'_>)>> = BTreeMap::new();
    let mut owners: BTreeMap<String, i64> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        if let (Request::Children(folder), Outcome::Done { zxid, .. }) = (&record.request, &record.outcome) {
            folders
                .entry(folder)
                .or_default()
                .push((*zxid, 1, Change::Listed(index)));
        }
        let Some(zxid) = history.zxid_of(index) else { continue };
        for (part, request) in record.request.parts().iter().enumerate() {
            let Some(path) = paths.of(index, part, request) else {
                continue;
            };
            let change = match request {
                Request::Create { mode, .. } => {
                    if mode.is_ephemeral() {
                        owners.insert(path.to_owned(), record.session);
                    }
                    Change::Made(path)
                }
                Request::Delete { .. } => Change::Gone(path),
                _ => continue,
            };
            folders.entry(parent(path)).or_default().push((zxid, 0, change));
        }
    }
    let mut found = numbers(history, paths);
    for (folder, mut changes) in folders {
        changes.extend(
            history
                .closed
                .iter()
                .map(|(session, zxid)| (*zxid, 0, Change::Ended(*session))),
        );
        changes.sort_by_key(|(zxid, rank, _)| (*zxid, *rank));
        found.extend(walk(history, folder, &changes, &owners, lives));
    }
    for text in found {
        history.violation(Property::Lists, text);
    }
}

fn walk(
    history: &History<'_>,
    folder: &str,
    changes: &[(i64, u8, Change<'_>)],
    owners: &BTreeMap<String, i64>,
    lives: &mut Lives,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut there: BTreeSet<String> = BTreeSet::new();
    let mut changed = 0;
    for (zxid, _, change) in changes {
        match change {
            Change::Made(path) => {
                there.insert((*path).to_owned());
                changed = *zxid;
            }
            Change::Gone(path) => {
                there.remove(*path);
                changed = *zxid;
            }
            Change::Ended(session) => there.retain(|path| owners.get(path) != Some(session)),
            Change::Listed(index) => {
                let record = &history.records[*index];
                let Outcome::Done {
                    answer: Answer::Children { names, stat },
                    ..
                } = &record.outcome
                else {
                    continue;
                };
                let listed: BTreeSet<String> = names.iter().map(|name| format!("{folder}/{name}")).collect();
                if usize::try_from(stat.num_children) != Ok(names.len()) {
                    found.push(format!(
                        "{} children in the Stat of {}",
                        stat.num_children,
                        describe(record)
                    ));
                }
                if stat.pzxid > *zxid || stat.pzxid < changed {
                    found.push(format!(
                        "changed at {changed:#x} or later, at {:#x} says the Stat of {}",
                        stat.pzxid,
                        describe(record)
                    ));
                }
                for path in listed.difference(&there) {
                    lives.add(path, Event::present(*zxid, *index));
                }
                for path in there.difference(&listed) {
                    lives.add(path, Event::absent(*zxid, *index));
                }
                there = listed;
            }
        }
    }
    found
}

/// The numbers of sequential nodes in one folder rise with their zxids.
fn numbers(history: &History<'_>, paths: &Paths) -> Vec<String> {
    /// Zxid, number, path.
    type Node<'a> = (i64, Option<i64>, &'a str);
    let mut made: BTreeMap<&str, Vec<Node<'_>>> = BTreeMap::new();
    for ((record, _), path) in &paths.sequential {
        if let Some(zxid) = history.zxid_of(*record) {
            made.entry(parent(path)).or_default().push((zxid, number(path), path));
        }
    }
    let mut found = Vec::new();
    for nodes in made.values_mut() {
        nodes.sort_unstable();
        for pair in nodes.windows(2).filter(|pair| pair[0].1 >= pair[1].1) {
            found.push(format!(
                "{} was made at {:#x}, before {} at {:#x}",
                pair[0].2, pair[0].0, pair[1].2, pair[1].0
            ));
        }
    }
    found
}
