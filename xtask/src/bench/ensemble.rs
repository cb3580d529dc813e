//! Three servers on one machine: throughput, latency and CPU time of all together, and how long writes fail when the leader
//! goes.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

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
