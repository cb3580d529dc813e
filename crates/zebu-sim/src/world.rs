//! The servers, the network between them, their disks, and what happens when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use zebu_proto::quorum::QuorumConfig;
use zebu_proto::txn::{CreateTxn, CreateTxnKind, Txn, TxnHeader, TxnRecord};
use zebu_proto::{AclList, Epoch, Millis, OpCode, SessionId, Sid, Value, WallMillis, Xid, Zxid};
use zebu_store::sim_disk::{Fault, SimDisk};
use zebu_store::{EpochFile, StoreError};
use zebu_zab::{
    Effect, ElectionTimes, LeaderEffect, LearnerEffect, LearnerId, Members, Notification, Outgoing, Peer, PeerConfig,
    Proposal, Times, ToLeader, ToLearner,
};

use crate::checker::Checker;
use crate::random::Random;
use crate::server::{ConnId, Dump, Process};
use crate::{Canary, Plan, Report, Violation};

/// Virtual time after which an ensemble without faults must serve.
const RECOVERY_MS_MAX: u64 = 240_000;
/// `tickTime`.
const TICK_MS: u64 = 200;

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
}

/// A connection on the quorum port.
struct Conn {
    leader: Side,
    learner: Side,
    learner_id: LearnerId,
    /// Nothing arrives any more, and nobody is told.
    is_broken: bool,
    /// When the last message arrives, to the leader and to the learner: nothing overtakes it.
    last: [u64; 2],
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Side {
    server: usize,
    generation: u64,
}

/// What goes over a connection.
#[derive(Clone)]
enum Packet {
    ToLeader(ToLeader),
    ToLearner(ToLearner),
    Snapshot(Dump),
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
    Deliver(ConnId, Packet),
    /// The other end has closed the connection, or is gone.
    Lost(ConnId, Side),
    Client,
    Fault,
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
    conns: BTreeMap<ConnId, Conn>,
    /// Ordered pairs between which nothing arrives.
    blocked: BTreeSet<(usize, usize)>,
    /// The last notification from one server to another, which a new connection repeats; and whether there is a connection.
    links: BTreeMap<(usize, usize), (Option<Notification>, bool)>,
    /// When each server's next wake-up is due.
    wakes: BTreeMap<usize, u64>,
    checker: Checker,
    report: Report,
    is_healed: bool,
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
        let servers = (1..=count)
            .map(|number| {
                let disk = SimDisk::new(random.next());
                disk.set_tear(zebu_store::sim_disk::Tear::default());
                Server {
                    sid: Sid(i64::try_from(number).unwrap_or(i64::MAX)),
                    is_observer: number > plan.voters,
                    disk,
                    process: None,
                    generation: 0,
                    paused_until: 0,
                }
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
            checker: Checker::default(),
            report: Report::default(),
            is_healed: false,
        };
        for server in 0..world.servers.len() {
            let delay = world.random.below(500);
            world.at(delay, Event::Start(server));
        }
        world.at(500, Event::Client);
        world.at(1000, Event::Fault);
        world
    }

    /// Lets faults happen for a while, then none, and sees that everybody comes to serve the same.
    pub(crate) fn run(mut self) -> Outcome<Report> {
        let end = self.now + self.plan.faulty_ms;
        while self.now < end {
            self.step()?;
        }
        self.heal();
        let deadline = self.now + RECOVERY_MS_MAX;
        let quiet = self.now + 2000;
        while self.now < quiet || !self.is_converged() {
            if self.now > deadline {
                return Err(self.violation(format!("no progress without faults: {}", self.describe())));
            }
            self.step()?;
        }
        self.report.committed = self.checker.committed().len() as u64;
        self.report.acknowledged = self.checker.acknowledged();
        for server in &self.servers {
            let history = server.process.as_ref().map(Process::history).unwrap_or_default();
            if history != self.checker.committed() {
                return Err(self.violation(format!("server {} ends with another history", server.sid)));
            }
        }
        Ok(self.report)
    }

    fn violation(&self, what: String) -> Violation {
        if self.plan.is_traced {
            println!("{:>7} violation: {what}", self.now);
        }
        Violation { what, at_ms: self.now }
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
                        process.tree.last_zxid()
                    )
                },
            );
            text += &format!("[{}: {state}] ", server.sid);
        }
        text
    }

    fn is_converged(&self) -> bool {
        let mut epochs = self
            .servers
            .iter()
            .map(|server| server.process.as_ref().and_then(|process| process.serving));
        let Some(Some(first)) = epochs.next() else { return false };
        let last = self.checker.committed().last().copied().unwrap_or(Zxid::ZERO);
        epochs.all(|epoch| epoch == Some(first))
            && self.servers.iter().all(|server| {
                server
                    .process
                    .as_ref()
                    .is_some_and(|process| process.unapplied.is_empty() && process.tree.last_zxid() >= last)
            })
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
        let Some(((time, _), event)) = self.queue.pop_first() else {
            self.now += 1000;
            return Ok(());
        };
        self.now = self.now.max(time);
        let handler = match &event {
            Event::Start(_) | Event::Client | Event::Fault => None,
            Event::Wake(server, _) | Event::Flush(server, _) => Some(*server),
            Event::SaveEpoch(side, ..) => Some(side.server),
            Event::Notify { to, .. } => Some(*to),
            Event::Unreachable { at, .. } => Some(*at),
            Event::Dial { from, .. } => Some(from.server),
            Event::Deliver(conn, packet) => self.conns.get(conn).map(|conn| match packet {
                Packet::ToLeader(_) => conn.leader.server,
                _ => conn.learner.server,
            }),
            Event::Lost(_, side) => Some(side.server),
        };
        if let Some(server) = handler {
            let paused_until = self.servers[server].paused_until;
            if paused_until > self.now {
                self.at(paused_until - self.now, event);
                return Ok(());
            }
        }
        self.handle(event)
    }

    fn handle(&mut self, event: Event) -> Outcome<()> {
        match event {
            Event::Start(server) => self.start(server),
            Event::Wake(server, generation) => {
                if self.wakes.get(&server).is_some_and(|at| *at <= self.now) {
                    self.wakes.remove(&server);
                }
                self.act(server, generation, |peer, now, out| peer.tick(now, out))
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
            Event::Client => self.client(),
            Event::Fault => self.fault(),
        }
    }

    // Processes.

    fn start(&mut self, index: usize) -> Outcome<()> {
        let server = &mut self.servers[index];
        if server.process.is_some() {
            return Ok(());
        }
        let config = PeerConfig {
            sid: server.sid,
            members: self.members.clone(),
            is_observer: server.is_observer,
            times: Times {
                tick_ms: TICK_MS,
                init_limit: 20,
                sync_limit: 10,
            },
            election: ElectionTimes {
                repeat_ms_max: 5000,
                ..ElectionTimes::default()
            },
            is_untrusted: false,
        };
        server.generation += 1;
        match Process::start(&server.disk, config) {
            Ok(process) => {
                let last_zxid = process.tree.last_zxid();
                let own = process.peer.own();
                let generation = server.generation;
                server.process = Some(process);
                self.report.starts += 1;
                self.trace(index, || format!("up: {own:?}"));
                self.act(index, generation, |peer, now, out| {
                    peer.settled(last_zxid, None, now, out);
                })
            }
            Err(error) => self.died(index, &error),
        }
    }

    /// The disk has failed: the process is over. With a disk that is well this is a fault of the program.
    fn died(&mut self, index: usize, error: &StoreError) -> Outcome<()> {
        if !self.servers[index].disk.has_crashed() {
            return Err(self.violation(format!("server {}: {error}", self.servers[index].sid)));
        }
        self.down(index, true);
        let delay = self.random.between(10, 3000);
        self.at(delay, Event::Start(index));
        Ok(())
    }

    /// Ends a process. With the power off, what is not synced may be lost.
    fn down(&mut self, index: usize, is_power_failure: bool) {
        self.trace(index, || format!("down, power failure: {is_power_failure}"));
        let server = &mut self.servers[index];
        let was_up = server.process.take().is_some();
        server.paused_until = 0;
        if is_power_failure {
            server.disk.restart();
        } else if was_up {
            server.disk.kill();
        }
        let generation = server.generation;
        server.generation += 1;
        self.wakes.remove(&index);
        let side = Side {
            server: index,
            generation,
        };
        self.close_all(side);
        for ((from, to), (_, is_connected)) in &mut self.links {
            if *from == index || *to == index {
                *is_connected = false;
            }
        }
    }

    /// Closes every connection of a process and tells those at their other ends.
    fn close_all(&mut self, side: Side) {
        let ids: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.leader == side || conn.learner == side)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.close(id, side);
        }
    }

    fn close(&mut self, id: ConnId, by: Side) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let other = if conn.leader == by { conn.learner } else { conn.leader };
        let is_broken = std::mem::replace(&mut conn.is_broken, true);
        if !is_broken && !self.blocked.contains(&(by.server, other.server)) {
            let delay = self.random.between(1, 10);
            self.at(delay, Event::Lost(id, other));
        }
    }

    /// Lets a server do something, and carries out what it wants done.
    fn act(
        &mut self,
        index: usize,
        generation: u64,
        act: impl FnOnce(&mut Peer, Millis, &mut Vec<Effect>),
    ) -> Outcome<()> {
        let now = Millis(self.now);
        let mut effects = Vec::new();
        {
            let server = &mut self.servers[index];
            if server.generation != generation {
                return Ok(());
            }
            let Some(process) = &mut server.process else {
                return Ok(());
            };
            act(&mut process.peer, now, &mut effects);
        }
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            let mut more = Vec::new();
            match self.carry_out(index, effect, &mut more) {
                Ok(()) => queue.extend(more),
                Err(Stop::Disk(error)) => return self.died(index, &error),
                Err(Stop::Violation(violation)) => return Err(violation),
            }
        }
        self.schedule_wake(index);
        Ok(())
    }

    fn schedule_wake(&mut self, index: usize) {
        let server = &self.servers[index];
        let deadline = server.process.as_ref().and_then(|process| process.peer.deadline());
        let Some(Millis(deadline)) = deadline else { return };
        let at = deadline.max(self.now + 1);
        if self
            .wakes
            .get(&index)
            .is_none_or(|before| *before > at || *before <= self.now)
        {
            self.wakes.insert(index, at);
            let generation = server.generation;
            self.at(at - self.now, Event::Wake(index, generation));
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect, more: &mut Vec<Effect>) -> Result<(), Stop> {
        let now = Millis(self.now);
        let generation = self.servers[index].generation;
        let side = Side {
            server: index,
            generation,
        };
        self.trace(index, || format!("{effect:?}"));
        match effect {
            Effect::Notify(Outgoing { to, notification }) => self.send_notification(index, to, notification),
            Effect::Open => self.process(index).is_open = true,
            Effect::Settle { must_reload, .. } => {
                self.close_all(side);
                let process = self.process(index);
                let reloaded = process.settle(must_reload).map_err(Stop::Disk)?;
                let last = process.tree.last_zxid();
                process.peer.settled(last, reloaded, now, more);
                self.report.settles += 1;
            }
            Effect::Lead(effect) => self.lead(side, effect, more)?,
            Effect::Learn(effect) => self.learn(side, effect, more)?,
        }
        Ok(())
    }

    fn process(&mut self, index: usize) -> &mut Process {
        match &mut self.servers[index].process {
            Some(process) => process,
            None => unreachable!("effects come from a process that is up"),
        }
    }

    fn lead(&mut self, side: Side, effect: LeaderEffect, _more: &mut [Effect]) -> Result<(), Stop> {
        let index = side.server;
        match effect {
            LeaderEffect::SaveAcceptedEpoch(epoch) => self.schedule_epoch(side, EpochFile::Accepted, epoch),
            LeaderEffect::SaveCurrentEpoch(epoch) => self.schedule_epoch(side, EpochFile::Current, epoch),
            LeaderEffect::Send(learner, message) => {
                self.count(&message);
                self.send_to_learner(index, learner, Packet::ToLearner(message));
            }
            LeaderEffect::SendSnapshot(learner) => {
                self.report.snapshots += 1;
                let dump = self.process(index).dump();
                self.send_to_learner(index, learner, Packet::Snapshot(dump));
            }
            LeaderEffect::Close(learner, _) => {
                if let Some(conn) = self.process(index).learners.remove(&learner) {
                    self.close(conn, side);
                }
            }
            LeaderEffect::Established(epoch) => {
                self.process(index).serving = Some(epoch);
                let history = self.process(index).history();
                let sid = self.servers[index].sid;
                self.check(|checker| checker.established(epoch, sid, history))?;
                self.report.epochs += 1;
            }
            LeaderEffect::Commit(zxid) => {
                let process = self.process(index);
                process.apply(zxid);
                let count = process.history().len();
                self.check(|checker| checker.committed_by_leader(zxid, count))?;
            }
            LeaderEffect::Synced(_) | LeaderEffect::Resign(_) => {}
        }
        Ok(())
    }

    fn learn(&mut self, side: Side, effect: LearnerEffect, more: &mut Vec<Effect>) -> Result<(), Stop> {
        let index = side.server;
        let now = Millis(self.now);
        match effect {
            LearnerEffect::Connect(leader) => {
                if let Some(conn) = self.process(index).leader.take() {
                    self.close(conn, side);
                }
                let delay = self.random.between(1, 10);
                let dial = Event::Dial {
                    from: side,
                    leader,
                    tries_left: 5,
                };
                self.at(delay, dial);
            }
            LearnerEffect::Send(message) => {
                if let Some(conn) = self.process(index).leader {
                    self.send(conn, side, Packet::ToLeader(message));
                }
            }
            LearnerEffect::SaveAcceptedEpoch(epoch) => self.schedule_epoch(side, EpochFile::Accepted, epoch),
            LearnerEffect::SaveCurrentEpoch(epoch) => self.schedule_epoch(side, EpochFile::Current, epoch),
            LearnerEffect::Truncate(zxid) => {
                let process = self.process(index);
                let last = process.truncate(zxid).map_err(Stop::Disk)?;
                process.peer.truncated(zxid, last, now, more);
            }
            LearnerEffect::LoadSnapshot => {
                let process = self.process(index);
                let zxid = process.loaded.as_ref().map_or(Zxid::ZERO, |dump| dump.zxid);
                process.peer.snapshot_loaded(zxid, now, more);
            }
            LearnerEffect::AnnounceEpoch(epoch) => {
                self.process(index).store.announce_epoch(epoch).map_err(Stop::Disk)?;
            }
            LearnerEffect::InstallSnapshot(_) => {
                let process = self.process(index);
                process.install().map_err(Stop::Disk)?;
                process.peer.snapshot_installed(more);
                self.report.installs += 1;
            }
            LearnerEffect::Append(proposal) => {
                self.process(index).append(&proposal).map_err(Stop::Disk)?;
                self.schedule_flush(side);
            }
            LearnerEffect::Commit(zxid) => {
                let process = self.process(index);
                process.apply(zxid);
                let count = process.history().len();
                self.check(|checker| checker.committed_by_learner(zxid, count))?;
            }
            LearnerEffect::Serve(epoch) => {
                let process = self.process(index);
                process.serving = Some(epoch);
                let history = process.history();
                let sid = self.servers[index].sid;
                self.check(|checker| checker.serves(sid, &history))?;
            }
            LearnerEffect::Leave(_) => {}
        }
        Ok(())
    }

    fn check(&mut self, check: impl FnOnce(&mut Checker) -> Result<(), String>) -> Result<(), Stop> {
        check(&mut self.checker).map_err(|what| Stop::Violation(Violation { what, at_ms: self.now }))
    }

    const fn count(&mut self, message: &ToLearner) {
        match message {
            ToLearner::Diff { .. } => self.report.diffs += 1,
            ToLearner::Trunc { .. } => self.report.truncations += 1,
            _ => {}
        }
    }

    // The disk.

    fn schedule_flush(&mut self, side: Side) {
        if !std::mem::replace(&mut self.process(side.server).is_flushing, true) {
            let delay = self.random.between(1, 15);
            self.at(delay, Event::Flush(side.server, side.generation));
        }
    }

    fn flush(&mut self, index: usize, generation: u64) -> Outcome<()> {
        let canary = self.plan.canary;
        let server = &mut self.servers[index];
        let Some(process) = server.process.as_mut().filter(|_| server.generation == generation) else {
            return Ok(());
        };
        process.is_flushing = false;
        if canary == Some(Canary::AckBeforeFlush) {
            let Some(last) = process.unflushed.back().copied() else {
                return Ok(());
            };
            return self.act(index, generation, |peer, _, out| peer.flushed(last, out));
        }
        match process.flush() {
            Ok(None) => Ok(()),
            Ok(Some(last)) => self.act(index, generation, |peer, _, out| peer.flushed(last, out)),
            Err(error) => self.died(index, &error),
        }
    }

    fn schedule_epoch(&mut self, side: Side, file: EpochFile, epoch: Epoch) {
        let delay = self.random.between(1, 15);
        let role = self.process(side.server).roles;
        self.at(delay, Event::SaveEpoch(side, role, file, epoch));
    }

    fn save_epoch(&mut self, side: Side, role: u64, file: EpochFile, epoch: Epoch) -> Outcome<()> {
        let canary = self.plan.canary;
        let (index, generation) = (side.server, side.generation);
        let server = &mut self.servers[index];
        let process = server.process.as_mut().filter(|_| server.generation == generation);
        // What an earlier role wanted and had not begun is not done any more.
        if process.is_none_or(|process| process.roles != role) {
            return Ok(());
        }
        let is_skipped = canary == Some(Canary::EpochNotSaved) && file == EpochFile::Current;
        self.trace(index, || format!("saves {file:?} {epoch}"));
        let process = self.process(index);
        if !is_skipped && let Err(error) = process.save_epoch(file, epoch) {
            return self.died(index, &error);
        }
        self.act(index, generation, |peer, now, out| match file {
            EpochFile::Accepted => peer.accepted_epoch_saved(epoch, now, out),
            EpochFile::Current => peer.current_epoch_saved(epoch, now, out),
        })
    }

    // The election port.

    fn index_of(&self, sid: Sid) -> Option<usize> {
        self.servers.iter().position(|server| server.sid == sid)
    }

    fn delay(&mut self) -> u64 {
        if self.random.once_in(50) && !self.is_healed {
            self.random.between(50, 800)
        } else {
            self.random.between(1, 8)
        }
    }

    fn send_notification(&mut self, from: usize, to: Sid, notification: Notification) {
        let Some(to) = self.index_of(to) else { return };
        self.links.entry((from, to)).or_insert((None, false)).0 = Some(notification);
        let delay = self.delay();
        let notify = Event::Notify { from, to, notification };
        self.at(delay, notify);
    }

    fn notify(&mut self, from: usize, to: usize, notification: Notification) -> Outcome<()> {
        let sid = self.servers[from].sid;
        if self.blocked.contains(&(from, to)) {
            for pair in [(from, to), (to, from)] {
                self.links.entry(pair).or_insert((None, false)).1 = false;
            }
            return Ok(());
        }
        if self.servers[to].process.is_none() {
            let sid = self.servers[to].sid;
            let delay = self.random.between(1, 5);
            self.at(delay, Event::Unreachable { at: from, sid });
            return Ok(());
        }
        // A connection that is made anew repeats what was said last, in both directions.
        for pair in [(from, to), (to, from)] {
            let (last, is_connected) = self.links.entry(pair).or_insert((None, false));
            if !std::mem::replace(is_connected, true)
                && let Some(notification) = *last
                && pair == (to, from)
                && self.servers[to].process.is_some()
            {
                let delay = self.random.between(1, 8);
                let notify = Event::Notify {
                    from: to,
                    to: from,
                    notification,
                };
                self.at(delay, notify);
            }
        }
        let generation = self.servers[to].generation;
        self.act(to, generation, |peer, now, out| {
            peer.notified(sid, &notification, now, out);
        })
    }

    // The quorum port.

    fn dial(&mut self, from: Side, leader: Sid, tries_left: u32) -> Outcome<()> {
        let Side { server, generation } = from;
        if self.servers[server].generation != generation {
            return Ok(());
        }
        let still_wants = self.servers[server]
            .process
            .as_ref()
            .is_some_and(|process| process.leader.is_none() && process.peer.as_learner().is_some());
        if !still_wants {
            return Ok(());
        }
        let target = self.index_of(leader);
        let is_open = target.is_some_and(|target| {
            !self.blocked.contains(&(server, target))
                && !self.blocked.contains(&(target, server))
                && self.servers[target]
                    .process
                    .as_ref()
                    .is_some_and(|process| process.is_open)
        });
        let (Some(target), true) = (target, is_open) else {
            if tries_left > 1 {
                let dial = Event::Dial {
                    from,
                    leader,
                    tries_left: tries_left - 1,
                };
                self.at(100, dial);
                return Ok(());
            }
            return self.act(server, generation, |peer, _, out| peer.leader_lost(out));
        };
        self.serial += 1;
        let (id, learner_id) = (ConnId(self.serial), LearnerId(self.serial));
        let leader = Side {
            server: target,
            generation: self.servers[target].generation,
        };
        let conn = Conn {
            leader,
            learner: from,
            learner_id,
            is_broken: false,
            last: [self.now; 2],
        };
        self.conns.insert(id, conn);
        self.process(target).learners.insert(learner_id, id);
        self.process(server).leader = Some(id);
        self.act(target, leader.generation, |peer, now, out| {
            peer.learner_connected(learner_id, now, out);
        })?;
        self.act(server, generation, |peer, now, out| peer.leader_connected(now, out))
    }

    fn send_to_learner(&mut self, index: usize, learner: LearnerId, packet: Packet) {
        let generation = self.servers[index].generation;
        if let Some(conn) = self.process(index).learners.get(&learner).copied() {
            let side = Side {
                server: index,
                generation,
            };
            self.send(conn, side, packet);
        }
    }

    fn send(&mut self, id: ConnId, by: Side, packet: Packet) {
        let delay = self.delay();
        let at = self.now + delay;
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.is_broken) else {
            return;
        };
        let last = &mut conn.last[usize::from(conn.leader == by)];
        *last = at.max(*last);
        let delay = *last - self.now;
        self.at(delay, Event::Deliver(id, packet));
    }

    fn deliver(&mut self, id: ConnId, packet: Packet) -> Outcome<()> {
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.is_broken) else {
            return Ok(());
        };
        let (leader, learner, learner_id) = (conn.leader, conn.learner, conn.learner_id);
        let (from, to) = match packet {
            Packet::ToLeader(_) => (learner, leader),
            _ => (leader, learner),
        };
        if self.blocked.contains(&(from.server, to.server)) {
            conn.is_broken = true;
            return Ok(());
        }
        match packet {
            Packet::ToLeader(message) => self.act(to.server, to.generation, |peer, now, out| {
                peer.learner_said(learner_id, &message, now, out);
            }),
            Packet::ToLearner(message) => self.act(to.server, to.generation, |peer, now, out| {
                peer.leader_said(message, now, out);
            }),
            Packet::Snapshot(dump) => {
                let zxid = dump.zxid;
                let server = &mut self.servers[to.server];
                if let Some(process) = server.process.as_mut().filter(|_| server.generation == to.generation) {
                    process.loaded = Some(dump);
                }
                self.act(to.server, to.generation, |peer, now, out| {
                    peer.leader_said(ToLearner::Snap { zxid }, now, out);
                })
            }
        }
    }

    fn lost(&mut self, id: ConnId, side: Side) -> Outcome<()> {
        let Some(conn) = self.conns.get_mut(&id) else {
            return Ok(());
        };
        conn.is_broken = true;
        let (is_leader, learner_id) = (conn.leader == side, conn.learner_id);
        let server = &mut self.servers[side.server];
        let Some(process) = server.process.as_mut().filter(|_| server.generation == side.generation) else {
            return Ok(());
        };
        if is_leader {
            process.learners.remove(&learner_id);
            return self.act(side.server, side.generation, |peer, _, out| {
                peer.learner_lost(learner_id, out);
            });
        }
        if process.leader == Some(id) {
            process.leader = None;
            return self.act(side.server, side.generation, |peer, _, out| peer.leader_lost(out));
        }
        Ok(())
    }

    // Clients.

    fn client(&mut self) -> Outcome<()> {
        let pause = self.random.between(5, 80);
        self.at(pause, Event::Client);
        let index = usize::try_from(self.random.below(self.servers.len() as u64)).unwrap_or(0);
        let data = self.random.next();
        let server = &mut self.servers[index];
        let generation = server.generation;
        if server.paused_until > self.now {
            return Ok(());
        }
        let Some(process) = &mut server.process else {
            return Ok(());
        };
        if self.random.once_in(40)
            && process.unflushed.is_empty()
            && process.unapplied.is_empty()
            && process.serving.is_some()
        {
            self.report.own_snapshots += 1;
            return process.snapshot().or_else(|error| self.died(index, &error));
        }
        let Some(leader) = process.peer.as_leader().filter(|leader| leader.established().is_some()) else {
            return Ok(());
        };
        let zxid = leader.last_proposed().next();
        let proposal = Proposal {
            zxid,
            txn: txn(zxid, data),
        };
        self.checker
            .proposed(zxid, data, server.sid)
            .map_err(|what| self.violation(what))?;
        let process = self.process(index);
        if let Err(error) = process.append(&proposal) {
            return self.died(index, &error);
        }
        self.schedule_flush(Side {
            server: index,
            generation,
        });
        self.act(index, generation, |peer, now, out| peer.propose(proposal, now, out))
    }

    // Faults.

    fn fault(&mut self) -> Outcome<()> {
        if self.is_healed {
            return Ok(());
        }
        let pause = self.random.between(50, 2500);
        self.at(pause, Event::Fault);
        let count = self.servers.len() as u64;
        let pick = |random: &mut Random| usize::try_from(random.below(count)).unwrap_or(0);
        let (one, other) = (pick(&mut self.random), pick(&mut self.random));
        match self.random.below(8) {
            0 | 1 => {
                let is_power_failure = self.random.once_in(2);
                self.down(one, is_power_failure);
                let delay = self.random.between(10, 4000);
                self.at(delay, Event::Start(one));
            }
            2 => {
                // All at once, as when the power of the room fails.
                for index in 0..self.servers.len() {
                    self.down(index, true);
                    let delay = self.random.between(10, 2000);
                    self.at(delay, Event::Start(index));
                }
            }
            3 => {
                let operation = self.servers[one].disk.operations() + self.random.below(30);
                self.servers[one].disk.fail_at(operation, Fault::Crash);
            }
            4 if one != other => {
                self.blocked.insert((one, other));
                if self.random.once_in(2) {
                    self.blocked.insert((other, one));
                }
            }
            5 => {
                for index in 0..self.servers.len() {
                    if index != one {
                        self.blocked.insert((one, index));
                        self.blocked.insert((index, one));
                    }
                }
            }
            6 => self.servers[one].paused_until = self.now + self.random.between(100, 5000),
            _ => self.blocked.clear(),
        }
        Ok(())
    }

    fn heal(&mut self) {
        self.is_healed = true;
        self.blocked.clear();
        for index in 0..self.servers.len() {
            // A crash that was planned and has not happened would come too late.
            self.servers[index].disk.fail_at(u64::MAX, Fault::Crash);
            self.servers[index].paused_until = 0;
            if self.servers[index].process.is_none() {
                self.at(1, Event::Start(index));
            }
        }
    }
}

/// What keeps a server from going on.
enum Stop {
    Disk(StoreError),
    Violation(Violation),
}

/// A transaction that makes a node with its zxid in the name.
fn txn(zxid: Zxid, data: u64) -> Bytes {
    let record = TxnRecord {
        header: TxnHeader {
            session: SessionId(1),
            cxid: Xid(1),
            zxid,
            time: WallMillis(1_000_000),
            op: OpCode::Create,
        },
        txn: Txn::Create(CreateTxn {
            kind: CreateTxnKind::Create { ephemeral: false },
            path: format!("/{:x}", zxid.0),
            data: Value::from(&data.to_be_bytes()[..]),
            acl: AclList::OPEN,
            parent_cversion: -1,
        }),
        digest: None,
    };
    Bytes::from(record.to_vec())
}
