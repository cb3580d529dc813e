//! Writing a snapshot.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use flate2::write::GzEncoder;
use simd_adler32::Adler32;
use zebu_proto::Zxid;
use zebu_proto::jute::Write as _;
use zebu_proto::snapshot::HEADER;

use super::{SEAL_END, Sections, xerial};
use crate::store::Shared;
use crate::{Compression, DiskFile, SnapshotFile, StoreError, layout};

/// Compressed or plain bytes are handed to the system in pieces of this size.
const WRITE_BYTES: usize = 256 << 10;

/// A snapshot being written, under a temporary name until it is complete and durable.
///
/// The header is written by the store. The caller writes, in this order: sessions, ACL table, nodes and the end mark
/// (see [`zebu_proto::snapshot`]), then calls [`SnapshotWriter::finish`]. Dropped before that, it removes its file.
pub struct SnapshotWriter {
    store: Arc<Shared>,
    zxid: Zxid,
    target: Target,
    checksum: Adler32,
    temporary: PathBuf,
    /// Whether the temporary file is still there to be removed.
    unfinished: bool,
}

impl fmt::Debug for SnapshotWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.temporary;
        f.debug_struct("SnapshotWriter")
            .field("file", file)
            .finish_non_exhaustive()
    }
}

impl SnapshotWriter {
    pub(crate) fn create(store: Arc<Shared>, zxid: Zxid) -> Result<Self, StoreError> {
        let compression = store.options.compression;
        let name = layout::snapshot_name(zxid, compression) + layout::TEMPORARY_SUFFIX;
        let temporary = store.snapshot_dir.join(name);
        let create = |error| StoreError::io("create", &temporary, error);
        let file = store.disk.create(&temporary).map_err(create)?;
        let file = FileSink {
            file,
            offset: 0,
            buffer: Vec::with_capacity(WRITE_BYTES),
        };
        let target = match compression {
            Compression::None => Ok(Target::Plain(file)),
            Compression::Gz => Ok(Target::Gz(Box::new(GzEncoder::new(
                file,
                flate2::Compression::default(),
            )))),
            Compression::Snappy => xerial::Encoder::new(file).map(|encoder| Target::Snappy(Box::new(encoder))),
        };
        let target = target.map_err(|error| StoreError::io("write", &temporary, error))?;
        let mut writer = Self {
            store,
            zxid,
            target,
            checksum: Adler32::new(),
            temporary,
            unfinished: true,
        };
        writer.write(&HEADER)?;
        Ok(writer)
    }

    /// Writes the next bytes, uncompressed, in pieces of any size.
    ///
    /// # Errors
    /// If the disk fails. The snapshot is lost then; older ones and the log are not touched.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.checksum.write(bytes);
        self.target
            .write_all(bytes)
            .map_err(|error| StoreError::io("write", &self.temporary, error))
    }

    /// Seals the snapshot and gives it its name once all of it is durable. The last zxid is left out if
    /// [`crate::StoreOptions::write_last_zxid_section`] is off.
    ///
    /// # Errors
    /// If the disk fails. The snapshot is lost then; older ones and the log are not touched.
    pub fn finish(mut self, sections: Sections) -> Result<SnapshotFile, StoreError> {
        self.complete(sections)?;
        let name = layout::snapshot_name(self.zxid, self.store.options.compression);
        let (path, len) = self.publish(&name)?;
        self.store.trust(&path);
        Ok(SnapshotFile {
            zxid: self.zxid,
            compression: self.store.options.compression,
            path,
            len,
        })
    }

    /// As [`SnapshotWriter::finish`], and everything else in both directories goes: other snapshots and all of the log.
    /// For a server that has received its state from a leader. What it had before is another history, and must never be
    /// continued by what comes now (ZOOKEEPER-2846). A crash leaves either all of the old or, once the store is opened
    /// again, nothing but the new.
    ///
    /// There must be no [`crate::LogWriter`].
    ///
    /// # Errors
    /// If the disk fails.
    pub fn install(mut self, sections: Sections) -> Result<(), StoreError> {
        self.complete(sections)?;
        let name = layout::snapshot_name(self.zxid, self.store.options.compression) + layout::INSTALL_SUFFIX;
        self.publish(&name)?;
        self.store.complete_installation()
    }

    fn complete(&mut self, sections: Sections) -> Result<(), StoreError> {
        self.seal()?;
        if let Some(digest) = sections.digest {
            let mut bytes = Vec::new();
            bytes.long(digest.zxid.0);
            bytes.int(digest.version);
            bytes.long(digest.digest.cast_signed());
            self.write(&bytes)?;
            self.seal()?;
        }
        let wanted = self.store.options.write_last_zxid_section;
        if let Some(zxid) = sections.last_zxid.filter(|_| wanted) {
            self.write(&zxid.0.to_be_bytes())?;
            self.seal()?;
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        let checksum = i64::from(self.checksum.finish());
        self.write(&checksum.to_be_bytes())?;
        self.write(&SEAL_END)
    }

    /// Makes the file durable and gives it its name; returns its path and length.
    fn publish(&mut self, name: &str) -> Result<(PathBuf, u64), StoreError> {
        let target = std::mem::replace(&mut self.target, Target::Closed);
        let written = target.finish().and_then(|(file, len)| {
            file.sync_all()?;
            Ok(len)
        });
        let len = written.map_err(|error| StoreError::io("write", &self.temporary, error))?;
        let dir = &self.store.snapshot_dir;
        let path = dir.join(name);
        self.store
            .disk
            .rename(&self.temporary, &path)
            .map_err(|error| StoreError::io("rename", &self.temporary, error))?;
        self.unfinished = false;
        self.store
            .disk
            .sync_dir(dir)
            .map_err(|error| StoreError::io("sync", dir, error))?;
        Ok((path, len))
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if self.unfinished {
            // If it cannot be removed now, the next start removes it.
            let _ = self.store.disk.remove(&self.temporary);
        }
    }
}

/// Where uncompressed bytes go.
#[derive(Debug)]
enum Target {
    Plain(FileSink),
    Gz(Box<GzEncoder<FileSink>>),
    Snappy(Box<xerial::Encoder<FileSink>>),
    /// After the end.
    Closed,
}

impl Target {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.write_all(bytes),
            Self::Gz(encoder) => encoder.write_all(bytes),
            Self::Snappy(encoder) => encoder.write_all(bytes),
            Self::Closed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn finish(self) -> io::Result<(Box<dyn DiskFile>, u64)> {
        let mut sink = match self {
            Self::Plain(sink) => sink,
            Self::Gz(encoder) => encoder.finish()?,
            Self::Snappy(encoder) => encoder.finish()?,
            Self::Closed => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        sink.flush()?;
        Ok((sink.file, sink.offset))
    }
}

/// Collects bytes into large writes.
#[derive(Debug)]
struct FileSink {
    file: Box<dyn DiskFile>,
    offset: u64,
    buffer: Vec<u8>,
}

impl Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > WRITE_BYTES {
            self.flush()?;
        }
        if bytes.len() >= WRITE_BYTES {
            self.file.write_at(bytes, self.offset)?;
            self.offset += bytes.len() as u64;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_at(&self.buffer, self.offset)?;
            self.offset += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }
}
