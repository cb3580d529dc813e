//! How nodes are kept: in slots of 72 bytes, linked by slot numbers.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use ecow::EcoString;
use zebu_proto::{StatPersisted, Value, Zxid};

/// Number of a slot. The root's is 0.
pub(crate) type Slot = u32;

/// No slot.
pub(crate) const NONE: Slot = u32::MAX;

/// The root's slot.
pub(crate) const ROOT: Slot = 0;

/// A znode.
///
/// Most nodes are written once and have no children. These need no more than this; what else a node may have is in
/// [`Extra`].
pub(crate) struct Node {
    /// Last component of the path; up to 15 bytes stand inline.
    pub(crate) name: EcoString,
    pub(crate) data: Value,
    pub(crate) czxid: Zxid,
    pub(crate) ctime: i64,
    /// `None` while all in it has the values of a fresh node.
    extra: Option<Box<Extra>>,
    /// The root is its own parent; a free slot has none.
    pub(crate) parent: Slot,
    pub(crate) first_child: Slot,
    pub(crate) next_sibling: Slot,
    pub(crate) previous_sibling: Slot,
    /// Number of the ACL in the [`AclTable`](crate::acl_table::AclTable).
    pub(crate) acl: u32,
    /// CRC-32 of path and data, see [`digest::prefix`](crate::digest::prefix).
    pub(crate) digest_prefix: u32,
}

/// What differs from a fresh node.
struct Extra {
    mzxid: Zxid,
    mtime: i64,
    pzxid: Zxid,
    ephemeral_owner: i64,
    version: i32,
    cversion: i32,
    aversion: i32,
    children: u32,
}

impl Node {
    /// A node without children and without siblings.
    pub(crate) fn new(
        parent: Slot,
        name: EcoString,
        data: Value,
        acl: u32,
        digest_prefix: u32,
        stat: &StatPersisted,
    ) -> Self {
        let mut node = Self {
            name,
            data,
            czxid: stat.czxid,
            ctime: stat.ctime,
            extra: None,
            parent,
            first_child: NONE,
            next_sibling: NONE,
            previous_sibling: NONE,
            acl,
            digest_prefix,
        };
        node.set_stat(stat);
        node
    }

    /// What stands in a free slot.
    const fn vacant() -> Self {
        Self {
            name: EcoString::new(),
            data: Value::NULL,
            czxid: Zxid::ZERO,
            ctime: 0,
            extra: None,
            parent: NONE,
            first_child: NONE,
            next_sibling: NONE,
            previous_sibling: NONE,
            acl: 0,
            digest_prefix: 0,
        }
    }

    const fn is_vacant(&self) -> bool {
        self.parent == NONE
    }

    fn fresh_stat(&self) -> StatPersisted {
        StatPersisted {
            czxid: self.czxid,
            mzxid: self.czxid,
            pzxid: self.czxid,
            ctime: self.ctime,
            mtime: self.ctime,
            ..StatPersisted::default()
        }
    }

    /// The stored metadata.
    pub(crate) fn stat(&self) -> StatPersisted {
        match &self.extra {
            None => self.fresh_stat(),
            Some(extra) => StatPersisted {
                czxid: self.czxid,
                mzxid: extra.mzxid,
                ctime: self.ctime,
                mtime: extra.mtime,
                version: extra.version,
                cversion: extra.cversion,
                aversion: extra.aversion,
                ephemeral_owner: extra.ephemeral_owner,
                pzxid: extra.pzxid,
            },
        }
    }

    /// Replaces the stored metadata.
    pub(crate) fn set_stat(&mut self, stat: &StatPersisted) {
        self.czxid = stat.czxid;
        self.ctime = stat.ctime;
        if self.extra.is_none() && *stat == self.fresh_stat() {
            return;
        }
        let children = self.children();
        let extra = Extra {
            mzxid: stat.mzxid,
            mtime: stat.mtime,
            pzxid: stat.pzxid,
            ephemeral_owner: stat.ephemeral_owner,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            children,
        };
        match &mut self.extra {
            Some(slot) => **slot = extra,
            none => *none = Some(Box::new(extra)),
        }
    }

    /// Number of direct children.
    pub(crate) fn children(&self) -> u32 {
        self.extra.as_ref().map_or(0, |extra| extra.children)
    }

    /// Changes the number of direct children.
    pub(crate) fn set_children(&mut self, children: u32) {
        if self.extra.is_none() {
            let stat = self.fresh_stat();
            self.extra = Some(Box::new(Extra {
                mzxid: stat.mzxid,
                mtime: stat.mtime,
                pzxid: stat.pzxid,
                ephemeral_owner: 0,
                version: 0,
                cversion: 0,
                aversion: 0,
                children,
            }));
        }
        if let Some(extra) = &mut self.extra {
            extra.children = children;
        }
    }
}

/// Nodes in one chunk: growing allocates one chunk and moves nothing.
const CHUNK: usize = 1024;

/// All nodes by slot number.
///
/// A parent's slot number is always lower than those of its children. So the order of the slots is one in which parents
/// come before children, which is what a snapshot needs.
#[derive(Default)]
pub(crate) struct Slots {
    chunks: Vec<Vec<Node>>,
    free: BTreeSet<Slot>,
    used: usize,
}

impl Slots {
    /// Number of slots ever used; all slot numbers are below it.
    pub(crate) fn end(&self) -> Slot {
        match self.chunks.last() {
            None => 0,
            Some(last) => slot((self.chunks.len() - 1) * CHUNK + last.len()),
        }
    }

    /// Number of nodes.
    pub(crate) const fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Node> {
        let node = self.chunks.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)?;
        if node.is_vacant() { None } else { Some(node) }
    }

    /// The node in a slot that is known to hold one.
    ///
    /// # Panics
    /// If it holds none: a link points nowhere, the tree is damaged.
    pub(crate) fn node(&self, slot: Slot) -> &Node {
        self.get(slot).expect("a linked slot holds a node")
    }

    /// As [`Slots::node`], to change it.
    pub(crate) fn node_mut(&mut self, slot: Slot) -> &mut Node {
        self.chunks
            .get_mut(slot as usize / CHUNK)
            .and_then(|chunk| chunk.get_mut(slot as usize % CHUNK))
            .filter(|node| !node.is_vacant())
            .expect("a linked slot holds a node")
    }

    /// The slot that [`Slots::insert`] will take for a child of `parent`.
    pub(crate) fn vacancy(&self, parent: Slot) -> Slot {
        // The lowest that will do. So a new slot is needed only if all above the parent are taken, and the number of
        // slots stays below the most nodes there ever were times the depth of the tree.
        match self.free.range(parent.saturating_add(1)..).next() {
            Some(&free) => free,
            None => self.end(),
        }
    }

    /// Puts a node into the slot that [`Slots::vacancy`] gave.
    ///
    /// # Panics
    /// When all slot numbers are used up: 2^32 nodes.
    pub(crate) fn insert(&mut self, at: Slot, node: Node) {
        assert!(at != NONE, "more nodes than slot numbers");
        self.used += 1;
        if self.free.remove(&at) {
            self.chunks[at as usize / CHUNK][at as usize % CHUNK] = node;
            return;
        }
        assert!(at == self.end(), "a vacancy is free or at the end");
        if (at as usize).is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(node);
        }
    }

    /// Takes a node out of its slot.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Node> {
        self.get(slot)?;
        let node = core::mem::replace(self.node_mut(slot), Node::vacant());
        self.used -= 1;
        self.free.insert(slot);
        Some(node)
    }
}

fn slot(index: usize) -> Slot {
    Slot::try_from(index).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_72_bytes() {
        assert_eq!(size_of::<Node>(), 72);
    }

    #[test]
    fn a_child_never_gets_a_slot_below_its_parent() {
        let mut slots = Slots::default();
        let node = |parent| Node::new(parent, EcoString::new(), Value::NULL, 0, 0, &StatPersisted::default());
        for at in 0..3000 {
            assert_eq!(slots.vacancy(ROOT), at);
            slots.insert(at, node(ROOT));
        }
        slots.remove(5);
        slots.remove(2000);
        assert_eq!(slots.vacancy(2500), 3000);
        assert_eq!(slots.vacancy(7), 2000);
        slots.insert(2000, node(7));
        assert_eq!(slots.vacancy(7), 3000);
        assert_eq!(slots.vacancy(ROOT), 5);
        assert_eq!(slots.len(), 2999);
    }

    #[test]
    fn metadata_reads_back_as_set() {
        let fresh = StatPersisted {
            czxid: Zxid(3),
            mzxid: Zxid(3),
            pzxid: Zxid(3),
            ctime: 9,
            mtime: 9,
            ..StatPersisted::default()
        };
        let mut node = Node::new(ROOT, EcoString::new(), Value::NULL, 0, 0, &fresh);
        assert!(node.extra.is_none());
        assert_eq!(node.stat(), fresh);
        let changed = StatPersisted {
            version: 1,
            mzxid: Zxid(4),
            ..fresh
        };
        node.set_children(2);
        node.set_stat(&changed);
        assert_eq!((node.stat(), node.children()), (changed, 2));
    }
}
