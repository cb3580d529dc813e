//! Snapshots: the whole state at a zxid, in one file.
//!
//! The layout is in [`zebu_proto::snapshot`]. Each seal covers all uncompressed bytes before it. What follows the
//! first seal carries no tag: a digest and its seal are 33 bytes, the last zxid and its seal 21, so the length tells.
//!
//! Source: `org.apache.zookeeper.server.persistence.FileSnap`, `SnapStream`.

mod reader;
mod source;
mod writer;
mod xerial;

use zebu_proto::snapshot::NodeRecord;
use zebu_proto::txn::TxnRecord;
use zebu_proto::{AclList, SessionId, Zxid};

use crate::{Disk, RecoverySink, SinkError, SnapshotFile, StoreError};

pub(crate) use reader::{Loaded, load, looks_whole};
pub use writer::SnapshotWriter;

/// What ends each part of a snapshot, behind its checksum: the string `/`.
const SEAL_END: [u8; 5] = *b"\0\0\0\x01/";
/// Checksum and [`SEAL_END`].
const SEAL_BYTES: usize = 13;

/// The digest of a tree at a zxid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotDigest {
    /// Transaction after which the tree had this digest; it may be later than the one that names the snapshot.
    pub zxid: Zxid,
    /// How it is computed, see [`zebu_proto::txn::TxnDigest::VERSION`].
    pub version: i32,
    /// The digest.
    pub digest: u64,
}

/// What follows the nodes of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// Digest of the tree, written since release 3.6 unless digests are off.
    pub digest: Option<SnapshotDigest>,
    /// Last transaction applied when the snapshot was complete, written since release 3.9 unless switched off.
    pub last_zxid: Option<Zxid>,
}

/// Reads all of a snapshot and checks its seals.
///
/// # Errors
/// If anything does not check out.
pub(crate) fn verify(disk: &dyn Disk, snapshot: &SnapshotFile, record_bytes_max: usize) -> Result<Loaded, StoreError> {
    load(disk, snapshot, record_bytes_max, &mut Nowhere)
}

/// Receives and forgets.
struct Nowhere;

impl RecoverySink for Nowhere {
    fn begin(&mut self) {}

    fn session(&mut self, _: SessionId, _: i32) -> Result<(), SinkError> {
        Ok(())
    }

    fn acl(&mut self, _: i64, _: AclList) -> Result<(), SinkError> {
        Ok(())
    }

    fn node(&mut self, _: NodeRecord<'_>) -> Result<(), SinkError> {
        Ok(())
    }

    fn digest(&mut self, _: SnapshotDigest) {}

    fn loaded(&mut self, _: Zxid) -> Result<(), SinkError> {
        Ok(())
    }

    fn txn(&mut self, _: TxnRecord, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}
