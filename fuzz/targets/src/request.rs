//! What a client sends after the handshake: header and record, without the length.

use zebu_proto::OpCode;
use zebu_proto::client::{Request, RequestHeader};
use zebu_proto::jute::Reader;

use crate::request_bytes::encode;

/// What decodes reads back as written, the header as well as the record.
pub fn run(frame: &[u8]) {
    let mut reader = Reader::new(frame);
    let Ok(header) = RequestHeader::decode(&mut reader) else {
        assert!(frame.len() < RequestHeader::BYTES);
        return;
    };
    let mut again = Vec::new();
    header.encode(&mut again);
    assert_eq!(again, frame[..RequestHeader::BYTES]);
    if let Some(op) = OpCode::from_i32(header.op) {
        assert_eq!(op.code(), header.op);
        check(op, reader.rest());
    }
}

fn check(op: OpCode, body: &[u8]) {
    let Ok(request) = Request::decode(op, body) else {
        return;
    };
    assert!(op.is_client_request());
    let again = encode(&request, op);
    let decoded = Request::decode(op, &again);
    assert_eq!(decoded.as_ref(), Ok(&request), "as {op:?}");
    assert_eq!(encode(&request, op), again);
}
