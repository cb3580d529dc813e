//! What servers with a fault in their program do instead of what they should ([`Bug`]), as far as their disk is concerned.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use zebu_proto::txn::TxnRecord;
use zebu_proto::{Epoch, Zxid};
use zebu_store::LogIterator;
use zebu_zab::{LogPart, Proposal, RecentHistory};

use crate::Bug;
use crate::server::{Process, StartResult, load};

/// What a fault of the program has led to.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    /// What a leader has sent behind DIFF, TRUNC or SNAP, before `NEWLEADER`.
    pub(crate) sync: Vec<Proposal>,
    /// Everything that ever came that way.
    pub(crate) synced: BTreeSet<Zxid>,
    /// A proposal over which this server has failed.
    pub(crate) failed_over: Option<Proposal>,
    /// An epoch that is to be saved once the other one is.
    pub(crate) accepted: Option<Epoch>,
}

impl Process {
    /// Ends a role as a program with a fault does. `None` if it does it right.
    pub(crate) fn settle_wrongly(&mut self, must_reload: bool) -> StartResult<Option<RecentHistory>> {
        let applied = self.tree().last_zxid();
        let sync = std::mem::take(&mut self.wrong.sync);
        match self.bug {
            Some(Bug::VotesBeforeLogEnds) => {
                self.log = None;
                let (_, recovered, mut recent) = load(&self.store)?;
                recent.truncate(applied);
                self.log = Some(self.store.log_writer(recovered.last_zxid));
                Ok(Some(recent))
            }
            Some(Bug::AbortedSyncKept) if !must_reload && !sync.is_empty() => {
                let mut recent = self.reload()?;
                let last = recent.last();
                for proposal in sync.into_iter().filter(|proposal| proposal.zxid > last) {
                    self.apply_unlogged(&proposal);
                    recent.push(proposal);
                }
                self.log = Some(self.store.log_writer(recent.last()));
                Ok(Some(recent))
            }
            Some(Bug::LastSeenReported) => {
                let Some(proposal) = self.wrong.failed_over.take() else {
                    return Ok(None);
                };
                let mut recent = self.reload()?;
                self.replica.tree_mut().set_last_zxid(proposal.zxid);
                self.log = Some(self.store.log_writer(proposal.zxid));
                recent.push(proposal);
                Ok(Some(recent))
            }
            _ => Ok(None),
        }
    }

    fn apply_unlogged(&mut self, proposal: &Proposal) {
        let record = TxnRecord::decode(&proposal.txn).unwrap_or_else(|error| panic!("{}: {error}", proposal.zxid));
        self.replica.tree_mut().apply(&record, &mut ());
    }

    /// Cuts the log as a program with a fault does, and says where it ends.
    pub(crate) fn truncate_wrongly(&mut self, wanted: Zxid) -> StartResult<Option<Zxid>> {
        match self.bug {
            Some(Bug::SnapshotSurvivesTruncation) => {
                let kept: Vec<(PathBuf, Vec<u8>)> = self
                    .store
                    .snapshots()?
                    .into_iter()
                    .filter(|snapshot| snapshot.zxid > wanted)
                    .filter_map(|snapshot| Some((snapshot.path.clone(), self.disk.contents(&snapshot.path)?)))
                    .collect();
                self.cut(wanted)?;
                for (path, bytes) in kept {
                    self.disk.damage(&path, |file| *file = bytes);
                }
            }
            Some(Bug::FirstRecordSurvivesTruncation) => {
                let mut log = self.store.log_after(Zxid::ZERO)?;
                let mut first = wanted;
                while let Some(record) = log.next()? {
                    if record.zxid >= wanted {
                        first = record.zxid;
                        break;
                    }
                }
                self.cut(first)?;
            }
            _ => return Ok(None),
        }
        self.reload()?;
        self.log = Some(self.store.log_writer(wanted));
        self.replica.tree_mut().set_last_zxid(wanted);
        Ok(Some(wanted))
    }

    /// What stands in the log, whatever is missing in it.
    pub(crate) fn log_part_with_holes(&self, after: Zxid, until: Zxid) -> StartResult<Option<LogPart>> {
        let (mut before, mut entries) = (None, Vec::new());
        for file in self.store.logs()? {
            let mut log = LogIterator::open_file(Arc::new(self.disk.clone()), file, usize::MAX)?;
            while let Some(record) = log.next()? {
                if record.zxid <= after {
                    before = Some(record.zxid);
                } else if record.zxid <= until {
                    entries.push(Proposal {
                        zxid: record.zxid,
                        txn: Bytes::copy_from_slice(record.body),
                    });
                }
            }
        }
        Ok(before.map(|before| LogPart { before, entries }))
    }
}
