//! Reply headers.

use crate::jute::{DecodeError, Reader, Write};
use crate::{ErrorCode, Xid, Zxid};

/// What stands before every reply and notification. 16 bytes.
///
/// Source: `org.apache.zookeeper.proto.ReplyHeader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's number, or one of the special values of [`Xid`].
    pub xid: Xid,
    /// Last zxid applied on the server when the reply was built.
    pub zxid: Zxid,
    /// 0 or an [`ErrorCode`].
    pub err: i32,
}

impl ReplyHeader {
    /// Bytes on the wire.
    pub const BYTES: usize = 16;

    /// The header of a successful reply.
    #[must_use]
    pub const fn ok(xid: Xid, zxid: Zxid) -> Self {
        Self { xid, zxid, err: 0 }
    }

    /// The header of a refusal.
    #[must_use]
    pub const fn error(xid: Xid, zxid: Zxid, error: ErrorCode) -> Self {
        Self {
            xid,
            zxid,
            err: error.code(),
        }
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut impl Write) {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.xid.0.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.zxid.0.to_be_bytes());
        bytes[12..].copy_from_slice(&self.err.to_be_bytes());
        out.put(&bytes);
    }

    /// Reads the record.
    ///
    /// # Errors
    /// If it ends early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            xid: Xid(reader.int("xid")?),
            zxid: Zxid(reader.long("zxid")?),
            err: reader.int("err")?,
        })
    }
}
