//! Memory, and time from start to serving.
//!
//! A life: start with nothing, rest, fill with a million znodes, kill, start on what is there, stop in good order, start
//! again. Time is taken from the moment before the process is made to the moment a client has a session.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};

use crate::process::four_letter_word;
use crate::server::{Product, Server, ServerConfig};

use super::procfs::{Memory, collect_garbage, settle};
use super::report::{Better, Metric, Results};
use super::{Bench, Seat, say};

/// The tree that the generator makes: a root, 1000 parents, 1000 children each.
const TREE_ZNODES: u64 = 1_001_001;

/// Leads both servers through their lives in turns.
///
/// # Errors
/// When a server fails, or has lost znodes after a restart.
pub fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    for pair in 0..bench.plan.empty_start_pairs {
        for seat in Seat::order(pair) {
            let mut life = Life::begin(bench, seat, results)?;
            life.start("start to serving, empty directory")?;
            life.end()?;
        }
    }
    for pair in 0..bench.plan.life_pairs {
        for seat in Seat::order(pair) {
            say(&format!("a life, pair {}, {}", pair + 1, bench.product(seat).name()));
            Life::begin(bench, seat, results)?.lead(bench.plan.read_back && pair == 0)?;
        }
    }
    Ok(())
}

/// One server from its first start to its end.
#[derive(Debug)]
struct Life<'a> {
    bench: &'a Bench,
    seat: Seat,
    results: &'a mut Results,
    folder: std::path::PathBuf,
    config: ServerConfig,
    server: Option<Server>,
}

impl<'a> Life<'a> {
    fn begin(bench: &'a Bench, seat: Seat, results: &'a mut Results) -> Result<Self> {
        Ok(Self {
            bench,
            seat,
            results,
            folder: bench.fresh_folder(seat)?,
            config: bench.config()?,
            server: None,
        })
    }

    /// The whole of it.
    fn lead(mut self, read_back: bool) -> Result<()> {
        self.start("start to serving, empty directory")?;
        self.memory("idle")?;
        self.fill()?;
        self.memory("a million znodes, after filling")?;
        self.running()?.kill()?;
        self.start("start to serving, a million znodes, after kill -9")?;
        self.memory("a million znodes, after a restart")?;
        self.verify(read_back)?;
        self.stop()?;
        self.start("start to serving, a million znodes, after a clean stop")?;
        self.verify(false)?;
        self.end()
    }

    /// Starts the server on what is in its folder, and takes the time until a client has a session.
    fn start(&mut self, name: &'static str) -> Result<()> {
        // Caches and flushes of what was before must not be counted.
        settle(&[])?;
        let found = files(&self.folder.join("data/version-2"))?;
        let address = crate::ports::loopback(self.config.client_port);
        let watch = self.bench.generator.watch_start(address)?;
        let launch = SystemTime::now();
        let product = self.bench.product(self.seat);
        let server = Server::launch(&self.bench.workspace, product, &self.folder, &self.config)?;
        self.server = Some(server);
        let took = watch.served_after(launch)?;
        say(&format!(
            "{}: {name}: {:.1} ms, on {found}",
            product.name(),
            millis(took)
        ));
        self.add("start", name, "ms", millis(took));
        Ok(())
    }

    /// Looks at the memory of the server once it rests; then, for a JVM, once more after all garbage is collected.
    ///
    /// What a JVM holds but does not need says little about what its work needs, so zebu's one figure is compared with
    /// each of Java's.
    fn memory(&mut self, when: &str) -> Result<()> {
        let group = format!("memory, {when}");
        let product = self.bench.product(self.seat);
        let pid = self.running_pid()?;
        settle(&[pid])?;
        let as_found = Memory::of(pid)?;
        let (collected, used_heap) = match product {
            Product::Java(_) => {
                let used_heap = collect_garbage(pid)?;
                settle(&[pid])?;
                (Memory::of(pid)?, used_heap)
            }
            Product::Zebu => (as_found, as_found.rss_mib),
        };
        say(&format!(
            "{}: {group}: RSS {:.1} MiB, peak {:.1}, PSS {:.1}; after collecting garbage RSS {:.1}, in use {:.1}",
            product.name(),
            as_found.rss_mib,
            as_found.peak_rss_mib,
            as_found.pss_mib,
            collected.rss_mib,
            used_heap,
        ));
        self.add(&group, "RSS", "MiB", as_found.rss_mib);
        self.add(&group, "PSS", "MiB", as_found.pss_mib);
        self.add(&group, "peak RSS", "MiB", as_found.peak_rss_mib);
        self.add(
            &group,
            "RSS after a forced full GC (zebu: RSS)",
            "MiB",
            collected.rss_mib,
        );
        self.add(
            &group,
            "heap in use after a forced full GC (zebu: RSS)",
            "MiB",
            used_heap,
        );
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        let address = self.running_ref()?.address();
        let speed = self.bench.generator.fill(address)?;
        say(&format!(
            "{}: filled with {speed:.0} znodes/s",
            self.bench.product(self.seat).name()
        ));
        let metric = Metric {
            group: "filling".to_owned(),
            name: "creates in multis of 500, one connection",
            unit: "znodes/s",
            better: Better::Higher,
        };
        self.results.add(self.seat, metric, speed);
        Ok(())
    }

    /// Makes sure that a restart lost nothing: by the server's own count, and if asked by reading every znode.
    fn verify(&mut self, read_back: bool) -> Result<()> {
        let address = self.running_ref()?.address();
        let answer = four_letter_word(address, "srvr")?;
        let count = answer.lines().find_map(|line| line.strip_prefix("Node count: "));
        let count: u64 = count
            .and_then(|text| text.trim().parse().ok())
            .context("no node count in srvr")?;
        if count < TREE_ZNODES {
            bail!(
                "{} has {count} znodes where {TREE_ZNODES} were made",
                self.bench.product(self.seat).name()
            );
        }
        if read_back {
            let speed = self.bench.generator.check(address)?;
            say(&format!(
                "{}: all znodes read back, {speed:.0}/s",
                self.bench.product(self.seat).name()
            ));
        }
        Ok(())
    }

    /// Stops the server as an operator does.
    fn stop(&mut self) -> Result<()> {
        let status = self.running()?.stop()?;
        say(&format!("{}: stopped: {status}", self.bench.product(self.seat).name()));
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        self.stop()?;
        super::remove(&self.folder)
    }

    fn add(&mut self, group: &str, name: &'static str, unit: &'static str, value: f64) {
        let metric = Metric {
            group: group.to_owned(),
            name,
            unit,
            better: Better::Lower,
        };
        self.results.add(self.seat, metric, value);
    }

    fn running(&mut self) -> Result<Server> {
        self.server.take().context("the server is not running")
    }

    fn running_ref(&self) -> Result<&Server> {
        self.server.as_ref().context("the server is not running")
    }

    fn running_pid(&mut self) -> Result<u32> {
        Ok(self
            .server
            .as_mut()
            .context("the server is not running")?
            .process()
            .pid())
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Counts what lies in a data directory: files and megabytes on the disk, logs and snapshots apart.
fn files(folder: &Path) -> Result<String> {
    use std::os::unix::fs::MetadataExt as _;

    let mut count = [0; 2];
    let mut blocks = [0; 2];
    if let Ok(entries) = fs::read_dir(folder) {
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = match name.split('.').next() {
                Some("log") => 0,
                Some("snapshot") => 1,
                _ => continue,
            };
            count[kind] += 1;
            blocks[kind] += entry
                .metadata()
                .with_context(|| format!("cannot look at {name}"))?
                .blocks();
        }
    }
    // The kernel counts blocks of 512 bytes here, whatever the file system's are.
    let mib = blocks.map(|blocks| blocks / 2048);
    Ok(format!(
        "{} logs ({} MiB), {} snapshots ({} MiB)",
        count[0], mib[0], count[1], mib[1]
    ))
}
