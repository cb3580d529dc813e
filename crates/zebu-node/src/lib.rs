//! Sessions, watches and the order of requests.
//!
//! Two values, kept apart because they are shared differently:
//!
//! * [`Replica`] is what is decided: the tree as of the last transaction applied. Readers look at it through a shared
//!   reference ([`Replica::read`]); it changes only in [`Node::commit`].
//! * [`Node`] is what is in flight: sessions, prepared transactions, requests that wait for their turn. It has one
//!   owner. Events go in ([`Node::connect`], [`Node::requests`], [`Node::flushed`], [`Node::tick`], ...), log records
//!   and calls of [`Outputs`] come out.
//!
//! Watches ([`WatchTable`]) have a small lock of their own, since a read registers its watch while it holds the shared
//! reference to the replica.
//!
//! What a connection, a lock or a clock is, the driver decides: a server or a simulator. This crate builds without
//! `std`.
#![no_std]

extern crate alloc;

pub mod auth;
mod connection;
mod container;
mod log_batch;
mod node;
mod output;
mod read;
mod reply;
mod session;
mod watch;

pub use connection::{Answered, Close, ConnId, Connection, Outputs};
pub use container::ContainerConfig;
pub use log_batch::LogBatch;
pub use node::learn::{AppendError, Forward};
pub use node::reconfig::{Membership, ReconfigRefusal};
pub use node::{Abandoned, Divergence, LearnerKey, Node, NodeConfig, NodeRole, Now, PendingConnect};
pub use output::{Chunk, Mark, Rope};
pub use read::{After, Reader, Replica, WatchAccess};
pub use session::{SessionHandle, SessionTracker, bucket_end};
pub use watch::{Fired, WatchCursor, WatchMode, WatchTable, WatchTotals, WatchesFired};

#[cfg(test)]
mod tests;
