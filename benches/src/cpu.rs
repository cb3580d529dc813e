//! What a process has used, from `/proc`.

use std::fs;

use crate::BenchError;

/// Length of a clock tick in `/proc/<pid>/stat`. Linux shows 100 per second to programs on every architecture.
const TICK_MICROS: u64 = 10_000;

/// CPU time of a process so far, in microseconds: user and system, all its threads, those that ended included.
///
/// The kernel counts in steps of 10 ms here, so a difference over a second or more is good to about 1 %.
///
/// # Errors
/// [`BenchError::Proc`] if there is no such process.
pub fn process_micros(pid: u32) -> Result<u64, BenchError> {
    let path = format!("/proc/{pid}/stat");
    let broken = |source| BenchError::Proc {
        path: path.clone(),
        source,
    };
    let text = fs::read_to_string(&path).map_err(broken)?;
    ticks(&text)
        .map(|ticks| ticks * TICK_MICROS)
        .ok_or_else(|| broken(std::io::Error::new(std::io::ErrorKind::InvalidData, "unknown form")))
}

/// utime + stime: fields 14 and 15, counted from 1. The second field is the program's name in parentheses and may hold
/// anything, so counting starts behind the last parenthesis, with field 3.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20 0 1 0";
        assert_eq!(ticks(line), Some(150));
        assert_eq!(ticks("7 (x) S 1"), None);
    }

    #[test]
    fn our_own_process_can_be_read_and_a_missing_one_is_named() {
        assert!(process_micros(std::process::id()).is_ok());
        let error = process_micros(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("/proc/4294967295/stat"), "{error}");
    }
}
