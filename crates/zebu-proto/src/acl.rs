//! Access control lists.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::jute::{DecodeError, DecodeErrorKind, Reader, Write};

/// Permission bits of an ACL entry. Bits outside of the five known ones are kept as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Perms(pub i32);

impl Perms {
    /// Read data, list children, receive events.
    pub const READ: Self = Self(1);
    /// Set data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Set the ACL, see it unmasked.
    pub const ADMIN: Self = Self(16);
    /// All five.
    pub const ALL: Self = Self(31);

    /// Whether any bit of `wanted` is granted.
    #[must_use]
    pub const fn grants(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Either set of bits.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// An identity: a scheme and a name in that scheme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// `world`, `digest`, `ip`, ...
    pub scheme: String,
    /// What the scheme makes of it.
    pub id: String,
}

impl Id {
    /// An identity from its two parts.
    #[must_use]
    pub fn new(scheme: &str, id: &str) -> Self {
        Self {
            scheme: scheme.into(),
            id: id.into(),
        }
    }
}

/// One entry of an ACL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// What is granted.
    pub perms: Perms,
    /// To whom.
    pub id: Id,
}

impl Acl {
    /// An entry from its parts.
    #[must_use]
    pub fn new(perms: Perms, scheme: &str, id: &str) -> Self {
        Self {
            perms,
            id: Id::new(scheme, id),
        }
    }
}

/// `world:anyone` with all permissions, as an encoded vector of one entry: what nearly all requests carry.
const OPEN_BYTES: &[u8] = b"\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone";

/// An ACL: a shared immutable list. The list that nearly everybody uses costs no allocation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclList(Entries);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Entries {
    Open,
    Other(Arc<[Acl]>),
}

impl AclList {
    /// Everybody may do everything (`ZooDefs.Ids.OPEN_ACL_UNSAFE`).
    pub const OPEN: Self = Self(Entries::Open);

    /// A list with these entries.
    #[must_use]
    pub fn new(entries: Vec<Acl>) -> Self {
        if let [entry] = &entries[..]
            && entry.perms == Perms::ALL
            && entry.id.scheme == "world"
            && entry.id.id == "anyone"
        {
            return Self::OPEN;
        }
        Self(Entries::Other(entries.into()))
    }

    /// Whether this is [`AclList::OPEN`].
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.0, Entries::Open)
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Entries::Other(entries) if entries.is_empty())
    }

    /// The entries; `None` stands for the one entry of [`AclList::OPEN`].
    #[must_use]
    pub fn entries(&self) -> Option<&[Acl]> {
        match &self.0 {
            Entries::Open => None,
            Entries::Other(entries) => Some(entries),
        }
    }

    /// The entries as an owned list.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Acl> {
        match &self.0 {
            Entries::Open => alloc::vec![Acl::new(Perms::ALL, "world", "anyone")],
            Entries::Other(entries) => entries.to_vec(),
        }
    }

    /// Appends the vector of entries.
    pub fn encode(&self, out: &mut impl Write) {
        match &self.0 {
            Entries::Open => out.put(OPEN_BYTES),
            Entries::Other(entries) => {
                out.length(entries.len());
                for entry in entries.iter() {
                    out.int(entry.perms.0);
                    out.string(&entry.id.scheme);
                    out.string(&entry.id.id);
                }
            }
        }
    }

    /// Reads a vector of entries whose strings are all present; `None` is the null vector.
    ///
    /// # Errors
    /// If it ends early, or a scheme is null.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        if let Some(_rest) = reader.rest().strip_prefix(OPEN_BYTES) {
            reader.count("acl")?;
            reader.int("perms")?;
            reader.buffer("scheme")?;
            reader.buffer("id")?;
            return Ok(Some(Self::OPEN));
        }
        let Some(count) = reader.count("acl")? else {
            return Ok(None);
        };
        let mut entries = Vec::with_capacity(reader.capacity(count, 12));
        for _ in 0..count {
            let perms = Perms(reader.int("perms")?);
            let scheme = reader.required_string("scheme")?.into_owned();
            // kazoo sends null for the empty id that goes with the scheme `auth`.
            let id = reader.string("id")?.unwrap_or_default().into_owned();
            entries.push(Acl {
                perms,
                id: Id { scheme, id },
            });
        }
        Ok(Some(Self::new(entries)))
    }
}

/// An ACL as a client sent it: null lists and null strings are for the server to judge, they are no framing errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedAcl {
    /// A list in which every entry has a scheme.
    List(AclList),
    /// A null list, or an entry with a null scheme: an invalid ACL.
    Invalid,
}

impl RequestedAcl {
    /// Reads what a client sent.
    ///
    /// # Errors
    /// If it ends early or a length is out of range.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut attempt = reader.clone();
        match AclList::decode(&mut attempt) {
            Ok(list) => {
                *reader = attempt;
                Ok(list.map_or(Self::Invalid, Self::List))
            }
            Err(DecodeError {
                kind: DecodeErrorKind::Null,
                ..
            }) => {
                let entries = read_lenient(reader)?;
                Ok(entries.map_or(Self::Invalid, |entries| Self::List(AclList::new(entries))))
            }
            Err(error) => Err(error),
        }
    }
}

/// Reads entries in which strings may be null; `None` if there is no list, or a scheme is missing.
fn read_lenient(reader: &mut Reader<'_>) -> Result<Option<Vec<Acl>>, DecodeError> {
    let Some(count) = reader.count("acl")? else {
        return Ok(None);
    };
    let mut entries = Some(Vec::with_capacity(reader.capacity(count, 12)));
    for _ in 0..count {
        let perms = Perms(reader.int("perms")?);
        let scheme = reader.string("scheme")?;
        let id = reader.string("id")?.unwrap_or_default().into_owned();
        entries = entries.zip(scheme).map(|(mut entries, scheme)| {
            let scheme = scheme.into_owned();
            entries.push(Acl {
                perms,
                id: Id { scheme, id },
            });
            entries
        });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(list: &AclList) -> AclList {
        let mut bytes = Vec::new();
        list.encode(&mut bytes);
        let mut reader = Reader::new(&bytes);
        let back = AclList::decode(&mut reader).unwrap().unwrap();
        assert!(reader.is_at_end());
        back
    }

    #[test]
    fn lists_read_back_as_written() {
        let closed = AclList::new(alloc::vec![
            Acl::new(Perms::READ, "digest", "bob:x"),
            Acl::new(Perms(255), "ip", "::1")
        ]);
        assert_eq!(round_trip(&closed), closed);
        assert!(round_trip(&AclList::OPEN).is_open());
        assert_eq!(AclList::new(AclList::OPEN.to_vec()), AclList::OPEN);
    }

    #[test]
    fn a_null_id_is_an_empty_one() {
        let mut bytes = Vec::new();
        bytes.int(1);
        bytes.int(31);
        bytes.string("auth");
        bytes.int(-1);
        let RequestedAcl::List(list) = RequestedAcl::decode(&mut Reader::new(&bytes)).unwrap() else {
            panic!("a list")
        };
        assert_eq!(list.to_vec(), [Acl::new(Perms::ALL, "auth", "")]);
    }

    #[test]
    fn a_null_scheme_is_an_invalid_acl_and_the_bytes_after_it_are_found() {
        let mut bytes = Vec::new();
        bytes.int(1);
        bytes.int(31);
        bytes.int(-1);
        bytes.string("x");
        bytes.int(77);
        let mut reader = Reader::new(&bytes);
        assert_eq!(RequestedAcl::decode(&mut reader).unwrap(), RequestedAcl::Invalid);
        assert_eq!(reader.int("next").unwrap(), 77);
    }
}
