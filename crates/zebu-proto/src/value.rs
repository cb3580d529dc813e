//! The data of a znode.

use core::fmt;

use triomphe::ThinArc;

/// A znode's data: null, or shared immutable bytes. Null and empty are distinct values.
///
/// One pointer wide; a clone shares the bytes. 16 bytes of overhead per non-null value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Value(Option<ThinArc<(), u8>>);

impl Value {
    /// The null value (length −1 on the wire).
    pub const NULL: Self = Self(None);

    /// A copy of `bytes`; `None` gives the null value.
    #[must_use]
    pub fn from_option(bytes: Option<&[u8]>) -> Self {
        Self(bytes.map(|bytes| ThinArc::from_header_and_slice((), bytes)))
    }

    /// The bytes, or `None` for the null value.
    #[must_use]
    pub fn as_option(&self) -> Option<&[u8]> {
        self.0.as_ref().map(|arc| &arc.slice[..])
    }

    /// The bytes; none for the null value.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.as_option().unwrap_or_default()
    }

    /// Number of bytes, 0 for the null value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there are no bytes: null or empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

/// A znode's data as it is kept: in a value of its own, which can be shared, or within something else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// The null value.
    Null,
    /// Bytes that somebody else holds.
    Bytes(&'a [u8]),
    /// A value of its own.
    Shared(&'a Value),
}

impl<'a> ValueRef<'a> {
    /// The bytes, or `None` for the null value.
    #[must_use]
    pub fn as_option(self) -> Option<&'a [u8]> {
        match self {
            Self::Null => None,
            Self::Bytes(bytes) => Some(bytes),
            Self::Shared(value) => value.as_option(),
        }
    }

    /// The bytes; none for the null value.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.as_option().unwrap_or_default()
    }

    /// Number of bytes, 0 for the null value.
    #[must_use]
    pub fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there are no bytes: null or empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.as_bytes().is_empty()
    }

    /// A value of its own; the bytes are copied unless they are in one.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Shared(value) => value.clone(),
            other => Value::from_option(other.as_option()),
        }
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Shared(value)
    }
}

impl fmt::Debug for ValueRef<'_> {
    /// Length only: data never appears in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_option() {
            None => f.write_str("ValueRef(null)"),
            Some(bytes) => write!(f, "ValueRef({} bytes)", bytes.len()),
        }
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::from_option(Some(bytes))
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Value {
    /// Length only: data never appears in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_option() {
            None => f.write_str("Value(null)"),
            Some(bytes) => write!(f, "Value({} bytes)", bytes.len()),
        }
    }
}
