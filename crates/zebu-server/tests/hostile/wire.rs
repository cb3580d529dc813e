//! Frames of a client.

use zebu_proto::client::{ConnectRequest, MultiOp, MultiRequest};
use zebu_proto::jute::{self, Write};
use zebu_proto::{AclList, OpCode, SessionId, Zxid};

/// Appends a frame.
pub(crate) fn frame(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = jute::begin_frame(out);
    payload(out);
    jute::end_frame(out, start);
}

/// The first frame, which asks for a new session.
pub(crate) fn connect(timeout_ms: i32) -> Vec<u8> {
    let mut out = Vec::new();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms,
        session: SessionId::NONE,
        password: &[0; 16],
        read_only: Some(false),
    };
    frame(&mut out, |out| request.encode(out));
    out
}

/// Length of the answer to [`connect`], its own length included.
pub(crate) const CONNECT_RESPONSE_BYTES: usize = 4 + 37;

fn request(out: &mut Vec<u8>, xid: i32, op: OpCode, body: impl FnOnce(&mut Vec<u8>)) {
    frame(out, |out| {
        out.int(xid);
        out.int(op.code());
        body(out);
    });
}

pub(crate) fn create(out: &mut Vec<u8>, xid: i32, path: &str, data: &[u8]) {
    request(out, xid, OpCode::Create, |out| {
        out.string(path);
        out.buffer(Some(data));
        AclList::OPEN.encode(out);
        out.int(0);
    });
}

pub(crate) fn set_data(out: &mut Vec<u8>, xid: i32, path: &str, data: &[u8]) {
    request(out, xid, OpCode::SetData, |out| {
        out.string(path);
        out.buffer(Some(data));
        out.int(-1);
    });
}

pub(crate) fn get_data(out: &mut Vec<u8>, xid: i32, path: &str) {
    request(out, xid, OpCode::GetData, |out| {
        out.string(path);
        out.bool(false);
    });
}

/// Asks for all events of a node, for good.
pub(crate) fn add_watch(out: &mut Vec<u8>, xid: i32, path: &str) {
    request(out, xid, OpCode::AddWatch, |out| {
        out.string(path);
        out.int(0);
    });
}

/// Asks for the data of one node `count` times in one request.
pub(crate) fn multi_read(out: &mut Vec<u8>, xid: i32, path: &str, count: usize) {
    let get = || MultiOp::GetData { path: path.into() };
    let multi = MultiRequest {
        ops: std::iter::repeat_with(get).take(count).collect(),
    };
    request(out, xid, OpCode::MultiRead, |out| multi.encode(out));
}
