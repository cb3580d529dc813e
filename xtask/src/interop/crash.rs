//! `kill -9` under write load: every acknowledged write is there afterwards, none is there by half.
//!
//! Several sessions write without pause, each below a root of its own, so that what each request must answer and leave
//! behind is known beforehand ([`model`]). Then the server is killed, or stopped, at a random moment, started again on its
//! files, and everything is read back ([`check`]):
//!
//! - below each root stands exactly the state after all acknowledged writes and some number of the unanswered ones, from
//!   the first on: the server does what a session asks in order;
//! - a write that touches two places in one multi is in both or in neither;
//! - zxids never go back, over all connections and all lives of the server; a write's is above whatever any client had
//!   seen before it was sent;
//! - sessions are alive and can be renewed by a client that says what it has seen; nobody's nodes are gone before their
//!   session can have expired, and those of sessions that nobody renews go;
//! - what any client has read is there, acknowledged to the one that wrote it or not;
//! - a server that is stopped, and not killed, does nothing that it does not answer.
//!
//! That the check would find a loss is shown in each run: once acknowledged writes are cut from the log, and once a bit
//! is turned over. A round that fails keeps its directory and names its seed.

mod check;
pub mod damage;
pub mod faults;
mod life;
mod model;
mod sessions;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::context::{Context, Tally};
use crate::random::Random;
use life::{End, Figures, Life, Setup};

/// Rounds in the test run.
const ROUNDS: u64 = 50;
/// Rounds on one data directory: long enough for several logs and snapshots to gather.
const ROUNDS_PER_LIFE: u64 = 5;
/// Servers at a time in the test run; most of a round is waiting.
const LANES: usize = 2;

/// What is tried, in turn.
const SETUPS: &[Setup] = &[
    Setup {
        name: "defaults",
        lines: &[],
        value_bytes_max: 200,
        separate_log: false,
    },
    Setup {
        name: "many snapshots",
        lines: &["snapCount=100", "preAllocSize=64"],
        value_bytes_max: 200,
        separate_log: false,
    },
    Setup {
        name: "gz snapshots, purge",
        lines: &[
            "snapCount=300",
            "preAllocSize=64",
            "snapshot.compression.method=gz",
            "autopurge.purgeInterval=1",
            "autopurge.snapRetainCount=3",
        ],
        value_bytes_max: 1000,
        separate_log: false,
    },
    Setup {
        name: "snappy snapshots, log elsewhere",
        lines: &["snapCount=300", "snapshot.compression.method=snappy"],
        value_bytes_max: 1000,
        separate_log: true,
    },
    Setup {
        name: "small log files",
        lines: &["txnLogSizeLimitInKb=32", "preAllocSize=16"],
        value_bytes_max: 400,
        separate_log: false,
    },
    Setup {
        name: "large values, no preallocation",
        lines: &["preAllocSize=0", "snapSizeLimitInKb=4096"],
        value_bytes_max: 40_000,
        separate_log: false,
    },
    Setup {
        name: "no digest, no fsync",
        lines: &["digest.enabled=false", "forceSync=no", "snapCount=2000"],
        value_bytes_max: 200,
        separate_log: false,
    },
];

/// What `cargo xtask crash` takes.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Servers to end under load
    #[arg(long, default_value_t = ROUNDS)]
    rounds: u64,
    /// Where random choices start; the moment of a kill is not repeatable all the same
    #[arg(long)]
    seed: Option<u64>,
    /// Servers at a time
    #[arg(long, default_value_t = LANES)]
    lanes: usize,
    /// Only configurations with this in their names, as `large` or `gz`
    #[arg(long, default_value = "")]
    setup: String,
    /// End every server in this way
    #[arg(long)]
    end: Option<End>,
}

/// The step: 50 rounds, and the proof that a loss would be found.
///
/// # Errors
/// When no server can be started for reasons that have nothing to do with its data.
pub fn run(context: &Context) -> Result<Tally> {
    let options = Options {
        rounds: ROUNDS,
        seed: None,
        lanes: LANES,
        setup: String::new(),
        end: None,
    };
    run_with(context, &options)
}

/// As [`run`], with a choice of how much.
///
/// # Errors
/// As [`run`].
pub fn run_with(context: &Context, options: &Options) -> Result<Tally> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = options
        .seed
        .unwrap_or(clock.as_secs() ^ u64::from(clock.subsec_nanos()));
    context.say(&format!("seed {seed}"));
    let mut tally = planted_faults(context, seed);
    let lives = usize::try_from(options.rounds.div_ceil(ROUNDS_PER_LIFE)).context("too many rounds")?;
    let next = AtomicUsize::new(0);
    let sums = Mutex::new((Tally::default(), Figures::default()));
    thread::scope(|scope| {
        for _ in 0..options.lanes.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= lives {
                        return;
                    }
                    let before = number as u64 * ROUNDS_PER_LIFE;
                    let rounds = ROUNDS_PER_LIFE.min(options.rounds - before);
                    let (tally, figures) = one_life(context, number, rounds, seed, options);
                    let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
                    *sums = (sums.0.plus(tally), sums.1.plus(figures));
                }
            });
        }
    });
    let (counted, figures) = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally = tally.plus(counted);
    context.announce(&format!(
        "{} servers ended under load: {} writes acknowledged and found, {} unanswered of which {} had been done; \
         {} snapshots and {} log files at the ends",
        figures.rounds,
        figures.acknowledged,
        figures.unanswered,
        figures.unanswered_done,
        figures.snapshots,
        figures.logs
    ));
    Ok(tally)
}

/// Rounds on one directory; each is a check.
fn one_life(context: &Context, number: usize, rounds: u64, seed: u64, options: &Options) -> (Tally, Figures) {
    let setups: Vec<&Setup> = SETUPS
        .iter()
        .filter(|setup| setup.name.contains(&options.setup))
        .collect();
    let Some(setup) = setups.get(number % setups.len().max(1)) else {
        context.announce(&format!("no configuration has {:?} in its name", options.setup));
        return (Tally { passed: 0, failed: 1 }, Figures::default());
    };
    let mut tally = Tally::default();
    let failed = |tally: &mut Tally, what: &str| {
        context.announce(&format!("{} (seed {seed}, directory {number}): {what}", setup.name));
        tally.failed += 1;
    };
    let begun = Life::begin(context.workspace(), setup, random(seed, number));
    let mut life = match begun {
        Ok(life) => life,
        Err(error) => {
            failed(&mut tally, &format!("{error:#}"));
            return (tally, Figures::default());
        }
    };
    for _ in 0..rounds {
        if let Err(error) = life.round(options.end) {
            failed(&mut tally, &format!("{error:#}\n{}", life.server_log()));
            let figures = life.figures;
            context.announce(&format!("kept: {}", life.keep().display()));
            return (tally, figures);
        }
        tally.passed += 1;
    }
    context.say(&format!("{}: {:?}", setup.name, life.figures));
    let figures = life.figures;
    match life.end() {
        Ok(figures) => (tally, figures),
        Err(error) => {
            failed(&mut tally, &format!("{error:#}"));
            (tally, figures)
        }
    }
}

/// Damages a log, and says how that was noticed.
type Plant = fn(Life) -> Result<String>;

/// A check that finds nothing when acknowledged writes are gone is worth nothing.
fn planted_faults(context: &Context, seed: u64) -> Tally {
    let setup = &SETUPS[0];
    let faults: [(&str, Plant); 2] = [
        ("writes cut from the log", Life::lose_writes),
        ("a bit turned over", Life::flip_bit),
    ];
    let mut tally = Tally::default();
    for (index, (name, plant)) in faults.into_iter().enumerate() {
        match Life::begin(context.workspace(), setup, random(seed, usize::MAX - index)).and_then(plant) {
            Ok(found) => {
                context.say(&format!("{name}: found, as it must be: {found}"));
                tally.passed += 1;
            }
            Err(error) => {
                context.announce(&format!("{name}: {error:#}"));
                tally.failed += 1;
            }
        }
    }
    tally
}

fn random(seed: u64, number: usize) -> Random {
    Random::new(seed).fork(number as u64)
}
