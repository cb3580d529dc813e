//! From files to a tree.

use zebu_proto::snapshot::NodeRecord;
use zebu_proto::txn::{TxnDigest, TxnRecord};
use zebu_proto::{AclList, SessionId, Zxid};
use zebu_store::{Recovered, RecoverySink, SinkError, SnapshotDigest, Store, StoreError};
use zebu_tree::{Loader, Settings, Tree};

/// Loads the newest snapshot and replays the log onto it.
///
/// # Errors
/// If the files cannot be trusted.
pub(crate) fn restore(store: &Store, settings: Settings) -> Result<(Tree, Recovered), StoreError> {
    let mut sink = TreeSink {
        settings,
        loader: Loader::new(settings),
        tree: None,
        expected: None,
    };
    let recovered = store.recover(&mut sink)?;
    Ok((sink.tree.unwrap_or_else(|| Tree::new(settings)), recovered))
}

/// Builds the tree from what the store reads.
struct TreeSink {
    settings: Settings,
    loader: Loader,
    /// The tree, once the snapshot is complete.
    tree: Option<Tree>,
    /// Digest that came with the snapshot, and the transaction after which it holds.
    expected: Option<SnapshotDigest>,
}

impl TreeSink {
    /// A snapshot that was written while writes went on carries the digest of a later transaction: it can be compared
    /// once that one has been replayed. One for an earlier transaction, or none, says nothing.
    fn check_digest(&mut self) -> Result<(), SinkError> {
        let (Some(expected), Some(tree)) = (self.expected, &self.tree) else {
            return Ok(());
        };
        if expected.zxid != tree.last_zxid() {
            return Ok(());
        }
        self.expected = None;
        if !self.settings.digest || expected.version != TxnDigest::VERSION || expected.digest == tree.digest() {
            return Ok(());
        }
        let (zxid, found) = (expected.zxid, tree.digest());
        Err(format!(
            "the tree at {zxid} has the digest {found:x}, the snapshot says {:x}",
            expected.digest
        )
        .into())
    }
}

impl RecoverySink for TreeSink {
    fn begin(&mut self) {
        self.loader = Loader::new(self.settings);
        self.tree = None;
        self.expected = None;
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
        self.expected = Some(digest);
    }

    fn loaded(&mut self, zxid: Zxid) -> Result<(), SinkError> {
        let loader = std::mem::replace(&mut self.loader, Loader::new(self.settings));
        self.tree = Some(loader.finish(zxid)?);
        // A digest of the very zxid of the name belongs to a snapshot that nothing was written into meanwhile.
        self.check_digest()
    }

    fn txn(&mut self, record: TxnRecord, _raw: &[u8]) -> Result<(), SinkError> {
        let tree = self.tree.get_or_insert_with(|| Tree::new(self.settings));
        tree.apply(&record, &mut ());
        self.check_digest()
    }
}
