//! Connections are descriptors, and a shell gives a process few of them.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server that is killed when the test is over.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Serving {
    /// Soft and hard limit of open files.
    fn limits(&self) -> (String, String) {
        let text = fs::read_to_string(format!("/proc/{}/limits", self.0.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let mut words = line.split_whitespace().skip(3).map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    }

    fn wait_for(&mut self, file: &Path) {
        let started = Instant::now();
        while !file.exists() {
            if let Some(status) = self.0.try_wait().unwrap() {
                let mut log = String::new();
                self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
                panic!("ended with {status}: {log}");
            }
            assert!(started.elapsed() < Duration::from_secs(60), "not ready");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_server_takes_as_many_descriptors_as_the_system_lets_it() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let mut command = Command::new("sh");
    // What a shell starts with on many systems, lowered here in case this one starts with more.
    command.args([
        "-c",
        "ulimit -Sn 256; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_zebu"),
        "serve",
    ]);
    command.args(["-D", "clientPort=0", "-D", "clientPortAddress=127.0.0.1"]);
    command.arg("-D").arg(format!("dataDir={}", dir.path().display()));
    command.arg("--ready-file").arg(&ready);
    command.stderr(Stdio::piped());
    let mut server = Serving(command.spawn().unwrap());
    server.wait_for(&ready);
    let (soft, hard) = server.limits();
    assert_eq!(soft, hard);
}
