//! Requests as bytes: a client's part, which zebu itself has no use for.

use std::borrow::Cow;

use zebu_proto::client::{AddWatchMode, Request, SetWatches};
use zebu_proto::jute::Write;
use zebu_proto::{OpCode, RequestedAcl};

/// The record of `request`, which was sent as `op`.
pub(crate) fn encode(request: &Request<'_>, op: OpCode) -> Vec<u8> {
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
        Request::Sync { path } => out.optional_string(path.as_deref()),
        Request::Ping | Request::CloseSession | Request::WhoAmI => {}
        Request::Multi(multi) | Request::MultiRead(multi) => multi.encode(&mut out),
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
            out.int(kind.map_or(0, |kind| kind as i32));
        }
        Request::Auth { scheme, auth } => {
            out.int(0);
            out.string(scheme);
            out.buffer(*auth);
        }
        Request::Sasl { token } => out.buffer(Some(token)),
        Request::SetWatches(set) => encode_set_watches(set, op, &mut out),
        Request::AddWatch { path, mode } => {
            out.string(path);
            out.int(match mode {
                Some(AddWatchMode::Persistent) => 0,
                Some(AddWatchMode::PersistentRecursive) => 1,
                None => -1,
            });
        }
        Request::GetEphemerals { prefix } => out.optional_string(prefix.as_deref()),
    }
    out
}

fn encode_set_watches(set: &SetWatches<'_>, op: OpCode, out: &mut Vec<u8>) {
    out.long(set.relative_zxid.0);
    let mut lists = vec![&set.data, &set.exist, &set.child];
    if op == OpCode::SetWatches2 {
        lists.extend([&set.persistent, &set.persistent_recursive]);
    }
    for list in lists {
        encode_paths(list, out);
    }
}

fn encode_paths(paths: &[Cow<'_, str>], out: &mut Vec<u8>) {
    out.length(paths.len());
    for path in paths {
        out.string(path);
    }
}
