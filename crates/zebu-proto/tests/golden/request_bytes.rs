//! Requests as bytes. A server only reads most of them; writing them again shows that nothing was lost in reading.

use std::borrow::Cow;

use zebu_proto::client::{AddWatchMode, Request, SetWatches};
use zebu_proto::jute::Write;
use zebu_proto::{OpCode, RequestedAcl};

/// The request's record.
pub(crate) fn encode(op: OpCode, request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match request {
        Request::Create(create) => create.encode(&mut out),
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
                RequestedAcl::List(list) => list.encode(&mut out),
                RequestedAcl::Invalid => out.int(-1),
            }
            out.int(*version);
        }
        Request::Sync { path } | Request::GetEphemerals { prefix: path } => out.optional_string(path.as_deref()),
        Request::Ping | Request::CloseSession | Request::WhoAmI => {}
        Request::Multi(multi) | Request::MultiRead(multi) => multi.encode(&mut out),
        Request::Reconfig {
            joining,
            leaving,
            new_members,
            config_id,
        } => {
            for servers in [joining, leaving, new_members] {
                out.optional_string(servers.as_deref());
            }
            out.long(*config_id);
        }
        Request::CheckWatches { path, kind } | Request::RemoveWatches { path, kind } => {
            out.string(path);
            out.int(kind.map_or(9, |kind| kind as i32));
        }
        Request::Auth { scheme, auth } => {
            out.int(0);
            out.string(scheme);
            out.buffer(*auth);
        }
        Request::Sasl { token } => out.buffer(Some(token)),
        Request::SetWatches(set) => encode_watches(op, set, &mut out),
        Request::AddWatch { path, mode } => {
            out.string(path);
            out.int(match mode {
                Some(AddWatchMode::Persistent) => 0,
                Some(AddWatchMode::PersistentRecursive) => 1,
                None => 2,
            });
        }
    }
    out
}

fn encode_watches(op: OpCode, set: &SetWatches<'_>, out: &mut Vec<u8>) {
    out.long(set.relative_zxid.0);
    let mut list = |paths: &[Cow<'_, str>]| {
        out.length(paths.len());
        paths.iter().for_each(|path| out.string(path));
    };
    list(&set.data);
    list(&set.exist);
    list(&set.child);
    if op == OpCode::SetWatches2 {
        list(&set.persistent);
        list(&set.persistent_recursive);
    }
}
