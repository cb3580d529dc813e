//! The history that is committed, carried out once more, with what each transaction came to.

use std::collections::BTreeMap;

use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{AclList, OpCode, SessionId, Xid, Zxid};
use zebu_tree::{Change, Changes, Settings, Tree};

use super::sessions::{Happened, Sessions};
use crate::server::fingerprint;

/// Scenarios write with it.
pub(crate) const OPERATOR: SessionId = SessionId(0x7e00_0000_0000_0001);

/// A server that makes no mistakes.
pub(super) struct Reference {
    tree: Tree,
    records: BTreeMap<Zxid, Record>,
    /// What was at each path, after each transaction that changed it.
    versions: BTreeMap<String, Vec<Version>>,
    pub(super) sessions: Sessions,
}

/// What a transaction did to a node: the data and who set it, if the node is there afterwards.
type Version = (Zxid, Option<(Vec<u8>, Zxid)>);

/// What is to be known of a transaction.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) session: SessionId,
    pub(super) cxid: Xid,
    pub(super) op: OpCode,
    /// The code with which it was refused.
    pub(super) err: Option<i32>,
    /// The node that it made.
    pub(super) created: Option<String>,
    pub(super) data: Option<Vec<u8>>,
}

impl Default for Reference {
    fn default() -> Self {
        Self {
            tree: Tree::new(Settings::default()),
            records: BTreeMap::new(),
            versions: BTreeMap::new(),
            sessions: Sessions::default(),
        }
    }
}

/// The paths that a transaction changes.
#[derive(Default)]
struct Changed(Vec<(Change, String)>);

impl Changes for Changed {
    fn change(&mut self, change: Change, path: &str, _: &AclList, _: Option<&AclList>) {
        self.0.push((change, path.to_owned()));
    }
}

/// Whether a transaction closes a session.
pub(super) fn closes(txn: &[u8], session: SessionId) -> bool {
    TxnRecord::decode(txn)
        .is_ok_and(|record| record.header.session == session && matches!(record.txn, Txn::CloseSession { .. }))
}

impl Reference {
    pub(super) fn empty_state() -> u64 {
        fingerprint(&Tree::new(Settings::default()))
    }

    pub(super) const fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn record(&self, zxid: Zxid) -> Option<&Record> {
        self.records.get(&zxid)
    }

    pub(super) fn is_operators(&self, zxid: Zxid) -> bool {
        self.record(zxid)
            .is_some_and(|record| record.session == OPERATOR && record.op != OpCode::CreateSession)
    }

    /// Carries out the next transaction; returns the state after it.
    pub(super) fn commit(&mut self, zxid: Zxid, txn: &[u8]) -> Result<u64, String> {
        let record = TxnRecord::decode(txn).map_err(|error| format!("{zxid} cannot be read: {error}"))?;
        let mut changed = Changed::default();
        self.tree.apply(&record, &mut changed);
        let said = record.digest.map(|digest| digest.tree);
        if said.is_some_and(|said| said != self.tree.digest()) {
            return Err(format!("{zxid} brings a digest that is not that of the tree (I7)"));
        }
        for (_, path) in &changed.0 {
            let node = self.tree.node(path);
            let now = node.map(|node| {
                let data: &[u8] = node.data().as_option().unwrap_or_default();
                (data.to_vec(), node.stored_stat().mzxid)
            });
            self.versions.entry(path.clone()).or_default().push((zxid, now));
        }
        let happened = Happened {
            record: &record,
            changed: &changed.0,
            tree: &self.tree,
        };
        self.sessions.committed(&happened)?;
        let (created, data) = match &record.txn {
            Txn::Create(create) => (Some(create.path.clone()), Some(create.data.as_bytes().to_vec())),
            Txn::SetData { data, .. } => (None, Some(data.as_bytes().to_vec())),
            _ => (None, None),
        };
        let err = match record.txn {
            Txn::Error { err } => Some(err),
            _ => None,
        };
        let header = record.header;
        let record = Record {
            session: header.session,
            cxid: header.cxid,
            op: record.txn.op(),
            err,
            created,
            data,
        };
        self.records.insert(zxid, record);
        Ok(fingerprint(&self.tree))
    }

    /// What was at a path after a transaction.
    pub(super) fn at(&self, path: &str, zxid: Zxid) -> Option<&(Vec<u8>, Zxid)> {
        let versions = self.versions.get(path)?;
        let end = versions.partition_point(|(at, _)| *at <= zxid);
        versions[..end].last()?.1.as_ref()
    }

    /// The first transaction behind `since` that changed a path.
    pub(super) fn first_change(&self, path: &str, since: Zxid) -> Option<Zxid> {
        let versions = self.versions.get(path)?;
        let begin = versions.partition_point(|(at, _)| *at <= since);
        versions.get(begin).map(|(at, _)| *at)
    }
}
