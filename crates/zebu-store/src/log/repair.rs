//! Putting the end of a log file in order.

use std::path::Path;

use super::mark::Mark;
use super::{FileEnd, LogFileReader, MARK_BYTES_U64};
use crate::{Disk, LogFile, StoreError};

/// Bytes written at once.
const PIECE_BYTES: u64 = 1 << 20;

/// Ends a file at `offset`, durably.
///
/// # Errors
/// If the disk fails.
pub(crate) fn cut_at(disk: &dyn Disk, path: &Path, offset: u64) -> Result<(), StoreError> {
    let mark = Mark {
        batch_start: offset,
        end: offset,
    };
    let cut = || {
        let file = disk.open_writable(path)?;
        file.set_len(offset)?;
        // First the cut: the mark alone would be damage in the middle of records.
        file.sync_all()?;
        file.write_at(&mark.encode(), offset)?;
        file.sync_all()
    };
    cut().map_err(|error| StoreError::io("shorten", path, error))
}

/// Writes the last batch of a file once more and syncs it.
///
/// If the last sync failed, the system may have given up pages that it still shows: reading finds them, syncing again
/// reports success, and the next power failure takes them away. Only what is written anew is sure to be written.
///
/// # Errors
/// If the disk fails.
pub(crate) fn write_again(
    disk: &dyn Disk,
    log: &LogFile,
    end: FileEnd,
    reader: &LogFileReader,
) -> Result<(), StoreError> {
    let (from, to) = match end {
        FileEnd::NoHeader => return Ok(()),
        FileEnd::Clean {
            offset,
            batch_start: Some(start),
        } => (start, offset + MARK_BYTES_U64),
        FileEnd::Clean { offset, .. } | FileEnd::Torn { offset, .. } => (0, offset),
    };
    let write = |error| StoreError::io("write", &log.path, error);
    let file = disk.open_writable(&log.path).map_err(write)?;
    let mut at = from;
    while at < to {
        let len = usize::try_from((to - at).min(PIECE_BYTES)).unwrap_or(0);
        let bytes = reader.read_range(at, len)?;
        file.write_at(&bytes, at).map_err(write)?;
        at += len as u64;
    }
    file.sync_all().map_err(write)
}
