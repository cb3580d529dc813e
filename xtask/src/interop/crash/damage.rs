//! Files damaged behind the server's back: it either makes up for the damage and has everything, or refuses to start,
//! names the file and what to do, and that remedy works.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use crate::context::{Context, Tally};

use super::life::{Life, Setup};
use super::random;

/// Snapshots and log files gather, each log file between two snapshots.
const WITH_SNAPSHOTS: Setup = Setup {
    name: "damage, snapshots",
    lines: &["snapCount=200", "preAllocSize=16"],
    value_bytes_max: 200,
    separate_log: false,
};
/// One snapshot, of the empty tree, and many log files.
const WITH_LOGS: Setup = Setup {
    name: "damage, logs",
    lines: &["txnLogSizeLimitInKb=16", "preAllocSize=16"],
    value_bytes_max: 200,
    separate_log: false,
};
/// The extension of a file that zebu has not given its name yet: it ignores what it finds under such a name.
const UNFINISHED: &str = "zebu-tmp";
/// Files of either kind that a case needs.
const FILES_MIN: usize = 4;

/// What the server must do about it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// Start, and have everything; its log says this.
    Serve(&'static str),
    /// Leave with exit code 3, and say all this.
    Refuse(&'static [&'static str]),
}

/// Does the damage to the files of a folder; returns the name that a refusal must hold.
type Harm = fn(&Path) -> Result<String>;

/// A kind of damage.
struct Case {
    name: &'static str,
    setup: &'static Setup,
    harm: Harm,
    expected: Expected,
}

const RESTORE: &str = "estore";

const CASES: &[Case] = &[
    Case {
        name: "a wrong bit in the newest snapshot",
        setup: &WITH_SNAPSHOTS,
        harm: |folder| flip(&newest(folder, "snapshot.")?),
        expected: Expected::Serve("passed over"),
    },
    Case {
        name: "a third of the newest snapshot",
        setup: &WITH_SNAPSHOTS,
        harm: |folder| cut(&newest(folder, "snapshot.")?),
        expected: Expected::Serve("serving"),
    },
    Case {
        name: "a wrong bit in every snapshot",
        setup: &WITH_SNAPSHOTS,
        harm: |folder| {
            for snapshot in files(folder, "snapshot.")? {
                flip(&snapshot)?;
            }
            Ok("snapshot.".to_owned())
        },
        expected: Expected::Refuse(&["snapshots can be loaded", "at byte", RESTORE]),
    },
    Case {
        name: "no snapshot",
        setup: &WITH_SNAPSHOTS,
        harm: |folder| {
            for snapshot in files(folder, "snapshot.")? {
                fs::remove_file(snapshot)?;
            }
            Ok("log.".to_owned())
        },
        expected: Expected::Refuse(&["no snapshot", "Check dataDir"]),
    },
    Case {
        name: "a log file is missing",
        setup: &WITH_LOGS,
        harm: |folder| {
            let missing = middle(folder)?;
            fs::remove_file(&missing)?;
            behind(folder, &missing)
        },
        expected: Expected::Refuse(&["missing", "put it back", RESTORE]),
    },
    Case {
        name: "a third of a log file",
        setup: &WITH_LOGS,
        harm: |folder| {
            let log = middle(folder)?;
            cut(&log)?;
            behind(folder, &log)
        },
        expected: Expected::Refuse(&["missing", "put it back", RESTORE]),
    },
    Case {
        name: "a wrong bit in a log file",
        setup: &WITH_LOGS,
        harm: |folder| flip(&middle(folder)?),
        expected: Expected::Refuse(&["at byte", RESTORE]),
    },
    Case {
        name: "a log file without its header",
        setup: &WITH_LOGS,
        harm: |folder| {
            let log = middle(folder)?;
            open(&log)?.write_all_at(&[0; 16], 0)?;
            name(&log)
        },
        expected: Expected::Refuse(&["no log header at byte 0", RESTORE]),
    },
    Case {
        name: "a log file of another name",
        setup: &WITH_LOGS,
        harm: |folder| {
            let log = middle(folder)?;
            let other = folder.join(format!("log.{:x}", number(&log) + 1));
            fs::rename(log, &other)?;
            name(&other)
        },
        expected: Expected::Refuse(&["Give the file back its name"]),
    },
    Case {
        name: "an empty log file at the end",
        setup: &WITH_LOGS,
        harm: |folder| {
            let last = newest(folder, "log.")?;
            fs::write(folder.join(format!("log.{:x}", number(&last) + 100_000)), "")?;
            Ok(String::new())
        },
        expected: Expected::Serve("serving"),
    },
    Case {
        name: "a log file of zeros at the end",
        setup: &WITH_LOGS,
        harm: |folder| {
            let last = newest(folder, "log.")?;
            fs::write(folder.join(format!("log.{:x}", number(&last) + 100_000)), [0; 4096])?;
            Ok(String::new())
        },
        expected: Expected::Serve("serving"),
    },
];

/// The step: one check for each kind of damage.
///
/// # Errors
/// Never; what goes wrong is a failed check.
pub fn run(context: &Context) -> Result<Tally> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut tally = Tally::default();
    for (index, case) in CASES.iter().enumerate() {
        match suffer(context, case, clock.as_secs(), index) {
            Ok(said) => {
                context.say(&format!("{}: {said}", case.name));
                tally.passed += 1;
            }
            Err(error) => {
                context.announce(&format!("{}: {error:#}", case.name));
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

fn suffer(context: &Context, case: &Case, seed: u64, index: usize) -> Result<String> {
    let mut life = Life::begin(context.workspace(), case.setup, random(seed, index))?;
    life.gather(FILES_MIN)?;
    life.damage(case.harm, case.expected)
}

/// The files of one kind, oldest first, without those that a killed server was writing.
pub(super) fn files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
            && path.extension().is_none_or(|extension| extension != UNFINISHED)
        {
            files.push(path);
        }
    }
    files.sort_by_key(|path| number(path));
    Ok(files)
}

fn newest(folder: &Path, prefix: &str) -> Result<PathBuf> {
    files(folder, prefix)?.pop().with_context(|| format!("no {prefix}*"))
}

/// A log file with others before and behind it.
fn middle(folder: &Path) -> Result<PathBuf> {
    let logs = files(folder, "log.")?;
    ensure!(logs.len() >= FILES_MIN, "only {} log files", logs.len());
    Ok(logs[logs.len() / 2].clone())
}

/// The name of the log file behind this one: where a gap shows.
fn behind(folder: &Path, log: &Path) -> Result<String> {
    let next = files(folder, "log.")?
        .into_iter()
        .find(|other| number(other) > number(log));
    name(&next.context("no log behind the middle one")?)
}

/// The number in a file's name.
fn number(path: &Path) -> u64 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    u64::from_str_radix(name.split('.').nth(1).unwrap_or_default(), 16).unwrap_or(0)
}

fn name(path: &Path) -> Result<String> {
    let name = path.file_name().context("a path without a name")?;
    Ok(name.to_string_lossy().into_owned())
}

fn open(path: &Path) -> Result<fs::File> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.with_context(|| format!("cannot open {}", path.display()))
}

/// Turns over a bit that says something, a third into the file: behind the middle there may be zeros.
fn flip(path: &Path) -> Result<String> {
    let bytes = fs::read(path)?;
    let from = bytes.len() / 3;
    let at = from
        + bytes[from..]
            .iter()
            .position(|byte| *byte != 0)
            .context("nothing but zeros")?;
    open(path)?.write_all_at(&[bytes[at] ^ 0x04], at as u64)?;
    name(path)
}

/// Cuts off what is behind a third of the file.
fn cut(path: &Path) -> Result<String> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    file.set_len(length / 3)?;
    name(path)
}
