//! Bytes on the ports between servers that no server would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use zebu_proto::quorum::{ConfigVersion, LearnerInfo, LearnerMessage};
use zebu_proto::{Epoch, SessionId, Sid, Xid, Zxid};

use super::exists;
use super::members::Members;
use crate::support::connect;

/// Every connection that says this is closed by the server.
pub(super) fn check_closed(address: SocketAddr, what: &str, bytes: &[u8]) {
    let mut socket = connect(address);
    // A server that closes early may reset the connection while this is still being written.
    let _ = socket.write_all(bytes);
    assert!(is_closed(&mut socket), "{what}");
}

pub(super) fn is_closed(socket: &mut TcpStream) -> bool {
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// Bytes that look like nothing, the same each time.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[1]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A packet of a learner: type, zxid, length of the data, no more.
pub(super) fn head(kind: i32, len: i32) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &0i64.to_be_bytes(), &len.to_be_bytes()].concat()
}

pub(super) fn info(sid: i64, epoch: u32) -> Vec<u8> {
    LearnerMessage::FollowerInfo {
        accepted_epoch: Epoch(epoch),
        info: LearnerInfo::new(Sid(sid), ConfigVersion(0)),
    }
    .to_vec()
}

#[test]
fn an_ensemble_goes_on_whatever_strangers_send_to_the_quorum_port() {
    let members = Members::start(3, |_| {});
    let leader = members.leader();
    let port = members.quorum_port(leader);
    let mut client = members.client(members.follower(), 30_000);
    let epoch = |members: &Members| {
        let answer = members.word(leader, "srvr");
        let zxid = answer
            .lines()
            .find_map(|line| line.strip_prefix("Zxid: 0x"))
            .unwrap()
            .to_owned();
        zxid[..zxid.len().saturating_sub(8)].to_owned()
    };
    client.create("/before", b"", 0);
    let before = epoch(&members);
    let request = LearnerMessage::Request {
        session: SessionId(7),
        cxid: Xid(1),
        op: 1,
        body: &[],
        authinfo: None,
    };
    let cases: [(&str, Vec<u8>); 10] = [
        ("a length below nothing", head(11, -5)),
        ("a length beyond all limits", head(11, i32::MAX)),
        ("an unknown type", [head(99, -1), vec![0xff; 4]].concat()),
        (
            "too short to say who it is",
            [head(11, 3), vec![0; 3], vec![0xff; 4]].concat(),
        ),
        ("a leader's packet", [head(10, -1), vec![0xff; 4]].concat()),
        ("a request of nobody", request.to_vec()),
        (
            "an acknowledgement of nobody",
            LearnerMessage::Ack { zxid: Zxid(1) }.to_vec(),
        ),
        ("a revalidation of nobody", {
            let session = SessionId(7);
            LearnerMessage::Revalidate { session, timeout_ms: 1 }.to_vec()
        }),
        ("the leader's own number", info(i64::try_from(leader).unwrap(), 1)),
        ("says who it is twice", [info(77, 0), info(77, 0)].concat()),
    ];
    for (what, bytes) in &cases {
        check_closed(port, what, bytes);
    }
    // Some say nothing, or not all of it, and stay.
    let endless = [head(1, 0), i32::MAX.to_be_bytes().to_vec()].concat();
    let unfinished: Vec<TcpStream> = [noise(100_000), endless]
        .iter()
        .map(|bytes| {
            let mut socket = connect(port);
            // It may be refused in the middle.
            let _ = socket.write_all(bytes);
            socket
        })
        .collect();
    let silent: Vec<TcpStream> = (0..50).map(|_| connect(port)).collect();
    let slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut socket = connect(port);
            socket.write_all(&head(11, 20)).unwrap();
            socket
        })
        .collect();
    client.create("/after", b"", 0);
    assert_eq!(exists(&mut client, "/after"), 0);
    assert_eq!(epoch(&members), before, "nobody was elected anew");
    drop((silent, slow, unfinished));
}

#[test]
fn an_ensemble_goes_on_whatever_strangers_send_to_the_election_port() {
    let mut members = Members::start(3, |_| {});
    let leader = members.leader();
    let mut client = members.client(leader, 30_000);
    for number in members.all() {
        let port = members.election_port(number);
        let version = |number: i64, sid: i64, len: i32| {
            [&number.to_be_bytes()[..], &sid.to_be_bytes(), &len.to_be_bytes()].concat()
        };
        check_closed(port, "an unknown version", &version(-1, 1, 10));
        check_closed(port, "an address longer than all", &version(-65_536, 9, i32::MAX));
        check_closed(port, "an address of less than nothing", &version(-65_536, 9, -1));
        let itself = i64::try_from(number).unwrap();
        let address = b"127.0.0.1:1";
        let mut hello = version(-65_536, itself, i32::try_from(address.len()).unwrap());
        hello.extend(address);
        check_closed(port, "its own number", &hello);
    }
    client.create("/after", b"", 0);
    // And they can still elect.
    members.stop(leader);
    let next = members.leader();
    assert_ne!(next, leader);
    let mut other = members.client(next, 30_000);
    assert_eq!(exists(&mut other, "/after"), 0);
}
