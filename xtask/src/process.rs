//! Child processes that are always stopped: by their id, and at the latest when their handle is dropped.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Pause between two looks at something that offers no event to wait for (another process's port or end).
const POLL: Duration = Duration::from_millis(10);

/// A child process with its output in a log file.
///
/// Dropping it kills it (SIGKILL) and reaps it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with standard input closed and both outputs appended to `log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open the log {}", log.display()))?;
        let err = out.try_clone().context("cannot share the log")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("cannot start {name} ({command:?})"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_path_buf(),
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with everything the process printed.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last `lines` lines of the log, for failure texts; empty when the log cannot be read.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    /// How the process ended, or `None` while it runs.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("cannot look at {}", self.name))
    }

    /// Waits until `ready` says yes.
    ///
    /// # Errors
    /// When the process ends first, or is not ready `within` this time; the text holds the end of its log.
    pub fn wait_until(&mut self, within: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            if ready() {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                bail!(
                    "{} ended before it was ready ({status}):\n{}",
                    self.name,
                    self.log_tail(40)
                );
            }
            if Instant::now() >= deadline {
                bail!("{} was not ready after {within:?}:\n{}", self.name, self.log_tail(40));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until something accepts connections at `address`. For a ZooKeeper server prefer
    /// [`Process::wait_until_serving`]: the Java server accepts connections before it has loaded its data.
    ///
    /// # Errors
    /// As [`Process::wait_until`].
    pub fn wait_until_listening(&mut self, address: SocketAddr, within: Duration) -> Result<()> {
        self.wait_until(within, || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        })
    }

    /// Waits until the ZooKeeper server at `address` answers the word `srvr` as a serving one.
    ///
    /// # Errors
    /// As [`Process::wait_until`].
    pub fn wait_until_serving(&mut self, address: SocketAddr, within: Duration) -> Result<()> {
        self.wait_until(within, || {
            four_letter_word(address, "srvr").is_ok_and(|text| text.starts_with("Zookeeper version"))
        })
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// When it still runs after `within`; it goes on running then.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} still runs after {within:?}:\n{}", self.name, self.log_tail(40));
            }
            thread::sleep(POLL);
        }
    }

    /// Asks the process to stop (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub fn stop(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(within)
    }

    /// Kills the process (SIGKILL) and reaps it; one that has ended already is only reaped.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .with_context(|| format!("cannot kill {}", self.name))?;
        self.child
            .wait()
            .with_context(|| format!("cannot reap {}", self.name))?;
        Ok(())
    }

    /// Sends a signal; nothing happens to a process that has ended.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // An ended child that was reaped frees its id for others, so look first; one that is not reaped keeps it.
        if self.ended()?.is_some() {
            return Ok(());
        }
        let raw = i32::try_from(self.pid()).context("a process id beyond i32")?;
        let pid = Pid::from_raw(raw).context("process id 0")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a four-letter word and returns the whole answer.
///
/// # Errors
/// When the server cannot be reached, or does not answer within 5 seconds.
pub fn four_letter_word(address: SocketAddr, word: &str) -> Result<String> {
    four_letter_word_within(address, word, Duration::from_secs(5))
}

/// As [`four_letter_word`], with a limit of its own for each of connecting, sending and receiving.
///
/// # Errors
/// When the server cannot be reached, or does not answer in time.
pub fn four_letter_word_within(address: SocketAddr, word: &str, limit: Duration) -> Result<String> {
    let mut socket = TcpStream::connect_timeout(&address, limit)?;
    socket.set_read_timeout(Some(limit))?;
    socket.set_write_timeout(Some(limit))?;
    socket.write_all(word.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The last `lines` lines of a file, or nothing when it cannot be read.
pub fn tail(file: &Path, lines: usize) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports;

    use std::net::TcpListener;

    fn shell(script: &str) -> (Process, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let process = Process::spawn("sh", Command::new("sh").args(["-c", script]), &dir.path().join("log")).unwrap();
        (process, dir)
    }

    #[test]
    fn output_goes_to_the_log() {
        let (mut process, _dir) = shell("echo one; echo two >&2");
        assert!(process.wait(Duration::from_secs(10)).unwrap().success());
        assert_eq!(process.log_tail(1), "two");
        assert_eq!(process.log_tail(9), "one\ntwo");
    }

    #[test]
    fn a_process_that_ends_early_fails_the_wait_with_its_log() {
        let (mut process, _dir) = shell("echo broken; exit 3");
        let error = process
            .wait_until(Duration::from_secs(10), || false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("ended before"), "{error}");
        assert!(error.contains("broken"), "{error}");
    }

    #[test]
    fn drop_ends_the_process() {
        let (process, _dir) = shell("exec sleep 600");
        let pid = Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn stop_is_a_sigterm() {
        let (mut process, _dir) = shell("trap 'exit 7' TERM; echo trapped; while :; do sleep 0.01; done");
        let log = process.log().to_path_buf();
        process
            .wait_until(Duration::from_secs(10), || tail(&log, 1) == "trapped")
            .unwrap();
        assert_eq!(process.stop(Duration::from_secs(10)).unwrap().code(), Some(7));
    }

    #[test]
    fn listening_is_noticed() {
        let listener = TcpListener::bind(ports::loopback(0)).unwrap();
        let (mut process, _dir) = shell("exec sleep 600");
        process
            .wait_until_listening(listener.local_addr().unwrap(), Duration::from_secs(5))
            .unwrap();
    }
}
