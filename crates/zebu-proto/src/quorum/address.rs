//! Hosts and ports as servers write them to each other.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

/// A host, not resolved, and a port. It displays as Java's servers write it: IPv6 addresses in brackets, all eight groups
/// written out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A name or an address, without brackets. An IPv6 address that [`HostPort::new`] took has its shortest form, so that
    /// equal addresses are equal texts.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// A host, brought to its one form, and a port.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: canonical_host(host),
            port,
        }
    }

    /// Reads `host:port`, the host in brackets if it has colons.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, rest) = split_host(text)?;
        Some(Self::new(host, port(rest)?))
    }

    /// Whether the host is the address of every interface, `0.0.0.0` or `::`, at which nobody can be reached.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
    }

    /// Whether the host is one of the addresses or the name of the loopback interface, which each machine has for itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let is_name = self.host.eq_ignore_ascii_case("localhost");
        is_name || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", JavaHost(&self.host), self.port)
    }
}

/// The one form of a host: addresses as the standard library writes them, an IPv4 address in IPv6's clothes without them.
pub(super) fn canonical_host(host: &str) -> String {
    match split_scope(host) {
        Some((address, scope)) => match (address.to_ipv4_mapped(), scope) {
            (Some(address), "") => address.to_string(),
            _ => address.to_string() + scope,
        },
        None => host.to_owned(),
    }
}

/// An IPv6 address, and its scope with the percent sign.
fn split_scope(host: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, scope) = host.split_at(host.find('%').unwrap_or(host.len()));
    Some((address.parse().ok()?, scope))
}

/// A host as Java prints it in front of a colon.
///
/// Source: `QuorumServer.delimitedHostString`, `NetUtils.formatInetAddr`, `Inet6Address.getHostAddress`.
pub(super) struct JavaHost<'a>(pub(super) &'a str);

impl fmt::Display for JavaHost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(':') {
            return f.write_str(self.0);
        }
        let Some((address, scope)) = split_scope(self.0) else {
            return write!(f, "[{}]", self.0);
        };
        let [a, b, c, d, e, g, h, i] = address.segments();
        write!(f, "[{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{g:x}:{h:x}:{i:x}{scope}]")
    }
}

/// The host, out of its brackets if it has any, and what follows its colon.
pub(super) fn split_host(text: &str) -> Option<(&str, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let stands_for_itself = |c: char| !c.is_control() && !c.is_whitespace() && !FOREIGN.contains(&c);
    (!host.is_empty() && host.chars().all(stands_for_itself)).then_some((host, rest))
}

/// What no host has, and what would be something else once it is written: brackets, the signs between the parts of a
/// configuration, the sign that escapes in it. Java takes them, and then finds no such host.
const FOREIGN: [char; 5] = ['[', ']', '|', ';', '\\'];

/// A port: digits, a sign before them or not.
pub(super) fn port(text: &str) -> Option<u16> {
    text.parse::<i64>().ok().and_then(|port| u16::try_from(port).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, host: &str, printed: &str) {
        let address = HostPort::parse(text).unwrap();
        assert_eq!(address.host, host);
        assert_eq!(address.to_string(), printed);
        assert_eq!(HostPort::parse(printed).unwrap(), address);
    }

    #[test]
    fn an_address_has_one_form_inside_and_java_s_form_outside() {
        check("zk1:2888", "zk1", "zk1:2888");
        check("127.0.0.1:1", "127.0.0.1", "127.0.0.1:1");
        check("[::1]:2181", "::1", "[0:0:0:0:0:0:0:1]:2181");
        check("[0:0:0:0:0:0:0:1]:2181", "::1", "[0:0:0:0:0:0:0:1]:2181");
        check("[2001:DB8::1]:2", "2001:db8::1", "[2001:db8:0:0:0:0:0:1]:2");
        check("[::ffff:10.0.0.1]:2", "10.0.0.1", "10.0.0.1:2");
        check("[fe80::1%lo]:2", "fe80::1%lo", "[fe80:0:0:0:0:0:0:1%lo]:2");
        check("[a:b]:2", "a:b", "[a:b]:2");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "zk1",
            "zk1:",
            ":1",
            "zk1:a",
            "zk1:65536",
            "zk1:-1",
            "[::1:1",
            "[::1]1",
            "[]:1",
            "::1:2:3",
        ] {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_wildcard_is_known_in_both_families() {
        for (text, wildcard) in [
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("[::1]:1", false),
            ("zk1:1", false),
        ] {
            assert_eq!(HostPort::parse(text).unwrap().is_wildcard(), wildcard, "{text}");
        }
    }
}
