//! The removal of containers and of nodes whose time is over.

use alloc::collections::VecDeque;
use alloc::string::String;

use zebu_proto::{Millis, WallMillis};
use zebu_tree::Tree;

/// Settings of the sweep.
///
/// Source: `org.apache.zookeeper.server.ContainerManager`.
#[derive(Clone, Copy, Debug)]
pub struct ContainerConfig {
    /// `znode.container.checkIntervalMs`: time between two looks for candidates.
    pub check_interval_ms: u64,
    /// `znode.container.maxPerMinute`: bound on the rate of removals.
    pub per_minute_max: u64,
    /// `znode.container.maxNeverUsedIntervalMs`: containers that never had a child go after this time; 0: never.
    pub never_used_ms_max: i64,
}

impl Default for ContainerConfig {
    fn default() -> Self {
        Self {
            check_interval_ms: 60_000,
            per_minute_max: 10_000,
            never_used_ms_max: 300_000,
        }
    }
}

/// Looks for candidates now and then, and lets them go one by one.
pub(crate) struct Sweep {
    config: ContainerConfig,
    next_check: Millis,
    next_removal: Millis,
    candidates: VecDeque<String>,
}

impl Sweep {
    pub(crate) fn new(config: ContainerConfig, now: Millis) -> Self {
        let next_check = now.plus(config.check_interval_ms);
        Self {
            config,
            next_check,
            next_removal: now,
            candidates: VecDeque::new(),
        }
    }

    /// When it wants to be asked again.
    pub(crate) fn deadline(&self) -> Millis {
        if self.candidates.is_empty() {
            self.next_check
        } else {
            self.next_removal
        }
    }

    /// A node to be removed now, if there is one; ask until there is none.
    pub(crate) fn next(&mut self, tree: &Tree, now: Millis, wall: WallMillis) -> Option<String> {
        if now >= self.next_check {
            self.next_check = now.plus(self.config.check_interval_ms);
            self.candidates = tree.expired_containers(wall.0, self.config.never_used_ms_max).into();
        }
        if now < self.next_removal {
            return None;
        }
        let path = self.candidates.pop_front()?;
        self.next_removal = now.plus(60_000 / self.config.per_minute_max.max(1));
        Some(path)
    }
}
