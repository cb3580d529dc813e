//! What lives from one command to the next: the session, where it goes, the history.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::client::{Client, ClientConfig, Event, Servers, SessionState};
use super::error::ShellError;
use super::events::state_name;
use super::path::Chroot;

/// Lines of history that are kept for `redo`.
const HISTORY_MAX: usize = 1000;
/// Lines that `history` shows, as zkCli.
const HISTORY_SHOWN: usize = 11;

/// What is the same for every session of a shell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Session timeout to ask for.
    pub(crate) timeout: Duration,
    /// Whether a server without a quorum will do.
    pub(crate) read_only: bool,
    /// Largest frame in either direction.
    pub(crate) frame_bytes_max: usize,
}

/// Shows events, in whatever way the shell runs. Called on the session's thread.
pub(crate) type Announce = Arc<dyn Fn(&Event, &Chroot) + Send + Sync>;

/// A shell's state.
pub(crate) struct Context {
    settings: Settings,
    servers: Servers,
    chroot: Chroot,
    client: Option<Client>,
    announce: Announce,
    show_events: Arc<AtomicBool>,
    history: Vec<String>,
    /// Lines that were dropped from the front of the history.
    history_start: usize,
}

impl Context {
    /// A shell that starts to connect.
    ///
    /// # Errors
    /// If the machine gives no more threads.
    pub(crate) fn open(settings: Settings, servers: Servers, announce: Announce) -> Result<Self, ShellError> {
        let mut context = Self {
            settings,
            chroot: Chroot::new(servers.chroot.clone()),
            servers,
            client: None,
            announce,
            show_events: Arc::new(AtomicBool::new(true)),
            history: Vec::new(),
            history_start: 0,
        };
        context.start()?;
        Ok(context)
    }

    fn start(&mut self) -> Result<&Client, ShellError> {
        let config = ClientConfig {
            servers: self.servers.servers.clone(),
            timeout: self.settings.timeout,
            read_only: self.settings.read_only,
            frame_bytes_max: self.settings.frame_bytes_max,
        };
        let (announce, show, chroot) = (self.announce.clone(), self.show_events.clone(), self.chroot.clone());
        let client = Client::start(config, move |event| {
            if show.load(Ordering::Relaxed) {
                announce(&event, &chroot);
            }
        })
        .map_err(ShellError::Session)?;
        Ok(self.client.insert(client))
    }

    /// Closes the session, if there is one, and opens another; at the same servers if none are given.
    ///
    /// # Errors
    /// If no server can be reached. Attempts go on.
    pub(crate) fn connect(&mut self, servers: Option<Servers>) -> Result<&Client, ShellError> {
        self.close();
        if let Some(servers) = servers {
            self.chroot = Chroot::new(servers.chroot.clone());
            self.servers = servers;
        }
        let client = self.start()?;
        client.wait_connected()?;
        Ok(client)
    }

    /// Closes the session; whatever is asked of it from now on is refused.
    pub(crate) fn close(&mut self) {
        if let Some(client) = self.client.take() {
            client.close();
        }
    }

    /// The session.
    ///
    /// # Errors
    /// If it was closed.
    pub(crate) fn client(&self) -> Result<&Client, ShellError> {
        self.client.as_ref().ok_or(ShellError::NotConnected)
    }

    pub(crate) const fn chroot(&self) -> &Chroot {
        &self.chroot
    }

    pub(crate) const fn servers(&self) -> &Servers {
        &self.servers
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.as_ref().is_some_and(|client| {
            matches!(
                client.state(),
                SessionState::Connected | SessionState::ConnectedReadOnly
            )
        })
    }

    /// Whether events are shown.
    pub(crate) fn shows_events(&self) -> bool {
        self.show_events.load(Ordering::Relaxed)
    }

    pub(crate) fn show_events(&self, on: bool) {
        self.show_events.store(on, Ordering::Relaxed);
    }

    /// As zkCli's: servers, state, number of the command.
    pub(crate) fn prompt(&self) -> String {
        let state = self
            .client
            .as_ref()
            .map_or("CLOSED", |client| state_name(client.state()));
        format!("[zk: {}({state}) {}] ", self.servers, self.next_number())
    }

    fn next_number(&self) -> usize {
        self.history_start + self.history.len()
    }

    /// Notes a line that was entered.
    pub(crate) fn remember(&mut self, line: &str) {
        self.history.push(line.to_owned());
        if self.history.len() > HISTORY_MAX {
            self.history.remove(0);
            self.history_start += 1;
        }
    }

    /// The line with this number.
    pub(crate) fn line(&self, number: usize) -> Option<&str> {
        let index = number.checked_sub(self.history_start)?;
        self.history.get(index).map(String::as_str)
    }

    /// The last lines with their numbers.
    pub(crate) fn last_lines(&self) -> Vec<(usize, String)> {
        let skipped = self.history.len().saturating_sub(HISTORY_SHOWN);
        self.history
            .iter()
            .enumerate()
            .skip(skipped)
            .map(|(index, line)| (self.history_start + index, line.clone()))
            .collect()
    }
}
