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
use zebu_zab::{LearnerId, LogPart, OwnHistory, Peer, PeerConfig, Proposal, RecentHistory};

use crate::Bug;
use crate::faulty::Wrong;

/// Where the marker stands that says that an empty disk is a new server's, and not one that has lost what was on it.
pub(crate) const NEW_SERVER_MARKER: &str = "/data/initialize";

/// How many transactions a server keeps in memory for learners: few, so that all ways of synchronizing are taken.
const RECENT_COUNT: usize = 8;

/// The number of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnId(pub(crate) u64);

/// The parts of a process that is up.
pub(crate) struct Process {
    pub(crate) peer: Peer,
    pub(crate) disk: SimDisk,
    pub(crate) store: Store,
    pub(crate) tree: Tree,
    nodes_of_empty_tree: usize,
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
    /// Whether it was told to end.
    pub(crate) is_ending: bool,
    /// Counts the roles that this process had.
    pub(crate) roles: u64,
    /// Whether it has a history that it may vote with.
    pub(crate) is_trusted: bool,
    /// The last that was appended to the log, or is the end of what took its place.
    pub(crate) appended: Zxid,
    /// Whether it has said, in this role, that it has the leader's history.
    pub(crate) has_acked_history: bool,
    /// A fault of the program, and what it has led to.
    pub(crate) bug: Option<Bug>,
    pub(crate) wrong: Wrong,
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
    pub(crate) fn start(disk: &SimDisk, mut config: PeerConfig, bug: Option<Bug>) -> StartResult<Self> {
        let options = StoreOptions {
            prealloc_bytes: 0,
            auto_create_db: bug == Some(Bug::WipedVotes),
            ..StoreOptions::new("/data")
        };
        let store = Store::open(Arc::new(disk.clone()), options)?;
        let (tree, recovered, recent) = load(&store)?;
        config.is_untrusted = !recovered.trustworthy;
        // An empty tree that is on disk would count as a history at the next start.
        if recovered.needs_snapshot && recovered.trustworthy {
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
            is_trusted: recovered.trustworthy,
            peer: Peer::new(config, own, recent).with_log(),
            disk: disk.clone(),
            store,
            tree,
            nodes_of_empty_tree: Tree::new(Settings::default()).node_count(),
            log: Some(log),
            unflushed: VecDeque::new(),
            is_flushing: false,
            unapplied: VecDeque::new(),
            is_open: false,
            learners: BTreeMap::new(),
            leader: None,
            loaded: None,
            serving: None,
            is_ending: false,
            roles: 0,
            appended: recovered.last_zxid,
            has_acked_history: false,
            bug,
            wrong: Wrong::default(),
        })
    }

    /// Appends to the log; durable only after [`Process::flush`].
    pub(crate) fn append(&mut self, proposal: &Proposal) -> StartResult<()> {
        if let Some(log) = &mut self.log {
            log.append(proposal.zxid, &proposal.txn)?;
        }
        self.appended = proposal.zxid;
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
        self.end_role();
        if let Some(history) = self.settle_wrongly(must_reload)? {
            return Ok(Some(history));
        }
        if must_reload {
            return Ok(Some(self.reload()?));
        }
        self.apply(Zxid(i64::MAX));
        Ok(None)
    }

    fn end_role(&mut self) {
        self.is_open = false;
        self.learners.clear();
        self.leader = None;
        self.loaded = None;
        self.serving = None;
        self.has_acked_history = false;
        self.roles += 1;
    }

    /// Reads everything from disk again.
    pub(crate) fn reload(&mut self) -> StartResult<RecentHistory> {
        self.log = None;
        self.unapplied.clear();
        let (tree, recovered, recent) = load(&self.store)?;
        self.tree = tree;
        self.log = Some(self.store.log_writer(recovered.last_zxid));
        self.appended = recovered.last_zxid;
        Ok(recent)
    }

    /// Cuts the log behind `zxid`; returns where it ends now.
    pub(crate) fn truncate(&mut self, zxid: Zxid) -> StartResult<Zxid> {
        self.flush()?;
        self.log = None;
        if let Some(last) = self.truncate_wrongly(zxid)? {
            return Ok(last);
        }
        self.cut(zxid)?;
        Ok(self.reload()?.last())
    }

    /// Cuts the files.
    pub(crate) fn cut(&self, zxid: Zxid) -> StartResult<()> {
        match self.store.truncate_log(zxid) {
            Ok(_) | Err(StoreError::TruncateImpossible { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts the tree that the leader sent in the place of everything on disk.
    pub(crate) fn install(&mut self) -> StartResult<()> {
        let Some(dump) = self.loaded.take() else { return Ok(()) };
        self.log = None;
        if self.bug == Some(Bug::SnapshotNotDurable) {
            return self.install_in_memory(&dump);
        }
        // With a log that goes on behind the tree it would be noticed at once.
        if self.bug == Some(Bug::HoleInLogOnDisk) && self.appended < dump.zxid && self.is_trusted {
            write_snapshot(&self.store, &dump)?;
            self.reload()?;
            return Ok(());
        }
        write_snapshot_for(&self.store, &dump)?;
        self.reload()?;
        assert_eq!(self.tree.last_zxid(), dump.zxid, "what was installed is what is read");
        Ok(())
    }

    /// The tree as it is now.
    pub(crate) fn dump(&mut self) -> Dump {
        dump(&mut self.tree)
    }

    /// What stands in the log behind `after`, up to `until`.
    pub(crate) fn log_part(&self, after: Zxid, until: Zxid) -> StartResult<Option<LogPart>> {
        if self.bug == Some(Bug::HoleInLogOnDisk) {
            return self.log_part_with_holes(after, until);
        }
        let part = self.store.log_part(after, until, u64::MAX)?;
        Ok(part.map(|part| LogPart {
            before: part.before,
            entries: part
                .records
                .into_iter()
                .map(|(zxid, txn)| Proposal {
                    zxid,
                    txn: Bytes::from(txn),
                })
                .collect(),
        }))
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

    /// How many transactions the tree shows.
    pub(crate) fn history_len(&self) -> usize {
        self.tree.node_count() - self.nodes_of_empty_tree
    }

    /// The digest of the tree as it would come back if the process ended now, and of the one in memory. Nothing may be on
    /// its way.
    pub(crate) fn digests(&mut self) -> StartResult<[(Zxid, u64); 2]> {
        self.flush()?;
        self.log = None;
        let (loaded, ..) = load(&self.store)?;
        Ok([&loaded, &self.tree].map(|tree| (tree.last_zxid(), tree.digest())))
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

pub(crate) fn write_snapshot(store: &Store, dump: &Dump) -> StartResult<()> {
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
pub(crate) fn load(store: &Store) -> StartResult<(Tree, Recovered, RecentHistory)> {
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
