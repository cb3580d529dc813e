//! A server's data directory, opened for work.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zebu_proto::Zxid;

use crate::log::ReadRules;
use crate::{
    Disk, DiskLock, LogFile, LogIterator, LogWriter, SnapshotFile, SnapshotWriter, StoreError, StoreOptions, layout,
};

/// An open data directory. It is held against other processes until this and everything made from it is dropped.
///
/// One thread appends ([`LogWriter`]) while another writes a snapshot ([`SnapshotWriter`]) and a third purges.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

/// What all parts of an open store use.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: StoreOptions,
    pub(crate) snapshot_dir: PathBuf,
    pub(crate) log_dir: PathBuf,
    /// Snapshots that were loaded or written whole since the store was opened; purging counts on no other.
    trusted: Mutex<BTreeSet<PathBuf>>,
    _locks: Vec<Box<dyn DiskLock>>,
}

/// Bytes on disk, as the four-letter word `dirs` tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirSizes {
    /// All files in the directory of snapshots.
    pub data_bytes: u64,
    /// All files in the directory of logs; the same as `data_bytes` if that is one directory.
    pub log_bytes: u64,
}

impl Store {
    /// Opens the directories of `options`, creates what is missing, and removes what an interrupted write left under a
    /// temporary name.
    ///
    /// # Errors
    /// If a directory is missing and must not be created, is held by another process, holds files that belong in the
    /// other one, or the disk fails.
    pub fn open(disk: Arc<dyn Disk>, options: StoreOptions) -> Result<Self, StoreError> {
        let snapshot_dir = options.data_dir.join(layout::VERSION_DIR);
        let log_dir = options.log_dir.join(layout::VERSION_DIR);
        let mut dirs = vec![&snapshot_dir];
        if log_dir != snapshot_dir {
            dirs.push(&log_dir);
        }
        for dir in &dirs {
            make_dir(&*disk, dir, options.auto_create_dir)?;
        }
        let mut locks = Vec::new();
        for dir in &dirs {
            locks.push(lock(&*disk, dir)?);
        }
        if dirs.len() > 1 {
            refuse_misplaced(&*disk, &snapshot_dir, &log_dir)?;
        }
        for dir in &dirs {
            remove_temporaries(&*disk, dir)?;
        }
        let shared = Shared {
            disk,
            options,
            snapshot_dir,
            log_dir,
            trusted: Mutex::default(),
            _locks: locks,
        };
        shared.complete_installation()?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What the store was opened with.
    #[must_use]
    pub fn options(&self) -> &StoreOptions {
        &self.shared.options
    }

    /// A writer that continues the log after `last`, in a new file. There must be no other, and [`Store::recover`]
    /// must have ended with `last`, or a snapshot named `last` be durable.
    #[must_use]
    pub fn log_writer(&self, last: Zxid) -> LogWriter {
        LogWriter::new(self.shared.clone(), last)
    }

    /// Starts a snapshot in which everything up to `zxid` is.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn snapshot_writer(&self, zxid: Zxid) -> Result<SnapshotWriter, StoreError> {
        SnapshotWriter::create(self.shared.clone(), zxid)
    }

    /// The transactions after `base` up to `last`, which must have been flushed: for reading beside a [`LogWriter`],
    /// whose unfinished writes are not looked at.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn log_between(&self, base: Zxid, last: Zxid) -> Result<LogIterator, StoreError> {
        let files = self.logs()?;
        LogIterator::until(self.shared.disk.clone(), files, base, last, self.read_rules()?)
    }

    /// The transactions after `base`. Must not run beside a [`LogWriter`].
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn log_after(&self, base: Zxid) -> Result<LogIterator, StoreError> {
        let shared = &self.shared;
        let limit = shared.options.record_bytes_max;
        LogIterator::open(shared.disk.clone(), &shared.log_dir, base, limit)
    }

    pub(crate) fn read_rules(&self) -> Result<ReadRules, StoreError> {
        let shared = &self.shared;
        ReadRules::of(&*shared.disk, &shared.log_dir, shared.options.record_bytes_max)
    }

    /// The snapshot files, newest first, whole or not.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn snapshots(&self) -> Result<Vec<SnapshotFile>, StoreError> {
        layout::list_snapshots(&*self.shared.disk, &self.shared.snapshot_dir)
    }

    /// The log files, oldest first.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn logs(&self) -> Result<Vec<LogFile>, StoreError> {
        layout::list_logs(&*self.shared.disk, &self.shared.log_dir)
    }

    /// Bytes of all files in both directories.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn dir_sizes(&self) -> Result<DirSizes, StoreError> {
        let size = |dir: &Path| {
            let entries = self.shared.disk.entries(dir);
            let entries = entries.map_err(|error| StoreError::io("list", dir, error))?;
            Ok(entries.iter().map(|entry| entry.len).sum())
        };
        Ok(DirSizes {
            data_bytes: size(&self.shared.snapshot_dir)?,
            log_bytes: size(&self.shared.log_dir)?,
        })
    }
}

impl Shared {
    /// Remembers that the snapshot at `path` is whole and durable.
    pub(crate) fn trust(&self, path: &Path) {
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        trusted.insert(path.into());
    }

    /// Whether the snapshot at `path` was loaded or written by this store.
    pub(crate) fn trusts(&self, path: &Path) -> bool {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        trusted.contains(path)
    }

    /// Removes `paths` in this order, all from `dir`, each durably before the next.
    pub(crate) fn remove_in_order(
        &self,
        dir: &Path,
        paths: impl IntoIterator<Item = PathBuf>,
    ) -> Result<(), StoreError> {
        for path in paths {
            self.disk
                .remove(&path)
                .map_err(|error| StoreError::io("remove", &path, error))?;
            self.disk
                .sync_dir(dir)
                .map_err(|error| StoreError::io("sync", dir, error))?;
        }
        Ok(())
    }

    /// Writes a small file as a whole: temporary name, sync, rename, sync of the directory.
    pub(crate) fn write_whole(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = dir.join(name);
        let temporary = dir.join(format!("{name}{}", layout::TEMPORARY_SUFFIX));
        let write = || {
            if self.disk.exists(&temporary)? {
                self.disk.remove(&temporary)?;
            }
            let file = self.disk.create(&temporary)?;
            file.write_at(bytes, 0)?;
            file.sync_all()?;
            self.disk.rename(&temporary, &path)?;
            self.disk.sync_dir(dir)
        };
        write().map_err(|error| StoreError::io("write", &path, error))
    }
}

/// Makes sure that `dir` exists and stays.
///
/// Also one that exists may not stay: whoever made it may have failed before its name was durable, and everything in it
/// would be lost with that.
fn make_dir(disk: &dyn Disk, dir: &Path, create: bool) -> Result<(), StoreError> {
    let exists = disk
        .exists(dir)
        .map_err(|error| StoreError::io("look at", dir, error))?;
    if !exists && !create {
        return Err(StoreError::MissingDirectory { path: dir.into() });
    }
    let create = |error| StoreError::io("create", dir, error);
    if !exists {
        disk.create_dir_all(dir).map_err(create)?;
    }
    for parent in dir.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        match disk.sync_dir(parent) {
            Ok(()) => {}
            // Where this server may not even look, it has made nothing.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(create(error)),
        }
    }
    Ok(())
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>, StoreError> {
    let path = dir.join(layout::LOCK_FILE);
    disk.lock(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            StoreError::Locked { path: path.clone() }
        } else {
            StoreError::io("lock", &path, error)
        }
    })
}

/// With separate directories, a log among the snapshots or the reverse means that `dataLogDir` was changed without
/// moving the files: going on would lose them.
fn refuse_misplaced(disk: &dyn Disk, snapshot_dir: &Path, log_dir: &Path) -> Result<(), StoreError> {
    let misplaced = |path: &Path, belongs_in: &Path| StoreError::Misplaced {
        path: path.into(),
        belongs_in: belongs_in.into(),
    };
    if let Some(log) = layout::list_logs(disk, snapshot_dir)?.first() {
        return Err(misplaced(&log.path, log_dir));
    }
    if let Some(snapshot) = layout::list_snapshots(disk, log_dir)?.first() {
        return Err(misplaced(&snapshot.path, snapshot_dir));
    }
    Ok(())
}

fn remove_temporaries(disk: &dyn Disk, dir: &Path) -> Result<(), StoreError> {
    let entries = disk.entries(dir).map_err(|error| StoreError::io("list", dir, error))?;
    for entry in entries {
        if !entry.is_dir && entry.name.ends_with(layout::TEMPORARY_SUFFIX) {
            let path = dir.join(&entry.name);
            disk.remove(&path)
                .map_err(|error| StoreError::io("remove", &path, error))?;
        }
    }
    Ok(())
}
