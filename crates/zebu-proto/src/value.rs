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
