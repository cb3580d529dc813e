//! Makes transactions durable while the node does other things.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use zebu_node::LogBatch;
use zebu_store::{LogWriter, StoreError};

use crate::exit::{ExitCode, Fatal};
use crate::server;
use crate::shared::{NodeEvent, Shared};

/// The writer; none while the files behind it are taken back or replaced.
type Writer = Arc<Mutex<Option<LogWriter>>>;

/// The log, which either the node or the log thread writes, never both at once.
pub(crate) struct Log {
    writer: Writer,
    batches: Option<Sender<LogBatch>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Log {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(crate) fn start(shared: &Arc<Shared>, writer: LogWriter) -> std::io::Result<Self> {
        let writer = Arc::new(Mutex::new(Some(writer)));
        let (batches, received) = channel();
        let thread = {
            let (shared, writer) = (shared.clone(), writer.clone());
            server::guarded(&shared.clone(), "zebu-log", move || run(&shared, &writer, &received))?
        };
        Ok(Self {
            writer,
            batches: Some(batches),
            thread: Some(thread),
            shared: shared.clone(),
        })
    }

    /// Makes a batch durable on the calling thread. `false` if that failed and the server ends.
    pub(crate) fn flush_here(&self, batch: &LogBatch) -> bool {
        flush(&self.shared, &self.writer, batch)
    }

    /// Leaves a batch to the log thread, which answers with [`NodeEvent::Flushed`].
    pub(crate) fn hand_over(&self, batch: LogBatch) {
        if let Some(batches) = &self.batches {
            // The thread is gone only after it has failed, and then nothing is acknowledged any more.
            let _ = batches.send(batch);
        }
    }

    /// Starts a new file with the next transaction. Nothing may be under way.
    pub(crate) fn roll(&self) -> bool {
        match self.writer.lock().as_mut().map_or(Ok(()), LogWriter::roll) {
            Ok(()) => true,
            Err(error) => {
                fail(&self.shared, &error);
                false
            }
        }
    }

    /// Lets go of the files. Nothing may be under way, and nothing is written until [`Log::renew`].
    pub(crate) fn release(&self) {
        self.writer.lock().take();
    }

    /// Goes on with another log.
    pub(crate) fn renew(&self, writer: LogWriter) {
        *self.writer.lock() = Some(writer);
    }

    /// Bytes of all transactions that were made durable. Never waits for the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.log_bytes.load(Ordering::Relaxed)
    }

    /// Waits for the thread.
    pub(crate) fn stop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it has ended the server already.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, writer: &Mutex<Option<LogWriter>>, batches: &Receiver<LogBatch>) {
    while let Ok(batch) = batches.recv() {
        if !flush(shared, writer, &batch) {
            return;
        }
        if let Some(zxid) = batch.last_zxid() {
            shared.queue.push(NodeEvent::Flushed(zxid, batch));
        }
    }
}

fn flush(shared: &Shared, writer: &Mutex<Option<LogWriter>>, batch: &LogBatch) -> bool {
    let mut writer = writer.lock();
    let writer = writer.as_mut().expect("nothing is logged while the files are replaced");
    let started = Instant::now();
    let written = batch
        .records()
        .try_for_each(|(zxid, bytes)| writer.append(zxid, bytes))
        .and_then(|()| writer.flush());
    let elapsed = started.elapsed();
    match written {
        Ok(()) => {
            shared.log_bytes.fetch_add(batch.byte_len() as u64, Ordering::Relaxed);
            let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            shared.stats.fsync_ms.add(elapsed_ms, 1);
            shared.stats.flushed_txns.add(batch.len() as u64, 1);
            let threshold = u128::from(shared.config.storage.fsync_warning_threshold_ms);
            if elapsed.as_millis() > threshold {
                tracing::warn!(
                    elapsed_ms,
                    txns = batch.len(),
                    "writing the transaction log took long; writes wait for the disk"
                );
            }
            true
        }
        Err(error) => {
            fail(shared, &error);
            false
        }
    }
}

fn fail(shared: &Shared, error: &StoreError) {
    let message = format!("the transaction log cannot be written, and nothing more is acknowledged: {error}");
    shared.fail(Fatal {
        code: ExitCode::TxnLog,
        message,
    });
}

#[cfg(test)]
mod tests {
    use zebu_node::{Node, Now};
    use zebu_proto::{Millis, WallMillis, Zxid};

    use super::*;
    use crate::conn::ConnHandle;
    use crate::stalled_tests::{end_of, support};
    use crate::{Config, Server};

    /// A transaction of the server's next zxid: the end of a session.
    fn batch(shared: &Shared) -> LogBatch {
        let replica = shared.replica.read();
        let now = |mono| Now {
            mono: Millis(mono),
            wall: WallMillis(0),
        };
        let mut node = Node::<ConnHandle>::new(server::node_config(&shared.config), &replica, now(0));
        assert_eq!(node.tick(&replica, now(u64::MAX / 2)).len(), 1);
        node.take_log(LogBatch::default())
    }

    #[test]
    fn a_thread_that_panics_ends_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(Config::for_test(dir.path())).unwrap();
        let client = support::Client::new(server.client_address(), 30_000);
        // This log is elsewhere already.
        let writer = server.shared.store.log_writer(Zxid(1000));
        let mut log = Log::start(&server.shared, writer).unwrap();
        log.hand_over(batch(&server.shared));
        assert_eq!(end_of(server).unwrap_err().code, ExitCode::UnexpectedError);
        log.stop();
        drop(client);
    }
}
