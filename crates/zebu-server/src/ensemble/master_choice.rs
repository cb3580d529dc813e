//! Whom a learner connects to: followers to the leader, observers to a follower that takes them in, if they are configured
//! so.
//!
//! Source: `QuorumPeer.findLearnerMaster`, `Observer.findLearnerMaster`. There a follower is tried once for each election,
//! and the leader never.

use std::sync::atomic::Ordering;
use std::time::Duration;

use zebu_proto::Sid;
use zebu_proto::quorum::{HostPort, Member, QuorumConfig};
use zebu_zab::Members;

use super::leader_connection::Route;
use super::state::Ensemble;
use crate::node_thread::NodeThread;
use crate::random::Random;
use crate::server::random_seed;
use crate::shared::Shared;

impl Ensemble {
    /// How long to wait before connecting: a fleet of observers is not to come at the same moment. Followers are tried
    /// without delay, the first time.
    ///
    /// Source: `Observer.waitForReconnectDelay`.
    pub(super) fn reconnect_delay(&self, shared: &Shared) -> Duration {
        let config = &shared.config.ensemble;
        let has_masters = config.observer_master_port.is_some();
        if !self.peer.is_observer() || has_masters && self.without_master_since.is_none() {
            return Duration::ZERO;
        }
        random_up_to(config.observer_reconnect_delay_ms)
    }

    /// Whom to connect to, in this order, to learn from the history of `leader`.
    pub(super) fn routes(&mut self, shared: &Shared, leader: Sid) -> Vec<Route> {
        let config = &shared.config.ensemble;
        let Some(port) = config.observer_master_port.filter(|_| self.peer.is_observer()) else {
            return leader_route(self.peer.members(), leader).into_iter().collect();
        };
        let now = shared.clock.mono();
        let since = *self.without_master_since.get_or_insert(now);
        let patience_ticks = config.connect_to_learner_master_limit_ticks.or(config.init_limit_ticks);
        let patience_ms =
            u64::from(shared.config.tick_time_ms) * patience_ticks.map_or(1, |ticks| u64::from(ticks.get()));
        let mut routes = masters(
            self.peer.members().committed(),
            leader,
            port,
            self.master,
            &mut Random::new(random_seed()),
        );
        // A fleet of observers is not to fall upon the leader because the followers need a moment. But if there is none
        // for it, it is better to burden the leader than to serve nobody.
        if routes.is_empty() || now.since(since) >= patience_ms {
            routes.extend(leader_route(self.peer.members(), leader));
        }
        routes
    }
}

impl NodeThread {
    /// This server has a history and serves: whom it learns from is the right one.
    pub(super) fn note_master(&mut self) {
        let Some(ensemble) = &mut self.ensemble else { return };
        ensemble.without_master_since = None;
        let master = ensemble.master.unwrap_or(Sid(-1));
        tracing::info!(%master, "learning from this server");
        self.shared.leader_stats.master.store(master.0, Ordering::Relaxed);
    }
}

pub(super) fn random_up_to(ms: u64) -> Duration {
    Duration::from_millis(Random::new(random_seed()).below(ms))
}

/// The leader at the addresses of the committed configuration, and of the one that was proposed last.
fn leader_route(members: &Members, leader: Sid) -> Option<Route> {
    let mut addresses: Vec<HostPort> = Vec::new();
    for config in [members.committed(), members.last_seen()] {
        let known = config.members.get(&leader);
        for address in known.into_iter().flat_map(|member| &member.addresses) {
            let address = address.quorum();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    (!addresses.is_empty()).then_some(Route { sid: leader, addresses })
}

/// The voters other than the leader in any order; the one that was learned from `before` comes last.
fn masters(membership: &QuorumConfig, leader: Sid, port: u16, before: Option<Sid>, random: &mut Random) -> Vec<Route> {
    let voters = membership.participants().filter(|(sid, _)| *sid != leader);
    let mut left: Vec<(Sid, &Member)> = voters.collect();
    let mut routes = Vec::new();
    while !left.is_empty() {
        let at = usize::try_from(random.below(left.len() as u64)).unwrap_or(0);
        let (sid, member) = left.swap_remove(at);
        let hosts = member
            .addresses
            .iter()
            .map(|address| HostPort::new(&address.host, port));
        routes.push(Route {
            sid,
            addresses: hosts.collect(),
        });
    }
    routes.sort_by_key(|route| Some(route.sid) == before);
    routes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_observer_tries_all_followers_and_last_the_one_that_it_has_left() {
        let mut membership = QuorumConfig::default();
        for sid in 1..=5 {
            let role = if sid == 5 { ":observer" } else { "" };
            membership
                .add(&format!("server.{sid}"), &format!("host{sid}:1:2{role}"))
                .unwrap();
        }
        let mut random = Random::new(1);
        let mut firsts = [0; 5];
        for _ in 0..100 {
            let routes = masters(&membership, Sid(2), 2191, Some(Sid(4)), &mut random);
            let mut sids: Vec<i64> = routes.iter().map(|route| route.sid.0).collect();
            assert_eq!(sids.last(), Some(&4));
            firsts[usize::try_from(sids[0]).unwrap()] += 1;
            sids.sort_unstable();
            assert_eq!(sids, [1, 3, 4]);
            let third = routes.iter().find(|route| route.sid == Sid(3)).unwrap();
            assert_eq!(third.addresses, [HostPort::new("host3", 2191)]);
        }
        assert!(firsts[1] > 20 && firsts[3] > 20, "{firsts:?}");
        let members = Members::new(Arc::new(membership));
        let route = leader_route(&members, Sid(2)).unwrap();
        assert_eq!((route.sid, route.addresses), (Sid(2), vec![HostPort::new("host2", 1)]));
        assert_eq!(leader_route(&members, Sid(9)), None);
    }
}
