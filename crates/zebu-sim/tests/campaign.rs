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
    assert!(total.acknowledged > seeds * 15, "{total:?}");
    total
}

fn plan(name: &str) -> Plan {
    Plan::ALL.into_iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn three_servers_keep_what_they_acknowledge() {
    let total = campaign("three", 80);
    for count in [
        total.synced_reads,
        total.diffs,
        total.log_reads,
        total.hand_overs,
        total.truncations,
        total.snapshots,
        total.installs,
        total.own_snapshots,
        total.disk_failures,
        total.wipes,
        total.renewals,
        total.expirations,
        total.events,
    ] {
        assert!(count > 0, "{total:?}");
    }
}

#[test]
fn five_servers_with_observers_do_too() {
    campaign("five-and-observers", 25);
}

#[test]
fn seven_servers_do_too() {
    campaign("seven", 20);
}

#[test]
fn servers_in_groups_do_too() {
    campaign("groups", 20);
}

#[test]
fn servers_in_groups_of_other_kinds_do_too() {
    campaign("groups-with-weights", 20);
    campaign("groups-without-weight", 20);
}

#[test]
fn servers_with_sessions_of_their_own_do_too() {
    campaign("local-sessions", 30);
}

#[test]
fn servers_that_serve_readers_without_a_leader_do_too() {
    campaign("read-only", 30);
}

#[test]
fn servers_whose_counter_ends_soon_do_too() {
    let total = campaign("counter", 40);
    assert!(total.hand_overs > 30, "{total:?}");
}

#[test]
fn servers_in_rough_times_do_too() {
    campaign("rough", 25);
}

#[test]
fn servers_with_much_to_do_do_too() {
    campaign("busy", 30);
}

#[test]
fn a_run_is_repeated_exactly() {
    for seed in 7..12 {
        assert_eq!(run(seed, Plan::default()), run(seed, Plan::default()));
    }
}

/// Whether a fault of a program is found within `seeds`, in the plan `name`.
fn is_found(bug: Bug, name: &str, seeds: u64) -> bool {
    let plan = Plan {
        bug: Some(bug),
        ..plan(name)
    };
    (0..seeds).any(|seed| run(seed, plan).is_err())
}

/// The table in `docs/historical-bugs.md` says how many seeds each took; here it has a few times as many.
fn are_found(bugs: &[(Bug, &str, u64)]) {
    let missed: Vec<Bug> = bugs
        .iter()
        .filter(|(bug, name, seeds)| !is_found(*bug, name, *seeds))
        .map(|(bug, ..)| *bug)
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// Those that are found within a few seeds.
const SOON: [(Bug, &str, u64); 20] = [
    (Bug::AckBeforeFlush, "three", 20),
    (Bug::EpochNotSaved, "three", 20),
    (Bug::HistoryAckedBeforeDurable, "rough", 50),
    (Bug::FirstAckIsTheHistorys, "seven", 20),
    (Bug::CommitBehindNewLeader, "rough", 40),
    (Bug::SnapshotSurvivesTruncation, "rough", 40),
    (Bug::AbortedSyncKept, "rough", 80),
    (Bug::RegisteredLate, "rough", 40),
    (Bug::SnapshotNotDurable, "three", 20),
    (Bug::HoleInCommittedLog, "counter", 40),
    (Bug::NewLeaderBeforeTree, "three", 20),
    (Bug::CounterRunsOn, "counter", 20),
    (Bug::EpochFilesSwapped, "rough", 20),
    (Bug::VotesBeforeLogEnds, "three", 20),
    (Bug::LastSeenReported, "three", 20),
    (Bug::WipedVotes, "rough", 40),
    (Bug::FailedFsyncRetried, "three", 40),
    (Bug::ProposedLate, "rough", 40),
    (Bug::SessionsUnasked, "three", 20),
    (Bug::ClientsNotHeardOf, "three", 30),
];

/// Those that need a rare coincidence.
const LATE: [(Bug, &str, u64); 5] = [
    (Bug::EpochBeforeHistory, "rough", 100),
    (Bug::FirstRecordSurvivesTruncation, "rough", 60),
    (Bug::HoleInLogOnDisk, "counter", 100),
    (Bug::SyncUnconfirmed, "groups-without-weight", 150),
    (Bug::RevalidatedEarly, "counter", 100),
];

#[test]
fn faults_of_programs_are_found_soon() {
    are_found(&SOON);
}

#[test]
fn faults_of_programs_that_show_rarely_are_found() {
    are_found(&LATE);
}

/// With [`Bug::EpochGoesBack`] two independent checks are missing, and two servers still do not come to lead with it in
/// tens of thousands of seeds: the checks have tests of their own.
#[test]
fn every_fault_of_a_program_is_looked_for() {
    let looked_for = |bug| SOON.iter().chain(&LATE).any(|(known, ..)| *known == bug);
    let others: Vec<Bug> = Bug::ALL.into_iter().filter(|bug| !looked_for(*bug)).collect();
    assert_eq!(others, [Bug::EpochGoesBack]);
}
