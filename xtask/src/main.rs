//! `cargo xtask`: automation for the zebu workspace.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use xtask::bench;
use xtask::chaos;
use xtask::ensemble;
use xtask::fuzz;
use xtask::interop::crash;
use xtask::migration;
use xtask::runner::{self, Selection};
use xtask::workspace::Workspace;

/// Automation for the zebu workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test: formatting, lints, the workspace's tests, and interop with real clients and servers.
    Test(Selection),
    /// Run kazoo's suite on the Java server and record what passes, as the measure for zebu.
    RecordKazoo {
        /// A test must pass in each of so many runs
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// With three servers that form an ensemble
        #[arg(long)]
        ensemble: bool,
    },
    /// End servers under write load again and again, and see that nothing acknowledged is lost.
    Crash(crash::Options),
    /// Compare zebu with the Java server under load, in memory and in start time.
    Bench(bench::Options),
    /// Feed every decoder and file reader with random inputs, and fail on a finding.
    Fuzz(fuzz::Options),
    /// Start servers that form an ensemble on this machine, say who leads, and end them at ^C.
    Ensemble(ensemble::command::Options),
    /// Kill, pause and cut apart the servers of an ensemble under load, and judge what its clients were told.
    Chaos(chaos::Options),
    /// Put zebu and Java servers into one ensemble, and let ensembles go from one to the other.
    Migrate(migration::Options),
    /// List the steps of `test` with what they do and what they need.
    Steps,
}

fn main() -> ExitCode {
    let workspace = Workspace::locate();
    let outcome = match Arguments::parse().command {
        Command::Test(selection) => runner::test(&workspace, &selection),
        Command::RecordKazoo { rounds, ensemble } => Ok(runner::record_kazoo(&workspace, rounds, ensemble)),
        Command::Crash(options) => Ok(runner::crash(&workspace, &options)),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
        Command::Ensemble(options) => ensemble::command::run(&workspace, &options),
        Command::Chaos(options) => chaos::run(&workspace, &options),
        Command::Migrate(options) => runner::migrate(&workspace, &options),
        Command::Steps => {
            runner::list();
            Ok(true)
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
