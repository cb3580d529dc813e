//! Identities that a client shows with an auth packet.
//!
//! Source: `org.apache.zookeeper.server.auth.DigestAuthenticationProvider`, `IPAuthenticationProvider`.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zebu_proto::Id;
use zebu_tree::access::{DIGEST, IP, SUPER};

/// Hash of the digest scheme (`DigestAuthenticationProvider.digestAlg`); the same on all servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the algorithms' own")]
pub enum DigestAlgorithm {
    Md5,
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl DigestAlgorithm {
    /// The algorithm that Java knows under this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "MD5" => Self::Md5,
            "SHA1" | "SHA-1" | "SHA" => Self::Sha1,
            "SHA-224" => Self::Sha224,
            "SHA-256" => Self::Sha256,
            "SHA-384" => Self::Sha384,
            "SHA-512" => Self::Sha512,
            _ => return None,
        })
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => md5::Md5::digest(bytes).to_vec(),
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha224 => Sha224::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// What the configuration says about auth packets.
#[derive(Clone, Debug, Default)]
pub struct AuthConfig {
    /// Hash of the digest scheme.
    pub algorithm: DigestAlgorithm,
    /// `DigestAuthenticationProvider.enabled` turned off.
    pub digest_disabled: bool,
    /// `DigestAuthenticationProvider.superDigest`: who shows this digest may do everything.
    pub super_digest: Option<String>,
}

/// The identities that an auth packet proves, to be added to those of the connection; `None` if it is refused, and the
/// connection is to be closed.
#[must_use]
pub fn authenticate(config: &AuthConfig, scheme: &str, auth: Option<&[u8]>, address: &str) -> Option<Vec<Id>> {
    match scheme {
        DIGEST if !config.digest_disabled => {
            let digest = digest(config.algorithm, &String::from_utf8_lossy(auth?));
            let is_super = config.super_digest.as_deref() == Some(digest.as_str());
            let mut ids = Vec::with_capacity(2);
            if is_super {
                ids.push(Id::new(SUPER, ""));
            }
            ids.push(Id::new(DIGEST, &digest));
            Some(ids)
        }
        IP => Some(alloc::vec![Id::new(IP, address)]),
        _ => None,
    }
}

/// `user:base64(hash(user:password))` of `user:password`.
#[must_use]
pub fn digest(algorithm: DigestAlgorithm, user_and_password: &str) -> String {
    let user = user_and_password.split(':').next().unwrap_or_default();
    let mut digest = String::from(user);
    digest.push(':');
    STANDARD.encode_string(algorithm.hash(user_and_password.as_bytes()), &mut digest);
    digest
}

/// The name that whoAmI shows for an identity: the part before the colon for digest, the id itself otherwise.
#[must_use]
pub fn user_name(id: &Id) -> &str {
    match id.id.split_once(':') {
        Some((user, _)) if id.scheme == DIGEST => user,
        _ => &id.id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen on a Java server.
    #[test]
    fn digests_are_those_of_java() {
        assert_eq!(
            digest(DigestAlgorithm::Sha1, "bob:pw"),
            "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="
        );
        assert!(digest(DigestAlgorithm::Sha1, "abc").starts_with("abc:"));
    }

    #[test]
    fn the_super_digest_gives_super() {
        let config = AuthConfig {
            super_digest: Some(digest(DigestAlgorithm::Sha1, "super:x")),
            ..AuthConfig::default()
        };
        assert_eq!(
            authenticate(&config, "digest", Some(b"super:x"), "").unwrap()[0],
            Id::new("super", "")
        );
        assert_eq!(authenticate(&config, "digest", Some(b"super:y"), "").unwrap().len(), 1);
        assert_eq!(authenticate(&config, "digest", None, ""), None);
        assert_eq!(authenticate(&config, "world", Some(b"anyone"), ""), None);
        assert_eq!(
            authenticate(&config, "ip", None, "1.2.3.4"),
            Some(alloc::vec![Id::new("ip", "1.2.3.4")])
        );
    }
}
