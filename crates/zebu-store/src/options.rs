//! What a store can be told.

use std::path::PathBuf;

use crate::Compression;

/// Where a store keeps its files and how it writes them. A plain value: nothing is read from anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// `dataDir`: snapshots, epoch files, `myid`.
    pub data_dir: PathBuf,
    /// `dataLogDir`: transaction logs. The same as `data_dir` unless the logs have a disk of their own.
    pub log_dir: PathBuf,
    /// `preAllocSize`, in bytes (Java's unit is KiB): a log file grows in steps of this size; 0 switches it off.
    pub prealloc_bytes: u64,
    /// `forceSync`: whether a flush waits for the disk. Without it a crash of the machine loses acknowledged writes.
    pub force_sync: bool,
    /// `snapshot.compression.method`: how new snapshots are compressed. Reading knows all kinds.
    pub compression: Compression,
    /// `txnLogSizeLimitInKb`, in bytes: a log file above this is closed after a flush; 0 for no limit.
    pub log_size_limit_bytes: u64,
    /// `serializeLastProcessedZxid.enabled`: whether snapshots end with the section that release 3.9 added.
    pub write_last_zxid_section: bool,
    /// Longest log record and longest node that is taken for real when reading; a longer one is damage. It bounds
    /// memory while reading.
    pub record_bytes_max: usize,
    /// `snapshot.trust.empty`: whether a log without any snapshot is replayed onto an empty tree.
    pub trust_empty: bool,
    /// `datadir.autocreate`: whether missing `version-2` directories are created.
    pub auto_create_dir: bool,
    /// `db.autocreate`: whether an empty directory counts as a new, trustworthy database.
    pub auto_create_db: bool,
}

impl StoreOptions {
    /// Java's defaults, with snapshots and logs under `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            log_dir: data_dir.clone(),
            data_dir,
            prealloc_bytes: 64 << 20,
            force_sync: true,
            compression: Compression::None,
            log_size_limit_bytes: 0,
            write_last_zxid_section: true,
            record_bytes_max: 64 << 20,
            trust_empty: false,
            auto_create_dir: true,
            auto_create_db: true,
        }
    }
}
