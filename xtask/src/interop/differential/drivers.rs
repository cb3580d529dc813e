//! The programs that ask: how each is built and started, and the servers it is run against.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::java::JavaVersion;
use crate::process::tail;
use crate::server::{Product, Server, ServerConfig};
use crate::workspace::Workspace;

/// The longest driver takes half a minute on a loaded machine; single waits inside end after 20 seconds.
const DRIVER_WITHIN: Duration = Duration::from_secs(300);
/// Pause between two looks at a driver that has not ended.
const POLL: Duration = Duration::from_millis(20);
/// A profile's tick when its file names none.
const TICK_MS: u32 = 500;

/// The name of the scenario that tells of a driver's own failure.
const BROKEN: &str = "driver-failed";

/// The profiles that the raw driver has scenarios for.
const RAW_PROFILES: &[&str] = &["full", "fresh", "plain", "enforce", "open", "removal", "limit", "total"];

/// A driver that can be started.
#[derive(Debug)]
pub(super) struct Driver {
    name: String,
    /// The program and its arguments ahead of the server's address.
    program: Vec<OsString>,
    /// The server set-ups it wants, by their files in `interop/drivers/profiles`.
    profiles: &'static [&'static str],
    /// Whether the profile's name follows the address.
    takes_profile: bool,
}

/// Builds all drivers into the target folder.
///
/// # Errors
/// When a compiler refuses or is missing.
pub(super) fn build_all(context: &Context) -> Result<Vec<Driver>> {
    let workspace = context.workspace();
    let source = workspace.interop_source("drivers");
    let built = workspace.interop_target("drivers");
    fs::create_dir_all(&built).with_context(|| format!("cannot make {}", built.display()))?;
    Ok(vec![
        Driver {
            name: "raw".to_owned(),
            program: vec!["python3".into(), "-B".into(), source.join("raw/raw.py").into()],
            profiles: RAW_PROFILES,
            takes_profile: true,
        },
        java(context, &source, &built, JavaVersion::Maven39)?,
        java(context, &source, &built, JavaVersion::Debian38)?,
        c(context, &source, &built)?,
        go(context, &source, &built)?,
    ])
}

/// One source for all versions of the client: what a version lacks, the driver looks up by name.
fn java(context: &Context, source: &Path, built: &Path, version: JavaVersion) -> Result<Driver> {
    let name = format!("java-{}", version.number());
    let classes = built.join(&name);
    let library = version.class_path(context.workspace())?;
    fs::create_dir_all(&classes).with_context(|| format!("cannot make {}", classes.display()))?;
    let mut javac = Command::new("javac");
    javac.arg("-nowarn").arg("-cp").arg(&library).arg("-d").arg(&classes);
    context.run(javac.args(sources(&source.join("java"), "java")?))?;
    let mut class_path = classes.into_os_string();
    class_path.push(":");
    class_path.push(&library);
    Ok(Driver {
        name,
        program: vec!["java".into(), "-cp".into(), class_path, "Drive".into()],
        profiles: &["full"],
        takes_profile: false,
    })
}

fn c(context: &Context, source: &Path, built: &Path) -> Result<Driver> {
    let program = built.join("c-drive");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-DTHREADED", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program);
    cc.args(sources(&source.join("c"), "c")?)
        .args(["-lzookeeper_mt", "-lpthread"]);
    context.run(&mut cc)?;
    Ok(client("c", program))
}

fn go(context: &Context, source: &Path, built: &Path) -> Result<Driver> {
    let program = built.join("go-drive");
    let mut go = Command::new("go");
    go.args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source.join("go"));
    context.run(&mut go)?;
    Ok(client("go", program))
}

/// A built program that wants an address and nothing else.
fn client(name: &str, program: PathBuf) -> Driver {
    Driver {
        name: name.to_owned(),
        program: vec![program.into()],
        profiles: &["full"],
        takes_profile: false,
    }
}

fn sources(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

impl Driver {
    /// The name in reports and in `differences.toml`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The server set-ups it is to be run with.
    pub(super) fn profiles(&self) -> &'static [&'static str] {
        self.profiles
    }

    /// Starts a fresh server with this profile, runs the driver, and returns what it printed.
    ///
    /// A driver that fails or does not end says so in a scenario of its own behind the others, whose answers count.
    ///
    /// # Errors
    /// When the server does not start or the driver cannot be started.
    pub(super) fn ask(&self, workspace: &Workspace, product: Product, profile: &str) -> Result<String> {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let server = Server::start(workspace, product, dir.path(), &server_config(workspace, profile)?)?;
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).arg(server.address().to_string());
        if self.takes_profile {
            command.arg(profile);
        }
        let (output, errors) = (dir.path().join("output"), dir.path().join("errors"));
        let status = run_to_end(&mut command, &output, &errors)
            .with_context(|| format!("driver {} on {}", self.name, product.name()))?;
        server.kill()?;
        let text = fs::read(&output).context("cannot read the driver's output")?;
        let mut text = String::from_utf8_lossy(&text).into_owned();
        match status {
            Some(status) if status.success() => {}
            Some(status) => text.push_str(&format!("\n### {BROKEN}\n!! {status}\n{}\n", tail(&errors, 20))),
            None => text.push_str(&format!("\n### {BROKEN}\n!! still running after {DRIVER_WITHIN:?}\n")),
        }
        Ok(text)
    }
}

/// Runs a command with its outputs in files; `None` when it had to be killed because its time was over.
fn run_to_end(command: &mut Command, output: &Path, errors: &Path) -> Result<Option<ExitStatus>> {
    let create = |path: &Path| File::create(path).with_context(|| format!("cannot make {}", path.display()));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(create(output)?)
        .stderr(create(errors)?)
        .spawn()
        .context("cannot be started")?;
    let deadline = Instant::now() + DRIVER_WITHIN;
    loop {
        if let Some(status) = child.try_wait().context("cannot be waited for")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill().context("cannot be killed")?;
            child.wait().context("cannot be reaped")?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// The server's set-up: lines of `zoo.cfg` from `NAME.cfg`, system properties from `NAME.flags` if there is one.
fn server_config(workspace: &Workspace, profile: &str) -> Result<ServerConfig> {
    let folder = workspace.interop_source("drivers").join("profiles");
    let lines = read(&folder.join(format!("{profile}.cfg")))?.context("the profile has no file")?;
    let flags = read(&folder.join(format!("{profile}.flags")))?.unwrap_or_default();
    let mut config = ServerConfig::new()?;
    config.tick_ms = TICK_MS;
    config.lines = lines.lines().map(str::to_owned).collect();
    for flag in flags.lines() {
        let (name, value) = flag
            .strip_prefix("-D")
            .and_then(|property| property.split_once('='))
            .with_context(|| format!("{profile}.flags: {flag} is no -Dname=value"))?;
        config = config.property(name, value);
    }
    Ok(config)
}

/// The text of a file, or `None` if there is none.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_can_be_read() {
        let workspace = Workspace::locate();
        for profile in RAW_PROFILES {
            let config = server_config(&workspace, profile).unwrap();
            assert!(!config.lines.iter().any(|line| line.starts_with("tickTime")));
        }
        assert_eq!(server_config(&workspace, "full").unwrap().java.properties.len(), 1);
        assert!(server_config(&workspace, "none").is_err());
    }
}
