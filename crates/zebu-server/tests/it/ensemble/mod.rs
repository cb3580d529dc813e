//! Several servers in one process, as the clients of an ensemble see them.

mod catching_up;
mod hostile;
mod local;
mod members;
mod observer_masters;
mod reading;
mod reconfiguration;
mod sessions;
mod settings;

use crate::support::{Client, Handshake, op, path};

/// Codes of errors.
mod code {
    pub(super) const OK: i32 = 0;
    pub(super) const NO_NODE: i32 = -101;
    pub(super) const NOT_READ_ONLY: i32 = -119;
    pub(super) const EPHEMERAL_ON_LOCAL_SESSION: i32 = -120;
}

/// The body of a request that has none.
const NOTHING: &[u8] = b"";

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
