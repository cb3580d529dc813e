//! SASL, and a server that answers nobody without.

use zebu_proto::client::{CreateRequest, Request};
use zebu_proto::jute::Reader;
use zebu_proto::{Acl, AclList, ErrorCode, OpCode, Perms, RequestedAcl};

use super::super::fixture::{Direction, Setup};
use super::reply::Body;
use super::request::*;
use super::{Script, new_session, path, recording};

#[test]
fn frames_of_a_secured_server() {
    recording(Setup::Secured, |s| {
        s.connect("sasl/success", &new_session(5_000), 5_000, s.run.session(0));
        let response = challenge_and_response(s, "sasl/success");
        // The server proves that it knows the password as well: 32 digits, of which we have none to compare.
        let proof = token(s, "sasl/success", Direction::Reply);
        assert!(proof.starts_with("rspauth="), "{proof}");
        assert_eq!(proof.len(), 40);
        s.request(
            "sasl/success",
            2,
            &Request::Sasl {
                token: response.as_bytes(),
            },
        );
        s.reply("sasl/success", 2, 0, &Body::Token(Some(proof.as_bytes())));
        as_bob(s);
        wrong_password(s);
        unidentified(s);
    });
}

/// The first token that is left of this step: the requests' and replies' records are both but a buffer.
fn token(s: &Script<'_>, name: &str, direction: Direction) -> String {
    let frame = s
        .frames
        .iter()
        .find(|frame| frame.name == name && frame.direction == direction);
    let header = if direction == Direction::Request { 8 } else { 16 };
    let mut reader = Reader::new(&frame.unwrap().payload[header..]);
    String::from_utf8(reader.buffer("token").unwrap().unwrap().into()).unwrap()
}

/// An empty token asks for the challenge; the answer to it is returned, and not yet taken.
fn challenge_and_response(s: &mut Script<'_>, name: &str) -> String {
    s.request(name, 1, &Request::Sasl { token: b"" });
    let challenge = token(s, name, Direction::Reply);
    assert!(challenge.starts_with("realm=\"zk-sasl-md5\",nonce=\""), "{challenge}");
    assert!(
        challenge.ends_with("\",charset=utf-8,algorithm=md5-sess"),
        "{challenge}"
    );
    s.reply(name, 1, 0, &Body::Token(Some(challenge.as_bytes())));
    let response = token(s, name, Direction::Request);
    assert!(
        response.starts_with("charset=utf-8,username=\"bob\",realm=\"zk-sasl-md5\""),
        "{response}"
    );
    response
}

fn as_bob(s: &mut Script<'_>) {
    s.request("who-am-i/sasl", 3, &Request::WhoAmI);
    s.reply(
        "who-am-i/sasl",
        3,
        1,
        &Body::Clients(&[("sasl", "bob"), ("ip", "127.0.0.1")]),
    );
    let acl = RequestedAcl::List(AclList::new(vec![Acl::new(Perms::ALL, "auth", "")]));
    let create = CreateRequest {
        op: OpCode::Create,
        path: path("/own"),
        data: None,
        acl,
        flags: 0,
        ttl_ms: -1,
    };
    let with_ttl = CreateRequest {
        op: OpCode::CreateTtl,
        path: path("/ttl"),
        flags: 5,
        ttl_ms: 1_000,
        ..create.clone()
    };
    s.request("create/by-sasl", 4, &Request::Create(create));
    s.reply("create/by-sasl", 4, 2, &Body::Path(Some("/own")));
    s.request("get-acl/sasl", 5, &get_acl("/own"));
    let acl = AclList::new(vec![Acl::new(Perms::ALL, "sasl", "bob")]);
    s.reply("get-acl/sasl", 5, 2, &Body::Acl(acl, s.run.stat(2, 2)));
    s.request("error/no-ttl-nodes", 6, &Request::Create(with_ttl));
    s.error("error/no-ttl-nodes", 6, 3, ErrorCode::Unimplemented);
    s.request("close/session", 7, &Request::CloseSession);
    s.reply("close/session", 7, 4, &Body::Nothing);
}

/// A refusal has a token all the same, a null one: the Java client reads it before it looks at the code.
fn wrong_password(s: &mut Script<'_>) {
    s.connect("sasl/wrong-password", &new_session(5_000), 5_000, s.run.session(1));
    let response = challenge_and_response(s, "sasl/wrong-password");
    s.request(
        "sasl/wrong-password",
        2,
        &Request::Sasl {
            token: response.as_bytes(),
        },
    );
    s.refusal_with(
        "sasl/wrong-password",
        2,
        ErrorCode::SessionClosedRequireSaslAuth,
        &Body::Token(None),
    );
}

fn unidentified(s: &mut Script<'_>) {
    s.connect("connect/unidentified", &new_session(30_000), 10_000, s.run.session(2));
    s.request("error/unidentified", 1, &get_data("/", false));
    s.error("error/unidentified", 1, 0, ErrorCode::SessionClosedRequireSaslAuth);
}
