//! How a learner that lacks more than is kept in memory is found in the log on disk.

use zebu_proto::Zxid;

use crate::history::{LogPart, RecentHistory, SyncPlan};

/// How often the log is read for one learner, which must come to what is kept in memory before that has moved on.
const LOG_READS_MAX: u32 = 4;

/// The way of one learner to a history: what was read from the log for it so far, and how often.
#[derive(Debug, Default)]
pub(crate) struct LogSearch {
    part: Option<LogPart>,
    reads: u32,
}

/// What is to be done for a learner.
#[derive(Debug)]
pub(crate) enum Step {
    /// Read the log from the last transaction at or before `after` up to `until`, then go on with [`LogSearch::read`].
    Read { after: Zxid, until: Zxid },
    /// Bring it to the history in this way, with what the log has of it.
    Sync(SyncPlan, Option<LogPart>),
}

impl LogSearch {
    /// How a learner whose history ends with `peer` gets to `history`, of which everything up to `durable` is in the log;
    /// `None` if nobody reads the log.
    pub(crate) fn step(&mut self, peer: Zxid, history: &RecentHistory, durable: Option<Zxid>) -> Step {
        let plan = history.plan(peer);
        if plan != SyncPlan::Older {
            return Step::Sync(plan, None);
        }
        let until = history.base();
        if let Some(part) = self.part.take_if(|part| part.last() >= until) {
            return Step::Sync(part.plan(peer), Some(part));
        }
        // What has no history has nothing to go on from; and what is committed need not be durable here yet.
        let may_read = peer > Zxid::ZERO && durable.is_some_and(|durable| until <= durable);
        if !may_read || self.reads == LOG_READS_MAX {
            return Step::Sync(SyncPlan::Snapshot, None);
        }
        self.reads += 1;
        // What is in memory has moved on since it was last read: the part in between comes from the log as well.
        let after = self.part.as_ref().map_or(peer, LogPart::last);
        Step::Read { after, until }
    }

    /// A part of the log was read; `false` if there is none that helps.
    pub(crate) fn read(&mut self, part: Option<LogPart>) -> bool {
        self.part = match (self.part.take(), part) {
            (Some(mut begun), Some(more)) => begun.extend(more).then_some(begun),
            (_, part) => part,
        };
        self.part.is_some()
    }
}
