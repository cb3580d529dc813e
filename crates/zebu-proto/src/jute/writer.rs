//! Writing jute records.

use alloc::vec::Vec;

use crate::{Value, ValueRef};

/// Where records are written: a byte vector, or a buffer that can share a znode's bytes in place of copying them.
pub trait Write {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Appends the bytes of a value, null as none. A sink that can hold on to the value may do so.
    fn put_shared(&mut self, value: &Value) {
        self.put(value.as_bytes());
    }

    /// Writes one byte.
    fn byte(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    /// Writes a boolean as 0 or 1.
    fn bool(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    /// Writes an int.
    fn int(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }

    /// Writes a long.
    fn long(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }

    /// Writes a length or a count.
    ///
    /// # Panics
    /// Above `i32::MAX`: no record of ours can be that large, every input is bounded far below.
    fn length(&mut self, len: usize) {
        self.int(i32::try_from(len).expect("a length within the bounds of every input"));
    }

    /// Writes a buffer; `None` is null.
    fn buffer(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.int(-1),
            Some(bytes) => {
                self.length(bytes.len());
                self.put(bytes);
            }
        }
    }

    /// Writes a string.
    fn string(&mut self, text: &str) {
        self.buffer(Some(text.as_bytes()));
    }

    /// Writes a string; `None` is null.
    fn optional_string(&mut self, text: Option<&str>) {
        self.buffer(text.map(str::as_bytes));
    }

    /// Writes a znode's data as a buffer.
    fn value<'a>(&mut self, value: impl Into<ValueRef<'a>>) {
        match value.into() {
            ValueRef::Shared(value) if value.as_option().is_some() => {
                self.length(value.len());
                self.put_shared(value);
            }
            other => self.buffer(other.as_option()),
        }
    }
}

impl Write for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Starts a frame in `buffer`: room for the length. Give the result to [`end_frame`].
#[must_use]
pub fn begin_frame(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.int(0);
    start
}

/// Ends the frame that [`begin_frame`] started: fills in its length.
///
/// # Panics
/// If `start` is not from [`begin_frame`] on the same buffer, or the frame is above `i32::MAX` bytes.
pub fn end_frame(buffer: &mut [u8], start: usize) {
    let len = buffer.len() - start - 4;
    let len = i32::try_from(len).expect("a frame within the bounds of every reply");
    buffer[start..start + 4].copy_from_slice(&len.to_be_bytes());
}
