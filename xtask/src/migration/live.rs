//! An ensemble of Java servers becomes one of zebu, one server at a time on the same data directories, and goes back,
//! while clients work. All that they may notice is that a connection is lost.
//!
//! A server that was stopped is waited for until it serves and is synchronized before the next one is touched, the
//! leader last: as the guide (`docs/migration.md`) says.

mod clients;
mod figures;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::agreement::Digests;
use super::{agreement, logs};
use crate::chaos::check;
use crate::chaos::client::Client;
use crate::chaos::history::{Outcome, Request};
use crate::chaos::run::{final_reads, read_histories};
use crate::chaos::tree;
use crate::chaos::workload::{self, Worker};
use crate::context::Context;
use crate::ensemble::{Ensemble, Place, Setup};
use crate::interop::client::{Op, Session};
use crate::interop::datadir::dump::{self, Loader};
use crate::java::{JavaOptions, JavaVersion};
use crate::process;
use crate::random::Random;
use crate::server::Product;
use clients::{MARKER, Seen, Watched, Watcher, Writer, Written};
use figures::Step;

/// JVMs start slowly when several share two cores.
const SERVES_WITHIN: Duration = Duration::from_secs(90);
const STOP_WITHIN: Duration = Duration::from_secs(20);
const SEEN_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
const WRITERS: usize = 4;
const WATCHERS: usize = 3;
/// Clients whose histories are judged, as those of chaos.
const WORKERS: u32 = 2;
const THINK: Duration = Duration::from_millis(25);
/// Writes between two steps.
const WRITES: u64 = 400;
const CLOSE_WITHIN: Duration = Duration::from_secs(20);
const LOG_LINES: usize = 15;
const SHOWN: usize = 6;
const SESSION_MS: i32 = 10_000;

/// Runs it with this Java release; returns what is wrong, and shows the figures.
///
/// # Errors
/// When the ensemble does not come together, or a client was told what cannot be.
pub(super) fn run(context: &Context, loader: &Loader, version: JavaVersion, seed: u64) -> Result<Vec<String>> {
    let dir = tempfile::tempdir().context("no temporary folder")?;
    let outcome = run_in(context, loader, version, seed, dir.path());
    if !matches!(&outcome, Ok(faults) if faults.is_empty()) {
        context.announce(&format!("kept: {}", dir.keep().display()));
    }
    outcome
}

fn run_in(context: &Context, loader: &Loader, version: JavaVersion, seed: u64, dir: &Path) -> Result<Vec<String>> {
    // ZooKeeper's sample configuration: the figures are for what people have.
    let setup = Setup {
        lines: ["snapCount=2000", "preAllocSize=64", "maxClientCnxns=0"]
            .map(str::to_owned)
            .into(),
        java: JavaOptions {
            heap_mib: Some(192),
            jvm_flags: dump::FAST_START.map(str::to_owned).into(),
            ..JavaOptions::default()
        },
        ..Setup::default()
    };
    let java = Product::Java(version);
    let places = Place::loopback_free(3)?;
    let mut ensemble = Ensemble::prepare(context.workspace(), dir, &setup, &[java; 3], &places)?;
    let outcome = under_load(context, &mut ensemble, java, seed, dir).and_then(|mut faults| {
        faults.extend(agreement::served(&ensemble, &[])?);
        faults.extend(agreement::on_disk(context, loader, &mut ensemble, &[], &[])?);
        for member in ensemble.members() {
            faults.extend(logs::errors(member).into_iter().take(SHOWN));
        }
        Ok(faults)
    });
    outcome.map_err(|error| {
        let tails = ensemble.members().iter().map(|member| member.log_tail(LOG_LINES));
        let tails: Vec<String> = tails.collect();
        error.context(format!("the members said:\n{}\nand", tails.join("\n--\n")))
    })
}

fn under_load(context: &Context, ensemble: &mut Ensemble, java: Product, seed: u64, dir: &Path) -> Result<Vec<String>> {
    ensemble.start()?;
    ensemble.wait_until_all_serve(SERVES_WITHIN)?;
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
    let of_writers = clients::Shared {
        servers: addresses.clone(),
        progress: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let of_watchers: Vec<Watched> = (0..WATCHERS)
        .map(|_| Watched {
            servers: addresses.clone(),
            marker: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
        .collect();
    let mut first = Client::new(0, &of_workers, &histories, random.fork(1))?;
    workload::prepare(&mut first)?;
    first.close(Instant::now() + CLOSE_WITHIN)?;
    first.finish()?;
    clients::prepare(&of_writers, WRITERS)?;
    let mut workers = Vec::new();
    for id in 1..=WORKERS {
        let client = Client::new(id, &of_workers, &histories, random.fork(1 + u64::from(id)))?;
        workers.push(Worker::new(client, THINK));
    }
    let writers = (0..WRITERS)
        .map(|number| Writer::new(&of_writers, number))
        .collect::<Result<Vec<_>>>()?;
    let (went, worked, written, seen) = thread::scope(|scope| {
        let working: Vec<_> = workers
            .iter_mut()
            .map(|worker| scope.spawn(move || worker.run()))
            .collect();
        let writing: Vec<_> = writers
            .into_iter()
            .map(|writer| scope.spawn(move || writer.run()))
            .collect();
        let watching: Vec<_> = of_watchers
            .iter()
            .enumerate()
            .map(|(at, watched)| scope.spawn(move || Watcher::new(watched, at, WRITERS).run()))
            .collect();
        let is_at_work = || {
            writing.iter().all(|writer| !writer.is_finished()) && watching.iter().all(|watcher| !watcher.is_finished())
        };
        let mut way = Way {
            context,
            ensemble,
            progress: &of_writers.progress,
            watched: &of_watchers,
            is_at_work: &is_at_work,
            digests: Digests::default(),
            faults: Vec::new(),
            steps: Vec::new(),
        };
        let went = way.go(java);
        let went = went.map(|()| (way.steps, way.faults));
        of_writers.stop.store(true, Ordering::Release);
        let written: Vec<Result<Written>> = writing
            .into_iter()
            .map(|writer| writer.join().unwrap_or_else(|_| bail!("a writer's thread panicked")))
            .collect();
        // The last marker comes behind the last write, and a watcher ends only when it has seen that.
        let last = mark(ensemble, u64::MAX / 2).and_then(|()| await_marker(&of_watchers, u64::MAX / 2, &|| true));
        for watched in &of_watchers {
            watched.stop.store(true, Ordering::Release);
        }
        // Whoever waits for an event gets one.
        let _ = mark(ensemble, u64::MAX / 2 + 1);
        let seen: Vec<Result<Seen>> = watching
            .into_iter()
            .map(|watcher| watcher.join().unwrap_or_else(|_| bail!("a watcher's thread panicked")))
            .collect();
        of_workers.stop.store(true, Ordering::Release);
        let worked: Vec<Result<()>> = working
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker's thread panicked")))
            .collect();
        (went.and_then(|went| last.map(|()| went)), worked, written, seen)
    });
    // A client that gave up is the reason when there is no progress, so it is told first.
    let written = written.into_iter().collect::<Result<Vec<_>>>()?;
    let seen = seen.into_iter().collect::<Result<Vec<_>>>()?;
    let (steps, mut faults) = went?;
    worked.into_iter().collect::<Result<()>>()?;
    faults.extend(lost_writes(&addresses, &written, &seen)?);
    faults.extend(show(context, &steps, &written, &seen));
    let deadline = Instant::now() + CLOSE_WITHIN;
    let mut expired = 0;
    for worker in workers {
        let mut client = worker.into_client();
        client.close(deadline)?;
        let remains = client.finish()?;
        faults.extend(remains.complaints);
        expired += remains.expired;
    }
    let found = final_reads(&of_workers, &servers, &mut random, &histories)?;
    faults.extend(found.iter().map(ToString::to_string));
    let records = read_histories(&histories)?;
    // One that was closed is over too, also when the answer was lost.
    let closed = records
        .iter()
        .filter(|record| record.request == Request::Close && record.outcome == Outcome::Unknown);
    if usize::try_from(expired)? > closed.count() {
        faults.push(format!("{expired} sessions of workers expired"));
    }
    let report = check::check(&records);
    faults.extend(report.violations.iter().map(ToString::to_string).take(SHOWN));
    Ok(faults)
}

/// The way there and back.
struct Way<'a> {
    context: &'a Context,
    ensemble: &'a mut Ensemble,
    progress: &'a AtomicU64,
    watched: &'a [Watched],
    is_at_work: &'a dyn Fn() -> bool,
    digests: Digests,
    faults: Vec<String>,
    steps: Vec<Step>,
}

impl Way<'_> {
    fn go(&mut self, java: Product) -> Result<()> {
        // What a restart is without any change, to compare with.
        let leader = self.all_is_well()?;
        self.step((leader + 1) % 3, java)?;
        self.step(leader, java)?;
        self.all_become(Product::Zebu)?;
        let leader = self.all_is_well()?;
        self.step((leader + 1) % 3, Product::Zebu)?;
        self.step(leader, Product::Zebu)?;
        self.all_become(java)
    }

    /// Each member goes over, the leader last.
    fn all_become(&mut self, program: Product) -> Result<()> {
        while let Some(next) = self.next(program)? {
            self.step(next, program)?;
        }
        Ok(())
    }

    /// The member that goes over next: a follower if there is one left.
    fn next(&mut self, program: Product) -> Result<Option<usize>> {
        let leader = self.all_is_well()?;
        let members = self.ensemble.members();
        let others = (0..members.len()).filter(|index| *index != leader);
        Ok(others
            .chain([leader])
            .find(|index| members[*index].program() != program))
    }

    /// What must be before each step: all serve, one leads, its followers are synchronized. Returns who leads.
    fn all_is_well(&mut self) -> Result<usize> {
        let deadline = Instant::now() + SERVES_WITHIN;
        let leader = self.ensemble.wait_until_all_serve(SERVES_WITHIN)?;
        loop {
            let answer = process::four_letter_word(self.ensemble.members()[leader].client(), "mntr")?;
            if agreement::counter(&answer, "zk_synced_followers") == Some(2) {
                return Ok(leader);
            }
            ensure!(
                Instant::now() < deadline,
                "the leader does not say that two followers are synchronized"
            );
            thread::sleep(POLL);
        }
    }

    /// Stops a member and starts it as `program`, when all is well and clients have worked for a while.
    fn step(&mut self, index: usize, program: Product) -> Result<()> {
        let leader = self.all_is_well()?;
        let found = self.digests.settled(self.ensemble, leader);
        self.faults.extend(found);
        self.more()?;
        let found = self.digests.unchanged(self.ensemble);
        self.faults.extend(found);
        let was = self.ensemble.members()[index].program();
        let sid = self.ensemble.members()[index].sid();
        let what = if was == program {
            format!("{sid}: {} again", was.name())
        } else {
            format!("{sid}: {} → {}", was.name(), program.name())
        };
        self.context.say(&what);
        let begin = Instant::now();
        let member = self.ensemble.member(index);
        let status = member.stop(STOP_WITHIN)?;
        ensure!(
            was != Product::Zebu || status.is_some_and(|status| status.success()),
            "zebu ended with {status:?}"
        );
        let stopping = begin.elapsed();
        member.change_program(program);
        let start = Instant::now();
        member.start()?;
        self.all_is_well()?;
        let coming_back = start.elapsed();
        self.more()?;
        let number = self.steps.len() as u64 + 1;
        self.steps.push(Step {
            what,
            led: index == leader,
            begin,
            end: Instant::now(),
            stopping,
            coming_back,
        });
        mark(self.ensemble, number)?;
        await_marker(self.watched, number, self.is_at_work)
    }

    /// Waits for some writes.
    fn more(&self) -> Result<()> {
        let wanted = self.progress.load(Ordering::Acquire) + WRITES;
        let deadline = Instant::now() + SERVES_WITHIN;
        while self.progress.load(Ordering::Acquire) < wanted {
            // Its own error says why.
            ensure!((self.is_at_work)(), "a client has given up");
            ensure!(Instant::now() < deadline, "the clients do not get on");
            thread::sleep(POLL);
        }
        Ok(())
    }
}

/// Sets the marker.
fn mark(ensemble: &Ensemble, number: u64) -> Result<()> {
    let mut session = Session::open(ensemble.members()[0].client(), SESSION_MS)?;
    session.must(&Op::set(MARKER, number.to_string(), -1))?;
    session.close()?;
    Ok(())
}

/// Waits until all watchers have been told of the marker.
fn await_marker(watched: &[Watched], number: u64, is_at_work: &dyn Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + SEEN_WITHIN;
    for (index, watched) in watched.iter().enumerate() {
        while watched.marker.load(Ordering::Acquire) < number {
            ensure!(is_at_work(), "a client has given up");
            ensure!(
                Instant::now() < deadline,
                "watcher {index} was not told that {MARKER} has changed to {number}"
            );
            thread::sleep(POLL);
        }
    }
    Ok(())
}

/// What was acknowledged and is not there, and what was not told to watchers.
fn lost_writes(addresses: &[std::net::SocketAddr], written: &[Written], seen: &[Seen]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for address in addresses {
        let tree = tree::read(*address)?;
        for written in written {
            let data = tree.get(&written.register).and_then(|node| node.data.clone());
            if data != Some(written.value.to_string().into_bytes()) {
                faults.push(format!(
                    "{} at {address} holds {data:?} and not {}",
                    written.register, written.value
                ));
            }
        }
    }
    for (index, seen) in seen.iter().enumerate() {
        for written in written {
            let value = seen.values.get(&written.register);
            if value != Some(&written.value) {
                faults.push(format!(
                    "watcher {index} was told of {value:?} in {} last, and not of {}",
                    written.register, written.value
                ));
            }
        }
    }
    Ok(faults)
}

/// Shows the table; returns what is wrong in it.
fn show(context: &Context, steps: &[Step], written: &[Written], seen: &[Seen]) -> Vec<String> {
    let acknowledged: Vec<Vec<Instant>> = written.iter().map(|written| written.acknowledged.clone()).collect();
    let lost: Vec<Vec<Instant>> = written
        .iter()
        .map(|written| written.lost.clone())
        .chain(seen.iter().map(|seen| seen.lost.clone()))
        .collect();
    let rows: Vec<_> = steps
        .iter()
        .map(|step| (step.clone(), step.noticed(&acknowledged, &lost)))
        .collect();
    context.announce(&figures::table(&rows, lost.len()));
    let writes: usize = acknowledged.iter().map(Vec::len).sum();
    let events: u64 = seen.iter().map(|seen| seen.events).sum();
    context.announce(&format!(
        "{writes} writes were acknowledged, and {events} events told of them"
    ));
    // The first leader that was stopped was a Java server among Java servers.
    let election = rows.iter().find(|(step, _)| step.led).map(|(_, noticed)| noticed.gap);
    let limit = election.unwrap_or_default() + Duration::from_millis(500);
    rows.iter()
        .filter(|(_, noticed)| noticed.gap > limit)
        .map(|(step, noticed)| {
            format!(
                "{}: no write for {:?}; when a Java server among its like stopped leading it was {election:?}",
                step.what, noticed.gap
            )
        })
        .collect()
}
