//! Directories that Java servers wrote; `testdata/README.md` tells how.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{Acl, AclList, OpCode, Owner, OwnerRules, Perms, SessionId, Zxid};
use zebu_store::Recovered;

use crate::support::{Seen, open, options, recover};

const LAST_OF_FIRST_RUN: i64 = 0x1e;
const RELEASES: [&str; 2] = ["3.8.0", "3.9.4"];
/// Older ones, of which only the defaults are here; snapshots have a digest from 3.6 on.
const OLDER_RELEASES: [&str; 3] = ["3.5.10", "3.6.4", "3.7.2"];
const VARIANTS: [&str; 4] = ["plain", "nodigest", "gz", "snappy"];

fn fixture(release: &str, variant: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/java-{release}-{variant}/version-2"))
}

/// Recovers a copy of the files for which `keep` holds.
fn recovered(release: &str, variant: &str, keep: impl Fn(&str) -> bool) -> (Seen, Recovered) {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("version-2");
    std::fs::create_dir(&target).unwrap();
    for entry in std::fs::read_dir(fixture(release, variant)).unwrap() {
        let entry = entry.unwrap();
        if keep(entry.file_name().to_str().unwrap()) {
            std::fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
        }
    }
    recover(&open(&options(dir.path()))).unwrap()
}

#[test]
fn every_kind_of_snapshot_loads_with_the_log_behind_it() {
    for release in RELEASES {
        for variant in VARIANTS {
            let (seen, recovered) = recovered(release, variant, |_| true);
            let name = recovered.snapshot.unwrap().path;
            assert!(name.to_str().unwrap().contains("snapshot.1e"), "{release} {variant}");
            assert_eq!(seen.loaded, Some(Zxid(LAST_OF_FIRST_RUN)));
            // A session, a create and a set.
            assert_eq!(seen.zxids(), [0x1f, 0x20, 0x21], "{release} {variant}");
            assert!(recovered.cuts.is_empty(), "{:?}", recovered.cuts);
            assert!(recovered.trustworthy);
            assert!(!recovered.needs_snapshot);
            let digest = seen.digest.map(|digest| (digest.zxid, digest.version));
            let wanted = (variant != "nodigest").then_some((Zxid(LAST_OF_FIRST_RUN), 2));
            assert_eq!(digest, wanted, "{release} {variant}");
            check_tree(&seen);
        }
    }
}

#[test]
fn directories_of_older_releases_load() {
    for release in OLDER_RELEASES {
        let (seen, found) = recovered(release, "plain", |_| true);
        assert_eq!(seen.loaded, Some(Zxid(LAST_OF_FIRST_RUN)), "{release}");
        assert_eq!(seen.zxids(), [0x1f, 0x20, 0x21], "{release}");
        assert!(found.cuts.is_empty(), "{:?}", found.cuts);
        assert_eq!(seen.digest.is_some(), release != "3.5.10");
        check_tree(&seen);
        // The receiver checks that each record has the same bytes when it is encoded again.
        let (seen, found) = recovered(release, "plain", |name| name != "snapshot.1e");
        assert_eq!(found.snapshot.unwrap().zxid, Zxid(0));
        assert_eq!(seen.zxids(), (1..=0x21).collect::<Vec<_>>());
    }
}

fn check_tree(seen: &Seen) {
    let data: BTreeMap<&str, Option<&[u8]>> = seen
        .nodes
        .iter()
        .map(|(path, (data, ..))| (path.as_str(), data.as_deref()))
        .collect();
    let node = |path: &'static str, data: &'static [u8]| (path, Some(data));
    let wanted = [
        node("", b""),
        node("/acl", b"x"),
        node("/acl2", b"x"),
        node("/e", b"ephemeral"),
        node("/empty", b""),
        node("/gr\u{fc}\u{df}e", "\u{fc}".as_bytes()),
        node("/kept", b"container"),
        node("/kept/child", b""),
        node("/m", b"m2"),
        ("/null", None),
        node("/p", b"data3"),
        node("/p/seq-0000000000", b"s"),
        node("/ttl", b"t"),
        node("/zookeeper", b""),
        node("/zookeeper/config", b""),
        node("/zookeeper/quota", b""),
    ];
    assert_eq!(data, wanted.into());
    check_owners(seen);
    let acl = |path: &str| seen.acls[&seen.nodes[path].1].to_vec();
    let bob = Acl::new(Perms::ALL, "digest", "bob:dqlfdCTVe/pZljSx+LYtwvgrQCc=");
    let anyone = Acl::new(Perms::READ, "world", "anyone");
    assert_eq!(acl("/acl")[1], anyone);
    assert_eq!(acl("/acl")[0].id.scheme, bob.id.scheme);
    assert_eq!(acl("/acl2"), [Acl::new(Perms::ALL, "ip", "127.0.0.1/8")]);
    assert_eq!(acl("/zookeeper/config"), AclList::new(vec![anyone]).to_vec());
    assert!(seen.acls[&seen.nodes["/p"].1].is_open());
    // The root has no ACL of its own.
    assert_eq!(seen.nodes[""].1, -1);
}

fn check_owners(seen: &Seen) {
    let rules = OwnerRules {
        extended_types: true,
        emulate_353: false,
    };
    let owner = |path: &str| rules.owner(seen.nodes[path].2.ephemeral_owner);
    let session = *seen.sessions.keys().next().unwrap();
    assert_eq!(seen.sessions, [(session, 30_000)].into());
    assert_eq!(owner("/e"), Owner::Session(SessionId(session)));
    assert_eq!(owner("/kept"), Owner::Container);
    assert_eq!(owner("/ttl"), Owner::Ttl(3_600_000));
    assert_eq!(owner("/p"), Owner::None);
}

/// The receiver checks that each record has the same bytes when it is encoded again.
#[test]
fn every_kind_of_transaction_is_read() {
    for release in RELEASES {
        for variant in ["plain", "nodigest"] {
            let (seen, recovered) = recovered(release, variant, |name| name != "snapshot.1e");
            assert_eq!(recovered.snapshot.unwrap().zxid, Zxid(0));
            assert_eq!(seen.zxids(), (1..=0x21).collect::<Vec<_>>());
            let records: Vec<TxnRecord> = seen
                .txns
                .iter()
                .map(|(_, raw)| TxnRecord::decode(raw).unwrap())
                .collect();
            let kinds: BTreeSet<i32> = records.iter().map(|record| record.header.op.code()).collect();
            let wanted = [
                OpCode::Create,
                OpCode::Create2,
                OpCode::CreateContainer,
                OpCode::CreateTtl,
                OpCode::Delete,
                OpCode::DeleteContainer,
                OpCode::SetData,
                OpCode::SetAcl,
                OpCode::Multi,
                OpCode::CreateSession,
                OpCode::CloseSession,
                OpCode::Error,
            ];
            assert_eq!(kinds, wanted.map(OpCode::code).into());
            let digests = records.iter().filter(|record| record.digest.is_some()).count();
            let errors = |record: &&TxnRecord| matches!(record.txn, Txn::Error { .. });
            let without = records.iter().filter(errors).count();
            let wanted = if variant == "plain" { records.len() - without } else { 0 };
            assert_eq!(digests, wanted, "{release} {variant}");
        }
    }
}

/// Java writes a snapshot under its final name, so that a crash leaves the beginning of one.
#[test]
fn the_beginning_of_a_snapshot_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("version-2");
    std::fs::create_dir(&target).unwrap();
    for entry in std::fs::read_dir(fixture("3.9.4", "plain")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
    }
    let newest = std::fs::read(target.join("snapshot.1e")).unwrap();
    std::fs::write(target.join("snapshot.21"), &newest[..700]).unwrap();
    std::fs::write(target.join("snapshot.22"), b"").unwrap();
    let (seen, recovered) = recover(&open(&options(dir.path()))).unwrap();
    assert_eq!(recovered.snapshot.unwrap().zxid, Zxid(LAST_OF_FIRST_RUN));
    assert_eq!(recovered.last_zxid, Zxid(0x21));
    assert_eq!(seen.begins, 1);
    assert!(recovered.damaged_snapshots.is_empty());
}
