//! What can go wrong, where, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use zebu_proto::jute::DecodeError;
use zebu_proto::{Epoch, Zxid};

use crate::recover::SinkError;

/// Why the store cannot do what it was asked for. The text names the file and what to do.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The system refused an operation on a file. For a write or a sync this is final: see [`crate::LogWriter`].
    #[error("cannot {action} {}: {source}. {}", path.display(), remedy(source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A data directory is missing and must not be created.
    #[error(
        "{} does not exist, and creating it is switched off (zookeeper.datadir.autocreate). Create it, or check dataDir \
         and dataLogDir: a disk may not be mounted",
        path.display()
    )]
    MissingDirectory {
        /// The `version-2` directory.
        path: PathBuf,
    },
    /// Another server works in this directory.
    #[error("{} is held by another process: two servers must never share a data directory", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file stands where files of its kind are never looked for.
    #[error(
        "{} does not belong there: dataDir and dataLogDir differ, and it would be ignored. Move it to {}, or, if \
         dataLogDir was changed, change it back",
        path.display(),
        belongs_in.display()
    )]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// The directory for files of its kind.
        belongs_in: PathBuf,
    },
    /// The log does not check out.
    #[error(transparent)]
    Log(Box<LogDamage>),
    /// A log record whose checksum is right holds no known transaction.
    #[error(
        "{}: the transaction {zxid} at byte {offset} cannot be read ({source}). It may be of a later release: start that \
         release, or restore the directory from a copy",
        path.display()
    )]
    Record {
        /// The log file.
        path: PathBuf,
        /// Where the record starts.
        offset: u64,
        /// Its transaction.
        zxid: Zxid,
        /// What the decoder said.
        source: DecodeError,
    },
    /// A snapshot cannot be loaded.
    #[error("{}: {problem}", path.display())]
    Snapshot {
        /// The snapshot file.
        path: PathBuf,
        /// What is wrong with it.
        problem: SnapshotProblem,
    },
    /// There are snapshots, and none can be loaded.
    #[error(
        "none of {tried} snapshots can be loaded; the newest: {newest}. Restore one from a copy; in an ensemble whose \
         other members are well, empty this directory and let the leader fill it"
    )]
    NoUsableSnapshot {
        /// How many were tried.
        tried: usize,
        /// What is wrong with the newest.
        newest: Box<Self>,
    },
    /// A snapshot is damaged, an older one was loaded, and the log does not lead from it to the damaged one.
    #[error(
        "{damaged}; an older snapshot loads, but the log does not hold the transaction {zxid} that leads to this one. \
         Restore the snapshot from a copy; in an ensemble whose other members are well, empty this directory and let \
         the leader fill it"
    )]
    SnapshotLost {
        /// What is wrong with the damaged snapshot.
        damaged: Box<Self>,
        /// Its zxid.
        zxid: Zxid,
    },
    /// There is a log but no snapshot that it continues.
    #[error(
        "{} holds transactions, but there is no snapshot that they continue. Check dataDir; if this is an upgrade from \
         release 3.4 and the log is whole, start once with -D zookeeper.snapshot.trust.empty=true",
        path.display()
    )]
    LogWithoutSnapshot {
        /// The first log file.
        path: PathBuf,
    },
    /// The receiver of what was recovered refused a transaction.
    #[error(
        "{}: the transaction {zxid} at byte {offset} cannot be applied: {source}. Restore the directory from a copy; in \
         an ensemble whose other members are well, empty this directory and let the leader fill it",
        path.display()
    )]
    Rejected {
        /// The log file.
        path: PathBuf,
        /// Where the record starts.
        offset: u64,
        /// The transaction.
        zxid: Zxid,
        /// What the receiver said.
        source: Arc<SinkError>,
    },
    /// The files check out, and the receiver says that they make no whole state.
    #[error(
        "{}: the data ends at {zxid}, and {source}. Restore the directory from a copy; in an ensemble whose other members \
         are well, empty this directory and let the leader fill it",
        path.display()
    )]
    Unfinished {
        /// The last file that was read.
        path: PathBuf,
        /// The last transaction.
        zxid: Zxid,
        /// What the receiver said.
        source: Arc<SinkError>,
    },
    /// A file that should hold one number holds something else.
    #[error("{} does not hold a number: correct it, or remove it and restore it from a copy", path.display())]
    NotANumber {
        /// The file.
        path: PathBuf,
    },
    /// A file that a tool was given has not the name of its kind.
    #[error("{} is not named as a log (log.<hex>) or a snapshot (snapshot.<hex>, .gz, .snappy) is", path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// The epoch files contradict the data or one another.
    #[error(
        "{}: epoch {found}, but {reason} is of epoch {wanted}. Files of different servers or times are mixed: restore \
         the whole directory from one copy, or empty it and let the leader fill it",
        path.display()
    )]
    EpochContradiction {
        /// The file with the lower epoch.
        path: PathBuf,
        /// The epoch in it.
        found: Epoch,
        /// What is later.
        reason: &'static str,
        /// The epoch of that.
        wanted: Epoch,
    },
    /// History cannot be cut back to a zxid with what is on this disk; nothing has been changed.
    #[error("cannot go back to {to}: {reason}. Take a snapshot from the leader instead")]
    TruncateImpossible {
        /// Where history should end.
        to: Zxid,
        /// What is missing.
        reason: &'static str,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source: Arc::new(source),
        }
    }
}

/// What to do about an operation that the system refused.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Make room on that disk and start again",
        io::ErrorKind::FileTooLarge => "Raise the limit of the size of files (ulimit -f) and start again",
        io::ErrorKind::PermissionDenied => "Give the user of this process the right to it and start again",
        io::ErrorKind::ReadOnlyFilesystem => "Mount that disk for writing and start again",
        _ => "Look after that disk before starting again; the system's log may say more",
    }
}

/// Where a log does not check out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{}: {problem} at byte {offset}, {}. {}",
    path.display(),
    Neighbours { before: *before, after: *after },
    problem.remedy()
)]
pub struct LogDamage {
    /// The log file.
    pub path: PathBuf,
    /// First byte that does not check out.
    pub offset: u64,
    /// In what way.
    pub problem: LogProblem,
    /// Last transaction before it.
    pub before: Option<Zxid>,
    /// First whole transaction found behind it.
    pub after: Option<Zxid>,
}

struct Neighbours {
    before: Option<Zxid>,
    after: Option<Zxid>,
}

impl std::fmt::Display for Neighbours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.before {
            Some(zxid) => write!(f, "behind zxid {zxid}")?,
            None => f.write_str("before any transaction")?,
        }
        match self.after {
            Some(zxid) => write!(f, ", next whole transaction {zxid}"),
            None => f.write_str(", no whole transaction behind it"),
        }
    }
}

/// In what way a log does not check out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LogProblem {
    /// The file does not start as a log does.
    #[error("no log header")]
    Header,
    /// The file ends inside a record.
    #[error("file ends inside a record")]
    Short,
    /// A length that no record has.
    #[error("impossible record length {0}")]
    Length(i32),
    /// The body does not have the checksum that stands before it.
    #[error("wrong checksum")]
    Checksum,
    /// A record does not end as records do.
    #[error("wrong end of record")]
    EndMark,
    /// Zeros, as behind the last record, with something behind them.
    #[error("a hole of zeros")]
    Hole,
    /// A body too short to name its transaction.
    #[error("a record without a transaction")]
    NoTransaction,
    /// The first transaction is not the one that names the file.
    #[error("file name and first transaction {0} differ")]
    Name(Zxid),
    /// Transactions are missing before this one.
    #[error("transactions are missing before {0}")]
    Gap(Zxid),
    /// A transaction comes again, or late, with other contents.
    #[error("transaction {0} out of order")]
    Order(Zxid),
    /// A file without any record between others.
    #[error("an empty file between others")]
    EmptyFile,
}

impl LogProblem {
    const fn remedy(self) -> &'static str {
        match self {
            Self::Name(_) => "Give the file back its name, log.<first transaction in hex>",
            Self::Gap(_) | Self::EmptyFile => {
                "A log file is missing or incomplete: put it back, or restore the directory from a copy; in an \
                 ensemble whose other members are well, empty the directory and let the leader fill it"
            }
            Self::Header
            | Self::Short
            | Self::Length(_)
            | Self::Checksum
            | Self::EndMark
            | Self::Hole
            | Self::NoTransaction
            | Self::Order(_) => {
                "The file is damaged: restore the directory from a copy and look after the disk; in an ensemble whose \
                 other members are well, empty the directory and let the leader fill it"
            }
        }
    }
}

/// In what way a snapshot does not check out.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SnapshotProblem {
    /// The file does not start as a snapshot does.
    #[error("no snapshot header")]
    Header,
    /// The file ends before its last seal.
    #[error("the file ends early, at byte {0}")]
    Short(u64),
    /// A seal does not fit the bytes before it.
    #[error("wrong checksum in the seal at byte {0}")]
    Checksum(u64),
    /// What follows the first seal is none of the known sections.
    #[error("unknown sections behind the seal at byte {0}")]
    Sections(u64),
    /// A field cannot be read.
    #[error("{source}, in the record at byte {offset}")]
    Record {
        /// Where the record starts, in uncompressed bytes.
        offset: u64,
        /// What the decoder said.
        source: DecodeError,
    },
    /// A record above the limit.
    #[error("a record above the limit of {limit} bytes at byte {offset}")]
    TooLong {
        /// Where the record starts, in uncompressed bytes.
        offset: u64,
        /// The limit.
        limit: usize,
    },
    /// The compressed stream cannot be read.
    #[error("cannot be uncompressed: {0}")]
    Compression(Arc<io::Error>),
    /// The receiver refused the contents.
    #[error("contents refused at byte {offset}: {source}")]
    Rejected {
        /// Where the record starts, in uncompressed bytes.
        offset: u64,
        /// What the receiver said.
        source: Arc<SinkError>,
    },
}
