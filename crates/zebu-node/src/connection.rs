//! What the driver must offer for each client connection.

use alloc::sync::Arc;

use zebu_proto::client::ConnectResponse;
use zebu_proto::{Id, Millis, SessionId, Xid, Zxid};

use crate::Rope;
use crate::session::SessionHandle;

/// Number of a connection; never reused while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A handle of a client connection.
pub trait Connection: Clone {
    /// Its number.
    fn id(&self) -> ConnId;

    /// The identities that its client has shown so far.
    fn ids(&self) -> Arc<[Id]>;

    /// The session that it serves, [`SessionId::NONE`] before the handshake is over.
    fn session(&self) -> SessionId;
}

/// When a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// After everything that was sent to it before.
    AfterOutput,
    /// At once: nothing reaches the client that is sent from then on.
    Now,
}

/// A reply, for the statistics of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Number of the operation, as the client sent it.
    pub op: i32,
    /// Whether nothing was carried out: a write that was refused as a whole, or what cannot be read. A multi whose
    /// elements were refused one by one is carried out, and so is a read that comes to nothing.
    pub is_refused: bool,
    /// The client's number for the request.
    pub xid: Xid,
    /// The zxid in the reply.
    pub zxid: Zxid,
    /// When the request was read from the socket.
    pub received: Millis,
    /// Length of the request's frame.
    pub bytes: usize,
}

/// Carries out what the node decides about connections.
pub trait Outputs<C> {
    /// Appends to a connection's outgoing bytes.
    fn send(&mut self, conn: &C, encode: impl FnOnce(&mut Rope));

    /// A request that was handed over with [`Node::requests`](crate::Node::requests) is answered; its reply has been appended before, if it has one.
    fn answered(&mut self, conn: &C, answered: Answered);

    /// A write that was handed over with [`Node::requests`](crate::Node::requests) in a frame of so many bytes has taken its
    /// effect, and its connection was gone by then. It takes memory until now, whoever sent it.
    fn abandoned(&mut self, bytes: usize);

    /// The handshake succeeded. The driver sends the response and goes on reading the connection's requests.
    fn established(&mut self, conn: &C, session: &Arc<SessionHandle>, response: &ConnectResponse);

    /// The connection is to be closed.
    fn close(&mut self, conn: &C, close: Close);
}
