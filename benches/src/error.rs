//! What can go wrong during a measurement. Every one of these makes the figures worthless, so nothing is retried.

use std::io;
use std::net::SocketAddr;

/// Why a run was given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// Nobody listens there, or the connection broke while a session was being opened.
    #[error("cannot open a session with {server}: {source}")]
    Connect {
        /// The server that was tried.
        server: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A socket failed during the run.
    #[error("socket of connection {connection} failed: {source}")]
    Socket {
        /// Index of the connection, from 0.
        connection: usize,
        /// What the operating system said.
        source: io::Error,
    },
    /// The server closed a connection that had requests outstanding.
    #[error("the server closed connection {connection} with {outstanding} requests outstanding")]
    Closed {
        /// Index of the connection, from 0.
        connection: usize,
        /// Requests that got no reply.
        outstanding: usize,
    },
    /// The server sent something that is not the reply to the oldest outstanding request.
    #[error("wrong reply: {0}")]
    Reply(#[from] crate::wire::ReplyError),
    /// No reply came for a long time although requests were outstanding.
    #[error("no reply for {seconds} s with {outstanding} requests outstanding")]
    Stalled {
        /// How long nothing came, seconds.
        seconds: u64,
        /// Requests that wait, over all connections of the thread.
        outstanding: usize,
    },
    /// The server did not serve a session within the given time.
    #[error("{server} did not serve within {seconds} s")]
    NotServing {
        /// The server that was tried.
        server: SocketAddr,
        /// How long was waited, seconds.
        seconds: u64,
    },
    /// `/proc` could not be read: wrong process id, or not Linux.
    #[error("cannot read {path}: {source}")]
    Proc {
        /// The file.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The machine could not give what a run needs: a poller, a thread.
    #[error("cannot set up the run: {0}")]
    Setup(io::Error),
    /// The parameters make no sense together.
    #[error("{0}")]
    Parameters(String),
}
