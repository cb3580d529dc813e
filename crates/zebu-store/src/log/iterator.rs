//! Reading the log across its files, in order and without gaps.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use zebu_proto::Zxid;

use super::{FileEnd, LogFileReader, PREFIX_BYTES, ReadRules};
use crate::log::file::RawRecord;
use crate::{Disk, LogFile, LogProblem, StoreError, layout};

/// How many records back an identical repetition is recognised. Java repeats at most what one synchronization sent.
const REMEMBERED_RECORDS_MAX: usize = 65_536;

/// Whether a log may go on from `last` with `next`: the next transaction of the epoch, or the first one of a later.
///
/// Every request that takes a zxid is logged, failed ones too, so that a gap inside an epoch is always a loss.
pub(crate) fn follows(last: Zxid, next: Zxid) -> bool {
    if next.epoch() == last.epoch() {
        return last.counter() < u32::MAX && next == last.next();
    }
    next > last && next.counter() == 1
}

/// A record of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// Its transaction.
    pub zxid: Zxid,
    /// File that it is in.
    pub path: &'a Path,
    /// Where its checksum starts in that file.
    pub offset: u64,
    /// Transaction header, record and digest, as they go over the wire.
    pub body: &'a [u8],
}

/// The transactions after a given one, in order, from all log files of a directory.
///
/// Holds one record at a time. What it has given out has been checked: checksum, order, no gap.
#[derive(Debug)]
pub struct LogIterator {
    disk: Arc<dyn Disk>,
    rules: ReadRules,
    files: Vec<LogFile>,
    /// Index in `files` of the file after the one being read.
    upcoming: usize,
    current: Option<LogFileReader>,
    /// Transactions up to here are passed over.
    base: Zxid,
    /// Nothing is read behind this.
    until: Option<Zxid>,
    /// Last transaction in the files read so far, passed over or not.
    last: Option<Zxid>,
    seen: VecDeque<Seen>,
    /// How the last file ended.
    tail: Option<FileEnd>,
}

/// Where a record stands, for comparing it with a later one of the same transaction.
#[derive(Clone, Copy, Debug)]
struct Seen {
    zxid: Zxid,
    file: usize,
    offset: u64,
    len: usize,
}

enum Place {
    New,
    PassedOver,
    Again(Seen),
}

impl LogIterator {
    /// The transactions after `base` in `dir`, a `version-2` directory.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, base: Zxid, record_bytes_max: usize) -> Result<Self, StoreError> {
        let files = layout::list_logs(&*disk, dir)?;
        let rules = ReadRules::of(&*disk, dir, record_bytes_max)?;
        Self::over(disk, files, base, rules)
    }

    /// All transactions in one file, for tools.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open_file(disk: Arc<dyn Disk>, file: LogFile, record_bytes_max: usize) -> Result<Self, StoreError> {
        let base = Zxid(file.first.0.saturating_sub(1));
        let dir = file.path.parent().unwrap_or(&file.path).to_path_buf();
        let rules = ReadRules::of(&*disk, &dir, record_bytes_max)?;
        Self::over(disk, vec![file], base, rules)
    }

    /// The transactions after `base` in `files`, oldest first. Files at the end that hold no record are ignored.
    pub(crate) fn over(
        disk: Arc<dyn Disk>,
        mut files: Vec<LogFile>,
        base: Zxid,
        rules: ReadRules,
    ) -> Result<Self, StoreError> {
        while let Some(file) = files.last()
            && file.first > base
            && LogFileReader::open(&*disk, file.clone(), rules)?.next()?.is_none()
        {
            files.pop();
        }
        Ok(Self::new(disk, files, base, rules))
    }

    /// The transactions after `base` up to `last`, which are known to be whole.
    pub(crate) fn until(
        disk: Arc<dyn Disk>,
        mut files: Vec<LogFile>,
        base: Zxid,
        last: Zxid,
        rules: ReadRules,
    ) -> Result<Self, StoreError> {
        files.retain(|file| file.first <= last);
        let mut log = Self::new(disk, files, base, rules);
        log.until = Some(last);
        Ok(log)
    }

    fn new(disk: Arc<dyn Disk>, mut files: Vec<LogFile>, base: Zxid, rules: ReadRules) -> Self {
        let start = files.iter().rposition(|file| file.first <= base).unwrap_or(0);
        files.drain(..start);
        Self {
            disk,
            rules,
            files,
            upcoming: 0,
            current: None,
            base,
            until: None,
            last: None,
            seen: VecDeque::new(),
            tail: None,
        }
    }

    /// The next transaction, or `None` at the end of the log.
    ///
    /// # Errors
    /// If something does not check out, or the disk fails. After an error there is nothing more to be had.
    #[allow(clippy::should_implement_trait, reason = "it lends from its buffer and can fail")]
    pub fn next(&mut self) -> Result<Option<LogRecord<'_>>, StoreError> {
        loop {
            let at_end = self.until.is_some_and(|until| self.last >= Some(until));
            if at_end || (self.current.is_none() && !self.open_upcoming()?) {
                return Ok(None);
            }
            // Looked at twice, since a record borrows the reader that gave it.
            let Some(seen) = self.advance()? else {
                continue;
            };
            let reader = self.current.as_ref().expect("a record came from it");
            let body = reader.given(seen.offset, seen.len);
            return Ok(Some(LogRecord {
                zxid: seen.zxid,
                path: &reader.log().path,
                offset: seen.offset,
                body,
            }));
        }
    }

    /// Last transaction of the log, once the end was reached: what was passed over counts.
    #[must_use]
    pub const fn last_zxid(&self) -> Option<Zxid> {
        self.last
    }

    /// The files that are read.
    pub(crate) fn files(&self) -> &[LogFile] {
        &self.files
    }

    /// The last file with a record and how it ends, once the end was reached.
    pub(crate) fn tail(&self) -> Option<(&LogFile, FileEnd)> {
        Some((self.files.last()?, self.tail?))
    }

    fn open_upcoming(&mut self) -> Result<bool, StoreError> {
        let Some(file) = self.files.get(self.upcoming) else {
            return Ok(false);
        };
        let reader = LogFileReader::open(&*self.disk, file.clone(), self.rules)?;
        self.upcoming += 1;
        self.current = Some(reader);
        Ok(true)
    }

    /// Goes one record on; `None` if it is not to be given out or the file ended.
    fn advance(&mut self) -> Result<Option<Seen>, StoreError> {
        let file = self.upcoming - 1;
        let Some(reader) = self.current.as_mut() else {
            return Ok(None);
        };
        let is_first = reader.last().is_none();
        let Some(RawRecord { zxid, offset, body }) = reader.next()? else {
            return self.end_of_file().map(|()| None);
        };
        if self.until.is_some_and(|until| zxid > until) {
            self.current = None;
            self.upcoming = self.files.len();
            return Ok(None);
        }
        let found = Seen {
            zxid,
            file,
            offset,
            len: body.len(),
        };
        if is_first && zxid != self.files[file].first {
            return Err(self.damage(found, LogProblem::Name(zxid)));
        }
        match self.place(found)? {
            Place::Again(earlier) => {
                self.compare(earlier, found)?;
                Ok(None)
            }
            place => {
                self.last = Some(zxid);
                if self.seen.len() == REMEMBERED_RECORDS_MAX {
                    self.seen.pop_front();
                }
                self.seen.push_back(found);
                Ok(matches!(place, Place::New).then_some(found))
            }
        }
    }

    fn place(&self, found: Seen) -> Result<Place, StoreError> {
        let zxid = found.zxid;
        if self.last.is_some_and(|last| zxid <= last) {
            let index = self.seen.binary_search_by_key(&zxid, |seen| seen.zxid);
            return match index {
                Ok(index) => Ok(Place::Again(self.seen[index])),
                Err(_) => Err(self.damage(found, LogProblem::Order(zxid))),
            };
        }
        if zxid <= self.base {
            return Ok(Place::PassedOver);
        }
        // Below the base only what is there counts: a snapshot may have come from a leader and jumped ahead.
        let before = self.last.map_or(self.base, |last| last.max(self.base));
        if follows(before, zxid) {
            Ok(Place::New)
        } else {
            Err(self.damage(found, LogProblem::Gap(zxid)))
        }
    }

    /// A transaction that comes again must be the same: Java repeats records after some synchronizations.
    fn compare(&self, earlier: Seen, found: Seen) -> Result<(), StoreError> {
        let read = |seen: Seen| {
            let path = &self.files[seen.file].path;
            let mut bytes = vec![0; PREFIX_BYTES + seen.len];
            let file = self
                .disk
                .open(path)
                .and_then(|file| file.read_at(&mut bytes, seen.offset));
            file.map_err(|error| StoreError::io("read", path, error))?;
            Ok::<_, StoreError>(bytes)
        };
        if read(earlier)? == read(found)? {
            Ok(())
        } else {
            Err(self.damage(found, LogProblem::Order(found.zxid)))
        }
    }

    fn end_of_file(&mut self) -> Result<(), StoreError> {
        let reader = self.current.take();
        let Some((reader, end)) = reader.and_then(|reader| reader.end().map(|end| (reader, end))) else {
            return Ok(());
        };
        self.tail = Some(end);
        let is_last = self.upcoming == self.files.len();
        // Java leaves a torn tail where it is and goes on in a new file; then no transaction may be missing, which
        // the order check of the next record finds out. An empty file it never leaves between others.
        if end == FileEnd::NoHeader && !is_last {
            return Err(reader.damage(0, LogProblem::EmptyFile, None));
        }
        Ok(())
    }

    fn damage(&self, found: Seen, problem: LogProblem) -> StoreError {
        StoreError::Log(Box::new(crate::LogDamage {
            path: self.files[found.file].path.clone(),
            offset: found.offset,
            problem,
            before: self.last,
            after: Some(found.zxid),
        }))
    }
}
