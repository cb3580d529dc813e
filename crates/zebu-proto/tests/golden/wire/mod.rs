//! The frames between clients and servers.

mod connect;
mod create;
mod ensemble;
mod error;
mod multi;
mod read;
mod reply;
mod request;
mod secured;
mod watch;
mod write;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

use zebu_proto::client::{
    ConnectRequest, ConnectResponse, EventType, ReplyHeader, Request, RequestHeader, WatchedEvent,
};
use zebu_proto::jute::{DecodeErrorKind, Reader};
use zebu_proto::session::password;
use zebu_proto::{ErrorCode, OpCode, SessionId, Xid, Zxid};

use self::reply::Body;
use super::fixture::{Direction, Frame, Release, Run, Setup, each_release, hex};
use super::request_bytes;

/// Every group of the standalone server's fixture; each is the subject of one test.
const GROUPS: [&str; 30] = [
    "add-watch",
    "auth",
    "check-watches",
    "close",
    "connect",
    "create",
    "create2",
    "delete",
    "error",
    "event",
    "exists",
    "get-acl",
    "get-all-children-number",
    "get-children",
    "get-children2",
    "get-data",
    "get-ephemerals",
    "multi",
    "multi-read",
    "ping",
    "reconfig",
    "remove-watches",
    "sasl",
    "set-acl",
    "set-data",
    "set-watches",
    "set-watches2",
    "sync",
    "unknown",
    "who-am-i",
];

/// Frames to be matched one after the other until none is left.
struct Script<'a> {
    run: &'a Run,
    /// What stands before the names of steps.
    prefix: &'a str,
    frames: VecDeque<&'a Frame>,
}

/// Checks all frames of a group, of each release.
fn group(name: &str, check: impl Fn(&mut Script<'_>)) {
    assert!(GROUPS.contains(&name));
    let prefix = format!("{name}/");
    each_release(Setup::Standalone, |run| {
        let is_member = |frame: &&Frame| frame.name.starts_with(&prefix);
        check_all(run, &prefix, run.frames.iter().filter(is_member).collect(), &check);
    });
}

/// Checks all frames of a recording, of each release. Names of steps carry their groups.
fn recording(setup: Setup, check: impl Fn(&mut Script<'_>)) {
    each_release(setup, |run| check_all(run, "", run.frames.iter().collect(), &check));
}

fn check_all<'a>(run: &'a Run, prefix: &'a str, frames: VecDeque<&'a Frame>, check: impl Fn(&mut Script<'_>)) {
    assert!(!frames.is_empty());
    let mut script = Script { run, prefix, frames };
    check(&mut script);
    let left: Vec<_> = script.frames.iter().map(|frame| frame.name).collect();
    assert!(left.is_empty(), "{:?}: nobody looked at {left:?}", run.release);
}

#[test]
fn every_group_has_its_test() {
    each_release(Setup::Standalone, |run| {
        let groups: BTreeSet<&str> = run
            .frames
            .iter()
            .filter_map(|frame| frame.name.split('/').next())
            .collect();
        assert_eq!(groups, BTreeSet::from(GROUPS));
    });
}

impl<'a> Script<'a> {
    fn is_380(&self) -> bool {
        self.run.release == Release::V380
    }

    /// Takes the next frame of this step that `is_wanted`.
    #[track_caller]
    fn take(&mut self, name: &str, is_wanted: impl Fn(&Frame) -> bool) -> &'a [u8] {
        let name = format!("{}{name}", self.prefix);
        let at = self
            .frames
            .iter()
            .position(|frame| frame.name == name && is_wanted(frame));
        let at = at.unwrap_or_else(|| panic!("{name}: no such frame is left"));
        &self.frames.remove(at).unwrap().payload
    }

    /// The next request of this step.
    #[track_caller]
    fn request(&mut self, name: &str, xid: i32, expected: &Request<'_>) {
        let op = request::op(expected);
        let body = self.request_body(name, op.code(), xid);
        assert_eq!(&Request::decode(op, body).unwrap(), expected, "{name}");
        assert_eq!(hex(&request_bytes::encode(op, expected)), hex(body), "{name}");
    }

    /// A request that is read as `expected` without being what anybody would write.
    #[track_caller]
    fn odd_request(&mut self, name: &str, xid: i32, expected: &Request<'_>) {
        let op = request::op(expected);
        let body = self.request_body(name, op.code(), xid);
        assert_eq!(&Request::decode(op, body).unwrap(), expected, "{name}");
        assert_ne!(hex(&request_bytes::encode(op, expected)), hex(body), "{name}");
    }

    /// A request that cannot be read, and where reading it ends.
    #[track_caller]
    fn unreadable(&mut self, name: &str, op: OpCode, xid: i32, kind: DecodeErrorKind, field: &str) {
        let body = self.request_body(name, op.code(), xid);
        let error = Request::decode(op, body).unwrap_err();
        assert_eq!((error.kind, error.field), (kind, field), "{name}");
    }

    /// The record behind the header of the next request.
    #[track_caller]
    fn request_body(&mut self, name: &str, op: i32, xid: i32) -> &'a [u8] {
        let payload = self.take(name, |frame| frame.direction == Direction::Request);
        let mut reader = Reader::new(payload);
        let header = RequestHeader::decode(&mut reader).unwrap();
        assert_eq!(header, RequestHeader { xid: Xid(xid), op }, "{name}");
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        assert_eq!(bytes, payload[..RequestHeader::BYTES]);
        reader.rest()
    }

    /// The next successful reply of this step.
    #[track_caller]
    fn reply(&mut self, name: &str, xid: i32, zxid: i64, body: &Body<'_>) {
        let rest = self.reply_body(name, ReplyHeader::ok(Xid(xid), Zxid(zxid)));
        body.check(rest);
    }

    /// The next reply of this step: a success without record in 3.9, in 3.8 a refusal of a type that it does not know.
    #[track_caller]
    fn known_since_39(&mut self, name: &str, xid: i32, zxid: i64) {
        if self.is_380() {
            self.error(name, xid, zxid, ErrorCode::MarshallingError);
        } else {
            self.reply(name, xid, zxid, &Body::Nothing);
        }
    }

    /// The next reply of this step, a refusal.
    #[track_caller]
    fn error(&mut self, name: &str, xid: i32, zxid: i64, code: ErrorCode) {
        let rest = self.reply_body(name, ReplyHeader::error(Xid(xid), Zxid(zxid), code));
        assert_eq!(hex(rest), "", "{name}");
        assert_eq!(ErrorCode::from_i32(code.code()), Some(code));
    }

    /// The next reply of this step, a refusal made outside of the order of requests, with a record.
    #[track_caller]
    fn refusal_with(&mut self, name: &str, xid: i32, code: ErrorCode, body: &Body<'_>) {
        let rest = self.reply_body(name, ReplyHeader::error(Xid(xid), Zxid::ZERO, code));
        body.check(rest);
    }

    #[track_caller]
    fn reply_body(&mut self, name: &str, expected: ReplyHeader) -> &'a [u8] {
        let payload = self.take(name, |frame| frame.direction == Direction::Reply && !is_event(frame));
        header_bytes(name, payload, expected)
    }

    /// The next event of this step. Releases before 3.9 do not say which transaction it is about.
    #[track_caller]
    fn event(&mut self, name: &str, zxid: i64, event: EventType, path: &str) {
        let zxid = if self.is_380() { -1 } else { zxid };
        self.missed_event(name, zxid, event, path);
    }

    /// An event that a client is told of when it comes back, with this zxid in all releases.
    #[track_caller]
    fn missed_event(&mut self, name: &str, zxid: i64, event: EventType, path: &str) {
        let payload = self.take(name, |frame| frame.direction == Direction::Reply && is_event(frame));
        let body = header_bytes(name, payload, ReplyHeader::ok(Xid::NOTIFICATION, Zxid(zxid)));
        let expected = WatchedEvent { event, path };
        let mut reader = Reader::new(body);
        assert_eq!(WatchedEvent::decode(&mut reader).unwrap(), expected, "{name}");
        assert!(reader.is_at_end(), "{name}");
        let mut bytes = Vec::new();
        expected.encode(&mut bytes);
        assert_eq!(hex(&bytes), hex(body), "{name}");
    }

    /// The handshake of this step, request and answer. The answer has the read-only byte if the request has it.
    #[track_caller]
    fn connect(&mut self, name: &str, request: &ConnectRequest<'_>, timeout_ms: i32, session: SessionId) {
        self.connect_request(name, request);
        let read_only = request.read_only.map(|_| false);
        let response = ConnectResponse {
            timeout_ms,
            session,
            password: password(session),
            read_only,
        };
        self.connect_response(name, &response);
    }

    #[track_caller]
    fn connect_request(&mut self, name: &str, expected: &ConnectRequest<'_>) {
        let payload = self.take(name, |frame| frame.direction == Direction::Request);
        assert_eq!(&ConnectRequest::decode(payload).unwrap(), expected, "{name}");
        let mut bytes = Vec::new();
        expected.encode(&mut bytes);
        assert_eq!(hex(&bytes), hex(payload), "{name}");
    }

    #[track_caller]
    fn connect_response(&mut self, name: &str, expected: &ConnectResponse) {
        let payload = self.take(name, |frame| frame.direction == Direction::Reply);
        assert_eq!(&ConnectResponse::decode(payload).unwrap(), expected, "{name}");
        let mut bytes = Vec::new();
        expected.encode(&mut bytes);
        assert_eq!(hex(&bytes), hex(payload), "{name}");
    }
}

fn is_event(frame: &Frame) -> bool {
    frame.payload[..4] == [0xff; 4]
}

/// Compares a reply's header and gives what is behind it.
#[track_caller]
fn header_bytes<'a>(name: &str, payload: &'a [u8], expected: ReplyHeader) -> &'a [u8] {
    let mut reader = Reader::new(payload);
    assert_eq!(ReplyHeader::decode(&mut reader).unwrap(), expected, "{name}");
    let mut bytes = Vec::new();
    expected.encode(&mut bytes);
    assert_eq!(hex(&bytes), hex(&payload[..ReplyHeader::BYTES]), "{name}");
    reader.rest()
}

/// A new session with the timeout that a client asked for.
const fn new_session(timeout_ms: i32) -> ConnectRequest<'static> {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms,
        session: SessionId::NONE,
        password: &[0; 16],
        read_only: Some(false),
    }
}

fn path(path: &str) -> Cow<'_, str> {
    path.into()
}

fn paths<'a>(paths: &[&'a str]) -> Vec<Cow<'a, str>> {
    paths.iter().map(|path| (*path).into()).collect()
}
