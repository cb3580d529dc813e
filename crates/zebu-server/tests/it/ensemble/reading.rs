//! A member that finds no leader, and serves those who only read.

use zebu_server::Config;

use super::members::Members;
use super::{NOTHING, code, exists};
use crate::support::{Client, Handshake, create, op, path, string, until, watch};

const LONG_MS: i32 = 60_000;

fn reader() -> Handshake {
    Handshake {
        may_be_read_only: true,
        ..Handshake::new(LONG_MS)
    }
}

/// An ensemble of three with a node, of which two are gone. Returns the third, and a session of the ensemble's.
fn alone() -> (Members, usize, Client) {
    let mut members = Members::start(3, |config: &mut Config| config.read_only_mode = true);
    let mut client = members.client(1, LONG_MS);
    client.create("/p", b"data", 0);
    for number in members.all().filter(|number| *number != 1) {
        members.stop(number);
    }
    assert_eq!(client.reply(), None);
    members.until_mode(1, "read-only");
    (members, 1, client)
}

#[test]
fn who_only_reads_is_served_without_a_quorum() {
    let (members, number, global) = alone();
    let address = members.address(number);
    assert_eq!(members.word(number, "isro"), "ro");
    let overview = members.word(number, "srvr");
    let second = overview.lines().nth(1).unwrap();
    assert_eq!(second, "READ-ONLY mode; serving only read-only clients");
    let before = overview
        .lines()
        .find(|line| line.starts_with("Zxid"))
        .map(str::to_owned);

    let mut client = Client::shake_hands(address, &reader()).unwrap();
    assert!(client.is_read_only);
    assert_eq!(client.timeout_ms, LONG_MS);
    assert_eq!(&client.call(op::GET_DATA, &watch("/p")).body[4..8], b"data");
    for (op, body) in [
        (op::CREATE, create("/new", b"", 0)),
        (op::CREATE, create("/new", b"", 1)),
        (op::SYNC, string("/")),
    ] {
        let refused = client.call(op, &body);
        assert_eq!(refused.err, code::NOT_READ_ONLY);
        assert_eq!(refused.body, NOTHING);
    }
    assert_eq!(exists(&mut client, "/new"), code::NO_NODE);
    // It goes on on another connection, with what is known here only.
    let mut back = Client::shake_hands(
        address,
        &Handshake {
            session: client.session,
            password: client.password.clone(),
            ..reader()
        },
    )
    .unwrap();
    assert_eq!(back.session, client.session);
    assert_eq!(client.frame(), None);
    assert_eq!(back.call(op::CLOSE_SESSION, NOTHING).err, code::OK);
    assert_eq!(back.reply(), None);

    // Who writes, and whose session is the ensemble's, has to look elsewhere.
    assert!(Client::shake_hands(address, &Handshake::new(LONG_MS)).is_none());
    assert!(global.renew(address).is_none());
    let wants_to_read = Handshake {
        session: global.session,
        password: global.password.clone(),
        ..reader()
    };
    assert!(Client::shake_hands(address, &wants_to_read).is_none());
    let overview = members.word(number, "srvr");
    let after = overview
        .lines()
        .find(|line| line.starts_with("Zxid"))
        .map(str::to_owned);
    assert_eq!(after, before);
}

#[test]
fn when_there_is_a_quorum_again_clients_are_closed_and_write() {
    let (mut members, number, global) = alone();
    let address = members.address(number);
    let mut client = Client::shake_hands(address, &reader()).unwrap();
    assert_eq!(client.call(op::EXISTS, &path("/p")).err, code::OK);
    members.start_all();
    assert_eq!(client.frame(), None, "it is closed");
    members.leader();
    assert_eq!(members.word(number, "isro"), "rw");
    let mut again = None;
    until("it is served", || {
        again = Client::shake_hands(address, &reader());
        again.is_some()
    });
    let mut again = again.unwrap();
    assert!(!again.is_read_only);
    again.create("/new", b"", 0);
    let unknown = client.renew(address).unwrap();
    assert_eq!(unknown.session, 0, "what was known to the reader only is over");
    let mut global = global.renew(address).unwrap();
    assert_ne!(global.session, 0, "what all knew is not");
    assert_eq!(exists(&mut global, "/new"), code::OK);
}

#[test]
fn an_observer_without_voters_serves_who_only_reads() {
    let mut members = Members::with_observers(2, 1, |config: &mut Config| config.read_only_mode = true);
    members.start_all();
    members.leader();
    members.client(3, LONG_MS).create("/p", b"data", 0);
    members.stop(1);
    members.stop(2);
    members.until_mode(3, "read-only");
    let mut client = Client::shake_hands(members.address(3), &reader()).unwrap();
    assert!(client.is_read_only);
    assert_eq!(exists(&mut client, "/p"), code::OK);
}

#[test]
fn without_the_mode_nobody_is_served() {
    let mut members = Members::start(3, |_| {});
    members.stop(2);
    members.stop(3);
    until("it has no leader", || members.mode(1).is_none());
    assert_eq!(members.word(1, "isro"), "null");
    assert!(Client::shake_hands(members.address(1), &reader()).is_none());
}
