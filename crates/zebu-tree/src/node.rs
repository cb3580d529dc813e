//! How nodes are kept: 16 bytes in a slot, the rest packed into a block.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use foldhash::quality::FixedState;
use zebu_proto::{StatPersisted, Value, ValueRef};

use crate::body::{Body, Stored};
use crate::children::{Children, Tables};
use crate::heap::{Block, Heap};

/// Number of a slot. The root's is 0.
pub(crate) type Slot = u32;

/// No slot.
pub(crate) const NONE: Slot = u32::MAX;

/// The root's slot.
pub(crate) const ROOT: Slot = 0;

/// Longer data is kept as the value that it came as: a read can share it, and metadata changes without touching it.
/// Shorter data costs less to copy than an allocation of its own costs in memory.
const SHORT_BYTES_MAX: usize = 1024;

/// All nodes.
pub(crate) struct Nodes {
    slots: Slots,
    tables: Tables,
    heap: Heap,
    values: Values,
    hash: FixedState,
    /// Bytes of a body in the making.
    scratch: Vec<u8>,
}

/// What a node is made of besides its place and its children.
pub(crate) struct Content<'a> {
    pub(crate) data: ValueRef<'a>,
    pub(crate) stat: &'a StatPersisted,
    /// Number of the ACL in the [`AclTable`](crate::acl_table::AclTable).
    pub(crate) acl: u32,
    /// CRC-32 of path and data, see [`digest::prefix`](crate::digest::prefix).
    pub(crate) prefix: u32,
}

impl Nodes {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self {
            slots: Slots::default(),
            tables: Tables::default(),
            heap: Heap::new(),
            values: Values::default(),
            hash: FixedState::with_seed(hash_seed),
            scratch: Vec::new(),
        }
    }

    /// Number of slots ever used; all slot numbers are below it.
    pub(crate) fn end(&self) -> Slot {
        self.slots.end()
    }

    /// Number of nodes.
    pub(crate) const fn len(&self) -> usize {
        self.slots.used
    }

    /// Number of nodes below the one in `top`, from one pass over all slots behind it, which is fast since they lie one
    /// behind the other, and each node's parent before it.
    pub(crate) fn count_below(&self, top: Slot) -> usize {
        const BITS: u32 = u64::BITS;
        // Which of the slots from `top` on are `top` or below it.
        let mut family = alloc::vec![0_u64; (self.end() - top).div_ceil(BITS) as usize];
        family[0] = 1;
        let mut count = 0;
        for (slot, parent) in self.slots.parents_behind(top) {
            if parent < top {
                continue;
            }
            let (at, parent) = (slot - top, parent - top);
            if family[(parent / BITS) as usize] >> (parent % BITS) & 1 == 1 {
                family[(at / BITS) as usize] |= 1 << (at % BITS);
                count += 1;
            }
        }
        count
    }

    /// Whether there is a node in a slot.
    pub(crate) fn contains(&self, slot: Slot) -> bool {
        self.slots.get(slot).is_some()
    }

    /// The slot that [`Nodes::insert`] will take for a child of `parent`.
    pub(crate) fn vacancy(&self, parent: Slot) -> Slot {
        self.slots.vacancy(parent)
    }

    /// The parent's slot; the root's is its own.
    pub(crate) fn parent(&self, slot: Slot) -> Slot {
        self.slots.link(slot).parent
    }

    /// Last component of the path, the root's being empty.
    pub(crate) fn name(&self, slot: Slot) -> &str {
        core::str::from_utf8(self.name_bytes(slot)).expect("names come from strings")
    }

    pub(crate) fn name_bytes(&self, slot: Slot) -> &[u8] {
        Body::decode_name(self.bytes(slot))
    }

    pub(crate) fn stat(&self, slot: Slot) -> StatPersisted {
        self.body(slot).stat
    }

    pub(crate) fn acl(&self, slot: Slot) -> u32 {
        self.body(slot).acl
    }

    pub(crate) fn data(&self, slot: Slot) -> ValueRef<'_> {
        self.value(&self.body(slot))
    }

    /// Everything but the data of a node at once.
    pub(crate) fn body(&self, slot: Slot) -> Body<'_> {
        Body::decode(self.bytes(slot))
    }

    /// The data that belongs to a body.
    pub(crate) fn value<'a>(&'a self, body: &Body<'a>) -> ValueRef<'a> {
        match body.data {
            Stored::Null => ValueRef::Null,
            Stored::Short(bytes) => ValueRef::Bytes(bytes),
            Stored::Long { value, .. } => ValueRef::Shared(self.values.get(value)),
        }
    }

    /// Number of direct children.
    pub(crate) fn children_count(&self, slot: Slot) -> u32 {
        self.children(slot).count()
    }

    /// The child of `parent` called `name`.
    pub(crate) fn find(&self, parent: Slot, name: &[u8]) -> Option<Slot> {
        let hash = self.hash(name);
        let mut at = self.tables.chain(self.children(parent), hash);
        while at != NONE {
            let link = self.slots.link(at);
            if link.hash == hash && Body::decode_name(self.heap.bytes(link.body)) == name {
                return Some(at);
            }
            at = link.next;
        }
        None
    }

    /// Some child, the first in an order that lasts as long as no child comes or goes.
    pub(crate) fn first_child(&self, parent: Slot) -> Option<Slot> {
        let first = self.tables.first(self.children(parent));
        (first != NONE).then_some(first)
    }

    /// The child of the same parent after this one.
    pub(crate) fn next_sibling(&self, slot: Slot) -> Option<Slot> {
        let link = self.slots.link(slot);
        if link.next != NONE {
            return Some(link.next);
        }
        if slot == ROOT {
            return None;
        }
        let next = self.tables.next(self.children(link.parent), &self.slots, slot);
        (next != NONE).then_some(next)
    }

    /// The slots of all children.
    pub(crate) fn child_slots(&self, parent: Slot) -> impl Iterator<Item = Slot> + '_ {
        let children = self.children(parent);
        let mut at = self.tables.first(children);
        core::iter::from_fn(move || {
            let slot = at;
            if slot == NONE {
                return None;
            }
            at = self.tables.next(children, &self.slots, slot);
            Some(slot)
        })
    }

    /// Puts a node into the slot that [`Nodes::vacancy`] gave, as a child of `parent`, which `change` may change too. The
    /// root is its own parent and no child.
    pub(crate) fn insert<R>(
        &mut self,
        slot: Slot,
        parent: Slot,
        name: &str,
        content: &Content<'_>,
        change: impl FnOnce(&mut Body<'_>, ValueRef<'_>) -> R,
    ) -> R {
        let stored = self.store(content.data, content.prefix);
        let body = Body {
            name: name.as_bytes(),
            stat: *content.stat,
            children: Children::None,
            prefix: Some(content.prefix),
            acl: content.acl,
            data: stored.stored(content.data),
        };
        self.scratch.clear();
        body.encode(&mut self.scratch);
        let link = Link {
            parent,
            next: NONE,
            hash: self.hash(name.as_bytes()),
            body: self.heap.insert(&self.scratch),
        };
        self.slots.insert(slot, link);
        let children = self.children(parent);
        let children = if slot == ROOT {
            children
        } else {
            self.tables.insert(children, &mut self.slots, slot)
        };
        self.update(parent, |body, value| {
            body.children = children;
            change(body, value)
        })
    }

    /// Takes a node without children out of its slot and from its parent, which `change` may change too.
    pub(crate) fn remove<R>(&mut self, slot: Slot, change: impl FnOnce(&mut Body<'_>, ValueRef<'_>) -> R) -> R {
        let link = *self.slots.link(slot);
        let children = self.children(link.parent);
        let children = self.tables.remove(children, &mut self.slots, slot);
        if let Stored::Long { value, .. } = self.body(slot).data {
            self.values.remove(value);
        }
        self.heap.remove(link.body);
        self.slots.remove(slot);
        self.update(link.parent, |body, value| {
            body.children = children;
            change(body, value)
        })
    }

    /// Changes anything but the data. A node with children, or that had some, must get its prefix.
    pub(crate) fn update<R>(&mut self, slot: Slot, change: impl FnOnce(&mut Body<'_>, ValueRef<'_>) -> R) -> R {
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        let mut body = self.body(slot);
        let value = self.value(&body);
        let result = change(&mut body, value);
        body.encode(&mut scratch);
        self.put(slot, scratch);
        result
    }

    /// Replaces the data, with anything else that `change` changes. `prefix` is the digest prefix of the new data.
    pub(crate) fn set_data<R>(
        &mut self,
        slot: Slot,
        data: ValueRef<'_>,
        prefix: u32,
        change: impl FnOnce(&mut Body<'_>, ValueRef<'_>) -> R,
    ) -> R {
        let stored = self.store(data, prefix);
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        let mut body = self.body(slot);
        let value = self.value(&body);
        let result = change(&mut body, value);
        let old = body.data;
        let body = Body {
            prefix: Some(prefix),
            data: stored.stored(data),
            ..body
        };
        body.encode(&mut scratch);
        if let Stored::Long { value, .. } = old {
            self.values.remove(value);
        }
        self.put(slot, scratch);
        result
    }

    fn children(&self, slot: Slot) -> Children {
        Body::decode_children(self.bytes(slot))
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        self.heap.bytes(self.slots.link(slot).body)
    }

    fn put(&mut self, slot: Slot, bytes: Vec<u8>) {
        let link = self.slots.link_mut(slot);
        link.body = self.heap.replace(link.body, &bytes);
        self.scratch = bytes;
    }

    /// Keeps long data as it is.
    fn store(&mut self, data: ValueRef<'_>, prefix: u32) -> Kept {
        if data.len() > SHORT_BYTES_MAX {
            let value = self.values.insert(data.to_value());
            Kept::Apart { value, prefix }
        } else {
            Kept::Inside
        }
    }

    /// Any 32 bits of the hash: the table of a parent uses the low ones, and all are compared before names are.
    fn hash(&self, name: &[u8]) -> u32 {
        let [a, b, c, d, ..] = self.hash.hash_one(name).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// Where data is kept.
#[derive(Clone, Copy)]
enum Kept {
    Inside,
    Apart { value: u32, prefix: u32 },
}

impl Kept {
    fn stored(self, data: ValueRef<'_>) -> Stored<'_> {
        match self {
            Self::Apart { value, prefix } => Stored::Long { value, prefix },
            Self::Inside => data.as_option().map_or(Stored::Null, Stored::Short),
        }
    }
}

/// Long data by number.
#[derive(Default)]
struct Values {
    values: Vec<Value>,
    vacant: Vec<u32>,
}

impl Values {
    fn get(&self, number: u32) -> &Value {
        &self.values[number as usize]
    }

    fn insert(&mut self, value: Value) -> u32 {
        if let Some(number) = self.vacant.pop() {
            self.values[number as usize] = value;
            return number;
        }
        self.values.push(value);
        u32::try_from(self.values.len() - 1).expect("fewer values than nodes, fewer nodes than 2^32")
    }

    fn remove(&mut self, number: u32) {
        self.values[number as usize] = Value::NULL;
        self.vacant.push(number);
    }
}

/// A node's place.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// The root is its own parent; a free slot has none.
    parent: Slot,
    /// The next child in the same chain.
    pub(crate) next: Slot,
    /// Hash of the name.
    pub(crate) hash: u32,
    body: Block,
}

impl Link {
    const VACANT: Self = Self {
        parent: NONE,
        next: NONE,
        hash: 0,
        body: Block::NONE,
    };
}

/// Slots in one chunk: growing allocates one chunk and moves nothing.
const CHUNK: usize = 1024;

/// The places of all nodes by slot number.
///
/// A parent's slot number is always lower than those of its children. So the order of the slots is one in which parents
/// come before children, which is what a snapshot needs.
#[derive(Default)]
pub(crate) struct Slots {
    chunks: Vec<Vec<Link>>,
    free: BTreeSet<Slot>,
    used: usize,
}

impl Slots {
    fn end(&self) -> Slot {
        match self.chunks.last() {
            None => 0,
            Some(last) => slot((self.chunks.len() - 1) * CHUNK + last.len()),
        }
    }

    /// Every node behind `top`, and its parent.
    fn parents_behind(&self, top: Slot) -> impl Iterator<Item = (Slot, Slot)> + '_ {
        let (chunk, within) = (top as usize / CHUNK, top as usize % CHUNK + 1);
        let first = self.chunks[chunk].get(within..).unwrap_or_default();
        let others = self.chunks[chunk + 1..].iter().flatten();
        let links = first.iter().chain(others);
        (top + 1..)
            .zip(links)
            .map(|(slot, link)| (slot, link.parent))
            .filter(|(_, parent)| *parent != NONE)
    }

    fn get(&self, slot: Slot) -> Option<&Link> {
        let link = self.chunks.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)?;
        if link.parent == NONE { None } else { Some(link) }
    }

    /// The place of the node in a slot that is known to hold one.
    ///
    /// # Panics
    /// If it holds none: a link points nowhere, the tree is damaged.
    pub(crate) fn link(&self, slot: Slot) -> &Link {
        self.get(slot).expect("a linked slot holds a node")
    }

    /// As [`Slots::link`], to change it.
    pub(crate) fn link_mut(&mut self, slot: Slot) -> &mut Link {
        self.chunks
            .get_mut(slot as usize / CHUNK)
            .and_then(|chunk| chunk.get_mut(slot as usize % CHUNK))
            .filter(|link| link.parent != NONE)
            .expect("a linked slot holds a node")
    }

    fn vacancy(&self, parent: Slot) -> Slot {
        // The lowest that will do. So a new slot is needed only if all above the parent are taken, and the number of
        // slots stays below the most nodes there ever were times the depth of the tree.
        match self.free.range(parent.saturating_add(1)..).next() {
            Some(&free) => free,
            None => self.end(),
        }
    }

    /// # Panics
    /// When all slot numbers are used up: 2^32 nodes.
    fn insert(&mut self, at: Slot, link: Link) {
        assert!(at != NONE, "more nodes than slot numbers");
        self.used += 1;
        if self.free.remove(&at) {
            self.chunks[at as usize / CHUNK][at as usize % CHUNK] = link;
            return;
        }
        assert!(at == self.end(), "a vacancy is free or at the end");
        if (at as usize).is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(link);
        }
    }

    fn remove(&mut self, slot: Slot) {
        *self.link_mut(slot) = Link::VACANT;
        self.used -= 1;
        self.free.insert(slot);
    }
}

fn slot(index: usize) -> Slot {
    Slot::try_from(index).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::String;

    use zebu_proto::Zxid;

    use super::*;

    #[test]
    fn a_slot_takes_16_bytes() {
        assert_eq!(size_of::<Link>(), 16);
    }

    fn insert(nodes: &mut Nodes, slot: Slot, parent: Slot, name: &str) {
        let content = Content {
            data: ValueRef::Null,
            stat: &StatPersisted::default(),
            acl: 0,
            prefix: 1,
        };
        nodes.insert(slot, parent, name, &content, |body, _| body.prefix = Some(1));
    }

    #[test]
    fn a_child_never_gets_a_slot_below_its_parent() {
        let mut nodes = Nodes::new(0);
        insert(&mut nodes, ROOT, ROOT, "");
        for at in 1..3000 {
            assert_eq!(nodes.vacancy(ROOT), at);
            insert(&mut nodes, at, ROOT, &format!("{at}"));
        }
        nodes.remove(5, |_, _| ());
        nodes.remove(2000, |_, _| ());
        assert_eq!(nodes.vacancy(2500), 3000);
        assert_eq!(nodes.vacancy(7), 2000);
        insert(&mut nodes, 2000, 7, "x");
        assert_eq!(nodes.vacancy(7), 3000);
        assert_eq!(nodes.vacancy(ROOT), 5);
        assert_eq!(nodes.len(), 2999);
    }

    #[test]
    fn children_are_found_and_listed_however_many_come_and_go() {
        let mut nodes = Nodes::new(7);
        insert(&mut nodes, ROOT, ROOT, "");
        let mut there: BTreeMap<String, Slot> = BTreeMap::new();
        let check = |nodes: &Nodes, there: &BTreeMap<String, Slot>| {
            let mut listed: Vec<Slot> = nodes.child_slots(ROOT).collect();
            let mut walked: Vec<Slot> =
                core::iter::successors(nodes.first_child(ROOT), |slot| nodes.next_sibling(*slot)).collect();
            assert_eq!(listed, walked);
            listed.sort_unstable();
            walked.clear();
            walked.extend(there.values());
            walked.sort_unstable();
            assert_eq!(listed, walked);
            assert_eq!(nodes.children_count(ROOT) as usize, there.len());
            for (name, slot) in there {
                assert_eq!(nodes.find(ROOT, name.as_bytes()), Some(*slot));
            }
        };
        // Up and down over the limits between chain and table, and then far.
        for (count, end) in [(9, 0), (20, 3), (9, 2), (700, 100), (1500, 0)] {
            while there.len() < count {
                let name = format!("{}-{}", count, there.len());
                let slot = nodes.vacancy(ROOT);
                insert(&mut nodes, slot, ROOT, &name);
                there.insert(name, slot);
                if there.len() % 61 < 4 {
                    check(&nodes, &there);
                }
            }
            while there.len() > end {
                let (name, slot) = there.pop_first().unwrap();
                nodes.remove(slot, |_, _| ());
                assert_eq!(nodes.find(ROOT, name.as_bytes()), None);
                if there.len() % 61 < 4 {
                    check(&nodes, &there);
                }
            }
        }
        assert_eq!(nodes.find(ROOT, b"none"), None);
    }

    #[test]
    fn data_reads_back_as_set_whether_short_or_long() {
        let mut nodes = Nodes::new(0);
        insert(&mut nodes, ROOT, ROOT, "");
        insert(&mut nodes, 1, ROOT, "a");
        let values =
            [0, 1, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, 100_000].map(|len| Value::from(&alloc::vec![3; len][..]));
        for (at, value) in (1..).zip(values.iter().chain(values.iter().rev()).chain([&Value::NULL])) {
            let stat = StatPersisted {
                version: at,
                mzxid: Zxid(i64::from(at)),
                ..StatPersisted::default()
            };
            nodes.set_data(1, value.into(), 9, |body, _| body.stat = stat);
            assert_eq!(nodes.data(1).as_option(), value.as_option());
            assert_eq!(nodes.stat(1), stat);
            let is_shared = matches!(nodes.data(1), ValueRef::Shared(_));
            assert_eq!(is_shared, value.len() > SHORT_BYTES_MAX);
        }
        nodes.remove(1, |_, _| ());
        assert!(nodes.values.values.iter().all(Value::is_empty));
    }
}
