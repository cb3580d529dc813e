//! What leader and learner say to one another on the quorum port, as far as the protocol decides on it.
//!
//! Everything here is one `QuorumPacket`. What belongs to sessions and requests goes over the same connections and is the
//! server's matter.

use bytes::Bytes;
use zebu_proto::{Epoch, Sid, Zxid};

/// From the leader to a learner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToLearner {
    /// `LEADERINFO`: the epoch that begins.
    LeaderInfo {
        /// The epoch.
        epoch: Epoch,
    },
    /// `DIFF`: the learner's history is a part of the leader's.
    Diff {
        /// The leader's last committed transaction.
        zxid: Zxid,
    },
    /// `TRUNC`: the learner's history has to end here before it goes on.
    Trunc {
        /// The last transaction to keep.
        zxid: Zxid,
    },
    /// `SNAP`: the whole tree follows on the stream.
    Snap {
        /// The last transaction that is in it.
        zxid: Zxid,
    },
    /// `PROPOSAL`.
    Proposal {
        /// The transaction.
        zxid: Zxid,
        /// Its bytes.
        txn: Bytes,
    },
    /// `COMMIT`.
    Commit {
        /// The transaction.
        zxid: Zxid,
    },
    /// `COMMITANDACTIVATE`: a new configuration is committed.
    CommitAndActivate {
        /// The transaction.
        zxid: Zxid,
        /// Who is meant to lead with it.
        leader: Sid,
    },
    /// `INFORM`: a transaction that is committed, for an observer.
    Inform {
        /// The transaction.
        zxid: Zxid,
        /// Its bytes.
        txn: Bytes,
    },
    /// `INFORMANDACTIVATE`: a new configuration, for an observer.
    InformAndActivate {
        /// The transaction.
        zxid: Zxid,
        /// Who is meant to lead with it.
        leader: Sid,
        /// Its bytes.
        txn: Bytes,
    },
    /// `NEWLEADER`: the history before the epoch is complete. The driver adds the text of the last-seen configuration.
    NewLeader {
        /// The epoch.
        epoch: Epoch,
    },
    /// `UPTODATE`: the epoch is established, the learner may serve.
    UpToDate,
    /// `PING`.
    Ping {
        /// The last proposed transaction.
        zxid: Zxid,
    },
}

/// From a learner to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToLeader {
    /// `FOLLOWERINFO` or `OBSERVERINFO`: who it is.
    Info {
        /// Whether it is an observer.
        is_observer: bool,
        /// The highest epoch that it has promised to (`acceptedEpoch`).
        accepted_epoch: Epoch,
        /// Its server id.
        sid: Sid,
    },
    /// `ACKEPOCH`: it accepts the epoch.
    AckEpoch {
        /// The last transaction in its log.
        last_zxid: Zxid,
        /// The epoch of its history (`currentEpoch`); none if it had accepted this epoch before, and does not promise
        /// again.
        current_epoch: Option<Epoch>,
    },
    /// `ACK`: everything up to this is durable. With counter 0: the history before that epoch is, and the epoch.
    Ack {
        /// The transaction.
        zxid: Zxid,
    },
    /// The answer to `PING`.
    Pong,
}
