//! The list of everything that `cargo xtask test` runs, in order.
//!
//! To add a step, write its function (for interop: `interop/<suite>.rs`) and add an entry here. The order is by cost:
//! what fails fast comes first.

use std::process::Command;

use anyhow::{Result, bail};

use crate::context::{Context, Tally};
use crate::install::Need;
use crate::{chaos, interop, migration};

/// One step of the test run.
#[derive(Debug)]
pub struct Step {
    /// The name on the command line and in the table.
    pub name: &'static str,
    /// What it shows, in one line.
    pub what: &'static str,
    /// What must be installed beside the Rust toolchain.
    pub needs: &'static [Need],
    /// Runs it. The step fails when this is an error or when any of the counted checks failed.
    pub run: fn(&Context) -> Result<Tally>,
}

/// Every step, in the order of the run.
pub const STEPS: &[Step] = &[
    Step {
        name: "format",
        what: "the sources are formatted by rustfmt",
        needs: &[Need::Rustfmt],
        run: |context| cargo(context, &["fmt", "--all", "--check"]),
    },
    Step {
        name: "lint",
        what: "clippy finds nothing in any target",
        needs: &[Need::Clippy],
        run: |context| {
            cargo(
                context,
                &[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--locked",
                    "--",
                    "-D",
                    "warnings",
                ],
            )
        },
    },
    Step {
        name: "unit",
        what: "every crate's own tests, and the tidy checks of the workspace",
        needs: &[],
        run: |context| cargo_test(context, &["test", "--workspace", "--locked", "--no-fail-fast"]),
    },
    Step {
        name: "release",
        what: "the release build of zebu",
        needs: &[],
        run: |context| cargo(context, &["build", "--release", "--locked", "--package", "zebu-cli"]),
    },
    Step {
        name: "servers",
        what: "zebu and the Java servers start, stop, and start again on their data",
        needs: &[Need::Java, Need::DebianZooKeeper, Need::MavenZooKeeper],
        run: interop::servers::run,
    },
    Step {
        name: "differential",
        what: "Java, C, Go and raw-socket clients get the same answers from zebu as from Java 3.9 and 3.8.0",
        needs: &[
            Need::Java,
            Need::DebianZooKeeper,
            Need::MavenZooKeeper,
            Need::CClient,
            Need::Go,
            Need::Python,
        ],
        run: interop::differential::run,
    },
    Step {
        name: "crash",
        what: "kill -9 and SIGTERM under write load, 50 times: nothing acknowledged is lost, nothing is there by half",
        needs: &[],
        run: interop::crash::run,
    },
    Step {
        name: "damage",
        what: "damaged files are made up for, or refused with their name and a remedy that works",
        needs: &[],
        run: interop::crash::damage::run,
    },
    Step {
        name: "disk-faults",
        what: "a full or failing disk ends zebu with the documented exit code, and nothing acknowledged is lost",
        needs: &[Need::CClient],
        run: interop::crash::faults::run,
    },
    Step {
        name: "datadir",
        what: "data directories go between zebu and Java 3.8.0, 3.8 and 3.9, there and back, and all find the same in them",
        needs: &[
            Need::Java,
            Need::DebianZooKeeper,
            Need::MavenZooKeeper,
            Need::MavenZooKeeper38,
        ],
        run: interop::datadir::run,
    },
    Step {
        name: "mixed",
        what: "zebu and Java servers form ensembles, either kind leading, and all members end with the same tree",
        needs: &[Need::Java, Need::DebianZooKeeper, Need::MavenZooKeeper],
        run: interop::mixed::run,
    },
    Step {
        name: "migration",
        what: "all operations on mixed ensembles, either kind leading, while each server is killed: nothing is lost, all members agree",
        needs: &[Need::Java, Need::DebianZooKeeper, Need::MavenZooKeeper],
        run: migration::step,
    },
    Step {
        name: "chaos",
        what: "ensembles of three and five zebu servers are killed, paused, cut apart and starved of disk for three minutes; every client's history checks out",
        needs: &[Need::Iproute2],
        run: chaos::step,
    },
    Step {
        name: "kazoo",
        what: "the test suite of Python's kazoo passes on zebu wherever it passes on Java 3.8.0",
        needs: &[Need::DebianZooKeeper, Need::Java, Need::Kazoo],
        run: interop::kazoo::run,
    },
    Step {
        name: "kazoo-ensemble",
        what: "the same with three servers that form an ensemble",
        needs: &[Need::DebianZooKeeper, Need::Java, Need::Kazoo],
        run: interop::kazoo::run_ensemble,
    },
];

/// Runs cargo with these arguments; success is one passed check.
fn cargo(context: &Context, arguments: &[&str]) -> Result<Tally> {
    context.run(Command::new(env!("CARGO")).args(arguments))?;
    Ok(Tally::ONE_PASSED)
}

/// Runs `cargo test` and adds up what its test programs report.
fn cargo_test(context: &Context, arguments: &[&str]) -> Result<Tally> {
    let (success, output) = context.run_for_result(Command::new(env!("CARGO")).args(arguments))?;
    let (tally, ignored) = count_tests(&output);
    if ignored > 0 {
        bail!("{ignored} tests are marked as ignored: a test runs or is taken out");
    }
    if !success && tally.failed == 0 {
        bail!("cargo test failed without a failing test: see its output");
    }
    Ok(tally)
}

/// Sums up the `test result:` lines of `cargo test`; the second value counts the ignored tests.
fn count_tests(output: &str) -> (Tally, u64) {
    let mut tally = Tally::default();
    let mut ignored = 0;
    for line in output.lines().filter(|line| line.starts_with("test result:")) {
        let number = |what| count_before(line, what);
        tally = tally.plus(Tally {
            passed: number(" passed"),
            failed: number(" failed"),
        });
        ignored += number(" ignored");
    }
    (tally, ignored)
}

/// The number right before `word` in `line`, or 0.
fn count_before(line: &str, word: &str) -> u64 {
    let Some(end) = line.find(word) else { return 0 };
    let digits = line[..end].rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_test_programs_are_added() {
        let output = "\
running 2 tests
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s
test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.02s
";
        assert_eq!(count_tests(output), (Tally { passed: 15, failed: 1 }, 2));
    }

    #[test]
    fn step_names_are_unique_and_not_taken_by_the_runner() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.push("install");
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
