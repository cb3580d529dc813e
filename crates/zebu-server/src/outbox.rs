//! Bytes on their way to a client, and their way into the socket.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::net::tcp::OwnedWriteHalf;
use zebu_node::{Chunk, Rope};

use crate::limits::Limits;
use crate::stats::ConnStats;

/// Replies and events in their order.
///
/// Whoever answers a request appends while it holds the applied state, so that the order of the bytes is the order of
/// the states that they show. Writing to the socket needs no more than the socket, and anybody may do it.
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    writer: Mutex<Writer>,
    /// What is left of the piece that is being written.
    writing: AtomicUsize,
    /// Whether that is a value that is shared with the tree.
    writes_shared: AtomicBool,
    /// Bytes that the socket has taken.
    written: AtomicU64,
}

/// What waits to be written.
pub(crate) struct Queue {
    pub(crate) rope: Rope,
    pub(crate) stats: ConnStats,
    /// Whether the node has noted that it must write this connection.
    pub(crate) is_noted: bool,
    /// Whether nothing will be written any more, so that nothing need be kept.
    pub(crate) is_over: bool,
    /// Bytes that the limits have counted.
    counted: usize,
}

/// A piece that is being written.
#[derive(Default)]
struct Writer {
    current: Option<Chunk>,
    offset: usize,
}

/// What became of an attempt to write everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// All is written, or somebody else is writing it.
    Done,
    /// The socket takes no more for now.
    Blocked,
}

/// Buffers above this size are not kept for the next connection.
const POOLED_BYTES_MAX: usize = 1 << 20;
/// So many buffers are kept by each thread.
const POOLED_MAX: usize = 16;

thread_local! {
    /// Buffers of connections that have nothing to send: an idle connection holds none.
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Outbox {
    pub(crate) fn new() -> Self {
        let queue = Queue {
            rope: Rope::default(),
            stats: ConnStats::new(),
            is_noted: false,
            is_over: false,
            counted: 0,
        };
        Self {
            queue: Mutex::new(queue),
            writer: Mutex::default(),
            writing: AtomicUsize::new(0),
            writes_shared: AtomicBool::new(false),
            written: AtomicU64::new(0),
        }
    }

    /// The queue, to append to it or to look at it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue.lock();
        if queue.rope.is_empty()
            && let Some(buffer) = POOL.with_borrow_mut(Vec::pop)
        {
            queue.rope.recycle(buffer);
        }
        queue
    }

    /// The queue, to look at its counters.
    pub(crate) fn peek(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.len_with(&self.queue.lock())
    }

    /// Bytes that wait, for who holds the queue.
    pub(crate) fn len_with(&self, queue: &Queue) -> usize {
        queue.rope.len() + self.writing.load(Ordering::Relaxed)
    }

    /// Bytes that wait and are not shared with the tree, for who holds the queue.
    pub(crate) fn copied_with(&self, queue: &Queue) -> usize {
        let writing = match self.writes_shared.load(Ordering::Relaxed) {
            true => 0,
            false => self.writing.load(Ordering::Relaxed),
        };
        queue.rope.copied() + writing
    }

    /// Tells the limits what waits.
    pub(crate) fn count(&self, queue: &mut Queue, limits: &Limits) {
        let len = if queue.is_over { 0 } else { self.len_with(queue) };
        queue.counted = limits.unsent(queue.counted, len);
    }

    /// Forgets what waits: nothing more is written or kept.
    pub(crate) fn give_up(&self, limits: &Limits) {
        let mut queue = self.queue.lock();
        queue.is_over = true;
        queue.rope = Rope::default();
        self.count(&mut queue, limits);
        drop(queue);
        // Whoever is writing at this moment finds out by himself that there is nothing to follow.
        if let Some(mut writer) = self.writer.try_lock() {
            *writer = Writer::default();
            self.writing.store(0, Ordering::Relaxed);
        }
    }

    /// Bytes that the socket has taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes as much as the socket takes.
    ///
    /// # Errors
    /// If the connection is broken.
    pub(crate) fn flush(&self, socket: &OwnedWriteHalf) -> io::Result<Flushed> {
        loop {
            // If somebody else is writing, he looks at the queue once more after he is done.
            let Some(mut writer) = self.writer.try_lock() else {
                return Ok(Flushed::Done);
            };
            if self.write_all(&mut writer, socket)? == Flushed::Blocked {
                return Ok(Flushed::Blocked);
            }
            drop(writer);
            if self.queue.lock().rope.is_empty() {
                return Ok(Flushed::Done);
            }
        }
    }

    fn write_all(&self, writer: &mut Writer, socket: &OwnedWriteHalf) -> io::Result<Flushed> {
        loop {
            if writer.current.is_none() {
                let mut queue = self.queue.lock();
                writer.current = queue.rope.take_chunk();
                writer.offset = 0;
                let len = writer.current.as_ref().map_or(0, |chunk| chunk.as_ref().len());
                self.writing.store(len, Ordering::Relaxed);
                let is_shared = matches!(writer.current, Some(Chunk::Shared(_)));
                self.writes_shared.store(is_shared, Ordering::Relaxed);
            }
            let Writer { current, offset } = writer;
            let Some(chunk) = current else {
                return Ok(Flushed::Done);
            };
            match socket.try_write_vectored(&[IoSlice::new(&chunk.as_ref()[*offset..])]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    *offset += written;
                    self.writing.fetch_sub(written, Ordering::Relaxed);
                    self.written.fetch_add(written as u64, Ordering::Relaxed);
                    if *offset == chunk.as_ref().len() {
                        recycle(current.take());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // It may be long until the client takes the rest, and only that is counted.
                    *offset = chunk.shrink(*offset);
                    self.queue.lock().rope.shrink();
                    return Ok(Flushed::Blocked);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether nothing is left to be written.
    pub(crate) fn is_drained(&self) -> bool {
        self.writer.lock().current.is_none() && self.queue.lock().rope.is_empty()
    }
}

fn recycle(chunk: Option<Chunk>) {
    if let Some(Chunk::Owned(mut buffer)) = chunk
        && buffer.capacity() <= POOLED_BYTES_MAX
    {
        buffer.clear();
        POOL.with_borrow_mut(|pool| {
            if pool.len() < POOLED_MAX {
                pool.push(buffer);
            }
        });
    }
}
