//! What steps need from outside, and how it is installed: Debian packages, a Python environment, Java libraries.
//!
//! Whatever can lie in the target folder does; Debian packages are the exception.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::context::{Context, Tally};
use crate::interop::kazoo;
use crate::java::JavaVersion;
use crate::workspace::Workspace;

/// Something that a step needs beside a Rust toolchain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The toolchain's formatter.
    Rustfmt,
    /// The toolchain's linter.
    Clippy,
    /// A JDK: `java` and `javac`.
    Java,
    /// Debian's Java ZooKeeper 3.8.0 with its libraries.
    DebianZooKeeper,
    /// The C client library with its headers, and a C compiler.
    CClient,
    /// The Go toolchain.
    Go,
    /// The program `ss`, which shows sockets.
    Iproute2,
    /// The newest Java ZooKeeper from Maven with its libraries.
    MavenZooKeeper,
    /// The newest Java ZooKeeper 3.8 from Maven with its libraries.
    MavenZooKeeper38,
    /// Python 3 with its standard library.
    Python,
    /// Python's kazoo with its test suite.
    Kazoo,
}

impl Need {
    /// Its name for people.
    pub fn what(self) -> &'static str {
        match self {
            Self::Rustfmt => "rustfmt",
            Self::Clippy => "clippy",
            Self::Java => "a JDK",
            Self::DebianZooKeeper => "Debian's ZooKeeper 3.8.0",
            Self::CClient => "ZooKeeper's C client and a C compiler",
            Self::Go => "Go",
            Self::Iproute2 => "iproute2",
            Self::MavenZooKeeper => "the newest Java ZooKeeper from Maven",
            Self::MavenZooKeeper38 => "the newest Java ZooKeeper 3.8 from Maven",
            Self::Python => "Python 3",
            Self::Kazoo => "Python's kazoo",
        }
    }

    /// Whether it is there already.
    pub fn is_present(self, workspace: &Workspace) -> bool {
        match self {
            Self::Rustfmt => answers("cargo", &["fmt", "--version"]),
            Self::Clippy => answers("cargo", &["clippy", "--version"]),
            Self::Java => answers("java", &["-version"]) && answers("javac", &["-version"]),
            Self::DebianZooKeeper => ["zookeeper.jar", "slf4j-simple.jar"]
                .iter()
                .all(|jar| Path::new("/usr/share/java").join(jar).exists()),
            Self::CClient => Path::new("/usr/include/zookeeper/zookeeper.h").exists() && answers("cc", &["--version"]),
            Self::Go => answers("go", &["version"]),
            Self::Iproute2 => answers("ss", &["--version"]),
            Self::MavenZooKeeper => JavaVersion::Maven39.maven_folder(workspace).exists(),
            Self::MavenZooKeeper38 => JavaVersion::Maven38.maven_folder(workspace).exists(),
            Self::Python => answers("python3", &["--version"]),
            Self::Kazoo => kazoo::is_installed(workspace),
        }
    }

    /// The Debian packages that make it present, or that its own installation builds on.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Rustfmt | Self::Clippy => &[],
            Self::Java => &["default-jdk-headless"],
            Self::DebianZooKeeper => &[
                "zookeeper",
                "zookeeper-bin",
                "libslf4j-java",
                "libnetty-java",
                "libservlet-api-java",
            ],
            Self::CClient => &["libzookeeper-mt-dev", "gcc", "libc6-dev"],
            Self::Go => &["golang-go"],
            Self::Iproute2 => &["iproute2"],
            Self::Python => &["python3"],
            Self::MavenZooKeeper | Self::MavenZooKeeper38 => {
                if answers("mvn", &["--version"]) {
                    &[]
                } else {
                    &["maven"]
                }
            }
            // One library of kazoo's harness is built from source.
            Self::Kazoo => {
                if answers("python3", &["-c", "import venv, ensurepip"]) && answers("cc", &["--version"]) {
                    &[]
                } else {
                    &["python3", "python3-venv", "python3-dev", "gcc", "libc6-dev"]
                }
            }
        }
    }
}

/// Installs what is not there yet. That is no check of zebu, and counts as none.
///
/// # Errors
/// When something cannot be installed; the text says by which command a person can do it.
pub fn install(context: &Context, needs: &BTreeSet<Need>) -> Result<Tally> {
    let absent: Vec<Need> = needs
        .iter()
        .copied()
        .filter(|need| !need.is_present(context.workspace()))
        .collect();
    for need in needs {
        let state = if absent.contains(need) {
            "to be installed"
        } else {
            "there"
        };
        context.announce(&format!("{}: {state}", need.what()));
    }
    install_packages(context, &absent)?;
    for need in &absent {
        install_rest(context, *need).with_context(|| format!("cannot install {}", need.what()))?;
        if !need.is_present(context.workspace()) {
            bail!("{} is still missing after its installation", need.what());
        }
    }
    Ok(Tally::default())
}

/// The names of those needs that are not there, or `None` when all are.
pub fn missing(workspace: &Workspace, needs: &[Need]) -> Option<String> {
    let names: Vec<&str> = needs
        .iter()
        .filter(|need| !need.is_present(workspace))
        .map(|need| need.what())
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Installs all Debian packages of all needs at once.
fn install_packages(context: &Context, absent: &[Need]) -> Result<()> {
    let packages: BTreeSet<&str> = absent.iter().flat_map(|need| need.packages()).copied().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = packages.into_iter().collect();
    let list = packages.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!("run this first, as root: apt-get install --yes --no-install-recommends {list}");
    }
    context.announce(&format!("Debian packages: {list}"));
    // Another installation may hold the lock for a while.
    let patience = "DPkg::Lock::Timeout=300";
    context.run(Command::new("apt-get").args(["-o", patience, "--quiet", "update"]))?;
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
        .args(["-o", patience, "--quiet", "install", "--yes", "--no-install-recommends"])
        .args(packages);
    context.run(&mut command)?;
    Ok(())
}

/// Installs what does not come as a Debian package.
fn install_rest(context: &Context, need: Need) -> Result<()> {
    match need {
        Need::Rustfmt => rustup(context, "rustfmt"),
        Need::Clippy => rustup(context, "clippy"),
        Need::MavenZooKeeper => install_maven_libraries(context, JavaVersion::Maven39),
        Need::MavenZooKeeper38 => install_maven_libraries(context, JavaVersion::Maven38),
        Need::Kazoo => kazoo::install(context),
        Need::Java | Need::DebianZooKeeper | Need::CClient | Need::Go | Need::Iproute2 | Need::Python => Ok(()),
    }
}

fn rustup(context: &Context, component: &str) -> Result<()> {
    context.announce(&format!("rustup component {component}"));
    context.run(Command::new("rustup").args(["component", "add", component]))?;
    Ok(())
}

/// Copies the libraries that `interop/maven/pom.xml` names into the target folder, under a temporary name first so that
/// a broken download is not taken for a whole one.
fn install_maven_libraries(context: &Context, version: JavaVersion) -> Result<()> {
    let folder = version.maven_folder(context.workspace());
    let part = folder.with_extension("part");
    context.announce(&format!(
        "Java ZooKeeper {} from Maven, into {}",
        version.number(),
        folder.display()
    ));
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    let pom = context.workspace().interop_source("maven").join("pom.xml");
    context.run(
        Command::new("mvn")
            .args(["--batch-mode", "--no-transfer-progress", "--file"])
            .arg(pom)
            .arg("org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies")
            .args([
                "-DincludeScope=runtime".to_owned(),
                format!("-Dzookeeper.version={}", version.number()),
                format!("-DoutputDirectory={}", part.display()),
            ]),
    )?;
    fs::rename(&part, &folder).with_context(|| format!("cannot rename {}", part.display()))
}

/// Whether a program can be started and ends well.
fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pom_names_the_version_that_the_class_path_expects() {
        let pom = Workspace::locate().interop_source("maven").join("pom.xml");
        let text = fs::read_to_string(pom).unwrap();
        let expected = format!(
            "<zookeeper.version>{}</zookeeper.version>",
            JavaVersion::Maven39.number()
        );
        assert!(text.contains(&expected), "{text}");
    }

    #[test]
    fn a_missing_program_does_not_answer() {
        assert!(!answers("zebu-no-such-program", &[]));
        assert!(answers("true", &[]));
        assert!(!answers("false", &[]));
    }
}
