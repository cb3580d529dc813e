//! A transaction log file, as it lies in a directory with a snapshot before its first transaction.

use zebu_proto::jute::Write;
use zebu_proto::snapshot::{HEADER, encode_node};
use zebu_proto::txn::{Txn, TxnHeader, TxnRecord};
use zebu_proto::{OpCode, SessionId, StatPersisted, Value, WallMillis, Xid, Zxid};
use zebu_store::Compression;

use crate::data_dir::DataDir;

const HEADER_BYTES: usize = 16;
/// Checksum and length.
const PREFIX_BYTES: usize = 12;
/// Where the zxid of the first transaction stands: behind session and cxid.
const FIRST_ZXID: usize = HEADER_BYTES + PREFIX_BYTES + 12;
const END_MARK: u8 = b'B';

/// Recovery ends in an error that changes nothing, or in a state that is there again the next time, and from which the
/// log goes on.
///
/// The bytes are tried as they are, and with checksums that fit; as a file of Java and as one of zebu.
pub fn run(bytes: &[u8]) {
    let sealed = seal(bytes);
    for is_ours in [false, true] {
        check(bytes, is_ours);
        if sealed != bytes {
            check(&sealed, is_ours);
        }
    }
}

/// The file with a right checksum and end mark for every record, as far as lengths lead.
fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    let mut at = HEADER_BYTES;
    while let Some(prefix) = sealed.get(at..at + PREFIX_BYTES) {
        let len = i32::from_be_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]);
        let body = at + PREFIX_BYTES;
        let Some(end) = usize::try_from(len).ok().filter(|len| *len > 0).map(|len| body + len) else {
            break;
        };
        if end >= sealed.len() {
            break;
        }
        let checksum = i64::from(simd_adler32::adler32(&&sealed[body..end]));
        sealed[at..at + 8].copy_from_slice(&checksum.to_be_bytes());
        sealed[end] = END_MARK;
        at = end + 1;
    }
    sealed
}

fn first_zxid(bytes: &[u8]) -> Zxid {
    let stored = bytes.get(FIRST_ZXID..).and_then(|rest| rest.first_chunk::<8>());
    stored.map_or(Zxid(1), |bytes| Zxid(i64::from_be_bytes(*bytes)))
}

fn check(bytes: &[u8], is_ours: bool) {
    let first = first_zxid(bytes);
    let name = format!("log.{:x}", first.0);
    let dir = DataDir::new();
    dir.put(&format!("snapshot.{:x}", first.0.wrapping_sub(1)), &empty_snapshot());
    dir.put(&name, bytes);
    if is_ours {
        dir.put("zebu.newest-log", name.as_bytes());
    }
    let Ok(found) = dir.recover() else {
        assert_eq!(dir.get(&name).as_deref(), Some(bytes), "a refusal changes nothing");
        return;
    };
    let again = dir.recover().expect("what was accepted is accepted again");
    assert_eq!(again.dump(), found.dump());
    assert_eq!(again.recovered.last_zxid, found.recovered.last_zxid);
    assert_eq!(again.recovered.txns, found.recovered.txns);
    assert!(again.recovered.cuts.is_empty(), "what was cut is gone");
    go_on(&dir, found.recovered.last_zxid);
}

/// Appends a transaction and finds it again.
fn go_on(dir: &DataDir, last: Zxid) {
    // The counter of an epoch is never used to its end.
    if last.counter() >= u32::MAX - 1 || last < Zxid::ZERO {
        return;
    }
    let zxid = last.next();
    let record = TxnRecord {
        header: TxnHeader {
            session: SessionId(1),
            cxid: Xid(0),
            zxid,
            time: WallMillis(0),
            op: OpCode::Error,
        },
        txn: Txn::Error { err: -4 },
        digest: None,
    };
    let store = dir.open(Compression::None);
    let mut writer = store.log_writer(last);
    writer.append(zxid, &record.to_vec()).expect("a disk without faults");
    writer.flush().expect("a disk without faults");
    drop(writer);
    drop(store);
    let found = dir.recover().expect("a log that went on");
    assert_eq!(found.recovered.last_zxid, zxid);
}

/// A snapshot with nothing but a root.
fn empty_snapshot() -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    bytes.int(0);
    bytes.int(0);
    encode_node(&mut bytes, "", &Value::from(&[][..]), -1, &StatPersisted::default());
    bytes.string("/");
    let checksum = i64::from(simd_adler32::adler32(&&bytes[..]));
    bytes.long(checksum);
    bytes.string("/");
    bytes
}
