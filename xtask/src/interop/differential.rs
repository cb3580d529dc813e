//! Many clients, the same questions to zebu and to the Java servers, and no answer that differs without a reason.
//!
//! Each driver under `interop/drivers` is a fixed program of scenarios that prints one canonical line for every
//! operation and every event: the same text on every run against the same product. This step runs all drivers against
//! zebu, the newest Java 3.9 and Debian's Java 3.8.0, each server fresh, and compares zebu's text with both others. A
//! line that only one side prints must be covered by `interop/differences.toml`, which says why; an entry there that
//! covers nothing is a failure as well, so that the list stays true.
//!
//! Start reading at [`run`]. Which programs there are is in [`drivers`], the comparison in [`differences`].

mod differences;
mod drivers;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, anyhow};

use crate::context::{Context, Tally};
use crate::java::JavaVersion;
use crate::server::Product;

use differences::{Difference, Differences};
use drivers::Driver;

/// What is compared with the references.
const SUBJECT: Product = Product::Zebu;
/// The products whose answers are right, unless the list of differences says otherwise.
const REFERENCES: [JavaVersion; 2] = [JavaVersion::Maven39, JavaVersion::Debian38];
/// Lines of one scenario's differences that are printed; the files in the log folder hold all.
const LINES_SHOWN_MAX: usize = 12;

/// The lines of each scenario, by driver and scenario name.
type Answers = BTreeMap<(String, String), Vec<String>>;

/// The step: builds the drivers, runs them against all products, judges.
///
/// # Errors
/// When a driver cannot be built or run, a server does not start, or the list of differences cannot be read.
pub fn run(context: &Context) -> Result<Tally> {
    let list = context.workspace().root().join("interop/differences.toml");
    let text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let known = Differences::parse(&text)?;
    let drivers = drivers::build_all(context)?;
    let folder = context.workspace().logs().join("differential");
    let products: Vec<Product> = REFERENCES.into_iter().map(Product::Java).chain([SUBJECT]).collect();
    let mut answers = ask_all(context, &drivers, &products, &folder)?;
    let subject = answers.pop().context("no answers")?;
    let mut tally = Tally::default();
    for (version, reference) in REFERENCES.into_iter().zip(&answers) {
        tally = tally.plus(judge(context, version, reference, &subject, &known, &folder)?);
    }
    for unused in known.unused() {
        context.announce(&format!("differences.toml: covers nothing any more: {unused}"));
        tally.failed += 1;
    }
    Ok(tally)
}

/// Runs all drivers against each product, the products at the same time: most of the time they wait for each other.
fn ask_all(context: &Context, drivers: &[Driver], products: &[Product], folder: &Path) -> Result<Vec<Answers>> {
    thread::scope(|scope| {
        let threads: Vec<_> = products
            .iter()
            .map(|&product| scope.spawn(move || ask(context, drivers, product, folder)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a driver's thread panicked"))?)
            .collect()
    })
}

fn ask(context: &Context, drivers: &[Driver], product: Product, folder: &Path) -> Result<Answers> {
    let folder = folder.join(product.name());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut answers = Answers::new();
    for driver in drivers {
        for profile in driver.profiles() {
            context.say(&format!("{} asks {} ({profile})", driver.name(), product.name()));
            let text = driver.ask(context.workspace(), product, profile)?;
            let file = folder.join(format!("{}-{profile}.txt", driver.name()));
            fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
            for (scenario, lines) in scenarios(&text) {
                answers.insert((driver.name().to_owned(), scenario), lines);
            }
        }
    }
    Ok(answers)
}

/// The parts of a driver's output: each begins with a line `### NAME`.
fn scenarios(text: &str) -> Vec<(String, Vec<String>)> {
    let mut parts: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            parts.push((name.to_owned(), Vec::new()));
        } else if let Some((_, lines)) = parts.last_mut() {
            lines.push(line.to_owned());
        }
    }
    parts
}

/// Compares scenario by scenario; each is one check.
fn judge(
    context: &Context,
    version: JavaVersion,
    reference: &Answers,
    subject: &Answers,
    known: &Differences,
    folder: &Path,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut report = String::new();
    let names: std::collections::BTreeSet<_> = reference.keys().chain(subject.keys()).collect();
    for name in names {
        let (driver, scenario) = name;
        let empty = Vec::new();
        let theirs = reference.get(name).unwrap_or(&empty);
        let ours = subject.get(name).unwrap_or(&empty);
        let found = differences::between(theirs, ours);
        let unlisted: Vec<&Difference> = found
            .iter()
            .filter(|difference| !known.cover(version, driver, scenario, difference))
            .collect();
        for difference in &found {
            report.push_str(&format!("{driver} {scenario}: {difference}\n"));
        }
        // A scenario that breaks off on the reference shows nothing about either.
        let broken = theirs.is_empty() || theirs.iter().any(|line| line.starts_with("!!"));
        if broken {
            context.announce(&format!("{driver} {scenario}: broken on Java {}", version.number()));
        }
        if broken || !unlisted.is_empty() {
            tally.failed += 1;
            announce(context, version, driver, scenario, &unlisted);
        } else {
            tally.passed += 1;
        }
    }
    let file = folder.join(format!("differences-{}.txt", version.number()));
    fs::write(&file, report).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(tally)
}

fn announce(context: &Context, version: JavaVersion, driver: &str, scenario: &str, unlisted: &[&Difference]) {
    if unlisted.is_empty() {
        return;
    }
    context.announce(&format!("{driver} {scenario}: not as Java {}:", version.number()));
    for difference in unlisted.iter().take(LINES_SHOWN_MAX) {
        context.announce(&format!("  {difference}"));
    }
    if let Some(more) = unlisted.len().checked_sub(LINES_SHOWN_MAX).filter(|more| *more > 0) {
        context.announce(&format!("  and {more} more lines"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_into_scenarios() {
        let parts = scenarios("noise\n### a\none\ntwo\n### b\n### c\nthree\n");
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(parts[0].1, ["one", "two"]);
        assert!(parts[1].1.is_empty());
    }

    #[test]
    fn the_list_of_differences_can_be_read() {
        let list = crate::workspace::Workspace::locate()
            .root()
            .join("interop/differences.toml");
        Differences::parse(&fs::read_to_string(list).unwrap()).unwrap();
    }
}
