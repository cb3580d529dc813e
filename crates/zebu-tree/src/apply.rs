//! Carrying out transactions.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use zebu_proto::txn::{CreateTxn, CreateTxnKind, Txn, TxnHeader, TxnRecord};
use zebu_proto::{AclList, ErrorCode, Owner, Stat, StatPersisted, Value, ValueRef, Zxid, path};

use crate::node::Slot;
use crate::quota;
use crate::tree::{QUOTA, Tree};

/// A change of one node, as those who watch see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The node came into being, its parent has a child more.
    Created,
    /// The node is gone, its parent has a child less.
    Deleted,
    /// Its data was set.
    DataChanged,
}

/// Receives the changes of a transaction, in order, as they happen.
pub trait Changes {
    /// `acl` and `parent_acl` decide who may learn of it. `parent_acl` is `None` for [`Change::DataChanged`].
    fn change(&mut self, change: Change, path: &str, acl: &AclList, parent_acl: Option<&AclList>);
}

/// For those who do not care: replay, learners in synchronization.
impl Changes for () {
    fn change(&mut self, _: Change, _: &str, _: &AclList, _: Option<&AclList>) {}
}

/// What came of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out and there is nothing to tell.
    Done,
    /// The node that was created or written to, after it.
    Stat(Stat),
    /// One outcome for each element of a multi.
    Multi(Vec<Self>),
    /// The code of a refusal. Also for transactions that have no effect when they are replayed onto a state that holds
    /// them already.
    Error(i32),
}

impl Outcome {
    const fn error(code: ErrorCode) -> Self {
        Self::Error(code.code())
    }
}

impl Tree {
    /// Carries out a transaction and makes it the last one applied.
    ///
    /// Replaying a transaction onto a state that already holds its effect, as after loading a snapshot that was written
    /// while writes went on, gives the same final state.
    ///
    /// Source: `org.apache.zookeeper.server.DataTree.processTxn`.
    pub fn apply(&mut self, record: &TxnRecord, changes: &mut impl Changes) -> Outcome {
        let outcome = self.apply_body(&record.header, &record.txn, changes);
        self.advance(record.header.zxid);
        outcome
    }

    fn apply_body(&mut self, header: &TxnHeader, txn: &Txn, changes: &mut impl Changes) -> Outcome {
        match txn {
            Txn::Create(create) => self.apply_create(header, create, changes),
            Txn::Delete { path } | Txn::DeleteContainer { path } => self.apply_delete(header.zxid, path, changes),
            Txn::SetData { path, data, version } | Txn::Reconfig { path, data, version } => {
                self.apply_set_data(header, path, data, *version, changes)
            }
            Txn::SetAcl { path, acl, version } => self.apply_set_acl(path, acl, *version),
            Txn::Check { .. } => Outcome::Done,
            Txn::Multi(elements) => self.apply_multi(header, elements, changes),
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(header.session, *timeout_ms);
                Outcome::Done
            }
            Txn::CloseSession { paths } => {
                self.apply_close_session(header, paths.as_deref().unwrap_or_default(), changes);
                Outcome::Done
            }
            Txn::Error { err } => Outcome::Error(*err),
        }
    }

    fn apply_create(&mut self, header: &TxnHeader, create: &CreateTxn, changes: &mut impl Changes) -> Outcome {
        let Some((parent_path, name)) = path::split(&create.path) else {
            return Outcome::error(ErrorCode::NoNode);
        };
        let Some(parent) = self.find(parent_path) else {
            return Outcome::error(ErrorCode::NoNode);
        };
        let owner = match create.kind {
            CreateTxnKind::Create { ephemeral: true } | CreateTxnKind::Create2 { ephemeral: true } => {
                Owner::Session(header.session)
            }
            CreateTxnKind::Create { ephemeral: false } | CreateTxnKind::Create2 { ephemeral: false } => Owner::None,
            CreateTxnKind::Container => Owner::Container,
            CreateTxnKind::Ttl { ttl_ms } => Owner::Ttl(ttl_ms),
        };
        let stat = fresh_stat(header, owner.raw(self.settings.owner_rules));
        if let Some(existing) = self.find_child(parent, name) {
            self.begin_again(existing, create, &stat);
            self.change_stat(parent_path, parent, |parent| {
                // Records of releases before 3.4 lack the counter; this node was counted.
                if create.parent_cversion != -1 {
                    raise(parent, header.zxid, create.parent_cversion);
                }
            });
            return Outcome::error(ErrorCode::NodeExists);
        }
        self.insert_node(
            &create.path,
            parent,
            name,
            (&create.data).into(),
            &create.acl,
            &stat,
            |parent| {
                let cversion = match create.parent_cversion {
                    -1 => parent.cversion.wrapping_add(1),
                    cversion => cversion,
                };
                raise(parent, header.zxid, cversion);
            },
        );
        self.count_created(&create.path, parent_path, name, create.data.len());
        let parent_acl = self.acl(parent);
        changes.change(Change::Created, &create.path, &create.acl, Some(parent_acl));
        Outcome::Stat(stat.to_stat(create.data.len(), 0, self.settings.owner_rules))
    }

    /// A create is only ever prepared for a node that is not there. There is one only in a replay onto a later state:
    /// this very node or a later one of the same path. What was done to it since will be done again, or it will be
    /// created again. So it becomes what it was when it was new; its children stay, they are later ones too.
    ///
    /// Java leaves it as it is but for the ACL. That is not enough where the end of the node is not seen in the replay:
    /// when the closing of a session does not list its nodes, and the node belongs to somebody else by now.
    fn begin_again(&mut self, slot: Slot, create: &CreateTxn, stat: &StatPersisted) {
        let old_len = self.nodes.data(slot).len();
        self.replace_node(&create.path, slot, (&create.data).into(), &create.acl, stat);
        self.count_bytes(&create.path, old_len, create.data.len());
        if let Some((parent, quota::STATS)) = path::split(&create.path)
            && let Some(limited) = quota::limited_path(parent)
        {
            self.recount(limited);
        }
    }

    fn apply_delete(&mut self, zxid: Zxid, node_path: &str, changes: &mut impl Changes) -> Outcome {
        let Some((parent_path, name)) = path::split(node_path) else {
            return Outcome::error(ErrorCode::NoNode);
        };
        let Some(parent) = self.find(parent_path) else {
            return Outcome::error(ErrorCode::NoNode);
        };
        let raise = |parent: &mut StatPersisted| parent.pzxid = parent.pzxid.max(zxid);
        let Some(slot) = self.find_child(parent, name) else {
            self.change_stat(parent_path, parent, raise);
            return Outcome::error(ErrorCode::NoNode);
        };
        self.remove_descendants(slot);
        let acl = self.acl(slot).clone();
        let len = self.remove_leaf(node_path, slot, raise);
        self.count_deleted(node_path, parent_path, name, len);
        let parent_acl = self.acl(parent);
        changes.change(Change::Deleted, node_path, &acl, Some(parent_acl));
        Outcome::Done
    }

    /// A delete is only ever prepared for a node without children. There are some only in a replay onto a later state,
    /// in which the node was created again; then they are created again as well.
    fn remove_descendants(&mut self, top: Slot) {
        if self.nodes.children_count(top) == 0 {
            return;
        }
        let mut below: Vec<Slot> = self.subtree(top).skip(1).collect();
        while let Some(slot) = below.pop() {
            let path = self.path_of(slot);
            let len = self.remove_leaf(&path, slot, |_| ());
            if let Some((parent_path, name)) = path::split(&path) {
                self.count_deleted(&path, parent_path, name, len);
            }
        }
    }

    fn apply_set_data(
        &mut self,
        header: &TxnHeader,
        path: &str,
        data: &Value,
        version: i32,
        changes: &mut impl Changes,
    ) -> Outcome {
        let Some(slot) = self.find(path) else {
            return Outcome::error(ErrorCode::NoNode);
        };
        let node = self.set_data(path, slot, data.into(), |stat| {
            stat.version = version;
            stat.mzxid = header.zxid;
            stat.mtime = header.time.0;
        });
        self.count_bytes(path, node.len, data.len());
        changes.change(Change::DataChanged, path, self.acls.list(node.acl), None);
        Outcome::Stat(node.stat.to_stat(data.len(), node.children, self.settings.owner_rules))
    }

    fn apply_set_acl(&mut self, path: &str, acl: &AclList, version: i32) -> Outcome {
        let Some(slot) = self.find(path) else {
            return Outcome::error(ErrorCode::NoNode);
        };
        self.set_acl(slot, acl);
        self.change_stat(path, slot, |stat| stat.aversion = version);
        let body = self.nodes.body(slot);
        let len = self.nodes.value(&body).len();
        Outcome::Stat(body.stat.to_stat(len, body.children.count(), self.settings.owner_rules))
    }

    /// All elements or none: an element of type error stands for the refusal of the whole.
    fn apply_multi(&mut self, header: &TxnHeader, elements: &[Txn], changes: &mut impl Changes) -> Outcome {
        let refused = elements
            .iter()
            .position(|element| matches!(element, Txn::Error { err } if *err != 0));
        let refused = refused.or_else(|| elements.iter().position(|element| matches!(element, Txn::Error { .. })));
        let Some(refused) = refused else {
            return Outcome::Multi(
                elements
                    .iter()
                    .map(|txn| self.apply_body(header, txn, changes))
                    .collect(),
            );
        };
        let outcome = |(at, element): (usize, &Txn)| match element {
            Txn::Error { err } => Outcome::Error(*err),
            _ if at < refused => Outcome::Error(0),
            _ => Outcome::error(ErrorCode::RuntimeInconsistency),
        };
        Outcome::Multi(elements.iter().enumerate().map(outcome).collect())
    }

    fn apply_close_session(&mut self, header: &TxnHeader, paths: &[String], changes: &mut impl Changes) {
        let session = header.session;
        for path in paths {
            // A listed node that is gone already still raises its parent's pzxid.
            self.apply_delete(header.zxid, path, changes);
        }
        for path in self.ephemerals(session) {
            self.apply_delete(header.zxid, &path, changes);
        }
        self.sessions.remove(&session);
    }

    // Quotas.

    fn count_created(&mut self, node_path: &str, parent_path: &str, name: &str, bytes: usize) {
        if let Some(limited) = quota::limited_path(parent_path) {
            if name == quota::LIMITS {
                self.quotas.add(limited);
            } else if name == quota::STATS {
                self.recount(limited);
            }
        }
        self.adjust_quota(node_path, 1, signed(bytes));
    }

    fn count_deleted(&mut self, node_path: &str, parent_path: &str, name: &str, bytes: usize) {
        if name == quota::LIMITS
            && let Some(limited) = quota::limited_path(parent_path)
        {
            self.quotas.remove(limited);
        }
        self.adjust_quota(node_path, -1, -signed(bytes));
    }

    fn count_bytes(&mut self, node_path: &str, old: usize, new: usize) {
        self.adjust_quota(node_path, 0, signed(new) - signed(old));
    }

    fn adjust_quota(&mut self, node_path: &str, count: i64, bytes: i64) {
        if self.quotas.is_empty() {
            return;
        }
        let Some(stats_path) = self.quotas.nearest(node_path).map(quota::stats_path) else {
            return;
        };
        let Some(slot) = self.find(&stats_path) else { return };
        let mut usage = quota::Track::parse(self.nodes.data(slot).as_bytes());
        usage.count += count;
        usage.bytes += bytes;
        self.write_usage(&stats_path, slot, &usage);
    }

    /// Counts a subtree afresh and writes the result into its usage node.
    pub(crate) fn recount(&mut self, limited: &str) {
        let stats_path = quota::stats_path(limited);
        let Some(slot) = self.find(&stats_path) else { return };
        let mut usage = quota::Track::nothing();
        // Where there is no such path, there is nothing in use.
        let top = self.find(limited);
        for below in top.into_iter().flat_map(|top| self.subtree(top)) {
            usage.count += 1;
            usage.bytes += signed(self.nodes.data(below).len());
        }
        self.write_usage(&stats_path, slot, &usage);
    }

    /// Rewrites a usage node in place: no version, no zxid, no event.
    fn write_usage(&mut self, stats_path: &str, slot: Slot, usage: &quota::Track) {
        self.set_data(stats_path, slot, ValueRef::Bytes(usage.to_text().as_bytes()), |_| ());
    }

    /// Finds all quotas again and counts their subtrees, after a load.
    pub(crate) fn rebuild_quotas(&mut self) {
        let Some(top) = self.find(QUOTA) else { return };
        let limits = self.subtree(top).filter(|slot| self.nodes.name(*slot) == quota::LIMITS);
        let limited: BTreeSet<String> = limits.map(|slot| self.path_of(self.nodes.parent(slot))).collect();
        for parent in limited {
            if let Some(limited) = quota::limited_path(&parent) {
                self.quotas.add(limited);
                self.recount(limited);
            }
        }
    }
}

/// The counter of created children and the last change of the list of children only ever rise: what is replayed onto a
/// later state must not take them back.
const fn raise(parent: &mut StatPersisted, zxid: Zxid, cversion: i32) {
    if cversion > parent.cversion {
        parent.cversion = cversion;
        parent.pzxid = zxid;
    }
}

fn fresh_stat(header: &TxnHeader, ephemeral_owner: i64) -> StatPersisted {
    StatPersisted {
        czxid: header.zxid,
        mzxid: header.zxid,
        pzxid: header.zxid,
        ctime: header.time.0,
        mtime: header.time.0,
        ephemeral_owner,
        ..StatPersisted::default()
    }
}

fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
