//! Transaction log, snapshots, purge.

use std::num::NonZeroU64;

use super::super::sections::SnapshotCompression;
use super::super::value::{INT_MAX, LONG_MAX, Set, interval_in_hours};
use super::PropertyName::{FileOnly, Prefixed, PrefixedOrBare};
use super::{Key, flag, used};

const MS: &str = "milliseconds";

/// The largest number of KiB whose bytes still fit.
const KIB_MAX: u64 = LONG_MAX >> 10;

/// Bytes of a number of KiB, which is at most [`KIB_MAX`].
fn bytes(kib: Option<NonZeroU64>) -> Option<NonZeroU64> {
    kib.map(|kib| kib.saturating_mul(NonZeroU64::new(1024).expect("1024 is not 0")))
}

pub(super) static KEYS: &[Key] = &[
    used(
        "preAllocSize",
        Prefixed,
        Set::LongLimit {
            high: KIB_MAX,
            unit: "KiB",
            set: |d, kib| d.config.storage.pre_alloc_bytes = bytes(kib),
        },
    ),
    used(
        "snapCount",
        Prefixed,
        Set::Raised {
            low: 2,
            why: "it must be 2 or more",
            set: |d, count| d.config.storage.snap_count = count,
        },
    ),
    used(
        "snapSizeLimitInKb",
        Prefixed,
        Set::LongLimit {
            high: KIB_MAX,
            unit: "KiB",
            set: |d, kib| d.config.storage.snap_size_limit_bytes = bytes(kib),
        },
    ),
    used(
        "txnLogSizeLimitInKb",
        Prefixed,
        Set::LongLimit {
            high: KIB_MAX,
            unit: "KiB",
            set: |d, kib| d.config.storage.txn_log_size_limit_bytes = bytes(kib),
        },
    ),
    used(
        "forceSync",
        Prefixed,
        Set::Word {
            word: "no",
            otherwise: "yes",
            set: |d, off| d.config.storage.force_sync = !off,
        },
    ),
    used(
        "fsync.warningthresholdms",
        PrefixedOrBare,
        Set::Long {
            unit: MS,
            set: |d, ms| d.config.storage.fsync_warning_threshold_ms = ms,
        },
    ),
    used(
        "flushDelay",
        Prefixed,
        Set::LongLimit {
            high: LONG_MAX,
            unit: MS,
            set: |d, limit| d.config.storage.flush_delay_ms = limit,
        },
    ),
    used(
        "maxWriteQueuePollTime",
        Prefixed,
        Set::Long {
            unit: MS,
            set: |d, ms| d.max_write_queue_poll_time_ms = Some(ms),
        },
    ),
    used(
        "maxBatchSize",
        Prefixed,
        Set::Limit {
            high: INT_MAX,
            unit: "writes",
            set: |d, limit| d.config.storage.max_batch_size = limit,
        },
    ),
    used(
        "snapshot.compression.method",
        Prefixed,
        Set::Text {
            allowed: "gz, snappy, or nothing",
            set: |d, method| {
                d.config.storage.snapshot_compression = match method.to_ascii_lowercase().as_str() {
                    "" => SnapshotCompression::None,
                    "gz" => SnapshotCompression::Gz,
                    "snappy" => SnapshotCompression::Snappy,
                    _ => return None,
                };
                Some(())
            },
        },
    ),
    flag("snapshot.trust.empty", Prefixed, |d, on| {
        d.config.storage.snapshot_trust_empty = on
    }),
    flag("serializeLastProcessedZxid.enabled", Prefixed, |d, on| {
        d.config.storage.serialize_last_processed_zxid = on;
    }),
    flag("digest.enabled", Prefixed, |d, on| d.config.storage.digest = on),
    flag("closeSessionTxn.enabled", Prefixed, |d, on| {
        d.config.storage.close_session_txn = on
    }),
    flag("datadir.autocreate", Prefixed, |d, on| {
        d.config.storage.datadir_autocreate = on
    }),
    flag("db.autocreate", Prefixed, |d, on| d.config.storage.db_autocreate = on),
    used(
        "autopurge.snapRetainCount",
        FileOnly,
        Set::Raised {
            low: 3,
            why: "three snapshots are the least that is kept",
            set: |d, count| d.config.purge.snap_retain_count = count,
        },
    ),
    used(
        "autopurge.purgeInterval",
        FileOnly,
        Set::Text {
            allowed: "a whole number of hours, or one with ms, s, m, h or d after it; 0 or less: no purge",
            set: |d, text| {
                let ms = u64::try_from(interval_in_hours(text)?).unwrap_or(0);
                d.config.purge.interval_ms = NonZeroU64::new(ms);
                Some(())
            },
        },
    ),
];
