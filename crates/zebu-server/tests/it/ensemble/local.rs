//! Local sessions: known to one member, and to all when they need to be.

use zebu_server::Config;

use super::members::Members;
use super::{NOTHING, code, exists};
use crate::support::{Client, create, op, path, set_data, until, watch};

const LONG_MS: i32 = 60_000;
const SHORT_MS: i32 = 1000;
const EPHEMERAL: i32 = 1;

/// Three voters and an observer.
fn start(is_upgrading: bool) -> Members {
    let mut members = Members::with_observers(3, 1, move |config: &mut Config| {
        config.sessions.local = true;
        config.sessions.local_upgrading = is_upgrading;
    });
    members.start_all();
    members.leader();
    members
}

/// What a member counts: global and local sessions.
fn sessions(members: &Members, number: usize) -> (u32, u32) {
    let answer = members.word(number, "mntr");
    let count = |key: &str| {
        let mut lines = answer.lines().filter_map(|line| line.split_once('\t'));
        lines.find(|(name, _)| *name == key).unwrap().1.parse().unwrap()
    };
    (count("zk_global_sessions"), count("zk_local_sessions"))
}

/// The last transaction that a member has applied.
fn zxid(members: &Members, number: usize) -> String {
    let answer = members.word(number, "srvr");
    let zxid = answer.lines().find_map(|line| line.strip_prefix("Zxid: "));
    zxid.unwrap().to_owned()
}

#[test]
fn every_member_serves_sessions_of_its_own_without_a_transaction() {
    let members = start(true);
    let before = zxid(&members, members.leader());
    let mut clients: Vec<Client> = members.all().map(|number| members.client(number, LONG_MS)).collect();
    for number in members.all() {
        until("it is counted", || sessions(&members, number) == (0, 1));
    }
    assert_eq!(zxid(&members, members.leader()), before);
    for (client, number) in clients.iter_mut().zip(members.all()) {
        let node = format!("/{number}");
        client.create(&node, b"", 0);
        assert_eq!(client.call(op::SET_DATA, &set_data(&node, b"new")).err, code::OK);
        let data = client.call(op::GET_DATA, &watch(&node));
        assert_eq!(&data.body[..7], b"\0\0\0\x03new");
        let session = format!("0x{:x}", client.session);
        let dump = members.word(number, "dump");
        let (local, global) = dump.split_once("Global Session").unwrap();
        assert!(
            local.starts_with("SessionTracker dump:\nLocal Session Sets (1)/(1):\n"),
            "{dump}"
        );
        assert!(local.contains(&format!("\t{session}\n")), "{dump}");
        assert!(
            global.starts_with("s(0):\n") || global.starts_with(" Sets (0)/(0):\n"),
            "{dump}"
        );
        assert!(members.word(number, "cons").contains(&format!("sid={session}")));
        assert_eq!(client.call(op::WHO_AM_I, NOTHING).err, code::OK);
    }
    let before = zxid(&members, members.leader());
    for (client, number) in clients.iter_mut().zip(members.all()) {
        assert_eq!(client.call(op::CLOSE_SESSION, NOTHING).err, code::OK);
        assert_eq!(client.reply(), None);
        until("it is over", || sessions(&members, number) == (0, 0));
    }
    assert_eq!(zxid(&members, members.leader()), before);
}

#[test]
fn the_first_ephemeral_node_makes_a_session_known_to_all() {
    let members = start(true);
    for number in members.all() {
        let mut client = members.client(number, LONG_MS);
        let node = format!("/e{number}");
        if number % 2 == 0 {
            client.create(&node, b"", EPHEMERAL);
        } else {
            let reply = client.call(op::MULTI, &multi_create(&node, EPHEMERAL));
            assert_eq!(reply.err, code::OK);
        }
        until("it is global", || sessions(&members, number) == (1, 0));
        let other = members.other_than(number);
        let mut moved = client.renew(members.address(other)).unwrap();
        assert_eq!(moved.session, client.session);
        assert_eq!(exists(&mut moved, &node), code::OK);
        assert_eq!(moved.call(op::CLOSE_SESSION, NOTHING).err, code::OK);
        for number in members.all() {
            until("all know of its end", || sessions(&members, number) == (0, 0));
        }
    }
}

#[test]
fn without_upgrading_an_ephemeral_node_is_refused_and_the_session_goes_on() {
    let members = start(false);
    for number in members.all() {
        let mut client = members.client(number, LONG_MS);
        let node = format!("/e{number}");
        let refused = client.call(op::CREATE, &create(&node, b"", EPHEMERAL));
        assert_eq!(refused.err, code::EPHEMERAL_ON_LOCAL_SESSION);
        let refused = client.call(op::MULTI, &multi_create(&node, EPHEMERAL));
        assert_eq!(refused.err, code::EPHEMERAL_ON_LOCAL_SESSION);
        client.create(&node, b"", 0);
    }
}

#[test]
fn a_local_session_goes_on_where_it_is_known_and_expires_there() {
    let members = start(true);
    for number in members.all() {
        let old = members.client(number, LONG_MS);
        let mut new = old.renew(members.address(number)).unwrap();
        assert_eq!(new.session, old.session);
        let elsewhere = old.renew(members.address(members.other_than(number))).unwrap();
        assert_eq!(elsewhere.session, 0);
        assert_eq!(new.call(op::EXISTS, &path("/")).err, code::OK);
        let mut silent = members.client(number, SHORT_MS);
        assert_eq!(silent.frame(), None, "it expires");
        until("it is forgotten", || sessions(&members, number) == (0, 1));
        assert_eq!(silent.renew(members.address(number)).unwrap().session, 0);
    }
}

fn multi_create(node: &str, flags: i32) -> Vec<u8> {
    let header = |kind: i32, done: bool| [&kind.to_be_bytes()[..], &[u8::from(done)], &(-1i32).to_be_bytes()].concat();
    [header(op::CREATE, false), create(node, b"", flags), header(-1, true)].concat()
}
