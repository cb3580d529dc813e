//! Requests in few words.

use zebu_proto::client::{AddWatchMode, CreateRequest, MultiOp, MultiRequest, Request, WatcherType};
use zebu_proto::{AclList, OpCode, RequestedAcl};

use super::{path, paths};

/// Creates a node that is open to everybody and has no time to live.
pub(super) fn create<'a>(op: OpCode, node: &'a str, data: Option<&'a [u8]>, flags: i32) -> Request<'a> {
    Request::Create(open_node(op, node, data, flags))
}

/// Creates a node that is open to everybody, for `ttl_ms` milliseconds.
pub(super) fn create_with_ttl<'a>(node: &'a str, data: Option<&'a [u8]>, flags: i32, ttl_ms: i64) -> Request<'a> {
    Request::Create(CreateRequest {
        ttl_ms,
        ..open_node(OpCode::CreateTtl, node, data, flags)
    })
}

fn open_node<'a>(op: OpCode, node: &'a str, data: Option<&'a [u8]>, flags: i32) -> CreateRequest<'a> {
    CreateRequest {
        op,
        path: path(node),
        data,
        acl: RequestedAcl::List(AclList::OPEN),
        flags,
        ttl_ms: -1,
    }
}

pub(super) fn delete(node: &str, version: i32) -> Request<'_> {
    Request::Delete {
        path: path(node),
        version,
    }
}

pub(super) fn exists(node: &str, watch: bool) -> Request<'_> {
    Request::Exists {
        path: path(node),
        watch,
    }
}

pub(super) fn get_data(node: &str, watch: bool) -> Request<'_> {
    Request::GetData {
        path: path(node),
        watch,
    }
}

pub(super) fn get_children(node: &str, watch: bool) -> Request<'_> {
    Request::GetChildren {
        path: path(node),
        watch,
    }
}

pub(super) fn get_children2(node: &str, watch: bool) -> Request<'_> {
    Request::GetChildren2 {
        path: path(node),
        watch,
    }
}

pub(super) fn get_all_children_number(node: &str) -> Request<'_> {
    Request::GetAllChildrenNumber { path: path(node) }
}

pub(super) fn get_ephemerals(prefix: Option<&str>) -> Request<'_> {
    Request::GetEphemerals {
        prefix: prefix.map(path),
    }
}

pub(super) fn set_data<'a>(node: &'a str, data: Option<&'a [u8]>, version: i32) -> Request<'a> {
    Request::SetData {
        path: path(node),
        data,
        version,
    }
}

pub(super) fn get_acl(node: &str) -> Request<'_> {
    Request::GetAcl { path: path(node) }
}

pub(super) fn set_acl<'a>(node: &'a str, acl: &AclList, version: i32) -> Request<'a> {
    Request::SetAcl {
        path: path(node),
        acl: RequestedAcl::List(acl.clone()),
        version,
    }
}

pub(super) fn sync(node: Option<&str>) -> Request<'_> {
    Request::Sync { path: node.map(path) }
}

pub(super) fn auth<'a>(scheme: &'a str, auth: Option<&'a [u8]>) -> Request<'a> {
    Request::Auth {
        scheme: path(scheme),
        auth,
    }
}

pub(super) fn add_watch(node: &str, mode: Option<AddWatchMode>) -> Request<'_> {
    Request::AddWatch { path: path(node), mode }
}

pub(super) fn check_watches(node: &str, kind: Option<WatcherType>) -> Request<'_> {
    Request::CheckWatches { path: path(node), kind }
}

pub(super) fn remove_watches(node: &str, kind: Option<WatcherType>) -> Request<'_> {
    Request::RemoveWatches { path: path(node), kind }
}

pub(super) const fn multi(ops: Vec<MultiOp<'_>>) -> Request<'_> {
    Request::Multi(MultiRequest { ops })
}

pub(super) const fn multi_read(ops: Vec<MultiOp<'_>>) -> Request<'_> {
    Request::MultiRead(MultiRequest { ops })
}

pub(super) fn create_element<'a>(op: OpCode, node: &'a str, data: Option<&'a [u8]>, flags: i32) -> MultiOp<'a> {
    MultiOp::Create(open_node(op, node, data, flags))
}

pub(super) fn delete_element(node: &str, version: i32) -> MultiOp<'_> {
    MultiOp::Delete {
        path: path(node),
        version,
    }
}

pub(super) fn check_element(node: &str, version: i32) -> MultiOp<'_> {
    MultiOp::Check {
        path: path(node),
        version,
    }
}

pub(super) fn set_data_element<'a>(node: &'a str, data: Option<&'a [u8]>, version: i32) -> MultiOp<'a> {
    MultiOp::SetData {
        path: path(node),
        data,
        version,
    }
}

pub(super) fn get_data_element(node: &str) -> MultiOp<'_> {
    MultiOp::GetData { path: path(node) }
}

pub(super) fn get_children_element(node: &str) -> MultiOp<'_> {
    MultiOp::GetChildren { path: path(node) }
}

/// The operation's number, which stands in the header.
pub(super) fn op(request: &Request<'_>) -> OpCode {
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
        // A client takes the younger operation when it needs it.
        Request::SetWatches(set) if set.persistent == paths(&[]) && set.persistent_recursive == paths(&[]) => {
            OpCode::SetWatches
        }
        Request::SetWatches(_) => OpCode::SetWatches2,
        Request::AddWatch { .. } => OpCode::AddWatch,
        Request::GetEphemerals { .. } => OpCode::GetEphemerals,
        Request::WhoAmI => OpCode::WhoAmI,
    }
}
