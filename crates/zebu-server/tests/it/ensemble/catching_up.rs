//! Members that were away, with their data and without, and observers.

use super::members::Members;
use super::{code, exists};
use crate::support::{Client, op, path, until};

/// Waits until a member shows a node to those who only read there.
fn wait_for(members: &Members, number: usize, node: &str) -> Client {
    let mut client = members.client(number, 30_000);
    until("the member shows the node", || exists(&mut client, node) == code::OK);
    client
}

#[test]
fn a_member_that_was_away_learns_what_it_missed() {
    let mut members = Members::start(3, |_| {});
    let away = members.follower();
    members.stop(away);
    let leader = members.leader();
    let mut client = members.client(leader, 30_000);
    for number in 0..20 {
        client.create(&format!("/n{number}"), b"x", 0);
    }
    members.run(away);
    members.leader();
    wait_for(&members, away, "/n19");
}

#[test]
fn a_member_without_its_data_gets_the_whole_tree_and_keeps_it() {
    let mut members = Members::start(3, |_| {});
    let leader = members.leader();
    let mut client = members.client(leader, 30_000);
    // More than is kept in memory for learners.
    for number in 0..700 {
        client.create(&format!("/n{number}"), b"x", 0);
    }
    let away = members.other_than(leader);
    members.stop(away);
    members.wipe(away);
    members.run(away);
    members.leader();
    wait_for(&members, away, "/n699");
    // It counts for a quorum, with what is on its disk.
    let third = members.all().find(|number| ![leader, away].contains(number)).unwrap();
    members.stop(third);
    client.create("/with-two", b"", 0);
    members.stop(leader);
    members.stop(away);
    members.run(away);
    members.run(third);
    members.leader();
    let mut survivor = wait_for(&members, third, "/with-two");
    assert_eq!(exists(&mut survivor, "/n0"), code::OK);
}

#[test]
fn an_observer_shows_what_is_committed_and_takes_writes() {
    let mut members = Members::with_observers(3, 1, |_| {});
    members.start_all();
    let leader = members.leader();
    assert_eq!(members.mode(4).as_deref(), Some("observer"));
    let mut client = members.client(4, 30_000);
    client.create("/by-observer", b"x", 0);
    assert_eq!(exists(&mut client, "/by-observer"), code::OK);
    let mut other = members.client(leader, 30_000);
    other.create("/by-leader", b"x", 0);
    assert_eq!(client.call(op::SYNC, &path("/")).err, code::OK);
    assert_eq!(exists(&mut client, "/by-leader"), code::OK);
    // Its vote is none: with one voter of three there is no quorum, whatever it says.
    members.stop(4);
    members.run(4);
    members.leader();
    wait_for(&members, 4, "/by-leader");
}
