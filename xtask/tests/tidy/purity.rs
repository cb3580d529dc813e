//! The border of the pure crates: no file, socket, clock or randomness can be reached from them.
//!
//! `#![no_std]` makes that a compile error for their own code. These checks see that the attribute stays, that nothing
//! brings `std` back by name, and that no dependency brings it in through its features.

use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use serde_json::Value;
use syn::visit_mut::{self, VisitMut};

use xtask::workspace::Workspace;

use crate::tree::{self, Package};
use crate::{expect_none, modules};

/// The crates without IO; those that do not exist yet are not missed.
const PURE: [&str; 4] = ["zebu-proto", "zebu-tree", "zebu-zab", "zebu-node"];

fn pure_packages() -> Vec<Package> {
    tree::packages()
        .into_iter()
        .filter(|package| PURE.contains(&&*package.name))
        .collect()
}

fn library(package: &Package) -> PathBuf {
    package.folder.join("src/lib.rs")
}

#[test]
fn pure_crates_are_no_std() {
    let mut findings = Vec::new();
    for package in pure_packages() {
        let attributes = tree::parse(&library(&package)).attrs;
        if !attributes.iter().any(|attribute| attribute.path().is_ident("no_std")) {
            findings.push(format!("{}: lib.rs has no `#![no_std]`", package.name));
        }
    }
    expect_none(&findings);
}

#[test]
fn pure_crates_do_not_name_std_outside_of_tests() {
    let mut findings = Vec::new();
    for package in pure_packages() {
        let reached = modules::reached_without_tests(&library(&package));
        for file in reached {
            for line in lines_with_std(tree::parse(&file)) {
                findings.push(format!("{}:{line}: names std", tree::shown(&file)));
            }
        }
    }
    expect_none(&findings);
}

#[test]
fn dependencies_of_pure_crates_are_declared_without_std() {
    let mut findings = Vec::new();
    for package in pure_packages() {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| !dependency.for_tests && !dependency.ours)
        {
            if dependency.default_features {
                findings.push(format!(
                    "{}: default features of {} are on",
                    package.name, dependency.name
                ));
            }
            if dependency.features.iter().any(|feature| feature == "std") {
                findings.push(format!(
                    "{}: the feature std of {} is on",
                    package.name, dependency.name
                ));
            }
        }
    }
    expect_none(&findings);
}

/// Builds the pure crates for the border itself, without their default features, and looks at all that was compiled.
#[test]
fn pure_crates_build_without_default_features_and_without_std_below_them() {
    let mut findings = Vec::new();
    for artifact in compiled() {
        if artifact.features.iter().any(|feature| feature == "std") {
            findings.push(format!("{} is built with its feature std", artifact.name));
        }
        if !says_no_std(&artifact.root) {
            findings.push(format!("{} is not a no_std library", artifact.name));
        }
    }
    expect_none(&findings);
}

/// A library that goes into the pure crates.
struct Artifact {
    name: String,
    /// Its `lib.rs`.
    root: PathBuf,
    features: Vec<String>,
}

fn compiled() -> Vec<Artifact> {
    let host = host();
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["check", "--lib", "--no-default-features", "--message-format", "json"])
        .current_dir(tree::root());
    for package in pure_packages() {
        command.args(["--package", &package.name]);
    }
    // Named, so that what is built for this machine to run (macros and build scripts) goes to another folder.
    command.args(["--target", &host]);
    // A target folder of its own: this runs inside of a cargo that may hold the lock on the usual one.
    let target = Workspace::locate().target().join("tidy");
    let output = tree::cargo(command.arg("--target-dir").arg(target));
    output
        .lines()
        .filter_map(|line| artifact(&serde_json::from_str(line).unwrap(), &host))
        .collect()
}

/// Reads one of cargo's messages; `None` when it is not about a library for the pure crates.
fn artifact(message: &Value, host: &str) -> Option<Artifact> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let files = list(&message["filenames"]);
    let for_host = !files
        .iter()
        .any(|file| Path::new(file).components().any(|part| part.as_os_str() == host));
    let is_library = list(&message["target"]["kind"])
        .iter()
        .any(|kind| kind == "lib" || kind == "rlib");
    (is_library && !for_host).then(|| Artifact {
        name: text(&message["target"]["name"]),
        root: text(&message["target"]["src_path"]).into(),
        features: list(&message["features"]),
    })
}

/// The triple of the machine that this runs on.
fn host() -> String {
    let version = tree::cargo(Command::new(env!("CARGO")).args(["--version", "--verbose"]));
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.unwrap().to_owned()
}

/// Whether a library declares itself free of `std`, always or unless a feature asks for it.
fn says_no_std(root: &Path) -> bool {
    let attributes = tree::parse(root).attrs;
    attributes
        .iter()
        .any(|attribute| attribute.to_token_stream().to_string().contains("no_std"))
}

/// The lines that name `std` in what is left after the test code is taken out.
fn lines_with_std(mut file: syn::File) -> Vec<usize> {
    WithoutTests.visit_file_mut(&mut file);
    let mut lines = Vec::new();
    find_std(file.to_token_stream(), &mut lines);
    lines.dedup();
    lines
}

fn find_std(tokens: TokenStream, lines: &mut Vec<usize>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => find_std(group.stream(), lines),
            TokenTree::Ident(name) if name == "std" => lines.push(name.span().start().line),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Takes out what is compiled for tests only, and the conditions themselves (`feature = "std"` is a literal and stays
/// harmless).
struct WithoutTests;

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !modules::is_for_tests(item));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| !modules::is_for_tests(item));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            syn::ImplItem::Fn(function) => !modules::has_cfg_test(&function.attrs),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }
}

#[test]
fn std_is_found_outside_of_tests_only() {
    let text = "\
#![no_std]
//! std::fs in a comment is nothing
extern crate alloc;
#[cfg(test)]
extern crate std;
fn a() -> &'static str { \"std::fs\" }
fn b() { let _ = vec![std::mem::size_of::<u8>()]; }
#[cfg(test)]
mod tests { use std::fs; }
";
    assert_eq!(lines_with_std(syn::parse_file(text).unwrap()), [7]);
}
