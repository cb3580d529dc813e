//! From files to a tree.

use bytes::Bytes;
use zebu_proto::snapshot::NodeRecord;
use zebu_proto::txn::{TxnDigest, TxnRecord};
use zebu_proto::{AclList, SessionId, Zxid};
use zebu_store::{Recovered, RecoverySink, SinkError, SnapshotDigest, Store, StoreError};
use zebu_tree::{Loader, Settings, Tree};
use zebu_zab::{Proposal, RecentHistory, follows};

/// Loads the newest snapshot and replays the log onto it. Gives back the last transactions, too, as they stand in the log:
/// `count` of them at most.
///
/// # Errors
/// If the files cannot be trusted.
pub(crate) fn restore(
    store: &Store,
    settings: Settings,
    count: usize,
) -> Result<(Tree, Recovered, RecentHistory), StoreError> {
    let mut sink = TreeSink {
        settings,
        loader: Loader::new(settings),
        tree: None,
        expected: Expected::Nothing,
        recent: RecentHistory::new(Zxid::ZERO, count),
        keeps_recent: count > 0,
    };
    let recovered = store.recover(&mut sink)?;
    let tree = sink.tree.unwrap_or_else(|| Tree::new(settings));
    Ok((tree, recovered, sink.recent))
}

/// Builds the tree from what the store reads.
struct TreeSink {
    settings: Settings,
    loader: Loader,
    /// The tree, once the snapshot is complete.
    tree: Option<Tree>,
    expected: Expected,
    recent: RecentHistory,
    keeps_recent: bool,
}

/// What is known of the digest that came with the snapshot.
enum Expected {
    /// There was none that says anything, or the tree had it.
    Nothing,
    /// The tree must have it after that transaction.
    At(SnapshotDigest),
    /// The tree did not have it; this is what it had. The next transaction must clear that up.
    Missed(SnapshotDigest, u64),
}

impl TreeSink {
    /// Keeps the bytes of a transaction for learners. Behind a gap, which only other implementations leave, it begins anew.
    fn keep(&mut self, zxid: Zxid, raw: &[u8]) {
        if !self.keeps_recent || !follows(self.recent.last(), zxid) {
            return self.recent.restart(zxid);
        }
        self.recent.push(Proposal {
            zxid,
            txn: Bytes::copy_from_slice(raw),
        });
    }

    /// A snapshot that was written while writes went on carries the digest of a later transaction: it can be compared
    /// once that one has been replayed. One for an earlier transaction, or none, says nothing.
    ///
    /// Java reads the digest for such a snapshot when all nodes are written, and the transaction then under way may have
    /// changed some of them already: the tree holds a part of one transaction more than the digest. That transaction is
    /// the next in the log (Java applies what it has logged), brings its own digest, and has the last word.
    fn check_digest(&mut self, record: Option<&TxnRecord>) -> Result<(), SinkError> {
        let Some(tree) = self.tree.as_ref().filter(|_| self.settings.digest) else {
            return Ok(());
        };
        match self.expected {
            Expected::At(expected) if expected.zxid == tree.last_zxid() => {
                let found = tree.digest();
                self.expected = if expected.version != TxnDigest::VERSION || expected.digest == found {
                    Expected::Nothing
                } else {
                    Expected::Missed(expected, found)
                };
                Ok(())
            }
            Expected::Missed(expected, found) => {
                self.expected = Expected::Nothing;
                let said = record.and_then(|record| record.digest);
                if said.is_some_and(|said| said.version == TxnDigest::VERSION && said.tree == tree.digest()) {
                    return Ok(());
                }
                Err(mismatch(expected, found))
            }
            Expected::At(_) | Expected::Nothing => Ok(()),
        }
    }
}

fn mismatch(expected: SnapshotDigest, found: u64) -> SinkError {
    let SnapshotDigest { zxid, digest, .. } = expected;
    format!("the tree at {zxid} has the digest {found:x}, the snapshot says {digest:x}").into()
}

impl RecoverySink for TreeSink {
    fn begin(&mut self) {
        self.loader = Loader::new(self.settings);
        self.tree = None;
        self.expected = Expected::Nothing;
        self.recent.restart(Zxid::ZERO);
    }

    fn session(&mut self, session: SessionId, timeout_ms: i32) -> Result<(), SinkError> {
        self.loader.session(session, timeout_ms);
        Ok(())
    }

    fn acl(&mut self, key: i64, acl: AclList) -> Result<(), SinkError> {
        self.loader.acl(key, acl);
        Ok(())
    }

    fn node(&mut self, node: NodeRecord<'_>) -> Result<(), SinkError> {
        Ok(self.loader.node(&node)?)
    }

    fn digest(&mut self, digest: SnapshotDigest) {
        self.expected = Expected::At(digest);
    }

    fn loaded(&mut self, zxid: Zxid) -> Result<(), SinkError> {
        let loader = std::mem::replace(&mut self.loader, Loader::new(self.settings));
        self.tree = Some(loader.finish(zxid)?);
        self.recent.restart(zxid);
        // The digest may be of the very zxid of the name.
        self.check_digest(None)
    }

    fn txn(&mut self, record: TxnRecord, raw: &[u8]) -> Result<(), SinkError> {
        self.keep(record.header.zxid, raw);
        let tree = self.tree.get_or_insert_with(|| Tree::new(self.settings));
        tree.apply(&record, &mut ());
        self.check_digest(Some(&record))
    }

    fn end(&mut self) -> Result<(), SinkError> {
        match self.expected {
            Expected::Missed(expected, found) => Err(mismatch(expected, found)),
            Expected::At(_) | Expected::Nothing => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zebu_proto::txn::{CreateTxn, CreateTxnKind, Txn, TxnHeader};
    use zebu_proto::{OpCode, Value, WallMillis, Xid};
    use zebu_store::sim_disk::SimDisk;
    use zebu_store::{Sections, StoreOptions};

    use super::*;

    /// A store with the transactions 1 to 3 in its log, and a snapshot of 2 that a Java server wrote: transaction 3 had
    /// changed the tree already, and the digest was still that of 2.
    struct Racing {
        store: Store,
        records: Vec<TxnRecord>,
    }

    fn create(zxid: i64, path: &str) -> TxnRecord {
        TxnRecord {
            header: TxnHeader {
                session: SessionId(7),
                cxid: Xid(1),
                zxid: Zxid(zxid),
                time: WallMillis(1_000_000),
                op: OpCode::Create,
            },
            txn: Txn::Create(CreateTxn {
                kind: CreateTxnKind::Create { ephemeral: false },
                path: path.to_owned(),
                data: Value::from(b"x".as_slice()),
                acl: AclList::OPEN,
                parent_cversion: i32::try_from(zxid).unwrap(),
            }),
            digest: None,
        }
    }

    impl Racing {
        fn new() -> Self {
            let store = Store::open(Arc::new(SimDisk::new(0)), StoreOptions::new("/data")).unwrap();
            let mut tree = Tree::new(Settings::default());
            let mut records = Vec::new();
            for (zxid, path) in [(1, "/a"), (2, "/b"), (3, "/c")] {
                let mut record = create(zxid, path);
                tree.apply(&record, &mut ());
                record.digest = Some(TxnDigest {
                    version: TxnDigest::VERSION,
                    tree: tree.digest(),
                });
                records.push(record);
            }
            let capture = tree.begin_capture();
            let mut bytes = Vec::new();
            capture.encode_head(&mut bytes);
            while !tree.read_capture(&capture, &mut bytes, 1 << 20) {}
            let mut writer = store.snapshot_writer(Zxid(2)).unwrap();
            writer.write(&bytes).unwrap();
            let digest = SnapshotDigest {
                zxid: Zxid(2),
                version: TxnDigest::VERSION,
                digest: records[1].digest.unwrap().tree,
            };
            let sections = Sections {
                digest: Some(digest),
                last_zxid: Some(Zxid(2)),
            };
            writer.finish(sections).unwrap();
            Self { store, records }
        }

        fn log(&self, records: &[TxnRecord]) {
            let mut log = self.store.log_writer(Zxid::ZERO);
            for record in records {
                log.append(record.header.zxid, &record.to_vec()).unwrap();
            }
            log.flush().unwrap();
        }

        /// The last transaction and the digest of the tree.
        fn restore(&self) -> Result<(Zxid, u64), StoreError> {
            let (tree, recovered, _) = restore(&self.store, Settings::default(), 0)?;
            Ok((recovered.last_zxid, tree.digest()))
        }
    }

    #[test]
    fn a_snapshot_may_hold_a_part_of_the_transaction_behind_its_digest() {
        let racing = Racing::new();
        racing.log(&racing.records);
        let expected = racing.records[2].digest.unwrap().tree;
        assert_eq!(racing.restore().unwrap(), (Zxid(3), expected));
    }

    #[test]
    fn a_snapshot_that_holds_what_the_log_has_not_is_refused() {
        let racing = Racing::new();
        racing.log(&racing.records[..2]);
        let error = racing.restore().unwrap_err().to_string();
        assert!(error.contains("the data ends at 0x2"), "{error}");
        assert!(error.contains("the snapshot says"), "{error}");
    }

    #[test]
    fn a_tree_that_the_next_transaction_does_not_put_right_is_refused() {
        let mut racing = Racing::new();
        racing.records[2] = create(3, "/other");
        racing.records[2].digest = racing.records[1].digest;
        racing.log(&racing.records);
        let error = racing.restore().unwrap_err();
        assert!(matches!(error, StoreError::Rejected { zxid: Zxid(3), .. }), "{error}");
        let mut racing = Racing::new();
        racing.records[2].digest = None;
        racing.log(&racing.records);
        let error = racing.restore().unwrap_err();
        assert!(matches!(error, StoreError::Rejected { zxid: Zxid(3), .. }), "{error}");
    }
}
