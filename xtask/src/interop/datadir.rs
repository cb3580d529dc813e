//! Data directories go from server to server: Java 3.8.0, zebu, the newest Java 3.8 and 3.9, each works on what the one before
//! left, and none of them finds anything else than what was there.
//!
//! A chain is one directory with one set of storage settings. On each hop a server opens the directory, is asked for
//! everything it serves ([`dump::live`]), does the work of [`load`] with small snapshots intervals, and is stopped, or
//! killed in the middle. Between two hops the directory is copied. In the end Java's own classes, of both releases, load
//! every copy ([`dump::Loader`], `interop/datadir/Dump.java`), and Java's own tools read every file. Then:
//!
//! - both releases find the same in each directory: nodes with data, ACL and every field of the Stat, the stored fields
//!   that no client sees, sessions with timeouts, owners of ephemerals, the digest, which is also computed anew;
//! - what a server serves first is exactly what the directory held before; what it served last before a graceful stop is
//!   exactly what it left;
//! - sessions can be renewed on every later server, with their ephemerals; those that ended are nowhere.

pub(crate) mod dump;
mod load;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::context::{Context, Tally};
use crate::java::JavaVersion;
use crate::server::{Product, Server, ServerConfig};

use crate::interop::log_file;
pub(crate) use dump::copy_folder;
use dump::{Dump, FAST_START, Loader};
use load::{Lists, Load, SUPER_DIGEST};

const Z: Product = Product::Zebu;
const J38: Product = Product::Java(JavaVersion::Debian38);
const J386: Product = Product::Java(JavaVersion::Maven38);
const J39: Product = Product::Java(JavaVersion::Maven39);

/// How a hop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// SIGTERM, with nothing under way.
    Stop,
    /// SIGKILL, while many clients write.
    Kill,
    /// The same, and half of the last transaction is lost, as when the power fails.
    Tear,
}
use End::{Kill, Stop, Tear};

/// A directory on its way.
#[derive(Clone, Copy, Debug)]
struct Chain {
    name: &'static str,
    /// Lines of `zoo.cfg` for every server.
    lines: &'static [&'static str],
    /// System properties for every server and for loading.
    properties: &'static [(&'static str, &'static str)],
    separate_log: bool,
    hops: &'static [(Product, End)],
}

const CHAINS: &[Chain] = &[
    Chain {
        name: "plain",
        lines: &["snapCount=100", "preAllocSize=64"],
        properties: &[],
        separate_log: false,
        hops: &[
            (J38, Stop),
            (Z, Kill),
            (J39, Stop),
            (Z, Stop),
            (J38, Kill),
            (Z, Stop),
            (J386, Kill),
            (Z, Stop),
        ],
    },
    Chain {
        name: "gz, purge",
        lines: &[
            "snapCount=150",
            "preAllocSize=64",
            "autopurge.purgeInterval=1",
            "autopurge.snapRetainCount=3",
        ],
        properties: &[("zookeeper.snapshot.compression.method", "gz")],
        separate_log: false,
        hops: &[
            (J39, Tear),
            (Z, Stop),
            (J38, Stop),
            (Z, Kill),
            (J386, Stop),
            (Z, Stop),
            (J39, Stop),
        ],
    },
    Chain {
        name: "snappy, log elsewhere",
        lines: &["snapCount=150", "preAllocSize=64"],
        properties: &[("zookeeper.snapshot.compression.method", "snappy")],
        separate_log: true,
        hops: &[
            (J38, Kill),
            (Z, Stop),
            (J39, Kill),
            (Z, Tear),
            (J386, Tear),
            (Z, Stop),
            (J38, Stop),
        ],
    },
    Chain {
        name: "no digest, no last zxid, small logs",
        lines: &["snapCount=200", "preAllocSize=16", "txnLogSizeLimitInKb=32"],
        properties: &[
            ("zookeeper.digest.enabled", "false"),
            ("zookeeper.serializeLastProcessedZxid.enabled", "false"),
        ],
        separate_log: false,
        hops: &[
            (Z, Kill),
            (J39, Stop),
            (Z, Stop),
            (J38, Stop),
            (Z, Stop),
            (J386, Kill),
            (Z, Stop),
            (J39, Kill),
        ],
    },
];

/// The end of the name of a snapshot that zebu is writing.
const UNFINISHED: &str = ".zebu-tmp";

/// Chains at a time: a JVM that starts waits for the disk half of the time.
const LANES: usize = 2;

/// The step: one check for each comparison.
///
/// # Errors
/// When the program that loads directories cannot be built.
pub fn run(context: &Context) -> Result<Tally> {
    let loader = Loader::build(context)?;
    let next = AtomicU64::new(0);
    let lane = || {
        let mut tally = Tally::default();
        loop {
            let number = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
            let Some(chain) = CHAINS.get(number) else {
                return tally;
            };
            tally = tally.plus(judge(context, &loader, chain));
        }
    };
    let tallies = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().map_err(|_| anyhow!("a chain's thread panicked")))
            .collect::<Result<Vec<Tally>>>()
    })?;
    Ok(tallies.into_iter().fold(Tally::default(), Tally::plus))
}

/// Runs a chain and counts its checks.
fn judge(context: &Context, loader: &Loader, chain: &Chain) -> Tally {
    let outcome = tempfile::tempdir().context("no temporary folder").and_then(|dir| {
        let outcome = Journey::run(context, chain, dir.path()).and_then(|journey| journey.checks(context, loader));
        let failed = outcome
            .as_ref()
            .is_ok_and(|checks| checks.iter().any(|check| check.complaint.is_some()));
        if failed || outcome.is_err() {
            context.announce(&format!("{}: kept: {}", chain.name, dir.keep().display()));
        }
        outcome
    });
    let mut tally = Tally::default();
    match outcome {
        Ok(checks) => {
            for check in checks {
                match check.complaint {
                    None => tally.passed += 1,
                    Some(complaint) => {
                        context.announce(&format!("{}: {}: {complaint}", chain.name, check.what));
                        tally.failed += 1;
                    }
                }
            }
        }
        Err(error) => {
            context.announce(&format!("{}: {error:#}", chain.name));
            tally.failed += 1;
        }
    }
    tally
}

/// One comparison.
#[derive(Debug)]
struct Check {
    what: String,
    complaint: Option<String>,
}

/// What one hop left.
#[derive(Debug)]
struct Hop {
    name: String,
    product: Product,
    end: End,
    /// What the server served before it was asked for anything else.
    first: Dump,
    /// What it served before it was stopped.
    last: Option<Dump>,
    /// A copy of the directory as it left it.
    left: PathBuf,
    /// Sessions that must be in it, with their timeouts.
    alive: BTreeMap<i64, i32>,
    /// Sessions that must not.
    over: Vec<i64>,
}

/// A chain that has been run.
#[derive(Debug)]
struct Journey {
    chain: Chain,
    properties: Vec<(String, String)>,
    hops: Vec<Hop>,
}

impl Journey {
    /// Runs all servers one after the other on `dir`.
    fn run(context: &Context, chain: &Chain, dir: &Path) -> Result<Self> {
        let mut config = ServerConfig::new()?
            .line("maxClientCnxns=0")
            .line("minSessionTimeout=1000")
            .line("maxSessionTimeout=2000000");
        config.tick_ms = 500;
        config.java.heap_mib = Some(256);
        config.java.jvm_flags = FAST_START.map(str::to_owned).to_vec();
        config.lines.extend(chain.lines.iter().map(|line| (*line).to_owned()));
        if chain.separate_log {
            config = config.line(format!("dataLogDir={}", dir.join("log").display()));
        }
        config = config
            .property("zookeeper.DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
            .property("zookeeper.extendedTypesEnabled", "true")
            .property("znode.container.checkIntervalMs", "300");
        for (name, value) in chain.properties {
            config = config.property(name, value);
        }
        let mut journey = Self {
            chain: *chain,
            properties: config.java.properties.clone(),
            hops: Vec::new(),
        };
        let mut load = Load::default();
        for (number, (product, end)) in chain.hops.iter().enumerate() {
            let name = format!("hop {number}, {}, {end:?}", product.name());
            context.say(&format!("{}: {name}", chain.name));
            let hop = hop(context, *product, *end, &name, dir, &config, &mut load);
            journey.hops.push(hop.with_context(|| name.clone())?);
        }
        Ok(journey)
    }

    /// Everything that is compared.
    fn checks(&self, context: &Context, loader: &Loader) -> Result<Vec<Check>> {
        let directories: Vec<PathBuf> = self.hops.iter().map(|hop| hop.left.clone()).collect();
        let dump = |version| loader.dump(context, version, &self.properties, &directories);
        let (by_39, by_38) = (dump(JavaVersion::Maven39)?, dump(JavaVersion::Debian38)?);
        let digest = !self
            .chain
            .properties
            .iter()
            .any(|(name, _)| *name == "zookeeper.digest.enabled");
        let mut checks = Vec::new();
        let mut check = |hop: &Hop, what: &str, complaint: Option<String>| {
            let what = format!("{}: {what}", hop.name);
            checks.push(Check { what, complaint });
        };
        let mut before: Option<Dump> = None;
        for ((hop, left), left_38) in self.hops.iter().zip(by_39).zip(by_38) {
            context.say(&format!("{}: {} nodes", hop.name, left.node_count()));
            check(hop, "Java 3.9 loads what it left", left.fault(digest));
            check(hop, "Java 3.8.0 loads what it left", left_38.fault(digest));
            check(hop, "both find the same", left.difference(&left_38));
            for (tools, dump) in [("3.9", &left), ("3.8.0", &left_38)] {
                let what = format!("the tools of Java {tools} read its files");
                check(hop, &what, unread(hop, dump, before.as_ref()));
            }
            if let Some(before) = &before {
                let what = "what it serves first is what the one before left";
                check(hop, what, before.served().difference(&hop.first));
            }
            if let Some(last) = &hop.last {
                let what = "what it served last is what it left";
                check(hop, what, last.difference(&left.served()));
            }
            check(hop, "sessions", session_fault(hop, &left)?);
            before = Some(left);
        }
        Ok(checks)
    }
}

/// Opens the directory, looks, works, and ends.
fn hop(
    context: &Context,
    product: Product,
    end: End,
    name: &str,
    dir: &Path,
    config: &ServerConfig,
    load: &mut Load,
) -> Result<Hop> {
    let mut server = Server::start(context.workspace(), product, dir, config)?;
    let address = server.address();
    let first = dump::live(address)?;
    load.come_back(address)?;
    load.everything(address)?;
    let acknowledged = AtomicU64::new(0);
    let lists = if product == Z { Lists::New } else { Lists::Known };
    let last = match end {
        Stop => {
            load.crowd(address, lists, &acknowledged)?;
            Some(dump::live(address)?)
        }
        Kill | Tear => {
            thread::scope(|scope| {
                let crowd = scope.spawn(|| load.crowd(address, lists, &acknowledged));
                let killed = kill_in_the_middle(&mut server, &acknowledged);
                let crowd = crowd.join().map_err(|_| anyhow!("the crowd's thread panicked"))?;
                crowd.and(killed)
            })?;
            None
        }
    };
    if end == Stop {
        let status = server.stop()?;
        // A JVM says 143 when it is stopped by SIGTERM.
        ensure!(product != Z || status.success(), "stopped with {status}");
    }
    if end == Tear {
        let log = if dir.join("log").exists() { "log" } else { "data" };
        let last = log_file::last(&dir.join(log).join("version-2"))?;
        last.context("the log is empty")?.tear()?;
    }
    let left = dir.join("left").join(name);
    copy_folder(&dir.join("data"), &left.join("data"))?;
    if dir.join("log").exists() {
        copy_folder(&dir.join("log"), &left.join("log"))?;
    }
    Ok(Hop {
        name: name.to_owned(),
        product,
        end,
        first,
        last,
        left,
        alive: load
            .kept
            .iter()
            .map(|kept| (kept.ticket.id, kept.ticket.timeout_ms))
            .collect(),
        over: load.over.iter().copied().collect(),
    })
}

/// Waits until the crowd is in full swing, and kills the server.
fn kill_in_the_middle(server: &mut Server, acknowledged: &AtomicU64) -> Result<()> {
    /// About half of what the crowd would do.
    const ENOUGH: u64 = 450;
    let deadline = Instant::now() + Duration::from_secs(30);
    while acknowledged.load(Ordering::Acquire) < ENOUGH {
        if Instant::now() >= deadline {
            bail!("the crowd does not get on");
        }
        thread::sleep(Duration::from_millis(1));
    }
    server.process().kill()
}

/// A file of this hop that one of Java's tools cannot read.
fn unread(hop: &Hop, dump: &Dump, before: Option<&Dump>) -> Option<String> {
    let is_new = |name: &str| {
        let is_whole = !name.ends_with(UNFINISHED);
        is_whole && before.is_none_or(|before| !before.files.contains_key(name))
    };
    let new: Vec<(&String, &String)> = dump.files.iter().filter(|(name, _)| is_new(name)).collect();
    let logs = new.iter().filter(|(name, _)| name.starts_with("log."));
    let Some((newest_log, _)) = logs.max_by_key(|(name, _)| first_zxid(name)) else {
        return Some("there is no log".to_owned());
    };
    let wrong = new.iter().find(|(name, said)| {
        // What was being written when the server was killed may end in the middle; zebu's snapshots have another name
        // until they are whole.
        let torn = hop.end != Stop && (name == newest_log || name.starts_with("snapshot.") && hop.product != Z);
        said.as_str() != "read" && !torn
    });
    wrong.map(|(name, said)| format!("{name}: {said}"))
}

/// The number in a file's name.
fn first_zxid(name: &str) -> u64 {
    let number = name.split('.').nth(1).unwrap_or_default();
    u64::from_str_radix(number, 16).unwrap_or(0)
}

/// A session that should be there and is not, or the reverse.
fn session_fault(hop: &Hop, left: &Dump) -> Result<Option<String>> {
    let found = left.sessions()?;
    for (id, timeout_ms) in &hop.alive {
        match found.get(id) {
            Some(found) if found == timeout_ms => {}
            Some(found) => return Ok(Some(format!("session {id:#x} has timeout {found}, not {timeout_ms}"))),
            None => return Ok(Some(format!("session {id:#x} is missing"))),
        }
    }
    let over = hop.over.iter().find(|id| found.contains_key(id));
    Ok(over.map(|id| format!("session {id:#x} is over and still there")))
}
