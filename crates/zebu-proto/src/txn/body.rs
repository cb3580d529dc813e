//! The bodies of transactions.

use alloc::string::String;
use alloc::vec::Vec;

use super::TxnDigest;
use crate::jute::{DecodeError, DecodeErrorKind, Reader, Write};
use crate::{AclList, OpCode, Value};

/// Which kind of create a transaction is; each has its own type number and record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateTxnKind {
    /// From `create`, type 1; persistent or ephemeral.
    Create {
        /// Whether the node belongs to the session of the header.
        ephemeral: bool,
    },
    /// From `create2`, type 15; persistent or ephemeral.
    Create2 {
        /// Whether the node belongs to the session of the header.
        ephemeral: bool,
    },
    /// A container, type 19.
    Container,
    /// A node with a time to live, type 21.
    Ttl {
        /// In milliseconds.
        ttl_ms: i64,
    },
}

impl CreateTxnKind {
    /// The type number's operation.
    #[must_use]
    pub const fn op(self) -> OpCode {
        match self {
            Self::Create { .. } => OpCode::Create,
            Self::Create2 { .. } => OpCode::Create2,
            Self::Container => OpCode::CreateContainer,
            Self::Ttl { .. } => OpCode::CreateTtl,
        }
    }
}

/// A create of any kind.
///
/// Source: `org.apache.zookeeper.txn.CreateTxn`, `CreateTxnV0`, `CreateContainerTxn`, `CreateTTLTxn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTxn {
    /// Which kind.
    pub kind: CreateTxnKind,
    /// Final path, with the sequence suffix if there is one.
    pub path: String,
    /// Data.
    pub data: Value,
    /// Access control list, expanded.
    pub acl: AclList,
    /// The parent's stored counter after this create; −1 in records of releases before 3.4, which lack it.
    pub parent_cversion: i32,
}

/// What a transaction does.
///
/// Source: the records of the package `org.apache.zookeeper.txn`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are those of the jute records of the same name")]
pub enum Txn {
    Create(CreateTxn),
    /// `DeleteTxn`, type 2.
    Delete {
        path: String,
    },
    /// `DeleteTxn`, type 20: the removal of a container or of a node whose time is over.
    DeleteContainer {
        path: String,
    },
    /// `SetDataTxn`, type 5; `version` is the resulting one.
    SetData {
        path: String,
        data: Value,
        version: i32,
    },
    /// `SetDataTxn`, type 16: the new configuration of the ensemble.
    Reconfig {
        path: String,
        data: Value,
        version: i32,
    },
    /// `SetACLTxn`; `version` is the resulting one.
    SetAcl {
        path: String,
        acl: AclList,
        version: i32,
    },
    /// `CheckVersionTxn`, only inside a multi.
    Check {
        path: String,
        version: i32,
    },
    /// `MultiTxn`. Elements are never sessions nor multis.
    Multi(Vec<Self>),
    /// `CreateSessionTxn`; timeout in milliseconds.
    CreateSession {
        timeout_ms: i32,
    },
    /// `CloseSessionTxn` with the ephemeral nodes that go with the session, or (before 3.6) no record at all.
    CloseSession {
        paths: Option<Vec<String>>,
    },
    /// `ErrorTxn`: the request was refused with this code.
    Error {
        err: i32,
    },
}

/// Elements nest once: a multi inside of a multi is refused.
const ELEMENT_BYTES_MIN: usize = 8;

impl Txn {
    /// The type number's operation.
    #[must_use]
    pub const fn op(&self) -> OpCode {
        match self {
            Self::Create(create) => create.kind.op(),
            Self::Delete { .. } => OpCode::Delete,
            Self::DeleteContainer { .. } => OpCode::DeleteContainer,
            Self::SetData { .. } => OpCode::SetData,
            Self::Reconfig { .. } => OpCode::Reconfig,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::Check { .. } => OpCode::Check,
            Self::Multi(_) => OpCode::Multi,
            Self::CreateSession { .. } => OpCode::CreateSession,
            Self::CloseSession { .. } => OpCode::CloseSession,
            Self::Error { .. } => OpCode::Error,
        }
    }

    /// Appends the record of the body.
    pub fn encode(&self, out: &mut impl Write) {
        match self {
            Self::Create(create) => {
                out.string(&create.path);
                out.value(&create.data);
                create.acl.encode(out);
                match create.kind {
                    CreateTxnKind::Create { ephemeral } | CreateTxnKind::Create2 { ephemeral } => {
                        out.bool(ephemeral);
                        out.int(create.parent_cversion);
                    }
                    CreateTxnKind::Container => out.int(create.parent_cversion),
                    CreateTxnKind::Ttl { ttl_ms } => {
                        out.int(create.parent_cversion);
                        out.long(ttl_ms);
                    }
                }
            }
            Self::Delete { path } | Self::DeleteContainer { path } => out.string(path),
            Self::SetData { path, data, version } | Self::Reconfig { path, data, version } => {
                out.string(path);
                out.value(data);
                out.int(*version);
            }
            Self::SetAcl { path, acl, version } => {
                out.string(path);
                acl.encode(out);
                out.int(*version);
            }
            Self::Check { path, version } => {
                out.string(path);
                out.int(*version);
            }
            Self::Multi(elements) => encode_multi(elements, out),
            Self::CreateSession { timeout_ms } => out.int(*timeout_ms),
            Self::CloseSession { paths: None } => {}
            Self::CloseSession { paths: Some(paths) } => {
                out.length(paths.len());
                for path in paths {
                    out.string(path);
                }
            }
            Self::Error { err } => out.int(*err),
        }
    }

    /// Reads the body of a transaction of type `op`; a digest may follow it.
    ///
    /// # Errors
    /// If it ends early, a length is out of range, or the type is none of a transaction.
    pub fn decode(op: OpCode, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::Create(decode_create(op, reader)?)
            }
            OpCode::Delete => Self::Delete { path: owned(reader)? },
            OpCode::DeleteContainer => Self::DeleteContainer { path: owned(reader)? },
            OpCode::SetData => Self::SetData {
                path: owned(reader)?,
                data: Value::from_option(reader.buffer("data")?),
                version: reader.int("version")?,
            },
            OpCode::Reconfig => Self::Reconfig {
                path: owned(reader)?,
                data: Value::from_option(reader.buffer("data")?),
                version: reader.int("version")?,
            },
            OpCode::SetAcl => Self::SetAcl {
                path: owned(reader)?,
                acl: acl(reader)?,
                version: reader.int("version")?,
            },
            OpCode::Check => Self::Check {
                path: owned(reader)?,
                version: reader.int("version")?,
            },
            OpCode::Multi => Self::Multi(decode_multi(reader)?),
            OpCode::CreateSession => Self::CreateSession {
                timeout_ms: reader.int("timeOut")?,
            },
            OpCode::CloseSession => Self::CloseSession {
                paths: decode_closed_paths(reader)?,
            },
            OpCode::Error => Self::Error {
                err: reader.int("err")?,
            },
            OpCode::Notification
            | OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::Sync
            | OpCode::Ping
            | OpCode::GetChildren2
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::MultiRead
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::Sasl
            | OpCode::GetEphemerals
            | OpCode::GetAllChildrenNumber
            | OpCode::SetWatches2
            | OpCode::AddWatch
            | OpCode::WhoAmI => {
                return Err(reader.error("type", DecodeErrorKind::Unknown(op.code())));
            }
        })
    }
}

fn owned(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    Ok(reader.required_string("path")?.into_owned())
}

fn acl(reader: &mut Reader<'_>) -> Result<AclList, DecodeError> {
    let null = reader.error("acl", DecodeErrorKind::Null);
    AclList::decode(reader)?.ok_or(null)
}

fn decode_create(op: OpCode, reader: &mut Reader<'_>) -> Result<CreateTxn, DecodeError> {
    let path = owned(reader)?;
    let data = Value::from_option(reader.buffer("data")?);
    let acl = acl(reader)?;
    let (kind, parent_cversion) = match op {
        OpCode::CreateContainer => (CreateTxnKind::Container, reader.int("parentCVersion")?),
        OpCode::CreateTtl => {
            let parent_cversion = reader.int("parentCVersion")?;
            (
                CreateTxnKind::Ttl {
                    ttl_ms: reader.long("ttl")?,
                },
                parent_cversion,
            )
        }
        _ => {
            let ephemeral = reader.bool("ephemeral")?;
            // Releases before 3.4 wrote the record without this field (CreateTxnV0).
            let parent_cversion = if reader.is_at_end() {
                -1
            } else {
                reader.int("parentCVersion")?
            };
            let kind = if op == OpCode::Create2 {
                CreateTxnKind::Create2 { ephemeral }
            } else {
                CreateTxnKind::Create { ephemeral }
            };
            (kind, parent_cversion)
        }
    };
    Ok(CreateTxn {
        kind,
        path,
        data,
        acl,
        parent_cversion,
    })
}

fn encode_multi(elements: &[Txn], out: &mut impl Write) {
    out.length(elements.len());
    let mut body = Vec::new();
    for element in elements {
        body.clear();
        element.encode(&mut body);
        out.int(element.op().code());
        out.buffer(Some(&body));
    }
}

fn decode_multi(reader: &mut Reader<'_>) -> Result<Vec<Txn>, DecodeError> {
    let count = reader.count("txns")?.unwrap_or(0);
    let mut elements = Vec::with_capacity(reader.capacity(count, ELEMENT_BYTES_MIN));
    for _ in 0..count {
        let start = reader.clone();
        let kind = reader.int("type")?;
        let unknown = start.error("type", DecodeErrorKind::Unknown(kind));
        let op = OpCode::from_i32(kind).ok_or(unknown)?;
        if matches!(op, OpCode::Multi | OpCode::CreateSession | OpCode::CloseSession) {
            return Err(unknown);
        }
        let body = reader.buffer("data")?.unwrap_or_default();
        elements.push(Txn::decode(op, &mut Reader::new(body))?);
    }
    Ok(elements)
}

/// Both the list of paths and the digest behind it may be absent. With 12 bytes left they are a digest (whose version
/// reads as a count of two, and two paths need 14 bytes) unless they start with a count of one: then they are one path
/// of four bytes. That is why an empty path, which no session's node can have, is refused.
fn decode_closed_paths(reader: &mut Reader<'_>) -> Result<Option<Vec<String>>, DecodeError> {
    let rest = reader.rest();
    let digest_only = rest.len() == TxnDigest::BYTES && rest.first_chunk() == Some(&TxnDigest::VERSION.to_be_bytes());
    if rest.is_empty() || digest_only {
        return Ok(None);
    }
    let count = reader.count("paths")?.unwrap_or(0);
    let mut paths = Vec::with_capacity(reader.capacity(count, 4));
    for _ in 0..count {
        let empty = reader.error("path", DecodeErrorKind::Inconsistent);
        let path = owned(reader)?;
        if path.is_empty() {
            return Err(empty);
        }
        paths.push(path);
    }
    Ok(Some(paths))
}

#[cfg(test)]
mod tests {
    use super::super::{TxnHeader, TxnRecord};
    use super::*;
    use crate::{Acl, Perms, SessionId, WallMillis, Xid, Zxid};

    fn record(txn: Txn, digest: bool) -> TxnRecord {
        let header = TxnHeader {
            session: SessionId(1),
            cxid: Xid(2),
            zxid: Zxid(3),
            time: WallMillis(4),
            op: txn.op(),
        };
        TxnRecord {
            header,
            txn,
            digest: digest.then_some(TxnDigest {
                version: 2,
                tree: u64::MAX - 1,
            }),
        }
    }

    fn check_round_trip(txn: &Txn) {
        for digest in [false, true] {
            let record = record(txn.clone(), digest);
            assert_eq!(TxnRecord::decode(&record.to_vec()).unwrap(), record);
        }
    }

    fn create(kind: CreateTxnKind) -> Txn {
        let acl = AclList::new(alloc::vec![Acl::new(Perms::READ, "ip", "10.0.0.0/8")]);
        Txn::Create(CreateTxn {
            kind,
            path: "/a".into(),
            data: Value::from(&b"x"[..]),
            acl,
            parent_cversion: 3,
        })
    }

    #[test]
    fn every_kind_reads_back_as_written() {
        let closed = |paths: &[&str]| Txn::CloseSession {
            paths: Some(paths.iter().map(|path| String::from(*path)).collect()),
        };
        for txn in [
            create(CreateTxnKind::Create { ephemeral: true }),
            create(CreateTxnKind::Create2 { ephemeral: false }),
            create(CreateTxnKind::Container),
            create(CreateTxnKind::Ttl { ttl_ms: 5 }),
            Txn::Delete { path: "/a".into() },
            Txn::DeleteContainer { path: "/a".into() },
            Txn::SetData {
                path: "/a".into(),
                data: Value::NULL,
                version: 2,
            },
            Txn::Reconfig {
                path: "/zookeeper/config".into(),
                data: Value::NULL,
                version: -1,
            },
            Txn::SetAcl {
                path: "/a".into(),
                acl: AclList::OPEN,
                version: 1,
            },
            Txn::Multi(alloc::vec![
                Txn::Check {
                    path: "/a".into(),
                    version: 1
                },
                Txn::Error { err: -2 }
            ]),
            Txn::CreateSession { timeout_ms: 6000 },
            Txn::CloseSession { paths: None },
            closed(&[]),
            closed(&["/abc"]),
            closed(&["/", "/"]),
            Txn::Error { err: -101 },
        ] {
            check_round_trip(&txn);
        }
    }

    #[test]
    fn a_create_of_an_old_release_has_no_parent_cversion() {
        let mut bytes = record(create(CreateTxnKind::Create { ephemeral: false }), false).to_vec();
        bytes.truncate(bytes.len() - 4);
        let Txn::Create(txn) = TxnRecord::decode(&bytes).unwrap().txn else {
            panic!("a create")
        };
        assert_eq!(txn.parent_cversion, -1);
    }

    #[test]
    fn a_multi_inside_a_multi_is_refused() {
        let bytes = record(Txn::Multi(alloc::vec![Txn::Multi(Vec::new())]), false).to_vec();
        assert!(TxnRecord::decode(&bytes).is_err());
    }

    /// Found by fuzzing: written without a digest, two empty paths would read as no paths and a digest.
    #[test]
    fn an_empty_path_is_refused_where_a_session_ends() {
        let closed = Txn::CloseSession {
            paths: Some(alloc::vec![String::new(), String::new()]),
        };
        assert!(TxnRecord::decode(&record(closed, true).to_vec()).is_err());
    }

    /// A record as it stood in the log of a Java 3.8.0 ensemble.
    #[test]
    fn a_create_session_has_the_bytes_of_java() {
        let hex = "010000113d57000000000000000000010000000 1000001a2086bd43afffffff600001770000000020000000051c6d660";
        let digits: Vec<u8> = hex
            .bytes()
            .filter(|byte| *byte != b' ')
            .map(|byte| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap())
            .collect();
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        let record = TxnRecord::decode(&bytes).unwrap();
        assert_eq!(record.txn, Txn::CreateSession { timeout_ms: 6000 });
        assert_eq!(record.header.zxid, Zxid(0x1_0000_0001));
        assert_eq!(record.digest.unwrap().tree, 0x51c6_d660);
        assert_eq!(record.to_vec(), bytes);
    }
}
