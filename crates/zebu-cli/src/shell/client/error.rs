//! What can go wrong between the shell and a server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use zebu_proto::jute::DecodeError;
use zebu_proto::{ErrorCode, Xid};

/// Why a request has no result.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    /// The server's answer was no. What it means depends on the request; nothing was changed.
    #[error("the server answered {0}")]
    Refused(ErrorCode),
    /// The server's answer was no, by a code that this client does not know. A newer server, or not a ZooKeeper one.
    #[error("the server answered with the unknown error code {0}")]
    UnknownCode(i32),
    /// The answer is not the record that it should be. The server is at fault.
    #[error("the server's answer cannot be read: {0}")]
    Answer(#[from] DecodeError),
    /// No server can be reached at present. Nothing was sent.
    #[error("not connected: {0}")]
    NotConnected(Loss),
    /// The connection ended while the answer was awaited. A write may have been done or not.
    #[error("the connection was lost before the answer came: {0}")]
    ConnectionLost(Loss),
    /// The server did not answer in time, although the connection lives. A write may yet be done.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The session is over on the server, and with it its ephemeral nodes and watches.
    #[error("the session has expired")]
    SessionExpired,
    /// The server refused credentials that were sent again on a new connection.
    #[error("the server refused the credentials")]
    AuthFailed,
    /// The session was closed on this side.
    #[error("not connected: the session was closed")]
    Closed,
    /// The request is larger than any frame may be. Nothing was sent.
    #[error("a request of {bytes} bytes is above the limit of {limit}")]
    RequestTooLarge {
        /// Size of the request's frame.
        bytes: usize,
        /// The limit that both directions have.
        limit: usize,
    },
}

impl ClientError {
    /// The server's code, where it gave one that is known.
    pub(crate) const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(code) => Some(*code),
            Self::UnknownCode(_)
            | Self::Answer(_)
            | Self::NotConnected(_)
            | Self::ConnectionLost(_)
            | Self::Timeout(_)
            | Self::SessionExpired
            | Self::AuthFailed
            | Self::Closed
            | Self::RequestTooLarge { .. } => None,
        }
    }
}

/// Why there is no connection, or no longer.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub(crate) enum Loss {
    /// No address could be connected to, or the socket failed.
    #[error("{server}: {source}")]
    Io {
        /// The server, as it was named.
        server: String,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// Nothing came, not even answers to pings.
    #[error("nothing came from the server for {} ms", .0.as_millis())]
    Silent(Duration),
    /// A frame's length that cannot be right, or is above the limit.
    #[error("the server announced a frame of {length} bytes, the limit is {limit}")]
    FrameLength {
        /// What the server announced.
        length: i32,
        /// The limit of this client.
        limit: usize,
    },
    /// The bytes are no frame of the protocol. Another kind of server, or a broken one.
    #[error("the server sent something that is not ZooKeeper's protocol: {0}")]
    Garbage(#[from] DecodeError),
    /// An answer to something that was not asked, or not yet.
    #[error("the server sent an answer number {} while {expected} was awaited", .got.0)]
    UnexpectedReply {
        /// The number in the answer.
        got: Xid,
        /// What would have been right.
        expected: String,
    },
    /// The server gave a new session no life.
    #[error("the server refused to open a session")]
    NoSession,
    /// No attempt has ended yet.
    #[error("still connecting")]
    Pending,
}

impl Loss {
    pub(crate) fn io(server: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            server: server.into(),
            source: Arc::new(source),
        }
    }

    /// Whether the same request may do better on another connection.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Closed | Self::Silent(_))
    }
}
