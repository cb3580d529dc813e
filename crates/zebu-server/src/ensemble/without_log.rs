//! An observer that writes neither log nor snapshots (`syncEnabled=false`): what its leader tells it is in memory only.
//!
//! What it has on disk is from the time before, or the whole tree as a leader has sent it last. It comes back with that, and
//! gets what it lacks. `currentEpoch` stays that of the history on disk: were the server made a voter one day, the others
//! would take what it has for newer than it is.
//!
//! Source: `ObserverZooKeeperServer.syncRequestProcessorEnabled`.

use zebu_proto::Zxid;

use crate::node_thread::NodeThread;

impl NodeThread {
    /// Whether transactions go to the log. From the first one on that does not, the disk is behind.
    pub(crate) fn writes_log(&mut self) -> bool {
        let Some(ensemble) = &mut self.ensemble else {
            return true;
        };
        let writes = self.shared.config.ensemble.sync_enabled || !ensemble.peer.is_observer();
        ensemble.is_disk_behind |= !writes;
        writes
    }

    /// Whether the disk lacks what was applied.
    pub(crate) fn is_disk_behind(&self) -> bool {
        self.ensemble.as_ref().is_some_and(|ensemble| ensemble.is_disk_behind)
    }

    /// A whole tree is about to take the place of what is on disk. It may be of a later epoch than `currentEpoch` says, and
    /// nothing else may say so. `false` if the disk failed.
    pub(super) fn may_install(&self, zxid: Zxid) -> bool {
        if self.shared.config.ensemble.sync_enabled {
            return true;
        }
        let announced = self.shared.store.announce_epoch(zxid.epoch());
        announced.map_err(|error| self.fail(&error)).is_ok()
    }

    /// The tree was read from disk again, which ends with `last`: of what was in memory only, the epoch has gone as well.
    /// `false` if the disk failed.
    pub(super) fn back_to_disk(&mut self, last: Zxid) -> bool {
        if !self.is_disk_behind() {
            return true;
        }
        let epochs = match self.shared.store.load_epochs(last) {
            Ok(epochs) => epochs,
            Err(error) => {
                self.fail(&error);
                return false;
            }
        };
        if let Some(ensemble) = &mut self.ensemble {
            ensemble.peer.history_is_of(epochs.current);
        }
        self.disk_is_whole();
        true
    }

    /// The tree is what is on disk.
    pub(super) fn disk_is_whole(&mut self) {
        if let Some(ensemble) = &mut self.ensemble {
            ensemble.is_disk_behind = false;
        }
    }
}
