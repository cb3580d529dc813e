//! A disk in memory that fails as disks do, all of it decided by a seed.
//!
//! It keeps two views of everything: what running programs see, and what would be there after a power failure. Writes
//! reach the second view at a sync; at a crash, any part of what was not synced reaches it as well, sector by sector,
//! and names that were created, renamed or removed without a sync of their directory are there or not. What is not
//! modelled: rot of what was once durable (see [`SimDisk::damage`] for doing it by hand), and more than one process.
//!
//! It is deterministic: the same seed and the same calls give the same faults and the same bytes.

mod random;
mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::state::State;
use crate::{DirEntry, Disk, DiskFile, DiskLock};

/// Bytes that a disk writes whole or not at all.
pub const SECTOR_BYTES: u64 = 512;

/// A simulated disk. Clones share it; it survives the server that used it.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// What happens to an operation that changes the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power fails in the middle of it: part of it may be done. Every later call fails until
    /// [`SimDisk::restart`].
    Crash,
    /// It fails with an input/output error. A write is done in part; a sync makes any part durable and then forgets
    /// the rest, so that a later sync succeeds without having written it, as Linux does.
    Error,
    /// It fails because the disk is full; nothing is done.
    Full,
}

/// What part of unsynced writes can survive a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tear {
    /// Any set of sectors: the system writes pages back in any order.
    #[default]
    Sectors,
    /// A beginning: sectors in the order in which they were written.
    Prefix,
}

impl SimDisk {
    /// An empty disk whose faults follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
        }
    }

    /// Sets what can survive a crash.
    pub fn set_tear(&self, tear: Tear) {
        self.state().tear = tear;
    }

    /// Makes the operation number `operation` fail, counted as by [`SimDisk::operations`].
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().planned = Some((operation, fault));
    }

    /// Makes about one in `one_in` operations that change the disk fail with an error, from now on; 0 for none.
    pub fn set_error_rate(&self, one_in: u64) {
        self.state().error_one_in = one_in;
    }

    /// Limits the bytes of all files together; what goes beyond fails as on a full disk.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Number of operations so far that change the disk or make something durable.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Whether a planned [`Fault::Crash`] has happened and [`SimDisk::restart`] has not.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Whether an operation has failed with [`Fault::Error`] or [`Fault::Full`], or for want of room, since the last
    /// [`SimDisk::restart`] or [`SimDisk::kill`].
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// The power fails now (if it has not yet), and comes back: unsynced changes survive in part, locks are free,
    /// files that were open are of no use any more.
    pub fn restart(&self) {
        self.state().restart();
    }

    /// The process is killed: nothing is lost, but locks are free and open files of no use.
    pub fn kill(&self) {
        self.state().kill();
    }

    /// The bytes of a file, as programs see it; `None` if there is none.
    #[must_use]
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.state().contents(path).map(<[u8]>::to_vec)
    }

    /// Changes a file's bytes, durably and behind everybody's back. Creates it, with its directory, if it is missing.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        self.state().damage(path, change);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, state: &State, inode: u64) -> Box<dyn DiskFile> {
        Box::new(SimFile {
            disk: self.clone(),
            inode,
            life: state.life,
        })
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        state.alive(state.life)?;
        let inode = state.lookup(path)?;
        Ok(self.file(&state, inode))
    }

    fn open_writable(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let inode = state.create(path)?;
        Ok(self.file(&state, inode))
    }

    fn entries(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.state().entries(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.state().exists(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.state().create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.state().sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.state();
        state.lock(path)?;
        Ok(Box::new(SimLock {
            disk: self.clone(),
            path: path.into(),
            life: state.life,
        }))
    }
}

/// An open file of one life of the disk.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: u64,
    life: u64,
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.alive(self.life)?;
        Ok(state.data(self.inode).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        state.alive(self.life)?;
        let data = state.data(self.inode);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
        let count = buffer.len().min(data.len() - start);
        buffer[..count].copy_from_slice(&data[start..][..count]);
        Ok(count)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        let state = self.disk.state();
        state.alive(self.life)?;
        let data = state.data(self.inode);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
        let found = data[start..].iter().position(|byte| *byte != 0);
        Ok(found.map(|index| offset + index as u64))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.alive(self.life)?;
        state.write(self.inode, bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.alive(self.life)?;
        state.set_len(self.inode, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.alive(self.life)?;
        state.sync(self.inode)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A lock of one life of the disk.
#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.unlock(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(seed: u64) -> (SimDisk, PathBuf) {
        let disk = SimDisk::new(seed);
        let dir = PathBuf::from("/data");
        disk.create_dir_all(&dir).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        (disk, dir.join("file"))
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_may_not() {
        let mut lost = 0;
        for seed in 0..50 {
            let (disk, path) = disk(seed);
            let file = disk.create(&path).unwrap();
            file.write_at(b"kept", 0).unwrap();
            file.sync_all().unwrap();
            disk.sync_dir(path.parent().unwrap()).unwrap();
            file.write_at(b"lost", 4).unwrap();
            disk.restart();
            let bytes = disk.contents(&path).unwrap();
            assert!(bytes.starts_with(b"kept"), "seed {seed}");
            lost += u64::from(bytes != b"keptlost");
            assert!(file.len().is_err());
        }
        assert!((5..45).contains(&lost), "{lost}");
    }

    #[test]
    fn a_name_is_durable_only_once_its_directory_is() {
        let mut found = 0;
        for seed in 0..50 {
            let (disk, path) = disk(seed);
            disk.create(&path).unwrap().sync_all().unwrap();
            disk.restart();
            found += u64::from(disk.exists(&path).unwrap());
        }
        assert!((5..45).contains(&found), "{found}");
    }

    #[test]
    fn a_killed_process_loses_nothing_but_its_files_and_locks() {
        let (disk, path) = disk(1);
        let file = disk.create(&path).unwrap();
        file.write_at(b"x", 0).unwrap();
        let _lock = disk.lock(&path.with_extension("lock")).unwrap();
        disk.kill();
        assert_eq!(disk.contents(&path).unwrap(), b"x");
        assert!(file.write_at(b"y", 0).is_err());
        assert!(disk.lock(&path.with_extension("lock")).is_ok());
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_the_next() {
        let mut lost = 0;
        for seed in 0..50 {
            let (disk, path) = disk(seed);
            let file = disk.create(&path).unwrap();
            disk.sync_dir(path.parent().unwrap()).unwrap();
            file.write_at(b"x", 0).unwrap();
            disk.fail_at(disk.operations(), Fault::Error);
            file.sync_data().unwrap_err();
            file.sync_data().unwrap();
            disk.restart();
            lost += u64::from(disk.contents(&path).unwrap() != b"x");
        }
        assert!((5..45).contains(&lost), "{lost}");
    }

    #[test]
    fn a_full_disk_takes_nothing_more() {
        let (disk, path) = disk(1);
        disk.set_capacity(Some(10));
        let file = disk.create(&path).unwrap();
        file.write_at(b"0123456789", 0).unwrap();
        let error = file.write_at(b"x", 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.set_len(11).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.write_at(b"y", 3).unwrap();
    }
}
