//! A whole transaction: header, body, digest.

use alloc::vec::Vec;

use super::Txn;
use crate::jute::{DecodeError, DecodeErrorKind, Reader, Write};
use crate::{OpCode, SessionId, WallMillis, Xid, Zxid};

/// Who asked for a transaction, and its place in the order.
///
/// Source: `org.apache.zookeeper.txn.TxnHeader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnHeader {
    /// Session of the client, [`SessionId::NONE`] for the server's own.
    pub session: SessionId,
    /// The client's request number.
    pub cxid: Xid,
    /// Place in the order.
    pub zxid: Zxid,
    /// Leader's wall clock when it was proposed: `ctime` and `mtime` of what it touches.
    pub time: WallMillis,
    /// Type of the body.
    pub op: OpCode,
}

impl TxnHeader {
    /// Bytes on the wire and in files.
    pub const BYTES: usize = 32;

    /// Appends the record.
    pub fn encode(&self, out: &mut impl Write) {
        out.long(self.session.0);
        out.int(self.cxid.0);
        out.long(self.zxid.0);
        out.long(self.time.0);
        out.int(self.op.code());
    }

    /// Reads the record.
    ///
    /// # Errors
    /// If it ends early or the type is unknown.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let session = SessionId(reader.long("clientId")?);
        let cxid = Xid(reader.int("cxid")?);
        let zxid = Zxid(reader.long("zxid")?);
        let time = WallMillis(reader.long("time")?);
        let unknown = reader.clone();
        let op = reader.int("type")?;
        let op = OpCode::from_i32(op).ok_or_else(|| unknown.error("type", DecodeErrorKind::Unknown(op)))?;
        Ok(Self {
            session,
            cxid,
            zxid,
            time,
            op,
        })
    }
}

/// The tree digest after a transaction.
///
/// Source: `org.apache.zookeeper.txn.TxnDigest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnDigest {
    /// How the digest is computed; [`TxnDigest::VERSION`] is the one that this code knows.
    pub version: i32,
    /// Wrapping sum of the node digests.
    pub tree: u64,
}

impl TxnDigest {
    /// Bytes on the wire and in files.
    pub const BYTES: usize = 12;
    /// The version in use since 3.6.0.
    pub const VERSION: i32 = 2;

    /// Appends the record.
    pub fn encode(&self, out: &mut impl Write) {
        out.int(self.version);
        out.long(self.tree.cast_signed());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.int("version")?,
            tree: reader.long("treeDigest")?.cast_unsigned(),
        })
    }
}

/// A transaction with its header and, if digests are on, the tree digest that must hold after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnRecord {
    /// Who, where, when.
    pub header: TxnHeader,
    /// What.
    pub txn: Txn,
    /// Digest of the tree after it; errors carry none.
    pub digest: Option<TxnDigest>,
}

impl TxnRecord {
    /// Appends header, body and digest.
    pub fn encode(&self, out: &mut impl Write) {
        self.header.encode(out);
        self.txn.encode(out);
        if let Some(digest) = &self.digest {
            digest.encode(out);
        }
    }

    /// The bytes as a vector.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        self.encode(&mut bytes);
        bytes
    }

    /// Reads a whole record. Unknown bytes behind the digest are ignored, as they would be a later release's.
    ///
    /// # Errors
    /// If it ends early, a length is out of range or a type unknown.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let header = TxnHeader::decode(&mut reader)?;
        let txn = Txn::decode(header.op, &mut reader)?;
        let digest = if reader.rest().len() >= TxnDigest::BYTES {
            Some(TxnDigest::decode(&mut reader)?)
        } else {
            None
        };
        Ok(Self { header, txn, digest })
    }
}
