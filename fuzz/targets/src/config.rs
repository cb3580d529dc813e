//! `zoo.cfg`, system properties and the options of a JVM.

use std::io::Write;

use zebu_server::config::{Config, SystemProperties};

/// A file, then, each behind a zero byte, arguments of `-D`; the last part is what stands in `SERVER_JVMFLAGS`.
pub fn run(bytes: &[u8]) {
    if !stays_on_this_machine(bytes) {
        return;
    }
    let mut parts = bytes.split(|byte| *byte == 0);
    let file = parts.next().unwrap_or_default();
    let mut arguments: Vec<String> = parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let variable = arguments.pop();
    let mut properties =
        SystemProperties::from_environment(|name| variable.clone().filter(|_| name == "SERVER_JVMFLAGS"));
    for argument in &arguments {
        properties.add_argument(argument);
    }
    check(file, &properties);
}

fn check(text: &[u8], properties: &SystemProperties) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text).expect("room for a small file");
    match Config::load(Some(file.path()), properties) {
        Ok((config, notices)) => {
            assert!(config.sessions.min_timeout_ms <= config.sessions.max_timeout_ms);
            assert!(config.tick_time_ms > 0);
            assert!(config.client.is_some());
            for notice in notices {
                assert!(!notice.to_string().contains('\n'), "{notice:?}");
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error:?}"),
    }
}

/// Names of hosts are looked up, and a file can name another: neither the network nor devices are for a test.
fn stays_on_this_machine(bytes: &[u8]) -> bool {
    const LOCAL: [&str; 4] = ["127.0.0.1", "0.0.0.0", "::1", "[::1]"];
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let bare: String = text
        .chars()
        .filter(|c| !matches!(c, '\\' | '\'' | '"' | '\n' | '\r'))
        .collect();
    let names_a_file = |path| bare.contains(path);
    let addresses = bare.matches("address").count();
    let local = text.split(['\n', '\r', '\0']).filter(|line| {
        line.split_once("address")
            .is_some_and(|(_, value)| LOCAL.contains(&value.trim_start_matches([' ', '=', ':']).trim_end()))
    });
    // A `server.N` is an address of this server where a number of its own is known, which no test gives it.
    !text.contains("\\u") && !names_a_file("/dev/") && !names_a_file("/proc/") && local.count() == addresses
}
