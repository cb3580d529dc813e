//! Global sessions: they belong to the ensemble, survive their server and their leader, and move between servers.

use super::members::Members;
use super::{code, exists, renewal};
use crate::support::{Client, Handshake, create, op, path, set_data, until};

/// For those that are meant to live.
const LONG_MS: i32 = 60_000;
/// For those that are meant to expire, but not before they have done something.
const SHORT_MS: i32 = 3000;
const EPHEMERAL: i32 = 1;

/// Goes on with a session on one of the members that serve by now.
fn come_back(members: &Members, client: &Client, number: usize) -> Client {
    let mut back = None;
    until("the session goes on", || {
        back = client.renew(members.address(number));
        back.is_some()
    });
    back.unwrap()
}

/// Whether a node exists there: the code of exists, if it is answered.
fn look(members: &Members, number: usize, node: &str) -> Option<i32> {
    let mut witness = Client::shake_hands(members.address(number), &Handshake::new(LONG_MS))?;
    witness.try_send(op::EXISTS, &path(node)).ok()?;
    let err = witness.reply()?.err;
    // It leaves no session behind.
    witness.try_send(op::CLOSE_SESSION, b"").ok()?;
    witness.reply()?;
    Some(err)
}

/// Found by the simulator: the leader took what came behind a sync for what it had to wait for, answered it first, and ended.
#[test]
fn a_leader_answers_a_sync_before_the_write_that_came_with_it() {
    let members = Members::start(3, |_| {});
    let mut client = members.client(members.leader(), LONG_MS);
    for round in 0..50 {
        let body = create(&format!("/n{round}"), b"", 0);
        let xids = client.send_together(&[(op::SYNC, &path("/")), (op::CREATE, &body), (op::SYNC, &path("/"))]);
        for xid in xids {
            let reply = client.reply().unwrap();
            assert_eq!((reply.xid, reply.err), (xid, code::OK));
        }
    }
}

#[test]
fn a_session_survives_its_leader_with_its_ephemerals() {
    let mut members = Members::start(3, |_| {});
    let leader = members.leader();
    let follower = members.follower();
    let mut of_leader = members.client(leader, LONG_MS);
    of_leader.create("/of-leader", b"", EPHEMERAL);
    let mut of_follower = members.client(follower, LONG_MS);
    of_follower.create("/of-follower", b"", EPHEMERAL);
    members.stop(leader);
    assert_eq!(of_follower.reply(), None, "who has no leader serves nobody");
    members.leader();
    let mut back = come_back(&members, &of_leader, follower);
    assert_eq!(back.session, of_leader.session);
    assert_eq!(exists(&mut back, "/of-leader"), code::OK);
    let other = members.other_than(follower);
    let mut moved = come_back(&members, &of_follower, other);
    assert_eq!(moved.session, of_follower.session);
    moved.create("/after", b"", EPHEMERAL);
    assert_eq!(exists(&mut moved, "/of-follower"), code::OK);
    // They are its own as before.
    assert_eq!(moved.call(op::CLOSE_SESSION, b"").err, code::OK);
    back.create("/last", b"", EPHEMERAL);
    assert_eq!(exists(&mut back, "/of-follower"), code::NO_NODE);
    assert_eq!(exists(&mut back, "/after"), code::NO_NODE);
}

#[test]
fn a_session_whose_client_does_not_come_back_expires_under_the_next_leader() {
    let mut members = Members::start(3, |_| {});
    let leader = members.leader();
    let mut silent = members.client(members.follower(), SHORT_MS);
    silent.create("/ephemeral", b"", EPHEMERAL);
    members.stop(leader);
    members.leader();
    for number in members.all().filter(|number| *number != leader) {
        until("it expires", || {
            look(&members, number, "/ephemeral") == Some(code::NO_NODE)
        });
        let refused = come_back(&members, &silent, number);
        assert_eq!((refused.session, refused.timeout_ms), (0, 0));
    }
}

#[test]
fn what_comes_late_from_where_a_session_was_before_is_not_carried_out() {
    let members = Members::start(3, |_| {});
    let leader = members.leader();
    let follower = members.follower();
    let another = members
        .all()
        .find(|number| ![leader, follower].contains(number))
        .unwrap();
    for (at, (from, to)) in [(follower, another), (follower, leader), (leader, follower)]
        .into_iter()
        .enumerate()
    {
        let mut old = members.client(from, LONG_MS);
        old.create(&format!("/before-{at}"), b"", EPHEMERAL);
        let mut new = old.renew(members.address(to)).unwrap();
        assert_eq!(new.session, old.session);
        new.create(&format!("/new-{at}"), b"", 0);
        let late = format!("/late-{at}");
        // The connection may be closed before it is sent.
        let _ = old.try_send(op::CREATE, &create(&late, b"", 0));
        assert_eq!(
            old.reply(),
            None,
            "from {from} to {to}: the connection ends without a reply"
        );
        new.create(&format!("/newer-{at}"), b"", 0);
        assert_eq!(exists(&mut new, &late), code::NO_NODE);
        assert_eq!(exists(&mut new, &format!("/before-{at}")), code::OK);
    }
}

/// Some clients count their requests anew on each connection. What the members have on the way for the earlier ones has the
/// same numbers.
#[test]
fn a_client_that_hurries_from_member_to_member_gets_the_answers_to_what_it_asks_there() {
    const MOVES: usize = 200;
    const REQUESTS: usize = 20;
    let mut members = Members::with_observers(3, 1, |_| {});
    members.start_all();
    members.leader();
    let session = members.client(1, LONG_MS).session;
    let mut answered = 0;
    // The last connection stays open until the next one is there.
    let mut before = None;
    for at in 0..MOVES {
        // Some moves are from one member to itself.
        let number = 1 + at * at % 4;
        let Some(mut client) = Client::shake_hands(members.address(number), &renewal(session)) else {
            continue;
        };
        assert_eq!(client.session, session);
        let nodes: Vec<String> = (0..REQUESTS).map(|request| format!("/{at}-{request}")).collect();
        let requests: Vec<_> = nodes.iter().map(|node| create(node, b"", 0)).collect();
        let requests: Vec<_> = requests.iter().map(|body| (op::CREATE, &body[..])).collect();
        client.send_together(&requests);
        // Every other time it leaves without having heard of all.
        let wanted = if at % 2 == 0 { REQUESTS } else { at % 3 };
        for node in nodes.iter().take(wanted) {
            // A late request of the connection before may end this one.
            let Some(reply) = client.reply() else { break };
            assert_eq!((reply.err, &reply.body[4..]), (code::OK, node.as_bytes()));
            answered += 1;
        }
        before.replace(client);
    }
    drop(before);
    assert!(answered > MOVES * REQUESTS / 4, "{answered}");
}

/// The new connection is gone as well when the late request arrives.
#[test]
fn the_leader_remembers_that_it_served_a_session_last() {
    let members = Members::start(3, |_| {});
    let (leader, follower) = (members.leader(), members.follower());
    let mut old = members.client(follower, LONG_MS);
    old.create("/before", b"", 0);
    let mut new = old.renew(members.address(leader)).unwrap();
    new.create("/new", b"", 0);
    let connections = || {
        members
            .word(leader, "cons")
            .lines()
            .filter(|line| line.contains("sid="))
            .count()
    };
    drop(new);
    until("the leader has lost the connection", || connections() == 0);
    old.send(op::CREATE, &create("/late", b"", 0));
    assert_eq!(old.reply(), None);
    let mut witness = members.client(leader, LONG_MS);
    assert_eq!(exists(&mut witness, "/late"), code::NO_NODE);
}

#[test]
fn wrong_passwords_and_unknown_sessions_are_refused_by_every_member_and_harm_nobody() {
    let mut members = Members::with_observers(3, 1, |_| {});
    members.start_all();
    members.leader();
    for number in members.all() {
        let address = members.address(number);
        let mut owner = members.client(number, LONG_MS);
        for password in [&[0; 16][..], &[], &[7; 5]] {
            let wrong = Handshake {
                password: password.to_vec(),
                ..renewal(owner.session)
            };
            let mut refused = Client::shake_hands(address, &wrong).unwrap();
            assert_eq!((refused.session, refused.timeout_ms), (0, 0));
            assert_eq!(refused.password, [0; 16]);
            assert_eq!(refused.frame(), None);
        }
        let mut unknown = Client::shake_hands(address, &renewal(4711)).unwrap();
        assert_eq!((unknown.session, unknown.timeout_ms), (0, 0));
        assert_eq!(unknown.frame(), None);
        owner.create(&format!("/{number}"), b"", EPHEMERAL);
    }
}

/// Found by chaos: of what a client had sent together, a write was refused since the session was served elsewhere, and the
/// read behind it was answered.
#[test]
fn nothing_is_answered_behind_a_write_of_a_session_that_is_served_elsewhere() {
    let members = Members::start(3, |_| {});
    let leader = members.leader();
    let mut followers = members.all().filter(|number| *number != leader);
    let (here, elsewhere) = (followers.next().unwrap(), followers.next().unwrap());
    for _ in 0..20 {
        let mut client = members.client(here, 30_000);
        assert_eq!(exists(&mut client, "/"), code::OK);
        let moved = client.renew(members.address(elsewhere)).expect("the session goes on");
        let (write, read) = (set_data("/", b"late"), path("/"));
        client.send_together(&[(op::SET_DATA, &write), (op::GET_DATA, &read), (op::GET_DATA, &read)]);
        assert!(client.reply().is_none(), "something was answered");
        drop(moved);
    }
}
