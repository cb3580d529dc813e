//! Our own server as a process.

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// The command `zebu serve` of the release build; the caller adds the configuration file.
///
/// # Errors
/// When the release build is missing.
pub fn serve_command(workspace: &Workspace, properties: &[(String, String)]) -> Result<Command> {
    let binary = workspace.zebu_binary();
    if !binary.exists() {
        bail!("{} is missing: run `cargo build --release` first", binary.display());
    }
    let mut command = Command::new(binary);
    command.arg("serve");
    for (name, value) in properties {
        command.arg("-D").arg(format!("{name}={value}"));
    }
    // The caller's own flags must not reach a server under test.
    command.env_remove("SERVER_JVMFLAGS");
    Ok(command)
}
