//! What the servers of an ensemble say to each other.
//!
//! Two ports, two protocols, one configuration:
//!
//! | port | carries | start at |
//! |---|---|---|
//! | election | an [`InitialMessage`], then frames ([`election_frame`]), each with a [`Notification`] | [`Notification`] |
//! | quorum | [`QuorumPacket`]s back to back; behind SNAP a snapshot without a length, see [`SnapshotStream`] | [`LearnerMessage`], [`LeaderMessage`] |
//!
//! Who belongs to the ensemble and what makes a quorum is a [`QuorumConfig`]; its text travels on both ports and stands
//! in files.
//!
//! Bytes come from a stream here, so the decoders of whole messages take what has arrived and answer `Ok(None)` as long
//! as more is needed. Lengths are checked against their limit as soon as they are there, and nothing is allocated by
//! them. The bytes of a transaction are never taken apart: what was received is what is logged and relayed.

mod address;
mod config;
mod initial_message;
mod leader_message;
mod learner_info;
mod learner_message;
mod notification;
mod packet;
mod snapshot_stream;

pub use address::HostPort;
pub use config::{ChangeError, ConfigTextError, ConfigVersion, Member, MemberAddress, QuorumConfig, Role};
pub use initial_message::{ConnectionVersion, INITIAL_ADDRESS_BYTES_MAX, InitialMessage, InitialMessageError};
pub use leader_message::LeaderMessage;
pub use learner_info::LearnerInfo;
pub use learner_message::{LearnerMessage, SessionTouch};
pub use notification::{ELECTION_FRAME_BYTES_MAX, Notification, PeerEpoch, PeerState, Round, election_frame};
pub use packet::{AUTHINFO_BYTES_MAX, PacketType, QuorumPacket};
pub use snapshot_stream::{SNAPSHOT_SIGNATURE, SnapshotPart, SnapshotStream};

/// The version of the protocol between learner and leader: Zab 1.0, since 3.4. It is in [`LearnerInfo`] and in
/// LEADERINFO; smaller numbers are older protocols, in which there is no LEADERINFO and no ACKEPOCH.
pub const PROTOCOL_VERSION: i32 = 0x1_0000;
