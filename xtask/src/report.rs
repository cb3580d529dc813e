//! What the run shows: progress while a step works, and the table at the end.

use std::io::{IsTerminal as _, stderr};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::context::Tally;

/// How often a run that is not on a terminal says that a step still works.
const STILL_RUNNING: Duration = Duration::from_secs(30);

/// The display of one running step: a spinner on a terminal, plain lines elsewhere.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
}

impl Progress {
    /// Announces the step.
    pub fn start(position: usize, total: usize, name: &str, what: &str) -> Self {
        let terminal = stderr().is_terminal();
        let title = format!("[{position}/{total}] {name}: {what}");
        if !terminal {
            eprintln!("{title}");
            return Self {
                bar: ProgressBar::hidden(),
                terminal,
            };
        }
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {prefix} ({elapsed}) {wide_msg:.dim}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.set_prefix(title);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, terminal }
    }

    /// Shows what the step is doing just now; only on a terminal.
    pub fn detail(&self, line: &str) {
        if self.terminal {
            self.bar.set_message(line.to_owned());
        }
    }

    /// Prints a line that stays.
    pub fn line(&self, line: &str) {
        if self.terminal {
            self.bar.println(line);
        } else {
            eprintln!("{line}");
        }
    }

    /// Takes the spinner away and prints the step's end.
    pub fn finish(&self, line: &str) {
        self.bar.finish_and_clear();
        eprintln!("{line}");
    }
}

/// Says every half minute, where there is no terminal, that the step still works.
#[derive(Debug)]
pub struct Heartbeat {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Starts to beat for the step `name`; nothing happens on a terminal.
    pub fn start(name: &str, progress: &Progress) -> Self {
        if progress.terminal {
            return Self {
                done: None,
                thread: None,
            };
        }
        let (done, ended) = mpsc::channel();
        let name = name.to_owned();
        let start = Instant::now();
        let thread = thread::spawn(move || {
            while ended.recv_timeout(STILL_RUNNING) == Err(RecvTimeoutError::Timeout) {
                eprintln!("    {name} still running after {:.0} s", start.elapsed().as_secs_f64());
            }
        });
        Self {
            done: Some(done),
            thread: Some(thread),
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            // It does nothing but print; there is no result to lose.
            let _ = thread.join();
        }
    }
}

/// How one step ended.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The step's name.
    pub name: &'static str,
    /// Its counts.
    pub tally: Tally,
    /// How long it took.
    pub took: Duration,
}

impl StepReport {
    /// Whether nothing of it failed.
    pub fn passed(&self) -> bool {
        self.tally.failed == 0
    }
}

/// The table of steps and the closing line `N passed, N failed`, counting single checks.
pub fn table(reports: &[StepReport]) -> String {
    let width = reports
        .iter()
        .map(|report| report.name.len())
        .max()
        .unwrap_or(0)
        .max("step".len());
    let mut text = format!("{:width$}  result  seconds  passed  failed\n", "step");
    let mut total = Tally::default();
    for report in reports {
        let result = if report.passed() { "passed" } else { "FAILED" };
        text.push_str(&format!(
            "{:width$}  {result}  {:7.1}  {:6}  {:6}\n",
            report.name,
            report.took.as_secs_f64(),
            report.tally.passed,
            report.tally.failed
        ));
        total = total.plus(report.tally);
    }
    text.push_str(&format!("\n{} passed, {} failed\n", total.passed, total.failed));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ends_with_the_sums_alone_on_a_line() {
        let reports = [
            StepReport {
                name: "a",
                tally: Tally::ONE_PASSED,
                took: Duration::from_millis(1500),
            },
            StepReport {
                name: "longer",
                tally: Tally { passed: 3, failed: 2 },
                took: Duration::from_secs(61),
            },
        ];
        let expected = "\
step    result  seconds  passed  failed
a       passed      1.5       1       0
longer  FAILED     61.0       3       2

4 passed, 2 failed
";
        assert_eq!(table(&reports), expected);
    }
}
