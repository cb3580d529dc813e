//! A running ZooKeeper server, whichever product it is.
//!
//! The same folder and the same `zoo.cfg` serve zebu and Java, so a suite can stop one and start the other on its data.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::java::{self, JavaOptions, JavaVersion};
use crate::ports;
use crate::process::Process;
use crate::workspace::Workspace;
use crate::zebu;

/// A JVM on a loaded machine of two cores was seen to take 5 seconds; the rest is for loading large data.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A server closes its sessions' sockets and its files; more than this is a hang.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// The release build of this workspace.
    Zebu,
    /// A Java server.
    Java(JavaVersion),
}

impl Product {
    /// For tables, messages and file names: `zebu`, `java-3.8.0`.
    pub fn name(self) -> String {
        match self {
            Self::Zebu => "zebu".to_owned(),
            Self::Java(version) => format!("java-{}", version.number()),
        }
    }
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Client port.
    pub client_port: u16,
    /// Lines of `zoo.cfg` beside `dataDir`, `clientPort`, `clientPortAddress`, `tickTime` and the admin server's, which
    /// is off.
    pub lines: Vec<String>,
    /// Length of a tick.
    pub tick_ms: u32,
    /// System properties, given to either product with `-D`; for Java also heap and flags.
    pub java: JavaOptions,
    /// Variables of the server's environment, beside those of this program.
    pub environment: Vec<(String, String)>,
}

impl ServerConfig {
    /// A configuration with a free port, ticks of 2 seconds, every four-letter word allowed, and nothing else.
    ///
    /// # Errors
    /// When no port is free.
    pub fn new() -> Result<Self> {
        Ok(Self {
            client_port: ports::free_port()?,
            lines: vec!["4lw.commands.whitelist=*".to_owned()],
            tick_ms: 2000,
            java: JavaOptions::default(),
            environment: Vec::new(),
        })
    }

    /// Adds a line to `zoo.cfg`.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Adds a system property.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.java.properties.push((name.to_owned(), value.to_owned()));
        self
    }

    fn text(&self, data: &Path) -> String {
        let mut text = format!(
            "dataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\ntickTime={}\nadmin.enableServer=false\n",
            data.display(),
            self.client_port,
            self.tick_ms
        );
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    product: Product,
    client_port: u16,
    data: PathBuf,
    process: Process,
}

impl Server {
    /// Starts a server in `dir` and waits until it serves.
    ///
    /// In `dir` lie `data` (kept from an earlier server), `zoo.cfg` (written anew) and the log, named after the product.
    ///
    /// # Errors
    /// When the product is not installed, or the server does not come up; the text holds the end of its log.
    pub fn start(workspace: &Workspace, product: Product, dir: &Path, config: &ServerConfig) -> Result<Self> {
        let mut server = Self::launch(workspace, product, dir, config)?;
        server.process.wait_until_serving(server.address(), READY_WITHIN)?;
        Ok(server)
    }

    /// As [`Server::start`], but does not wait: for a start that is timed, or expected to fail.
    ///
    /// # Errors
    /// When the product is not installed or cannot be started.
    pub fn launch(workspace: &Workspace, product: Product, dir: &Path, config: &ServerConfig) -> Result<Self> {
        let data = dir.join("data");
        fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let file = dir.join("zoo.cfg");
        fs::write(&file, config.text(&data)).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = match product {
            Product::Zebu => zebu::serve_command(workspace, &config.java.properties)?,
            Product::Java(version) => java::command(workspace, version, &config.java, java::SERVER_MAIN)?,
        };
        command.arg(&file).current_dir(dir);
        command.envs(config.environment.iter().map(|(name, value)| (name, value)));
        let log = dir.join(format!("{}.log", product.name()));
        let process = Process::spawn(&product.name(), &mut command, &log)?;
        Ok(Self {
            product,
            client_port: config.client_port,
            data,
            process,
        })
    }

    /// Which product this is.
    pub fn product(&self) -> Product {
        self.product
    }

    /// The client port's address.
    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.client_port)
    }

    /// The data directory (the files lie in `version-2` below it).
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The process, to look at its log, its end or its memory.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Stops the server gracefully (SIGTERM) and says how it ended.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.process.stop(STOP_WITHIN)
    }

    /// Kills the server where it stands (SIGKILL).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()
    }
}
