//! A session that is carried from server to server, as a client library does it.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::interop::client::{Answer, Op, Reply, Session, Ticket, code, is_nonsense};

/// Pause after a server that would not have the client.
const BEFORE_NEXT: Duration = Duration::from_millis(30);
/// No ensemble is without a leader for so long.
const SERVED_WITHIN: Duration = Duration::from_secs(60);

/// One session, connected or not.
#[derive(Debug)]
pub(super) struct Roaming {
    servers: Vec<SocketAddr>,
    /// Index of the server it is or was at.
    at: usize,
    timeout_ms: i32,
    session: Option<Session>,
    ticket: Option<Ticket>,
    zxid_seen: i64,
    /// When a connection was lost without having been given up.
    lost: Vec<Instant>,
}

impl Roaming {
    /// A session of this timeout, to be opened at the server with this index.
    pub(super) fn new(servers: &[SocketAddr], at: usize, timeout_ms: i32) -> Self {
        Self {
            servers: servers.to_vec(),
            at: at % servers.len(),
            timeout_ms,
            session: None,
            ticket: None,
            zxid_seen: 0,
            lost: Vec::new(),
        }
    }

    /// What is needed to come back to the session; `None` before it is opened.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        self.ticket
    }

    /// Index of the server it is or was at.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The highest zxid that a reply carried.
    pub(super) fn zxid_seen(&self) -> i64 {
        self.zxid_seen
    }

    /// When connections were lost.
    pub(super) fn lost(&self) -> &[Instant] {
        &self.lost
    }

    /// Gives the connection up, and goes on at the next server.
    pub(super) fn move_on(&mut self) {
        self.session = None;
        self.at = (self.at + 1) % self.servers.len();
    }

    /// Takes note that the connection is lost.
    pub(super) fn lose(&mut self) {
        self.session = None;
        self.lost.push(Instant::now());
    }

    /// Takes note of what a reply says about how far its server is.
    pub(super) fn note(&mut self, reply: &Reply) {
        self.zxid_seen = self.zxid_seen.max(reply.zxid);
    }

    /// The connection, if there is one.
    pub(super) fn connection(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// Connects to some server, to the old session if there is one, unless connected. `true` for a new connection.
    ///
    /// # Errors
    /// When the session is over, or nobody serves for a minute.
    pub(super) fn connect(&mut self) -> Result<bool> {
        // A third of the timeout, as ZooKeeper's own clients do.
        let patience = Duration::from_millis(self.timeout_ms.unsigned_abs().into()) / 3;
        let patience = patience.min(Duration::from_secs(5));
        let deadline = Instant::now() + SERVED_WITHIN;
        let is_new = self.session.is_none();
        while self.session.is_none() {
            let address = self.servers[self.at];
            let connected = match self.ticket {
                None => Session::open_within(address, self.timeout_ms, patience).map(Some),
                Some(ticket) => Session::renew_within(address, ticket, self.zxid_seen, patience),
            };
            match connected {
                Ok(Some(session)) => {
                    self.ticket = Some(session.ticket());
                    self.session = Some(session);
                }
                Ok(None) => bail!("{address} says that the session is over"),
                Err(error) => {
                    ensure!(Instant::now() < deadline, "nobody serves; {address}: {error}");
                    self.at = (self.at + 1) % self.servers.len();
                    thread::sleep(BEFORE_NEXT);
                }
            }
        }
        Ok(is_new)
    }

    /// Sends one request; `None` when its answer is lost, and the connection with it.
    ///
    /// # Errors
    /// As [`Roaming::connect`], or when the answer cannot be.
    pub(super) fn call(&mut self, op: &Op) -> Result<Option<(Reply, Answer)>> {
        self.connect()?;
        let mut session = self.session.take().context("not connected after connecting")?;
        match session.call(op) {
            Ok((reply, _)) if reply.err == code::SESSION_EXPIRED => bail!("the session has expired"),
            Ok((reply, answer)) if reply.err != code::SESSION_MOVED => {
                self.note(&reply);
                self.session = Some(session);
                Ok(Some((reply, answer)))
            }
            Err(error) if is_nonsense(&error) => Err(error).with_context(|| format!("the answer to {op:?}")),
            Ok(_) | Err(_) => {
                self.lose();
                Ok(None)
            }
        }
    }

    /// Asks until there is an answer: for what may be asked twice.
    ///
    /// # Errors
    /// As [`Roaming::call`].
    pub(super) fn ask(&mut self, op: &Op) -> Result<(Reply, Answer)> {
        loop {
            if let Some(answered) = self.call(op)? {
                return Ok(answered);
            }
        }
    }

    /// Reads behind a sync, on one connection.
    ///
    /// # Errors
    /// As [`Roaming::call`].
    pub(super) fn ask_fresh(&mut self, op: &Op) -> Result<(Reply, Answer)> {
        loop {
            // A new connection may be to a server that is behind again, so no answer may be lost in between.
            if self.call(&Op::Sync("/".to_owned()))?.is_some()
                && let Some(answered) = self.call(op)?
            {
                return Ok(answered);
            }
        }
    }
}
