//! Scenarios, under the numbers that they have in the table of what an ensemble must stand. What must hold in each is checked
//! at every step by the simulator; the rest of the table is tested by campaigns, or beside the crate that it is about.
#![allow(clippy::unwrap_used, reason = "a test may")]

use zebu_sim::{Ensemble, Fault, Plan, Violation};

/// Runs a scenario with some seeds: what differs is how long everything takes.
fn with_seeds(scenario: impl Fn(u64) -> Result<(), Violation>) {
    for seed in 0..8 {
        if let Err(violation) = scenario(seed) {
            panic!("seed {seed}: {violation}");
        }
    }
}

fn plan(voters: usize) -> Plan {
    Plan {
        voters,
        request_ms_max: 20,
        ..Plan::default()
    }
}

fn write(ensemble: &mut Ensemble, index: usize, count: usize) -> Result<(), Violation> {
    for _ in 0..count {
        ensemble.write(index)?;
        ensemble.run_for(5)?;
    }
    Ok(())
}

/// All orders of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in orders(count - 1) {
        for place in 0..count {
            let mut order = order.clone();
            order.insert(place, count - 1);
            all.push(order);
        }
    }
    all
}

#[test]
fn scenario_01_cold_starts_in_all_orders() {
    for voters in [3, 5] {
        for (seed, order) in (0..).zip(orders(voters)) {
            let start = |is_staggered: bool| {
                let mut ensemble = Ensemble::new(seed, plan(voters));
                for index in &order {
                    ensemble.start(*index)?;
                    ensemble.run_for(if is_staggered { 70 } else { 0 })?;
                }
                let leader = ensemble.leader()?;
                write(&mut ensemble, leader, 3)?;
                // Histories of different lengths.
                ensemble.crash(order[0], true);
                let leader = ensemble.leader()?;
                write(&mut ensemble, leader, 3)?;
                for index in 0..voters {
                    ensemble.crash(index, false);
                }
                for index in &order {
                    ensemble.start(*index)?;
                    ensemble.run_for(if is_staggered { 70 } else { 0 })?;
                }
                ensemble.recover()
            };
            for is_staggered in [false, true] {
                if let Err(violation) = start(is_staggered) {
                    panic!("{order:?}, {is_staggered}: {violation}");
                }
            }
        }
    }
}

/// A follower that is behind takes over a history; its disk fails at each operation of that in turn.
#[test]
fn scenario_02_crashes_between_the_durable_steps_of_a_history() {
    for operation in 0..40 {
        for both in [false, true] {
            let run = || {
                let mut ensemble = Ensemble::serving(operation, plan(3))?;
                let leader = ensemble.leader()?;
                let (one, other) = ((leader + 1) % 3, (leader + 2) % 3);
                ensemble.crash(one, false);
                write(&mut ensemble, leader, 4)?;
                ensemble.run_for(100)?;
                ensemble.crash(leader, false);
                ensemble.fail_disk(one, operation, Fault::Crash);
                if both {
                    ensemble.fail_disk(other, operation / 2, Fault::Crash);
                }
                ensemble.start(one)?;
                ensemble.run_for(1500)?;
                ensemble.recover().map(|_| ())
            };
            run().unwrap_or_else(|violation| panic!("operation {operation}, both: {both}: {violation}"));
        }
    }
}

#[test]
fn scenario_03_a_leader_ends_after_the_acknowledgements_and_before_any_commit() {
    with_seeds(|seed| {
        let mut ensemble = Ensemble::serving(seed, plan(3))?;
        let leader = ensemble.leader()?;
        let before = ensemble.acknowledged();
        ensemble.write(leader)?;
        while ensemble.acknowledged() == before {
            // The proposal is on its way; what is said later is lost.
            ensemble.run_for(1)?;
        }
        ensemble.crash(leader, true);
        ensemble.leader()?;
        ensemble.recover().map(|_| ())
    });
}

/// What a leader has logged alone is taken back when it returns, out of snapshots too.
#[test]
fn scenario_04_05_a_leader_logs_alone_and_returns() {
    for takes_snapshot in [false, true] {
        with_seeds(|seed| {
            let mut ensemble = Ensemble::serving(seed, plan(3))?;
            let old = ensemble.leader()?;
            write(&mut ensemble, old, 3)?;
            ensemble.run_for(50)?;
            ensemble.isolate(old);
            let acknowledged = ensemble.acknowledged();
            write(&mut ensemble, old, 3)?;
            assert_eq!(ensemble.acknowledged(), acknowledged);
            let new = ensemble.leader_except(Some(old))?;
            write(&mut ensemble, new, 2)?;
            // It gives up, and looks for a leader alone.
            ensemble.run_for(4000)?;
            if takes_snapshot {
                ensemble.snapshot(old)?;
            }
            let report = ensemble.recover()?;
            assert!(report.truncations > 0 || report.snapshots > 0, "{report:?}");
            Ok(())
        });
    }
}

/// The connection of a learner that takes over a history ends at each packet; then another leads.
#[test]
fn scenario_07_connections_end_at_each_packet_of_a_synchronization() {
    for packets in 0..30 {
        for is_wiped in [false, true] {
            let run = || {
                let mut ensemble = Ensemble::serving(packets, plan(3))?;
                let leader = ensemble.leader()?;
                let behind = (leader + 1) % 3;
                ensemble.crash(behind, false);
                if is_wiped {
                    ensemble.wipe(behind);
                }
                write(&mut ensemble, leader, 6)?;
                ensemble.cut_after(behind, packets);
                ensemble.start(behind)?;
                ensemble.run_for(150)?;
                write(&mut ensemble, leader, 2)?;
                ensemble.crash(leader, true);
                ensemble.run_for(500)?;
                ensemble.recover().map(|_| ())
            };
            run().unwrap_or_else(|violation| panic!("{packets} packets, wiped: {is_wiped}: {violation}"));
        }
    }
}

#[test]
fn scenario_14_disks_fail_at_each_operation() {
    for fault in [Fault::Error, Fault::Full, Fault::Crash] {
        for operation in 0..25 {
            for is_leader in [true, false] {
                let run = || {
                    let mut ensemble = Ensemble::serving(operation, plan(3))?;
                    let leader = ensemble.leader()?;
                    let victim = if is_leader { leader } else { (leader + 1) % 3 };
                    ensemble.fail_disk(victim, operation, fault);
                    write(&mut ensemble, leader, 8)?;
                    ensemble.run_for(300)?;
                    ensemble.recover().map(|_| ())
                };
                run().unwrap_or_else(|violation| panic!("{fault:?} at {operation}, {is_leader}: {violation}"));
            }
        }
    }
}

/// The epochs of a new leader and of its followers are written, or not, at each crash.
#[test]
fn scenario_16_crashes_between_the_files_of_the_epochs() {
    for operation in 0..30 {
        let run = || {
            let mut ensemble = Ensemble::serving(operation, plan(3))?;
            let leader = ensemble.leader()?;
            write(&mut ensemble, leader, 2)?;
            for index in 0..3 {
                if index != leader {
                    ensemble.fail_disk(index, operation, Fault::Crash);
                }
            }
            ensemble.crash(leader, false);
            ensemble.run_for(2000)?;
            ensemble.recover().map(|_| ())
        };
        run().unwrap_or_else(|violation| panic!("operation {operation}: {violation}"));
    }
}

/// While the others have a new leader, the old one answers nobody's `sync`.
#[test]
fn scenario_18_a_leader_that_is_cut_off_answers_no_sync() {
    with_seeds(|seed| {
        let mut ensemble = Ensemble::serving(seed, plan(3))?;
        let old = ensemble.leader()?;
        write(&mut ensemble, old, 2)?;
        ensemble.run_for(50)?;
        ensemble.isolate(old);
        let new = ensemble.leader_except(Some(old))?;
        for _ in 0..40 {
            write(&mut ensemble, new, 1)?;
            ensemble.run_for(60)?;
            ensemble.sync_and_read(old)?;
            ensemble.sync_and_read(new)?;
        }
        let reads = ensemble.report().synced_reads;
        assert!(reads > 0, "the new one does");
        ensemble.recover().map(|_| ())
    });
}

#[test]
fn scenario_19_one_direction_of_one_link_is_lost() {
    for from_leader in [false, true] {
        with_seeds(|seed| {
            let mut ensemble = Ensemble::serving(seed, plan(3))?;
            let leader = ensemble.leader()?;
            let follower = (leader + 1) % 3;
            if from_leader {
                ensemble.block(leader, follower);
            } else {
                ensemble.block(follower, leader);
            }
            ensemble.run_for(8000)?;
            // The others go on, or have found together again.
            let leader = ensemble.leader()?;
            let before = ensemble.acknowledged();
            write(&mut ensemble, leader, 3)?;
            ensemble.run_for(200)?;
            assert!(ensemble.acknowledged() >= before + 3);
            ensemble.recover().map(|_| ())
        });
    }
}

/// A follower that does not keep up is given up, and comes back.
#[test]
fn scenario_22_a_slow_follower() {
    with_seeds(|seed| {
        let mut ensemble = Ensemble::serving(seed, plan(3))?;
        let leader = ensemble.leader()?;
        for _ in 0..3 {
            ensemble.pause((leader + 1) % 3, 2500);
            for _ in 0..30 {
                write(&mut ensemble, leader, 1)?;
                ensemble.run_for(100)?;
            }
        }
        assert_eq!(ensemble.leader()?, leader, "the others do not notice");
        assert_eq!(ensemble.acknowledged(), 90);
        ensemble.recover().map(|_| ())
    });
}

/// Leadership is handed over at the end of the counter, and nobody waits long.
#[test]
fn scenario_23_the_counter_ends() {
    with_seeds(|seed| {
        let plan = Plan {
            counter_end: Some(20),
            ..plan(3)
        };
        let mut ensemble = Ensemble::serving(seed, plan)?;
        let mut taken = 0;
        while taken < 200 {
            let leader = ensemble.leader()?;
            taken += u64::from(ensemble.write(leader)?);
            ensemble.run_for(5)?;
        }
        ensemble.run_for(100)?;
        let report = ensemble.report();
        assert!(report.hand_overs >= 9, "{report:?}");
        assert_eq!(ensemble.acknowledged(), taken, "nothing is left in doubt");
        ensemble.recover().map(|_| ())
    });
}

/// A server without weight follows and never leads.
#[test]
fn scenario_28_groups_and_a_server_without_weight() {
    with_seeds(|seed| {
        let plan = Plan {
            groups: &[&[1, 1, 0], &[1, 1, 1], &[1]],
            ..plan(7)
        };
        let mut ensemble = Ensemble::serving(seed, plan)?;
        for _ in 0..6 {
            let leader = ensemble.leader()?;
            assert_ne!(leader, 2);
            write(&mut ensemble, leader, 2)?;
            ensemble.crash(leader, true);
            // Without one of the first group, which has two of weight, only both other groups together do.
            let next = ensemble.leader_except(Some(leader))?;
            write(&mut ensemble, next, 1)?;
            ensemble.start(leader)?;
            ensemble.run_for(1000)?;
        }
        ensemble.recover().map(|_| ())
    });
}

/// A server with an emptied disk waits for one that has the history.
#[test]
fn scenario_34_a_wiped_voter_does_not_vote() {
    with_seeds(|seed| {
        let mut ensemble = Ensemble::serving(seed, plan(3))?;
        let leader = ensemble.leader()?;
        let (one, other) = ((leader + 1) % 3, (leader + 2) % 3);
        ensemble.crash(other, false);
        write(&mut ensemble, leader, 5)?;
        ensemble.run_for(100)?;
        // One that is behind, and one that knows nothing: together they are no quorum.
        ensemble.crash(leader, false);
        ensemble.wipe(one);
        ensemble.start(one)?;
        ensemble.start(other)?;
        let epochs = ensemble.report().epochs;
        ensemble.run_for(10_000)?;
        assert_eq!(ensemble.report().epochs, epochs);
        ensemble.recover().map(|_| ())
    });
}

#[test]
fn scenario_35_clocks_jump_and_servers_stop_for_a_while() {
    with_seeds(|seed| {
        let mut ensemble = Ensemble::serving(seed, plan(5))?;
        for round in 0..6 {
            let leader = ensemble.leader()?;
            write(&mut ensemble, leader, 2)?;
            match round % 3 {
                0 => ensemble.jump(leader, 5000),
                1 => ensemble.pause(leader, 5000),
                _ => ensemble.jump((leader + 1) % 5, 5000),
            }
            ensemble.run_for(6000)?;
        }
        ensemble.recover().map(|_| ())
    });
}

/// A server that is told to end costs its clients a moment, also if it leads.
#[test]
fn a_leader_that_is_told_to_end_is_replaced_at_once() {
    with_seeds(|seed| {
        let mut ensemble = Ensemble::serving(seed, plan(3))?;
        let leader = ensemble.leader()?;
        ensemble.write(leader)?;
        ensemble.end(leader)?;
        // A write, an election, and a synchronization without anything to send, at 1 to 15 ms for each step.
        ensemble.run_for(400)?;
        assert_eq!(ensemble.acknowledged(), 1, "nothing is left in doubt");
        let epochs = ensemble.report().epochs;
        assert_eq!(epochs, 2);
        ensemble.recover().map(|_| ())
    });
}
