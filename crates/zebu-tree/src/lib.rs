//! The znode tree as a deterministic state machine.
//!
//! Two halves, used one after the other for each write:
//!
//! * [`Pending::prepare`] judges a request against the tree *and* the transactions that are on their way, and makes the
//!   transaction that will be logged, replicated and applied. It runs on the leader (or a standalone server) only.
//! * [`Tree::apply`] carries out a transaction. It is the one function that changes the tree: leader, learner, replay
//!   after a restart and the simulator all call it.
//!
//! [`Tree`] also holds the sessions, since they are replicated state like the nodes, and hands out consistent
//! snapshots while writes go on ([`snapshot`]).
//!
//! This crate knows no connection, no watch, no clock and no disk, and builds without `std`. The same transactions give
//! the same tree everywhere.
#![no_std]

extern crate alloc;

pub mod access;
mod acl_table;
mod apply;
mod body;
mod children;
mod digest;
mod hash;
mod heap;
mod load;
mod node;
mod pending;
pub mod quota;
mod settings;
pub mod snapshot;
mod tree;

pub use apply::{Change, Changes, Outcome};
pub use load::{LoadError, Loader};
pub use pending::{Pending, RequestContext};
pub use settings::Settings;
pub use tree::{CONFIG, NodeView, Tree};

#[cfg(test)]
mod tests;
