//! The same rules once more, as plainly as they can be said: a map from paths to nodes, nothing remembered, nothing
//! computed ahead.
//!
//! What is in flight is a second copy of the state with everything applied.

use std::collections::{BTreeMap, BTreeSet};

use zebu_proto::client::{CreateRequest, MultiOp, MultiRequest, Request};
use zebu_proto::txn::{CreateTxn, CreateTxnKind, Txn, TxnHeader, TxnRecord};
use zebu_proto::{
    Acl, AclList, CreateMode, ErrorCode, Id, OpCode, Perms, RequestedAcl, SessionId, StatPersisted, Value, Zxid, path,
};
use zebu_tree::{Change, Outcome, RequestContext, Settings};

use crate::dump::{Dump, NodeDump};

#[derive(Clone)]
pub(crate) struct Node {
    data: Option<Vec<u8>>,
    acl: Vec<Acl>,
    stat: StatPersisted,
}

/// An event: what, where, the node's ACL, its parent's.
pub(crate) type Event = (Change, String, Vec<Acl>, Option<Vec<Acl>>);

#[derive(Clone)]
pub(crate) struct State {
    settings: Settings,
    nodes: BTreeMap<String, Node>,
    sessions: BTreeMap<SessionId, i32>,
    limited: BTreeSet<String>,
    last_zxid: i64,
}

/// The state of a leader: what is applied, and what will be.
pub(crate) struct Twin {
    pub(crate) applied: State,
    pub(crate) decided: State,
}

impl Twin {
    pub(crate) fn new(settings: Settings) -> Self {
        let state = State::new(settings);
        Self {
            applied: state.clone(),
            decided: state,
        }
    }

    /// The transaction for a request; its effect is in `decided` afterwards.
    pub(crate) fn prepare(&mut self, context: &RequestContext<'_>, request: &Request<'_>) -> Txn {
        let prepared = match request {
            Request::Create(create) => {
                let ttl = (create.op == OpCode::CreateTtl).then_some(create.ttl_ms);
                self.create(context, create, create.op, ttl)
            }
            Request::Delete { path, version } => self.delete(context, path, *version),
            Request::SetData { path, data, version } => self.set_data(context, path, *data, *version),
            Request::SetAcl { path, acl, version } => self.set_acl(context, path, acl, *version),
            Request::Multi(multi) => return self.multi(context, multi),
            Request::CloseSession => Ok(self.close_session(context)),
            other => panic!("{other:?}"),
        };
        self.decide(context, prepared)
    }

    pub(crate) fn delete_container(&mut self, context: &RequestContext<'_>, path: &str) -> Txn {
        let prepared = self.container(context, path);
        self.decide(context, prepared)
    }

    pub(crate) fn create_session(&mut self, context: &RequestContext<'_>, timeout_ms: i32) -> Txn {
        self.decide(context, Ok(Txn::CreateSession { timeout_ms }))
    }

    fn decide(&mut self, context: &RequestContext<'_>, prepared: Result<Txn, ErrorCode>) -> Txn {
        let txn = prepared.unwrap_or_else(|error| Txn::Error { err: error.code() });
        self.decided.body(&header(context, &txn), &txn, &mut Vec::new());
        txn
    }

    fn settings(&self) -> &Settings {
        &self.applied.settings
    }

    fn create(
        &self,
        context: &RequestContext<'_>,
        create: &CreateRequest<'_>,
        op: OpCode,
        ttl: Option<i64>,
    ) -> Result<Txn, ErrorCode> {
        let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        if mode.is_ttl() {
            if !self.settings().owner_rules.extended_types {
                return Err(ErrorCode::Unimplemented);
            }
            if !matches!(ttl, Some(1..=0xff_ffff_ffff)) {
                return Err(ErrorCode::BadArguments);
            }
        } else if ttl.is_some() && (ttl >= Some(0) || op == OpCode::CreateTtl) {
            return Err(ErrorCode::BadArguments);
        }
        live(context)?;
        let requested = &*create.path;
        if !requested.contains('/') || requested.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = self.fixup(context, &create.acl)?;
        let parent_path = parent_of(requested);
        let parent = self.decided.get(parent_path).ok_or(ErrorCode::NoNode)?;
        self.permit(context, &parent.acl, Perms::CREATE)?;
        let mut path = requested.to_string();
        if mode.is_sequential() {
            let number = parent.stat.cversion;
            path.push_str(&if number < 0 {
                format!("-{:09}", number.unsigned_abs())
            } else {
                format!("{number:010}")
            });
        }
        if !path::is_valid(&path) {
            return Err(ErrorCode::BadArguments);
        }
        if self.decided.get(&path).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if self.is_ephemeral(parent) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let len = create.data.map_or(0, <[u8]>::len) as i64;
        self.quota(&path, 1, len)?;
        let ephemeral = mode.is_ephemeral();
        Ok(Txn::Create(CreateTxn {
            kind: match op {
                OpCode::Create => CreateTxnKind::Create { ephemeral },
                OpCode::Create2 => CreateTxnKind::Create2 { ephemeral },
                OpCode::CreateContainer => CreateTxnKind::Container,
                OpCode::CreateTtl => CreateTxnKind::Ttl { ttl_ms: ttl.unwrap() },
                other => panic!("{other:?}"),
            },
            path,
            data: Value::from_option(create.data),
            acl,
            parent_cversion: parent.stat.cversion.wrapping_add(1),
        }))
    }

    fn delete(&self, context: &RequestContext<'_>, path: &str, version: i32) -> Result<Txn, ErrorCode> {
        live(context)?;
        deletable(path)?;
        let parent = self.decided.get(parent_of(path)).ok_or(ErrorCode::NoNode)?;
        self.permit(context, &parent.acl, Perms::DELETE)?;
        let node = self.decided.get(path).ok_or(ErrorCode::NoNode)?;
        expect(version, node.stat.version)?;
        if !self.decided.children(path).is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        Ok(Txn::Delete { path: path.into() })
    }

    fn container(&self, context: &RequestContext<'_>, path: &str) -> Result<Txn, ErrorCode> {
        deletable(path)?;
        let node = self.decided.get(path).ok_or(ErrorCode::NoNode)?;
        if !self.decided.children(path).is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        let owner = node.stat.ephemeral_owner;
        let is_over = owner == i64::MIN
            || self
                .decided
                .ttl(owner)
                .is_some_and(|ttl| context.time.0 - node.stat.mtime > ttl);
        if !is_over {
            return Err(ErrorCode::BadVersion);
        }
        Ok(Txn::DeleteContainer { path: path.into() })
    }

    fn set_data(
        &self,
        context: &RequestContext<'_>,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
    ) -> Result<Txn, ErrorCode> {
        live(context)?;
        valid(path)?;
        let node = self.decided.get(path).ok_or(ErrorCode::NoNode)?;
        self.permit(context, &node.acl, Perms::WRITE)?;
        // What a usage node of the decided state says is known only when it is applied.
        let old = node.data.as_ref().map_or(0, Vec::len);
        let new = data.map_or(0, <[u8]>::len);
        self.quota(path, 0, new as i64 - old as i64)?;
        expect(version, node.stat.version)?;
        Ok(Txn::SetData {
            path: path.into(),
            data: Value::from_option(data),
            version: next(node.stat.version),
        })
    }

    fn set_acl(
        &self,
        context: &RequestContext<'_>,
        path: &str,
        acl: &RequestedAcl,
        version: i32,
    ) -> Result<Txn, ErrorCode> {
        live(context)?;
        valid(path)?;
        let acl = self.fixup(context, acl)?;
        let node = self.decided.get(path).ok_or(ErrorCode::NoNode)?;
        self.permit(context, &node.acl, Perms::ADMIN)?;
        expect(version, node.stat.aversion)?;
        Ok(Txn::SetAcl {
            path: path.into(),
            acl,
            version: next(node.stat.aversion),
        })
    }

    fn check(&self, context: &RequestContext<'_>, path: &str, version: i32) -> Result<Txn, ErrorCode> {
        live(context)?;
        valid(path)?;
        let node = self.decided.get(path).ok_or(ErrorCode::NoNode)?;
        self.permit(context, &node.acl, Perms::READ)?;
        expect(version, node.stat.version)?;
        Ok(Txn::Check {
            path: path.into(),
            version: next(node.stat.version),
        })
    }

    fn multi(&mut self, context: &RequestContext<'_>, multi: &MultiRequest<'_>) -> Txn {
        let before = self.decided.clone();
        let mut elements = Vec::new();
        let mut failed = None;
        for (at, op) in multi.ops.iter().enumerate() {
            if failed.is_some() {
                break;
            }
            let prepared = match op {
                MultiOp::Create(create) => {
                    let mode = CreateMode::from_flags(create.flags);
                    let is_ttl = mode.is_some_and(CreateMode::is_ttl);
                    let op = match create.op {
                        _ if is_ttl => OpCode::CreateTtl,
                        _ if mode == Some(CreateMode::Container) => OpCode::CreateContainer,
                        OpCode::CreateTtl => OpCode::Create,
                        other => other,
                    };
                    self.create(context, create, op, is_ttl.then_some(create.ttl_ms))
                }
                MultiOp::Delete { path, version } => self.delete(context, path, *version),
                MultiOp::SetData { path, data, version } => self.set_data(context, path, *data, *version),
                MultiOp::Check { path, version } => self.check(context, path, *version),
                other => panic!("{other:?}"),
            };
            match prepared {
                Ok(txn) => {
                    self.decided.body(&header(context, &txn), &txn, &mut Vec::new());
                    elements.push(txn);
                }
                Err(error) => failed = Some((at, error)),
            }
        }
        if let Some((failed, error)) = failed {
            self.decided = before;
            elements = (0..multi.ops.len())
                .map(|at| Txn::Error {
                    err: if at < failed {
                        0
                    } else if at == failed {
                        error.code()
                    } else {
                        ErrorCode::RuntimeInconsistency.code()
                    },
                })
                .collect();
        }
        let txn = Txn::Multi(elements);
        self.decided.last_zxid = context.zxid.0;
        txn
    }

    fn close_session(&self, context: &RequestContext<'_>) -> Txn {
        let paths = self.decided.ephemerals(context.session).into_iter().collect();
        Txn::CloseSession {
            paths: self.settings().close_session_txn.then_some(paths),
        }
    }

    fn is_ephemeral(&self, node: &Node) -> bool {
        self.decided.session(node.stat.ephemeral_owner).is_some()
    }

    fn permit(&self, context: &RequestContext<'_>, acl: &[Acl], wanted: Perms) -> Result<(), ErrorCode> {
        let settings = self.settings();
        let granted = settings.skip_acl
            || acl.is_empty()
            || context.ids.iter().any(|id| id.scheme == "super")
            || acl.iter().any(|entry| {
                entry.perms.0 & wanted.0 != 0
                    && (entry.id == Id::new("world", "anyone")
                        || (entry.id.scheme == "ip" && context.ids.contains(&entry.id))
                        || (entry.id.scheme == "digest" && settings.digest_scheme && context.ids.contains(&entry.id)))
            });
        if granted { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }

    fn fixup(&self, context: &RequestContext<'_>, requested: &RequestedAcl) -> Result<AclList, ErrorCode> {
        let RequestedAcl::List(list) = requested else {
            return Err(ErrorCode::InvalidAcl);
        };
        let digest = self.settings().digest_scheme;
        let mut unique: Vec<Acl> = Vec::new();
        for entry in list.to_vec() {
            if !unique.contains(&entry) {
                unique.push(entry);
            }
        }
        let mut fixed = Vec::new();
        for entry in &unique {
            match (&*entry.id.scheme, &*entry.id.id) {
                ("world", "anyone") | ("ip", "10.0.0.1") => fixed.push(entry.clone()),
                ("digest", "bob:h" | "eve:h") if digest => fixed.push(entry.clone()),
                ("auth", _) => {
                    let proved = context.ids.iter().filter(|id| id.scheme == "digest" && digest);
                    let expanded: Vec<Acl> = proved
                        .map(|id| Acl {
                            perms: entry.perms,
                            id: id.clone(),
                        })
                        .collect();
                    if expanded.is_empty() {
                        return Err(ErrorCode::InvalidAcl);
                    }
                    fixed.extend(expanded);
                }
                _ => return Err(ErrorCode::InvalidAcl),
            }
        }
        if fixed.is_empty() {
            return Err(ErrorCode::InvalidAcl);
        }
        Ok(AclList::new(fixed))
    }

    fn quota(&self, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        let state = &self.applied;
        if !self.settings().enforce_quota {
            return Ok(());
        }
        let Some(limited) = state.nearest_quota(path) else {
            return Ok(());
        };
        let (Some(limits), Some(usage)) = (
            state.get(&format!("/zookeeper/quota{limited}/zookeeper_limits")),
            state.get(&format!("/zookeeper/quota{limited}/zookeeper_stats")),
        ) else {
            return Ok(());
        };
        let (limits, usage) = (pairs(&limits.data), pairs(&usage.data));
        for (more, hard, used) in [(count, "countHardLimit", "count"), (bytes, "byteHardLimit", "bytes")] {
            let hard = limits.get(hard).copied().unwrap_or(-1);
            let used = usage.get(used).copied().unwrap_or(-1);
            if more != 0 && hard > -1 && used + more > hard {
                return Err(ErrorCode::QuotaExceeded);
            }
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut nodes = BTreeMap::new();
        for path in ["", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
            let is_config = path.ends_with("config");
            let perms = if is_config { Perms::READ } else { Perms::ALL };
            nodes.insert(
                path.to_string(),
                Node {
                    data: Some(Vec::new()),
                    acl: vec![Acl::new(perms, "world", "anyone")],
                    stat: StatPersisted {
                        aversion: if is_config { -1 } else { 0 },
                        ..StatPersisted::default()
                    },
                },
            );
        }
        Self {
            settings,
            nodes,
            sessions: BTreeMap::new(),
            limited: BTreeSet::new(),
            last_zxid: 0,
        }
    }

    fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(if path == "/" { "" } else { path })
    }

    fn children(&self, path: &str) -> BTreeSet<String> {
        let prefix = format!("{}/", if path == "/" { "" } else { path });
        let below = self.nodes.keys().filter_map(|other| other.strip_prefix(&prefix));
        below.filter(|name| !name.contains('/')).map(String::from).collect()
    }

    fn ttl(&self, owner: i64) -> Option<i64> {
        let rules = self.settings.owner_rules;
        let is_ttl = rules.extended_types && owner.cast_unsigned() >> 40 == 0xff_0000;
        is_ttl.then_some(owner & 0xff_ffff_ffff)
    }

    fn session(&self, owner: i64) -> Option<SessionId> {
        (owner != 0 && owner != i64::MIN && self.ttl(owner).is_none()).then_some(SessionId(owner))
    }

    fn ephemerals(&self, session: SessionId) -> BTreeSet<String> {
        let nodes = self.nodes.iter();
        let owned = nodes.filter(|(_, node)| self.session(node.stat.ephemeral_owner) == Some(session));
        owned.map(|(path, _)| path.clone()).collect()
    }

    pub(crate) fn apply(&mut self, record: &TxnRecord) -> (Outcome, Vec<Event>) {
        let mut events = Vec::new();
        let outcome = self.body(&record.header, &record.txn, &mut events);
        (outcome, events)
    }

    fn body(&mut self, header: &TxnHeader, txn: &Txn, events: &mut Vec<Event>) -> Outcome {
        self.last_zxid = header.zxid.0;
        match txn {
            Txn::Create(create) => self.create(header, create, events),
            Txn::Delete { path } | Txn::DeleteContainer { path } => self.delete(header.zxid, path, events),
            Txn::SetData { path, data, version } => {
                let Some(node) = self.nodes.get_mut(if path == "/" { "" } else { path }) else {
                    return Outcome::Error(ErrorCode::NoNode.code());
                };
                let old = node.data.as_ref().map_or(0, Vec::len) as i64;
                node.data = data.as_option().map(<[u8]>::to_vec);
                node.stat.version = *version;
                node.stat.mzxid = header.zxid;
                node.stat.mtime = header.time.0;
                events.push((Change::DataChanged, path.clone(), node.acl.clone(), None));
                let outcome = self.outcome(path);
                self.use_quota(path, 0, data.len() as i64 - old);
                outcome
            }
            Txn::SetAcl { path, acl, version } => {
                let Some(node) = self.nodes.get_mut(if path == "/" { "" } else { path }) else {
                    return Outcome::Error(ErrorCode::NoNode.code());
                };
                node.acl = acl.to_vec();
                node.stat.aversion = *version;
                self.outcome(path)
            }
            Txn::Check { .. } => Outcome::Done,
            Txn::Multi(elements) => {
                let codes: Vec<i32> = elements
                    .iter()
                    .filter_map(|element| match element {
                        Txn::Error { err } => Some(*err),
                        _ => None,
                    })
                    .collect();
                if codes.is_empty() {
                    Outcome::Multi(
                        elements
                            .iter()
                            .map(|element| self.body(header, element, events))
                            .collect(),
                    )
                } else {
                    assert_eq!(codes.len(), elements.len(), "ours are errors throughout");
                    Outcome::Multi(codes.into_iter().map(Outcome::Error).collect())
                }
            }
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(header.session, *timeout_ms);
                Outcome::Done
            }
            Txn::CloseSession { paths } => {
                for path in paths.iter().flatten() {
                    self.delete(header.zxid, path, events);
                }
                for path in self.ephemerals(header.session) {
                    self.delete(header.zxid, &path, events);
                }
                self.sessions.remove(&header.session);
                Outcome::Done
            }
            Txn::Error { err } => Outcome::Error(*err),
            Txn::Reconfig { .. } => panic!("not made here"),
        }
    }

    fn create(&mut self, header: &TxnHeader, create: &CreateTxn, events: &mut Vec<Event>) -> Outcome {
        let parent_path = parent_of(&create.path).to_string();
        let Some(parent) = self.nodes.get_mut(&parent_path) else {
            return Outcome::Error(ErrorCode::NoNode.code());
        };
        if create.parent_cversion > parent.stat.cversion {
            parent.stat.cversion = create.parent_cversion;
            parent.stat.pzxid = header.zxid;
        }
        let parent_acl = parent.acl.clone();
        assert!(!self.nodes.contains_key(&create.path), "{}", create.path);
        let ephemeral_owner = match create.kind {
            CreateTxnKind::Create { ephemeral } | CreateTxnKind::Create2 { ephemeral } => {
                if ephemeral {
                    header.session.0
                } else {
                    0
                }
            }
            CreateTxnKind::Container => i64::MIN,
            CreateTxnKind::Ttl { ttl_ms } => (0xff << 56) | ttl_ms,
        };
        self.nodes.insert(
            create.path.clone(),
            Node {
                data: create.data.as_option().map(<[u8]>::to_vec),
                acl: create.acl.to_vec(),
                stat: StatPersisted {
                    czxid: header.zxid,
                    mzxid: header.zxid,
                    pzxid: header.zxid,
                    ctime: header.time.0,
                    mtime: header.time.0,
                    ephemeral_owner,
                    ..StatPersisted::default()
                },
            },
        );
        let outcome = self.outcome(&create.path);
        if let Some(limited) = create.path.strip_suffix("/zookeeper_limits").and_then(limited_by) {
            self.limited.insert(limited.into());
        }
        if let Some(limited) = create.path.strip_suffix("/zookeeper_stats").and_then(limited_by) {
            self.count(limited);
        }
        self.use_quota(&create.path, 1, create.data.len() as i64);
        let acl = create.acl.to_vec();
        events.push((Change::Created, create.path.clone(), acl, Some(parent_acl)));
        outcome
    }

    fn delete(&mut self, zxid: Zxid, path: &str, events: &mut Vec<Event>) -> Outcome {
        let Some(parent) = self.nodes.get_mut(parent_of(path)) else {
            return Outcome::Error(ErrorCode::NoNode.code());
        };
        parent.stat.pzxid = parent.stat.pzxid.max(zxid);
        let parent_acl = parent.acl.clone();
        let Some(node) = self.nodes.remove(path) else {
            return Outcome::Error(ErrorCode::NoNode.code());
        };
        assert!(self.children(path).is_empty(), "{path}");
        if let Some(limited) = path.strip_suffix("/zookeeper_limits").and_then(limited_by) {
            self.limited.remove(limited);
        }
        self.use_quota(path, -1, -(node.data.map_or(0, |data| data.len()) as i64));
        events.push((Change::Deleted, path.into(), node.acl, Some(parent_acl)));
        Outcome::Done
    }

    fn outcome(&self, path: &str) -> Outcome {
        Outcome::Stat(self.dump_node(path).stat)
    }

    fn nearest_quota(&self, path: &str) -> Option<&str> {
        let is_prefix = |limited: &&String| path == **limited || path.starts_with(&format!("{limited}/"));
        let nearest = self
            .limited
            .iter()
            .filter(is_prefix)
            .max_by_key(|limited| limited.len());
        nearest.map(|limited| &**limited)
    }

    fn use_quota(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(limited) = self.nearest_quota(path) else {
            return;
        };
        let Some(usage) = self
            .nodes
            .get_mut(&format!("/zookeeper/quota{limited}/zookeeper_stats"))
        else {
            return;
        };
        let mut said = pairs(&usage.data);
        *said.entry("count".into()).or_insert(-1) += count;
        *said.entry("bytes".into()).or_insert(-1) += bytes;
        usage.data = Some(text(&said));
    }

    fn count(&mut self, limited: &str) {
        let prefix = format!("{limited}/");
        let counted = self
            .nodes
            .iter()
            .filter(|(path, _)| *path == limited || path.starts_with(&prefix));
        let (mut count, mut bytes) = (0, 0);
        for (_, node) in counted {
            count += 1;
            bytes += node.data.as_ref().map_or(0, Vec::len) as i64;
        }
        let said = BTreeMap::from([("count".to_string(), count), ("bytes".to_string(), bytes)]);
        if let Some(usage) = self
            .nodes
            .get_mut(&format!("/zookeeper/quota{limited}/zookeeper_stats"))
        {
            usage.data = Some(text(&said));
        }
    }

    /// Containers and nodes whose time is over.
    pub(crate) fn expired(&self, now_ms: i64, never_used_ms: i64) -> BTreeSet<String> {
        let is_over = |path: &str, node: &Node| {
            let idle = now_ms - node.stat.mtime;
            let owner = node.stat.ephemeral_owner;
            let container =
                owner == i64::MIN && (node.stat.cversion > 0 || (never_used_ms != 0 && idle > never_used_ms));
            let ttl = self.ttl(owner).is_some_and(|ttl| idle > ttl);
            (container || ttl) && self.children(path).is_empty()
        };
        let over = self.nodes.iter().filter(|(path, node)| is_over(path, node));
        over.map(|(path, _)| path.clone()).collect()
    }

    fn dump_node(&self, path: &str) -> NodeDump {
        let node = self.get(path).unwrap();
        let children = self.children(path);
        let len = node.data.as_ref().map_or(0, Vec::len);
        let mut stat = node.stat.to_stat(len, children.len() as u32, self.settings.owner_rules);
        stat.ephemeral_owner = self.session(node.stat.ephemeral_owner).map_or(0, |session| session.0);
        stat.cversion = node.stat.cversion.wrapping_mul(2).wrapping_sub(children.len() as i32);
        NodeDump {
            data: node.data.clone(),
            acl: node.acl.clone(),
            stored: node.stat,
            stat,
            children,
        }
    }

    /// Sum of the digests of all nodes that count.
    pub(crate) fn digest(&self) -> u64 {
        if !self.settings.digest {
            return 0;
        }
        let counted = self.nodes.iter().filter(|(path, _)| !path.starts_with("/zookeeper/"));
        let digest = |(path, node): (&String, &Node)| {
            let mut bytes = path.clone().into_bytes();
            bytes.extend(node.data.iter().flatten());
            let stat = &node.stat;
            for long in [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime] {
                bytes.extend(long.to_be_bytes());
            }
            for int in [stat.version, stat.cversion, stat.aversion] {
                bytes.extend(int.to_be_bytes());
            }
            bytes.extend(stat.ephemeral_owner.to_be_bytes());
            u64::from(crc32(&bytes))
        };
        counted.map(digest).fold(0, u64::wrapping_add)
    }

    pub(crate) fn dump(&self) -> Dump {
        let owners = self
            .nodes
            .values()
            .filter_map(|node| self.session(node.stat.ephemeral_owner));
        Dump {
            nodes: self
                .nodes
                .keys()
                .map(|path| (path.clone(), self.dump_node(path)))
                .collect(),
            sessions: self.sessions.clone(),
            ephemerals: owners.map(|session| (session, self.ephemerals(session))).collect(),
            digest: self.digest(),
            data_bytes: self
                .nodes
                .iter()
                .map(|(path, node)| (path.len() + node.data.as_ref().map_or(0, Vec::len)) as u64)
                .sum(),
            last_zxid: self.last_zxid,
        }
    }
}

fn header(context: &RequestContext<'_>, txn: &Txn) -> TxnHeader {
    TxnHeader {
        session: context.session,
        cxid: context.cxid,
        zxid: context.zxid,
        time: context.time,
        op: txn.op(),
    }
}

fn live(context: &RequestContext<'_>) -> Result<(), ErrorCode> {
    if context.session_is_live {
        Ok(())
    } else {
        Err(ErrorCode::SessionExpired)
    }
}

fn valid(path: &str) -> Result<(), ErrorCode> {
    if path::is_valid(path) {
        Ok(())
    } else {
        Err(ErrorCode::BadArguments)
    }
}

fn deletable(path: &str) -> Result<(), ErrorCode> {
    let special = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"].contains(&path);
    if special || !path.contains('/') || path.contains('\0') {
        return Err(ErrorCode::BadArguments);
    }
    Ok(())
}

fn expect(version: i32, actual: i32) -> Result<(), ErrorCode> {
    if version == -1 || version == actual {
        Ok(())
    } else {
        Err(ErrorCode::BadVersion)
    }
}

fn next(version: i32) -> i32 {
    if version == -2 { 0 } else { version.wrapping_add(1) }
}

fn parent_of(path: &str) -> &str {
    &path[..path.rfind('/').unwrap()]
}

/// The path limited by quota nodes below `path`.
fn limited_by(path: &str) -> Option<&str> {
    let limited = path.strip_prefix("/zookeeper/quota")?;
    limited.starts_with('/').then_some(limited)
}

fn pairs(data: &Option<Vec<u8>>) -> BTreeMap<String, i64> {
    let text = String::from_utf8_lossy(data.as_deref().unwrap_or_default()).into_owned();
    let mut pairs = BTreeMap::new();
    for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
        let mut parts = pair.split('=');
        let key = parts.next().unwrap_or_default();
        pairs.insert(key.into(), parts.next().unwrap_or_default().parse().unwrap_or(-1));
    }
    pairs
}

fn text(pairs: &BTreeMap<String, i64>) -> Vec<u8> {
    let get = |key: &str| pairs.get(key).copied().unwrap_or(-1);
    let mut text = format!("count={},bytes={}", get("count"), get("bytes"));
    let others: Vec<_> = pairs
        .iter()
        .filter(|(key, _)| *key != "count" && *key != "bytes")
        .collect();
    if !others.is_empty() {
        text.push('=');
    }
    for (key, number) in others {
        text.push_str(&format!(";{key}={number}"));
    }
    text.into_bytes()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}
