//! Handshakes, identities, the end of sessions.

use zebu_proto::client::{ConnectRequest, ConnectResponse, EventType, Request};
use zebu_proto::session::password;
use zebu_proto::{ErrorCode, OpCode, Zxid};

use super::reply::Body;
use super::request::auth as auth_request;
use super::{group, new_session};

#[test]
fn connect_frames() {
    group("connect", |s| {
        s.connect("new", &new_session(30_000), 30_000, s.run.session(0));
        s.connect(
            "may-be-read-only",
            &ConnectRequest {
                read_only: Some(true),
                ..new_session(20_000)
            },
            20_000,
            s.run.session(1),
        );
        s.connect("watcher", &new_session(30_000), 30_000, s.run.session(2));
        s.connect("for-renewal", &new_session(25_000), 25_000, s.run.session(3));
        s.connect_request(
            "wrong-password",
            &ConnectRequest {
                session: s.run.session(3),
                ..new_session(15_000)
            },
        );
        s.connect_response("wrong-password", &ConnectResponse::invalid(Some(false)));
        s.connect(
            "renewed",
            &ConnectRequest {
                session: s.run.session(3),
                password: &password(s.run.session(3)),
                ..new_session(15_000)
            },
            15_000,
            s.run.session(3),
        );
        s.connect_request(
            "closed-session",
            &ConnectRequest {
                session: s.run.session(3),
                password: &password(s.run.session(3)),
                ..new_session(15_000)
            },
        );
        s.connect_response("closed-session", &ConnectResponse::invalid(Some(false)));
        s.connect("admin", &new_session(30_000), 30_000, s.run.session(4));
        s.connect("idle", &new_session(1000), 1000, s.run.session(5));
        s.connect(
            "without-read-only-byte",
            &ConnectRequest {
                read_only: None,
                ..new_session(12_345)
            },
            12_345,
            s.run.session(6),
        );
        s.connect(
            "renew-without-read-only-byte",
            &ConnectRequest {
                session: s.run.session(6),
                password: &password(s.run.session(6)),
                read_only: None,
                ..new_session(30_000)
            },
            30_000,
            s.run.session(6),
        );
        s.connect(
            "after-refused-auth",
            &ConnectRequest {
                session: s.run.session(6),
                password: &password(s.run.session(6)),
                ..new_session(30_000)
            },
            30_000,
            s.run.session(6),
        );
        s.connect(
            "after-unknown-operation",
            &ConnectRequest {
                session: s.run.session(6),
                password: &password(s.run.session(6)),
                ..new_session(30_000)
            },
            30_000,
            s.run.session(6),
        );
        s.connect_request(
            "ahead-of-the-server",
            &ConnectRequest {
                last_zxid_seen: Zxid(0x7fff_0000_0000),
                ..new_session(30_000)
            },
        );
        s.connect(
            "for-watches",
            &ConnectRequest {
                password: b"",
                ..new_session(30_000)
            },
            30_000,
            s.run.session(7),
        );
        s.connect("for-multi", &new_session(30_000), 30_000, s.run.session(8));
        s.connect("for-refusals", &new_session(30_000), 30_000, s.run.session(9));
        s.connect("left-open", &new_session(60_000), 60_000, s.run.session(10));
    });
}

#[test]
fn close_frames() {
    group("close", |s| {
        s.request("no-ephemerals", 1, &Request::CloseSession);
        s.reply("no-ephemerals", 1, 3, &Body::Nothing);
        s.request("watcher", 13, &Request::CloseSession);
        s.reply("watcher", 13, 0x32, &Body::Nothing);
        s.request("ephemeral", 2, &Request::CloseSession);
        s.event("ephemeral", 0x35, EventType::NodeDeleted, "/app/renewed");
        s.reply("ephemeral", 2, 0x35, &Body::Nothing);
        s.request("admin", 3, &Request::CloseSession);
        s.reply("admin", 3, 0x46, &Body::Nothing);
        s.request("idle", 1, &Request::CloseSession);
        s.reply("idle", 1, 0x48, &Body::Nothing);
        s.request("session", 98, &Request::CloseSession);
        s.reply("session", 98, 0x49, &Body::Nothing);
        s.request("old-client", 9, &Request::CloseSession);
        s.reply("old-client", 9, 0x4b, &Body::Nothing);
        s.request("watches", 18, &Request::CloseSession);
        s.reply("watches", 18, 0x4d, &Body::Nothing);
        s.request("multi", 25, &Request::CloseSession);
        s.reply("multi", 25, 0x52, &Body::Nothing);
        s.request("refusals", 40, &Request::CloseSession);
        s.reply("refusals", 40, 0x5a, &Body::Nothing);
    });
}

#[test]
fn ping_frames() {
    group("ping", |s| {
        s.request("idle", -2, &Request::Ping);
        s.reply("idle", -2, 0x47, &Body::Nothing);
        s.request("numbered", 55, &Request::Ping);
        s.reply("numbered", -2, 0x4a, &Body::Nothing);
    });
}

#[test]
fn auth_frames() {
    group("auth", |s| {
        s.request("digest", -4, &auth_request("digest", Some(b"bob:pw")));
        s.reply("digest", -4, 0, &Body::Nothing);
        s.request("watcher", -4, &auth_request("digest", Some(b"joe:pw")));
        s.reply("watcher", -4, 0, &Body::Nothing);
        s.request("numbered", 5, &auth_request("digest", Some(b"ann:pw")));
        s.reply("numbered", 5, 0, &Body::Nothing);
        s.request("ip", -4, &auth_request("ip", None));
        s.reply("ip", -4, 0, &Body::Nothing);
        s.request("refused", -4, &auth_request("nobody", Some(b"x")));
        s.error("refused", -4, 0, ErrorCode::AuthFailed);
    });
}

#[test]
fn sasl_frames() {
    group("sasl", |s| {
        s.request("not-configured", 2, &Request::Sasl { token: b"" });
        s.reply("not-configured", 2, 0, &Body::Token(None));
    });
}

#[test]
fn unknown_frames() {
    group("unknown", |s| {
        assert_eq!(s.request_body("operation", 99, 8), b"");
        assert_eq!(OpCode::from_i32(99), None);
        s.error("operation", 8, -1, ErrorCode::Unimplemented);
    });
}
