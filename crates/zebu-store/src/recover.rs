//! Bringing back what is on disk: the newest snapshot that checks out, then every transaction after it.
//!
//! Nothing is changed before all of it has been read and found in order; then what an interrupted write left behind the
//! last whole record is cut off, and everything that was read is synced once: after a crash of the process it may have
//! come from memory alone.
//!
//! Source of the rules: `org.apache.zookeeper.server.persistence.FileTxnSnapLog.restore`, made strict: Java skips what
//! it cannot read in some places, and cannot start in others where nothing was lost.

use std::error::Error;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zebu_proto::snapshot::NodeRecord;
use zebu_proto::txn::TxnRecord;
use zebu_proto::{AclList, SessionId, Zxid};

use crate::log::{self, FileEnd, HEADER_BYTES, LogFileReader};
use crate::snapshot::{self, Loaded};
use crate::{Disk, LogFile, LogIterator, LogProblem, SnapshotDigest, SnapshotFile, Store, StoreError, layout};

/// Snapshots are tried newest first, at most this many, as in Java.
const SNAPSHOT_ATTEMPTS_MAX: usize = 100;

/// Why a receiver refuses what was read.
pub type SinkError = Box<dyn Error + Send + Sync>;

/// Receives what is on disk, in this order: `begin`, sessions, ACL table, nodes (parents before children), digest, `loaded`,
/// then transactions in order.
pub trait RecoverySink {
    /// Starts over from an empty state; whatever was received before came from a damaged snapshot.
    fn begin(&mut self);

    /// A session with its timeout in milliseconds.
    ///
    /// # Errors
    /// If it cannot be; the snapshot is given up.
    fn session(&mut self, session: SessionId, timeout_ms: i32) -> Result<(), SinkError>;

    /// An entry of the ACL table.
    ///
    /// # Errors
    /// If it cannot be; the snapshot is given up.
    fn acl(&mut self, key: i64, acl: AclList) -> Result<(), SinkError>;

    /// A node.
    ///
    /// # Errors
    /// If it cannot be: no parent, an unknown ACL key; the snapshot is given up.
    fn node(&mut self, node: NodeRecord<'_>) -> Result<(), SinkError>;

    /// The digest that the snapshot carries. It may be of a later transaction than the snapshot's name.
    fn digest(&mut self, digest: SnapshotDigest);

    /// The snapshot is complete and its checksums hold. Not called when there is none.
    ///
    /// # Errors
    /// If its parts do not fit together; the snapshot is given up.
    fn loaded(&mut self, _: Zxid) -> Result<(), SinkError> {
        Ok(())
    }

    /// A transaction after the snapshot, decoded and as its bytes in the log.
    ///
    /// # Errors
    /// If it cannot be applied; recovery ends.
    fn txn(&mut self, record: TxnRecord, raw: &[u8]) -> Result<(), SinkError>;

    /// There are no more transactions.
    ///
    /// # Errors
    /// If what was received is no whole state; recovery ends, and nothing on disk is changed.
    fn end(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// What was found on disk.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The snapshot that was loaded.
    pub snapshot: Option<SnapshotFile>,
    /// Nodes in it.
    pub nodes: u64,
    /// Newer snapshots that could not be loaded, and why; the log made up for them.
    pub damaged_snapshots: Vec<StoreError>,
    /// Last transaction, 0 in a new database.
    pub last_zxid: Zxid,
    /// Log files that were read.
    pub log_files: usize,
    /// Transactions replayed onto the snapshot.
    pub txns: u64,
    /// What was cut off the end of the log.
    pub cuts: Vec<Cut>,
    /// Whether a snapshot must be written before anything else: the directory was empty, or held a log alone.
    pub needs_snapshot: bool,
    /// Whether the server may vote and lead. Not with an empty directory where a database was expected
    /// ([`crate::StoreOptions::auto_create_db`]): it must first be filled by a leader.
    pub trustworthy: bool,
}

/// The end of a log file that was cut off: what an interrupted write left behind. None of it was ever acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The log file; it is gone if no whole record was in it.
    pub path: PathBuf,
    /// Where the last whole record ends.
    pub offset: u64,
    /// What was found there, `None` for a file without a header.
    pub problem: Option<LogProblem>,
    /// Where the cut bytes were kept, if they were more than zeros.
    pub kept: Option<PathBuf>,
}

impl Store {
    /// Gives everything on disk to `sink`.
    ///
    /// # Errors
    /// If what is on disk does not check out in a way that an interrupted write explains, `sink` refuses something, or
    /// the disk fails.
    pub fn recover(&self, sink: &mut dyn RecoverySink) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        let lost = self.load_snapshot(sink, &mut recovered)?;
        let files = self.logs()?;
        let tails = self.files_without_records(&files)?;
        let whole = files[..files.len() - tails.len()].to_vec();
        if recovered.snapshot.is_none() {
            if let Some(first) = whole.first()
                && !self.options().trust_empty
            {
                let path = first.path.clone();
                return Err(StoreError::LogWithoutSnapshot { path });
            }
            recovered.needs_snapshot = true;
        }
        let base = recovered.snapshot.as_ref().map_or(Zxid::ZERO, |snapshot| snapshot.zxid);
        let mut log = LogIterator::over(self.shared().disk.clone(), whole, base, self.read_rules()?)?;
        recovered.last_zxid = replay(&mut log, base, sink, &mut recovered.txns, lost)?;
        recovered.log_files = log.files().len();
        sink.end().map_err(|source| StoreError::Unfinished {
            path: last_file(&log, recovered.snapshot.as_ref(), &self.shared().snapshot_dir),
            zxid: recovered.last_zxid,
            source: Arc::new(source),
        })?;
        self.cut_tails(&log, tails, &mut recovered.cuts)?;
        self.sync_files(&log, recovered.snapshot.as_ref())?;
        let new = recovered.snapshot.is_none() && recovered.txns == 0;
        recovered.trustworthy = !new || self.may_start_new()?;
        Ok(recovered)
    }

    /// Loads the newest snapshot that checks out. Newer ones that look whole and are not must be made up for by the
    /// log: returns their zxids with what is wrong.
    fn load_snapshot(
        &self,
        sink: &mut dyn RecoverySink,
        recovered: &mut Recovered,
    ) -> Result<Vec<(Zxid, StoreError)>, StoreError> {
        let shared = self.shared();
        let mut lost = Vec::new();
        for candidate in self.snapshots()? {
            if lost.len() == SNAPSHOT_ATTEMPTS_MAX {
                break;
            }
            let load = |sink: &mut dyn RecoverySink| {
                if !snapshot::looks_whole(&*shared.disk, &candidate)? {
                    return Ok(None);
                }
                sink.begin();
                // This calls `sink.loaded` too, once all seals are checked.
                snapshot::load(&*shared.disk, &candidate, self.options().record_bytes_max, sink).map(Some)
            };
            match load(sink) {
                Ok(None) => {}
                Ok(Some(Loaded { nodes, .. })) => {
                    shared.trust(&candidate.path);
                    recovered.snapshot = Some(candidate);
                    recovered.nodes = nodes;
                    recovered.damaged_snapshots =
                        lost.iter().map(|(_, error): &(_, StoreError)| error.clone()).collect();
                    return Ok(lost);
                }
                Err(error) => lost.push((candidate.zxid, error)),
            }
        }
        sink.begin();
        let tried = lost.len();
        match lost.into_iter().next() {
            None => Ok(Vec::new()),
            Some((_, newest)) => Err(StoreError::NoUsableSnapshot {
                tried,
                newest: Box::new(newest),
            }),
        }
    }

    /// The files at the end of the log in which no whole record is, with how each of them ends.
    fn files_without_records(&self, files: &[LogFile]) -> Result<Vec<(LogFile, FileEnd)>, StoreError> {
        let rules = self.read_rules()?;
        let mut tails = Vec::new();
        for file in files.iter().rev() {
            let mut reader = LogFileReader::open(&*self.shared().disk, file.clone(), rules)?;
            if reader.next()?.is_some() {
                break;
            }
            if let Some(end) = reader.end() {
                tails.push((file.clone(), end));
            }
        }
        Ok(tails)
    }

    /// Cuts the last file behind its last whole record and removes files without any.
    fn cut_tails(
        &self,
        log: &LogIterator,
        without_records: Vec<(LogFile, FileEnd)>,
        cuts: &mut Vec<Cut>,
    ) -> Result<(), StoreError> {
        for (file, end) in without_records {
            let (offset, problem) = match end {
                FileEnd::NoHeader => (0, None),
                FileEnd::Clean { offset, .. } => (offset, None),
                FileEnd::Torn { offset, problem } => (offset, Some(problem)),
            };
            let kept = self.keep_cut(&file, HEADER_BYTES.max(offset))?;
            let shared = self.shared();
            shared
                .disk
                .remove(&file.path)
                .map_err(|error| StoreError::io("remove", &file.path, error))?;
            cuts.push(Cut {
                path: file.path,
                offset,
                problem,
                kept,
            });
        }
        let Some((file, end)) = log.tail() else {
            return Ok(());
        };
        let disk = &*self.shared().disk;
        let reader = LogFileReader::open(disk, file.clone(), self.read_rules()?)?;
        log::write_again(disk, file, end, &reader)?;
        if let FileEnd::Torn { offset, problem } = end {
            let kept = self.keep_cut(file, offset)?;
            log::cut_at(disk, &file.path, offset)?;
            cuts.push(Cut {
                path: file.path.clone(),
                offset,
                problem: Some(problem),
                kept,
            });
        }
        Ok(())
    }

    /// Copies what will be cut, unless it is zeros, beside the log under a name that no server reads.
    fn keep_cut(&self, file: &LogFile, offset: u64) -> Result<Option<PathBuf>, StoreError> {
        let shared = self.shared();
        let reader = LogFileReader::open(&*shared.disk, file.clone(), self.read_rules()?)?;
        let end = reader.end_of_data(offset)?;
        if end == offset {
            return Ok(None);
        }
        let path = shared.log_dir.join(layout::cut_name(file.first, offset));
        match copy(&*shared.disk, &reader, offset..end, &path) {
            Ok(()) => Ok(Some(path)),
            // The copy is a courtesy; a server must be able to start on a full disk, in order to purge.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                let removed = shared.disk.remove(&path);
                removed.map_err(|error| StoreError::io("remove", &path, error))?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Syncs everything that was read.
    fn sync_files(&self, log: &LogIterator, snapshot: Option<&SnapshotFile>) -> Result<(), StoreError> {
        let shared = self.shared();
        let logs = log.files().iter().map(|file| &file.path);
        for path in logs.chain(snapshot.map(|snapshot| &snapshot.path)) {
            let synced = shared.disk.open(path).and_then(|file| file.sync_all());
            synced.map_err(|error| StoreError::io("sync", path, error))?;
        }
        for dir in [&shared.snapshot_dir, &shared.log_dir] {
            let synced = shared.disk.sync_dir(dir);
            synced.map_err(|error| StoreError::io("sync", dir, error))?;
        }
        Ok(())
    }

    /// Whether an empty directory may become a new database. The marker `initialize` says so once.
    fn may_start_new(&self) -> Result<bool, StoreError> {
        let shared = self.shared();
        let marker = self.options().log_dir.join("initialize");
        let take = || {
            let marked = shared.disk.exists(&marker)?;
            if marked {
                shared.disk.remove(&marker)?;
            }
            Ok(marked)
        };
        let marked = take().map_err(|error| StoreError::io("remove", &marker, error))?;
        Ok(marked || self.options().auto_create_db)
    }
}

/// What to name where all files together do not add up: the last log file, else the snapshot.
fn last_file(log: &LogIterator, snapshot: Option<&SnapshotFile>, dir: &Path) -> PathBuf {
    let last = log.files().last().map(|file| &file.path);
    let path = last.or(snapshot.map(|snapshot| &snapshot.path));
    path.map_or_else(|| dir.to_owned(), Clone::clone)
}

/// Bytes copied at once when keeping what is cut.
const COPY_BYTES: usize = 1 << 20;

/// Copies a part of a log into a new file.
fn copy(disk: &dyn Disk, reader: &LogFileReader, range: Range<u64>, path: &Path) -> Result<(), StoreError> {
    let write = |error| StoreError::io("write", path, error);
    if disk.exists(path).map_err(write)? {
        disk.remove(path).map_err(write)?;
    }
    let target = disk.create(path).map_err(write)?;
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let bytes = reader.read_range(at, len)?;
        target.write_at(&bytes, at - range.start).map_err(write)?;
        at += len as u64;
    }
    target.sync_all().map_err(write)
}

/// Replays the log and returns its last transaction. Every damaged snapshot in `lost` must turn up in it: otherwise
/// the snapshot was ahead of the log, or came from a leader, and what it held is gone.
fn replay(
    log: &mut LogIterator,
    base: Zxid,
    sink: &mut dyn RecoverySink,
    txns: &mut u64,
    mut lost: Vec<(Zxid, StoreError)>,
) -> Result<Zxid, StoreError> {
    let mut last = base;
    // A zxid that starts an epoch names no transaction, so that nothing can be missing up to it.
    lost.retain(|(zxid, _)| zxid.counter() != 0);
    while let Some(found) = log.next()? {
        let record = TxnRecord::decode(found.body).map_err(|source| StoreError::Record {
            path: found.path.into(),
            offset: found.offset,
            zxid: found.zxid,
            source,
        })?;
        sink.txn(record, found.body).map_err(|source| StoreError::Rejected {
            path: found.path.into(),
            offset: found.offset,
            zxid: found.zxid,
            source: Arc::new(source),
        })?;
        last = found.zxid;
        *txns += 1;
        lost.retain(|(zxid, _)| *zxid != last);
    }
    match lost.into_iter().next() {
        None => Ok(last),
        Some((zxid, damaged)) => Err(StoreError::SnapshotLost {
            damaged: Box::new(damaged),
            zxid,
        }),
    }
}
