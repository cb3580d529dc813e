//! Requests that change nothing.

use zebu_proto::client::Request;
use zebu_proto::{Acl, AclList, ErrorCode, Perms, Stat, Zxid};

use super::group;
use super::reply::Body;
use super::request::*;

#[test]
fn exists_frames() {
    group("exists", |s| {
        s.request("there", 16, &exists("/app", false));
        s.reply(
            "there",
            16,
            0x12,
            &Body::Stat(Stat {
                data_length: 10,
                cversion: 14,
                num_children: 14,
                pzxid: Zxid(0x12),
                ..s.run.stat(4, 4)
            }),
        );
        s.request("ephemeral", 17, &exists("/app/e", false));
        s.reply(
            "ephemeral",
            17,
            0x12,
            &Body::Stat(Stat {
                data_length: 9,
                ephemeral_owner: s.run.session(0).0,
                ..s.run.stat(5, 5)
            }),
        );
        s.request("missing", 18, &exists("/missing", false));
        s.error("missing", 18, 0x12, ErrorCode::NoNode);
        s.request("watch-missing", 50, &exists("/app/w", true));
        s.error("watch-missing", 50, 0x1c, ErrorCode::NoNode);
        s.request("watch-there", 57, &exists("/app/w/k", true));
        s.reply(
            "watch-there",
            57,
            0x1f,
            &Body::Stat(Stat {
                data_length: 1,
                ..s.run.stat(0x1f, 0x1f)
            }),
        );
        s.request("watch-for-removal", 67, &exists("/app/w", true));
        s.reply(
            "watch-for-removal",
            67,
            0x24,
            &Body::Stat(Stat {
                data_length: 1,
                version: 2,
                cversion: 3,
                num_children: 1,
                pzxid: Zxid(0x21),
                ..s.run.stat(0x1d, 0x22)
            }),
        );
        s.request("for-reconnect", 6, &exists("/app/w/later", true));
        s.error("for-reconnect", 6, 0x29, ErrorCode::NoNode);
        s.request("for-reconnect", 7, &exists("/app/w/never", true));
        s.error("for-reconnect", 7, 0x29, ErrorCode::NoNode);
        s.request("watch-ephemeral", 83, &exists("/app/renewed", true));
        s.reply(
            "watch-ephemeral",
            83,
            0x34,
            &Body::Stat(Stat {
                data_length: 1,
                ephemeral_owner: s.run.session(3).0,
                ..s.run.stat(0x34, 0x34)
            }),
        );
        s.request("zero-byte", 24, &exists("/a\0b", false));
        s.error("zero-byte", 24, 0x51, ErrorCode::BadArguments);
        // Any byte but zero is true.
        s.odd_request("any-true", 39, &exists("/raw", true));
        s.reply(
            "any-true",
            39,
            0x59,
            &Body::Stat(Stat {
                version: 1,
                cversion: 2,
                num_children: 2,
                pzxid: Zxid(0x51),
                ..s.run.stat(0x4f, 0x4f)
            }),
        );
    });
}

#[test]
fn get_data_frames() {
    group("get-data", |s| {
        s.request("text", 19, &get_data("/app", false));
        s.reply(
            "text",
            19,
            0x12,
            &Body::Data(
                Some(b"persistent"),
                Stat {
                    data_length: 10,
                    cversion: 14,
                    num_children: 14,
                    pzxid: Zxid(0x12),
                    ..s.run.stat(4, 4)
                },
            ),
        );
        s.request("null", 20, &get_data("/app/null", false));
        s.reply("null", 20, 0x12, &Body::Data(None, s.run.stat(8, 8)));
        s.request("empty", 21, &get_data("/app/empty", false));
        s.reply("empty", 21, 0x12, &Body::Data(Some(b""), s.run.stat(9, 9)));
        s.request("binary", 22, &get_data("/app/binary", false));
        s.reply(
            "binary",
            22,
            0x12,
            &Body::Data(
                Some(b"\0\x01\x7f\x80\xff"),
                Stat {
                    data_length: 5,
                    ..s.run.stat(0xa, 0xa)
                },
            ),
        );
        s.request("ttl", 23, &get_data("/app/ttl", false));
        s.reply(
            "ttl",
            23,
            0x12,
            &Body::Data(
                Some(b"ttl"),
                Stat {
                    data_length: 3,
                    ..s.run.stat(0x11, 0x11)
                },
            ),
        );
        s.request("config", 24, &get_data("/zookeeper/config", false));
        s.reply(
            "config",
            24,
            0x12,
            &Body::Data(
                Some(b""),
                Stat {
                    aversion: -1,
                    ..Stat::default()
                },
            ),
        );
        s.request("watch", 52, &get_data("/app/w", true));
        s.reply(
            "watch",
            52,
            0x1d,
            &Body::Data(
                Some(b"w"),
                Stat {
                    data_length: 1,
                    ..s.run.stat(0x1d, 0x1d)
                },
            ),
        );
        s.request("for-reconnect", 1, &get_data("/app/w/same", true));
        s.reply(
            "for-reconnect",
            1,
            0x29,
            &Body::Data(
                Some(b"for-reconnect"),
                Stat {
                    data_length: 13,
                    ..s.run.stat(0x25, 0x25)
                },
            ),
        );
        s.request("for-reconnect", 2, &get_data("/app/w/changed", true));
        s.reply(
            "for-reconnect",
            2,
            0x29,
            &Body::Data(
                Some(b"for-reconnect"),
                Stat {
                    data_length: 13,
                    ..s.run.stat(0x26, 0x26)
                },
            ),
        );
        s.request("for-reconnect", 3, &get_data("/app/w/gone", true));
        s.reply(
            "for-reconnect",
            3,
            0x29,
            &Body::Data(
                Some(b"for-reconnect"),
                Stat {
                    data_length: 13,
                    ..s.run.stat(0x28, 0x28)
                },
            ),
        );
        s.request("for-check", 10, &get_data("/app", true));
        s.reply(
            "for-check",
            10,
            0x4c,
            &Body::Data(
                Some(b"third"),
                Stat {
                    data_length: 5,
                    version: 2,
                    cversion: 24,
                    num_children: 12,
                    pzxid: Zxid(0x49),
                    ..s.run.stat(4, 0x14)
                },
            ),
        );
    });
}

#[test]
fn get_children_frames() {
    group("get-children", |s| {
        s.request("none", 25, &get_children("/app/e", false));
        s.reply("none", 25, 0x12, &Body::Names(&[]));
        s.request("root", 26, &get_children("/", false));
        s.reply("root", 26, 0x12, &Body::Names(&["app", "zookeeper"]));
        s.request("many", 27, &get_children("/app", false));
        s.reply(
            "many",
            27,
            0x12,
            &Body::Names(&[
                "c",
                "e",
                "ttl-0000000013",
                "acl",
                "two",
                "ttl",
                "empty",
                "c2",
                "es-0000000002",
                "größe",
                "null",
                "binary",
                "s-0000000001",
                "two-e",
            ]),
        );
        s.request("watch", 54, &get_children("/app/w", true));
        s.reply("watch", 54, 0x1e, &Body::Names(&[]));
        s.request("watch-for-removal", 69, &get_children("/app/w", true));
        s.reply("watch-for-removal", 69, 0x24, &Body::Names(&["k"]));
        s.request("for-reconnect", 4, &get_children("/app/w/same", true));
        s.reply("for-reconnect", 4, 0x29, &Body::Names(&[]));
        s.request("for-reconnect", 5, &get_children("/app/w/parent", true));
        s.reply("for-reconnect", 5, 0x29, &Body::Names(&[]));
    });
}

#[test]
fn get_children2_frames() {
    group("get-children2", |s| {
        s.request("two", 28, &get_children2("/zookeeper", false));
        s.reply(
            "two",
            28,
            0x12,
            &Body::NamesAndStat(
                &["config", "quota"],
                Stat {
                    cversion: -2,
                    num_children: 2,
                    ..Stat::default()
                },
            ),
        );
        s.request("watch", 56, &get_children2("/app/w", true));
        s.reply(
            "watch",
            56,
            0x1f,
            &Body::NamesAndStat(
                &["k"],
                Stat {
                    data_length: 1,
                    version: 1,
                    cversion: 1,
                    num_children: 1,
                    pzxid: Zxid(0x1f),
                    ..s.run.stat(0x1d, 0x1e)
                },
            ),
        );
        s.request("root-as-empty", 23, &get_children2("", false));
        s.reply(
            "root-as-empty",
            23,
            0x51,
            &Body::NamesAndStat(
                &["app", "raw", "zookeeper", "limited"],
                Stat {
                    cversion: 2,
                    num_children: 4,
                    pzxid: Zxid(0x4f),
                    ..Stat::default()
                },
            ),
        );
    });
}

#[test]
fn get_all_children_number_frames() {
    group("get-all-children-number", |s| {
        s.request("root", 29, &get_all_children_number("/"));
        s.reply("root", 29, 0x12, &Body::Int(18));
    });
}

#[test]
fn get_ephemerals_frames() {
    group("get-ephemerals", |s| {
        s.request("one", 30, &get_ephemerals(Some("/app/es")));
        s.reply("one", 30, 0x12, &Body::Names(&["/app/es-0000000002"]));
        s.request("all", 31, &get_ephemerals(Some("/")));
        s.reply(
            "all",
            31,
            0x12,
            &Body::Names(&["/app/two-e", "/app/es-0000000002", "/app/e"]),
        );
        s.request("null-prefix", 3, &get_ephemerals(None));
        s.reply("null-prefix", 3, 0x4a, &Body::Names(&[]));
    });
}

#[test]
fn get_acl_frames() {
    group("get-acl", |s| {
        s.request("open", 32, &get_acl("/app"));
        s.reply(
            "open",
            32,
            0x12,
            &Body::Acl(
                AclList::OPEN,
                Stat {
                    data_length: 10,
                    cversion: 14,
                    num_children: 14,
                    pzxid: Zxid(0x12),
                    ..s.run.stat(4, 4)
                },
            ),
        );
        s.request("masked", 33, &get_acl("/app/acl"));
        s.reply(
            "masked",
            33,
            0x12,
            &Body::Acl(
                AclList::new(vec![
                    Acl::new(Perms(1), "world", "anyone"),
                    Acl::new(Perms(31), "digest", "bob:x"),
                    Acl::new(Perms(3), "ip", "10.0.0.0/8"),
                ]),
                Stat {
                    data_length: 3,
                    ..s.run.stat(0xc, 0xc)
                },
            ),
        );
        s.request("set", 40, &get_acl("/app/empty"));
        s.reply(
            "set",
            40,
            0x16,
            &Body::Acl(
                AclList::new(vec![Acl::new(Perms(17), "world", "anyone")]),
                Stat {
                    aversion: 1,
                    ..s.run.stat(9, 9)
                },
            ),
        );
        s.request("unmasked", 44, &get_acl("/app/acl"));
        s.reply(
            "unmasked",
            44,
            0x18,
            &Body::Acl(
                AclList::new(vec![
                    Acl::new(Perms(1), "world", "anyone"),
                    Acl::new(Perms(31), "digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="),
                    Acl::new(Perms(3), "ip", "10.0.0.0/8"),
                ]),
                Stat {
                    data_length: 3,
                    ..s.run.stat(0xc, 0xc)
                },
            ),
        );
    });
}

#[test]
fn sync_frames() {
    group("sync", |s| {
        s.request("path", 34, &sync(Some("/app")));
        s.reply("path", 34, 0x12, &Body::Path(Some("/app")));
        s.request("null-path", 4, &sync(None));
        s.reply("null-path", 4, 0x4a, &Body::Path(None));
    });
}

#[test]
fn who_am_i_frames() {
    group("who-am-i", |s| {
        s.request("address", 35, &Request::WhoAmI);
        s.reply("address", 35, 0x12, &Body::Clients(&[("ip", "127.0.0.1")]));
        s.request("digest", 43, &Request::WhoAmI);
        s.reply(
            "digest",
            43,
            0x18,
            &Body::Clients(&[("digest", "bob"), ("ip", "127.0.0.1")]),
        );
    });
}
