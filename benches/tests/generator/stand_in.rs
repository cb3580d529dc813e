//! Something that answers like a server as far as the generator can see: every read finds 50 bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// What it does wrong, from the 100th read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Answers with another xid.
    WrongXid,
    /// Answers with NoNode.
    ErrorCode,
    /// Answers with a byte less than was written.
    ShortData,
    /// Closes the connection.
    Close,
}

#[derive(Debug, Default)]
struct Counts {
    creates: AtomicU64,
    gets: AtomicU64,
    stop: AtomicBool,
}

/// A listener with a thread, and a thread per connection.
#[derive(Debug)]
pub(crate) struct StandIn {
    address: SocketAddr,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    pub(crate) fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let counts = Arc::clone(&shared);
                // A connection that breaks has nothing more to answer; the generator says what it missed.
                thread::spawn(move || serve(stream.unwrap(), &counts, fault));
            }
        });
        Self {
            address,
            counts,
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Creates so far, each one in a multi counted.
    pub(crate) fn creates(&self) -> u64 {
        self.counts.creates.load(Ordering::Relaxed)
    }

    /// Reads so far.
    pub(crate) fn gets(&self) -> u64 {
        self.counts.gets.load(Ordering::Relaxed)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::Relaxed);
        // The listener looks at the flag when somebody comes.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(mut stream: TcpStream, counts: &Counts, fault: Fault) -> Option<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    if &length == b"srvr" {
        return stream.write_all(b"Zookeeper version: none\nMode: standalone\n").ok();
    }
    read_payload(&mut stream, length)?;
    let mut granted = vec![0; 37];
    granted[15] = 1; // session id 1
    granted[19] = 16; // length of the password
    send(&mut stream, &granted)?;
    loop {
        stream.read_exact(&mut length).ok()?;
        let request = read_payload(&mut stream, length)?;
        let faulty = fault != Fault::None && counts.gets.load(Ordering::Relaxed) >= 100;
        if faulty && fault == Fault::Close {
            return None;
        }
        let mut reply = request[..4].to_vec();
        if faulty && fault == Fault::WrongXid {
            reply[0] ^= 1;
        }
        reply.extend_from_slice(&1_i64.to_be_bytes());
        let code: i32 = if faulty && fault == Fault::ErrorCode { -101 } else { 0 };
        reply.extend_from_slice(&code.to_be_bytes());
        let data_bytes = if faulty && fault == Fault::ShortData { 49 } else { 50 };
        reply.extend_from_slice(&body(&request, counts, data_bytes));
        send(&mut stream, &reply)?;
    }
}

fn body(request: &[u8], counts: &Counts, data_bytes: u8) -> Vec<u8> {
    let body = &request[8..];
    match request[7] {
        1 => {
            counts.creates.fetch_add(1, Ordering::Relaxed);
            let path = usize::from(body[3]);
            body[..4 + path].to_vec()
        }
        4 => {
            counts.gets.fetch_add(1, Ordering::Relaxed);
            let mut data = vec![0, 0, 0, data_bytes];
            data.resize(4 + usize::from(data_bytes) + 68, 0);
            data
        }
        5 => vec![0; 68],
        14 => {
            // The generator looks at the first result only; elements are told by their headers.
            let header = [0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff];
            let elements = body.windows(header.len()).filter(|bytes| *bytes == header).count();
            counts.creates.fetch_add(elements as u64, Ordering::Relaxed);
            vec![0, 0, 0, 1, 0, 0, 0, 0, 0]
        }
        _ => Vec::new(),
    }
}

fn read_payload(stream: &mut TcpStream, length: [u8; 4]) -> Option<Vec<u8>> {
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut payload).ok()?;
    Some(payload)
}

fn send(stream: &mut TcpStream, payload: &[u8]) -> Option<()> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(payload);
    stream.write_all(&frame).ok()
}
