//! The connection of a client as its server has it, and what a server tells its clients.

use std::cell::{Cell, RefCell, RefMut};
use std::ops::DerefMut;
use std::rc::Rc;
use std::sync::Arc;

use zebu_node::{Answered, Close, ConnId, Connection, Outputs, Rope, SessionHandle, WatchAccess, WatchTable};
use zebu_proto::client::ConnectResponse;
use zebu_proto::{Id, Millis, SessionId};

/// A client's connection, in the hands of its server.
#[derive(Clone)]
pub(crate) struct Socket(Rc<Inner>);

struct Inner {
    id: ConnId,
    ids: Arc<[Id]>,
    session: RefCell<Option<Arc<SessionHandle>>>,
    /// Requests that the node has and has not answered.
    in_flight: Cell<usize>,
}

impl Connection for Socket {
    fn id(&self) -> ConnId {
        self.0.id
    }

    fn ids(&self) -> Arc<[Id]> {
        self.0.ids.clone()
    }

    fn session(&self) -> SessionId {
        self.handle().map_or(SessionId::NONE, |handle| handle.id())
    }
}

impl Socket {
    pub(crate) fn new(id: ConnId) -> Self {
        Self(Rc::new(Inner {
            id,
            ids: [Id::new("ip", "127.0.0.1")].into(),
            session: RefCell::new(None),
            in_flight: Cell::new(0),
        }))
    }

    /// The session that it serves.
    pub(crate) fn handle(&self) -> Option<Arc<SessionHandle>> {
        self.0.session.borrow().clone()
    }

    /// Whether the node has none of its requests: reads need not wait for one another then.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.in_flight.get() == 0
    }

    /// The node gets so many requests more.
    pub(crate) fn hands_over(&self, requests: usize) {
        self.0.in_flight.set(self.0.in_flight.get() + requests);
    }
}

/// What a client is told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// Frames: the refusal of a session, replies, events.
    Bytes(Vec<u8>),
    /// The handshake went well.
    Established(ConnectResponse),
    /// The server closes the connection.
    Closed,
}

/// What a server tells its clients, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) told: Vec<(ConnId, Told)>,
    pub(crate) now: Millis,
}

impl Outbox {
    /// Frames for a connection.
    pub(crate) fn put(&mut self, conn: ConnId, mut rope: Rope) {
        let mut bytes = Vec::new();
        while let Some(chunk) = rope.take_chunk() {
            bytes.extend_from_slice(chunk.as_ref());
        }
        self.told.push((conn, Told::Bytes(bytes)));
    }
}

impl Outputs<Socket> for Outbox {
    fn send(&mut self, conn: &Socket, encode: impl FnOnce(&mut Rope)) {
        let mut rope = Rope::default();
        encode(&mut rope);
        self.put(conn.id(), rope);
    }

    fn answered(&mut self, conn: &Socket, _: Answered) {
        let in_flight = conn.0.in_flight.get().checked_sub(1);
        conn.0.in_flight.set(in_flight.expect("nothing is answered twice"));
        if let Some(session) = conn.handle() {
            // Its client waited for this server, however long that took.
            session.touch(self.now);
        }
    }

    fn abandoned(&mut self, _: usize) {}

    fn established(&mut self, conn: &Socket, session: &Arc<SessionHandle>, response: &ConnectResponse) {
        *conn.0.session.borrow_mut() = Some(session.clone());
        self.told.push((conn.id(), Told::Established(*response)));
    }

    fn close(&mut self, conn: &Socket, _: Close) {
        self.told.push((conn.id(), Told::Closed));
    }
}

/// The watches of a server.
pub(crate) struct Watches(RefCell<WatchTable<Socket>>);

impl Default for Watches {
    fn default() -> Self {
        Self(RefCell::new(WatchTable::new(0)))
    }
}

impl Watches {
    pub(crate) fn get_mut(&mut self) -> &mut WatchTable<Socket> {
        self.0.get_mut()
    }
}

impl WatchAccess<Socket> for Watches {
    fn lock(&self) -> impl DerefMut<Target = WatchTable<Socket>> {
        RefMut::map(self.0.borrow_mut(), |watches| watches)
    }
}
