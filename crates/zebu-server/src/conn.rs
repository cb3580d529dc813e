//! A client connection, as all threads share it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use zebu_node::{Close, ConnId, Connection, SessionHandle};
use zebu_proto::client::ConnectResponse;
use zebu_proto::{Id, Millis, OpCode, SessionId, WallMillis};
use zebu_tree::access;

use crate::limits::{LargeShare, PROGRESS_BYTES_MIN};
use crate::outbox::{Flushed, Outbox};

/// What everybody may know of a connection. Its reading half belongs to the task that serves it.
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    pub(crate) peer: SocketAddr,
    pub(crate) opened: Millis,
    pub(crate) established_at: OnceLock<WallMillis>,
    ids: Mutex<Arc<[Id]>>,
    session: OnceLock<Arc<SessionHandle>>,
    /// Whether the client asked to go on with a session that it had before.
    pub(crate) is_renewal: AtomicBool,
    pub(crate) outbox: Outbox,
    socket: OwnedWriteHalf,
    /// Wakes the task that serves the connection.
    pub(crate) wake: Notify,
    /// Requests handed to the node and not yet answered.
    pub(crate) in_flight: AtomicUsize,
    /// Whether the task waits for `in_flight` to reach zero.
    pub(crate) is_paused: AtomicBool,
    /// Whether the task waits until fewer bytes are unsent, or lets others have their turn.
    pub(crate) is_choked: AtomicBool,
    /// Large requests of the client that are in work.
    pub(crate) large: LargeShare,
    close: AtomicU8,
    /// Bytes that the socket had taken at the last sweep.
    looked_at: AtomicU64,
    /// Whether it had taken nothing to speak of at the last sweep.
    had_stalled: AtomicBool,
}

/// All identities of one connection. Every piece of requests that is handed to the node has those of its time with it, and
/// every check of an ACL looks through them.
const IDS_BYTES_MAX: usize = 64 << 10;
/// What an identity takes beside its text.
const ID_BYTES: usize = 64;

const OPEN: u8 = 0;
const CLOSE_AFTER_OUTPUT: u8 = 1;
const CLOSE_NOW: u8 = 2;

impl Conn {
    pub(crate) fn new(id: ConnId, peer: SocketAddr, opened: Millis, socket: OwnedWriteHalf, large: LargeShare) -> Self {
        let address = Id::new(access::IP, &peer.ip().to_canonical().to_string());
        Self {
            id,
            peer,
            opened,
            established_at: OnceLock::new(),
            ids: Mutex::new([address].into()),
            session: OnceLock::new(),
            is_renewal: AtomicBool::new(false),
            outbox: Outbox::new(),
            socket,
            wake: Notify::new(),
            in_flight: AtomicUsize::new(0),
            is_paused: AtomicBool::new(false),
            is_choked: AtomicBool::new(false),
            large,
            close: AtomicU8::new(OPEN),
            looked_at: AtomicU64::new(0),
            had_stalled: AtomicBool::new(false),
        }
    }

    /// The session, after the handshake.
    pub(crate) fn session_handle(&self) -> Option<&Arc<SessionHandle>> {
        self.session.get()
    }

    /// Adds identities that the client has proved. Returns whether there was room for them.
    pub(crate) fn add_ids(&self, more: Vec<Id>) -> bool {
        let mut ids = self.ids.lock();
        let mut all: Vec<Id> = ids.to_vec();
        for id in more {
            if !all.contains(&id) {
                all.push(id);
            }
        }
        let bytes: usize = all.iter().map(|id| ID_BYTES + id.scheme.len() + id.id.len()).sum();
        let is_acceptable = bytes <= IDS_BYTES_MAX;
        if is_acceptable {
            *ids = all.into();
        }
        is_acceptable
    }

    /// Ends the handshake.
    pub(crate) fn establish(&self, session: &Arc<SessionHandle>, response: &ConnectResponse, now: WallMillis) {
        let mut queue = self.outbox.lock();
        queue.rope.frame(|out| response.encode(out));
        queue.stats.sent += 1;
        if !self.is_renewal.load(Ordering::Relaxed) {
            queue.stats.last_op = Some(OpCode::CreateSession.code());
            queue.stats.last_cxid = 0;
        }
        drop(queue);
        let _ = self.established_at.set(now);
        let _ = self.session.set(session.clone());
        self.wake.notify_one();
    }

    /// Asks for the connection to be closed.
    pub(crate) fn close(&self, close: Close) {
        let wanted = match close {
            Close::AfterOutput => CLOSE_AFTER_OUTPUT,
            Close::Now => CLOSE_NOW,
        };
        self.close.fetch_max(wanted, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Whether and how the connection is to be closed.
    pub(crate) fn closing(&self) -> Option<Close> {
        match self.close.load(Ordering::Acquire) {
            OPEN => None,
            CLOSE_AFTER_OUTPUT => Some(Close::AfterOutput),
            _ => Some(Close::Now),
        }
    }

    /// Writes what waits to be written. What the socket does not take is left to the task that serves the connection.
    pub(crate) fn flush(&self) -> Flushed {
        match self.outbox.flush(&self.socket) {
            Ok(flushed) => flushed,
            Err(_broken) => {
                // The client is gone; the task finds out the same way.
                self.close(Close::Now);
                Flushed::Done
            }
        }
    }

    /// Whether something waits to be written, and the client has taken nothing to speak of for two sweeps. To be asked once
    /// in each.
    pub(crate) fn has_stalled(&self) -> bool {
        let written = self.outbox.written();
        let before = self.looked_at.swap(written, Ordering::Relaxed);
        let has_stalled = written - before < PROGRESS_BYTES_MIN && self.outbox.len() as u64 > PROGRESS_BYTES_MIN;
        let had_stalled = self.had_stalled.swap(has_stalled, Ordering::Relaxed);
        has_stalled && had_stalled
    }

    /// Tells the client that nothing more will come.
    pub(crate) fn end_output(&self) {
        // A connection that is broken already needs no end.
        let _ = socket2::SockRef::from(self.socket.as_ref()).shutdown(std::net::Shutdown::Write);
    }

    /// Waits until the socket may take more.
    pub(crate) async fn writable(&self) {
        // An error shows at the next write.
        let _ = self.socket.writable().await;
    }
}

/// A shared connection, as the node knows it.
#[derive(Clone)]
pub(crate) struct ConnHandle(pub(crate) Arc<Conn>);

impl Deref for ConnHandle {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl Connection for ConnHandle {
    fn id(&self) -> ConnId {
        self.id
    }

    fn ids(&self) -> Arc<[Id]> {
        self.0.ids.lock().clone()
    }

    fn session(&self) -> SessionId {
        self.session.get().map_or(SessionId::NONE, |handle| handle.id())
    }
}
