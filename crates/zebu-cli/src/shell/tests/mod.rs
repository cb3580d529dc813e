//! Tests of the command layer: lines in, output out, against a server in this process.

mod commands;
mod completion;
mod json;
mod parse;
mod session;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use zebu_server::{Config, Server};

use super::client::{Event, Servers};
use super::context::{Context, Settings};
use super::error::ShellError;
use super::events;
use super::sink::{Format, Sink};

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

const SETTINGS: Settings = Settings {
    timeout: Duration::from_secs(10),
    read_only: false,
    frame_bytes_max: 1 << 20,
};

/// A server of its own for each test.
struct TestServer {
    server: Server,
    _dir: tempfile::TempDir,
}

impl TestServer {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::for_test(dir.path());
        config.znodes.extended_types = true;
        Self {
            server: Server::start(config).unwrap(),
            _dir: dir,
        }
    }

    fn shell(&self) -> TestShell {
        self.shell_below("")
    }

    fn shell_below(&self, chroot: &str) -> TestShell {
        TestShell::open(&format!("{}{chroot}", self.server.client_address()))
    }
}

/// A shell whose output and events can be looked at.
struct TestShell {
    context: Context,
    events: Receiver<String>,
}

impl TestShell {
    fn open(servers: &str) -> Self {
        let (sender, events) = channel();
        let sender = Mutex::new(sender);
        let announce = Arc::new(move |event: &Event, chroot: &super::path::Chroot| {
            if matches!(event, Event::State(_)) {
                return;
            }
            let text = events::text(event, chroot);
            let line = text.lines().last().unwrap_or_default().to_owned();
            // A test may end before its events do.
            let _ = sender.lock().unwrap().send(line);
        });
        let servers = Servers::parse(servers).unwrap();
        Self {
            context: Context::open(SETTINGS, servers, announce).unwrap(),
            events,
        }
    }

    fn run(&mut self, line: &str, format: Format) -> (String, Result<(), ShellError>) {
        let mut out = Vec::new();
        let result = self
            .context
            .run_line(line, &mut Sink::new(format, TimeZone::UTC, &mut out));
        (String::from_utf8_lossy(&out).into_owned(), result.map(|_| ()))
    }

    /// The output of a line that must succeed.
    fn ok(&mut self, line: &str) -> String {
        let (out, result) = self.run(line, Format::Text);
        if let Err(error) = result {
            panic!("{line}: {error}");
        }
        out
    }

    /// The message of a line that must fail, and its hint on a line of its own.
    fn fails(&mut self, line: &str) -> String {
        let (out, result) = self.run(line, Format::Text);
        match result {
            Ok(()) => panic!("{line} succeeded: {out}"),
            Err(error) => format!("{error}\n{}", error.hint().unwrap_or_default())
                .trim_end()
                .to_owned(),
        }
    }

    /// The output of a line as JSON.
    fn json(&mut self, line: &str) -> serde_json::Value {
        let (out, result) = self.run(line, Format::Json);
        if let Err(error) = result {
            panic!("{line}: {error}");
        }
        let mut lines = out.lines();
        let value = serde_json::from_str(lines.next().unwrap_or("null")).unwrap();
        assert_eq!(lines.next(), None, "one document to a command");
        value
    }

    /// The next event, without what is the same in all of them.
    fn event(&mut self) -> String {
        let event = self.events.recv_timeout(PATIENCE).unwrap();
        event
            .strip_prefix("WatchedEvent state:SyncConnected ")
            .unwrap()
            .to_owned()
    }
}
