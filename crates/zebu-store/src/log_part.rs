//! A part of the log for a learner that lacks more than is kept in memory.
//!
//! Source: `ZKDatabase.getProposalsFromTxnLog`. Java hands on what its files hold, also across a hole that a snapshot from
//! a leader once left in them (ZOOKEEPER-2846); here a part with a hole is no part.

use std::collections::BTreeSet;

use zebu_proto::Zxid;

use crate::{LogIterator, LogProblem, Store, StoreError};

/// Transactions in order, without a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// The last transaction in the log at or before the one that was asked for.
    pub before: Zxid,
    /// Everything behind it: zxid, and header, record and digest as they go over the wire.
    pub records: Vec<(Zxid, Vec<u8>)>,
}

impl Store {
    /// What stands in the log behind `after`, up to `until`, which must have been flushed. May run beside a
    /// [`crate::LogWriter`].
    ///
    /// `None` if the log does not reach back that far or is not known to hold everything in between, or if it is more than
    /// `bytes_max`.
    ///
    /// # Errors
    /// If the log does not check out, or the disk fails.
    pub fn log_part(&self, after: Zxid, until: Zxid, bytes_max: u64) -> Result<Option<LogPart>, StoreError> {
        let files = self.logs()?;
        let Some(start) = files.iter().rposition(|file| file.first <= after) else {
            return Ok(None);
        };
        // Everything in the file counts, so that a hole in it is found.
        let base = Zxid(files[start].first.0 - 1);
        let mut log = LogIterator::until(
            self.shared().disk.clone(),
            files[start..].to_vec(),
            base,
            until,
            self.read_rules()?,
        )?;
        let (mut before, mut records, mut bytes) = (None, Vec::new(), 0);
        loop {
            let record = match log.next() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                // Below a snapshot a hole is no damage.
                Err(StoreError::Log(damage)) if matches!(damage.problem, LogProblem::Gap(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            if record.zxid <= after {
                before = Some(record.zxid);
                continue;
            }
            bytes += record.body.len() as u64;
            if bytes > bytes_max {
                return Ok(None);
            }
            records.push((record.zxid, record.body.to_vec()));
        }
        let Some(before) = before else { return Ok(None) };
        let last = records.last().map_or(before, |(zxid, _)| *zxid);
        let part = LogPart { before, records };
        Ok((last == until && self.is_without_hole(&part)?).then_some(part))
    }

    /// A tree that a leader sent leaves a snapshot of a transaction that no log of this server has. Where an epoch ends, the
    /// log alone does not show that something is missing.
    fn is_without_hole(&self, part: &LogPart) -> Result<bool, StoreError> {
        let known: BTreeSet<Zxid> = part.records.iter().map(|(zxid, _)| *zxid).collect();
        let last = known.last().copied().unwrap_or(part.before);
        // A zxid that begins an epoch names no transaction.
        let in_between = |zxid: Zxid| zxid > part.before && zxid < last && zxid.counter() != 0;
        let snapshots = self.snapshots()?;
        Ok(snapshots
            .iter()
            .all(|snapshot| !in_between(snapshot.zxid) || known.contains(&snapshot.zxid)))
    }

    /// How many bytes of log a learner is sent rather than a snapshot: `factor` (`zookeeper.snapshotSizeFactor`) of the
    /// newest snapshot's, without a limit for 0, none if `factor` is negative.
    ///
    /// # Errors
    /// If the disk fails.
    ///
    /// Source: `ZKDatabase.calculateTxnLogSizeLimit`.
    pub fn log_part_bytes_max(&self, factor: f64) -> Result<u64, StoreError> {
        if factor < 0.0 {
            return Ok(0);
        }
        let Some(newest) = self.snapshots()?.into_iter().next() else {
            return Ok(0);
        };
        if factor == 0.0 {
            return Ok(u64::MAX);
        }
        let len = self.shared().disk.open(&newest.path).and_then(|file| file.len());
        let len = len.map_err(|error| StoreError::io("look at", &newest.path, error))?;
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a limit by rule of thumb, not negative"
        )]
        let limit = (len as f64 * factor) as u64;
        Ok(limit)
    }
}
