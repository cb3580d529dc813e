//! `zebu serve`: run a server.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use zebu_server::config::{Config, Level, SystemProperties};
use zebu_server::{ExitCode as ServerExit, Server};

/// Run a server.
///
/// Without a file it listens on port 2181 and keeps its data in ./zebu-data. With a zoo.cfg it does what a ZooKeeper
/// server would do with the same file.
#[derive(Args)]
#[command(after_help = "Examples:
  zebu serve                                  port 2181, data in ./zebu-data
  zebu serve /etc/zookeeper/conf/zoo.cfg      the file of a Java server
  zebu serve -D clientPort=0 -D dataDir=/tmp/t   a free port, named in the log
  SERVER_JVMFLAGS=-Djute.maxbuffer=4194304 zebu serve zoo.cfg

The log goes to standard error; RUST_LOG=warn or RUST_LOG=zebu_server=debug changes how much of it.")]
pub(crate) struct Serve {
    /// Configuration file (zoo.cfg).
    config: Option<PathBuf>,
    /// A system property, as for the JVM, or a key of zoo.cfg; may be repeated.
    #[arg(short = 'D', value_name = "NAME=VALUE")]
    define: Vec<String>,
    /// Write the address that clients connect to into this file once the server is ready.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

impl Serve {
    pub(crate) fn run(&self) -> ExitCode {
        start_log();
        let mut properties = SystemProperties::from_process_environment();
        for define in &self.define {
            properties.add_argument(define);
        }
        let config = match Config::load(self.config.as_deref(), &properties) {
            Ok((config, notices)) => {
                for notice in &notices {
                    match notice.level() {
                        Level::Info => tracing::info!("{notice}"),
                        Level::Warning => tracing::warn!("{notice}"),
                    }
                }
                config
            }
            Err(error) => {
                tracing::error!("{error}");
                return exit(ServerExit::InvalidInvocation);
            }
        };
        take_descriptors();
        match Server::start(config) {
            Ok(server) => self.serve(server),
            Err(error) => {
                tracing::error!("{error}");
                exit(error.exit_code())
            }
        }
    }

    fn serve(&self, server: Server) -> ExitCode {
        if let Some(path) = &self.ready_file
            && let Err(error) = std::fs::write(path, format!("{}\n", server.client_address()))
        {
            tracing::error!("cannot write {}: {error}", path.display());
            return exit(ServerExit::UnexpectedError);
        }
        let server = Arc::new(server);
        if let Err(error) = stop_on_signal(server.clone()) {
            tracing::error!("cannot wait for signals: {error}");
            return exit(ServerExit::UnexpectedError);
        }
        match server.wait() {
            Ok(()) => {
                tracing::info!("stopped; sessions live on until they time out");
                exit(ServerExit::Finished)
            }
            Err(fatal) => exit(fatal.code),
        }
    }
}

fn exit(code: ServerExit) -> ExitCode {
    ExitCode::from(code.code())
}

/// Each connection is a descriptor, and a shell gives a process 1024 of them on many systems, where the system would let
/// it have far more. Java takes what it can get as well.
fn take_descriptors() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        // The server works with what it has.
        Err(error) => tracing::warn!("the limit of open files cannot be raised: {error}"),
    }
}

fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Stops the server on SIGTERM and SIGINT; a second signal ends the process at once.
fn stop_on_signal(server: Arc<Server>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    std::thread::Builder::new().name("zebu-signals".into()).spawn(move || {
        runtime.block_on(async {
            for number in 0.. {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if number > 0 {
                    std::process::exit(i32::from(ServerExit::UnexpectedError.code()));
                }
                tracing::info!("stopping: finishing what was accepted");
                server.request_stop();
            }
        });
    })?;
    Ok(())
}
