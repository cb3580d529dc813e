//! Every target stands its corpus, and mutations of it that are the same each time: what the fuzzer would find at once,
//! this finds in an ordinary test run.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its inputs has failed")]

mod mutate;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use zebu_fuzz_targets::{TARGETS, Target};

use crate::mutate::Mutator;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One target at a time, so that the memory in use is that of one input.
static TURN: Mutex<()> = Mutex::new(());

/// Inputs made from the corpus, for each target.
const MUTATIONS: u64 = 10_000;
/// Fewer for the configuration: an unknown key is compared with each known one, which takes its time in a debug build.
const MUTATIONS_OF_CONFIG: u64 = 2000;
const SEED: u64 = 0x7a65_6275;
/// What one input may take: the readers' buffers, and some copies of what the input holds.
const MEMORY_BYTES_MAX: usize = 16 << 20;
const MEMORY_PER_BYTE_MAX: usize = 1 << 10;

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The corpus of a target, in the order of the files' names.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz_folder().join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// Runs one input. If that fails, the input is kept in a file that `cargo fuzz run` takes.
fn check(target: &Target, what: &str, bytes: &[u8]) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    let used = MEMORY.peak_usage().saturating_sub(before);
    let allowed = MEMORY_BYTES_MAX + bytes.len() * MEMORY_PER_BYTE_MAX;
    if outcome.is_ok() && used <= allowed {
        return;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-finding", target.name));
    fs::write(&path, bytes).unwrap();
    let kept = path.display();
    match outcome {
        Ok(()) => panic!(
            "{}: {what} takes {used} bytes of memory; the input is in {kept}",
            target.name
        ),
        Err(_) => panic!("{}: {what} fails; the input is in {kept}", target.name),
    }
}

fn replay(name: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let files = corpus(name);
    for (file, bytes) in &files {
        check(target, file, bytes);
    }
    let inputs: Vec<&[u8]> = files.iter().map(|(_, bytes)| &bytes[..]).collect();
    let mut mutator = Mutator::new(SEED);
    let count = if name == "config" {
        MUTATIONS_OF_CONFIG
    } else {
        MUTATIONS
    };
    for number in 0..count {
        let bytes = mutator.mutate(&inputs);
        check(target, &format!("mutation {number}"), &bytes);
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

replays! {
    access
    config
    election_message
    epoch_files
    handshake
    log_file
    node
    paths
    quorum_config
    quorum_packet
    quota
    reply
    request
    snapshot_body
    snapshot_file
    snapshot_parts
    txn_record
}

#[test]
fn every_target_has_a_test_a_program_and_a_corpus() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, REPLAYED.iter().copied().collect());
    let list = |folder: &str| -> BTreeSet<String> {
        fs::read_dir(fuzz_folder().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
    assert_eq!(names, list("fuzz_targets"));
    assert_eq!(names, list("corpus"));
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).unwrap();
    for name in names {
        assert!(
            manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")),
            "{name}"
        );
    }
}
