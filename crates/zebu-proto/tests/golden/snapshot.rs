//! The parts of a standalone server's snapshot.

use zebu_proto::jute::{Reader, Write};
use zebu_proto::snapshot::{ACL_KEY_OPEN, END_MARK, HEADER, NodeRecord, encode_node};
use zebu_proto::{Acl, AclList, Owner, OwnerRules, Perms, StatPersisted, Zxid};

use super::fixture::{Release, Run, Setup, each_release, hex};

fn part<'a>(run: &'a Run, name: &str) -> &'a [u8] {
    &run.snapshot.iter().find(|part| part.name == name).unwrap().bytes
}

/// Stored metadata of a node that one transaction created and one changed last.
fn stat(run: &Run, created: i64, changed: i64) -> StatPersisted {
    StatPersisted {
        czxid: Zxid(created),
        mzxid: Zxid(changed),
        ctime: run.time(created),
        mtime: run.time(changed),
        pzxid: Zxid(created),
        ..StatPersisted::default()
    }
}

#[test]
fn header_and_end_mark() {
    each_release(Setup::Standalone, |run| {
        assert_eq!(hex(part(run, "header")), hex(&HEADER));
        let mut end = Reader::new(part(run, "end"));
        assert_eq!(NodeRecord::decode(&mut end).unwrap(), None);
        assert!(end.is_at_end());
        let mut bytes = Vec::new();
        bytes.string(END_MARK);
        assert_eq!(hex(&bytes), hex(part(run, "end")));
    });
}

#[test]
fn sessions() {
    each_release(Setup::Standalone, |run| {
        let mut bytes = Vec::new();
        bytes.int(1);
        bytes.long(run.session(10).0);
        bytes.int(60_000);
        assert_eq!(hex(&bytes), hex(part(run, "sessions")));
    });
}

/// The keys are the server's own matter: an ACL that is used no more leaves a gap.
#[test]
fn acl_table() {
    const BOB: &str = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=";
    let table = [
        (1, AclList::new(vec![Acl::new(Perms::READ, "world", "anyone")])),
        (2, AclList::OPEN),
        (
            4,
            AclList::new(vec![Acl::new(Perms::READ.union(Perms::ADMIN), "world", "anyone")]),
        ),
        (5, AclList::new(vec![Acl::new(Perms::ALL, "digest", BOB)])),
    ];
    each_release(Setup::Standalone, |run| {
        let mut reader = Reader::new(part(run, "acls"));
        assert_eq!(reader.int("map").unwrap(), 4);
        let mut bytes = Vec::new();
        bytes.int(4);
        for (key, acl) in &table {
            assert_eq!(reader.long("long").unwrap(), *key);
            assert_eq!(AclList::decode(&mut reader).unwrap().as_ref(), Some(acl));
            bytes.long(*key);
            acl.encode(&mut bytes);
        }
        assert!(reader.is_at_end());
        assert_eq!(hex(&bytes), hex(part(run, "acls")));
    });
}

#[test]
fn every_node_is_written_as_it_was_read() {
    each_release(Setup::Standalone, |run| {
        let nodes = run.snapshot.iter().filter(|part| part.name.starts_with("node"));
        let mut count = 0;
        for part in nodes {
            let mut reader = Reader::new(&part.bytes);
            let node = NodeRecord::decode(&mut reader).unwrap().unwrap();
            assert!(reader.is_at_end());
            let mut bytes = Vec::new();
            let data = node.data.map(zebu_proto::Value::from).unwrap_or_default();
            encode_node(&mut bytes, &node.path, &data, node.acl_key, &node.stat);
            assert_eq!(hex(&bytes), hex(&part.bytes), "{}", part.name);
            count += 1;
        }
        assert_eq!(count, 35);
    });
}

#[test]
fn nodes_of_every_kind() {
    let rules = OwnerRules {
        extended_types: true,
        emulate_353: false,
    };
    each_release(Setup::Standalone, |run| {
        let check = |name: &str, path: &str, data: Option<&[u8]>, acl_key, owner, stat: StatPersisted| {
            let node = NodeRecord::decode(&mut Reader::new(part(run, name))).unwrap().unwrap();
            let stat = StatPersisted {
                ephemeral_owner: owner,
                ..stat
            };
            let expected = NodeRecord {
                path: path.into(),
                data,
                acl_key,
                stat,
            };
            assert_eq!(node, expected, "{name}");
            rules.owner(owner)
        };
        let root = StatPersisted {
            cversion: 3,
            pzxid: Zxid(0x4f),
            ..StatPersisted::default()
        };
        check("node/", "", Some(b""), ACL_KEY_OPEN, 0, root);
        let config = StatPersisted {
            aversion: -1,
            ..StatPersisted::default()
        };
        check("node/zookeeper/config", "/zookeeper/config", Some(b""), 1, 0, config);
        let app = StatPersisted {
            version: 2,
            cversion: 18,
            pzxid: Zxid(0x49),
            ..stat(run, 4, 0x14)
        };
        assert_eq!(check("node/app", "/app", Some(b"third"), 2, 0, app), Owner::None);
        check("node/app/null", "/app/null", None, 2, 0, stat(run, 8, 8));
        check(
            "node/app/größe",
            "/app/größe",
            Some(b"umlaut"),
            2,
            0,
            stat(run, 0xb, 0xb),
        );
        let acl = StatPersisted {
            aversion: 1,
            ..stat(run, 0xc, 0xc)
        };
        check("node/app/acl", "/app/acl", Some(b"acl"), 5, 0, acl);
        let owner = Owner::Container.raw(rules);
        let container = stat(run, 0xf, 0xf);
        assert_eq!(
            check("node/app/c", "/app/c", Some(b"container"), 2, owner, container),
            Owner::Container
        );
        let owner = Owner::Ttl(86_400_000).raw(rules);
        let ttl = stat(run, 0x11, 0x11);
        assert_eq!(
            check("node/app/ttl", "/app/ttl", Some(b"ttl"), 2, owner, ttl),
            Owner::Ttl(86_400_000)
        );
        let owner = run.session(10);
        let ephemeral = stat(run, 0x5c, 0x5c);
        assert_eq!(
            check(
                "node/raw/left-open",
                "/raw/left-open",
                Some(b"e"),
                2,
                owner.0,
                ephemeral
            ),
            Owner::Session(owner)
        );
    });
}

/// The digest is that of the log's last transaction that carries one; 3.9 says once more where the snapshot ends.
#[test]
fn what_stands_behind_the_nodes() {
    each_release(Setup::Standalone, |run| {
        let left_open = run.log.iter().find(|record| record.name == "create/left-open").unwrap();
        let mut digest = Vec::new();
        digest.long(0x5d);
        digest.put(&left_open.bytes[left_open.bytes.len() - 12..]);
        assert_eq!(hex(&part(run, "digest")[..20]), hex(&digest));
        let has_last_zxid = run.snapshot.iter().any(|part| part.name == "last-zxid");
        assert_eq!(has_last_zxid, run.release == Release::V395);
        for name in ["seal", "digest", "last-zxid"] {
            if name == "last-zxid" && !has_last_zxid {
                continue;
            }
            let mut end = Vec::new();
            end.string(END_MARK);
            assert!(part(run, name).ends_with(&end), "{name}");
        }
    });
}
