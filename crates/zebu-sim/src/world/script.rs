//! Ensembles to which happens what a scenario says, and nothing by chance but the time that things take.

use zebu_proto::CreateMode;
use zebu_store::sim_disk::Fault;

use super::clients::{Request, State};
use super::*;

/// An ensemble whose faults are commanded. Servers go by their place, from 0 on. No client does anything by itself.
///
/// Everything that a campaign checks is checked here as well; what goes wrong is a [`Violation`].
pub struct Ensemble {
    world: World,
    /// The clients that go to one server, by server.
    clients: BTreeMap<usize, usize>,
}

impl Ensemble {
    /// One in which no server runs yet.
    #[must_use]
    pub fn new(seed: u64, plan: Plan) -> Self {
        let plan = Plan { clients: 0, ..plan };
        let mut world = World::new(seed, plan);
        world.queue.clear();
        world.is_healed = true;
        Self {
            world,
            clients: BTreeMap::new(),
        }
    }

    /// One that has been started, and serves.
    ///
    /// # Errors
    /// The first violation.
    pub fn serving(seed: u64, plan: Plan) -> Result<Self, Violation> {
        let mut ensemble = Self::new(seed, plan);
        for index in 0..ensemble.world.servers.len() {
            ensemble.start(index)?;
        }
        ensemble.world.run_until(RECOVERY_MS_MAX, World::all_serve)?;
        for index in 0..ensemble.world.servers.len() {
            ensemble.client_at(index);
        }
        let all_in = |world: &World| {
            world
                .clients
                .iter()
                .all(|client| matches!(client.state, State::Open(_)))
        };
        ensemble.world.run_until(RECOVERY_MS_MAX, all_in)?;
        Ok(ensemble)
    }

    /// Lets time pass, virtual milliseconds.
    ///
    /// # Errors
    /// The first violation.
    pub fn run_for(&mut self, ms: u64) -> Result<(), Violation> {
        let end = self.world.now + ms;
        while self
            .world
            .queue
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= end)
        {
            self.world.step()?;
        }
        self.world.now = end;
        Ok(())
    }

    /// Lets time pass until a server leads with a quorum, among those that are not `except`; returns which.
    ///
    /// # Errors
    /// The first violation; that it takes longer than is allowed is one.
    pub fn leader_except(&mut self, except: Option<usize>) -> Result<usize, Violation> {
        let leads = |world: &World, index: &usize| {
            Some(*index) != except
                && world.servers[*index]
                    .process
                    .as_ref()
                    .is_some_and(|process| process.serving.is_some() && process.peer.as_leader().is_some())
        };
        self.world.run_until(RECOVERY_MS_MAX, |world| {
            (0..world.servers.len()).any(|index| leads(world, &index))
        })?;
        Ok((0..self.world.servers.len())
            .find(|index| leads(&self.world, index))
            .unwrap_or_default())
    }

    /// As [`Ensemble::leader_except`], among all.
    ///
    /// # Errors
    /// As there.
    pub fn leader(&mut self) -> Result<usize, Violation> {
        self.leader_except(None)
    }

    /// Starts a server.
    ///
    /// # Errors
    /// What it finds on its disk, if that is a violation.
    pub fn start(&mut self, index: usize) -> Result<(), Violation> {
        self.world.start(index)
    }

    /// Ends a server without a warning; with the power off, what is not synced may be lost.
    pub fn crash(&mut self, index: usize, is_power_failure: bool) {
        self.world.down(index, is_power_failure);
    }

    /// Ends a server as its operator does. It comes up again by itself.
    ///
    /// # Errors
    /// The first violation.
    pub fn end(&mut self, index: usize) -> Result<(), Violation> {
        self.world.end(index)
    }

    /// Gives a server an empty disk.
    pub fn wipe(&mut self, index: usize) {
        self.world.wipe(index);
    }

    /// Stops a server for a while; it notices nothing.
    pub fn pause(&mut self, index: usize, ms: u64) {
        self.world.servers[index].paused_until = self.world.now + ms;
    }

    /// Lets a server's clock jump ahead.
    pub fn jump(&mut self, index: usize, ms: u64) {
        self.world.servers[index].clock_ahead += ms;
    }

    /// Sets a server's wall clock, by so much ahead or back. The monotonic one goes on.
    pub fn set_clock(&mut self, index: usize, ms: i64) {
        self.world.servers[index].wall_ahead += ms;
    }

    /// Nothing that one server sends reaches the other any more.
    pub fn block(&mut self, from: usize, to: usize) {
        self.world.blocked.insert((from, to));
    }

    /// Nobody reaches a server any more, nor it anybody. The others know it at once; it does not.
    pub fn isolate(&mut self, index: usize) {
        self.world.isolate(index);
        let side = self.world.side(index);
        for id in self.world.connections_of(side) {
            self.world.cut_unnoticed(id, side);
        }
    }

    /// Everybody can reach everybody again.
    pub fn unblock(&mut self) {
        self.world.blocked.clear();
    }

    /// Cuts a learner's connection in place of delivering what its leader sends after `packets` more packets.
    pub const fn cut_after(&mut self, learner: usize, packets: u64) {
        self.world.cut_after = Some((learner, packets));
    }

    /// Lets an operation of a server's disk fail, after `operations` more that go well.
    pub fn fail_disk(&mut self, index: usize, operations: u64, fault: Fault) {
        self.world.fail_disk_after(index, operations, fault);
    }

    /// Somebody makes a node at a server; whether that leads, and has taken it. Nobody's connection waits for the answer.
    ///
    /// # Errors
    /// The first violation.
    pub fn write(&mut self, index: usize) -> Result<bool, Violation> {
        let data = self.world.random.next();
        self.world.serial += 1;
        let path = format!("/o{}", self.world.serial);
        let request = Request::create(&path, CreateMode::Persistent, &data.to_be_bytes());
        let side = self.world.side(index);
        self.world.write_at(side, request.op(), request.body())
    }

    /// A client of a server, which goes to no other, sends `sync` and reads, if it is connected: a stale read is a violation.
    ///
    /// # Errors
    /// The first violation.
    pub fn sync_and_read(&mut self, index: usize) -> Result<(), Violation> {
        let client = self.client_at(index);
        self.world
            .ask(client, vec![Request::sync(), Request::get("/k0", false, true)]);
        Ok(())
    }

    fn client_at(&mut self, index: usize) -> usize {
        match self.clients.get(&index) {
            Some(client) => *client,
            None => {
                let client = self.world.add_client(Some(index));
                self.clients.insert(index, client);
                client
            }
        }
    }

    /// A server writes a snapshot, if it has nothing else to write.
    ///
    /// # Errors
    /// The first violation.
    pub fn snapshot(&mut self, index: usize) -> Result<(), Violation> {
        if self.world.servers[index].process.is_some() {
            self.world.take_snapshot(index)?;
        }
        Ok(())
    }

    /// How many writes clients were told are done.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.world.checker.acknowledged()
    }

    /// What has happened so far.
    #[must_use]
    pub const fn report(&self) -> Report {
        self.world.report
    }

    /// Ends all faults, starts everybody, and sees that all come to serve the same, with everything that was acknowledged.
    ///
    /// # Errors
    /// The first violation.
    pub fn recover(&mut self) -> Result<Report, Violation> {
        self.world.recover()
    }
}
