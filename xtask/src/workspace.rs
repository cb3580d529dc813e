//! Where things lie in the checkout and in its target folder.

use std::env;
use std::path::{Path, PathBuf};

/// The folders of this checkout.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built from.
    ///
    /// The target folder follows `CARGO_TARGET_DIR`, taken from the workspace root when it is relative.
    pub fn locate() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Self { root, target }
    }

    /// The folder of the workspace's `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder; all that is installed or written by a run lies below it.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The release build of the `zebu` program.
    pub fn zebu_binary(&self) -> PathBuf {
        self.target.join("release/zebu")
    }

    /// What interop suites install or leave behind, for example `target/interop/venv`.
    pub fn interop_target(&self, name: &str) -> PathBuf {
        self.target.join("interop").join(name)
    }

    /// The checked-in files of an interop suite, for example `interop/kazoo`.
    pub fn interop_source(&self, name: &str) -> PathBuf {
        self.root.join("interop").join(name)
    }

    /// The folder with one log per step of the last run.
    pub fn logs(&self) -> PathBuf {
        self.target.join("xtask/logs")
    }
}
