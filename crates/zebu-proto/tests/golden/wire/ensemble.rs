//! What only an ensemble's servers say.

use zebu_proto::client::{ConnectRequest, ConnectResponse, EventType, Request};
use zebu_proto::jute::Reader;
use zebu_proto::session::password;
use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{ErrorCode, OpCode, SessionId, Stat, Zxid};

use super::super::fixture::{Direction, Run, Setup};
use super::reply::Body;
use super::request::*;
use super::{Script, new_session, path, recording};

#[test]
fn frames_of_an_ensemble() {
    recording(Setup::Ensemble, |s| {
        s.connect("connect/new", &new_session(15_000), 10_000, s.run.session(0));
        s.request("create/persistent", 1, &create(OpCode::Create, "/app", Some(b"app"), 0));
        s.reply("create/persistent", 1, 0x1_0000_0002, &Body::Path(Some("/app")));
        s.request("auth/super", -4, &auth("digest", Some(b"super:driver")));
        s.reply("auth/super", -4, 0, &Body::Nothing);
        reconfigs(s);
        expiry(s);
        removal(s);
        s.request("close/session", 16, &Request::CloseSession);
        s.reply("close/session", 16, 0x1_0000_0011, &Body::Nothing);
        read_only(s);
    });
}

fn incremental<'a>(joining: Option<&'a str>, leaving: Option<&'a str>, config_id: i64) -> Request<'a> {
    Request::Reconfig {
        joining: joining.map(path),
        leaving: leaving.map(path),
        new_members: None,
        config_id,
    }
}

/// The configuration that a transaction sets; its ports are other ones in each recording.
fn config(run: &Run, zxid: i64) -> String {
    let counter = usize::try_from(Zxid(zxid).counter()).unwrap();
    let Txn::Reconfig { data, .. } = TxnRecord::decode(&run.log[counter - 1].bytes).unwrap().txn else {
        panic!("a reconfig");
    };
    String::from_utf8(data.as_bytes().into()).unwrap()
}

fn reconfigs(s: &mut Script<'_>) {
    s.request("reconfig/no-auth", 2, &incremental(None, Some("1"), -1));
    s.error("reconfig/no-auth", 2, 0x1_0000_0003, ErrorCode::NoAuth);
    s.request("reconfig/bad-version", 3, &incremental(None, Some("1"), 5));
    s.error("reconfig/bad-version", 3, 0x1_0000_0004, ErrorCode::BadVersion);
    s.request(
        "reconfig/bad-arguments",
        4,
        &incremental(Some("server.9=nonsense"), None, -1),
    );
    s.error("reconfig/bad-arguments", 4, 0x1_0000_0005, ErrorCode::BadArguments);
    let strangers = "server.7=127.0.0.1:1:2;3,server.8=127.0.0.1:4:5;6,server.9=127.0.0.1:7:8;9";
    s.request("reconfig/no-quorum", 5, &incremental(Some(strangers), None, -1));
    s.error("reconfig/no-quorum", 5, 0x1_0000_0006, ErrorCode::NewConfigNoQuorum);

    let two = config(s.run, 0x1_0000_0007);
    assert!(two.starts_with("server.2=127.0.0.1:"), "{two}");
    assert!(two.ends_with("\nversion=100000007"), "{two}");
    s.request("reconfig/leave", 6, &incremental(None, Some("1"), -1));
    let data = Body::Data(Some(two.as_bytes()), config_stat(s.run, 0x1_0000_0007, 135));
    s.reply("reconfig/leave", 6, 0x1_0000_0007, &data);

    let three = config(s.run, 0x1_0000_0008);
    assert!(three.ends_with("\nversion=100000008"), "{three}");
    let (member, _) = three.split_once('\n').unwrap();
    // The role stands in the text that comes back.
    s.request("reconfig/join", 7, &incremental(Some(member), None, -1));
    let data = Body::Data(Some(three.as_bytes()), config_stat(s.run, 0x1_0000_0008, 194));
    s.reply("reconfig/join", 7, 0x1_0000_0008, &data);
    s.request("get-data/config", 8, &get_data("/zookeeper/config", false));
    s.reply("get-data/config", 8, 0x1_0000_0008, &data);
}

/// Both versions of the node that holds the configuration start below zero, and sets do not count.
fn config_stat(run: &Run, mzxid: i64, data_length: i32) -> Stat {
    Stat {
        mzxid: Zxid(mzxid),
        mtime: run.time(mzxid),
        version: -1,
        aversion: -1,
        data_length,
        ..Stat::default()
    }
}

fn expiry(s: &mut Script<'_>) {
    s.connect("connect/to-expire", &new_session(1_000), 1_000, s.run.session(1));
    s.request("create/to-expire", 1, &create(OpCode::Create, "/app/e", Some(b"e"), 1));
    s.reply("create/to-expire", 1, 0x1_0000_000a, &Body::Path(Some("/app/e")));
    s.request("exists/to-expire", 9, &exists("/app/e", true));
    let stat = Stat {
        data_length: 1,
        ephemeral_owner: s.run.session(1).0,
        ..s.run.stat(0x1_0000_000a, 0x1_0000_000a)
    };
    s.reply("exists/to-expire", 9, 0x1_0000_000a, &Body::Stat(stat));
    s.event("event/expired", 0x1_0000_000b, EventType::NodeDeleted, "/app/e");
}

fn removal(s: &mut Script<'_>) {
    let stat = Stat {
        data_length: 1,
        ..s.run.stat(0x1_0000_000c, 0x1_0000_000c)
    };
    s.request(
        "create/container",
        10,
        &create(OpCode::CreateContainer, "/app/c", Some(b"c"), 4),
    );
    s.reply("create/container", 10, 0x1_0000_000c, &Body::Created("/app/c", stat));
    s.request(
        "create/in-container",
        11,
        &create(OpCode::Create, "/app/c/k", Some(b"k"), 0),
    );
    s.reply("create/in-container", 11, 0x1_0000_000d, &Body::Path(Some("/app/c/k")));
    s.request("exists/container", 12, &exists("/app/c", true));
    let stat = Stat {
        cversion: 1,
        num_children: 1,
        pzxid: Zxid(0x1_0000_000d),
        ..stat
    };
    s.reply("exists/container", 12, 0x1_0000_000d, &Body::Stat(stat));
    s.request("event/container-removed", 13, &delete("/app/c/k", -1));
    s.reply("event/container-removed", 13, 0x1_0000_000e, &Body::Nothing);
    s.event(
        "event/container-removed",
        0x1_0000_000f,
        EventType::NodeDeleted,
        "/app/c",
    );
    s.request("exists/ttl", 14, &exists("/app/ttl", true));
    s.error("exists/ttl", 14, 0x1_0000_000f, ErrorCode::NoNode);
    s.request(
        "event/ttl-created",
        15,
        &create_with_ttl("/app/ttl", Some(b"t"), 5, 60_000),
    );
    s.event("event/ttl-created", 0x1_0000_0010, EventType::NodeCreated, "/app/ttl");
    let stat = Stat {
        data_length: 1,
        ..s.run.stat(0x1_0000_0010, 0x1_0000_0010)
    };
    s.reply("event/ttl-created", 15, 0x1_0000_0010, &Body::Created("/app/ttl", stat));
}

/// The same server, started again without the others.
fn read_only(s: &mut Script<'_>) {
    let request = ConnectRequest {
        read_only: Some(true),
        ..new_session(15_000)
    };
    s.connect_request("connect/read-only", &request);
    let is_answer = |frame: &&super::Frame| frame.name == "connect/read-only" && frame.direction == Direction::Reply;
    let answer = s.frames.iter().copied().find(is_answer).unwrap();
    // A session of its own, from the server with the id 3, made after the restart.
    let mut reader = Reader::new(&answer.payload[8..]);
    let session = SessionId(reader.long("sessionId").unwrap());
    assert_eq!(session.0 >> 56, 3);
    assert!(session > s.run.session(0));
    let response = ConnectResponse {
        timeout_ms: 10_000,
        session,
        password: password(session),
        read_only: Some(true),
    };
    s.connect_response("connect/read-only", &response);
    s.request("exists/read-only", 1, &exists("/app", false));
    let stat = Stat {
        cversion: 5,
        num_children: 1,
        data_length: 3,
        pzxid: Zxid(0x1_0000_0010),
        ..s.run.stat(0x1_0000_0002, 0x1_0000_0002)
    };
    s.reply("exists/read-only", 1, 0x1_0000_0011, &Body::Stat(stat));
    s.request("error/not-read-only", 2, &create(OpCode::Create, "/app/k", None, 0));
    s.error("error/not-read-only", 2, 0x1_0000_0011, ErrorCode::NotReadOnly);
    s.request("close/read-only", 3, &Request::CloseSession);
    s.reply("close/read-only", 3, 0x1_0000_0011, &Body::Nothing);
}
