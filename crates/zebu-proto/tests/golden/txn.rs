//! The records of a standalone server's log.

use zebu_proto::jute::Reader;
use zebu_proto::txn::{CreateTxn, CreateTxnKind, Txn, TxnDigest, TxnHeader, TxnRecord};
use zebu_proto::{Acl, AclList, ErrorCode, OpCode, Perms, Value, WallMillis, Xid, Zxid};

use super::fixture::{Run, Setup, each_release, hex};

/// `bob:pw` as an identity.
const BOB: &str = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=";

/// Reads the record of the first transaction of a step, compares, writes it again, compares. `session` is its place
/// in the order of sessions.
#[track_caller]
fn check(run: &Run, name: &str, session: i64, cxid: i32, zxid: i64, txn: Txn) {
    let bytes = &run.log.iter().find(|record| record.name == name).unwrap().bytes;
    let header = TxnHeader {
        session: run.session(session),
        cxid: Xid(cxid),
        zxid: Zxid(zxid),
        time: WallMillis(run.time(zxid)),
        op: txn.op(),
    };
    // Refusals carry no digest. The others' depends on the times of the run: here it is read without the codec.
    let digest = (!matches!(txn, Txn::Error { .. })).then(|| TxnDigest {
        version: TxnDigest::VERSION,
        tree: u64::from_be_bytes(*bytes.last_chunk().unwrap()),
    });
    let expected = TxnRecord { header, txn, digest };
    assert_eq!(TxnRecord::decode(bytes).unwrap(), expected, "{name}");
    assert_eq!(hex(&expected.to_vec()), hex(bytes), "{name}");
    let mut header_bytes = Vec::new();
    header.encode(&mut header_bytes);
    assert_eq!(hex(&header_bytes), hex(&bytes[..TxnHeader::BYTES]), "{name}");
    assert_eq!(TxnHeader::decode(&mut Reader::new(bytes)).unwrap(), header, "{name}");
}

/// A create of a node that is open to everybody.
fn create(kind: CreateTxnKind, path: &str, data: &[u8], parent_cversion: i32) -> Txn {
    Txn::Create(CreateTxn {
        kind,
        path: path.into(),
        data: data.into(),
        acl: AclList::OPEN,
        parent_cversion,
    })
}

#[test]
fn every_record_is_written_as_it_was_read() {
    each_release(Setup::Standalone, |run| {
        for (index, record) in run.log.iter().enumerate() {
            let read = TxnRecord::decode(&record.bytes).unwrap();
            assert_eq!(read.header.zxid, Zxid(i64::try_from(index).unwrap() + 1));
            assert_eq!(hex(&read.to_vec()), hex(&record.bytes), "{}", record.name);
            assert_ne!(record.name, "server", "every transaction comes from a step");
        }
    });
}

#[test]
fn sessions() {
    each_release(Setup::Standalone, |run| {
        check(run, "connect/new", 0, 0, 1, Txn::CreateSession { timeout_ms: 30_000 });
        let paths = Some(Vec::new());
        check(run, "close/no-ephemerals", 1, 1, 3, Txn::CloseSession { paths });
        let paths = Some(vec!["/app/renewed".into()]);
        check(run, "close/ephemeral", 3, 2, 0x35, Txn::CloseSession { paths });
    });
}

#[test]
fn creates() {
    let plain = CreateTxnKind::Create { ephemeral: false };
    let ephemeral = CreateTxnKind::Create { ephemeral: true };
    each_release(Setup::Standalone, |run| {
        let check = |name, cxid, zxid, txn| check(run, name, 0, cxid, zxid, txn);
        check("create/persistent", 1, 4, create(plain, "/app", b"persistent", 1));
        check("create/ephemeral", 2, 5, create(ephemeral, "/app/e", b"ephemeral", 1));
        check(
            "create/sequential",
            3,
            6,
            create(plain, "/app/s-0000000001", b"sequential", 2),
        );
        check("create/empty-data", 6, 9, create(plain, "/app/empty", b"", 5));
        check("create/umlaut", 8, 0xb, create(plain, "/app/größe", b"umlaut", 7));
        let two = CreateTxnKind::Create2 { ephemeral: false };
        check("create2/persistent", 10, 0xd, create(two, "/app/two", b"two", 9));
        let two = CreateTxnKind::Create2 { ephemeral: true };
        check("create2/ephemeral", 11, 0xe, create(two, "/app/two-e", b"two", 10));
        check(
            "create/container",
            12,
            0xf,
            create(CreateTxnKind::Container, "/app/c", b"container", 11),
        );
        let ttl = CreateTxnKind::Ttl { ttl_ms: 86_400_000 };
        check("create/ttl", 14, 0x11, create(ttl, "/app/ttl", b"ttl", 13));
        let ttl = CreateTxnKind::Ttl { ttl_ms: 0xff_ffff_ffff };
        check(
            "create/ttl-sequential",
            15,
            0x12,
            create(ttl, "/app/ttl-0000000013", b"ttl", 14),
        );
    });
}

#[test]
fn creates_with_null_data_and_with_acls() {
    each_release(Setup::Standalone, |run| {
        let create = |path: &str, data, acl, parent_cversion| {
            Txn::Create(CreateTxn {
                kind: CreateTxnKind::Create { ephemeral: false },
                path: path.into(),
                data: Value::from_option(data),
                acl,
                parent_cversion,
            })
        };
        let null = create("/app/null", None, AclList::OPEN, 4);
        check(run, "create/null-data", 0, 5, 8, null);
        let acl = AclList::new(vec![
            Acl::new(Perms::READ, "world", "anyone"),
            Acl::new(Perms::ALL, "digest", BOB),
            Acl::new(Perms::READ.union(Perms::WRITE), "ip", "10.0.0.0/8"),
        ]);
        check(run, "create/acl", 0, 9, 0xc, create("/app/acl", Some(b"acl"), acl, 8));
        let own = AclList::new(vec![Acl::new(Perms::ALL, "digest", BOB)]);
        check(
            run,
            "create/creator-only",
            0,
            45,
            0x19,
            create("/app/own", Some(b"own"), own, 15),
        );
    });
}

#[test]
fn sets_and_deletes() {
    each_release(Setup::Standalone, |run| {
        let set = |path: &str, data: Option<&[u8]>, version| Txn::SetData {
            path: path.into(),
            data: Value::from_option(data),
            version,
        };
        check(
            run,
            "set-data/any-version",
            0,
            36,
            0x13,
            set("/app", Some(b"second"), 1),
        );
        check(run, "set-data/null", 0, 38, 0x15, set("/app/two", None, 1));
        let set_acl = Txn::SetAcl {
            path: "/app/empty".into(),
            acl: AclList::new(vec![Acl::new(Perms::READ.union(Perms::ADMIN), "world", "anyone")]),
            version: 1,
        };
        check(run, "set-acl/any-version", 0, 39, 0x16, set_acl);
        let delete = Txn::Delete {
            path: "/app/two".into(),
        };
        check(run, "delete/version", 0, 41, 0x17, delete);
    });
}

#[test]
fn multis() {
    let plain = CreateTxnKind::Create { ephemeral: false };
    let ephemeral = CreateTxnKind::Create { ephemeral: true };
    let ttl = CreateTxnKind::Ttl { ttl_ms: 5_000_000 };
    each_release(Setup::Standalone, |run| {
        let elements = vec![
            // A check says which version follows the one that it asked for.
            Txn::Check {
                path: "/app".into(),
                version: 3,
            },
            create(plain, "/app/m", b"m", 16),
            create(ephemeral, "/app/m/e-0000000000", b"e", 1),
            create(CreateTxnKind::Container, "/app/m/c", b"c", 2),
            create(ttl, "/app/m/ttl", b"t", 3),
            Txn::SetData {
                path: "/app/m".into(),
                data: b"set"[..].into(),
                version: 1,
            },
            Txn::Delete {
                path: "/app/m/c".into(),
            },
        ];
        check(run, "multi/success", 0, 47, 0x1b, Txn::Multi(elements));
        // Elements before the failed one stand as if they had been done; the error says that nothing was.
        let mut elements = vec![create(plain, "/app/f", b"f", 17)];
        let errors = [ErrorCode::BadVersion, ErrorCode::RuntimeInconsistency];
        elements.extend(errors.map(|code| Txn::Error { err: code.code() }));
        check(run, "multi/failure", 0, 48, 0x1c, Txn::Multi(elements));
        check(run, "multi/empty", 8, 20, 0x50, Txn::Multi(Vec::new()));
    });
}

#[test]
fn refusals() {
    each_release(Setup::Standalone, |run| {
        for (name, cxid, zxid, code) in [
            ("error/no-node-create", 85, 0x36, ErrorCode::NoNode),
            ("error/node-exists", 86, 0x37, ErrorCode::NodeExists),
            ("error/invalid-acl", 91, 0x3c, ErrorCode::InvalidAcl),
            ("error/quota", 97, 0x42, ErrorCode::QuotaExceeded),
        ] {
            check(run, name, 0, cxid, zxid, Txn::Error { err: code.code() });
        }
        let err = ErrorCode::ReconfigDisabled.code();
        check(run, "reconfig/disabled", 4, 1, 0x44, Txn::Error { err });
    });
}

#[test]
fn what_only_ensembles_and_servers_themselves_write() {
    each_release(Setup::Ensemble, |run| {
        for record in &run.log {
            let read = TxnRecord::decode(&record.bytes).unwrap();
            assert_eq!(hex(&read.to_vec()), hex(&record.bytes), "{}", record.name);
        }
        let timeout_ms = 10_000;
        check(
            run,
            "connect/new",
            0,
            0,
            0x1_0000_0001,
            Txn::CreateSession { timeout_ms },
        );
        let err = ErrorCode::NewConfigNoQuorum.code();
        check(run, "reconfig/no-quorum", 0, 5, 0x1_0000_0006, Txn::Error { err });
        // The session's own number stands in the record, with no request's.
        let paths = Some(vec!["/app/e".into()]);
        check(run, "server/expired", 1, 0, 0x1_0000_000b, Txn::CloseSession { paths });
        let txn = Txn::DeleteContainer { path: "/app/c".into() };
        // Session 0, as a distance from the first.
        let nobody = -run.session(0).0;
        check(run, "server/container", nobody, 0, 0x1_0000_000f, txn);
    });
}

/// The version stays where it starts; the configuration holds its own.
#[test]
fn reconfigs() {
    each_release(Setup::Ensemble, |run| {
        let record = run.log.iter().find(|record| record.name == "reconfig/leave").unwrap();
        let mut reader = Reader::new(&record.bytes[TxnHeader::BYTES..]);
        assert_eq!(reader.required_string("path").unwrap(), "/zookeeper/config");
        let config = reader.buffer("data").unwrap().unwrap();
        assert!(config.starts_with(b"server.2=127.0.0.1:"));
        assert!(config.ends_with(b"\nversion=100000007"));
        let txn = Txn::Reconfig {
            path: "/zookeeper/config".into(),
            data: config.into(),
            version: -1,
        };
        check(run, "reconfig/leave", 0, 6, 0x1_0000_0007, txn);
    });
}

/// No running server writes this record any more: its bytes follow from the definition of `CreateTxnV0` alone, which is
/// that of `CreateTxn` without its last field.
#[test]
fn a_create_of_releases_before_3_4() {
    each_release(Setup::Standalone, |run| {
        let record = run.log.iter().find(|record| record.name == "create/ephemeral").unwrap();
        let without_digest = &record.bytes[..record.bytes.len() - TxnDigest::BYTES];
        let v0 = &without_digest[..without_digest.len() - 4];
        let read = TxnRecord::decode(v0).unwrap();
        let kind = CreateTxnKind::Create { ephemeral: true };
        assert_eq!(read.txn, create(kind, "/app/e", b"ephemeral", -1));
        assert_eq!(read.digest, None);
    });
}

#[test]
fn opcodes_of_transactions_are_those_of_requests() {
    each_release(Setup::Standalone, |run| {
        let ops: Vec<OpCode> = run
            .log
            .iter()
            .map(|record| TxnRecord::decode(&record.bytes).unwrap().header.op)
            .collect();
        for op in [
            OpCode::Create,
            OpCode::Create2,
            OpCode::CreateContainer,
            OpCode::CreateTtl,
            OpCode::Delete,
            OpCode::SetData,
            OpCode::SetAcl,
            OpCode::Multi,
            OpCode::CreateSession,
            OpCode::CloseSession,
            OpCode::Error,
        ] {
            assert!(ops.contains(&op), "{op:?}");
        }
    });
}
