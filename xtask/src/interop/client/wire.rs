//! Integers, buffers and strings of the wire: big endian, no padding, no tags.

use std::io;

use super::bad;

/// A frame under construction; its length field comes first and is filled in at the end.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { bytes: vec![0; 4] }
    }
}

impl Writer {
    pub(super) fn int(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn long(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(super) fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.int(-1),
            Some(value) => {
                self.int(length(value.len()));
                self.bytes.extend_from_slice(value);
            }
        }
    }

    pub(super) fn string(&mut self, value: &str) {
        self.buffer(Some(value.as_bytes()));
    }

    pub(super) fn count(&mut self, count: usize) {
        self.int(length(count));
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let payload = length(self.bytes.len() - 4);
        self.bytes[..4].copy_from_slice(&payload.to_be_bytes());
        self.bytes
    }
}

/// Suites make no value that an int cannot count.
fn length(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// What is left of a frame that came.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        if count > self.bytes.len() {
            return Err(bad("a record that ends early"));
        }
        let (taken, rest) = self.bytes.split_at(count);
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn int(&mut self) -> io::Result<i32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(i32::from_be_bytes(bytes))
    }

    pub(super) fn long(&mut self) -> io::Result<i64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(i64::from_be_bytes(bytes))
    }

    pub(super) fn boolean(&mut self) -> io::Result<bool> {
        Ok(self.take(1)?[0] != 0)
    }

    pub(super) fn buffer(&mut self) -> io::Result<Option<&'a [u8]>> {
        match self.int()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| bad("a negative length"))?;
                self.take(length).map(Some)
            }
        }
    }

    pub(super) fn string(&mut self) -> io::Result<String> {
        let bytes = self.buffer()?.ok_or_else(|| bad("a null string"))?;
        String::from_utf8(bytes.to_vec()).map_err(|_| bad("a string that is not UTF-8"))
    }

    /// The number of elements of a vector.
    pub(super) fn count(&mut self) -> io::Result<usize> {
        Ok(usize::try_from(self.int()?).unwrap_or(0))
    }
}
