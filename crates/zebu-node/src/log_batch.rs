//! Transactions on their way to the log.

use alloc::vec::Vec;

use zebu_proto::Zxid;
use zebu_proto::txn::TxnRecord;

/// Memory above this is given back when a burst of requests is over.
pub(crate) const KEPT_BYTES_MAX: usize = 1 << 20;

/// Transactions to be logged, in order. Whoever takes them must see to it that they are durable before it calls
/// [`Node::flushed`](crate::Node::flushed).
#[derive(Default)]
pub struct LogBatch {
    bytes: Vec<u8>,
    ends: Vec<(Zxid, usize)>,
    /// How many of them were proposed.
    proposed: usize,
}

impl LogBatch {
    /// Whether there is nothing to be logged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Number of transactions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all serialized transactions.
    #[must_use]
    pub const fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The transactions with their serialized form.
    pub fn records(&self) -> impl Iterator<Item = (Zxid, &[u8])> + '_ {
        let mut start = 0;
        self.ends.iter().map(move |(zxid, end)| {
            let bytes = &self.bytes[start..*end];
            start = *end;
            (*zxid, bytes)
        })
    }

    /// The last transaction.
    #[must_use]
    pub fn last_zxid(&self) -> Option<Zxid> {
        self.ends.last().map(|(zxid, _)| *zxid)
    }

    /// Forgets the transactions, and keeps the memory unless it is very much.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.proposed = 0;
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.ends.shrink_to(KEPT_BYTES_MAX / size_of::<(Zxid, usize)>());
    }

    /// Appends a transaction. Returns its length in bytes.
    pub(crate) fn push(&mut self, record: &TxnRecord) -> usize {
        let start = self.bytes.len();
        record.encode(&mut self.bytes);
        self.ends.push((record.header.zxid, self.bytes.len()));
        self.bytes.len() - start
    }

    /// Appends a transaction as another server serialized it.
    pub(crate) fn push_raw(&mut self, zxid: Zxid, txn: &[u8]) {
        self.bytes.extend_from_slice(txn);
        self.ends.push((zxid, self.bytes.len()));
    }

    /// The transactions that were not asked for in this way before: a leader proposes them before they are durable.
    pub fn propose(&mut self) -> impl Iterator<Item = (Zxid, &[u8])> + '_ {
        let from = core::mem::replace(&mut self.proposed, self.ends.len());
        self.records().skip(from)
    }

    /// Takes the last one back.
    pub(crate) fn pop(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().map_or(0, |(_, end)| *end));
    }
}

#[cfg(test)]
mod tests {
    use zebu_proto::txn::{Txn, TxnHeader};
    use zebu_proto::{OpCode, SessionId, WallMillis, Xid};

    use super::*;

    fn record(zxid: i64) -> TxnRecord {
        TxnRecord {
            header: TxnHeader {
                session: SessionId(1),
                cxid: Xid(2),
                zxid: Zxid(zxid),
                time: WallMillis(3),
                op: OpCode::Error,
            },
            txn: Txn::Error { err: -1 },
            digest: None,
        }
    }

    #[test]
    fn a_batch_is_what_was_appended_and_not_taken_back() {
        let mut batch = LogBatch::default();
        let len = batch.push(&record(1));
        batch.push(&record(2));
        batch.pop();
        batch.push(&record(3));
        let all: Vec<(Zxid, usize)> = batch.records().map(|(zxid, bytes)| (zxid, bytes.len())).collect();
        assert_eq!(all, [(Zxid(1), len), (Zxid(3), len)]);
        assert_eq!((batch.len(), batch.byte_len()), (2, 2 * len));
        assert_eq!(batch.last_zxid(), Some(Zxid(3)));
    }

    #[test]
    fn a_burst_does_not_hold_its_memory_for_good() {
        let mut batch = LogBatch::default();
        while batch.byte_len() < 3 * KEPT_BYTES_MAX {
            batch.push(&record(1));
        }
        batch.clear();
        assert!(batch.is_empty());
        assert!(batch.bytes.capacity() <= KEPT_BYTES_MAX);
        assert!(batch.ends.capacity() * size_of::<(Zxid, usize)>() <= KEPT_BYTES_MAX);
        assert!(
            batch.bytes.capacity() > 0,
            "most batches are small, and their memory is used again"
        );
    }
}
