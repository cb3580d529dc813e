//! One connection of the closed loop: it keeps a fixed number of requests outstanding.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;

use crate::BenchError;
use crate::session::Session;
use crate::wire::{self, FRAME_BYTES_MAX, LENGTH_BYTES};
use crate::workload::{Op, Requests};

/// Size of the buffer that all connections of a thread read into, one after the other: any one reply fits, whatever of
/// it had come before. A read touches only as much of it as there are replies, so it stays in the cache.
pub(crate) const READ_BUFFER_BYTES: usize = LENGTH_BYTES + 2 * FRAME_BYTES_MAX;

/// A non-blocking connection with its requests on the way.
#[derive(Debug)]
pub(crate) struct Connection {
    index: usize,
    stream: TcpStream,
    server: SocketAddr,
    session_id: i64,
    xid: i32,
    zxid: i64,
    requests: Requests,
    /// How many requests to keep on the way.
    outstanding: usize,
    /// How many may still be sent.
    budget: u64,
    in_flight: VecDeque<InFlight>,
    /// The beginning of a reply whose end has not come yet.
    partial: Vec<u8>,
    /// Requests that are not written yet, from `written` on.
    out: Vec<u8>,
    written: usize,
}

#[derive(Debug)]
struct InFlight {
    xid: i32,
    op: Op,
    /// When the request was made, nanoseconds since the start of the run.
    sent: u64,
}

impl Connection {
    /// Takes over an open session; up to `budget` requests will be sent.
    pub(crate) fn new(
        index: usize,
        session: Session,
        requests: Requests,
        outstanding: usize,
        budget: u64,
    ) -> Result<Self, BenchError> {
        let (stream, server, session_id, xid, zxid) = session.into_parts();
        stream.set_nonblocking(true).map_err(|source| BenchError::Socket {
            connection: index,
            source,
        })?;
        Ok(Self {
            index,
            stream: TcpStream::from_std(stream),
            server,
            session_id,
            xid,
            zxid,
            requests,
            outstanding,
            budget,
            in_flight: VecDeque::with_capacity(outstanding),
            partial: Vec::new(),
            out: Vec::new(),
            written: 0,
        })
    }

    /// The socket, for registration with a poller.
    pub(crate) fn source(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Requests without a reply.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// True when nothing is on the way and nothing will be sent any more.
    pub(crate) fn is_done(&self) -> bool {
        self.budget == 0 && self.in_flight.is_empty()
    }

    /// No further requests.
    pub(crate) fn stop(&mut self) {
        self.budget = 0;
    }

    /// Makes requests until the window is full, and writes as much as the socket takes.
    pub(crate) fn send(&mut self, now: u64) -> Result<(), BenchError> {
        while self.in_flight.len() < self.outstanding && self.budget > 0 {
            // The server echoes any number; only 0 and the negative ones have a meaning.
            self.xid = if self.xid == i32::MAX { 1 } else { self.xid + 1 };
            let op = self.requests.push(&mut self.out, self.xid);
            self.in_flight.push_back(InFlight {
                xid: self.xid,
                op,
                sent: now,
            });
            self.budget -= 1;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.broken(e)),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads until nothing more is there. For each batch of replies `clock` is asked once, and for each reply `done` is
    /// called with the time of its request and that of its batch.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        clock: impl Fn() -> u64,
        mut done: impl FnMut(u64, u64),
    ) -> Result<(), BenchError> {
        loop {
            let kept = self.partial.len();
            buffer[..kept].copy_from_slice(&self.partial);
            let filled = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => {
                    return Err(BenchError::Closed {
                        connection: self.index,
                        outstanding: self.in_flight.len(),
                    });
                }
                Ok(bytes) => kept + bytes,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.broken(e)),
            };
            let now = clock();
            let used = self.take_replies(&buffer[..filled], |sent| done(sent, now))?;
            self.partial.clear();
            self.partial.extend_from_slice(&buffer[used..filled]);
            // A stream socket that filled less than was offered is empty: the poller tells when more comes.
            if filled < buffer.len() {
                return Ok(());
            }
        }
    }

    /// Checks every whole reply in `bytes`; tells how many bytes they are.
    fn take_replies(&mut self, bytes: &[u8], mut done: impl FnMut(u64)) -> Result<usize, BenchError> {
        let mut used = 0;
        while let Some(length) = wire::payload_length(&bytes[used..])? {
            let start = used + LENGTH_BYTES;
            let Some(payload) = bytes.get(start..start + length) else {
                break;
            };
            let Some(request) = self.in_flight.pop_front() else {
                let (got, _) = wire::reply_header(payload);
                return Err(wire::ReplyError::Xid { expected: 0, got }.into());
            };
            self.zxid = wire::check_reply(payload, request.xid, self.zxid, self.requests.shape(request.op))?;
            done(request.sent);
            used = start + length;
        }
        Ok(used)
    }

    /// Closes the session in good order. Nothing may be on the way any more.
    pub(crate) fn close(self) -> Result<(), BenchError> {
        let index = self.index;
        let stream = std::net::TcpStream::from(self.stream);
        stream.set_nonblocking(false).map_err(|source| BenchError::Socket {
            connection: index,
            source,
        })?;
        Session::from_parts(stream, self.server, self.session_id, self.xid, self.zxid).close()
    }

    fn broken(&self, source: io::Error) -> BenchError {
        BenchError::Socket {
            connection: self.index,
            source,
        }
    }
}
