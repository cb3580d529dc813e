//! `cargo xtask migrate`: zebu and Java servers in one ensemble, and ensembles that go from one to the other.
//!
//! | Module | What it is |
//! |---|---|
//! | [`matrix`] | ensembles of both kinds, with observers or without, whose members are killed in turn |
//! | [`ways`] | learners of one kind that a leader of the other brings up to date in every way there is |
//! | [`live`] | Java becomes zebu and goes back, one server at a time under load |
//! | [`kinds`], [`roaming`] | the client that makes use of everything, and the session that it carries about |
//! | [`agreement`], [`logs`] | what all members must agree on in the end, and what they must not have said |
//!
//! What it shows is told to users in `docs/migration.md`.

mod agreement;
mod kinds;
mod live;
mod logs;
mod matrix;
mod roaming;
mod ways;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::context::{Context, Tally};
use crate::interop::datadir::dump::Loader;
use crate::java::JavaVersion;
use crate::server::Product;

/// What `cargo xtask migrate` takes.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What is to be shown; all of it when absent
    #[arg(value_enum)]
    what: Vec<What>,
    /// Java releases (may be given several times); all of them when absent
    #[arg(long, value_name = "RELEASE")]
    java: Vec<String>,
    /// How often each server is killed
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Where random choices start
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A part of `cargo xtask migrate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Mixed ensembles of three, either kind leading, each server killed in turn
    Matrix,
    /// Observers of both kinds, learning from leaders and from followers of both kinds
    Observers,
    /// Three Java servers become three of zebu under load, one at a time on their data, and go back
    Live,
    /// A learner of one kind is brought up to date by a leader of the other in every way there is
    Ways,
    /// The first with Java servers alone, to compare with; only when asked for
    Control,
}

/// Runs the command.
///
/// # Errors
/// When a release is not known, or the harness itself fails.
pub fn run(context: &Context, options: &Options) -> Result<Tally> {
    let versions = versions(&options.java)?;
    let is_wanted = |what| options.what.is_empty() || options.what.contains(&what);
    let loader = Loader::build(context)?;
    let mut tally = Tally::default();
    let mut cases = Vec::new();
    if options.what.contains(&What::Control) {
        cases.extend(matrix::control(&versions, options.rounds));
    }
    if is_wanted(What::Matrix) {
        cases.extend(matrix::all(&versions, options.rounds));
    }
    if is_wanted(What::Observers) {
        cases.extend(matrix::observers(&versions, options.rounds));
    }
    if is_wanted(What::Ways) {
        cases.extend(matrix::wiped(&versions, options.rounds));
    }
    for case in cases {
        tally = tally.plus(judge(context, &case.name(), case.run(context, &loader, options.seed)));
    }
    if is_wanted(What::Ways) {
        for case in ways::all(&versions) {
            tally = tally.plus(judge(context, &case.name(), case.run(context, &loader)));
        }
    }
    if is_wanted(What::Live) {
        for version in &versions {
            let name = format!("Java {} to zebu and back", version.number());
            let outcome = live::run(context, &loader, *version, options.seed);
            tally = tally.plus(judge(context, &name, outcome));
        }
    }
    Ok(tally)
}

/// The step: two of the mixed ensembles, each server killed once.
///
/// # Errors
/// When the program that loads directories cannot be built.
pub fn step(context: &Context) -> Result<Tally> {
    let loader = Loader::build(context)?;
    let old = Product::Java(JavaVersion::Debian38);
    let new = Product::Java(JavaVersion::Maven39);
    let mut tally = Tally::default();
    for (programs, local_sessions) in [
        ([old, new, Product::Zebu], false),
        ([Product::Zebu, Product::Zebu, new], true),
    ] {
        let case = matrix::Case {
            programs: programs.into(),
            masters: false,
            wiped: false,
            local_sessions,
            rounds: 1,
            requests: 150,
        };
        tally = tally.plus(judge(context, &case.name(), case.run(context, &loader, 1)));
    }
    Ok(tally)
}

/// One check: nothing is wrong.
fn judge(context: &Context, name: &str, outcome: Result<Vec<String>>) -> Tally {
    let faults = outcome.unwrap_or_else(|error| vec![format!("{error:#}")]);
    for fault in &faults {
        context.announce(&format!("{name}: {fault}"));
    }
    if faults.is_empty() {
        context.announce(&format!("{name}: as it must be"));
        return Tally::ONE_PASSED;
    }
    Tally { passed: 0, failed: 1 }
}

fn versions(names: &[String]) -> Result<Vec<JavaVersion>> {
    let known = [JavaVersion::Debian38, JavaVersion::Maven38, JavaVersion::Maven39];
    let mut versions = Vec::new();
    for name in names {
        match known.into_iter().find(|version| version.number() == name) {
            Some(version) => versions.push(version),
            None => bail!(
                "{name} is no release that is at hand; there are {:?}",
                known.map(JavaVersion::number)
            ),
        }
    }
    if versions.is_empty() {
        versions.extend(known);
    }
    Ok(versions)
}
