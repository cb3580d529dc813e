//! Ensembles under faults, seed by seed.
//!
//! `ZEBU_SIM_SEEDS=20000 cargo test --release -p zebu-sim` is a long campaign; `ZEBU_SIM_SEED=1162` repeats one seed, and
//! prints all of it when it fails.

use zebu_sim::{Canary, Plan, Report, run};

fn add(total: &mut Report, report: &Report) {
    total.starts += report.starts;
    total.epochs += report.epochs;
    total.settles += report.settles;
    total.committed += report.committed;
    total.acknowledged += report.acknowledged;
    total.diffs += report.diffs;
    total.truncations += report.truncations;
    total.snapshots += report.snapshots;
    total.installs += report.installs;
    total.own_snapshots += report.own_snapshots;
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
    )
}

fn campaign(plan: Plan, seeds: std::ops::Range<u64>) -> Report {
    let mut total = Report::default();
    let only = number("ZEBU_SIM_SEED");
    for seed in only.map_or(seeds, |seed| seed..seed + 1) {
        match run(seed, plan) {
            Ok(report) => add(&mut total, &report),
            Err(violation) => {
                // Once more, with everything that happens.
                let is_traced = true;
                let _ = run(seed, Plan { is_traced, ..plan });
                panic!("seed {seed}, {plan:?}: {violation}");
            }
        }
    }
    total
}

/// How many seeds a campaign has; `ZEBU_SIM_SEEDS` sets another number, for long ones.
fn seeds(ordinary: u64) -> u64 {
    number("ZEBU_SIM_SEEDS").unwrap_or(ordinary)
}

#[test]
fn three_servers_keep_what_they_acknowledge() {
    let seeds = seeds(120);
    let total = campaign(Plan::default(), 0..seeds);
    println!("{total:?}");
    // A campaign in which nothing happened shows nothing.
    assert!(total.acknowledged > seeds * 20, "{total:?}");
    for count in [total.diffs, total.truncations, total.snapshots, total.installs] {
        assert!(count > 0, "{total:?}");
    }
}

#[test]
fn five_servers_with_observers_do_too() {
    let plan = Plan {
        voters: 5,
        observers: 2,
        ..Plan::default()
    };
    let seeds = seeds(60);
    let total = campaign(plan, 1000..1000 + seeds);
    println!("{total:?}");
    assert!(total.acknowledged > seeds * 20, "{total:?}");
}

#[test]
fn a_run_is_repeated_exactly() {
    let plan = Plan::default();
    for seed in 7..12 {
        assert_eq!(run(seed, plan), run(seed, plan));
    }
}

/// The seeds until a fault that is put into the program is found.
fn seeds_to_find(canary: Canary, voters: usize) -> Option<u64> {
    let plan = Plan {
        voters,
        canary: Some(canary),
        ..Plan::default()
    };
    (0..400).find(|seed| run(*seed, plan).is_err())
}

#[test]
fn an_acknowledgement_before_the_disk_is_done_is_found() {
    assert!(seeds_to_find(Canary::AckBeforeFlush, 3).is_some());
}

#[test]
fn an_epoch_that_is_not_saved_is_found() {
    assert!(seeds_to_find(Canary::EpochNotSaved, 3).is_some());
}
