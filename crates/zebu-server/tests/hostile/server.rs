//! The server under attack, as a process of its own.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use tempfile::TempDir;
use zebu_server::{Config, Server};

/// Set for the process that is to be the server: its data directory.
pub(crate) const DIR_VARIABLE: &str = "ZEBU_HOSTILE_DATA_DIR";

/// Set for a server that may have only so many open files.
pub(crate) const FILES_VARIABLE: &str = "ZEBU_HOSTILE_FILES";

/// Far above what any attack is allowed to make of it, bytes.
const ADDRESS_SPACE_MAX: u64 = 8 << 30;

/// Runs a server until standard input ends, which it does when the parent is gone, too.
pub(crate) fn serve(dir: &Path) -> ExitCode {
    let files: Option<u64> = env::var(FILES_VARIABLE).ok().and_then(|files| files.parse().ok());
    match files {
        Some(files) => rlimit::setrlimit(rlimit::Resource::NOFILE, files, files).expect("a lower limit"),
        None => {
            raise_file_limit();
        }
    }
    // A server that grows without bound is to fail by itself, not to take the machine with it.
    rlimit::setrlimit(rlimit::Resource::AS, ADDRESS_SPACE_MAX, ADDRESS_SPACE_MAX).expect("a lower limit");
    let mut config = Config::for_test(dir);
    // Attackers say nothing for longer than the server would wait for a handshake otherwise.
    config.limits.sessionless_cnxn_timeout_ms = 60_000;
    if files.is_some() {
        // It is the next file of the log that shows whether it can have one.
        config.storage.txn_log_size_limit_bytes = NonZeroU64::new(1);
        config.storage.pre_alloc_bytes = None;
    }
    let server = match Server::start(config) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", server.client_address());
    let _ = io::stdin().read_to_end(&mut Vec::new());
    server.request_stop();
    match server.wait() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            eprintln!("{fatal}");
            ExitCode::FAILURE
        }
    }
}

/// Raises the number of files of this process as far as the system lets it, and returns it.
pub(crate) fn raise_file_limit() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).expect("a limit that can be read")
}

/// The process of a server. Dropping it kills it.
pub(crate) struct Target {
    child: Child,
    stdin: Option<ChildStdin>,
    address: SocketAddr,
    _dir: TempDir,
}

/// Memory of a process, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// At the moment.
    pub(crate) now: u64,
    /// The most there ever was.
    pub(crate) peak: u64,
}

impl Target {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with some variables in its environment.
    pub(crate) fn start_with(environment: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let program = env::current_exe().expect("the name of this program");
        let mut child = Command::new(program)
            .env(DIR_VARIABLE, dir.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program as a server");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().parse().expect("the server's address");
        Self {
            child,
            stdin,
            address,
            _dir: dir,
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From `/proc`: resident memory now and at its peak.
    pub(crate) fn memory(&self) -> Memory {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("a process that runs");
        let kib = |name: &str| -> u64 {
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .expect("a line of memory");
            let digits: String = line.chars().filter(char::is_ascii_digit).collect();
            digits.parse().expect("a number")
        };
        Memory {
            now: kib("VmRSS:") << 10,
            peak: kib("VmHWM:") << 10,
        }
    }

    /// Stops the server; it must end well.
    pub(crate) fn stop(mut self) {
        if let Some(mut stdin) = self.stdin.take() {
            let _ = stdin.flush();
        }
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "the server ended with {status}");
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
