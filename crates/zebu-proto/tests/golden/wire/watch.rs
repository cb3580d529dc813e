//! Watches and their events.

use zebu_proto::client::{AddWatchMode, ConnectRequest, EventType, Request, SetWatches, WatcherType};
use zebu_proto::jute::DecodeErrorKind;
use zebu_proto::session::password;
use zebu_proto::{ErrorCode, OpCode, Stat, Zxid};

use super::reply::Body;
use super::request::*;
use super::{group, new_session, paths};

#[test]
fn event_frames() {
    group("event", |s| {
        s.request("created", 51, &create(OpCode::Create, "/app/w", Some(b"w"), 0));
        s.event("created", 0x1d, EventType::NodeCreated, "/app/w");
        s.reply("created", 51, 0x1d, &Body::Path(Some("/app/w")));
        s.request("data-changed", 53, &set_data("/app/w", Some(b"x"), -1));
        s.event("data-changed", 0x1e, EventType::NodeDataChanged, "/app/w");
        s.reply(
            "data-changed",
            53,
            0x1e,
            &Body::Stat(Stat {
                data_length: 1,
                version: 1,
                ..s.run.stat(0x1d, 0x1e)
            }),
        );
        s.request(
            "children-changed",
            55,
            &create(OpCode::Create, "/app/w/k", Some(b"k"), 0),
        );
        s.event("children-changed", 0x1f, EventType::NodeChildrenChanged, "/app/w");
        s.reply("children-changed", 55, 0x1f, &Body::Path(Some("/app/w/k")));
        s.request("deleted", 58, &delete("/app/w/k", -1));
        s.event("deleted", 0x20, EventType::NodeDeleted, "/app/w/k");
        s.event("deleted", 0x20, EventType::NodeChildrenChanged, "/app/w");
        s.reply("deleted", 58, 0x20, &Body::Nothing);
        s.request("persistent", 61, &create(OpCode::Create, "/app/w/k", Some(b"k"), 0));
        s.event("persistent", 0x21, EventType::NodeChildrenChanged, "/app/w");
        s.reply("persistent", 61, 0x21, &Body::Path(Some("/app/w/k")));
        s.request("persistent", 62, &set_data("/app/w", Some(b"y"), -1));
        s.event("persistent", 0x22, EventType::NodeDataChanged, "/app/w");
        s.reply(
            "persistent",
            62,
            0x22,
            &Body::Stat(Stat {
                data_length: 1,
                version: 2,
                cversion: 3,
                num_children: 1,
                pzxid: Zxid(0x21),
                ..s.run.stat(0x1d, 0x22)
            }),
        );
        s.request("recursive", 63, &set_data("/app/m/e-0000000000", Some(b"y"), -1));
        s.event("recursive", 0x23, EventType::NodeDataChanged, "/app/m/e-0000000000");
        s.reply(
            "recursive",
            63,
            0x23,
            &Body::Stat(Stat {
                data_length: 1,
                version: 1,
                ephemeral_owner: s.run.session(0).0,
                ..s.run.stat(0x1b, 0x23)
            }),
        );
        s.request("recursive", 64, &create(OpCode::Create, "/app/m/deep", Some(b"d"), 0));
        s.event("recursive", 0x24, EventType::NodeCreated, "/app/m/deep");
        s.reply("recursive", 64, 0x24, &Body::Path(Some("/app/m/deep")));
        s.request("after-return", 79, &set_data("/app/w/same", Some(b"x"), -1));
        s.event("after-return", 0x2e, EventType::NodeDataChanged, "/app/w/same");
        s.reply(
            "after-return",
            79,
            0x2e,
            &Body::Stat(Stat {
                data_length: 1,
                version: 1,
                ..s.run.stat(0x25, 0x2e)
            }),
        );
        s.request(
            "after-second-return",
            81,
            &create(OpCode::Create, "/app/w/never", Some(b"n"), 0),
        );
        s.event("after-second-return", 0x30, EventType::NodeCreated, "/app/w/never");
        s.reply("after-second-return", 81, 0x30, &Body::Path(Some("/app/w/never")));
        s.request(
            "after-second-return",
            82,
            &create(OpCode::Create, "/app/w/same/k", Some(b"k"), 0),
        );
        s.event("after-second-return", 0x31, EventType::NodeCreated, "/app/w/same/k");
        s.reply("after-second-return", 82, 0x31, &Body::Path(Some("/app/w/same/k")));
        s.event(
            "after-second-return",
            0x31,
            EventType::NodeChildrenChanged,
            "/app/w/same",
        );
    });
}

#[test]
fn add_watch_frames() {
    group("add-watch", |s| {
        s.request("persistent", 59, &add_watch("/app/w", Some(AddWatchMode::Persistent)));
        s.reply("persistent", 59, 0x20, &Body::Int(0));
        s.request(
            "recursive",
            60,
            &add_watch("/app/m", Some(AddWatchMode::PersistentRecursive)),
        );
        s.reply("recursive", 60, 0x20, &Body::Int(0));
        s.request(
            "for-reconnect",
            9,
            &add_watch("/app/w/same", Some(AddWatchMode::Persistent)),
        );
        s.reply("for-reconnect", 9, 0x2e, &Body::Int(0));
        s.request(
            "for-reconnect",
            10,
            &add_watch("/app/w", Some(AddWatchMode::PersistentRecursive)),
        );
        s.reply("for-reconnect", 10, 0x2e, &Body::Int(0));
        s.request("for-reconnect", 11, &get_data("/app/w/changed", true));
        s.reply(
            "for-reconnect",
            11,
            0x2e,
            &Body::Data(
                Some(b"x"),
                Stat {
                    data_length: 1,
                    version: 1,
                    ..s.run.stat(0x26, 0x2a)
                },
            ),
        );
        s.request("bad-mode", 15, &add_watch("/app", None));
        s.error("bad-mode", 15, 0x4c, ErrorCode::MarshallingError);
        s.request(
            "persistent-again",
            31,
            &add_watch("/raw", Some(AddWatchMode::Persistent)),
        );
        s.reply("persistent-again", 31, 0x57, &Body::Int(0));
        s.request(
            "recursive-again",
            34,
            &add_watch("/raw", Some(AddWatchMode::PersistentRecursive)),
        );
        s.reply("recursive-again", 34, 0x57, &Body::Int(0));
    });
}

#[test]
fn check_watches_frames() {
    group("check-watches", |s| {
        s.request("data", 11, &check_watches("/app", Some(WatcherType::Data)));
        s.reply("data", 11, 0x4c, &Body::Nothing);
        s.request("none", 12, &check_watches("/app", Some(WatcherType::Children)));
        s.error("none", 12, 0x4c, ErrorCode::NoWatcher);
        s.request("bad-type", 13, &check_watches("/app", None));
        s.error("bad-type", 13, 0x4c, ErrorCode::MarshallingError);
        s.request("persistent", 32, &check_watches("/raw", Some(WatcherType::Persistent)));
        s.known_since_39("persistent", 32, 0x57);
    });
}

#[test]
fn remove_watches_frames() {
    group("remove-watches", |s| {
        s.request("any", 65, &remove_watches("/app/w", Some(WatcherType::Any)));
        s.reply("any", 65, 0x24, &Body::Nothing);
        s.request("any-recursive", 66, &remove_watches("/app/m", Some(WatcherType::Any)));
        s.reply("any-recursive", 66, 0x24, &Body::Nothing);
        s.request("data", 68, &remove_watches("/app/w", Some(WatcherType::Data)));
        s.reply("data", 68, 0x24, &Body::Nothing);
        s.request("children", 70, &remove_watches("/app/w", Some(WatcherType::Children)));
        s.reply("children", 70, 0x24, &Body::Nothing);
        s.request("none", 14, &remove_watches("/app", Some(WatcherType::Children)));
        s.error("none", 14, 0x4c, ErrorCode::NoWatcher);
        s.request(
            "persistent-none",
            30,
            &remove_watches("/app", Some(WatcherType::Persistent)),
        );
        let error = if s.is_380() {
            ErrorCode::MarshallingError
        } else {
            ErrorCode::NoWatcher
        };
        s.error("persistent-none", 30, 0x57, error);
        s.request("persistent", 33, &remove_watches("/raw", Some(WatcherType::Persistent)));
        s.known_since_39("persistent", 33, 0x57);
        s.request(
            "recursive",
            35,
            &remove_watches("/raw", Some(WatcherType::PersistentRecursive)),
        );
        s.known_since_39("recursive", 35, 0x57);
    });
}

#[test]
fn set_watches_frames() {
    group("set-watches", |s| {
        s.connect(
            "all",
            &ConnectRequest {
                last_zxid_seen: Zxid(0x29),
                session: s.run.session(2),
                password: &password(s.run.session(2)),
                ..new_session(30_000)
            },
            30_000,
            s.run.session(2),
        );
        s.request("all", -4, &auth("digest", Some(b"joe:pw")));
        s.request(
            "all",
            8,
            &Request::SetWatches(SetWatches {
                relative_zxid: Zxid(0x29),
                data: paths(&["/app/w/gone", "/app/w/same", "/app/w/changed"]),
                exist: paths(&["/app/w/later", "/app/w/never"]),
                child: paths(&["/app/w/parent", "/app/w/same"]),
                ..SetWatches::default()
            }),
        );
        s.reply("all", -4, 0, &Body::Nothing);
        s.missed_event("all", -1, EventType::NodeDeleted, "/app/w/gone");
        s.missed_event("all", -1, EventType::NodeDataChanged, "/app/w/changed");
        s.missed_event("all", -1, EventType::NodeCreated, "/app/w/later");
        s.missed_event("all", -1, EventType::NodeChildrenChanged, "/app/w/parent");
        s.reply("all", 8, 0x2d, &Body::Nothing);
        s.request(
            "missed",
            -8,
            &Request::SetWatches(SetWatches {
                relative_zxid: Zxid(2),
                data: paths(&["/app"]),
                exist: paths(&["/app"]),
                child: paths(&["/app"]),
                ..SetWatches::default()
            }),
        );
        s.missed_event("missed", -1, EventType::NodeDataChanged, "/app");
        s.missed_event("missed", -1, EventType::NodeCreated, "/app");
        s.missed_event("missed", -1, EventType::NodeChildrenChanged, "/app");
        s.reply("missed", -8, 0x4c, &Body::Nothing);
        s.unreadable(
            "null-list",
            OpCode::SetWatches,
            17,
            DecodeErrorKind::Null,
            "existWatches",
        );
        s.missed_event("null-list", -1, EventType::NodeDataChanged, "/app");
        s.error("null-list", 17, 0x4c, ErrorCode::MarshallingError);
    });
}

#[test]
fn set_watches2_frames() {
    group("set-watches2", |s| {
        s.connect(
            "all",
            &ConnectRequest {
                last_zxid_seen: Zxid(0x2e),
                session: s.run.session(2),
                password: &password(s.run.session(2)),
                ..new_session(30_000)
            },
            30_000,
            s.run.session(2),
        );
        s.request("all", -4, &auth("digest", Some(b"joe:pw")));
        s.request(
            "all",
            12,
            &Request::SetWatches(SetWatches {
                relative_zxid: Zxid(0x2e),
                data: paths(&["/app/w/changed"]),
                exist: paths(&["/app/w/never"]),
                child: paths(&["/app/w/same"]),
                persistent: paths(&["/app/w/same"]),
                persistent_recursive: paths(&["/app/w"]),
            }),
        );
        s.reply("all", -4, 0, &Body::Nothing);
        s.missed_event("all", -1, EventType::NodeDataChanged, "/app/w/changed");
        s.reply("all", 12, 0x2f, &Body::Nothing);
    });
}
