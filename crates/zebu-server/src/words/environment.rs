//! `envi`: where the server runs.
//!
//! Source: `org.apache.zookeeper.Environment`, whose keys and order these are. What only a JVM has is `<NA>`, as Java
//! itself writes for what it does not know.

use std::fmt::Write;
use std::path::PathBuf;

use super::text::version;

const NOTHING: &str = "<NA>";

/// The whole text.
pub(super) fn environment() -> String {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| NOTHING.into());
    let path = |path: PathBuf| path.display().to_string();
    let memory = Memory::read();
    let values = [
        ("zookeeper.version", version()),
        ("host.name", kernel("hostname")),
        ("java.version", NOTHING.into()),
        ("java.vendor", NOTHING.into()),
        ("java.home", NOTHING.into()),
        ("java.class.path", NOTHING.into()),
        ("java.library.path", NOTHING.into()),
        ("java.io.tmpdir", path(std::env::temp_dir())),
        ("java.compiler", NOTHING.into()),
        ("os.name", os_name().into()),
        ("os.arch", arch().into()),
        ("os.version", kernel("osrelease")),
        ("user.name", user_name().unwrap_or_else(|| NOTHING.into())),
        ("user.home", variable("HOME")),
        (
            "user.dir",
            std::env::current_dir().map_or_else(|_| NOTHING.into(), path),
        ),
        ("os.memory.free", memory.free),
        ("os.memory.max", memory.max),
        ("os.memory.total", memory.total),
    ];
    values
        .iter()
        .fold("Environment:\n".to_owned(), |mut out, (key, value)| {
            let _ = writeln!(out, "{key}={value}");
            out
        })
}

/// In Java's words for the heap: what could be taken yet, how much there could be at most, how much there is. Here it is
/// what the machine has to give, what it has altogether, and what this process holds of it.
struct Memory {
    free: String,
    max: String,
    total: String,
}

impl Memory {
    fn read() -> Self {
        let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let process = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            free: megabytes(&machine, "MemAvailable:"),
            max: megabytes(&machine, "MemTotal:"),
            total: megabytes(&process, "VmRSS:"),
        }
    }
}

/// A line `key: 123 kB` as `0MB`.
fn megabytes(lines: &str, key: &str) -> String {
    let kilobytes = lines
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.map_or_else(|| NOTHING.into(), |kilobytes| format!("{}MB", kilobytes / 1024))
}

/// Whom the process belongs to: by its number in the list of users, as the environment may say anything.
fn user_name() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))?
        .split_whitespace()
        .next()?
        .to_owned();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

fn kernel(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/kernel/{name}"))
        .map_or_else(|_| NOTHING.into(), |text| text.trim().to_owned())
}

fn os_name() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Mac OS X",
        other => other,
    }
}

/// As Java calls it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_megabytes() {
        let lines = "MemTotal:       24608404 kB\nMemFree:        19885620 kB\n";
        assert_eq!(megabytes(lines, "MemTotal:"), "24031MB");
        assert_eq!(megabytes(lines, "MemAvailable:"), NOTHING);
    }
}
