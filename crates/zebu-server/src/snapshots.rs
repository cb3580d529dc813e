//! When snapshots are taken, who writes them, and when old files go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use zebu_proto::Zxid;
use zebu_proto::txn::TxnDigest;
use zebu_store::{Sections, SnapshotDigest, SnapshotFile, StoreError};
use zebu_tree::Tree;
use zebu_tree::snapshot::Capture;

use crate::exit::{ExitCode, Fatal};
use crate::random::Random;
use crate::server;
use crate::shared::Shared;

/// Bytes of nodes that are encoded while the applied state is held: a few hundred microseconds.
const PIECE_BYTES: usize = 128 << 10;

/// Decides when the next snapshot is due. The work is done by a thread of its own.
pub(crate) struct Snapshots {
    captures: Option<SyncSender<Taken>>,
    work: Arc<Work>,
    thread: Option<JoinHandle<()>>,
    random: Random,
    snap_count: u64,
    size_limit: Option<u64>,
    due_at: Due,
    wants_roll: bool,
}

/// A capture, and which of the trees that this server had it is of.
struct Taken {
    capture: Capture,
    generation: u64,
}

/// What the thread is told beside captures.
#[derive(Default)]
struct Work {
    /// Held while a snapshot is being written.
    writing: Mutex<()>,
    /// Whether what is being written is to be left out.
    is_abandoned: AtomicBool,
}

/// What has to be exceeded for a snapshot; drawn anew for each, so that the servers of an ensemble do not all write at
/// the same time.
struct Due {
    /// Transactions applied since the start.
    txns: u64,
    log_bytes: u64,
}

impl Snapshots {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(crate) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let (captures, received) = sync_channel(1);
        let work = Arc::new(Work::default());
        let thread = {
            let (shared, work) = (shared.clone(), work.clone());
            server::guarded(&shared.clone(), "zebu-snapshots", move || {
                run(&shared, &work, &received)
            })?
        };
        let storage = &shared.config.storage;
        let mut snapshots = Self {
            captures: Some(captures),
            work,
            thread: Some(thread),
            random: Random::new(shared.replica.read().tree().settings().hash_seed),
            snap_count: u64::from(storage.snap_count).max(2),
            size_limit: storage.snap_size_limit_bytes.map(std::num::NonZeroU64::get),
            due_at: Due { txns: 0, log_bytes: 0 },
            wants_roll: false,
        };
        snapshots.draw(0, 0);
        Ok(snapshots)
    }

    fn draw(&mut self, txns: u64, log_bytes: u64) {
        let half = self.snap_count / 2;
        let txns = txns + half + self.random.below(half);
        let log_bytes = match self.size_limit {
            Some(limit) => log_bytes + limit / 2 + self.random.below(limit / 2),
            None => u64::MAX,
        };
        self.due_at = Due { txns, log_bytes };
    }

    /// Whether a snapshot is due after so many transactions, and so many bytes of them in the log, since the start.
    pub(crate) const fn is_due(&self, txns: u64, log_bytes: u64) -> bool {
        txns > self.due_at.txns || log_bytes > self.due_at.log_bytes
    }

    /// Leaves out the snapshots that are under way, and waits until nobody writes one: what they hold may be taken back.
    pub(crate) fn abandon(&self) {
        self.work.is_abandoned.store(true, Ordering::Release);
        drop(self.work.writing.lock());
    }

    /// Goes on after [`Snapshots::abandon`], with another tree.
    pub(crate) fn restart(&mut self, txns: u64, log_bytes: u64) {
        self.work.is_abandoned.store(false, Ordering::Release);
        self.wants_roll = false;
        self.draw(txns, log_bytes);
    }

    /// Begins a snapshot of `tree`, unless one waits already behind the one that is being written.
    pub(crate) fn begin(&mut self, tree: &mut Tree, generation: u64, txns: u64, log_bytes: u64) {
        self.draw(txns, log_bytes);
        let Some(captures) = &self.captures else { return };
        let capture = tree.begin_capture();
        match captures.try_send(Taken { capture, generation }) {
            Ok(()) => self.wants_roll = true,
            Err(error) => {
                let (std::sync::mpsc::TrySendError::Full(taken) | std::sync::mpsc::TrySendError::Disconnected(taken)) =
                    error;
                // Nothing was put aside for it yet.
                drop(tree.end_capture(&taken.capture));
                tracing::warn!("two snapshots are still to be written; this one is left out");
            }
        }
    }

    /// Whether the log is to go on in a new file, since a snapshot began. Asked once, when nobody writes the log.
    pub(crate) fn wants_roll(&mut self) -> bool {
        std::mem::take(&mut self.wants_roll)
    }

    /// Waits for the thread.
    pub(crate) fn stop(&mut self) {
        self.captures = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it has ended the server already.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, work: &Work, captures: &Receiver<Taken>) {
    let interval = shared
        .config
        .purge
        .interval_ms
        .map(|ms| Duration::from_millis(ms.get()));
    let mut purge_at = interval.map(|_| Instant::now());
    loop {
        if purge_at.is_some_and(|at| at <= Instant::now()) {
            purge(shared);
            purge_at = interval.map(|interval| Instant::now() + interval);
        }
        let capture = match purge_at {
            None => captures.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => captures.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match capture {
            Ok(taken) => {
                if let Err(error) = write_capture(shared, work, &taken) {
                    let message = format!("a snapshot cannot be written: {error}");
                    shared.fail(Fatal {
                        code: ExitCode::Snapshot,
                        message,
                    });
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn write_capture(shared: &Shared, work: &Work, taken: &Taken) -> Result<(), StoreError> {
    let writing = work.writing.lock();
    let started = Instant::now();
    let Taken { capture, generation } = taken;
    let written = write(shared, work, taken);
    drop(writing);
    let leftovers = {
        let mut replica = shared.replica.write();
        (shared.tree_generation() == *generation).then(|| replica.tree_mut().end_capture(capture))
    };
    // With the lock given back: a million nodes that were put aside take a while to free.
    drop(leftovers);
    let Some(file) = written? else {
        tracing::info!("the snapshot under way is left out: the server ends, or has another tree by now");
        return Ok(());
    };
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    shared.stats.snapshot_ms.add(elapsed_ms, 1);
    tracing::info!(
        file = %file.path.display(),
        nodes = capture.nodes(),
        bytes = file.len,
        elapsed_ms,
        "snapshot written"
    );
    Ok(())
}

/// Writes the file. `None` if it is not wanted any more, or the server ends in the meantime: a large snapshot can take
/// longer than whoever stops the server waits.
fn write(shared: &Shared, work: &Work, taken: &Taken) -> Result<Option<SnapshotFile>, StoreError> {
    let Taken { capture, generation } = taken;
    let mut writer = shared.store.snapshot_writer(capture.zxid())?;
    let mut piece = Vec::with_capacity(PIECE_BYTES * 2);
    capture.encode_head(&mut piece);
    loop {
        if shared.is_stopping() || work.is_abandoned.load(Ordering::Acquire) {
            return Ok(None);
        }
        writer.write(&piece)?;
        piece.clear();
        // The lock is held for one piece at a time: writes wait for no more than that.
        let is_done = {
            let replica = shared.replica.read();
            if shared.tree_generation() != *generation {
                return Ok(None);
            }
            replica.tree().read_capture(capture, &mut piece, PIECE_BYTES)
        };
        if is_done {
            writer.write(&piece)?;
            break;
        }
    }
    writer
        .finish(sections(shared, capture.zxid(), capture.digest()))
        .map(Some)
}

fn sections(shared: &Shared, zxid: Zxid, digest: u64) -> Sections {
    let storage = &shared.config.storage;
    Sections {
        digest: storage.digest.then_some(SnapshotDigest {
            zxid,
            version: TxnDigest::VERSION,
            digest,
        }),
        last_zxid: storage.serialize_last_processed_zxid.then_some(zxid),
    }
}

/// Writes a snapshot of a tree that nobody else uses yet.
///
/// # Errors
/// If the disk fails.
pub(crate) fn write_first(shared: &Shared) -> Result<(), StoreError> {
    let capture = shared.replica.write().tree_mut().begin_capture();
    let generation = shared.tree_generation();
    write_capture(shared, &Work::default(), &Taken { capture, generation })
}

fn purge(shared: &Shared) {
    let retain = shared.config.purge.snap_retain_count as usize;
    match shared.store.purge(retain) {
        Ok(purged) if purged.paths.is_empty() => {}
        Ok(purged) => {
            tracing::info!(
                files = purged.paths.len(),
                bytes = purged.bytes,
                retain,
                "purged old snapshots and logs"
            );
        }
        // Old files that stay do no harm; the next purge tries again.
        Err(error) => tracing::warn!(%error, "purging old snapshots and logs failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stalled_tests::{end_of, support};
    use crate::{Config, Server};

    #[test]
    fn a_server_that_ends_does_not_wait_for_a_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(Config::for_test(dir.path())).unwrap();
        let _session = support::Client::new(server.client_address(), 30_000);
        let shared = &server.shared;
        let files = || std::fs::read_dir(dir.path().join("version-2")).unwrap().count();
        let capture = shared.replica.write().tree_mut().begin_capture();
        let before = files();
        server.request_stop();
        let taken = Taken { capture, generation: 0 };
        write_capture(shared, &Work::default(), &taken).unwrap();
        assert_eq!(files(), before);
    }

    #[test]
    fn a_thread_that_panics_ends_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(Config::for_test(dir.path())).unwrap();
        let mut snapshots = Snapshots::start(&server.shared).unwrap();
        // A capture that the server's own tree knows nothing of.
        let mut other = Tree::new(*server.shared.replica.read().tree().settings());
        snapshots.begin(&mut other, 0, 0, 0);
        assert_eq!(end_of(server).unwrap_err().code, ExitCode::UnexpectedError);
        snapshots.stop();
    }
}
