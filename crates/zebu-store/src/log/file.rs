//! Reading one log file, front to back, without holding more than a record of it.

use std::path::Path;

use zebu_proto::Zxid;

use super::mark::{self, MARK_BYTES, Mark};
use super::{BODY_BYTES_MIN, END_MARK, HEADER, HEADER_BYTES, PREFIX_BYTES, body_zxid};
use crate::sim_disk::SECTOR_BYTES;
use crate::{Disk, DiskFile, LogDamage, LogFile, LogProblem, StoreError, layout};

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
    /// With a whole record (or the header), then zeros or nothing. With a flush mark, it is known where the last batch
    /// begins.
    Clean { offset: u64, batch_start: Option<u64> },
    /// With something that is no whole record, and none behind it: a write that a crash interrupted.
    Torn { offset: u64, problem: LogProblem },
}

/// What decides how a file is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadRules {
    /// Longest body that is taken for real.
    pub(crate) record_bytes_max: usize,
    /// The newest file that is known to have flush marks, by its first transaction.
    pub(crate) marked: Option<Zxid>,
}

impl ReadRules {
    /// The rules for the log files in `dir`.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn of(disk: &dyn Disk, dir: &Path, record_bytes_max: usize) -> Result<Self, StoreError> {
        let path = dir.join(layout::NEWEST_LOG_FILE);
        let read = |error| StoreError::io("read", &path, error);
        let mut name = [0; 32];
        let mut len = 0;
        if disk.exists(&path).map_err(read)? {
            let file = disk.open(&path).map_err(read)?;
            len = file.read_at(&mut name, 0).map_err(read)?;
        }
        // A file of ours with other contents says nothing, and then all holes are refused.
        let marked = std::str::from_utf8(&name[..len]).ok().and_then(layout::parse_log_name);
        Ok(Self {
            record_bytes_max,
            marked,
        })
    }
}

/// A cursor over the records of one file.
#[derive(Debug)]
pub(crate) struct LogFileReader {
    log: LogFile,
    file: Box<dyn DiskFile>,
    len: u64,
    rules: ReadRules,
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
    /// Not a record; it would take up `whole` bytes.
    Broken {
        problem: LogProblem,
        whole: usize,
    },
}

impl LogFileReader {
    /// Opens `log` and checks its header.
    pub(crate) fn open(disk: &dyn Disk, log: LogFile, rules: ReadRules) -> Result<Self, StoreError> {
        let file = disk
            .open(&log.path)
            .map_err(|error| StoreError::io("open", &log.path, error))?;
        let len = file.len().map_err(|error| StoreError::io("read", &log.path, error))?;
        let mut reader = Self {
            log,
            file,
            len,
            rules,
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
                self.end = Some(self.clean_end(offset)?);
                Ok(None)
            }
            Found::Broken { problem, whole } => {
                self.end = Some(self.judge(offset, whole, problem)?);
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
        let end = match self.end_of_data(0)? {
            end if end <= HEADER_BYTES => FileEnd::NoHeader,
            _ => self.judge(0, HEADER.len(), LogProblem::Header)?,
        };
        // Nothing behind a header that was not written is of use.
        self.end = Some(match end {
            FileEnd::Torn { .. } => FileEnd::NoHeader,
            end => end,
        });
        Ok(())
    }

    fn look(&mut self) -> Result<Found, StoreError> {
        let present = self.fill(PREFIX_BYTES)?;
        let bytes = &self.buffer[self.read..];
        let broken = |problem, whole| Ok(Found::Broken { problem, whole });
        if present < PREFIX_BYTES {
            let zeros = bytes.iter().all(|byte| *byte == 0);
            return if zeros {
                Ok(Found::Nothing)
            } else {
                broken(LogProblem::Short, PREFIX_BYTES)
            };
        }
        let (checksum, len) = prefix(bytes);
        if len == 0 {
            // Java ends here too; whether something follows is looked at by the caller.
            return Ok(Found::Nothing);
        }
        let body_len = match usize::try_from(len) {
            Ok(len) if len <= self.rules.record_bytes_max => len,
            _ => return broken(LogProblem::Length(len), PREFIX_BYTES),
        };
        let whole = PREFIX_BYTES + body_len + 1;
        if self.buffer.len() - self.read < whole && self.fill(whole)? < whole {
            return broken(LogProblem::Short, whole);
        }
        let body = &self.buffer[self.read + PREFIX_BYTES..][..body_len];
        if self.buffer[self.read + whole - 1] != END_MARK {
            return broken(LogProblem::EndMark, whole);
        }
        if i64::from(simd_adler32::adler32(&body)) != checksum {
            return broken(LogProblem::Checksum, whole);
        }
        match body_zxid(body) {
            Some(zxid) => Ok(Found::Record { body_len, zxid }),
            None => broken(LogProblem::NoTransaction, whole),
        }
    }

    /// What it means that there are zeros, or nothing, where a record would start.
    fn clean_end(&mut self, offset: u64) -> Result<FileEnd, StoreError> {
        let data_end = self.end_of_data(offset)?;
        let mark = self.mark_before(data_end)?;
        if data_end == offset || mark.is_some_and(|mark| mark.end == offset) {
            let batch_start = mark.map(|mark| mark.batch_start);
            return Ok(FileEnd::Clean { offset, batch_start });
        }
        self.judge(offset, PREFIX_BYTES, LogProblem::Hole)
    }

    /// Whether what is broken at `offset`, where a record would take up `whole` bytes, can be the end of an interrupted
    /// write. If not, it is an error.
    fn judge(&mut self, offset: u64, whole: usize, problem: LogProblem) -> Result<FileEnd, StoreError> {
        let after = self.whole_record_behind(offset)?;
        // Parts of a record that were not written read as zeros: they make a length smaller, never negative or huge;
        // and a right checksum is no accident.
        let impossible = matches!(problem, LogProblem::Length(_) | LogProblem::NoTransaction);
        if impossible || !self.never_flushed(offset, whole, after.is_some())? {
            return Err(self.damage(offset, problem, after));
        }
        Ok(FileEnd::Torn { offset, problem })
    }

    /// Whether the record at `offset` can be part of a write that no sync has covered.
    fn never_flushed(&self, offset: u64, whole: usize, more_behind: bool) -> Result<bool, StoreError> {
        let mark = self.mark_before(self.end_of_data(offset)?)?;
        if mark.is_some_and(|mark| offset < mark.batch_start) {
            return Ok(false);
        }
        if !more_behind {
            return Ok(true);
        }
        if mark.is_none() && self.rules.marked != Some(self.log.first) {
            return Ok(false);
        }
        let end = (offset + whole as u64).next_multiple_of(SECTOR_BYTES);
        let len = usize::try_from(end - offset).unwrap_or(whole);
        Ok(mark::sector_missing(&self.read_range(offset, len)?, offset))
    }

    /// The flush mark that ends at `data_end`.
    fn mark_before(&self, data_end: u64) -> Result<Option<Mark>, StoreError> {
        let Some(start) = data_end.checked_sub(MARK_BYTES as u64) else {
            return Ok(None);
        };
        Ok(Mark::decode(&self.read_range(start, MARK_BYTES)?, start))
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
        let sized = (BODY_BYTES_MIN..=self.rules.record_bytes_max).contains(&len);
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
            let data = self.file.next_data(at);
            let Some(data) = data.map_err(|error| StoreError::io("read", &self.log.path, error))? else {
                return Ok(end);
            };
            at = data;
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
