//! Observers that learn from followers.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use zebu_proto::quorum::{ConfigVersion, LearnerInfo, LearnerMessage};
use zebu_proto::{Epoch, SessionId, Sid, Xid, Zxid};
use zebu_server::Config;

use super::hostile::{check_closed, head, info, noise};
use super::members::Members;
use super::{code, exists};
use crate::support::ports::free_port;
use crate::support::{Client, op, path, until};

const LONG_MS: i32 = 60_000;
const EPHEMERAL: i32 = 1;
/// The observer, behind three voters.
const OBSERVER: usize = 4;

/// Three voters and an observer, where observers may learn from followers.
fn start(configure: impl Fn(&mut Config) + 'static) -> Members {
    start_at(free_port(), configure)
}

fn start_at(port: u16, configure: impl Fn(&mut Config) + 'static) -> Members {
    let mut members = Members::apart(3, 1, move |config| {
        config.ensemble.observer_master_port = Some(port);
        configure(config);
    });
    members.start_all();
    members.leader();
    members
}

/// Whom the observer learns from.
fn master(members: &Members) -> usize {
    let id = members.value(OBSERVER, "observer_master_id").expect("it observes");
    id.parse().unwrap()
}

/// Waits until it learns from this one: it may not have noticed yet that another is gone.
fn until_it_learns_from(members: &Members, number: usize) {
    until(&format!("it learns from {number}"), || {
        members.value(OBSERVER, "observer_master_id") == Some(number.to_string())
    });
}

/// Waits until the observer shows a node.
fn until_shown(client: &mut Client, node: &str) {
    until("the observer shows the node", || exists(client, node) == code::OK);
}

#[test]
fn an_observer_learns_from_a_follower() {
    let members = start(|_| {});
    let leader = members.leader();
    let master = master(&members);
    assert!(master != leader && master < OBSERVER, "{master}");
    let observers = |number| members.value(number, "synced_observers");
    until("it counts its observer", || observers(master).as_deref() == Some("1"));
    let third = members
        .all()
        .find(|number| ![leader, master, OBSERVER].contains(number))
        .unwrap();
    assert_eq!(observers(leader).as_deref(), Some("0"));
    assert_eq!(observers(third).as_deref(), Some("0"));

    let mut client = members.client(OBSERVER, LONG_MS);
    client.create("/by-observer", b"x", EPHEMERAL);
    assert_eq!(exists(&mut client, "/by-observer"), code::OK);
    let mut others: Vec<Client> = [leader, master, third]
        .map(|number| members.client(number, LONG_MS))
        .into();
    for (index, other) in others.iter_mut().enumerate() {
        assert_eq!(other.call(op::SYNC, &path("/")).err, code::OK);
        assert_eq!(exists(other, "/by-observer"), code::OK);
        // Syncs of the follower's own clients and those of its observer's are told apart.
        let node = format!("/n{index}");
        other.create(&node, b"", 0);
        assert_eq!(client.call(op::SYNC, &path("/")).err, code::OK);
        assert_eq!(exists(&mut client, &node), code::OK);
    }
    assert_eq!(
        client.call(op::CREATE, &crate::support::create("/n0", b"", 0)).err,
        -110
    );
    assert_eq!(client.call(op::CLOSE_SESSION, b"").err, code::OK);
    for other in &mut others {
        assert_eq!(other.call(op::SYNC, &path("/")).err, code::OK);
        assert_eq!(exists(other, "/by-observer"), code::NO_NODE);
    }
}

/// Many clients at the observer and at its master: every one gets its own answers.
#[test]
fn syncs_and_writes_of_many_clients_are_not_mixed_up() {
    let members = start(|_| {});
    let master = master(&members);
    let mut clients: Vec<Client> = [OBSERVER, master]
        .repeat(4)
        .into_iter()
        .map(|number| members.client(number, LONG_MS))
        .collect();
    for round in 0..20 {
        let mut xids = Vec::new();
        for (index, client) in clients.iter_mut().enumerate() {
            let node = format!("/r{round}-{index}");
            let body = crate::support::create(&node, b"", 0);
            xids.push(client.send_together(&[(op::SYNC, &path("/")), (op::CREATE, &body), (op::EXISTS, &path(&node))]));
        }
        for (client, xids) in clients.iter_mut().zip(xids) {
            for xid in xids {
                let reply = client.reply().unwrap();
                assert_eq!((reply.xid, reply.err), (xid, code::OK));
            }
        }
    }
}

#[test]
fn sessions_of_an_observer_are_kept_alive_and_move() {
    const SHORT_MS: i32 = 3000;
    let members = start(|_| {});
    let (leader, master) = (members.leader(), master(&members));
    let third = members
        .all()
        .find(|number| ![leader, master, OBSERVER].contains(number))
        .unwrap();
    let mut client = members.client(OBSERVER, SHORT_MS);
    client.create("/mine", b"", EPHEMERAL);
    let mut silent = members.client(OBSERVER, SHORT_MS);
    silent.create("/silent", b"", EPHEMERAL);
    // Nobody but the leader decides that a session is over: it hears of one of them by way of the follower.
    let mut witness = members.client(leader, LONG_MS);
    until("the other session expires", || {
        client.call(op::PING, b"");
        exists(&mut witness, "/silent") == code::NO_NODE
    });
    assert_eq!(exists(&mut witness, "/mine"), code::OK);

    for number in [master, OBSERVER, third, OBSERVER, leader, OBSERVER] {
        let mut back = None;
        until("the session goes on elsewhere", || {
            back = client.renew(members.address(number));
            back.is_some()
        });
        let mut back = back.unwrap();
        assert_eq!(back.session, client.session);
        back.create(&format!("/at-{number}-"), b"", 3);
        assert_eq!(exists(&mut back, "/mine"), code::OK);
        client = back;
    }
    // An expired one is not known to the leader any more.
    let refused = silent.renew(members.address(OBSERVER)).expect("it is told so");
    assert_eq!(refused.session, 0);
}

#[test]
fn an_observer_goes_to_another_follower_and_to_the_leader_if_there_is_none() {
    let mut members = start(|config| {
        // How long it looks for a follower.
        config.ensemble.connect_to_learner_master_limit_ticks = NonZeroU32::new(5);
    });
    let leader = members.leader();
    let first = master(&members);
    let mut client = members.client(leader, LONG_MS);
    client.create("/first", b"", 0);
    members.stop(first);
    client.create("/second", b"", 0);
    let third = members
        .all()
        .find(|number| ![leader, first, OBSERVER].contains(number))
        .unwrap();
    until_it_learns_from(&members, third);
    until_shown(&mut members.client(OBSERVER, LONG_MS), "/second");
    // Those that come back have no port for observers.
    members.stop(third);
    members.stop(leader);
    members.configure(move |config| {
        if config.server_id != Some(Sid(i64::try_from(OBSERVER).unwrap())) {
            config.ensemble.observer_master_port = None;
        }
    });
    members.start_all();
    let leader = members.leader();
    until_it_learns_from(&members, leader);
    let mut client = members.client(leader, LONG_MS);
    client.create("/third", b"", 0);
    until_shown(&mut members.client(OBSERVER, LONG_MS), "/third");
}

#[test]
fn an_observer_that_was_away_gets_the_log_or_the_whole_tree_from_a_follower() {
    let mut members = start(|_| {});
    let leader = members.leader();
    let mut client = members.client(leader, LONG_MS);
    client.create("/before", b"", 0);
    until_shown(&mut members.client(OBSERVER, LONG_MS), "/before");
    for wiped in [false, true] {
        members.stop(OBSERVER);
        // More than is kept in memory for learners.
        for number in 0..600 {
            client.create(&format!("/{wiped}{number}"), b"x", 0);
        }
        if wiped {
            members.wipe(OBSERVER);
        }
        members.run(OBSERVER);
        let mut observer = members.client(OBSERVER, LONG_MS);
        until_shown(&mut observer, &format!("/{wiped}599"));
        assert_eq!(exists(&mut observer, "/before"), code::OK);
        assert_eq!(exists(&mut observer, &format!("/{wiped}0")), code::OK);
        assert!(master(&members) != members.leader());
        client.create(&format!("/{wiped}"), b"", 0);
        until_shown(&mut observer, &format!("/{wiped}"));
    }
    assert_eq!(members.value(OBSERVER, "digest_mismatches_count").as_deref(), Some("0"));
}

#[test]
fn strangers_on_the_port_for_observers_disturb_nobody() {
    let port = free_port();
    let members = start_at(port, |_| {});
    let master = master(&members);
    let mut client = members.client(OBSERVER, LONG_MS);
    client.create("/before", b"", 0);
    let address = SocketAddr::from((members.host(master), port));
    let observer_info = |sid| {
        LearnerMessage::ObserverInfo {
            accepted_epoch: Epoch(0),
            info: LearnerInfo::new(Sid(sid), ConfigVersion(0)),
        }
        .to_vec()
    };
    let request = |op: i32| LearnerMessage::Request {
        session: SessionId(7),
        cxid: Xid(1),
        op,
        body: &[],
        authinfo: None,
    };
    check_closed(address, "noise", &noise(5000));
    check_closed(address, "a length that nobody has", &head(16, i32::MAX));
    check_closed(address, "a follower", &info(3, 0));
    check_closed(address, "its own id", &observer_info(i64::try_from(master).unwrap()));
    check_closed(address, "a request of a stranger", &request(1).to_vec());
    let ack_epoch = LearnerMessage::AckEpoch {
        last_zxid: Zxid(-1),
        current_epoch: None,
    };
    let epoch = {
        let answer = members.word(master, "srvr");
        let zxid = answer
            .lines()
            .find_map(|line| line.strip_prefix("Zxid: 0x"))
            .unwrap()
            .to_owned();
        i64::from_str_radix(&zxid, 16).unwrap() >> 32
    };
    let ack = LearnerMessage::Ack {
        zxid: Zxid(epoch << 32),
    };
    for (what, last) in [
        ("what is no write", request(op::GET_DATA).to_vec()),
        ("an unknown operation", request(4711).to_vec()),
        ("a session without a timeout", request(-10).to_vec()),
        (
            "the acknowledgement of a proposal",
            LearnerMessage::Ack {
                zxid: Zxid(epoch << 32 | 1),
            }
            .to_vec(),
        ),
    ] {
        let bytes = [observer_info(9), ack_epoch.to_vec(), ack.to_vec(), last].concat();
        check_closed(address, what, &bytes);
    }
    client.create("/after", b"", 0);
    assert_eq!(self::master(&members), master);
}
