//! Connections and their requests that wait.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

use zebu_proto::{ErrorCode, Id, Millis, SessionId, Xid, Zxid};

use crate::connection::ConnId;

/// Number of a connection in the node.
pub(super) type Key = usize;

/// A connection and its requests that wait, in the order in which they came.
pub(super) struct Client<C> {
    pub(super) conn: C,
    /// What was prepared or taken over when it came. Nothing up to here can be the answer to a request of its.
    pub(super) since: Zxid,
    pub(super) queue: VecDeque<Queued>,
}

impl<C> Client<C> {
    /// Takes the first request out of the queue. A queue without requests holds no memory, however many there were.
    pub(super) fn next(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        queued
    }
}

/// A request that was handed over.
pub(super) struct Queued {
    pub(super) xid: Xid,
    pub(super) op: i32,
    pub(super) received: Millis,
    /// Length of the frame.
    pub(super) bytes: usize,
    pub(super) what: What,
}

/// What becomes of a request, and what it waits for.
pub(super) enum What {
    /// Waits for its transaction to be applied.
    Write,
    /// Waits for the writes before it.
    Read { ids: Arc<[Id]>, body: Box<[u8]> },
    /// Waits until the leader says that it still leads, and then for what was committed by then.
    Sync {
        body: Box<[u8]>,
        /// The last transaction that has to be applied, once the leader has answered.
        due: Option<Zxid>,
    },
    /// Waits for the writes before it, to be refused.
    Refused(ErrorCode),
    /// Waits for the writes before it, to end its session, which is known here only.
    CloseLocal,
    /// Came when the connection did not serve its session any more: waits for the writes before it, and nobody is told.
    Dropped,
    /// Waits for the transaction that creates its session.
    Connect {
        session: SessionId,
        read_only: Option<bool>,
    },
}

impl What {
    /// Whether it can be answered as soon as it is the first, when everything up to `applied` is applied.
    pub(super) fn is_ready(&self, applied: Zxid) -> bool {
        match self {
            Self::Read { .. } | Self::Refused(_) | Self::CloseLocal | Self::Dropped => true,
            Self::Sync { due, .. } => due.is_some_and(|due| due <= applied),
            Self::Write | Self::Connect { .. } => false,
        }
    }

    /// Whether a transaction will come that belongs to it.
    pub(super) const fn needs_transaction(&self) -> bool {
        matches!(self, Self::Write | Self::Connect { .. })
    }
}

/// Who waits for a transaction, as long as the connection is there.
#[derive(Clone, Copy)]
pub(super) struct Asker {
    pub(super) key: Key,
    pub(super) conn: ConnId,
    /// Length of the request's frame; none for a handshake.
    pub(super) bytes: Option<usize>,
}
