//! The handshake.

use crate::jute::{DecodeError, Reader, Write};
use crate::session::{PASSWORD_BYTES, Password};
use crate::{SessionId, Zxid};

/// The first frame of a connection: 44 bytes, or 45 with the read-only byte, when the password has 16 bytes.
///
/// Source: `org.apache.zookeeper.proto.ConnectRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Sent as 0, never looked at.
    pub protocol_version: i32,
    /// Highest zxid that the client has seen.
    pub last_zxid_seen: Zxid,
    /// Wanted session timeout in milliseconds, any number.
    pub timeout_ms: i32,
    /// Session to renew, or [`SessionId::NONE`] for a new one.
    pub session: SessionId,
    /// Password of the session to renew, of any length.
    pub password: &'a [u8],
    /// Whether a read-only server will do; `None` when the byte is absent, as clients of the 3.3 era and
    /// go-zookeeper have it. The response must then lack it too.
    pub read_only: Option<bool>,
}

impl<'a> ConnectRequest<'a> {
    /// Reads the frame's payload. Bytes behind the record are ignored.
    ///
    /// # Errors
    /// If it ends before the password's end.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            protocol_version: reader.int("protocolVersion")?,
            last_zxid_seen: Zxid(reader.long("lastZxidSeen")?),
            timeout_ms: reader.int("timeOut")?,
            session: SessionId(reader.long("sessionId")?),
            password: reader.buffer("passwd")?.unwrap_or_default(),
            read_only: reader.bool("readOnly").ok(),
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut impl Write) {
        out.int(self.protocol_version);
        out.long(self.last_zxid_seen.0);
        out.int(self.timeout_ms);
        out.long(self.session.0);
        out.buffer(Some(self.password));
        if let Some(read_only) = self.read_only {
            out.bool(read_only);
        }
    }
}

/// The answer to a [`ConnectRequest`]: 36 bytes, or 37 with the read-only byte.
///
/// Source: `org.apache.zookeeper.proto.ConnectResponse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Negotiated session timeout in milliseconds; 0 when the session is not valid.
    pub timeout_ms: i32,
    /// The session, [`SessionId::NONE`] when not valid.
    pub session: SessionId,
    /// The session's password, zeros when not valid.
    pub password: Password,
    /// Whether the server is read-only; present if and only if the request carried the byte.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// The answer that tells a client that its session has expired, or that its password is wrong.
    #[must_use]
    pub const fn invalid(read_only: Option<bool>) -> Self {
        Self {
            timeout_ms: 0,
            session: SessionId::NONE,
            password: [0; PASSWORD_BYTES],
            read_only,
        }
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut impl Write) {
        out.int(0);
        out.int(self.timeout_ms);
        out.long(self.session.0);
        out.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            out.bool(read_only);
        }
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// If it ends early.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.int("protocolVersion")?;
        let timeout_ms = reader.int("timeOut")?;
        let session = SessionId(reader.long("sessionId")?);
        let mut password = [0; PASSWORD_BYTES];
        for (to, from) in password.iter_mut().zip(reader.buffer("passwd")?.unwrap_or_default()) {
            *to = *from;
        }
        Ok(Self {
            timeout_ms,
            session,
            password,
            read_only: reader.bool("readOnly").ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::session::password;

    fn check_request_bytes(read_only: Option<bool>, len: usize) {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(5),
            timeout_ms: 10_000,
            session: SessionId(7),
            password: &[9; 16],
            read_only,
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        assert_eq!(bytes.len(), len);
        assert_eq!(ConnectRequest::decode(&bytes).unwrap(), request);
    }

    #[test]
    fn the_read_only_byte_may_be_missing() {
        check_request_bytes(None, 44);
        check_request_bytes(Some(false), 45);
        check_request_bytes(Some(true), 45);
    }

    /// Seen on the wire of a Java server.
    #[test]
    fn a_response_has_the_bytes_of_java() {
        let session = SessionId(0x0100_000f_550d_0000);
        let response = ConnectResponse {
            timeout_ms: 10_000,
            session,
            password: password(session),
            read_only: Some(false),
        };
        let mut bytes = Vec::new();
        response.encode(&mut bytes);
        let hex: alloc::string::String = bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "00000000000027100100000f550d00000000001069e6316d42a2a296ef2ddfb95b9141d700"
        );
        assert_eq!(ConnectResponse::decode(&bytes).unwrap(), response);
    }

    #[test]
    fn ten_bytes_are_no_connect_request() {
        assert!(ConnectRequest::decode(&[0; 10]).is_err());
    }
}
