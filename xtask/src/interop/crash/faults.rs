//! A disk that fails under load: the server stops with the documented exit code and says what to do, and on a disk that
//! is well again everything acknowledged is there.
//!
//! The faults are made by `interop/faults/faults.c`, which is preloaded into the server and lets chosen calls fail; a
//! limit of the size of files, which the system enforces, stands beside it as a fault that nobody imitates.

use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

use crate::context::{Context, Tally};

use super::life::{Life, Setup};
use super::random;

/// Small files and many snapshots, so that every kind of call is made soon.
const SETUP: Setup = Setup {
    name: "failing disk",
    lines: &["snapCount=300", "preAllocSize=16", "txnLogSizeLimitInKb=64"],
    value_bytes_max: 300,
    // So that the folders have different names.
    separate_log: true,
};

/// When the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Under load.
    Serving,
    /// While the server starts.
    Starting,
}

/// A way for the disk to fail.
#[derive(Clone, Copy, Debug)]
struct Fault {
    name: &'static str,
    when: When,
    /// As `faults.c` reads it.
    faults: &'static str,
    /// Limit of the size of files, 0 for none.
    file_bytes: u32,
    /// The exit code.
    code: i32,
    /// What the error must say: where, why, what to do.
    words: &'static [&'static str],
}

const SPACE: &str = "Make room on that disk";
const DISK: &str = "Look after that disk";

/// Exit codes: 11 log, 10 snapshot, 3 data directory.
const FAULTS: &[Fault] = &[
    Fault {
        name: "the disk is full when the log is written",
        when: When::Serving,
        faults: "write:/log.:40:on:ENOSPC",
        file_bytes: 0,
        code: 11,
        words: &["log.", "No space left", SPACE],
    },
    Fault {
        name: "the disk is full when the log is extended",
        when: When::Serving,
        faults: "extend:/log.:3:on:ENOSPC",
        file_bytes: 0,
        code: 11,
        words: &["log.", "No space left", SPACE],
    },
    Fault {
        name: "the disk is full when a log file is made",
        when: When::Serving,
        faults: "create:/log.:3:on:ENOSPC",
        file_bytes: 0,
        code: 11,
        words: &["log.", "No space left", SPACE],
    },
    Fault {
        name: "one fsync of the log fails",
        when: When::Serving,
        faults: "sync:/log.:30:once:EIO",
        file_bytes: 0,
        code: 11,
        words: &["log.", "Input/output error", DISK],
    },
    Fault {
        name: "one fsync of the folder of the log fails",
        when: When::Serving,
        // Starting makes the first few of them, each new log file two more.
        faults: "sync:/log/version-2$:9:once:EIO",
        file_bytes: 0,
        code: 11,
        words: &["version-2", "Input/output error", DISK],
    },
    Fault {
        name: "the disk becomes read-only",
        when: When::Serving,
        faults: "write:/log.:25:on:EROFS",
        file_bytes: 0,
        code: 11,
        words: &["log.", "Read-only", "Mount that disk"],
    },
    Fault {
        name: "files have a limit",
        when: When::Serving,
        faults: "",
        file_bytes: 24 << 10,
        code: 11,
        words: &["log.", "File too large", "ulimit"],
    },
    Fault {
        name: "the disk is full when a snapshot is written",
        when: When::Serving,
        faults: "write:/snapshot.:1:on:ENOSPC",
        file_bytes: 0,
        code: 10,
        words: &["snapshot.", "No space left", SPACE],
    },
    Fault {
        name: "the fsync of a snapshot fails",
        when: When::Serving,
        faults: "sync:/snapshot.:2:once:EIO",
        file_bytes: 0,
        code: 10,
        words: &["snapshot.", "Input/output error", DISK],
    },
    Fault {
        name: "one fsync of the folder of snapshots fails",
        when: When::Serving,
        faults: "sync:/data/version-2$:4:once:EIO",
        file_bytes: 0,
        code: 10,
        words: &["version-2", "Input/output error", DISK],
    },
    Fault {
        name: "a snapshot cannot be renamed",
        when: When::Serving,
        faults: "rename:/snapshot.:2:on:EIO",
        file_bytes: 0,
        code: 10,
        words: &["snapshot.", "Input/output error", DISK],
    },
    Fault {
        name: "the log cannot be read",
        when: When::Starting,
        faults: "read:/log.:2:on:EIO",
        file_bytes: 0,
        code: 3,
        words: &["log.", "Input/output error", DISK],
    },
    Fault {
        name: "what was recovered cannot be synced",
        when: When::Starting,
        faults: "sync:/log.:1:once:EIO",
        file_bytes: 0,
        code: 3,
        words: &["log.", "Input/output error", DISK],
    },
];

/// The step: one check for each way to fail.
///
/// # Errors
/// When the library that makes the faults cannot be built.
pub fn run(context: &Context) -> Result<Tally> {
    let library = build(context)?;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut tally = Tally::default();
    for (number, fault) in FAULTS.iter().enumerate() {
        match fail(context, fault, &library, clock.as_secs(), number) {
            Ok(said) => {
                context.say(&format!("{}: {said}", fault.name));
                tally.passed += 1;
            }
            Err(error) => {
                context.announce(&format!("{}: {error:#}", fault.name));
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

/// Compiles the library into the target folder.
fn build(context: &Context) -> Result<PathBuf> {
    let workspace = context.workspace();
    let folder = workspace.interop_target("faults");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let library = folder.join("faults.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&library)
        .arg(workspace.interop_source("faults").join("faults.c"))
        .arg("-ldl");
    context.run(&mut cc)?;
    Ok(library)
}

/// Lets one disk fail, with work before and after. Returns what the server said.
fn fail(context: &Context, fault: &Fault, library: &std::path::Path, seed: u64, number: usize) -> Result<String> {
    let mut life = Life::begin(context.workspace(), &SETUP, random(seed, number))?;
    life.round(None)?;
    let mut environment = vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("FAULTS".to_owned(), fault.faults.to_owned()),
    ];
    if fault.file_bytes > 0 {
        environment.push(("FAULTS_FILE_BYTES".to_owned(), fault.file_bytes.to_string()));
    }
    let said = match fault.when {
        When::Serving => life.fail(&environment, fault.code, fault.words),
        When::Starting => life.fail_at_start(&environment, fault.code, fault.words),
    };
    let said = said?;
    life.round(None)?;
    Ok(said)
}
