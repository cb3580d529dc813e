//! Requests and their answers.

use std::io;

use serde::{Deserialize, Serialize};

use super::wire::{Reader, Writer};
use super::{Reply, bad, code};

/// Permissions and who has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// Bits: read 1, write 2, create 4, delete 8, admin 16.
    pub perms: i32,
    /// `world`, `digest`, `ip`, `auth`.
    pub scheme: String,
    /// Whom the scheme means.
    pub id: String,
}

impl Acl {
    /// One entry.
    pub fn new(perms: i32, scheme: &str, id: &str) -> Self {
        Self {
            perms,
            scheme: scheme.to_owned(),
            id: id.to_owned(),
        }
    }

    /// Everyone may do everything.
    pub fn open() -> Vec<Self> {
        vec![Self::new(31, "world", "anyone")]
    }
}

/// What a client is told about a node, as it goes over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// Transaction that created it.
    pub czxid: i64,
    /// Transaction that last set its data.
    pub mzxid: i64,
    /// Time of creation, milliseconds since 1970.
    pub ctime: i64,
    /// Time of the last change of its data.
    pub mtime: i64,
    /// Changes of its data.
    pub version: i32,
    /// Changes of its children: creations and deletions.
    pub cversion: i32,
    /// Changes of its ACL.
    pub aversion: i32,
    /// Session of an ephemeral node, otherwise 0.
    pub ephemeral_owner: i64,
    /// Bytes of its data.
    pub data_length: i32,
    /// Its children.
    pub num_children: i32,
    /// Transaction that last created or deleted a child.
    pub pzxid: i64,
}

/// Which kind of node a create makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Stays.
    Persistent,
    /// Stays, with a number behind its name.
    Sequential,
    /// Goes with its session.
    Ephemeral,
    /// Goes with its session, with a number behind its name.
    EphemeralSequential,
    /// Goes when its last child has gone.
    Container,
    /// Goes when it has had no child and no change for so many milliseconds.
    Ttl(i64),
    /// The same with a number behind its name.
    TtlSequential(i64),
}

impl Mode {
    fn flags(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::Sequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::Ttl(_) => 5,
            Self::TtlSequential(_) => 6,
        }
    }

    /// Whether the server puts a number behind the name.
    pub fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::Sequential | Self::EphemeralSequential | Self::TtlSequential(_)
        )
    }

    /// Whether the node goes with its session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Makes a node; answered with its path and, outside of a multi, its Stat.
    Create {
        /// Path, without the number of a sequential node.
        path: String,
        /// Data; null is not the same as empty.
        data: Option<Vec<u8>>,
        /// Who may do what.
        acl: Vec<Acl>,
        /// Kind of node.
        mode: Mode,
    },
    /// Deletes a node.
    Delete {
        /// Path.
        path: String,
        /// Version that it must have; -1: any.
        version: i32,
    },
    /// Sets a node's data.
    Set {
        /// Path.
        path: String,
        /// Data.
        data: Option<Vec<u8>>,
        /// Version that it must have; -1: any.
        version: i32,
    },
    /// Looks at the version of a node; only inside of a multi.
    Check {
        /// Path.
        path: String,
        /// Version that it must have; -1: any.
        version: i32,
    },
    /// Sets a node's ACL.
    SetAcl {
        /// Path.
        path: String,
        /// Who may do what.
        acl: Vec<Acl>,
        /// ACL version that it must have; -1: any.
        version: i32,
    },
    /// All or nothing.
    Multi(Vec<Self>),
    /// Data and Stat.
    Get(String),
    /// Names of children, and Stat.
    Children(String),
    /// As [`Op::Get`], and asks for an event at the next change of the node's data.
    GetAndWatch(String),
    /// As [`Op::Children`], and asks for an event at the next change of the list.
    ChildrenAndWatch(String),
    /// Asks on a new connection for the events that an older one was still to bring.
    SetWatches {
        /// The last that the client has seen: what happened since is told at once.
        zxid: i64,
        /// Nodes of which the data is watched.
        data: Vec<String>,
        /// Nodes of which the children are watched.
        children: Vec<String>,
    },
    /// ACL and Stat.
    GetAcl(String),
    /// Says who one is.
    Auth {
        /// For example `digest`.
        scheme: String,
        /// For example `user:password`.
        credentials: String,
    },
    /// Lets this server catch up with the leader.
    Sync(String),
    /// Nothing; keeps the session alive.
    Ping,
    /// Ends the session.
    Close,
}

/// What a reply says, beside its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, or an error.
    Nothing,
    /// A node was made.
    Created {
        /// Its path, with its number.
        path: String,
        /// Its Stat, absent inside of a multi.
        stat: Option<Stat>,
    },
    /// A node was changed.
    Stat(Stat),
    /// Data of a node.
    Data(Option<Vec<u8>>, Stat),
    /// Names of children.
    Children(Vec<String>, Stat),
    /// ACL of a node.
    Acl(Vec<Acl>, Stat),
    /// A result for each element of a multi: an error code or an answer.
    Multi(Vec<Result<Self, i32>>),
}

/// A change that a watch was set for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// 1 created, 2 deleted, 3 data changed, 4 children changed.
    pub kind: i32,
    /// The node.
    pub path: String,
}

impl Event {
    /// The event in this message, `None` if it is a reply.
    ///
    /// # Errors
    /// When an event cannot be read.
    pub fn of(reply: &Reply) -> io::Result<Option<Self>> {
        const EVENT_XID: i32 = -1;
        if reply.xid != EVENT_XID {
            return Ok(None);
        }
        let mut reader = Reader::new(&reply.body);
        let kind = reader.int()?;
        let _state = reader.int()?;
        Ok(Some(Self {
            kind,
            path: reader.string()?,
        }))
    }
}

impl Answer {
    /// The first true error of a multi that failed.
    pub fn multi_failure(&self) -> Option<i32> {
        let Self::Multi(results) = self else { return None };
        let failed = |result: &Result<Self, i32>| result.as_ref().err().copied().filter(|err| *err != code::OK);
        results.iter().find_map(failed)
    }
}

const CREATE: i32 = 1;
const MULTI: i32 = 14;
/// A create that is answered with the Stat too.
const CREATE2: i32 = 15;

impl Op {
    /// A persistent node that everyone may do everything with.
    pub fn create(path: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self::create_as(path, data, Mode::Persistent)
    }

    /// A node that everyone may do everything with.
    pub fn create_as(path: impl Into<String>, data: impl Into<Vec<u8>>, mode: Mode) -> Self {
        Self::Create {
            path: path.into(),
            data: Some(data.into()),
            acl: Acl::open(),
            mode,
        }
    }

    /// Sets data.
    pub fn set(path: impl Into<String>, data: impl Into<Vec<u8>>, version: i32) -> Self {
        Self::Set {
            path: path.into(),
            data: Some(data.into()),
            version,
        }
    }

    /// Deletes.
    pub fn delete(path: impl Into<String>, version: i32) -> Self {
        Self::Delete {
            path: path.into(),
            version,
        }
    }

    /// The number of the request.
    fn number(&self) -> i32 {
        match self {
            Self::Create { mode, .. } => match mode {
                Mode::Container => 19,
                Mode::Ttl(_) | Mode::TtlSequential(_) => 21,
                Mode::Persistent | Mode::Sequential | Mode::Ephemeral | Mode::EphemeralSequential => CREATE2,
            },
            Self::Delete { .. } => 2,
            Self::Get(_) | Self::GetAndWatch(_) => 4,
            Self::Set { .. } => 5,
            Self::GetAcl(_) => 6,
            Self::SetAcl { .. } => 7,
            Self::Sync(_) => 9,
            Self::Ping => 11,
            Self::Children(_) | Self::ChildrenAndWatch(_) => 12,
            Self::SetWatches { .. } => 101,
            Self::Check { .. } => 13,
            Self::Multi(_) => MULTI,
            Self::Auth { .. } => 100,
            Self::Close => -11,
        }
    }

    pub(super) fn encode(&self, xid: i32, out: &mut Writer) {
        out.int(xid);
        out.int(self.number());
        self.encode_body(out);
    }

    fn encode_body(&self, out: &mut Writer) {
        match self {
            Self::Create { path, data, acl, mode } => {
                out.string(path);
                out.buffer(data.as_deref());
                encode_acl(acl, out);
                out.int(mode.flags());
                if let Mode::Ttl(ttl_ms) | Mode::TtlSequential(ttl_ms) = mode {
                    out.long(*ttl_ms);
                }
            }
            Self::Delete { path, version } | Self::Check { path, version } => {
                out.string(path);
                out.int(*version);
            }
            Self::Set { path, data, version } => {
                out.string(path);
                out.buffer(data.as_deref());
                out.int(*version);
            }
            Self::SetAcl { path, acl, version } => {
                out.string(path);
                encode_acl(acl, out);
                out.int(*version);
            }
            Self::Multi(ops) => {
                for op in ops {
                    // As all clients do. The Java servers before 3.8.2 drop a part of a logged multi with a create2.
                    let number = match op.number() {
                        CREATE2 => CREATE,
                        other => other,
                    };
                    encode_multi_header(number, false, out);
                    op.encode_body(out);
                }
                encode_multi_header(-1, true, out);
            }
            Self::Get(path) | Self::Children(path) => {
                out.string(path);
                out.boolean(false);
            }
            Self::GetAndWatch(path) | Self::ChildrenAndWatch(path) => {
                out.string(path);
                out.boolean(true);
            }
            Self::SetWatches { zxid, data, children } => {
                out.long(*zxid);
                for paths in [data, &Vec::new(), children] {
                    out.count(paths.len());
                    paths.iter().for_each(|path| out.string(path));
                }
            }
            Self::GetAcl(path) | Self::Sync(path) => out.string(path),
            Self::Auth { scheme, credentials } => {
                out.int(0);
                out.string(scheme);
                out.string(credentials);
            }
            Self::Ping | Self::Close => {}
        }
    }

    /// Reads the body of a reply to this request.
    ///
    /// # Errors
    /// When it is not of the form that the request gives.
    pub fn answer(&self, reply: &Reply) -> io::Result<Answer> {
        if reply.err != code::OK {
            return Ok(Answer::Nothing);
        }
        let mut reader = Reader::new(&reply.body);
        let answer = match self {
            Self::Multi(_) => Answer::Multi(multi_results(&mut reader)?),
            Self::Create { .. } => result(self.number(), &mut reader)?,
            Self::Set { .. } | Self::SetAcl { .. } => Answer::Stat(stat(&mut reader)?),
            Self::Get(_) | Self::GetAndWatch(_) => {
                Answer::Data(reader.buffer()?.map(<[u8]>::to_vec), stat(&mut reader)?)
            }
            Self::Children(_) | Self::ChildrenAndWatch(_) => {
                let count = reader.count()?;
                let mut names = Vec::new();
                for _ in 0..count {
                    names.push(reader.string()?);
                }
                names.sort();
                Answer::Children(names, stat(&mut reader)?)
            }
            Self::GetAcl(_) => Answer::Acl(acl(&mut reader)?, stat(&mut reader)?),
            Self::Sync(_) => {
                reader.string()?;
                Answer::Nothing
            }
            Self::Delete { .. }
            | Self::Check { .. }
            | Self::SetWatches { .. }
            | Self::Auth { .. }
            | Self::Ping
            | Self::Close => Answer::Nothing,
        };
        if !reader.rest().is_empty() {
            return Err(bad("a reply with more than the answer"));
        }
        Ok(answer)
    }
}

fn encode_acl(acl: &[Acl], out: &mut Writer) {
    out.count(acl.len());
    for entry in acl {
        out.int(entry.perms);
        out.string(&entry.scheme);
        out.string(&entry.id);
    }
}

fn encode_multi_header(number: i32, done: bool, out: &mut Writer) {
    out.int(number);
    out.boolean(done);
    out.int(-1);
}

fn multi_results(reader: &mut Reader<'_>) -> io::Result<Vec<Result<Answer, i32>>> {
    let mut results = Vec::new();
    loop {
        let number = reader.int()?;
        let done = reader.boolean()?;
        let _code = reader.int()?;
        if done {
            return Ok(results);
        }
        results.push(match number {
            -1 => Err(reader.int()?),
            number => Ok(result(number, reader)?),
        });
    }
}

/// The answer of a write by the number of its result.
fn result(number: i32, reader: &mut Reader<'_>) -> io::Result<Answer> {
    Ok(match number {
        CREATE => Answer::Created {
            path: reader.string()?,
            stat: None,
        },
        CREATE2 | 19 | 21 => Answer::Created {
            path: reader.string()?,
            stat: Some(stat(reader)?),
        },
        5 | 7 => Answer::Stat(stat(reader)?),
        2 | 13 => Answer::Nothing,
        other => return Err(bad(&format!("a result of type {other}"))),
    })
}

fn acl(reader: &mut Reader<'_>) -> io::Result<Vec<Acl>> {
    let count = reader.count()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(Acl {
            perms: reader.int()?,
            scheme: reader.string()?,
            id: reader.string()?,
        });
    }
    Ok(entries)
}

fn stat(reader: &mut Reader<'_>) -> io::Result<Stat> {
    Ok(Stat {
        czxid: reader.long()?,
        mzxid: reader.long()?,
        ctime: reader.long()?,
        mtime: reader.long()?,
        version: reader.int()?,
        cversion: reader.int()?,
        aversion: reader.int()?,
        ephemeral_owner: reader.long()?,
        data_length: reader.int()?,
        num_children: reader.int()?,
        pzxid: reader.long()?,
    })
}
