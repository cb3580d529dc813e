//! Loading a snapshot.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use simd_adler32::Adler32;
use zebu_proto::jute::{DecodeError, DecodeErrorKind, Reader};
use zebu_proto::snapshot::{HEADER, NodeRecord};
use zebu_proto::{AclList, SessionId, Zxid};

use super::{SEAL_BYTES, SEAL_END, Sections, SnapshotDigest, source, xerial};
use crate::recover::{RecoverySink, SinkError};
use crate::{Compression, Disk, SnapshotFile, SnapshotProblem, StoreError};

/// Uncompressed bytes held at once, unless a single record is longer.
const BUFFER_BYTES: usize = 256 << 10;
/// The sections behind the first seal are below this, with room for a digest that is a text (before its version 2).
const SECTIONS_BYTES_MAX: usize = 1024;

/// What a snapshot held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) sessions: u64,
    pub(crate) nodes: u64,
    pub(crate) sections: Sections,
}

/// Whether a file looks complete, by Java's own quick test. Java writes snapshots under their final name, so that an
/// interrupted one lies around and means nothing.
pub(crate) fn looks_whole(disk: &dyn Disk, snapshot: &SnapshotFile) -> Result<bool, StoreError> {
    let read = |error| StoreError::io("read", &snapshot.path, error);
    let file = disk.open(&snapshot.path).map_err(read)?;
    let mut start = [0; 8];
    let mut end = [0; SEAL_END.len()];
    if snapshot.len < 10 {
        return Ok(false);
    }
    let count = file.read_at(&mut start, 0).map_err(read)?;
    Ok(match snapshot.compression {
        Compression::None => {
            let at = snapshot.len - SEAL_END.len() as u64;
            file.read_at(&mut end, at).map_err(read)? == end.len() && end == SEAL_END
        }
        Compression::Gz => count >= 2 && start[..2] == [0x1f, 0x8b],
        Compression::Snappy => count == 8 && start == xerial::HEADER[..8],
    })
}

/// Gives everything in `snapshot` to `sink`, which must be empty, and checks all seals.
///
/// # Errors
/// If anything does not check out; the sink holds rubbish then.
pub(crate) fn load(
    disk: &dyn Disk,
    snapshot: &SnapshotFile,
    record_bytes_max: usize,
    sink: &mut dyn RecoverySink,
) -> Result<Loaded, StoreError> {
    let open = |error| StoreError::io("open", &snapshot.path, error);
    let file = disk.open(&snapshot.path).map_err(open)?;
    let mut stream = Stream {
        source: source::open(file, snapshot.compression),
        path: &snapshot.path,
        compressed: snapshot.compression != Compression::None,
        record_bytes_max,
        buffer: Vec::with_capacity(BUFFER_BYTES),
        filled: 0,
        read: 0,
        hashed: 0,
        buffer_offset: 0,
        checksum: Adler32::new(),
    };
    stream.header()?;
    let sessions = stream.sessions(sink)?;
    stream.acls(sink)?;
    let nodes = stream.nodes(sink)?;
    stream.seal()?;
    let sections = stream.sections()?;
    if let Some(digest) = sections.digest {
        sink.digest(digest);
    }
    sink.loaded(snapshot.zxid).map_err(|source| {
        let offset = stream.offset();
        let source = Arc::new(source);
        stream.problem(SnapshotProblem::Rejected { offset, source })
    })?;
    Ok(Loaded {
        sessions,
        nodes,
        sections,
    })
}

/// What decoding a record came to, with the receiver's answer.
enum Step {
    More(Result<(), SinkError>),
    Last(Result<(), SinkError>),
}

/// The last zxid and its seal.
const LAST_ZXID_BYTES: usize = 8 + SEAL_BYTES;

/// The uncompressed bytes of a snapshot, with their checksum.
struct Stream<'a> {
    source: Box<dyn Read>,
    path: &'a Path,
    compressed: bool,
    record_bytes_max: usize,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that hold data.
    filled: usize,
    /// Bytes of `buffer` that have been decoded.
    read: usize,
    /// Bytes of `buffer` that are in the checksum.
    hashed: usize,
    /// Where `buffer` starts in the uncompressed stream.
    buffer_offset: u64,
    checksum: Adler32,
}

impl Stream<'_> {
    fn header(&mut self) -> Result<(), StoreError> {
        while self.filled < HEADER.len() {
            if !self.fill()? {
                return Err(self.problem(SnapshotProblem::Header));
            }
        }
        if self.buffer[..4] != HEADER[..4] {
            return Err(self.problem(SnapshotProblem::Header));
        }
        self.read = HEADER.len();
        Ok(())
    }

    fn sessions(&mut self, sink: &mut dyn RecoverySink) -> Result<u64, StoreError> {
        let count = self.count("sessions")?;
        self.each(count, |reader| {
            let id = SessionId(reader.long("id")?);
            let timeout_ms = reader.int("timeout")?;
            Ok(sink.session(id, timeout_ms))
        })?;
        Ok(count)
    }

    fn acls(&mut self, sink: &mut dyn RecoverySink) -> Result<(), StoreError> {
        let count = self.count("acls")?;
        self.each(count, |reader| {
            let key = reader.long("key")?;
            let null = reader.error("acl", DecodeErrorKind::Null);
            let list = AclList::decode(reader)?.ok_or(null)?;
            Ok(sink.acl(key, list))
        })
    }

    fn nodes(&mut self, sink: &mut dyn RecoverySink) -> Result<u64, StoreError> {
        let mut nodes = 0;
        self.records(|reader| {
            let Some(node) = NodeRecord::decode(reader)? else {
                return Ok(Step::Last(Ok(())));
            };
            nodes += 1;
            Ok(Step::More(sink.node(node)))
        })?;
        Ok(nodes)
    }

    fn count(&mut self, field: &'static str) -> Result<u64, StoreError> {
        let mut count = 0;
        self.records(|reader| {
            count = reader.count(field)?.unwrap_or(0);
            Ok(Step::Last(Ok(())))
        })?;
        Ok(count as u64)
    }

    /// Decodes `count` records.
    fn each(
        &mut self,
        count: u64,
        mut decode: impl FnMut(&mut Reader<'_>) -> Result<Result<(), SinkError>, DecodeError>,
    ) -> Result<(), StoreError> {
        let mut left = count;
        if left == 0 {
            return Ok(());
        }
        self.records(|reader| {
            let result = decode(reader)?;
            left -= 1;
            Ok(if left == 0 {
                Step::Last(result)
            } else {
                Step::More(result)
            })
        })
    }

    /// Decodes records until `decode` says that it was the last one. A record that ends behind the buffer is decoded
    /// again from its start once more is there.
    fn records(
        &mut self,
        mut decode: impl FnMut(&mut Reader<'_>) -> Result<Step, DecodeError>,
    ) -> Result<(), StoreError> {
        loop {
            let mut reader = Reader::new(&self.buffer[self.read..self.filled]);
            let mut done = 0;
            let stopped = loop {
                match decode(&mut reader) {
                    Ok(Step::More(Ok(()))) => done = reader.offset(),
                    stopped => break stopped,
                }
            };
            let end = reader.offset();
            self.read += done;
            let offset = self.offset();
            match stopped {
                Ok(Step::Last(Ok(()))) => {
                    self.read += end - done;
                    return Ok(());
                }
                Ok(Step::More(Err(source)) | Step::Last(Err(source))) => {
                    let source = Arc::new(source);
                    return Err(self.problem(SnapshotProblem::Rejected { offset, source }));
                }
                // The loop above took it.
                Ok(Step::More(Ok(()))) => {}
                Err(error) if error.kind == DecodeErrorKind::Short => {
                    if !self.fill()? {
                        return Err(self.ends_early());
                    }
                }
                Err(source) => return Err(self.problem(SnapshotProblem::Record { offset, source })),
            }
        }
    }

    /// Checks the seal at the cursor against everything before it.
    fn seal(&mut self) -> Result<(), StoreError> {
        while self.filled - self.read < SEAL_BYTES {
            if !self.fill()? {
                return Err(self.ends_early());
            }
        }
        self.hash();
        let seal = &self.buffer[self.read..][..SEAL_BYTES];
        let wanted = i64::from(self.checksum.finish()).to_be_bytes();
        if seal[..8] != wanted || seal[8..] != SEAL_END {
            let offset = self.offset();
            return Err(self.problem(SnapshotProblem::Checksum(offset)));
        }
        self.read += SEAL_BYTES;
        Ok(())
    }

    fn sections(&mut self) -> Result<Sections, StoreError> {
        let start = self.offset();
        while self.filled - self.read < SECTIONS_BYTES_MAX && self.fill()? {}
        let mut sections = Sections::default();
        let mut left = self.filled - self.read;
        if left > LAST_ZXID_BYTES {
            sections.digest = self.digest(start)?;
            self.seal()?;
            left = self.filled - self.read;
        }
        if left == LAST_ZXID_BYTES {
            let mut reader = Reader::new(&self.buffer[self.read..self.filled]);
            let zxid = reader.long("lastZxid");
            let zxid = zxid.map_err(|_| self.problem(SnapshotProblem::Sections(start)))?;
            self.read += 8;
            sections.last_zxid = Some(Zxid(zxid));
            self.seal()?;
            left = 0;
        }
        if left > 0 {
            return Err(self.problem(SnapshotProblem::Sections(start)));
        }
        Ok(sections)
    }

    /// Reads a digest. Before its version 2 it was a text, which nobody can compare any more.
    fn digest(&mut self, start: u64) -> Result<Option<SnapshotDigest>, StoreError> {
        let mut reader = Reader::new(&self.buffer[self.read..self.filled]);
        let mut decode = || {
            let zxid = Zxid(reader.long("zxid")?);
            let version = reader.int("digestVersion")?;
            if version < 2 {
                reader.buffer("digest")?;
                return Ok(None);
            }
            let digest = reader.long("digest")?.cast_unsigned();
            Ok(Some(SnapshotDigest { zxid, version, digest }))
        };
        let digest = decode().map_err(|_: DecodeError| self.problem(SnapshotProblem::Sections(start)))?;
        let bytes = reader.offset();
        self.read += bytes;
        Ok(digest)
    }

    fn offset(&self) -> u64 {
        self.buffer_offset + self.read as u64
    }

    /// Takes what was decoded into the checksum.
    fn hash(&mut self) {
        self.checksum.write(&self.buffer[self.hashed..self.read]);
        self.hashed = self.read;
    }

    /// Reads more behind what is not decoded yet; false at the end of the stream.
    fn fill(&mut self) -> Result<bool, StoreError> {
        self.hash();
        self.buffer.copy_within(self.read..self.filled, 0);
        self.buffer_offset += self.read as u64;
        self.filled -= self.read;
        self.read = 0;
        self.hashed = 0;
        if self.filled > self.record_bytes_max {
            let problem = SnapshotProblem::TooLong {
                offset: self.buffer_offset,
                limit: self.record_bytes_max,
            };
            return Err(self.problem(problem));
        }
        // A record longer than the buffer: grow by what was really there so far, never by what a length claims.
        let room = BUFFER_BYTES.max(self.filled * 2);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.filled += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if self.compressed => {
                    return Err(self.problem(SnapshotProblem::Compression(Arc::new(error))));
                }
                Err(error) => return Err(StoreError::io("read", self.path, error)),
            }
        }
    }

    fn ends_early(&self) -> StoreError {
        self.problem(SnapshotProblem::Short(self.buffer_offset + self.filled as u64))
    }

    fn problem(&self, problem: SnapshotProblem) -> StoreError {
        StoreError::Snapshot {
            path: self.path.into(),
            problem,
        }
    }
}
