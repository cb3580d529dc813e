//! The connect string: `host:port,host:port/chroot`.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use thiserror::Error;
use zebu_proto::path;

/// Port of a server that is named without one.
pub(crate) const DEFAULT_PORT: u16 = 2181;

/// One server as the user named it. The name is looked up at each attempt, so that a moved server is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    host: String,
    port: u16,
}

impl Server {
    /// The addresses that the name stands for now; never none.
    ///
    /// # Errors
    /// If the name is unknown.
    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let addresses: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where to connect to, and below which node all paths lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Servers {
    /// At least one.
    pub(crate) servers: Vec<Server>,
    /// A valid path, or empty for none; never `/`.
    pub(crate) chroot: String,
}

/// A connect string that names no servers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum ServersError {
    /// Nothing between two commas, or nothing at all.
    #[error("a server is missing in {0:?}; write HOST:PORT,HOST:PORT/CHROOT")]
    Empty(String),
    /// A port that is no number from 1 to 65535.
    #[error("{0:?} is not a port; write HOST:PORT")]
    Port(String),
    /// An IPv6 address needs brackets to be told from its port.
    #[error("{0:?} is not a host; an IPv6 address stands in brackets, as in [::1]:2181")]
    Host(String),
    /// What stands behind the first slash is no path of a node.
    #[error("{0:?} is not a path that a chroot can be")]
    Chroot(String),
}

impl Servers {
    /// Reads a connect string.
    ///
    /// # Errors
    /// If it names no server, or something in it is malformed.
    pub(crate) fn parse(text: &str) -> Result<Self, ServersError> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let chroot = if chroot == "/" { "" } else { chroot };
        if !chroot.is_empty() && !path::is_valid(chroot) {
            return Err(ServersError::Chroot(chroot.into()));
        }
        let servers = hosts
            .split(',')
            .map(|host| parse_server(host.trim(), text))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            servers,
            chroot: chroot.into(),
        })
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.servers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{server}")?;
        }
        f.write_str(&self.chroot)
    }
}

fn parse_server(text: &str, whole: &str) -> Result<Server, ServersError> {
    if text.is_empty() {
        return Err(ServersError::Empty(whole.into()));
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| ServersError::Host(text.into()))?;
        (host, rest)
    } else {
        match text.find(':') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        }
    };
    if host.is_empty() || (host.contains(':') != text.starts_with('[')) {
        return Err(ServersError::Host(text.into()));
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => DEFAULT_PORT,
        None => return Err(ServersError::Host(text.into())),
        Some(port) if port.contains(':') => return Err(ServersError::Host(text.into())),
        Some(port) => match port.parse() {
            Ok(number) if number != 0 => number,
            Ok(_) | Err(_) => return Err(ServersError::Port(port.into())),
        },
    };
    Ok(Server {
        host: host.into(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str, chroot: &str) {
        let servers = Servers::parse(text).unwrap();
        assert_eq!(servers.to_string(), shown);
        assert_eq!(servers.chroot, chroot);
    }

    #[test]
    fn connect_strings() {
        check("localhost", "localhost:2181", "");
        check("a:1,b:2", "a:1,b:2", "");
        check("a:1, b:2", "a:1,b:2", "");
        check("a:1,b/app/x", "a:1,b:2181/app/x", "/app/x");
        check("a:1/", "a:1", "");
        check("[::1]:2182,[fe80::1]", "[::1]:2182,[fe80::1]:2181", "");
    }

    #[test]
    fn what_is_no_connect_string_is_refused_with_the_part_at_fault() {
        for (text, error) in [
            ("", ServersError::Empty(String::new())),
            ("a:1,,b:2", ServersError::Empty("a:1,,b:2".into())),
            ("/app", ServersError::Empty("/app".into())),
            ("a:x", ServersError::Port("x".into())),
            ("a:0", ServersError::Port("0".into())),
            ("a:70000", ServersError::Port("70000".into())),
            ("::1", ServersError::Host("::1".into())),
            ("[::1", ServersError::Host("[::1".into())),
            ("[::1]2181", ServersError::Host("[::1]2181".into())),
            ("[a]:1", ServersError::Host("[a]:1".into())),
            (":2181", ServersError::Host(":2181".into())),
            ("a:1/x/", ServersError::Chroot("/x/".into())),
            ("a:1//x", ServersError::Chroot("//x".into())),
        ] {
            assert_eq!(Servers::parse(text), Err(error), "{text:?}");
        }
    }
}
