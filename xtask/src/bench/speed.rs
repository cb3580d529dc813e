//! Throughput, latency and CPU time under load.
//!
//! Both servers stay up for all of it, so that a JVM is measured warm; the one that is not loaded does nothing.

use anyhow::Result;

use super::generator::Workload;
use super::procfs::settle;
use super::report::{Better, Metric, Results};
use super::{Bench, Seat, say};

/// What is run. One request at a time shows latency, 3200 at a time what the server can do.
const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "get 1 KB, 1 x 1",
        op: "get",
        data_bytes: 1024,
        connections: 1,
        outstanding: 1,
    },
    Workload {
        name: "set 100 B, 1 x 1",
        op: "set",
        data_bytes: 100,
        connections: 1,
        outstanding: 1,
    },
    Workload {
        name: "get 1 KB, 32 x 100",
        op: "get",
        data_bytes: 1024,
        connections: 32,
        outstanding: 100,
    },
    Workload {
        name: "set 100 B, 32 x 100",
        op: "set",
        data_bytes: 100,
        connections: 32,
        outstanding: 100,
    },
];

/// Loads both servers in turns with every workload.
///
/// # Errors
/// When a server fails or answers wrongly.
pub fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let plan = bench.plan;
    let mut baseline = bench.start(Seat::Baseline)?;
    let mut contender = bench.start(Seat::Contender)?;
    let addresses = [baseline.address(), contender.address()];
    let pids = [baseline.process().pid(), contender.process().pid()];
    let place = |seat: Seat| usize::from(seat == Seat::Contender);
    say("warming up");
    for seat in Seat::order(0) {
        for workload in &WORKLOADS {
            let at = place(seat);
            bench
                .generator
                .load(workload, &[addresses[at]], &[pids[at]], 0, plan.first_warm_up_seconds)?;
        }
    }
    for workload in &WORKLOADS {
        for pair in 0..plan.speed_pairs {
            for seat in Seat::order(pair) {
                let at = place(seat);
                settle(&pids)?;
                let outcome = bench.generator.load(
                    workload,
                    &[addresses[at]],
                    &[pids[at]],
                    plan.warm_up_seconds,
                    plan.seconds,
                )?;
                say(&format!(
                    "{}, pair {}, {}: {:.0} ops/s, p50 {:.0} us, p99 {:.0} us, CPU us/op: server {:.2}, generator {:.2}",
                    workload.name,
                    pair + 1,
                    bench.product(seat).name(),
                    outcome.ops_per_second,
                    outcome.latency_us.p50,
                    outcome.latency_us.p99,
                    outcome.server_cpu_us_per_op,
                    outcome.generator_cpu_us_per_op,
                ));
                let mut add = |name, unit, better, value| {
                    results.add(
                        seat,
                        Metric {
                            group: workload.name.to_owned(),
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
                add("latency max", "us", Better::Lower, outcome.latency_us.max);
                add(
                    "server CPU per operation",
                    "us",
                    Better::Lower,
                    outcome.server_cpu_us_per_op,
                );
                add(
                    "generator CPU per operation",
                    "us",
                    Better::Neither,
                    outcome.generator_cpu_us_per_op,
                );
            }
        }
    }
    baseline.stop()?;
    contender.stop()?;
    Ok(())
}
