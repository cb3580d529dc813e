//! Votes on the election port.

use alloc::vec::Vec;
use core::fmt;

use crate::jute::{DecodeError, DecodeErrorKind, Reader, Write, begin_frame, end_frame};
use crate::{Epoch, Sid, Zxid};

/// Longest frame on the election port, bytes without the length.
///
/// Source: `QuorumCnxManager.PACKETMAXSIZE`.
pub const ELECTION_FRAME_BYTES_MAX: usize = 512 * 1024;

/// Bytes up to the configuration's.
const HEAD_BYTES: usize = 44;

/// What a server says about itself.
///
/// Source: `QuorumPeer.ServerState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerState {
    /// It looks for a leader.
    Looking,
    /// It follows one, with or without a vote.
    Following,
    /// It leads, or is about to.
    Leading,
    /// It observes.
    Observing,
}

impl PeerState {
    /// The state with this number.
    #[must_use]
    pub const fn from_i32(code: i32) -> Option<Self> {
        Some(match code {
            0 => Self::Looking,
            1 => Self::Following,
            2 => Self::Leading,
            3 => Self::Observing,
            _ => return None,
        })
    }

    /// Its number.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Looking => 0,
            Self::Following => 1,
            Self::Leading => 2,
            Self::Observing => 3,
        }
    }
}

/// The round of an election (Java: election epoch, logical clock). It counts from 1 in each process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round(pub i64);

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The epoch of the proposed leader in a vote: its current epoch, or [`PeerEpoch::NONE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerEpoch(pub i64);

impl PeerEpoch {
    /// In the votes of servers that may not vote; lower than every epoch.
    pub const NONE: Self = Self(i64::MIN);
}

impl From<Epoch> for PeerEpoch {
    fn from(epoch: Epoch) -> Self {
        Self(i64::from(epoch.0))
    }
}

impl fmt::Display for PeerEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A server's state and vote.
///
/// | offset | field | bytes |
/// |---|---|---|
/// | 0 | state | int |
/// | 4 | proposed leader | long |
/// | 12 | its zxid | long |
/// | 20 | round | long |
/// | 28 | its epoch | long; absent in the oldest form, of 28 bytes |
/// | 36 | version | int, [`Notification::VERSION`]; ignored in the older form, of 40 bytes |
/// | 40 | configuration | int length, then its text, see [`super::QuorumConfig`]; from version 2 on |
///
/// A server that may not vote proposes [`Sid`], [`Zxid`] and epoch `i64::MIN`.
///
/// Source: `FastLeaderElection.buildMsg`, `FastLeaderElection.Messenger.WorkerReceiver.run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification<'a> {
    /// What the sender does.
    pub state: PeerState,
    /// Whom it votes for, or follows.
    pub leader: Sid,
    /// The last zxid of that server.
    pub zxid: Zxid,
    /// The round in which it does.
    pub round: Round,
    /// The epoch of that server. From a message without one it is that of the zxid.
    pub peer_epoch: PeerEpoch,
    /// The version of the message; 0 in the forms of 28 and of 40 bytes.
    pub version: i32,
    /// The text of the sender's committed configuration; `None` in messages without one.
    pub config: Option<&'a [u8]>,
}

impl<'a> Notification<'a> {
    /// The version that every server since 3.5 sends.
    pub const VERSION: i32 = 2;

    /// Reads the payload of a frame. Bytes behind the last field are ignored.
    ///
    /// # Errors
    /// If it is too short, the state unknown or the configuration's length out of range. Java then drops the message and
    /// keeps the connection.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let unknown = reader.clone();
        let state = reader.int("state")?;
        let leader = Sid(reader.long("leader")?);
        let zxid = Zxid(reader.long("zxid")?);
        let round = Round(reader.long("electionEpoch")?);
        // The high half with its sign, for the MIN of those who may not vote.
        let mut peer_epoch = PeerEpoch(zxid.0 >> 32);
        let mut version = 0;
        let mut config = None;
        if payload.len() != 28 {
            peer_epoch = PeerEpoch(reader.long("peerEpoch")?);
            version = reader.int("version")?;
            if payload.len() == 40 {
                version = 0;
            }
        }
        if version >= Self::VERSION {
            let start = reader.clone();
            config = reader.buffer("config")?;
            if config.is_none() {
                return Err(start.error("config", DecodeErrorKind::Length(-1)));
            }
        }
        let state =
            PeerState::from_i32(state).ok_or_else(|| unknown.error("state", DecodeErrorKind::Unknown(state)))?;
        Ok(Self {
            state,
            leader,
            zxid,
            round,
            peer_epoch,
            version,
            config,
        })
    }

    /// Appends the payload: with the configuration if there is one, and otherwise the form of 40 bytes.
    pub fn encode(&self, out: &mut impl Write) {
        out.int(self.state.code());
        out.long(self.leader.0);
        out.long(self.zxid.0);
        out.long(self.round.0);
        out.long(self.peer_epoch.0);
        match self.config {
            Some(config) => {
                out.int(self.version);
                out.buffer(Some(config));
            }
            None => out.int(1),
        }
    }

    /// The message in its frame, as it goes to the socket.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + HEAD_BYTES + self.config.map_or(0, <[u8]>::len));
        let start = begin_frame(&mut bytes);
        self.encode(&mut bytes);
        end_frame(&mut bytes, start);
        bytes
    }
}

/// The payload of the frame at the start of what has arrived on the election port, and how many bytes the frame took;
/// `None` if more is needed.
///
/// # Errors
/// For a length that is not within 1 to [`ELECTION_FRAME_BYTES_MAX`]: the connection is of no use.
///
/// Source: `QuorumCnxManager.RecvWorker.run`.
pub fn election_frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let start = reader.clone();
    let Ok(length) = reader.int("frame") else {
        return Ok(None);
    };
    match usize::try_from(length) {
        Ok(len @ 1..=ELECTION_FRAME_BYTES_MAX) => Ok(reader.rest().get(..len).map(|payload| (payload, 4 + len))),
        Ok(_) | Err(_) => Err(start.error("frame", DecodeErrorKind::Length(length))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOOKING: Notification<'_> = Notification {
        state: PeerState::Looking,
        leader: Sid(3),
        zxid: Zxid(0x2_0000_0007),
        round: Round(1),
        peer_epoch: PeerEpoch(2),
        version: Notification::VERSION,
        config: Some(b"version=0"),
    };

    fn encoded(message: &Notification<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_forms_of_28_and_of_40_bytes_have_version_0() {
        let bytes = encoded(&LOOKING);
        let old = Notification {
            version: 0,
            config: None,
            ..LOOKING
        };
        assert_eq!(Notification::decode(&bytes[..28]), Ok(old));
        let mut of_40_bytes = bytes[..36].to_vec();
        of_40_bytes.int(1);
        assert_eq!(encoded(&old), of_40_bytes);
        assert_eq!(Notification::decode(&of_40_bytes), Ok(old));
        of_40_bytes[39] = 77;
        assert_eq!(Notification::decode(&of_40_bytes), Ok(old));
    }

    #[test]
    fn a_longer_message_of_version_1_has_no_configuration() {
        let mut bytes = encoded(&LOOKING)[..36].to_vec();
        bytes.int(1);
        bytes.int(-5);
        let message = Notification::decode(&bytes).unwrap();
        assert_eq!((message.version, message.config), (1, None));
    }

    #[test]
    fn who_may_not_vote_has_no_epoch_in_the_oldest_form_either() {
        let nobody = Notification {
            leader: Sid(i64::MIN),
            zxid: Zxid(i64::MIN),
            ..LOOKING
        };
        let message = encoded(&nobody);
        assert!(Notification::decode(&message[..28]).unwrap().peer_epoch.0 < 0);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let check = |bytes: &[u8], kind, field, offset| {
            assert_eq!(Notification::decode(bytes), Err(DecodeError { kind, field, offset }));
        };
        let bytes = encoded(&LOOKING);
        check(&bytes[..27], DecodeErrorKind::Short, "electionEpoch", 20);
        check(&bytes[..39], DecodeErrorKind::Short, "version", 36);
        check(&bytes[..43], DecodeErrorKind::Short, "config", 40);
        check(&bytes[..52], DecodeErrorKind::Short, "config", 44);
        let mut unknown = bytes.clone();
        unknown[3] = 4;
        check(&unknown, DecodeErrorKind::Unknown(4), "state", 0);
        for length in [-1, -2, i32::MIN] {
            let mut bytes = bytes.clone();
            bytes[40..44].copy_from_slice(&length.to_be_bytes());
            check(&bytes, DecodeErrorKind::Length(length), "config", 40);
        }
    }

    #[test]
    fn a_frame_has_1_byte_at_least_and_a_limit() {
        for length in [0, -1, 524_289, i32::MAX, i32::MIN] {
            let bytes = length.to_be_bytes();
            let kind = DecodeErrorKind::Length(length);
            assert_eq!(election_frame(&bytes).unwrap_err().kind, kind);
        }
        assert_eq!(election_frame(&[0, 0, 0]), Ok(None));
        assert_eq!(election_frame(&524_288_i32.to_be_bytes()), Ok(None));
        assert_eq!(election_frame(&[0, 0, 0, 1, 9, 8]), Ok(Some((&[9][..], 5))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            state in 0..4,
            numbers: [i64; 4],
            config in prop::option::of(prop::collection::vec(any::<u8>(), 0..50)),
        ) {
            let message = Notification {
                state: PeerState::from_i32(state).unwrap(),
                leader: Sid(numbers[0]),
                zxid: Zxid(numbers[1]),
                round: Round(numbers[2]),
                peer_epoch: PeerEpoch(numbers[3]),
                version: if config.is_some() { Notification::VERSION } else { 0 },
                config: config.as_deref(),
            };
            let frame = message.to_frame();
            let (payload, taken) = election_frame(&frame).unwrap().unwrap();
            prop_assert_eq!(taken, frame.len());
            prop_assert_eq!(Notification::decode(payload), Ok(message));
        }
    }
}
