//! kazoo's own test suite, on zebu and on the Java server.
//!
//! The suite ships inside Python's kazoo. Its harness starts servers itself, as `java ... QuorumPeerMain zoo.cfg`; a
//! stand-in `java` first on `PATH` starts the product under test instead. What passes on Java 3.8.0 is recorded in
//! `interop/kazoo/passes-on-java-3.8.0.txt`, and every test named there must pass on zebu.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::context::{Context, Tally};
use crate::java::JavaVersion;
use crate::ports;
use crate::process::Process;
use crate::server::{Product, Server, ServerConfig};
use crate::workspace::Workspace;

/// The product whose results are the measure.
const MEASURE: Product = Product::Java(JavaVersion::Debian38);
/// Test files that run at the same time, each with a server of its own. The tests wait more than they compute.
const WORKERS: usize = 3;
/// The harness gives its servers' ports from an offset on: client, election, quorum, admin, secure, and the next server's
/// so many further on.
const PORTS: u16 = 5;
const PORTS_APART: u16 = 10;
/// The longest single test takes about 30 seconds on the Java server.
const TEST_SECONDS_MAX: u32 = 120;
/// The suite takes 90 seconds on Java on two idle cores. With a server that hangs, each test waits for a minute or more;
/// what was not run by then has not passed.
const SUITE_WITHIN: Duration = Duration::from_secs(600);
/// More failures than this are no matter of timing, and are not tried again.
const SECOND_ATTEMPTS_MAX: usize = 20;
/// The files that take longest come first, so that no worker is left with one of them at the end.
const LONGEST_FIRST: [&str; 6] = [
    "test_client.py",
    "test_cache.py",
    "test_lock.py",
    "test_watchers.py",
    "test_partitioner.py",
    "test_lease.py",
];

/// How many servers the suite has to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// One.
    Alone,
    /// Three that form an ensemble.
    Ensemble,
}

impl Setup {
    const fn size(self) -> u16 {
        match self {
            Self::Alone => 1,
            Self::Ensemble => 3,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Alone => "kazoo",
            Self::Ensemble => "kazoo-ensemble",
        }
    }

    /// Behind the names of the files of this set-up.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Alone => "",
            Self::Ensemble => "-ensemble",
        }
    }

    const fn workers(self) -> usize {
        match self {
            Self::Alone => WORKERS,
            Self::Ensemble => 2,
        }
    }

    const fn ports(self) -> u16 {
        PORTS + (self.size() - 1) * PORTS_APART
    }
}

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    /// `passed`, `failed` or `skipped`.
    kind: String,
    /// The last line of the failure, or why it was skipped.
    reason: String,
}

/// The outcome of every test that was run, by its name, for example `test_counter.py::KazooCounterTests::test_errors`.
type Results = BTreeMap<String, Outcome>;

/// Whether the Python environment is there and complete.
pub fn is_installed(workspace: &Workspace) -> bool {
    let Ok(wanted) = fs::read(requirements(workspace)) else {
        return false;
    };
    fs::read(installed_mark(workspace)).is_ok_and(|installed| installed == wanted)
}

/// Makes a Python environment with kazoo and what its suite needs, in the versions of `interop/kazoo/requirements.txt`.
///
/// # Errors
/// When Python cannot make the environment or pip cannot fetch a package.
pub fn install(context: &Context) -> Result<()> {
    let workspace = context.workspace();
    let venv = venv(workspace);
    context.announce(&format!("kazoo and its libraries, into {}", venv.display()));
    context.run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "install", "--disable-pip-version-check", "--requirement"];
    context.run(Command::new(python(workspace)).args(pip).arg(requirements(workspace)))?;
    fs::copy(requirements(workspace), installed_mark(workspace)).context("cannot mark the environment as whole")?;
    Ok(())
}

/// The step: the suite on zebu, judged by the record.
///
/// # Errors
/// When the suite cannot be run.
pub fn run(context: &Context) -> Result<Tally> {
    run_with(context, Setup::Alone)
}

/// The step with three servers.
///
/// # Errors
/// When the suite cannot be run.
pub fn run_ensemble(context: &Context) -> Result<Tally> {
    run_with(context, Setup::Ensemble)
}

fn run_with(context: &Context, setup: Setup) -> Result<Tally> {
    let expected = expected(context.workspace(), setup)?;
    ensure_it_serves(context)?;
    let mut results = run_suite(context, Product::Zebu, setup, &Files::All)?;
    let failing = not_passed(&results, &expected);
    if (1..=SECOND_ATTEMPTS_MAX).contains(&failing.len()) {
        results.extend(second_attempt(context, setup, &failing)?);
    }
    Ok(judge(context, &results, &expected))
}

/// Starts zebu once by itself: without a server, every one of the hundreds of tests would wait for one in vain.
fn ensure_it_serves(context: &Context) -> Result<()> {
    let dir = tempfile::tempdir().context("no temporary folder")?;
    Server::start(context.workspace(), Product::Zebu, dir.path(), &ServerConfig::new()?)?;
    Ok(())
}

/// Runs the suite `rounds` times on the Java server and records what passed every time.
///
/// # Errors
/// When the suite cannot be run.
pub fn record(context: &Context, setup: Setup, rounds: u32) -> Result<Tally> {
    let mut passes: Option<BTreeSet<String>> = None;
    for round in 1..=rounds {
        let results = run_suite(context, MEASURE, setup, &Files::All)?;
        context.announce(&format!("round {round}: {}", counts(&results)));
        for (test, outcome) in results.iter().filter(|(_, outcome)| outcome.kind != "passed") {
            context.announce(&format!("{} {test}: {}", outcome.kind, outcome.reason));
        }
        let passed: BTreeSet<String> = passed(&results).map(str::to_owned).collect();
        passes = Some(match passes {
            None => passed,
            Some(before) => before.intersection(&passed).cloned().collect(),
        });
    }
    let passes = passes.context("no rounds")?;
    let mut text = format!(
        "# Tests of kazoo's suite that pass on {} in this set-up, every time.\n\n",
        MEASURE.name()
    );
    for test in &passes {
        text.push_str(test);
        text.push('\n');
    }
    fs::write(expected_file(context.workspace(), setup), text).context("cannot write the record")?;
    Ok(Tally {
        passed: passes.len() as u64,
        failed: 0,
    })
}

/// Compares with the record, prints both counts and every difference.
fn judge(context: &Context, results: &Results, expected: &BTreeSet<String>) -> Tally {
    let failing = not_passed(results, expected);
    context.announce(&format!("{}: {} tests pass (recorded)", MEASURE.name(), expected.len()));
    context.announce(&format!("{}: {}", Product::Zebu.name(), counts(results)));
    for test in &failing {
        let why = results.get(test).map_or("not run".to_owned(), |outcome| {
            format!("{}: {}", outcome.kind, outcome.reason)
        });
        context.announce(&format!("passes on {} but not on zebu: {test}: {why}", MEASURE.name()));
    }
    for (test, outcome) in results {
        if !expected.contains(test) {
            context.announce(&format!(
                "not counted, {} on zebu: {test}: {}",
                outcome.kind, outcome.reason
            ));
        }
    }
    let failed = failing.len() as u64;
    Tally {
        passed: expected.len() as u64 - failed,
        failed,
    }
}

/// Runs the files of `failing` once more, one after the other. Some tests of the suite depend on timing and fail on a
/// busy machine on any server; what passes now is named, so that nobody takes it for steady.
fn second_attempt(context: &Context, setup: Setup, failing: &BTreeSet<String>) -> Result<Results> {
    let mut again = run_suite(context, Product::Zebu, setup, &Files::Tests(failing.clone()))?;
    again.retain(|test, _| failing.contains(test));
    for test in passed(&again) {
        context.announce(&format!("passed on zebu at the second attempt only: {test}"));
    }
    Ok(again)
}

fn passed(results: &Results) -> impl Iterator<Item = &str> {
    results
        .iter()
        .filter(|(_, outcome)| outcome.kind == "passed")
        .map(|(test, _)| test.as_str())
}

fn not_passed(results: &Results, expected: &BTreeSet<String>) -> BTreeSet<String> {
    let passed: BTreeSet<&str> = passed(results).collect();
    expected
        .iter()
        .filter(|test| !passed.contains(test.as_str()))
        .cloned()
        .collect()
}

fn counts(results: &Results) -> String {
    let count = |kind: &str| results.values().filter(|outcome| outcome.kind == kind).count();
    format!(
        "{} tests pass, {} fail, {} skip themselves",
        count("passed"),
        count("failed"),
        count("skipped")
    )
}

/// What of the suite to run.
enum Files {
    /// Every file, several at a time.
    All,
    /// These tests only, one file at a time.
    Tests(BTreeSet<String>),
}

/// One run of pytest.
struct Job {
    file: String,
    /// Arguments that name the tests.
    tests: Vec<String>,
}

/// Runs the suite on one product. Servers and files of the run are gone when this returns.
fn run_suite(context: &Context, product: Product, setup: Setup, files: &Files) -> Result<Results> {
    let stage = Stage::new(context, product, setup)?;
    let (jobs, workers) = match files {
        Files::All => (all_jobs(&stage.tests)?, setup.workers()),
        Files::Tests(tests) => (jobs_of(tests), 1),
    };
    let queue = Mutex::new(jobs);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || -> Result<Results> {
        let mut results = Results::new();
        while let Some(job) = next() {
            results.extend(stage.run(context, &job)?);
        }
        Ok(results)
    };
    let mut all = Results::new();
    thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow!("a worker panicked"))??);
        }
        Ok(())
    })?;
    Ok(all)
}

/// One job per test file; the last is taken first.
fn all_jobs(tests: &Path) -> Result<Vec<Job>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(tests).with_context(|| format!("no tests in {}", tests.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("test_") && name.ends_with(".py") {
            files.push(name);
        }
    }
    let place = |name: &str| {
        LONGEST_FIRST
            .iter()
            .position(|long| *long == name)
            .unwrap_or(LONGEST_FIRST.len())
    };
    files.sort_by(|a, b| (place(b), b).cmp(&(place(a), a)));
    Ok(files
        .into_iter()
        .map(|file| Job {
            tests: vec![file.clone()],
            file,
        })
        .collect())
}

/// One job per file that holds any of these tests.
fn jobs_of(tests: &BTreeSet<String>) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    for test in tests {
        let file = test.split("::").next().unwrap_or(test);
        match jobs.iter_mut().find(|job| job.file == file) {
            Some(job) => job.tests.push(test.clone()),
            None => jobs.push(Job {
                file: file.to_owned(),
                tests: vec![test.clone()],
            }),
        }
    }
    jobs
}

/// What all runs of pytest for one product share.
struct Stage {
    /// Everything the runs write; short paths, because servers print them.
    dir: tempfile::TempDir,
    /// kazoo's folder of tests.
    tests: PathBuf,
    python: PathBuf,
    set_aside: Vec<String>,
    setup: Setup,
    logs: PathBuf,
    /// What is not over by then is ended.
    deadline: Instant,
    environment: Vec<(&'static str, OsString)>,
}

impl Stage {
    fn new(context: &Context, product: Product, setup: Setup) -> Result<Self> {
        let workspace = context.workspace();
        let dir = tempfile::tempdir().context("no temporary folder")?;
        fs::create_dir(dir.path().join("pids")).context("cannot make a folder")?;
        let source = workspace.interop_source("kazoo");
        let logs = workspace.logs().join(setup.name()).join(product.name());
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let version = match product {
            // The harness asks nothing of zebu that it asks only of Java.
            Product::Zebu => JavaVersion::Debian38,
            Product::Java(version) => version,
        };
        let mut environment = vec![
            ("ZOOKEEPER_VERSION", version.number().into()),
            ("ZOOKEEPER_CLUSTER_SIZE", setup.size().to_string().into()),
            ("STAND_IN_PIDS", dir.path().join("pids").into()),
            ("PYTHONPATH", source.clone().into()),
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
            ("PATH", path_with(&source)?),
        ];
        match product {
            Product::Zebu => {
                environment.push(("STAND_IN_ZEBU", workspace.zebu_binary().into()));
                environment.push(("ZOOKEEPER_CLASSPATH", "none".into()));
            }
            Product::Java(version) => {
                environment.push(("STAND_IN_JAVA", java_program()?.into()));
                environment.push(("ZOOKEEPER_CLASSPATH", version.class_path(workspace)?));
            }
        }
        let python = python(workspace);
        Ok(Self {
            tests: tests_folder(&python)?,
            python,
            set_aside: set_aside(&source, setup)?,
            setup,
            logs,
            dir,
            environment,
            deadline: Instant::now() + SUITE_WITHIN,
        })
    }

    /// Runs one job and reads what the plugin wrote.
    fn run(&self, context: &Context, job: &Job) -> Result<Results> {
        context.say(&format!("kazoo: {}", job.file));
        let folder = self.dir.path().join(job.file.trim_end_matches(".py"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let results = folder.join("results");
        let mut command = Command::new(&self.python);
        command
            .args([
                "-m",
                "pytest",
                "--rootdir",
                ".",
                "-c",
                "/dev/null",
                "-p",
                "no:cacheprovider",
                "-p",
                "results",
            ])
            .args(["--tb=short", "-q", &format!("--timeout={TEST_SECONDS_MAX}")])
            .args(self.set_aside.iter().map(|test| format!("--deselect={test}")))
            .args(&job.tests)
            .current_dir(&self.tests)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("TMPDIR", &folder)
            .env("KAZOO_RESULTS", &results)
            .env(
                "ZOOKEEPER_PORT_OFFSET",
                ports::free_ports(self.setup.ports())?.to_string(),
            )
            .env_remove("SERVER_JVMFLAGS")
            .env_remove("CI");
        let log = self.logs.join(format!("{}.log", job.file));
        let _ = fs::remove_file(&log);
        let mut pytest = Process::spawn("pytest", &mut command, &log)?;
        let ended = pytest.wait(self.deadline.saturating_duration_since(Instant::now()));
        drop(pytest);
        self.end_servers(&folder);
        let Ok(status) = ended else {
            context.announce(&format!(
                "{} was cut short: the suite takes more than {SUITE_WITHIN:?}",
                job.file
            ));
            return read_results(&results);
        };
        match status.code() {
            // 0: all passed, 1: some failed, 5: all of the file's tests are set aside.
            Some(0 | 1 | 5) => read_results(&results),
            _ => bail!("pytest could not run {}: see {}", job.file, log.display()),
        }
    }

    /// Ends servers with files in `folder` whose harness went away without ending them.
    fn end_servers(&self, folder: &Path) {
        // With the separator, so that `test_lock` is not taken for `test_lock_more`.
        let folder = format!("{}/", folder.display());
        let Ok(entries) = fs::read_dir(self.dir.path().join("pids")) else {
            return;
        };
        for entry in entries.flatten() {
            let pid = entry.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
            // Look at what runs under the id: such a server has the folder on its command line.
            let line = fs::read(Path::new("/proc").join(entry.file_name()).join("cmdline")).unwrap_or_default();
            let ours = String::from_utf8_lossy(&line).contains(&folder);
            if let (Some(pid), true) = (pid, ours) {
                // It may have ended just now, which is as good.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.end_servers(self.dir.path());
    }
}

/// Reads the plugin's lines: outcome, seconds, test, reason.
fn read_results(file: &Path) -> Result<Results> {
    if !file.exists() {
        // No test of the file came to its end.
        return Ok(Results::new());
    }
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut results = Results::new();
    for line in text.lines() {
        let mut fields = line.splitn(4, '\t');
        let (Some(kind), Some(_), Some(test)) = (fields.next(), fields.next(), fields.next()) else {
            bail!("not a result: {line}");
        };
        let reason = fields.next().unwrap_or("").to_owned();
        results.insert(
            test.to_owned(),
            Outcome {
                kind: kind.to_owned(),
                reason,
            },
        );
    }
    Ok(results)
}

/// The names in `passes-on-java-3.8.0.txt`, or that of the ensemble.
fn expected(workspace: &Workspace, setup: Setup) -> Result<BTreeSet<String>> {
    let file = expected_file(workspace, setup);
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let expected: BTreeSet<String> = entries(&text).map(str::to_owned).collect();
    if expected.is_empty() {
        bail!("{} names no test", file.display());
    }
    Ok(expected)
}

/// The beginnings of names in `set-aside.txt`; each line must give a reason.
fn set_aside(source: &Path, setup: Setup) -> Result<Vec<String>> {
    let file = source.join(format!("set-aside{}.txt", setup.suffix()));
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let split = |line: &str| line.split_once("  ").map(|(test, _)| test.to_owned());
    entries(&text)
        .map(|line| split(line).with_context(|| format!("no reason is given: {line}")))
        .collect()
}

/// The lines that are neither empty nor comments.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn expected_file(workspace: &Workspace, setup: Setup) -> PathBuf {
    workspace
        .interop_source("kazoo")
        .join(format!("passes-on-{}{}.txt", MEASURE.name(), setup.suffix()))
}

/// The caller's search path with the stand-in's folder before it.
fn path_with(source: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").context("PATH is not set")?;
    let folders = std::iter::once(source.to_path_buf()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("a folder of the search path holds a colon")
}

/// The real `java`, which the stand-in hides.
fn java_program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").context("PATH is not set")?;
    let mut programs = std::env::split_paths(&path).map(|folder| folder.join("java"));
    programs
        .find(|program| program.is_file())
        .context("no java on the search path")
}

/// Where the installed package keeps its tests.
fn tests_folder(python: &Path) -> Result<PathBuf> {
    let script = "import importlib.util, os; print(os.path.dirname(importlib.util.find_spec('kazoo').origin))";
    let output = Command::new(python)
        .args(["-c", script])
        .output()
        .context("cannot start Python")?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || folder.is_empty() {
        bail!("Python finds no kazoo: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Path::new(&folder).join("tests"))
}

fn venv(workspace: &Workspace) -> PathBuf {
    workspace.interop_target("venv")
}

fn python(workspace: &Workspace) -> PathBuf {
    venv(workspace).join("bin/python")
}

fn requirements(workspace: &Workspace) -> PathBuf {
    workspace.interop_source("kazoo").join("requirements.txt")
}

fn installed_mark(workspace: &Workspace) -> PathBuf {
    venv(workspace).join("requirements.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: &str) -> Outcome {
        Outcome {
            kind: kind.to_owned(),
            reason: String::new(),
        }
    }

    #[test]
    fn a_test_that_is_skipped_or_was_not_run_has_not_passed() {
        let results = Results::from([
            ("a".to_owned(), outcome("passed")),
            ("b".to_owned(), outcome("skipped")),
        ]);
        let expected = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(not_passed(&results, &expected), ["b", "c"].map(str::to_owned).into());
    }

    #[test]
    fn every_test_that_is_set_aside_has_a_reason() {
        let source = Workspace::locate().interop_source("kazoo");
        for setup in [Setup::Alone, Setup::Ensemble] {
            assert!(!set_aside(&source, setup).unwrap().is_empty());
        }
    }

    #[test]
    fn nothing_is_both_recorded_and_set_aside() {
        let workspace = Workspace::locate();
        for setup in [Setup::Alone, Setup::Ensemble] {
            let aside = set_aside(&workspace.interop_source("kazoo"), setup).unwrap();
            for test in expected(&workspace, setup).unwrap() {
                assert!(!aside.iter().any(|start| test.starts_with(start)), "{test}");
            }
        }
    }

    #[test]
    fn tests_are_gathered_by_file() {
        let tests = ["a.py::A::one", "a.py::A::two", "b.py::B::one"]
            .map(str::to_owned)
            .into();
        let jobs = jobs_of(&tests);
        assert_eq!(jobs.len(), 2);
        assert_eq!(jobs[0].tests, ["a.py::A::one", "a.py::A::two"]);
    }
}
