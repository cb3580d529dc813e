//! The files that hold one number: the epochs that this server has promised to, and its id.
//!
//! Source: `org.apache.zookeeper.server.quorum.QuorumPeer.loadDataBase`, `readEpochFromFile`.

use std::path::Path;

use zebu_proto::{Epoch, Sid, Zxid};

use crate::store::Shared;
use crate::{Disk, Store, StoreError};

/// A file with an epoch in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochFile {
    /// The highest epoch that this server has promised not to go back behind.
    Accepted,
    /// The epoch of the last leader whose history this server has taken for its own.
    Current,
}

impl EpochFile {
    const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "acceptedEpoch",
            Self::Current => "currentEpoch",
        }
    }
}

/// Both epochs, free of contradiction: `current` is not above `accepted` and not below the epoch of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epochs {
    /// [`EpochFile::Accepted`]
    pub accepted: Epoch,
    /// [`EpochFile::Current`]
    pub current: Epoch,
}

/// Ending that Java gives an epoch file while it writes it.
const JAVA_TEMPORARY_SUFFIX: &str = ".tmp";

impl Store {
    /// The epoch in `file`, `None` if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read or holds no number.
    pub fn read_epoch(&self, file: EpochFile) -> Result<Option<Epoch>, StoreError> {
        read_epoch_named(self.shared(), file.name())
    }

    /// Writes `file`; durable, name and all, when it returns.
    ///
    /// # Errors
    /// If the disk fails; then nothing that depends on the new value may be said or done.
    pub fn write_epoch(&self, file: EpochFile, epoch: Epoch) -> Result<(), StoreError> {
        let shared = self.shared();
        shared.write_whole(&shared.snapshot_dir, file.name(), epoch.to_string().as_bytes())?;
        if file == EpochFile::Current {
            self.remove_announcement()?;
        }
        Ok(())
    }

    /// Notes durably that a history of `epoch` is about to be written: until [`EpochFile::Current`] is, the data may be of
    /// a later epoch than that file says. The note has the name that Java's servers look for in that case.
    ///
    /// # Errors
    /// If the disk fails; then the history must not be written.
    pub fn announce_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        let shared = self.shared();
        shared.write_whole(&shared.snapshot_dir, &announcement(), epoch.to_string().as_bytes())
    }

    fn remove_announcement(&self) -> Result<(), StoreError> {
        let shared = self.shared();
        let path = shared.snapshot_dir.join(announcement());
        let exists = shared.disk.exists(&path);
        if exists.map_err(|error| StoreError::io("look at", &path, error))? {
            shared.remove_in_order(&shared.snapshot_dir, [path])?;
        }
        Ok(())
    }

    /// The epochs at start-up, when the data end at `last`: missing files are made from it, and what contradicts is
    /// refused.
    ///
    /// # Errors
    /// If the files contradict the data or one another, cannot be read, or cannot be written.
    pub fn load_epochs(&self, last: Zxid) -> Result<Epochs, StoreError> {
        let data_epoch = last.epoch();
        let current = match self.read_epoch(EpochFile::Current)? {
            Some(current) if current < data_epoch => self.newer_current(current, data_epoch)?,
            Some(current) => current,
            None => {
                self.write_epoch(EpochFile::Current, data_epoch)?;
                data_epoch
            }
        };
        let accepted = match self.read_epoch(EpochFile::Accepted)? {
            Some(accepted) => accepted,
            None => {
                // Java takes the epoch of the data. A promise can have been no lower than what it led to.
                let accepted = data_epoch.max(current);
                self.write_epoch(EpochFile::Accepted, accepted)?;
                accepted
            }
        };
        if accepted < current {
            return Err(self.contradiction(EpochFile::Accepted, accepted, "currentEpoch", current));
        }
        Ok(Epochs { accepted, current })
    }

    /// A server may have crashed while it took over a history ([`Store::announce_epoch`]), or, Java's, between writing
    /// `currentEpoch.tmp` and its renaming. The history may be there in part: what can be said of it is that it is one of
    /// the epoch of its last transaction, as that of a follower of that time would be. Java takes the epoch in the file,
    /// and may then beat others with a history that it does not have (ZOOKEEPER-4643).
    fn newer_current(&self, found: Epoch, data_epoch: Epoch) -> Result<Epoch, StoreError> {
        let newer = read_epoch_named(self.shared(), &announcement())?;
        if newer.is_none_or(|newer| newer < data_epoch) {
            return Err(self.contradiction(EpochFile::Current, found, "the log", data_epoch));
        }
        self.write_epoch(EpochFile::Current, data_epoch)?;
        Ok(data_epoch)
    }

    fn contradiction(&self, file: EpochFile, found: Epoch, reason: &'static str, wanted: Epoch) -> StoreError {
        StoreError::EpochContradiction {
            path: self.shared().snapshot_dir.join(file.name()),
            found,
            reason,
            wanted,
        }
    }

    /// The server id in `<dataDir>/myid`, `None` if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read or holds no number.
    pub fn read_myid(&self) -> Result<Option<Sid>, StoreError> {
        let path = self.shared().options.data_dir.join("myid");
        Ok(read_number(&*self.shared().disk, &path)?.map(Sid))
    }
}

/// The name of the note of [`Store::announce_epoch`].
fn announcement() -> String {
    format!("{}{JAVA_TEMPORARY_SUFFIX}", EpochFile::Current.name())
}

fn read_epoch_named(shared: &Shared, name: &str) -> Result<Option<Epoch>, StoreError> {
    let path = shared.snapshot_dir.join(name);
    match read_number(&*shared.disk, &path)? {
        None => Ok(None),
        Some(number) => match u32::try_from(number) {
            Ok(epoch) => Ok(Some(Epoch(epoch))),
            Err(_) => Err(StoreError::NotANumber { path }),
        },
    }
}

/// The decimal number on the first line of a file.
fn read_number(disk: &dyn Disk, path: &Path) -> Result<Option<i64>, StoreError> {
    let read = |error| StoreError::io("read", path, error);
    if !disk.exists(path).map_err(read)? {
        return Ok(None);
    }
    // 20 characters are the longest number; more than a short line is none.
    let mut bytes = [0; 64];
    let count = disk
        .open(path)
        .and_then(|file| file.read_at(&mut bytes, 0))
        .map_err(read)?;
    let line = bytes[..count].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let number = std::str::from_utf8(line).ok().and_then(|line| line.trim().parse().ok());
    number
        .map(Some)
        .ok_or_else(|| StoreError::NotANumber { path: path.into() })
}
