//! A data directory in memory, opened as a server opens it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zebu_proto::snapshot::NodeRecord;
use zebu_proto::txn::{TxnDigest, TxnRecord};
use zebu_proto::{AclList, SessionId, StatPersisted, Zxid};
use zebu_store::sim_disk::SimDisk;
use zebu_store::{
    Compression, Disk, Recovered, RecoverySink, Sections, SinkError, SnapshotDigest, Store, StoreError, StoreOptions,
};
use zebu_tree::{Loader, Settings, Tree};

/// Longest record that is read, bytes: a length that is believed shows in the memory that is used.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// A directory and the disk that it is on.
pub(crate) struct DataDir {
    disk: SimDisk,
}

/// What recovery came to: everything that clients could see of it, and what was said about it.
pub(crate) struct Found {
    pub(crate) recovered: Recovered,
    pub(crate) tree: Tree,
}

/// A tree as a value that can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dump {
    last_zxid: Zxid,
    digest: u64,
    sessions: Vec<(SessionId, i32)>,
    nodes: BTreeMap<String, (Option<Vec<u8>>, AclList, StatPersisted)>,
}

impl Dump {
    /// All but the data of the nodes that count what is below a quota.
    pub(crate) fn without_counts(mut self) -> Self {
        for (path, (data, ..)) in &mut self.nodes {
            if path.ends_with("/zookeeper_stats") {
                *data = None;
            }
        }
        self
    }
}

impl DataDir {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let dir = Self { disk: SimDisk::new(0) };
        dir.disk.create_dir_all(&folder()).expect("an empty disk has room");
        dir
    }

    /// Puts a file into the folder of logs and snapshots, or, by its name, beside it.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let file = self.disk.create(&path(name)).expect("a new file");
        file.write_at(bytes, 0).expect("an empty disk has room");
        file.sync_all().expect("an empty disk has room");
    }

    /// Contents of a file.
    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.disk.contents(&path(name))
    }

    /// Opens the directory as a server would, with snapshots in `compression`.
    pub(crate) fn open(&self, compression: Compression) -> Store {
        let options = StoreOptions {
            compression,
            prealloc_bytes: 0,
            record_bytes_max: RECORD_BYTES_MAX,
            ..StoreOptions::new("/data")
        };
        // Nothing but names is looked at.
        Store::open(Arc::new(self.disk.clone()), options).expect("an empty directory, or one that was opened before")
    }

    /// Recovers what is there. An error must say where the fault lies.
    pub(crate) fn recover(&self) -> Result<Found, StoreError> {
        let mut sink = TreeSink::new();
        let recovered = self.open(Compression::None).recover(&mut sink);
        match recovered {
            Ok(recovered) => {
                let tree = sink.tree.unwrap_or_else(|| Tree::new(settings()));
                Ok(Found { recovered, tree })
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("/data"), "names no file: {text}");
                assert!(!text.contains('\n'), "{text}");
                Err(error)
            }
        }
    }

    /// Writes a snapshot of `tree`.
    pub(crate) fn write_snapshot(&self, tree: &mut Tree, compression: Compression) {
        let capture = tree.begin_capture();
        let store = self.open(compression);
        let written = || {
            let mut writer = store.snapshot_writer(capture.zxid())?;
            let mut bytes = Vec::new();
            capture.encode_head(&mut bytes);
            while !tree.read_capture(&capture, &mut bytes, 1 << 20) {
                writer.write(&bytes)?;
                bytes.clear();
            }
            writer.write(&bytes)?;
            writer.finish(Sections {
                digest: Some(SnapshotDigest {
                    zxid: capture.zxid(),
                    version: TxnDigest::VERSION,
                    digest: capture.digest(),
                }),
                last_zxid: Some(capture.zxid()),
            })
        };
        written().expect("a disk without faults");
        drop(tree.end_capture(&capture));
    }
}

impl Found {
    /// The tree as a value.
    pub(crate) fn dump(&self) -> Dump {
        dump(&self.tree)
    }
}

/// A tree as a value.
pub(crate) fn dump(tree: &Tree) -> Dump {
    let mut nodes = BTreeMap::new();
    let mut paths = vec![String::new()];
    while let Some(path) = paths.pop() {
        let node = tree.node(&path).expect("a listed child exists");
        paths.extend(node.children().map(|name| format!("{path}/{name}")));
        assert_eq!(node.children().count(), node.children_count() as usize);
        let data = node.data().as_option().map(<[u8]>::to_vec);
        nodes.insert(path, (data, node.acl().clone(), node.stored_stat()));
    }
    assert_eq!(nodes.len(), tree.node_count());
    Dump {
        last_zxid: tree.last_zxid(),
        digest: tree.digest(),
        sessions: tree.sessions().collect(),
        nodes,
    }
}

/// What all trees here are made with.
pub(crate) fn settings() -> Settings {
    Settings {
        enforce_quota: true,
        owner_rules: zebu_proto::OwnerRules {
            extended_types: true,
            ..zebu_proto::OwnerRules::default()
        },
        ..Settings::default()
    }
}

fn folder() -> PathBuf {
    Path::new("/data").join("version-2")
}

fn path(name: &str) -> PathBuf {
    if name == "myid" {
        Path::new("/data").join(name)
    } else {
        folder().join(name)
    }
}

/// Builds a tree from what the store reads, as the server does.
struct TreeSink {
    loader: Loader,
    tree: Option<Tree>,
}

impl TreeSink {
    fn new() -> Self {
        Self {
            loader: Loader::new(settings()),
            tree: None,
        }
    }
}

impl RecoverySink for TreeSink {
    fn begin(&mut self) {
        *self = Self::new();
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

    fn digest(&mut self, _: SnapshotDigest) {}

    fn loaded(&mut self, zxid: Zxid) -> Result<(), SinkError> {
        let loader = std::mem::replace(&mut self.loader, Loader::new(settings()));
        self.tree = Some(loader.finish(zxid)?);
        Ok(())
    }

    fn txn(&mut self, record: TxnRecord, raw: &[u8]) -> Result<(), SinkError> {
        let again = TxnRecord::decode(&record.to_vec());
        assert_eq!(again.as_ref(), Ok(&record), "of {} bytes", raw.len());
        self.tree
            .get_or_insert_with(|| Tree::new(settings()))
            .apply(&record, &mut ());
        Ok(())
    }
}
