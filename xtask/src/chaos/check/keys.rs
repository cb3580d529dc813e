//! The life of each node: made, set version by version, deleted. All that was told of it is put in the order of zxids
//! and gone through once.

use std::collections::BTreeMap;

use super::super::history::{Answer, Outcome, Record, Request};
use super::folders::Paths;
use super::{History, Property, describe};
use crate::interop::client::{Stat, code};

/// Finds out which unanswered writes were carried out, and when: somebody has read what they wrote. What was read and
/// cannot have been written is a violation.
pub(super) fn resolve(history: &mut History<'_>, paths: &Paths) {
    let records = history.records;
    let mut writers: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        for (part, request) in record.request.parts().iter().enumerate() {
            if let Request::Create { value, .. } | Request::Set { value, .. } = request {
                writers.insert(value, (index, part));
            }
        }
    }
    for record in records {
        let (
            Request::Get(path),
            Outcome::Done {
                answer: Answer::Data { value, stat },
                ..
            },
        ) = (&record.request, &record.outcome)
        else {
            continue;
        };
        let Some(place) = writers.get(value.as_str()).copied() else {
            history.violation(
                Property::State,
                format!("nobody wrote what is read by {}", describe(record)),
            );
            continue;
        };
        let writer = &records[place.0];
        let is_of_path = paths
            .of(place.0, place.1, &writer.request.parts()[place.1])
            .is_none_or(|written| written == path);
        let fault = match writer.outcome {
            _ if !is_of_path => Some("it was written elsewhere"),
            _ if writer.sent_ns >= record.returned_ns => Some("it was read before it was written"),
            Outcome::Done { zxid, .. } => (zxid != stat.mzxid).then_some("it was written at another zxid"),
            Outcome::Refused { .. } | Outcome::Rejected { .. } => Some("it was refused"),
            Outcome::Unknown => {
                history.resolved_stats.entry(place).or_insert(*stat);
                let zxid = *history.resolved.entry(place.0).or_insert(stat.mzxid);
                (zxid != stat.mzxid).then_some("another read or another part of it says another zxid")
            }
        };
        if let Some(fault) = fault {
            let text = format!("{fault}: {} by {}", describe(record), describe(writer));
            history.violation(Property::State, text);
        }
    }
}

/// Something that is known of a node at a zxid.
#[derive(Clone, Debug)]
pub(super) struct Event {
    zxid: i64,
    /// Index of the record that tells it.
    record: usize,
    what: What,
}

/// In this order at one zxid: what a write met, what it did, what was seen afterwards.
#[derive(Clone, Debug, PartialEq)]
enum What {
    /// A check in a multi that was carried out: it was there before, in this version unless that is -1.
    Met { version: i32 },
    /// It was made.
    Made { value: String },
    /// It was set; absent when the answer is not known.
    Set {
        version: i32,
        value: String,
        stat: Option<Stat>,
    },
    /// It was deleted.
    Deleted { version: i32 },
    /// Its session was closed.
    Ended,
    /// It was there.
    Present,
    /// It was read.
    Read { value: String, stat: Stat },
    /// It was not there.
    Absent,
    /// It was there, in another version than this.
    Not { version: i32 },
}

impl What {
    fn rank(&self) -> u8 {
        match self {
            Self::Met { .. } => 0,
            Self::Made { .. } | Self::Set { .. } | Self::Deleted { .. } | Self::Ended => 1,
            Self::Present | Self::Read { .. } | Self::Absent | Self::Not { .. } => 2,
        }
    }
}

impl Event {
    /// It is in a list of its parent's children.
    pub(super) fn present(zxid: i64, record: usize) -> Self {
        let what = What::Present;
        Self { zxid, record, what }
    }

    /// It is not in such a list.
    pub(super) fn absent(zxid: i64, record: usize) -> Self {
        let what = What::Absent;
        Self { zxid, record, what }
    }
}

/// All that is known of all nodes.
#[derive(Debug, Default)]
pub(super) struct Lives {
    paths: BTreeMap<String, Known>,
}

/// All that is known of one path.
#[derive(Debug, Default)]
struct Known {
    events: Vec<Event>,
    /// Records that may have made it, set it or deleted it, with the version that they asked for.
    creates: Vec<(usize, i32)>,
    sets: Vec<(usize, i32)>,
    deletes: Vec<(usize, i32)>,
    /// The session that an ephemeral node belongs to.
    owner: Option<i64>,
    /// Whether that session was closed.
    is_over: bool,
}

impl Lives {
    /// What requests and their answers tell.
    pub(super) fn collect(history: &History<'_>, paths: &Paths) -> Self {
        let mut lives = Self::default();
        let mut owned: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (index, record) in history.records.iter().enumerate() {
            lives.collect_one(history, paths, index, record);
            for (part, request) in record.request.parts().iter().enumerate() {
                let Request::Create { mode, .. } = request else {
                    continue;
                };
                let Some(path) = paths.of(index, part, request) else {
                    continue;
                };
                if mode.is_ephemeral() {
                    lives.known(path).owner = Some(record.session);
                    owned.entry(record.session).or_default().push(path.to_owned());
                }
            }
        }
        let close = |record: &Record| record.request == Request::Close && record.outcome.is_done();
        for (index, record) in history.records.iter().enumerate() {
            if let Some(zxid) = record.outcome.zxid().filter(|_| close(record)) {
                for path in owned.get(&record.session).into_iter().flatten() {
                    let what = What::Ended;
                    let record = index;
                    lives.add(path, Event { zxid, record, what });
                }
            }
        }
        lives
    }

    /// Adds what a list tells.
    pub(super) fn add(&mut self, path: &str, event: Event) {
        self.known(path).events.push(event);
    }

    fn known(&mut self, path: &str) -> &mut Known {
        self.paths.entry(path.to_owned()).or_default()
    }

    fn collect_one(&mut self, history: &History<'_>, paths: &Paths, index: usize, record: &Record) {
        let at = |zxid: i64, what: What| Event {
            zxid,
            record: index,
            what,
        };
        match (&record.request, &record.outcome) {
            (Request::Get(path), Outcome::Done { zxid, answer }) => {
                if let Answer::Data { value, stat } = answer {
                    let value = value.clone();
                    self.add(path, at(*zxid, What::Read { value, stat: *stat }));
                }
            }
            (Request::Get(path), Outcome::Refused { zxid, .. }) => self.add(path, at(*zxid, What::Absent)),
            (request, Outcome::Refused { zxid, code }) => {
                // Which part of a multi was refused is not kept: it says nothing of a single node.
                let what = match (request, *code) {
                    (Request::Create { .. }, code::NODE_EXISTS) => What::Present,
                    (Request::Set { .. } | Request::Delete { .. }, code::NO_NODE) => What::Absent,
                    (Request::Set { version, .. } | Request::Delete { version, .. }, code::BAD_VERSION) => {
                        What::Not { version: *version }
                    }
                    _ => return,
                };
                if let Some(path) = paths.of(index, 0, request) {
                    self.add(path, at(*zxid, what));
                }
            }
            (request, outcome) => {
                let zxid = history.zxid_of(index);
                let stat_of = |part: usize| match outcome {
                    Outcome::Done { answer, .. } => match answer.parts().get(part) {
                        Some(Answer::Stat(stat)) => Some(*stat),
                        _ => None,
                    },
                    _ => history.resolved_stats.get(&(index, part)).copied(),
                };
                for (part, request) in request.parts().iter().enumerate() {
                    let Some(path) = paths.of(index, part, request) else {
                        continue;
                    };
                    match zxid {
                        Some(zxid) => {
                            if let Some(what) = done(request, stat_of(part)) {
                                self.add(path, at(zxid, what));
                            }
                        }
                        None if *outcome == Outcome::Unknown => self.maybe(path, request, index),
                        None => {}
                    }
                }
            }
        }
    }

    fn maybe(&mut self, path: &str, request: &Request, record: usize) {
        let known = self.known(path);
        match request {
            Request::Create { .. } => known.creates.push((record, -1)),
            Request::Set { version, .. } => known.sets.push((record, *version)),
            Request::Delete { version, .. } => known.deletes.push((record, *version)),
            _ => {}
        }
    }

    /// Goes through all lives.
    pub(super) fn check(self, history: &mut History<'_>) {
        for (path, mut known) in self.paths {
            let mut events = std::mem::take(&mut known.events);
            events.sort_by_key(|event| (event.zxid, event.what.rank()));
            let mut life = Life {
                path: &path,
                history,
                known,
                state: None,
                died: 0,
            };
            for event in &events {
                life.take(event);
            }
        }
    }
}

/// What a request did that was carried out.
fn done(request: &Request, stat: Option<Stat>) -> Option<What> {
    Some(match request {
        Request::Create { value, .. } => What::Made { value: value.clone() },
        Request::Set { value, version, .. } => What::Set {
            version: *version,
            value: value.clone(),
            stat,
        },
        Request::Delete { version, .. } => What::Deleted { version: *version },
        Request::Check { version, .. } => What::Met { version: *version },
        Request::Multi(_) | Request::Get(_) | Request::Children(_) | Request::Sync | Request::Close => return None,
    })
}

/// One path on the way through its events.
struct Life<'a, 'b> {
    path: &'a str,
    history: &'a mut History<'b>,
    known: Known,
    state: Option<State>,
    /// The zxid at which it was last found to be absent.
    died: i64,
}

/// A node that is there. What is not known came with a write that nobody answered or read.
#[derive(Clone, Debug)]
struct State {
    czxid: Option<i64>,
    version: i32,
    mzxid: Option<i64>,
    value: Option<String>,
}

/// A kind of write that may explain what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    Set,
    Delete,
}

impl Life<'_, '_> {
    fn take(&mut self, event: &Event) {
        match &event.what {
            What::Made { value } => {
                if self.state.is_some() {
                    self.vanish(event, "made while it is there");
                }
                self.state = Some(State {
                    czxid: Some(event.zxid),
                    version: 0,
                    mzxid: Some(event.zxid),
                    value: Some(value.clone()),
                });
            }
            What::Set { version, value, stat } => self.set(event, *version, value, stat.as_ref()),
            What::Deleted { version } => {
                self.appear(event, "deleted while it is not there");
                self.advance_to(event, *version);
                self.state = None;
                self.died = event.zxid;
            }
            What::Ended => {
                self.state = None;
                self.died = event.zxid;
                self.known.is_over = true;
            }
            What::Met { version } => {
                self.appear(event, "met while it is not there");
                self.advance_to(event, *version);
            }
            What::Present => self.appear(event, "there while it cannot be"),
            What::Absent => {
                if self.state.is_some() {
                    self.vanish(event, "not there while it must be");
                }
                self.died = event.zxid;
            }
            What::Not { version } => {
                self.appear(event, "there while it cannot be");
                let same = self.state.as_ref().is_some_and(|state| state.version == *version);
                if same {
                    self.advance_to(event, *version + 1);
                }
            }
            What::Read { value, stat } => self.read(event, value, stat),
        }
    }

    fn set(&mut self, event: &Event, asked: i32, value: &str, stat: Option<&Stat>) {
        match stat {
            Some(stat) => {
                self.be_of(event, stat.czxid);
                self.advance_to(event, stat.version - 1);
                if asked != -1 && asked + 1 != stat.version {
                    self.wrong(event, &format!("version {asked} was asked for"));
                }
            }
            // Nobody was told its Stat; the next read will show whether it fits.
            None => {
                self.appear(event, "set while it is not there");
                self.advance_to(event, asked);
            }
        }
        if let Some(state) = &mut self.state {
            state.version = stat.map_or(state.version + 1, |stat| stat.version);
            state.mzxid = Some(event.zxid);
            state.value = Some(value.to_owned());
        }
    }

    fn read(&mut self, event: &Event, value: &str, stat: &Stat) {
        self.be_of(event, stat.czxid);
        let Some(state) = self.state.clone() else { return };
        // Its writer is known by its data and stands in this order already.
        let fits = state.version == stat.version
            && state.mzxid.is_none_or(|mzxid| mzxid == stat.mzxid)
            && state.value.as_deref().is_none_or(|written| written == value);
        if !fits {
            self.wrong(event, &format!("at that zxid it is {}", state.text()));
            return;
        }
        if let Some(state) = &mut self.state {
            state.mzxid = Some(stat.mzxid);
            state.value = Some(value.to_owned());
        }
    }

    /// It must be the node that was made at this zxid.
    fn be_of(&mut self, event: &Event, czxid: i64) {
        let other = self
            .state
            .as_ref()
            .is_some_and(|state| state.czxid.is_some_and(|known| known != czxid));
        if other {
            self.vanish(event, "of another creation than what is there");
        }
        if self.state.is_none() && czxid <= self.died {
            self.wrong(event, &format!("it was gone at {:#x}", self.died));
        }
        self.appear(event, "there while it cannot be");
        if let Some(state) = &mut self.state {
            state.czxid = Some(czxid);
            if state.version == 0 && state.mzxid.is_none() {
                state.mzxid = Some(czxid);
            }
        }
    }

    /// It must be there: an unanswered create may have made it.
    fn appear(&mut self, event: &Event, complaint: &str) {
        if self.state.is_some() {
            return;
        }
        if !self.explain(event, Kind::Create, 0) {
            self.wrong(event, complaint);
        }
        self.state = Some(State {
            czxid: None,
            version: 0,
            mzxid: None,
            value: None,
        });
    }

    /// It must be gone: an unanswered delete may have done that, or the end of its session.
    fn vanish(&mut self, event: &Event, complaint: &str) {
        self.state = None;
        if let Some(owner) = self.known.owner.filter(|_| !self.known.is_over) {
            let alive = self.history.alive_until.get(&owner).copied().unwrap_or(0);
            if event.zxid > alive {
                return;
            }
        }
        if !self.explain(event, Kind::Delete, -1) {
            self.wrong(event, complaint);
        }
    }

    /// It must be in this version (-1: any): unanswered sets may have brought it there.
    fn advance_to(&mut self, event: &Event, version: i32) {
        let Some(now) = self.state.as_ref().map(|state| state.version) else {
            return;
        };
        if version == -1 {
            return;
        }
        if now > version {
            let text = self.state.as_ref().map(State::text).unwrap_or_default();
            self.wrong(event, &format!("version {version} is over, it is {text}"));
            return;
        }
        for missing in now..version {
            if !self.explain(event, Kind::Set, missing) {
                let text = self.state.as_ref().map(State::text).unwrap_or_default();
                self.wrong(
                    event,
                    &format!("version {} was set by nobody, it is {text}", missing + 1),
                );
                break;
            }
        }
        if let Some(state) = self.state.as_mut().filter(|state| state.version < version) {
            state.version = version;
            state.mzxid = None;
            state.value = None;
        }
    }

    /// Uses up an unanswered write of this kind that was sent before the event was over; one that asked for a version
    /// must have met it. Of several the one that was sent last: the others may have to explain something earlier.
    fn explain(&mut self, event: &Event, kind: Kind, version: i32) -> bool {
        let records = self.history.records;
        let deadline = records[event.record].returned_ns;
        let pool = match kind {
            Kind::Create => &mut self.known.creates,
            Kind::Set => &mut self.known.sets,
            Kind::Delete => &mut self.known.deletes,
        };
        let fits = |(record, asked): &(usize, i32)| {
            let in_time = records[*record].sent_ns < deadline;
            in_time && (kind == Kind::Delete || *asked == -1 || *asked == version)
        };
        let best = pool
            .iter()
            .enumerate()
            .filter(|(_, write)| fits(write))
            .max_by_key(|(_, (record, asked))| (*asked != -1, records[*record].sent_ns))
            .map(|(place, _)| place);
        best.map(|place| pool.swap_remove(place)).is_some()
    }

    fn wrong(&mut self, event: &Event, complaint: &str) {
        let property = match self.known.owner {
            Some(_) => Property::Ephemerals,
            None => Property::State,
        };
        let text = format!(
            "{}: {complaint}: {}",
            self.path,
            describe(&self.history.records[event.record])
        );
        self.history.violation(property, text);
    }
}

impl State {
    fn text(&self) -> String {
        let zxid = |zxid: Option<i64>| zxid.map_or("an unknown zxid".to_owned(), |zxid| format!("{zxid:#x}"));
        format!(
            "version {} of what was made at {}, set at {} to {:?}",
            self.version,
            zxid(self.czxid),
            zxid(self.mzxid),
            self.value
        )
    }
}
