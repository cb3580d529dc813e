//! What a learner does for its clients: it forwards their writes to the leader, and finds them again among what the leader
//! proposes.
//!
//! Source: `FollowerRequestProcessor`, `ObserverRequestProcessor`, `CommitProcessor`, `LearnerSessionTracker`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use zebu_proto::client::Request;
use zebu_proto::jute::DecodeError;
use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{ErrorCode, Id, Millis, OpCode, SessionId, Xid, Zxid};

use super::clients::{Asker, What};
use super::{InFlight, Node, NodeRole, Now, PendingConnect, refuse};
use crate::connection::{Close, ConnId, Connection, Outputs};

/// What a learner's leader is to be told, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forward {
    /// REQUEST.
    Request {
        /// The client's session.
        session: SessionId,
        /// The client's number for it.
        xid: Xid,
        /// The operation.
        op: OpCode,
        /// The request's record as the client sent it.
        body: Vec<u8>,
        /// Who the client is.
        ids: Arc<[Id]>,
    },
    /// REVALIDATE; the answer is to be given to [`Node::revalidated`].
    Revalidate {
        /// The session.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
}

impl Forward {
    pub(super) fn create_session(session: SessionId, timeout_ms: i32) -> Self {
        Self::Request {
            session,
            xid: Xid(0),
            op: OpCode::CreateSession,
            body: timeout_ms.to_be_bytes().to_vec(),
            ids: Arc::new([]),
        }
    }
}

/// A client that came back, and waits for the leader's word on its session.
pub(super) struct Revalidating<C> {
    pub(super) conn: C,
    timeout_ms: i32,
    read_only: Option<bool>,
}

impl<C: Connection> Node<C> {
    /// What the leader is to be told.
    pub fn take_forwards(&mut self) -> Vec<Forward> {
        core::mem::take(&mut self.forwards)
    }

    /// Forwards a write.
    pub(super) fn forward(&mut self, session: SessionId, ids: &Arc<[Id]>, xid: Xid, op: OpCode, body: &[u8]) -> What {
        // A Java leader makes no transaction of what it cannot read, save of a multi: nobody would ever hear of it.
        if op != OpCode::Multi && Request::decode(op, body).is_err() {
            return What::Refused(ErrorCode::MarshallingError);
        }
        self.forwards.push(Forward::Request {
            session,
            xid,
            op,
            body: body.to_vec(),
            ids: ids.clone(),
        });
        What::Write
    }

    /// Asks the leader, or on a leader its quorum, for a sign that everything that was ever acknowledged is known here.
    pub(super) fn sync(&mut self, conn: ConnId, session: SessionId, ids: &Arc<[Id]>, xid: Xid, body: &[u8]) -> What {
        if Request::decode(OpCode::Sync, body).is_err() {
            return What::Refused(ErrorCode::MarshallingError);
        }
        self.syncs.push_back(conn);
        if self.role == NodeRole::Learning {
            self.forwards.push(Forward::Request {
                session,
                xid,
                op: OpCode::Sync,
                body: body.to_vec(),
                ids: ids.clone(),
            });
        } else {
            self.new_syncs += 1;
        }
        What::Sync {
            body: body.into(),
            due: None,
        }
    }

    /// The oldest sync that waits is answered: whoever asked gets the answer once everything is applied that is committed
    /// by now. `false` if none waits.
    pub fn synced(&mut self) -> bool {
        let Some(conn) = self.syncs.pop_front() else {
            return false;
        };
        let committed = self
            .in_flight
            .partition_point(|in_flight| in_flight.record.header.zxid <= self.committed);
        let wanted = match committed.checked_sub(1) {
            Some(last) => self.in_flight[last].record.header.zxid,
            None => self.applied,
        };
        let Some(&key) = self.keys.get(&conn) else { return true };
        if let Some(client) = &mut self.clients[key] {
            let waiting = client.queue.iter_mut().find_map(|queued| match &mut queued.what {
                What::Sync { due: due @ None, .. } => Some(due),
                _ => None,
            });
            if let Some(due) = waiting {
                *due = Some(wanted);
                self.syncs_due.push((wanted, key));
            }
        }
        true
    }

    pub(super) fn revalidate(
        &mut self,
        conn: &C,
        request: &PendingConnect,
        timeout_ms: i32,
        outputs: &mut impl Outputs<C>,
    ) {
        let waiting = Revalidating {
            conn: conn.clone(),
            timeout_ms,
            read_only: request.read_only,
        };
        if let Some(before) = self.revalidating.insert(request.session, waiting) {
            outputs.close(&before.conn, Close::Now);
        }
        // What comes late by the connection that the client has left would reach the leader behind this question, and its
        // transaction behind the answer, where it could be taken for something that the client asks for on this one.
        self.close_other(request.session, Some(conn.id()), outputs);
        self.bound.remove(&request.session);
        self.forwards.push(Forward::Revalidate {
            session: request.session,
            timeout_ms,
        });
    }

    /// The leader has answered REVALIDATE.
    pub fn revalidated(&mut self, session: SessionId, is_valid: bool, now: Now, outputs: &mut impl Outputs<C>) {
        // The client may have gone, or come back by another connection: then the other one's answer follows.
        let Some(waiting) = self.revalidating.remove(&session) else {
            return;
        };
        if !is_valid {
            return refuse(&waiting.conn, waiting.read_only, false, outputs);
        }
        let timeout_ms = u64::try_from(waiting.timeout_ms).unwrap_or(0);
        // The transaction that created it may not have come yet.
        let renewed = self.sessions.renew(session, timeout_ms, now.mono);
        let handle = renewed.unwrap_or_else(|| self.sessions.add(session, timeout_ms, now.mono));
        self.go_on(&waiting.conn, &handle, waiting.timeout_ms, waiting.read_only, outputs);
    }

    /// The client of a session is served by an observer of this server now: its connection here is closed, and what comes
    /// for the session is not for it.
    pub fn session_moved(&mut self, session: SessionId, outputs: &mut impl Outputs<C>) {
        self.close_other(session, None, outputs);
        self.bound.remove(&session);
    }

    /// Takes over a transaction from the leader: it is to be logged as it is, and applied when it is committed.
    ///
    /// # Errors
    /// If it cannot be read, or is not the one that was announced.
    pub fn append(&mut self, zxid: Zxid, txn: &[u8]) -> Result<(), AppendError> {
        let record = TxnRecord::decode(txn).map_err(AppendError::Unreadable)?;
        if record.header.zxid != zxid {
            return Err(AppendError::Other(record.header.zxid));
        }
        self.log.push_raw(zxid, txn);
        self.last_prepared = zxid;
        self.in_flight.push_back(InFlight { record, asker: None });
        Ok(())
    }

    /// A session exists from now on. It does not expire here: that is for the leader to decide.
    pub(super) fn learn_of_session(&mut self, session: SessionId, timeout_ms: i32) {
        if self.sessions.handle(session).is_none() {
            let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
            self.sessions.add(session, timeout_ms, self.seen_at);
        }
    }

    /// Which of this server's clients waits for a transaction that was decided elsewhere.
    ///
    /// Clients may begin to count anew with each connection: what was on its way for an earlier connection of the session
    /// has a number that this one may be waiting for as well. Its transaction comes before the leader's word on the session.
    /// Only the refusal of something that comes still later, from where the session was before, can be taken for that of
    /// a request here, which then ends without an answer.
    pub(super) fn asker_of(&self, record: &TxnRecord) -> Option<Asker> {
        let conn = *self.bound.get(&record.header.session)?;
        let key = *self.keys.get(&conn)?;
        let client = self.clients[key].as_ref()?;
        if record.header.zxid <= client.since {
            return None;
        }
        let front = client.queue.front()?;
        let is_it = match &front.what {
            What::Connect { session, .. } => {
                *session == record.header.session && matches!(record.txn, Txn::CreateSession { .. })
            }
            What::Write => {
                front.xid == record.header.cxid
                    && (matches!(record.txn, Txn::Error { .. }) || front.op == record.header.op.code())
            }
            _ => false,
        };
        is_it.then_some(Asker {
            key,
            conn,
            bytes: Some(front.bytes),
        })
    }

    /// The sessions of this server's clients that have shown a sign of life at or after `since`, or wait for an answer,
    /// with their timeouts in milliseconds.
    pub fn heard_of(&self, since: Millis) -> impl Iterator<Item = (SessionId, u64)> + '_ {
        let clients = self.clients.iter().flatten();
        clients.filter_map(move |client| {
            let handle = self.sessions.handle(client.conn.session())?;
            let is_heard_of = handle.touched() >= since || !client.queue.is_empty();
            is_heard_of.then(|| (handle.id(), handle.timeout_ms()))
        })
    }
}

/// Why a transaction of a leader cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// It cannot be read.
    Unreadable(DecodeError),
    /// It has another zxid than the packet that brought it.
    Other(Zxid),
}

impl core::fmt::Display for AppendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Other(zxid) => write!(f, "it is {zxid} by its own header"),
        }
    }
}

impl core::error::Error for AppendError {}
