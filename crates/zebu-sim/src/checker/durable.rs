//! What a server has promised to have on its disk.

use std::fmt;

use zebu_proto::{Epoch, Zxid};
use zebu_zab::OwnHistory;

/// What a server has promised that it has on its disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Durable {
    accepted: Epoch,
    current: Epoch,
    last: Zxid,
}

impl Durable {
    /// It has acknowledged everything up to `last` (I6).
    pub(crate) fn acknowledged(&mut self, own: OwnHistory, last: Zxid) {
        self.accepted = self.accepted.max(own.accepted_epoch);
        self.current = self.current.max(own.current_epoch);
        self.last = self.last.max(last);
    }

    /// It was told to forget what is behind `to`.
    pub(crate) fn truncated(&mut self, to: Zxid) {
        self.last = self.last.min(to);
    }

    /// What of it is gone, if a server starts with `own` (I5).
    pub(crate) fn lost_by(&self, own: OwnHistory) -> Option<Lost> {
        let is_whole =
            own.accepted_epoch >= self.accepted && own.current_epoch >= self.current && own.last_zxid >= self.last;
        (!is_whole).then_some(Lost { promised: *self, own })
    }
}

/// A promise that was broken.
#[derive(Debug)]
pub(crate) struct Lost {
    promised: Durable,
    own: OwnHistory,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "has promised {:?} and comes up with {:?} (I5, I6)",
            self.promised, self.own
        )
    }
}
