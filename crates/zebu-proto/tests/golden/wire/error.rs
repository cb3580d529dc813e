//! Refusals.

use zebu_proto::client::{CreateRequest, Request};
use zebu_proto::jute::DecodeErrorKind;
use zebu_proto::{Acl, AclList, ErrorCode, OpCode, Perms, RequestedAcl};

use super::request::*;
use super::{group, path};

#[test]
fn error_frames() {
    group("error", |s| {
        s.request("no-node", 84, &get_data("/missing", false));
        s.error("no-node", 84, 0x35, ErrorCode::NoNode);
        s.request("no-node-create", 85, &create(OpCode::Create, "/missing/k", None, 0));
        s.error("no-node-create", 85, 0x36, ErrorCode::NoNode);
        s.request("node-exists", 86, &create(OpCode::Create, "/app", None, 0));
        s.error("node-exists", 86, 0x37, ErrorCode::NodeExists);
        s.request("bad-version", 87, &set_data("/app", None, 77));
        s.error("bad-version", 87, 0x38, ErrorCode::BadVersion);
        s.request("not-empty", 88, &delete("/app", -1));
        s.error("not-empty", 88, 0x39, ErrorCode::NotEmpty);
        s.request("no-auth", 89, &set_data("/app/empty", None, -1));
        s.error("no-auth", 89, 0x3a, ErrorCode::NoAuth);
        s.request("ephemeral-parent", 90, &create(OpCode::Create, "/app/e/k", None, 0));
        s.error("ephemeral-parent", 90, 0x3b, ErrorCode::NoChildrenForEphemerals);
        s.request(
            "invalid-acl",
            91,
            &Request::Create(CreateRequest {
                op: OpCode::Create,
                path: path("/app/bad"),
                data: None,
                acl: RequestedAcl::List(AclList::new(vec![Acl::new(Perms(31), "nobody", "knows")])),
                flags: 0,
                ttl_ms: -1,
            }),
        );
        s.error("invalid-acl", 91, 0x3c, ErrorCode::InvalidAcl);
        s.request("bad-arguments", 92, &delete("/zookeeper", -1));
        s.error("bad-arguments", 92, 0x3d, ErrorCode::BadArguments);
        s.request("quota", 97, &create(OpCode::Create, "/limited/k", None, 0));
        s.error("quota", 97, 0x42, ErrorCode::QuotaExceeded);
        s.request("ttl-flags", 26, &create(OpCode::Create, "/raw/t", Some(b""), 5));
        s.error("ttl-flags", 26, 0x54, ErrorCode::BadArguments);
        s.request("unknown-flags", 27, &create(OpCode::Create, "/raw/t", Some(b""), 7));
        s.error("unknown-flags", 27, 0x55, ErrorCode::BadArguments);
        s.request(
            "null-acl",
            28,
            &Request::Create(CreateRequest {
                op: OpCode::Create,
                path: path("/raw/t"),
                data: Some(b""),
                acl: RequestedAcl::Invalid,
                flags: 0,
                ttl_ms: -1,
            }),
        );
        s.error("null-acl", 28, 0x56, ErrorCode::InvalidAcl);
        s.request("bad-path", 29, &create(OpCode::Create, "nope", Some(b""), 0));
        s.error("bad-path", 29, 0x57, ErrorCode::BadArguments);
        s.unreadable("get-data-short", OpCode::GetData, 36, DecodeErrorKind::Short, "watch");
        s.error("get-data-short", 36, 0x57, ErrorCode::MarshallingError);
        s.unreadable("set-data-null-path", OpCode::SetData, 42, DecodeErrorKind::Null, "path");
        s.error("set-data-null-path", 42, 0x5d, ErrorCode::BadArguments);
        s.unreadable(
            "multi-unknown-element",
            OpCode::Multi,
            37,
            DecodeErrorKind::Unknown(77),
            "type",
        );
        s.error("multi-unknown-element", 37, 0x58, ErrorCode::MarshallingError);
    });
}
