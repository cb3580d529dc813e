//! `cargo xtask bench`: the same work for two servers, in turns on the same machine, and a table that compares them.
//!
//! The baseline is the Java server, the contender zebu, or Java again, which shows how much of a difference is noise.
//! Both get the same `zoo.cfg`. Everything is measured in pairs, one server right after the other and the order changed
//! from pair to pair, and compared within a pair: what disturbs a machine for minutes disturbs both, and cancels out.
//!
//! [`speed`] runs the load generator, [`lives`] leads servers through start, filling, stop and kill and looks at time
//! and memory on the way, [`ensemble`] does so with three servers that form one, [`report`] holds the numbers and prints them. The generator is the program `zebu-bench`, in a
//! process of its own, so that its CPU time can be told from the server's.

pub mod ensemble;
pub mod environment;
pub mod generator;
pub mod lives;
pub mod procfs;
pub mod report;
pub mod speed;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::java::JavaVersion;
use crate::server::{Product, Server, ServerConfig};
use crate::workspace::Workspace;

use environment::Environment;
use generator::Generator;
use report::Results;

/// The heap that upstream's start script gives a server (`ZK_SERVER_HEAP` in zkEnv.sh).
const JAVA_HEAP_MIB: u32 = 1000;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// About 3 minutes, one pair of everything: to see where one stands while developing.
    Quick,
    /// Up to 25 minutes: figures to record.
    Full,
}

/// What is compared with the Java server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// The release build of this workspace.
    Zebu,
    /// The Java server once more: the ratios show the noise.
    Java,
}

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Throughput, latency and CPU time under load.
    Speed,
    /// Memory, and time from start to serving, empty and with a million znodes.
    Lives,
    /// Three servers: throughput, latency, CPU time, and how long writes fail when the leader goes.
    Ensemble,
}

/// Options of `cargo xtask bench`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How much to measure
    #[arg(long, value_enum, default_value_t = Profile::Full)]
    profile: Profile,
    /// What to compare with the Java server
    #[arg(long, value_enum, default_value_t = Contender::Zebu)]
    contender: Contender,
    /// Measure only these parts
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Speed, Part::Lives, Part::Ensemble])]
    parts: Vec<Part>,
    /// Number of pairs, instead of the profile's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=50))]
    pairs: Option<u32>,
    /// Largest heap of the Java server, in MiB
    #[arg(long, default_value_t = JAVA_HEAP_MIB)]
    java_heap_mib: u32,
    /// Write the figures below benches/results (always done by the full profile)
    #[arg(long)]
    record: bool,
}

/// Sizes that follow from the profile.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Pairs of load runs per workload.
    pub speed_pairs: u32,
    /// Pairs of starts with an empty directory.
    pub empty_start_pairs: u32,
    /// Pairs of lives with a million znodes.
    pub life_pairs: u32,
    /// Load on a fresh server before anything counts, per workload, seconds: a JVM compiles in this time.
    pub first_warm_up_seconds: u32,
    /// Uncounted part of each load run, seconds.
    pub warm_up_seconds: u32,
    /// Counted part of each load run, seconds.
    pub seconds: u32,
    /// Leaders that are killed, and as many that are stopped, of each ensemble.
    pub failovers: u32,
    /// Whether the million znodes are read back once after a restart, beside the look at the server's own count. A Java
    /// server takes half a minute for it.
    pub read_back: bool,
}

impl Plan {
    fn of(options: &Options) -> Self {
        let mut plan = match options.profile {
            Profile::Quick => Self {
                speed_pairs: 1,
                empty_start_pairs: 1,
                life_pairs: 1,
                first_warm_up_seconds: 4,
                warm_up_seconds: 1,
                seconds: 5,
                failovers: 3,
                read_back: false,
            },
            Profile::Full => Self {
                speed_pairs: 5,
                empty_start_pairs: 5,
                life_pairs: 3,
                first_warm_up_seconds: 10,
                warm_up_seconds: 2,
                seconds: 12,
                failovers: 10,
                read_back: true,
            },
        };
        if let Some(pairs) = options.pairs {
            plan.speed_pairs = pairs;
            plan.empty_start_pairs = pairs;
            plan.life_pairs = pairs;
        }
        plan
    }
}

/// Which of the two is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// The server that is compared with.
    Baseline,
    /// The server that is compared.
    Contender,
}

impl Seat {
    /// Who goes first in this pair; the order changes from pair to pair.
    pub fn order(pair: u32) -> [Self; 2] {
        if pair.is_multiple_of(2) {
            [Self::Baseline, Self::Contender]
        } else {
            [Self::Contender, Self::Baseline]
        }
    }
}

/// The two servers and everything needed to start and load them.
#[derive(Debug)]
pub struct Bench {
    workspace: Workspace,
    generator: Generator,
    plan: Plan,
    baseline: Product,
    contender: Product,
    java_heap_mib: u32,
    folder: PathBuf,
}

impl Bench {
    fn product(&self, seat: Seat) -> Product {
        match seat {
            Seat::Baseline => self.baseline,
            Seat::Contender => self.contender,
        }
    }

    /// The folder that this server works in, empty.
    fn fresh_folder(&self, seat: Seat) -> Result<PathBuf> {
        let folder = self.folder.join(match seat {
            Seat::Baseline => "baseline",
            Seat::Contender => "contender",
        });
        remove(&folder)?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// The configuration, the same for both but for the port.
    ///
    /// What is set is set to the default, so that a reader of the results sees it; only the number of connections from
    /// one address is not limited (60 by default). A session per connection and all from one address is what a load
    /// generator is.
    fn config(&self) -> Result<ServerConfig> {
        let mut config = ServerConfig::new()?
            .line("maxClientCnxns=0")
            .line("forceSync=yes")
            .line("preAllocSize=65536")
            .line("snapCount=100000");
        config.java.jvm_flags = self.jvm_flags();
        Ok(config)
    }

    fn jvm_flags(&self) -> Vec<String> {
        vec![
            format!("-Xmx{}m", self.java_heap_mib),
            "-XX:+UseG1GC".to_owned(),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned(),
        ]
    }

    /// Starts one of the servers in a fresh folder and waits until it serves.
    fn start(&self, seat: Seat) -> Result<Server> {
        Server::start(
            &self.workspace,
            self.product(seat),
            &self.fresh_folder(seat)?,
            &self.config()?,
        )
    }
}

/// Runs the benchmark, prints its table, and records it if asked; `true` when all of it could be measured.
///
/// # Errors
/// When something is missing, a server fails, or a reply under load is wrong: figures of such a run mean nothing.
pub fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let bench = prepare(workspace, options)?;
    let environment = Environment::look(workspace, &bench.folder)?;
    say(&environment.to_string());
    if environment.load_average > 0.5 {
        say("note: other work is running on this machine; ratios suffer less than figures, but both do");
    }
    let mut results = Results::default();
    if options.parts.contains(&Part::Speed) {
        speed::measure(&bench, &mut results)?;
    }
    if options.parts.contains(&Part::Lives) {
        lives::measure(&bench, &mut results)?;
    }
    if options.parts.contains(&Part::Ensemble) {
        ensemble::measure(&bench, &mut results)?;
    }
    remove(&bench.folder)?;
    let record = report::Record {
        environment,
        profile: format!("{:?}", options.profile).to_lowercase(),
        baseline: bench.baseline.name(),
        contender: bench.contender.name(),
        jvm_flags: bench.jvm_flags(),
        zoo_cfg: bench.config()?.lines,
        results,
    };
    let markdown = record.markdown();
    println!("{markdown}");
    if options.record || options.profile == Profile::Full {
        let stem = record.write(&workspace.root().join("benches/results"))?;
        say(&format!("recorded as {stem}.json and {stem}.md below benches/results"));
    }
    Ok(true)
}

/// Builds what is to be measured, and looks for what must be installed.
fn prepare(workspace: &Workspace, options: &Options) -> Result<Bench> {
    let contender = match options.contender {
        Contender::Zebu => Product::Zebu,
        Contender::Java => Product::Java(JavaVersion::Debian38),
    };
    for program in ["java", "jcmd"] {
        if Command::new(program).arg("-version").output().is_err() {
            bail!("{program} is missing: `cargo xtask test` installs a JDK");
        }
    }
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--release", "--locked", "--package", "zebu-bench"]);
    if contender == Product::Zebu {
        build.args(["--package", "zebu-cli"]);
    }
    let status = build
        .current_dir(workspace.root())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the release build failed");
    }
    Ok(Bench {
        workspace: workspace.clone(),
        generator: Generator::new(workspace.target().join("release/zebu-bench")),
        plan: Plan::of(options),
        baseline: Product::Java(JavaVersion::Debian38),
        contender,
        java_heap_mib: options.java_heap_mib,
        folder: workspace.target().join("bench"),
    })
}

/// Tells a person what is going on; results go to standard output.
fn say(line: &str) {
    eprintln!("{line}");
}

/// Removes a folder with all in it, if it is there.
fn remove(folder: &std::path::Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
