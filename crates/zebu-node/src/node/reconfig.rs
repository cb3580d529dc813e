//! A leader changes its ensemble.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::sync::Arc;

use zebu_proto::ErrorCode;
use zebu_proto::quorum::{ChangeError, ConfigVersion, QuorumConfig};
use zebu_proto::txn::TxnRecord;
use zebu_tree::RequestContext;

use super::Node;
use crate::connection::Connection;
use crate::read::Replica;

/// What a leader knows of its ensemble. The driver says it anew whenever it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The configuration that was proposed last.
    pub last_seen: Arc<QuorumConfig>,
    /// Whether that is not committed yet.
    pub is_changing: bool,
    /// Those that have the history and follow, with a vote or without, and the leader. Observers are none of them.
    pub synced: BTreeSet<zebu_proto::Sid>,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub(super) joining: Option<&'a str>,
    pub(super) leaving: Option<&'a str>,
    pub(super) new_members: Option<&'a str>,
    /// The version that is to be changed; −1 for any.
    pub(super) config_id: i64,
}

/// Why a configuration was refused, beside the code that the client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconfigRefusal {
    /// The code.
    pub error: ErrorCode,
    /// What is wrong, for the log.
    pub why: alloc::string::String,
}

impl<C: Connection> Node<C> {
    /// What the ensemble is now. Nothing but a leader of one needs to be told.
    pub fn set_membership(&mut self, membership: Membership) {
        self.membership = Some(membership);
    }

    /// The configuration that was made since this was asked last. Its version is the zxid of its transaction.
    pub const fn take_reconfig(&mut self) -> Option<Arc<QuorumConfig>> {
        self.reconfig.take()
    }

    /// Why the last change of the ensemble was refused, if that was not told before.
    pub const fn take_refusal(&mut self) -> Option<ReconfigRefusal> {
        self.refusal.take()
    }

    /// The configuration that a change makes, with its version.
    ///
    /// Source: `PrepRequestProcessor.pRequest2Txn`.
    pub(super) fn reconfigured(
        &mut self,
        change: &Change<'_>,
        context: &RequestContext<'_>,
    ) -> Result<QuorumConfig, ErrorCode> {
        self.judge(change, context).map_err(|(error, why)| {
            self.refusal = Some(ReconfigRefusal { error, why });
            error
        })
    }

    fn judge(
        &self,
        change: &Change<'_>,
        context: &RequestContext<'_>,
    ) -> Result<QuorumConfig, (ErrorCode, alloc::string::String)> {
        let refuse = |error: ErrorCode, why: &str| Err((error, why.to_string()));
        if !self.config.reconfig_enabled {
            return refuse(ErrorCode::ReconfigDisabled, "reconfigEnabled=true is not set");
        }
        if !context.session_is_live {
            return refuse(ErrorCode::SessionExpired, "the session has expired");
        }
        let Some(membership) = &self.membership else {
            return refuse(ErrorCode::Unimplemented, "a server alone has no ensemble to change");
        };
        if membership.is_changing {
            return refuse(ErrorCode::ReconfigInProgress, "another change is under way");
        }
        let last_seen = &membership.last_seen;
        if change.config_id != -1 && change.config_id != last_seen.version.0 {
            let why = alloc::format!("the version is {} and not {:x}", last_seen.version, change.config_id);
            return Err((ErrorCode::BadVersion, why));
        }
        let standalone_enabled = self.config.standalone_enabled;
        let config = match change.new_members {
            Some(text) => QuorumConfig::from_new_members(text, standalone_enabled),
            None => last_seen.with_change(change.joining, change.leaving),
        };
        let config = config.map_err(|error| match error {
            ChangeError::Unexpected(why) => (ErrorCode::MarshallingError, why),
            error => (ErrorCode::BadArguments, error.to_string()),
        })?;
        let voters = config.participants().count();
        if voters < if standalone_enabled { 2 } else { 1 } {
            return refuse(
                ErrorCode::BadArguments,
                "too few voters are left: two, or one with standaloneEnabled=false",
            );
        }
        if !config.contains_quorum(&membership.synced) {
            return refuse(
                ErrorCode::NewConfigNoQuorum,
                "no quorum of the new ensemble follows this leader and has its history; start the servers that join first",
            );
        }
        Ok(QuorumConfig {
            version: ConfigVersion(context.zxid.0),
            ..config
        })
    }

    /// Makes the transaction of a change. From now on a change is under way, unless the client may not make it.
    pub(super) fn prepare_reconfig(
        &mut self,
        replica: &Replica,
        context: &RequestContext<'_>,
        config: QuorumConfig,
    ) -> TxnRecord {
        let text = config.to_string();
        let record = self.pending.reconfig(replica.tree(), context, text.as_bytes());
        if matches!(record.txn, zebu_proto::txn::Txn::Reconfig { .. })
            && let Some(membership) = &mut self.membership
        {
            let config = Arc::new(config);
            self.reconfig = Some(config.clone());
            membership.last_seen = config;
            membership.is_changing = true;
        }
        record
    }
}
