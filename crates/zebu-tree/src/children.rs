//! Which nodes are below a node: a chain for few, a hash table of chains for many.
//!
//! A chain runs through the slots of the children themselves. The table of a parent with many children has about as
//! many chains as there are children, and grows and shrinks by one chain at a time (linear hashing, Litwin 1980), so no
//! insertion takes longer than others, however many there are.

use alloc::vec::Vec;

use crate::node::{NONE, Slot, Slots};

/// With more children than this a parent gets a table.
const CHAIN_MAX: u32 = 8;
/// With fewer than this it loses it again.
const TABLE_MIN: u32 = 4;

/// Children of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Children {
    None,
    /// One chain.
    Chain {
        first: Slot,
        count: u32,
    },
    /// Number of a table.
    Table {
        table: u32,
        count: u32,
    },
}

impl Children {
    pub(crate) const fn count(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Chain { count, .. } | Self::Table { count, .. } => count,
        }
    }

    /// First slot or number of the table, and the number of children.
    pub(crate) const fn to_raw(self) -> (u32, u32) {
        match self {
            Self::None => (NONE, 0),
            Self::Chain { first, count } => (first, count),
            Self::Table { table, count } => (table, count),
        }
    }

    pub(crate) const fn from_raw(first: u32, count: u32, in_table: bool) -> Self {
        match (count, in_table) {
            (0, _) => Self::None,
            (count, false) => Self::Chain { first, count },
            (count, true) => Self::Table { table: first, count },
        }
    }
}

/// The tables of all parents that have one.
#[derive(Default)]
pub(crate) struct Tables {
    tables: Vec<Table>,
    vacant: Vec<u32>,
}

/// First slots of chains; the hash of a name decides which.
#[derive(Default)]
struct Table {
    chains: Vec<Slot>,
}

impl Tables {
    /// The chain in which a child with this hash is, if it is there.
    pub(crate) fn chain(&self, children: Children, hash: u32) -> Slot {
        match children {
            Children::None => NONE,
            Children::Chain { first, .. } => first,
            Children::Table { table, .. } => {
                let table = &self.tables[table as usize];
                table.chains[table.place(hash)]
            }
        }
    }

    /// Some child, the first of all.
    pub(crate) fn first(&self, children: Children) -> Slot {
        match children {
            Children::None => NONE,
            Children::Chain { first, .. } => first,
            Children::Table { table, .. } => self.tables[table as usize].first_from(0),
        }
    }

    /// The child after `slot`, [`NONE`] after the last.
    pub(crate) fn next(&self, children: Children, slots: &Slots, slot: Slot) -> Slot {
        let (next, hash) = (slots.link(slot).next, slots.link(slot).hash);
        match children {
            Children::Table { table, .. } if next == NONE => {
                let table = &self.tables[table as usize];
                table.first_from(table.place(hash) + 1)
            }
            Children::None | Children::Chain { .. } | Children::Table { .. } => next,
        }
    }

    /// Adds a slot that is in no chain.
    pub(crate) fn insert(&mut self, children: Children, slots: &mut Slots, slot: Slot) -> Children {
        match children {
            Children::None => {
                slots.link_mut(slot).next = NONE;
                Children::Chain { first: slot, count: 1 }
            }
            Children::Chain { first, count } if count < CHAIN_MAX => {
                slots.link_mut(slot).next = first;
                Children::Chain {
                    first: slot,
                    count: count + 1,
                }
            }
            Children::Chain { first, count } => {
                slots.link_mut(slot).next = first;
                let table = self.new_table(slots, slot, count + 1);
                Children::Table {
                    table,
                    count: count + 1,
                }
            }
            Children::Table { table, count } => {
                let chains = &mut self.tables[table as usize];
                chains.insert(slots, slot);
                if count as usize >= chains.chains.len() {
                    chains.grow(slots);
                }
                Children::Table {
                    table,
                    count: count + 1,
                }
            }
        }
    }

    /// Takes a slot out of its chain.
    pub(crate) fn remove(&mut self, children: Children, slots: &mut Slots, slot: Slot) -> Children {
        match children {
            Children::None => Children::None,
            Children::Chain { mut first, count } => {
                unlink(&mut first, slots, slot);
                Children::from_raw(first, count - 1, false)
            }
            Children::Table { table, count } => {
                let chains = &mut self.tables[table as usize];
                let place = chains.place(slots.link(slot).hash);
                unlink(&mut chains.chains[place], slots, slot);
                let count = count - 1;
                if count < TABLE_MIN {
                    let first = chains.join(slots);
                    self.vacant.push(table);
                    return Children::from_raw(first, count, false);
                }
                for _ in 0..2 {
                    if chains.chains.len() / 2 > count as usize {
                        chains.shrink(slots);
                    }
                }
                Children::Table { table, count }
            }
        }
    }

    /// Makes a table of `count` slots that are in one chain.
    fn new_table(&mut self, slots: &mut Slots, first: Slot, count: u32) -> u32 {
        let mut table = Table::default();
        table.chains.resize(count as usize, NONE);
        let mut at = first;
        while at != NONE {
            let next = slots.link(at).next;
            table.insert(slots, at);
            at = next;
        }
        match self.vacant.pop() {
            Some(number) => {
                self.tables[number as usize] = table;
                number
            }
            None => {
                self.tables.push(table);
                u32::try_from(self.tables.len() - 1).expect("fewer tables than nodes, fewer nodes than 2^32")
            }
        }
    }
}

impl Table {
    /// The chain for a hash: its low bits, as many as it takes; one bit less if there is no such chain yet.
    fn place(&self, hash: u32) -> usize {
        let chains = self.chains.len();
        let mask = chains.next_power_of_two() - 1;
        let place = hash as usize & mask;
        if place < chains { place } else { place & (mask >> 1) }
    }

    fn first_from(&self, place: usize) -> Slot {
        let chains = self.chains[place..].iter();
        chains.copied().find(|first| *first != NONE).unwrap_or(NONE)
    }

    fn insert(&mut self, slots: &mut Slots, slot: Slot) {
        let link = slots.link_mut(slot);
        let place = self.place(link.hash);
        link.next = core::mem::replace(&mut self.chains[place], slot);
    }

    /// Adds a chain and moves to it what belongs there, all of which was in one other.
    fn grow(&mut self, slots: &mut Slots) {
        if self.chains.len() == self.chains.capacity() {
            self.chains.reserve_exact(self.chains.len() / 8 + 4);
        }
        let split = self.folded(self.chains.len());
        self.chains.push(NONE);
        let mut at = core::mem::replace(&mut self.chains[split], NONE);
        while at != NONE {
            let next = slots.link(at).next;
            self.insert(slots, at);
            at = next;
        }
    }

    /// Takes the last chain away.
    fn shrink(&mut self, slots: &mut Slots) {
        let mut at = self.chains.pop().unwrap_or(NONE);
        while at != NONE {
            let next = slots.link(at).next;
            self.insert(slots, at);
            at = next;
        }
        if self.chains.len() * 2 < self.chains.capacity() {
            self.chains.shrink_to(self.chains.len() + self.chains.len() / 8);
        }
    }

    /// The chain that holds what will belong to chain `place`: that without its top bit.
    const fn folded(&self, place: usize) -> usize {
        place & !(1 << place.ilog2())
    }

    /// Ends the table: one chain of all.
    fn join(&mut self, slots: &mut Slots) -> Slot {
        let mut first = NONE;
        for chain in core::mem::take(&mut self.chains) {
            let mut at = chain;
            while at != NONE {
                let next = slots.link(at).next;
                slots.link_mut(at).next = first;
                first = at;
                at = next;
            }
        }
        first
    }
}

/// Takes `slot` out of the chain that starts at `first`.
fn unlink(first: &mut Slot, slots: &mut Slots, slot: Slot) {
    let next = slots.link(slot).next;
    if *first == slot {
        *first = next;
        return;
    }
    let mut at = *first;
    while slots.link(at).next != slot {
        at = slots.link(at).next;
    }
    slots.link_mut(at).next = next;
}
