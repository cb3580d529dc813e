//! Long campaigns: `cargo run --release -p zebu-sim --bin campaign -- --seeds 20000`.
//!
//! | option | meaning |
//! |---|---|
//! | `--seeds N` | so many seeds of each plan; 1000 without it |
//! | `--from N` | the first seed; 0 without it |
//! | `--plan NAME` | only this plan |
//! | `--threads N` | at the same time; as many as there are cores without it |
//! | `--trace` | print everything that happens |
//! | `--bugs` | the seeds that are needed to find each fault of a program instead, in the plan where that is quickest |

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use std::{env, io, panic, thread};

use zebu_sim::{Bug, Plan, Report, Violation, run};

struct Options {
    seeds: u64,
    from: u64,
    plan: Option<String>,
    threads: usize,
    is_traced: bool,
    is_for_bugs: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seeds: 1000,
        from: 0,
        plan: None,
        threads: thread::available_parallelism().map_or(1, usize::from),
        is_traced: false,
        is_for_bugs: false,
    };
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match arg.as_str() {
            "--seeds" => options.seeds = number(value()?)?,
            "--from" => options.from = number(value()?)?,
            "--plan" => options.plan = Some(value()?),
            "--threads" => options.threads = usize::try_from(number(value()?)?).unwrap_or(1).max(1),
            "--trace" => options.is_traced = true,
            "--bugs" => options.is_for_bugs = true,
            _ => {
                return Err(format!(
                    "{arg} is none of --seeds, --from, --plan, --threads, --trace, --bugs"
                ));
            }
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    // What a failed assertion says is in the violation.
    panic::set_hook(Box::new(|_| {}));
    let plans: Vec<(&str, Plan)> = Plan::ALL
        .into_iter()
        .filter(|(name, _)| options.plan.as_deref().is_none_or(|wanted| wanted == *name))
        .map(|(name, plan)| {
            let is_traced = options.is_traced;
            (name, Plan { is_traced, ..plan })
        })
        .collect();
    if plans.is_empty() {
        let names: Vec<&str> = Plan::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("the plans are {}", names.join(", "));
        return ExitCode::from(2);
    }
    if options.is_for_bugs {
        find_bugs(&options, &plans);
        return ExitCode::SUCCESS;
    }
    let mut is_clean = true;
    for (name, plan) in plans {
        is_clean &= campaign(name, plan, &options);
    }
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the seeds of one plan on all cores; whether all of them went well.
fn campaign(name: &str, plan: Plan, options: &Options) -> bool {
    let (next, end) = (AtomicU64::new(options.from), options.from + options.seeds);
    let total = Mutex::new((Report::default(), Vec::<(u64, Violation)>::new()));
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = run(seed, plan);
                    let Ok(mut total) = total.lock() else { return };
                    match outcome {
                        Ok(report) => total.0.add(&report),
                        Err(violation) => {
                            println!("{name}, seed {seed}: {violation}");
                            total.1.push((seed, violation));
                        }
                    }
                    if (seed - options.from + 1).is_multiple_of(1000) {
                        let seconds = begun.elapsed().as_secs_f64();
                        eprintln!("{name}: {} seeds in {seconds:.0} s", seed - options.from + 1);
                    }
                }
            });
        }
    });
    let Ok((report, violations)) = total.into_inner() else {
        return false;
    };
    println!(
        "{name}: {} seeds from {} on in {:.1} s, {} violations; {report:?}",
        options.seeds,
        options.from,
        begun.elapsed().as_secs_f64(),
        violations.len()
    );
    violations.is_empty()
}

/// Prints for each fault of a program how many seeds it took to find it.
fn find_bugs(options: &Options, plans: &[(&str, Plan)]) {
    let next = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                    let Some(bug) = Bug::ALL.get(index) else { return };
                    if find_bug(*bug, options, plans).is_err() {
                        // Nobody reads what is printed.
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

fn find_bug(bug: Bug, options: &Options, plans: &[(&str, Plan)]) -> io::Result<()> {
    use io::Write;

    let mut text = format!("{bug:?}:");
    for (name, plan) in plans {
        let bug = Some(bug);
        let found = (options.from..options.from + options.seeds)
            .find_map(|seed| Some((seed, run(seed, Plan { bug, ..*plan }).err()?)));
        text += &match found {
            Some((seed, violation)) => format!("\n  {name}: {} seeds; {violation}", seed - options.from + 1),
            None => format!("\n  {name}: not within {} seeds", options.seeds),
        };
    }
    writeln!(io::stdout().lock(), "{text}")
}
