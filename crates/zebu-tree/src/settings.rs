//! What the configuration decides about the tree.

use zebu_proto::OwnerRules;

/// Settings that must be equal on all servers of an ensemble, except where said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How owner fields are read (`extendedTypesEnabled`, `emulate353TTLNodes`).
    pub owner_rules: OwnerRules,
    /// `skipACL`: no access is ever refused.
    pub skip_acl: bool,
    /// `DigestAuthenticationProvider.enabled`: the scheme `digest` exists.
    pub digest_scheme: bool,
    /// `enforceQuota`: hard quotas refuse writes.
    pub enforce_quota: bool,
    /// `digest.enabled`: transactions and snapshots carry the tree digest.
    pub digest: bool,
    /// `closeSessionTxn.enabled`: the closing of a session lists the nodes that go with it.
    pub close_session_txn: bool,
    /// Largest transaction that all readers of the log accept, bytes (`jute.maxbuffer`).
    pub txn_bytes_max: usize,
    /// Seed of the hash tables, so that nobody outside can choose colliding names. Any number; the tree's behaviour
    /// does not depend on it. Each server draws its own.
    pub hash_seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            owner_rules: OwnerRules::default(),
            skip_acl: false,
            digest_scheme: true,
            enforce_quota: false,
            digest: true,
            close_session_txn: true,
            txn_bytes_max: zebu_proto::client::FRAME_BYTES_MAX,
            hash_seed: 0,
        }
    }
}
