//! `cargo xtask test`: installs what the chosen steps need, runs them in order, and reports.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::chaos;
use crate::context::{Context, Tally};
use crate::install::{self, Need};
use crate::interop::{crash, kazoo};
use crate::migration;
use crate::report::{self, Heartbeat, Progress, StepReport};
use crate::steps::{self, Step};
use crate::workspace::Workspace;

/// Which steps to run, and how.
#[derive(Args, Clone, Debug, Default)]
pub struct Selection {
    /// Run only this step (may be given several times); see `cargo xtask steps`
    #[arg(long, value_name = "STEP")]
    pub only: Vec<String>,
    /// Install nothing: a step that misses something fails and says what
    #[arg(long)]
    pub skip_install: bool,
}

/// Runs the chosen steps; `true` when all passed. A step that fails does not keep later ones from running.
///
/// # Errors
/// When an unknown step is named. All else that goes wrong is a failed step in the report.
pub fn test(workspace: &Workspace, selection: &Selection) -> Result<bool> {
    let chosen = choose(&selection.only)?;
    let total = chosen.len() + usize::from(!selection.skip_install);
    let mut reports = Vec::new();
    if !selection.skip_install {
        let needs: BTreeSet<Need> = chosen.iter().flat_map(|step| step.needs).copied().collect();
        reports.push(run_one(
            workspace,
            1,
            total,
            "install",
            "what the steps need from outside",
            |context| install::install(context, &needs),
        ));
    }
    for step in chosen {
        let position = reports.len() + 1;
        reports.push(run_one(workspace, position, total, step.name, step.what, |context| {
            if let Some(missing) = install::missing(context.workspace(), step.needs) {
                bail!("not run, because this is missing: {missing}");
            }
            (step.run)(context)
        }));
    }
    println!("\n{}", report::table(&reports).trim_end());
    Ok(reports.iter().all(StepReport::passed))
}

/// Renews the record that the step `kazoo`, or `kazoo-ensemble`, is measured by; `true` when that worked.
pub fn record_kazoo(workspace: &Workspace, rounds: u32, is_ensemble: bool) -> bool {
    let setup = if is_ensemble {
        kazoo::Setup::Ensemble
    } else {
        kazoo::Setup::Alone
    };
    let needs = BTreeSet::from([Need::DebianZooKeeper, Need::Java, Need::Kazoo]);
    let report = run_one(
        workspace,
        1,
        1,
        "record-kazoo",
        "kazoo's suite on the Java server",
        |context| {
            install::install(context, &needs)?;
            kazoo::record(context, setup, rounds)
        },
    );
    report.passed()
}

/// Runs the step `crash` with a choice of how much; `true` when nothing was lost.
pub fn crash(workspace: &Workspace, options: &crash::Options) -> bool {
    let what = "kill -9 under write load loses nothing";
    run_one(workspace, 1, 1, "crash", what, |context| {
        crash::run_with(context, options)
    })
    .passed()
}

/// Runs what the step `migration` and its neighbours show, in full; `true` when nothing was wrong.
///
/// # Errors
/// When zebu cannot be built.
pub fn migrate(workspace: &Workspace, options: &migration::Options) -> Result<bool> {
    chaos::build(workspace)?;
    let needs = BTreeSet::from([
        Need::Java,
        Need::DebianZooKeeper,
        Need::MavenZooKeeper,
        Need::MavenZooKeeper38,
    ]);
    let what = "zebu and Java servers in one ensemble, and ensembles that go from one to the other";
    let report = run_one(workspace, 1, 1, "migrate", what, |context| {
        install::install(context, &needs)?;
        migration::run(context, options)
    });
    Ok(report.passed())
}

/// Prints the steps.
pub fn list() {
    for step in steps::STEPS {
        println!("{:20} {}", step.name, step.what);
        for need in step.needs {
            println!("{:20}   needs {}", "", need.what());
        }
    }
}

fn choose(only: &[String]) -> Result<Vec<&'static Step>> {
    for name in only {
        if !steps::STEPS.iter().any(|step| step.name == name) {
            let known: Vec<&str> = steps::STEPS.iter().map(|step| step.name).collect();
            bail!("no step is named {name}; the steps are {}", known.join(", "));
        }
    }
    let wanted = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    Ok(steps::STEPS.iter().filter(wanted).collect())
}

fn run_one(
    workspace: &Workspace,
    position: usize,
    total: usize,
    name: &'static str,
    what: &str,
    run: impl FnOnce(&Context) -> Result<Tally>,
) -> StepReport {
    let progress = Progress::start(position, total, name, what);
    let heartbeat = Heartbeat::start(name, &progress);
    let start = Instant::now();
    let outcome = Context::new(workspace.clone(), name, progress.clone()).and_then(|context| {
        let outcome = run(&context);
        if !matches!(&outcome, Ok(tally) if tally.failed == 0) {
            show_log(&progress, &context);
        }
        outcome
    });
    drop(heartbeat);
    let took = start.elapsed();
    let tally = judge(&progress, name, outcome, took);
    StepReport { name, tally, took }
}

/// Prints how the step ended and turns an error into one failed check.
fn judge(progress: &Progress, name: &str, outcome: Result<Tally>, took: Duration) -> Tally {
    let seconds = took.as_secs_f64();
    match outcome {
        Ok(tally) if tally.failed == 0 => {
            progress.finish(&format!("    {name} passed ({} checks, {seconds:.1} s)", tally.passed));
            tally
        }
        Ok(tally) => {
            progress.finish(&format!(
                "    {name} FAILED ({} of its checks, {seconds:.1} s)",
                tally.failed
            ));
            tally
        }
        Err(error) => {
            progress.finish(&format!("    {name} FAILED ({seconds:.1} s): {error:#}"));
            Tally { passed: 0, failed: 1 }
        }
    }
}

/// Prints the whole output of a failing step.
fn show_log(progress: &Progress, context: &Context) {
    let bytes = fs::read(context.log_path()).unwrap_or_default();
    for line in String::from_utf8_lossy(&bytes).lines() {
        progress.line(&format!("    | {line}"));
    }
}
