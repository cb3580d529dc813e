//! A plain blocking session, for what is not measured: the handshake, making the keys, closing.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::BenchError;
use crate::wire::{self, Frame, ReplyError, Shape};

/// Session timeout that is asked for. Servers cut it to their maximum, 20 ticks; a closed loop sends far more often.
const SESSION_TIMEOUT_MS: i32 = 60_000;

/// How long a blocking read may take. A Java server that collects garbage over a full heap stays well below.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Size of the read buffer.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// A connected socket with an open session.
#[derive(Debug)]
pub struct Session {
    stream: BufReader<TcpStream>,
    server: SocketAddr,
    id: i64,
    xid: i32,
    zxid: i64,
}

impl Session {
    /// Connects and opens a new session.
    ///
    /// # Errors
    /// [`BenchError::Connect`] if there is no connection, [`BenchError::Reply`] if there is no session.
    pub fn open(server: SocketAddr) -> Result<Self, BenchError> {
        let payload = Self::handshake(server).map_err(|source| BenchError::Connect { server, source })?;
        let (stream, payload) = payload;
        let id = wire::session_id(&payload)?;
        Ok(Self::from_parts(stream, server, id, 0, 0))
    }

    fn handshake(server: SocketAddr) -> io::Result<(TcpStream, [u8; wire::CONNECT_RESPONSE_BYTES])> {
        let mut stream = TcpStream::connect_timeout(&server, READ_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.write_all(&wire::connect_request(SESSION_TIMEOUT_MS))?;
        let mut length = [0; wire::LENGTH_BYTES];
        stream.read_exact(&mut length)?;
        if u32::from_be_bytes(length) as usize != wire::CONNECT_RESPONSE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the handshake's answer has an unknown form",
            ));
        }
        let mut payload = [0; wire::CONNECT_RESPONSE_BYTES];
        stream.read_exact(&mut payload)?;
        Ok((stream, payload))
    }

    /// The id that the server gave this session.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Sends the requests that `make` returns, up to `window` at a time, until it returns `None`, and checks all
    /// replies; returns their number.
    ///
    /// `make` appends a request with the given xid to the buffer, or returns `None`. A request that is refused with the
    /// code `tolerated` counts as done.
    ///
    /// # Errors
    /// Any socket error, or the first reply that is not as it must be.
    pub fn pipeline(
        &mut self,
        window: usize,
        shape: Shape,
        tolerated: Option<i32>,
        mut make: impl FnMut(&mut Vec<u8>, i32) -> Option<()>,
    ) -> Result<u64, BenchError> {
        let mut sent = VecDeque::with_capacity(window);
        let mut frames = Vec::new();
        let mut done = 0;
        loop {
            // Half a window at a time, so that one write carries many requests and the server still never waits.
            if sent.len() <= window / 2 {
                frames.clear();
                while sent.len() < window && make(&mut frames, self.xid + 1).is_some() {
                    self.xid += 1;
                    sent.push_back(self.xid);
                }
                self.stream.get_mut().write_all(&frames).map_err(|e| self.broken(e))?;
            }
            let Some(xid) = sent.pop_front() else { return Ok(done) };
            let payload = self.reply()?;
            match wire::check_reply(&payload, xid, self.zxid, shape) {
                Ok(zxid) => self.zxid = zxid,
                Err(ReplyError::Refused { code, .. }) if Some(code) == tolerated => {}
                Err(e) => return Err(e.into()),
            }
            done += 1;
        }
    }

    /// Sends one request and checks its reply.
    fn call(
        &mut self,
        shape: Shape,
        tolerated: Option<i32>,
        make: impl FnOnce(i32) -> Frame,
    ) -> Result<(), BenchError> {
        let mut make = Some(make);
        self.pipeline(1, shape, tolerated, |out, xid| {
            make.take().map(|make| out.extend_from_slice(&make(xid).finish()))
        })?;
        Ok(())
    }

    /// Creates a persistent znode unless it exists already.
    ///
    /// # Errors
    /// As [`Session::pipeline`].
    pub fn ensure(&mut self, path: &str, data: &[u8]) -> Result<(), BenchError> {
        self.call(Shape::Path(path.len()), Some(wire::ERR_NODE_EXISTS), |xid| {
            Frame::request(xid, wire::OP_CREATE).create_body(path, data)
        })
    }

    /// Closes the session and the connection.
    ///
    /// # Errors
    /// As [`Session::pipeline`].
    pub fn close(mut self) -> Result<(), BenchError> {
        self.call(Shape::Empty, None, |xid| Frame::request(xid, wire::OP_CLOSE_SESSION))
    }

    /// The socket and the last xid and zxid seen, for the closed loop to go on with. Nothing is lost with the read
    /// buffer: a server sends only replies here, and each one has been waited for.
    pub(crate) fn into_parts(self) -> (TcpStream, SocketAddr, i64, i32, i64) {
        (self.stream.into_inner(), self.server, self.id, self.xid, self.zxid)
    }

    /// Goes on with what [`Session::into_parts`] gave away. The socket must be blocking again.
    pub(crate) fn from_parts(stream: TcpStream, server: SocketAddr, id: i64, xid: i32, zxid: i64) -> Self {
        Self {
            stream: BufReader::with_capacity(READ_BUFFER_BYTES, stream),
            server,
            id,
            xid,
            zxid,
        }
    }

    fn reply(&mut self) -> Result<Vec<u8>, BenchError> {
        let mut length = [0; wire::LENGTH_BYTES];
        self.stream.read_exact(&mut length).map_err(|e| self.broken(e))?;
        let bytes = wire::payload_length(&length)?.unwrap_or(0);
        let mut payload = vec![0; bytes];
        self.stream.read_exact(&mut payload).map_err(|e| self.broken(e))?;
        Ok(payload)
    }

    fn broken(&self, source: io::Error) -> BenchError {
        BenchError::Connect {
            server: self.server,
            source,
        }
    }
}
