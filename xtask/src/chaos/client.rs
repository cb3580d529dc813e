//! A client with one session at a time, which it carries from server to server, and which writes down everything.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::history::{Outcome, Record, Recorder, Request};
use crate::interop::client::{Op, Session, Ticket, is_nonsense};
use crate::random::Random;

/// Timeout of sessions: short, so that some expire during a fault and others outlive it.
pub(crate) const SESSION_TIMEOUT_MS: i32 = 4000;
/// A client gives a server up after a third of its session's timeout, as ZooKeeper's own clients do.
const PATIENCE: Duration = Duration::from_millis(1300);
/// Pause after a server that would not have the client.
const BEFORE_NEXT: Duration = Duration::from_millis(30);

/// What all clients of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// When the run began.
    pub(crate) start: Instant,
    /// Client ports by server.
    pub(crate) servers: Vec<(u8, SocketAddr)>,
    /// Set when clients shall end.
    pub(crate) stop: AtomicBool,
}

impl Shared {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether clients shall end.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    id: u32,
    shared: &'a Shared,
    recorder: Recorder,
    pub(crate) random: Random,
    connection: Option<Connection>,
    connections: u32,
    ticket: Option<Ticket>,
    zxid_seen: i64,
    values: u32,
    /// Sessions that servers said were over.
    expired: u32,
    /// Sessions that were left to expire.
    abandoned: u32,
    /// Answers that cannot be, in words.
    complaints: Vec<String>,
}

/// What is left of a client at the end, beside its history.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// Sessions that servers said were over.
    pub(crate) expired: u32,
    /// Sessions that were left to expire.
    pub(crate) abandoned: u32,
    /// Answers that cannot be: unreadable, or to another request than the one whose turn it was.
    pub(crate) complaints: Vec<String>,
}

#[derive(Debug)]
struct Connection {
    session: Session,
    server: u8,
    number: u32,
}

impl<'a> Client<'a> {
    /// A client that is not connected yet and writes its history to a file named by its id.
    pub(crate) fn new(id: u32, shared: &'a Shared, folder: &Path, random: Random) -> Result<Self> {
        Ok(Self {
            id,
            shared,
            recorder: Recorder::create(&folder.join(format!("history-{id}.jsonl")))?,
            random,
            connection: None,
            connections: 0,
            ticket: None,
            zxid_seen: 0,
            values: 0,
            expired: 0,
            abandoned: 0,
            complaints: Vec::new(),
        })
    }

    /// Data that no other request carries.
    pub(crate) fn value(&mut self) -> String {
        self.values += 1;
        format!("{}-{}", self.id, self.values)
    }

    /// Whether a node with this name was made by this client.
    pub(crate) fn made(&self, name: &str) -> bool {
        name.split('-').next() == Some(&self.id.to_string())
    }

    /// The session's id, if there is one.
    pub(crate) fn session(&self) -> Option<i64> {
        self.ticket.map(|ticket| ticket.id)
    }

    /// Connects to a random server unless connected: to the old session if that is not over. `false` when the run ended
    /// first.
    pub(crate) fn connect(&mut self) -> bool {
        while self.connection.is_none() {
            if self.shared.is_over() {
                return false;
            }
            let (server, address) = *self.random.pick(&self.shared.servers);
            self.connect_to(server, address);
            if self.connection.is_none() {
                thread::sleep(BEFORE_NEXT);
            }
        }
        true
    }

    /// One try to connect to this server.
    pub(crate) fn connect_to(&mut self, server: u8, address: SocketAddr) {
        let connected = match self.ticket {
            None => {
                self.zxid_seen = 0;
                Session::open_within(address, SESSION_TIMEOUT_MS, PATIENCE).map(Some)
            }
            Some(ticket) => Session::renew_within(address, ticket, self.zxid_seen, PATIENCE),
        };
        match connected {
            Ok(Some(session)) => {
                self.connections += 1;
                self.ticket = Some(session.ticket());
                self.connection = Some(Connection {
                    session,
                    server,
                    number: self.connections,
                });
            }
            Ok(None) => {
                self.ticket = None;
                self.expired += 1;
            }
            // Whoever does not answer or hangs up is tried again later.
            Err(_) => {}
        }
    }

    /// Hangs up; the session stays.
    pub(crate) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Forgets the session, which will expire.
    pub(crate) fn abandon(&mut self) {
        self.connection = None;
        self.abandoned += u32::from(self.ticket.take().is_some());
    }

    /// Sends these requests at once and says what came of each, in order. `None` when the run ended before they were
    /// sent.
    pub(crate) fn call(&mut self, requests: &[Request]) -> Result<Option<Vec<Outcome>>> {
        if !self.connect() {
            return Ok(None);
        }
        let (Some(mut connection), Some(ticket)) = (self.connection.take(), self.ticket) else {
            return Ok(None);
        };
        let ops: Vec<Op> = requests.iter().map(Request::op).collect();
        let sent_ns = self.shared.now_ns();
        let mut broken = false;
        let mut xids = Vec::new();
        for op in &ops {
            xids.push(connection.session.queue(op));
        }
        // Part of it may have gone out all the same; the answers decide.
        broken |= connection.session.flush().is_err();
        let mut outcomes = Vec::new();
        for ((request, op), xid) in requests.iter().zip(&ops).zip(xids) {
            let outcome = if broken {
                Outcome::Unknown
            } else {
                receive(&mut connection.session, op, xid).unwrap_or_else(|complaint| {
                    let seconds = self.shared.start.elapsed().as_secs_f64();
                    self.complaints.push(format!(
                        "{seconds:.6} client {} session {:#x} server {}: {complaint}",
                        self.id, ticket.id, connection.server
                    ));
                    Outcome::Unknown
                })
            };
            // After these nothing comes any more, or nothing that could be trusted to be in order.
            broken |= matches!(outcome, Outcome::Unknown | Outcome::Rejected { .. });
            self.zxid_seen = self.zxid_seen.max(outcome.zxid().unwrap_or(0));
            self.recorder.add(&Record {
                client: self.id,
                connection: connection.number,
                session: ticket.id,
                server: connection.server,
                sent_ns,
                returned_ns: self.shared.now_ns(),
                request: request.clone(),
                outcome: outcome.clone(),
            })?;
            outcomes.push(outcome);
        }
        let closed = requests.last() == Some(&Request::Close);
        if closed && !broken {
            self.ticket = None;
        }
        if !closed && !broken {
            self.connection = Some(connection);
        }
        Ok(Some(outcomes))
    }

    /// Ends the session if there is one and `deadline` allows it; one that cannot be ended is left to expire.
    pub(crate) fn close(&mut self, deadline: Instant) -> Result<()> {
        while self.ticket.is_some() && Instant::now() < deadline {
            for (server, address) in &self.shared.servers {
                if self.connection.is_none() && self.ticket.is_some() {
                    self.connect_to(*server, *address);
                }
            }
            if self.connection.is_none() {
                thread::sleep(BEFORE_NEXT);
                continue;
            }
            self.call(&[Request::Close])?;
        }
        Ok(())
    }

    /// Writes the rest of the history.
    pub(crate) fn finish(self) -> Result<Remains> {
        self.recorder.finish()?;
        Ok(Remains {
            expired: self.expired,
            abandoned: self.abandoned,
            complaints: self.complaints,
        })
    }
}

/// What came of the request whose answer is next.
///
/// # Errors
/// When what comes is no answer to it, in words.
fn receive(session: &mut Session, op: &Op, xid: i32) -> Result<Outcome, String> {
    let reply = match session.receive() {
        Ok(reply) => reply,
        Err(error) if is_nonsense(&error) => return Err(error.to_string()),
        Err(_) => return Ok(Outcome::Unknown),
    };
    if reply.xid != xid {
        return Err(format!(
            "request {} is answered in place of {xid}, which is {op:?}",
            reply.xid
        ));
    }
    Outcome::of(op, &reply).map_err(|error| format!("{error}: the answer to {op:?}"))
}
