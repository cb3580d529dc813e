//! Namespaces that end with the process: network, mounts and process ids.
//!
//! A program that cuts networks and fills disks starts itself again inside of new namespaces, by util-linux's `unshare`.
//! In there it is process 1: when it ends, in whatever way, the kernel kills every process that it started, and with
//! the last process go the interfaces, routes and mounts. Nothing outside is ever changed, so nothing is to be tidied.
//!
//! Of the two ways to be allowed to do this, the first that applies is taken: being root, or user namespaces.

use std::env;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use rustix::io::{FdFlags, fcntl_setfd};

/// Says to the program that it runs inside; there is no way to ask the kernel.
const MARK: &str = "ZEBU_XTASK_ISOLATED";

/// Whether this process is one that [`command`] started.
pub fn is_inside() -> bool {
    env::var_os(MARK).is_some()
}

/// This program, open. Its name is not enough to start it again: a build that runs meanwhile, such as that of a step
/// before, puts another file there.
static PROGRAM: OnceLock<File> = OnceLock::new();

/// The command that runs this program with these arguments inside of new namespaces.
///
/// # Errors
/// When the program's own file cannot be opened.
pub fn command<I, S>(arguments: I) -> Result<Command>
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let program = match PROGRAM.get() {
        Some(program) => program,
        None => {
            let opened = File::open("/proc/self/exe").context("this program's own file cannot be opened")?;
            fcntl_setfd(&opened, FdFlags::empty()).context("this program's own file cannot be left open")?;
            PROGRAM.get_or_init(|| opened)
        }
    };
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg("--").arg(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.args(arguments).env(MARK, "1");
    Ok(command)
}
