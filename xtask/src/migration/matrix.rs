//! Two Java servers and one of zebu, one Java server and two of zebu, either kind leading, and with observers of both
//! kinds: clients make use of everything while each server is killed in turn, the leader last.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::agreement::Digests;
use super::kinds::{self, Remains};
use super::{agreement, logs};
use crate::chaos::check;
use crate::chaos::client::Client;
use crate::chaos::history::{Record, Request};
use crate::chaos::run::{final_reads, read_histories};
use crate::chaos::workload::{self, Worker};
use crate::context::Context;
use crate::ensemble::{Ensemble, Place, Setup};
use crate::interop::datadir::dump::{self, Loader};
use crate::java::{JavaOptions, JavaVersion};
use crate::ports;
use crate::process;
use crate::random::Random;
use crate::server::Product;

/// JVMs start slowly when several share two cores.
const SERVES_WITHIN: Duration = Duration::from_secs(90);
/// Clients that make use of everything: each begins at another member.
const KINDS: usize = 3;
/// Clients whose histories are judged, as those of chaos.
const WORKERS: u32 = 2;
/// Members that vote.
const VOTERS: usize = 3;
const THINK: Duration = Duration::from_millis(25);
const CLOSE_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two looks at a count.
const POLL: Duration = Duration::from_millis(5);
/// Of each member's log, when something is wrong.
const LOG_LINES: usize = 15;
/// Of errors in logs and the like.
const SHOWN: usize = 6;

/// An ensemble, and what is done to it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// What the members run: three that vote, of which the third leads first, and then observers.
    pub(super) programs: Vec<Product>,
    /// Whether observers learn from followers in place of the leader.
    pub(super) masters: bool,
    /// Whether followers lose their data when they are killed, so that they get the whole tree while it changes.
    pub(super) wiped: bool,
    /// Whether sessions are local until they make an ephemeral node.
    pub(super) local_sessions: bool,
    /// How often each member is killed.
    pub(super) rounds: u32,
    /// Requests between two things that happen.
    pub(super) requests: u64,
}

/// All cases with these Java releases.
pub(super) fn all(versions: &[JavaVersion], rounds: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, version) in versions.iter().enumerate() {
        let java = Product::Java(*version);
        let zebu = Product::Zebu;
        for (place, programs) in [
            [java, java, zebu],
            [java, zebu, java],
            [zebu, java, zebu],
            [zebu, zebu, java],
        ]
        .into_iter()
        .enumerate()
        {
            cases.push(Case {
                programs: programs.into(),
                masters: false,
                wiped: false,
                local_sessions: (number + place).is_multiple_of(2),
                rounds,
                requests: 300,
            });
        }
    }
    cases
}

/// Followers of one kind without data, which a leader of the other kind gives the whole tree under load.
pub(super) fn wiped(versions: &[JavaVersion], rounds: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    for version in versions {
        let java = Product::Java(*version);
        let zebu = Product::Zebu;
        for programs in [[java, java, zebu], [zebu, zebu, java]] {
            cases.push(Case {
                programs: programs.into(),
                masters: false,
                wiped: true,
                local_sessions: false,
                rounds,
                requests: 1000,
            });
        }
    }
    cases
}

/// An observer of either kind, with either kind leading, and with followers as their masters or without.
pub(super) fn observers(versions: &[JavaVersion], rounds: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    for version in versions {
        let java = Product::Java(*version);
        let zebu = Product::Zebu;
        for masters in [false, true] {
            for voters in [[java, zebu, zebu], [zebu, java, java]] {
                cases.push(Case {
                    programs: voters.into_iter().chain([java, zebu]).collect(),
                    masters,
                    wiped: false,
                    local_sessions: false,
                    rounds,
                    requests: 200,
                });
            }
        }
    }
    cases
}

/// Java servers alone.
pub(super) fn control(versions: &[JavaVersion], rounds: u32) -> Vec<Case> {
    let case = |version: &JavaVersion| Case {
        programs: vec![Product::Java(*version); 3],
        masters: false,
        wiped: false,
        local_sessions: false,
        rounds,
        requests: 300,
    };
    versions.iter().map(case).collect()
}

impl Case {
    /// In words.
    pub(super) fn name(&self) -> String {
        let names: Vec<String> = self.programs.iter().map(|program| program.name()).collect();
        let mut name = format!("{} and {}, led by {}", names[0], names[1], names[2]);
        if names.len() > VOTERS {
            let whom = if self.masters { "followers" } else { "the leader" };
            name.push_str(&format!(", {} observe {whom}", names[VOTERS..].join(" and ")));
        }
        if self.wiped {
            name.push_str(", followers without data");
        }
        if self.local_sessions {
            name.push_str(", local sessions");
        }
        name
    }

    /// Runs it; returns what is wrong.
    ///
    /// # Errors
    /// When the ensemble does not come together, or a client was told what cannot be.
    pub(super) fn run(&self, context: &Context, loader: &Loader, seed: u64) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let outcome = self.run_in(context, loader, seed, dir.path());
        if !matches!(&outcome, Ok(faults) if faults.is_empty()) {
            context.announce(&format!("{}: kept: {}", self.name(), dir.keep().display()));
        }
        outcome
    }

    fn run_in(&self, context: &Context, loader: &Loader, seed: u64, dir: &Path) -> Result<Vec<String>> {
        let (setup, places) = self.layout()?;
        let mut ensemble = Ensemble::prepare(context.workspace(), dir, &setup, &self.programs, &places)?;
        self.lead_through(context, &mut ensemble, seed, dir)
            .and_then(|(remains, mut faults)| {
                faults.extend(agreement::served(&ensemble, &remains)?);
                let properties = &setup.java.properties;
                faults.extend(agreement::on_disk(
                    context,
                    loader,
                    &mut ensemble,
                    properties,
                    &remains,
                )?);
                for member in ensemble.members() {
                    faults.extend(logs::errors(member).into_iter().take(SHOWN));
                }
                let nodes: usize = remains.iter().map(Remains::count).sum();
                context.say(&format!("{}: {nodes} nodes are as clients were told", self.name()));
                Ok(faults)
            })
            .map_err(|error| {
                let tails = ensemble.members().iter().map(|member| member.log_tail(LOG_LINES));
                let tails: Vec<String> = tails.collect();
                error.context(format!("the members said:\n{}\nand", tails.join("\n--\n")))
            })
    }

    /// Waits until the leader has as many observers of its own as it must have: none if followers have them.
    fn await_observers(&self, ensemble: &Ensemble) -> Result<()> {
        let expected = if self.masters { 0 } else { self.programs.len() - VOTERS };
        let deadline = Instant::now() + SERVES_WITHIN;
        loop {
            let answer = process::four_letter_word(ensemble.members()[VOTERS - 1].client(), "mntr")?;
            let found = agreement::counter(&answer, "zk_synced_observers");
            if found == i64::try_from(expected).ok() {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{expected} observers should learn from the leader, and it says {found:?}"
            );
            thread::sleep(POLL);
        }
    }

    /// What the members are started with, and where.
    fn layout(&self) -> Result<(Setup, Vec<Place>)> {
        let count = u16::try_from(self.programs.len())?;
        let mut setup = setup(self.local_sessions);
        let mut places = Place::loopback_free(count)?;
        setup.observers = (VOTERS..self.programs.len()).collect();
        if self.masters {
            // The port is the same on all members, so each needs an address of its own.
            for (place, last) in places.iter_mut().zip(1..) {
                place.address = Ipv4Addr::new(127, 0, 0, last);
            }
            setup.lines.push(format!("observerMasterPort={}", ports::free_port()?));
        }
        Ok((setup, places))
    }

    /// The clients' work and the kills; returns what must be left, and what is wrong already.
    fn lead_through(
        &self,
        context: &Context,
        ensemble: &mut Ensemble,
        seed: u64,
        dir: &Path,
    ) -> Result<(Vec<Remains>, Vec<String>)> {
        start_led_by(ensemble, VOTERS - 1)?;
        if self.programs.len() > VOTERS {
            self.await_observers(ensemble)?;
        }
        let histories = dir.join("histories");
        fs::create_dir_all(&histories).with_context(|| format!("cannot make {}", histories.display()))?;
        let mut random = Random::new(seed);
        let addresses: Vec<_> = ensemble.members().iter().map(|member| member.client()).collect();
        let servers: Vec<_> = ensemble
            .members()
            .iter()
            .map(|member| (member.sid(), member.client()))
            .collect();
        let of_workers = crate::chaos::client::Shared {
            start: Instant::now(),
            servers: servers.clone(),
            stop: AtomicBool::new(false),
        };
        let of_kinds = kinds::Shared {
            servers: addresses,
            progress: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        };
        let mut first = Client::new(0, &of_workers, &histories, random.fork(1))?;
        workload::prepare(&mut first)?;
        first.close(Instant::now() + CLOSE_WITHIN)?;
        first.finish()?;
        let mut workers = Vec::new();
        for id in 1..=WORKERS {
            let client = Client::new(id, &of_workers, &histories, random.fork(1 + u64::from(id)))?;
            workers.push(Worker::new(client, THINK));
        }
        let users = (0..KINDS)
            .map(|number| kinds::Client::new(&of_kinds, number))
            .collect::<Result<Vec<_>>>()?;
        let mut faults = Vec::new();
        let (killed, worked, remains) = thread::scope(|scope| {
            let working: Vec<_> = workers
                .iter_mut()
                .map(|worker| scope.spawn(move || worker.run()))
                .collect();
            let using: Vec<_> = users.into_iter().map(|user| scope.spawn(move || user.run())).collect();
            let is_at_work = || using.iter().all(|user| !user.is_finished());
            let killed = self.kill_all(context, ensemble, &of_kinds.progress, &is_at_work, &mut faults);
            of_kinds.stop.store(true, Ordering::Release);
            let remains: Vec<Result<Remains>> = using
                .into_iter()
                .map(|user| user.join().unwrap_or_else(|_| bail!("a client's thread panicked")))
                .collect();
            of_workers.stop.store(true, Ordering::Release);
            let worked: Vec<Result<()>> = working
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker's thread panicked")))
                .collect();
            (killed, worked, remains)
        });
        // A client that gave up is the reason when there is no progress, so it is told first.
        let remains = remains.into_iter().collect::<Result<Vec<_>>>()?;
        killed?;
        worked.into_iter().collect::<Result<()>>()?;
        let lost: usize = remains.iter().map(|remains| remains.lost).sum();
        let deadline = Instant::now() + CLOSE_WITHIN;
        for worker in workers {
            let mut client = worker.into_client();
            client.close(deadline)?;
            faults.extend(client.finish()?.complaints);
        }
        let found = final_reads(&of_workers, &servers, &mut random, &histories)?;
        faults.extend(found.iter().map(ToString::to_string));
        let mut records = read_histories(&histories)?;
        if self.local_sessions {
            remove_local_ends(&mut records);
        }
        let report = check::check(&records);
        faults.extend(report.violations.iter().map(ToString::to_string).take(SHOWN));
        context.say(&format!(
            "{}: {} requests of histories, {} of {} reads behind a sync stale; clients lost {lost} connections",
            self.name(),
            report.requests,
            report.stale.len(),
            report.syncs
        ));
        Ok((remains, faults))
    }

    /// Kills each member in turn, the leader last.
    fn kill_all(
        &self,
        context: &Context,
        ensemble: &mut Ensemble,
        progress: &AtomicU64,
        is_at_work: &dyn Fn() -> bool,
        faults: &mut Vec<String>,
    ) -> Result<()> {
        let more = || more(progress, self.requests, is_at_work);
        // Masters too give their tree to observers while it changes, if they are of Java.
        let mut digests = Digests::new(self.masters);
        let mut leader = ensemble.wait_until_all_serve(SERVES_WITHIN)?;
        faults.extend(digests.settled(ensemble, leader));
        more()?;
        for _ in 0..self.rounds {
            let mut victims: Vec<usize> = (0..self.programs.len()).filter(|index| *index != leader).collect();
            // Another one would lead, and with a leader of the same kind there is less to see.
            if !self.wiped {
                victims.push(leader);
            }
            for victim in victims {
                faults.extend(digests.unchanged(ensemble));
                context.say(&format!("{}: kill {}", self.name(), ensemble.members()[victim].name()));
                ensemble.member(victim).kill()?;
                more()?;
                if self.wiped {
                    let data = ensemble.members()[victim].data().join("version-2");
                    fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
                } else if let Product::Java(JavaVersion::Debian38 | JavaVersion::Maven38) =
                    ensemble.members()[victim].program()
                {
                    dump::remove_empty_logs(&ensemble.members()[victim].data())?;
                }
                ensemble.member(victim).start()?;
                leader = ensemble.wait_until_all_serve(SERVES_WITHIN)?;
                faults.extend(digests.settled(ensemble, leader));
                more()?;
            }
        }
        faults.extend(digests.unchanged(ensemble));
        Ok(())
    }
}

/// What members of the ensembles here are started with.
pub(super) fn setup(local_sessions: bool) -> Setup {
    let local = ["localSessionsEnabled=true", "localSessionsUpgradingEnabled=true"];
    let mut lines: Vec<String> = [
        "snapCount=1000",
        "preAllocSize=64",
        "maxClientCnxns=0",
        "maxSessionTimeout=600000",
    ]
    .map(str::to_owned)
    .into();
    if local_sessions {
        lines.extend(local.map(str::to_owned));
    }
    Setup {
        // Four times as fast as usual, so that elections are over sooner.
        tick_ms: 500,
        init_limit_ticks: 40,
        sync_limit_ticks: 10,
        lines,
        java: JavaOptions {
            heap_mib: Some(192),
            jvm_flags: dump::FAST_START.map(str::to_owned).into(),
            properties: [
                ("zookeeper.extendedTypesEnabled", "true"),
                ("znode.container.checkIntervalMs", "500"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        },
        ..Setup::default()
    }
}

/// Starts all members of an ensemble, which have the same data or none, in such an order that this one leads, which has
/// the highest id.
///
/// # Errors
/// When another one leads, or none.
pub(super) fn start_led_by(ensemble: &mut Ensemble, leader: usize) -> Result<()> {
    // The others must not find a leader among themselves while a JVM starts.
    let from = logs::length(&ensemble.members()[leader]);
    ensemble.member(leader).start()?;
    ensemble.member(leader).wait_until_answering(SERVES_WITHIN)?;
    let deadline = Instant::now() + SERVES_WITHIN;
    while !logs::votes_since(&ensemble.members()[leader], from) {
        ensure!(Instant::now() < deadline, "no election begins");
        thread::sleep(POLL);
    }
    ensemble.start()?;
    let found = ensemble.wait_until_all_serve(SERVES_WITHIN)?;
    ensure!(
        found == leader,
        "the member with the index {found} leads, and not {leader}"
    );
    Ok(())
}

/// Takes the ends of local sessions out of histories: no transaction ends them, so the zxid of the answer is that of
/// another write. A session is local until it makes an ephemeral node.
fn remove_local_ends(records: &mut Vec<Record>) {
    let makes_ephemeral = |record: &&Record| {
        let mut parts = record.request.parts().iter();
        parts.any(|part| matches!(part, Request::Create { mode, .. } if mode.is_ephemeral()))
    };
    let global: BTreeSet<i64> = records
        .iter()
        .filter(makes_ephemeral)
        .map(|record| record.session)
        .collect();
    records.retain(|record| record.request != Request::Close || global.contains(&record.session));
}

/// Waits until so many more requests were answered.
fn more(progress: &AtomicU64, requests: u64, is_at_work: &dyn Fn() -> bool) -> Result<()> {
    let wanted = progress.load(Ordering::Acquire) + requests;
    let deadline = Instant::now() + SERVES_WITHIN;
    while progress.load(Ordering::Acquire) < wanted {
        // Its own error says why.
        ensure!(is_at_work(), "a client has given up");
        ensure!(Instant::now() < deadline, "the clients do not get on");
        thread::sleep(POLL);
    }
    Ok(())
}
