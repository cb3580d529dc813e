//! What a learner says about itself first.

use super::{ConfigVersion, PROTOCOL_VERSION};
use crate::Sid;
use crate::jute::{DecodeError, Reader, Write};

/// The data of FOLLOWERINFO and OBSERVERINFO: 20 bytes, or 12 from a server before 3.5.
///
/// Source: `org.apache.zookeeper.server.quorum.LearnerInfo`, `LearnerHandler.run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnerInfo {
    /// The learner.
    pub sid: Sid,
    /// [`PROTOCOL_VERSION`]; a learner with a smaller one is too old to be led.
    pub protocol_version: i32,
    /// The version of the configuration that the learner has committed; `None` from a server before 3.5. A leader
    /// whose own is lower must not lead this learner.
    pub config_version: Option<ConfigVersion>,
}

impl LearnerInfo {
    /// What Java takes for the protocol's version when there is none.
    const PROTOCOL_VERSION_ABSENT: i32 = 1;

    /// What a server of today says.
    #[must_use]
    pub const fn new(sid: Sid, config_version: ConfigVersion) -> Self {
        Self {
            sid,
            protocol_version: PROTOCOL_VERSION,
            config_version: Some(config_version),
        }
    }

    /// Reads the data. What is behind the last whole field is ignored, as in Java.
    ///
    /// # Errors
    /// If there is not even a sid.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let sid = Sid(reader.long("serverid of LearnerInfo")?);
        let protocol_version = reader.int("protocolVersion").ok();
        Ok(Self {
            sid,
            protocol_version: protocol_version.unwrap_or(Self::PROTOCOL_VERSION_ABSENT),
            config_version: match protocol_version {
                Some(_) => reader.long("configVersion").ok().map(ConfigVersion),
                None => None,
            },
        })
    }

    /// Appends the data.
    pub fn encode(&self, out: &mut impl Write) {
        out.long(self.sid.0);
        out.int(self.protocol_version);
        if let Some(version) = self.config_version {
            out.long(version.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn check(bytes: &[u8], protocol_version: i32, config_version: Option<i64>) {
        let expected = LearnerInfo {
            sid: Sid(5),
            protocol_version,
            config_version: config_version.map(ConfigVersion),
        };
        assert_eq!(LearnerInfo::decode(bytes), Ok(expected), "{} bytes", bytes.len());
    }

    #[test]
    fn shorter_forms_are_those_of_older_servers() {
        let mut bytes = Vec::new();
        LearnerInfo::new(Sid(5), ConfigVersion(9)).encode(&mut bytes);
        assert_eq!(bytes.len(), 20);
        check(&bytes, 0x1_0000, Some(9));
        for len in 12..20 {
            check(&bytes[..len], 0x1_0000, None);
        }
        for len in 8..12 {
            check(&bytes[..len], 1, None);
        }
        for len in 0..8 {
            assert!(LearnerInfo::decode(&bytes[..len]).is_err());
        }
        bytes.push(1);
        check(&bytes, 0x1_0000, Some(9));
    }

    #[test]
    fn the_form_of_12_bytes_is_written_for_a_server_without_configuration() {
        let old = LearnerInfo {
            config_version: None,
            ..LearnerInfo::new(Sid(5), ConfigVersion(0))
        };
        let mut bytes = Vec::new();
        old.encode(&mut bytes);
        assert_eq!(bytes.len(), 12);
        check(&bytes, 0x1_0000, None);
    }
}
