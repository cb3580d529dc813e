//! Records of ZooKeeper's protocols and files, as pure data.
//!
//! Everything a ZooKeeper server reads or writes, on a socket or in a file, is a *jute* record: big-endian fields one
//! after the other, no tags, no padding. This crate holds the identifiers ([`Zxid`], [`SessionId`], ...), the codec
//! ([`jute`]), the client protocol ([`client`]), the transactions ([`txn`]), the parts of a snapshot ([`snapshot`]), and
//! what servers say to each other ([`quorum`]).
//!
//! It knows no tree, no socket, no file and no clock, and builds without `std`. Start reading at [`jute::Reader`],
//! [`client::Request`] and [`quorum::LeaderMessage`].
#![no_std]

extern crate alloc;

pub mod acl;
pub mod client;
mod error_code;
mod ids;
pub mod jute;
mod op;
pub mod path;
pub mod properties;
pub mod quorum;
pub mod session;
pub mod snapshot;
mod stat;
pub mod txn;
mod value;

pub use acl::{Acl, AclList, Id, Perms, RequestedAcl};
pub use error_code::ErrorCode;
pub use ids::{Epoch, Millis, SessionId, Sid, WallMillis, Xid, Zxid};
pub use op::{CreateMode, OpCode};
pub use stat::{Owner, OwnerRules, Stat, StatPersisted};
pub use value::{Value, ValueRef};
