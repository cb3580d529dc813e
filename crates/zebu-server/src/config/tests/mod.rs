//! Tests of the configuration as a whole; each file here has one subject.

use std::path::Path;

use super::{Config, SystemProperties};

mod files;
mod inventory;
mod places;
mod random;
mod refusals;
mod values;

/// What a file came to, with the file's path left out of every text.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) notices: Vec<String>,
}

/// Loads `text` as `zoo.cfg`.
fn load(text: &str) -> Loaded {
    load_with(text, &SystemProperties::default())
}

fn load_with(text: &str, properties: &SystemProperties) -> Loaded {
    try_load(text, properties).unwrap_or_else(|error| panic!("{error}"))
}

/// Loads `text` after the two lines that every file needs.
fn load_lines(text: &str) -> Loaded {
    load(&format!("clientPort=2181\ndataDir=/d\n{text}"))
}

/// The error that `text` is refused with, after those two lines.
fn refusal(text: &str) -> String {
    whole_refusal(&format!("clientPort=2181\ndataDir=/d\n{text}"))
}

fn whole_refusal(text: &str) -> String {
    match try_load(text, &SystemProperties::default()) {
        Ok(_) => panic!("{text:?} was taken"),
        Err(error) => error,
    }
}

fn try_load(text: &str, properties: &SystemProperties) -> Result<Loaded, String> {
    let (loaded, dir) = in_file(text, |path| Config::load(Some(path), properties));
    let (config, notices) = loaded.map_err(|error| strip(&error.to_string(), &dir))?;
    Ok(Loaded {
        config,
        notices: notices.iter().map(|notice| strip(&notice.to_string(), &dir)).collect(),
    })
}

/// Runs `load` on a file with `text`; the directory's path comes back with the result.
fn in_file<T>(text: &str, load: impl FnOnce(&Path) -> T) -> (T, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("zoo.cfg");
    std::fs::write(&path, text).expect("a new file");
    (load(&path), format!("{}/", dir.path().display()))
}

fn strip(text: &str, dir: &str) -> String {
    text.replace(dir, "")
}
