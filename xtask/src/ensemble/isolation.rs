//! Namespaces that end with the process: network, mounts and process ids.
//!
//! A program that cuts networks and fills disks starts itself again inside of new namespaces, by util-linux's `unshare`.
//! In there it is process 1: when it ends, in whatever way, the kernel kills every process that it started, and with
//! the last process go the interfaces, routes and mounts. Nothing outside is ever changed, so nothing is to be tidied.
//!
//! Of the two ways to be allowed to do this, the first that applies is taken: being root, or user namespaces.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result};

/// Says to the program that it runs inside; there is no way to ask the kernel.
const MARK: &str = "ZEBU_XTASK_ISOLATED";

/// Whether this process is one that [`command`] started.
pub fn is_inside() -> bool {
    env::var_os(MARK).is_some()
}

/// The command that runs this program with these arguments inside of new namespaces.
///
/// # Errors
/// When the program's own file is not known.
pub fn command<I, S>(arguments: I) -> Result<Command>
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let program = env::current_exe().context("this program's file is not known")?;
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg("--").arg(program).args(arguments).env(MARK, "1");
    Ok(command)
}
