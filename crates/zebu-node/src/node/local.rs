//! Sessions that only this server knows, and what a server without an ensemble does for its clients.
//!
//! A *local session* takes no transaction to be made, renewed, expired or closed. It may write like any other, but own no
//! ephemeral node: when it makes its first, it becomes one of the ensemble's, by a transaction that goes ahead of that
//! create. It ends with the role of its server; a client that comes back later, or elsewhere, is told that it expired.
//!
//! A *read-only* server has lost its ensemble, or not found it yet. It shows clients that ask for no more what it has, and
//! changes nothing: all that its clients have here is local.
//!
//! Source: `UpgradeableSessionTracker`, `QuorumZooKeeperServer.checkUpgradeSession`, `LeaderSessionTracker.checkSession`,
//! `ReadOnlyZooKeeperServer`, `ReadOnlyRequestProcessor`.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use zebu_proto::client::{CreateRequest, MultiOp, Request};
use zebu_proto::{CreateMode, ErrorCode, Millis, OpCode, SessionId, Xid};

use super::clients::What;
use super::learn::Forward;
use super::{Node, NodeConfig, NodeRole, Now, PendingConnect, refuse};
use crate::connection::{Close, Connection, Outputs};
use crate::read::Replica;
use crate::session::SessionTracker;

impl<C: Connection> Node<C> {
    /// The sessions that only this server knows.
    #[must_use]
    pub const fn local_sessions(&self) -> &SessionTracker {
        &self.local
    }

    /// This server has found no leader for a while: it serves those who only read.
    ///
    /// # Panics
    /// If it has another role.
    pub fn begin_reading(&mut self, replica: &Replica, now: Now) {
        assert!(self.role == NodeRole::Looking, "who has a leader serves everybody");
        self.begin_role(NodeRole::ReadOnly, replica, now);
    }

    /// Whether a new session is to be local. A server alone has no other sessions than its own; one that can only read
    /// has no way to make others, whatever it is told. (The reference gives clients none at all then.)
    pub(super) const fn makes_local_sessions(&self) -> bool {
        match self.role {
            NodeRole::Alone | NodeRole::Looking => false,
            NodeRole::Leading | NodeRole::Learning => self.config.local_sessions,
            NodeRole::ReadOnly => true,
        }
    }

    /// A client asks a read-only server for a session.
    pub(super) fn connect_to_read(
        &mut self,
        conn: &C,
        request: &PendingConnect,
        timeout_ms: i32,
        now: Now,
        outputs: &mut impl Outputs<C>,
    ) {
        let is_global = self.sessions.handle(request.session).is_some();
        if request.read_only != Some(true) || is_global {
            // Somebody else may serve it, and keep its session alive.
            outputs.close(conn, Close::Now);
        } else if request.session == SessionId::NONE {
            self.create_local_session(conn, request, timeout_ms, now, outputs);
        } else if !self.renew_local_session(conn, request, timeout_ms, now, outputs) {
            refuse(conn, request.read_only, true, outputs);
        }
    }

    pub(super) fn create_local_session(
        &mut self,
        conn: &C,
        request: &PendingConnect,
        timeout_ms: i32,
        now: Now,
        outputs: &mut impl Outputs<C>,
    ) {
        let session = self.take_session_id();
        let handle = self
            .local
            .add(session, u64::try_from(timeout_ms).unwrap_or(0), now.mono);
        self.go_on(conn, &handle, timeout_ms, request.read_only, outputs);
    }

    /// Goes on with a session of this server's own. `false` if it is none, or the password is wrong.
    pub(super) fn renew_local_session(
        &mut self,
        conn: &C,
        request: &PendingConnect,
        timeout_ms: i32,
        now: Now,
        outputs: &mut impl Outputs<C>,
    ) -> bool {
        let has_proved = request.password == zebu_proto::session::password(request.session);
        if !has_proved {
            return false;
        }
        let renewed = self
            .local
            .renew(request.session, u64::try_from(timeout_ms).unwrap_or(0), now.mono);
        let Some(handle) = renewed else { return false };
        self.go_on(conn, &handle, timeout_ms, request.read_only, outputs);
        true
    }

    /// What becomes of a request because its session is local, or because this server is read-only; nothing if it is to
    /// be treated as any other.
    pub(super) fn judge_locally(&mut self, session: SessionId, op: OpCode, body: &[u8], now: Now) -> Option<What> {
        if !op.is_write() && op != OpCode::Sync {
            return None;
        }
        let handle = self.local.handle(session);
        let is_closing = handle.is_some_and(|handle| handle.is_closing());
        let is_local = handle.is_some();
        let is_read_only = self.role == NodeRole::ReadOnly;
        if op == OpCode::CloseSession && is_local && !is_closing {
            self.local.set_closing(session);
            return Some(What::CloseLocal);
        }
        if is_read_only {
            return Some(What::Refused(ErrorCode::NotReadOnly));
        }
        if !is_local || !op.is_write() {
            return None;
        }
        if is_closing {
            return Some(What::Refused(ErrorCode::SessionExpired));
        }
        if !is_create(op) || !Request::decode(op, body).is_ok_and(|request| makes_ephemeral(&request)) {
            return None;
        }
        // The reference makes a transaction of the refusal; of a multi it lets the leader refuse the elements, as those of
        // a session that has expired.
        if !self.config.local_session_upgrading {
            return Some(What::Refused(ErrorCode::EphemeralOnLocalSession));
        }
        self.upgrade(session, now);
        None
    }

    /// A local session becomes one of the ensemble's; the transaction that makes it goes ahead of whatever comes next.
    fn upgrade(&mut self, session: SessionId, now: Now) {
        let Some(handle) = self.local.release(session) else {
            return;
        };
        let timeout_ms = i32::try_from(handle.timeout_ms()).unwrap_or(i32::MAX);
        self.sessions.adopt(handle);
        if self.role == NodeRole::Learning {
            self.forwards.push(Forward::create_session(session, timeout_ms));
        } else {
            self.owned_here(session);
            let context = self.context(session, Xid(0), &[], true, now);
            let record = self.pending.create_session(&self.settings, &context, timeout_ms);
            self.propose(record, None);
        }
    }

    /// Whether a leader carries out a write of a session that is none of the ensemble's: it may be one of this server's
    /// own, or of a learner's, which has seen to it that it exists.
    ///
    /// What a learner forwards before it hears of the end of one of the ensemble's looks the same. It is known from those
    /// that have ended lately. (The reference carries it out: a client whose session has expired may write once more.)
    pub(super) fn may_be_local(&self, session: SessionId) -> bool {
        let was_global = self.ended.contains(session);
        if !self.config.local_sessions || was_global || self.sessions.handle(session).is_some() {
            return false;
        }
        let made_by = session.0.cast_unsigned() >> 56;
        let is_own = made_by == self.config.sid.0.cast_unsigned() & 0xff;
        !is_own || self.local.is_live(session)
    }

    /// Time has passed: local sessions of which nothing was heard for too long are over. To be called as often as
    /// [`Node::tick`], whatever this server is.
    pub fn expire_local(&mut self, now: Now, outputs: &mut impl Outputs<C>) -> Vec<SessionId> {
        self.ended.forget(now.mono);
        self.touch_waiting(&self.local, now);
        let expired = self.local.expire(now.mono);
        for session in &expired {
            self.session_closed(*session, None, outputs);
        }
        expired
    }
}

/// Sessions of the ensemble that have ended not long ago.
pub(super) struct Ended {
    /// How long they are kept at least; nobody who is alive is silent for longer.
    kept_ms: u64,
    lately: BTreeSet<SessionId>,
    before: BTreeSet<SessionId>,
    next: Millis,
}

impl Ended {
    pub(super) fn new(config: &NodeConfig) -> Self {
        Self {
            kept_ms: u64::try_from(config.session_timeout_ms_max).unwrap_or(0),
            lately: BTreeSet::new(),
            before: BTreeSet::new(),
            next: Millis(0),
        }
    }

    pub(super) fn add(&mut self, session: SessionId) {
        self.lately.insert(session);
    }

    fn contains(&self, session: SessionId) -> bool {
        self.lately.contains(&session) || self.before.contains(&session)
    }

    fn forget(&mut self, now: Millis) {
        if now >= self.next {
            self.before = core::mem::take(&mut self.lately);
            self.next = now.plus(self.kept_ms);
        }
    }
}

const fn is_create(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl | OpCode::Multi
    )
}

/// Whether a write makes a node that goes with its session. (The reference looks at two of the four kinds of create; the
/// others are made with these flags by nobody who means it, and what they make is the same.)
pub(super) fn makes_ephemeral(request: &Request<'_>) -> bool {
    let is_ephemeral =
        |create: &CreateRequest<'_>| CreateMode::from_flags(create.flags).is_some_and(CreateMode::is_ephemeral);
    match request {
        Request::Create(create) => is_ephemeral(create),
        Request::Multi(multi) => multi
            .ops
            .iter()
            .any(|op| matches!(op, MultiOp::Create(create) if is_ephemeral(create))),
        _ => false,
    }
}
