//! What was written is read back.

use zebu_proto::Zxid;
use zebu_store::{Compression, Sections, SnapshotDigest, StoreError, StoreOptions};

use crate::support::{Seen, open, options, recover, txn, write_log, write_snapshot};

#[test]
fn a_new_directory_recovers_as_nothing_and_wants_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&options(dir.path()));
    let (seen, recovered) = recover(&store).unwrap();
    assert_eq!(
        seen,
        Seen {
            begins: 1,
            ..Seen::default()
        }
    );
    assert!(recovered.needs_snapshot);
    assert!(recovered.trustworthy);
    assert_eq!(recovered.last_zxid, Zxid(0));
}

#[test]
fn a_snapshot_and_the_log_after_it_read_back_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = open(&options);
    write_snapshot(&store, 0, 0, Sections::default());
    write_log(&store, 0, 1..=10);
    let taken = write_snapshot(&store, 10, 100, Sections::default());
    write_log(&store, 10, 11..=500);
    drop(store);
    let (seen, recovered) = recover(&open(&options)).unwrap();
    assert_eq!(seen.nodes.len(), 101);
    assert_eq!(seen.sessions, [(77, 6000)].into());
    assert_eq!(seen.zxids(), (11..=500).collect::<Vec<_>>());
    assert_eq!(seen.txns[3].1, txn(14, 100));
    assert_eq!(recovered.snapshot, Some(taken));
    assert_eq!((recovered.last_zxid, recovered.txns), (Zxid(500), 490));
    assert!(recovered.cuts.is_empty(), "{:?}", recovered.cuts);
    assert!(!recovered.needs_snapshot);
}

#[test]
fn every_kind_of_snapshot_reads_back_as_written() {
    let digest = SnapshotDigest {
        zxid: Zxid(7),
        version: 2,
        digest: u64::MAX - 3,
    };
    for compression in [Compression::None, Compression::Gz, Compression::Snappy] {
        for (digest, last_zxid) in [
            (None, None),
            (Some(digest), None),
            (None, Some(Zxid(9))),
            (Some(digest), Some(Zxid(9))),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let options = StoreOptions {
                compression,
                ..options(dir.path())
            };
            let store = open(&options);
            write_snapshot(&store, 7, 20_000, Sections { digest, last_zxid });
            let (seen, recovered) = recover(&store).unwrap();
            assert_eq!(seen.nodes.len(), 20_001, "{compression:?}");
            assert_eq!(seen.digest, digest);
            assert_eq!(recovered.last_zxid, Zxid(7));
        }
    }
}

#[test]
fn two_stores_cannot_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&options(dir.path()));
    let second = zebu_store::Store::open(std::sync::Arc::new(zebu_store::RealDisk), options(dir.path()));
    assert!(matches!(second, Err(StoreError::Locked { .. })), "{second:?}");
    drop(store);
    open(&options(dir.path()));
}
