//! Observers that learn from followers of the other kind (`observerMasterPort`).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::mixed::{SERVES_WITHIN, same, work};
use crate::context::Context;
use crate::ensemble::{Ensemble, Place, Role, Setup};
use crate::java::JavaVersion;
use crate::ports;
use crate::process;
use crate::server::Product;

/// Pause between two looks at another process.
const POLL: Duration = Duration::from_millis(50);
/// Of each member's log, when something is wrong.
const LOG_LINES: usize = 25;
/// The third voter leads: it has the highest id of those that vote.
const LEADER: usize = 2;

/// Three voters, and the observers behind them.
pub(super) struct Case {
    pub(super) name: &'static str,
    voters: [Product; 3],
    observers: &'static [Product],
}

pub(super) static CASES: [Case; 2] = [
    Case {
        name: "Java observers learn from zebu followers",
        voters: [Product::Zebu; 3],
        observers: &[
            Product::Java(JavaVersion::Debian38),
            Product::Java(JavaVersion::Maven39),
        ],
    },
    Case {
        name: "a zebu observer learns from Java followers",
        voters: [
            Product::Java(JavaVersion::Debian38),
            Product::Java(JavaVersion::Maven39),
            Product::Zebu,
        ],
        observers: &[Product::Zebu],
    },
];

impl Case {
    /// # Errors
    /// When an observer does not come to a follower, or does not show what was written.
    pub(super) fn run(&self, context: &Context) -> Result<()> {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let programs: Vec<Product> = self.voters.iter().chain(self.observers).copied().collect();
        // One port is for the observers of all followers, which therefore have addresses of their own.
        let mut places = Place::loopback_free(u16::try_from(programs.len())?)?;
        for (place, host) in places.iter_mut().zip(1..) {
            place.address = Ipv4Addr::new(127, 0, 0, host);
        }
        let setup = Setup {
            tick_ms: 500,
            init_limit_ticks: 40,
            sync_limit_ticks: 20,
            lines: vec![format!("observerMasterPort={}", ports::free_port()?)],
            observers: (3..programs.len()).collect::<BTreeSet<usize>>(),
            ..Setup::default()
        };
        let mut ensemble = Ensemble::prepare(context.workspace(), dir.path(), &setup, &programs, &places)?;
        self.observe(&mut ensemble).map_err(|error| {
            let logs = ensemble.members().iter().map(|member| member.log_tail(LOG_LINES));
            let logs: Vec<String> = logs.collect();
            error.context(format!("the members said:\n{}\nand", logs.join("\n--\n")))
        })
    }

    fn observe(&self, ensemble: &mut Ensemble) -> Result<()> {
        // The others must not find a leader among themselves while a JVM starts.
        ensemble.member(LEADER).start()?;
        ensemble.member(LEADER).wait_until_answering(SERVES_WITHIN)?;
        ensemble.start()?;
        let leader = ensemble.wait_until_all_serve(SERVES_WITHIN)?;
        if leader != LEADER {
            bail!("the member with the id {} leads, and not the third", leader + 1);
        }
        let observers: Vec<usize> = (3..3 + self.observers.len()).collect();
        let all: Vec<usize> = (0..3 + self.observers.len()).collect();
        let mut first = None;
        for observer in &observers {
            first = Some(wait_for_master(ensemble, *observer, None)?);
        }
        work(ensemble, &all, "first")?;
        same(ensemble)?;
        // What a follower of either kind has to offer: the other one is the only one now.
        let Some(first) = first else {
            bail!("there is no observer")
        };
        ensemble.member(first).kill()?;
        for observer in &observers {
            wait_for_master(ensemble, *observer, Some(first))?;
        }
        let left: Vec<usize> = all.iter().copied().filter(|index| *index != first).collect();
        work(ensemble, &left, "second")?;
        // One that has nothing gets the whole tree.
        let observer = observers[0];
        ensemble.member(observer).kill()?;
        let data = ensemble.members()[observer].data().join("version-2");
        std::fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        ensemble.member(observer).start()?;
        wait_for_master(ensemble, observer, Some(first))?;
        work(ensemble, &left, "third")?;
        ensemble.member(first).start()?;
        ensemble.wait_until_all_serve(SERVES_WITHIN)?;
        work(ensemble, &all, "fourth")?;
        same(ensemble)
    }
}

/// Waits until an observer serves and learns from a follower; from another one than that which is `gone`.
fn wait_for_master(ensemble: &Ensemble, observer: usize, gone: Option<usize>) -> Result<usize> {
    let member = &ensemble.members()[observer];
    let deadline = Instant::now() + SERVES_WITHIN;
    let mut master = None;
    while Instant::now() < deadline {
        if member.role() == Role::Observer {
            let answer = process::four_letter_word(member.client(), "mntr")?;
            let found = answer
                .lines()
                .find_map(|line| line.strip_prefix("zk_observer_master_id\t"));
            master = found.and_then(|sid| sid.parse::<usize>().ok()?.checked_sub(1));
            if master.is_some_and(|index| index < LEADER && Some(index) != gone) {
                let members = ensemble.members();
                let index = master.unwrap_or_default();
                let answer = process::four_letter_word(members[index].client(), "mntr")?;
                let counts_it = answer
                    .lines()
                    .find_map(|line| line.strip_prefix("zk_synced_observers\t"))
                    .and_then(|count| count.parse::<f64>().ok())
                    .is_some_and(|count| count >= 1.0);
                if counts_it {
                    return Ok(index);
                }
            }
        }
        thread::sleep(POLL);
    }
    bail!("{} learns from no follower, but from {master:?}", member.name());
}
