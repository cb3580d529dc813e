//! `cargo xtask chaos`: an ensemble of real processes that is killed, paused, cut apart and starved of disk at random,
//! under clients whose histories are judged afterwards.
//!
//! A run is drawn from a seed: which faults ([`faults`]) in which order, which requests ([`workload`]). When they take
//! effect is up to the machine, so a seed brings back the kind of a failure, not its moment. Histories are files
//! ([`history`]); what they must fulfil stands in [`check`], and that it would be noticed if they did not in [`plant`].
//!
//! The whole run is inside of namespaces of its own ([`crate::ensemble::isolation`]).

pub mod check;
pub(crate) mod client;
pub mod faults;
pub mod history;
pub mod plant;
pub(crate) mod run;
pub mod tree;
pub(crate) mod workload;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::context::{Context, Tally};
use crate::ensemble::isolation;
use crate::java::JavaVersion;
use crate::random::Random;
use crate::server::Product;
use crate::workspace::Workspace;
use faults::Fault;
use plant::Plant;

/// What `cargo xtask chaos` takes.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How many servers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=9))]
    servers: u8,
    /// How long faults go on; the run takes about half a minute more
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where random choices start; one from the clock when absent
    #[arg(long)]
    seed: Option<u64>,
    /// What the servers run: zebu, java-3.8.0, java-3.9.5, mixed (one of each in turn), or a list with commas that they
    /// take in turn
    #[arg(long, default_value = "zebu")]
    program: String,
    /// Clients
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    clients: u32,
    /// Longest pause of a client between two steps, in milliseconds
    #[arg(long, default_value_t = 15)]
    think_ms: u64,
    /// Divides the times between faults: JVMs need longer to come back than zebu
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    haste: u32,
    /// Kinds of faults that shall not befall (may be given several times)
    #[arg(long, value_name = "FAULT")]
    without: Vec<Fault>,
    /// Put a violation into the recorded history before it is judged: the run passes if it is found
    #[arg(long)]
    plant: Option<Plant>,
    /// Keep histories and logs of a run that passes too
    #[arg(long)]
    keep: bool,
    /// Judge the histories that an earlier run left in this folder, and run nothing
    #[arg(long, value_name = "FOLDER")]
    judge: Option<PathBuf>,
}

/// Runs the command; `true` when all checks out.
///
/// # Errors
/// When the harness itself fails.
pub fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    if let Some(folder) = &options.judge {
        return run::judge_folder(folder, options.plant);
    }
    let programs = programs(&options.program, usize::from(options.servers))?;
    let seed = options.seed.unwrap_or_else(new_seed);
    if isolation::is_inside() {
        return run::run(workspace, options, &programs, seed);
    }
    if programs.contains(&Product::Zebu) {
        build(workspace)?;
    }
    println!("chaos: {} servers of {}, seed {seed}", options.servers, options.program);
    let mut arguments: Vec<OsString> = env::args_os().skip(1).collect();
    if options.seed.is_none() {
        arguments.extend(["--seed".into(), seed.to_string().into()]);
    }
    let status = isolation::command(arguments)?
        .status()
        .context("cannot start unshare: it comes with util-linux")?;
    Ok(status.success())
}

/// Runs with seeds that stay and one that does not, for the test run: three minutes in all.
///
/// # Errors
/// When the harness itself fails.
pub fn step(context: &Context) -> Result<Tally> {
    const RUNS: [(u8, Option<u64>); 3] = [(3, Some(1)), (5, Some(2)), (3, None)];
    let mut tally = Tally::default();
    for (servers, seed) in RUNS {
        let seed = seed.unwrap_or_else(new_seed);
        context.announce(&format!("{servers} servers, seed {seed}"));
        let servers = servers.to_string();
        let seed = seed.to_string();
        let arguments = [
            "chaos",
            "--haste",
            "3",
            "--servers",
            &servers,
            "--seconds",
            "60",
            "--seed",
            &seed,
            "--program",
            "zebu",
        ];
        let (passed, output) = context.run_for_result(&mut isolation::command(arguments)?)?;
        context.announce(&output);
        // A run in which a planted violation is not found fails as well.
        tally = tally.plus(Tally {
            passed: u64::from(passed),
            failed: u64::from(!passed),
        });
    }
    Ok(tally)
}

/// The release build of zebu.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "zebu-cli"])
        .current_dir(workspace.root())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the build of zebu fails");
    Ok(())
}

/// What each server runs.
fn programs(text: &str, servers: usize) -> Result<Vec<Product>> {
    let named = [
        Product::Zebu,
        Product::Java(JavaVersion::Debian38),
        Product::Java(JavaVersion::Maven39),
    ];
    if text == "mixed" {
        return Ok(named.into_iter().cycle().take(servers).collect());
    }
    let mut listed = Vec::new();
    for name in text.split(',') {
        match named.into_iter().find(|product| product.name() == name) {
            Some(product) => listed.push(product),
            None => bail!(
                "{name} is no program; there are {}, {}, {} and mixed",
                named[0].name(),
                named[1].name(),
                named[2].name()
            ),
        }
    }
    Ok(listed.into_iter().cycle().take(servers).collect())
}

/// A seed from the clock, short enough to be typed.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(now.as_nanos()).unwrap_or(0);
    Random::new(nanos).below(1_000_000)
}

/// Where a run keeps its files.
fn folder(workspace: &Workspace, program: &str, servers: usize, seed: u64) -> PathBuf {
    let program = program.replace(',', "+");
    Path::new(workspace.target())
        .join("chaos")
        .join(format!("{program}-{servers}-{seed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_take_the_listed_programs_in_turn() {
        let java = Product::Java(JavaVersion::Debian38);
        let listed = programs("zebu,java-3.8.0", 3).unwrap();
        assert_eq!(listed, [Product::Zebu, java, Product::Zebu]);
        assert_eq!(programs("mixed", 5).unwrap().len(), 5);
        assert!(programs("etcd", 3).is_err());
    }
}
