//! The text of a configuration.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use super::QuorumConfig;
use crate::{Sid, properties};

/// Why a text is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigTextError {
    /// A line is not in the syntax of Java properties.
    #[error("line {line}: \\u needs four hexadecimal digits")]
    Escape {
        /// Counted from 1.
        line: u32,
    },
    /// A line says what it must not.
    #[error("line {line}: {key:?}={value:?}: allowed: {allowed}")]
    Line {
        /// Counted from 1.
        line: u32,
        /// What stands before the sign.
        key: String,
        /// What stands behind it.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The lines do not fit each other.
    #[error("{why}")]
    Whole {
        /// What is wrong.
        why: String,
    },
}

impl QuorumConfig {
    /// Reads a text as it travels between servers. Whether there are enough servers in it is not asked.
    ///
    /// # Errors
    /// With the line and the reason: a key that does not belong here, a value that is none, a server that comes twice, or
    /// groups that do not fit the servers.
    ///
    /// Source: `QuorumPeer.configFromString`, `QuorumPeerConfig.parseDynamicConfig`.
    pub fn parse(text: &str) -> Result<Self, ConfigTextError> {
        let pairs = properties::parse(text).map_err(|bad| ConfigTextError::Escape { line: bad.line })?;
        let mut config = Self::default();
        for pair in pairs {
            config
                .add(&pair.key, &pair.value)
                .map_err(|allowed| ConfigTextError::Line {
                    line: pair.line,
                    key: pair.key,
                    value: pair.value,
                    allowed,
                })?;
        }
        config.check_groups().map_err(|why| ConfigTextError::Whole { why })?;
        Ok(config)
    }

    /// As [`QuorumConfig::parse`], from bytes of the wire. Malformed UTF-8 becomes U+FFFD, as in Java.
    ///
    /// # Errors
    /// As [`QuorumConfig::parse`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigTextError> {
        Self::parse(&String::from_utf8_lossy(bytes))
    }
}

impl fmt::Display for QuorumConfig {
    /// The text as Java 3.8 and 3.9 write it, no end of line behind the version: servers, then, where groups decide,
    /// groups and the weights of everybody, then the version; each kind in the order of Java's hash maps.
    ///
    /// Source: `QuorumMaj.toString`, `QuorumHierarchical.toString`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sid, member) in in_order_of_java(self.members.iter().map(|(sid, member)| (sid.0, member))) {
            writeln!(f, "server.{sid}={member}")?;
        }
        if self.is_hierarchical() {
            let mut groups: BTreeMap<i64, String> = BTreeMap::new();
            for (sid, group) in in_order_of_java(self.groups.iter().map(|(sid, group)| (sid.0, *group))) {
                let members = groups.entry(group).or_default();
                *members += &if members.is_empty() {
                    format!("{sid}")
                } else {
                    format!(":{sid}")
                };
            }
            for (group, members) in in_order_of_java(groups.into_iter()) {
                writeln!(f, "group.{group}={members}")?;
            }
            let mut weights = self.weights.to_owned();
            for (sid, _) in self.participants() {
                weights.entry(sid).or_insert(1);
            }
            for (sid, weight) in in_order_of_java(weights.into_iter().map(|(Sid(sid), weight)| (sid, weight))) {
                writeln!(f, "weight.{sid}={weight}")?;
            }
        }
        write!(f, "version={}", self.version)
    }
}

/// Entries in the order in which a `java.util.HashMap` with numbers for keys goes over them: by the low bits of the hash,
/// as many as the table's size has. Keys that fall together are in the order in which they came, which is not known here;
/// they are taken as ascending. No two servers with ids below 16 fall together.
fn in_order_of_java<T>(entries: impl Iterator<Item = (i64, T)>) -> Vec<(i64, T)> {
    let mut entries: Vec<_> = entries.collect();
    // A table starts with 16 places and doubles when more than three quarters of them are taken.
    let mut places = 16_usize;
    while entries.len() > places / 4 * 3 {
        places *= 2;
    }
    entries.sort_by_key(|(key, _)| {
        let [a, b, c, d, e, f, g, h] = key.to_be_bytes();
        let hash = u32::from_be_bytes([a, b, c, d]) ^ u32::from_be_bytes([e, f, g, h]);
        let spread = usize::try_from(hash ^ (hash >> 16)).unwrap_or_default();
        (spread & (places - 1), *key)
    });
    entries
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    /// Parses, prints, and parses what was printed.
    fn check(text: &str, printed: &str) {
        let config = QuorumConfig::parse(text).unwrap();
        assert_eq!(config.to_string(), printed);
        let again = QuorumConfig::parse(printed).unwrap();
        assert!(again.has_same_servers(&config));
        assert_eq!(again.version, config.version);
        assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn a_majority_s_text_is_servers_and_version() {
        check(
            "# comment\n\nserver.2 = b:1:2:observer;3\nversion=100000000\nserver.1:a:1:2",
            "server.1=a:1:2:participant\nserver.2=b:1:2:observer;0.0.0.0:3\nversion=100000000",
        );
        check("", "version=0");
    }

    #[test]
    fn where_groups_decide_everybody_s_weight_is_written() {
        check(
            "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer\n\
             group.2=3\ngroup.1=2:1\nweight.2=0\nversion=ff",
            "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\n\
             server.4=d:1:2:observer\ngroup.1=1:2\ngroup.2=3\nweight.1=1\nweight.2=0\nweight.3=1\nversion=ff",
        );
    }

    #[test]
    fn the_order_is_that_of_a_java_hash_map() {
        let order = |keys: &[i64]| -> Vec<i64> {
            let entries = in_order_of_java(keys.iter().map(|key| (*key, ())));
            entries.into_iter().map(|(key, ())| key).collect()
        };
        assert_eq!(order(&[1, 2, 3, 15]), [1, 2, 3, 15]);
        assert_eq!(order(&[10, 20, 30]), [20, 10, 30]);
        let many: Vec<i64> = (1..=13).map(|n| n * 10).collect();
        assert_eq!(order(&many), [130, 100, 70, 40, 10, 110, 80, 50, 20, 120, 90, 60, 30]);
        assert_eq!(order(&[-1, 1]), [-1, 1]);
    }

    #[test]
    fn an_error_has_line_and_reason() {
        let check = |text: &str, expected: &str| {
            assert_eq!(QuorumConfig::parse(text).unwrap_err().to_string(), expected);
        };
        check(
            "server.1=a:1:2\n\nserver.1=b:1:2",
            "line 3: \"server.1\"=\"b:1:2\": allowed: one line for server 1",
        );
        check(
            "server.1=a:1:2\nclientPort=2181",
            "line 2: \"clientPort\"=\"2181\": allowed: server.N, group.N, weight.N and version",
        );
        check("version=g", "line 1: \"version\"=\"g\": allowed: a hexadecimal number");
        check("\nversion=\\u12", "line 2: \\u needs four hexadecimal digits");
        check("server.1=a:1:2\nweight.1=1", "server 1 is in no group, but others are");
        check(
            "server.1=a\\nb",
            "line 1: \"server.1\"=\"a\\nb\": allowed: host:quorumPort:electionPort[:participant|:observer]\
             [|further addresses][;[host:]clientPort][;[host:]secureClientPort]",
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(
            members in prop::collection::btree_map(
                any::<i64>(),
                ("[a-z]{1,3}|::1|10\\.0\\.0\\.1", 1..9_u16, 10..19_u16, any::<bool>(), prop::option::of(1..9_u16)),
                0..20,
            ),
            groups: bool,
            version in 0..i64::MAX,
        ) {
            let mut text = format!("version={version:x}\n");
            for (n, (sid, (host, quorum, election, votes, client))) in members.iter().enumerate() {
                let role = if *votes { "participant" } else { "observer" };
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                text += &format!("server.{sid}={host}:{quorum}:{election}:{role}");
                text += &client.map_or(String::new(), |port| format!(";{host}:{port}"));
                if groups && *votes {
                    text += &format!("\ngroup.{n}={sid}");
                }
                text += "\n";
            }
            let config = QuorumConfig::parse(&text).unwrap();
            let again = QuorumConfig::parse(&config.to_string()).unwrap();
            prop_assert!(again.has_same_servers(&config));
            prop_assert_eq!(again.version, config.version);
        }

        #[test]
        fn no_text_panics(text in "(server|group|weight|version|\\.|=|1|2|:|a|\\[|\\]|;|\\||\\n){0,40}|.{0,60}") {
            if let Ok(config) = QuorumConfig::parse(&text) {
                prop_assert!(QuorumConfig::parse(&config.to_string()).is_ok());
            }
        }
    }
}
