//! ACLs shared by number.

use alloc::vec::Vec;

use foldhash::quality::FixedState;
use zebu_proto::{AclList, snapshot};

use crate::hash::SeededMap;

/// Number of the ACL that lets everybody do everything; it is never counted and never freed.
pub(crate) const OPEN: u32 = 0;

/// Every distinct ACL once, with the number of nodes that have it.
pub(crate) struct AclTable {
    by_list: SeededMap<AclList, u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

struct Entry {
    list: AclList,
    nodes: u32,
}

impl AclTable {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            by_list: SeededMap::with_hasher(FixedState::with_seed(seed)),
            entries: alloc::vec![None],
            free: Vec::new(),
        }
    }

    /// The number of `list`, counting one node more.
    pub(crate) fn acquire(&mut self, list: &AclList) -> u32 {
        if list.is_open() {
            return OPEN;
        }
        if let Some(&number) = self.by_list.get(list) {
            if let Some(entry) = &mut self.entries[number as usize] {
                entry.nodes += 1;
            }
            return number;
        }
        let entry = Some(Entry {
            list: list.clone(),
            nodes: 1,
        });
        let number = match self.free.pop() {
            Some(number) => {
                self.entries[number as usize] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("fewer ACLs than nodes, fewer nodes than 2^32")
            }
        };
        self.by_list.insert(list.clone(), number);
        number
    }

    /// One node less has this ACL.
    pub(crate) fn release(&mut self, number: u32) {
        let Some(slot) = self.entries.get_mut(number as usize) else {
            return;
        };
        let Some(entry) = slot else { return };
        entry.nodes -= 1;
        if entry.nodes == 0 {
            self.by_list.remove(&entry.list);
            *slot = None;
            self.free.push(number);
        }
    }

    /// The list with this number.
    pub(crate) fn list(&self, number: u32) -> &AclList {
        const OPEN_LIST: &AclList = &AclList::OPEN;
        match self.entries.get(number as usize) {
            Some(Some(entry)) => &entry.list,
            _ => OPEN_LIST,
        }
    }

    /// The key under which a snapshot knows a number.
    pub(crate) fn snapshot_key(number: u32) -> i64 {
        if number == OPEN {
            snapshot::ACL_KEY_OPEN
        } else {
            i64::from(number)
        }
    }

    /// All lists with their snapshot keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &AclList)> {
        self.entries
            .iter()
            .zip(0..)
            .filter_map(|(entry, number)| entry.as_ref().map(|entry| (Self::snapshot_key(number), &entry.list)))
    }
}
