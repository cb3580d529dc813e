//! A ZooKeeper server, as a program's part or as the whole of it.
//!
//! ```
//! use zebu_server::{Config, Server};
//!
//! let dir = tempfile::tempdir().unwrap();
//! let server = Server::start(Config::for_test(dir.path())).unwrap();
//! println!("clients may connect to {}", server.client_address());
//! server.stop();
//! ```
//!
//! [`Server::start`] returns when clients can connect. Several servers fit in one process; all they know is their
//! [`Config`].
//!
//! # Threads
//!
//! | thread | module | owns |
//! |---|---|---|
//! | connection workers | `worker` | sockets; answer reads from the applied state themselves |
//! | node | `node_thread` | sessions, everything in flight; the only writer of the applied state |
//! | log | `log_thread` | the transaction log, while the node has other work |
//! | snapshots | `snapshots` | snapshot files, purge |
//!
//! The state that they share is in `shared`.

pub mod config;

mod clock;
mod conn;
mod connection_throttle;
mod ensemble;
mod exit;
mod limits;
mod log_thread;
mod node_queue;
mod node_thread;
mod outbox;
mod random;
mod recovery;
mod server;
mod session_io;
mod shared;
mod snapshots;
mod stats;
mod words;
mod worker;

#[cfg(test)]
mod stalled_tests;

pub use config::Config;
pub use exit::{ExitCode, Fatal};
pub use server::{Server, StartError};

/// The version that four-letter words show: the release of ZooKeeper that this server behaves like, in a form that
/// clients parse, then zebu's own.
pub(crate) const VERSION: &str = concat!("3.9.5-zebu-", env!("CARGO_PKG_VERSION"));
