//! Consistent snapshots while writes go on.
//!
//! A capture notes the state at one zxid without copying it. The snapshot is then read in pieces, slot by slot, while
//! transactions are applied in between. Whoever changes a node that the reader has not reached yet puts the node as it
//! was aside first. So the snapshot is exactly the tree at its zxid, with the digest that belongs to it: nothing of what
//! makes loading of fuzzy snapshots delicate can occur in our own.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use zebu_proto::jute::Write;
use zebu_proto::{AclList, SessionId, StatPersisted, Value, Zxid, snapshot};

use crate::Tree;
use crate::acl_table::AclTable;
use crate::node::Slot;

/// A snapshot that is being read.
///
/// Give it back with [`Tree::end_capture`].
pub struct Capture {
    number: u64,
    progress: Arc<Progress>,
    zxid: Zxid,
    digest: u64,
    sessions: Vec<(SessionId, i32)>,
    acls: Vec<(i64, AclList)>,
    nodes: usize,
}

/// The first slot that the reader has not written yet. The reader moves it under the shared lock, so that no writer
/// runs at the same time; the writer only looks at it.
#[derive(Default)]
struct Progress {
    next: AtomicU32,
}

/// The captures under way, as the writer sees them.
#[derive(Default)]
pub(crate) struct Captures {
    active: Vec<Active>,
    last_number: u64,
}

struct Active {
    number: u64,
    progress: Arc<Progress>,
    end: Slot,
    /// Nodes as they were, for slots that were changed before the reader got there. `None`: the slot was free.
    saved: BTreeMap<Slot, Option<Image>>,
}

/// What [`Tree::end_capture`] leaves over, to be dropped.
pub struct Leftovers(#[allow(dead_code, reason = "held to be dropped")] Option<BTreeMap<Slot, Option<Image>>>);

/// A node as it was when the capture began.
struct Image {
    path: String,
    data: Value,
    acl_key: i64,
    stat: StatPersisted,
}

impl Tree {
    /// Begins a snapshot of the state as it is now. Takes time for sessions and ACLs, not for nodes.
    pub fn begin_capture(&mut self) -> Capture {
        self.captures.last_number += 1;
        let number = self.captures.last_number;
        let progress = Arc::new(Progress::default());
        let end = self.nodes.end();
        self.captures.active.push(Active {
            number,
            progress: progress.clone(),
            end,
            saved: BTreeMap::new(),
        });
        Capture {
            number,
            progress,
            zxid: self.last_zxid,
            digest: self.digest(),
            sessions: self.sessions().collect(),
            acls: self.acls.iter().map(|(key, list)| (key, list.clone())).collect(),
            nodes: self.node_count(),
        }
    }

    /// Appends nodes to `out` until it has `bytes_wanted` bytes or no nodes are left; the end mark follows the last.
    /// Returns whether that was all.
    ///
    /// # Panics
    /// If the capture was ended.
    pub fn read_capture(&self, capture: &Capture, out: &mut Vec<u8>, bytes_wanted: usize) -> bool {
        let active = self
            .captures
            .active
            .iter()
            .find(|active| active.number == capture.number);
        let active = active.expect("a capture that is under way");
        let mut next = capture.progress.next.load(Ordering::Relaxed);
        let mut path = Vec::new();
        while next < active.end && out.len() < bytes_wanted {
            match active.saved.get(&next) {
                Some(None) => {}
                Some(Some(image)) => {
                    snapshot::encode_node(out, &image.path, &image.data, image.acl_key, &image.stat);
                }
                None if self.nodes.contains(next) => {
                    let body = self.nodes.body(next);
                    let key = AclTable::snapshot_key(body.acl);
                    path.clear();
                    self.push_path(next, &mut path);
                    let path = core::str::from_utf8(&path).expect("names come from strings");
                    snapshot::encode_node(out, path, self.nodes.value(&body), key, &body.stat);
                }
                None => {}
            }
            next += 1;
        }
        capture.progress.next.store(next, Ordering::Relaxed);
        let is_done = next >= active.end;
        if is_done {
            out.string(snapshot::END_MARK);
        }
        is_done
    }

    /// Forgets a capture, complete or not. What was put aside for it is handed out, since to free it takes its time: let
    /// go of it when the tree is no longer held.
    #[must_use = "a statement drops it while the tree is still held"]
    pub fn end_capture(&mut self, capture: &Capture) -> Leftovers {
        let place = self
            .captures
            .active
            .iter()
            .position(|active| active.number == capture.number);
        Leftovers(place.map(|place| self.captures.active.swap_remove(place).saved))
    }

    /// Call before a slot changes in any way.
    pub(crate) fn capture(&mut self, slot: Slot) {
        if self.captures.active.is_empty() {
            return;
        }
        for at in 0..self.captures.active.len() {
            let active = &self.captures.active[at];
            let is_unread = slot < active.end && slot >= active.progress.next.load(Ordering::Relaxed);
            if is_unread && !active.saved.contains_key(&slot) {
                let image = self.nodes.contains(slot).then(|| self.image(slot));
                self.captures.active[at].saved.insert(slot, image);
            }
        }
    }

    fn image(&self, slot: Slot) -> Image {
        let body = self.nodes.body(slot);
        Image {
            path: self.path_of(slot),
            data: self.nodes.value(&body).to_value(),
            acl_key: AclTable::snapshot_key(body.acl),
            stat: body.stat,
        }
    }
}

impl Capture {
    /// The last transaction that the snapshot contains.
    #[must_use]
    pub const fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// The tree digest that belongs to it.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// Number of its nodes.
    #[must_use]
    pub const fn nodes(&self) -> usize {
        self.nodes
    }

    /// Appends what stands before the nodes: sessions and the table of ACLs.
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        out.length(self.sessions.len());
        for (session, timeout_ms) in &self.sessions {
            out.long(session.0);
            out.int(*timeout_ms);
        }
        out.length(self.acls.len());
        for (key, list) in &self.acls {
            out.long(*key);
            list.encode(out);
        }
    }
}
