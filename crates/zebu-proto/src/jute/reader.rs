//! Reading jute records from a slice that may hold anything.

use alloc::borrow::Cow;
use alloc::string::String;

use thiserror::Error;

/// Bytes that are not the record they should be. The fault lies with whoever sent or wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind} in {field}, at byte {offset} of the record")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The field that was being read.
    pub field: &'static str,
    /// Offset of the field in the slice that was read.
    pub offset: usize,
}

/// Why bytes could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The record ends inside a field. For a file or stream read in pieces: more bytes are needed.
    #[error("record ends early")]
    Short,
    /// A length below −1 or above the limit of the reader.
    #[error("length {0} out of range")]
    Length(i32),
    /// Null where a value is required.
    #[error("unexpected null")]
    Null,
    /// A number that names nothing: an operation, a type, a mode.
    #[error("unknown type {0}")]
    Unknown(i32),
    /// A combination that the record's definition excludes.
    #[error("inconsistent contents")]
    Inconsistent,
}

/// A cursor over the bytes of one or more records. It never reads past the end and never allocates by a length that
/// it has not checked against the bytes at hand.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.offset..]
    }

    /// Whether all bytes have been read.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.offset == self.bytes.len()
    }

    /// An error about `field` at the current offset.
    #[must_use]
    pub const fn error(&self, field: &'static str, kind: DecodeErrorKind) -> DecodeError {
        DecodeError {
            kind,
            field,
            offset: self.offset,
        }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.rest().first_chunk::<N>() {
            Some(chunk) => {
                self.offset += N;
                Ok(*chunk)
            }
            None => Err(self.error(field, DecodeErrorKind::Short)),
        }
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Short`] at the end.
    pub fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// Reads a boolean; any non-zero byte is true.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Short`] at the end.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        self.byte(field).map(|byte| byte != 0)
    }

    /// Reads an int.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Short`] with fewer than 4 bytes left.
    pub fn int(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.array(field).map(i32::from_be_bytes)
    }

    /// Reads a long.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Short`] with fewer than 8 bytes left.
    pub fn long(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// Reads a buffer; `None` is null.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Length`] for a length below −1, [`DecodeErrorKind::Short`] if it runs past the end.
    pub fn buffer(&mut self, field: &'static str) -> Result<Option<&'a [u8]>, DecodeError> {
        let start = self.clone();
        let len = self.int(field)?;
        if len == -1 {
            return Ok(None);
        }
        let Ok(len) = usize::try_from(len) else {
            return Err(start.error(field, DecodeErrorKind::Length(len)));
        };
        match self.rest().get(..len) {
            Some(bytes) => {
                self.offset += len;
                Ok(Some(bytes))
            }
            None => Err(self.error(field, DecodeErrorKind::Short)),
        }
    }

    /// Reads a buffer of at most `bytes_max` bytes; `None` is null. A length above the limit is refused before its bytes
    /// are there, which is what a stream needs.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Length`] for a length below −1 or above the limit, [`DecodeErrorKind::Short`] if it runs past
    /// the end.
    pub fn bounded_buffer(&mut self, field: &'static str, bytes_max: usize) -> Result<Option<&'a [u8]>, DecodeError> {
        let start = self.clone();
        let len = start.clone().int(field)?;
        if usize::try_from(len).is_ok_and(|len| len > bytes_max) {
            return Err(start.error(field, DecodeErrorKind::Length(len)));
        }
        self.buffer(field)
    }

    /// Reads a string; `None` is null. Malformed UTF-8 becomes U+FFFD, as in Java.
    ///
    /// # Errors
    /// As [`Reader::buffer`].
    pub fn string(&mut self, field: &'static str) -> Result<Option<Cow<'a, str>>, DecodeError> {
        Ok(self.buffer(field)?.map(String::from_utf8_lossy))
    }

    /// Reads a string that must not be null.
    ///
    /// # Errors
    /// As [`Reader::buffer`], and [`DecodeErrorKind::Null`].
    pub fn required_string(&mut self, field: &'static str) -> Result<Cow<'a, str>, DecodeError> {
        let start = self.clone();
        self.string(field)?
            .ok_or_else(|| start.error(field, DecodeErrorKind::Null))
    }

    /// Reads a vector's count; `None` is null. The count is what the sender claims: use [`Reader::capacity`] before
    /// allocating by it.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Short`] with fewer than 4 bytes left.
    pub fn count(&mut self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        let count = self.int(field)?;
        Ok(if count == -1 {
            None
        } else {
            Some(usize::try_from(count).unwrap_or(0))
        })
    }

    /// How many elements of at least `element_bytes_min` bytes can really follow, at most `count`.
    #[must_use]
    pub fn capacity(&self, count: usize, element_bytes_min: usize) -> usize {
        count.min(self.rest().len() / element_bytes_min.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_below_minus_one_is_refused_where_it_stands() {
        let mut reader = Reader::new(&[0, 0, 0, 7, 0xff, 0xff, 0xff, 0xfe]);
        reader.int("n").unwrap();
        let error = reader.buffer("data").unwrap_err();
        assert_eq!(
            error,
            DecodeError {
                kind: DecodeErrorKind::Length(-2),
                field: "data",
                offset: 4
            }
        );
    }

    #[test]
    fn null_and_empty_are_distinct() {
        assert_eq!(Reader::new(&[0xff; 4]).buffer("b").unwrap(), None);
        assert_eq!(Reader::new(&[0; 4]).buffer("b").unwrap(), Some(&[][..]));
    }

    #[test]
    fn a_count_never_leads_to_an_allocation_beyond_the_bytes_at_hand() {
        let reader = Reader::new(&[0; 100]);
        assert_eq!(reader.capacity(usize::MAX, 10), 10);
        assert_eq!(reader.capacity(3, 10), 3);
    }

    #[test]
    fn a_vector_count_below_minus_one_reads_as_empty() {
        assert_eq!(Reader::new(&(-5i32).to_be_bytes()).count("v").unwrap(), Some(0));
        assert_eq!(Reader::new(&(-1i32).to_be_bytes()).count("v").unwrap(), None);
    }
}
