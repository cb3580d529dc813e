//! Transaction log, snapshots and epoch files on disk, in ZooKeeper's own format.
//!
//! What an Apache ZooKeeper server of release 3.5 to 3.9 writes, this crate reads, and the other way round. It takes
//! opaque transactions and the parts of a snapshot, and knows no tree, no socket, no clock and no thread: every call
//! blocks until the disk has answered. Files are reached through the narrow [`Disk`] trait alone, so that the same
//! code runs on a simulated disk with faults ([`sim_disk`]).
//!
//! | file | content | here |
//! |---|---|---|
//! | `<dataDir>/myid` | server id | [`Store::read_myid`] |
//! | `<dataDir>/version-2/snapshot.<hex zxid>[.gz\|.snappy]` | the whole state at a zxid | [`SnapshotWriter`] |
//! | `<dataDir>/version-2/{current,accepted}Epoch` | promises to leaders | [`EpochFile`] |
//! | `<dataLogDir>/version-2/log.<hex zxid>` | transactions, named by the first | [`LogWriter`], [`LogIterator`] |
//! | `version-2/zebu.lock`, in both | held while a store is open | [`Store::open`] |
//! | `<dataLogDir>/version-2/zebu.newest-log` | the newest log file with flush marks | `log/mark.rs` |
//! | `<dataLogDir>/version-2/cut-from-log.*` | what recovery cut off, for a person to look at | [`Cut`] |
//!
//! The last three are this program's own; a Java server passes them over.
//!
//! The promise that everything here serves: what [`LogWriter::flush`] has returned for is found by
//! [`Store::recover`] after any crash, and nothing is found by half. Where files do not check out and it cannot be
//! shown that only an unacknowledged tail is missing, recovery refuses with the file, the offset and what to do.
//!
//! Start reading at [`Store`], then `recover.rs`.

mod disk;
mod epoch;
mod error;
mod install;
mod layout;
mod log;
mod log_part;
mod options;
mod purge;
mod recover;
pub mod sim_disk;
mod snapshot;
mod store;
mod truncate;

pub use disk::{DirEntry, Disk, DiskFile, DiskLock, RealDisk};
pub use epoch::{EpochFile, Epochs};
pub use error::{LogDamage, LogProblem, SnapshotProblem, StoreError};
pub use layout::{Compression, LogFile, SnapshotFile};
pub use log::{LogIterator, LogRecord, LogWriter};
pub use log_part::LogPart;
pub use options::StoreOptions;
pub use purge::Purged;
pub use recover::{Cut, Recovered, RecoverySink, SinkError};
pub use snapshot::{Sections, SnapshotDigest, SnapshotWriter};
pub use store::{DirSizes, Store};
