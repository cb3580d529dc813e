//! Who belongs to the ensemble, and what makes a quorum.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use zebu_proto::Sid;
use zebu_proto::quorum::QuorumConfig;

/// The configuration that is committed, and the one that was proposed last, if that is newer: what is decided while both
/// exist needs quorums of both.
#[derive(Clone, Debug)]
pub struct Members {
    committed: Arc<QuorumConfig>,
    last_seen: Option<Arc<QuorumConfig>>,
}

impl Members {
    /// Members that no reconfiguration is about to change.
    #[must_use]
    pub const fn new(committed: Arc<QuorumConfig>) -> Self {
        Self {
            committed,
            last_seen: None,
        }
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

    /// Whether those for whom `has` holds are a quorum of the committed configuration.
    #[must_use]
    pub fn committed_quorum(&self, has: impl Fn(Sid) -> bool) -> bool {
        self.committed.contains_quorum_where(&has)
    }
}
