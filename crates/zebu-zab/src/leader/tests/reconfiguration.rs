//! Changes of the configuration.

use alloc::string::String;

use super::*;

const FOUR: LearnerId = LearnerId(40);
const FIVE: LearnerId = LearnerId(50);

fn config(voters: &[i64], version: Zxid) -> Arc<QuorumConfig> {
    let mut config = QuorumConfig::default();
    for sid in voters {
        let line = format!("h:{}:{}", 2000 + sid, 3000 + sid);
        config.add(&format!("server.{sid}"), &line).unwrap();
    }
    config.version = ConfigVersion(version.0);
    Arc::new(config)
}

const OLD: Zxid = zxid(1, 0);
const CHANGE: Zxid = zxid(2, 1);

fn dynamic(last_seen: Option<Arc<QuorumConfig>>) -> Bench {
    Bench::with_members(Members::dynamic(config(&[1, 2, 3], OLD), last_seen))
}

impl Bench {
    /// Servers 4 and 5 have the history, too.
    fn with_joiners(mut self) -> Self {
        for (id, sid) in [(FOUR, 4), (FIVE, 5)] {
            self.connect(id, &follower(sid, 1));
            self.hear(id, &promise(LAST, Some(Epoch(1))));
            self.hear(id, &ack(zxid(2, 0)));
        }
        self
    }

    fn change(&mut self, voters: &[i64]) -> Effects {
        let mut out = Vec::new();
        self.leader
            .propose_reconfig(proposal(CHANGE), config(voters, CHANGE), self.now, &mut out);
        out
    }
}

fn commits(effects: &[LeaderEffect]) -> Vec<Zxid> {
    let commits = effects.iter().filter_map(|effect| match effect {
        LeaderEffect::Commit(zxid) => Some(*zxid),
        _ => None,
    });
    commits.collect()
}

#[test]
fn a_change_and_what_follows_it_takes_quorums_of_both() {
    let mut bench = dynamic(None).lead().with_joiners();
    let next = zxid(2, 2);
    let seen = bench.change(&[1, 4, 5]);
    assert_eq!(seen.first(), Some(&LeaderEffect::See(config(&[1, 4, 5], CHANGE))));
    bench.propose(next);
    bench.flushed(next);
    // Of the old ones all but one, of the new ones this server alone.
    assert_eq!(bench.hear(TWO, &ack(next)), vec![]);
    let committed = bench.hear(FOUR, &ack(CHANGE));
    let leader = Sid(1);
    assert_eq!(
        committed.first(),
        Some(&LeaderEffect::Activate {
            config: config(&[1, 4, 5], CHANGE),
            leader
        })
    );
    for id in [TWO, FOUR, FIVE] {
        let message = ToLearner::CommitAndActivate { zxid: CHANGE, leader };
        assert!(committed.contains(&send(id, message)), "{committed:?}");
    }
    assert_eq!(commits(&committed), [CHANGE]);
    // From here on the new ones decide.
    assert_eq!(commits(&bench.hear(FIVE, &ack(next))), [next]);
    assert!(!bench.leader.members().is_changing());
}

#[test]
fn the_old_ones_alone_do_not_commit_a_change_nor_the_new_ones() {
    let mut bench = dynamic(None).lead().with_joiners();
    bench.change(&[1, 4, 5]);
    bench.flushed(CHANGE);
    assert_eq!(bench.hear(FOUR, &ack(CHANGE)), vec![]);
    assert_eq!(bench.hear(FIVE, &ack(CHANGE)), vec![]);
    assert_eq!(commits(&bench.hear(TWO, &ack(CHANGE))), [CHANGE]);
}

#[test]
fn a_leader_that_removes_itself_names_the_furthest_and_commits_nothing_more() {
    let mut bench = dynamic(None).lead().with_joiners();
    let next = zxid(2, 2);
    bench.change(&[2, 4, 5]);
    bench.propose(next);
    bench.flushed(next);
    bench.hear(FOUR, &ack(CHANGE));
    bench.hear(FIVE, &ack(next));
    let committed = bench.hear(TWO, &ack(CHANGE));
    assert_eq!(commits(&committed), [CHANGE]);
    let is_named = |effect: &LeaderEffect| matches!(effect, LeaderEffect::Activate { leader: Sid(5), .. });
    assert!(committed.iter().any(is_named), "{committed:?}");
    for id in [TWO, FOUR] {
        assert_eq!(
            commits(&bench.hear(id, &ack(next))),
            [],
            "that is the next leader's matter"
        );
    }
    // Those who have heard of it leave; with the last one goes its leadership.
    let mut out = Vec::new();
    for id in [TWO, FOUR] {
        bench.leader.lost(id, &mut out);
        assert_eq!(out, vec![]);
    }
    bench.leader.lost(FIVE, &mut out);
    assert!(resigns(&out), "{out:?}");
}

#[test]
fn a_removed_leader_whose_followers_stay_stops_after_a_tick() {
    let mut bench = dynamic(None).lead().with_joiners();
    bench.change(&[2, 4, 5]);
    bench.flushed(CHANGE);
    for id in [TWO, FOUR] {
        bench.hear(id, &ack(CHANGE));
    }
    assert!(!resigns(&bench.tick(TIMES.tick_ms)));
    assert!(resigns(&bench.tick(TIMES.tick_ms)));
}

#[test]
fn a_leader_at_another_address_is_another_one() {
    let mut bench = dynamic(None).lead();
    let mut moved = QuorumConfig::clone(&config(&[2, 3], CHANGE));
    moved.add("server.1", "elsewhere:2001:3001").unwrap();
    let mut out = Vec::new();
    bench
        .leader
        .propose_reconfig(proposal(CHANGE), Arc::new(moved), bench.now, &mut out);
    bench.flushed(CHANGE);
    let committed = bench.hear(TWO, &ack(CHANGE));
    let is_named = |effect: &LeaderEffect| matches!(effect, LeaderEffect::Activate { leader: Sid(2), .. });
    assert!(committed.iter().any(is_named), "{committed:?}");
}

/// ZOOKEEPER-1783: as long as it has version 0, nobody could tell it from what a server that joins starts with.
#[test]
fn the_first_configuration_gets_a_number_with_its_first_epoch() {
    let members = Members::dynamic(config(&[1, 2, 3], Zxid::ZERO), None);
    let mut bench = Bench::with_members(members);
    bench.connect(TWO, &follower(2, 1));
    bench.accepted();
    bench.hear(TWO, &promise(LAST, Some(Epoch(1))));
    let numbered = config(&[1, 2, 3], zxid(2, 0));
    assert_eq!(bench.current().first(), Some(&LeaderEffect::See(numbered.clone())));
    let established = bench.hear(TWO, &ack(zxid(2, 0)));
    let activate = LeaderEffect::Activate {
        config: numbered,
        leader: Sid(1),
    };
    assert_eq!(established[..2], [activate, LeaderEffect::Established(Epoch(2))]);

    // Where nothing may change it stays as it is.
    let mut bench = Bench::new();
    bench.connect(TWO, &follower(2, 1));
    bench.accepted();
    bench.hear(TWO, &promise(LAST, Some(Epoch(1))));
    assert!(
        !bench
            .current()
            .iter()
            .any(|effect| matches!(effect, LeaderEffect::See(_)))
    );
}

/// What is not known to be committed is committed with the history, by quorums of both. So is the epoch: the reference
/// asks the old ones alone, and the new ones could come to the same epoch with another leader.
#[test]
fn scenario_25_a_change_that_came_to_no_end_is_finished_by_quorums_of_both() {
    let mut bench = dynamic(Some(config(&[1, 4, 5], LAST)));
    assert_eq!(bench.connect(TWO, &follower(2, 1)), vec![]);
    let discovered = bench.connect(FOUR, &follower(4, 1));
    assert_eq!(discovered, vec![LeaderEffect::SaveAcceptedEpoch(Epoch(2))]);
    bench.accepted();
    assert_eq!(bench.hear(TWO, &promise(LAST, Some(Epoch(1)))), vec![]);
    let promised = bench.hear(FOUR, &promise(LAST, Some(Epoch(1))));
    assert_eq!(promised, vec![LeaderEffect::SaveCurrentEpoch(Epoch(2))]);
    bench.current();
    assert_eq!(bench.hear(TWO, &ack(zxid(2, 0))), vec![]);
    let established = bench.hear(FOUR, &ack(zxid(2, 0)));
    let what: Vec<String> = established.iter().take(2).map(|effect| format!("{effect:?}")).collect();
    assert!(what[0].starts_with("Activate"), "{what:?}");
    assert!(what[1].starts_with("Established"), "{what:?}");
    assert_eq!(bench.leader.members().committed(), &config(&[1, 4, 5], LAST));
}

#[test]
fn scenario_26_who_finishes_its_own_removal_does_not_serve() {
    let mut bench = dynamic(Some(config(&[2, 4, 5], LAST)));
    for (id, sid) in [(TWO, 2), (FOUR, 4)] {
        bench.connect(id, &follower(sid, 1));
    }
    bench.accepted();
    for id in [TWO, FOUR] {
        bench.hear(id, &promise(LAST, Some(Epoch(1))));
    }
    bench.current();
    bench.hear(TWO, &ack(zxid(2, 0)));
    let established = bench.hear(FOUR, &ack(zxid(2, 0)));
    assert!(!established.contains(&LeaderEffect::Established(Epoch(2))));
    for id in [TWO, FOUR] {
        assert!(established.contains(&send(id, ToLearner::UpToDate)), "{established:?}");
    }
    let mut out = Vec::new();
    bench.leader.lost(TWO, &mut out);
    bench.leader.lost(FOUR, &mut out);
    assert!(resigns(&out));
}

#[test]
fn whether_a_quorum_of_a_new_configuration_follows_is_known() {
    let bench = dynamic(None).lead().with_joiners();
    let is_synced = |voters: &[i64]| bench.leader.is_quorum_synced(&config(voters, CHANGE));
    assert!(is_synced(&[1, 4, 6]));
    assert!(is_synced(&[4, 5, 6]));
    assert!(!is_synced(&[5, 6, 7]));
}
