//! What goes wrong around the servers.

use zebu_store::sim_disk::Fault;

use super::*;

impl World {
    pub(super) fn fault(&mut self) -> Outcome<()> {
        if self.is_healed {
            return Ok(());
        }
        let pause = self.random.between(50, self.plan.fault_ms_max);
        self.at(pause, Event::Fault);
        let count = self.servers.len() as u64;
        let pick = |random: &mut Random| usize::try_from(random.below(count)).unwrap_or(0);
        let (one, other) = (pick(&mut self.random), pick(&mut self.random));
        match self.random.below(18) {
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
            3 | 4 => self.fail_disk(one, Fault::Crash),
            5 => self.fail_disk(one, Fault::Error),
            6 => {
                let disk = &self.servers[one].disk;
                disk.set_capacity(Some(disk.used_bytes() + self.random.below(2000)));
                let delay = self.random.between(100, 3000);
                self.at(delay, Event::Room(one));
            }
            7 if one != other => {
                self.blocked.insert((one, other));
                if self.random.once_in(2) {
                    self.blocked.insert((other, one));
                }
            }
            8 => self.isolate(one),
            13 | 14 => {
                // The others know it at once, and it does not.
                self.isolate(one);
                let side = self.side(one);
                for id in self.connections_of(side) {
                    self.cut_unnoticed(id, side);
                }
            }
            9 => {
                let until = self.now + self.random.between(100, 5000);
                let server = &mut self.servers[one];
                server.paused_until = server.paused_until.max(until);
            }
            10 if self.random.once_in(2) => self.servers[one].clock_ahead += self.random.between(100, 8000),
            10 => {
                // Ahead or back.
                let ms = i64::try_from(self.random.below(20_000)).unwrap_or(0);
                self.servers[one].wall_ahead += ms - 10_000;
            }
            11 => self.cut_connections(one),
            12 if self.may_be_wiped(one) => {
                self.wipe(one);
                let delay = self.random.between(10, 3000);
                self.at(delay, Event::Start(one));
            }
            15 => return self.end(one),
            _ => self.blocked.clear(),
        }
        Ok(())
    }

    /// Nobody can reach it any more, nor it anybody.
    pub(super) fn isolate(&mut self, one: usize) {
        for index in 0..self.servers.len() {
            if index != one {
                self.blocked.insert((one, index));
                self.blocked.insert((index, one));
            }
        }
    }

    /// Ends a server as its operator does: a leader hands over first.
    pub(super) fn end(&mut self, index: usize) -> Outcome<()> {
        let side = self.side(index);
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        process.is_ending = true;
        if process.peer.as_leader().is_some() {
            return self.act(index, side.generation, |peer, now, out| peer.hand_over(now, out));
        }
        self.down(index, false);
        let delay = self.random.between(10, 2000);
        self.at(delay, Event::Start(index));
        Ok(())
    }

    pub(super) fn fail_disk_after(&mut self, index: usize, operations: u64, fault: Fault) {
        let operation = self.servers[index].disk.operations() + operations;
        self.servers[index].disk.fail_at(operation, fault);
    }

    fn fail_disk(&mut self, index: usize, fault: Fault) {
        let operations = self.random.below(30);
        self.fail_disk_after(index, operations, fault);
    }

    /// Ends connections of a server; both ends notice.
    fn cut_connections(&mut self, index: usize) {
        let side = self.side(index);
        for id in self.connections_of(side) {
            if self.random.once_in(2) {
                self.cut(id);
            }
        }
    }

    /// One voter at a time, and one that the others can do without: what was acknowledged is then still with one of any
    /// quorum of the others.
    fn may_be_wiped(&self, index: usize) -> bool {
        let wiped = &self.servers[index];
        let all_whole = self
            .servers
            .iter()
            .all(|server| server.is_observer || (server.is_refilled && server.was_trusted));
        wiped.is_observer || (all_whole && self.members.all_quorums(|sid| sid != wiped.sid))
    }

    pub(super) fn heal(&mut self) {
        self.is_healed = true;
        self.blocked.clear();
        for index in 0..self.servers.len() {
            // A failure that was planned and has not happened would come too late.
            self.servers[index].disk.fail_at(u64::MAX, Fault::Crash);
            self.servers[index].disk.set_capacity(None);
            if self.servers[index].process.is_none() {
                self.at(1, Event::Start(index));
            }
        }
    }
}
