//! From a parent and a name to a slot.

use alloc::vec::Vec;

use foldhash::quality::FixedState;
use hashbrown::HashTable;

use crate::hash;
use crate::node::{Slot, Slots};

/// Number of tables, by the top bits of the hash: growing one moves 1/256 of the entries, which keeps the pause short.
const SHARDS: usize = 256;

/// A hash table over all nodes but the root, 4 bytes an entry: names are compared where they stand, in the node.
pub(crate) struct Index {
    shards: Vec<HashTable<Slot>>,
    state: FixedState,
}

impl Index {
    pub(crate) fn new(seed: u64) -> Self {
        let mut shards = Vec::new();
        shards.resize_with(SHARDS, HashTable::new);
        Self {
            shards,
            state: FixedState::with_seed(seed),
        }
    }

    fn shard(hash: u64) -> usize {
        // The table itself uses the top 7 bits and the low bits.
        usize::from(hash.to_be_bytes()[2])
    }

    /// The child of `parent` called `name`.
    pub(crate) fn find(&self, slots: &Slots, parent: Slot, name: &str) -> Option<Slot> {
        let hash = hash::child(&self.state, parent, name);
        let is_it = |slot: &Slot| {
            let node = slots.node(*slot);
            node.parent == parent && node.name == name
        };
        self.shards[Self::shard(hash)].find(hash, is_it).copied()
    }

    /// Enters a node that is in its slot already and not yet in the index.
    pub(crate) fn insert(&mut self, slots: &Slots, slot: Slot) {
        let node = slots.node(slot);
        let hash = hash::child(&self.state, node.parent, &node.name);
        let state = &self.state;
        self.shards[Self::shard(hash)].insert_unique(hash, slot, |slot| {
            let node = slots.node(*slot);
            hash::child(state, node.parent, &node.name)
        });
    }

    /// Removes a node that is still in its slot.
    pub(crate) fn remove(&mut self, slots: &Slots, slot: Slot) {
        let node = slots.node(slot);
        let hash = hash::child(&self.state, node.parent, &node.name);
        if let Ok(entry) = self.shards[Self::shard(hash)].find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
    }
}
