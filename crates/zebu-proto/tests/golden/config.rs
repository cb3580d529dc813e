//! Texts of configurations, and what a Java server makes of them.

use std::collections::BTreeSet;

use zebu_proto::Sid;
use zebu_proto::quorum::QuorumConfig;

use super::fixture::each_release_of_configs;

#[test]
fn a_text_is_read_and_written_as_by_java() {
    each_release_of_configs(|configs| {
        assert!(configs.len() > 40);
        for java in configs {
            let ours = QuorumConfig::parse(&java.text).map(|config| config.to_string());
            assert_eq!(ours.as_ref().ok(), java.written.as_ref(), "{}: {ours:?}", java.name);
        }
    });
}

#[test]
fn a_set_of_voters_is_a_quorum_as_in_java() {
    each_release_of_configs(|configs| {
        let mut quorums = 0;
        for java in configs {
            let Some(text) = &java.written else {
                continue;
            };
            let config = QuorumConfig::parse(text).unwrap();
            let voters: Vec<Sid> = config.participants().map(|(sid, _)| sid).collect();
            if voters.len() > 6 {
                continue;
            }
            let set = |bits: u32| -> BTreeSet<Sid> {
                let chosen = voters.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1);
                chosen.map(|(_, sid)| *sid).collect()
            };
            for bits in 0..1 << voters.len() {
                let expected = java.quorums.contains(&bits);
                assert_eq!(config.contains_quorum(&set(bits)), expected, "{}: {bits:b}", java.name);
            }
            quorums += java.quorums.len();
        }
        assert!(quorums > 70, "{quorums}");
    });
}
