//! Judging requests against the tree and everything that is on its way.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use foldhash::quality::FixedState;
use hashbrown::{HashTable, hash_table};
use zebu_proto::client::{CreateRequest, MultiOp, MultiRequest, Request};
use zebu_proto::txn::{CreateTxn, CreateTxnKind, Txn, TxnDigest, TxnHeader, TxnRecord};
use zebu_proto::{
    AclList, CreateMode, ErrorCode, Id, OpCode, Owner, OwnerRules, Perms, RequestedAcl, SessionId, StatPersisted,
    Value, WallMillis, Xid, Zxid, path,
};

use crate::hash::SeededMap;
use crate::tree::{CONFIG, QUOTA, SYSTEM};
use crate::{Settings, Tree, access, digest, quota};

/// Who asks, and the place of the transaction that will answer.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// The client's session.
    pub session: SessionId,
    /// The client's number for the request.
    pub cxid: Xid,
    /// The transaction's zxid.
    pub zxid: Zxid,
    /// The leader's wall clock.
    pub time: WallMillis,
    /// Identities of the connection when it sent the request.
    pub ids: &'a [Id],
    /// Whether the session is known and not being closed.
    pub session_is_live: bool,
}

/// What the tree will look like when all prepared transactions are applied, as far as it differs from the tree.
pub struct Pending {
    records: HashTable<Record>,
    hash: FixedState,
    owner_rules: OwnerRules,
    /// Each record ever written that may still be there, in the order of their making.
    order: VecDeque<Place>,
    /// Path hashes of the records of ephemeral nodes by session, in the order of their making; none is empty.
    owned: SeededMap<SessionId, VecDeque<u64>>,
    /// Last transaction applied, as far as [`Pending::applied`] was told.
    applied: Zxid,
    /// Tree digest after the last prepared transaction.
    digest: u64,
    undo: Undo,
}

/// Where a record was written.
#[derive(Clone, Copy)]
struct Place {
    zxid: Zxid,
    /// Hash of the path.
    hash: u64,
    /// Session of an ephemeral node.
    owner: Option<SessionId>,
}

/// A node that a prepared transaction touches.
struct Record {
    path: Arc<str>,
    /// Hash of the path.
    hash: u64,
    zxid: Zxid,
    /// `None`: deleted.
    state: Option<NodeState>,
}

/// What later requests need to know about a node.
#[derive(Clone)]
struct NodeState {
    stat: StatPersisted,
    acl: AclList,
    children: u32,
    data_len: usize,
    digest_prefix: u32,
}

/// How to take back what the request at hand did so far.
#[derive(Default)]
struct Undo {
    /// Path hash of each record written, and the record that it replaced.
    replaced: Vec<(u64, Arc<str>, Option<Record>)>,
    digest: u64,
}

type Prepared = Result<Txn, ErrorCode>;

impl Pending {
    /// Nothing is on its way to `tree`.
    #[must_use]
    pub fn new(tree: &Tree) -> Self {
        Self {
            records: HashTable::new(),
            hash: FixedState::with_seed(tree.settings().hash_seed),
            owner_rules: tree.settings().owner_rules,
            order: VecDeque::new(),
            owned: SeededMap::with_hasher(FixedState::with_seed(tree.settings().hash_seed)),
            applied: Zxid(i64::MIN),
            digest: tree.digest(),
            undo: Undo::default(),
        }
    }

    /// Makes the transaction that answers a write request: its effect, or its refusal.
    ///
    /// # Panics
    /// If the request is not a write.
    pub fn prepare(&mut self, tree: &Tree, context: &RequestContext<'_>, request: &Request<'_>) -> TxnRecord {
        self.begin();
        let prepared = match request {
            Request::Create(create) => self.create(tree, context, create, create.op, create.ttl_ms),
            Request::Delete { path, version } => self.delete(tree, context, path, *version),
            Request::SetData { path, data, version } => self.set_data(tree, context, path, *data, *version),
            Request::SetAcl { path, acl, version } => self.set_acl(tree, context, path, acl, *version),
            Request::Multi(multi) => Ok(self.multi(tree, context, multi)),
            Request::CloseSession => Ok(self.close_session(tree, context)),
            // What it takes to change the ensemble is not in the tree. Whoever leads one deals with it before.
            Request::Reconfig { .. } => Err(ErrorCode::Unimplemented),
            _ => unreachable!("only writes are prepared"),
        };
        self.record(tree.settings(), context, prepared)
    }

    /// Makes the transaction that refuses a request with this code.
    pub fn refuse(&mut self, context: &RequestContext<'_>, error: ErrorCode) -> TxnRecord {
        self.begin();
        let txn = Txn::Error { err: error.code() };
        TxnRecord {
            header: header(context, txn.op()),
            txn,
            digest: None,
        }
    }

    /// Takes back the transaction that was prepared last and makes its refusal in its place.
    pub fn refuse_last(&mut self, context: &RequestContext<'_>, error: ErrorCode) -> TxnRecord {
        self.rollback(0);
        self.digest = self.undo.digest;
        self.refuse(context, error)
    }

    /// Makes the transaction that creates a session.
    pub fn create_session(&mut self, settings: &Settings, context: &RequestContext<'_>, timeout_ms: i32) -> TxnRecord {
        self.begin();
        self.record(settings, context, Ok(Txn::CreateSession { timeout_ms }))
    }

    /// Makes the transaction that changes the ensemble's configuration to this text, if the client may write it.
    ///
    /// Source: `PrepRequestProcessor.pRequest2Txn`, `ZooDefs.CONFIG_NODE`.
    pub fn reconfig(&mut self, tree: &Tree, context: &RequestContext<'_>, text: &[u8]) -> TxnRecord {
        self.begin();
        let prepared = self.change_config(tree, context, text);
        self.record(tree.settings(), context, prepared)
    }

    /// Makes the transaction that removes a container or a node whose time is over, if it is still to be removed.
    pub fn delete_container(&mut self, tree: &Tree, context: &RequestContext<'_>, path: &str) -> TxnRecord {
        self.begin();
        let prepared = self.remove_container(tree, context, path);
        self.record(tree.settings(), context, prepared)
    }

    /// Makes the transaction that removes an ephemeral node ahead of the end of its session.
    pub fn delete_ephemeral(&mut self, tree: &Tree, context: &RequestContext<'_>, path: &str) -> TxnRecord {
        self.begin();
        self.remove(tree, context.zxid, path);
        self.record(tree.settings(), context, Ok(Txn::Delete { path: path.to_owned() }))
    }

    /// Number of nodes that differ.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Forgets what belongs to transactions up to `zxid`: they have been applied.
    pub fn applied(&mut self, zxid: Zxid) {
        self.applied = zxid;
        while let Some(place) = self.order.front().copied()
            && place.zxid <= zxid
        {
            self.order.pop_front();
            // The table asks about records with other hashes too.
            let is_it = |record: &Record| record.hash == place.hash && record.zxid == place.zxid;
            if let Ok(entry) = self.records.find_entry(place.hash, is_it) {
                entry.remove();
            }
            if let Some(owner) = place.owner
                && let hashbrown::hash_map::Entry::Occupied(mut owned) = self.owned.entry(owner)
            {
                owned.get_mut().pop_front();
                if owned.get().is_empty() {
                    owned.remove();
                }
            }
        }
    }

    /// The ephemeral nodes that `session` will have when everything is applied.
    #[must_use]
    pub fn ephemerals(&self, tree: &Tree, session: SessionId) -> Vec<String> {
        let mut paths = tree.ephemerals(session);
        if !self.records.is_empty() {
            paths.retain(|path| self.find(path).is_none());
        }
        let Some(owned) = self.owned.get(&session) else {
            return paths;
        };
        let is_owned = |record: &&Record| {
            let state = record.state.as_ref();
            state.is_some_and(|state| self.session_of(state) == Some(session))
        };
        let records = owned
            .iter()
            .filter_map(|hash| self.records.find(*hash, |record| record.hash == *hash));
        let mut pending: Vec<String> = records.filter(is_owned).map(|record| (&*record.path).into()).collect();
        // A node that was created, deleted and created again is found each time.
        pending.sort_unstable();
        pending.dedup();
        paths.append(&mut pending);
        paths
    }

    /// The session that an ephemeral node belongs to.
    const fn session_of(&self, state: &NodeState) -> Option<SessionId> {
        match self.owner_rules.owner(state.stat.ephemeral_owner) {
            Owner::Session(session) => Some(session),
            Owner::None | Owner::Container | Owner::Ttl(_) => None,
        }
    }

    fn begin(&mut self) {
        self.undo.replaced.clear();
        self.undo.digest = self.digest;
    }

    fn record(&self, settings: &Settings, context: &RequestContext<'_>, prepared: Prepared) -> TxnRecord {
        match prepared {
            Ok(txn) => {
                let digest = TxnDigest {
                    version: TxnDigest::VERSION,
                    tree: self.digest,
                };
                TxnRecord {
                    header: header(context, txn.op()),
                    txn,
                    digest: settings.digest.then_some(digest),
                }
            }
            Err(error) => {
                let txn = Txn::Error { err: error.code() };
                TxnRecord {
                    header: header(context, txn.op()),
                    txn,
                    digest: None,
                }
            }
        }
    }

    // Looking up and writing.

    fn find(&self, path: &str) -> Option<&Record> {
        if self.records.is_empty() {
            return None;
        }
        let path = canonical(path);
        self.records
            .find(self.hash.hash_one(path), |record| &*record.path == path)
    }

    fn node(&self, tree: &Tree, path: &str) -> Option<NodeState> {
        if let Some(record) = self.find(path) {
            return record.state.clone();
        }
        let state = tree.node(path)?.state(path);
        Some(NodeState {
            stat: state.stat,
            acl: state.acl.clone(),
            children: state.children,
            data_len: state.data_len,
            digest_prefix: state.digest_prefix,
        })
    }

    fn put(&mut self, zxid: Zxid, path: &str, state: Option<NodeState>) {
        let path = canonical(path);
        let hash = self.hash.hash_one(path);
        let owner = state.as_ref().and_then(|state| self.session_of(state));
        let path: Arc<str> = path.into();
        let record = Record {
            path: path.clone(),
            hash,
            zxid,
            state,
        };
        let is_it = |other: &Record| other.path == record.path;
        let replaced = match self.records.entry(hash, is_it, |other| other.hash) {
            hash_table::Entry::Occupied(mut entry) => Some(core::mem::replace(entry.get_mut(), record)),
            hash_table::Entry::Vacant(entry) => {
                entry.insert(record);
                None
            }
        };
        self.undo.replaced.push((hash, path, replaced));
        self.order.push_back(Place { zxid, hash, owner });
        if let Some(owner) = owner {
            self.owned.entry(owner).or_default().push_back(hash);
        }
    }

    /// Takes back what was written since `self.undo.replaced` had `mark` entries. What stands in `order` and `owned` may
    /// stay: it leads to no record, or to one that was there before.
    fn rollback(&mut self, mark: usize) {
        while self.undo.replaced.len() > mark {
            let Some((hash, path, replaced)) = self.undo.replaced.pop() else {
                break;
            };
            // What was applied meanwhile has left the queue and must not come back.
            let replaced = replaced.filter(|record| record.zxid > self.applied);
            if let Ok(mut entry) = self.records.find_entry(hash, |record| record.path == path) {
                match replaced {
                    Some(record) => *entry.get_mut() = record,
                    None => {
                        entry.remove();
                    }
                }
            }
        }
    }

    fn count_out(&mut self, path: &str, state: &NodeState) {
        if digest::covers(path) {
            self.digest = self.digest.wrapping_sub(digest::node(state.digest_prefix, &state.stat));
        }
    }

    fn count_in(&mut self, path: &str, state: &NodeState) {
        if digest::covers(path) {
            self.digest = self.digest.wrapping_add(digest::node(state.digest_prefix, &state.stat));
        }
    }

    /// Notes that a node that exists will have another state.
    fn replace(&mut self, zxid: Zxid, path: &str, before: &NodeState, after: NodeState) {
        self.count_out(path, before);
        self.count_in(path, &after);
        self.put(zxid, path, Some(after));
    }

    /// Notes that a node will be gone. Nothing happens if it is gone already.
    fn remove(&mut self, tree: &Tree, zxid: Zxid, path: &str) {
        let Some(node) = self.node(tree, path) else { return };
        if let Some((parent_path, _)) = path::split(path)
            && let Some(parent) = self.node(tree, parent_path)
        {
            let mut after = parent.clone();
            after.children = after.children.saturating_sub(1);
            after.stat.pzxid = after.stat.pzxid.max(zxid);
            self.replace(zxid, parent_path, &parent, after);
        }
        self.count_out(path, &node);
        self.put(zxid, path, None);
    }

    // One function for each kind of request. The order of the checks decides which error a client sees.

    fn create(
        &mut self,
        tree: &Tree,
        context: &RequestContext<'_>,
        create: &CreateRequest<'_>,
        op: OpCode,
        ttl_ms: i64,
    ) -> Prepared {
        let settings = tree.settings();
        let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        check_ttl(settings, ttl_ms, mode, op)?;
        check(context.session_is_live, ErrorCode::SessionExpired)?;
        let requested = slash_checked(&create.path)?;
        let (parent_path, _) = path::split(requested).ok_or(ErrorCode::BadArguments)?;
        let acl = access::fixup(&create.acl, context.ids, settings).ok_or(ErrorCode::InvalidAcl)?;
        let parent = self.node(tree, parent_path).ok_or(ErrorCode::NoNode)?;
        check(
            access::permits(&parent.acl, Perms::CREATE, context.ids, settings),
            ErrorCode::NoAuth,
        )?;
        let path = if mode.is_sequential() {
            format!("{requested}{:010}", parent.stat.cversion)
        } else {
            String::from(requested)
        };
        check(path::is_valid(&path), ErrorCode::BadArguments)?;
        check(self.node(tree, &path).is_none(), ErrorCode::NodeExists)?;
        let parent_owner = settings.owner_rules.owner(parent.stat.ephemeral_owner);
        check(
            !matches!(parent_owner, Owner::Session(_)),
            ErrorCode::NoChildrenForEphemerals,
        )?;
        let data = Value::from_option(create.data);
        self.check_quota(tree, &path, 1, signed(data.len()))?;

        let kind = match op {
            OpCode::CreateContainer => CreateTxnKind::Container,
            OpCode::CreateTtl => CreateTxnKind::Ttl { ttl_ms },
            OpCode::Create2 => CreateTxnKind::Create2 {
                ephemeral: mode.is_ephemeral(),
            },
            _ => CreateTxnKind::Create {
                ephemeral: mode.is_ephemeral(),
            },
        };
        let mut after = parent.clone();
        after.stat.cversion = after.stat.cversion.wrapping_add(1);
        // A counter at its end stays there: applying raises it only.
        let parent_cversion = after.stat.cversion;
        after.stat.cversion = after.stat.cversion.max(parent.stat.cversion);
        if parent_cversion > parent.stat.cversion {
            after.stat.pzxid = context.zxid;
        }
        after.children += 1;
        self.replace(context.zxid, parent_path, &parent, after);
        let node = NodeState {
            stat: StatPersisted {
                czxid: context.zxid,
                mzxid: context.zxid,
                pzxid: context.zxid,
                ctime: context.time.0,
                mtime: context.time.0,
                ephemeral_owner: owner(kind, context.session).raw(settings.owner_rules),
                ..StatPersisted::default()
            },
            acl: acl.clone(),
            children: 0,
            data_len: data.len(),
            digest_prefix: digest::prefix(&path, data.as_bytes()),
        };
        self.count_in(&path, &node);
        self.put(context.zxid, &path, Some(node));
        Ok(Txn::Create(CreateTxn {
            kind,
            path,
            data,
            acl,
            parent_cversion,
        }))
    }

    fn delete(&mut self, tree: &Tree, context: &RequestContext<'_>, path: &str, version: i32) -> Prepared {
        check(context.session_is_live, ErrorCode::SessionExpired)?;
        let path = deletable(path)?;
        let (parent_path, _) = path::split(path).ok_or(ErrorCode::BadArguments)?;
        let parent = self.node(tree, parent_path).ok_or(ErrorCode::NoNode)?;
        check(
            access::permits(&parent.acl, Perms::DELETE, context.ids, tree.settings()),
            ErrorCode::NoAuth,
        )?;
        let node = self.node(tree, path).ok_or(ErrorCode::NoNode)?;
        check_version(version, node.stat.version)?;
        check(node.children == 0, ErrorCode::NotEmpty)?;
        self.remove(tree, context.zxid, path);
        Ok(Txn::Delete { path: path.to_owned() })
    }

    fn remove_container(&mut self, tree: &Tree, context: &RequestContext<'_>, path: &str) -> Prepared {
        let path = deletable(path)?;
        let node = self.node(tree, path).ok_or(ErrorCode::NoNode)?;
        check(node.children == 0, ErrorCode::NotEmpty)?;
        // The node that was found may be another one by now, or may have been written to.
        let is_still_over = match self.owner_rules.owner(node.stat.ephemeral_owner) {
            Owner::Container => true,
            Owner::Ttl(ttl_ms) => context.time.0.saturating_sub(node.stat.mtime) > ttl_ms,
            Owner::None | Owner::Session(_) => false,
        };
        check(is_still_over, ErrorCode::BadVersion)?;
        self.remove(tree, context.zxid, path);
        Ok(Txn::DeleteContainer { path: path.to_owned() })
    }

    fn set_data(
        &mut self,
        tree: &Tree,
        context: &RequestContext<'_>,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
    ) -> Prepared {
        check(context.session_is_live, ErrorCode::SessionExpired)?;
        check(path::is_valid(path), ErrorCode::BadArguments)?;
        let node = self.node(tree, path).ok_or(ErrorCode::NoNode)?;
        check(
            access::permits(&node.acl, Perms::WRITE, context.ids, tree.settings()),
            ErrorCode::NoAuth,
        )?;
        let data = Value::from_option(data);
        self.check_quota(tree, path, 0, signed(data.len()) - signed(node.data_len))?;
        check_version(version, node.stat.version)?;
        let mut after = node.clone();
        after.stat.version = next_version(node.stat.version);
        after.stat.mzxid = context.zxid;
        after.stat.mtime = context.time.0;
        after.data_len = data.len();
        after.digest_prefix = digest::prefix(path, data.as_bytes());
        let version = after.stat.version;
        self.replace(context.zxid, path, &node, after);
        Ok(Txn::SetData {
            path: path.to_owned(),
            data,
            version,
        })
    }

    fn change_config(&mut self, tree: &Tree, context: &RequestContext<'_>, text: &[u8]) -> Prepared {
        let node = self.node(tree, CONFIG).ok_or(ErrorCode::NoNode)?;
        check(
            access::permits(&node.acl, Perms::WRITE, context.ids, tree.settings()),
            ErrorCode::NoAuth,
        )?;
        let mut after = node.clone();
        after.stat.version = -1;
        after.stat.mzxid = context.zxid;
        after.stat.mtime = context.time.0;
        after.data_len = text.len();
        after.digest_prefix = digest::prefix(CONFIG, text);
        self.replace(context.zxid, CONFIG, &node, after);
        Ok(Txn::Reconfig {
            path: CONFIG.to_owned(),
            data: Value::from_option(Some(text)),
            version: -1,
        })
    }

    fn set_acl(
        &mut self,
        tree: &Tree,
        context: &RequestContext<'_>,
        path: &str,
        acl: &RequestedAcl,
        version: i32,
    ) -> Prepared {
        check(context.session_is_live, ErrorCode::SessionExpired)?;
        check(path::is_valid(path), ErrorCode::BadArguments)?;
        let acl = access::fixup(acl, context.ids, tree.settings()).ok_or(ErrorCode::InvalidAcl)?;
        let node = self.node(tree, path).ok_or(ErrorCode::NoNode)?;
        check(
            access::permits(&node.acl, Perms::ADMIN, context.ids, tree.settings()),
            ErrorCode::NoAuth,
        )?;
        check_version(version, node.stat.aversion)?;
        let mut after = node.clone();
        after.stat.aversion = next_version(node.stat.aversion);
        after.acl = acl.clone();
        let version = after.stat.aversion;
        self.replace(context.zxid, path, &node, after);
        Ok(Txn::SetAcl {
            path: path.to_owned(),
            acl,
            version,
        })
    }

    fn check_version_of(&self, tree: &Tree, context: &RequestContext<'_>, path: &str, version: i32) -> Prepared {
        check(context.session_is_live, ErrorCode::SessionExpired)?;
        check(path::is_valid(path), ErrorCode::BadArguments)?;
        let node = self.node(tree, path).ok_or(ErrorCode::NoNode)?;
        check(
            access::permits(&node.acl, Perms::READ, context.ids, tree.settings()),
            ErrorCode::NoAuth,
        )?;
        check_version(version, node.stat.version)?;
        Ok(Txn::Check {
            path: path.to_owned(),
            version: next_version(node.stat.version),
        })
    }

    /// All elements, or none and the reason. Each element sees the effects of those before it.
    fn multi(&mut self, tree: &Tree, context: &RequestContext<'_>, multi: &MultiRequest<'_>) -> Txn {
        let digest = self.digest;
        let mut elements = Vec::with_capacity(multi.ops.len());
        for op in &multi.ops {
            let prepared = match op {
                MultiOp::Create(create) => {
                    let (op, ttl_ms) = inside_multi(create);
                    self.create(tree, context, create, op, ttl_ms)
                }
                MultiOp::Delete { path, version } => self.delete(tree, context, path, *version),
                MultiOp::SetData { path, data, version } => self.set_data(tree, context, path, *data, *version),
                MultiOp::Check { path, version } => self.check_version_of(tree, context, path, *version),
                MultiOp::GetData { .. } | MultiOp::GetChildren { .. } => Err(ErrorCode::MarshallingError),
            };
            match prepared {
                Ok(txn) => elements.push(txn),
                Err(error) => {
                    self.rollback(0);
                    self.digest = digest;
                    return refused_multi(elements.len(), error, multi.ops.len());
                }
            }
        }
        Txn::Multi(elements)
    }

    fn close_session(&mut self, tree: &Tree, context: &RequestContext<'_>) -> Txn {
        let paths = self.ephemerals(tree, context.session);
        for path in &paths {
            self.remove(tree, context.zxid, path);
        }
        Txn::CloseSession {
            paths: tree.settings().close_session_txn.then_some(paths),
        }
    }

    fn check_quota(&self, tree: &Tree, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        if !tree.settings().enforce_quota || tree.quotas.is_empty() {
            return Ok(());
        }
        let Some(limited) = tree.quotas.nearest(path) else {
            return Ok(());
        };
        let track = |path: String| tree.node(&path).map(|node| quota::Track::parse(node.data().as_bytes()));
        let limits = track(quota::limits_path(limited));
        let usage = track(quota::stats_path(limited));
        match (limits, usage) {
            (Some(limits), Some(usage)) if limits.refuses(&usage, count, bytes) => Err(ErrorCode::QuotaExceeded),
            _ => Ok(()),
        }
    }
}

/// Inside a multi the flags decide what a create is: its operation, and its time to live.
///
/// Source: `org.apache.zookeeper.Op.create`, `Op.Create.getOpcode`.
fn inside_multi(create: &CreateRequest<'_>) -> (OpCode, i64) {
    match CreateMode::from_flags(create.flags) {
        Some(CreateMode::Container) => (OpCode::CreateContainer, -1),
        Some(mode) if mode.is_ttl() => (OpCode::CreateTtl, create.ttl_ms),
        _ if create.op == OpCode::CreateTtl => (OpCode::Create, -1),
        _ => (create.op, create.ttl_ms),
    }
}

fn header(context: &RequestContext<'_>, op: OpCode) -> TxnHeader {
    TxnHeader {
        session: context.session,
        cxid: context.cxid,
        zxid: context.zxid,
        time: context.time,
        op,
    }
}

/// The root has two spellings.
fn canonical(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

const fn owner(kind: CreateTxnKind, session: SessionId) -> Owner {
    match kind {
        CreateTxnKind::Create { ephemeral } | CreateTxnKind::Create2 { ephemeral } => {
            if ephemeral {
                Owner::Session(session)
            } else {
                Owner::None
            }
        }
        CreateTxnKind::Container => Owner::Container,
        CreateTxnKind::Ttl { ttl_ms } => Owner::Ttl(ttl_ms),
    }
}

const fn check(holds: bool, error: ErrorCode) -> Result<(), ErrorCode> {
    if holds { Ok(()) } else { Err(error) }
}

const fn check_version(expected: i32, actual: i32) -> Result<(), ErrorCode> {
    check(expected == -1 || expected == actual, ErrorCode::BadVersion)
}

/// −1 is skipped when the counter wraps: no client could ever name it.
const fn next_version(version: i32) -> i32 {
    match version.wrapping_add(1) {
        -1 => 0,
        next => next,
    }
}

fn check_ttl(settings: &Settings, ttl_ms: i64, mode: CreateMode, op: OpCode) -> Result<(), ErrorCode> {
    if mode.is_ttl() {
        check(settings.owner_rules.extended_types, ErrorCode::Unimplemented)?;
        check(ttl_ms > 0 && ttl_ms <= Owner::TTL_MS_MAX, ErrorCode::BadArguments)
    } else {
        check(ttl_ms < 0, ErrorCode::BadArguments)?;
        // Java lets this through and dies when it applies the transaction.
        check(op != OpCode::CreateTtl, ErrorCode::BadArguments)
    }
}

/// What create and delete ask of a path before they look for the parent.
fn slash_checked(path: &str) -> Result<&str, ErrorCode> {
    check(path.contains('/') && !path.contains('\0'), ErrorCode::BadArguments)?;
    Ok(path)
}

fn deletable(path: &str) -> Result<&str, ErrorCode> {
    check(!matches!(path, "/" | SYSTEM | QUOTA | CONFIG), ErrorCode::BadArguments)?;
    slash_checked(path)
}

fn refused_multi(before: usize, error: ErrorCode, len: usize) -> Txn {
    let code = |at: usize| match at.cmp(&before) {
        core::cmp::Ordering::Less => 0,
        core::cmp::Ordering::Equal => error.code(),
        core::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency.code(),
    };
    Txn::Multi((0..len).map(|at| Txn::Error { err: code(at) }).collect())
}

fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
