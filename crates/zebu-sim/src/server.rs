//! One simulated server: the pure parts of zebu and its store, driven as the real server drives them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use zebu_proto::snapshot::NodeRecord;
use zebu_proto::txn::TxnRecord;
use zebu_proto::{AclList, Epoch, SessionId, Zxid};
use zebu_store::sim_disk::SimDisk;
use zebu_store::{
    EpochFile, LogWriter, Recovered, RecoverySink, Sections, SinkError, SnapshotDigest, Store, StoreError, StoreOptions,
};
use zebu_tree::{Loader, Settings, Tree};
use zebu_zab::{LearnerId, OwnHistory, Peer, PeerConfig, Proposal, RecentHistory};

/// How many transactions a server keeps in memory for learners: few, so that all ways of synchronizing are taken.
const RECENT_COUNT: usize = 8;

/// The number of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnId(pub(crate) u64);

/// The parts of a process that is up.
pub(crate) struct Process {
    pub(crate) peer: Peer,
    pub(crate) store: Store,
    pub(crate) tree: Tree,
    pub(crate) log: Option<LogWriter>,
    /// Appended to the log, and not known to be durable.
    pub(crate) unflushed: VecDeque<Zxid>,
    pub(crate) is_flushing: bool,
    /// Appended to the log, and not applied.
    pub(crate) unapplied: VecDeque<Proposal>,
    /// Whether the quorum port is open.
    pub(crate) is_open: bool,
    pub(crate) learners: BTreeMap<LearnerId, ConnId>,
    pub(crate) leader: Option<ConnId>,
    /// A tree that the leader sent, serialized, with the zxid and the digest.
    pub(crate) loaded: Option<Dump>,
    /// The epoch of the established leader, while this server serves.
    pub(crate) serving: Option<Epoch>,
    /// Counts the roles that this process had.
    pub(crate) roles: u64,
}

/// A tree on its way from a leader to a learner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dump {
    pub(crate) zxid: Zxid,
    pub(crate) digest: u64,
    pub(crate) bytes: Bytes,
}

/// What brings a server up, or what it ends with: a disk that does not check out.
pub(crate) type StartResult<T> = Result<T, StoreError>;

impl Process {
    /// Loads what is on the disk.
    pub(crate) fn start(disk: &SimDisk, config: PeerConfig) -> StartResult<Self> {
        let options = StoreOptions {
            prealloc_bytes: 0,
            ..StoreOptions::new("/data")
        };
        let store = Store::open(Arc::new(disk.clone()), options)?;
        let (tree, recovered, recent) = load(&store)?;
        if recovered.needs_snapshot {
            write_snapshot(&store, &dump(&mut Tree::new(Settings::default())))?;
        }
        let epochs = store.load_epochs(recovered.last_zxid)?;
        let own = OwnHistory {
            accepted_epoch: epochs.accepted,
            current_epoch: epochs.current,
            last_zxid: recovered.last_zxid,
        };
        let log = store.log_writer(recovered.last_zxid);
        Ok(Self {
            peer: Peer::new(config, own, recent),
            store,
            tree,
            log: Some(log),
            unflushed: VecDeque::new(),
            is_flushing: false,
            unapplied: VecDeque::new(),
            is_open: false,
            learners: BTreeMap::new(),
            leader: None,
            loaded: None,
            serving: None,
            roles: 0,
        })
    }

    /// Appends to the log; durable only after [`Process::flush`].
    pub(crate) fn append(&mut self, proposal: &Proposal) -> StartResult<()> {
        if let Some(log) = &mut self.log {
            log.append(proposal.zxid, &proposal.txn)?;
        }
        self.unflushed.push_back(proposal.zxid);
        self.unapplied.push_back(proposal.clone());
        Ok(())
    }

    /// Makes what was appended durable; returns the last of it.
    pub(crate) fn flush(&mut self) -> StartResult<Option<Zxid>> {
        if let Some(log) = &mut self.log {
            log.flush()?;
        }
        let last = self.unflushed.back().copied();
        self.unflushed.clear();
        Ok(last)
    }

    /// Applies everything that was appended up to `zxid`.
    pub(crate) fn apply(&mut self, zxid: Zxid) {
        while let Some(front) = self.unapplied.front()
            && front.zxid <= zxid
        {
            let record = TxnRecord::decode(&front.txn).unwrap_or_else(|error| panic!("{}: {error}", front.zxid));
            self.tree.apply(&record, &mut ());
            self.unapplied.pop_front();
        }
    }

    /// Puts the history in order before the server looks for a leader: what is appended is durable and applied.
    pub(crate) fn settle(&mut self, must_reload: bool) -> StartResult<Option<RecentHistory>> {
        self.flush()?;
        self.is_open = false;
        self.learners.clear();
        self.leader = None;
        self.loaded = None;
        self.serving = None;
        self.roles += 1;
        if must_reload {
            return Ok(Some(self.reload()?));
        }
        self.apply(Zxid(i64::MAX));
        Ok(None)
    }

    /// Reads everything from disk again.
    fn reload(&mut self) -> StartResult<RecentHistory> {
        self.log = None;
        self.unapplied.clear();
        let (tree, recovered, recent) = load(&self.store)?;
        self.tree = tree;
        self.log = Some(self.store.log_writer(recovered.last_zxid));
        Ok(recent)
    }

    /// Cuts the log behind `zxid`; returns where it ends now.
    pub(crate) fn truncate(&mut self, zxid: Zxid) -> StartResult<Zxid> {
        self.flush()?;
        self.log = None;
        match self.store.truncate_log(zxid) {
            Ok(_) | Err(StoreError::TruncateImpossible { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(self.reload()?.last())
    }

    /// Puts the tree that the leader sent in the place of everything on disk.
    pub(crate) fn install(&mut self) -> StartResult<()> {
        let Some(dump) = self.loaded.take() else { return Ok(()) };
        self.log = None;
        write_snapshot_for(&self.store, &dump)?;
        self.reload()?;
        assert_eq!(self.tree.last_zxid(), dump.zxid, "what was installed is what is read");
        Ok(())
    }

    /// The tree as it is now.
    pub(crate) fn dump(&mut self) -> Dump {
        dump(&mut self.tree)
    }

    /// Writes a snapshot of the tree, as a server does from time to time.
    pub(crate) fn snapshot(&mut self) -> StartResult<()> {
        let dump = dump(&mut self.tree);
        write_snapshot(&self.store, &dump)?;
        if let Some(log) = &mut self.log
            && self.unflushed.is_empty()
        {
            log.roll()?;
        }
        Ok(())
    }

    pub(crate) fn save_epoch(&self, file: EpochFile, epoch: Epoch) -> StartResult<()> {
        self.store.write_epoch(file, epoch)
    }

    /// The history as the tree shows it: every transaction makes a node.
    pub(crate) fn history(&self) -> Vec<Zxid> {
        history(&self.tree)
    }
}

/// The transactions that made the nodes of a tree, in order.
pub(crate) fn history(tree: &Tree) -> Vec<Zxid> {
    let mut zxids: Vec<Zxid> = tree
        .node("")
        .into_iter()
        .flat_map(|root| root.children())
        .filter(|name| *name != "zookeeper")
        .filter_map(|name| Some(tree.node(&format!("/{name}"))?.stored_stat().czxid))
        .collect();
    zxids.sort_unstable();
    zxids
}

fn dump(tree: &mut Tree) -> Dump {
    let capture = tree.begin_capture();
    let mut bytes = Vec::new();
    capture.encode_head(&mut bytes);
    while !tree.read_capture(&capture, &mut bytes, 1 << 20) {}
    let dump = Dump {
        zxid: capture.zxid(),
        digest: capture.digest(),
        bytes: Bytes::from(bytes),
    };
    drop(tree.end_capture(&capture));
    dump
}

fn sections(dump: &Dump) -> Sections {
    Sections {
        digest: Some(SnapshotDigest {
            zxid: dump.zxid,
            version: zebu_proto::txn::TxnDigest::VERSION,
            digest: dump.digest,
        }),
        last_zxid: Some(dump.zxid),
    }
}

fn write_snapshot(store: &Store, dump: &Dump) -> StartResult<()> {
    let mut writer = store.snapshot_writer(dump.zxid)?;
    writer.write(&dump.bytes)?;
    writer.finish(sections(dump)).map(|_| ())
}

fn write_snapshot_for(store: &Store, dump: &Dump) -> StartResult<()> {
    let mut writer = store.snapshot_writer(dump.zxid)?;
    writer.write(&dump.bytes)?;
    writer.install(sections(dump)).map(|_| ())
}

/// The tree on disk, and the end of its history.
fn load(store: &Store) -> StartResult<(Tree, Recovered, RecentHistory)> {
    let mut sink = Sink {
        loader: Loader::new(Settings::default()),
        tree: Tree::new(Settings::default()),
        recent: RecentHistory::new(Zxid::ZERO, RECENT_COUNT),
    };
    let recovered = store.recover(&mut sink)?;
    Ok((sink.tree, recovered, sink.recent))
}

struct Sink {
    loader: Loader,
    tree: Tree,
    recent: RecentHistory,
}

impl RecoverySink for Sink {
    fn begin(&mut self) {
        *self = Self {
            loader: Loader::new(Settings::default()),
            tree: Tree::new(Settings::default()),
            recent: RecentHistory::new(Zxid::ZERO, RECENT_COUNT),
        };
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
        let loader = std::mem::replace(&mut self.loader, Loader::new(Settings::default()));
        self.tree = loader.finish(zxid)?;
        self.recent.restart(zxid);
        Ok(())
    }

    fn txn(&mut self, record: TxnRecord, raw: &[u8]) -> Result<(), SinkError> {
        self.tree.apply(&record, &mut ());
        self.recent.push(Proposal {
            zxid: record.header.zxid,
            txn: Bytes::copy_from_slice(raw),
        });
        Ok(())
    }
}
