//! Who belongs to an ensemble, and what makes a quorum of it.
//!
//! The list of servers stands in `zoo.cfg` or in a dynamic file, travels in election notifications, in NEWLEADER and in
//! the transaction that changes it, and is the data of `/zookeeper/config`. One type serves all of them.

mod change;
mod member;
mod text;

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use core::fmt;

pub use self::change::ChangeError;
pub use self::member::{Member, MemberAddress, Role};
pub use self::text::ConfigTextError;
use crate::Sid;

/// The number of a configuration: the zxid of the change that made it, 0 for one that nobody has led yet. It is written in
/// hexadecimal digits without anything in front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigVersion(pub i64);

impl ConfigVersion {
    /// Reads hexadecimal digits; `None` for anything else, a sign included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.starts_with(['+', '-']);
        i64::from_str_radix(text, 16).ok().filter(|_| digits).map(Self)
    }
}

impl fmt::Display for ConfigVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Who belongs to the ensemble. Empty for a server alone.
///
/// It displays as the text that Java 3.8 and 3.9 send and keep, and [`QuorumConfig::parse`] reads that text.
///
/// Source: `QuorumMaj`, `QuorumHierarchical` and `QuorumPeer.QuorumServer`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuorumConfig {
    /// All servers by their ids (`server.N`).
    pub members: BTreeMap<Sid, Member>,
    /// The groups (`group.N`) by the servers in them; empty: a plain majority decides.
    pub groups: BTreeMap<Sid, i64>,
    /// Votes of a server in its group (`weight.N`); a participant that is not named has 1.
    pub weights: BTreeMap<Sid, u64>,
    /// Its number (`version`).
    pub version: ConfigVersion,
}

impl QuorumConfig {
    /// The servers that vote.
    pub fn participants(&self) -> impl Iterator<Item = (Sid, &Member)> {
        self.with_role(Role::Participant)
    }

    /// The servers that do not.
    pub fn observers(&self) -> impl Iterator<Item = (Sid, &Member)> {
        self.with_role(Role::Observer)
    }

    fn with_role(&self, role: Role) -> impl Iterator<Item = (Sid, &Member)> {
        self.members
            .iter()
            .map(|(sid, member)| (*sid, member))
            .filter(move |(_, member)| member.role == role)
    }

    /// Whether this server votes.
    #[must_use]
    pub fn is_participant(&self, sid: Sid) -> bool {
        self.members
            .get(&sid)
            .is_some_and(|member| member.role == Role::Participant)
    }

    /// Whether groups and weights decide, in place of a plain majority.
    #[must_use]
    pub fn is_hierarchical(&self) -> bool {
        !self.groups.is_empty() || !self.weights.is_empty()
    }

    /// The weight of a server's vote. A server of weight 0 is not to be elected.
    ///
    /// With a plain majority it is 1 for everybody, known or not. Where groups decide, a server that is in none has
    /// weight 0 (Java ends the thread that asks).
    #[must_use]
    pub fn weight(&self, sid: Sid) -> u64 {
        if !self.is_hierarchical() {
            return 1;
        }
        let explicit = self.weights.get(&sid).copied();
        explicit.unwrap_or_else(|| u64::from(self.is_participant(sid)))
    }

    /// Whether these servers are a quorum. Those that have no vote do not count.
    #[must_use]
    pub fn contains_quorum(&self, servers: &BTreeSet<Sid>) -> bool {
        self.contains_quorum_where(|sid| servers.contains(&sid))
    }

    /// Whether the voters for which `has` is true are a quorum: more than half of them, or, where groups decide, more than
    /// half of the weight in more than half of the groups that have any weight.
    ///
    /// Source: `QuorumMaj.containsQuorum`, `QuorumHierarchical.containsQuorum`.
    #[must_use]
    pub fn contains_quorum_where(&self, mut has: impl FnMut(Sid) -> bool) -> bool {
        if !self.is_hierarchical() {
            let voters = self.participants().count();
            let have = self.participants().filter(|(sid, _)| has(*sid)).count();
            return have > voters / 2;
        }
        // Weight of each group: all of it, and what is there. 64 bits each, added in 128.
        let mut groups: BTreeMap<i64, (u128, u128)> = BTreeMap::new();
        for (sid, group) in &self.groups {
            let weight = u128::from(self.weight(*sid));
            let (whole, part) = groups.entry(*group).or_default();
            *whole += weight;
            if self.is_participant(*sid) && has(*sid) {
                *part += weight;
            }
        }
        let with_weight = groups.values().filter(|(whole, _)| *whole > 0).count();
        let have = groups.values().filter(|(whole, part)| *part > whole / 2).count();
        have > with_weight / 2
    }

    /// Whether the servers, groups and weights are the same, whatever the versions.
    #[must_use]
    pub fn has_same_servers(&self, other: &Self) -> bool {
        let weights = |config: &Self| -> BTreeMap<Sid, u64> {
            let named = config.weights.iter().map(|(sid, weight)| (*sid, *weight));
            let voters = config.participants().map(|(sid, _)| (sid, config.weight(sid)));
            named.chain(voters).collect()
        };
        self.members == other.members
            && self.groups == other.groups
            && self.is_hierarchical() == other.is_hierarchical()
            && weights(self) == weights(other)
    }

    /// Takes one line: `server.N`, `group.N`, `weight.N` or `version`.
    ///
    /// # Errors
    /// What is allowed, if the line is not.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), String> {
        if key == "version" {
            self.version = ConfigVersion::parse(value).ok_or("a hexadecimal number")?;
            return Ok(());
        }
        let (kind, number) = match key.split_once('.') {
            Some((kind @ ("server" | "group" | "weight"), number)) => (kind, number),
            _ => return Err("server.N, group.N, weight.N and version".to_owned()),
        };
        let number = decimal(number).ok_or_else(|| format!("a number after {kind}."))?;
        match kind {
            "server" => {
                let member = Member::parse(value)?;
                if self.members.insert(Sid(number), member).is_some() {
                    return Err(format!("one line for server {number}"));
                }
            }
            "group" => {
                for sid in value.split(':') {
                    let sid = decimal(sid).map(Sid).ok_or("server ids between colons")?;
                    if self.groups.insert(sid, number).is_some() {
                        return Err(format!("a server in one group; {sid} is in another one already"));
                    }
                }
            }
            _ => {
                let weight = value.parse().map_err(|_| "a whole number from 0 on")?;
                self.weights.insert(Sid(number), weight);
            }
        }
        Ok(())
    }

    /// Whether the groups fit the servers.
    ///
    /// # Errors
    /// What is wrong.
    ///
    /// Source: `QuorumHierarchical.parse`; a group with a server that does not exist, or with an observer without a
    /// weight, ends Java with a null dereference.
    pub fn check_groups(&self) -> Result<(), String> {
        if !self.is_hierarchical() {
            return Ok(());
        }
        let mut participants = self.participants();
        if let Some((sid, _)) = participants.find(|(sid, _)| !self.groups.contains_key(sid)) {
            return Err(format!("server {sid} is in no group, but others are"));
        }
        for sid in self.groups.keys() {
            let Some(member) = self.members.get(sid) else {
                return Err(format!("there is no server {sid}, but a group has it"));
            };
            if member.role == Role::Observer && !self.weights.contains_key(sid) {
                return Err(format!(
                    "server {sid} only observes and has no weight, but a group has it"
                ));
            }
        }
        Ok(())
    }

    /// Whether the list as a whole is possible for a server that starts with it.
    ///
    /// # Errors
    /// What is wrong.
    ///
    /// Source: `QuorumPeerConfig.parseDynamicConfig`.
    pub fn check(&self, standalone_enabled: bool) -> Result<(), String> {
        let participants = self.participants().count();
        let observers = self.observers().count();
        if participants == 0 && !standalone_enabled {
            return Err("standaloneEnabled=false needs one voting server at least".to_owned());
        }
        if observers > 0 && (participants == 0 || (participants == 1 && standalone_enabled)) {
            return Err("observers need an ensemble to observe".to_owned());
        }
        self.check_groups()
    }
}

/// Digits, a sign before them or not, as `Long.parseLong` takes them.
fn decimal(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn config(lines: &[(&str, &str)]) -> Result<QuorumConfig, String> {
        let mut config = QuorumConfig::default();
        lines.iter().try_for_each(|(key, value)| config.add(key, value))?;
        Ok(config)
    }

    #[test]
    fn groups_and_weights_are_read_and_complete() {
        let servers = [("server.1", "a:1:2"), ("server.2", "b:1:2"), ("server.3", "c:1:2")];
        let mut lines = servers.to_vec();
        lines.extend([("group.1", "1:2"), ("weight.1", "0"), ("version", "1a")]);
        let partly = config(&lines).expect("each line is right");
        assert_eq!(partly.groups, BTreeMap::from([(Sid(1), 1), (Sid(2), 1)]));
        assert_eq!(partly.weights, BTreeMap::from([(Sid(1), 0)]));
        assert_eq!(partly.version, ConfigVersion(0x1a));
        assert_eq!(
            partly.check(true),
            Err("server 3 is in no group, but others are".to_owned())
        );

        lines.push(("group.2", "3"));
        assert_eq!(config(&lines).expect("each line is right").check(true), Ok(()));

        let mut stranger = lines.clone();
        stranger.push(("group.3", "4"));
        assert_eq!(
            config(&stranger).expect("each line is right").check(true),
            Err("there is no server 4, but a group has it".to_owned())
        );
        stranger.push(("server.4", "d:1:2:observer"));
        assert_eq!(
            config(&stranger).expect("each line is right").check(true),
            Err("server 4 only observes and has no weight, but a group has it".to_owned())
        );
        stranger.push(("weight.4", "2"));
        assert_eq!(config(&stranger).expect("each line is right").check(true), Ok(()));

        lines.push(("group.3", "4:3"));
        assert_eq!(
            config(&lines),
            Err("a server in one group; 3 is in another one already".to_owned())
        );
    }

    #[test]
    fn a_wrong_line_of_the_list_is_refused() {
        for (key, value) in [
            ("server.x", "a:1:2"),
            ("server.", "a:1:2"),
            ("server", "a:1:2"),
            ("group.1", ""),
            ("group.1", "1:x"),
            ("group.1", "1:1"),
            ("weight.1", "-1"),
            ("weight.1", "x"),
            ("version", "xyz"),
            ("version", "+1"),
            ("version", "-1"),
            ("version", "8000000000000000"),
            ("tickTime", "2000"),
        ] {
            assert!(config(&[(key, value)]).is_err(), "{key}={value}");
        }
        let twice = config(&[("server.1", "a:1:2"), ("server.01", "b:1:2")]);
        assert_eq!(twice, Err("one line for server 1".to_owned()));
    }

    #[test]
    fn an_impossible_list_is_refused() {
        let check =
            |lines: &[(&str, &str)], standalone| config(lines).expect("each line is right").check(standalone).is_ok();
        let voter = ("server.1", "a:1:2");
        let second = ("server.2", "b:1:2");
        let observer = ("server.3", "c:1:2:observer");
        assert!(check(&[], true));
        assert!(!check(&[], false));
        assert!(check(&[voter], true));
        assert!(check(&[voter], false));
        assert!(!check(&[observer], true));
        assert!(!check(&[voter, observer], true));
        assert!(check(&[voter, observer], false));
        assert!(check(&[voter, second, observer], true));
    }

    fn sids(numbers: &[i64]) -> BTreeSet<Sid> {
        numbers.iter().copied().map(Sid).collect()
    }

    fn quorums(config: &QuorumConfig, yes: &[&[i64]], no: &[&[i64]]) {
        for (sets, expected) in [(yes, true), (no, false)] {
            for set in sets {
                assert_eq!(config.contains_quorum(&sids(set)), expected, "{set:?}");
            }
        }
    }

    #[test]
    fn a_majority_is_more_than_half_of_the_voters() {
        let mut config = QuorumConfig::default();
        for key in ["server.1", "server.2", "server.3", "server.4"] {
            config.add(key, "a:1:2").unwrap();
        }
        config.add("server.5", "a:1:2:observer").unwrap();
        quorums(
            &config,
            &[&[1, 2, 3], &[1, 2, 3, 4], &[2, 3, 4, 9]],
            &[&[], &[1, 2], &[1, 2, 5], &[1, 2, 5, 9], &[9, 10, 11]],
        );
        assert!(!QuorumConfig::default().contains_quorum(&sids(&[1])));
        assert_eq!((config.weight(Sid(1)), config.weight(Sid(9))), (1, 1));
    }

    /// The example of the administrator's guide: three groups of three, and the same with one group without weight.
    #[test]
    fn groups_need_a_majority_of_groups_with_a_majority_of_weight() {
        let mut config = QuorumConfig::default();
        for sid in 1..=9 {
            config.add(&format!("server.{sid}"), "a:1:2").unwrap();
        }
        for (key, value) in [("group.1", "1:2:3"), ("group.2", "4:5:6"), ("group.3", "7:8:9")] {
            config.add(key, value).unwrap();
        }
        assert_eq!(config.check(true), Ok(()));
        quorums(
            &config,
            &[&[1, 2, 4, 5], &[2, 3, 8, 9], &[1, 2, 3, 4, 5, 6, 7, 8, 9]],
            &[&[], &[1, 2, 3, 4, 7], &[1, 4, 7], &[1, 2, 3], &[1, 2, 10, 11]],
        );
        for sid in 7..=9 {
            config.add(&format!("weight.{sid}"), "0").unwrap();
        }
        quorums(&config, &[&[1, 2, 4, 5]], &[&[1, 2, 7, 8, 9], &[1, 2, 3]]);
        config.add("weight.1", "5").unwrap();
        quorums(&config, &[&[1, 4, 5]], &[&[2, 3, 4, 5]]);
        assert_eq!(
            (config.weight(Sid(1)), config.weight(Sid(2)), config.weight(Sid(7))),
            (5, 1, 0)
        );
        assert_eq!(config.weight(Sid(10)), 0);
    }

    #[test]
    fn groups_without_any_weight_have_no_quorum_and_great_weights_do_not_wrap() {
        let mut lines = [("server.1", "a:1:2"), ("server.2", "b:1:2"), ("group.1", "1:2")].to_vec();
        let great = u64::MAX.to_string();
        lines.extend([("weight.1", "0"), ("weight.2", "0")]);
        quorums(&config(&lines).unwrap(), &[], &[&[], &[1, 2]]);
        lines.truncate(3);
        lines.extend([("weight.1", great.as_str()), ("weight.2", great.as_str())]);
        quorums(&config(&lines).unwrap(), &[&[1, 2]], &[&[1], &[2]]);
    }

    #[test]
    fn a_weight_of_1_says_nothing_where_groups_decide() {
        let lines = [("server.1", "a:1:2"), ("server.2", "b:1:2"), ("group.1", "1:2")];
        let plain = config(&lines).unwrap();
        let mut same = plain.clone();
        same.add("weight.2", "1").unwrap();
        same.add("version", "7").unwrap();
        assert!(plain.has_same_servers(&same));
        same.add("weight.2", "2").unwrap();
        assert!(!plain.has_same_servers(&same));
        let majority = config(&lines[..2]).unwrap();
        assert!(!plain.has_same_servers(&majority));
    }
}
