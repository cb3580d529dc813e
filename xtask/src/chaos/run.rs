//! One run: servers, clients, faults, the end, and the judgement.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::check::{self, Property, Report, Violation};
use super::client::{Client, Remains, SESSION_TIMEOUT_MS, Shared};
use super::faults::Faults;
use super::history::{self, Answer, Outcome, Record, Request};
use super::plant::Plant;
use super::tree;
use super::workload::{self, EPHEMERALS, LOCK, LOCKED, REGISTERS, Worker};
use super::{Options, folder};
use crate::ensemble::disk::Disk;
use crate::ensemble::network::Network;
use crate::ensemble::{Ensemble, Setup};
use crate::interop::datadir::copy_folder;
use crate::java::JavaOptions;
use crate::random::Random;
use crate::server::Product;
use crate::workspace::Workspace;

/// JVMs start slowly when several share two cores.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// Room for the logs and snapshots of a run, with much to spare.
const DISK_MIB: u32 = 128;
/// How long clients go on after the last fault: all of it is progress that must be made.
const CALM: Duration = Duration::from_secs(3);
/// Clients may take so long to close their sessions.
const CLOSE_WITHIN: Duration = Duration::from_secs(20);
/// Sessions that nobody closed are gone after their timeout and some ticks.
const EXPIRED_WITHIN: Duration = Duration::from_secs(25);
/// Ids of the clients that read everything at the end.
const FINAL_CLIENTS: u32 = 1000;
/// Violations of each kind that are printed; all stand in the file.
const SHOWN: usize = 4;
/// What is printed of each: lists of children are long.
const SHOWN_CHARS: usize = 500;

/// Runs inside of the namespaces; `true` when all checks out.
pub(super) fn run(workspace: &Workspace, options: &Options, programs: &[Product], seed: u64) -> Result<bool> {
    end_at_signals()?;
    let folder = folder(workspace, &options.program, programs.len(), seed);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut random = Random::new(seed);
    let network = Network::build(programs.len())?;
    let disks = (1..=programs.len())
        .map(|sid| Disk::mount(&folder.join(sid.to_string()).join("data"), DISK_MIB))
        .collect::<Result<Vec<_>>>()?;
    let mut ensemble = Ensemble::prepare(workspace, &folder, &setup(), programs, &network.places()?)?;
    ensemble.start()?;
    ensemble.wait_until_all_serve(READY_WITHIN)?;
    let start = Instant::now();
    let mut faults = Faults::new(ensemble, network, disks, random.fork(0), start, options, &folder)?;
    let outcome = under_load(&mut faults, options, &mut random, start, &folder);
    let passed = match &outcome {
        Ok(findings) => conclude(findings, options, &folder)?,
        Err(_) => false,
    };
    faults.kill_all()?;
    if passed && !options.keep {
        // Ends the mounts below the folder.
        drop(faults);
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        return Ok(true);
    }
    for sid in 1..=programs.len() {
        let member = folder.join(sid.to_string());
        // Memory ends with this process.
        copy_folder(&member.join("data"), &member.join("data-kept"))?;
    }
    println!("seed {seed}; histories, logs and data lie in {}", folder.display());
    outcome.map(|_| passed)
}

/// What a run brought.
struct Findings {
    records: Vec<Record>,
    trees: Vec<tree::Tree>,
    /// What was found beside the histories.
    violations: Vec<Violation>,
    /// What Java servers did that zebu must not do.
    odd: Vec<String>,
    /// One line for each subject.
    told: Vec<String>,
    all_zebu: bool,
}

/// The first process of a namespace gets no signal that it does not ask for; when it ends, all others are killed.
fn end_at_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen to signals")?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            eprintln!("ended by a signal");
            process::exit(130);
        }
    });
    Ok(())
}

fn setup() -> Setup {
    Setup {
        // Four times as fast as usual, so that a run sees many elections and expired sessions.
        tick_ms: 500,
        init_limit_ticks: 20,
        sync_limit_ticks: 5,
        lines: ["snapCount=2000", "preAllocSize=64", "globalOutstandingLimit=1000"]
            .map(str::to_owned)
            .into(),
        java: JavaOptions {
            heap_mib: Some(192),
            jvm_flags: ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
                .map(str::to_owned)
                .into(),
            ..JavaOptions::default()
        },
        ..Setup::default()
    }
}

fn under_load(
    faults: &mut Faults,
    options: &Options,
    random: &mut Random,
    start: Instant,
    folder: &Path,
) -> Result<Findings> {
    let servers: Vec<(u8, SocketAddr)> = faults
        .ensemble()
        .members()
        .iter()
        .map(|member| (member.sid(), member.client()))
        .collect();
    let shared = Shared {
        start,
        servers: servers.clone(),
        stop: AtomicBool::new(false),
    };
    let mut first = Client::new(0, &shared, folder, random.fork(1))?;
    workload::prepare(&mut first)?;
    first.close(Instant::now() + CLOSE_WITHIN)?;
    first.finish()?;
    let think = Duration::from_millis(options.think_ms);
    let seconds = Duration::from_secs(options.seconds);
    let mut workers = Vec::new();
    for id in 1..=options.clients {
        let client = Client::new(id, &shared, folder, random.fork(1 + u64::from(id)))?;
        workers.push(Worker::new(client, think));
    }
    let (calm_ns, worked, chaos) = thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|worker| scope.spawn(move || worker.run()))
            .collect();
        let chaos = faults.run(seconds);
        let calm_ns = start.elapsed().as_nanos();
        thread::sleep(CALM);
        shared.stop.store(true, Ordering::Release);
        let worked: Vec<Result<()>> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a client panicked")))
            .collect();
        (calm_ns, worked, chaos)
    });
    let close_by = Instant::now() + CLOSE_WITHIN;
    let mut remains = Remains::default();
    for worker in workers {
        let mut client = worker.into_client();
        client.close(close_by)?;
        let one = client.finish()?;
        remains.expired += one.expired;
        remains.abandoned += one.abandoned;
        remains.complaints.extend(one.complaints);
    }
    worked.into_iter().collect::<Result<()>>()?;
    chaos?;
    let mut violations: Vec<Violation> = remains
        .complaints
        .into_iter()
        .map(|text| Violation {
            property: Property::Answers,
            text,
        })
        .collect();
    violations.extend(final_reads(&shared, &servers, random, folder)?);
    let trees = servers
        .iter()
        .map(|(sid, address)| tree::read(*address).with_context(|| format!("reading the tree of server {sid}")))
        .collect::<Result<Vec<_>>>()?;
    let figures = faults.figures();
    violations.extend(figures.wrong.iter().map(|text| Violation {
        property: Property::Servers,
        text: text.clone(),
    }));
    let records = read_histories(folder)?;
    let calm = records
        .iter()
        .filter(|record| u128::from(record.sent_ns) > calm_ns && record.request.is_write() && record.outcome.is_done())
        .count();
    if calm == 0 {
        violations.push(Violation {
            property: Property::Servers,
            text: format!("no write was carried out in the last {CALM:?}, when all servers served"),
        });
    }
    let names: Vec<String> = figures
        .faults
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let mut recoveries = figures.recoveries.clone();
    recoveries.sort();
    let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
    let told = vec![
        format!("faults: {}", names.join(", ")),
        format!(
            "all served again {} times, after {:.1} s at the median and {:.1} s at most; {} sessions were lost, \
             {} left to expire",
            recoveries.len(),
            seconds(recoveries.get(recoveries.len() / 2)),
            seconds(recoveries.last()),
            remains.expired,
            remains.abandoned
        ),
    ];
    let all_zebu = faults
        .ensemble()
        .members()
        .iter()
        .all(|member| member.program() == Product::Zebu);
    Ok(Findings {
        records,
        trees,
        violations,
        odd: figures.odd.clone(),
        told,
        all_zebu,
    })
}

/// Waits until the nodes of all sessions are gone, and reads everything on each server, as part of the histories.
pub(crate) fn final_reads(
    shared: &Shared,
    servers: &[(u8, SocketAddr)],
    random: &mut Random,
    folder: &Path,
) -> Result<Vec<Violation>> {
    let deadline = Instant::now() + EXPIRED_WITHIN + Duration::from_millis(SESSION_TIMEOUT_MS.unsigned_abs().into());
    let mut violations = Vec::new();
    for (sid, address) in servers {
        let mut client = Client::new(FINAL_CLIENTS + u32::from(*sid), shared, folder, random.fork(99))?;
        client.connect_to(*sid, *address);
        loop {
            let lists = [EPHEMERALS, LOCK].map(|path| Request::Children(path.to_owned()));
            let outcomes = client
                .call(&[Request::Sync, lists[0].clone(), lists[1].clone()])?
                .with_context(|| format!("server {sid} serves nobody at the end"))?;
            let left: Vec<&String> = outcomes.iter().flat_map(names).collect();
            ensure!(
                outcomes.iter().all(Outcome::is_done),
                "server {sid} does not answer at the end: {outcomes:?}"
            );
            if left.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                violations.push(Violation {
                    property: Property::Ephemerals,
                    text: format!("all sessions are over, and server {sid} has {left:?}"),
                });
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        read_all(&mut client).with_context(|| format!("server {sid} at the end"))?;
        client.close(deadline + CLOSE_WITHIN)?;
        client.finish()?;
    }
    Ok(violations)
}

fn names(outcome: &Outcome) -> &[String] {
    match outcome {
        Outcome::Done {
            answer: Answer::Children { names, .. },
            ..
        } => names,
        _ => &[],
    }
}

fn read_all(client: &mut Client<'_>) -> Result<()> {
    const AT_ONCE: usize = 50;
    let mut paths: Vec<String> = REGISTERS.iter().map(|path| (*path).to_owned()).collect();
    paths.push(LOCKED.to_owned());
    for folder in ["/d", "/q"] {
        let outcomes = client.call(&[Request::Children(folder.to_owned())])?;
        let listed = outcomes.iter().flatten().flat_map(names);
        paths.extend(listed.map(|name| format!("{folder}/{name}")));
    }
    for paths in paths.chunks(AT_ONCE) {
        let gets: Vec<Request> = paths.iter().cloned().map(Request::Get).collect();
        let outcomes = client.call(&gets)?.unwrap_or_default();
        ensure!(
            outcomes.iter().all(Outcome::is_done),
            "not all of {paths:?} can be read: {outcomes:?}"
        );
    }
    Ok(())
}

/// All histories of a run; those of one client in their order.
pub(crate) fn read_histories(folder: &Path) -> Result<Vec<Record>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("history-") {
            files.push(path);
        }
    }
    ensure!(!files.is_empty(), "there is no history in {}", folder.display());
    files.sort();
    let mut records = Vec::new();
    for file in files {
        records.extend(history::read(&file)?);
    }
    Ok(records)
}

/// Judges the histories of an earlier run.
pub(super) fn judge_folder(folder: &Path, plant: Option<Plant>) -> Result<bool> {
    let mut records = read_histories(folder)?;
    let expected = plant
        .map(|plant| plant.put(&mut records).map(|what| (plant, what)))
        .transpose()?;
    let report = check::check(&records);
    print(&report);
    show(&report.violations.iter().map(ToString::to_string).collect::<Vec<_>>());
    match expected {
        Some((plant, what)) => {
            let found = plant.is_found(&report);
            println!("planted: {what}; {}", if found { "found" } else { "NOT found" });
            Ok(found)
        }
        None => Ok(report.violations.is_empty()),
    }
}

fn print(report: &Report) {
    println!(
        "{} requests in {} sessions: {} writes carried out, {} of unknown end ({} of those found out)",
        report.requests, report.sessions, report.writes, report.unknown, report.resolved
    );
    println!(
        "the lock was held {} times; {} of {} reads behind a sync were stale",
        report.holds,
        report.stale.len(),
        report.syncs
    );
}

/// Judges and tells; `true` when all checks out and every planted violation would be found.
fn conclude(findings: &Findings, options: &Options, folder: &Path) -> Result<bool> {
    for line in &findings.told {
        println!("{line}");
    }
    let report = check::check(&findings.records);
    print(&report);
    let mut wrong: Vec<String> = findings.violations.iter().map(ToString::to_string).collect();
    wrong.extend(report.violations.iter().map(ToString::to_string));
    for (index, tree) in findings.trees.iter().enumerate().skip(1) {
        let differences = tree::differences(&findings.trees[0], tree);
        if !differences.is_empty() {
            wrong.push(format!("Trees: server 1 and server {}: {differences:?}", index + 1));
        }
    }
    println!(
        "the trees of {} servers have {} nodes each",
        findings.trees.len(),
        findings.trees.first().map_or(0, tree::Tree::len)
    );
    if findings.all_zebu {
        wrong.extend(report.stale.iter().map(|text| format!("FreshSync: {text}")));
    }
    for text in &findings.odd {
        println!("Java: {}", text.lines().next().unwrap_or_default());
    }
    let planted = planted(findings, options)?;
    if !wrong.is_empty() {
        let file = folder.join("violations.txt");
        fs::write(&file, wrong.join("\n")).with_context(|| format!("cannot write {}", file.display()))?;
        println!("{} VIOLATIONS, all of them in {}:", wrong.len(), file.display());
        show(&wrong);
    }
    Ok(wrong.is_empty() && planted)
}

/// The first findings of each kind: one fault has often many traces.
fn show(findings: &[String]) {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for text in findings {
        let count = shown.entry(text.split(':').next().unwrap_or_default()).or_insert(0);
        *count += 1;
        if *count <= SHOWN {
            println!("  {}", text.chars().take(SHOWN_CHARS).collect::<String>());
        }
    }
    println!("  by kind: {shown:?}");
}

/// Puts violations into the history, each for itself, and sees that they are found.
fn planted(findings: &Findings, options: &Options) -> Result<bool> {
    let plants = match options.plant {
        Some(plant) => vec![plant],
        None => Plant::all(),
    };
    let mut found = Vec::new();
    let mut missed = Vec::new();
    let mut unplaced = Vec::new();
    for plant in plants {
        let mut records = findings.records.clone();
        match plant.put(&mut records) {
            Ok(what) if plant.is_found(&check::check(&records)) => {
                if options.plant.is_some() {
                    println!("planted: {what}");
                }
                found.push(plant.name());
            }
            Ok(what) => missed.push(format!("{} ({what})", plant.name())),
            // A short run may offer no place for it.
            Err(error) if options.plant.is_none() => unplaced.push(format!("{} ({error})", plant.name())),
            Err(error) => return Err(error),
        }
    }
    println!("planted and found: {}", found.join(", "));
    if !unplaced.is_empty() {
        println!("no place for: {}", unplaced.join(", "));
    }
    if !missed.is_empty() {
        println!("planted and NOT FOUND: {}", missed.join(", "));
    }
    Ok(missed.is_empty())
}
