//! `zebu-bench`: the load generator on the command line. Each command prints one line of JSON.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand};

use zebu_bench::BenchError;
use zebu_bench::fill::Tree;
use zebu_bench::load::{Extent, Load};
use zebu_bench::probe;
use zebu_bench::workload::{Keys, Mix};

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Load generator for ZooKeeper servers. Prints one line of JSON.",
    after_help = "Examples:
  Latency of one client that waits for each reply:
    zebu-bench load --op get --data-bytes 1024
  Throughput of many, with the server's CPU time per operation:
    zebu-bench load --op set --data-bytes 100 --connections 32 --outstanding 100 --server-pid 4711
  Nine reads for one write, a million operations:
    zebu-bench load --op mixed:0.9 --connections 8 --outstanding 10 --ops 1000000
  A million znodes of 100 bytes below 1000 parents; read them back:
    zebu-bench fill && zebu-bench check
  Wait for a server that is starting:
    zebu-bench wait --server 127.0.0.1:2181 --limit-seconds 60"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a closed loop: every connection keeps the same number of requests outstanding.
    Load(LoadArgs),
    /// Create a tree of parents and children with multis.
    Fill(TreeArgs),
    /// Read back every znode of a tree that `fill` made with the same options.
    Check(TreeArgs),
    /// Wait until the server grants a session; print when it did, in microseconds since 1970.
    Wait(WaitArgs),
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// Address of the client port; several, with commas between, share the connections.
    #[arg(long, default_value = "127.0.0.1:2181", value_delimiter = ',')]
    server: Vec<SocketAddr>,
    /// Process ids of the servers, with commas between, to measure their CPU time.
    #[arg(long, value_delimiter = ',')]
    server_pid: Vec<u32>,
    /// Operation: get, set, create, or mixed:<share of reads> of gets and sets.
    #[arg(long, default_value = "get")]
    op: Mix,
    /// Connections, each with a session of its own.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Requests that each connection keeps outstanding.
    #[arg(long, default_value_t = 1)]
    outstanding: usize,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Bytes of data of each znode.
    #[arg(long, default_value_t = 100)]
    data_bytes: usize,
    /// Znodes that are read and written, at random.
    #[arg(long, default_value_t = 1000)]
    keys: u64,
    /// Counted part of the run, in seconds.
    #[arg(long, default_value_t = 10.0, conflicts_with = "ops")]
    seconds: f64,
    /// Part of the run before that, not counted, in seconds.
    #[arg(long, default_value_t = 2.0, conflicts_with = "ops")]
    warm_up_seconds: f64,
    /// Run this many operations instead, all of them counted.
    #[arg(long)]
    ops: Option<u64>,
}

#[derive(Debug, Args)]
struct TreeArgs {
    /// Address of the server's client port.
    #[arg(long, default_value = "127.0.0.1:2181")]
    server: SocketAddr,
    /// Znodes of the upper level.
    #[arg(long, default_value_t = 1000)]
    parents: u64,
    /// Znodes below each of them.
    #[arg(long, default_value_t = 1000)]
    children: u64,
    /// Bytes of data of each child.
    #[arg(long, default_value_t = 100)]
    data_bytes: usize,
    /// Creates per multi.
    #[arg(long, default_value_t = 500)]
    per_multi: usize,
}

#[derive(Debug, Args)]
struct WaitArgs {
    /// Address of the server's client port.
    #[arg(long, default_value = "127.0.0.1:2181")]
    server: SocketAddr,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 60)]
    limit_seconds: u64,
}

fn main() -> ExitCode {
    let json = match run(Cli::parse().command) {
        Ok(json) => json,
        Err(error) => {
            eprintln!("zebu-bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    match writeln!(io::stdout(), "{json}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(command: Command) -> Result<serde_json::Value, BenchError> {
    match command {
        Command::Load(args) => Ok(serde_json::json!(args.load()?.run()?)),
        Command::Fill(args) => Ok(serde_json::json!(args.tree().make(args.server)?)),
        Command::Check(args) => Ok(serde_json::json!(args.tree().check(args.server)?)),
        Command::Wait(args) => {
            let limit = Duration::from_secs(args.limit_seconds);
            let served_at = probe::until_serving(args.server, limit)?;
            // Only a clock set before 1970 fails here, and then the difference to another reading is 0 as well.
            let since_1970 = served_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let micros = u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX);
            Ok(serde_json::json!({ "served_at_unix_us": micros }))
        }
    }
}

impl LoadArgs {
    fn load(&self) -> Result<Load, BenchError> {
        let extent = match self.ops {
            Some(ops) => Extent::Ops(ops),
            None => Extent::Time {
                warm_up: seconds(self.warm_up_seconds)?,
                measured: seconds(self.seconds)?,
            },
        };
        Ok(Load {
            servers: self.server.clone(),
            server_pids: self.server_pid.clone(),
            connections: self.connections,
            outstanding: self.outstanding,
            threads: self.threads,
            mix: self.op,
            keys: Keys::new(self.keys, self.data_bytes)?,
            extent,
        })
    }
}

impl TreeArgs {
    fn tree(&self) -> Tree {
        Tree {
            parents: self.parents,
            children: self.children,
            data_bytes: self.data_bytes,
            per_multi: self.per_multi,
        }
    }
}

/// At most a day: a run is bounded whatever is asked.
fn seconds(value: f64) -> Result<Duration, BenchError> {
    if (0.0..=86_400.0).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(BenchError::Parameters("seconds: 0 to 86400".to_owned()))
}
