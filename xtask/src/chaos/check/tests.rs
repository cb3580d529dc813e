//! Histories of a store that is right, and what must be found in histories of one that is not.
//!
//! The store is simulated: writes take effect one after the other, servers are behind by random numbers of writes,
//! answers get lost on their way before or after the write took effect.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::history::{Answer, Outcome, Record, Request};
use super::super::plant::Plant;
use super::super::workload::{EPHEMERALS, LOCK, LOCKED, number};
use super::{Property, Report, check};
use crate::interop::client::{Mode, Stat, code};
use crate::random::Random;

const SERVERS: usize = 3;
const CLIENTS: u32 = 5;
const KEYS: [&str; 3] = ["/r/0", "/r/1", "/d/0"];

#[derive(Clone, Debug)]
struct Node {
    value: String,
    stat: Stat,
}

/// A state of all nodes, after the transaction with its zxid.
#[derive(Clone, Debug, Default)]
struct State {
    zxid: i64,
    nodes: BTreeMap<String, Node>,
    folders: BTreeMap<String, Stat>,
}

impl State {
    fn folder(&mut self, path: &str) -> &mut Stat {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
        self.folders.entry(parent).or_default()
    }

    fn apply(&mut self, request: &Request, session: i64) -> Result<Answer, i32> {
        let zxid = self.zxid;
        match request {
            Request::Create { path, value, mode } => {
                let number = self.folder(path).cversion;
                let path = if mode.is_sequential() {
                    format!("{path}{number:010}")
                } else {
                    path.clone()
                };
                if self.nodes.contains_key(&path) {
                    return Err(code::NODE_EXISTS);
                }
                let folder = self.folder(&path);
                folder.cversion += 1;
                folder.pzxid = zxid;
                let stat = Stat {
                    czxid: zxid,
                    mzxid: zxid,
                    ephemeral_owner: if mode.is_ephemeral() { session } else { 0 },
                    ..Stat::default()
                };
                let value = value.clone();
                self.nodes.insert(path.clone(), Node { value, stat });
                Ok(Answer::Created { path, stat: Some(stat) })
            }
            Request::Set { path, value, version } => {
                let node = self.nodes.get_mut(path).ok_or(code::NO_NODE)?;
                if *version != -1 && *version != node.stat.version {
                    return Err(code::BAD_VERSION);
                }
                node.value.clone_from(value);
                node.stat.version += 1;
                node.stat.mzxid = zxid;
                Ok(Answer::Stat(node.stat))
            }
            Request::Delete { path, version } => {
                let node = self.nodes.get(path).ok_or(code::NO_NODE)?;
                if *version != -1 && *version != node.stat.version {
                    return Err(code::BAD_VERSION);
                }
                self.nodes.remove(path);
                let folder = self.folder(path);
                folder.cversion += 1;
                folder.pzxid = zxid;
                Ok(Answer::Nothing)
            }
            Request::Check { path, version } => {
                let node = self.nodes.get(path).ok_or(code::NO_NODE)?;
                if *version != -1 && *version != node.stat.version {
                    return Err(code::BAD_VERSION);
                }
                Ok(Answer::Nothing)
            }
            Request::Multi(parts) => {
                let mut next = self.clone();
                let answers: Result<Vec<_>, _> = parts.iter().map(|part| next.apply(part, session)).collect();
                let answers = answers?;
                *self = next;
                Ok(Answer::Multi(answers))
            }
            Request::Close => {
                self.end(session);
                Ok(Answer::Nothing)
            }
            Request::Get(_) | Request::Children(_) | Request::Sync => self.read(request),
        }
    }

    fn end(&mut self, session: i64) {
        let zxid = self.zxid;
        let own = |(path, node): (&String, &Node)| (node.stat.ephemeral_owner == session).then(|| path.clone());
        let gone: Vec<String> = self.nodes.iter().filter_map(own).collect();
        for path in gone {
            self.nodes.remove(&path);
            self.folder(&path).pzxid = zxid;
        }
    }

    fn read(&self, request: &Request) -> Result<Answer, i32> {
        match request {
            Request::Get(path) => {
                let node = self.nodes.get(path).ok_or(code::NO_NODE)?;
                Ok(Answer::Data {
                    value: node.value.clone(),
                    stat: node.stat,
                })
            }
            Request::Children(folder) => {
                let prefix = format!("{folder}/");
                let names: Vec<String> = self
                    .nodes
                    .keys()
                    .filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned))
                    .collect();
                let stat = Stat {
                    num_children: i32::try_from(names.len()).unwrap(),
                    ..self.folders.get(folder).copied().unwrap_or_default()
                };
                Ok(Answer::Children { names, stat })
            }
            _ => Ok(Answer::Nothing),
        }
    }
}

struct Client {
    id: u32,
    connection: u32,
    session: i64,
    server: usize,
    ephemerals: Vec<String>,
    values: u32,
    plan: VecDeque<Request>,
    records: Vec<Record>,
    /// What is under way, and the steps that it has behind it.
    sent: Option<(u64, Request)>,
    lock: Option<String>,
    versions: BTreeMap<String, i32>,
}

struct World {
    random: Random,
    now_ns: u64,
    sessions: i64,
    states: Vec<State>,
    /// How many states each server has gone through.
    applied: [usize; SERVERS],
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            now_ns: 1,
            sessions: 0,
            states: vec![State::default()],
            applied: [0; SERVERS],
        }
    }

    fn tick(&mut self) -> u64 {
        self.now_ns += 1 + self.random.below(3);
        self.now_ns
    }

    /// Carries a write out; a refused one takes a zxid too.
    fn write(&mut self, request: &Request, session: i64) -> (i64, Result<Answer, i32>) {
        let mut state = self.states[self.states.len() - 1].clone();
        state.zxid += 1;
        let zxid = state.zxid;
        let answer = state.apply(request, session);
        self.states.push(state);
        (zxid, answer)
    }

    fn session(&mut self) -> i64 {
        self.sessions += 1;
        self.sessions
    }
}

impl Client {
    fn new(id: u32, world: &mut World) -> Self {
        Self {
            id,
            connection: 1,
            session: world.session(),
            server: 0,
            ephemerals: Vec::new(),
            values: 0,
            plan: VecDeque::new(),
            records: Vec::new(),
            sent: None,
            lock: None,
            versions: BTreeMap::new(),
        }
    }

    fn value(&mut self) -> String {
        self.values += 1;
        format!("{}-{}", self.id, self.values)
    }

    fn next(&mut self, random: &mut Random) -> Request {
        if let Some(request) = self.plan.pop_front() {
            return request;
        }
        let path = (*random.pick(&KEYS)).to_owned();
        let value = self.value();
        let known = self.versions.get(&path).copied().unwrap_or(0);
        let version = if random.once_in(3) { known } else { -1 };
        match random.below(13) {
            0..3 => Request::Set { path, value, version },
            3 | 4 => Request::Get(path),
            5 => {
                self.plan.push_back(Request::Get(path));
                Request::Sync
            }
            6 if path.starts_with("/d") => Request::Delete { path, version },
            6 | 7 => Request::Create {
                path: "/d/0".to_owned(),
                value,
                mode: Mode::Persistent,
            },
            8 => Request::Create {
                path: format!("/q/{value}-"),
                value,
                mode: Mode::Sequential,
            },
            9 => match self.ephemerals.pop() {
                Some(path) if random.once_in(2) => Request::Delete { path, version: -1 },
                _ => {
                    let path = format!("{EPHEMERALS}/{value}");
                    self.ephemerals.push(path.clone());
                    Request::Create {
                        path,
                        value,
                        mode: Mode::Ephemeral,
                    }
                }
            },
            10 => Request::Children(EPHEMERALS.to_owned()),
            11 => Request::Multi(vec![
                Request::Set {
                    path: KEYS[0].to_owned(),
                    value,
                    version,
                },
                Request::Set {
                    path: KEYS[1].to_owned(),
                    value: self.value(),
                    version: -1,
                },
            ]),
            _ if random.once_in(25) => Request::Close,
            _ if self.lock.is_none() => Request::Create {
                path: format!("{LOCK}/{value}-"),
                value,
                mode: Mode::EphemeralSequential,
            },
            _ => Request::Children(LOCK.to_owned()),
        }
    }

    /// Sends what comes next, or brings what is under way to its end.
    fn step(&mut self, world: &mut World) {
        let Some((sent_ns, request)) = self.sent.take() else {
            let request = self.next(&mut world.random);
            self.sent = Some((world.tick(), request));
            return;
        };
        let lost = world.random.once_in(40);
        // What gets lost on its way to the server is never carried out.
        let outcome = if lost && world.random.once_in(2) {
            Outcome::Unknown
        } else {
            let outcome = self.carry_out(world, &request);
            if lost { Outcome::Unknown } else { outcome }
        };
        let returned_ns = world.tick();
        self.records.push(Record {
            client: self.id,
            connection: self.connection,
            session: self.session,
            server: u8::try_from(self.server).unwrap(),
            sent_ns,
            returned_ns,
            request: request.clone(),
            outcome: outcome.clone(),
        });
        self.learn(world, &request, &outcome);
    }

    fn carry_out(&mut self, world: &mut World, request: &Request) -> Outcome {
        let (zxid, answer) = if request.is_write() {
            let done = world.write(request, self.session);
            world.applied[self.server] = world.states.len() - 1;
            done
        } else {
            let newest = world.states.len() - 1;
            let behind = newest - world.applied[self.server];
            let steps = match request {
                Request::Sync => behind,
                _ => usize::try_from(world.random.below(3)).unwrap().min(behind),
            };
            world.applied[self.server] += steps;
            let state = &world.states[world.applied[self.server]];
            (state.zxid, state.read(request))
        };
        match answer {
            Ok(answer) => Outcome::Done { zxid, answer },
            Err(code) => Outcome::Refused { zxid, code },
        }
    }

    fn learn(&mut self, world: &mut World, request: &Request, outcome: &Outcome) {
        if *outcome == Outcome::Unknown || *request == Request::Close {
            self.connection += 1;
            self.plan.clear();
            // Another server must have all that this session has seen: the one that is furthest has.
            let furthest = (0..SERVERS).max_by_key(|server| world.applied[*server]);
            self.server = furthest.unwrap_or(0);
            let expires = *request != Request::Close && world.random.once_in(2);
            if expires {
                let mut state = world.states[world.states.len() - 1].clone();
                state.zxid += 1;
                state.end(self.session);
                world.states.push(state);
            }
            if expires || *request == Request::Close {
                if *request == Request::Close && *outcome == Outcome::Unknown {
                    let _ = world.write(&Request::Close, self.session);
                }
                self.session = world.session();
                self.ephemerals.clear();
                self.lock = None;
            }
            return;
        }
        match (request, outcome) {
            (
                Request::Get(path),
                Outcome::Done {
                    answer: Answer::Data { stat, .. },
                    ..
                },
            ) => {
                self.versions.insert(path.clone(), stat.version);
            }
            (
                Request::Create {
                    mode: Mode::EphemeralSequential,
                    ..
                },
                Outcome::Done {
                    answer: Answer::Created { path, .. },
                    ..
                },
            ) => {
                self.lock = Some(path.clone());
                self.plan.push_back(Request::Children(LOCK.to_owned()));
            }
            (
                Request::Children(folder),
                Outcome::Done {
                    answer: Answer::Children { names, .. },
                    ..
                },
            ) if folder == LOCK => {
                let first = names.iter().min_by_key(|name| number(name));
                let Some(own) = self.lock.clone() else { return };
                if first.is_some_and(|first| own.ends_with(first.as_str())) {
                    let value = self.value();
                    self.plan.push_back(Request::Multi(vec![
                        Request::Check {
                            path: own.clone(),
                            version: -1,
                        },
                        Request::Set {
                            path: LOCKED.to_owned(),
                            value,
                            version: -1,
                        },
                    ]));
                    self.plan.push_back(Request::Children(LOCK.to_owned()));
                    if world.random.once_in(2) {
                        self.plan.pop_back();
                        self.plan.push_back(Request::Delete { path: own, version: -1 });
                        self.lock = None;
                    }
                }
            }
            _ => {}
        }
    }
}

/// A history of a store that is right.
fn good(seed: u64, steps: u32) -> Vec<Record> {
    let mut world = World::new(seed);
    let mut clients: Vec<Client> = (0..=CLIENTS).map(|id| Client::new(id, &mut world)).collect();
    for path in [LOCKED, KEYS[0], KEYS[1]] {
        let value = clients[0].value();
        clients[0].plan.push_back(Request::Create {
            path: path.to_owned(),
            value,
            mode: Mode::Persistent,
        });
    }
    // Before anything can get lost: a step that loses would lose the node for good.
    while let Some(request) = clients[0].plan.pop_front() {
        let sent_ns = world.tick();
        let outcome = clients[0].carry_out(&mut world, &request);
        let returned_ns = world.tick();
        let session = clients[0].session;
        clients[0].records.push(Record {
            client: 0,
            connection: 1,
            session,
            server: 0,
            sent_ns,
            returned_ns,
            request,
            outcome,
        });
    }
    for _ in 0..steps {
        let client = 1 + usize::try_from(world.random.below(CLIENTS.into())).unwrap();
        clients[client].step(&mut world);
    }
    let mut last = clients.remove(0);
    for client in &mut clients {
        // What is still under way has no end.
        client.plan.clear();
        if client.sent.take().is_none() {
            client.sent = Some((world.tick(), Request::Close));
            client.step(&mut world);
        }
        let session = client.session;
        let _ = world.write(&Request::Close, session);
    }
    for request in [
        Request::Sync,
        Request::Children(EPHEMERALS.to_owned()),
        Request::Children(LOCK.to_owned()),
        Request::Children("/q".to_owned()),
        Request::Get(KEYS[0].to_owned()),
        Request::Get(KEYS[1].to_owned()),
        Request::Get(KEYS[2].to_owned()),
    ] {
        let sent_ns = world.tick();
        let outcome = last.carry_out(&mut world, &request);
        let returned_ns = world.tick();
        last.records.push(Record {
            client: last.id,
            connection: last.connection,
            session: last.session,
            server: 0,
            sent_ns,
            returned_ns,
            request,
            outcome,
        });
    }
    let mut records = last.records;
    records.extend(clients.into_iter().flat_map(|client| client.records));
    records
}

fn properties(report: &Report) -> BTreeSet<Property> {
    report.violations.iter().map(|violation| violation.property).collect()
}

#[test]
fn histories_of_a_right_store_check_out() {
    let mut resolved = 0;
    let mut holds = 0;
    let mut syncs = 0;
    for seed in 0..20 {
        let report = check(&good(seed, 1500));
        let shown: Vec<String> = report.violations.iter().take(5).map(ToString::to_string).collect();
        assert!(report.violations.is_empty(), "seed {seed}: {shown:#?}");
        assert!(report.stale.is_empty(), "seed {seed}: {:?}", report.stale.first());
        resolved += report.resolved;
        holds += report.holds;
        syncs += report.syncs;
    }
    assert!(resolved > 0, "no unanswered write was found out");
    assert!(holds > 0, "nobody held the lock");
    assert!(syncs > 0, "nobody read behind a sync");
}

/// Puts a violation into histories of several seeds; where there is a place for it, it must be found each time.
fn is_found(plant: Plant) {
    let mut placed = 0;
    for seed in 100..112 {
        let mut records = good(seed, 1500);
        let Ok(what) = plant.put(&mut records) else { continue };
        placed += 1;
        let report = check(&records);
        assert!(
            plant.is_found(&report),
            "seed {seed}: {what}: {:?}",
            properties(&report)
        );
    }
    assert!(placed >= 5, "only {placed} histories had a place for it");
}

#[test]
fn a_lost_write_is_found() {
    is_found(Plant::LostWrite);
}

#[test]
fn a_stale_read_behind_a_sync_is_found() {
    is_found(Plant::StaleSync);
}

#[test]
fn writes_in_the_wrong_order_are_found() {
    is_found(Plant::Reorder);
}

#[test]
fn a_read_of_a_refused_write_is_found() {
    is_found(Plant::DirtyRead);
}

#[test]
fn a_read_older_than_its_zxid_is_found() {
    is_found(Plant::StaleRead);
}

#[test]
fn a_session_that_goes_back_is_found() {
    is_found(Plant::SessionBack);
}

#[test]
fn two_writes_with_one_zxid_are_found() {
    is_found(Plant::SameZxid);
}

#[test]
fn an_ephemeral_node_that_goes_too_early_is_found() {
    is_found(Plant::LostEphemeral);
}

#[test]
fn an_ephemeral_node_that_stays_is_found() {
    is_found(Plant::LeftEphemeral);
}

#[test]
fn two_holders_of_the_lock_are_found() {
    is_found(Plant::TwoHolders);
}

#[test]
fn a_lost_sequential_node_is_found() {
    is_found(Plant::LostNode);
}

/// A record of client 1 in session 1.
fn record(sent_ns: u64, request: Request, outcome: Outcome) -> Record {
    Record {
        client: 1,
        connection: 1,
        session: 1,
        server: 1,
        sent_ns,
        returned_ns: sent_ns + 5,
        request,
        outcome,
    }
}

fn stat(czxid: i64, mzxid: i64, version: i32) -> Stat {
    Stat {
        czxid,
        mzxid,
        version,
        ..Stat::default()
    }
}

fn create(sent_ns: u64, zxid: i64) -> Record {
    let request = Request::Create {
        path: "/a".to_owned(),
        value: "created".to_owned(),
        mode: Mode::Persistent,
    };
    let answer = Answer::Created {
        path: "/a".to_owned(),
        stat: Some(stat(zxid, zxid, 0)),
    };
    record(sent_ns, request, Outcome::Done { zxid, answer })
}

fn set(sent_ns: u64, value: &str, outcome: Outcome) -> Record {
    let request = Request::Set {
        path: "/a".to_owned(),
        value: value.to_owned(),
        version: -1,
    };
    record(sent_ns, request, outcome)
}

fn get(sent_ns: u64, zxid: i64, value: &str, stat: Stat) -> Record {
    let answer = Answer::Data {
        value: value.to_owned(),
        stat,
    };
    record(sent_ns, Request::Get("/a".to_owned()), Outcome::Done { zxid, answer })
}

#[test]
fn an_unanswered_write_may_have_been_carried_out_or_not() {
    let both = [get(30, 9, "created", stat(7, 7, 0)), get(30, 9, "maybe", stat(7, 8, 1))];
    for read in both {
        let records = [create(10, 7), set(20, "maybe", Outcome::Unknown), read];
        let report = check(&records);
        assert!(report.violations.is_empty(), "{:?}", report.violations);
    }
}

#[test]
fn an_unanswered_write_explains_one_missing_version_and_no_more() {
    let answer = Answer::Stat(stat(7, 9, 2));
    let last = set(30, "known", Outcome::Done { zxid: 9, answer });
    let records = [create(10, 7), set(20, "maybe", Outcome::Unknown), last.clone()];
    assert!(check(&records).violations.is_empty());
    let records = [create(10, 7), last];
    assert_eq!(properties(&check(&records)), BTreeSet::from([Property::State]));
}

#[test]
fn a_write_that_was_only_read_may_have_come_after_one_that_nobody_saw() {
    let records = [
        create(10, 7),
        set(20, "unseen", Outcome::Unknown),
        set(25, "seen", Outcome::Unknown),
        get(30, 9, "seen", stat(7, 9, 2)),
    ];
    let report = check(&records);
    assert!(report.violations.is_empty(), "{:?}", report.violations);
}

#[test]
fn a_write_that_was_sent_too_late_explains_nothing() {
    let answer = Answer::Stat(stat(7, 9, 2));
    let last = set(20, "known", Outcome::Done { zxid: 9, answer });
    let records = [create(10, 7), last, set(40, "maybe", Outcome::Unknown)];
    assert_eq!(properties(&check(&records)), BTreeSet::from([Property::State]));
}

#[test]
fn an_unanswered_write_is_carried_out_once() {
    let records = [
        create(10, 7),
        set(20, "maybe", Outcome::Unknown),
        get(30, 8, "maybe", stat(7, 8, 1)),
        get(40, 9, "maybe", stat(7, 9, 2)),
    ];
    assert!(properties(&check(&records)).contains(&Property::State));
}

#[test]
fn two_writes_that_made_the_same_version_are_found() {
    let made = |zxid| Outcome::Done {
        zxid,
        answer: Answer::Stat(stat(7, zxid, 1)),
    };
    let records = [create(10, 7), set(20, "one", made(8)), set(30, "two", made(9))];
    assert_eq!(properties(&check(&records)), BTreeSet::from([Property::State]));
}

#[test]
fn a_value_from_nowhere_is_found() {
    let records = [create(10, 7), get(20, 8, "nobody's", stat(7, 8, 1))];
    assert!(properties(&check(&records)).contains(&Property::State));
}

#[test]
fn half_of_a_multi_is_found() {
    let part = |path: &str, value: &str| Request::Set {
        path: path.to_owned(),
        value: value.to_owned(),
        version: -1,
    };
    let multi = Request::Multi(vec![part("/a", "first"), part("/b", "second")]);
    let mut other = create(15, 8);
    other.request = Request::Create {
        path: "/b".to_owned(),
        value: "b".to_owned(),
        mode: Mode::Persistent,
    };
    let mut unchanged = get(50, 9, "b", stat(8, 8, 0));
    unchanged.request = Request::Get("/b".to_owned());
    let records = [
        create(10, 7),
        other,
        record(20, multi, Outcome::Unknown),
        get(40, 9, "first", stat(7, 9, 1)),
        unchanged,
    ];
    assert_eq!(properties(&check(&records)), BTreeSet::from([Property::State]));
}

#[test]
fn a_refusal_that_does_not_fit_is_found() {
    let refused = |code| Outcome::Refused { zxid: 9, code };
    let absent = [create(10, 7), set(20, "x", refused(code::NO_NODE))];
    assert_eq!(properties(&check(&absent)), BTreeSet::from([Property::State]));
    let mut conditional = set(20, "x", refused(code::BAD_VERSION));
    conditional.request = Request::Set {
        path: "/a".to_owned(),
        value: "x".to_owned(),
        version: 0,
    };
    assert_eq!(
        properties(&check(&[create(10, 7), conditional])),
        BTreeSet::from([Property::State])
    );
}
