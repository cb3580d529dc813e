//! Requests as the bytes that a server reads.

use zebu_proto::client::{AddWatchMode, Request, RequestHeader};
use zebu_proto::jute::{Write, begin_frame, end_frame};
use zebu_proto::{OpCode, RequestedAcl, Xid};

/// The operation of a request.
pub(crate) const fn op_of(request: &Request<'_>) -> OpCode {
    match request {
        Request::Create(create) => create.op,
        Request::Delete { .. } => OpCode::Delete,
        Request::Exists { .. } => OpCode::Exists,
        Request::GetData { .. } => OpCode::GetData,
        Request::SetData { .. } => OpCode::SetData,
        Request::GetAcl { .. } => OpCode::GetAcl,
        Request::SetAcl { .. } => OpCode::SetAcl,
        Request::GetChildren { .. } => OpCode::GetChildren,
        Request::GetChildren2 { .. } => OpCode::GetChildren2,
        Request::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
        Request::Sync { .. } => OpCode::Sync,
        Request::Ping => OpCode::Ping,
        Request::CloseSession => OpCode::CloseSession,
        Request::Multi(_) => OpCode::Multi,
        Request::MultiRead(_) => OpCode::MultiRead,
        Request::Reconfig { .. } => OpCode::Reconfig,
        Request::CheckWatches { .. } => OpCode::CheckWatches,
        Request::RemoveWatches { .. } => OpCode::RemoveWatches,
        Request::Auth { .. } => OpCode::Auth,
        Request::Sasl { .. } => OpCode::Sasl,
        // Servers before 3.6 know only the older record.
        Request::SetWatches(watches) if watches.persistent.is_empty() && watches.persistent_recursive.is_empty() => {
            OpCode::SetWatches
        }
        Request::SetWatches(_) => OpCode::SetWatches2,
        Request::AddWatch { .. } => OpCode::AddWatch,
        Request::GetEphemerals { .. } => OpCode::GetEphemerals,
        Request::WhoAmI => OpCode::WhoAmI,
    }
}

/// Appends a request's frame: length, header, record.
pub(crate) fn encode_frame(xid: Xid, request: &Request<'_>, out: &mut Vec<u8>) {
    let start = begin_frame(out);
    RequestHeader {
        xid,
        op: op_of(request).code(),
    }
    .encode(out);
    encode_record(request, out);
    end_frame(out, start);
}

/// Appends the record of a request.
///
/// Source: `zookeeper.jute`, package `org.apache.zookeeper.proto`.
fn encode_record(request: &Request<'_>, out: &mut Vec<u8>) {
    match request {
        Request::Create(create) => create.encode(out),
        Request::Delete { path, version } => {
            out.string(path);
            out.int(*version);
        }
        Request::Exists { path, watch }
        | Request::GetData { path, watch }
        | Request::GetChildren { path, watch }
        | Request::GetChildren2 { path, watch } => {
            out.string(path);
            out.bool(*watch);
        }
        Request::SetData { path, data, version } => {
            out.string(path);
            out.buffer(*data);
            out.int(*version);
        }
        Request::GetAcl { path } | Request::GetAllChildrenNumber { path } => out.string(path),
        Request::SetAcl { path, acl, version } => {
            out.string(path);
            match acl {
                RequestedAcl::List(list) => list.encode(out),
                RequestedAcl::Invalid => out.int(-1),
            }
            out.int(*version);
        }
        Request::Sync { path } => out.optional_string(path.as_deref()),
        Request::GetEphemerals { prefix } => out.optional_string(prefix.as_deref()),
        Request::Ping | Request::CloseSession | Request::WhoAmI => {}
        Request::Multi(multi) | Request::MultiRead(multi) => multi.encode(out),
        Request::Reconfig {
            joining,
            leaving,
            new_members,
            config_id,
        } => {
            out.optional_string(joining.as_deref());
            out.optional_string(leaving.as_deref());
            out.optional_string(new_members.as_deref());
            out.long(*config_id);
        }
        Request::CheckWatches { path, kind } | Request::RemoveWatches { path, kind } => {
            out.string(path);
            out.int(kind.map_or(-1, |kind| kind as i32));
        }
        Request::Auth { scheme, auth } => {
            out.int(0);
            out.string(scheme);
            out.buffer(*auth);
        }
        Request::Sasl { token } => out.buffer(Some(token)),
        Request::SetWatches(watches) => {
            out.long(watches.relative_zxid.0);
            let mut lists = vec![&watches.data, &watches.exist, &watches.child];
            if op_of(request) == OpCode::SetWatches2 {
                lists.extend([&watches.persistent, &watches.persistent_recursive]);
            }
            for list in lists {
                out.length(list.len());
                for path in list {
                    out.string(path);
                }
            }
        }
        Request::AddWatch { path, mode } => {
            out.string(path);
            out.int(match mode {
                Some(AddWatchMode::Persistent) => 0,
                Some(AddWatchMode::PersistentRecursive) => 1,
                None => -1,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use zebu_proto::client::{CreateRequest, MultiOp, MultiRequest, SetWatches, WatcherType};
    use zebu_proto::jute::Reader;
    use zebu_proto::{AclList, Zxid};

    use super::*;

    fn check(request: &Request<'_>) {
        let mut bytes = Vec::new();
        encode_frame(Xid(7), request, &mut bytes);
        assert_eq!(
            bytes.len() - 4,
            usize::try_from(Reader::new(&bytes).int("len").unwrap()).unwrap()
        );
        let mut reader = Reader::new(&bytes[4..]);
        let header = RequestHeader::decode(&mut reader).unwrap();
        assert_eq!(header.xid, Xid(7));
        let op = OpCode::from_i32(header.op).unwrap();
        assert_eq!(&Request::decode(op, reader.rest()).unwrap(), request);
    }

    #[test]
    fn every_request_reads_back_as_it_was() {
        let path = || "/a b".into();
        for op in [
            OpCode::Create,
            OpCode::Create2,
            OpCode::CreateContainer,
            OpCode::CreateTtl,
        ] {
            check(&Request::Create(CreateRequest {
                op,
                path: path(),
                data: Some(b"x"),
                acl: RequestedAcl::List(AclList::OPEN),
                flags: 5,
                ttl_ms: if op == OpCode::CreateTtl { 77 } else { -1 },
            }));
        }
        check(&Request::Delete {
            path: path(),
            version: -1,
        });
        for watch in [false, true] {
            check(&Request::Exists { path: path(), watch });
            check(&Request::GetData { path: path(), watch });
            check(&Request::GetChildren { path: path(), watch });
            check(&Request::GetChildren2 { path: path(), watch });
        }
        for data in [None, Some(&b""[..]), Some(&b"abc"[..])] {
            check(&Request::SetData {
                path: path(),
                data,
                version: 3,
            });
        }
        check(&Request::GetAcl { path: path() });
        check(&Request::GetAllChildrenNumber { path: path() });
        for acl in [RequestedAcl::List(AclList::OPEN), RequestedAcl::Invalid] {
            check(&Request::SetAcl {
                path: path(),
                acl,
                version: 3,
            });
        }
        check(&Request::Sync { path: Some(path()) });
        check(&Request::GetEphemerals { prefix: None });
        check(&Request::Ping);
        check(&Request::CloseSession);
        check(&Request::WhoAmI);
        check(&Request::Multi(MultiRequest {
            ops: vec![MultiOp::Delete {
                path: path(),
                version: 2,
            }],
        }));
        check(&Request::MultiRead(MultiRequest {
            ops: vec![MultiOp::GetData { path: path() }],
        }));
        check(&Request::Reconfig {
            joining: Some("server.1".into()),
            leaving: None,
            new_members: None,
            config_id: -1,
        });
        for kind in [
            WatcherType::Children,
            WatcherType::Data,
            WatcherType::Any,
            WatcherType::Persistent,
            WatcherType::PersistentRecursive,
        ] {
            check(&Request::CheckWatches {
                path: path(),
                kind: Some(kind),
            });
            check(&Request::RemoveWatches {
                path: path(),
                kind: Some(kind),
            });
        }
        check(&Request::Auth {
            scheme: "digest".into(),
            auth: Some(b"bob:pw"),
        });
        check(&Request::Sasl { token: b"t" });
        for mode in [AddWatchMode::Persistent, AddWatchMode::PersistentRecursive] {
            check(&Request::AddWatch {
                path: path(),
                mode: Some(mode),
            });
        }
        let watches = SetWatches {
            relative_zxid: Zxid(9),
            data: vec![path()],
            exist: vec![],
            child: vec![path(), "/c".into()],
            ..SetWatches::default()
        };
        check(&Request::SetWatches(watches.clone()));
        check(&Request::SetWatches(SetWatches {
            persistent_recursive: vec![path()],
            ..watches
        }));
    }
}
