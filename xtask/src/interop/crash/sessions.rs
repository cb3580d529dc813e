//! Sessions that come and go: one per round that nobody comes back to, and many that close by themselves.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::interop::client::{Answer, Mode, Op, Session, Ticket, code};

use super::check::Tree;
use super::worker::Complaint;

/// Where the sessions that nobody comes back to have their nodes.
pub(super) const MAYFLIES: &str = "/mayfly";
/// Where the sessions that close have their nodes.
pub(super) const CLOSING: &str = "/closing";
/// Ephemeral nodes of each session.
const NODES: usize = 3;
/// Above what a round takes from the last request to reading back.
const MAYFLY_TIMEOUT_MS: i32 = 3_000;
/// Above the time that a loaded machine adds to an expiry.
const EXPIRY_SLACK: Duration = Duration::from_secs(15);
/// Pause between two looks whether nodes have gone; nothing tells a client without a watch.
const POLL: Duration = Duration::from_millis(50);

/// A session that nobody comes back to: its nodes outlive the server, and go when the next one has waited for it.
#[derive(Debug)]
pub(super) struct Mayfly {
    ticket: Ticket,
    names: Vec<String>,
    last_used: Instant,
}

impl Mayfly {
    /// Opens the session and makes its nodes, all acknowledged.
    pub(super) fn hatch(address: SocketAddr, round: u64) -> Result<Self, Complaint> {
        let failed = |error| format!("a session with ephemeral nodes: {error}");
        let mut session = Session::open(address, MAYFLY_TIMEOUT_MS).map_err(failed)?;
        let names: Vec<String> = (0..NODES).map(|node| format!("{round}-{node}")).collect();
        for name in &names {
            let create = Op::create_as(format!("{MAYFLIES}/{name}"), "", Mode::Ephemeral);
            session.must(&create).map_err(failed)?;
        }
        Ok(Self {
            ticket: session.ticket(),
            names,
            last_used: Instant::now(),
        })
    }

    /// Whether it cannot have expired before the server ended at `ended`.
    pub(super) fn was_alive(&self, ended: Instant) -> bool {
        ended.duration_since(self.last_used) < Self::timeout() / 2
    }

    /// The session's timeout.
    pub(super) fn timeout() -> Duration {
        Duration::from_millis(u64::from(MAYFLY_TIMEOUT_MS.unsigned_abs()))
    }

    /// The nodes must be there, all of them, unless the server that serves has had the time to expire the session.
    pub(super) fn judge(&self, tree: &Tree, started: Instant, read: Instant) -> Result<(), Complaint> {
        if read.duration_since(started) >= Self::timeout() {
            return Ok(());
        }
        let missing = self
            .names
            .iter()
            .find(|name| !tree.contains_key(&format!("{MAYFLIES}/{name}")));
        match missing {
            None => Ok(()),
            Some(name) => Err(format!(
                "{MAYFLIES}/{name} is gone, before its session {:#x} can have expired",
                self.ticket.id
            )),
        }
    }
}

/// Waits until the nodes of all mayflies are gone, and sees that their sessions are.
pub(super) fn await_end(address: SocketAddr, mayflies: &[Mayfly], zxid_seen: i64) -> Result<(), Complaint> {
    let failed = |error| format!("waiting for sessions to expire: {error}");
    let mut session = Session::open(address, 10_000).map_err(failed)?;
    let deadline = Instant::now() + Mayfly::timeout() + EXPIRY_SLACK;
    loop {
        let answer = session.must(&Op::Children(MAYFLIES.to_owned())).map_err(failed)?;
        match answer {
            Answer::Children(names, _) if names.is_empty() => break,
            Answer::Children(names, _) if Instant::now() >= deadline => {
                return Err(format!("{names:?} outlive their sessions"));
            }
            _ => thread::sleep(POLL),
        }
    }
    for mayfly in mayflies {
        let back = Session::renew(address, mayfly.ticket, zxid_seen).map_err(failed)?;
        if back.is_some() {
            return Err(format!(
                "session {:#x} is there though its nodes have expired",
                mayfly.ticket.id
            ));
        }
    }
    session.close().map_err(failed)
}

/// What is known of a session that made nodes and closed.
#[derive(Debug)]
struct Closing {
    prefix: String,
    creates_acknowledged: usize,
    close_acknowledged: bool,
}

/// Sessions that open, make nodes and close, one after the other.
#[derive(Debug, Default)]
pub(super) struct Closings {
    all: Vec<Closing>,
}

impl Closings {
    /// Goes on until the connection breaks.
    pub(super) fn run(address: SocketAddr, round: u64) -> Self {
        let mut closings = Self::default();
        for number in 0..SESSIONS_MAX {
            let mut closing = Closing {
                prefix: format!("{CLOSING}/{round}-{number}-"),
                creates_acknowledged: 0,
                close_acknowledged: false,
            };
            // Whatever breaks here is the end of the server; what was answered before counts.
            let broken = one_session(address, &mut closing).is_none();
            closings.all.push(closing);
            if broken {
                break;
            }
        }
        closings
    }

    /// After an acknowledged close nothing is left; otherwise all that was acknowledged is there, or, if the close was
    /// done, nothing.
    pub(super) fn judge(&self, tree: &Tree) -> Result<(), Complaint> {
        for closing in &self.all {
            let left = tree.keys().filter(|path| path.starts_with(&closing.prefix)).count();
            if closing.close_acknowledged && left > 0 {
                return Err(format!("{}* outlives its closed session", closing.prefix));
            }
            if left > 0 && left < closing.creates_acknowledged {
                return Err(format!("{left} of {}* are left: a close by half", closing.prefix));
            }
            // All are sent at once, so that the close may have been done as soon as the creates were.
        }
        Ok(())
    }
}

/// Bounds the load on a server that nobody kills.
const SESSIONS_MAX: usize = 500;

/// `None` when the connection broke.
fn one_session(address: SocketAddr, closing: &mut Closing) -> Option<()> {
    let mut session = Session::open(address, 10_000).ok()?;
    for node in 0..NODES {
        session.queue(&Op::create_as(format!("{}{node}", closing.prefix), "", Mode::Ephemeral));
    }
    session.queue(&Op::Close);
    session.flush().ok()?;
    for _ in 0..NODES {
        let reply = session.receive().ok()?;
        closing.creates_acknowledged += usize::from(reply.err == code::OK);
    }
    let reply = session.receive().ok()?;
    closing.close_acknowledged = reply.err == code::OK;
    Some(())
}
