//! Multi and multiRead requests.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::request::CreateRequest;
use crate::OpCode;
use crate::jute::{DecodeError, DecodeErrorKind, Reader, Write};

/// What stands before each element of a multi and of its result, and (with `done`) at the end. 9 bytes.
///
/// Source: `org.apache.zookeeper.MultiHeader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiHeader {
    /// Operation of the element, −1 for an error result and at the end.
    pub kind: i32,
    /// Whether this is the end.
    pub done: bool,
    /// −1 in requests and at the end; in results the element's code.
    pub err: i32,
}

impl MultiHeader {
    /// The end of a multi request or response.
    pub const END: Self = Self {
        kind: -1,
        done: true,
        err: -1,
    };

    /// Appends the record.
    pub fn encode(&self, out: &mut impl Write) {
        out.int(self.kind);
        out.bool(self.done);
        out.int(self.err);
    }

    /// Reads the record.
    ///
    /// # Errors
    /// If it ends early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: reader.int("type")?,
            done: reader.bool("done")?,
            err: reader.int("err")?,
        })
    }
}

/// One element of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields as in the requests of the same name")]
pub enum MultiOp<'a> {
    Create(CreateRequest<'a>),
    Delete {
        path: Cow<'a, str>,
        version: i32,
    },
    SetData {
        path: Cow<'a, str>,
        data: Option<&'a [u8]>,
        version: i32,
    },
    Check {
        path: Cow<'a, str>,
        version: i32,
    },
    GetData {
        path: Cow<'a, str>,
    },
    GetChildren {
        path: Cow<'a, str>,
    },
}

impl MultiOp<'_> {
    const fn is_read(&self) -> bool {
        matches!(self, Self::GetData { .. } | Self::GetChildren { .. })
    }

    /// The operation's number.
    #[must_use]
    pub const fn op(&self) -> OpCode {
        match self {
            Self::Create(create) => create.op,
            Self::Delete { .. } => OpCode::Delete,
            Self::SetData { .. } => OpCode::SetData,
            Self::Check { .. } => OpCode::Check,
            Self::GetData { .. } => OpCode::GetData,
            Self::GetChildren { .. } => OpCode::GetChildren,
        }
    }
}

/// The elements of a multi (all writes) or of a multiRead (all reads).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiRequest<'a> {
    /// In the order of the request.
    pub ops: Vec<MultiOp<'a>>,
}

/// Fewest bytes of an element: its header and an empty path with a flag.
const ELEMENT_BYTES_MIN: usize = 14;

impl<'a> MultiRequest<'a> {
    /// Reads the elements up to the end mark. `op` is [`OpCode::Multi`] or [`OpCode::MultiRead`].
    ///
    /// # Errors
    /// If the bytes end early, an element is of an unknown type, or of the wrong kind (reads in a multi, writes in a
    /// multiRead).
    pub fn decode(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut ops = Vec::with_capacity(reader.capacity(16, ELEMENT_BYTES_MIN));
        loop {
            let header = MultiHeader::decode(reader)?;
            if header.done {
                return Ok(Self { ops });
            }
            let element = Self::decode_element(header.kind, reader)?;
            if element.is_read() != (op == OpCode::MultiRead) {
                return Err(reader.error("type", DecodeErrorKind::Inconsistent));
            }
            ops.push(element);
        }
    }

    fn decode_element(kind: i32, reader: &mut Reader<'a>) -> Result<MultiOp<'a>, DecodeError> {
        let unknown = reader.error("type", DecodeErrorKind::Unknown(kind));
        Ok(match OpCode::from_i32(kind).ok_or(unknown)? {
            op @ (OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
                MultiOp::Create(CreateRequest::decode(op, reader)?)
            }
            OpCode::Delete => MultiOp::Delete {
                path: reader.required_string("path")?,
                version: reader.int("version")?,
            },
            OpCode::SetData => MultiOp::SetData {
                path: reader.required_string("path")?,
                data: reader.buffer("data")?,
                version: reader.int("version")?,
            },
            OpCode::Check => MultiOp::Check {
                path: reader.required_string("path")?,
                version: reader.int("version")?,
            },
            OpCode::GetData => {
                let path = reader.required_string("path")?;
                reader.bool("watch")?;
                MultiOp::GetData { path }
            }
            OpCode::GetChildren => {
                let path = reader.required_string("path")?;
                reader.bool("watch")?;
                MultiOp::GetChildren { path }
            }
            _ => return Err(unknown),
        })
    }

    /// Appends the elements and the end mark.
    pub fn encode(&self, out: &mut impl Write) {
        for op in &self.ops {
            MultiHeader {
                kind: op.op().code(),
                done: false,
                err: -1,
            }
            .encode(out);
            match op {
                MultiOp::Create(create) => create.encode(out),
                MultiOp::Delete { path, version } | MultiOp::Check { path, version } => {
                    out.string(path);
                    out.int(*version);
                }
                MultiOp::SetData { path, data, version } => {
                    out.string(path);
                    out.buffer(*data);
                    out.int(*version);
                }
                MultiOp::GetData { path } | MultiOp::GetChildren { path } => {
                    out.string(path);
                    out.bool(false);
                }
            }
        }
        MultiHeader::END.encode(out);
    }
}
