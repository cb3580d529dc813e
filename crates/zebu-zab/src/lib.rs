//! Fast leader election, discovery, synchronization and broadcast: how servers agree on one history.
//!
//! Pure state machines. What happens goes in by calls with the time as an argument, what is to be done comes out as
//! effects, each of which may be carried out the moment it is there: what has to wait for the disk is an effect of the
//! call that says that the disk is done. Transactions are opaque bytes.
//!
//! * [`Peer`] is a server of an ensemble: it looks for a leader, leads or learns, and looks again.
//! * [`Election`] finds a leader, [`Leader`] is one, [`Learner`] follows or observes one.
//! * [`ObserverMaster`] is the part of a follower that observers learn from in place of the leader.
//! * [`RecentHistory`] is the end of the history, and knows what a learner with another one needs.
//!
//! Sources: the package `org.apache.zookeeper.server.quorum`; Junqueira, Reed, Serafini: *Zab: High-performance broadcast
//! for primary-backup systems* (DSN 2011), whose phases these are. This crate builds without `std`.
#![no_std]

extern crate alloc;

mod election;
mod history;
mod leader;
mod learner;
mod log_search;
mod members;
mod message;
mod observer_master;
mod peer;
mod vote;

pub use election::{Decision, Election, ElectionTimes, Notification, Outgoing, Standing};
pub use history::{LogPart, Proposal, RecentHistory, SyncPlan, follows};
pub use leader::{Leader, LeaderEffect, LearnerId, LogRead, OwnHistory, SyncId, Times};
pub use learner::{Identity, Learner, LearnerEffect};
pub use members::Members;
pub use message::{ToLeader, ToLearner};
pub use observer_master::ObserverMaster;
#[cfg(feature = "faults")]
pub use peer::Faults;
pub use peer::{Effect, Peer, PeerConfig};
pub use vote::{NO_PROPOSAL, Vote};
