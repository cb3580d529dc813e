//! The load generator as a process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A server with a million znodes in its log takes a Java server some ten seconds to start; this is for bad days.
const SERVING_WITHIN_SECONDS: u32 = 120;

/// One kind of load.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// For the table.
    pub name: &'static str,
    /// `get` or `set`.
    pub op: &'static str,
    /// Data of each znode.
    pub data_bytes: u32,
    /// Connections.
    pub connections: u32,
    /// Requests that each keeps outstanding.
    pub outstanding: u32,
}

/// What a load run measured: the part of the generator's answer that is used here.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Outcome {
    /// Replies per second.
    pub ops_per_second: f64,
    /// Latencies.
    pub latency_us: Latency,
    /// CPU time of the server per operation, microseconds.
    pub server_cpu_us_per_op: f64,
    /// CPU time of the generator per operation, microseconds.
    pub generator_cpu_us_per_op: f64,
}

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// 999 of 1000.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

/// The program.
#[derive(Clone, Debug)]
pub struct Generator {
    binary: PathBuf,
}

impl Generator {
    /// The generator in this file.
    pub fn new(binary: PathBuf) -> Self {
        Self { binary }
    }

    /// Loads one or more servers, which share the connections, and measures.
    ///
    /// # Errors
    /// When the generator gives up: a lost connection, a wrong reply.
    pub fn load(
        &self,
        workload: &Workload,
        servers: &[SocketAddr],
        server_pids: &[u32],
        warm_up_seconds: u32,
        seconds: u32,
    ) -> Result<Outcome> {
        let mut command = self.command("load", &join(servers));
        command.args(["--op", workload.op, "--server-pid", &join(server_pids)]);
        for (option, value) in [
            ("--data-bytes", workload.data_bytes),
            ("--connections", workload.connections),
            ("--outstanding", workload.outstanding),
            ("--warm-up-seconds", warm_up_seconds),
            ("--seconds", seconds),
        ] {
            command.arg(option).arg(value.to_string());
        }
        run(&mut command)
    }

    /// Creates the tree of a million znodes; returns znodes per second.
    ///
    /// # Errors
    /// As [`Generator::load`].
    pub fn fill(&self, server: SocketAddr) -> Result<f64> {
        let tree: Tree = run(&mut self.command("fill", &server.to_string()))?;
        Ok(tree.znodes_per_second)
    }

    /// Reads back every znode of that tree; returns znodes per second.
    ///
    /// # Errors
    /// As [`Generator::load`]; also when a znode is missing.
    pub fn check(&self, server: SocketAddr) -> Result<f64> {
        let tree: Tree = run(&mut self.command("check", &server.to_string()))?;
        Ok(tree.znodes_per_second)
    }

    /// Begins to try to open a session with a server that is about to be started.
    ///
    /// # Errors
    /// When the generator cannot be started.
    pub fn watch_start(&self, server: SocketAddr) -> Result<StartWatch> {
        let mut command = self.command("wait", &server.to_string());
        command.arg("--limit-seconds").arg(SERVING_WITHIN_SECONDS.to_string());
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the load generator")?;
        Ok(StartWatch { child })
    }

    fn command(&self, command: &str, servers: &str) -> Command {
        let mut generator = Command::new(&self.binary);
        generator
            .args([command, "--server", servers])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        generator
    }
}

/// With commas between.
fn join<T: ToString>(values: &[T]) -> String {
    let texts: Vec<String> = values.iter().map(T::to_string).collect();
    texts.join(",")
}

#[derive(Debug, Deserialize)]
struct Tree {
    znodes_per_second: f64,
}

#[derive(Debug, Deserialize)]
struct Served {
    served_at_unix_us: u64,
}

/// The generator while it waits for a server's first session.
#[derive(Debug)]
pub struct StartWatch {
    child: Child,
}

impl StartWatch {
    /// How long after `launch` the first session was granted.
    ///
    /// # Errors
    /// When the server did not grant one in time.
    pub fn served_after(self, launch: SystemTime) -> Result<Duration> {
        let output = self
            .child
            .wait_with_output()
            .context("cannot wait for the load generator")?;
        if !output.status.success() {
            bail!("the server granted no session");
        }
        let served: Served = parse(&output.stdout)?;
        let served_at = SystemTime::UNIX_EPOCH + Duration::from_micros(served.served_at_unix_us);
        served_at
            .duration_since(launch)
            .context("the clock was set back during the start")
    }
}

fn run<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command.output().context("cannot start the load generator")?;
    if !output.status.success() {
        bail!("the load generator gave up: {}", crate::context::describe(command));
    }
    parse(&output.stdout)
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).with_context(|| {
        format!(
            "unknown answer of the load generator: {}",
            String::from_utf8_lossy(json)
        )
    })
}
