//! One server of the configuration: the grammar of `server.N`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::quorum::HostPort;
use crate::quorum::address::{JavaHost, canonical_host, port, split_host};

/// One server of the list. It displays as Java 3.8 and 3.9 write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where the others find it; one address unless `multiAddress.enabled`. Never empty, in order, none twice.
    pub addresses: Vec<MemberAddress>,
    /// What it takes part in.
    pub role: Role,
    /// Where clients find it, from the part after `;`.
    pub client: Option<HostPort>,
    /// Where clients find it with TLS, from the part after the second `;`. Java has this from 3.10 on; earlier releases
    /// refuse a text with it, so it is read but never written.
    pub secure_client: Option<HostPort>,
}

/// One address of a server, not resolved: names are looked up again at each connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberAddress {
    /// A name or an address, without brackets, as [`HostPort::host`].
    pub host: String,
    /// Where the leader listens to learners.
    pub quorum_port: u16,
    /// Where votes are exchanged.
    pub election_port: u16,
}

/// What a server takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It votes.
    Participant,
    /// It follows without a vote.
    Observer,
}

impl Role {
    /// By the word in the file, in any case.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "participant" => Some(Self::Participant),
            "observer" => Some(Self::Observer),
            _ => None,
        }
    }

    /// The word in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        }
    }
}

/// What `server.N` looks like.
const SYNTAX: &str = "host:quorumPort:electionPort[:participant|:observer][|further addresses][;[host:]clientPort][;[host:]secureClientPort]";

impl Member {
    /// Reads what stands after `server.N=`.
    ///
    /// # Errors
    /// What is allowed, if the text is not.
    ///
    /// Source: `QuorumPeer.QuorumServer.initializeWithAddressString`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let syntax = || SYNTAX.to_owned();
        let mut parts = text.split(';').map(str::trim);
        let servers = parts.next().unwrap_or_default();
        let mut client = || match parts.next() {
            None | Some("") => Ok(None),
            Some(text) => client_address(text).map(Some).ok_or_else(syntax),
        };
        let (client, secure_client) = (client()?, client()?);
        if parts.next().is_some() {
            return Err(syntax());
        }
        let mut addresses = Vec::new();
        let mut role = None;
        for server in servers.split('|') {
            let (address, its_role) = MemberAddress::parse(server).ok_or_else(syntax)?;
            if address.quorum_port == address.election_port {
                return Err("two different ports".to_owned());
            }
            if role.is_some_and(|role| its_role.is_some_and(|its_role| its_role != role)) {
                return Err("one role for all addresses".to_owned());
            }
            role = role.or(its_role);
            addresses.push(address);
        }
        addresses.sort();
        addresses.dedup();
        Ok(Self {
            addresses,
            role: role.unwrap_or(Role::Participant),
            client,
            secure_client,
        })
    }
}

impl fmt::Display for Member {
    /// The role is always there and stands behind the last address; the client's part is there if it is known.
    ///
    /// Source: `QuorumPeer.QuorumServer.toString`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, address) in self.addresses.iter().enumerate() {
            let bar = if n == 0 { "" } else { "|" };
            write!(f, "{bar}{address}")?;
        }
        write!(f, ":{}", self.role.name())?;
        match &self.client {
            Some(client) => write!(f, ";{client}"),
            None => Ok(()),
        }
    }
}

impl MemberAddress {
    fn parse(text: &str) -> Option<(Self, Option<Role>)> {
        let (host, rest) = split_host(text.trim())?;
        let mut parts = rest.split(':');
        let address = Self {
            host: canonical_host(host),
            quorum_port: port(parts.next()?)?,
            election_port: port(parts.next()?)?,
        };
        let role = match parts.next() {
            Some(name) => Some(Role::by_name(name)?),
            None => None,
        };
        parts.next().is_none().then_some((address, role))
    }

    /// Where the leader listens to learners.
    #[must_use]
    pub fn quorum(&self) -> HostPort {
        HostPort {
            host: self.host.clone(),
            port: self.quorum_port,
        }
    }

    /// Where votes are exchanged.
    #[must_use]
    pub fn election(&self) -> HostPort {
        HostPort {
            host: self.host.clone(),
            port: self.election_port,
        }
    }
}

impl fmt::Display for MemberAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            JavaHost(&self.host),
            self.quorum_port,
            self.election_port
        )
    }
}

/// `[host:]port`; without a host it is every interface.
fn client_address(text: &str) -> Option<HostPort> {
    if text.contains(':') {
        HostPort::parse(text)
    } else {
        Some(HostPort::new("0.0.0.0", port(text)?))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn member(text: &str) -> Member {
        Member::parse(text).unwrap_or_else(|allowed| panic!("{text}: {allowed}"))
    }

    fn address(host: &str, quorum_port: u16, election_port: u16) -> MemberAddress {
        MemberAddress {
            host: host.to_owned(),
            quorum_port,
            election_port,
        }
    }

    fn at(host: &str, port: u16) -> Option<HostPort> {
        Some(HostPort::new(host, port))
    }

    #[test]
    fn every_part_of_a_server_line_is_read() {
        let plain = member("zk1:2888:3888");
        assert_eq!(plain.addresses, [address("zk1", 2888, 3888)]);
        assert_eq!(
            (plain.role, plain.client, plain.secure_client),
            (Role::Participant, None, None)
        );

        let observer = member("zk1:2888:3888:Observer;2181");
        assert_eq!((observer.role, observer.client), (Role::Observer, at("0.0.0.0", 2181)));

        let full = member("zk1:1:2:participant;10.0.0.1:2181;10.0.0.2:2281");
        assert_eq!(
            (full.client, full.secure_client),
            (at("10.0.0.1", 2181), at("10.0.0.2", 2281))
        );

        let secure = member("zk1:1:2;;2281");
        assert_eq!((secure.client, secure.secure_client), (None, at("0.0.0.0", 2281)));

        let several = member("zk1b:1:2|zk1:3:4:observer;[::1]:2181");
        assert_eq!(several.addresses, [address("zk1", 3, 4), address("zk1b", 1, 2)]);
        assert_eq!((several.role, several.client), (Role::Observer, at("::1", 2181)));
        assert_eq!(several.addresses[0].quorum(), HostPort::new("zk1", 3));
        assert_eq!(several.addresses[0].election(), HostPort::new("zk1", 4));

        let six = member("[2001:db8::1]:2888:3888:participant;[2001:db8::1]:2181");
        assert_eq!(six.addresses, [address("2001:db8::1", 2888, 3888)]);
    }

    #[test]
    fn a_member_is_written_as_java_writes_it() {
        for (text, written) in [
            ("zk1:2888:3888", "zk1:2888:3888:participant"),
            ("zk1:1:2:OBSERVER;2181", "zk1:1:2:observer;0.0.0.0:2181"),
            ("b:1:2|a:3:4;c:5", "a:3:4|b:1:2:participant;c:5"),
            ("a:1:2|a:1:2", "a:1:2:participant"),
            (
                "[::1]:1:2;[fe80::2]:3",
                "[0:0:0:0:0:0:0:1]:1:2:participant;[fe80:0:0:0:0:0:0:2]:3",
            ),
            ("zk1:1:2;2181;2281", "zk1:1:2:participant;0.0.0.0:2181"),
        ] {
            assert_eq!(member(text).to_string(), written);
        }
    }

    #[test]
    fn a_wrong_server_line_is_refused() {
        for text in [
            "",
            "zk1",
            "zk1:2888",
            "zk1:2888:",
            ":2888:3888",
            "zk1:2888:3888:learner",
            "zk1:2888:3888:observer:x",
            "zk1:2888:70000",
            "zk1:a:b",
            "zk1:2888:2888",
            "zk1:2888:3888;a",
            "zk1:2888:3888;h:1:2",
            "zk1:2888:3888;1;2;3",
            "[::1:2888:3888",
            "[::1]2888:3888",
            "zk1:1:2|",
            "zk1:1:2:observer|zk2:3:4:participant",
        ] {
            assert!(Member::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_server_line_panics(text in "[a-z0-9:;|\\[\\] .]{0,40}|.{0,20}") {
            if let Ok(member) = Member::parse(&text) {
                let written = member.to_string();
                let again = Member::parse(&written);
                prop_assert_eq!(again, Ok(Member { secure_client: None, ..member }), "{}", written);
            }
        }
    }
}
