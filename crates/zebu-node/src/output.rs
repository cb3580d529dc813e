//! Outgoing bytes of a connection.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use zebu_proto::Value;
use zebu_proto::client::ReplyHeader;
use zebu_proto::jute::{Write, begin_frame, end_frame};

/// Values from this size on are shared with the tree in place of being copied.
const SHARED_BYTES_MIN: usize = 8 * 1024;

/// Bytes on their way to a socket: copied where they are few, shared with the tree where they are many.
#[derive(Default)]
pub struct Rope {
    chunks: VecDeque<Chunk>,
    tail: Vec<u8>,
    /// Bytes in `chunks`.
    chunk_bytes: usize,
    /// Bytes of those that are shared.
    shared_bytes: usize,
    /// Chunks taken from the front so far: makes positions of chunks absolute.
    taken: usize,
}

/// A place in a [`Rope`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// Chunks before it, those that are gone included.
    chunks: usize,
    /// Bytes behind them.
    tail: usize,
}

/// A piece of a [`Rope`].
pub enum Chunk {
    /// Bytes that were copied.
    Owned(Vec<u8>),
    /// The data of a node.
    Shared(Value),
}

impl Chunk {
    /// The same for a piece of which the first `offset` bytes are not needed any more. Returns how many of these are
    /// still there.
    #[must_use]
    pub fn shrink(&mut self, offset: usize) -> usize {
        match self {
            Self::Owned(bytes) if is_mostly_room(bytes, offset) => {
                *bytes = bytes[offset..].to_vec();
                0
            }
            Self::Owned(_) | Self::Shared(_) => offset,
        }
    }
}

/// Whether a buffer has room for several times the bytes that it holds behind `offset`. Buffers grow by doubling, and those
/// that are used again may be far larger.
fn is_mostly_room(buffer: &Vec<u8>, offset: usize) -> bool {
    (buffer.len() - offset) < buffer.capacity() / 4
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(value) => value.as_bytes(),
        }
    }
}

impl Rope {
    /// Bytes held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunk_bytes + self.tail.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a frame with a reply header and what `body` writes.
    pub fn reply(&mut self, header: ReplyHeader, body: impl FnOnce(&mut Self)) {
        self.frame(|rope| {
            header.encode(rope);
            body(rope);
        });
    }

    /// Appends a frame that holds what `payload` writes.
    pub fn frame(&mut self, payload: impl FnOnce(&mut Self)) {
        let len_before = self.len();
        let chunk = self.taken + self.chunks.len();
        let start = begin_frame(&mut self.tail);
        payload(self);
        if chunk == self.taken + self.chunks.len() {
            end_frame(&mut self.tail, start);
            return;
        }
        // A shared value has cut the tail: the length stands in the chunk that the tail became.
        let len = i32::try_from(self.len() - len_before - 4).unwrap_or(i32::MAX);
        if let Some(Chunk::Owned(bytes)) = self.chunks.get_mut(chunk - self.taken) {
            bytes[start..start + 4].copy_from_slice(&len.to_be_bytes());
        }
    }

    fn cut(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        self.chunk_bytes += self.tail.len();
        let bytes = if is_mostly_room(&self.tail, 0) {
            // What is in front of a large value is little, and the buffer may be large: it may wait for long.
            let bytes = self.tail.to_vec();
            self.tail.clear();
            bytes
        } else {
            core::mem::take(&mut self.tail)
        };
        self.chunks.push_back(Chunk::Owned(bytes));
    }

    /// Gives memory back that holds nothing: for bytes that have to wait.
    pub fn shrink(&mut self) {
        if is_mostly_room(&self.tail, 0) {
            self.tail.shrink_to_fit();
        }
    }

    /// Takes the next piece to be sent.
    pub fn take_chunk(&mut self) -> Option<Chunk> {
        let Some(chunk) = self.chunks.pop_front() else {
            // Most often there is nothing but this, and no list is needed.
            if self.tail.is_empty() {
                return None;
            }
            self.taken += 1;
            return Some(Chunk::Owned(core::mem::take(&mut self.tail)));
        };
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
        }
        self.chunk_bytes -= chunk.as_ref().len();
        if let Chunk::Shared(value) = &chunk {
            self.shared_bytes -= value.len();
        }
        self.taken += 1;
        Some(chunk)
    }

    /// Bytes held that are copies, not shared with the tree.
    #[must_use]
    pub fn copied(&self) -> usize {
        self.len() - self.shared_bytes
    }

    /// What has been appended so far, for [`Rope::rollback`].
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            chunks: self.taken + self.chunks.len(),
            tail: self.tail.len(),
        }
    }

    /// Takes back what was appended since `mark`. Nothing may have been taken from the front in between.
    pub fn rollback(&mut self, mark: &Mark) {
        while self.taken + self.chunks.len() > mark.chunks {
            let Some(chunk) = self.chunks.pop_back() else { return };
            self.chunk_bytes -= chunk.as_ref().len();
            // The oldest of them has the bytes that were there before at its front.
            self.tail = match chunk {
                Chunk::Owned(bytes) => bytes,
                Chunk::Shared(value) => {
                    self.shared_bytes -= value.len();
                    Vec::new()
                }
            };
        }
        self.tail.truncate(mark.tail);
        // What was taken back is not to hold memory.
        self.tail.shrink_to_fit();
    }

    /// Gives a buffer for the bytes to come, to save an allocation.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.tail.capacity() == 0 {
            buffer.clear();
            self.tail = buffer;
        }
    }
}

impl Write for Rope {
    fn put(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    fn put_shared(&mut self, value: &Value) {
        if value.len() < SHARED_BYTES_MIN {
            self.put(value.as_bytes());
            return;
        }
        self.cut();
        self.chunk_bytes += value.len();
        self.shared_bytes += value.len();
        self.chunks.push_back(Chunk::Shared(value.clone()));
    }
}

#[cfg(test)]
mod tests {
    use zebu_proto::{Xid, Zxid};

    use super::*;

    fn drain(rope: &mut Rope) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(chunk) = rope.take_chunk() {
            bytes.extend_from_slice(chunk.as_ref());
        }
        bytes
    }

    #[test]
    fn what_was_appended_since_a_mark_can_be_taken_back() {
        for before in [0, 5] {
            for values in [0, 1, 2] {
                let mut rope = Rope::default();
                let large = Value::from(&alloc::vec![7; SHARED_BYTES_MIN][..]);
                rope.put_shared(&large);
                rope.put(&alloc::vec![1; before]);
                let mark = rope.mark();
                for _ in 0..values {
                    rope.put(&[2; 3]);
                    rope.put_shared(&large);
                }
                rope.put(&[3; 4]);
                rope.rollback(&mark);
                assert_eq!(rope.len(), SHARED_BYTES_MIN + before);
                assert_eq!(rope.copied(), before);
                rope.put(&[4]);
                let bytes = drain(&mut rope);
                assert_eq!(bytes[SHARED_BYTES_MIN..], [&alloc::vec![1; before][..], &[4]].concat());
            }
        }
    }

    #[test]
    fn bytes_that_wait_do_not_hold_a_large_buffer() {
        let large = Value::from(&alloc::vec![7; SHARED_BYTES_MIN][..]);
        let mut rope = Rope::default();
        rope.recycle(Vec::with_capacity(1 << 20));
        rope.reply(ReplyHeader::ok(Xid(1), Zxid(2)), |body| body.value(&large));
        rope.put(&[1; 100]);
        rope.shrink();
        let held: usize = rope.tail.capacity()
            + rope
                .chunks
                .iter()
                .map(|chunk| match chunk {
                    Chunk::Owned(bytes) => bytes.capacity(),
                    Chunk::Shared(_) => 0,
                })
                .sum::<usize>();
        assert!(held < 1000, "{held}");
        let mut chunk = Chunk::Owned(alloc::vec![3; 1 << 20]);
        assert_eq!(chunk.shrink(1 << 19), 1 << 19, "worth nothing");
        assert_eq!(chunk.shrink((1 << 20) - 2), 0);
        assert_eq!(chunk.as_ref(), [3; 2]);
        assert_eq!(drain(&mut rope).len(), 4 + 16 + 4 + SHARED_BYTES_MIN + 100);
    }

    #[test]
    fn frames_have_their_length_whether_values_are_copied_or_shared() {
        let mut rope = Rope::default();
        for len in [0, 10, SHARED_BYTES_MIN, 3, SHARED_BYTES_MIN * 3] {
            let value = Value::from(&alloc::vec![7; len][..]);
            rope.reply(ReplyHeader::ok(Xid(1), Zxid(2)), |body| {
                body.value(&value);
                body.value(&value);
                body.int(9);
            });
            let expected = 16 + 2 * (4 + len) + 4;
            assert_eq!(rope.len(), expected + 4);
            let bytes = drain(&mut rope);
            assert_eq!(bytes.len(), expected + 4);
            assert_eq!(bytes[..4], u32::try_from(expected).unwrap().to_be_bytes());
            assert!(rope.is_empty());
        }
    }
}
