//! What clients asked and what they were told: one line of JSON for each request, written when it is over.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::interop::client::{self, Mode, Op, Reply, Stat, code};

/// One request of one client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which client.
    pub client: u32,
    /// Which of the client's connections, counted from 1.
    pub connection: u32,
    /// The session that the connection belongs to.
    pub session: i64,
    /// Id of the server.
    pub server: u8,
    /// When it was about to be sent, in nanoseconds since the run began.
    pub sent_ns: u64,
    /// When its answer had come, or the client gave up waiting.
    pub returned_ns: u64,
    /// What was asked.
    pub request: Request,
    /// What came of it.
    pub outcome: Outcome,
}

/// A request, with all that the checks need of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Makes a node with data that no other request carries.
    Create {
        /// Path, without the number of a sequential node.
        path: String,
        /// Data.
        value: String,
        /// Kind of node.
        mode: Mode,
    },
    /// Sets data that no other request carries.
    Set {
        /// Path.
        path: String,
        /// Data.
        value: String,
        /// Version that it must have; -1: any.
        version: i32,
    },
    /// Deletes a node.
    Delete {
        /// Path.
        path: String,
        /// Version that it must have; -1: any.
        version: i32,
    },
    /// Inside of a multi: the node must be there, with this version if it is not -1.
    Check {
        /// Path.
        path: String,
        /// Version.
        version: i32,
    },
    /// All or nothing.
    Multi(Vec<Self>),
    /// Reads data and Stat.
    Get(String),
    /// Reads the names of children.
    Children(String),
    /// Lets the server catch up.
    Sync,
    /// Ends the session.
    Close,
}

impl Request {
    /// As it goes over the wire.
    pub fn op(&self) -> Op {
        match self.clone() {
            Self::Create { path, value, mode } => Op::create_as(path, value, mode),
            Self::Set { path, value, version } => Op::set(path, value, version),
            Self::Delete { path, version } => Op::delete(path, version),
            Self::Check { path, version } => Op::Check { path, version },
            Self::Multi(parts) => Op::Multi(parts.iter().map(Self::op).collect()),
            Self::Get(path) => Op::Get(path),
            Self::Children(path) => Op::Children(path),
            Self::Sync => Op::Sync("/".to_owned()),
            Self::Close => Op::Close,
        }
    }

    /// Whether it takes part in the order of writes when it succeeds.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Set { .. } | Self::Delete { .. } | Self::Multi(_) | Self::Close => true,
            Self::Check { .. } | Self::Get(_) | Self::Children(_) | Self::Sync => false,
        }
    }

    /// The parts of a multi, or the request itself.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Multi(parts) => parts,
            _ => std::slice::from_ref(self),
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was carried out.
    Done {
        /// The zxid of the reply's header: of the write itself, or of the state that was read.
        zxid: i64,
        /// What it was told.
        answer: Answer,
    },
    /// The state that it met forbade it, and it changed nothing.
    Refused {
        /// The zxid of the reply's header.
        zxid: i64,
        /// The error.
        code: i32,
    },
    /// The server said that it was not carried out, for reasons of its own.
    Rejected {
        /// The error.
        code: i32,
    },
    /// No answer, or one that leaves it open: it was carried out once, or not at all.
    Unknown,
}

impl Outcome {
    /// The zxid of the reply's header, where it speaks of the state that this session is at.
    pub fn zxid(&self) -> Option<i64> {
        match self {
            Self::Done { zxid, .. } | Self::Refused { zxid, .. } => Some(*zxid),
            Self::Rejected { .. } | Self::Unknown => None,
        }
    }

    /// Whether it was carried out for certain.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// What a reply to `op` says.
    ///
    /// # Errors
    /// When the reply cannot be read.
    pub fn of(op: &Op, reply: &Reply) -> std::io::Result<Self> {
        let answer = op.answer(reply)?;
        let zxid = reply.zxid;
        // Java gives a multi that failed an error in its header or only in its results.
        Ok(match answer.multi_failure().unwrap_or(reply.err) {
            code::OK => Self::Done {
                zxid,
                answer: Answer::of(answer),
            },
            code @ (code::NO_NODE | code::BAD_VERSION | code::NODE_EXISTS | code::NOT_EMPTY) => {
                Self::Refused { zxid, code }
            }
            code @ (code::SESSION_EXPIRED | code::SESSION_MOVED) => Self::Rejected { code },
            _ => Self::Unknown,
        })
    }
}

/// What a reply says beside its header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing.
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
    /// What a node holds.
    Data {
        /// Data.
        value: String,
        /// Stat.
        stat: Stat,
    },
    /// Names of children.
    Children {
        /// In order.
        names: Vec<String>,
        /// The parent's Stat.
        stat: Stat,
    },
    /// An answer for each part of a multi.
    Multi(Vec<Self>),
}

impl Answer {
    fn of(answer: client::Answer) -> Self {
        match answer {
            // Nobody asks for an ACL here.
            client::Answer::Nothing | client::Answer::Acl(..) => Self::Nothing,
            client::Answer::Created { path, stat } => Self::Created { path, stat },
            client::Answer::Stat(stat) => Self::Stat(stat),
            client::Answer::Data(data, stat) => Self::Data {
                value: String::from_utf8_lossy(&data.unwrap_or_default()).into_owned(),
                stat,
            },
            client::Answer::Children(names, stat) => Self::Children { names, stat },
            client::Answer::Multi(results) => Self::Multi(
                results
                    .into_iter()
                    .map(|result| result.map_or(Self::Nothing, Self::of))
                    .collect(),
            ),
        }
    }

    /// The answers to the parts of a multi, or the answer itself.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Multi(parts) => parts,
            _ => std::slice::from_ref(self),
        }
    }
}

/// A file that records are written to.
#[derive(Debug)]
pub struct Recorder(BufWriter<File>);

impl Recorder {
    /// An empty history.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(file: &Path) -> Result<Self> {
        let file = File::create(file).with_context(|| format!("cannot make {}", file.display()))?;
        Ok(Self(BufWriter::new(file)))
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, record: &Record) -> Result<()> {
        serde_json::to_writer(&mut self.0, record)?;
        self.0.write_all(b"\n")?;
        Ok(())
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<()> {
        self.0.flush().context("cannot write a history")
    }
}

/// Reads the records of a file.
///
/// # Errors
/// When it cannot be read, or a line is no record.
pub fn read(file: &Path) -> Result<Vec<Record>> {
    let reader = BufReader::new(File::open(file).with_context(|| format!("cannot open {}", file.display()))?);
    let mut records = Vec::new();
    for (number, line) in reader.lines().enumerate() {
        let record =
            serde_json::from_str(&line?).with_context(|| format!("{}: line {}", file.display(), number + 1))?;
        records.push(record);
    }
    Ok(records)
}
