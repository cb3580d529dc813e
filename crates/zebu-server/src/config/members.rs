//! The list of servers: `server.N`, `group.N`, `weight.N`, `version`, in `zoo.cfg` or in a dynamic file.

use std::collections::BTreeMap;

use zebu_proto::Sid;

use super::value::decimal;

/// Who belongs to the ensemble. Empty for a server alone.
///
/// Source: `QuorumMaj`, `QuorumHierarchical` and `QuorumPeer.QuorumServer`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// All servers by their ids (`server.N`).
    pub members: BTreeMap<Sid, Member>,
    /// Groups of voters (`group.N`); empty: a plain majority decides. Each server is in one group at most.
    pub groups: BTreeMap<i64, Vec<Sid>>,
    /// Votes of a server in its group (`weight.N`); one that is not named has 1.
    pub weights: BTreeMap<Sid, u64>,
    /// The configuration's version (`version`, hexadecimal), the zxid of the change that made it.
    pub version: u64,
}

/// One server of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where the others find it; one address unless `multiAddress.enabled`. Never empty.
    pub addresses: Vec<MemberAddress>,
    /// What it takes part in.
    pub role: Role,
    /// Where clients find it, from the part after `;`.
    pub client: Option<HostPort>,
    /// Where clients find it with TLS, from the part after the second `;`.
    pub secure_client: Option<HostPort>,
}

/// One address of a server, not resolved: names are looked up again at each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAddress {
    /// A name or an address, without brackets.
    pub host: String,
    /// Where the leader listens to learners.
    pub quorum_port: u16,
    /// Where votes are exchanged.
    pub election_port: u16,
}

/// A host, not resolved, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address, without brackets; `0.0.0.0` if only the port was given.
    pub host: String,
    /// The port.
    pub port: u16,
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
    pub(super) fn by_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "participant" => Some(Self::Participant),
            "observer" => Some(Self::Observer),
            _ => None,
        }
    }

    /// The word in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        }
    }
}

impl Membership {
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

    /// Takes one line. The error says what is allowed.
    pub(super) fn add(&mut self, key: &str, value: &str, several: bool) -> Result<(), String> {
        if key == "version" {
            let version = u64::from_str_radix(value, 16).ok().filter(|_| !value.starts_with('+'));
            self.version = version.ok_or("a hexadecimal number")?;
            return Ok(());
        }
        let (kind, number) = key.split_once('.').unwrap_or((key, ""));
        let number = decimal(number).ok_or_else(|| format!("a number after {kind}."))?;
        match kind {
            "server" => {
                let member = Member::parse(value, several)?;
                if self.members.insert(Sid(number), member).is_some() {
                    return Err(format!("one line for server {number}"));
                }
            }
            "group" => {
                let sids: Option<Vec<_>> = value.split(':').map(|sid| decimal(sid).map(Sid)).collect();
                let sids = sids.ok_or("server ids between colons")?;
                let taken = |sid: &Sid| self.groups.values().flatten().any(|other| other == sid);
                if let Some(sid) = sids.iter().find(|sid| taken(sid)) {
                    return Err(format!("a server in one group; {sid} is in another one already"));
                }
                self.groups.insert(number, sids);
            }
            _ => {
                let weight = value.parse().map_err(|_| "a whole number from 0 on")?;
                self.weights.insert(Sid(number), weight);
            }
        }
        Ok(())
    }

    /// Whether the list as a whole is possible. The error says what is wrong.
    ///
    /// Source: `QuorumPeerConfig.parseDynamicConfig` and `QuorumHierarchical.parse`.
    pub(super) fn check(&self, standalone_enabled: bool) -> Result<(), String> {
        let participants = self.participants().count();
        let observers = self.observers().count();
        if participants == 0 && !standalone_enabled {
            return Err("standaloneEnabled=false needs one voting server at least".to_owned());
        }
        if observers > 0 && (participants == 0 || (participants == 1 && standalone_enabled)) {
            return Err("observers need an ensemble to observe".to_owned());
        }
        if self.groups.is_empty() && self.weights.is_empty() {
            return Ok(());
        }
        let grouped: Vec<Sid> = self.groups.values().flatten().copied().collect();
        if let Some((sid, _)) = self.participants().find(|(sid, _)| !grouped.contains(sid)) {
            return Err(format!("server {sid} is in no group, but others are"));
        }
        match grouped.iter().find(|sid| !self.members.contains_key(sid)) {
            Some(sid) => Err(format!("there is no server {sid}, but a group has it")),
            None => Ok(()),
        }
    }
}

/// What `server.N` looks like.
const SYNTAX: &str = "host:quorumPort:electionPort[:participant|:observer][|further addresses][;[host:]clientPort][;[host:]secureClientPort]";

impl Member {
    /// Reads what stands after `server.N=`. `several` addresses are allowed or not.
    fn parse(text: &str, several: bool) -> Result<Self, String> {
        let syntax = || SYNTAX.to_owned();
        let mut parts = text.split(';').map(str::trim);
        let servers = parts.next().unwrap_or_default();
        let mut client = || match parts.next() {
            None | Some("") => Ok(None),
            Some(text) => HostPort::parse(text).map(Some).ok_or_else(syntax),
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
        if addresses.len() > 1 && !several {
            return Err("one address, unless multiAddress.enabled=true".to_owned());
        }
        Ok(Self {
            addresses,
            role: role.unwrap_or(Role::Participant),
            client,
            secure_client,
        })
    }
}

impl MemberAddress {
    fn parse(text: &str) -> Option<(Self, Option<Role>)> {
        let (host, rest) = split_host(text.trim())?;
        let mut parts = rest.split(':');
        let address = Self {
            host: host.to_owned(),
            quorum_port: port(parts.next()?)?,
            election_port: port(parts.next()?)?,
        };
        let role = match parts.next() {
            Some(name) => Some(Role::by_name(name)?),
            None => None,
        };
        parts.next().is_none().then_some((address, role))
    }
}

impl HostPort {
    fn parse(text: &str) -> Option<Self> {
        let (host, rest) = if text.contains(':') {
            split_host(text)?
        } else {
            ("0.0.0.0", text)
        };
        Some(Self {
            host: host.to_owned(),
            port: port(rest)?,
        })
    }
}

/// The host, out of its brackets if it has any, and what follows its colon.
fn split_host(text: &str) -> Option<(&str, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:")?,
        None => text.split_once(':')?,
    };
    (!host.is_empty()).then_some((host, rest))
}

fn port(text: &str) -> Option<u16> {
    decimal(text).and_then(|port| u16::try_from(port).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(text: &str) -> Member {
        Member::parse(text, true).unwrap_or_else(|allowed| panic!("{text}: {allowed}"))
    }

    fn address(host: &str, quorum_port: u16, election_port: u16) -> MemberAddress {
        MemberAddress {
            host: host.to_owned(),
            quorum_port,
            election_port,
        }
    }

    fn at(host: &str, port: u16) -> Option<HostPort> {
        Some(HostPort {
            host: host.to_owned(),
            port,
        })
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

        let several = member("zk1:1:2|zk1b:3:4:observer;[::1]:2181");
        assert_eq!(several.addresses, [address("zk1", 1, 2), address("zk1b", 3, 4)]);
        assert_eq!((several.role, several.client), (Role::Observer, at("::1", 2181)));

        let six = member("[2001:db8::1]:2888:3888:participant;[2001:db8::1]:2181");
        assert_eq!(six.addresses, [address("2001:db8::1", 2888, 3888)]);
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
            assert!(Member::parse(text, true).is_err(), "{text}");
        }
        let several = Member::parse("a:1:2|b:3:4", false);
        assert_eq!(several, Err("one address, unless multiAddress.enabled=true".to_owned()));
    }

    fn membership(lines: &[(&str, &str)]) -> Result<Membership, String> {
        let mut membership = Membership::default();
        lines
            .iter()
            .try_for_each(|(key, value)| membership.add(key, value, false))?;
        Ok(membership)
    }

    #[test]
    fn groups_and_weights_are_read_and_complete() {
        let servers = [("server.1", "a:1:2"), ("server.2", "b:1:2"), ("server.3", "c:1:2")];
        let mut lines = servers.to_vec();
        lines.extend([("group.1", "1:2"), ("weight.1", "0"), ("version", "1a")]);
        let partly = membership(&lines).expect("each line is right");
        assert_eq!(partly.groups, BTreeMap::from([(1, vec![Sid(1), Sid(2)])]));
        assert_eq!(partly.weights, BTreeMap::from([(Sid(1), 0)]));
        assert_eq!(partly.version, 0x1a);
        assert_eq!(
            partly.check(true),
            Err("server 3 is in no group, but others are".to_owned())
        );

        lines.push(("group.2", "3"));
        assert_eq!(membership(&lines).expect("each line is right").check(true), Ok(()));

        let mut stranger = lines.clone();
        stranger.push(("group.3", "4"));
        assert_eq!(
            membership(&stranger).expect("each line is right").check(true),
            Err("there is no server 4, but a group has it".to_owned())
        );

        lines.push(("group.3", "4:3"));
        assert_eq!(
            membership(&lines),
            Err("a server in one group; 3 is in another one already".to_owned())
        );
    }

    #[test]
    fn a_wrong_line_of_the_list_is_refused() {
        for (key, value) in [
            ("server.x", "a:1:2"),
            ("server.", "a:1:2"),
            ("group.1", ""),
            ("group.1", "1:x"),
            ("weight.1", "-1"),
            ("weight.1", "x"),
            ("version", "xyz"),
            ("version", "+1"),
        ] {
            assert!(membership(&[(key, value)]).is_err(), "{key}={value}");
        }
        let twice = membership(&[("server.1", "a:1:2"), ("server.01", "b:1:2")]);
        assert_eq!(twice, Err("one line for server 1".to_owned()));
    }

    #[test]
    fn an_impossible_list_is_refused() {
        let check = |lines: &[(&str, &str)], standalone| {
            membership(lines).expect("each line is right").check(standalone).is_ok()
        };
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

    proptest! {
        #[test]
        fn no_server_line_panics(text in "[a-z0-9:;|\\[\\] .]{0,40}|.{0,20}") {
            let _ = Member::parse(&text, true);
        }
    }
}
