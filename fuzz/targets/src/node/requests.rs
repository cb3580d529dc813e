//! Requests as a client could send them, few paths and many clashes.

use std::borrow::Cow;

use zebu_proto::client::{AddWatchMode, CreateRequest, MultiOp, MultiRequest, Request, SetWatches, WatcherType};
use zebu_proto::{Acl, AclList, OpCode, Perms, RequestedAcl, Zxid};

use crate::cursor::Cursor;

const PATHS: [&str; 20] = [
    "/a",
    "/b",
    "/a/b",
    "/a/b/c",
    "/a/b/d",
    "/c-",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/quota/a/b",
    "/zookeeper/quota/a/b/zookeeper_limits",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/zookeeper",
    "/",
    "",
    "a",
    "/a/",
    "//a",
    "/a/\u{1}",
];

const DATA: [Option<&[u8]>; 7] = [
    None,
    Some(b""),
    Some(b"some data"),
    Some(b"count=1,bytes=1"),
    Some(b"count=3,bytes=9=;byteHardLimit=9;countHardLimit=3"),
    Some(b"count=9223372036854775807,bytes=-9223372036854775808=;byteHardLimit=9223372036854775807"),
    Some(&[7; 9000]),
];

const VERSIONS: [i32; 6] = [-1, 0, 1, -2, i32::MAX, i32::MIN];

const WRITES: [OpCode; 11] = [
    OpCode::Create,
    OpCode::Create2,
    OpCode::CreateContainer,
    OpCode::CreateTtl,
    OpCode::Delete,
    OpCode::SetData,
    OpCode::SetAcl,
    OpCode::Multi,
    OpCode::Create,
    OpCode::Delete,
    OpCode::Reconfig,
];

const READS: [OpCode; 19] = [
    OpCode::Exists,
    OpCode::GetData,
    OpCode::GetAcl,
    OpCode::GetChildren,
    OpCode::GetChildren2,
    OpCode::GetAllChildrenNumber,
    OpCode::GetEphemerals,
    OpCode::Sync,
    OpCode::Ping,
    OpCode::MultiRead,
    OpCode::CheckWatches,
    OpCode::RemoveWatches,
    OpCode::SetWatches,
    OpCode::SetWatches2,
    OpCode::AddWatch,
    OpCode::WhoAmI,
    OpCode::Sasl,
    OpCode::GetData,
    OpCode::Exists,
];

/// A write, now and then the end of the session.
pub(super) fn write(cursor: &mut Cursor<'_>) -> (OpCode, Request<'static>) {
    if cursor.byte() == 0xff {
        return (OpCode::CloseSession, Request::CloseSession);
    }
    let op = cursor.choose(&WRITES);
    (op, request(op, cursor))
}

/// A read.
pub(super) fn read(cursor: &mut Cursor<'_>) -> (OpCode, Request<'static>) {
    let op = cursor.choose(&READS);
    (op, request(op, cursor))
}

fn request(op: OpCode, cursor: &mut Cursor<'_>) -> Request<'static> {
    let path = path(cursor);
    match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            Request::Create(create(op, path, cursor))
        }
        OpCode::Delete => Request::Delete {
            path,
            version: cursor.choose(&VERSIONS),
        },
        OpCode::SetData => Request::SetData {
            path,
            data: cursor.choose(&DATA),
            version: cursor.choose(&VERSIONS),
        },
        OpCode::SetAcl => Request::SetAcl {
            path,
            acl: acl(cursor),
            version: cursor.choose(&VERSIONS),
        },
        OpCode::Multi => Request::Multi(multi(cursor, written)),
        OpCode::MultiRead => Request::MultiRead(multi(cursor, looked_at)),
        OpCode::Reconfig => Request::Reconfig {
            joining: None,
            leaving: None,
            new_members: Some(path),
            config_id: -1,
        },
        OpCode::Exists => Request::Exists {
            path,
            watch: is_set(cursor),
        },
        OpCode::GetData => Request::GetData {
            path,
            watch: is_set(cursor),
        },
        OpCode::GetChildren => Request::GetChildren {
            path,
            watch: is_set(cursor),
        },
        OpCode::GetChildren2 => Request::GetChildren2 {
            path,
            watch: is_set(cursor),
        },
        OpCode::GetAcl => Request::GetAcl { path },
        OpCode::GetAllChildrenNumber => Request::GetAllChildrenNumber { path },
        OpCode::GetEphemerals => Request::GetEphemerals { prefix: Some(path) },
        OpCode::Sync => Request::Sync { path: Some(path) },
        OpCode::CheckWatches => Request::CheckWatches {
            path,
            kind: watcher_type(cursor),
        },
        OpCode::RemoveWatches => Request::RemoveWatches {
            path,
            kind: watcher_type(cursor),
        },
        OpCode::SetWatches | OpCode::SetWatches2 => Request::SetWatches(set_watches(cursor)),
        OpCode::AddWatch => Request::AddWatch {
            path,
            mode: cursor.choose(&[
                Some(AddWatchMode::Persistent),
                Some(AddWatchMode::PersistentRecursive),
                None,
            ]),
        },
        OpCode::Sasl => Request::Sasl { token: b"token" },
        OpCode::WhoAmI => Request::WhoAmI,
        _ => Request::Ping,
    }
}

fn path(cursor: &mut Cursor<'_>) -> Cow<'static, str> {
    Cow::Borrowed(cursor.choose(&PATHS))
}

fn is_set(cursor: &mut Cursor<'_>) -> bool {
    cursor.byte() & 1 != 0
}

fn watcher_type(cursor: &mut Cursor<'_>) -> Option<WatcherType> {
    WatcherType::from_i32(cursor.byte().into())
}

fn create(op: OpCode, path: Cow<'static, str>, cursor: &mut Cursor<'_>) -> CreateRequest<'static> {
    let ttl_ms = if op == OpCode::CreateTtl {
        cursor.choose(&[1, 10_000, 0, -1, i64::MAX])
    } else {
        -1
    };
    CreateRequest {
        op,
        path,
        data: cursor.choose(&DATA),
        acl: acl(cursor),
        flags: cursor.choose(&[0, 1, 2, 3, 4, 5, 6, 7, 0, 1]),
        ttl_ms,
    }
}

fn acl(cursor: &mut Cursor<'_>) -> RequestedAcl {
    let one = |perms, scheme, id| RequestedAcl::List(AclList::new(vec![Acl::new(perms, scheme, id)]));
    match cursor.below(10) {
        0 => RequestedAcl::Invalid,
        1 => RequestedAcl::List(AclList::new(Vec::new())),
        2 => one(Perms::READ, "world", "anyone"),
        3 => one(Perms::ALL, "digest", "bob:secret"),
        4 => one(Perms::ALL, "auth", ""),
        5 => one(Perms::WRITE, "ip", "127.0.0.0/8"),
        6 => one(Perms::ADMIN, "ip", "::1/129"),
        _ => RequestedAcl::List(AclList::OPEN),
    }
}

fn multi(
    cursor: &mut Cursor<'_>,
    element: fn(Cow<'static, str>, &mut Cursor<'_>) -> MultiOp<'static>,
) -> MultiRequest<'static> {
    let ops = (0..cursor.below(6)).map(|_| {
        let path = path(cursor);
        element(path, cursor)
    });
    MultiRequest { ops: ops.collect() }
}

fn written(path: Cow<'static, str>, cursor: &mut Cursor<'_>) -> MultiOp<'static> {
    match cursor.below(6) {
        0 => MultiOp::Delete {
            path,
            version: cursor.choose(&VERSIONS),
        },
        1 => MultiOp::SetData {
            path,
            data: cursor.choose(&DATA),
            version: cursor.choose(&VERSIONS),
        },
        2 => MultiOp::Check {
            path,
            version: cursor.choose(&VERSIONS),
        },
        3 => MultiOp::Create(create(OpCode::CreateTtl, path, cursor)),
        4 => MultiOp::Create(create(OpCode::Create2, path, cursor)),
        _ => MultiOp::Create(create(OpCode::Create, path, cursor)),
    }
}

fn looked_at(path: Cow<'static, str>, cursor: &mut Cursor<'_>) -> MultiOp<'static> {
    if is_set(cursor) {
        MultiOp::GetData { path }
    } else {
        MultiOp::GetChildren { path }
    }
}

fn set_watches(cursor: &mut Cursor<'_>) -> SetWatches<'static> {
    let relative_zxid = Zxid(cursor.choose(&[0, 3, 20, i64::MAX, i64::MIN]));
    let mut paths = || (0..cursor.below(3)).map(|_| path(cursor)).collect();
    SetWatches {
        relative_zxid,
        data: paths(),
        exist: paths(),
        child: paths(),
        persistent: paths(),
        persistent_recursive: paths(),
    }
}
