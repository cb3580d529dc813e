//! The snapshot behind a SNAP packet.

use crate::jute::{DecodeError, DecodeErrorKind, Reader};
use crate::snapshot::{END_MARK, NodeRecord};
use crate::{AclList, SessionId};

/// The string behind the snapshot that follows a SNAP packet.
///
/// Source: `LearnerHandler.run`, `Learner.syncWithLeader`.
pub const SNAPSHOT_SIGNATURE: &str = "BenWasHere";

/// A part of the snapshot that follows a SNAP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotPart<'a> {
    /// A session.
    Session {
        /// The session.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
    /// An entry of the ACL table.
    Acl {
        /// Its number.
        key: i64,
        /// The list.
        list: AclList,
    },
    /// A node; parents come before children.
    Node(NodeRecord<'a>),
    /// The signature: all of it is there, and packets follow.
    End,
}

/// Takes the snapshot that follows a SNAP packet out of the stream. It has no length: it is that of a file without header
/// and seals (see [`crate::snapshot`]), then [`SNAPSHOT_SIGNATURE`].
///
/// The tree has been changing while it was written; what it lacks or has too early follows as proposals.
///
/// Source: `SerializeUtils.deserializeSnapshot`, `Learner.syncWithLeader`.
#[derive(Clone, Debug)]
pub struct SnapshotStream {
    expected: Expected,
    record_bytes_max: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    SessionCount,
    Sessions { left: usize },
    AclCount,
    Acls { left: usize },
    Node,
    Signature,
    Nothing,
}

impl SnapshotStream {
    /// The start of a snapshot. `record_bytes_max` is the longest data, string or ACL that is taken; Java takes
    /// `jute.maxbuffer` and `zookeeper.jute.maxbuffer.extrasize` together.
    #[must_use]
    pub const fn new(record_bytes_max: usize) -> Self {
        Self {
            expected: Expected::SessionCount,
            record_bytes_max,
        }
    }

    /// Reads the part at the start of what has arrived, and says how many bytes it took; `None` if more is needed. Behind
    /// the end there are [`SnapshotPart::End`]s of no bytes.
    ///
    /// # Errors
    /// If a length is out of range, a path or ACL null, or the signature another one. The stream is of no use then.
    pub fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(SnapshotPart<'a>, usize)>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut next = self.clone();
        match next.read(&mut reader) {
            Ok(part) => {
                *self = next;
                Ok(Some((part, reader.offset())))
            }
            Err(error) if error.kind == DecodeErrorKind::Short => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read<'a>(&mut self, reader: &mut Reader<'a>) -> Result<SnapshotPart<'a>, DecodeError> {
        loop {
            match self.expected {
                Expected::SessionCount => {
                    let left = reader.count("count of sessions")?.unwrap_or_default();
                    self.expected = Expected::Sessions { left };
                }
                Expected::Sessions { left: 0 } => self.expected = Expected::AclCount,
                Expected::Sessions { left } => {
                    self.expected = Expected::Sessions { left: left - 1 };
                    return Ok(SnapshotPart::Session {
                        session: SessionId(reader.long("session")?),
                        timeout_ms: reader.int("timeout of a session")?,
                    });
                }
                Expected::AclCount => {
                    let left = reader.count("count of ACLs")?.unwrap_or_default();
                    self.expected = Expected::Acls { left };
                }
                Expected::Acls { left: 0 } => self.expected = Expected::Node,
                Expected::Acls { left } => {
                    self.expected = Expected::Acls { left: left - 1 };
                    return self.acl(reader);
                }
                Expected::Node => {
                    if let Some(node) = self.node(reader)? {
                        return Ok(SnapshotPart::Node(node));
                    }
                    self.expected = Expected::Signature;
                }
                Expected::Signature => {
                    let start = reader.clone();
                    let signature = reader.bounded_buffer("signature", SNAPSHOT_SIGNATURE.len())?;
                    if signature != Some(SNAPSHOT_SIGNATURE.as_bytes()) {
                        return Err(start.error("signature", DecodeErrorKind::Inconsistent));
                    }
                    self.expected = Expected::Nothing;
                }
                Expected::Nothing => return Ok(SnapshotPart::End),
            }
        }
    }

    fn acl(&self, reader: &mut Reader<'_>) -> Result<SnapshotPart<'static>, DecodeError> {
        let key = reader.long("key of an ACL")?;
        self.skip_acl(&mut reader.clone())?;
        let null = reader.clone();
        let list = AclList::decode(reader)?;
        Ok(SnapshotPart::Acl {
            key,
            list: list.ok_or_else(|| null.error("ACL", DecodeErrorKind::Null))?,
        })
    }

    /// Goes over a list without an allocation: this is done again each time that some more bytes have arrived.
    fn skip_acl(&self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let start = reader.clone();
        let count = reader.count("ACL")?.unwrap_or_default();
        for _ in 0..count {
            reader.int("perms")?;
            reader.bounded_buffer("scheme", self.record_bytes_max)?;
            reader.bounded_buffer("id", self.record_bytes_max)?;
            if reader.offset() - start.offset() > self.record_bytes_max {
                let claimed = i32::try_from(count).unwrap_or(i32::MAX);
                return Err(start.error("ACL", DecodeErrorKind::Length(claimed)));
            }
        }
        Ok(())
    }

    fn node<'a>(&self, reader: &mut Reader<'a>) -> Result<Option<NodeRecord<'a>>, DecodeError> {
        let mut ahead = reader.clone();
        if ahead.bounded_buffer("path", self.record_bytes_max)? != Some(END_MARK.as_bytes()) {
            ahead.bounded_buffer("data", self.record_bytes_max)?;
        }
        NodeRecord::decode(reader)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::jute::Write;
    use crate::snapshot::{ACL_KEY_OPEN, encode_node};
    use crate::{Acl, Perms, StatPersisted, Value};

    const RECORD_BYTES_MAX: usize = 100;

    /// One session, one ACL, the root.
    fn snapshot() -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.int(1);
        bytes.long(7);
        bytes.int(5000);
        bytes.int(1);
        bytes.long(1);
        AclList::new([Acl::new(Perms::READ, "world", "anyone")].into()).encode(&mut bytes);
        encode_node(&mut bytes, "", &Value::NULL, ACL_KEY_OPEN, &StatPersisted::default());
        bytes.string(END_MARK);
        bytes.string(SNAPSHOT_SIGNATURE);
        bytes
    }

    /// All parts, or the first error with the bytes that were taken before it.
    fn parts(bytes: &[u8]) -> Result<Vec<SnapshotPart<'_>>, (usize, DecodeError)> {
        let mut stream = SnapshotStream::new(RECORD_BYTES_MAX);
        let mut parts = Vec::new();
        let mut at = 0;
        while parts.last() != Some(&SnapshotPart::End) {
            match stream.decode(&bytes[at..]) {
                Ok(Some((part, taken))) => {
                    parts.push(part);
                    at += taken;
                }
                Ok(None) => break,
                Err(error) => return Err((at, error)),
            }
        }
        Ok(parts)
    }

    #[test]
    fn every_part_is_found_and_what_follows_is_left() {
        let mut bytes = snapshot();
        bytes.extend([1, 2, 3]);
        let parts = parts(&bytes).unwrap();
        assert_eq!(parts.len(), 4);
        assert!(matches!(parts[0], SnapshotPart::Session { timeout_ms: 5000, .. }));
        assert!(matches!(parts[1], SnapshotPart::Acl { key: 1, .. }));
        assert!(matches!(&parts[2], SnapshotPart::Node(node) if node.path.is_empty()));
    }

    #[test]
    fn pieces_are_as_good_as_the_whole() {
        let bytes = snapshot();
        for size in 1..bytes.len() {
            let mut stream = SnapshotStream::new(RECORD_BYTES_MAX);
            let mut pending = Vec::new();
            let mut count = 0;
            for piece in bytes.chunks(size) {
                pending.extend_from_slice(piece);
                while let Some((part, taken)) = stream.decode(&pending).unwrap() {
                    let is_end = part == SnapshotPart::End;
                    count += 1;
                    pending.drain(..taken);
                    if is_end {
                        break;
                    }
                }
            }
            assert_eq!((count, pending.len()), (4, 0), "in pieces of {size}");
            assert_eq!(stream.decode(&[9]), Ok(Some((SnapshotPart::End, 0))));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let whole = snapshot();
        let check = |at: usize, wrong: &[u8], field, kind| {
            let mut bytes = whole.clone();
            bytes[at..at + wrong.len()].copy_from_slice(wrong);
            let (_, error) = parts(&bytes).unwrap_err();
            assert_eq!((error.field, error.kind), (field, kind));
        };
        let acl = 4 + 12 + 4 + 8;
        let node = acl + 4 + 4 + 9 + 10;
        let length = |length: i32| length.to_be_bytes();
        check(acl, &length(-1), "ACL", DecodeErrorKind::Null);
        check(acl + 8, &length(101), "scheme", DecodeErrorKind::Length(101));
        check(acl + 8, &length(-2), "scheme", DecodeErrorKind::Length(-2));
        check(acl + 8 + 9, &length(i32::MAX), "id", DecodeErrorKind::Length(i32::MAX));
        check(node, &length(-1), "path", DecodeErrorKind::Null);
        check(node, &length(101), "path", DecodeErrorKind::Length(101));
        check(node + 4, &length(101), "data", DecodeErrorKind::Length(101));
        let signature = whole.len() - 14;
        check(signature, &length(-1), "signature", DecodeErrorKind::Inconsistent);
        check(signature, &length(11), "signature", DecodeErrorKind::Length(11));
        check(signature + 4, b"D", "signature", DecodeErrorKind::Inconsistent);
    }

    #[test]
    fn counts_without_end_wait_for_their_bytes_and_an_endless_acl_is_refused() {
        let mut bytes = Vec::new();
        bytes.int(i32::MAX);
        assert_eq!(parts(&bytes), Ok(Vec::new()));
        let mut bytes = Vec::new();
        // Below -1 is none, as in Java.
        bytes.int(-5);
        bytes.int(1);
        bytes.long(1);
        bytes.int(i32::MAX);
        bytes.resize(bytes.len() + 12 * 9, 0);
        let (_, error) = parts(&bytes).unwrap_err();
        assert_eq!((error.field, error.kind), ("ACL", DecodeErrorKind::Length(i32::MAX)));
    }
}
