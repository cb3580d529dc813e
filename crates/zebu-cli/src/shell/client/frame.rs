//! Cutting a stream of bytes into frames.

use std::io::{self, Read};

use super::error::Loss;

/// Bytes asked of the socket at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Collects what a socket delivers until frames are complete. It holds at most one frame of the limit and one chunk,
/// and takes memory for bytes that have come, never for a length that was announced.
pub(crate) struct FrameReader {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that have been handed out.
    start: usize,
    limit: usize,
}

impl FrameReader {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            limit,
        }
    }

    /// Reads once from `source`; 0 is its end.
    ///
    /// # Errors
    /// Those of the source.
    pub(crate) fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK_BYTES, 0);
        let result = source.read(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + result.as_ref().copied().unwrap_or(0));
        result
    }

    /// The payload of the next complete frame. `None` until more has been read.
    ///
    /// # Errors
    /// If the announced length is negative or above the limit.
    pub(crate) fn next_frame(&mut self) -> Result<Option<&[u8]>, Loss> {
        let rest = &self.buffer[self.start..];
        let Some((length, rest)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        let Some(bytes) = usize::try_from(length).ok().filter(|bytes| *bytes <= self.limit) else {
            return Err(Loss::FrameLength {
                length,
                limit: self.limit,
            });
        };
        match rest.get(..bytes) {
            None => Ok(None),
            Some(frame) => {
                self.start += 4 + bytes;
                Ok(Some(frame))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers its bytes in pieces of one size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let stream = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01d";
        for piece in 1..stream.len() + 1 {
            let mut reader = FrameReader::new(3);
            let mut source = Pieces(stream, piece);
            let mut frames = Vec::new();
            while reader.fill(&mut source).unwrap() > 0 {
                while let Some(frame) = reader.next_frame().unwrap() {
                    frames.push(frame.to_vec());
                }
            }
            assert_eq!(
                frames,
                [b"abc".to_vec(), Vec::new(), b"d".to_vec()],
                "pieces of {piece}"
            );
        }
    }

    #[test]
    fn a_length_above_the_limit_or_below_zero_is_refused_before_its_bytes_come() {
        for length in [4_i32, i32::MAX, -1, i32::MIN] {
            let mut reader = FrameReader::new(3);
            reader.fill(&mut &length.to_be_bytes()[..]).unwrap();
            let loss = reader.next_frame().unwrap_err();
            assert!(
                matches!(loss, Loss::FrameLength { length: seen, limit: 3 } if seen == length),
                "{loss:?}"
            );
        }
    }
}
