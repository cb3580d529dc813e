//! Changes of a configuration, as clients ask for them.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use thiserror::Error;

use super::{ConfigVersion, Member, MemberAddress, QuorumConfig};
use crate::Sid;
use crate::quorum::HostPort;

/// Why a configuration cannot be changed in this way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// What was asked for is wrong: `BadArguments` to the client.
    #[error("{0}")]
    Wrong(String),
    /// It is wrong in a way that the reference does not expect: `MarshallingError` to the client.
    #[error("{0}")]
    Unexpected(String),
}

impl QuorumConfig {
    /// This configuration without those who leave and with those who join, in the place of one of the same number if there
    /// is one. Both are lists with commas; of those who leave the numbers, of those who join whole lines. The version stays.
    ///
    /// # Errors
    /// If groups decide, a list cannot be read, one that joins has no client port, or has an address of another one.
    ///
    /// Source: `PrepRequestProcessor.pRequest2Txn`, `QuorumServer.checkAddressDuplicate`. Names of hosts are compared as they
    /// are written; the reference resolves them.
    pub fn with_change(&self, joining: Option<&str>, leaving: Option<&str>) -> Result<Self, ChangeError> {
        if self.is_hierarchical() {
            let why = "where groups decide, only a whole new list can be given (newMembers)";
            return Err(ChangeError::Wrong(why.to_owned()));
        }
        let mut config = self.clone();
        for number in list(leaving) {
            let sid = number.parse().map(Sid);
            let sid = sid.map_err(|_| ChangeError::Unexpected(format!("{number:?} is no server id")))?;
            config.members.remove(&sid);
        }
        for line in list(joining) {
            let (sid, member) = joiner(line)?;
            for (other, there) in config.members.iter().filter(|(other, _)| **other != sid) {
                if let Some(address) = shared_address(&member, there) {
                    return Err(ChangeError::Wrong(format!(
                        "server {sid} is to have {address}, which server {other} has"
                    )));
                }
            }
            config.members.insert(sid, member);
        }
        Ok(config)
    }

    /// The configuration in a whole new list, lines or parts between commas. Its version is 0.
    ///
    /// # Errors
    /// If the list cannot be read, or no ensemble can start with it.
    ///
    /// Source: `QuorumPeerConfig.parseDynamicConfig`.
    pub fn from_new_members(text: &str, standalone_enabled: bool) -> Result<Self, ChangeError> {
        let lines = text.replace(',', "\n");
        let config = Self::parse(&lines).map_err(|error| ChangeError::Wrong(error.to_string()))?;
        config.check(standalone_enabled).map_err(ChangeError::Unexpected)?;
        Ok(Self {
            version: ConfigVersion(0),
            ..config
        })
    }
}

/// The parts of a list with commas that have something in them.
fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    let parts = text.into_iter().flat_map(|text| text.split(','));
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// One who joins: `server.N=` with all three ports.
fn joiner(line: &str) -> Result<(Sid, Member), ChangeError> {
    let wrong = |allowed: &str| ChangeError::Wrong(format!("{line:?}: allowed: {allowed}"));
    let mut parts = line.split('=').map(str::trim).filter(|part| !part.is_empty());
    let (Some(key), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong("server.N=host:quorumPort:electionPort[:role];[host:]clientPort"));
    };
    let number = key.rsplit('.').next().unwrap_or(key);
    let sid = number
        .parse()
        .map_err(|_| ChangeError::Unexpected(format!("{number:?} is no server id")))?;
    let member = Member::parse(value).map_err(|allowed| wrong(&allowed))?;
    if member.client.is_none() {
        return Err(wrong("a line with a client port, behind a semicolon"));
    }
    Ok((Sid(sid), member))
}

/// An address at which both are to be found. Wildcards and the loopback interface are each machine's own.
fn shared_address(one: &Member, other: &Member) -> Option<HostPort> {
    let taken = addresses(other);
    addresses(one).into_iter().find(|address| taken.contains(address))
}

fn addresses(member: &Member) -> Vec<HostPort> {
    let quorum = member.addresses.iter().map(MemberAddress::quorum);
    let election = member.addresses.iter().map(MemberAddress::election);
    let all = quorum.chain(election).chain(member.client.clone());
    all.filter(|address| !address.is_wildcard() && !address.is_loopback())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> QuorumConfig {
        let text =
            "server.1=a:1:2:participant;3\nserver.2=b:1:2:participant;3\nserver.3=c:1:2:observer;d:3\nversion=1a";
        QuorumConfig::parse(text).unwrap()
    }

    #[test]
    fn servers_join_leave_and_change() {
        let change = |joining, leaving| three().with_change(joining, leaving).map(|config| config.to_string());
        assert_eq!(
            change(
                Some("server.4=d:1:2;4 , server.2 = b:5:6:observer;0.0.0.0:3,"),
                Some("3, 9")
            )
            .unwrap(),
            "server.1=a:1:2:participant;0.0.0.0:3\nserver.2=b:5:6:observer;0.0.0.0:3\nserver.4=d:1:2:participant;0.0.0.0:4\nversion=1a"
        );
        // One whose number is given up may be taken in with the same addresses.
        assert!(change(Some("server.4=a:1:2;3"), Some("1")).is_ok());
        assert!(change(None, None).is_ok());
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let wrong = |joining, leaving| match three().with_change(joining, leaving) {
            Err(ChangeError::Wrong(why)) => why,
            other => panic!("{joining:?} {leaving:?}: {other:?}"),
        };
        assert!(wrong(Some("server.4=d:1:2"), None).contains("client port"));
        assert!(wrong(Some("server.4=d:1;3"), None).contains("quorumPort"));
        assert!(wrong(Some("server.4"), None).contains("server.N="));
        assert!(wrong(Some("server.4=d:1:2;3=4"), None).contains("server.N="));
        assert_eq!(
            wrong(Some("server.4=x:1:2;d:3"), None),
            "server 4 is to have d:3, which server 3 has"
        );
        assert!(wrong(Some("server.4=b:2:7;3"), None).contains("server 2 has"));
        for (joining, leaving) in [(None, Some("x")), (Some("server.x=d:1:2;3"), None)] {
            let unexpected = three().with_change(joining, leaving);
            assert!(matches!(unexpected, Err(ChangeError::Unexpected(_))), "{unexpected:?}");
        }
        let mut groups = three();
        groups.add("group.1", "1:2").unwrap();
        assert!(matches!(groups.with_change(None, None), Err(ChangeError::Wrong(_))));
    }

    #[test]
    fn machines_may_have_the_same_loopback_addresses() {
        let config = QuorumConfig::parse("server.1=127.0.0.1:1:2;localhost:3").unwrap();
        assert!(
            config
                .with_change(Some("server.2=127.0.0.1:1:2;localhost:3"), None)
                .is_ok()
        );
        let config = QuorumConfig::parse("server.1=[::1]:1:2;0.0.0.0:3").unwrap();
        assert!(config.with_change(Some("server.2=[::1]:1:2;0.0.0.0:3"), None).is_ok());
    }

    #[test]
    fn a_whole_list_is_lines_or_parts_between_commas() {
        let config = QuorumConfig::from_new_members("server.1=a:1:2;3,server.2=b:1:2;3\nversion=7", true).unwrap();
        assert_eq!((config.members.len(), config.version), (2, ConfigVersion(0)));
        let groups = "server.1=a:1:2,server.2=b:1:2,group.1=1:2,weight.1=2";
        assert!(QuorumConfig::from_new_members(groups, true).unwrap().is_hierarchical());
        for text in ["server.1=a:1", "clientPort=3", "server.1=a:1:2,group.1=1:2"] {
            let wrong = QuorumConfig::from_new_members(text, true);
            assert!(matches!(wrong, Err(ChangeError::Wrong(_))), "{text}: {wrong:?}");
        }
        let none = QuorumConfig::from_new_members("server.1=a:1:2:observer", true);
        assert!(matches!(none, Err(ChangeError::Unexpected(_))), "{none:?}");
    }
}
