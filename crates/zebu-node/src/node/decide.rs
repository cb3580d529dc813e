//! Writes of clients become transactions.

use alloc::vec::Vec;

use zebu_proto::client::Request;
use zebu_proto::{ErrorCode, Id, OpCode, SessionId, Xid};
use zebu_tree::RequestContext;

use super::clients::{Asker, What};
use super::local::makes_ephemeral;
use super::reconfig::Change;
use super::{LearnerKey, Node, NodeRole, Now, Owner, PendingConnect, refuse};
use crate::connection::{Connection, Outputs};
use crate::read::Replica;
use crate::session::SessionTracker;

/// Transactions above this multiple of the frame limit are refused by Java's log readers; ours stay below it.
const TXN_LIMIT_FACTOR: usize = 2;

impl<C: Connection> Node<C> {
    /// Creates a session, for a client of this server or of a learner.
    pub(super) fn decide_session(&mut self, session: SessionId, timeout_ms: i32, asker: Option<Asker>, now: Now) {
        self.sessions
            .add(session, u64::try_from(timeout_ms).unwrap_or(0), now.mono);
        let context = self.context(session, Xid(0), &[], true, now);
        let record = self.pending.create_session(&self.settings, &context, timeout_ms);
        self.propose(record, asker);
    }

    pub(super) fn renew_session(
        &mut self,
        conn: &C,
        request: &PendingConnect,
        timeout_ms: i32,
        now: Now,
        outputs: &mut impl Outputs<C>,
    ) {
        let session = request.session;
        let renewed = self
            .sessions
            .renew(session, u64::try_from(timeout_ms).unwrap_or(0), now.mono);
        let Some(handle) = renewed else {
            return refuse(conn, request.read_only, false, outputs);
        };
        self.owned_here(session);
        self.go_on(conn, &handle, timeout_ms, request.read_only, outputs);
    }

    #[allow(clippy::too_many_arguments, reason = "one call site, the parts of one request")]
    pub(super) fn write(
        &mut self,
        replica: &Replica,
        asker: Asker,
        session: SessionId,
        ids: &[Id],
        xid: Xid,
        op: OpCode,
        body: &[u8],
        now: Now,
    ) -> What {
        let asker = Some(asker);
        match self.decide(replica, asker, session, ids, xid, op, body, now) {
            Ok(()) => What::Write,
            Err(error) => What::Refused(error),
        }
    }

    /// Makes a request's transaction, or says why there is none.
    #[allow(clippy::too_many_arguments, reason = "the parts of one request")]
    fn decide(
        &mut self,
        replica: &Replica,
        asker: Option<Asker>,
        session: SessionId,
        ids: &[Id],
        xid: Xid,
        op: OpCode,
        body: &[u8],
        now: Now,
    ) -> Result<(), ErrorCode> {
        let is_live = self.sessions.is_live(session);
        if op == OpCode::CloseSession && is_live {
            self.close_session(replica, session, xid, asker, now);
            return Ok(());
        }
        let request = Request::decode(op, body);
        let owns_nothing = |request: &Request<'_>| !makes_ephemeral(request);
        let may_write = is_live || request.as_ref().is_ok_and(owns_nothing) && self.may_be_local(session);
        let context = self.context(session, xid, ids, may_write, now);
        let record = match request {
            Ok(Request::Reconfig {
                joining,
                leaving,
                new_members,
                config_id,
            }) => {
                let change = Change {
                    joining: joining.as_deref(),
                    leaving: leaving.as_deref(),
                    new_members: new_members.as_deref(),
                    config_id,
                };
                match self.reconfigured(&change, &context) {
                    Ok(config) => self.prepare_reconfig(replica, &context, config),
                    Err(error) => self.pending.refuse(&context, error),
                }
            }
            Ok(Request::CloseSession) => self.pending.refuse(&context, ErrorCode::SessionExpired),
            Ok(request) => self.pending.prepare(replica.tree(), &context, &request),
            // As in the reference a multi that cannot be read takes a zxid, other requests take none.
            Err(_) if op == OpCode::Multi => self.pending.refuse(&context, ErrorCode::MarshallingError),
            Err(_) => return Err(ErrorCode::MarshallingError),
        };
        let len = self.propose(record, asker);
        if len > self.settings.txn_bytes_max.saturating_mul(TXN_LIMIT_FACTOR) {
            // No server could read its log again.
            self.in_flight.pop_back();
            self.log.pop();
            let context = RequestContext {
                zxid: self.last_prepared,
                ..self.context(session, xid, ids, is_live, now)
            };
            let record = self.pending.refuse_last(&context, ErrorCode::BadArguments);
            self.enter(record, asker);
        }
        Ok(())
    }

    /// Closes a session, by its client's wish or because it expired.
    fn close_session(&mut self, replica: &Replica, session: SessionId, xid: Xid, asker: Option<Asker>, now: Now) {
        // The record lists the session's nodes and must stay readable: if it would grow too large, some go before.
        let tree = replica.tree();
        let ephemerals = self.pending.ephemerals(tree, session);
        let mut bytes: usize = ephemerals.iter().map(|path| path.len() + 4).sum();
        let mut surplus = ephemerals.iter();
        while bytes > self.settings.txn_bytes_max {
            let Some(path) = surplus.next() else { break };
            bytes -= path.len() + 4;
            // Not the request's number: a learner would take this for the answer to it.
            let context = self.context(session, Xid(0), &[], true, now);
            let record = self.pending.delete_ephemeral(tree, &context, path);
            self.propose(record, None);
        }
        let context = self.context(session, xid, &[], true, now);
        let record = self.pending.prepare(tree, &context, &Request::CloseSession);
        self.propose(record, asker);
        self.sessions.set_closing(session);
    }

    /// Closes sessions that own ephemeral nodes and are not known: what a crash at a bad moment of another
    /// implementation may have left behind. For a node that has just begun.
    pub fn close_orphans(&mut self, replica: &Replica, now: Now) {
        for session in replica.tree().sessions_with_ephemerals() {
            if self.sessions.handle(session).is_none() {
                self.close_session(replica, session, Xid(0), None, now);
            }
        }
    }

    /// Time has passed: sessions expire, containers go. [`Node::expire_local`] is called as often.
    ///
    /// A session does not expire while its client waits for an answer: this server is late then, and may not even read
    /// what the client sends meanwhile. (In the reference a disk that hangs makes the sessions of all who write expire.)
    pub fn tick(&mut self, replica: &Replica, now: Now) -> Vec<SessionId> {
        if !matches!(self.role, NodeRole::Alone | NodeRole::Leading) {
            return Vec::new();
        }
        self.touch_waiting(&self.sessions, now);
        let expired = self.sessions.expire(now.mono);
        for session in &expired {
            self.close_session(replica, *session, Xid(0), None, now);
        }
        while let Some(path) = self.sweep.next(replica.tree(), now.mono, now.wall) {
            let context = self.context(SessionId::NONE, Xid(0), &[], true, now);
            let record = self.pending.delete_container(replica.tree(), &context, &path);
            self.propose(record, None);
        }
        expired
    }

    /// Clients that wait for an answer are alive as far as anybody can know.
    pub(super) fn touch_waiting(&self, sessions: &SessionTracker, now: Now) {
        for client in self.clients.iter().flatten().filter(|client| !client.queue.is_empty()) {
            if let Some(session) = sessions.handle(client.conn.session()) {
                session.touch(now.mono);
            }
        }
    }

    // On a leader: what learners bring.

    /// A learner forwards a write of one of its clients, or asks for a session of one to be created or closed. Whatever
    /// comes of it comes as a transaction: the learner waits for one with this session and number.
    ///
    /// Source: `PrepRequestProcessor.pRequest`, `SessionTrackerImpl.checkSession`.
    ///
    /// # Errors
    /// If that is no request that a learner forwards, or it cannot be read. Nothing came of it.
    #[allow(clippy::too_many_arguments, reason = "the parts of one request")]
    pub fn learner_request(
        &mut self,
        replica: &Replica,
        learner: LearnerKey,
        session: SessionId,
        xid: Xid,
        op: i32,
        ids: &[Id],
        body: &[u8],
        now: Now,
    ) -> Result<(), &'static str> {
        let op = OpCode::from_i32(op).ok_or("it forwarded an unknown operation")?;
        match op {
            OpCode::CreateSession => {
                let timeout = body.first_chunk().ok_or("it asked for a session without a timeout")?;
                let timeout_ms = i32::from_be_bytes(*timeout);
                self.owners.insert(session, Owner::Learner(learner));
                if self.sessions.is_live(session) {
                    // It asks again for what it has; the session goes on as it is.
                    let context = self.context(session, xid, &[], true, now);
                    let record = self.pending.create_session(&self.settings, &context, timeout_ms);
                    self.propose(record, None);
                } else {
                    self.decide_session(session, timeout_ms, None, now);
                }
                return Ok(());
            }
            // Whoever asks: it may be that the client is gone, and comes back elsewhere.
            OpCode::CloseSession => {}
            _ if !op.is_client_request() || !op.is_write() => return Err("it forwarded what is no write"),
            _ => {
                let asked_by = Owner::Learner(learner);
                let is_live = self.sessions.is_live(session);
                if is_live && *self.owners.entry(session).or_insert(asked_by) != asked_by {
                    self.refuse(session, xid, ids, ErrorCode::SessionMoved, now);
                    return Ok(());
                }
            }
        }
        if let Err(error) = self.decide(replica, None, session, ids, xid, op, body, now) {
            self.refuse(session, xid, ids, error, now);
        }
        Ok(())
    }

    fn refuse(&mut self, session: SessionId, xid: Xid, ids: &[Id], error: ErrorCode, now: Now) {
        let context = self.context(session, xid, ids, true, now);
        let record = self.pending.refuse(&context, error);
        self.propose(record, None);
    }

    /// A learner asks whether the session of a client that came back to it still exists. If so it is served there now.
    ///
    /// The answer must come behind everything that the session has in flight ([`Node::has_in_flight`]): the learner could
    /// take it for the answer to something that the client asks for next.
    ///
    /// Source: `LearnerHandler`, `LeaderZooKeeperServer.checkIfValidGlobalSession`.
    pub fn learner_revalidates(
        &mut self,
        learner: LearnerKey,
        session: SessionId,
        timeout_ms: i32,
        now: Now,
        outputs: &mut impl Outputs<C>,
    ) -> bool {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        let is_valid = self.sessions.renew(session, timeout_ms, now.mono).is_some();
        if is_valid {
            self.close_other(session, None, outputs);
            self.bound.remove(&session);
            self.owners.insert(session, Owner::Learner(learner));
        }
        is_valid
    }

    /// Whether something that a session asked for is decided and not applied yet.
    pub fn has_in_flight(&self, session: SessionId) -> bool {
        let in_flight = self.in_flight.iter();
        in_flight
            .rev()
            .any(|in_flight| in_flight.record.header.session == session)
    }

    /// A learner has heard of the client of a session.
    pub fn learner_heard_of(&self, session: SessionId, now: Now) {
        if let Some(handle) = self.sessions.handle(session) {
            handle.touch(now.mono);
        }
    }

    /// Number of syncs of this leader's own clients that were not told yet. Each is to be answered with
    /// [`Node::synced`], in order.
    pub fn take_new_syncs(&mut self) -> usize {
        core::mem::take(&mut self.new_syncs)
    }
}
