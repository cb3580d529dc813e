//! What must hold whatever happens. The checker sees everything at once, as no server does: what was proposed, by whom, what
//! is committed, and what clients were told.

mod durable;
mod reference;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use zebu_proto::{Epoch, OpCode, SessionId, Sid, Xid, Zxid};

pub(crate) use self::durable::Durable;
pub(crate) use self::reference::OPERATOR;
use self::reference::Reference;
pub(crate) use self::sessions::Given;

/// Remembers what was promised, and compares.
#[derive(Default)]
pub(crate) struct Checker {
    /// Everything that is committed, in order, and the state after each.
    committed: Vec<Zxid>,
    states: Vec<u64>,
    reference: Reference,
    /// What clients were told is decided.
    acknowledged: BTreeSet<Zxid>,
    leaders: BTreeMap<Epoch, Sid>,
    proposed: BTreeMap<Zxid, (Bytes, Sid)>,
}

/// The reply to a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) session: SessionId,
    pub(crate) xid: Xid,
    pub(crate) zxid: Zxid,
    pub(crate) err: i32,
    /// The node that was made.
    pub(crate) path: Option<&'a str>,
    /// What was written, by the request.
    pub(crate) data: Option<&'a [u8]>,
}

type Verdict = Result<(), String>;

impl Checker {
    pub(crate) fn committed(&self) -> &[Zxid] {
        &self.committed
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    /// The last write of which a client was told that it is decided.
    pub(crate) fn last_acknowledged(&self) -> Zxid {
        self.acknowledged.last().copied().unwrap_or(Zxid::ZERO)
    }

    /// The epoch of the last leader that was established.
    pub(crate) fn newest_epoch(&self) -> Option<Epoch> {
        self.leaders.last_key_value().map(|(epoch, _)| *epoch)
    }

    /// The last transaction, and the state that a server has after it.
    pub(crate) fn state(&self) -> (Zxid, u64) {
        let last = self.committed.last().copied().unwrap_or(Zxid::ZERO);
        (last, self.states.last().copied().unwrap_or_else(Reference::empty_state))
    }

    /// Whether nothing that is committed has made a node, or something has removed it.
    pub(crate) fn node_is_absent(&self, path: &str) -> bool {
        self.reference.tree().node(path).is_none()
    }

    // What servers do.

    /// A transaction is proposed once, in order, by the leader of its epoch (I4).
    pub(crate) fn proposed(&mut self, zxid: Zxid, txn: Bytes, by: Sid) -> Verdict {
        if self.leaders.get(&zxid.epoch()) != Some(&by) {
            return Err(format!("{zxid} is proposed by {by}, who does not lead that epoch"));
        }
        let before = self.proposed.range(Zxid::epoch_start(zxid.epoch())..).next_back();
        if let Some((before, _)) = before
            && before.next() < zxid
        {
            return Err(format!("{zxid} is proposed behind {before}"));
        }
        match self.proposed.insert(zxid, (txn, by)) {
            None => Ok(()),
            Some((_, before)) => Err(format!("{zxid} is proposed twice, by {before} and by {by}")),
        }
    }

    /// There is one leader in an epoch (I1), and its history begins with everything that is committed (I3). All of it is
    /// committed from now on.
    ///
    /// What the leader may have beyond what was committed is the beginning of what the last leader proposed: everything
    /// older that is not committed by now was given up when that one was established.
    pub(crate) fn established(&mut self, epoch: Epoch, sid: Sid, last: Zxid, state: u64) -> Verdict {
        let before = self.newest_epoch();
        if let Some(other) = self.leaders.insert(epoch, sid) {
            return Err(format!("epoch {epoch} has two leaders: {other} and {sid}"));
        }
        let (committed, _) = self.state();
        if last < committed {
            let missing: Vec<Zxid> = self.committed.iter().filter(|zxid| **zxid > last).copied().collect();
            let acknowledged = missing.iter().filter(|zxid| self.acknowledged.contains(zxid)).count();
            return Err(format!(
                "server {sid} leads epoch {epoch} without {} committed transactions, {acknowledged} of them acknowledged: \
                 {:?}",
                missing.len(),
                missing.first()
            ));
        }
        let begin = before.map_or(committed, Zxid::epoch_start).max(committed);
        let rest: Vec<Zxid> = self
            .proposed
            .range(begin.next()..)
            .map(|(zxid, _)| *zxid)
            .take_while(|zxid| *zxid <= last)
            .collect();
        if last > committed && rest.last() != Some(&last) {
            return Err(format!(
                "server {sid} leads epoch {epoch} with a history that ends with {last}, which was given up"
            ));
        }
        for zxid in rest {
            self.commit(zxid)?;
        }
        self.is_state(sid, last, state)
    }

    /// A leader commits the next transaction.
    pub(crate) fn committed_by_leader(&mut self, zxid: Zxid) -> Verdict {
        let (last, _) = self.state();
        if zxid <= last {
            // A leader that has been replaced may hear late that a quorum has what the next one took over.
            let is_known = self.committed.binary_search(&zxid).is_ok();
            return if is_known {
                Ok(())
            } else {
                Err(format!("{zxid} is committed behind {last}"))
            };
        }
        if let Some((skipped, _)) = self
            .proposed
            .range(Zxid::epoch_start(zxid.epoch()).max(last.next())..zxid)
            .next()
        {
            return Err(format!("{zxid} is committed, and {skipped} before it is not"));
        }
        self.commit(zxid)
    }

    fn commit(&mut self, zxid: Zxid) -> Verdict {
        let Some((txn, _)) = self.proposed.get(&zxid) else {
            return Err(format!("{zxid} is committed, and nobody proposed it"));
        };
        let state = self.reference.commit(zxid, txn)?;
        self.committed.push(zxid);
        self.states.push(state);
        Ok(())
    }

    /// A server that serves applies what is committed, one after the other (I2), and what comes of it is the same
    /// everywhere (I7).
    pub(crate) fn applied(&self, sid: Sid, before: Zxid, zxid: Zxid, state: u64) -> Verdict {
        let Ok(at) = self.committed.binary_search(&zxid) else {
            return Err(format!("server {sid} applies {zxid}, which is not committed"));
        };
        let expected = at.checked_sub(1).map_or(Zxid::ZERO, |at| self.committed[at]);
        if before != expected {
            return Err(format!(
                "server {sid} applies {zxid} behind {before}, and not behind {expected}"
            ));
        }
        self.is_state(sid, zxid, state)
    }

    /// Who serves has a beginning of what is committed (I2).
    pub(crate) fn serves(&self, sid: Sid, last: Zxid, state: u64) -> Verdict {
        if last != Zxid::ZERO && self.committed.binary_search(&last).is_err() {
            return Err(format!(
                "server {sid} serves with another history: {last} is not committed"
            ));
        }
        self.is_state(sid, last, state)
    }

    fn is_state(&self, sid: Sid, zxid: Zxid, state: u64) -> Verdict {
        let at = self.committed.binary_search(&zxid);
        let expected = at.map_or_else(|_| Reference::empty_state(), |at| self.states[at]);
        if state == expected {
            return Ok(());
        }
        Err(format!(
            "the state of server {sid} at {zxid} is not what the history makes of it (I7)"
        ))
    }

    /// The leader has applied something that nobody's connection waits for: whoever asked is told.
    pub(crate) fn answered_by_leader(&mut self, zxid: Zxid) {
        if self.reference.is_operators(zxid) {
            self.acknowledged.insert(zxid);
        }
    }

    /// The session that was closed by this transaction because nothing was heard of it.
    pub(crate) fn expired_by(&self, zxid: Zxid) -> Option<SessionId> {
        let record = self.reference.record(zxid)?;
        (record.op == OpCode::CloseSession && record.cxid == Xid(0)).then_some(record.session)
    }

    // What clients are told.

    /// A write is answered: there is exactly that transaction.
    pub(crate) fn write_answered(&mut self, answer: &Answer<'_>) -> Verdict {
        let Answer {
            session,
            xid,
            zxid,
            err,
            path,
            data,
        } = *answer;
        let Some(record) = self.reference.record(zxid) else {
            return Err(format!("{answer:?}: nothing is committed there"));
        };
        let is_its = (record.session, record.cxid) == (session, xid);
        let is_said = err == record.err.unwrap_or(0);
        let is_made = path.is_none() || record.created.as_deref() == path;
        let is_written = record.data.is_none() || data.is_none() || record.data.as_deref() == data;
        if !(is_its && is_said && is_made && is_written) {
            return Err(format!("{answer:x?}, and there is {record:x?}"));
        }
        self.acknowledged.insert(zxid);
        Ok(())
    }

    /// A session is closed, its client is told.
    pub(crate) fn close_answered(&mut self, session: SessionId, zxid: Zxid, may_be_local: bool) -> Verdict {
        let record = self.reference.record(zxid);
        let is_closed = record.is_some_and(|record| {
            // The leader may have been about to close it by itself.
            record.session == session && (record.op == OpCode::CloseSession || record.err.is_some())
        });
        if is_closed || may_be_local {
            return Ok(());
        }
        Err(format!(
            "session {session} is closed, it is told, with {zxid}, which is {record:?}"
        ))
    }

    /// A read shows the state that its header names: the data, if it was asked for, and the transaction that set it.
    pub(crate) fn read_answered(&self, path: &str, zxid: Zxid, found: Option<&(Option<Vec<u8>>, Zxid)>) -> Verdict {
        if zxid > self.state().0 {
            return Err(format!("a read shows the state of {zxid}, which is not committed"));
        }
        let expected = self.reference.at(path, zxid);
        let is_right = match (found, expected) {
            (None, None) => true,
            (Some((data, set_by)), Some((known, known_by))) => {
                set_by == known_by && data.as_ref().is_none_or(|data| data == known)
            }
            _ => false,
        };
        if is_right {
            return Ok(());
        }
        Err(format!("{path} at {zxid} is read as {found:x?}, and was {expected:x?}"))
    }

    /// An event tells of a change behind the state in which its watch was set.
    pub(crate) fn event(&self, path: &str, since: Zxid, zxid: Zxid) -> Verdict {
        match self.reference.first_change(path, since) {
            Some(changed) if zxid == Zxid(-1) || zxid == changed => Ok(()),
            other => Err(format!(
                "an event of {path} at {zxid}, watched since {since}; it changed first at {other:?}"
            )),
        }
    }

    /// A client that sees the state of `zxid` has had the event of everything that changed before what it watches.
    pub(crate) fn no_event_missed(&self, path: &str, since: Zxid, zxid: Zxid) -> Verdict {
        match self.reference.first_change(path, since) {
            Some(changed) if changed <= zxid => Err(format!(
                "a reply shows the state of {zxid}, and no event came of {path}, which is watched since {since} and changed at \
                 {changed}"
            )),
            _ => Ok(()),
        }
    }

    /// A client is given a session, a new one or its own again.
    pub(crate) fn session_given(&mut self, given: &Given) -> Verdict {
        self.reference.sessions.given(given)
    }

    /// A client is told that its session does not exist: that must be so, or about to be.
    pub(crate) fn session_refused(&self, session: SessionId, may_be_unknown: bool) -> Verdict {
        let closes = |txn: &Bytes| reference::closes(txn, session);
        let is_closing = || self.proposed.values().any(|(txn, _)| closes(txn));
        if may_be_unknown || !self.reference.sessions.is_open(session) || is_closing() {
            return Ok(());
        }
        Err(format!(
            "session {session} is said to have expired, and nobody has closed it (I8)"
        ))
    }

    /// What time it is.
    pub(crate) const fn set_time(&mut self, now: u64) {
        self.reference.sessions.set_time(now);
    }
}
