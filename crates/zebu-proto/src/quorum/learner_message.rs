//! What a learner sends to its leader.

use alloc::vec::Vec;

use super::packet::{encode_authinfo, encode_head, encode_packet, encode_pieces};
use super::{LearnerInfo, PacketType, QuorumPacket};
use crate::jute::{DecodeError, DecodeErrorKind, Reader, Write};
use crate::{Epoch, Id, SessionId, Xid, Zxid};

/// The zxid of packets that have none.
const NO_ZXID: Zxid = Zxid(-1);

/// A session that did something since the last ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTouch {
    /// The session.
    pub session: SessionId,
    /// Its timeout in milliseconds.
    pub timeout_ms: i32,
}

impl SessionTouch {
    /// Bytes on the wire.
    const BYTES: usize = 12;
}

/// A packet from a follower or observer, taken apart.
///
/// The type's name in Java stands first in each description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnerMessage<'a> {
    /// FOLLOWERINFO, the first packet of one that is or wants to be a voter.
    FollowerInfo {
        /// The highest epoch that it has promised to follow.
        accepted_epoch: Epoch,
        /// Who it is.
        info: LearnerInfo,
    },
    /// OBSERVERINFO, the first packet of an observer.
    ObserverInfo {
        /// The highest epoch that it has promised to follow.
        accepted_epoch: Epoch,
        /// Who it is.
        info: LearnerInfo,
    },
    /// ACKEPOCH, the answer to LEADERINFO.
    AckEpoch {
        /// The last zxid in its log.
        last_zxid: Zxid,
        /// The epoch of its history; `None` (−1) if it had promised this epoch before, so that the answer is no promise.
        current_epoch: Option<Epoch>,
    },
    /// ACK: everything up to this transaction is durable here; or, with the start of an epoch, the whole history of
    /// NEWLEADER is (after UPTODATE the same once more).
    Ack {
        /// The transaction, or the start of the epoch.
        zxid: Zxid,
    },
    /// PING, the answer to the leader's.
    Ping {
        /// That of the leader's ping.
        zxid: Zxid,
        /// Who was heard of since the last one.
        sessions: Vec<SessionTouch>,
    },
    /// REVALIDATE: a client that came back wants to know whether its session still exists.
    Revalidate {
        /// The session.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
    /// REQUEST: a client's write, or sync, or the server's own createSession and closeSession.
    Request {
        /// The client's session.
        session: SessionId,
        /// The client's number for it; 0 for createSession.
        cxid: Xid,
        /// Number of the operation; [`crate::OpCode::from_i32`] may not know it.
        op: i32,
        /// The request's record as the client sent it.
        body: &'a [u8],
        /// Who the client is; `None` for null.
        authinfo: Option<Vec<Id>>,
    },
}

impl<'a> LearnerMessage<'a> {
    /// Takes a packet apart. Bytes behind the last field of a type are ignored, as in Java, save in PING.
    ///
    /// # Errors
    /// If the type is unknown or none of a learner's ([`DecodeErrorKind::Unknown`]; Java ignores such packets once it
    /// leads), or the data is not that of the type.
    pub fn decode(packet: QuorumPacket<'a>) -> Result<Self, DecodeError> {
        let kind = PacketType::from_i32(packet.kind);
        Ok(match kind {
            Some(PacketType::FollowerInfo) => Self::FollowerInfo {
                accepted_epoch: epoch_of(&packet, "zxid of FOLLOWERINFO")?,
                info: LearnerInfo::decode(packet.data_reader("data of FOLLOWERINFO")?.rest())?,
            },
            Some(PacketType::ObserverInfo) => Self::ObserverInfo {
                accepted_epoch: epoch_of(&packet, "zxid of OBSERVERINFO")?,
                info: LearnerInfo::decode(packet.data_reader("data of OBSERVERINFO")?.rest())?,
            },
            Some(PacketType::AckEpoch) => Self::AckEpoch {
                last_zxid: packet.zxid,
                current_epoch: current_epoch(packet.data_reader("data of ACKEPOCH")?)?,
            },
            Some(PacketType::Ack) => Self::Ack { zxid: packet.zxid },
            Some(PacketType::Ping) => Self::Ping {
                zxid: packet.zxid,
                sessions: sessions(packet.data_reader("data of PING")?)?,
            },
            Some(PacketType::Revalidate) => {
                let mut reader = packet.data_reader("data of REVALIDATE")?;
                Self::Revalidate {
                    session: SessionId(reader.long("session of REVALIDATE")?),
                    timeout_ms: reader.int("timeout of REVALIDATE")?,
                }
            }
            Some(PacketType::Request) => {
                let mut reader = packet.data_reader("data of REQUEST")?;
                Self::Request {
                    session: SessionId(reader.long("session of REQUEST")?),
                    cxid: Xid(reader.int("cxid of REQUEST")?),
                    op: reader.int("type of REQUEST")?,
                    body: reader.rest(),
                    authinfo: packet.authinfo,
                }
            }
            Some(
                PacketType::Proposal
                | PacketType::Commit
                | PacketType::Sync
                | PacketType::Inform
                | PacketType::CommitAndActivate
                | PacketType::NewLeader
                | PacketType::UpToDate
                | PacketType::Diff
                | PacketType::Trunc
                | PacketType::Snap
                | PacketType::LeaderInfo
                | PacketType::InformAndActivate,
            )
            | None => {
                return Err(packet.error("a learner's packet", DecodeErrorKind::Unknown(packet.kind)));
            }
        })
    }

    /// The type of its packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::FollowerInfo { .. } => PacketType::FollowerInfo,
            Self::ObserverInfo { .. } => PacketType::ObserverInfo,
            Self::AckEpoch { .. } => PacketType::AckEpoch,
            Self::Ack { .. } => PacketType::Ack,
            Self::Ping { .. } => PacketType::Ping,
            Self::Revalidate { .. } => PacketType::Revalidate,
            Self::Request { .. } => PacketType::Request,
        }
    }

    /// Appends the packet as Java sends it.
    pub fn encode(&self, out: &mut impl Write) {
        let kind = self.packet_type();
        match self {
            Self::FollowerInfo { accepted_epoch, info } | Self::ObserverInfo { accepted_epoch, info } => {
                let mut data = Vec::with_capacity(20);
                info.encode(&mut data);
                encode_packet(out, kind, Zxid::epoch_start(*accepted_epoch), Some(&[&data]));
            }
            Self::AckEpoch {
                last_zxid,
                current_epoch,
            } => {
                let epoch = current_epoch.map_or(-1, |epoch| epoch.0.cast_signed());
                encode_packet(out, kind, *last_zxid, Some(&[&epoch.to_be_bytes()]));
            }
            Self::Ack { zxid } => encode_packet(out, kind, *zxid, None),
            Self::Ping { zxid, sessions } => {
                encode_head(out, kind.code(), *zxid);
                out.length(sessions.len() * SessionTouch::BYTES);
                for touch in sessions {
                    out.long(touch.session.0);
                    out.int(touch.timeout_ms);
                }
                encode_authinfo(out, None);
            }
            Self::Revalidate { session, timeout_ms } => {
                let pieces: [&[u8]; 2] = [&session.0.to_be_bytes(), &timeout_ms.to_be_bytes()];
                encode_packet(out, kind, NO_ZXID, Some(&pieces));
            }
            Self::Request {
                session,
                cxid,
                op,
                body,
                authinfo,
            } => {
                encode_head(out, kind.code(), NO_ZXID);
                let (session, cxid, op) = (session.0.to_be_bytes(), cxid.0.to_be_bytes(), op.to_be_bytes());
                encode_pieces(out, Some(&[&session, &cxid, &op, body]));
                encode_authinfo(out, authinfo.as_deref());
            }
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

/// The epoch in a packet's zxid. One whose first bit is set would be below all others in Java, and above all others here.
pub(super) fn epoch_of(packet: &QuorumPacket<'_>, field: &'static str) -> Result<Epoch, DecodeError> {
    if packet.zxid.0 < 0 {
        return Err(DecodeError {
            kind: DecodeErrorKind::Inconsistent,
            field,
            offset: 4,
        });
    }
    Ok(packet.zxid.epoch())
}

fn current_epoch(mut reader: Reader<'_>) -> Result<Option<Epoch>, DecodeError> {
    let start = reader.clone();
    let epoch = reader.int("epoch of ACKEPOCH")?;
    match u32::try_from(epoch) {
        Ok(epoch) => Ok(Some(Epoch(epoch))),
        Err(_) if epoch == -1 => Ok(None),
        Err(_) => Err(start.error("epoch of ACKEPOCH", DecodeErrorKind::Inconsistent)),
    }
}

fn sessions(mut reader: Reader<'_>) -> Result<Vec<SessionTouch>, DecodeError> {
    let mut sessions = Vec::with_capacity(reader.rest().len() / SessionTouch::BYTES);
    while !reader.is_at_end() {
        sessions.push(SessionTouch {
            session: SessionId(reader.long("session of PING")?),
            timeout_ms: reader.int("timeout of PING")?,
        });
    }
    Ok(sessions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Sid;
    use crate::quorum::ConfigVersion;

    fn decode(bytes: &[u8]) -> Result<LearnerMessage<'_>, DecodeError> {
        let (packet, taken) = QuorumPacket::decode(bytes, 1000)?.unwrap();
        assert_eq!(taken, bytes.len());
        LearnerMessage::decode(packet)
    }

    fn packet(kind: PacketType, zxid: i64, data: Option<&[u8]>) -> Result<LearnerMessage<'_>, DecodeError> {
        LearnerMessage::decode(QuorumPacket {
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
        check(PacketType::FollowerInfo, None, Null, "data of FOLLOWERINFO");
        check(PacketType::ObserverInfo, None, Null, "data of OBSERVERINFO");
        check(
            PacketType::FollowerInfo,
            Some(&[0; 7]),
            Short,
            "serverid of LearnerInfo",
        );
        check(PacketType::AckEpoch, None, Null, "data of ACKEPOCH");
        check(PacketType::AckEpoch, Some(&[0; 3]), Short, "epoch of ACKEPOCH");
        check(PacketType::Ping, None, Null, "data of PING");
        check(PacketType::Ping, Some(&[0; 13]), Short, "session of PING");
        check(PacketType::Ping, Some(&[0; 23]), Short, "timeout of PING");
        check(PacketType::Revalidate, Some(&[0; 11]), Short, "timeout of REVALIDATE");
        check(PacketType::Request, None, Null, "data of REQUEST");
        check(PacketType::Request, Some(&[0; 15]), Short, "type of REQUEST");
    }

    #[test]
    fn what_a_leader_sends_is_no_learner_s_message() {
        for kind in PacketType::ALL {
            let zeros = [0; 24];
            match packet(kind, 0, Some(&zeros)) {
                Ok(message) => assert_eq!(message.packet_type(), kind),
                Err(error) => assert_eq!(error.kind, DecodeErrorKind::Unknown(kind.code())),
            }
        }
    }

    #[test]
    fn a_negative_epoch_is_refused_and_minus_one_is_none() {
        let refused = packet(PacketType::FollowerInfo, -1, Some(&[0; 20])).unwrap_err();
        assert_eq!((refused.field, refused.offset), ("zxid of FOLLOWERINFO", 4));
        let epoch = |epoch: i32| match packet(PacketType::AckEpoch, 0, Some(&epoch.to_be_bytes())) {
            Ok(LearnerMessage::AckEpoch { current_epoch, .. }) => Ok(current_epoch),
            Ok(_) => unreachable!(),
            Err(error) => Err(error.kind),
        };
        assert_eq!(epoch(-1), Ok(None));
        assert_eq!(epoch(7), Ok(Some(Epoch(7))));
        assert_eq!(epoch(-2), Err(DecodeErrorKind::Inconsistent));
    }

    fn message<'a>(body: &'a [u8], ids: &[(&str, &str)]) -> impl Strategy<Value = LearnerMessage<'a>> + use<'a> {
        let authinfo: Vec<_> = ids.iter().map(|(scheme, id)| Id::new(scheme, id)).collect();
        let epoch = || (0..0x8000_0000_u32).prop_map(Epoch);
        let info = || {
            (any::<i64>(), any::<i32>(), any::<Option<i64>>()).prop_map(|(sid, protocol_version, version)| {
                LearnerInfo {
                    sid: Sid(sid),
                    protocol_version,
                    config_version: version.map(ConfigVersion),
                }
            })
        };
        let touch = (any::<i64>(), any::<i32>()).prop_map(|(session, timeout_ms)| SessionTouch {
            session: SessionId(session),
            timeout_ms,
        });
        prop_oneof![
            (epoch(), info()).prop_map(|(accepted_epoch, info)| LearnerMessage::FollowerInfo { accepted_epoch, info }),
            (epoch(), info()).prop_map(|(accepted_epoch, info)| LearnerMessage::ObserverInfo { accepted_epoch, info }),
            (any::<i64>(), prop::option::of(epoch())).prop_map(|(zxid, current_epoch)| LearnerMessage::AckEpoch {
                last_zxid: Zxid(zxid),
                current_epoch,
            }),
            any::<i64>().prop_map(|zxid| LearnerMessage::Ack { zxid: Zxid(zxid) }),
            (any::<i64>(), prop::collection::vec(touch, 0..4)).prop_map(|(zxid, sessions)| LearnerMessage::Ping {
                zxid: Zxid(zxid),
                sessions,
            }),
            (any::<i64>(), any::<i32>()).prop_map(|(session, timeout_ms)| LearnerMessage::Revalidate {
                session: SessionId(session),
                timeout_ms,
            }),
            (any::<i64>(), any::<[i32; 2]>(), any::<bool>()).prop_map(move |(session, [cxid, op], known)| {
                LearnerMessage::Request {
                    session: SessionId(session),
                    cxid: Xid(cxid),
                    op,
                    body,
                    authinfo: known.then(|| authinfo.clone()),
                }
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message in message(b"body", &[("ip", "127.0.0.1"), ("", "")])) {
            let bytes = message.to_vec();
            prop_assert_eq!(decode(&bytes), Ok(message));
        }
    }
}
