//! What must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use zebu_proto::{Epoch, Sid, Zxid};

/// Remembers what was promised, and compares.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// Everything that is committed, in order.
    committed: Vec<Zxid>,
    /// What clients were told is done.
    acknowledged: BTreeSet<Zxid>,
    leaders: BTreeMap<Epoch, Sid>,
    proposed: BTreeMap<Zxid, (u64, Sid)>,
}

type Verdict = Result<(), String>;

impl Checker {
    pub(crate) fn committed(&self) -> &[Zxid] {
        &self.committed
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    /// A transaction is proposed once, by the leader of its epoch (I4).
    pub(crate) fn proposed(&mut self, zxid: Zxid, data: u64, by: Sid) -> Verdict {
        if self.leaders.get(&zxid.epoch()) != Some(&by) {
            return Err(format!("{zxid} is proposed by {by}, who does not lead that epoch"));
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
