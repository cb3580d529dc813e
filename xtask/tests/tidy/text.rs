//! What no file of the project may hold, and how every text file ends.

use std::fs;

use crate::expect_none;
use crate::tree;

/// Parts of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
    concat!("bash", "_jobs"),
];

/// Hosts of package registries: which one is used is for whoever builds to configure.
const REGISTRIES: [&str; 9] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("repo.maven", ".apache.org"),
    concat!("repo1.maven", ".org"),
    concat!("registry.npm", "js.org"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
    concat!("static.rust", "-lang.org"),
];

/// Marks of unfinished work. An idea belongs to the tracker, a missing part is not merged.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
];

/// A file's text, or `None` for a binary file.
fn text_of(file: &std::path::Path) -> Option<String> {
    let bytes = fs::read(tree::root().join(file)).unwrap();
    if bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// Every line of the project's text files that holds one of these, cargo's lock files aside.
fn lines_with(needles: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in tree::files() {
        // Cargo writes its registry's name into its lock files.
        if file.file_name().is_some_and(|name| name == "Cargo.lock") {
            continue;
        }
        let Some(text) = text_of(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            for needle in needles.iter().filter(|needle| line.contains(**needle)) {
                findings.push(format!("{}:{}: holds {needle}", file.display(), number + 1));
            }
        }
    }
    findings
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    expect_none(&lines_with(&MACHINE_PATHS));
}

#[test]
fn no_file_names_a_registry_host() {
    expect_none(&lines_with(&REGISTRIES));
}

#[test]
fn nothing_is_left_unfinished_or_ignored() {
    expect_none(&lines_with(&UNFINISHED));
}

#[test]
fn text_files_end_with_one_newline_and_have_unix_line_ends() {
    let mut findings = Vec::new();
    for file in tree::files() {
        // Recorded bytes may be text by chance, and stay as they were recorded.
        let recorded = file
            .components()
            .any(|part| part.as_os_str() == "testdata" || part.as_os_str() == "corpus");
        let Some(text) = text_of(&file).filter(|text| !recorded && !text.is_empty()) else {
            continue;
        };
        if !text.ends_with('\n') || text.ends_with("\n\n") {
            findings.push(format!("{}: does not end with exactly one newline", file.display()));
        }
        if text.contains('\r') {
            findings.push(format!("{}: has a carriage return", file.display()));
        }
    }
    expect_none(&findings);
}
