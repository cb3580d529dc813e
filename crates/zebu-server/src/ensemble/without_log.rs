//! An observer that writes neither log nor snapshots (`syncEnabled=false`): what its leader tells it is in memory only.
//!
//! What it has on disk is from the time before, or the whole tree as a leader has sent it last. It comes back with that, and
//! gets what it lacks. `currentEpoch` stays that of the history on disk: were the server made a voter one day, the others
//! would take what it has for newer than it is.
//!
//! Source: `ObserverZooKeeperServer.syncRequestProcessorEnabled`.

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

    /// The tree is what is on disk.
    pub(super) fn disk_is_whole(&mut self) {
        if let Some(ensemble) = &mut self.ensemble {
            ensemble.is_disk_behind = false;
        }
    }
}
