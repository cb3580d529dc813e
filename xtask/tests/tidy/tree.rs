//! The workspace as cargo and the file system show it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use xtask::workspace::Workspace;

/// What is made by builds and runs: the folders of `.gitignore`, and git's own.
const MADE: [&str; 4] = [".git", "target", "zebu-data", "__pycache__"];
/// Folders made by the fuzzer, inside `fuzz`.
const MADE_BY_FUZZ: [&str; 2] = ["artifacts", "coverage"];

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    Workspace::locate().root().to_path_buf()
}

/// One package of the workspace, or of the fuzz targets beside it.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The folder of its manifest.
    pub(crate) folder: PathBuf,
    /// The root file of each library, program, test, benchmark and example.
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One dependency as the manifest declares it.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Only for tests and benchmarks.
    pub(crate) for_tests: bool,
    /// Whether its default features are on.
    pub(crate) default_features: bool,
    pub(crate) features: Vec<String>,
    /// Whether it is a crate of this workspace.
    pub(crate) ours: bool,
}

/// All packages: the members of the workspace and, when there is one, the fuzz package.
pub(crate) fn packages() -> Vec<Package> {
    let mut packages = metadata(&root().join("Cargo.toml"));
    let fuzz = root().join("fuzz/Cargo.toml");
    if fuzz.exists() {
        packages.extend(metadata(&fuzz));
    }
    packages
}

fn metadata(manifest: &Path) -> Vec<Package> {
    let arguments = [
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
        "--manifest-path",
    ];
    let text = cargo(Command::new(env!("CARGO")).args(arguments).arg(manifest));
    let value: Value = serde_json::from_str(&text).unwrap();
    value["packages"].as_array().unwrap().iter().map(package).collect()
}

/// Runs cargo and returns what it prints.
#[track_caller]
pub(crate) fn cargo(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let manifest = PathBuf::from(text(&value["manifest_path"]));
    Package {
        name: text(&value["name"]),
        folder: manifest.parent().unwrap().to_path_buf(),
        roots: value["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|target| text(&target["src_path"]).into())
            .collect(),
        dependencies: value["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(dependency)
            .collect(),
    }
}

fn dependency(value: &Value) -> Dependency {
    let features = value["features"].as_array().unwrap();
    Dependency {
        name: value["name"].as_str().unwrap().to_owned(),
        for_tests: value["kind"] == "dev",
        default_features: value["uses_default_features"].as_bool().unwrap(),
        features: features
            .iter()
            .map(|feature| feature.as_str().unwrap().to_owned())
            .collect(),
        ours: value["path"].is_string(),
    }
}

/// Every file of the project, by its path from the root, in order.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&root(), Path::new(""), &mut files);
    files.sort();
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = folder.join(&name);
        let kind = entry.file_type().unwrap();
        let made = MADE.contains(&&*name) || (folder == Path::new("fuzz") && MADE_BY_FUZZ.contains(&&*name));
        if made {
            continue;
        }
        if kind.is_dir() {
            walk(root, &path, files);
        } else if kind.is_file() && path.extension().is_none_or(|extension| extension != "class") {
            files.push(path);
        }
    }
}

/// A Rust file as syntax.
#[track_caller]
pub(crate) fn parse(file: &Path) -> syn::File {
    let text = fs::read_to_string(file).unwrap();
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A path as it is shown: from the root where it lies there.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
