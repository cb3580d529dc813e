//! What one client, or all of them, may take.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU32;

use crate::support::{Client, connect, create, op, set_data, string, until};
use crate::{Running, start};

/// Whether the server has closed a connection on which it had nothing to say.
fn is_closed(socket: &mut TcpStream) -> bool {
    let mut byte = [0];
    match socket.read(&mut byte) {
        Ok(0) => true,
        Ok(_) => panic!("the server said something"),
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn client(running: &Running) -> Option<Client> {
    Client::with_session(running.address, 10_000, 0, &[0; 16])
}

const AUTH: i32 = 100;

/// The body of an auth packet.
fn digest(user_and_password: &str) -> Vec<u8> {
    let mut body = 0i32.to_be_bytes().to_vec();
    body.extend(string("digest"));
    body.extend(string(user_and_password));
    body
}

fn monitor(running: &Running, key: &str) -> String {
    let answer = running.word("mntr");
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix(&format!("zk_{key}\t")));
    line.unwrap().to_owned()
}

#[test]
fn a_connection_too_many_from_one_address_is_closed_at_once() {
    let running = start(|config| config.limits.max_client_cnxns = NonZeroU32::new(2));
    let (first, second) = (client(&running).unwrap(), client(&running).unwrap());
    assert!(is_closed(&mut connect(running.address)));
    drop(first);
    until("there is room again", || client(&running).is_some());
    drop(second);
}

#[test]
fn a_connection_too_many_altogether_is_closed_at_once() {
    let running = start(|config| config.limits.max_cnxns = NonZeroU32::new(1));
    let first = client(&running).unwrap();
    assert!(is_closed(&mut connect(running.address)));
    drop(first);
    until("there is room again", || client(&running).is_some());
}

#[test]
fn connections_that_come_too_fast_are_closed_at_the_handshake() {
    let running = start(|config| {
        config.connection_throttle.tokens = NonZeroU32::new(2);
        config.connection_throttle.fill_time_ms = 3_600_000;
    });
    let clients = [client(&running), client(&running)];
    assert!(clients.iter().all(Option::is_some));
    assert!(client(&running).is_none());
    assert_eq!(monitor(&running, "connection_rejected"), "1");
    assert_eq!(monitor(&running, "connection_request_count"), "2");
    assert_eq!(monitor(&running, "max_connection_token_deficit"), "2");
    assert_eq!(monitor(&running, "connection_drop_probability"), "0.0");
}

#[test]
fn a_renewed_session_costs_fewer_tokens_than_a_new_one() {
    let running = start(|config| {
        let throttle = &mut config.connection_throttle;
        throttle.tokens = NonZeroU32::new(2);
        throttle.fill_time_ms = 3_600_000;
        throttle.weight_enabled = true;
    });
    // Six tokens: three for the new session, two for its renewal.
    let first = client(&running).unwrap();
    let renew = || Client::with_session(running.address, 10_000, first.session, &first.password);
    assert!(renew().is_some());
    assert!(renew().is_none());
    assert!(client(&running).is_none());
    assert_eq!(monitor(&running, "connection_rejected"), "2");
}

#[test]
fn whoever_asks_for_no_session_is_closed_in_time() {
    let running = start(|config| config.limits.sessionless_cnxn_timeout_ms = 1);
    let mut silent = connect(running.address);
    let mut slow = connect(running.address);
    slow.write_all(&[0, 0]).unwrap();
    assert!(is_closed(&mut silent));
    assert!(is_closed(&mut slow));
}

#[test]
fn a_frame_longer_than_the_limit_closes_its_connection() {
    let running = start(|config| config.limits.jute_max_buffer_bytes = 1000);
    let (mut one, mut other) = (client(&running).unwrap(), client(&running).unwrap());
    other.create("/fits", &[0; 900], 0);
    one.socket.write_all(&1001u32.to_be_bytes()).unwrap();
    assert_eq!(one.reply(), None);
    let mut negative = client(&running).unwrap();
    negative.socket.write_all(&(-1i32).to_be_bytes()).unwrap();
    assert_eq!(negative.reply(), None);
    other.create("/still-there", b"", 0);
}

#[test]
fn a_large_request_above_the_bound_closes_its_connection() {
    let running = start(|config| {
        config.limits.large_requests.threshold_bytes = NonZeroU32::new(100);
        config.limits.large_requests.max_bytes = 500;
    });
    let (mut one, mut other) = (client(&running).unwrap(), client(&running).unwrap());
    other.create("/small", b"", 0);
    other.create("/large", &[0; 300], 0);
    one.send(op::CREATE, &create("/too-large", &[0; 600], 0));
    assert_eq!(one.reply(), None);
    // Reads count as well, although they are answered at once.
    let mut reader = client(&running).unwrap();
    let mut body = string(&format!("/{}", "x".repeat(600)));
    body.push(0);
    reader.send(op::EXISTS, &body);
    assert_eq!(reader.reply(), None);
    assert_eq!(monitor(&running, "large_requests_rejected"), "2");
    other.create("/large/again", &[0; 300], 0);
}

#[test]
fn what_came_before_a_request_that_is_too_large_is_carried_out() {
    let running = start(|config| {
        config.limits.large_requests.threshold_bytes = NonZeroU32::new(100);
        config.limits.large_requests.max_bytes = 500;
    });
    let (mut one, mut other) = (client(&running).unwrap(), client(&running).unwrap());
    one.send_together(&[
        (op::CREATE, &create("/first", b"", 0)),
        (op::CREATE, &create("/second", b"", 0)),
        (op::CREATE, &create("/too-large", &[0; 600], 0)),
    ]);
    while one.reply().is_some() {}
    // The connection may be gone before they are.
    let mut exists = |path| other.call(op::EXISTS, &[&string(path)[..], &[0]].concat()).err == 0;
    until("the last of them is carried out", || exists("/second"));
    assert!(exists("/first"));
}

#[test]
fn a_client_without_the_required_identity_is_told_so_and_closed() {
    let running = start(|config| config.auth.enforced_schemes = Some(vec!["digest".into()]));
    let mut stranger = client(&running).unwrap();
    let xid = stranger.send(op::EXISTS, &[&string("/")[..], &[0]].concat());
    let reply = stranger.reply().unwrap();
    assert_eq!((reply.xid, reply.err), (xid, -124));
    assert_eq!(stranger.reply(), None);

    let mut known = client(&running).unwrap();
    assert_eq!(known.call(AUTH, &digest("user:password")).err, 0);
    assert_eq!(known.call(op::SET_DATA, &set_data("/", b"x")).err, 0);
    assert_eq!(known.call(op::CLOSE_SESSION, b"").err, 0);
}

/// Values that are shared with the tree take no memory to speak of, however many replies they are in.
#[test]
fn a_pipeline_of_large_reads_behind_a_write_is_answered() {
    let running = start(|_| {});
    let mut client = client(&running).unwrap();
    client.create("/large", &[7; 1_000_000], 0);
    let write = set_data("/", b"x");
    let mut read = string("/large");
    read.push(0);
    let mut requests = vec![(op::SET_DATA, &write[..])];
    requests.extend(std::iter::repeat_n((op::GET_DATA, &read[..]), 100));
    for xid in client.send_together(&requests) {
        let reply = client.reply().expect("the connection goes on");
        assert_eq!((reply.xid, reply.err), (xid, 0));
    }
}

#[test]
fn a_client_cannot_collect_identities_without_end() {
    let running = start(|_| {});
    let mut client = client(&running).unwrap();
    let refused = (0..100).find(|number| {
        // The same one twice is one.
        let auth = digest(&format!("{}:{}", "u".repeat(5000), number / 2));
        let xid = client.send(AUTH, &auth);
        let reply = client.reply().unwrap();
        assert_eq!(reply.xid, xid);
        reply.err != 0
    });
    assert_eq!(refused, Some(24));
    assert_eq!(client.reply(), None);
    let mut many = Client::new(running.address, 10_000);
    for number in 0..200 {
        assert_eq!(many.call(AUTH, &digest(&format!("user-{number}:password"))).err, 0);
    }
}
