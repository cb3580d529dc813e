//! Taking back transactions that a leader does not know.
//!
//! Java cuts behind the first record that is not below the wanted one, so that a later record survives where the
//! wanted one is absent, and keeps snapshots in which the cut transactions are (ZOOKEEPER-4837). Here the cut is exact,
//! and whatever holds more goes first.

use std::path::PathBuf;

use zebu_proto::Zxid;

use crate::log::{self, LogFileReader};
use crate::snapshot;
use crate::{LogFile, SnapshotFile, Store, StoreError};

impl Store {
    /// Takes back every transaction after `to`: from the log, and the snapshots that hold any of them. Returns the
    /// last transaction that is left: `to`, or an earlier one if `to` is not in this history.
    ///
    /// Must not run beside a [`crate::LogWriter`]. What the sink of an earlier [`Store::recover`] holds is out of date
    /// then. After a crash in the middle, some of the transactions after `to` may still be there, without a gap.
    ///
    /// # Errors
    /// [`StoreError::TruncateImpossible`] if no good snapshot at or before `to` is there, in which case nothing was
    /// changed; as [`Store::recover`] if the log does not check out; or if the disk fails.
    pub fn truncate_log(&self, to: Zxid) -> Result<Zxid, StoreError> {
        let snapshots = self.snapshots()?;
        let (base, tainted) = self.base_for(to, &snapshots)?;
        let last = self.last_at_most(to, base)?;
        let logs = self.logs()?;
        let shared = self.shared();
        // Snapshots go first: one that outlived the log records it holds would bring them back to life.
        shared.remove_in_order(&shared.snapshot_dir, tainted)?;
        let (kept, later): (Vec<LogFile>, Vec<LogFile>) = logs.into_iter().partition(|log| log.first <= to);
        let later = later.into_iter().rev().map(|log| log.path);
        shared.remove_in_order(&shared.log_dir, later)?;
        if let Some(file) = kept.last() {
            self.cut_after(file, to)?;
        }
        Ok(last)
    }

    /// The zxid of the newest good snapshot that holds nothing after `to`, and the snapshots that do, newest first.
    ///
    /// A snapshot written while transactions went on may hold more than its name says; since 3.9 it tells.
    fn base_for(&self, to: Zxid, snapshots: &[SnapshotFile]) -> Result<(Zxid, Vec<PathBuf>), StoreError> {
        let limit = self.options().record_bytes_max;
        let mut tainted = Vec::new();
        for candidate in snapshots {
            if candidate.zxid > to {
                tainted.push(candidate.path.clone());
                continue;
            }
            match snapshot::verify(&*self.shared().disk, candidate, limit) {
                Ok(loaded) if loaded.sections.last_zxid.is_none_or(|last| last <= to) => {
                    return Ok((candidate.zxid, tainted));
                }
                Ok(_) => tainted.push(candidate.path.clone()),
                // It holds nothing that anybody could load.
                Err(_) => {}
            }
        }
        Err(StoreError::TruncateImpossible {
            to,
            reason: "no good snapshot from before it is left",
        })
    }

    /// The last transaction up to `to` that the log leads to from `base`.
    fn last_at_most(&self, to: Zxid, base: Zxid) -> Result<Zxid, StoreError> {
        let mut log = self.log_after(base)?;
        let mut last = base;
        while let Some(record) = log.next()? {
            if record.zxid > to {
                break;
            }
            last = record.zxid;
        }
        Ok(last)
    }

    /// Cuts `file` before its first record after `to`.
    fn cut_after(&self, file: &LogFile, to: Zxid) -> Result<(), StoreError> {
        let shared = self.shared();
        let mut reader = LogFileReader::open(&*shared.disk, file.clone(), self.read_rules()?)?;
        let offset = loop {
            match reader.next()? {
                Some(record) if record.zxid > to => break record.offset,
                Some(_) => {}
                None => return Ok(()),
            }
        };
        log::cut_at(&*shared.disk, &file.path, offset)
    }
}
