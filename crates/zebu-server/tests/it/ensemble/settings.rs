//! What the configuration says about a member of an ensemble, and what comes of it.

use std::net::TcpListener;
use std::num::NonZeroU32;

use super::hostile::is_closed;
use super::members::Members;
use super::{code, exists};
use crate::support::{Client, Handshake, connect, op, path, until};

const LONG_MS: i32 = 60_000;

/// Waits until a member shows a node to those who only read there.
fn until_shown(members: &Members, number: usize, node: &str) -> Client {
    let mut client = members.client(number, LONG_MS);
    until("the member shows the node", || exists(&mut client, node) == code::OK);
    client
}

/// Writes more than is kept in memory for learners.
fn write_much(client: &mut Client, part: &str) {
    for number in 0..600 {
        client.create(&format!("/{part}{number}"), b"x", 0);
    }
}

#[test]
fn a_leader_may_leave_all_clients_to_others() {
    let mut members = Members::with_observers(3, 0, |config| config.ensemble.leader_serves = false);
    members.start_all();
    let followers = |members: &Members| -> Vec<usize> {
        let follows = |number: &usize| members.mode(*number).as_deref() == Some("follower");
        members.all().filter(follows).collect()
    };
    until("two follow", || followers(&members).len() == 2);
    let followers = followers(&members);
    let leader = members.all().find(|number| !followers.contains(number)).unwrap();
    let mut client = members.client(followers[0], LONG_MS);
    client.create("/n", b"", 0);
    assert_eq!(client.call(op::SYNC, &path("/")).err, code::OK);
    let refused = Client::shake_hands(members.address(leader), &Handshake::new(LONG_MS));
    assert!(refused.is_none(), "it serves nobody");
    let answer = members.word(leader, "srvr");
    assert_eq!(
        answer.trim(),
        "This ZooKeeper instance is not currently serving requests"
    );
}

#[test]
fn an_observer_may_keep_everything_in_memory() {
    const OBSERVER: usize = 4;
    let mut members = Members::with_observers(3, 1, |config| config.ensemble.sync_enabled = false);
    members.start_all();
    let leader = members.leader();
    let mut client = members.client(leader, LONG_MS);
    let has_log = |members: &Members, number| members.files(number).iter().any(|name| name.starts_with("log."));
    for part in ["a", "b"] {
        write_much(&mut client, part);
        until_shown(&members, OBSERVER, &format!("/{part}599"));
        assert!(!has_log(&members, OBSERVER), "{:?}", members.files(OBSERVER));
        // It goes on with what it has in memory, and after a restart with what it is sent.
        members.stop(OBSERVER);
        client.create(&format!("/{part}"), b"", 0);
        members.run(OBSERVER);
        until_shown(&members, OBSERVER, &format!("/{part}"));
    }
    let mut by_observer = members.client(OBSERVER, LONG_MS);
    by_observer.create("/by-observer", b"", 0);
    assert_eq!(exists(&mut by_observer, "/a0"), code::OK);
    assert!(has_log(&members, leader), "that is for observers alone");
    // Its leader goes, and it finds the next one with what it has.
    members.stop(leader);
    members.leader();
    let mut survivor = until_shown(&members, OBSERVER, "/by-observer");
    survivor.create("/after", b"", 0);
    assert!(!has_log(&members, OBSERVER), "{:?}", members.files(OBSERVER));
    assert_eq!(members.value(OBSERVER, "digest_mismatches_count").as_deref(), Some("0"));
}

#[test]
fn how_much_of_the_log_a_learner_is_sent_is_configured() {
    for (factor, gets_tree) in [(-1.0, true), (0.0, false)] {
        let mut members = Members::start(3, move |config| config.ensemble.snapshot_size_factor = factor);
        let leader = members.leader();
        let away = members.other_than(leader);
        let mut client = members.client(leader, LONG_MS);
        client.create("/first", b"", 0);
        until_shown(&members, away, "/first");
        members.stop(away);
        write_much(&mut client, "n");
        members.run(away);
        until_shown(&members, away, "/n599");
        let snapshots = members.files(away);
        let is_sent = |name: &String| name.starts_with("snapshot.") && name != "snapshot.0";
        assert_eq!(snapshots.iter().any(is_sent), gets_tree, "{factor}: {snapshots:?}");
    }
}

#[test]
fn how_much_is_kept_in_memory_for_learners_is_configured() {
    let mut members = Members::start(3, |config| {
        config.ensemble.commit_log_count = 1000;
        // Nobody reads the log, so that what is not in memory is sent as a tree.
        config.ensemble.snapshot_size_factor = -1.0;
    });
    let leader = members.leader();
    let away = members.other_than(leader);
    let mut client = members.client(leader, LONG_MS);
    client.create("/first", b"", 0);
    until_shown(&members, away, "/first");
    members.stop(away);
    write_much(&mut client, "n");
    members.run(away);
    until_shown(&members, away, "/n599");
    let snapshots = members.files(away);
    let is_sent = |name: &String| name.starts_with("snapshot.") && name != "snapshot.0";
    assert!(!snapshots.iter().any(is_sent), "{snapshots:?}");
}

#[test]
fn who_says_nothing_on_the_election_port_is_closed_when_it_is_configured() {
    // `syncLimit` would be five seconds.
    let members = Members::start(3, |config| {
        config.ensemble.connections.initial_message_timeout_ms = NonZeroU32::new(20);
        config.ensemble.sync_limit_ticks = NonZeroU32::new(100_000);
    });
    let mut silent = connect(members.election_port(1));
    assert!(is_closed(&mut silent));
}

#[test]
fn an_election_port_that_is_taken_is_tried_again() {
    let mut members = Members::with_observers(2, 0, |config| {
        config.ensemble.connections.election_port_bind_retry = NonZeroU32::new(1);
    });
    let taken = TcpListener::bind(members.election_port(1)).unwrap();
    assert!(members.try_to_run(1).is_err(), "once and not again");
    members.configure(|config| config.ensemble.connections.election_port_bind_retry = None);
    members.run(2);
    // Whichever comes first: it is found free, or found taken and tried again.
    let freeing = std::thread::spawn(move || drop(taken));
    members.run(1);
    freeing.join().unwrap();
    members.leader();
}
