//! Changing the configuration: it takes a quorum of the old and of the new one, and perhaps another leader.
//!
//! Source: `Leader.propose`, `tryToCommit`, `getDesignatedLeader`, `startZkServer`.

use super::*;

/// Why a leader stops that committed a configuration with which another one is to lead.
pub(super) const RETIRED: &str = "another server leads with the new configuration";

impl Leader {
    /// Proposes a change of the configuration: as [`Leader::propose`], for a transaction that is known to be one. From here
    /// on everything needs quorums of both configurations, until the change is committed.
    ///
    /// # Panics
    /// As there, and if a change is proposed already.
    pub fn propose_reconfig(&mut self, proposal: Proposal, config: Arc<QuorumConfig>, now: Millis, out: &mut Effects) {
        assert!(self.reconfig.is_none(), "one change of the configuration at a time");
        self.membership_number += 1;
        self.members.see(config.clone());
        self.reconfig = Some((proposal.zxid, config.clone()));
        out.push(LeaderEffect::See(config));
        self.propose(proposal, now, out);
    }

    /// Whether a quorum of this configuration has the history and follows. Those who only observe do not count.
    ///
    /// Source: `Leader.isQuorumSynced`.
    #[must_use]
    pub fn is_quorum_synced(&self, config: &QuorumConfig) -> bool {
        let synced = self.count(Learner::is_synced);
        config.contains_quorum(&synced)
    }

    /// A configuration that nobody has led yet gets a number with its first epoch, by which others know that it is in
    /// force. It is agreed on together with the history.
    pub(super) fn number_first_config(&mut self, out: &mut Effects) {
        if !self.members.is_dynamic() || self.members.last_seen().version != ConfigVersion(0) {
            return;
        }
        let config = Arc::new(QuorumConfig {
            version: ConfigVersion(Zxid::epoch_start(self.epoch).0),
            ..QuorumConfig::clone(self.members.committed())
        });
        self.members.see(config.clone());
        out.push(LeaderEffect::See(config));
    }

    /// The history is that of a quorum of each configuration: a change that came to no end before is committed by that.
    pub(super) fn finish_reconfig(&mut self, out: &mut Effects) {
        if self.members.is_changing() {
            let config = self.members.last_seen().clone();
            self.activate(config, out);
        }
    }

    /// If what was committed is the change of the configuration, it is in force; returns who is to lead.
    pub(super) fn committed_reconfig(&mut self, zxid: Zxid, out: &mut Effects) -> Option<Sid> {
        let (_, config) = self.reconfig.take_if(|(reconfig, _)| *reconfig == zxid)?;
        Some(self.activate(config, out))
    }

    fn activate(&mut self, config: Arc<QuorumConfig>, out: &mut Effects) -> Sid {
        let before = self.members.committed().clone();
        self.is_retired = !stays_voter(self.me, &before, &config);
        let leader = if self.is_retired {
            self.successor(&config)
        } else {
            self.me
        };
        self.membership_number += 1;
        self.members.activate(config.clone());
        out.push(LeaderEffect::Activate { config, leader });
        leader
    }

    /// Of those who may lead with this configuration, the one that has made most of what was proposed durable.
    fn successor(&self, config: &QuorumConfig) -> Sid {
        let candidates = self
            .learners
            .values()
            .filter(|learner| learner.is_synced() && !learner.is_observer);
        let candidates = candidates.filter_map(|learner| Some((learner.acked, learner.sid?)));
        let candidates = candidates.filter(|(_, sid)| config.is_participant(*sid) && config.weight(*sid) > 0);
        candidates.max().map_or(self.me, |(_, sid)| sid)
    }

    pub(super) fn check_retired(&mut self, out: &mut Effects) {
        if self.is_retired && !self.learners.values().any(Learner::is_synced) {
            self.resign(RETIRED, out);
        }
    }
}
