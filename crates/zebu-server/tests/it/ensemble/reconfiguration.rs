//! Ensembles that change while they serve.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::members::Members;
use super::{NOTHING, code, exists};
use crate::support::{self, Client, op, until};

const NEW_CONFIG_NO_QUORUM: i32 = -13;
const RECONFIG_DISABLED: i32 = -123;
const BAD_VERSION: i32 = -103;
const BAD_ARGUMENTS: i32 = -8;
const NO_AUTH: i32 = -102;

/// The body of a change: who joins, who leaves, the whole new list, and the version that is to be changed.
fn change(joining: Option<&str>, leaving: Option<&str>, members: Option<&str>, version: i64) -> Vec<u8> {
    let text = |text: Option<&str>| text.map_or_else(|| (-1i32).to_be_bytes().to_vec(), support::string);
    [
        text(joining),
        text(leaving),
        text(members),
        version.to_be_bytes().to_vec(),
    ]
    .concat()
}

fn reconfig(client: &mut Client, joining: Option<&str>, leaving: Option<&str>) -> support::Reply {
    client.call(op::RECONFIG, &change(joining, leaving, None, -1))
}

/// The text at the beginning of an answer.
fn text(reply: &support::Reply) -> String {
    let len = usize::try_from(i32::from_be_bytes(reply.body[..4].try_into().unwrap())).unwrap();
    String::from_utf8(reply.body[4..4 + len].to_vec()).unwrap()
}

fn config_of(client: &mut Client) -> String {
    text(&client.call(op::GET_DATA, &support::path("/zookeeper/config")))
}

/// Ends the load, also when a test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Three servers; the members behind them are known to nobody but themselves.
fn three_of(count: usize) -> Members {
    let mut members = Members::changing(count, 3, |config| {
        config.auth.skip_acl = true;
    });
    for number in 1..=3 {
        members.run(number);
    }
    members.leader();
    members
}

#[test]
fn three_become_five_and_three_others_under_load() {
    let mut members = three_of(5);
    let leader = members.leader();
    let (is_over, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let count = || acknowledged.lock().unwrap().len();
    let addresses: Vec<_> = members.all().map(|number| members.address(number)).collect();
    std::thread::scope(|threads| {
        let _end = End(&is_over);
        threads.spawn(|| {
            // Writes of a client that goes elsewhere when its server is gone.
            let mut client: Option<Client> = None;
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let Some(connected) = &mut client else {
                    client = Client::try_new(addresses[number % addresses.len()], 30_000);
                    continue;
                };
                let body = support::create(&format!("/n{number}"), b"", 0);
                let sent = connected.try_send(op::CREATE, &body);
                match sent.ok().and_then(|()| connected.reply()) {
                    Some(reply) => {
                        assert_eq!(reply.err, code::OK);
                        acknowledged.lock().unwrap().push(number);
                    }
                    // It may have been done; the next one gets another name.
                    None => client = None,
                }
            }
        });
        let mut client = members.client(members.other_than(leader), 30_000);
        let joining = format!("{},{}", members.line(4), members.line(5));
        // Of four, two are there.
        let one_less = reconfig(&mut client, Some(&joining), Some("1"));
        assert_eq!(one_less.err, NEW_CONFIG_NO_QUORUM);
        for number in [4, 5] {
            members.run(number);
            members.until_mode(number, "follower");
        }
        let reply = reconfig(&mut client, Some(&joining), None);
        assert_eq!(reply.err, code::OK);
        assert_eq!(text(&reply).lines().count(), 6, "{}", text(&reply));
        drop(client);

        // The leader goes, and one more.
        let other = members.all().find(|number| *number != leader && *number <= 3).unwrap();
        let mut client = members.client(5, 30_000);
        let leaving = format!("{leader},{other}");
        assert_eq!(reconfig(&mut client, None, Some(&leaving)).err, code::OK);
        until("another one leads", || {
            members.mode(leader).as_deref() == Some("follower")
        });
        assert_ne!(members.leader(), leader);
        members.stop(leader);
        members.stop(other);
        let before = count();
        until("writes go on", || count() > before);
    });
    let mut configs = Vec::new();
    for number in members
        .all()
        .filter(|number| members.is_running(*number))
        .collect::<Vec<_>>()
    {
        let mut client = members.client(number, 30_000);
        client.call(op::SYNC, &support::path("/"));
        for number in acknowledged.lock().unwrap().iter() {
            assert_eq!(exists(&mut client, &format!("/n{number}")), code::OK, "{number}");
        }
        configs.push(config_of(&mut client));
    }
    assert_eq!(configs.len(), 3);
    assert!(configs.iter().all(|config| *config == configs[0]), "{configs:?}");
    assert_eq!(configs[0].lines().count(), 4);
}

#[test]
fn a_voter_becomes_an_observer_and_a_voter_again_and_a_restart_remembers_it() {
    let mut members = three_of(3);
    let (leader, follower) = (members.leader(), members.follower());
    let mut client = members.client(leader, 30_000);
    let observer = members.line(follower).replace(":participant", ":observer");
    assert_eq!(reconfig(&mut client, Some(&observer), None).err, code::OK);
    members.until_mode(follower, "observer");
    members.stop(follower);
    members.run(follower);
    members.until_mode(follower, "observer");
    let voter = members.line(follower);
    assert_eq!(reconfig(&mut client, Some(&voter), None).err, code::OK);
    members.until_mode(follower, "follower");
    client.create("/a", b"", 0);
}

#[test]
fn all_members_are_replaced_at_once() {
    let mut members = three_of(6);
    for number in 4..=6 {
        members.run(number);
        members.until_mode(number, "follower");
    }
    let mut client = members.client(1, 30_000);
    client.create("/a", b"", 0);
    let whole: Vec<_> = (4..=6).map(|number| members.line(number)).collect();
    let body = change(None, None, Some(&whole.join(",")), -1);
    // The leader may be gone before it has answered.
    client.send(op::RECONFIG, &body);
    assert!(client.reply().is_none_or(|reply| reply.err == code::OK));
    until("one of the new ones leads", || {
        (4..=6).any(|number| members.mode(number).as_deref() == Some("leader"))
    });
    for number in 1..=3 {
        members.stop(number);
    }
    members.leader();
    for number in 4..=6 {
        let mut client = members.client(number, 30_000);
        client.create(&format!("/by{number}"), b"", 0);
        assert_eq!(exists(&mut client, "/a"), code::OK);
    }
}

#[test]
fn a_server_moves_to_other_ports() {
    let mut members = three_of(4);
    let follower = members.follower();
    // Where the fourth one would be, under the number of this one.
    let (old, new) = (members.address(follower), members.address(4));
    let line = members.line(4).replace("server.4", &format!("server.{follower}"));
    let mut client = members.client(members.leader(), 30_000);
    assert_eq!(reconfig(&mut client, Some(&line), None).err, code::OK);
    until("clients are served at the new port", || {
        Client::try_new(new, 30_000).is_some()
    });
    until("and not at the old one", || std::net::TcpStream::connect(old).is_err());
    members.stop(follower);
    members.run(follower);
    let mut moved = None;
    until("a restart finds it there", || {
        moved = Client::try_new(new, 30_000);
        moved.is_some()
    });
    moved.unwrap().create("/a", b"", 0);
}

#[test]
fn one_server_grows_into_an_ensemble_and_shrinks_back() {
    let mut members = Members::changing(3, 1, |config| {
        config.auth.skip_acl = true;
        config.ensemble.standalone_enabled = false;
    });
    members.run(1);
    members.until_mode(1, "leader");
    let mut client = members.client(1, 30_000);
    for number in [2, 3] {
        members.run(number);
        members.until_mode(number, "follower");
        let line = members.line(number);
        assert_eq!(reconfig(&mut client, Some(&line), None).err, code::OK);
    }
    assert_eq!(reconfig(&mut client, None, Some("2,3")).err, code::OK);
    for number in [2, 3] {
        members.stop(number);
    }
    client.create("/alone-again", b"", 0);
    assert_eq!(reconfig(&mut client, None, Some("1")).err, BAD_ARGUMENTS);
}

#[test]
fn what_may_not_be_is_refused() {
    let members = Members::start(3, |_| {});
    let mut client = members.client(1, 30_000);
    assert_eq!(reconfig(&mut client, None, Some("3")).err, RECONFIG_DISABLED);
    drop(members);

    let mut members = Members::changing(3, 3, |_| {});
    members.start_all();
    let mut client = members.client(members.follower(), 30_000);
    assert_eq!(reconfig(&mut client, None, Some("3")).err, NO_AUTH);
    assert_eq!(reconfig(&mut client, None, Some("2,3")).err, BAD_ARGUMENTS);
    let wrong_version = change(None, Some("3"), None, 7);
    assert_eq!(client.call(op::RECONFIG, &wrong_version).err, BAD_VERSION);
    assert_eq!(
        reconfig(&mut client, Some("server.4=127.0.0.1:1:2"), None).err,
        BAD_ARGUMENTS
    );
    assert_eq!(reconfig(&mut client, Some("nonsense"), None).err, BAD_ARGUMENTS);
    // Nothing is under way after that.
    client.create("/a", b"", 0);
    assert_eq!(client.call(op::WHO_AM_I, NOTHING).err, code::OK);
}
