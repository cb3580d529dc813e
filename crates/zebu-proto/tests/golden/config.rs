//! Texts of configurations, and what a Java server makes of them.

use zebu_proto::quorum::QuorumConfig;

use super::fixture::each_release_of_configs;

/// Taken here and refused there, or the other way round, with the reason.
const DIFFERENCES: [&str; 0] = [];

#[test]
fn a_text_is_read_and_written_as_by_java() {
    each_release_of_configs(|configs| {
        assert!(configs.len() > 30);
        for (name, text, java) in configs {
            let ours = QuorumConfig::parse(text).map(|config| config.to_string());
            let same = ours.as_ref().ok() == java.as_ref();
            assert_eq!(same, !DIFFERENCES.contains(name), "{name}: {ours:?}, Java: {java:?}");
        }
    });
}
