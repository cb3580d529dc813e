//! The machine and the programs that figures belong to.

use std::fmt;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::workspace::Workspace;

/// Writes of the disk probe. Some hundred suffice for a median and take a fraction of a second.
const PROBE_WRITES: usize = 200;
/// Bytes per write of the disk probe: one page.
const PROBE_BYTES: usize = 4096;

/// What figures depend on.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    /// When, in UTC.
    pub date: String,
    /// The commit that was built, with `+` when there were changes beside it.
    pub commit: String,
    /// The processor's name.
    pub cpu: String,
    /// Cores that this program may use.
    pub cores: usize,
    /// Memory of the machine, MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Type of the file system that the servers write to.
    pub file_system: String,
    /// Median time of a page written and flushed with fdatasync on that file system, microseconds.
    pub fdatasync_us: f64,
    /// First line of `java -version`.
    pub java: String,
    /// Load average of the last minute before the start.
    pub load_average: f64,
}

impl Environment {
    /// Looks at this machine; `folder` is where the servers will write.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn look(workspace: &Workspace, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let load = file("/proc/loadavg");
        let field = |text: &str, label: &str| {
            let line = text.lines().find(|line| line.starts_with(label));
            line.and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
        };
        let memory = field(&file("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kib: u64 = memory.trim_end_matches("kB").trim().parse().unwrap_or(0);
        Ok(Self {
            date: output("date", &["-u", "+%Y-%m-%d %H:%M"], workspace.root()),
            commit: commit(workspace.root()),
            cpu: field(&file("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_mib: kib / 1024,
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: output("findmnt", &["-n", "-o", "FSTYPE", "-T", "."], folder),
            fdatasync_us: fdatasync_us(folder)?,
            java: output("java", &["-version"], folder),
            load_average: load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0),
        })
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} UTC, commit {}, {} x {}, {} MiB, Linux {}, {} (a page and fdatasync: {:.0} us), {}, load {:.2} at the start",
            self.date,
            self.commit,
            self.cores,
            self.cpu,
            self.memory_mib,
            self.kernel,
            self.file_system,
            self.fdatasync_us,
            self.java,
            self.load_average,
        )
    }
}

fn commit(root: &Path) -> String {
    let commit = output("git", &["rev-parse", "--short=10", "HEAD"], root);
    let changes = output("git", &["status", "--porcelain", "--untracked-files=no"], root);
    if changes.is_empty() || changes == "unknown" {
        commit
    } else {
        format!("{commit}+")
    }
}

/// The first line that a program prints, on whichever output; `unknown` when it cannot be had.
fn output(program: &str, arguments: &[&str], folder: &Path) -> String {
    let Ok(output) = Command::new(program).args(arguments).current_dir(folder).output() else {
        return "unknown".to_owned();
    };
    let bytes = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    String::from_utf8_lossy(&bytes)
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The median over pages written one after the other into a file that has its size already, as a transaction log has.
fn fdatasync_us(folder: &Path) -> Result<f64> {
    let path = folder.join("probe");
    let page = [7; PROBE_BYTES];
    let probe = || -> std::io::Result<f64> {
        let mut file = File::create(&path)?;
        file.write_all(&vec![0; PROBE_BYTES * PROBE_WRITES])?;
        file.sync_all()?;
        file.seek(SeekFrom::Start(0))?;
        let mut micros = Vec::with_capacity(PROBE_WRITES);
        for _ in 0..PROBE_WRITES {
            let start = Instant::now();
            file.write_all(&page)?;
            file.sync_data()?;
            micros.push(start.elapsed().as_secs_f64() * 1e6);
        }
        fs::remove_file(&path)?;
        Ok(super::report::median(&micros))
    };
    probe().with_context(|| format!("cannot write {}", path.display()))
}
