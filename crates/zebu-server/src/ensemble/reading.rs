//! A server that finds no leader: with `readonlymode.enabled` it serves those who only read.
//!
//! What they see is the history as this server has put it in order for the election: the end of it may not be known to be
//! committed. Nothing that they do leaves a trace in it. (The reference makes transactions of their sessions, without a
//! log and with numbers of its own, among those that it offers to learners later: ZOOKEEPER-3526.)
//!
//! Source: `QuorumPeer.run`, `ReadOnlyZooKeeperServer`.

use zebu_node::NodeRole;
use zebu_proto::Millis;

use crate::node_thread::NodeThread;
use crate::shared::ServerRole;

/// A server does not give up the hope for a leader before.
const GRACE_MS_MIN: u64 = 2000;

impl NodeThread {
    /// The search for a leader begins.
    pub(super) fn begin_to_look(&mut self) {
        let config = &self.shared.config;
        if let Some(ensemble) = &mut self.ensemble
            && config.read_only_mode
        {
            let grace_ms = u64::from(config.tick_time_ms).max(GRACE_MS_MIN);
            ensemble.read_only_at = Some(self.shared.clock.mono().plus(grace_ms));
        }
    }

    pub(super) fn read_only_if_due(&mut self, now: Millis) {
        let Some(ensemble) = &mut self.ensemble else { return };
        if ensemble.read_only_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let shared = self.shared.clone();
        self.serve_from(ServerRole::ReadOnly, |thread| {
            let now = shared.clock.now();
            thread.node.begin_reading(&shared.replica.read(), now);
        });
        tracing::warn!("no leader is found: clients that only read are served (readonlymode.enabled)");
    }

    /// The search is over, whatever comes of it.
    pub(super) fn stop_reading(&mut self) {
        if let Some(ensemble) = &mut self.ensemble {
            ensemble.read_only_at = None;
        }
        if self.node.role() == NodeRole::ReadOnly {
            tracing::info!("an election is decided: clients that only read are closed");
            self.stop_serving();
        }
    }
}
