//! One connection, frames in both directions.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use zebu_proto::jute::DecodeError;
use zebu_proto::quorum::election_frame;

/// Read at once, at most; frames are usually some hundred bytes long.
const READ_BYTES: usize = 4 << 10;
/// A buffer that has grown beyond this is given back once it is empty.
const KEPT_BYTES: usize = 64 << 10;

/// A connection whose initial message is over.
pub(super) struct Link {
    socket: TcpStream,
    /// The other end.
    pub(super) address: SocketAddr,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    written: usize,
}

impl Link {
    /// With what was read behind the initial message.
    pub(super) fn new(socket: TcpStream, address: SocketAddr, incoming: Vec<u8>) -> Self {
        Self {
            socket,
            address,
            incoming,
            outgoing: Vec::new(),
            written: 0,
        }
    }

    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Waits until there may be room to write.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Takes what has arrived, without waiting.
    ///
    /// # Errors
    /// If the connection is broken, or closed by the other end: [`io::ErrorKind::UnexpectedEof`].
    pub(super) fn receive(&mut self) -> io::Result<()> {
        self.incoming.reserve(READ_BYTES);
        match self.socket.try_read_buf(&mut self.incoming) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Calls `take` with the next whole frame's payload; `None` if there is none yet.
    ///
    /// # Errors
    /// If its length is impossible.
    pub(super) fn take_frame<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, DecodeError> {
        let Some((payload, taken)) = election_frame(&self.incoming)? else {
            return Ok(None);
        };
        let result = take(payload);
        self.incoming.drain(..taken);
        if self.incoming.is_empty() && self.incoming.capacity() > KEPT_BYTES {
            self.incoming = Vec::new();
        }
        Ok(Some(result))
    }

    /// Whether a frame is on its way out; until it is over there can be no other.
    pub(super) fn is_sending(&self) -> bool {
        self.written < self.outgoing.len()
    }

    /// Begins to send a frame. Another one must not be on its way.
    pub(super) fn begin(&mut self, frame: Vec<u8>) {
        debug_assert!(!self.is_sending(), "frames must not be torn");
        self.outgoing = frame;
        self.written = 0;
    }

    /// Writes as much as there is room for, without waiting.
    ///
    /// # Errors
    /// If the connection is broken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.outgoing.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.socket.try_write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
