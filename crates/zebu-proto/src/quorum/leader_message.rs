//! What a leader, or an observer's master, sends to a learner.

use alloc::vec::Vec;

use super::learner_message::epoch_of;
use super::packet::encode_packet;
use super::{PROTOCOL_VERSION, PacketType, QuorumPacket};
use crate::jute::{DecodeError, DecodeErrorKind, Write};
use crate::{Epoch, SessionId, Sid, Zxid};

/// A packet to a learner, taken apart. Transactions and configurations stay as they are.
///
/// The type's name in Java stands first in each description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderMessage<'a> {
    /// LEADERINFO: the epoch that is to be, in answer to FOLLOWERINFO or OBSERVERINFO.
    LeaderInfo {
        /// The proposed epoch.
        epoch: Epoch,
        /// [`PROTOCOL_VERSION`].
        protocol_version: i32,
    },
    /// DIFF: what the learner has is right; what it lacks follows as proposals.
    Diff {
        /// The last transaction that the leader has committed.
        zxid: Zxid,
    },
    /// TRUNC: the learner removes everything behind this from its log; what it lacks then follows.
    Trunc {
        /// The last one that stays.
        zxid: Zxid,
    },
    /// SNAP: a whole tree follows in the stream, see [`super::SnapshotStream`].
    Snap {
        /// The tree has every transaction up to this one, and perhaps some later ones.
        zxid: Zxid,
    },
    /// NEWLEADER: the learner has the history of the epoch.
    NewLeader {
        /// The epoch.
        epoch: Epoch,
        /// The text of the last configuration that the leader has seen; `None` from a leader before 3.5 (null, or a
        /// single byte).
        config: Option<&'a [u8]>,
    },
    /// UPTODATE: the leader leads; the learner may serve clients.
    UpToDate,
    /// PROPOSAL: to be logged and acknowledged.
    Proposal {
        /// The transaction's.
        zxid: Zxid,
        /// The transaction, see [`crate::txn`].
        txn: &'a [u8],
    },
    /// COMMIT: the oldest logged proposal is to be applied.
    Commit {
        /// That proposal's.
        zxid: Zxid,
    },
    /// COMMITANDACTIVATE: COMMIT of a change of the configuration.
    CommitAndActivate {
        /// That proposal's.
        zxid: Zxid,
        /// Who is meant to lead with it.
        designated_leader: Sid,
    },
    /// INFORM: proposal and commit in one, to observers.
    Inform {
        /// The transaction's.
        zxid: Zxid,
        /// The transaction, see [`crate::txn`].
        txn: &'a [u8],
    },
    /// INFORMANDACTIVATE: INFORM of a change of the configuration.
    InformAndActivate {
        /// The transaction's.
        zxid: Zxid,
        /// Who is meant to lead with it.
        designated_leader: Sid,
        /// The transaction, see [`crate::txn`].
        txn: &'a [u8],
    },
    /// PING: the leader is there.
    Ping {
        /// The last transaction that it has proposed.
        zxid: Zxid,
    },
    /// REVALIDATE: the answer to a learner's.
    Revalidate {
        /// The session.
        session: SessionId,
        /// Whether it exists.
        valid: bool,
    },
    /// SYNC: the oldest sync that the learner has asked for is done.
    Sync,
}

impl<'a> LeaderMessage<'a> {
    /// Takes a packet apart. Bytes behind the last field of a type are ignored, as in Java.
    ///
    /// # Errors
    /// If the type is unknown or none of a leader's ([`DecodeErrorKind::Unknown`]; Java ignores such packets once the
    /// handshake is over), or the data is not that of the type.
    pub fn decode(packet: &QuorumPacket<'a>) -> Result<Self, DecodeError> {
        let zxid = packet.zxid;
        Ok(match PacketType::from_i32(packet.kind) {
            Some(PacketType::LeaderInfo) => Self::LeaderInfo {
                epoch: epoch_of(packet, "zxid of LEADERINFO")?,
                protocol_version: packet
                    .data_reader("data of LEADERINFO")?
                    .int("protocolVersion of LEADERINFO")?,
            },
            Some(PacketType::Diff) => Self::Diff { zxid },
            Some(PacketType::Trunc) => Self::Trunc { zxid },
            Some(PacketType::Snap) => Self::Snap { zxid },
            Some(PacketType::NewLeader) => Self::NewLeader {
                epoch: epoch_of(packet, "zxid of NEWLEADER")?,
                config: packet.data.filter(|config| config.len() > 1),
            },
            Some(PacketType::UpToDate) => Self::UpToDate,
            Some(PacketType::Proposal) => Self::Proposal {
                zxid,
                txn: packet.data_reader("data of PROPOSAL")?.rest(),
            },
            Some(PacketType::Commit) => Self::Commit { zxid },
            Some(PacketType::CommitAndActivate) => Self::CommitAndActivate {
                zxid,
                designated_leader: Sid(packet
                    .data_reader("data of COMMITANDACTIVATE")?
                    .long("leader of COMMITANDACTIVATE")?),
            },
            Some(PacketType::Inform) => Self::Inform {
                zxid,
                txn: packet.data_reader("data of INFORM")?.rest(),
            },
            Some(PacketType::InformAndActivate) => {
                let mut reader = packet.data_reader("data of INFORMANDACTIVATE")?;
                Self::InformAndActivate {
                    zxid,
                    designated_leader: Sid(reader.long("leader of INFORMANDACTIVATE")?),
                    txn: reader.rest(),
                }
            }
            Some(PacketType::Ping) => Self::Ping { zxid },
            Some(PacketType::Revalidate) => {
                let mut reader = packet.data_reader("data of REVALIDATE")?;
                Self::Revalidate {
                    session: SessionId(reader.long("session of REVALIDATE")?),
                    valid: reader.bool("validity of REVALIDATE")?,
                }
            }
            Some(PacketType::Sync) => Self::Sync,
            Some(
                PacketType::Request
                | PacketType::Ack
                | PacketType::FollowerInfo
                | PacketType::ObserverInfo
                | PacketType::AckEpoch,
            )
            | None => {
                return Err(packet.error("a leader's packet", DecodeErrorKind::Unknown(packet.kind)));
            }
        })
    }

    /// LEADERINFO of a leader of today.
    #[must_use]
    pub const fn leader_info(epoch: Epoch) -> Self {
        Self::LeaderInfo {
            epoch,
            protocol_version: PROTOCOL_VERSION,
        }
    }

    /// The type of its packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::LeaderInfo { .. } => PacketType::LeaderInfo,
            Self::Diff { .. } => PacketType::Diff,
            Self::Trunc { .. } => PacketType::Trunc,
            Self::Snap { .. } => PacketType::Snap,
            Self::NewLeader { .. } => PacketType::NewLeader,
            Self::UpToDate => PacketType::UpToDate,
            Self::Proposal { .. } => PacketType::Proposal,
            Self::Commit { .. } => PacketType::Commit,
            Self::CommitAndActivate { .. } => PacketType::CommitAndActivate,
            Self::Inform { .. } => PacketType::Inform,
            Self::InformAndActivate { .. } => PacketType::InformAndActivate,
            Self::Ping { .. } => PacketType::Ping,
            Self::Revalidate { .. } => PacketType::Revalidate,
            Self::Sync => PacketType::Sync,
        }
    }

    /// Appends the packet as Java sends it.
    pub fn encode(&self, out: &mut impl Write) {
        let kind = self.packet_type();
        match *self {
            Self::LeaderInfo {
                epoch,
                protocol_version,
            } => encode_packet(
                out,
                kind,
                Zxid::epoch_start(epoch),
                Some(&[&protocol_version.to_be_bytes()]),
            ),
            Self::NewLeader { epoch, config } => match config {
                Some(config) => encode_packet(out, kind, Zxid::epoch_start(epoch), Some(&[config])),
                None => encode_packet(out, kind, Zxid::epoch_start(epoch), None),
            },
            Self::UpToDate => encode_packet(out, kind, Zxid(-1), None),
            Self::Diff { zxid }
            | Self::Trunc { zxid }
            | Self::Snap { zxid }
            | Self::Commit { zxid }
            | Self::Ping { zxid } => encode_packet(out, kind, zxid, None),
            Self::Proposal { zxid, txn } | Self::Inform { zxid, txn } => encode_packet(out, kind, zxid, Some(&[txn])),
            Self::CommitAndActivate {
                zxid,
                designated_leader,
            } => encode_packet(out, kind, zxid, Some(&[&designated_leader.0.to_be_bytes()])),
            Self::InformAndActivate {
                zxid,
                designated_leader,
                txn,
            } => encode_packet(out, kind, zxid, Some(&[&designated_leader.0.to_be_bytes(), txn])),
            Self::Revalidate { session, valid } => {
                let pieces: [&[u8]; 2] = [&session.0.to_be_bytes(), &[u8::from(valid)]];
                encode_packet(out, kind, Zxid(-1), Some(&pieces));
            }
            Self::Sync => encode_packet(out, kind, Zxid::ZERO, None),
        }
    }

    /// The packet as bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        self.encode(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<LeaderMessage<'_>, DecodeError> {
        let (packet, taken) = QuorumPacket::decode(bytes, 1000)?.unwrap();
        assert_eq!(taken, bytes.len());
        LeaderMessage::decode(&packet)
    }

    fn packet(kind: PacketType, zxid: i64, data: Option<&[u8]>) -> Result<LeaderMessage<'_>, DecodeError> {
        LeaderMessage::decode(&QuorumPacket {
            kind: kind.code(),
            zxid: Zxid(zxid),
            data,
            authinfo: None,
        })
    }

    #[test]
    fn null_and_short_data_are_refused_by_name() {
        let check = |kind: PacketType, data: Option<&[u8]>, error, text: &str| {
            let refused = packet(kind, 0, data).unwrap_err();
            assert_eq!(refused.kind, error, "{kind:?}");
            assert_eq!(refused.field, text);
        };
        use DecodeErrorKind::{Null, Short};
        check(PacketType::LeaderInfo, None, Null, "data of LEADERINFO");
        check(
            PacketType::LeaderInfo,
            Some(&[0; 3]),
            Short,
            "protocolVersion of LEADERINFO",
        );
        check(PacketType::Proposal, None, Null, "data of PROPOSAL");
        check(PacketType::Inform, None, Null, "data of INFORM");
        check(PacketType::CommitAndActivate, None, Null, "data of COMMITANDACTIVATE");
        check(
            PacketType::CommitAndActivate,
            Some(&[0; 7]),
            Short,
            "leader of COMMITANDACTIVATE",
        );
        check(
            PacketType::InformAndActivate,
            Some(&[0; 7]),
            Short,
            "leader of INFORMANDACTIVATE",
        );
        check(PacketType::Revalidate, Some(&[0; 8]), Short, "validity of REVALIDATE");
    }

    #[test]
    fn what_a_learner_sends_is_no_leader_s_message() {
        for kind in PacketType::ALL {
            let zeros = [0; 24];
            match packet(kind, 0, Some(&zeros)) {
                Ok(message) => assert_eq!(message.packet_type(), kind),
                Err(error) => assert_eq!(error.kind, DecodeErrorKind::Unknown(kind.code())),
            }
        }
    }

    #[test]
    fn an_old_leader_has_no_configuration() {
        for data in [None, Some(&[][..]), Some(&[7][..])] {
            let expected = LeaderMessage::NewLeader {
                epoch: Epoch(3),
                config: None,
            };
            assert_eq!(packet(PacketType::NewLeader, 3 << 32, data), Ok(expected));
        }
        assert!(packet(PacketType::NewLeader, -1, None).is_err());
        assert!(packet(PacketType::LeaderInfo, i64::MIN, Some(&[0; 4])).is_err());
    }

    fn message(bytes: &'static [u8]) -> impl Strategy<Value = LeaderMessage<'static>> {
        let zxid = || any::<i64>().prop_map(Zxid);
        let epoch = || (0..0x8000_0000_u32).prop_map(Epoch);
        prop_oneof![
            (epoch(), any::<i32>()).prop_map(|(epoch, protocol_version)| LeaderMessage::LeaderInfo {
                epoch,
                protocol_version
            }),
            zxid().prop_map(|zxid| LeaderMessage::Diff { zxid }),
            zxid().prop_map(|zxid| LeaderMessage::Trunc { zxid }),
            zxid().prop_map(|zxid| LeaderMessage::Snap { zxid }),
            (epoch(), any::<bool>()).prop_map(|(epoch, some)| LeaderMessage::NewLeader {
                epoch,
                config: some.then_some(bytes)
            }),
            Just(LeaderMessage::UpToDate),
            zxid().prop_map(|zxid| LeaderMessage::Proposal { zxid, txn: bytes }),
            zxid().prop_map(|zxid| LeaderMessage::Commit { zxid }),
            (zxid(), any::<i64>()).prop_map(|(zxid, sid)| LeaderMessage::CommitAndActivate {
                zxid,
                designated_leader: Sid(sid)
            }),
            zxid().prop_map(|zxid| LeaderMessage::Inform { zxid, txn: bytes }),
            (zxid(), any::<i64>()).prop_map(|(zxid, sid)| LeaderMessage::InformAndActivate {
                zxid,
                designated_leader: Sid(sid),
                txn: bytes
            }),
            zxid().prop_map(|zxid| LeaderMessage::Ping { zxid }),
            (any::<i64>(), any::<bool>()).prop_map(|(session, valid)| LeaderMessage::Revalidate {
                session: SessionId(session),
                valid
            }),
            Just(LeaderMessage::Sync),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message in message(b"some bytes")) {
            let bytes = message.to_vec();
            prop_assert_eq!(decode(&bytes), Ok(message));
        }
    }
}
