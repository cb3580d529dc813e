//! A snapshot file: plain, gzip or snappy, as its first bytes say.

use zebu_proto::jute::Reader;
use zebu_proto::snapshot::{HEADER, NodeRecord};
use zebu_proto::{AclList, Zxid};
use zebu_store::Compression;

use crate::data_dir::{DataDir, dump};

/// Loading ends in an error that changes nothing, or in a state that is there again the next time, and again when it was
/// written anew in any compression.
pub fn run(bytes: &[u8]) {
    check(bytes);
    if let Some(sealed) = seal(bytes) {
        check(&sealed);
    }
}

fn suffix(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x1f, 0x8b, ..] => ".gz",
        [0x82, b'S', ..] => ".snappy",
        _ => "",
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let name = format!("snapshot.7{}", suffix(bytes));
    let dir = DataDir::new();
    dir.put(&name, bytes);
    let Ok(mut found) = dir.recover() else {
        assert_eq!(dir.get(&name).as_deref(), Some(bytes), "a refusal changes nothing");
        return;
    };
    let seen = found.dump();
    let again = dir.recover().expect("what was accepted is accepted again");
    assert_eq!(again.dump(), seen);
    if found.recovered.snapshot.is_none() {
        return;
    }
    for compression in [Compression::None, Compression::Gz, Compression::Snappy] {
        let copy = DataDir::new();
        copy.write_snapshot(&mut found.tree, compression);
        let again = copy.recover().expect("a snapshot of ours");
        assert_eq!(dump(&again.tree), seen, "{compression:?}");
        assert_eq!(again.recovered.last_zxid, Zxid(7));
    }
}

/// A plain snapshot with right checksums behind its nodes and behind each section, if it goes as far as that.
fn seal(bytes: &[u8]) -> Option<Vec<u8>> {
    const SEAL_BYTES: usize = 13;
    let mut sealed = bytes.to_vec();
    let mut at = end_of_nodes(bytes)?;
    loop {
        sealed.get(at..at + SEAL_BYTES)?;
        let checksum = i64::from(simd_adler32::adler32(&&sealed[..at]));
        sealed[at..at + 8].copy_from_slice(&checksum.to_be_bytes());
        sealed[at + 8..at + SEAL_BYTES].copy_from_slice(b"\0\0\0\x01/");
        at += SEAL_BYTES;
        // What is behind a seal: a digest, then the last zxid, or one of them.
        match sealed.len() - at {
            left if left >= 20 + SEAL_BYTES => at += 20,
            left if left == 8 + SEAL_BYTES => at += 8,
            _ => break,
        }
    }
    (sealed != bytes).then_some(sealed)
}

fn end_of_nodes(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes.get(HEADER.len()..)?);
    for _ in 0..reader.count("sessions").ok()?.unwrap_or(0) {
        reader.long("id").ok()?;
        reader.int("timeout").ok()?;
    }
    for _ in 0..reader.count("acls").ok()?.unwrap_or(0) {
        reader.long("key").ok()?;
        AclList::decode(&mut reader).ok()??;
    }
    while NodeRecord::decode(&mut reader).ok()?.is_some() {}
    Some(HEADER.len() + reader.offset())
}
