//! What a server sends after the handshake: header and record, without the length.
//!
//! A record's kind is known to whoever sent the request, so each decoder gets its chance.

use std::fmt::Debug;

use zebu_proto::client::{MultiHeader, ReplyHeader, WatchedEvent};
use zebu_proto::jute::{DecodeError, Reader, Write};
use zebu_proto::{AclList, Stat, StatPersisted};

/// What decodes reads back as written.
pub fn run(frame: &[u8]) {
    let mut reader = Reader::new(frame);
    let Ok(header) = ReplyHeader::decode(&mut reader) else {
        assert!(frame.len() < ReplyHeader::BYTES);
        return;
    };
    let mut again = Vec::new();
    header.encode(&mut again);
    assert_eq!(again, frame[..ReplyHeader::BYTES]);
    let body = reader.rest();
    check_event(body);
    check(body, Stat::decode, Stat::encode);
    check(body, StatPersisted::decode, StatPersisted::encode);
    check(body, MultiHeader::decode, MultiHeader::encode);
    check(body, AclList::decode, |acl, out| match acl {
        Some(acl) => acl.encode(out),
        None => out.int(-1),
    });
}

fn check_event(body: &[u8]) {
    if let Ok(event) = WatchedEvent::decode(&mut Reader::new(body)) {
        let mut again = Vec::new();
        event.encode(&mut again);
        assert_eq!(WatchedEvent::decode(&mut Reader::new(&again)), Ok(event));
    }
}

/// Reads as many of one kind as stand one behind the other.
fn check<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    let mut reader = Reader::new(bytes);
    let mut values = Vec::new();
    let mut again = Vec::new();
    while !reader.is_at_end()
        && let Ok(value) = decode(&mut reader)
    {
        encode(&value, &mut again);
        values.push(value);
    }
    let mut reader = Reader::new(&again);
    for value in &values {
        assert_eq!(decode(&mut reader).as_ref(), Ok(value));
    }
    assert!(reader.is_at_end());
}
