//! What a step is given: the workspace, a place for its output, and a way to run commands.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::report::Progress;
use crate::workspace::Workspace;

/// How many checks of a step passed and failed. A step without finer parts counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Checks that passed.
    pub passed: u64,
    /// Checks that failed; any makes the step fail.
    pub failed: u64,
}

impl Tally {
    /// One check that passed.
    pub const ONE_PASSED: Self = Self { passed: 1, failed: 0 };

    /// The counts of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }
}

/// What a step works with while it runs.
///
/// Everything it says and everything its commands print goes to the step's log; the log is shown when the step fails.
#[derive(Debug)]
pub struct Context {
    workspace: Workspace,
    log: Arc<Mutex<File>>,
    log_path: PathBuf,
    progress: Progress,
}

impl Context {
    /// A context for the step `name`, with an empty log.
    ///
    /// # Errors
    /// When the log cannot be made.
    pub fn new(workspace: Workspace, name: &str, progress: Progress) -> Result<Self> {
        let folder = workspace.logs();
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let log_path = folder.join(format!("{name}.log"));
        let log = File::create(&log_path).with_context(|| format!("cannot make {}", log_path.display()))?;
        Ok(Self {
            workspace,
            log: Arc::new(Mutex::new(log)),
            log_path,
            progress,
        })
    }

    /// The folders of the checkout.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The step's log.
    pub fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// Writes a line to the log and shows it as what the step is doing.
    pub fn say(&self, line: &str) {
        self.progress.detail(line);
        write_line(&self.log, line);
    }

    /// Writes lines to the log and prints them, for results that a reader of the run should see.
    pub fn announce(&self, text: &str) {
        for line in text.lines() {
            self.progress.line(&format!("    {line}"));
            write_line(&self.log, line);
        }
    }

    /// Runs a command from the workspace root with standard input closed, its output in the log, and returns what it
    /// printed to standard output.
    ///
    /// # Errors
    /// When it cannot be started, or ends with anything but success.
    pub fn run(&self, command: &mut Command) -> Result<String> {
        let (success, output) = self.run_for_result(command)?;
        if !success {
            bail!("failed: {}", describe(command));
        }
        Ok(output)
    }

    /// As [`Context::run`], but leaves the judgement of the exit status (`true`: success) to the caller.
    ///
    /// # Errors
    /// When it cannot be started or waited for.
    pub fn run_for_result(&self, command: &mut Command) -> Result<(bool, String)> {
        write_line(&self.log, &format!("$ {}", describe(command)));
        if command.get_current_dir().is_none() {
            command.current_dir(self.workspace.root());
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", describe(command)))?;
        let stdout = child.stdout.take().context("no pipe for standard output")?;
        let stderr = child.stderr.take().context("no pipe for standard error")?;
        let output = thread::scope(|scope| {
            let errors = scope.spawn(|| self.follow(stderr));
            let output = self.follow(stdout);
            // The reader of standard error cannot panic; if it did, its lines are lost and the status still counts.
            let _ = errors.join();
            output
        });
        let status = child
            .wait()
            .with_context(|| format!("cannot wait for {}", describe(command)))?;
        write_line(&self.log, &format!("({status})"));
        Ok((status.success(), output))
    }

    /// Copies a pipe to the log line by line until it closes, and returns all of it.
    fn follow(&self, pipe: impl Read) -> String {
        let mut all = String::new();
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        // A pipe that cannot be read has nothing more to give; the exit status decides about the command.
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            self.progress.detail(&line);
            write_line(&self.log, &line);
            all.push_str(&line);
            all.push('\n');
            bytes.clear();
        }
        all
    }
}

/// A command as one would type it.
pub fn describe(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// A log that cannot be written must not stop the run it describes: the results are printed as well.
fn write_line(log: &Mutex<File>, line: &str) {
    let mut file = log.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = writeln!(file, "{line}");
}
