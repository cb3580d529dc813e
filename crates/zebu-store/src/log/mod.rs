//! The transaction log.
//!
//! | part | bytes |
//! |---|---|
//! | header | magic `ZKLG`, int version 2, long database id 0 |
//! | record | long Adler-32 of the body, int length, the body, byte `B` |
//! | end | zeros, as many as were preallocated, or the end of the file |
//!
//! Source: `org.apache.zookeeper.server.persistence.FileTxnLog`.

mod file;
mod iterator;
mod mark;
mod repair;
mod writer;

pub(crate) use file::{FileEnd, LogFileReader, ReadRules};
pub(crate) use iterator::follows;
pub use iterator::{LogIterator, LogRecord};
pub(crate) use repair::{cut_at, write_again};
pub use writer::LogWriter;

use zebu_proto::Zxid;

/// Magic, version 2, database id 0.
const HEADER: [u8; 16] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";
/// Bytes of [`HEADER`], as an offset.
pub(crate) const HEADER_BYTES: u64 = 16;
/// Bytes of a flush mark, as an offset.
const MARK_BYTES_U64: u64 = mark::MARK_BYTES as u64;
/// Checksum and length.
const PREFIX_BYTES: usize = 12;
/// Last byte of each record.
const END_MARK: u8 = b'B';
/// A transaction header, the least that a body holds.
const BODY_BYTES_MIN: usize = zebu_proto::txn::TxnHeader::BYTES;

/// The transaction that a body holds, or `None` if it is too short to hold any.
fn body_zxid(body: &[u8]) -> Option<Zxid> {
    let bytes = body.get(12..20)?;
    if body.len() < BODY_BYTES_MIN {
        return None;
    }
    Some(Zxid(i64::from_be_bytes(bytes.try_into().ok()?)))
}
