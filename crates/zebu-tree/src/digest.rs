//! The tree digest: a wrapping sum of one CRC-32 per node.
//!
//! A node's digest covers its path, its data and its metadata, in this order, so the checksum over path and data can be
//! kept and only the 60 bytes of metadata need to be added when a counter changes.
//!
//! Source: `org.apache.zookeeper.server.DigestCalculator`, `AdHash`.

use crc32fast::Hasher;
use zebu_proto::StatPersisted;

/// Digest of a tree with nothing but the nodes that exist from the start.
#[cfg(test)]
pub(crate) const EMPTY_TREE: u64 = 1_371_985_504;

/// Whether a node counts: everything but what lies below `/zookeeper`.
pub(crate) fn covers(path: &str) -> bool {
    !path.starts_with("/zookeeper/")
}

/// CRC-32 of path and data, the part of a node's digest that its metadata does not touch.
pub(crate) fn prefix(path: &str, data: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    // The root's path is empty here, never "/".
    hasher.update(if path == "/" { b"" } else { path.as_bytes() });
    hasher.update(data);
    hasher.finalize()
}

/// Digest of a node from its [`prefix`] and its metadata.
pub(crate) fn node(prefix: u32, stat: &StatPersisted) -> u64 {
    let mut hasher = Hasher::new_with_initial(prefix);
    hasher.update(&stat.digest_block());
    u64::from(hasher.finalize())
}
