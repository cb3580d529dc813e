//! What is committed takes its effect, and those who wait are answered.

use core::cell::{RefCell, RefMut};
use core::ops::DerefMut;

use zebu_proto::client::{ConnectResponse, ReplyHeader};
use zebu_proto::session::password;
use zebu_proto::txn::{Txn, TxnDigest, TxnRecord};
use zebu_proto::{AclList, ErrorCode, OpCode, SessionId, Zxid};
use zebu_tree::{Change, Changes, Outcome, Settings};

use super::clients::{Asker, Key, What};
use super::{Divergence, InFlight, Node, NodeRole};
use crate::connection::{Answered, Close, ConnId, Connection, Outputs};
use crate::log_batch::KEPT_BYTES_MAX;
use crate::read::{After, Reader, Replica, WatchAccess};
use crate::reply;
use crate::watch::WatchTable;

impl<C: Connection> Node<C> {
    /// Applies committed transactions, at most `limit`, and answers those who wait for them. Call again while
    /// [`Node::can_commit`].
    ///
    /// A request that came behind a write is answered right after it, before anything later is applied: so every
    /// client's requests take effect in the order in which they were sent.
    pub fn commit(
        &mut self,
        replica: &mut Replica,
        watches: &mut WatchTable<C>,
        outputs: &mut impl Outputs<C>,
        limit: usize,
    ) {
        while let Some(key) = self.ready.pop() {
            self.answer_reads(key, replica, watches, outputs);
        }
        self.answer_syncs(replica, watches, outputs);
        for _ in 0..limit {
            let is_committed = |front: &InFlight| front.record.header.zxid <= self.committed;
            if !self.in_flight.front().is_some_and(is_committed) {
                break;
            }
            let Some(in_flight) = self.in_flight.pop_front() else {
                break;
            };
            self.apply(&in_flight, replica, watches, outputs);
            // Before the next one: it may be what the same client asked for behind its sync.
            self.answer_syncs(replica, watches, outputs);
        }
        if self.in_flight.is_empty() {
            self.in_flight.shrink_to(KEPT_BYTES_MAX / size_of::<InFlight>());
        }
    }

    fn apply(
        &mut self,
        in_flight: &InFlight,
        replica: &mut Replica,
        watches: &mut WatchTable<C>,
        outputs: &mut impl Outputs<C>,
    ) {
        let InFlight { record, asker } = in_flight;
        let zxid = record.header.zxid;
        let asker = match self.role {
            NodeRole::Learning => self.asker_of(record),
            _ => *asker,
        };
        let mut telling = Telling {
            watches: &mut *watches,
            outputs: &mut *outputs,
            zxid,
            settings: self.settings,
        };
        let outcome = replica.tree.apply(record, &mut telling);
        self.applied = zxid;
        self.applied_count += 1;
        self.check_digest(record, replica);
        match self.role {
            NodeRole::Alone | NodeRole::Leading => self.pending.applied(zxid),
            NodeRole::Learning => {
                if let Txn::CreateSession { timeout_ms } = record.txn {
                    self.learn_of_session(record.header.session, timeout_ms);
                }
            }
            NodeRole::ReadOnly | NodeRole::Looking => {}
        }
        if let Txn::CloseSession { .. } = record.txn {
            self.session_closed(record.header.session, asker.map(|asker| asker.conn), outputs);
        }
        if let Some(asker) = asker {
            self.answer_write(asker, record, &outcome, outputs);
            self.answer_reads(asker.key, replica, watches, outputs);
        }
    }

    /// What was prepared here must be what came of it. What another server prepared may differ if that one's tree does.
    fn check_digest(&mut self, record: &TxnRecord, replica: &Replica) {
        let found = replica.tree.digest();
        let said = record.digest.filter(|digest| digest.version == TxnDigest::VERSION);
        let Some(digest) = said else { return };
        if digest.tree == found {
            self.is_fuzzy = false;
        }
        if digest.tree == found || self.is_fuzzy {
            return;
        }
        let zxid = record.header.zxid;
        assert!(
            !matches!(self.role, NodeRole::Alone | NodeRole::Leading),
            "the tree is not what was prepared at {zxid}"
        );
        self.divergences += 1;
        self.last_divergence = Some(Divergence {
            zxid,
            expected: digest.tree,
            found,
        });
    }

    /// Answers the syncs that waited for what is applied now.
    fn answer_syncs(&mut self, replica: &Replica, watches: &mut WatchTable<C>, outputs: &mut impl Outputs<C>) {
        while let Some(at) = self.syncs_due.iter().position(|(due, _)| *due <= self.applied) {
            let (_, key) = self.syncs_due.swap_remove(at);
            self.answer_reads(key, replica, watches, outputs);
        }
    }

    /// The session is gone: whoever still serves it is closed, except the connection that asked for it, which gets its
    /// answer first.
    pub(super) fn session_closed(
        &mut self,
        session: SessionId,
        asked_by: Option<ConnId>,
        outputs: &mut impl Outputs<C>,
    ) {
        let was_global = self.sessions.handle(session).is_some();
        if was_global && self.role == NodeRole::Leading && self.config.local_sessions {
            self.ended.add(session);
        }
        self.sessions.remove(session);
        self.local.remove(session);
        self.owners.remove(&session);
        let Some(conn) = self.bound.remove(&session) else {
            return;
        };
        if asked_by == Some(conn) {
            return;
        }
        if let Some(client) = self.keys.get(&conn).and_then(|key| self.clients[*key].as_ref()) {
            outputs.close(&client.conn, Close::Now);
        }
    }

    fn answer_write(&mut self, asker: Asker, record: &TxnRecord, outcome: &Outcome, outputs: &mut impl Outputs<C>) {
        let client = self.clients.get_mut(asker.key).and_then(Option::as_mut);
        let Some(client) = client.filter(|client| client.conn.id() == asker.conn) else {
            if let Some(bytes) = asker.bytes {
                outputs.abandoned(bytes);
            }
            return;
        };
        let Some(queued) = client.next() else { return };
        let zxid = record.header.zxid;
        match queued.what {
            What::Connect { session, read_only } => {
                // It may have expired in the meantime.
                match self.sessions.handle(session).filter(|handle| !handle.is_closing()) {
                    Some(handle) => {
                        let timeout_ms = i32::try_from(handle.timeout_ms()).unwrap_or(i32::MAX);
                        let read_only = read_only.map(|_| false);
                        let response = ConnectResponse {
                            timeout_ms,
                            session,
                            password: password(session),
                            read_only,
                        };
                        outputs.established(&client.conn, handle, &response);
                    }
                    None => outputs.close(&client.conn, Close::Now),
                }
                return;
            }
            // Its client is served by another server, and must not go on here: this connection's requests would come
            // behind those that were sent later. Source: `FinalRequestProcessor`, ZOOKEEPER-710.
            What::Write if matches!(record.txn, Txn::Error { err } if err == ErrorCode::SessionMoved.code()) => {
                outputs.close(&client.conn, Close::Now);
            }
            What::Write => {
                outputs.send(&client.conn, |rope| {
                    reply::encode(queued.xid, zxid, &record.txn, outcome, rope)
                });
                if queued.op == OpCode::CloseSession.code() {
                    outputs.close(&client.conn, Close::AfterOutput);
                }
            }
            What::Read { .. } | What::Sync { .. } | What::Refused(_) | What::CloseLocal | What::Dropped => {
                unreachable!("reads leave the queue before the next write")
            }
        }
        let answered = Answered {
            op: queued.op,
            is_refused: matches!(record.txn, Txn::Error { .. }),
            xid: queued.xid,
            zxid,
            received: queued.received,
            bytes: queued.bytes,
        };
        outputs.answered(&client.conn, answered);
    }

    /// Answers a connection's requests up to the next one that waits for a transaction.
    fn answer_reads(
        &mut self,
        key: Key,
        replica: &Replica,
        watches: &mut WatchTable<C>,
        outputs: &mut impl Outputs<C>,
    ) {
        let Some(client) = self.clients.get_mut(key).and_then(Option::as_mut) else {
            return;
        };
        let watches = Held(RefCell::new(watches));
        while let Some(front) = client.queue.front()
            && front.what.is_ready(self.applied)
        {
            let Some(queued) = client.next() else { return };
            let zxid = replica.tree().last_zxid();
            let mut after = After::Open;
            let conn = &client.conn;
            match &queued.what {
                What::Read { ids, body } => {
                    let reader = Reader {
                        conn,
                        session: conn.session(),
                        ids,
                    };
                    outputs.send(conn, |rope| {
                        after = replica.read(&watches, &reader, queued.xid, queued.op, body, rope);
                    });
                }
                What::Sync { body, .. } => {
                    let reader = Reader {
                        conn,
                        session: conn.session(),
                        ids: &[],
                    };
                    outputs.send(conn, |rope| {
                        after = replica.read(&watches, &reader, queued.xid, queued.op, body, rope);
                    });
                }
                What::Refused(error) => outputs.send(conn, |rope| {
                    rope.reply(ReplyHeader::error(queued.xid, zxid, *error), |_| {});
                }),
                What::CloseLocal => {
                    self.local.remove(conn.session());
                    self.bound.remove(&conn.session());
                    outputs.send(conn, |rope| rope.reply(ReplyHeader::ok(queued.xid, zxid), |_| {}));
                    after = After::Close;
                }
                What::Dropped | What::Write | What::Connect { .. } => {}
            }
            outputs.answered(
                conn,
                Answered {
                    op: queued.op,
                    is_refused: matches!(queued.what, What::Refused(_) | What::Dropped),
                    xid: queued.xid,
                    zxid,
                    received: queued.received,
                    bytes: queued.bytes,
                },
            );
            if after == After::Close {
                outputs.close(conn, Close::AfterOutput);
            }
        }
    }
}

/// Tells those who watch about the changes of one transaction.
struct Telling<'a, C, O> {
    watches: &'a mut WatchTable<C>,
    outputs: &'a mut O,
    zxid: Zxid,
    settings: Settings,
}

impl<C: Connection, O: Outputs<C>> Changes for Telling<'_, C, O> {
    fn change(&mut self, change: Change, path: &str, acl: &AclList, parent_acl: Option<&AclList>) {
        self.watches
            .trigger(change, path, acl, parent_acl, self.zxid, &self.settings, self.outputs);
    }
}

/// The table of watches in the hands of the node.
struct Held<'a, C>(RefCell<&'a mut WatchTable<C>>);

impl<C> WatchAccess<C> for Held<'_, C> {
    fn lock(&self) -> impl DerefMut<Target = WatchTable<C>> {
        RefMut::map(self.0.borrow_mut(), |watches| &mut **watches)
    }
}
