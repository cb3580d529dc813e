//! Every source file is part of something: reached from a library, program, test, benchmark or example by `mod`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::{Expr, ExprLit, Item, ItemMod, Lit, Meta};

use crate::expect_none;
use crate::tree;

#[test]
fn every_source_file_is_reached_by_a_mod() {
    let mut reached = BTreeSet::new();
    let mut folders = Vec::new();
    for package in tree::packages() {
        for root in &package.roots {
            reach(root, Tests::In, &mut reached);
        }
        folders.push(package.folder);
    }
    let mut findings = Vec::new();
    for file in tree::files() {
        let path = tree::root().join(&file);
        let in_package = folders.iter().any(|folder| path.starts_with(folder));
        if path.extension().is_some_and(|extension| extension == "rs") && !reached.contains(&path) {
            let why = if in_package {
                "no `mod` reaches it"
            } else {
                "it lies in no package"
            };
            findings.push(format!("{}: {why}", file.display()));
        }
    }
    expect_none(&findings);
}

/// The files that make up a library when it is not built for tests.
pub(crate) fn reached_without_tests(root: &Path) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    reach(root, Tests::Out, &mut reached);
    reached
}

/// Whether modules for tests only are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tests {
    In,
    Out,
}

/// Adds the file and all that its `mod` lines lead to. A root file keeps its modules beside itself, as `mod.rs` does.
fn reach(root: &Path, tests: Tests, reached: &mut BTreeSet<PathBuf>) {
    let folder = root.parent().unwrap().to_path_buf();
    follow(root, &folder, tests, reached);
}

/// `folder` is where the modules of `file` lie.
fn follow(file: &Path, folder: &Path, tests: Tests, reached: &mut BTreeSet<PathBuf>) {
    // A file that is missing, or is there under a condition only, is the compiler's to report.
    if file.exists() && reached.insert(file.to_path_buf()) {
        let beside = file.parent().unwrap().to_path_buf();
        follow_items(&tree::parse(file).items, &beside, folder, tests, reached);
    }
}

/// `beside` is the folder that `#[path]` counts from, `folder` the one of child modules.
fn follow_items(items: &[Item], beside: &Path, folder: &Path, tests: Tests, reached: &mut BTreeSet<PathBuf>) {
    for item in items {
        let Item::Mod(module) = item else { continue };
        if tests == Tests::Out && is_for_tests(item) {
            continue;
        }
        let name = module.ident.to_string();
        match (&module.content, path_attribute(module)) {
            (Some((_, items)), _) => {
                let inner = folder.join(&name);
                follow_items(items, &inner, &inner, tests, reached);
            }
            (None, Some(path)) => {
                let file = beside.join(path);
                let folder = file.parent().unwrap().to_path_buf();
                follow(&file, &folder, tests, reached);
            }
            (None, None) => {
                let flat = folder.join(format!("{name}.rs"));
                let nested = folder.join(&name).join("mod.rs");
                let file = if flat.exists() { flat } else { nested };
                follow(&file, &folder.join(&name), tests, reached);
            }
        }
    }
}

fn path_attribute(module: &ItemMod) -> Option<String> {
    module.attrs.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Whether an item exists only in test builds.
pub(crate) fn is_for_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    has_cfg_test(attributes)
}

/// Whether `#[cfg(test)]` is among these attributes, by itself or as a part of `all(..)`.
pub(crate) fn has_cfg_test(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .any(|attribute| {
            let Meta::List(list) = &attribute.meta else {
                return false;
            };
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all (test ,")
        })
}

#[test]
fn conditions_for_tests_are_told_from_others() {
    let check = |condition: &str, expected| {
        let item: Item = syn::parse_str(&format!("#[cfg({condition})] mod a {{}}")).unwrap();
        assert_eq!(is_for_tests(&item), expected, "{condition}");
    };
    check("test", true);
    check("all(test, unix)", true);
    check("not(test)", false);
    check("any(test, feature = \"x\")", false);
    check("unix", false);
}
