//! Multi and multiRead.

use zebu_proto::client::{CreateRequest, MultiOp};
use zebu_proto::jute::DecodeErrorKind;
use zebu_proto::{AclList, ErrorCode, OpCode, RequestedAcl, Stat, Zxid};

use super::reply::{Body, failed};
use super::request::*;
use super::{group, path};

#[test]
fn multi_frames() {
    group("multi", |s| {
        s.request(
            "success",
            47,
            &multi(vec![
                check_element("/app", 2),
                create_element(OpCode::Create, "/app/m", Some(b"m"), 0),
                create_element(OpCode::Create, "/app/m/e-", Some(b"e"), 3),
                create_element(OpCode::CreateContainer, "/app/m/c", Some(b"c"), 4),
                MultiOp::Create(CreateRequest {
                    op: OpCode::CreateTtl,
                    path: path("/app/m/ttl"),
                    data: Some(b"t"),
                    acl: RequestedAcl::List(AclList::OPEN),
                    flags: 5,
                    ttl_ms: 5_000_000,
                }),
                set_data_element("/app/m", Some(b"set"), 0),
                delete_element("/app/m/c", 0),
            ]),
        );
        s.reply(
            "success",
            47,
            0x1b,
            &Body::Results(vec![
                (OpCode::Check, Body::Nothing),
                (OpCode::Create, Body::Path(Some("/app/m"))),
                (OpCode::Create, Body::Path(Some("/app/m/e-0000000000"))),
                (
                    OpCode::Create2,
                    Body::Created(
                        "/app/m/c",
                        Stat {
                            data_length: 1,
                            ..s.run.stat(0x1b, 0x1b)
                        },
                    ),
                ),
                (
                    OpCode::Create2,
                    Body::Created(
                        "/app/m/ttl",
                        Stat {
                            data_length: 1,
                            ..s.run.stat(0x1b, 0x1b)
                        },
                    ),
                ),
                (
                    OpCode::SetData,
                    Body::Stat(Stat {
                        data_length: 3,
                        version: 1,
                        cversion: 3,
                        num_children: 3,
                        ..s.run.stat(0x1b, 0x1b)
                    }),
                ),
                (OpCode::Delete, Body::Nothing),
            ]),
        );
        s.request(
            "failure",
            48,
            &multi(vec![
                create_element(OpCode::Create, "/app/f", Some(b"f"), 0),
                check_element("/app", 77),
                delete_element("/app/m", -1),
            ]),
        );
        s.reply(
            "failure",
            48,
            0x1c,
            &Body::Results(vec![
                (OpCode::Error, Body::Failed(0)),
                failed(ErrorCode::BadVersion),
                failed(ErrorCode::RuntimeInconsistency),
            ]),
        );
        s.request(
            "create2",
            19,
            &multi(vec![
                create_element(OpCode::Create2, "/raw", Some(b"raw"), 0),
                create_element(OpCode::Create, "/raw/c-", Some(b"c"), 4),
                set_data_element("/raw", None, 0),
            ]),
        );
        // 3.8 answers as if it had been asked for a create.
        let raw = if s.is_380() {
            (OpCode::Create, Body::Path(Some("/raw")))
        } else {
            let stat = Stat {
                data_length: 3,
                ..s.run.stat(0x4f, 0x4f)
            };
            (OpCode::Create2, Body::Created("/raw", stat))
        };
        s.reply(
            "create2",
            19,
            0x4f,
            &Body::Results(vec![
                raw,
                (
                    OpCode::Create2,
                    Body::Created(
                        "/raw/c-",
                        Stat {
                            data_length: 1,
                            ..s.run.stat(0x4f, 0x4f)
                        },
                    ),
                ),
                (
                    OpCode::SetData,
                    Body::Stat(Stat {
                        version: 1,
                        cversion: 1,
                        num_children: 1,
                        ..s.run.stat(0x4f, 0x4f)
                    }),
                ),
            ]),
        );
        s.request("empty", 20, &multi(vec![]));
        s.reply("empty", 20, 0x50, &Body::Results(vec![]));
        s.request(
            "bad-flags",
            38,
            &multi(vec![create_element(OpCode::Create, "/raw/t", Some(b""), 7)]),
        );
        // 3.8 refuses the element, 3.9 the whole request.
        if s.is_380() {
            let results = Body::Results(vec![failed(ErrorCode::BadArguments)]);
            s.reply("bad-flags", 38, 0x59, &results);
        } else {
            s.error("bad-flags", 38, 0x59, ErrorCode::MarshallingError);
        }
    });
}

#[test]
fn multi_read_frames() {
    group("multi-read", |s| {
        s.request(
            "mixed",
            49,
            &multi_read(vec![
                get_data_element("/app"),
                get_children_element("/app/m/e-0000000000"),
                get_data_element("/missing"),
                get_data_element("/app/null"),
            ]),
        );
        s.reply(
            "mixed",
            49,
            0x1c,
            &Body::Results(vec![
                (
                    OpCode::GetData,
                    Body::Data(
                        Some(b"third"),
                        Stat {
                            data_length: 5,
                            version: 2,
                            cversion: 18,
                            num_children: 14,
                            pzxid: Zxid(0x1b),
                            ..s.run.stat(4, 0x14)
                        },
                    ),
                ),
                (OpCode::GetChildren, Body::Names(&[])),
                failed(ErrorCode::NoNode),
                (OpCode::GetData, Body::Data(None, s.run.stat(8, 8))),
            ]),
        );
        s.unreadable("refused", OpCode::MultiRead, 22, DecodeErrorKind::Inconsistent, "type");
        s.error("refused", 22, 0x51, ErrorCode::MarshallingError);
    });
}
