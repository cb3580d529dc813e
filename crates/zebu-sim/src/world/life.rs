//! Processes come and go.

use zebu_node::{ContainerConfig, NodeConfig};
use zebu_zab::{ElectionTimes, Faults, PeerConfig, Times};

use super::turn::SESSION_MS_MAX;
use super::*;
use crate::server::{self, Process, Setup};

/// `minSessionTimeout` in the simulated servers.
const SESSION_MS_MIN: i32 = 400;

impl World {
    pub(super) fn start(&mut self, index: usize) -> Outcome<()> {
        let now = self.now_at(index);
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
                init_limit: INIT_TICKS,
                sync_limit: SYNC_TICKS,
            },
            election: ElectionTimes {
                repeat_ms_max: REPEAT_MS_MAX,
                ..ElectionTimes::default()
            },
            is_untrusted: false,
        };
        server.generation += 1;
        if !server.was_trusted {
            // Whoever sets up an ensemble says so, once more if the first start was cut short.
            server.disk.damage(server::NEW_SERVER_MARKER.as_ref(), |_| {});
        }
        let node = NodeConfig {
            sid: server.sid,
            tick_ms: TICK_MS,
            session_timeout_ms_min: SESSION_MS_MIN,
            session_timeout_ms_max: SESSION_MS_MAX,
            local_sessions: self.plan.has_local_sessions,
            local_session_upgrading: true,
            reconfig_enabled: false,
            standalone_enabled: true,
            containers: ContainerConfig::default(),
        };
        let setup = Setup {
            peer: config,
            node,
            now,
            bug: self.plan.bug,
        };
        let server = &mut self.servers[index];
        match Process::start(&server.disk, setup) {
            Ok(mut process) => {
                process.peer.put_in(Faults {
                    counter_end: self
                        .plan
                        .counter_end
                        .filter(|_| self.plan.bug != Some(Bug::CounterRunsOn)),
                    goes_back: self.plan.bug == Some(Bug::EpochGoesBack),
                });
                let last_zxid = process.tree().last_zxid();
                process.read_only_at = self.plan.is_read_only.then(|| now.mono.plus(turn::READ_ONLY_MS));
                let own = process.peer.own();
                let generation = server.generation;
                server.was_trusted |= process.is_trusted;
                let lost = server.durable.lost_by(own);
                server.process = Some(process);
                self.report.starts += 1;
                self.trace(index, || format!("up: {own:?}"));
                if let Some(lost) = lost {
                    return Err(self.violation(format!("server {} {lost}", self.servers[index].sid)));
                }
                self.act(index, generation, |peer, now, out| {
                    peer.settled(last_zxid, None, now, out);
                })
            }
            Err(error) => self.died(index, &error),
        }
    }

    /// The disk has failed: the process is over. With a disk that is well this is a fault of the program.
    pub(super) fn died(&mut self, index: usize, error: &StoreError) -> Outcome<()> {
        let disk = &self.servers[index].disk;
        let has_failed = disk.has_failed();
        if !disk.has_crashed() && !has_failed {
            return Err(self.violation(format!("server {}: {error}", self.servers[index].sid)));
        }
        self.trace(index, || format!("dies: {error}"));
        self.report.disk_failures += u64::from(has_failed);
        let is_power_failure = !has_failed || self.random.once_in(2);
        self.down(index, is_power_failure);
        let delay = self.random.between(10, 3000);
        self.at(delay, Event::Start(index));
        Ok(())
    }

    /// Ends a process. With the power off, what is not synced may be lost.
    pub(super) fn down(&mut self, index: usize, is_power_failure: bool) {
        self.trace(index, || format!("down, power failure: {is_power_failure}"));
        let server = &mut self.servers[index];
        server.process = None;
        server.paused_until = 0;
        if is_power_failure {
            server.disk.restart();
        } else {
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
        self.close_sockets(side);
        for ((from, to), (_, is_connected)) in &mut self.links {
            if *from == index || *to == index {
                *is_connected = false;
            }
        }
    }

    /// Takes the server's disk away and gives it an empty one.
    pub(super) fn wipe(&mut self, index: usize) {
        self.down(index, true);
        self.trace(index, || "its disk is emptied".to_owned());
        let seed = self.random.next();
        let server = &mut self.servers[index];
        server.disk = SimDisk::new(seed);
        server.durable = Durable::default();
        server.is_refilled = false;
        self.report.wipes += 1;
    }
}
