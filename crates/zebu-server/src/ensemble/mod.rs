//! A server among others: the election port, the quorum port, and what drives them.
//!
//! What is decided is decided by [`zebu_zab::Peer`], which lives on the node thread; [`driver`] tells it what happens and
//! carries out what it wants, [`leading`] and [`learning`] what only a leader or a learner does, [`observer_master`] what a
//! follower does for observers. [`state`] is what it keeps, [`reading`] what a server
//! does that finds no leader. Sockets belong to tasks: [`election_port`] and [`quorum_port`] on a runtime of their own,
//! [`leader_connection`] on a thread of its own. They talk to the node thread in [`PeerEvent`]s, and it to them through
//! [`link::Link`]s and the handle of the election port.

mod driver;
pub(crate) mod election_port;
mod leader_connection;
mod leading;
mod learning;
mod link;
mod master_choice;
mod membership;
mod message;
mod observer_master;
mod quorum_port;
mod reading;
#[cfg(test)]
mod stalled_tests;
mod state;
pub(crate) mod stats;
mod without_log;

use std::sync::Arc;

use zebu_proto::Sid;
use zebu_zab::{LearnerId, LogPart};

use self::election_port::ElectionEvent;
use self::leader_connection::ReceivedTree;
use self::link::{Link, Unhandled};
use self::message::{LeaderSays, LearnerSays};
pub(crate) use self::state::{Ensemble, own_data};

/// Something that concerns the ensemble. Roles and connections have numbers, so that what comes late is known as such.
pub(crate) enum PeerEvent {
    /// On the election port.
    Election(ElectionEvent),
    /// The port for learners could not be opened.
    PortFailed { role: u64 },
    /// A learner has connected.
    LearnerConnected { role: u64, id: LearnerId, link: Arc<Link> },
    /// It says something.
    LearnerSaid {
        role: u64,
        id: LearnerId,
        said: Vec<LearnerSays>,
        unhandled: Unhandled,
    },
    /// Its connection is gone.
    LearnerLost { role: u64, id: LearnerId },
    /// A part of the log was read for a learner; `None` if the log has no such part.
    LogRead {
        role: u64,
        id: LearnerId,
        part: Option<LogPart>,
    },
    /// The connection to the leader, or to the follower that an observer learns from, is there.
    LeaderConnected { connection: u64, sid: Sid, link: Arc<Link> },
    /// The leader says something.
    LeaderSaid {
        connection: u64,
        said: Vec<LeaderSays>,
        unhandled: Unhandled,
    },
    /// The leader has sent its whole tree.
    TreeReceived { connection: u64, tree: Box<ReceivedTree> },
    /// The connection to the leader is gone.
    LeaderLost { connection: u64 },
}
