//! The `zebu` command.

mod serve;
mod shell;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Memory of a server lives long and is allocated from several threads; this allocator keeps it small and is fast at it.
/// It is built without huge pages (feature `no_thp`): each thread touches one at once, which made 10 MB of an idle
/// server's 1, and gained nothing under load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A coordination service that is ZooKeeper to its clients, without a JVM.
#[derive(Parser)]
#[command(version, about, long_about = None, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Shell(shell::Shell),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Shell(shell) => shell.run(),
    }
}
