//! Sessions and what they own (I8): an ephemeral node is there from its create to the commit of the end of its session, unless
//! that session removes it. Requests of a session take effect once, in order. No name of a sequential node is given twice.

use std::collections::{BTreeMap, BTreeSet};

use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{SessionId, Xid, Zxid};
use zebu_tree::{Change, Tree};

use super::Verdict;

/// The sessions of a history.
#[derive(Default)]
pub(crate) struct Sessions {
    open: BTreeSet<SessionId>,
    /// With the time at which the end was committed.
    closed: BTreeMap<SessionId, u64>,
    /// Who was given each.
    clients: BTreeMap<SessionId, (usize, bool)>,
    ephemerals: BTreeMap<String, SessionId>,
    /// The last request of each that took effect.
    last: BTreeMap<SessionId, Xid>,
    /// Names with a number that were given.
    numbered: BTreeSet<String>,
    now: u64,
}

/// What a transaction did.
pub(super) struct Happened<'a> {
    pub(super) record: &'a TxnRecord,
    pub(super) changed: &'a [(Change, String)],
    /// Afterwards.
    pub(super) tree: &'a Tree,
}

impl Sessions {
    pub(super) const fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    pub(super) fn is_open(&self, session: SessionId) -> bool {
        self.open.contains(&session)
    }

    /// The next transaction is committed.
    pub(super) fn committed(&mut self, happened: &Happened<'_>) -> Verdict {
        let header = happened.record.header;
        let (session, zxid) = (header.session, header.zxid);
        match &happened.record.txn {
            Txn::CreateSession { .. } => {
                if self.closed.contains_key(&session) {
                    return Err(format!("session {session} begins anew with {zxid}"));
                }
                self.open.insert(session);
            }
            Txn::CloseSession { .. } => {
                if self.open.remove(&session) {
                    self.closed.insert(session, self.now);
                } else if !happened.changed.is_empty() {
                    return Err(format!(
                        "{zxid} takes something from session {session}, which does not exist (I8)"
                    ));
                }
            }
            Txn::Error { .. } => {}
            // Refused as a whole.
            Txn::Multi(ops) if ops.iter().any(|op| matches!(op, Txn::Error { .. })) => {}
            _ => self.in_order(session, header.cxid, zxid)?,
        }
        for (change, path) in happened.changed {
            match change {
                Change::Created => self.created(happened, path)?,
                Change::Deleted => self.deleted(happened, path)?,
                Change::DataChanged => {}
            }
        }
        let is_over = matches!(happened.record.txn, Txn::CloseSession { .. });
        let left = self.ephemerals.iter().find(|(_, owner)| **owner == session);
        if let (true, Some((path, _))) = (is_over, left) {
            return Err(format!(
                "{path} is there after {zxid}, which ended session {session} (I8)"
            ));
        }
        Ok(())
    }

    fn in_order(&mut self, session: SessionId, cxid: Xid, zxid: Zxid) -> Verdict {
        let counts_anew = self.clients.get(&session).is_some_and(|(_, counts_anew)| *counts_anew);
        if cxid == Xid(0) || counts_anew {
            return Ok(());
        }
        let before = self.last.insert(session, cxid);
        match before.filter(|before| *before >= cxid) {
            None => Ok(()),
            Some(before) => Err(format!(
                "request {} of session {session} takes effect with {zxid}, behind request {}",
                cxid.0, before.0
            )),
        }
    }

    fn created(&mut self, happened: &Happened<'_>, path: &str) -> Verdict {
        let zxid = happened.record.header.zxid;
        let is_numbered = path.rsplit_once('-').is_some_and(|(_, number)| number.len() == 10);
        if is_numbered && !self.numbered.insert(path.to_owned()) {
            return Err(format!("{path} is made with {zxid}, and was made before"));
        }
        let owner = happened.tree.node(path).map(|node| node.stored_stat().ephemeral_owner);
        let owner = SessionId(owner.unwrap_or(0));
        if owner == SessionId::NONE {
            return Ok(());
        }
        if !self.open.contains(&owner) {
            return Err(format!(
                "{path} is made with {zxid} for session {owner}, which is over or never began (I8)"
            ));
        }
        self.ephemerals.insert(path.to_owned(), owner);
        Ok(())
    }

    fn deleted(&mut self, happened: &Happened<'_>, path: &str) -> Verdict {
        let header = happened.record.header;
        match self.ephemerals.remove(path) {
            Some(owner) if owner != header.session => Err(format!(
                "{path} of session {owner} is removed with {}, by session {} (I8)",
                header.zxid, header.session
            )),
            _ => Ok(()),
        }
    }

    /// A client is given a session.
    pub(super) fn given(&mut self, given: &Given) -> Verdict {
        let session = given.session;
        if given.is_new
            && let Some((other, _)) = self.clients.insert(session, (given.client, given.counts_anew))
        {
            return Err(format!(
                "session {session} is new to it, and was given to client {other}"
            ));
        }
        if !given.may_be_local && !self.open.contains(&session) && !self.closed.contains_key(&session) {
            return Err(format!("it is given session {session}, which nobody has made"));
        }
        match self.closed.get(&session) {
            Some(at) if *at < given.since => Err(format!(
                "it goes on with session {session} that ended at {at} ms, before it came at {} ms (I8)",
                given.since
            )),
            _ => Ok(()),
        }
    }
}

/// A session that a client is given.
pub(crate) struct Given {
    pub(crate) session: SessionId,
    pub(crate) client: usize,
    /// Whether it counts its requests anew with each connection.
    pub(crate) counts_anew: bool,
    pub(crate) is_new: bool,
    /// When the handshake began.
    pub(crate) since: u64,
    /// Whether it may be known to a single server alone.
    pub(crate) may_be_local: bool,
}
