//! Votes: whom a server proposes as leader, and why.

use core::cmp::Ordering;

use zebu_proto::{Sid, Zxid};

/// What stands for leader, zxid and epoch in the proposal of a server that may not vote.
pub const NO_PROPOSAL: i64 = i64::MIN;

/// A proposal of a leader.
///
/// Source: `org.apache.zookeeper.server.quorum.Vote`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The proposed leader.
    pub leader: Sid,
    /// The last transaction in that server's log.
    pub zxid: Zxid,
    /// The epoch of the history that it has accepted as its own (`currentEpoch`).
    pub peer_epoch: i64,
}

impl Vote {
    /// The vote of a server that votes for nobody.
    pub const NONE: Self = Self {
        leader: Sid(NO_PROPOSAL),
        zxid: Zxid(NO_PROPOSAL),
        peer_epoch: NO_PROPOSAL,
    };

    /// Which of two votes wins, by epoch, then zxid, then server id.
    ///
    /// Source: `FastLeaderElection.totalOrderPredicate`.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let key = |vote: &Self| (vote.peer_epoch, vote.zxid, vote.leader);
        key(self).cmp(&key(other))
    }
}

/// A vote as it was received from a server, with the state that the server was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ballot {
    pub(crate) vote: Vote,
    pub(crate) round: i64,
    pub(crate) is_looking: bool,
    pub(crate) is_leading: bool,
    /// Whether the notification was of a release that keeps votes of established ensembles comparable (format version
    /// above 0).
    pub(crate) is_versioned: bool,
}

impl Ballot {
    /// Whether two servers say the same. Members of an established ensemble may remember different rounds and zxids of
    /// the vote that made it; only leader and epoch are kept in step.
    ///
    /// Source: `Vote.equals`.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        if self.vote.leader != other.vote.leader {
            return false;
        }
        if self.is_looking || other.is_looking {
            return self.vote == other.vote && self.round == other.round;
        }
        self.is_versioned != other.is_versioned || self.vote.peer_epoch == other.vote.peer_epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn vote(peer_epoch: i64, zxid: i64, leader: i64) -> Vote {
        Vote {
            leader: Sid(leader),
            zxid: Zxid(zxid),
            peer_epoch,
        }
    }

    const fn ballot(vote: Vote, round: i64, is_looking: bool, is_versioned: bool) -> Ballot {
        Ballot {
            vote,
            round,
            is_looking,
            is_leading: false,
            is_versioned,
        }
    }

    #[test]
    fn epoch_counts_before_zxid_before_sid() {
        let ordered = [
            Vote::NONE,
            vote(0, 9, 9),
            vote(1, 1, 9),
            vote(1, 2, 1),
            vote(1, 2, 2),
            vote(2, 0, 0),
        ];
        for pair in ordered.windows(2) {
            assert_eq!(pair[0].order(&pair[1]), Ordering::Less);
        }
        assert_eq!(vote(1, 2, 3).order(&vote(1, 2, 3)), Ordering::Equal);
    }

    #[test]
    fn members_of_an_ensemble_agree_although_they_remember_different_rounds() {
        let one = ballot(vote(5, 100, 3), 1, false, true);
        let other = ballot(vote(5, 200, 3), 7, false, true);
        assert!(one.agrees(&other));
        assert!(
            !one.agrees(&Ballot {
                vote: vote(6, 200, 3),
                ..other
            }),
            "another epoch"
        );
        assert!(
            !one.agrees(&Ballot {
                vote: vote(5, 100, 2),
                ..other
            }),
            "another leader"
        );
        // One of an old release does not keep the epoch in step.
        assert!(one.agrees(&ballot(vote(4, 1, 3), 9, false, false)));
        assert!(
            !one.agrees(&Ballot {
                is_looking: true,
                ..other
            }),
            "a voter in an election means this round"
        );
        let looking = ballot(vote(5, 100, 3), 1, true, true);
        assert!(looking.agrees(&one));
    }
}
