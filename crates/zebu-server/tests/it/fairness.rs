//! A client that sends without pause, beside others.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::start;
use crate::support::{Client, op, string, until};

/// Requests in one write of the client that floods.
const PIECE: usize = 10_000;
/// A reply that says that there is no such node: its length and its header.
const REPLY_BYTES: u64 = 20;
/// Rounds of the others.
const ROUNDS: usize = 31;
/// Answers to the one that floods while one of the others waits for one, in the middle of all rounds. One read from a socket
/// brings some 7,000 of its requests. Without turns there are 128 reads, and more, one behind the other.
const ANSWERS_MAX: u64 = 100_000;

/// Ends the flood, also when the test fails: its threads would be waited for.
struct End<'a>(&'a AtomicBool, TcpStream);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.shutdown(Shutdown::Both);
    }
}

fn exists(path: &str) -> Vec<u8> {
    [&string(path)[..], &[0]].concat()
}

#[test]
fn who_sends_without_pause_lets_others_have_their_turn() {
    let running = start(|_| {});
    let mut flooding = Client::new(running.address, 30_000);
    // One for each thread of the server at least: one of them shares it with the one that floods.
    let others: Vec<Client> = (0..8).map(|_| Client::new(running.address, 30_000)).collect();
    let body = exists("/x");
    let frame = [&12u32.to_be_bytes()[..], &op::EXISTS.to_be_bytes(), &body].concat();
    let frame = [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], &frame].concat();
    let piece = frame.repeat(PIECE);
    let (end, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut worst = 0;
    thread::scope(|threads| {
        let mut reading = flooding.socket.try_clone().unwrap();
        let ending = End(&end, flooding.socket.try_clone().unwrap());
        threads.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                if flooding.socket.write_all(&piece).is_err() {
                    break;
                }
            }
        });
        let answered = &answered;
        threads.spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while let Ok(len @ 1..) = reading.read(&mut buffer) {
                answered.fetch_add(len as u64 / REPLY_BYTES, Ordering::Relaxed);
            }
        });
        until("it floods", || answered.load(Ordering::Relaxed) > 100 * PIECE as u64);
        for mut other in others {
            let mut during: Vec<u64> = (0..ROUNDS)
                .map(|_| {
                    let before = answered.load(Ordering::Relaxed);
                    other.call(op::EXISTS, &exists("/"));
                    answered.load(Ordering::Relaxed) - before
                })
                .collect();
            during.sort_unstable();
            worst = worst.max(during[ROUNDS / 2]);
        }
        drop(ending);
    });
    assert!(worst < ANSWERS_MAX, "{worst}");
}
