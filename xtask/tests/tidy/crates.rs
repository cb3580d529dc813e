//! Which crate may use which.

use std::fs;

use crate::expect_none;
use crate::tree::{self, Package};

/// Every crate of the workspace with the ones it may use, as in `ARCHITECTURE.md`. A new crate or a new edge is a
/// decision: it changes this table and that file together.
const EDGES: [(&str, &[&str]); 12] = [
    ("zebu-proto", &[]),
    ("zebu-tree", &["zebu-proto"]),
    ("zebu-zab", &["zebu-proto"]),
    ("zebu-node", &["zebu-proto", "zebu-tree", "zebu-zab"]),
    ("zebu-store", &["zebu-proto"]),
    (
        "zebu-server",
        &["zebu-proto", "zebu-tree", "zebu-zab", "zebu-node", "zebu-store"],
    ),
    ("zebu-cli", &["zebu-proto", "zebu-tree", "zebu-store", "zebu-server"]),
    (
        "zebu-sim",
        &["zebu-proto", "zebu-tree", "zebu-zab", "zebu-node", "zebu-store"],
    ),
    ("zebu-bench", &["zebu-proto"]),
    ("zebu-fuzz", &["zebu-fuzz-targets"]),
    (
        "zebu-fuzz-targets",
        &[
            "zebu-proto",
            "zebu-tree",
            "zebu-zab",
            "zebu-node",
            "zebu-store",
            "zebu-server",
        ],
    ),
    ("xtask", &[]),
];

/// Fails for edges that the table does not have, tests included: a test that needs another crate belongs to that crate.
fn forbidden_edges(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            findings.push(format!("{}: not in the table of crates", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.ours) {
            // A crate may name itself, to switch on a feature for its tests.
            if dependency.name != package.name && !allowed.contains(&&*dependency.name) {
                findings.push(format!("{} may not use {}", package.name, dependency.name));
            }
        }
    }
    findings
}

#[test]
fn crates_use_only_what_they_may() {
    expect_none(&forbidden_edges(&tree::packages()));
}

#[test]
fn a_forbidden_edge_is_found() {
    let mut packages = tree::packages();
    let proto = packages
        .iter_mut()
        .find(|package| package.name == "zebu-proto")
        .unwrap();
    proto.dependencies.push(tree::Dependency {
        name: "zebu-tree".to_owned(),
        for_tests: false,
        default_features: true,
        features: Vec::new(),
        ours: true,
    });
    assert_eq!(forbidden_edges(&packages), ["zebu-proto may not use zebu-tree"]);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut findings = Vec::new();
    for package in tree::packages() {
        // The fuzz package is a workspace of its own, with the lints of its build tool.
        if package.name == "zebu-fuzz" {
            continue;
        }
        let manifest = fs::read_to_string(package.folder.join("Cargo.toml")).unwrap();
        if !manifest.contains("[lints]\nworkspace = true\n") {
            findings.push(format!(
                "{}: the manifest has no `[lints] workspace = true`",
                package.name
            ));
        }
    }
    expect_none(&findings);
}

#[test]
fn every_crate_folder_has_the_name_of_its_crate() {
    let crates = tree::root().join("crates");
    let mut findings = Vec::new();
    for package in tree::packages() {
        if package.folder.starts_with(&crates) && package.folder != crates.join(&package.name) {
            findings.push(format!("{} lies in {}", package.name, tree::shown(&package.folder)));
        }
    }
    expect_none(&findings);
}

#[test]
fn the_architecture_names_every_crate_folder() {
    let text = fs::read_to_string(tree::root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut findings = Vec::new();
    for package in tree::packages() {
        let path = package.folder.strip_prefix(tree::root()).unwrap();
        // A crate by its own folder, what lies beside the crates by its topmost one.
        let path = path.strip_prefix("crates").unwrap_or(path);
        let folder = path.components().next().unwrap().as_os_str().to_str().unwrap();
        let named = [format!("`{folder}`"), format!("`{folder}/`"), format!("/{folder}")];
        if !named.iter().any(|name| text.contains(name)) {
            findings.push(format!(
                "ARCHITECTURE.md says nothing about {}",
                tree::shown(&package.folder)
            ));
        }
    }
    expect_none(&findings);
}
