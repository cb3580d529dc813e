//! The stream format of the Xerial snappy library, which Java's snapshots with the ending `.snappy` are in: a header,
//! then blocks, each an int length and a raw snappy block.

use std::io::{self, Read, Write};

/// Magic, version 1, oldest compatible version 1.
pub(super) const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Uncompressed bytes per block; the library's own default.
const BLOCK_BYTES: usize = 32 << 10;
/// Longest compressed and uncompressed block that is read. The library's block size can be set, to far less than this.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// Uncompresses a stream.
#[derive(Debug)]
pub(super) struct Decoder<R> {
    source: R,
    started: bool,
    compressed: Vec<u8>,
    block: Vec<u8>,
    /// Bytes of `block` that have been given out.
    read: usize,
}

impl<R: Read> Decoder<R> {
    pub(super) const fn new(source: R) -> Self {
        Self {
            source,
            started: false,
            compressed: Vec::new(),
            block: Vec::new(),
            read: 0,
        }
    }

    fn next_block(&mut self) -> io::Result<bool> {
        if !self.started {
            let mut header = [0; HEADER.len()];
            self.source.read_exact(&mut header)?;
            if header[..8] != HEADER[..8] {
                return Err(invalid("no snappy header"));
            }
            self.started = true;
        }
        let mut len = [0; 4];
        if !read_whole_or_nothing(&mut self.source, &mut len)? {
            return Ok(false);
        }
        let len = block_len(i32::from_be_bytes(len))?;
        self.compressed.clear();
        // By what is there, not by what the length claims.
        let present = (&mut self.source).take(len as u64).read_to_end(&mut self.compressed)?;
        if present < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let whole = snap::raw::decompress_len(&self.compressed)?;
        if whole > BLOCK_BYTES_MAX {
            return Err(invalid("a snappy block above the limit"));
        }
        self.block.resize(whole, 0);
        snap::raw::Decoder::new().decompress(&self.compressed, &mut self.block)?;
        self.read = 0;
        Ok(true)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.block.len() - self.read);
        buffer[..count].copy_from_slice(&self.block[self.read..][..count]);
        self.read += count;
        Ok(count)
    }
}

/// Compresses a stream. Nothing is complete before [`Encoder::finish`].
pub(super) struct Encoder<W> {
    target: W,
    pending: Vec<u8>,
    encoder: snap::raw::Encoder,
    compressed: Vec<u8>,
}

impl<W> std::fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl<W: Write> Encoder<W> {
    pub(super) fn new(mut target: W) -> io::Result<Self> {
        target.write_all(&HEADER)?;
        Ok(Self {
            target,
            pending: Vec::with_capacity(BLOCK_BYTES),
            encoder: snap::raw::Encoder::new(),
            compressed: vec![0; snap::raw::max_compress_len(BLOCK_BYTES)],
        })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.flush_block()?;
        Ok(self.target)
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let len = self.encoder.compress(&self.pending, &mut self.compressed)?;
        let prefix = i32::try_from(len).map_err(|_| invalid("a snappy block above the limit"))?;
        self.target.write_all(&prefix.to_be_bytes())?;
        self.target.write_all(&self.compressed[..len])?;
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK_BYTES - self.pending.len());
        self.pending.extend_from_slice(&bytes[..count]);
        if self.pending.len() == BLOCK_BYTES {
            self.flush_block()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

fn block_len(len: i32) -> io::Result<usize> {
    usize::try_from(len)
        .ok()
        .filter(|len| *len <= BLOCK_BYTES_MAX)
        .ok_or_else(|| invalid("impossible length of a snappy block"))
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Fills `buffer`, or returns false if the source ends before its first byte.
fn read_whole_or_nothing(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        Decoder::new(bytes).read_to_end(&mut whole)?;
        Ok(whole)
    }

    fn encode(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new()).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn streams_read_back_as_written(bytes in prop::collection::vec(any::<u8>(), 0..100_000)) {
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn a_shortened_stream_never_reads_as_a_whole_one(cut in 0..500_usize) {
            let whole = encode(&[7; 40_000]);
            let cut = cut.min(whole.len() - 1);
            if let Ok(bytes) = decode(&whole[..cut]) {
                // Between two blocks nothing tells; the seal of the snapshot does.
                prop_assert!(bytes.len() < 40_000);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes);
            let _ = decode(&[&HEADER[..], &bytes].concat());
        }
    }
}
