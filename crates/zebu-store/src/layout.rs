//! Names of files and directories.

use std::path::{Path, PathBuf};

use zebu_proto::Zxid;

use crate::{Disk, RecoverySink, Sections, StoreError, snapshot};

/// Directory below `dataDir` and `dataLogDir` that holds the files; its number is that of the format.
pub(crate) const VERSION_DIR: &str = "version-2";
/// Ending of files that are not complete; left over ones are removed when a store opens.
pub(crate) const TEMPORARY_SUFFIX: &str = ".zebu-tmp";
/// Ending of a snapshot that takes the place of everything else; see `install.rs`.
pub(crate) const INSTALL_SUFFIX: &str = ".zebu-install";
/// Held while a store is open.
pub(crate) const LOCK_FILE: &str = "zebu.lock";

/// Holds the name of the newest log file that this program has begun; see `log/mark.rs`.
pub(crate) const NEWEST_LOG_FILE: &str = "zebu.newest-log";

const LOG_PREFIX: &str = "log.";
const SNAPSHOT_PREFIX: &str = "snapshot.";
const CUT_PREFIX: &str = "cut-from-";
const CUT_INFIX: &str = "-at-";

/// How a snapshot file is compressed; the whole stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// `.gz`
    Gz,
    /// `.snappy`, in the framing of the Xerial library.
    Snappy,
}

impl Compression {
    const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gz => ".gz",
            Self::Snappy => ".snappy",
        }
    }
}

/// A log file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    /// Zxid of the first transaction in it, by its name.
    pub first: Zxid,
    /// Where it is.
    pub path: PathBuf,
    /// Length in bytes, preallocated space included.
    pub len: u64,
}

/// A snapshot file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotFile {
    /// Last transaction that is surely in it, by its name.
    pub zxid: Zxid,
    /// By its name.
    pub compression: Compression,
    /// Where it is.
    pub path: PathBuf,
    /// Length in bytes, as stored.
    pub len: u64,
}

impl LogFile {
    /// A log file anywhere, for tools: its name must be that of a log.
    ///
    /// # Errors
    /// If the name is no log's, or the file cannot be read.
    pub fn at(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        let first = file_name(path).and_then(parse_log_name);
        Ok(Self {
            first: first.ok_or_else(|| StoreError::Name { path: path.into() })?,
            len: file_len(disk, path)?,
            path: path.into(),
        })
    }
}

impl SnapshotFile {
    /// A snapshot file anywhere, for tools: its name must be that of a snapshot.
    ///
    /// # Errors
    /// If the name is no snapshot's, or the file cannot be read.
    pub fn at(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        let parsed = file_name(path).and_then(parse_snapshot_name);
        let (zxid, compression) = parsed.ok_or_else(|| StoreError::Name { path: path.into() })?;
        Ok(Self {
            zxid,
            compression,
            len: file_len(disk, path)?,
            path: path.into(),
        })
    }

    /// Gives everything in the snapshot to `sink`, which must be empty, and checks all seals. Nothing on the disk is
    /// changed or locked.
    ///
    /// # Errors
    /// If anything does not check out or the sink refuses it; the sink holds rubbish then.
    pub fn read(
        &self,
        disk: &dyn Disk,
        record_bytes_max: usize,
        sink: &mut dyn RecoverySink,
    ) -> Result<Sections, StoreError> {
        snapshot::load(disk, self, record_bytes_max, sink).map(|loaded| loaded.sections)
    }
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn file_len(disk: &dyn Disk, path: &Path) -> Result<u64, StoreError> {
    let len = disk.open(path).and_then(|file| file.len());
    len.map_err(|error| StoreError::io("open", path, error))
}

/// `log.<hex>`
pub(crate) fn log_name(first: Zxid) -> String {
    format!("{LOG_PREFIX}{:x}", first.0)
}

/// `snapshot.<hex>`, with the ending of its compression.
pub(crate) fn snapshot_name(zxid: Zxid, compression: Compression) -> String {
    format!("{SNAPSHOT_PREFIX}{:x}{}", zxid.0, compression.suffix())
}

/// Name of the copy of what was cut off the log file `first` at `offset`; no server reads it.
pub(crate) fn cut_name(first: Zxid, offset: u64) -> String {
    format!("{CUT_PREFIX}{}{CUT_INFIX}{offset}", log_name(first))
}

/// The log file that a [`cut_name`] tells of.
pub(crate) fn parse_cut_name(name: &str) -> Option<Zxid> {
    let (log, _) = name.strip_prefix(CUT_PREFIX)?.split_once(CUT_INFIX)?;
    parse_log_name(log)
}

pub(crate) fn parse_log_name(name: &str) -> Option<Zxid> {
    parse_hex(name.strip_prefix(LOG_PREFIX)?)
}

pub(crate) fn parse_snapshot_name(name: &str) -> Option<(Zxid, Compression)> {
    let rest = name.strip_prefix(SNAPSHOT_PREFIX)?;
    let (hex, compression) = match rest.split_once('.') {
        None => (rest, Compression::None),
        Some((hex, "gz")) => (hex, Compression::Gz),
        Some((hex, "snappy")) => (hex, Compression::Snappy),
        Some(_) => return None,
    };
    Some((parse_hex(hex)?, compression))
}

/// Java's `Long.toHexString`: lower case, no padding, negative numbers in two's complement.
fn parse_hex(hex: &str) -> Option<Zxid> {
    let digits_only = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digits_only {
        return None;
    }
    u64::from_str_radix(hex, 16).ok().map(|bits| Zxid(bits.cast_signed()))
}

/// The log files in `dir`, oldest first.
///
/// # Errors
/// If the directory cannot be read.
pub(crate) fn list_logs(disk: &dyn Disk, dir: &Path) -> Result<Vec<LogFile>, StoreError> {
    let mut files: Vec<LogFile> = entries(disk, dir)?
        .into_iter()
        .filter_map(|entry| {
            let first = parse_log_name(&entry.name)?;
            Some(LogFile {
                first,
                path: dir.join(&entry.name),
                len: entry.len,
            })
        })
        .collect();
    files.sort();
    Ok(files)
}

/// The snapshot files in `dir`, newest first.
///
/// # Errors
/// If the directory cannot be read.
pub(crate) fn list_snapshots(disk: &dyn Disk, dir: &Path) -> Result<Vec<SnapshotFile>, StoreError> {
    let mut files: Vec<SnapshotFile> = entries(disk, dir)?
        .into_iter()
        .filter_map(|entry| {
            let (zxid, compression) = parse_snapshot_name(&entry.name)?;
            Some(SnapshotFile {
                zxid,
                compression,
                path: dir.join(&entry.name),
                len: entry.len,
            })
        })
        .collect();
    files.sort_by(|a, b| b.cmp(a));
    Ok(files)
}

fn entries(disk: &dyn Disk, dir: &Path) -> Result<Vec<crate::DirEntry>, StoreError> {
    let mut entries = disk.entries(dir).map_err(|error| StoreError::io("list", dir, error))?;
    entries.retain(|entry| !entry.is_dir);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_java() {
        assert_eq!(log_name(Zxid(0x1_0000_00a3)), "log.1000000a3");
        assert_eq!(snapshot_name(Zxid(0), Compression::None), "snapshot.0");
        assert_eq!(snapshot_name(Zxid(0xff), Compression::Snappy), "snapshot.ff.snappy");
        assert_eq!(parse_log_name("log.1000000a3"), Some(Zxid(0x1_0000_00a3)));
        assert_eq!(parse_snapshot_name("snapshot.a.gz"), Some((Zxid(10), Compression::Gz)));
    }

    #[test]
    fn what_was_cut_is_named_after_its_log() {
        assert_eq!(cut_name(Zxid(0xa3), 16), "cut-from-log.a3-at-16");
        assert_eq!(parse_cut_name("cut-from-log.a3-at-16"), Some(Zxid(0xa3)));
        assert_eq!(parse_log_name("cut-from-log.a3-at-16"), None);
    }

    #[test]
    fn other_names_are_left_alone() {
        for name in [
            "log",
            "log.",
            "log.x",
            "log.+1",
            "log.1.bak",
            "logs.1",
            "log.11112222333344445",
        ] {
            assert_eq!(parse_log_name(name), None, "{name}");
        }
        for name in [
            "snapshot.",
            "snapshot.1.zip",
            "snapshot.1.gz.zebu-tmp",
            "snapshot.1.zebu-tmp",
        ] {
            assert_eq!(parse_snapshot_name(name), None, "{name}");
        }
    }
}
