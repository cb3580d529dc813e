//! The unit of the quorum port.

use alloc::vec::Vec;

use crate::jute::{DecodeError, DecodeErrorKind, Reader, Write};
use crate::{Id, Zxid};

/// Most bytes that the identities of a packet may have together. Java has no such limit; a client collects identities of
/// its own choice, so this is many times what one request can bring.
pub const AUTHINFO_BYTES_MAX: usize = 16 << 20;

/// Bytes of type and zxid.
const HEAD_BYTES: usize = 12;

/// Fewest bytes of an identity: two lengths.
const ID_BYTES_MIN: usize = 8;

/// What a packet is.
///
/// Source: the constants of `org.apache.zookeeper.server.quorum.Leader`, whose names these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is described at LearnerMessage or LeaderMessage")]
pub enum PacketType {
    Request = 1,
    Proposal = 2,
    Ack = 3,
    Commit = 4,
    Ping = 5,
    Revalidate = 6,
    Sync = 7,
    Inform = 8,
    CommitAndActivate = 9,
    NewLeader = 10,
    FollowerInfo = 11,
    UpToDate = 12,
    Diff = 13,
    Trunc = 14,
    Snap = 15,
    ObserverInfo = 16,
    LeaderInfo = 17,
    AckEpoch = 18,
    InformAndActivate = 19,
}

impl PacketType {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 19] = [
        Self::Request,
        Self::Proposal,
        Self::Ack,
        Self::Commit,
        Self::Ping,
        Self::Revalidate,
        Self::Sync,
        Self::Inform,
        Self::CommitAndActivate,
        Self::NewLeader,
        Self::FollowerInfo,
        Self::UpToDate,
        Self::Diff,
        Self::Trunc,
        Self::Snap,
        Self::ObserverInfo,
        Self::LeaderInfo,
        Self::AckEpoch,
        Self::InformAndActivate,
    ];

    /// The type with this number.
    #[must_use]
    pub fn from_i32(code: i32) -> Option<Self> {
        let index = usize::try_from(code).ok()?.checked_sub(1)?;
        Self::ALL.get(index).copied()
    }

    /// Its number.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// Its name in Java and in every log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Proposal => "PROPOSAL",
            Self::Ack => "ACK",
            Self::Commit => "COMMIT",
            Self::Ping => "PING",
            Self::Revalidate => "REVALIDATE",
            Self::Sync => "SYNC",
            Self::Inform => "INFORM",
            Self::CommitAndActivate => "COMMITANDACTIVATE",
            Self::NewLeader => "NEWLEADER",
            Self::FollowerInfo => "FOLLOWERINFO",
            Self::UpToDate => "UPTODATE",
            Self::Diff => "DIFF",
            Self::Trunc => "TRUNC",
            Self::Snap => "SNAP",
            Self::ObserverInfo => "OBSERVERINFO",
            Self::LeaderInfo => "LEADERINFO",
            Self::AckEpoch => "ACKEPOCH",
            Self::InformAndActivate => "INFORMANDACTIVATE",
        }
    }
}

/// A packet as it stands in the stream: at least 20 bytes, without a length in front.
///
/// Source: `org.apache.zookeeper.server.quorum.QuorumPacket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumPacket<'a> {
    /// Number of the type; [`PacketType::from_i32`] may not know it.
    pub kind: i32,
    /// By type: a transaction, an epoch's start, or nothing.
    pub zxid: Zxid,
    /// By type; `None` for null.
    pub data: Option<&'a [u8]>,
    /// Who the client of a request is; `None` for null.
    pub authinfo: Option<Vec<Id>>,
}

impl<'a> QuorumPacket<'a> {
    /// Reads the packet at the start of what has arrived, and says how many bytes it took; `None` if more is needed.
    ///
    /// `data_bytes_max` is the longest data, and the longest string, that is taken. Java takes `jute.maxbuffer` and
    /// `zookeeper.jute.maxbuffer.extrasize` together.
    ///
    /// # Errors
    /// If a length is out of range, the identities are more than [`AUTHINFO_BYTES_MAX`] or a part of one is null. The
    /// stream is of no use then.
    pub fn decode(bytes: &'a [u8], data_bytes_max: usize) -> Result<Option<(Self, usize)>, DecodeError> {
        let mut reader = Reader::new(bytes);
        match Self::read(&mut reader, data_bytes_max) {
            Ok(packet) => Ok(Some((packet, reader.offset()))),
            Err(error) if error.kind == DecodeErrorKind::Short => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(reader: &mut Reader<'a>, data_bytes_max: usize) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: reader.int("type")?,
            zxid: Zxid(reader.long("zxid")?),
            data: reader.bounded_buffer("data", data_bytes_max)?,
            authinfo: read_authinfo(reader, data_bytes_max)?,
        })
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut impl Write) {
        encode_head(out, self.kind, self.zxid);
        out.buffer(self.data);
        encode_authinfo(out, self.authinfo.as_deref());
    }

    /// An error about the data or the type.
    pub(super) fn error(&self, field: &'static str, kind: DecodeErrorKind) -> DecodeError {
        let offset = match kind {
            DecodeErrorKind::Unknown(_) => 0,
            DecodeErrorKind::Short
            | DecodeErrorKind::Length(_)
            | DecodeErrorKind::Null
            | DecodeErrorKind::Inconsistent => HEAD_BYTES,
        };
        DecodeError { kind, field, offset }
    }

    /// A reader of the data of a type that must have some.
    pub(super) fn data_reader(&self, field: &'static str) -> Result<Reader<'a>, DecodeError> {
        let data = self.data.ok_or_else(|| self.error(field, DecodeErrorKind::Null))?;
        Ok(Reader::new(data))
    }
}

/// Appends type and zxid.
pub(super) fn encode_head(out: &mut impl Write, kind: i32, zxid: Zxid) {
    out.int(kind);
    out.long(zxid.0);
}

/// Appends a packet whose data comes in pieces, and that has no identities.
pub(super) fn encode_packet(out: &mut impl Write, kind: PacketType, zxid: Zxid, data: Option<&[&[u8]]>) {
    encode_head(out, kind.code(), zxid);
    encode_pieces(out, data);
    encode_authinfo(out, None);
}

/// Appends a buffer that comes in pieces.
pub(super) fn encode_pieces(out: &mut impl Write, pieces: Option<&[&[u8]]>) {
    let Some(pieces) = pieces else {
        return out.int(-1);
    };
    out.length(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.put(piece);
    }
}

/// Appends the identities.
pub(super) fn encode_authinfo(out: &mut impl Write, authinfo: Option<&[Id]>) {
    let Some(authinfo) = authinfo else {
        return out.int(-1);
    };
    out.length(authinfo.len());
    for id in authinfo {
        out.string(&id.scheme);
        out.string(&id.id);
    }
}

/// Reads the identities once all of them are there.
fn read_authinfo(reader: &mut Reader<'_>, string_bytes_max: usize) -> Result<Option<Vec<Id>>, DecodeError> {
    let Some(count) = reader.count("authinfo")? else {
        return Ok(None);
    };
    skip_authinfo(&mut reader.clone(), count, string_bytes_max)?;
    let mut ids = Vec::with_capacity(reader.capacity(count, ID_BYTES_MIN));
    for _ in 0..count {
        ids.push(Id {
            scheme: reader.required_string("scheme")?.into_owned(),
            id: reader.required_string("id")?.into_owned(),
        });
    }
    Ok(Some(ids))
}

/// Goes over the identities without an allocation: this is done again each time that some more bytes have arrived.
fn skip_authinfo(reader: &mut Reader<'_>, count: usize, string_bytes_max: usize) -> Result<(), DecodeError> {
    let start = reader.clone();
    for _ in 0..count {
        reader.bounded_buffer("scheme", string_bytes_max)?;
        reader.bounded_buffer("id", string_bytes_max)?;
        if reader.offset() - start.offset() > AUTHINFO_BYTES_MAX {
            let claimed = i32::try_from(count).unwrap_or(i32::MAX);
            return Err(start.error("authinfo", DecodeErrorKind::Length(claimed)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(packet: &QuorumPacket<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        bytes
    }

    #[test]
    fn every_type_has_a_number_and_a_name() {
        for (code, kind) in (1..).zip(PacketType::ALL) {
            assert_eq!(PacketType::from_i32(code), Some(kind));
            assert_eq!(kind.code(), code);
            let debug = alloc::format!("{kind:?}").to_uppercase();
            assert_eq!(kind.name(), debug);
        }
        for code in [0, 20, -1, i32::MIN, i32::MAX] {
            assert_eq!(PacketType::from_i32(code), None);
        }
    }

    #[test]
    fn a_length_is_refused_before_its_bytes_are_there() {
        let check = |bytes: &[u8], field, offset, length| {
            let expected = DecodeError {
                kind: DecodeErrorKind::Length(length),
                field,
                offset,
            };
            assert_eq!(QuorumPacket::decode(bytes, 100), Err(expected));
        };
        let mut head = Vec::new();
        encode_head(&mut head, 2, Zxid(7));
        for length in [101, -2, i32::MAX, i32::MIN] {
            let mut bytes = head.clone();
            bytes.int(length);
            check(&bytes, "data", 12, length);
            let mut bytes = head.clone();
            bytes.int(-1);
            bytes.int(1);
            bytes.string("ip");
            bytes.int(length);
            check(&bytes, "id", 26, length);
        }
        let mut bytes = head;
        bytes.int(100);
        assert_eq!(QuorumPacket::decode(&bytes, 100), Ok(None));
    }

    #[test]
    fn a_part_of_an_identity_is_not_null() {
        let mut bytes = Vec::new();
        encode_head(&mut bytes, 1, Zxid(-1));
        bytes.int(-1);
        bytes.int(1);
        bytes.int(-1);
        bytes.string("x");
        assert_eq!(
            QuorumPacket::decode(&bytes, 100).unwrap_err().kind,
            DecodeErrorKind::Null
        );
    }

    #[test]
    fn identities_without_end_are_refused() {
        let mut bytes = Vec::new();
        encode_head(&mut bytes, 1, Zxid(-1));
        bytes.int(-1);
        bytes.int(i32::MAX);
        bytes.resize(bytes.len() + AUTHINFO_BYTES_MAX, 0);
        assert_eq!(QuorumPacket::decode(&bytes, 100), Ok(None));
        bytes.resize(bytes.len() + ID_BYTES_MIN, 0);
        let error = QuorumPacket::decode(&bytes, 100).unwrap_err();
        assert_eq!(
            (error.field, error.kind),
            ("authinfo", DecodeErrorKind::Length(i32::MAX))
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_a_part_of_it_is_not(
            kind: i32,
            zxid: i64,
            data in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
            ids in prop::option::of(prop::collection::vec((".{0,5}", ".{0,5}"), 0..4)),
            cut: prop::sample::Index,
        ) {
            let packet = QuorumPacket {
                kind,
                zxid: Zxid(zxid),
                data: data.as_deref(),
                authinfo: ids.map(|ids| ids.iter().map(|(scheme, id)| Id::new(scheme, id)).collect()),
            };
            let mut bytes = encoded(&packet);
            let len = bytes.len();
            prop_assert_eq!(QuorumPacket::decode(&bytes[..cut.index(len)], 40), Ok(None));
            bytes.push(9);
            prop_assert_eq!(QuorumPacket::decode(&bytes, 40), Ok(Some((packet, len))));
        }
    }
}
