//! A small blocking client for suites that must know more than a client library tells: every reply's zxid, what was
//! sent but never answered, sessions whose socket just goes away.
//!
//! It is written from the protocol's record definitions alone and shares no code with zebu: a fault of zebu's codec
//! cannot hide in it. [`Session`] is the connection, [`request`] the records.

pub mod request;
mod wire;

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub use request::{Acl, Answer, Event, Mode, Op, Stat};
use wire::{Reader, Writer};

/// A server that does not answer for so long hangs; the slowest answer on a loaded machine waits for a few fsyncs.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Largest frame that is believed.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// Error codes of the protocol that suites expect.
pub mod code {
    /// Success.
    pub const OK: i32 = 0;
    /// In a multi: not tried, because an element before it failed.
    pub const RUNTIME_INCONSISTENCY: i32 = -2;
    /// The node is not there.
    pub const NO_NODE: i32 = -101;
    /// The version is another.
    pub const BAD_VERSION: i32 = -103;
    /// The parent is ephemeral.
    pub const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
    /// The node is there already.
    pub const NODE_EXISTS: i32 = -110;
    /// The node has children.
    pub const NOT_EMPTY: i32 = -111;
    /// The session is over.
    pub const SESSION_EXPIRED: i32 = -112;
    /// The session has gone on at another server.
    pub const SESSION_MOVED: i32 = -118;
}

/// A reply as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which request it answers.
    pub xid: i32,
    /// The last transaction that the server had applied.
    pub zxid: i64,
    /// 0 or an error code.
    pub err: i32,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// What a client must keep to come back to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The session.
    pub id: i64,
    /// Its password.
    pub password: [u8; 16],
    /// Timeout in milliseconds that the server granted.
    pub timeout_ms: i32,
}

/// A connection with an open session. Dropping it closes the socket and leaves the session to time out.
///
/// Nothing is sent by itself: a session that shall live must be used.
#[derive(Debug)]
pub struct Session {
    stream: BufReader<TcpStream>,
    ticket: Ticket,
    next_xid: i32,
    out: Vec<u8>,
}

impl Session {
    /// Opens a new session.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn open(address: SocketAddr, timeout_ms: i32) -> io::Result<Self> {
        Self::open_within(address, timeout_ms, ANSWER_WITHIN)
    }

    /// As [`Session::open`], for a client that takes a server for dead that does not answer `within` this time, now or
    /// later.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_within(address: SocketAddr, timeout_ms: i32, within: Duration) -> io::Result<Self> {
        let nobody = Ticket {
            id: 0,
            password: [0; 16],
            timeout_ms,
        };
        Self::connect(address, nobody, 0, within)?.ok_or_else(|| io::Error::other("the server granted no session"))
    }

    /// Comes back to a session, as a client that has seen `zxid_seen`; `None` when the server says that it is over.
    ///
    /// # Errors
    /// When the server cannot be reached, or hangs up: it does so on a client that has seen more than it has.
    pub fn renew(address: SocketAddr, ticket: Ticket, zxid_seen: i64) -> io::Result<Option<Self>> {
        Self::connect(address, ticket, zxid_seen, ANSWER_WITHIN)
    }

    /// As [`Session::renew`], for a client that takes a server for dead that does not answer `within` this time, now or
    /// later.
    ///
    /// # Errors
    /// As [`Session::renew`].
    pub fn renew_within(
        address: SocketAddr,
        ticket: Ticket,
        zxid_seen: i64,
        within: Duration,
    ) -> io::Result<Option<Self>> {
        Self::connect(address, ticket, zxid_seen, within)
    }

    fn connect(address: SocketAddr, wanted: Ticket, zxid_seen: i64, within: Duration) -> io::Result<Option<Self>> {
        let socket = TcpStream::connect_timeout(&address, within)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(within))?;
        socket.set_write_timeout(Some(within))?;
        let mut frame = Writer::default();
        frame.int(0);
        frame.long(zxid_seen);
        frame.int(wanted.timeout_ms);
        frame.long(wanted.id);
        frame.buffer(Some(&wanted.password));
        frame.boolean(false);
        let mut session = Self {
            stream: BufReader::with_capacity(64 << 10, socket),
            ticket: wanted,
            next_xid: 1,
            out: frame.finish(),
        };
        session.flush()?;
        let payload = session.frame()?;
        let mut reader = Reader::new(&payload);
        reader.int()?;
        let timeout_ms = reader.int()?;
        let id = reader.long()?;
        let password = reader.buffer()?.unwrap_or_default();
        if id == 0 || timeout_ms <= 0 {
            return Ok(None);
        }
        let password = <[u8; 16]>::try_from(password).map_err(|_| bad("a password that is not of 16 bytes"))?;
        session.ticket = Ticket {
            id,
            password,
            timeout_ms,
        };
        Ok(Some(session))
    }

    /// What is needed to come back.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Puts a request behind those that wait to be written, and returns its xid.
    pub fn queue(&mut self, op: &Op) -> i32 {
        let xid = match op {
            Op::Auth { .. } => -4,
            Op::Ping => -2,
            Op::SetWatches { .. } => -8,
            _ => self.next_xid,
        };
        self.next_xid += 1;
        let mut frame = Writer::default();
        op.encode(xid, &mut frame);
        self.out.extend_from_slice(&frame.finish());
        xid
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.out);
        self.stream.get_mut().write_all(&bytes)
    }

    /// The next reply, or an event ([`Event::of`]) if watches were set.
    ///
    /// # Errors
    /// When the connection is gone, or nothing comes within 30 seconds (`WouldBlock` or `TimedOut`).
    pub fn receive(&mut self) -> io::Result<Reply> {
        let payload = self.frame()?;
        let mut reader = Reader::new(&payload);
        Ok(Reply {
            xid: reader.int()?,
            zxid: reader.long()?,
            err: reader.int()?,
            body: reader.rest().to_vec(),
        })
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// As [`Session::receive`], or when the reply is of another request or cannot be read.
    pub fn call(&mut self, op: &Op) -> io::Result<(Reply, Answer)> {
        let xid = self.queue(op);
        self.flush()?;
        let reply = self.receive()?;
        if reply.xid != xid {
            return Err(bad(&format!("xid {} in place of {xid}", reply.xid)));
        }
        let answer = op.answer(&reply)?;
        Ok((reply, answer))
    }

    /// As [`Session::call`]; an error code is an error.
    ///
    /// # Errors
    /// As [`Session::call`], or when the server refuses the request.
    pub fn must(&mut self, op: &Op) -> io::Result<Answer> {
        let (reply, answer) = self.call(op)?;
        match (reply.err, answer.multi_failure()) {
            (code::OK, None) => Ok(answer),
            (err, None) => Err(bad(&format!("error {err} for {op:?}"))),
            (_, Some(err)) => Err(bad(&format!("error {err} in {op:?}"))),
        }
    }

    /// Sends many requests at once and gives back their answers in order.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn call_all(&mut self, ops: &[Op]) -> io::Result<Vec<(Reply, Answer)>> {
        // Enough to keep the server busy, little enough to fit the buffers of both sockets.
        const AT_ONCE: usize = 64;
        let mut answers = Vec::with_capacity(ops.len());
        for chunk in ops.chunks(AT_ONCE) {
            let xids: Vec<i32> = chunk.iter().map(|op| self.queue(op)).collect();
            self.flush()?;
            for (op, xid) in chunk.iter().zip(xids) {
                let reply = self.receive()?;
                if reply.xid != xid {
                    return Err(bad(&format!("xid {} in place of {xid}", reply.xid)));
                }
                let answer = op.answer(&reply)?;
                answers.push((reply, answer));
            }
        }
        Ok(answers)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub fn close(mut self) -> io::Result<()> {
        self.must(&Op::Close).map(|_| ())
    }

    fn frame(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(|_| bad("a frame of negative length"))?;
        if length > FRAME_BYTES_MAX {
            return Err(bad(&format!("a frame of {length} bytes")));
        }
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }
}

/// Whether an error says that the other side hung, rather than that it went away.
pub fn is_hang(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Whether an error says that the other side sent something that cannot be, rather than that it went away.
pub fn is_nonsense(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// The server sent something that cannot be.
fn bad(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
