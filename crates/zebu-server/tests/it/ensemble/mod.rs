//! Several servers in one process, as the clients of an ensemble see them.

mod catching_up;
mod hostile;
mod members;
mod sessions;

use crate::support::{Client, Handshake, op, path};

/// Codes of errors.
mod code {
    pub(super) const OK: i32 = 0;
    pub(super) const NO_NODE: i32 = -101;
}

/// Whether a node exists: the code of exists.
fn exists(client: &mut Client, node: &str) -> i32 {
    client.call(op::EXISTS, &path(node)).err
}

/// A handshake that goes on with a session, of which the server must know.
fn renewal(session: i64) -> Handshake {
    Handshake {
        session,
        password: zebu_proto::session::password(zebu_proto::SessionId(session)).to_vec(),
        ..Handshake::new(30_000)
    }
}
