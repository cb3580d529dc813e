//! The well-behaved client.

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use zebu_proto::client::{ConnectResponse, ReplyHeader};
use zebu_proto::jute::Reader;

use crate::wire;

/// Short enough that a server that is held up would let the session go.
const SESSION_TIMEOUT_MS: i32 = 10_000;
/// Slower than this is disturbed: the session would soon be in danger. Most of the time goes to the attackers, thousands of
/// tasks on one core, and to serving them; an optimized server answers within a tenth of it.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// Between two rounds: the witness is a client, not a load.
const PAUSE: Duration = Duration::from_millis(2);

/// Length of the name of the node that the witness writes to: an event holds it, and sockets hold many short ones.
const HOT_BYTES: usize = 2000;
/// A node with as much data as there may be.
pub(crate) const LARGE: &str = "/large";
pub(crate) const LARGE_BYTES: usize = 1_000_000;
/// A node with 1 KB.
pub(crate) const SMALL: &str = "/s";

/// The node that the witness writes to.
pub(crate) fn hot() -> String {
    format!("/{}", "h".repeat(HOT_BYTES))
}

/// A client that works in a thread of its own.
pub(crate) struct Witness {
    thread: JoinHandle<Report>,
    stop: Arc<AtomicBool>,
    rounds: watch::Receiver<u64>,
}

/// What the witness has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) slowest: Duration,
}

impl Witness {
    /// Connects, makes the nodes, and begins to work.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let mut client = Client::connect(address);
        client.create(&client.hot.clone(), b"0");
        client.create(LARGE, &vec![7; LARGE_BYTES]);
        client.create(SMALL, &[7; 1024]);
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, rounds) = watch::channel(0);
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut round = 0_u64;
            while !stopped.load(Ordering::Relaxed) {
                round += 1;
                client.round(round);
                sender.send_replace(round);
                thread::sleep(PAUSE);
            }
            client.end();
            client.report
        });
        Self { thread, stop, rounds }
    }

    /// Counts the rounds of the witness.
    pub(crate) fn rounds(&self) -> watch::Receiver<u64> {
        self.rounds.clone()
    }

    /// Lets the witness close its session, and returns what it has seen. Panics if anything went wrong with it.
    pub(crate) fn finish(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the witness was served")
    }
}

impl Report {
    /// Whether any answer took so long that a client would notice.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.slowest > ANSWER_WITHIN
    }
}

struct Client {
    stream: TcpStream,
    hot: String,
    xid: i32,
    report: Report,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a server that listens");
        stream.set_nodelay(true).expect("a socket");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a socket");
        let mut client = Self {
            stream,
            hot: hot(),
            xid: 0,
            report: Report {
                requests: 0,
                slowest: Duration::ZERO,
            },
        };
        client
            .stream
            .write_all(&wire::connect(SESSION_TIMEOUT_MS))
            .expect("an open connection");
        let response = ConnectResponse::decode(&client.frame()).expect("the answer to a handshake");
        assert!(response.timeout_ms > 0, "a session");
        client
    }

    fn frame(&mut self) -> Vec<u8> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).expect("the witness is answered");
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut frame).expect("the witness is answered");
        frame
    }

    /// One request and its reply, which must be a success.
    fn call(&mut self, encode: impl FnOnce(&mut Vec<u8>, i32)) -> Vec<u8> {
        self.xid += 1;
        let mut bytes = Vec::new();
        encode(&mut bytes, self.xid);
        let start = Instant::now();
        self.stream.write_all(&bytes).expect("an open connection");
        let reply = self.frame();
        self.report.slowest = self.report.slowest.max(start.elapsed());
        self.report.requests += 1;
        let mut reader = Reader::new(&reply);
        let header = ReplyHeader::decode(&mut reader).expect("a reply");
        assert_eq!((header.xid.0, header.err), (self.xid, 0));
        reader.rest().to_vec()
    }

    fn create(&mut self, path: &str, data: &[u8]) {
        self.call(|out, xid| wire::create(out, xid, path, data));
    }

    /// Writes and reads back; now and then something large.
    fn round(&mut self, round: u64) {
        let text = round.to_string();
        let hot = self.hot.clone();
        self.call(|out, xid| wire::set_data(out, xid, &hot, text.as_bytes()));
        let found = self.call(|out, xid| wire::get_data(out, xid, &hot));
        let found = Reader::new(&found).buffer("data").expect("data");
        assert_eq!(found, Some(text.as_bytes()));
        if round.is_multiple_of(32) {
            let found = self.call(|out, xid| wire::get_data(out, xid, LARGE));
            assert!(found.len() > LARGE_BYTES);
        }
    }

    fn end(&mut self) {
        self.call(|out, xid| {
            wire::frame(out, |out| {
                use zebu_proto::jute::Write;
                out.int(xid);
                out.int(zebu_proto::OpCode::CloseSession.code());
            });
        });
    }
}
