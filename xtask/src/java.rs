//! Java's ZooKeeper: Debian's 3.8.0, and the newest 3.8 and 3.9 from Maven.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;

/// The 3.9 release that suites compare with: the newest one whose artifacts are all published.
pub const MAVEN_VERSION: &str = "3.9.5";

/// The newest 3.8 release: what an ensemble of 3.8 should run before it is left.
pub const MAVEN_38_VERSION: &str = "3.8.6";

/// The server's main class; it starts a standalone server when the file names no others.
pub const SERVER_MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

/// Debian's folder of Java libraries.
const DEBIAN_JARS: &str = "/usr/share/java";

/// Which Java ZooKeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JavaVersion {
    /// 3.8.0 as Debian 12 ships it.
    Debian38,
    /// [`MAVEN_38_VERSION`] from Maven Central.
    Maven38,
    /// [`MAVEN_VERSION`] from Maven Central.
    Maven39,
}

impl JavaVersion {
    /// The version number, for tables and messages.
    pub fn number(self) -> &'static str {
        match self {
            Self::Debian38 => "3.8.0",
            Self::Maven38 => MAVEN_38_VERSION,
            Self::Maven39 => MAVEN_VERSION,
        }
    }

    /// The class path with the server, the client, their libraries, and a logger that writes to standard error.
    ///
    /// # Errors
    /// When the libraries are not installed.
    pub fn class_path(self, workspace: &Workspace) -> Result<OsString> {
        let jars = match self {
            Self::Debian38 => present(debian_jars())?,
            Self::Maven38 | Self::Maven39 => maven_jars(&self.maven_folder(workspace), self.number())?,
        };
        std::env::join_paths(jars).context("a library's path holds a colon")
    }

    /// Where the libraries from Maven lie.
    pub(crate) fn maven_folder(self, workspace: &Workspace) -> PathBuf {
        workspace.interop_target("maven").join(self.number())
    }
}

/// How to start a JVM.
#[derive(Clone, Debug, Default)]
pub struct JavaOptions {
    /// Size of the heap, fixed (`-Xms` and `-Xmx`), in MiB; the JVM's own choice when absent.
    pub heap_mib: Option<u32>,
    /// System properties, without the `-D`.
    pub properties: Vec<(String, String)>,
    /// Further options of the JVM, as they stand.
    pub jvm_flags: Vec<String>,
}

/// The command that runs `main` of this version; the caller adds the program's arguments.
///
/// # Errors
/// When the libraries are not installed.
pub fn command(workspace: &Workspace, version: JavaVersion, options: &JavaOptions, main: &str) -> Result<Command> {
    let mut command = Command::new("java");
    command.arg("-cp").arg(version.class_path(workspace)?);
    if let Some(mib) = options.heap_mib {
        command.arg(format!("-Xms{mib}m")).arg(format!("-Xmx{mib}m"));
    }
    // UTF-8 as on any server of today: digest passwords are decoded by the default charset of the JVM.
    command.args([
        "-Dfile.encoding=UTF-8",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
    ]);
    for (name, value) in &options.properties {
        command.arg(format!("-D{name}={value}"));
    }
    command.args(&options.jvm_flags).arg(main);
    Ok(command)
}

/// The server's jar names most of its libraries in its manifest; these are the rest, and a logger.
const DEBIAN_CLASS_PATH: [&str; 6] = [
    "zookeeper.jar",
    "netty-codec.jar",
    "netty-resolver.jar",
    "netty-transport-native-unix-common.jar",
    "servlet-api.jar",
    "slf4j-simple.jar",
];

/// The parts of the class path of Debian's server, whether they are there or not.
pub(crate) fn debian_jars() -> Vec<PathBuf> {
    DEBIAN_CLASS_PATH
        .iter()
        .map(|name| Path::new(DEBIAN_JARS).join(name))
        .collect()
}

fn present(jars: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    if let Some(absent) = jars.iter().find(|jar| !jar.exists()) {
        bail!(
            "{} is missing: it comes with Debian's package zookeeper or one that it needs",
            absent.display()
        );
    }
    Ok(jars)
}

fn maven_jars(folder: &Path, version: &str) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("no libraries of ZooKeeper {version} in {}", folder.display()))?;
    let mut jars = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jar") {
            jars.push(path);
        }
    }
    jars.sort();
    Ok(jars)
}
