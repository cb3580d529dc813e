//! Deleting what newer snapshots have made needless.
//!
//! Source of the rule: `org.apache.zookeeper.server.PurgeTxnLog`. Java counts snapshots by a glance at their last
//! bytes, and so may delete the only good one; here a snapshot counts only if every seal in it was checked.

use std::path::PathBuf;

use zebu_proto::Zxid;

use crate::{SnapshotFile, Store, StoreError, layout, snapshot};

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// The files.
    pub paths: Vec<PathBuf>,
    /// Their lengths together.
    pub bytes: u64,
}

impl Store {
    /// Keeps the `retain` newest good snapshots (at least one) with every log file that the oldest of them needs, and
    /// deletes what is older. With fewer good ones it deletes nothing.
    ///
    /// Snapshots that this store has neither loaded nor written are read whole.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn purge(&self, retain: usize) -> Result<Purged, StoreError> {
        let snapshots = self.snapshots()?;
        let Some(oldest) = self.oldest_kept(&snapshots, retain.max(1))? else {
            return Ok(Purged::default());
        };
        let shared = self.shared();
        let mut purged = Purged::default();
        let mut doomed = |path: PathBuf, len: u64| {
            purged.paths.push(path.clone());
            purged.bytes += len;
            path
        };
        // Oldest first, snapshots before logs: what is left at any moment is whole.
        let old_snapshots: Vec<PathBuf> = snapshots
            .into_iter()
            .rev()
            .filter(|snapshot| snapshot.zxid < oldest)
            .map(|snapshot| doomed(snapshot.path, snapshot.len))
            .collect();
        let logs = self.logs()?;
        let needed = logs.iter().rposition(|log| log.first <= oldest).unwrap_or(0);
        let mut old_logs: Vec<PathBuf> = Vec::new();
        for log in logs.into_iter().take(needed) {
            old_logs.push(doomed(log.path, log.len));
        }
        let entries = shared.disk.entries(&shared.log_dir);
        for entry in entries.map_err(|error| StoreError::io("list", &shared.log_dir, error))? {
            if layout::parse_cut_name(&entry.name).is_some_and(|first| first < oldest) {
                old_logs.push(doomed(shared.log_dir.join(&entry.name), entry.len));
            }
        }
        shared.remove_in_order(&shared.snapshot_dir, old_snapshots)?;
        shared.remove_in_order(&shared.log_dir, old_logs)?;
        Ok(purged)
    }

    /// Zxid of the oldest of the `retain` newest good snapshots.
    fn oldest_kept(&self, snapshots: &[SnapshotFile], retain: usize) -> Result<Option<Zxid>, StoreError> {
        let mut good = 0;
        for snapshot in snapshots {
            if self.is_good(snapshot)? {
                good += 1;
                if good == retain {
                    return Ok(Some(snapshot.zxid));
                }
            }
        }
        Ok(None)
    }

    fn is_good(&self, snapshot: &SnapshotFile) -> Result<bool, StoreError> {
        let shared = self.shared();
        if shared.trusts(&snapshot.path) {
            return Ok(true);
        }
        if snapshot::verify(&*shared.disk, snapshot, self.options().record_bytes_max).is_err() {
            return Ok(false);
        }
        // It may be there in memory only.
        let synced = shared.disk.open(&snapshot.path).and_then(|file| file.sync_all());
        synced.map_err(|error| StoreError::io("sync", &snapshot.path, error))?;
        shared.trust(&snapshot.path);
        Ok(true)
    }
}
