//! A state from a leader in the place of everything that was there.
//!
//! The snapshot is durable under a name of its own before anything goes; from then on the installation is only ever
//! completed, at the next opening of the store if need be. To remove first would lose a history that others may count on,
//! and to leave the old log beside the new snapshot would continue one history with another.

use crate::store::Shared;
use crate::{StoreError, layout};

impl Shared {
    /// Removes everything but the snapshot that is to be installed, if there is one, and gives that its name.
    pub(crate) fn complete_installation(&self) -> Result<(), StoreError> {
        let dir = &self.snapshot_dir;
        let entries = self
            .disk
            .entries(dir)
            .map_err(|error| StoreError::io("list", dir, error))?;
        let Some(entry) = entries
            .iter()
            .find(|entry| entry.name.ends_with(layout::INSTALL_SUFFIX))
        else {
            return Ok(());
        };
        let snapshots = layout::list_snapshots(&*self.disk, dir)?;
        self.remove_in_order(dir, snapshots.into_iter().map(|snapshot| snapshot.path))?;
        let logs = layout::list_logs(&*self.disk, &self.log_dir)?.into_iter().rev();
        self.remove_in_order(&self.log_dir, logs.map(|log| log.path))?;
        let (from, to) = (
            dir.join(&entry.name),
            dir.join(entry.name.trim_end_matches(layout::INSTALL_SUFFIX)),
        );
        let rename = self.disk.rename(&from, &to).and_then(|()| self.disk.sync_dir(dir));
        rename.map_err(|error| StoreError::io("rename", &from, error))?;
        self.trust(&to);
        Ok(())
    }
}
