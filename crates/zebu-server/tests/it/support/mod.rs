//! A client of the wire protocol over a plain socket, for tests.

pub(crate) mod ports;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What waits longer than this is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Operation codes.
pub(crate) mod op {
    pub(crate) const CREATE: i32 = 1;
    pub(crate) const EXISTS: i32 = 3;
    pub(crate) const GET_DATA: i32 = 4;
    pub(crate) const SET_DATA: i32 = 5;
    pub(crate) const GET_CHILDREN: i32 = 8;
    pub(crate) const SYNC: i32 = 9;
    pub(crate) const PING: i32 = 11;
    pub(crate) const MULTI: i32 = 14;
    pub(crate) const RECONFIG: i32 = 16;
    pub(crate) const ADD_WATCH: i32 = 106;
    pub(crate) const WHO_AM_I: i32 = 107;
    pub(crate) const CLOSE_SESSION: i32 = -11;
}

/// A reply: its header and what follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) xid: i32,
    pub(crate) zxid: i64,
    pub(crate) err: i32,
    pub(crate) body: Vec<u8>,
}

/// What a client asks for when it connects.
#[derive(Clone)]
pub(crate) struct Handshake {
    pub(crate) last_zxid_seen: i64,
    pub(crate) timeout_ms: i32,
    /// New if it is 0.
    pub(crate) session: i64,
    pub(crate) password: Vec<u8>,
    pub(crate) may_be_read_only: bool,
}

impl Handshake {
    /// A new session.
    pub(crate) fn new(timeout_ms: i32) -> Self {
        Self {
            last_zxid_seen: 0,
            timeout_ms,
            session: 0,
            password: vec![0; 16],
            may_be_read_only: false,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut request = Vec::new();
        request.extend(0i32.to_be_bytes());
        request.extend(self.last_zxid_seen.to_be_bytes());
        request.extend(self.timeout_ms.to_be_bytes());
        request.extend(self.session.to_be_bytes());
        request.extend(buffer(&self.password));
        request.push(u8::from(self.may_be_read_only));
        request
    }
}

/// A connection.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    /// 0 if the server knows of no such session.
    pub(crate) session: i64,
    pub(crate) password: Vec<u8>,
    /// What the server gave.
    pub(crate) timeout_ms: i32,
    pub(crate) is_read_only: bool,
    xid: i32,
}

/// Connects without saying anything.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Sends a four-letter word and reads the answer to its end.
pub(crate) fn word(address: SocketAddr, word: &[u8]) -> String {
    let mut socket = connect(address);
    socket.write_all(word).unwrap();
    read_all(&mut socket)
}

/// The same as netcat does it: closes its sending side at once.
pub(crate) fn half_closed_word(address: SocketAddr, word: &[u8]) -> String {
    let mut socket = connect(address);
    socket.write_all(word).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    read_all(&mut socket)
}

pub(crate) fn read_all(socket: &mut TcpStream) -> String {
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits for something that another thread is about to bring about.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::yield_now();
    }
}

impl Client {
    /// A new session.
    pub(crate) fn new(address: SocketAddr, timeout_ms: i32) -> Self {
        Self::with_session(address, timeout_ms, 0, &[0; 16]).expect("the server closed the connection")
    }

    /// A client with a new session, if the server is there and serves.
    pub(crate) fn try_new(address: SocketAddr, timeout_ms: i32) -> Option<Self> {
        TcpStream::connect(address).ok()?;
        Self::shake_hands(address, &Handshake::new(timeout_ms))
    }

    /// A session, new if it is 0. `None` if the server closes the connection.
    pub(crate) fn with_session(address: SocketAddr, timeout_ms: i32, session: i64, password: &[u8]) -> Option<Self> {
        let handshake = Handshake {
            session,
            password: password.to_vec(),
            ..Handshake::new(timeout_ms)
        };
        Self::shake_hands(address, &handshake)
    }

    /// A session as it is asked for. `None` if the server closes the connection.
    pub(crate) fn shake_hands(address: SocketAddr, handshake: &Handshake) -> Option<Self> {
        let mut client = Self {
            socket: connect(address),
            session: 0,
            password: Vec::new(),
            timeout_ms: 0,
            is_read_only: false,
            xid: 0,
        };
        client.socket.write_all(&buffer(&handshake.encode())).ok()?;
        let response = client.frame()?;
        client.timeout_ms = i32::from_be_bytes(response[4..8].try_into().unwrap());
        client.session = i64::from_be_bytes(response[8..16].try_into().unwrap());
        client.password = response[20..36].to_vec();
        client.is_read_only = response[36] == 1;
        Some(client)
    }

    /// Connects to another server, or once more to the same, and goes on with the session. Its requests have other numbers
    /// than those that are sent here, as with most clients.
    pub(crate) fn renew(&self, address: SocketAddr) -> Option<Self> {
        let mut renewed = Self::with_session(address, self.timeout_ms, self.session, &self.password)?;
        renewed.xid = self.xid + 1000;
        Some(renewed)
    }

    /// The next frame; `None` if the server closed the connection.
    pub(crate) fn frame(&mut self) -> Option<Vec<u8>> {
        let mut len = [0; 4];
        let mut read = |bytes: &mut [u8]| match self.socket.read_exact(bytes) {
            Ok(()) => true,
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => false,
            Err(error) => panic!("{error}"),
        };
        if !read(&mut len) {
            return None;
        }
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        read(&mut frame).then_some(frame)
    }

    /// Sends a request and returns its number.
    pub(crate) fn send(&mut self, op: i32, body: &[u8]) -> i32 {
        self.send_together(&[(op, body)])[0]
    }

    /// Sends a request to a server that may have ended.
    pub(crate) fn try_send(&mut self, op: i32, body: &[u8]) -> std::io::Result<()> {
        self.xid += 1;
        let frame = [&self.xid.to_be_bytes()[..], &op.to_be_bytes(), body].concat();
        self.socket.write_all(&buffer(&frame))
    }

    /// Sends requests in one write and returns their numbers.
    pub(crate) fn send_together(&mut self, requests: &[(i32, &[u8])]) -> Vec<i32> {
        let mut bytes = Vec::new();
        let mut xids = Vec::new();
        for (op, body) in requests {
            self.xid += 1;
            let xid = if *op == op::PING { -2 } else { self.xid };
            let frame = [&xid.to_be_bytes()[..], &op.to_be_bytes(), body].concat();
            bytes.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
            bytes.extend(frame);
            xids.push(xid);
        }
        self.socket.write_all(&bytes).unwrap();
        xids
    }

    /// The next reply; events are passed over. `None` if the server closed the connection.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        loop {
            let frame = self.frame()?;
            let reply = Reply {
                xid: i32::from_be_bytes(frame[..4].try_into().unwrap()),
                zxid: i64::from_be_bytes(frame[4..12].try_into().unwrap()),
                err: i32::from_be_bytes(frame[12..16].try_into().unwrap()),
                body: frame[16..].to_vec(),
            };
            if reply.xid != -1 {
                return Some(reply);
            }
        }
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn call(&mut self, op: i32, body: &[u8]) -> Reply {
        let xid = self.send(op, body);
        let reply = self.reply().expect("the server closed the connection");
        assert_eq!(reply.xid, xid);
        reply
    }

    /// Makes a node, which must succeed.
    pub(crate) fn create(&mut self, path: &str, data: &[u8], flags: i32) {
        let reply = self.call(op::CREATE, &create(path, data, flags));
        assert_eq!(reply.err, 0, "create {path}");
    }
}

/// A string as jute writes it.
pub(crate) fn string(text: &str) -> Vec<u8> {
    buffer(text.as_bytes())
}

/// A buffer as jute writes it.
pub(crate) fn buffer(bytes: &[u8]) -> Vec<u8> {
    let mut out = i32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend(bytes);
    out
}

/// The body of a create that everybody may use.
pub(crate) fn create(path: &str, data: &[u8], flags: i32) -> Vec<u8> {
    let mut body = string(path);
    body.extend(buffer(data));
    body.extend(1i32.to_be_bytes());
    body.extend(31i32.to_be_bytes());
    body.extend(string("world"));
    body.extend(string("anyone"));
    body.extend(flags.to_be_bytes());
    body
}

/// The body of a read that sets a watch.
pub(crate) fn watch(path: &str) -> Vec<u8> {
    let mut body = string(path);
    body.push(1);
    body
}

/// The body of a setData of any version.
pub(crate) fn set_data(path: &str, data: &[u8]) -> Vec<u8> {
    let mut body = string(path);
    body.extend(buffer(data));
    body.extend((-1i32).to_be_bytes());
    body
}

/// The body of a read that sets no watch.
pub(crate) fn path(path: &str) -> Vec<u8> {
    let mut body = string(path);
    body.push(0);
    body
}
