//! What must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zebu_proto::{Epoch, Sid, Zxid};
use zebu_zab::OwnHistory;

/// Remembers what was promised, and compares.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// Everything that is committed, in order.
    committed: Vec<Zxid>,
    /// What clients were told is done.
    acknowledged: BTreeSet<Zxid>,
    leaders: BTreeMap<Epoch, Sid>,
    proposed: BTreeMap<Zxid, (u64, Sid)>,
    /// The digest of the tree at each transaction.
    digests: BTreeMap<Zxid, u64>,
}

type Verdict = Result<(), String>;

impl Checker {
    pub(crate) fn committed(&self) -> &[Zxid] {
        &self.committed
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    pub(crate) fn proposals(&self) -> usize {
        self.proposed.len()
    }

    /// The last write that a client was told is done.
    pub(crate) fn last_acknowledged(&self) -> Zxid {
        self.acknowledged.last().copied().unwrap_or(Zxid::ZERO)
    }

    /// A transaction is proposed once, in order, by the leader of its epoch (I4).
    pub(crate) fn proposed(&mut self, zxid: Zxid, data: u64, by: Sid) -> Verdict {
        if self.leaders.get(&zxid.epoch()) != Some(&by) {
            return Err(format!("{zxid} is proposed by {by}, who does not lead that epoch"));
        }
        let before = self.proposed.range(Zxid::epoch_start(zxid.epoch())..).next_back();
        if let Some((before, _)) = before
            && before.next() < zxid
        {
            return Err(format!("{zxid} is proposed behind {before}"));
        }
        match self.proposed.insert(zxid, (data, by)) {
            None => Ok(()),
            Some(before) => Err(format!("{zxid} is proposed twice: {before:?} and {:?}", (data, by))),
        }
    }

    /// There is one leader in an epoch (I1), and its history begins with everything that is committed (I3).
    pub(crate) fn established(&mut self, epoch: Epoch, sid: Sid, history: Vec<Zxid>) -> Verdict {
        if let Some(other) = self.leaders.insert(epoch, sid) {
            return Err(format!("epoch {epoch} has two leaders: {other} and {sid}"));
        }
        if !history.starts_with(&self.committed) {
            let missing: Vec<&Zxid> = self.committed.iter().filter(|zxid| !history.contains(zxid)).collect();
            let acknowledged = missing.iter().filter(|zxid| self.acknowledged.contains(zxid)).count();
            return Err(format!(
                "server {sid} leads epoch {epoch} without {} committed transactions, {acknowledged} of them acknowledged: \
                 {:?}",
                missing.len(),
                missing.first()
            ));
        }
        self.committed = history;
        Ok(())
    }

    /// A leader commits the next transaction; its client is told.
    pub(crate) fn committed_by_leader(&mut self, zxid: Zxid, count: usize) -> Verdict {
        if self.committed.last().is_none_or(|last| *last < zxid) {
            self.committed.push(zxid);
        }
        self.is_at(zxid, count)?;
        self.acknowledged.insert(zxid);
        Ok(())
    }

    /// Equal histories make equal trees (I7).
    pub(crate) fn applied(&mut self, zxid: Zxid, digest: u64) -> Verdict {
        let expected = *self.digests.entry(zxid).or_insert(digest);
        if expected != digest {
            return Err(format!(
                "the tree at {zxid} has the digest {digest:x}, that of another server {expected:x}"
            ));
        }
        Ok(())
    }

    /// A learner applies what is committed, in order (I2).
    pub(crate) fn committed_by_learner(&self, zxid: Zxid, count: usize) -> Verdict {
        self.is_at(zxid, count)
    }

    fn is_at(&self, zxid: Zxid, count: usize) -> Verdict {
        match self.committed.get(count.wrapping_sub(1)) {
            Some(expected) if *expected == zxid => Ok(()),
            other => Err(format!("{zxid} is applied as number {count}, which is {other:?}")),
        }
    }

    /// Who serves has a beginning of what is committed (I2).
    pub(crate) fn serves(&self, sid: Sid, history: &[Zxid]) -> Verdict {
        if self.committed.starts_with(history) {
            return Ok(());
        }
        let foreign = history.iter().find(|zxid| !self.committed.contains(zxid));
        Err(format!(
            "server {sid} serves with another history; {foreign:?} is not committed"
        ))
    }
}

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
