//! What arrives on the quorum port, on its way to the node thread.

use bytes::Bytes;
use zebu_proto::jute::{DecodeError, DecodeErrorKind};
use zebu_proto::quorum::{ConfigVersion, LeaderMessage, LearnerInfo, LearnerMessage, QuorumPacket, SessionTouch};
use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{Epoch, Id, SessionId, Xid, Zxid};
use zebu_zab::{ToLeader, ToLearner};

/// What a learner says to its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LearnerSays {
    /// Something about the common history.
    Protocol(ToLeader),
    /// Who it is, and the version of the configuration that is in force for it; none before 3.5.
    Introduced {
        message: ToLeader,
        config: Option<ConfigVersion>,
    },
    /// The answer to a ping: who was heard of.
    Pong(Vec<SessionTouch>),
    /// Whether a session exists.
    Revalidate { session: SessionId, timeout_ms: i32 },
    /// A client's write or sync.
    Request {
        session: SessionId,
        xid: Xid,
        op: i32,
        body: Bytes,
        ids: Vec<Id>,
    },
}

impl LearnerSays {
    /// Takes a packet apart.
    ///
    /// # Errors
    /// If it is none of a learner's, or cannot be read.
    pub(crate) fn decode(packet: QuorumPacket<'_>) -> Result<Self, DecodeError> {
        Ok(match LearnerMessage::decode(packet)? {
            LearnerMessage::FollowerInfo { accepted_epoch, info } => Self::introduced(false, accepted_epoch, &info),
            LearnerMessage::ObserverInfo { accepted_epoch, info } => Self::introduced(true, accepted_epoch, &info),
            LearnerMessage::AckEpoch {
                last_zxid,
                current_epoch,
            } => Self::Protocol(ToLeader::AckEpoch {
                last_zxid,
                current_epoch,
            }),
            LearnerMessage::Ack { zxid } => Self::Protocol(ToLeader::Ack { zxid }),
            LearnerMessage::Ping { sessions, .. } => Self::Pong(sessions),
            LearnerMessage::Revalidate { session, timeout_ms } => Self::Revalidate { session, timeout_ms },
            LearnerMessage::Request {
                session,
                cxid,
                op,
                body,
                authinfo,
            } => Self::Request {
                session,
                xid: cxid,
                op,
                body: Bytes::copy_from_slice(body),
                ids: authinfo.unwrap_or_default(),
            },
        })
    }
}

impl LearnerSays {
    const fn introduced(is_observer: bool, accepted_epoch: Epoch, info: &LearnerInfo) -> Self {
        Self::Introduced {
            message: ToLeader::Info {
                is_observer,
                accepted_epoch,
                sid: info.sid,
            },
            config: info.config_version,
        }
    }
}

/// What a leader says to its learner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaderSays {
    /// Something about the common history.
    Protocol(ToLearner),
    /// The same, with the text of a configuration: a proposal that changes it, or `NEWLEADER`.
    Configured { message: ToLearner, text: Bytes },
    /// Whether a session exists.
    Revalidated { session: SessionId, is_valid: bool },
    /// The oldest sync is answered.
    Synced,
}

impl LeaderSays {
    /// Takes a packet apart.
    ///
    /// # Errors
    /// If it is none of a leader's, or cannot be read.
    pub(crate) fn decode(packet: &QuorumPacket<'_>) -> Result<Self, DecodeError> {
        let proposal = |zxid: Zxid, txn: &[u8]| -> Result<_, DecodeError> {
            // What cannot be applied must not be logged, and is found out before anybody counts on it.
            let record = TxnRecord::decode(txn)?;
            let text = match &record.txn {
                Txn::Reconfig { data, .. } => Some(Bytes::copy_from_slice(data.as_bytes())),
                _ => None,
            };
            if record.header.zxid != zxid {
                return Err(DecodeError {
                    field: "zxid of a transaction",
                    offset: 0,
                    kind: DecodeErrorKind::Unknown(0),
                });
            }
            Ok((zxid, Bytes::copy_from_slice(txn), text))
        };
        let configured = |message, text: Option<Bytes>| match text {
            Some(text) => Self::Configured { message, text },
            None => Self::Protocol(message),
        };
        Ok(match LeaderMessage::decode(packet)? {
            LeaderMessage::LeaderInfo { epoch, .. } => Self::Protocol(ToLearner::LeaderInfo { epoch }),
            LeaderMessage::Diff { zxid } => Self::Protocol(ToLearner::Diff { zxid }),
            LeaderMessage::Trunc { zxid } => Self::Protocol(ToLearner::Trunc { zxid }),
            LeaderMessage::Snap { zxid } => Self::Protocol(ToLearner::Snap { zxid }),
            LeaderMessage::NewLeader { epoch, config } => {
                configured(ToLearner::NewLeader { epoch }, config.map(Bytes::copy_from_slice))
            }
            LeaderMessage::UpToDate => Self::Protocol(ToLearner::UpToDate),
            LeaderMessage::Proposal { zxid, txn } => {
                let (zxid, txn, text) = proposal(zxid, txn)?;
                configured(ToLearner::Proposal { zxid, txn }, text)
            }
            LeaderMessage::Commit { zxid } => Self::Protocol(ToLearner::Commit { zxid }),
            LeaderMessage::CommitAndActivate {
                zxid,
                designated_leader: leader,
            } => Self::Protocol(ToLearner::CommitAndActivate { zxid, leader }),
            LeaderMessage::Inform { zxid, txn } => {
                let (zxid, txn, text) = proposal(zxid, txn)?;
                configured(ToLearner::Inform { zxid, txn }, text)
            }
            LeaderMessage::InformAndActivate {
                zxid,
                designated_leader: leader,
                txn,
            } => {
                let (zxid, txn, text) = proposal(zxid, txn)?;
                configured(ToLearner::InformAndActivate { zxid, leader, txn }, text)
            }
            LeaderMessage::Ping { zxid } => Self::Protocol(ToLearner::Ping { zxid }),
            LeaderMessage::Revalidate { session, valid } => Self::Revalidated {
                session,
                is_valid: valid,
            },
            LeaderMessage::Sync => Self::Synced,
        })
    }
}
