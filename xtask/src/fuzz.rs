//! `cargo xtask fuzz`: the fuzz targets, one after the other, under libFuzzer.
//!
//! The toolchain is the stable one that everything else uses; `RUSTC_BOOTSTRAP` lets it take the fuzzer's flags. What a
//! run finds to be interesting is kept in the target folder and is where the next run starts.
//!
//! The address sanitizer is off unless asked for: zebu's code is safe, what is looked for is panics, memory that follows
//! a length, and state that does not come back, and without it ten times as many inputs are tried.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::context::Context;
use crate::report::{Heartbeat, Progress};
use crate::workspace::Workspace;

/// An input that takes longer than this, seconds, is a finding. Ordinary ones take less than a millisecond.
const INPUT_SECONDS_MAX: u32 = 20;
/// A single allocation above this, MiB, is a finding: a length was believed.
const ALLOCATION_MIB_MAX: u32 = 128;
/// Memory of the process, MiB. The sanitizer keeps what was freed for a while.
const MEMORY_MIB_MAX: u32 = 2048;

/// What is run, and for how long.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Targets to run; all when none is named
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub seconds: u32,
    /// Look for wrong uses of memory in the libraries below as well; ten times slower
    #[arg(long)]
    pub address_sanitizer: bool,
}

/// Builds and runs the targets; `true` when there was no finding.
///
/// # Errors
/// When a target is unknown, or the fuzzer cannot be installed or built.
pub fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let targets = choose(workspace, &options.targets)?;
    let total = targets.len() + 1;
    let tool = prepare(workspace, total, options.address_sanitizer)?;
    let mut lines = Vec::new();
    let mut findings = 0;
    for (number, target) in targets.iter().enumerate() {
        let what = format!("{} seconds of random inputs", options.seconds);
        let progress = Progress::start(number + 2, total, target, &what);
        let heartbeat = Heartbeat::start(target, &progress);
        let context = Context::new(workspace.clone(), &format!("fuzz-{target}"), progress.clone())?;
        let outcome = run_one(&context, &tool, target, options.seconds);
        drop(heartbeat);
        let line = match outcome {
            Ok(Outcome { inputs, failed: false }) => format!("{target}: {inputs} inputs, no finding"),
            Ok(Outcome { failed: true, .. }) => {
                findings += 1;
                format!("{target}: FINDING, see {}", context.log_path().display())
            }
            Err(error) => {
                findings += 1;
                format!("{target}: FAILED: {error:#}")
            }
        };
        progress.finish(&format!("    {line}"));
        lines.push(line);
    }
    println!(
        "\n{}\n\n{} targets, {findings} findings",
        lines.join("\n"),
        targets.len()
    );
    Ok(findings == 0)
}

/// What a target came to.
struct Outcome {
    inputs: u64,
    failed: bool,
}

fn run_one(context: &Context, tool: &Tool, target: &str, seconds: u32) -> Result<Outcome> {
    let folder = context.workspace().target().join("fuzz");
    let found = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = tool.cargo_fuzz("run");
    command
        .arg(target)
        .arg(&found)
        .arg(tool.fuzz.join("corpus").join(target));
    command.arg("--");
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        format!("-malloc_limit_mb={ALLOCATION_MIB_MAX}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        format!("-artifact_prefix={}/", artifacts.display()),
        "-print_final_stats=1".to_owned(),
    ]);
    // The fuzzer writes everything to standard error: the log has it.
    let (success, _) = context.run_for_result(&mut command)?;
    let path = context.log_path();
    let log = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let inputs = inputs_in(&String::from_utf8_lossy(&log));
    if success && inputs.is_none() {
        bail!(
            "the fuzzer says nothing of what it ran: see {}",
            context.log_path().display()
        );
    }
    Ok(Outcome {
        inputs: inputs.unwrap_or(0),
        failed: !success,
    })
}

/// The number of inputs, from the fuzzer's closing statistics.
fn inputs_in(log: &str) -> Option<u64> {
    let line = log
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

/// cargo-fuzz and where it works.
struct Tool {
    program: PathBuf,
    fuzz: PathBuf,
    build: PathBuf,
    sanitizer: &'static str,
}

impl Tool {
    /// `cargo fuzz <subcommand>`, up to its own options.
    fn cargo_fuzz(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["fuzz", subcommand, "--fuzz-dir"]).arg(&self.fuzz);
        command.args(["--sanitizer", self.sanitizer]);
        command.arg("--target-dir").arg(&self.build);
        // Where cargo calls cargo, what the outer one was told must not reach the inner.
        command.env_remove("CARGO_TARGET_DIR").env("RUSTC_BOOTSTRAP", "1");
        command.current_dir(&self.fuzz);
        command
    }
}

/// Installs cargo-fuzz if it is missing, and builds all targets.
fn prepare(workspace: &Workspace, total: usize, address_sanitizer: bool) -> Result<Tool> {
    let progress = Progress::start(1, total, "build", "cargo-fuzz and all targets");
    let heartbeat = Heartbeat::start("build", &progress);
    let context = Context::new(workspace.clone(), "fuzz-build", progress.clone())?;
    let tool = Tool {
        program: installed(&context)?,
        fuzz: workspace.root().join("fuzz"),
        build: workspace.target().join("fuzz/build"),
        sanitizer: if address_sanitizer { "address" } else { "none" },
    };
    let built = context.run(&mut tool.cargo_fuzz("build"));
    drop(heartbeat);
    progress.finish("    built");
    built.with_context(|| {
        format!(
            "the targets cannot be built (libFuzzer needs a C++ compiler): see {}",
            context.log_path().display()
        )
    })?;
    Ok(tool)
}

/// The program `cargo-fuzz`: from the path, or from the target folder, where it is installed when it is missing.
fn installed(context: &Context) -> Result<PathBuf> {
    let answers = |program: &Path| {
        let version = Command::new(program).args(["fuzz", "--version"]).output();
        version.is_ok_and(|output| output.status.success())
    };
    let on_path = PathBuf::from("cargo-fuzz");
    if answers(&on_path) {
        return Ok(on_path);
    }
    let root = context.workspace().target().join("tools");
    let own = root.join("bin/cargo-fuzz");
    if !answers(&own) {
        context.say("installing cargo-fuzz into the target folder");
        let mut install = Command::new(env!("CARGO"));
        install.args(["install", "cargo-fuzz", "--locked", "--root"]).arg(&root);
        context.run(&mut install).context("cannot install cargo-fuzz")?;
    }
    Ok(own)
}

/// The named targets, or all of them by name.
fn choose(workspace: &Workspace, named: &[String]) -> Result<Vec<String>> {
    let folder = workspace.root().join("fuzz/fuzz_targets");
    let mut known = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            known.push(name.to_owned());
        }
    }
    known.sort();
    if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
        bail!("no target is named {unknown}; the targets are {}", known.join(", "));
    }
    Ok(if named.is_empty() { known } else { named.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_inputs_is_read_from_the_statistics() {
        let log = "#12 DONE cov: 1\nstat::number_of_executed_units: 1234\nstat::average_exec_per_sec:     61\n";
        assert_eq!(inputs_in(log), Some(1234));
        assert_eq!(inputs_in("no statistics"), None);
    }

    #[test]
    fn an_unknown_target_is_refused_with_the_known_ones() {
        let workspace = Workspace::locate();
        let error = choose(&workspace, &["nothing".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("log_file"), "{error}");
        assert!(choose(&workspace, &[]).unwrap().len() > 10);
    }
}
