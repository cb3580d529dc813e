//! One simulated server: the pure parts of zebu and its store, driven as the real server drives them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use zebu_node::{LogBatch, Node, NodeConfig, Now, Replica};
use zebu_proto::client::FRAME_BYTES_MAX;
use zebu_proto::quorum::{SnapshotPart, SnapshotStream};
use zebu_proto::snapshot::NodeRecord;
use zebu_proto::txn::{TxnDigest, TxnRecord};
use zebu_proto::{AclList, Epoch, Millis, SessionId, Zxid};
use zebu_store::sim_disk::SimDisk;
use zebu_store::{
    EpochFile, LogWriter, Recovered, RecoverySink, Sections, SinkError, SnapshotDigest, Store, StoreError, StoreOptions,
};
use zebu_tree::{Loader, Settings, Tree};
use zebu_zab::{LearnerId, LogPart, OwnHistory, Peer, PeerConfig, Proposal, RecentHistory, SyncId};

use crate::faulty::Wrong;
use crate::socket::{Outbox, Socket, Watches};
use crate::{Bug, Random};

/// Where the marker stands that says that an empty disk is a new server's, and not one that has lost what was on it.
pub(crate) const NEW_SERVER_MARKER: &str = "/data/initialize";

/// How many transactions a server keeps in memory for learners: few, so that all ways of synchronizing are taken.
const RECENT_COUNT: usize = 8;

/// The number of a connection between servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// The parts of a process that is up.
pub(crate) struct Process {
    pub(crate) peer: Peer,
    pub(crate) disk: SimDisk,
    pub(crate) store: Store,
    pub(crate) node: Node<Socket>,
    pub(crate) replica: Replica,
    pub(crate) watches: Watches,
    pub(crate) outbox: Outbox,
    pub(crate) log: Option<LogWriter>,
    /// Appended to the log, and not known to be durable.
    pub(crate) unflushed: VecDeque<Zxid>,
    pub(crate) is_flushing: bool,
    /// Everything up to here is durable in the log.
    pub(crate) logged: Zxid,
    /// When the node wants to hear of the time.
    pub(crate) next_tick: Millis,
    /// Whether what follows from what has arrived is still to be done.
    pub(crate) is_turn_due: bool,
    /// The role is over, and what was appended is being made durable; whether the tree has to be read again then.
    pub(crate) settling: Option<bool>,
    /// Without a leader until then, it serves those who only read.
    pub(crate) read_only_at: Option<Millis>,
    /// Whether the quorum port is open.
    pub(crate) is_open: bool,
    pub(crate) learners: BTreeMap<LearnerId, LinkId>,
    pub(crate) leader: Option<LinkId>,
    /// Who asked for the syncs that wait, oldest first.
    pub(crate) syncs: VecDeque<(SyncId, SyncFor)>,
    pub(crate) next_sync: u64,
    /// Sessions heard of since then are told with the next answer to a ping.
    pub(crate) heard_since: Millis,
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
    /// Whether it has said, in this role, that it has the leader's history.
    pub(crate) has_acked_history: bool,
    /// A fault of the program, and what it has led to.
    pub(crate) bug: Option<Bug>,
    pub(crate) wrong: Wrong,
}

/// Who asked for a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncFor {
    /// A client of this server.
    Client,
    /// A client of a learner.
    Learner(LearnerId),
    /// A client that came back to a learner, while something that its session had asked for elsewhere was in flight.
    Revalidation(LearnerId, SessionId),
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
    pub(crate) fn start(disk: &SimDisk, setup: Setup) -> StartResult<Self> {
        let Setup {
            mut peer,
            node,
            now,
            bug,
        } = setup;
        let options = StoreOptions {
            prealloc_bytes: 0,
            auto_create_db: bug == Some(Bug::WipedVotes),
            ..StoreOptions::new("/data")
        };
        let store = Store::open(Arc::new(disk.clone()), options)?;
        let (tree, recovered, recent) = load(&store)?;
        peer.is_untrusted = !recovered.trustworthy;
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
        let mut replica = Replica::new(tree);
        replica.set_serving(false);
        let node = Node::in_ensemble(node, &replica, now);
        Ok(Self {
            is_trusted: recovered.trustworthy,
            peer: Peer::new(peer, own, recent).with_log(),
            disk: disk.clone(),
            store,
            next_tick: node.deadline(now),
            node,
            replica,
            watches: Watches::default(),
            outbox: Outbox::default(),
            log: Some(log),
            unflushed: VecDeque::new(),
            is_flushing: false,
            logged: recovered.last_zxid,
            is_turn_due: false,
            settling: None,
            read_only_at: None,
            is_open: false,
            learners: BTreeMap::new(),
            leader: None,
            syncs: VecDeque::new(),
            next_sync: 0,
            heard_since: now.mono,
            loaded: None,
            serving: None,
            is_ending: false,
            roles: 0,
            has_acked_history: false,
            bug,
            wrong: Wrong::default(),
        })
    }

    pub(crate) const fn tree(&self) -> &Tree {
        self.replica.tree()
    }

    /// Writes what is to be logged; durable only after [`Process::flush`].
    pub(crate) fn write_log(&mut self) -> StartResult<()> {
        let batch = self.node.take_log(LogBatch::default());
        for (zxid, txn) in batch.records() {
            if let Some(log) = &mut self.log {
                log.append(zxid, txn)?;
            }
            self.unflushed.push_back(zxid);
        }
        Ok(())
    }

    /// Makes what was appended durable; returns the last of it.
    pub(crate) fn flush(&mut self) -> StartResult<Option<Zxid>> {
        if let Some(log) = &mut self.log {
            log.flush()?;
        }
        let last = self.unflushed.back().copied();
        self.unflushed.clear();
        self.logged = last.unwrap_or(self.logged);
        Ok(last)
    }

    /// No client is served any more.
    pub(crate) fn stop_serving(&mut self) {
        self.replica.set_serving(false);
        self.node.end_role(&mut self.outbox);
        // What is applied from here on is not known to be committed, and no client may hear of it.
        self.watches = Watches::default();
    }

    /// Ends everything that belongs to the present role.
    pub(crate) fn end_role(&mut self) {
        self.is_open = false;
        self.learners.clear();
        self.leader = None;
        self.loaded = None;
        self.serving = None;
        self.read_only_at = None;
        self.has_acked_history = false;
        self.syncs.clear();
        self.roles += 1;
    }

    /// Puts the history in order before the server looks for a leader: what is appended is durable and applied. A history
    /// is given back if it had to be read again.
    pub(crate) fn settle(&mut self, must_reload: bool) -> StartResult<Option<RecentHistory>> {
        self.flush()?;
        if let Some(history) = self.settle_wrongly(must_reload)? {
            self.node.replaced(&self.replica, false);
            return Ok(Some(history));
        }
        if must_reload {
            return Ok(Some(self.reload()?));
        }
        self.node.committed(self.node.last_prepared());
        while self.node.can_commit() {
            let watches = self.watches.get_mut();
            self.node.commit(&mut self.replica, watches, &mut self.outbox, 512);
        }
        Ok(None)
    }

    /// Reads everything from disk again.
    pub(crate) fn reload(&mut self) -> StartResult<RecentHistory> {
        self.log = None;
        let (tree, recovered, recent) = load(&self.store)?;
        self.replace_tree(tree, false);
        self.log = Some(self.store.log_writer(recovered.last_zxid));
        self.logged = recovered.last_zxid;
        Ok(recent)
    }

    pub(crate) fn replace_tree(&mut self, tree: Tree, is_fuzzy: bool) {
        self.replica.replace(tree);
        self.node.replaced(&self.replica, is_fuzzy);
    }

    /// Cuts the log behind `zxid`; returns where it ends now.
    pub(crate) fn truncate(&mut self, zxid: Zxid) -> StartResult<Zxid> {
        self.flush()?;
        self.log = None;
        if let Some(last) = self.truncate_wrongly(zxid)? {
            self.node.replaced(&self.replica, false);
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

    /// Takes the tree that the leader sent into memory.
    pub(crate) fn load_received(&mut self) -> Zxid {
        let Some(dump) = &self.loaded else { return Zxid::ZERO };
        let (zxid, tree) = (dump.zxid, received(dump));
        self.replace_tree(tree, true);
        zxid
    }

    /// Puts the tree that the leader sent in the place of everything on disk.
    pub(crate) fn install(&mut self) -> StartResult<()> {
        let Some(dump) = self.loaded.take() else { return Ok(()) };
        self.log = None;
        let before = std::mem::replace(&mut self.logged, dump.zxid);
        match self.bug {
            Some(Bug::SnapshotNotDurable) => {}
            // With a log that goes on behind the tree it would be noticed at once.
            Some(Bug::HoleInLogOnDisk) if before < dump.zxid && self.is_trusted => {
                write_snapshot(&self.store, &dump)?;
            }
            _ => write_snapshot_for(&self.store, &dump)?,
        }
        self.log = Some(self.store.log_writer(dump.zxid));
        Ok(())
    }

    /// The tree as it is now.
    pub(crate) fn dump(&mut self) -> Dump {
        dump(self.replica.tree_mut())
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
        let dump = self.dump();
        write_snapshot(&self.store, &dump)?;
        if let Some(log) = &mut self.log
            && self.unflushed.is_empty()
        {
            log.roll()?;
        }
        Ok(())
    }

    /// Whether everything in the tree is durable in the log, and nothing is on its way there.
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_idle = !self.is_flushing && self.unflushed.is_empty() && !self.node.has_log();
        is_idle && self.node.outstanding() == 0 && self.tree().last_zxid() <= self.logged
    }

    pub(crate) fn save_epoch(&self, file: EpochFile, epoch: Epoch) -> StartResult<()> {
        self.store.write_epoch(file, epoch)
    }

    /// What the tree is as it would come back if the process ended now, and what it is in memory. Nothing may be on its
    /// way.
    pub(crate) fn states(&mut self) -> StartResult<[(Zxid, u64); 2]> {
        self.flush()?;
        self.log = None;
        let (loaded, ..) = load(&self.store)?;
        Ok([&loaded, self.tree()].map(|tree| (tree.last_zxid(), fingerprint(tree))))
    }
}

/// What a process is started with.
pub(crate) struct Setup {
    pub(crate) peer: PeerConfig,
    pub(crate) node: NodeConfig,
    pub(crate) now: Now,
    pub(crate) bug: Option<Bug>,
}

/// A number that stands for all of a tree and its sessions: of two that are not the same it is another one, but for an
/// accident. (The digest does not cover sessions.)
pub(crate) fn fingerprint(tree: &Tree) -> u64 {
    tree.sessions().fold(tree.digest(), |sum, (session, timeout_ms)| {
        let seed = session.0.cast_unsigned() ^ u64::from(timeout_ms.cast_unsigned());
        sum.wrapping_add(Random::new(seed).next())
    })
}

/// The tree that a leader has sent.
fn received(dump: &Dump) -> Tree {
    let broken = |what: String| -> ! { panic!("the tree of a leader at {}: {what}", dump.zxid) };
    let mut stream = SnapshotStream::new(FRAME_BYTES_MAX);
    let mut loader = Loader::new(Settings::default());
    let mut at = 0;
    loop {
        // A file of the tree ends with a mark, and the signature of the wire is not there.
        let (part, used) = match stream.decode(&dump.bytes[at..]) {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(error) => broken(error.to_string()),
        };
        match part {
            SnapshotPart::Session { session, timeout_ms } => loader.session(session, timeout_ms),
            SnapshotPart::Acl { key, list } => loader.acl(key, list),
            SnapshotPart::Node(node) => loader.node(&node).unwrap_or_else(|error| broken(error.to_string())),
            SnapshotPart::End => break,
        }
        at += used;
    }
    loader
        .finish(dump.zxid)
        .unwrap_or_else(|error| broken(error.to_string()))
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
            version: TxnDigest::VERSION,
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
        let said = record.digest.filter(|digest| digest.version == TxnDigest::VERSION);
        if said.is_some_and(|said| said.tree != self.tree.digest()) {
            return Err(format!("the tree is not what it was after {}", record.header.zxid).into());
        }
        self.recent.push(Proposal {
            zxid: record.header.zxid,
            txn: Bytes::copy_from_slice(raw),
        });
        Ok(())
    }
}
