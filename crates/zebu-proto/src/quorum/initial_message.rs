//! The first bytes of a connection on the election port.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use thiserror::Error;

use super::HostPort;
use crate::Sid;
use crate::jute::{Reader, Write};

/// Most bytes of addresses that an initial message may have.
///
/// Source: `QuorumCnxManager.maxBuffer`.
pub const INITIAL_ADDRESS_BYTES_MAX: usize = 2048;

/// Who opened a connection on the election port, and where that server's own election port is.
///
/// | field | bytes |
/// |---|---|
/// | version | long, [`ConnectionVersion`]; a number from 0 on is the sid of a server before 3.5, and all there is |
/// | sid | long |
/// | length | int, 1 to [`INITIAL_ADDRESS_BYTES_MAX`] |
/// | addresses | `host:port`, between bars if there are several |
///
/// There is no answer. Java's reader makes one call to read the addresses and gives up if they come in pieces: the
/// message has to leave in one write.
///
/// Source: `QuorumCnxManager.startConnection`, `InitialMessage.parse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialMessage {
    /// Which of the forms.
    pub version: ConnectionVersion,
    /// The sender.
    pub sid: Sid,
    /// The sender's election addresses as they were sent. Those that are wildcards are not meant to be dialled.
    pub addresses: Vec<HostPort>,
}

/// The form of an [`InitialMessage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionVersion {
    /// Nothing but the sid, from servers before 3.5.
    SidOnly,
    /// One address: what every release since 3.5 sends unless told otherwise.
    V1,
    /// Several addresses, sent with `multiAddress.enabled` only; 3.5 does not understand it.
    V2,
}

impl ConnectionVersion {
    /// The number of [`ConnectionVersion::V1`].
    pub const V1_NUMBER: i64 = -65_536;
    /// The number of [`ConnectionVersion::V2`].
    pub const V2_NUMBER: i64 = -65_535;
}

/// Why bytes are no initial message. The connection is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InitialMessageError {
    /// A version that nobody has: a newer server, or something else than a server.
    #[error("unknown protocol version {0} in the initial message of an election connection")]
    Version(i64),
    /// A length of addresses that no server has.
    #[error(
        "length {0} of the addresses in the initial message of an election connection, allowed: 1 to {INITIAL_ADDRESS_BYTES_MAX}"
    )]
    Length(i32),
    /// Text where an address should be.
    #[error("{0:?} is no host:port in the initial message of an election connection")]
    Address(String),
}

impl InitialMessage {
    /// Reads the message from the start of what has arrived, and says how many bytes it took; `None` if more is needed.
    ///
    /// # Errors
    /// If it is no such message.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, InitialMessageError> {
        let mut reader = Reader::new(bytes);
        let Ok(version) = reader.long("protocolVersion") else {
            return Ok(None);
        };
        let version = match version {
            0.. => {
                let message = Self {
                    version: ConnectionVersion::SidOnly,
                    sid: Sid(version),
                    addresses: Vec::new(),
                };
                return Ok(Some((message, reader.offset())));
            }
            ConnectionVersion::V1_NUMBER => ConnectionVersion::V1,
            ConnectionVersion::V2_NUMBER => ConnectionVersion::V2,
            other => return Err(InitialMessageError::Version(other)),
        };
        let (Ok(sid), Ok(length)) = (reader.long("sid"), reader.int("length")) else {
            return Ok(None);
        };
        let bytes = match usize::try_from(length) {
            Ok(length @ 1..=INITIAL_ADDRESS_BYTES_MAX) => reader.rest().get(..length),
            Ok(_) | Err(_) => return Err(InitialMessageError::Length(length)),
        };
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let message = Self {
            version,
            sid: Sid(sid),
            addresses: addresses(&String::from_utf8_lossy(bytes))?,
        };
        Ok(Some((message, reader.offset() + bytes.len())))
    }

    /// Appends the message. A receiver takes no more than [`INITIAL_ADDRESS_BYTES_MAX`] bytes of addresses, and at least
    /// one address; the first is the only one in [`ConnectionVersion::V1`].
    pub fn encode(&self, out: &mut impl Write) {
        let addresses: Vec<_> = match self.version {
            ConnectionVersion::SidOnly => return out.long(self.sid.0),
            ConnectionVersion::V1 => {
                out.long(ConnectionVersion::V1_NUMBER);
                self.addresses.iter().take(1).map(HostPort::to_string).collect()
            }
            ConnectionVersion::V2 => {
                out.long(ConnectionVersion::V2_NUMBER);
                self.addresses.iter().map(HostPort::to_string).collect()
            }
        };
        out.long(self.sid.0);
        out.string(&addresses.join("|"));
    }
}

/// Whatever stands between bars; empty ends are no addresses, as in Java.
fn addresses(text: &str) -> Result<Vec<HostPort>, InitialMessageError> {
    let text = text.trim_end_matches('|');
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split('|')
        .map(|address| HostPort::parse(address).ok_or_else(|| InitialMessageError::Address(address.to_string())))
        .collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn encoded(message: &InitialMessage) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    }

    fn message(version: i64, addresses: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.long(version);
        bytes.long(3);
        bytes.string(addresses);
        bytes
    }

    #[test]
    fn one_address_or_several_are_read_in_both_versions() {
        for (number, version) in [
            (ConnectionVersion::V1_NUMBER, ConnectionVersion::V1),
            (ConnectionVersion::V2_NUMBER, ConnectionVersion::V2),
        ] {
            let bytes = message(number, "zk3:3888|[::1]:4888|0.0.0.0:1||");
            let (read, taken) = InitialMessage::decode(&bytes).unwrap().unwrap();
            assert_eq!((read.version, read.sid, taken), (version, Sid(3), bytes.len()));
            assert_eq!(
                read.addresses,
                [
                    HostPort::new("zk3", 3888),
                    HostPort::new("::1", 4888),
                    HostPort::new("0.0.0.0", 1)
                ]
            );
        }
        let nobody = message(ConnectionVersion::V1_NUMBER, "|");
        assert_eq!(InitialMessage::decode(&nobody).unwrap().unwrap().0.addresses, []);
    }

    #[test]
    fn an_old_server_sends_its_sid() {
        let (message, taken) = InitialMessage::decode(&[0, 0, 0, 0, 0, 0, 0, 7, 1, 2])
            .unwrap()
            .unwrap();
        assert_eq!(
            (message.sid, message.version, taken),
            (Sid(7), ConnectionVersion::SidOnly, 8)
        );
        assert_eq!(encoded(&message), [0, 0, 0, 0, 0, 0, 0, 7]);
    }

    #[test]
    fn only_one_address_leaves_in_the_first_version() {
        let mut message = InitialMessage {
            version: ConnectionVersion::V1,
            sid: Sid(3),
            addresses: vec![HostPort::new("a", 1), HostPort::new("b", 2)],
        };
        assert!(encoded(&message).ends_with(b"\0\0\0\x03a:1"));
        message.version = ConnectionVersion::V2;
        assert!(encoded(&message).ends_with(b"\0\0\0\x07a:1|b:2"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |bytes: &[u8], expected| assert_eq!(InitialMessage::decode(bytes), Err(expected));
        check(&[0xff; 8], InitialMessageError::Version(-1));
        for length in [0, -1, i32::MIN, 2049, i32::MAX] {
            let mut bytes = message(ConnectionVersion::V1_NUMBER, "");
            bytes.truncate(16);
            bytes.int(length);
            check(&bytes, InitialMessageError::Length(length));
        }
        for (text, bad) in [
            ("a:1:2", "a:1:2"),
            ("a", "a"),
            ("a:1||b:2", ""),
            ("a:1|b:x", "b:x"),
            ("a:65536", "a:65536"),
        ] {
            let bytes = message(ConnectionVersion::V2_NUMBER, text);
            check(&bytes, InitialMessageError::Address(bad.to_string()));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_a_part_of_it_is_not(
            sid: i64,
            hosts in prop::collection::vec(("[a-z][a-z0-9.]{0,8}|::1|10\\.0\\.0\\.1", any::<u16>()), 1..4),
            cut: prop::sample::Index,
        ) {
            let message = InitialMessage {
                version: ConnectionVersion::V2,
                sid: Sid(sid),
                addresses: hosts.iter().map(|(host, port)| HostPort::new(host, *port)).collect(),
            };
            let bytes = encoded(&message);
            let part = &bytes[..cut.index(bytes.len())];
            prop_assert_eq!(InitialMessage::decode(part), Ok(None));
            prop_assert_eq!(InitialMessage::decode(&bytes), Ok(Some((message, bytes.len()))));
        }
    }
}
