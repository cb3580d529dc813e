//! Three servers on one machine: throughput, latency and CPU time of all together, and how long writes fail when the leader
//! goes, and how soon a follower without data is filled with a million znodes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::ensemble::{Ensemble, Place, Setup};
use crate::interop::client::{Op, Session};
use crate::java::JavaOptions;

use super::generator::Workload;
use super::procfs::settle;
use super::report::{Better, Metric, Results};
use super::{Bench, Seat, say};

const SERVERS: u16 = 3;
const SERVES_WITHIN: Duration = Duration::from_secs(60);
const STOPS_WITHIN: Duration = Duration::from_secs(20);

const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "three servers, set 100 B, 1 x 1",
        op: "set",
        data_bytes: 100,
        connections: 1,
        outstanding: 1,
    },
    Workload {
        name: "three servers, get 1 KB, 32 x 100",
        op: "get",
        data_bytes: 1024,
        connections: 32,
        outstanding: 100,
    },
    Workload {
        name: "three servers, set 100 B, 32 x 100",
        op: "set",
        data_bytes: 100,
        connections: 32,
        outstanding: 100,
    },
];

/// How a leader goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// SIGKILL.
    Killed,
    /// SIGTERM.
    Stopped,
    /// SIGSTOP: its connections stay.
    Frozen,
}

impl Loss {
    const fn name(self) -> &'static str {
        match self {
            Self::Killed => "leader killed (SIGKILL)",
            Self::Stopped => "leader stopped (SIGTERM)",
            Self::Frozen => "leader frozen (SIGSTOP)",
        }
    }
}

/// Everything about ensembles.
///
/// # Errors
/// When a server fails or answers wrongly.
pub fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    speed(bench, results)?;
    for round in 0..bench.plan.life_pairs {
        for seat in Seat::order(round) {
            transfer(bench, seat, results)?;
        }
    }
    for loss in [Loss::Killed, Loss::Stopped, Loss::Frozen] {
        // A frozen leader is noticed after `syncLimit` ticks, ten seconds.
        let rounds = match loss {
            Loss::Frozen => bench.plan.failovers.div_ceil(4),
            Loss::Killed | Loss::Stopped => bench.plan.failovers,
        };
        for round in 0..rounds {
            for seat in Seat::order(round) {
                let took = failover(bench, seat, loss)?;
                let ms = took.as_secs_f64() * 1000.0;
                say(&format!(
                    "{}, round {}, {}: first write after {ms:.1} ms",
                    loss.name(),
                    round + 1,
                    bench.product(seat).name()
                ));
                let metric = Metric {
                    group: "three servers, the leader goes".to_owned(),
                    name: loss.name(),
                    unit: "ms to the next write",
                    better: Better::Lower,
                };
                results.add(seat, metric, ms);
            }
        }
    }
    Ok(())
}

/// An ensemble that serves, and who leads it.
fn start(bench: &Bench, seat: Seat) -> Result<(Ensemble, usize)> {
    let setup = Setup {
        lines: [
            "maxClientCnxns=0",
            "forceSync=yes",
            "preAllocSize=65536",
            "snapCount=100000",
        ]
        .map(str::to_owned)
        .to_vec(),
        java: JavaOptions {
            jvm_flags: bench.jvm_flags(),
            ..JavaOptions::default()
        },
        ..Setup::default()
    };
    let places = Place::loopback_free(SERVERS)?;
    let programs = vec![bench.product(seat); places.len()];
    let folder = bench.fresh_folder(seat)?;
    let mut ensemble = Ensemble::prepare(&bench.workspace, &folder, &setup, &programs, &places)?;
    ensemble.start()?;
    let leader = ensemble.wait_until_all_serve(SERVES_WITHIN)?;
    Ok((ensemble, leader))
}

fn speed(bench: &Bench, results: &mut Results) -> Result<()> {
    let plan = bench.plan;
    let (mut baseline, _) = start(bench, Seat::Baseline)?;
    let (mut contender, _) = start(bench, Seat::Contender)?;
    let look = |ensemble: &Ensemble| -> (Vec<SocketAddr>, Vec<u32>) {
        let members = ensemble.members().iter();
        members
            .map(|member| (member.client(), member.pid().unwrap_or_default()))
            .unzip()
    };
    let (baseline_at, contender_at) = (look(&baseline), look(&contender));
    let of = |seat: Seat| match seat {
        Seat::Baseline => &baseline_at,
        Seat::Contender => &contender_at,
    };
    say("warming up");
    for seat in Seat::order(0) {
        for workload in &WORKLOADS {
            let (addresses, pids) = of(seat);
            bench
                .generator
                .load(workload, addresses, pids, 0, plan.first_warm_up_seconds)?;
        }
    }
    for workload in &WORKLOADS {
        for pair in 0..plan.speed_pairs {
            for seat in Seat::order(pair) {
                let (addresses, pids) = of(seat);
                settle(pids)?;
                let outcome = bench
                    .generator
                    .load(workload, addresses, pids, plan.warm_up_seconds, plan.seconds)?;
                say(&format!(
                    "{}, pair {}, {}: {:.0} ops/s, p50 {:.0} us, p99 {:.0} us, CPU us/op of all servers: {:.2}",
                    workload.name,
                    pair + 1,
                    bench.product(seat).name(),
                    outcome.ops_per_second,
                    outcome.latency_us.p50,
                    outcome.latency_us.p99,
                    outcome.server_cpu_us_per_op,
                ));
                let mut add = |name, unit, better, value| {
                    let group = workload.name.to_owned();
                    results.add(
                        seat,
                        Metric {
                            group,
                            name,
                            unit,
                            better,
                        },
                        value,
                    );
                };
                add("throughput", "ops/s", Better::Higher, outcome.ops_per_second);
                add("latency p50", "us", Better::Lower, outcome.latency_us.p50);
                add("latency p99", "us", Better::Lower, outcome.latency_us.p99);
                add("latency p99.9", "us", Better::Lower, outcome.latency_us.p99_9);
                add(
                    "CPU of all servers per operation",
                    "us",
                    Better::Lower,
                    outcome.server_cpu_us_per_op,
                );
            }
        }
    }
    baseline.stop(STOPS_WITHIN)?;
    contender.stop(STOPS_WITHIN)
}

/// Writes per second while a follower is filled, in batches.
const WRITES_PER_SECOND: u32 = 5000;
const BATCHES_PER_SECOND: u32 = 100;

/// Fills a follower that has lost its data, a million znodes, while writes go on.
fn transfer(bench: &Bench, seat: Seat, results: &mut Results) -> Result<()> {
    let (mut ensemble, leader) = start(bench, seat)?;
    let follower = (leader + 1) % usize::from(SERVERS);
    let address = ensemble.members()[leader].client();
    bench.generator.fill(address)?;
    ensemble.member(follower).stop(STOPS_WITHIN)?;
    let data = ensemble.members()[follower].data().join("version-2");
    super::remove(&data)?;
    let pids: Vec<u32> = ensemble
        .members()
        .iter()
        .filter_map(crate::ensemble::Member::pid)
        .collect();
    settle(&pids)?;
    let is_over = AtomicBool::new(false);
    let (took, latencies) = thread::scope(|scope| -> Result<_> {
        let writer = scope.spawn(|| write_until(address, &is_over));
        // The writer's first second is not looked at closely: a JVM compiles.
        thread::sleep(Duration::from_secs(2));
        let began = Instant::now();
        let served = ensemble
            .member(follower)
            .start()
            .and_then(|()| ensemble.member(follower).wait_until_serving(SERVES_WITHIN));
        let took = began.elapsed();
        thread::sleep(Duration::from_secs(1));
        is_over.store(true, Ordering::Relaxed);
        let latencies = writer.join().map_err(|_| anyhow!("the writer panicked"))??;
        served?;
        Ok((
            took,
            latencies
                .into_iter()
                .filter(|(at, _)| *at >= began)
                .map(|(_, ms)| ms)
                .collect::<Vec<f64>>(),
        ))
    })?;
    let worst = latencies.iter().copied().fold(0.0, f64::max);
    let writes = latencies.len() as f64 * f64::from(WRITES_PER_SECOND / BATCHES_PER_SECOND);
    let per_second = writes / (took + Duration::from_secs(1)).as_secs_f64();
    let bytes = folder_bytes(&data)?;
    say(&format!(
        "a follower without data, {}: serves a million znodes after {:.2} s, {bytes} bytes on its disk; {per_second:.0} writes/s meanwhile, the slowest batch of {} took {worst:.1} ms",
        bench.product(seat).name(),
        took.as_secs_f64(),
        WRITES_PER_SECOND / BATCHES_PER_SECOND,
    ));
    let mut add = |name, unit, better, value| {
        let group = "three servers, a follower gets a million znodes".to_owned();
        results.add(
            seat,
            Metric {
                group,
                name,
                unit,
                better,
            },
            value,
        );
    };
    add("start to serving", "s", Better::Lower, took.as_secs_f64());
    add("slowest write meanwhile", "ms", Better::Lower, worst);
    add("writes meanwhile", "per second", Better::Higher, per_second);
    for index in 0..usize::from(SERVERS) {
        ensemble.member(index).kill()?;
    }
    Ok(())
}

/// Writes batches at a steady rate. Returns when each was sent, and how long it took, milliseconds.
fn write_until(address: SocketAddr, is_over: &AtomicBool) -> Result<Vec<(Instant, f64)>> {
    const SESSION_MS: i32 = 20_000;
    let mut session = Session::open(address, SESSION_MS)?;
    session.must(&Op::create("/steady", "0"))?;
    let batch: Vec<Op> = (0..WRITES_PER_SECOND / BATCHES_PER_SECOND)
        .map(|_| Op::set("/steady", [b'x'; 100], -1))
        .collect();
    let mut latencies = Vec::new();
    let mut next = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        // From when it was due: a server that stalls holds up those behind it too.
        session.call_all(&batch)?;
        latencies.push((next, next.elapsed().as_secs_f64() * 1000.0));
        next += Duration::from_secs(1) / BATCHES_PER_SECOND;
    }
    Ok(latencies)
}

fn folder_bytes(folder: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// Takes the leader away and says how long it took until a write was acknowledged again.
fn failover(bench: &Bench, seat: Seat, loss: Loss) -> Result<Duration> {
    /// How long one attempt may take: a server that has not noticed yet answers nothing.
    const ATTEMPT: Duration = Duration::from_millis(250);
    const PAUSE: Duration = Duration::from_millis(1);
    const GIVE_UP: Duration = Duration::from_secs(120);
    const SESSION_MS: i32 = 10_000;
    let (mut ensemble, leader) = start(bench, seat)?;
    let survivors: Vec<SocketAddr> = (0..usize::from(SERVERS))
        .filter(|index| *index != leader)
        .map(|index| ensemble.members()[index].client())
        .collect();
    let mut before = Session::open(survivors[0], SESSION_MS).context("no session before the loss")?;
    before
        .must(&Op::create("/failover", "0"))
        .context("no write before the loss")?;
    // The servers have told each other everything, and do nothing.
    let pids: Vec<u32> = ensemble
        .members()
        .iter()
        .filter_map(crate::ensemble::Member::pid)
        .collect();
    settle(&pids)?;
    let began = Instant::now();
    match loss {
        Loss::Killed => ensemble.member(leader).kill()?,
        Loss::Frozen => ensemble.member(leader).pause()?,
        Loss::Stopped => ensemble.member(leader).ask_to_stop()?,
    }
    let mut attempts = 0u32;
    let took = loop {
        let address = survivors[attempts as usize % survivors.len()];
        let written = Session::open_within(address, SESSION_MS, ATTEMPT)
            .and_then(|mut session| session.must(&Op::set("/failover", attempts.to_string(), -1)));
        if written.is_ok() {
            break began.elapsed();
        }
        if began.elapsed() > GIVE_UP {
            bail!("no write succeeds after {GIVE_UP:?}: {}", loss.name());
        }
        attempts += 1;
        thread::sleep(PAUSE);
    };
    for index in 0..usize::from(SERVERS) {
        ensemble.member(index).kill()?;
    }
    Ok(took)
}
