//! Both views of the simulated disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::random::Random;
use super::{Fault, SECTOR_BYTES, Tear};
use crate::DirEntry;

/// A directory.
const DIRECTORY: u64 = 0;

#[derive(Debug)]
pub(super) struct State {
    /// Counts restarts: files and locks of an earlier one are of no use.
    pub(super) life: u64,
    pub(super) tear: Tear,
    pub(super) planned: Option<(u64, Fault)>,
    pub(super) error_one_in: u64,
    pub(super) capacity: Option<u64>,
    pub(super) operations: u64,
    pub(super) crashed: bool,
    /// Whether an operation has failed in another way since the last start of a process.
    pub(super) failed: bool,
    random: Random,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// What each path names, [`DIRECTORY`] or a file.
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names that no directory sync has made durable, in order.
    name_changes: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    /// Changes since the last sync, in order.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

#[derive(Clone, Debug)]
enum NameChange {
    Set { path: PathBuf, inode: u64 },
    Remove { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

impl NameChange {
    fn is_in(&self, dir: &Path) -> bool {
        match self {
            Self::Set { path, .. } | Self::Remove { path } => path.parent() == Some(dir),
            Self::Rename { from, to } => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Set { path, inode } => {
                names.insert(path, inode);
            }
            Self::Remove { path } => {
                names.remove(&path);
            }
            Self::Rename { from, to } => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
        }
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        let root: BTreeMap<PathBuf, u64> = [(PathBuf::from("/"), DIRECTORY)].into();
        Self {
            life: 0,
            tear: Tear::default(),
            planned: None,
            error_one_in: 0,
            capacity: None,
            operations: 0,
            crashed: false,
            failed: false,
            random: Random::new(seed),
            inodes: BTreeMap::new(),
            next_inode: DIRECTORY + 1,
            durable_names: root.clone(),
            names: root,
            name_changes: Vec::new(),
            locks: BTreeSet::new(),
        }
    }

    pub(super) fn alive(&self, life: u64) -> io::Result<()> {
        if self.crashed || life != self.life {
            return Err(io::Error::other("the simulated power is off"));
        }
        Ok(())
    }

    pub(super) fn data(&self, inode: u64) -> &[u8] {
        self.inodes.get(&inode).map_or(&[], |inode| &inode.data)
    }

    pub(super) fn contents(&self, path: &Path) -> Option<&[u8]> {
        let inode = self.names.get(path).filter(|inode| **inode != DIRECTORY)?;
        Some(self.data(*inode))
    }

    pub(super) fn lookup(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(&DIRECTORY) => Err(io::ErrorKind::IsADirectory.into()),
            Some(inode) => Ok(*inode),
        }
    }

    pub(super) fn exists(&self, path: &Path) -> io::Result<bool> {
        self.alive(self.life)?;
        Ok(self.names.contains_key(path))
    }

    pub(super) fn entries(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.alive(self.life)?;
        self.directory(dir)?;
        let inside = self.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let mut entries: Vec<DirEntry> = inside
            .filter_map(|(path, inode)| {
                Some(DirEntry {
                    name: path.file_name()?.to_str()?.into(),
                    len: self.data(*inode).len() as u64,
                    is_dir: *inode == DIRECTORY,
                })
            })
            .collect();
        entries.sort();
        Ok(entries)
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        self.alive(self.life)?;
        self.directory(path.parent().unwrap_or(path))?;
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let fault = self.begin();
        if matches!(fault, None | Some(Fault::Crash)) {
            let inode = self.next_inode;
            self.next_inode += 1;
            self.inodes.insert(inode, Inode::default());
            self.change_name(NameChange::Set {
                path: path.into(),
                inode,
            });
        }
        self.end(fault)?;
        self.lookup(path)
    }

    pub(super) fn create_dir_all(&mut self, dir: &Path) -> io::Result<()> {
        self.alive(self.life)?;
        let mut missing: Vec<&Path> = dir.ancestors().filter(|dir| !self.names.contains_key(*dir)).collect();
        missing.reverse();
        let fault = self.begin();
        if matches!(fault, None | Some(Fault::Crash)) {
            for dir in missing {
                self.change_name(NameChange::Set {
                    path: dir.into(),
                    inode: DIRECTORY,
                });
            }
        }
        self.end(fault)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.alive(self.life)?;
        self.lookup(from)?;
        self.directory(to.parent().unwrap_or(to))?;
        let fault = self.begin();
        if matches!(fault, None | Some(Fault::Crash)) {
            self.change_name(NameChange::Rename {
                from: from.into(),
                to: to.into(),
            });
        }
        self.end(fault)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.alive(self.life)?;
        self.lookup(path)?;
        let fault = self.begin();
        if matches!(fault, None | Some(Fault::Crash)) {
            self.change_name(NameChange::Remove { path: path.into() });
        }
        self.end(fault)
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.alive(self.life)?;
        self.directory(dir)?;
        let fault = self.begin();
        let inside = self.name_changes.iter().filter(|change| change.is_in(dir)).count() as u64;
        let done = match fault {
            None => inside,
            Some(Fault::Full) => 0,
            Some(Fault::Crash | Fault::Error) => self.random.below(inside + 1),
        };
        self.keep_names(done, |change| change.is_in(dir));
        self.end(fault)
    }

    pub(super) fn lock(&mut self, path: &Path) -> io::Result<()> {
        self.alive(self.life)?;
        if self.locks.contains(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !self.names.contains_key(path) {
            self.create(path)?;
        }
        self.locks.insert(path.into());
        Ok(())
    }

    pub(super) fn unlock(&mut self, path: &Path) {
        self.locks.remove(path);
    }

    pub(super) fn write(&mut self, inode: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.room_for(inode, offset + bytes.len() as u64)?;
        let fault = self.begin();
        let count = match fault {
            None => bytes.len(),
            Some(Fault::Full) => 0,
            Some(Fault::Crash | Fault::Error) => to_index(self.random.below(bytes.len() as u64 + 1)),
        };
        if count > 0 {
            let change = Change::Write {
                offset,
                bytes: bytes[..count].to_vec(),
            };
            self.change(inode, change);
        }
        self.end(fault)
    }

    pub(super) fn set_len(&mut self, inode: u64, len: u64) -> io::Result<()> {
        self.room_for(inode, len)?;
        let fault = self.begin();
        if matches!(fault, None | Some(Fault::Crash)) {
            self.change(inode, Change::SetLen(len));
        }
        self.end(fault)
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        let fault = self.begin();
        let tear = self.tear;
        if let Some(inode) = self.inodes.get_mut(&inode) {
            match fault {
                // Only what changed since the last sync: what a failed one forgot stays lost.
                None => {
                    for change in std::mem::take(&mut inode.changes) {
                        change.apply(&mut inode.durable);
                    }
                }
                Some(Fault::Error) => inode.tear(&mut self.random, tear),
                // A crash tears everything that is not synced, this file included.
                Some(Fault::Crash | Fault::Full) => {}
            }
        }
        self.end(fault)
    }

    pub(super) fn restart(&mut self) {
        // Names become durable in order, as a journal does it; how far is chance.
        let done = self.random.below(self.name_changes.len() as u64 + 1);
        self.keep_names(done, |_| true);
        self.name_changes.clear();
        self.forget_unreachable();
        self.names.clone_from(&self.durable_names);
        let tear = self.tear;
        for inode in self.inodes.values_mut() {
            inode.tear(&mut self.random, tear);
            inode.data.clone_from(&inode.durable);
        }
        self.forget_unnamed();
        self.kill();
    }

    pub(super) fn kill(&mut self) {
        self.crashed = false;
        self.failed = false;
        self.planned = None;
        self.life += 1;
        self.locks.clear();
    }

    pub(super) fn damage(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        for dir in path.ancestors().skip(1) {
            self.names.entry(dir.into()).or_insert(DIRECTORY);
            self.durable_names.entry(dir.into()).or_insert(DIRECTORY);
        }
        let inode = *self.names.entry(path.into()).or_insert(self.next_inode);
        self.next_inode = self.next_inode.max(inode + 1);
        self.durable_names.insert(path.into(), inode);
        let inode = self.inodes.entry(inode).or_default();
        change(&mut inode.data);
        inode.changes.clear();
        inode.durable.clone_from(&inode.data);
    }

    fn directory(&self, dir: &Path) -> io::Result<()> {
        match self.names.get(dir) {
            Some(&DIRECTORY) => Ok(()),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.inodes.values().map(|inode| inode.data.len() as u64).sum()
    }

    fn room_for(&mut self, inode: u64, len: u64) -> io::Result<()> {
        let Some(capacity) = self.capacity else {
            return Ok(());
        };
        let grown = len.saturating_sub(self.data(inode).len() as u64);
        if grown > 0 && self.used_bytes() + grown > capacity {
            self.failed = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Counts an operation and decides its fate.
    fn begin(&mut self) -> Option<Fault> {
        let operation = self.operations;
        self.operations += 1;
        if let Some((planned, fault)) = self.planned
            && planned == operation
        {
            self.planned = None;
            return Some(fault);
        }
        let unlucky = self.error_one_in > 0 && self.random.below(self.error_one_in) == 0;
        unlucky.then_some(Fault::Error)
    }

    fn end(&mut self, fault: Option<Fault>) -> io::Result<()> {
        self.failed |= matches!(fault, Some(Fault::Error | Fault::Full));
        match fault {
            None => Ok(()),
            Some(Fault::Error) => Err(io::Error::other("a simulated input/output error")),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Crash) => {
                self.crashed = true;
                Err(io::Error::other("the simulated power failed"))
            }
        }
    }

    fn change(&mut self, inode: u64, change: Change) {
        if let Some(inode) = self.inodes.get_mut(&inode) {
            change.apply(&mut inode.data);
            inode.changes.push(change);
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.name_changes.push(change);
    }

    /// Makes the first `count` of the chosen changes of names durable.
    fn keep_names(&mut self, mut count: u64, chosen: impl Fn(&NameChange) -> bool) {
        let mut left = Vec::new();
        for change in std::mem::take(&mut self.name_changes) {
            if count > 0 && chosen(&change) {
                count -= 1;
                change.apply(&mut self.durable_names);
            } else {
                left.push(change);
            }
        }
        self.name_changes = left;
    }

    /// What is in a directory whose own name was lost is lost.
    fn forget_unreachable(&mut self) {
        // In the order of paths, so that a directory is looked at before what is in it.
        let mut reachable = BTreeMap::new();
        for (path, inode) in std::mem::take(&mut self.durable_names) {
            let parent = path.parent();
            if parent.is_none_or(|parent| reachable.get(parent) == Some(&DIRECTORY)) {
                reachable.insert(path, inode);
            }
        }
        self.durable_names = reachable;
    }

    fn forget_unnamed(&mut self) {
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.inodes.retain(|inode, _| named.contains(inode));
    }
}

impl Inode {
    /// Makes a part of the unsynced changes durable and forgets them all.
    fn tear(&mut self, random: &mut Random, tear: Tear) {
        let changes = std::mem::take(&mut self.changes);
        let pieces: Vec<Change> = changes.iter().flat_map(Change::sectors).collect();
        // Often all or nothing, else a part.
        let keep = random.below(4);
        let prefix = random.below(pieces.len() as u64 + 1);
        for (index, piece) in pieces.into_iter().enumerate() {
            let kept = match (keep, tear) {
                (0, _) => false,
                (1, _) => true,
                (_, Tear::Prefix) => (index as u64) < prefix,
                (_, Tear::Sectors) => random.flip(),
            };
            if kept {
                piece.apply(&mut self.durable);
            }
        }
    }
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => data.resize(to_index(*len), 0),
            Self::Write { offset, bytes } => {
                let start = to_index(*offset);
                let end = start + bytes.len();
                if data.len() < end {
                    data.resize(end, 0);
                }
                data[start..end].copy_from_slice(bytes);
            }
        }
    }

    /// The change in pieces, none across the border of a sector.
    fn sectors(&self) -> Vec<Self> {
        let Self::Write { offset, bytes } = self else {
            return vec![self.clone()];
        };
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < bytes.len() {
            let at = offset + start as u64;
            let room = to_index(SECTOR_BYTES - at % SECTOR_BYTES);
            let end = bytes.len().min(start + room);
            pieces.push(Self::Write {
                offset: at,
                bytes: bytes[start..end].to_vec(),
            });
            start = end;
        }
        pieces
    }
}

/// Everything here is in memory, so that every position is an index.
fn to_index(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
