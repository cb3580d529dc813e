//! Finds transactions in the files of a transaction log, to damage them behind a server's back.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

const HEADER_BYTES: usize = 16;
/// Checksum and length.
const PREFIX_BYTES: usize = 12;
/// In a record's body: session, cxid, then the zxid.
const ZXID_AT: usize = 12;

/// A transaction in a file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    /// Its number.
    pub(crate) zxid: i64,
    /// Where the record starts.
    pub(crate) offset: u64,
    /// Where its body starts.
    body: u64,
    /// Where the next record starts.
    end: u64,
}

/// Where the transaction `zxid` stands in the log files below `folder` (a `version-2`), `None` if it does not.
pub(crate) fn find(folder: &Path, zxid: i64) -> Result<Option<Place>> {
    Ok(places(folder)?.into_iter().find(|place| place.zxid == zxid))
}

/// The last transaction in the log files below `folder`.
pub(crate) fn last(folder: &Path) -> Result<Option<Place>> {
    Ok(places(folder)?.into_iter().max_by_key(|place| place.zxid))
}

/// Whether some transaction stands more than once in the log files below `folder`.
pub(crate) fn has_repeats(folder: &Path) -> Result<bool> {
    let mut seen = BTreeSet::new();
    Ok(!places(folder)?.into_iter().all(|place| seen.insert(place.zxid)))
}

fn places(folder: &Path) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let file = entry?.path();
        let is_log = file
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("log."));
        if !is_log {
            continue;
        }
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut offset = HEADER_BYTES;
        while let Some((zxid, end)) = record(&bytes, offset) {
            places.push(Place {
                file: file.clone(),
                zxid,
                offset: offset as u64,
                body: (offset + PREFIX_BYTES) as u64,
                end: end as u64,
            });
            offset = end;
        }
    }
    Ok(places)
}

/// The zxid of the record at `offset`, and where it ends; `None` for the zeros behind the last record.
fn record(bytes: &[u8], offset: usize) -> Option<(i64, usize)> {
    let length = bytes.get(offset + 8..offset + PREFIX_BYTES)?;
    let length = usize::try_from(i32::from_be_bytes(length.try_into().ok()?)).ok()?;
    let body = bytes.get(offset + PREFIX_BYTES..offset + PREFIX_BYTES + length)?;
    let zxid = body.get(ZXID_AT..ZXID_AT + 8)?.try_into().ok()?;
    Some((i64::from_be_bytes(zxid), offset + PREFIX_BYTES + length + 1))
}

impl Place {
    /// Takes away this transaction and all behind it in this file and in later ones.
    pub(crate) fn cut(&self) -> Result<()> {
        let first = |path: &Path| {
            let name = path.file_name()?.to_str()?;
            i64::from_str_radix(name.strip_prefix("log.")?, 16).ok()
        };
        let folder = self.file.parent().context("a log file without a folder")?;
        for entry in fs::read_dir(folder)? {
            let other = entry?.path();
            if first(&other) > first(&self.file) {
                fs::remove_file(&other)?;
            }
        }
        self.open()?
            .set_len(self.offset)
            .with_context(|| format!("cannot cut {}", self.file.display()))
    }

    /// Turns one bit of this transaction over.
    pub(crate) fn flip(&self) -> Result<()> {
        let file = self.open()?;
        let mut byte = [0];
        let at = self.body + 2;
        file.read_exact_at(&mut byte, at)?;
        byte[0] ^= 0x10;
        file.write_all_at(&byte, at)?;
        Ok(())
    }

    /// Leaves the first half of this transaction and zeros in place of the rest, as a write that was interrupted does.
    pub(crate) fn tear(&self) -> Result<()> {
        let middle = self.offset + (self.end - self.offset) / 2;
        let zeros = vec![0; usize::try_from(self.end - middle)?];
        Ok(self.open()?.write_all_at(&zeros, middle)?)
    }

    fn open(&self) -> Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.file)
            .with_context(|| format!("cannot open {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log with these transactions, and zeros behind them.
    fn log(zxids: &[i64]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        for zxid in zxids {
            let mut body = vec![1; ZXID_AT];
            body.extend_from_slice(&zxid.to_be_bytes());
            body.extend_from_slice(&[1; 12]);
            bytes.extend_from_slice(&[9; 8]);
            bytes.extend_from_slice(&i32::try_from(body.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(&body);
            bytes.push(0x42);
        }
        bytes.resize(bytes.len() + 100, 0);
        bytes
    }

    #[test]
    fn a_transaction_is_found_and_cut_with_all_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("log.5"), log(&[5, 6, 7])).unwrap();
        fs::write(dir.path().join("log.8"), log(&[8])).unwrap();
        assert!(find(dir.path(), 9).unwrap().is_none());
        assert_eq!(last(dir.path()).unwrap().unwrap().zxid, 8);
        let place = find(dir.path(), 6).unwrap().unwrap();
        place.flip().unwrap();
        place.tear().unwrap();
        assert!(find(dir.path(), 6).unwrap().is_none());
        place.cut().unwrap();
        assert!(find(dir.path(), 5).unwrap().is_some());
        assert!(find(dir.path(), 6).unwrap().is_none());
        assert!(!dir.path().join("log.8").exists());
    }
}
