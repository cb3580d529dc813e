//! Sets, deletes, reconfig.

use zebu_proto::client::Request;
use zebu_proto::{Acl, AclList, ErrorCode, Perms, Stat, Zxid};

use super::reply::Body;
use super::request::*;
use super::{group, path};

#[test]
fn set_data_frames() {
    group("set-data", |s| {
        s.request("any-version", 36, &set_data("/app", Some(b"second"), -1));
        s.reply(
            "any-version",
            36,
            0x13,
            &Body::Stat(Stat {
                data_length: 6,
                version: 1,
                cversion: 14,
                num_children: 14,
                pzxid: Zxid(0x12),
                ..s.run.stat(4, 0x13)
            }),
        );
        s.request("version", 37, &set_data("/app", Some(b"third"), 1));
        s.reply(
            "version",
            37,
            0x14,
            &Body::Stat(Stat {
                data_length: 5,
                version: 2,
                cversion: 14,
                num_children: 14,
                pzxid: Zxid(0x12),
                ..s.run.stat(4, 0x14)
            }),
        );
        s.request("null", 38, &set_data("/app/two", None, 0));
        s.reply(
            "null",
            38,
            0x15,
            &Body::Stat(Stat {
                version: 1,
                ..s.run.stat(0xd, 0x15)
            }),
        );
        s.request("while-away", 75, &set_data("/app/w/changed", Some(b"x"), -1));
        s.reply(
            "while-away",
            75,
            0x2a,
            &Body::Stat(Stat {
                data_length: 1,
                version: 1,
                ..s.run.stat(0x26, 0x2a)
            }),
        );
        s.request("while-away-again", 80, &set_data("/app/w/changed", Some(b"z"), -1));
        s.reply(
            "while-away-again",
            80,
            0x2f,
            &Body::Stat(Stat {
                data_length: 1,
                version: 2,
                ..s.run.stat(0x26, 0x2f)
            }),
        );
    });
}

#[test]
fn set_acl_frames() {
    group("set-acl", |s| {
        s.request(
            "any-version",
            39,
            &set_acl(
                "/app/empty",
                &AclList::new(vec![Acl::new(Perms(17), "world", "anyone")]),
                -1,
            ),
        );
        s.reply(
            "any-version",
            39,
            0x16,
            &Body::Stat(Stat {
                aversion: 1,
                ..s.run.stat(9, 9)
            }),
        );
        s.request(
            "version",
            46,
            &set_acl("/app/acl", &AclList::new(vec![Acl::new(Perms(31), "auth", "")]), 0),
        );
        s.reply(
            "version",
            46,
            0x1a,
            &Body::Stat(Stat {
                data_length: 3,
                aversion: 1,
                ..s.run.stat(0xc, 0xc)
            }),
        );
    });
}

#[test]
fn delete_frames() {
    group("delete", |s| {
        s.request("version", 41, &delete("/app/two", 1));
        s.reply("version", 41, 0x17, &Body::Nothing);
        s.request("any-version", 42, &delete("/app/s-0000000001", -1));
        s.reply("any-version", 42, 0x18, &Body::Nothing);
        s.request("while-away", 78, &delete("/app/w/gone", -1));
        s.reply("while-away", 78, 0x2d, &Body::Nothing);
    });
}

#[test]
fn reconfig_frames() {
    group("reconfig", |s| {
        s.request(
            "disabled",
            1,
            &Request::Reconfig {
                joining: None,
                leaving: Some(path("3")),
                new_members: None,
                config_id: -1,
            },
        );
        s.error("disabled", 1, 0x44, ErrorCode::ReconfigDisabled);
        s.request(
            "members",
            2,
            &Request::Reconfig {
                joining: None,
                leaving: None,
                new_members: Some(path("server.1=127.0.0.1:1:2;3")),
                config_id: 5,
            },
        );
        s.error("members", 2, 0x45, ErrorCode::ReconfigDisabled);
    });
}
