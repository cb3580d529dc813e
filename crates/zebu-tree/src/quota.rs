//! Limits on subtrees.
//!
//! A quota on `/a/b` is two ordinary nodes that clients create: `/zookeeper/quota/a/b/zookeeper_limits` and
//! `.../zookeeper_stats`. The server keeps the second one true.
//!
//! Source: `org.apache.zookeeper.Quotas`, `StatsTrack`, `org.apache.zookeeper.common.PathTrie`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;

use crate::tree::QUOTA;

/// Name of the node with the limits.
pub const LIMITS: &str = "zookeeper_limits";
/// Name of the node with the usage.
pub const STATS: &str = "zookeeper_stats";

/// The path that quota nodes below `parent` are about, the root's being empty. `None` if that is no place for them.
///
/// Java looks at the first characters only: to it `/zookeeper/quotaX` is a place for those of `X`.
pub(crate) fn limited_path(parent: &str) -> Option<&str> {
    let limited = parent.strip_prefix(QUOTA)?;
    (limited.is_empty() || limited.starts_with('/')).then_some(limited)
}

pub(crate) fn limits_path(limited: &str) -> String {
    format!("{QUOTA}{limited}/{LIMITS}")
}

pub(crate) fn stats_path(limited: &str) -> String {
    format!("{QUOTA}{limited}/{STATS}")
}

/// The paths that have a quota.
#[derive(Default)]
pub(crate) struct Quotas {
    limited: BTreeSet<String>,
}

impl Quotas {
    pub(crate) fn is_empty(&self) -> bool {
        self.limited.is_empty()
    }

    pub(crate) fn add(&mut self, path: &str) {
        // A quota on the root is not supported.
        if !matches!(path, "" | "/") {
            self.limited.insert(path.into());
        }
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.limited.remove(path);
    }

    /// The deepest path with a quota that `path` is or lies below.
    pub(crate) fn nearest(&self, path: &str) -> Option<&str> {
        let mut at = path;
        while !at.is_empty() {
            if let Some(found) = self.limited.get(at) {
                return Some(found);
            }
            at = at.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        None
    }
}

/// The contents of a limits or usage node: `count=N,bytes=N`, then, if there are other keys, `=` and `;key=N` for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Nodes: soft limit, or nodes in the subtree. −1: none.
    pub count: i64,
    /// Bytes of data: soft limit, or sum over the subtree. −1: none.
    pub bytes: i64,
    others: BTreeMap<String, i64>,
}

impl Default for Track {
    fn default() -> Self {
        Self {
            count: -1,
            bytes: -1,
            others: BTreeMap::new(),
        }
    }
}

impl Track {
    /// Reads a node's data; what is missing or no number counts as −1.
    #[must_use]
    pub fn parse(data: &[u8]) -> Self {
        let mut track = Self::default();
        for pair in String::from_utf8_lossy(data)
            .split([',', ';'])
            .filter(|pair| !pair.is_empty())
        {
            let mut parts = pair.split('=').filter(|part| !part.is_empty());
            let Some(key) = parts.next() else { continue };
            let number = parts.next().and_then(|number| number.trim().parse().ok()).unwrap_or(-1);
            match key {
                "count" => track.count = number,
                "bytes" => track.bytes = number,
                key => {
                    track.others.insert(key.into(), number);
                }
            }
        }
        track
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("count={},bytes={}", self.count, self.bytes);
        if !self.others.is_empty() {
            text.push('=');
            for (key, number) in &self.others {
                text.push_str(&format!(";{key}={number}"));
            }
        }
        text
    }

    /// No nodes, no bytes, no other keys.
    pub(crate) fn nothing() -> Self {
        Self {
            count: 0,
            bytes: 0,
            others: BTreeMap::new(),
        }
    }

    fn other(&self, key: &str) -> i64 {
        self.others.get(key).copied().unwrap_or(-1)
    }

    /// Whether hard limits refuse a change by `count` nodes and `bytes` bytes of a subtree with this `usage`.
    pub(crate) fn refuses(&self, usage: &Self, count: i64, bytes: i64) -> bool {
        let over = |hard: i64, used: i64, more: i64| more != 0 && hard > -1 && used.saturating_add(more) > hard;
        over(self.other("countHardLimit"), usage.count, count) || over(self.other("byteHardLimit"), usage.bytes, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str, expected: &str) {
        assert_eq!(Track::parse(text.as_bytes()).to_text(), expected);
    }

    #[test]
    fn texts_are_those_of_java() {
        check_text("count=3,bytes=10", "count=3,bytes=10");
        check_text("", "count=-1,bytes=-1");
        check_text(
            "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3",
            "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3",
        );
        check_text("bytes=;count=x", "count=-1,bytes=-1");
    }

    #[test]
    fn hard_limits_refuse_what_goes_above_them() {
        let limits = Track::parse(b"count=1,bytes=1=;countHardLimit=3;byteHardLimit=10");
        let usage = Track::parse(b"count=2,bytes=8");
        assert!(!limits.refuses(&usage, 1, 2));
        assert!(limits.refuses(&usage, 2, 0));
        assert!(limits.refuses(&usage, 0, 3));
    }

    #[test]
    fn the_nearest_quota_is_the_deepest_by_component() {
        let mut quotas = Quotas::default();
        quotas.add("/a");
        quotas.add("/a/b");
        quotas.add("/");
        assert_eq!(quotas.nearest("/a/b/c"), Some("/a/b"));
        assert_eq!(quotas.nearest("/a/bc"), Some("/a"));
        assert_eq!(quotas.nearest("/ab"), None);
    }
}
