//! What four-letter words tell of a server among others.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Numbers of a leader, for `srvr` and `mntr`, and a few of a learner. The former say nothing while this server does not lead.
pub(crate) struct LeaderStats {
    /// Connections on the quorum port.
    pub(crate) learners: AtomicU64,
    /// Followers that have the history.
    pub(crate) synced_followers: AtomicU64,
    /// Of these, those that do not vote.
    pub(crate) synced_non_voting_followers: AtomicU64,
    /// Observers that have the history; those of a follower as well.
    pub(crate) synced_observers: AtomicU64,
    /// Syncs that are not answered.
    pub(crate) pending_syncs: AtomicU64,
    /// Since when this server leads, milliseconds on the monotonic clock.
    pub(crate) since_ms: AtomicU64,
    proposals: Mutex<Sizes>,
    /// On a learner: whom it learns from.
    pub(crate) master: AtomicI64,
    /// Transactions after which the tree was not what the leader's had been.
    pub(crate) divergences: AtomicU64,
}

/// Sizes of proposals in bytes; −1 before the first. Source: `BufferStats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) last: i64,
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl Sizes {
    const NONE: Self = Self {
        last: -1,
        min: -1,
        max: -1,
    };
}

impl LeaderStats {
    pub(crate) const fn new() -> Self {
        Self {
            learners: AtomicU64::new(0),
            synced_followers: AtomicU64::new(0),
            synced_non_voting_followers: AtomicU64::new(0),
            synced_observers: AtomicU64::new(0),
            pending_syncs: AtomicU64::new(0),
            since_ms: AtomicU64::new(0),
            proposals: Mutex::new(Sizes::NONE),
            master: AtomicI64::new(-1),
            divergences: AtomicU64::new(0),
        }
    }

    /// A leadership begins.
    pub(crate) fn begin(&self, now_ms: u64) {
        self.since_ms.store(now_ms, Ordering::Relaxed);
        *self.proposals.lock() = Sizes::NONE;
    }

    /// Notes the sizes of some proposals.
    pub(crate) fn proposed(&self, sizes: impl Iterator<Item = usize>) {
        let mut proposals = self.proposals.lock();
        for size in sizes {
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            let is_first = proposals.last < 0;
            *proposals = Sizes {
                last: size,
                min: if is_first { size } else { proposals.min.min(size) },
                max: proposals.max.max(size),
            };
        }
    }

    /// The sizes of the proposals of this leadership.
    pub(crate) fn proposals(&self) -> Sizes {
        *self.proposals.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_one_leadership() {
        let stats = LeaderStats::new();
        assert_eq!(stats.proposals(), Sizes::NONE);
        stats.proposed([30, 10, 20].into_iter());
        let (last, min, max) = (20, 10, 30);
        assert_eq!(stats.proposals(), Sizes { last, min, max });
        stats.begin(5);
        assert_eq!(stats.proposals(), Sizes::NONE);
    }
}
