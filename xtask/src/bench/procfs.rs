//! What the kernel and the JVM tell about a running server: CPU time and memory.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Resident pages, those shared with other processes counted in full (`VmRSS`).
    pub rss_mib: f64,
    /// The most that was ever resident (`VmHWM`).
    pub peak_rss_mib: f64,
    /// Resident pages, shared ones divided by the number of processes that share them (`Pss`).
    pub pss_mib: f64,
}

impl Memory {
    /// Memory of this process now.
    ///
    /// # Errors
    /// When there is no such process, or it is another user's.
    pub fn of(pid: u32) -> Result<Self> {
        let status = read(pid, "status")?;
        let rollup = read(pid, "smaps_rollup")?;
        Ok(Self {
            rss_mib: mib(&status, "VmRSS:")?,
            peak_rss_mib: mib(&status, "VmHWM:")?,
            pss_mib: mib(&rollup, "Pss:")?,
        })
    }
}

/// Makes a JVM collect all garbage, and returns the heap that is still in use then, in MiB.
///
/// # Errors
/// When `jcmd` fails or its answer has an unknown form.
pub fn collect_garbage(pid: u32) -> Result<f64> {
    jcmd(pid, "GC.run")?;
    used_heap_mib(&jcmd(pid, "GC.heap_info")?)
}

/// Waits until none of these processes does anything any more, as far as that happens at all within a quarter minute.
///
/// Written files are flushed first: what one server wrote must not slow the next one's flushes.
///
/// # Errors
/// When a process is gone.
pub fn settle(pids: &[u32]) -> Result<()> {
    const LOOK: Duration = Duration::from_millis(300);
    /// One tick per look: 3 % of a core. An idle JVM uses less.
    const QUIET_TICKS: u64 = 1;
    const LIMIT: Duration = Duration::from_secs(15);

    rustix::fs::sync();
    let start = Instant::now();
    let mut before = all_ticks(pids)?;
    while start.elapsed() < LIMIT {
        thread::sleep(LOOK);
        let now = all_ticks(pids)?;
        if now - before <= QUIET_TICKS {
            return Ok(());
        }
        before = now;
    }
    super::say("note: a server is still busy by itself after 15 s");
    Ok(())
}

fn all_ticks(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|&pid| cpu_ticks(pid)).sum()
}

/// CPU time of a process in ticks of 10 ms: fields 14 and 15, counted from 1 and behind the name in parentheses.
fn cpu_ticks(pid: u32) -> Result<u64> {
    let stat = read(pid, "stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/<pid>/stat")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    field(11)
        .zip(field(12))
        .map(|(user, system)| user + system)
        .context("unknown form of /proc/<pid>/stat")
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// The value of a line like `VmRSS:   1234 kB`.
fn mib(text: &str, label: &str) -> Result<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(label))
        .with_context(|| format!("no {label}"))?;
    let kib: f64 = line
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .with_context(|| format!("odd {label}"))?;
    Ok(kib / 1024.0)
}

fn jcmd(pid: u32, command: &str) -> Result<String> {
    let output = Command::new("jcmd")
        .args([&pid.to_string(), command])
        .output()
        .context("cannot start jcmd")?;
    if !output.status.success() {
        bail!("jcmd {command} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// From a line like ` garbage-first heap   total 389120K, used 17700K [0x...`.
fn used_heap_mib(text: &str) -> Result<f64> {
    let (_, rest) = text
        .split_once(", used ")
        .context("no used heap in the answer of jcmd")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let kib: f64 = digits.parse().context("odd used heap in the answer of jcmd")?;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_is_plausible() {
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.rss_mib > 0.5);
        assert!(memory.pss_mib > 0.1);
        assert!(memory.peak_rss_mib >= memory.rss_mib * 0.9);
        cpu_ticks(std::process::id()).unwrap();
    }

    #[test]
    fn the_used_heap_is_found_in_what_g1_prints() {
        let text = "4711:\n garbage-first heap   total 389120K, used 17408K [0x00000000c1800000, 0x0000000100000000)\n";
        assert!((used_heap_mib(text).unwrap() - 17.0).abs() < 1e-9);
        assert!(used_heap_mib("nothing").is_err());
    }
}
