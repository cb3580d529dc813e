//! Ensembles under faults, seed by seed.
//!
//! `ZEBU_SIM_SEEDS=20000 cargo test --release -p zebu-sim` is a longer campaign; `ZEBU_SIM_SEED=1162` repeats one seed, and
//! prints all of it when it fails. For a long one, with progress and on all cores, there is the program `campaign`.
#![allow(clippy::unwrap_used, reason = "a test may")]

use zebu_sim::{Bug, Plan, Report, run};

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
    )
}

fn campaign(name: &str, ordinary: u64) -> Report {
    let plan = plan(name);
    let seeds = number("ZEBU_SIM_SEEDS").unwrap_or(ordinary);
    let mut total = Report::default();
    for seed in number("ZEBU_SIM_SEED").map_or(0..seeds, |seed| seed..seed + 1) {
        match run(seed, plan) {
            Ok(report) => total.add(&report),
            Err(violation) => {
                // Once more, with everything that happens.
                let is_traced = true;
                let _ = run(seed, Plan { is_traced, ..plan });
                panic!("seed {seed}, {plan:?}: {violation}");
            }
        }
    }
    println!("{total:?}");
    // A campaign in which nothing happened shows nothing.
    assert!(total.acknowledged > seeds * 20, "{total:?}");
    total
}

fn plan(name: &str) -> Plan {
    Plan::ALL.into_iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn three_servers_keep_what_they_acknowledge() {
    let total = campaign("three", 150);
    for count in [
        total.synced_reads,
        total.diffs,
        total.truncations,
        total.snapshots,
        total.installs,
        total.own_snapshots,
        total.disk_failures,
        total.wipes,
    ] {
        assert!(count > 0, "{total:?}");
    }
}

#[test]
fn five_servers_with_observers_do_too() {
    campaign("five-and-observers", 60);
}

#[test]
fn seven_servers_do_too() {
    campaign("seven", 40);
}

#[test]
fn servers_with_much_to_do_do_too() {
    campaign("busy", 40);
}

#[test]
fn a_run_is_repeated_exactly() {
    for seed in 7..12 {
        assert_eq!(run(seed, Plan::default()), run(seed, Plan::default()));
    }
}

/// Whether a fault of a program is found within `seeds`, in the plan `name`.
fn is_found(bug: Bug, name: &str, seeds: u64) {
    let plan = Plan {
        bug: Some(bug),
        ..plan(name)
    };
    assert!((0..seeds).any(|seed| run(seed, plan).is_err()), "{plan:?}");
}

/// The table in `docs/historical-bugs.md` says how many seeds each took; here it has a few times as many.
#[test]
fn every_fault_of_a_program_is_found() {
    for bug in Bug::ALL {
        let (name, seeds) = match bug {
            Bug::SnapshotSurvivesTruncation | Bug::FirstRecordSurvivesTruncation => ("three", 200),
            Bug::AbortedSyncKept | Bug::HoleInCommittedLog => ("three", 600),
            Bug::HistoryAckedBeforeDurable => ("three", 300),
            Bug::SyncUnconfirmed => ("three", 200),
            Bug::CommitBehindNewLeader => ("busy", 50),
            _ => ("three", 50),
        };
        is_found(bug, name, seeds);
    }
}
