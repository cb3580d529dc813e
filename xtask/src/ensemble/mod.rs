//! Ensembles of real server processes, zebu and Java alike, and what can befall them.
//!
//! An [`Ensemble`] is a list of [`Member`]s, each with a program of its own choice, its own folder, `zoo.cfg`, `myid`
//! and log. Where the members listen is given from outside as [`Place`]s: all on the loopback address
//! ([`Place::loopback`]), or each in a network namespace of its own ([`network::Network`]), so that they can be cut off
//! from each other. Processes can be killed, stopped, paused and started again; [`disk::Disk`] gives one a disk that
//! can be filled.
//!
//! Namespaces and mounts need no tidying: everything happens inside of namespaces that end with the process
//! ([`isolation`]).

pub mod command;
pub mod disk;
pub mod isolation;
pub mod member;
pub mod network;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::java::JavaOptions;
use crate::server::Product;
use crate::workspace::Workspace;

pub use member::{Member, Place, Role};

/// Pause between two looks at who leads: other processes give no event to wait for.
const POLL: Duration = Duration::from_millis(20);

/// What all members of an ensemble are started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Length of a tick.
    pub tick_ms: u32,
    /// Ticks that a learner has for being synchronized.
    pub init_limit_ticks: u32,
    /// Ticks after which a silent peer is given up.
    pub sync_limit_ticks: u32,
    /// Further lines of `zoo.cfg`.
    pub lines: Vec<String>,
    /// Further lines of `zoo.cfg` of one member, by its index.
    pub lines_of: BTreeMap<usize, Vec<String>>,
    /// Indexes of members that follow and do not vote.
    pub observers: BTreeSet<usize>,
    /// System properties, given to either product with `-D`; for Java also heap and flags.
    pub java: JavaOptions,
}

impl Default for Setup {
    /// ZooKeeper's sample configuration: ticks of 2 seconds, 10 and 5 of them, and heaps that fit a small machine.
    fn default() -> Self {
        Self {
            tick_ms: 2000,
            init_limit_ticks: 10,
            sync_limit_ticks: 5,
            lines: Vec::new(),
            lines_of: BTreeMap::new(),
            observers: BTreeSet::new(),
            java: JavaOptions {
                heap_mib: Some(256),
                ..JavaOptions::default()
            },
        }
    }
}

/// Servers that know each other. Dropping it kills those that run.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<Member>,
}

impl Ensemble {
    /// Writes the files of an ensemble into `folder`, one folder for each member, named by its id; starts nothing.
    ///
    /// Member `i` (from 0) has the id `i + 1`, runs `programs[i]` and listens at `places[i]`. What an earlier ensemble
    /// left in `folder` stays the members' data.
    ///
    /// # Errors
    /// When a file cannot be written, or there are not as many places as programs.
    pub fn prepare(
        workspace: &Workspace,
        folder: &Path,
        setup: &Setup,
        programs: &[Product],
        places: &[Place],
    ) -> Result<Self> {
        if programs.len() != places.len() {
            bail!("{} servers and {} places for them", programs.len(), places.len());
        }
        let mut members = Vec::new();
        for (index, (program, place)) in programs.iter().zip(places).enumerate() {
            let sid = member::sid(index);
            let folder = folder.join(sid.to_string());
            members.push(Member::prepare(
                workspace, &folder, sid, *program, setup, place, places,
            )?);
        }
        Ok(Self { members })
    }

    /// The members, in the order of their ids.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with this index (its id less 1), to do something to it.
    ///
    /// # Panics
    /// When there is none.
    pub fn member(&mut self, index: usize) -> &mut Member {
        &mut self.members[index]
    }

    /// Starts all members that do not run, without waiting for them.
    ///
    /// # Errors
    /// When a program is not installed or cannot be started.
    pub fn start(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(Member::start)
    }

    /// What each member says it is just now.
    pub fn roles(&self) -> Vec<Role> {
        thread::scope(|scope| {
            let asked: Vec<_> = self
                .members
                .iter()
                .map(|member| scope.spawn(move || member.role()))
                .collect();
            asked
                .into_iter()
                .map(|role| role.join().unwrap_or(Role::Silent))
                .collect()
        })
    }

    /// The index of the member that says it leads. Of two that do so (one of them was cut off and has not noticed) this
    /// is the lower one.
    pub fn leader(&self) -> Option<usize> {
        self.roles().iter().position(|role| *role == Role::Leader)
    }

    /// Waits until all members serve and exactly one of them leads; returns its index.
    ///
    /// # Errors
    /// When that does not come about `within` this time, or a process ends meanwhile; the text holds the end of a log.
    pub fn wait_until_all_serve(&mut self, within: Duration) -> Result<usize> {
        let deadline = Instant::now() + within;
        loop {
            let roles = self.roles();
            let mut leaders = (0..roles.len()).filter(|index| roles[*index] == Role::Leader);
            if let (Some(leader), None, true) = (leaders.next(), leaders.next(), roles.iter().all(Role::serves)) {
                return Ok(leader);
            }
            for member in &mut self.members {
                if let Some(status) = member.ended()? {
                    bail!(
                        "{} ended before all served ({status}):\n{}",
                        member.name(),
                        member.log_tail(40)
                    );
                }
            }
            if Instant::now() >= deadline {
                let silent = roles.iter().position(|role| !role.serves()).unwrap_or(0);
                bail!(
                    "not all members serve after {within:?} ({roles:?}); {} says:\n{}",
                    self.members[silent].name(),
                    self.members[silent].log_tail(40)
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until some member leads; returns its index.
    ///
    /// # Errors
    /// When none does `within` this time.
    pub fn wait_for_leader(&self, within: Duration) -> Result<usize> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(leader) = self.leader() {
                return Ok(leader);
            }
            if Instant::now() >= deadline {
                bail!("nobody leads after {within:?}: {:?}", self.roles());
            }
            thread::sleep(POLL);
        }
    }

    /// Stops all members with SIGTERM, all at the same time, and kills those that do not end `within` this time.
    ///
    /// # Errors
    /// When one had to be killed, or cannot be signalled; the others are stopped all the same.
    pub fn stop(&mut self, within: Duration) -> Result<()> {
        let stopped: Vec<Result<()>> = thread::scope(|scope| {
            let stopping: Vec<_> = self
                .members
                .iter_mut()
                .map(|member| scope.spawn(move || member.stop(within).map(|_| ())))
                .collect();
            stopping
                .into_iter()
                .map(|stop| stop.join().unwrap_or_else(|_| bail!("a thread panicked")))
                .collect()
        });
        stopped.into_iter().collect()
    }
}
