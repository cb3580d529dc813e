//! What the store needs of a disk: files by position, directories, renames, and nothing more.

mod real;

use std::fmt::Debug;
use std::io;
use std::path::Path;

pub use real::RealDisk;

/// A disk: the real one, or a simulated one with faults.
///
/// Nothing is durable until the file ([`DiskFile::sync_data`], [`DiskFile::sync_all`]) and, for a name that was
/// created, renamed or removed, the directory ([`Disk::sync_dir`]) has been synced.
pub trait Disk: Debug + Send + Sync {
    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::NotFound`] if there is none.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn open_writable(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Creates a file for reading and writing; it must not exist.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if it exists, else as the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// The files and directories in `dir`, in the order of their names.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such directory, else as the system says.
    fn entries(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Whether something of this name exists.
    ///
    /// # Errors
    /// As the system says.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Creates a directory and its missing parents. Existing ones are no error.
    ///
    /// # Errors
    /// As the system says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Renames a file, replacing the target.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock file `path` (created if missing) until the result is dropped or the process ends.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process, or another store of this one, holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// An open file. Positions are bytes from the start.
#[allow(
    clippy::len_without_is_empty,
    reason = "a file's length is fallible, and nobody asks for emptiness"
)]
pub trait DiskFile: Debug + Send {
    /// Length in bytes.
    ///
    /// # Errors
    /// As the system says.
    fn len(&self) -> io::Result<u64>;

    /// Reads into `buffer` from `offset`, as many bytes as there are at hand; 0 at the end.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Where something other than zeros may stand next, at or after `offset`; `None` if there are only zeros up to the
    /// end. Saves reading the preallocated end of a file.
    ///
    /// # Errors
    /// As the system says.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// As the system says; a part may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// As the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes contents and length durable.
    ///
    /// # Errors
    /// As the system says. What is on the disk then is unknown, and a second try would not tell: never retry.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes contents and all metadata durable.
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;
}

/// A lock that is released when this is dropped.
pub trait DiskLock: Debug + Send + Sync {}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// File name without directory.
    pub name: String,
    /// Bytes, 0 for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}
