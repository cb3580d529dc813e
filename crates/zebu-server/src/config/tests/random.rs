//! No input panics, and every accepted one is consistent.

use proptest::prelude::*;

use super::super::table::keys;
use super::super::*;
use super::try_load;

/// A key that exists, or nearly.
fn key() -> impl Strategy<Value = String> {
    let names: Vec<_> = keys().map(|row| row.name.replace(".N", ".1")).collect();
    prop_oneof![
        8 => prop::sample::select(names.clone()),
        1 => prop::sample::select(names).prop_map(|name| format!("zookeeper.{name}")),
        1 => ".{0,12}",
    ]
}

/// A value that some key takes, or nearly.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i32>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (0..100_i32).prop_map(|number| number.to_string()),
        prop::sample::select(vec![
            "",
            "true",
            "false",
            "yes",
            "no",
            "0x10",
            "-0",
            "1h",
            "9223372036854775807d",
            "gz",
            "*",
            "observer",
            "127.0.0.1",
            "[::1]",
            "a:1:2;3",
            "a:1:2|b:3:4",
            "1:2",
            "./x",
            "0.5",
            "-nan",
            "SHA-256",
            "ruok,,",
        ])
        .prop_map(str::to_owned),
        // Without letters a text is never a host name, so that no name server is asked.
        "[0-9:;|.,\\[\\]é -]{0,20}",
    ]
}

proptest! {
    #[test]
    fn no_configuration_panics_and_every_accepted_one_is_consistent(
        lines in prop::collection::vec((key(), value()), 0..12),
        arguments in prop::collection::vec((key(), value()), 0..4),
    ) {
        let mut text = "clientPort=2181\ndataDir=/nonexistent\n".to_owned();
        for (key, value) in &lines {
            text.push_str(&format!("{}={value}\n", key.replace(['\\', '\n', '\r'], "")));
        }
        let mut properties = SystemProperties::default();
        for (key, value) in &arguments {
            properties.add_argument(&format!("{key}={value}"));
        }
        match try_load(&text, &properties) {
            Ok(loaded) => {
                let config = loaded.config;
                prop_assert!(config.sessions.min_timeout_ms <= config.sessions.max_timeout_ms);
                prop_assert!(config.tick_time_ms > 0);
                prop_assert!(config.storage.snap_count >= 2);
                prop_assert!(config.purge.snap_retain_count >= 3);
                prop_assert!(config.limits.jute_extra_bytes >= 1024);
                prop_assert!(config.client.is_some());
                prop_assert!(config.secure_client.is_none());
                prop_assert!(!config.is_distributed());
                prop_assert!(config.four_letter_words.allows("srvr"));
                for notice in loaded.notices {
                    prop_assert!(!notice.contains('\n'), "{notice:?}");
                }
            }
            Err(error) => prop_assert!(!error.contains('\n'), "{error:?}"),
        }
    }
}
