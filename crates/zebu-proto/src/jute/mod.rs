//! The jute codec: big-endian primitives, length-prefixed strings and buffers, counted vectors.
//!
//! | type | bytes |
//! |---|---|
//! | boolean | 1, any non-zero reads as true |
//! | int, long | 4, 8, two's complement |
//! | buffer, ustring | int length, then the bytes; −1 is null, distinct from empty |
//! | vector | int count, then the elements; −1 is null, smaller counts read as empty |
//!
//! Source: `org.apache.jute.BinaryInputArchive`, `BinaryOutputArchive`.

mod reader;
mod writer;

pub use reader::{DecodeError, DecodeErrorKind, Reader};
pub use writer::{Write, begin_frame, end_frame};
