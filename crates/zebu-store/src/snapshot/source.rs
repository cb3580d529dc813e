//! The uncompressed bytes of a snapshot file.

use std::io::{self, BufReader, Read};

use flate2::read::GzDecoder;

use super::xerial;
use crate::{Compression, DiskFile};

/// Bytes asked of the disk at once.
const READ_BYTES: usize = 256 << 10;

/// Reads an open file front to back.
#[derive(Debug)]
struct FileBytes {
    file: Box<dyn DiskFile>,
    offset: u64,
}

impl Read for FileBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// The uncompressed bytes of `file`.
pub(super) fn open(file: Box<dyn DiskFile>, compression: Compression) -> Box<dyn Read> {
    let bytes = FileBytes { file, offset: 0 };
    match compression {
        Compression::None => Box::new(bytes),
        Compression::Gz => Box::new(GzDecoder::new(BufReader::with_capacity(READ_BYTES, bytes))),
        Compression::Snappy => Box::new(xerial::Decoder::new(BufReader::with_capacity(READ_BYTES, bytes))),
    }
}
