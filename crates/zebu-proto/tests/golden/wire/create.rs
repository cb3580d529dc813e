//! Creates of all kinds.

use zebu_proto::client::{CreateRequest, Request};
use zebu_proto::{Acl, AclList, OpCode, Perms, RequestedAcl, Stat};

use super::reply::Body;
use super::request::*;
use super::{group, path};

#[test]
fn create_frames() {
    group("create", |s| {
        s.request("persistent", 1, &create(OpCode::Create, "/app", Some(b"persistent"), 0));
        s.reply("persistent", 1, 4, &Body::Path(Some("/app")));
        s.request("ephemeral", 2, &create(OpCode::Create, "/app/e", Some(b"ephemeral"), 1));
        s.reply("ephemeral", 2, 5, &Body::Path(Some("/app/e")));
        s.request(
            "sequential",
            3,
            &create(OpCode::Create, "/app/s-", Some(b"sequential"), 2),
        );
        s.reply("sequential", 3, 6, &Body::Path(Some("/app/s-0000000001")));
        s.request(
            "ephemeral-sequential",
            4,
            &create(OpCode::Create, "/app/es-", Some(b"ephemeral-sequential"), 3),
        );
        s.reply("ephemeral-sequential", 4, 7, &Body::Path(Some("/app/es-0000000002")));
        s.request("null-data", 5, &create(OpCode::Create, "/app/null", None, 0));
        s.reply("null-data", 5, 8, &Body::Path(Some("/app/null")));
        s.request("empty-data", 6, &create(OpCode::Create, "/app/empty", Some(b""), 0));
        s.reply("empty-data", 6, 9, &Body::Path(Some("/app/empty")));
        s.request(
            "binary-data",
            7,
            &create(OpCode::Create, "/app/binary", Some(b"\0\x01\x7f\x80\xff"), 0),
        );
        s.reply("binary-data", 7, 0xa, &Body::Path(Some("/app/binary")));
        s.request("umlaut", 8, &create(OpCode::Create, "/app/größe", Some(b"umlaut"), 0));
        s.reply("umlaut", 8, 0xb, &Body::Path(Some("/app/größe")));
        s.request(
            "acl",
            9,
            &Request::Create(CreateRequest {
                op: OpCode::Create,
                path: path("/app/acl"),
                data: Some(b"acl"),
                acl: RequestedAcl::List(AclList::new(vec![
                    Acl::new(Perms(1), "world", "anyone"),
                    Acl::new(Perms(31), "digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="),
                    Acl::new(Perms(3), "ip", "10.0.0.0/8"),
                ])),
                flags: 0,
                ttl_ms: -1,
            }),
        );
        s.reply("acl", 9, 0xc, &Body::Path(Some("/app/acl")));
        s.request(
            "container",
            12,
            &create(OpCode::CreateContainer, "/app/c", Some(b"container"), 4),
        );
        s.reply(
            "container",
            12,
            0xf,
            &Body::Created(
                "/app/c",
                Stat {
                    data_length: 9,
                    ..s.run.stat(0xf, 0xf)
                },
            ),
        );
        s.request("ttl", 14, &create_with_ttl("/app/ttl", Some(b"ttl"), 5, 86_400_000));
        s.reply(
            "ttl",
            14,
            0x11,
            &Body::Created(
                "/app/ttl",
                Stat {
                    data_length: 3,
                    ..s.run.stat(0x11, 0x11)
                },
            ),
        );
        s.request(
            "ttl-sequential",
            15,
            &create_with_ttl("/app/ttl-", Some(b"ttl"), 6, 0xff_ffff_ffff),
        );
        s.reply(
            "ttl-sequential",
            15,
            0x12,
            &Body::Created(
                "/app/ttl-0000000013",
                Stat {
                    data_length: 3,
                    ..s.run.stat(0x12, 0x12)
                },
            ),
        );
        s.request(
            "creator-only",
            45,
            &Request::Create(CreateRequest {
                op: OpCode::Create,
                path: path("/app/own"),
                data: Some(b"own"),
                acl: RequestedAcl::List(AclList::new(vec![Acl::new(Perms(31), "auth", "")])),
                flags: 0,
                ttl_ms: -1,
            }),
        );
        s.reply("creator-only", 45, 0x19, &Body::Path(Some("/app/own")));
        s.request(
            "for-reconnect",
            71,
            &create(OpCode::Create, "/app/w/same", Some(b"for-reconnect"), 0),
        );
        s.reply("for-reconnect", 71, 0x25, &Body::Path(Some("/app/w/same")));
        s.request(
            "for-reconnect",
            72,
            &create(OpCode::Create, "/app/w/changed", Some(b"for-reconnect"), 0),
        );
        s.reply("for-reconnect", 72, 0x26, &Body::Path(Some("/app/w/changed")));
        s.request(
            "for-reconnect",
            73,
            &create(OpCode::Create, "/app/w/parent", Some(b"for-reconnect"), 0),
        );
        s.reply("for-reconnect", 73, 0x27, &Body::Path(Some("/app/w/parent")));
        s.request(
            "for-reconnect",
            74,
            &create(OpCode::Create, "/app/w/gone", Some(b"for-reconnect"), 0),
        );
        s.reply("for-reconnect", 74, 0x28, &Body::Path(Some("/app/w/gone")));
        s.request(
            "while-away",
            76,
            &create(OpCode::Create, "/app/w/parent/k", Some(b"while-away"), 0),
        );
        s.reply("while-away", 76, 0x2b, &Body::Path(Some("/app/w/parent/k")));
        s.request("later", 77, &create(OpCode::Create, "/app/w/later", Some(b"later"), 0));
        s.reply("later", 77, 0x2c, &Body::Path(Some("/app/w/later")));
        s.request("of-renewed", 1, &create(OpCode::Create, "/app/renewed", Some(b"r"), 1));
        s.reply("of-renewed", 1, 0x34, &Body::Path(Some("/app/renewed")));
        s.request(
            "quota-node",
            93,
            &create(OpCode::Create, "/limited", Some(b"quota-node"), 0),
        );
        s.reply("quota-node", 93, 0x3e, &Body::Path(Some("/limited")));
        s.request(
            "quota-parent",
            94,
            &create(OpCode::Create, "/zookeeper/quota/limited", Some(b"quota-parent"), 0),
        );
        s.reply("quota-parent", 94, 0x3f, &Body::Path(Some("/zookeeper/quota/limited")));
        s.request(
            "quota-limits",
            95,
            &create(
                OpCode::Create,
                "/zookeeper/quota/limited/zookeeper_limits",
                Some(b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1"),
                0,
            ),
        );
        s.reply(
            "quota-limits",
            95,
            0x40,
            &Body::Path(Some("/zookeeper/quota/limited/zookeeper_limits")),
        );
        s.request(
            "quota-stats",
            96,
            &create(
                OpCode::Create,
                "/zookeeper/quota/limited/zookeeper_stats",
                Some(b"count=1,bytes=10"),
                0,
            ),
        );
        s.reply(
            "quota-stats",
            96,
            0x41,
            &Body::Path(Some("/zookeeper/quota/limited/zookeeper_stats")),
        );
        s.request(
            "left-open",
            41,
            &create(OpCode::Create, "/raw/left-open", Some(b"e"), 1),
        );
        s.reply("left-open", 41, 0x5c, &Body::Path(Some("/raw/left-open")));
    });
}

#[test]
fn create2_frames() {
    group("create2", |s| {
        s.request("persistent", 10, &create(OpCode::Create2, "/app/two", Some(b"two"), 0));
        s.reply(
            "persistent",
            10,
            0xd,
            &Body::Created(
                "/app/two",
                Stat {
                    data_length: 3,
                    ..s.run.stat(0xd, 0xd)
                },
            ),
        );
        s.request("ephemeral", 11, &create(OpCode::Create2, "/app/two-e", Some(b"two"), 1));
        s.reply(
            "ephemeral",
            11,
            0xe,
            &Body::Created(
                "/app/two-e",
                Stat {
                    data_length: 3,
                    ephemeral_owner: s.run.session(0).0,
                    ..s.run.stat(0xe, 0xe)
                },
            ),
        );
        s.request(
            "container",
            13,
            &create(OpCode::CreateContainer, "/app/c2", Some(b"c2"), 4),
        );
        s.reply(
            "container",
            13,
            0x10,
            &Body::Created(
                "/app/c2",
                Stat {
                    data_length: 2,
                    ..s.run.stat(0x10, 0x10)
                },
            ),
        );
        s.request("sequential", 21, &create(OpCode::Create2, "/raw/", Some(b""), 2));
        s.reply(
            "sequential",
            21,
            0x51,
            &Body::Created("/raw/0000000001", s.run.stat(0x51, 0x51)),
        );
    });
}
