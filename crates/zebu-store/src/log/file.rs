//! Reading one log file, front to back, without holding more than a record of it.

use zebu_proto::Zxid;

use super::{BODY_BYTES_MIN, END_MARK, HEADER, HEADER_BYTES, PREFIX_BYTES, body_zxid};
use crate::{Disk, DiskFile, LogDamage, LogFile, LogProblem, StoreError};

/// Bytes asked of the disk at once.
const READ_BYTES: usize = 256 << 10;

/// A record as it stands in the file.
#[derive(Debug)]
pub(crate) struct RawRecord<'a> {
    pub(crate) zxid: Zxid,
    /// Where its checksum starts.
    pub(crate) offset: u64,
    pub(crate) body: &'a [u8],
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileEnd {
    /// Empty, or preallocated zeros: the crash came before the header was written.
    NoHeader,
    /// With a whole record (or the header), then zeros or nothing.
    Clean { offset: u64 },
    /// With something that is no whole record, and none behind it: a write that a crash interrupted.
    Torn { offset: u64, problem: LogProblem },
}

/// A cursor over the records of one file.
#[derive(Debug)]
pub(crate) struct LogFileReader {
    log: LogFile,
    file: Box<dyn DiskFile>,
    len: u64,
    record_bytes_max: usize,
    /// Bytes of the file, from `buffer_offset`; those before `read` have been given out.
    buffer: Vec<u8>,
    buffer_offset: u64,
    read: usize,
    last: Option<Zxid>,
    end: Option<FileEnd>,
}

/// What stands at the cursor.
enum Found {
    Record {
        body_len: usize,
        zxid: Zxid,
    },
    /// Zeros where a record would start, or the end of the file.
    Nothing,
    Broken(LogProblem),
}

impl LogFileReader {
    /// Opens `log` and checks its header.
    pub(crate) fn open(disk: &dyn Disk, log: LogFile, record_bytes_max: usize) -> Result<Self, StoreError> {
        let file = disk
            .open(&log.path)
            .map_err(|error| StoreError::io("open", &log.path, error))?;
        let len = file.len().map_err(|error| StoreError::io("read", &log.path, error))?;
        let mut reader = Self {
            log,
            file,
            len,
            record_bytes_max,
            buffer: Vec::new(),
            buffer_offset: 0,
            read: 0,
            last: None,
            end: None,
        };
        reader.check_header()?;
        Ok(reader)
    }

    pub(crate) fn log(&self) -> &LogFile {
        &self.log
    }

    /// Last transaction that was given out.
    pub(crate) fn last(&self) -> Option<Zxid> {
        self.last
    }

    /// How the file ends, once [`LogFileReader::next`] has said that it does.
    pub(crate) fn end(&self) -> Option<FileEnd> {
        self.end
    }

    /// The next record, or `None` at the end of what the file holds.
    ///
    /// # Errors
    /// If something is broken and whole records stand behind it, or the disk fails.
    pub(crate) fn next(&mut self) -> Result<Option<RawRecord<'_>>, StoreError> {
        if self.end.is_some() {
            return Ok(None);
        }
        let offset = self.offset();
        match self.look()? {
            Found::Record { body_len, zxid } => {
                let start = self.read + PREFIX_BYTES;
                self.read = start + body_len + 1;
                self.last = Some(zxid);
                let body = &self.buffer[start..start + body_len];
                Ok(Some(RawRecord { zxid, offset, body }))
            }
            Found::Nothing => {
                self.end = Some(if self.is_zero_from(offset)? {
                    FileEnd::Clean { offset }
                } else {
                    self.judge(offset, LogProblem::Hole)?
                });
                Ok(None)
            }
            Found::Broken(problem) => {
                self.end = Some(self.judge(offset, problem)?);
                Ok(None)
            }
        }
    }

    /// The body of the record that was given out last, again.
    pub(crate) fn given(&self, offset: u64, body_len: usize) -> &[u8] {
        let start = usize::try_from(offset - self.buffer_offset).map_or(usize::MAX, |start| start + PREFIX_BYTES);
        &self.buffer[start..start + body_len]
    }

    /// An error about this file.
    pub(crate) fn damage(&self, offset: u64, problem: LogProblem, after: Option<Zxid>) -> StoreError {
        StoreError::Log(Box::new(LogDamage {
            path: self.log.path.clone(),
            offset,
            problem,
            before: self.last,
            after,
        }))
    }

    fn offset(&self) -> u64 {
        self.buffer_offset + self.read as u64
    }

    fn check_header(&mut self) -> Result<(), StoreError> {
        let present = self.fill(HEADER.len())?;
        if self.buffer.get(..4) == HEADER.get(..4) && present >= HEADER.len() {
            // Java checks no more than the magic either.
            self.read = HEADER.len();
            return Ok(());
        }
        if self.is_zero_from(HEADER_BYTES.min(self.len))? {
            self.end = Some(FileEnd::NoHeader);
            return Ok(());
        }
        let after = self.whole_record_behind(0)?;
        Err(self.damage(0, LogProblem::Header, after))
    }

    fn look(&mut self) -> Result<Found, StoreError> {
        let present = self.fill(PREFIX_BYTES)?;
        let bytes = &self.buffer[self.read..];
        if present < PREFIX_BYTES {
            let zeros = bytes.iter().all(|byte| *byte == 0);
            return Ok(if zeros {
                Found::Nothing
            } else {
                Found::Broken(LogProblem::Short)
            });
        }
        let (checksum, len) = prefix(bytes);
        if len == 0 {
            // Java ends here too; whether something follows is looked at by the caller.
            return Ok(Found::Nothing);
        }
        let body_len = match usize::try_from(len) {
            Ok(len) if len <= self.record_bytes_max => len,
            _ => return Ok(Found::Broken(LogProblem::Length(len))),
        };
        let whole = PREFIX_BYTES + body_len + 1;
        if self.buffer.len() - self.read < whole && self.fill(whole)? < whole {
            return Ok(Found::Broken(LogProblem::Short));
        }
        let body = &self.buffer[self.read + PREFIX_BYTES..][..body_len];
        if self.buffer[self.read + whole - 1] != END_MARK {
            return Ok(Found::Broken(LogProblem::EndMark));
        }
        if i64::from(simd_adler32::adler32(&body)) != checksum {
            return Ok(Found::Broken(LogProblem::Checksum));
        }
        Ok(match body_zxid(body) {
            Some(zxid) => Found::Record { body_len, zxid },
            None => Found::Broken(LogProblem::NoTransaction),
        })
    }

    /// Whether what is broken at `offset` can be the end of an interrupted write. It cannot if whole records stand
    /// behind it, nor if a write that stopped halfway would not leave this behind.
    fn judge(&mut self, offset: u64, problem: LogProblem) -> Result<FileEnd, StoreError> {
        let after = self.whole_record_behind(offset)?;
        // Parts of a record that were not written read as zeros: they make a length smaller, never negative or huge;
        // and a right checksum is no accident.
        let impossible = matches!(problem, LogProblem::Length(_) | LogProblem::NoTransaction);
        if after.is_some() || impossible {
            return Err(self.damage(offset, problem, after));
        }
        Ok(FileEnd::Torn { offset, problem })
    }

    fn is_zero_from(&mut self, offset: u64) -> Result<bool, StoreError> {
        let mut chunk = vec![0; READ_BYTES];
        let mut at = offset;
        while at < self.len {
            let count = self.read_some(&mut chunk, at)?;
            if count == 0 {
                break;
            }
            if chunk[..count].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += count as u64;
        }
        Ok(true)
    }

    /// The first record behind `offset` that is whole and of a later transaction, whatever its alignment.
    fn whole_record_behind(&mut self, offset: u64) -> Result<Option<Zxid>, StoreError> {
        let mut window = Vec::new();
        let mut start = offset + 1;
        while start < self.len {
            // Twice the step, so that each candidate's prefix and transaction id are at hand.
            window.resize(2 * READ_BYTES, 0);
            let mut count = 0;
            while count < window.len() {
                let more = self.read_some(&mut window[count..], start + count as u64)?;
                if more == 0 {
                    break;
                }
                count += more;
            }
            let at_end = count < window.len();
            window.truncate(count);
            let candidates = if at_end { count } else { READ_BYTES };
            for index in 0..candidates {
                let Some(len) = self.plausible(&window[index..]) else {
                    continue;
                };
                if let Some(zxid) = self.whole_record(start + index as u64, len)? {
                    return Ok(Some(zxid));
                }
            }
            if at_end {
                break;
            }
            start += READ_BYTES as u64;
        }
        Ok(None)
    }

    /// Length of the body, if the first bytes look like those of a record of a later transaction.
    fn plausible(&self, bytes: &[u8]) -> Option<usize> {
        let head = bytes.first_chunk::<{ PREFIX_BYTES + BODY_BYTES_MIN }>()?;
        let (checksum, len) = prefix(head);
        let len = usize::try_from(len).ok()?;
        let zxid = body_zxid(&head[PREFIX_BYTES..])?;
        let later = zxid > self.last.unwrap_or(Zxid(self.log.first.0.saturating_sub(1)));
        let sized = (BODY_BYTES_MIN..=self.record_bytes_max).contains(&len);
        (checksum > 0 && u32::try_from(checksum).is_ok() && sized && later).then_some(len)
    }

    fn whole_record(&self, offset: u64, body_len: usize) -> Result<Option<Zxid>, StoreError> {
        let whole = PREFIX_BYTES + body_len + 1;
        if offset + whole as u64 > self.len {
            return Ok(None);
        }
        let mut bytes = vec![0; whole];
        let mut count = 0;
        while count < whole {
            let more = self.read_some(&mut bytes[count..], offset + count as u64)?;
            if more == 0 {
                return Ok(None);
            }
            count += more;
        }
        let (checksum, _) = prefix(&bytes);
        let body = &bytes[PREFIX_BYTES..whole - 1];
        let right = bytes[whole - 1] == END_MARK && i64::from(simd_adler32::adler32(&body)) == checksum;
        Ok(if right { body_zxid(body) } else { None })
    }

    /// Makes `wanted` bytes available behind the cursor, fewer only at the end of the file; returns how many there
    /// are.
    fn fill(&mut self, wanted: usize) -> Result<usize, StoreError> {
        let present = self.buffer.len() - self.read;
        if present >= wanted {
            return Ok(present);
        }
        self.buffer.copy_within(self.read.., 0);
        self.buffer_offset += self.read as u64;
        self.read = 0;
        let left = self.len.saturating_sub(self.buffer_offset + present as u64);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let mut count = present;
        self.buffer.resize(present + left.min(READ_BYTES.max(wanted)), 0);
        while count < self.buffer.len() {
            let at = self.buffer_offset + count as u64;
            let more = self
                .file
                .read_at(&mut self.buffer[count..], at)
                .map_err(|error| StoreError::io("read", &self.log.path, error))?;
            if more == 0 {
                break;
            }
            count += more;
        }
        self.buffer.truncate(count);
        Ok(count)
    }

    fn read_some(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        self.file
            .read_at(buffer, offset)
            .map_err(|error| StoreError::io("read", &self.log.path, error))
    }

    /// Bytes `range` of the file, for comparing and keeping what is cut.
    pub(crate) fn read_range(&self, offset: u64, len: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; len];
        let mut count = 0;
        while count < len {
            let more = self.read_some(&mut bytes[count..], offset + count as u64)?;
            if more == 0 {
                break;
            }
            count += more;
        }
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Where the last byte that is not zero ends, not before `from`.
    pub(crate) fn end_of_data(&self, from: u64) -> Result<u64, StoreError> {
        let mut chunk = vec![0; READ_BYTES];
        let mut end = from;
        let mut at = from;
        loop {
            let count = self.read_some(&mut chunk, at)?;
            if count == 0 {
                return Ok(end);
            }
            if let Some(index) = chunk[..count].iter().rposition(|byte| *byte != 0) {
                end = at + index as u64 + 1;
            }
            at += count as u64;
        }
    }
}

/// Checksum and length, from at least [`PREFIX_BYTES`] bytes.
fn prefix(bytes: &[u8]) -> (i64, i32) {
    let mut checksum = [0; 8];
    checksum.copy_from_slice(&bytes[..8]);
    let mut len = [0; 4];
    len.copy_from_slice(&bytes[8..12]);
    (i64::from_be_bytes(checksum), i32::from_be_bytes(len))
}
