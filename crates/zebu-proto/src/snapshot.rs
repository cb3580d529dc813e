//! The parts of a snapshot. The file around them (checksums, compression) is the store's matter.
//!
//! | part | content |
//! |---|---|
//! | header | [`HEADER`] |
//! | sessions | int count; (long id, int timeout in ms)* |
//! | ACL table | int count; (long key, vector of ACL)* |
//! | nodes | ([`NodeRecord`])*, parents before children, root first with path `""`; then the string `/` |
//! | seal | long Adler-32 of everything before, string `/` |
//! | digest, seal | since 3.6: long zxid, int version, long digest |
//! | last zxid, seal | since 3.9: long |

use alloc::borrow::Cow;

use crate::jute::{DecodeError, Reader, Write};
use crate::{StatPersisted, ValueRef};

/// Magic `ZKSN`, version 2, database id −1.
pub const HEADER: [u8; 16] = *b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";

/// The path that ends the list of nodes, and the string of each seal.
pub const END_MARK: &str = "/";

/// ACL key of `world:anyone` with all permissions; it is not in the table.
pub const ACL_KEY_OPEN: i64 = -1;

/// A node as it stands in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord<'a> {
    /// Absolute path; the root's is empty.
    pub path: Cow<'a, str>,
    /// Data, `None` for null.
    pub data: Option<&'a [u8]>,
    /// Number of its ACL in the table, or [`ACL_KEY_OPEN`].
    pub acl_key: i64,
    /// Metadata.
    pub stat: StatPersisted,
}

impl<'a> NodeRecord<'a> {
    /// Reads a node, or `None` at the end mark.
    ///
    /// # Errors
    /// If it ends early, a length is out of range, or the path is null.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Option<Self>, DecodeError> {
        let path = reader.required_string("path")?;
        if path == END_MARK {
            return Ok(None);
        }
        let data = reader.buffer("data")?;
        let acl_key = reader.long("acl")?;
        Ok(Some(Self {
            path,
            data,
            acl_key,
            stat: StatPersisted::decode(reader)?,
        }))
    }
}

/// Appends a node.
pub fn encode_node<'a>(
    out: &mut impl Write,
    path: &str,
    data: impl Into<ValueRef<'a>>,
    acl_key: i64,
    stat: &StatPersisted,
) {
    out.string(path);
    out.value(data);
    out.long(acl_key);
    stat.encode(out);
}
