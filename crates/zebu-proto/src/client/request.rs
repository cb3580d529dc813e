//! Requests of clients.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::multi::MultiRequest;
use crate::jute::{DecodeError, DecodeErrorKind, Reader, Write};
use crate::{OpCode, RequestedAcl, Xid, Zxid};

/// What stands before every request. 8 bytes.
///
/// Source: `org.apache.zookeeper.proto.RequestHeader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The client's number for the request.
    pub xid: Xid,
    /// Number of the operation; [`OpCode::from_i32`] may not know it.
    pub op: i32,
}

impl RequestHeader {
    /// Bytes on the wire.
    pub const BYTES: usize = 8;

    /// Reads the record.
    ///
    /// # Errors
    /// If it ends early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            xid: Xid(reader.int("xid")?),
            op: reader.int("type")?,
        })
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut impl Write) {
        out.int(self.xid.0);
        out.int(self.op);
    }
}

/// The record of create, create2, createContainer and createTTL.
///
/// Source: `org.apache.zookeeper.proto.CreateRequest`, `CreateTTLRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest<'a> {
    /// Which of the four operations.
    pub op: OpCode,
    /// Path asked for; a sequential create gets a suffix.
    pub path: Cow<'a, str>,
    /// Data, `None` for null.
    pub data: Option<&'a [u8]>,
    /// Access control list.
    pub acl: RequestedAcl,
    /// Flags of the create mode, any number.
    pub flags: i32,
    /// Time to live in milliseconds; −1 for operations that have none.
    pub ttl_ms: i64,
}

impl<'a> CreateRequest<'a> {
    /// Reads the record of operation `op`.
    ///
    /// # Errors
    /// If it ends early, a length is out of range, or the path is null.
    pub fn decode(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            op,
            path: reader.required_string("path")?,
            data: reader.buffer("data")?,
            acl: RequestedAcl::decode(reader)?,
            flags: reader.int("flags")?,
            ttl_ms: if op == OpCode::CreateTtl {
                reader.long("ttl")?
            } else {
                -1
            },
        })
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut impl Write) {
        out.string(&self.path);
        out.buffer(self.data);
        match &self.acl {
            RequestedAcl::List(list) => list.encode(out),
            RequestedAcl::Invalid => out.int(-1),
        }
        out.int(self.flags);
        if self.op == OpCode::CreateTtl {
            out.long(self.ttl_ms);
        }
    }
}

/// What a client registers again after a reconnect.
///
/// Source: `org.apache.zookeeper.proto.SetWatches`, `SetWatches2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetWatches<'a> {
    /// Last zxid that the client saw before it lost its connection.
    pub relative_zxid: Zxid,
    /// Paths with a watch from getData or from exists on a node that existed.
    pub data: Vec<Cow<'a, str>>,
    /// Paths with a watch from exists on a missing node.
    pub exist: Vec<Cow<'a, str>>,
    /// Paths with a watch from getChildren.
    pub child: Vec<Cow<'a, str>>,
    /// Paths with a persistent watch; none in the older record.
    pub persistent: Vec<Cow<'a, str>>,
    /// Paths with a persistent recursive watch; none in the older record.
    pub persistent_recursive: Vec<Cow<'a, str>>,
}

/// Mode of addWatch.
///
/// Source: `org.apache.zookeeper.AddWatchMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddWatchMode {
    /// Events of the node and changes of its list of children, until removed.
    Persistent,
    /// Events of the node and all below it, until removed.
    PersistentRecursive,
}

/// Which watches checkWatches and removeWatches mean.
///
/// Source: `org.apache.zookeeper.Watcher.WatcherType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the protocol's own")]
pub enum WatcherType {
    Children = 1,
    Data = 2,
    Any = 3,
    Persistent = 4,
    PersistentRecursive = 5,
}

impl WatcherType {
    /// The type with this number.
    #[must_use]
    pub const fn from_i32(kind: i32) -> Option<Self> {
        Some(match kind {
            1 => Self::Children,
            2 => Self::Data,
            3 => Self::Any,
            4 => Self::Persistent,
            5 => Self::PersistentRecursive,
            _ => return None,
        })
    }
}

/// A request of a client, borrowed from its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are those of the jute records of the same name")]
pub enum Request<'a> {
    Create(CreateRequest<'a>),
    Delete {
        path: Cow<'a, str>,
        version: i32,
    },
    Exists {
        path: Cow<'a, str>,
        watch: bool,
    },
    GetData {
        path: Cow<'a, str>,
        watch: bool,
    },
    SetData {
        path: Cow<'a, str>,
        data: Option<&'a [u8]>,
        version: i32,
    },
    GetAcl {
        path: Cow<'a, str>,
    },
    SetAcl {
        path: Cow<'a, str>,
        acl: RequestedAcl,
        version: i32,
    },
    GetChildren {
        path: Cow<'a, str>,
        watch: bool,
    },
    GetChildren2 {
        path: Cow<'a, str>,
        watch: bool,
    },
    GetAllChildrenNumber {
        path: Cow<'a, str>,
    },
    /// The path is echoed and means nothing.
    Sync {
        path: Option<Cow<'a, str>>,
    },
    Ping,
    CloseSession,
    Multi(MultiRequest<'a>),
    MultiRead(MultiRequest<'a>),
    Reconfig {
        joining: Option<Cow<'a, str>>,
        leaving: Option<Cow<'a, str>>,
        new_members: Option<Cow<'a, str>>,
        config_id: i64,
    },
    CheckWatches {
        path: Cow<'a, str>,
        kind: Option<WatcherType>,
    },
    RemoveWatches {
        path: Cow<'a, str>,
        kind: Option<WatcherType>,
    },
    Auth {
        scheme: Cow<'a, str>,
        auth: Option<&'a [u8]>,
    },
    Sasl {
        token: &'a [u8],
    },
    SetWatches(SetWatches<'a>),
    AddWatch {
        path: Cow<'a, str>,
        mode: Option<AddWatchMode>,
    },
    GetEphemerals {
        prefix: Option<Cow<'a, str>>,
    },
    WhoAmI,
}

impl<'a> Request<'a> {
    /// Reads the record of operation `op`, which must be one that clients may send. Bytes behind it are ignored.
    ///
    /// # Errors
    /// If it ends early, a length is out of range, or a path is null.
    pub fn decode(op: OpCode, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let reader = &mut reader;
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::Create(CreateRequest::decode(op, reader)?)
            }
            OpCode::Delete => Self::Delete {
                path: reader.required_string("path")?,
                version: reader.int("version")?,
            },
            OpCode::Exists => Self::Exists {
                path: reader.required_string("path")?,
                watch: reader.bool("watch")?,
            },
            OpCode::GetData => Self::GetData {
                path: reader.required_string("path")?,
                watch: reader.bool("watch")?,
            },
            OpCode::SetData => Self::SetData {
                path: reader.required_string("path")?,
                data: reader.buffer("data")?,
                version: reader.int("version")?,
            },
            OpCode::GetAcl => Self::GetAcl {
                path: reader.required_string("path")?,
            },
            OpCode::SetAcl => Self::SetAcl {
                path: reader.required_string("path")?,
                acl: RequestedAcl::decode(reader)?,
                version: reader.int("version")?,
            },
            OpCode::GetChildren => Self::GetChildren {
                path: reader.required_string("path")?,
                watch: reader.bool("watch")?,
            },
            OpCode::GetChildren2 => Self::GetChildren2 {
                path: reader.required_string("path")?,
                watch: reader.bool("watch")?,
            },
            OpCode::GetAllChildrenNumber => Self::GetAllChildrenNumber {
                path: reader.required_string("path")?,
            },
            OpCode::Sync => Self::Sync {
                path: reader.string("path")?,
            },
            OpCode::Ping => Self::Ping,
            OpCode::CloseSession => Self::CloseSession,
            OpCode::Multi => Self::Multi(MultiRequest::decode(op, reader)?),
            OpCode::MultiRead => Self::MultiRead(MultiRequest::decode(op, reader)?),
            OpCode::Reconfig => Self::Reconfig {
                joining: reader.string("joiningServers")?,
                leaving: reader.string("leavingServers")?,
                new_members: reader.string("newMembers")?,
                config_id: reader.long("curConfigId")?,
            },
            OpCode::CheckWatches => Self::CheckWatches {
                path: reader.required_string("path")?,
                kind: WatcherType::from_i32(reader.int("type")?),
            },
            OpCode::RemoveWatches => Self::RemoveWatches {
                path: reader.required_string("path")?,
                kind: WatcherType::from_i32(reader.int("type")?),
            },
            OpCode::Auth => {
                reader.int("type")?;
                Self::Auth {
                    scheme: reader.required_string("scheme")?,
                    auth: reader.buffer("auth")?,
                }
            }
            OpCode::Sasl => Self::Sasl {
                token: reader.buffer("token")?.unwrap_or_default(),
            },
            OpCode::SetWatches => Self::SetWatches(SetWatches {
                relative_zxid: Zxid(reader.long("relativeZxid")?),
                data: paths(reader, "dataWatches")?,
                exist: paths(reader, "existWatches")?,
                child: paths(reader, "childWatches")?,
                ..SetWatches::default()
            }),
            OpCode::SetWatches2 => Self::SetWatches(SetWatches {
                relative_zxid: Zxid(reader.long("relativeZxid")?),
                data: paths(reader, "dataWatches")?,
                exist: paths(reader, "existWatches")?,
                child: paths(reader, "childWatches")?,
                persistent: paths(reader, "persistentWatches")?,
                persistent_recursive: paths(reader, "persistentRecursiveWatches")?,
            }),
            OpCode::AddWatch => Self::AddWatch {
                path: reader.required_string("path")?,
                mode: match reader.int("mode")? {
                    0 => Some(AddWatchMode::Persistent),
                    1 => Some(AddWatchMode::PersistentRecursive),
                    _ => None,
                },
            },
            OpCode::GetEphemerals => Self::GetEphemerals {
                prefix: reader.string("prefixPath")?,
            },
            OpCode::WhoAmI => Self::WhoAmI,
            OpCode::Notification | OpCode::Check | OpCode::DeleteContainer | OpCode::CreateSession | OpCode::Error => {
                return Err(reader.error("type", DecodeErrorKind::Unknown(op.code())));
            }
        })
    }
}

/// A vector of paths; neither it nor any of its elements may be null.
fn paths<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<Vec<Cow<'a, str>>, DecodeError> {
    let null = reader.error(field, DecodeErrorKind::Null);
    let count = reader.count(field)?.ok_or(null)?;
    let mut paths = Vec::with_capacity(reader.capacity(count, 4));
    for _ in 0..count {
        paths.push(reader.required_string(field)?);
    }
    Ok(paths)
}
