//! The sending side of a connection on the quorum port.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use zebu_proto::jute::Write as _;
use zebu_proto::quorum::SNAPSHOT_SIGNATURE;
use zebu_tree::snapshot::Capture;

use crate::shared::Shared;

/// What may wait to be sent to one server: a minute of many writes, while a large tree is on its way to it. A server that is
/// further behind is given up, and starts anew.
const UNSENT_BYTES_MAX: usize = 512 << 20;
/// What was read from one server and waits for the node. Nothing more is read from it until that is less.
const UNHANDLED_BYTES_MAX: usize = 16 << 20;
/// Bytes of nodes that are encoded while the applied state is held: a few hundred microseconds.
const PIECE_BYTES: usize = 128 << 10;
/// Memory above this is given back when it was sent.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A connection between leader and learner, as the node thread holds it. Its socket belongs to a task.
pub(crate) struct Link {
    pub(crate) peer: SocketAddr,
    queue: Mutex<Queue>,
    wake: Notify,
    unhandled: AtomicUsize,
    has_room: Notify,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
    is_over: bool,
}

enum Piece {
    Bytes(Vec<u8>),
    Tree(TreeSource),
}

/// A tree at one moment, to be sent.
pub(crate) struct TreeSource {
    /// The capture.
    pub(crate) capture: Capture,
    /// Which of the trees that this server had it belongs to.
    pub(crate) generation: u64,
}

/// Bytes that were read and not handled yet; dropped when they are.
pub(crate) struct Unhandled {
    link: Arc<Link>,
    bytes: usize,
}

impl Drop for Unhandled {
    fn drop(&mut self) {
        let before = self.link.unhandled.fetch_sub(self.bytes, Ordering::AcqRel);
        if before >= UNHANDLED_BYTES_MAX {
            self.link.has_room.notify_one();
        }
    }
}

impl Link {
    pub(crate) fn new(peer: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            peer,
            queue: Mutex::default(),
            wake: Notify::new(),
            unhandled: AtomicUsize::new(0),
            has_room: Notify::new(),
        })
    }

    /// Appends packets. `false` if too much waits: the other server does not take it.
    pub(crate) fn send(&self, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut queue = self.queue.lock();
        if queue.is_over {
            return true;
        }
        if !matches!(queue.pieces.back(), Some(Piece::Bytes(_))) {
            queue.pieces.push_back(Piece::Bytes(Vec::new()));
        }
        let Some(Piece::Bytes(bytes)) = queue.pieces.back_mut() else {
            return true;
        };
        let before = bytes.len();
        encode(bytes);
        let more = bytes.len() - before;
        queue.bytes += more;
        let has_room = queue.bytes <= UNSENT_BYTES_MAX;
        drop(queue);
        self.wake.notify_one();
        has_room
    }

    /// Appends a tree, and the signature behind it.
    pub(crate) fn send_tree(&self, source: TreeSource) {
        self.queue.lock().pieces.push_back(Piece::Tree(source));
        self.wake.notify_one();
    }

    /// Ends the connection once what waits is sent.
    pub(crate) fn close(&self) {
        self.queue.lock().is_over = true;
        self.wake.notify_one();
    }

    /// Notes that bytes were read which the node has to handle.
    pub(crate) fn received(self: &Arc<Self>, bytes: usize) -> Unhandled {
        self.unhandled.fetch_add(bytes, Ordering::AcqRel);
        Unhandled {
            link: self.clone(),
            bytes,
        }
    }

    /// Waits until the node has handled most of what was read.
    pub(crate) async fn room(&self) {
        while self.unhandled.load(Ordering::Acquire) >= UNHANDLED_BYTES_MAX {
            self.has_room.notified().await;
        }
    }

    /// Sends what is appended until the connection is closed or breaks.
    ///
    /// # Errors
    /// If it breaks, or a tree that was being sent is gone.
    pub(crate) async fn run(&self, mut socket: impl AsyncWrite + Unpin, shared: &Shared) -> std::io::Result<()> {
        let mut spare = Vec::new();
        loop {
            let next = {
                let mut queue = self.queue.lock();
                match queue.pieces.pop_front() {
                    Some(Piece::Bytes(bytes)) => {
                        queue.bytes -= bytes.len();
                        // Memory that was used before is used again.
                        if queue.pieces.is_empty() {
                            queue.pieces.push_back(Piece::Bytes(std::mem::take(&mut spare)));
                        }
                        Some(Piece::Bytes(bytes))
                    }
                    Some(tree) => Some(tree),
                    None => None,
                }
            };
            match next {
                Some(Piece::Bytes(mut bytes)) if !bytes.is_empty() => {
                    socket.write_all(&bytes).await?;
                    bytes.clear();
                    if bytes.capacity() <= KEPT_BYTES_MAX {
                        spare = bytes;
                    }
                }
                Some(Piece::Tree(source)) => {
                    let sent = send_tree(&source, &mut socket, shared).await;
                    end_capture(shared, &source);
                    sent?;
                }
                Some(Piece::Bytes(_)) | None => {
                    if self.queue.lock().is_over {
                        return socket.shutdown().await;
                    }
                    self.wake.notified().await;
                }
            }
        }
    }

    /// Lets go of what will not be sent any more: the connection is gone.
    pub(crate) fn give_up(&self, shared: &Shared) {
        let pieces = {
            let mut queue = self.queue.lock();
            queue.is_over = true;
            queue.bytes = 0;
            std::mem::take(&mut queue.pieces)
        };
        for piece in pieces {
            if let Piece::Tree(source) = piece {
                end_capture(shared, &source);
            }
        }
    }
}

async fn send_tree(
    source: &TreeSource,
    socket: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
) -> std::io::Result<()> {
    let mut piece = Vec::with_capacity(PIECE_BYTES * 2);
    source.capture.encode_head(&mut piece);
    loop {
        let is_done = {
            let replica = shared.replica.read();
            // The lock is held for one piece at a time, and the tree may be another one by now.
            if shared.tree_generation() != source.generation {
                return Err(std::io::Error::other("this server has another tree by now"));
            }
            replica.tree().read_capture(&source.capture, &mut piece, PIECE_BYTES)
        };
        if is_done {
            piece.string(SNAPSHOT_SIGNATURE);
        }
        socket.write_all(&piece).await?;
        piece.clear();
        if is_done {
            return Ok(());
        }
    }
}

fn end_capture(shared: &Shared, source: &TreeSource) {
    let leftovers = {
        let mut replica = shared.replica.write();
        (shared.tree_generation() == source.generation).then(|| replica.tree_mut().end_capture(&source.capture))
    };
    // With the lock given back: a million nodes that were put aside take a while to free.
    drop(leftovers);
}
