//! Node metadata: what clients see, what is stored, and what the owner field means.

use crate::jute::{DecodeError, Reader, Write};
use crate::{SessionId, Zxid};

/// A znode's metadata as clients see it, 68 bytes on the wire in this order.
///
/// Source: `org.apache.zookeeper.data.Stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Transaction that created the node.
    pub czxid: Zxid,
    /// Transaction that last set the data.
    pub mzxid: Zxid,
    /// Creation time, wall-clock milliseconds of the leader.
    pub ctime: i64,
    /// Time of the last set of the data.
    pub mtime: i64,
    /// Number of sets of the data.
    pub version: i32,
    /// Number of creates and deletes of children.
    pub cversion: i32,
    /// Number of sets of the ACL.
    pub aversion: i32,
    /// Session of an ordinary ephemeral node, else 0.
    pub ephemeral_owner: i64,
    /// Bytes of data.
    pub data_length: i32,
    /// Direct children.
    pub num_children: i32,
    /// Transaction that last created or deleted a child, at first the node's own creation.
    pub pzxid: Zxid,
}

impl Stat {
    /// Bytes on the wire.
    pub const BYTES: usize = 68;

    /// Appends the record.
    pub fn encode(&self, out: &mut impl Write) {
        let mut bytes = [0; Self::BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&self.czxid.0.to_be_bytes());
        put(&self.mzxid.0.to_be_bytes());
        put(&self.ctime.to_be_bytes());
        put(&self.mtime.to_be_bytes());
        put(&self.version.to_be_bytes());
        put(&self.cversion.to_be_bytes());
        put(&self.aversion.to_be_bytes());
        put(&self.ephemeral_owner.to_be_bytes());
        put(&self.data_length.to_be_bytes());
        put(&self.num_children.to_be_bytes());
        put(&self.pzxid.0.to_be_bytes());
        out.put(&bytes);
    }

    /// Reads the record.
    ///
    /// # Errors
    /// If it ends early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: Zxid(reader.long("czxid")?),
            mzxid: Zxid(reader.long("mzxid")?),
            ctime: reader.long("ctime")?,
            mtime: reader.long("mtime")?,
            version: reader.int("version")?,
            cversion: reader.int("cversion")?,
            aversion: reader.int("aversion")?,
            ephemeral_owner: reader.long("ephemeralOwner")?,
            data_length: reader.int("dataLength")?,
            num_children: reader.int("numChildren")?,
            pzxid: Zxid(reader.long("pzxid")?),
        })
    }
}

/// A znode's metadata as stored and replicated.
///
/// Source: `org.apache.zookeeper.data.StatPersisted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatPersisted {
    /// Transaction that created the node.
    pub czxid: Zxid,
    /// Transaction that last set the data.
    pub mzxid: Zxid,
    /// Creation time, wall-clock milliseconds.
    pub ctime: i64,
    /// Time of the last set of the data.
    pub mtime: i64,
    /// Number of sets of the data.
    pub version: i32,
    /// Number of children ever created. Not what clients see: they see `2 * cversion - children`.
    pub cversion: i32,
    /// Number of sets of the ACL.
    pub aversion: i32,
    /// Raw owner field, see [`Owner`].
    pub ephemeral_owner: i64,
    /// Transaction that last created or deleted a child.
    pub pzxid: Zxid,
}

impl StatPersisted {
    /// Bytes in a snapshot, and in the block that the tree digest covers.
    pub const BYTES: usize = 60;

    /// Appends the record in the order of snapshots.
    pub fn encode(&self, out: &mut impl Write) {
        out.long(self.czxid.0);
        out.long(self.mzxid.0);
        out.long(self.ctime);
        out.long(self.mtime);
        out.int(self.version);
        out.int(self.cversion);
        out.int(self.aversion);
        out.long(self.ephemeral_owner);
        out.long(self.pzxid.0);
    }

    /// Reads the record in the order of snapshots.
    ///
    /// # Errors
    /// If it ends early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: Zxid(reader.long("czxid")?),
            mzxid: Zxid(reader.long("mzxid")?),
            ctime: reader.long("ctime")?,
            mtime: reader.long("mtime")?,
            version: reader.int("version")?,
            cversion: reader.int("cversion")?,
            aversion: reader.int("aversion")?,
            ephemeral_owner: reader.long("ephemeralOwner")?,
            pzxid: Zxid(reader.long("pzxid")?),
        })
    }

    /// The block that enters a node's digest: the same fields in another order than in snapshots.
    ///
    /// Source: `org.apache.zookeeper.server.DigestCalculator`.
    #[must_use]
    pub fn digest_block(&self) -> [u8; Self::BYTES] {
        let mut block = [0; Self::BYTES];
        let longs = [self.czxid.0, self.mzxid.0, self.pzxid.0, self.ctime, self.mtime];
        for (slot, long) in block.chunks_exact_mut(8).zip(longs) {
            slot.copy_from_slice(&long.to_be_bytes());
        }
        block[40..44].copy_from_slice(&self.version.to_be_bytes());
        block[44..48].copy_from_slice(&self.cversion.to_be_bytes());
        block[48..52].copy_from_slice(&self.aversion.to_be_bytes());
        block[52..60].copy_from_slice(&self.ephemeral_owner.to_be_bytes());
        block
    }

    /// What clients see of a node with this metadata, `data_length` bytes and `num_children` children.
    #[must_use]
    pub fn to_stat(&self, data_length: usize, num_children: u32, rules: OwnerRules) -> Stat {
        let num_children = i32::try_from(num_children).unwrap_or(i32::MAX);
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.cversion.wrapping_mul(2).wrapping_sub(num_children),
            aversion: self.aversion,
            ephemeral_owner: match rules.owner(self.ephemeral_owner) {
                Owner::Session(session) => session.0,
                Owner::None | Owner::Container | Owner::Ttl(_) => 0,
            },
            data_length: i32::try_from(data_length).unwrap_or(i32::MAX),
            num_children,
            pzxid: self.pzxid,
        }
    }
}

/// What the owner field of a stored node says about the node's kind.
///
/// Source: `org.apache.zookeeper.server.EphemeralType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A persistent node.
    None,
    /// An ordinary ephemeral node of this session.
    Session(SessionId),
    /// A container.
    Container,
    /// A node with a time to live in milliseconds, 0 to [`Owner::TTL_MS_MAX`].
    Ttl(i64),
}

impl Owner {
    /// Longest time to live: 40 bits of milliseconds.
    pub const TTL_MS_MAX: i64 = 0xff_ffff_ffff;
    /// Raw field of containers.
    pub const CONTAINER: i64 = i64::MIN;
    /// Top byte of raw fields that mean something other than a session, when extended types are on.
    const EXTENDED: i64 = 0xff_i64 << 56;
    const EXTENDED_FEATURE: i64 = 0xffff << 40;

    /// The raw field of this owner. There is one form for times to live, also where that of 3.5.3 is read.
    ///
    /// Source: `org.apache.zookeeper.server.EphemeralType.TTL.toEphemeralOwner`.
    #[must_use]
    pub const fn raw(self, _rules: OwnerRules) -> i64 {
        match self {
            Self::None => 0,
            Self::Session(session) => session.0,
            Self::Container => Self::CONTAINER,
            Self::Ttl(ms) => Self::EXTENDED | ms,
        }
    }
}

/// Server-wide settings that decide how a raw owner field is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerRules {
    /// `zookeeper.extendedTypesEnabled`: TTL nodes exist.
    pub extended_types: bool,
    /// `zookeeper.emulate353TTLNodes`: TTL nodes as release 3.5.3 wrote them are read.
    pub emulate_353: bool,
}

impl OwnerRules {
    /// What a raw owner field means. Reserved extended values count as sessions that nobody has.
    #[must_use]
    pub const fn owner(self, raw: i64) -> Owner {
        if raw == 0 {
            return Owner::None;
        }
        if raw == Owner::CONTAINER {
            return Owner::Container;
        }
        if self.extended_types {
            if self.emulate_353 && raw < 0 {
                return Owner::Ttl(raw & Owner::TTL_MS_MAX);
            }
            if raw & Owner::EXTENDED == Owner::EXTENDED && raw & Owner::EXTENDED_FEATURE == 0 {
                return Owner::Ttl(raw & Owner::TTL_MS_MAX);
            }
        }
        Owner::Session(SessionId(raw))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn owner_fields_read_back_as_written() {
        let on = OwnerRules {
            extended_types: true,
            emulate_353: false,
        };
        for owner in [
            Owner::None,
            Owner::Container,
            Owner::Ttl(1),
            Owner::Ttl(Owner::TTL_MS_MAX),
            Owner::Session(SessionId(0x0100_0000_0000_0001)),
        ] {
            assert_eq!(on.owner(owner.raw(on)), owner);
        }
        assert_eq!(Owner::Ttl(5000).raw(on).cast_unsigned(), 0xff00_0000_0000_1388);
    }

    #[test]
    fn with_extended_types_off_a_ttl_field_is_an_ordinary_session() {
        let raw = 0xff00_0000_0000_1388_u64.cast_signed();
        assert_eq!(OwnerRules::default().owner(raw), Owner::Session(SessionId(raw)));
    }

    #[test]
    fn clients_see_creates_plus_deletes_as_cversion() {
        let stored = StatPersisted {
            cversion: 5,
            ephemeral_owner: i64::MIN,
            ..StatPersisted::default()
        };
        let seen = stored.to_stat(3, 4, OwnerRules::default());
        assert_eq!(
            (seen.cversion, seen.num_children, seen.data_length, seen.ephemeral_owner),
            (6, 4, 3, 0)
        );
    }

    #[test]
    fn stats_read_back_as_written() {
        let stat = Stat {
            czxid: Zxid(1),
            mzxid: Zxid(2),
            ctime: 3,
            mtime: 4,
            version: 5,
            cversion: 6,
            aversion: 7,
            ephemeral_owner: 8,
            data_length: 9,
            num_children: 10,
            pzxid: Zxid(11),
        };
        let mut bytes = Vec::new();
        stat.encode(&mut bytes);
        assert_eq!(bytes.len(), Stat::BYTES);
        assert_eq!(Stat::decode(&mut Reader::new(&bytes)).unwrap(), stat);
    }
}
