//! Waiting for a server that is starting.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::BenchError;
use crate::session::Session;

/// Pause between two attempts. It is the resolution of the measured start time; at two per millisecond the attempts
/// take a few percent of one core from the server that is starting.
const PAUSE: Duration = Duration::from_micros(500);

/// How long to wait for the answer to one word. A server that listens but does not serve yet may take its time, and
/// some drop what came in this state; so the next attempt must come soon, and yet not hurry a busy machine.
const WORD_TIMEOUT: Duration = Duration::from_millis(100);

/// Bytes of an answer that are looked at; the whole one has some 200.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Waits until `server` answers `srvr` as a serving server does and then grants a session, and closes that session.
/// Returns when that was.
///
/// A granted session is the strictest sign of a server that serves: for it the server has read its data directory and
/// written and flushed a first transaction. It is not asked for before the word is answered, because a Java server that
/// gets a ConnectRequest while it is starting may leave it unanswered for good.
///
/// # Errors
/// [`BenchError::NotServing`] after `limit`.
pub fn until_serving(server: SocketAddr, limit: Duration) -> Result<SystemTime, BenchError> {
    let start = Instant::now();
    loop {
        if says_it_serves(server)
            && let Ok(session) = Session::open(server)
        {
            let served_at = SystemTime::now();
            // The figure is taken; a server that dies right now is found out by whoever uses it next.
            let _ = session.close();
            return Ok(served_at);
        }
        if start.elapsed() >= limit {
            return Err(BenchError::NotServing {
                server,
                seconds: limit.as_secs(),
            });
        }
        thread::sleep(PAUSE);
    }
}

/// Whether the answer to `srvr` has the line with the mode; a server that is starting answers with an excuse, or not.
fn says_it_serves(server: SocketAddr) -> bool {
    srvr(server).is_ok_and(|answer| answer.contains("Mode:"))
}

fn srvr(server: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, WORD_TIMEOUT)?;
    stream.set_read_timeout(Some(WORD_TIMEOUT))?;
    stream.write_all(b"srvr")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}
