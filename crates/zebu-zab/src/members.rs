//! Who belongs to the ensemble, and what makes a quorum.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use zebu_proto::Sid;
use zebu_proto::quorum::{MemberAddress, QuorumConfig, Role};

/// The configuration that is committed, and the one that was proposed last, if that is newer: what is decided while both
/// exist needs quorums of both.
#[derive(Clone, Debug)]
pub struct Members {
    committed: Arc<QuorumConfig>,
    last_seen: Option<Arc<QuorumConfig>>,
    /// Whether they may change.
    is_dynamic: bool,
}

impl Members {
    /// Members that no reconfiguration ever changes.
    #[must_use]
    pub const fn new(committed: Arc<QuorumConfig>) -> Self {
        Self {
            committed,
            last_seen: None,
            is_dynamic: false,
        }
    }

    /// Members that may change while the servers run (`reconfigEnabled`), with the newest change that is not known to be
    /// committed, if there is one.
    #[must_use]
    pub fn dynamic(committed: Arc<QuorumConfig>, last_seen: Option<Arc<QuorumConfig>>) -> Self {
        let mut members = Self {
            committed,
            last_seen: None,
            is_dynamic: true,
        };
        if let Some(last_seen) = last_seen {
            members.see(last_seen);
        }
        members
    }

    /// Whether they may change while the servers run.
    #[must_use]
    pub const fn is_dynamic(&self) -> bool {
        self.is_dynamic
    }

    /// Whether there is a configuration that is not known to be committed.
    #[must_use]
    pub const fn is_changing(&self) -> bool {
        self.last_seen.is_some()
    }

    /// Takes the configuration that was proposed last, as the history tells that this server logs, in the place of another
    /// one that is not committed.
    pub fn see(&mut self, config: Arc<QuorumConfig>) {
        self.last_seen = Some(config).filter(|config| config.version > self.committed.version);
    }

    /// A configuration is committed; returns the one before. `None`: it is known already, or a newer one is.
    pub fn activate(&mut self, config: Arc<QuorumConfig>) -> Option<Arc<QuorumConfig>> {
        if config.version <= self.committed.version {
            return None;
        }
        let before = core::mem::replace(&mut self.committed, config);
        self.last_seen = self
            .last_seen
            .take()
            .filter(|seen| seen.version > self.committed.version);
        Some(before)
    }

    /// The committed configuration.
    #[must_use]
    pub const fn committed(&self) -> &Arc<QuorumConfig> {
        &self.committed
    }

    /// The newest configuration that was proposed.
    #[must_use]
    pub fn last_seen(&self) -> &Arc<QuorumConfig> {
        self.last_seen.as_ref().unwrap_or(&self.committed)
    }

    fn configs(&self) -> impl Iterator<Item = &Arc<QuorumConfig>> {
        [Some(&self.committed), self.last_seen.as_ref()].into_iter().flatten()
    }

    /// Whether a server votes in one of the configurations.
    #[must_use]
    pub fn is_voter(&self, sid: Sid) -> bool {
        self.configs().any(|config| config.is_participant(sid))
    }

    /// Whether a server may lead: it votes with a weight.
    #[must_use]
    pub fn may_lead(&self, sid: Sid) -> bool {
        self.committed.weight(sid) > 0
    }

    /// Everybody who votes in one of the configurations.
    #[must_use]
    pub fn voters(&self) -> BTreeSet<Sid> {
        self.configs()
            .flat_map(|config| config.participants().map(|(sid, _)| sid))
            .collect()
    }

    /// Whether those for whom `has` holds are a quorum of each configuration. Only voters of a configuration count there.
    ///
    /// Source: `SyncedLearnerTracker.hasAllQuorums`.
    #[must_use]
    pub fn all_quorums(&self, has: impl Fn(Sid) -> bool) -> bool {
        self.configs().all(|config| config.contains_quorum_where(&has))
    }
}

/// Whether a server votes in both configurations, and other servers reach it at the same addresses.
pub(crate) fn stays_voter(sid: Sid, before: &QuorumConfig, after: &QuorumConfig) -> bool {
    let addresses = |config: &QuorumConfig| {
        let member = config
            .members
            .get(&sid)
            .filter(|member| member.role == Role::Participant);
        member.map(|member| member.addresses.iter().map(MemberAddress::quorum).collect::<Vec<_>>())
    };
    addresses(before).is_some_and(|before| addresses(after) == Some(before))
}
