//! The newest part of the history, kept in memory, and what a learner with another history needs to have the same.
//!
//! Source: `ZKDatabase` (committed log), `LearnerHandler.syncFollower`.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;
use zebu_proto::Zxid;

use crate::leader::{LeaderEffect, LearnerId};
use crate::message::ToLearner;

/// A transaction as it is proposed, logged and relayed: the bytes are never encoded anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Its zxid.
    pub zxid: Zxid,
    /// Header, body and digest, serialized.
    pub txn: Bytes,
}

/// Whether `next` may stand right behind `last` in a history: the next of the same epoch, or the first of a later one.
#[must_use]
pub fn follows(last: Zxid, next: Zxid) -> bool {
    if next.epoch() == last.epoch() {
        next.0 == last.0.wrapping_add(1)
    } else {
        next > last && next.counter() == 1
    }
}

/// Bytes of transactions that are kept at most.
const BYTES_MAX: usize = 32 << 20;

/// The last transactions of the history, without a gap.
#[derive(Clone, Debug)]
pub struct RecentHistory {
    entries: VecDeque<Proposal>,
    /// The transaction right before the first entry.
    base: Zxid,
    bytes: usize,
    /// `zookeeper.commitLogCount`.
    count_max: usize,
}

impl RecentHistory {
    /// An empty one behind `base`.
    #[must_use]
    pub const fn new(base: Zxid, count_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            base,
            bytes: 0,
            count_max,
        }
    }

    /// The last transaction.
    #[must_use]
    pub fn last(&self) -> Zxid {
        self.entries.back().map_or(self.base, |entry| entry.zxid)
    }

    /// The transaction right before the first one that is kept.
    #[must_use]
    pub const fn base(&self) -> Zxid {
        self.base
    }

    /// Adds the next transaction.
    ///
    /// # Panics
    /// If it does not follow the last one: a hole would be handed on to others.
    pub fn push(&mut self, proposal: Proposal) {
        assert!(
            follows(self.last(), proposal.zxid),
            "{} does not follow {}",
            proposal.zxid,
            self.last()
        );
        self.bytes += proposal.txn.len();
        self.entries.push_back(proposal);
        while self.entries.len() > self.count_max || self.bytes > BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.txn.len();
            self.base = oldest.zxid;
        }
    }

    /// The history now ends with `zxid`.
    pub fn truncate(&mut self, zxid: Zxid) {
        while self.entries.back().is_some_and(|entry| entry.zxid > zxid) {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= entry.txn.len();
            }
        }
        if self.base > zxid {
            self.restart(zxid);
        }
    }

    /// Forgets everything; the history goes on behind `zxid`.
    pub fn restart(&mut self, zxid: Zxid) {
        self.entries.clear();
        self.bytes = 0;
        self.base = zxid;
    }

    /// The transactions behind `zxid`.
    pub fn after(&self, zxid: Zxid) -> impl Iterator<Item = &Proposal> {
        let start = self.entries.partition_point(|entry| entry.zxid <= zxid);
        self.entries.range(start..)
    }

    /// What brings a learner whose history ends with `peer` to this history, if this part of it is enough.
    #[must_use]
    pub fn plan(&self, peer: Zxid) -> SyncPlan {
        let last = self.last();
        // The zxid that begins an epoch names no transaction: nothing has to go.
        let names_no_txn = peer.counter() == 0;
        if peer == last {
            return SyncPlan::Diff { after: peer };
        }
        if peer > last {
            return if names_no_txn {
                SyncPlan::Snapshot
            } else {
                SyncPlan::Truncate { to: last }
            };
        }
        if peer < self.base {
            return SyncPlan::Older;
        }
        let next = self.entries.partition_point(|entry| entry.zxid < peer);
        match self.entries.get(next) {
            Some(entry) if entry.zxid == peer => SyncPlan::Diff { after: peer },
            Some(_) if names_no_txn || peer == self.base => SyncPlan::Diff { after: peer },
            Some(entry) if entry.zxid.epoch() == peer.epoch() => SyncPlan::Truncate {
                to: next
                    .checked_sub(1)
                    .map_or(self.base, |before| self.entries[before].zxid),
            },
            // What has to go reaches back into another epoch, and where it begins is not known here.
            _ => SyncPlan::Snapshot,
        }
    }

    /// Sends what brings a learner to the end of this history, as `plan` says; `part` is what the log has of it.
    pub(crate) fn send(&self, to: LearnerId, plan: SyncPlan, part: Option<LogPart>, out: &mut Vec<LeaderEffect>) {
        let last = self.last();
        let mut send = |message| out.push(LeaderEffect::Send(to, message));
        let after = match plan {
            // It may end with the start of an epoch, which names no transaction.
            SyncPlan::Diff { after } if after >= last => {
                send(ToLearner::Diff { zxid: after });
                last
            }
            SyncPlan::Diff { after } => {
                send(ToLearner::Diff { zxid: last });
                after
            }
            SyncPlan::Truncate { to: last_kept } => {
                send(ToLearner::Trunc { zxid: last_kept });
                last_kept
            }
            SyncPlan::Snapshot | SyncPlan::Older => {
                // The applied tree has everything that is committed.
                out.push(LeaderEffect::SendSnapshot(to));
                last
            }
        };
        let from_log = part.into_iter().flat_map(|part| part.entries);
        let from_log = from_log.filter(|entry| entry.zxid > after && entry.zxid <= self.base);
        for Proposal { zxid, txn } in from_log.chain(self.after(after).cloned()) {
            out.push(LeaderEffect::Send(to, ToLearner::Proposal { zxid, txn }));
            out.push(LeaderEffect::Send(to, ToLearner::Commit { zxid }));
        }
    }
}

/// A part of the history from the log on disk: older than what is kept in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// The last transaction of the history at or before the one that was asked for.
    pub before: Zxid,
    /// Everything behind it.
    pub entries: Vec<Proposal>,
}

impl LogPart {
    /// The last transaction in it.
    #[must_use]
    pub fn last(&self) -> Zxid {
        self.entries.last().map_or(self.before, |entry| entry.zxid)
    }

    /// Whether nothing is missing in it.
    fn is_whole(&self) -> bool {
        let mut last = self.before;
        self.entries
            .iter()
            .all(|entry| follows(core::mem::replace(&mut last, entry.zxid), entry.zxid))
    }

    /// Goes on with what was read later; `false` if it does not fit.
    pub(crate) fn extend(&mut self, more: Self) -> bool {
        let fits = more.before == self.last();
        if fits {
            self.entries.extend(more.entries);
        }
        fits
    }

    /// What brings a learner whose history ends with `peer` to a history that goes on behind this part.
    pub(crate) fn plan(&self, peer: Zxid) -> SyncPlan {
        let first_behind = self.entries.first().map(|entry| entry.zxid);
        if !self.is_whole() || self.before > peer || first_behind.is_none_or(|first| first <= peer) {
            return SyncPlan::Snapshot;
        }
        if self.before == peer || peer.counter() == 0 {
            return SyncPlan::Diff { after: peer };
        }
        // What has to go begins behind `before` if it is of one epoch, and that one is a transaction.
        if first_behind.is_some_and(|first| first.epoch() == peer.epoch()) && self.before.counter() != 0 {
            return SyncPlan::Truncate { to: self.before };
        }
        SyncPlan::Snapshot
    }
}

/// How a learner is brought to the leader's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPlan {
    /// It lacks what comes behind this.
    Diff {
        /// The last that it has.
        after: Zxid,
    },
    /// It has to forget what is behind this, and lacks what comes then.
    Truncate {
        /// The last that it keeps.
        to: Zxid,
    },
    /// It gets the whole tree.
    Snapshot,
    /// It lacks more than is kept in memory: the log on disk has it, or else it gets the whole tree.
    Older,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn zxid(epoch: i64, counter: i64) -> Zxid {
        Zxid(epoch << 32 | counter)
    }

    fn history(base: Zxid, entries: &[Zxid]) -> RecentHistory {
        let mut history = RecentHistory::new(base, 500);
        for zxid in entries {
            history.push(Proposal {
                zxid: *zxid,
                txn: Bytes::from_static(b"txn"),
            });
        }
        history
    }

    /// What a Java leader of epoch 3 answered: its history is 0x200000001 to 0x200000011.
    #[test]
    fn the_plans_are_those_of_the_reference() {
        let entries: Vec<Zxid> = (1..=0x11).map(|counter| zxid(2, counter)).collect();
        let mut history = history(zxid(1, 0x200), &entries);
        let cases = [
            (zxid(0, 0), SyncPlan::Older),
            (zxid(1, 0xff), SyncPlan::Older),
            (zxid(2, 0xe), SyncPlan::Diff { after: zxid(2, 0xe) }),
            (zxid(2, 0x11), SyncPlan::Diff { after: zxid(2, 0x11) }),
            (zxid(2, 0x1f), SyncPlan::Truncate { to: zxid(2, 0x11) }),
            (zxid(3, 5), SyncPlan::Truncate { to: zxid(2, 0x11) }),
            (zxid(9, 1), SyncPlan::Truncate { to: zxid(2, 0x11) }),
            (zxid(9, 0), SyncPlan::Snapshot),
            (zxid(2, 0), SyncPlan::Diff { after: zxid(2, 0) }),
        ];
        for (peer, expected) in cases {
            assert_eq!(history.plan(peer), expected, "{peer}");
        }
        for counter in 1..=2 {
            history.push(Proposal {
                zxid: zxid(3, counter),
                txn: Bytes::new(),
            });
        }
        let cases = [
            (zxid(2, 0x1f), SyncPlan::Snapshot),
            (zxid(3, 9), SyncPlan::Truncate { to: zxid(3, 2) }),
            (zxid(3, 0), SyncPlan::Diff { after: zxid(3, 0) }),
        ];
        for (peer, expected) in cases {
            assert_eq!(history.plan(peer), expected, "{peer}");
        }
    }

    #[test]
    fn a_tail_of_the_same_epoch_is_cut_where_the_histories_part() {
        let history = history(zxid(1, 3), &[zxid(1, 4), zxid(3, 1)]);
        assert_eq!(
            history.plan(zxid(1, 9)),
            SyncPlan::Snapshot,
            "the next is of another epoch"
        );
        assert_eq!(history.plan(zxid(1, 3)), SyncPlan::Diff { after: zxid(1, 3) });
        assert_eq!(history.plan(zxid(1, 2)), SyncPlan::Older);
    }

    #[test]
    fn old_transactions_go() {
        let mut history = RecentHistory::new(Zxid::ZERO, 2);
        for counter in 1..=5 {
            history.push(Proposal {
                zxid: zxid(0, counter),
                txn: Bytes::from(vec![0; 10]),
            });
        }
        assert_eq!((history.base(), history.last()), (zxid(0, 3), zxid(0, 5)));
        assert_eq!(history.after(zxid(0, 4)).count(), 1);
        history.push(Proposal {
            zxid: zxid(0, 6),
            txn: Bytes::from(vec![0; BYTES_MAX]),
        });
        assert_eq!((history.base(), history.last()), (zxid(0, 5), zxid(0, 6)));
        history.truncate(zxid(0, 5));
        assert_eq!((history.last(), history.bytes), (zxid(0, 5), 0));
        history.truncate(zxid(0, 1));
        assert_eq!((history.base(), history.last()), (zxid(0, 1), zxid(0, 1)));
    }

    #[test]
    fn a_part_of_the_log_leads_a_learner_into_memory_or_is_no_part() {
        let part = |before, entries: &[Zxid]| LogPart {
            before,
            entries: entries
                .iter()
                .map(|zxid| Proposal {
                    zxid: *zxid,
                    txn: Bytes::new(),
                })
                .collect(),
        };
        let whole = part(zxid(1, 3), &[zxid(1, 4), zxid(1, 5), zxid(3, 1)]);
        let at = |counter| zxid(1, counter);
        assert_eq!(whole.plan(at(3)), SyncPlan::Diff { after: at(3) });
        assert_eq!(whole.plan(at(2)), SyncPlan::Snapshot, "it begins too late");
        assert_eq!(whole.plan(at(4)), SyncPlan::Snapshot, "it begins too early");
        let hole = part(zxid(1, 3), &[zxid(1, 4), zxid(1, 6)]);
        assert_eq!(hole.plan(at(3)), SyncPlan::Snapshot);
        assert_eq!(
            part(at(3), &[]).plan(at(3)),
            SyncPlan::Snapshot,
            "nothing to lead on with"
        );
        // The learner's last is not in the log: it has to go, if it is known from where on.
        let other = part(zxid(1, 3), &[zxid(3, 1), zxid(3, 2)]);
        assert_eq!(other.plan(zxid(2, 7)), SyncPlan::Snapshot);
        assert_eq!(other.plan(zxid(2, 0)), SyncPlan::Diff { after: zxid(2, 0) });
        let parted = part(zxid(1, 3), &[zxid(3, 2)]);
        assert_eq!(parted.plan(zxid(3, 1)), SyncPlan::Snapshot, "a hole");
        let mut begun = part(at(3), &[at(4)]);
        assert!(begun.extend(part(at(4), &[at(5)])));
        assert!(!begun.extend(part(at(4), &[at(5)])));
        assert_eq!(begun.last(), at(5));
    }

    #[test]
    #[should_panic(expected = "does not follow")]
    fn a_hole_is_never_kept() {
        history(Zxid::ZERO, &[zxid(0, 1), zxid(0, 3)]);
    }

    use alloc::vec;
}
