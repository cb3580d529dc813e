//! The tree itself: nodes, sessions, and how they are looked up.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use foldhash::quality::FixedState;
use zebu_proto::{AclList, Owner, Perms, SessionId, Stat, StatPersisted, ValueRef, WallMillis, Zxid};

use crate::acl_table::AclTable;
use crate::body::Body;
use crate::hash::SeededMap;
use crate::node::{Content, Nodes, ROOT, Slot};
use crate::quota::Quotas;
use crate::snapshot::Captures;
use crate::{Settings, digest};

/// Where the nodes of the server itself live.
pub(crate) const SYSTEM: &str = "/zookeeper";
/// Where quotas live.
pub(crate) const QUOTA: &str = "/zookeeper/quota";
/// The node with the configuration of the ensemble.
pub const CONFIG: &str = "/zookeeper/config";

/// Digests are kept for each zxid divisible by this.
const DIGEST_LOG_INTERVAL: i64 = 128;
/// So many digests are kept.
const DIGEST_LOG_LIMIT: usize = 1024;

/// The replicated state: znodes, sessions, and the last transaction applied.
pub struct Tree {
    pub(crate) settings: Settings,
    pub(crate) nodes: Nodes,
    pub(crate) acls: AclTable,
    /// Timeout in milliseconds of each session.
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    /// Ephemeral nodes by session; no session has an empty set.
    pub(crate) ephemerals: SeededMap<SessionId, BTreeSet<Slot>>,
    /// Number of slots in `ephemerals`.
    ephemeral_count: usize,
    pub(crate) containers: BTreeSet<Slot>,
    pub(crate) ttl_nodes: BTreeSet<Slot>,
    pub(crate) quotas: Quotas,
    pub(crate) digest: u64,
    pub(crate) digest_log: VecDeque<(Zxid, u64)>,
    pub(crate) last_zxid: Zxid,
    /// Bytes of all paths and data.
    pub(crate) data_bytes: u64,
    pub(crate) captures: Captures,
}

impl Tree {
    /// A tree with nothing but the nodes that exist from the start.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut tree = Self::without_nodes(settings);
        tree.add_root(&StatPersisted::default(), ValueRef::Bytes(&[]));
        tree.ensure_system_nodes();
        tree
    }

    pub(crate) fn without_nodes(settings: Settings) -> Self {
        Self {
            settings,
            nodes: Nodes::new(settings.hash_seed),
            acls: AclTable::new(settings.hash_seed),
            sessions: BTreeMap::new(),
            ephemerals: SeededMap::with_hasher(FixedState::with_seed(settings.hash_seed)),
            ephemeral_count: 0,
            containers: BTreeSet::new(),
            ttl_nodes: BTreeSet::new(),
            quotas: Quotas::default(),
            digest: 0,
            digest_log: VecDeque::new(),
            last_zxid: Zxid::ZERO,
            data_bytes: 0,
            captures: Captures::default(),
        }
    }

    pub(crate) fn add_root(&mut self, stat: &StatPersisted, data: ValueRef<'_>) {
        let prefix = digest::prefix("", data.as_bytes());
        let content = Content {
            data,
            stat,
            acl: crate::acl_table::OPEN,
            prefix,
        };
        self.nodes.insert(ROOT, ROOT, "", &content, |_, _| ());
        self.data_bytes += data.len() as u64;
        self.change_digest("", digest::node(prefix, stat));
    }

    /// The nodes of the server itself appear without a transaction and do not count as created children.
    pub(crate) fn ensure_system_nodes(&mut self) {
        let fresh = StatPersisted::default();
        let config = StatPersisted { aversion: -1, ..fresh };
        let readable = AclList::new(alloc::vec![zebu_proto::Acl::new(Perms::READ, "world", "anyone")]);
        for (path, acl, stat) in [
            (SYSTEM, &AclList::OPEN, fresh),
            (QUOTA, &AclList::OPEN, fresh),
            (CONFIG, &readable, config),
        ] {
            if self.find(path).is_none()
                && let Some((parent, name)) = zebu_proto::path::split(path)
                && let Some(parent) = self.find(parent)
            {
                self.insert_node(path, parent, name, ValueRef::Bytes(&[]), acl, &stat, |_| ());
            }
        }
    }

    /// The settings that the tree was made with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The last transaction applied.
    #[must_use]
    pub const fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The tree digest, 0 if digests are off.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        if self.settings.digest { self.digest } else { 0 }
    }

    /// Digests after some of the last transactions, oldest first.
    pub fn digest_log(&self) -> impl Iterator<Item = (Zxid, u64)> + '_ {
        self.digest_log.iter().copied()
    }

    /// Number of nodes, the root included.
    #[must_use]
    pub const fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of all paths and data.
    #[must_use]
    pub const fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Number of ordinary ephemeral nodes.
    #[must_use]
    pub const fn ephemeral_count(&self) -> usize {
        self.ephemeral_count
    }

    /// All sessions with their timeouts in milliseconds, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> + '_ {
        self.sessions.iter().map(|(session, timeout)| (*session, *timeout))
    }

    /// A session's timeout in milliseconds.
    #[must_use]
    pub fn session_timeout(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).copied()
    }

    /// Sessions that own ephemeral nodes, by id.
    #[must_use]
    pub fn sessions_with_ephemerals(&self) -> Vec<SessionId> {
        let mut sessions: Vec<SessionId> = self.ephemerals.keys().copied().collect();
        sessions.sort_unstable();
        sessions
    }

    /// The same in no order: quick, however many there are.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.ephemerals.keys().copied()
    }

    /// Some of the paths of a session's ephemeral nodes, at most `count`, and where to go on: 0 is the beginning, `None`
    /// the end. For those who must not hold the tree for as long as all of them take.
    #[must_use]
    pub fn ephemerals_from(&self, session: SessionId, from: u32, count: usize) -> (Vec<String>, Option<u32>) {
        let Some(slots) = self.ephemerals.get(&session) else {
            return (Vec::new(), None);
        };
        let mut rest = slots.range(from..);
        let paths = rest.by_ref().take(count).map(|slot| self.path_of(*slot)).collect();
        (paths, rest.next().copied())
    }

    /// Paths of a session's ephemeral nodes.
    #[must_use]
    pub fn ephemerals(&self, session: SessionId) -> Vec<String> {
        self.ephemerals
            .get(&session)
            .into_iter()
            .flatten()
            .map(|slot| self.path_of(*slot))
            .collect()
    }

    /// The node at `path`. The empty string is the root, like `/`.
    #[must_use]
    pub fn node(&self, path: &str) -> Option<NodeView<'_>> {
        self.find(path).map(|slot| NodeView { tree: self, slot })
    }

    /// Number of all descendants of the node at `path`, itself not counted. Takes some milliseconds for a million nodes.
    #[must_use]
    pub fn descendants(&self, path: &str) -> Option<usize> {
        let top = self.find(path)?;
        if top == ROOT {
            return Some(self.nodes.len() - 1);
        }
        // To go from one to the next takes some 85 ns where there are many nodes, a pass over the slots 2 ns for each of them,
        // in the subtree or not.
        const FEW: usize = 10_000;
        let few = self.subtree(top).take(FEW).count();
        Some(if few < FEW {
            few - 1
        } else {
            self.nodes.count_below(top)
        })
    }

    /// Paths of containers and TTL nodes that are to be removed now.
    ///
    /// A container goes when it has no children and had one once, or was never used for longer than
    /// `never_used_ms_max` (0: that never ends). A TTL node goes when it has no children and was not written to for its
    /// time.
    ///
    /// Source: `org.apache.zookeeper.server.ContainerManager.getCandidates`.
    #[must_use]
    pub fn expired_containers(&self, now_ms: i64, never_used_ms_max: i64) -> Vec<String> {
        let candidates = self.containers.iter().chain(&self.ttl_nodes);
        let expired = candidates.filter(|slot| self.is_container_over(**slot, now_ms, never_used_ms_max));
        expired.map(|slot| self.path_of(*slot)).collect()
    }

    fn is_container_over(&self, slot: Slot, now_ms: i64, never_used_ms_max: i64) -> bool {
        let Body { stat, children, .. } = self.nodes.body(slot);
        let idle_ms = now_ms.saturating_sub(stat.mtime);
        children.count() == 0
            && match self.settings.owner_rules.owner(stat.ephemeral_owner) {
                Owner::Container => stat.cversion > 0 || (never_used_ms_max != 0 && idle_ms > never_used_ms_max),
                Owner::Ttl(ttl_ms) => ttl_ms != 0 && idle_ms > ttl_ms,
                Owner::None | Owner::Session(_) => false,
            }
    }

    // Below: what the other modules of this crate build on.

    pub(crate) fn find(&self, path: &str) -> Option<Slot> {
        if path.is_empty() || path == "/" {
            return Some(ROOT);
        }
        // Byte by byte: components are short, and this is the way to every node.
        let mut rest = path.as_bytes().strip_prefix(b"/")?;
        let mut slot = ROOT;
        while let Some(end) = rest.iter().position(|byte| *byte == b'/') {
            slot = self.nodes.find(slot, &rest[..end])?;
            rest = &rest[end + 1..];
        }
        self.nodes.find(slot, rest)
    }

    pub(crate) fn find_child(&self, parent: Slot, name: &str) -> Option<Slot> {
        self.nodes.find(parent, name.as_bytes())
    }

    /// The path of a node; the root's is empty.
    pub(crate) fn path_of(&self, slot: Slot) -> String {
        let mut path = Vec::new();
        self.push_path(slot, &mut path);
        String::from_utf8(path).expect("names come from strings")
    }

    /// Appends the path of a node.
    pub(crate) fn push_path(&self, slot: Slot, out: &mut Vec<u8>) {
        let way_up = || core::iter::successors(Some(slot), |at| Some(self.nodes.parent(*at)));
        let names = || {
            way_up()
                .take_while(|at| *at != ROOT)
                .map(|at| self.nodes.name_bytes(at))
        };
        let mut end = out.len() + names().map(|name| name.len() + 1).sum::<usize>();
        out.resize(end, b'/');
        for name in names() {
            out[end - name.len()..end].copy_from_slice(name);
            end -= name.len() + 1;
        }
    }

    /// A node and all below it, parents first.
    pub(crate) fn subtree(&self, top: Slot) -> impl Iterator<Item = Slot> + '_ {
        let mut at = Some(top);
        core::iter::from_fn(move || {
            let slot = at?;
            at = self.next_in_subtree(top, slot);
            Some(slot)
        })
    }

    fn next_in_subtree(&self, top: Slot, slot: Slot) -> Option<Slot> {
        if let Some(first) = self.nodes.first_child(slot) {
            return Some(first);
        }
        let mut at = slot;
        while at != top {
            if let Some(next) = self.nodes.next_sibling(at) {
                return Some(next);
            }
            at = self.nodes.parent(at);
        }
        None
    }

    /// Enters a new node under an existing parent, whose metadata `change` may change.
    #[allow(clippy::too_many_arguments, reason = "what a node is made of")]
    pub(crate) fn insert_node(
        &mut self,
        path: &str,
        parent: Slot,
        name: &str,
        data: ValueRef<'_>,
        acl: &AclList,
        stat: &StatPersisted,
        change: impl FnOnce(&mut StatPersisted),
    ) {
        let slot = self.nodes.vacancy(parent);
        self.capture(slot);
        self.capture(parent);
        let prefix = digest::prefix(path, data.as_bytes());
        let content = Content {
            data,
            stat,
            acl: self.acls.acquire(acl),
            prefix,
        };
        let parent_path = &path[..path.len() - name.len() - 1];
        let restat = restat(parent_path, change);
        let change = self.nodes.insert(slot, parent, name, &content, restat);
        self.change_digest(parent_path, change);
        self.change_digest(path, digest::node(prefix, stat));
        self.data_bytes += (path.len() + data.len()) as u64;
        self.register_owner(slot, stat.ephemeral_owner);
    }

    /// Takes a node without children out of the tree; `change` may change the metadata of its parent. Returns the length
    /// of its data.
    pub(crate) fn remove_leaf(&mut self, path: &str, slot: Slot, change: impl FnOnce(&mut StatPersisted)) -> usize {
        self.capture(slot);
        self.capture(self.nodes.parent(slot));
        let body = self.nodes.body(slot);
        let value = self.nodes.value(&body);
        let (acl, owner, len) = (body.acl, body.stat.ephemeral_owner, value.len());
        let digest = digest::node(prefix(path, &body, value), &body.stat);
        let parent_path = zebu_proto::path::split(path).map_or("", |(parent, _)| parent);
        let change = self.nodes.remove(slot, restat(parent_path, change));
        self.change_digest(parent_path, change);
        self.change_digest(path, digest.wrapping_neg());
        self.acls.release(acl);
        self.unregister_owner(slot, owner);
        self.data_bytes -= (path.len() + len) as u64;
        len
    }

    /// Changes a node's stored metadata.
    pub(crate) fn change_stat(&mut self, path: &str, slot: Slot, change: impl FnOnce(&mut StatPersisted)) {
        self.capture(slot);
        let change = self.nodes.update(slot, restat(path, change));
        self.change_digest(path, change);
    }

    /// Replaces a node's data, and its metadata as `change` does. Returns the length of the old data and the node's state.
    pub(crate) fn set_data(
        &mut self,
        path: &str,
        slot: Slot,
        data: ValueRef<'_>,
        change: impl FnOnce(&mut StatPersisted),
    ) -> Replaced {
        self.capture(slot);
        let prefix = digest::prefix(path, data.as_bytes());
        let (digest, replaced) = self.nodes.set_data(slot, data, prefix, |body, old| {
            let digest = digest::node(self::prefix(path, body, old), &body.stat);
            change(&mut body.stat);
            let replaced = Replaced {
                len: old.len(),
                stat: body.stat,
                children: body.children.count(),
                acl: body.acl,
            };
            (digest::node(prefix, &body.stat).wrapping_sub(digest), replaced)
        });
        self.change_digest(path, digest);
        self.data_bytes += data.len() as u64;
        self.data_bytes -= replaced.len as u64;
        replaced
    }

    /// Replaces everything about a node but its place and its children.
    pub(crate) fn replace_node(
        &mut self,
        path: &str,
        slot: Slot,
        data: ValueRef<'_>,
        acl: &AclList,
        stat: &StatPersisted,
    ) {
        let owner = self.nodes.stat(slot).ephemeral_owner;
        self.unregister_owner(slot, owner);
        self.register_owner(slot, stat.ephemeral_owner);
        self.set_acl(slot, acl);
        self.set_data(path, slot, data, |old| *old = *stat);
    }

    pub(crate) fn set_acl(&mut self, slot: Slot, acl: &AclList) {
        self.capture(slot);
        let number = self.acls.acquire(acl);
        let old = self
            .nodes
            .update(slot, |body, _| core::mem::replace(&mut body.acl, number));
        self.acls.release(old);
    }

    /// The ACL of a node.
    pub(crate) fn acl(&self, slot: Slot) -> &AclList {
        self.acls.list(self.nodes.acl(slot))
    }

    /// Counts what the digest of a node changed by.
    fn change_digest(&mut self, path: &str, change: u64) {
        if self.settings.digest && digest::covers(path) {
            self.digest = self.digest.wrapping_add(change);
        }
    }

    fn register_owner(&mut self, slot: Slot, raw: i64) {
        match self.settings.owner_rules.owner(raw) {
            Owner::None => {}
            Owner::Session(session) => {
                let is_new = self.ephemerals.entry(session).or_default().insert(slot);
                self.ephemeral_count += usize::from(is_new);
            }
            Owner::Container => {
                self.containers.insert(slot);
            }
            Owner::Ttl(_) => {
                self.ttl_nodes.insert(slot);
            }
        }
    }

    fn unregister_owner(&mut self, slot: Slot, raw: i64) {
        match self.settings.owner_rules.owner(raw) {
            Owner::None => {}
            Owner::Session(session) => {
                if let Some(nodes) = self.ephemerals.get_mut(&session) {
                    self.ephemeral_count -= usize::from(nodes.remove(&slot));
                    if nodes.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
            Owner::Container => {
                self.containers.remove(&slot);
            }
            Owner::Ttl(_) => {
                self.ttl_nodes.remove(&slot);
            }
        }
    }

    pub(crate) fn advance(&mut self, zxid: Zxid) {
        if zxid > self.last_zxid {
            self.last_zxid = zxid;
        }
        if self.settings.digest && zxid.0 % DIGEST_LOG_INTERVAL == 0 {
            if self.digest_log.len() == DIGEST_LOG_LIMIT {
                self.digest_log.pop_front();
            }
            self.digest_log.push_back((zxid, self.digest));
        }
    }

    /// Puts the text of the ensemble's configuration into [`CONFIG`]. Every server does so by itself when it begins to
    /// serve: it is no transaction, and the digest leaves this part of the tree out.
    ///
    /// Source: `ZKDatabase.initConfigInZKDatabase`.
    pub fn set_config(&mut self, text: &[u8], version: Zxid, now: WallMillis) {
        let Some(slot) = self.find(CONFIG) else { return };
        self.set_data(CONFIG, slot, ValueRef::Bytes(text), |stat| {
            stat.mzxid = version;
            stat.mtime = now.0;
            stat.version = -1;
        });
    }

    /// Sets the last transaction applied without applying one: a new epoch starts, or a state was loaded.
    pub fn set_last_zxid(&mut self, zxid: Zxid) {
        self.last_zxid = zxid;
    }
}

/// What [`Tree::set_data`] found, and left.
pub(crate) struct Replaced {
    /// Length of the data before.
    pub(crate) len: usize,
    pub(crate) stat: StatPersisted,
    /// Number of children.
    pub(crate) children: u32,
    /// Number of the ACL.
    pub(crate) acl: u32,
}

/// Changes the metadata of a node at `path`. What the change returns is that of its digest.
fn restat(path: &str, change: impl FnOnce(&mut StatPersisted)) -> impl FnOnce(&mut Body<'_>, ValueRef<'_>) -> u64 {
    move |body, value| {
        let prefix = prefix(path, body, value);
        body.prefix = Some(prefix);
        let before = body.stat;
        change(&mut body.stat);
        if body.stat == before {
            return 0;
        }
        digest::node(prefix, &body.stat).wrapping_sub(digest::node(prefix, &before))
    }
}

/// The digest prefix of a node, computed if it is not kept.
fn prefix(path: &str, body: &Body<'_>, value: ValueRef<'_>) -> u32 {
    body.prefix.unwrap_or_else(|| digest::prefix(path, value.as_bytes()))
}

/// A node in full, read at once.
pub(crate) struct State<'a> {
    pub(crate) stat: StatPersisted,
    pub(crate) acl: &'a AclList,
    pub(crate) children: u32,
    pub(crate) data_len: usize,
    pub(crate) digest_prefix: u32,
}

/// A node as readers see it.
#[derive(Clone, Copy)]
pub struct NodeView<'a> {
    tree: &'a Tree,
    slot: Slot,
}

impl<'a> NodeView<'a> {
    /// Its data.
    #[must_use]
    pub fn data(&self) -> ValueRef<'a> {
        self.tree.nodes.data(self.slot)
    }

    /// Its metadata as clients see it.
    #[must_use]
    pub fn stat(&self) -> Stat {
        let body = self.tree.nodes.body(self.slot);
        let data_length = self.tree.nodes.value(&body).len();
        body.stat
            .to_stat(data_length, body.children.count(), self.tree.settings.owner_rules)
    }

    /// Its metadata as stored.
    #[must_use]
    pub fn stored_stat(&self) -> StatPersisted {
        self.tree.nodes.stat(self.slot)
    }

    /// Its ACL.
    #[must_use]
    pub fn acl(&self) -> &'a AclList {
        self.tree.acl(self.slot)
    }

    /// Number of its children.
    #[must_use]
    pub fn children_count(&self) -> u32 {
        self.tree.nodes.children_count(self.slot)
    }

    /// Names of its children, in no particular order.
    pub fn children(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let nodes = &self.tree.nodes;
        nodes.child_slots(self.slot).map(|slot| nodes.name(slot))
    }

    /// All that [`Pending`](crate::Pending) wants to know. `path` is the node's own.
    pub(crate) fn state(&self, path: &str) -> State<'a> {
        let body = self.tree.nodes.body(self.slot);
        let value = self.tree.nodes.value(&body);
        State {
            stat: body.stat,
            acl: self.tree.acls.list(body.acl),
            children: body.children.count(),
            data_len: value.len(),
            digest_prefix: prefix(path, &body, value),
        }
    }
}
