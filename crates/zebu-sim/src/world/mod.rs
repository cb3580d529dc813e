//! The servers, the network between them, their disks, and what happens when.

mod clients;
mod disk;
mod effects;
mod election;
mod faults;
mod life;
mod quorum;
mod script;
mod sockets;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zebu_node::ConnId;
use zebu_proto::quorum::QuorumConfig;
use zebu_proto::{Epoch, Sid, Zxid};
use zebu_store::sim_disk::SimDisk;
use zebu_store::{EpochFile, StoreError};
use zebu_zab::{LearnerId, Members, Notification};

use self::clients::Client;
use self::quorum::{Conn, Packet};
pub use self::script::Ensemble;
use self::sockets::{Line, ToServer};
use crate::checker::{Checker, Durable};
use crate::random::Random;
use crate::server::{LinkId, Process};
use crate::socket::Told;
use crate::{Bug, Plan, Report, Violation};

/// `tickTime`.
const TICK_MS: u64 = 200;
/// `initLimit`.
const INIT_TICKS: u64 = 20;
/// `syncLimit`.
const SYNC_TICKS: u64 = 10;
/// The longest time between two notifications of a server that looks for a leader.
const REPEAT_MS_MAX: u64 = 2000;
/// Virtual time after which an ensemble without faults must serve (I9): connections that died without a word are noticed
/// within the limits, and an election takes a few repetitions.
const RECOVERY_MS_MAX: u64 = (INIT_TICKS + SYNC_TICKS) * TICK_MS + 3 * REPEAT_MS_MAX;
type Outcome<T> = Result<T, Violation>;

/// A server and its disk; the process may be down.
struct Server {
    sid: Sid,
    is_observer: bool,
    disk: SimDisk,
    process: Option<Process>,
    /// Counts the processes, so that what was meant for an earlier one does not reach a later one.
    generation: u64,
    paused_until: u64,
    /// By how much its clock is ahead of the world's, milliseconds.
    clock_ahead: u64,
    /// By how much more its wall clock is ahead; that one may be set back.
    wall_ahead: i64,
    /// Whether it ever had a history that it could vote with.
    was_trusted: bool,
    /// Whether it has served since its disk was emptied, if that happened.
    is_refilled: bool,
    /// What it has promised.
    durable: Durable,
}

/// A process of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    server: usize,
    generation: u64,
}

enum Event {
    Start(usize),
    Wake(usize, u64),
    Flush(usize, u64),
    /// With the number of the role for which it is.
    SaveEpoch(Side, u64, EpochFile, Epoch),
    Notify {
        from: usize,
        to: usize,
        notification: Notification,
    },
    Unreachable {
        at: usize,
        sid: Sid,
    },
    Dial {
        from: Side,
        leader: Sid,
        tries_left: u32,
    },
    Deliver(LinkId, Packet),
    /// The other end has closed the connection, or is gone.
    Lost(LinkId, Side),
    /// What was asked for of the log is read.
    ReadLog {
        side: Side,
        learner: LearnerId,
        after: Zxid,
        until: Zxid,
    },
    /// A tree is sent later than it should be ([`Bug::NewLeaderBeforeTree`]).
    SendTree(Side, LearnerId),
    /// A server does what follows from what has arrived.
    Turn(Side),
    /// Something arrives at a server from a client, and the other way round.
    ClientSays(ConnId, ToServer),
    ServerSays(ConnId, Told),
    /// A client sees whether it has to do something.
    Client(usize),
    Request,
    Fault,
    /// A disk that was full has room again.
    Room(usize),
}

/// A whole ensemble.
pub(crate) struct World {
    random: Random,
    plan: Plan,
    now: u64,
    serial: u64,
    queue: BTreeMap<(u64, u64), Event>,
    servers: Vec<Server>,
    members: Members,
    conns: BTreeMap<LinkId, Conn>,
    /// Ordered pairs between which nothing arrives.
    blocked: BTreeSet<(usize, usize)>,
    /// The last notification from one server to another, which a new connection repeats; and whether there is a connection.
    links: BTreeMap<(usize, usize), (Option<Notification>, bool)>,
    /// When each server's next wake-up is due.
    wakes: BTreeMap<usize, u64>,
    clients: Vec<Client>,
    /// The connections of clients.
    lines: BTreeMap<ConnId, Line>,
    /// The number of the last request that nobody's connection waits for.
    operator_xid: i32,
    /// Since when everybody serves, and no fault happens any more.
    steady_since: Option<u64>,
    /// Counts what servers were told.
    acts: u64,
    checker: Checker,
    report: Report,
    is_healed: bool,
    /// Whether clients still want something.
    has_clients: bool,
    /// After how many more packets from its leader a learner loses its connection.
    cut_after: Option<(usize, u64)>,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        let mut random = Random::new(seed);
        let count = plan.voters + plan.observers;
        let mut config = QuorumConfig::default();
        for number in 1..=count {
            let role = if number > plan.voters { ":observer" } else { "" };
            let line = format!("127.0.0.1:{}:{}{role}", 2000 + number, 3000 + number);
            config
                .add(&format!("server.{number}"), &line)
                .unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        add_groups(&mut config, plan.groups);
        let servers = (1..=count)
            .map(|number| Server {
                sid: Sid(i64::try_from(number).unwrap_or(i64::MAX)),
                is_observer: number > plan.voters,
                disk: SimDisk::new(random.next()),
                process: None,
                generation: 0,
                paused_until: 0,
                clock_ahead: 0,
                wall_ahead: 0,
                was_trusted: false,
                is_refilled: true,
                durable: Durable::default(),
            })
            .collect();
        let mut world = Self {
            random,
            plan,
            now: 1000,
            serial: 0,
            queue: BTreeMap::new(),
            servers,
            members: Members::new(Arc::new(config)),
            conns: BTreeMap::new(),
            blocked: BTreeSet::new(),
            links: BTreeMap::new(),
            wakes: BTreeMap::new(),
            clients: Vec::new(),
            lines: BTreeMap::new(),
            operator_xid: 0,
            steady_since: None,
            acts: 0,
            checker: Checker::default(),
            report: Report::default(),
            is_healed: false,
            has_clients: true,
            cut_after: None,
        };
        for server in 0..world.servers.len() {
            let delay = world.random.below(500);
            world.at(delay, Event::Start(server));
        }
        for number in 0..plan.clients {
            world.add_client(None);
            world.clients[number].acts_alone = true;
        }
        world.at(500, Event::Request);
        world.at(1000, Event::Fault);
        world
    }

    /// Lets faults happen for a while, then none, and sees that everybody comes to serve the same.
    pub(crate) fn run(mut self) -> Outcome<Report> {
        let end = self.now + self.plan.faulty_ms;
        while self.now < end {
            self.step()?;
        }
        self.recover()
    }

    /// Ends all faults, and sees that everybody comes to serve the same, and has it on disk.
    fn recover(&mut self) -> Outcome<Report> {
        self.heal();
        let awake = self.servers.iter().map(|server| server.paused_until).max().unwrap_or(0);
        while self.now < awake {
            self.step()?;
        }
        let healed_at = self.now;
        self.run_until(RECOVERY_MS_MAX, Self::all_serve)?;
        self.report.recovery_ms = self.now - healed_at;
        self.steady_since = Some(self.now);
        // A while of ordinary work.
        let quiet = self.now + 2000;
        while self.now < quiet {
            self.step()?;
        }
        self.has_clients = false;
        self.run_until(RECOVERY_MS_MAX, Self::is_at_rest)?;
        self.report.committed = self.checker.committed().len() as u64;
        self.report.acknowledged = self.checker.acknowledged();
        self.check_end()?;
        Ok(self.report)
    }

    /// Goes on until something is so, which has to be within a time.
    fn run_until(&mut self, ms_max: u64, is_so: impl Fn(&Self) -> bool) -> Outcome<()> {
        let deadline = self.now + ms_max;
        while !is_so(self) {
            if self.now > deadline {
                return Err(self.violation(format!("no progress without faults (I9): {}", self.describe())));
            }
            self.step()?;
        }
        Ok(())
    }

    /// Everybody has everything, in memory and on disk.
    fn check_end(&mut self) -> Outcome<()> {
        for index in 0..self.servers.len() {
            let sid = self.servers[index].sid;
            let process = self.process(index);
            let states = process.states();
            let expected = self.checker.state();
            match states {
                Ok([_, live]) if live != expected => {
                    let what = format!("server {sid} ends with {live:x?}, and not with {expected:x?} (I3)");
                    return Err(self.violation(what));
                }
                Ok([loaded, live]) if loaded == live => {}
                Ok(states) => {
                    return Err(self.violation(format!("server {sid}: on disk and in memory are {states:x?} (I11)")));
                }
                Err(error) => return Err(self.violation(format!("server {sid}: {error} (I11)"))),
            }
        }
        Ok(())
    }

    const fn has(&self, bug: Bug) -> bool {
        match self.plan.bug {
            Some(present) => present as u8 == bug as u8,
            None => false,
        }
    }

    fn violation(&self, what: String) -> Violation {
        if self.plan.is_traced {
            println!("{:>7} violation: {what}", self.now);
        }
        let at_ms = Some(self.now);
        Violation { what, at_ms }
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for server in &self.servers {
            let state = server.process.as_ref().map_or_else(
                || "down".to_owned(),
                |process| {
                    format!(
                        "{:?} serving {:?} at {}",
                        process.peer.state(),
                        process.serving,
                        process.tree().last_zxid()
                    )
                },
            );
            text += &format!("[{}: {state}] ", server.sid);
        }
        text
    }

    /// Whether everybody serves in the same epoch, and no connection is dead without anybody having noticed.
    fn all_serve(&self) -> bool {
        let mut epochs = self
            .servers
            .iter()
            .map(|server| server.process.as_ref().and_then(|process| process.serving));
        epochs
            .next()
            .flatten()
            .is_some_and(|first| epochs.all(|epoch| epoch == Some(first)))
            && self
                .servers
                .iter()
                .filter_map(|server| server.process.as_ref()?.leader)
                .all(|conn| self.is_whole(conn))
    }

    /// Whether nothing is on its way any more.
    fn is_at_rest(&self) -> bool {
        let last = self.checker.committed().last().copied().unwrap_or(Zxid::ZERO);
        self.all_serve()
            && self.servers.iter().all(|server| {
                server
                    .process
                    .as_ref()
                    .is_some_and(|process| process.is_at_rest() && process.tree().last_zxid() >= last)
            })
            && self.clients.iter().all(|client| !client.waits())
    }

    fn trace(&self, index: usize, what: impl FnOnce() -> String) {
        if self.plan.is_traced {
            println!("{:>7} {} {}", self.now, self.servers[index].sid, what());
        }
    }

    fn at(&mut self, delay_ms: u64, event: Event) {
        self.serial += 1;
        self.queue.insert((self.now + delay_ms, self.serial), event);
    }

    fn step(&mut self) -> Outcome<()> {
        let Some(((time, serial), event)) = self.queue.pop_first() else {
            self.now += 1000;
            return Ok(());
        };
        self.now = self.now.max(time);
        let handler = match &event {
            Event::Start(_)
            | Event::Request
            | Event::Fault
            | Event::Room(_)
            | Event::Client(_)
            | Event::ServerSays(..) => None,
            Event::Turn(side) => Some(side.server),
            Event::ClientSays(conn, _) => self.lines.get(conn).map(|line| line.server.server),
            Event::Wake(server, _) | Event::Flush(server, _) => Some(*server),
            Event::SaveEpoch(side, ..) | Event::SendTree(side, _) | Event::ReadLog { side, .. } => Some(side.server),
            Event::Notify { to, .. } => Some(*to),
            Event::Unreachable { at, .. } => Some(*at),
            Event::Dial { from, .. } => Some(from.server),
            Event::Deliver(conn, packet) => self.conns.get(conn).map(|conn| conn.receiver(packet).server),
            Event::Lost(_, side) => Some(side.server),
        };
        if let Some(server) = handler {
            let paused_until = self.servers[server].paused_until;
            if paused_until > self.now {
                // In the same order as before: nothing overtakes anything on a connection.
                self.queue.insert((paused_until, serial), event);
                return Ok(());
            }
        }
        self.checker.set_time(self.now);
        self.handle(event)
    }

    fn handle(&mut self, event: Event) -> Outcome<()> {
        match event {
            Event::Start(server) => self.start(server),
            Event::Wake(server, generation) => {
                if self.wakes.get(&server).is_some_and(|at| *at <= self.now) {
                    self.wakes.remove(&server);
                }
                self.turn(Side { server, generation })
            }
            Event::Flush(server, generation) => self.flush(server, generation),
            Event::SaveEpoch(side, role, file, epoch) => self.save_epoch(side, role, file, epoch),
            Event::Notify { from, to, notification } => self.notify(from, to, notification),
            Event::Unreachable { at, sid } => {
                let generation = self.servers[at].generation;
                self.act(at, generation, |peer, now, out| peer.unreachable(sid, now, out))
            }
            Event::Dial {
                from,
                leader,
                tries_left,
            } => self.dial(from, leader, tries_left),
            Event::Deliver(conn, packet) => self.deliver(conn, packet),
            Event::Lost(conn, side) => self.lost(conn, side),
            Event::ReadLog {
                side,
                learner,
                after,
                until,
            } => self.read_log(side, learner, after, until),
            Event::SendTree(side, learner) => {
                let sent = self.send_tree(side, learner);
                self.heed(side.server, sent).map(|_| ())
            }
            Event::Turn(side) => self.turn(side),
            Event::ClientSays(conn, said) => self.client_says(conn, said),
            Event::ServerSays(conn, told) => self.server_says(conn, told),
            Event::Client(client) => self.client_wakes(client),
            Event::Request => self.request(),
            Event::Fault => self.fault(),
            Event::Room(server) => {
                self.servers[server].disk.set_capacity(None);
                Ok(())
            }
        }
    }

    fn process(&mut self, index: usize) -> &mut Process {
        match &mut self.servers[index].process {
            Some(process) => process,
            None => unreachable!("effects come from a process that is up"),
        }
    }

    /// The process that a server has, or had last.
    fn side(&self, server: usize) -> Side {
        let generation = self.servers[server].generation;
        Side { server, generation }
    }

    /// The process that `side` means, if it is still there.
    fn process_of(&mut self, side: Side) -> Option<&mut Process> {
        let server = &mut self.servers[side.server];
        server.process.as_mut().filter(|_| server.generation == side.generation)
    }
}

/// Puts voters into groups, with their weights.
fn add_groups(config: &mut QuorumConfig, groups: &[&[u64]]) {
    let mut sid = 0;
    for (number, weights) in (1..).zip(groups) {
        let mut members = Vec::new();
        for weight in *weights {
            sid += 1;
            members.push(sid.to_string());
            config
                .add(&format!("weight.{sid}"), &weight.to_string())
                .unwrap_or_else(|error| panic!("weight.{sid}: {error}"));
        }
        config
            .add(&format!("group.{number}"), &members.join(":"))
            .unwrap_or_else(|error| panic!("group.{number}: {error}"));
    }
}

/// What keeps a server from going on.
enum Stop {
    Disk(StoreError),
    Violation(Violation),
    /// It was told to end, and has.
    Ended,
}
