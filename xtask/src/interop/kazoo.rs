//! kazoo's own test suite, on zebu and on the Java server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::context::{Context, Tally};
use crate::workspace::Workspace;

/// Whether the Python environment is there and complete.
pub fn is_installed(workspace: &Workspace) -> bool {
    let Ok(wanted) = fs::read(requirements(workspace)) else {
        return false;
    };
    fs::read(installed_mark(workspace)).is_ok_and(|installed| installed == wanted)
}

/// Makes a Python environment with kazoo and what its suite needs, in the versions of `interop/kazoo/requirements.txt`.
///
/// # Errors
/// When Python cannot make the environment or pip cannot fetch a package.
pub fn install(context: &Context) -> Result<()> {
    let workspace = context.workspace();
    let venv = venv(workspace);
    context.announce(&format!("kazoo and its libraries, into {}", venv.display()));
    context.run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    )?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--requirement",
    ];
    context.run(
        Command::new(python(workspace))
            .args(pip)
            .arg(requirements(workspace)),
    )?;
    fs::copy(requirements(workspace), installed_mark(workspace))
        .context("cannot mark the environment as whole")?;
    Ok(())
}

/// The step.
///
/// # Errors
/// When the suite cannot be run.
pub fn run(_context: &Context) -> Result<Tally> {
    bail!("being written")
}

fn venv(workspace: &Workspace) -> PathBuf {
    workspace.interop_target("venv")
}

fn python(workspace: &Workspace) -> PathBuf {
    venv(workspace).join("bin/python")
}

fn requirements(workspace: &Workspace) -> PathBuf {
    workspace.interop_source("kazoo").join("requirements.txt")
}

fn installed_mark(workspace: &Workspace) -> PathBuf {
    venv(workspace).join(Path::new("requirements.txt"))
}
