//! The text of a configuration, from a peer or from the tree.

use std::collections::BTreeSet;

use zebu_proto::Sid;
use zebu_proto::quorum::QuorumConfig;

/// What parses is printed so that it is parsed again, and its quorums are quorums.
pub fn run(bytes: &[u8]) {
    let config = match QuorumConfig::from_bytes(bytes) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error:?}");
            return;
        }
    };
    check_text(&config);
    check_quorums(&config, bytes);
}

fn check_text(config: &QuorumConfig) {
    let text = config.to_string();
    let mut again = QuorumConfig::parse(&text).expect("printed by zebu");
    assert_eq!(again.to_string(), text);
    assert_eq!(again.version, config.version);
    // The one thing that is not printed.
    for (member, original) in again.members.values_mut().zip(config.members.values()) {
        member.secure_client.clone_from(&original.secure_client);
    }
    assert!(again.has_same_servers(config));
    assert!(config.has_same_servers(&again));
}

/// Two sets without a common server are not both quorums, and more servers are no less a quorum.
fn check_quorums(config: &QuorumConfig, bytes: &[u8]) {
    // The bytes choose the sets: any choice must do.
    let chosen = |n: usize| bytes[n % bytes.len()].count_ones().is_multiple_of(2);
    let all: Vec<Sid> = config.members.keys().copied().collect();
    let (some, others): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(n, _)| chosen(*n));
    let set = |part: Vec<(usize, &Sid)>| -> BTreeSet<Sid> { part.into_iter().map(|(_, sid)| *sid).collect() };
    let (some, others) = (set(some), set(others));
    let (one, other) = (config.contains_quorum(&some), config.contains_quorum(&others));
    assert!(!(one && other));
    let everybody = config.contains_quorum(&all.iter().copied().collect());
    assert!(everybody || !(one || other));
    let weight: u128 = all.iter().map(|sid| u128::from(config.weight(*sid))).sum();
    let voters = config.participants().count();
    assert!(!everybody || (voters > 0 && weight > 0));
}
