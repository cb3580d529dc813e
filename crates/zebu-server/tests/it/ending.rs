//! A server that is told to end while its clients write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zebu_server::{Config, Server};

use crate::support::{Client, op, set_data, until, watch};
use crate::{Running, start};

const CLIENTS: usize = 8;
/// Requests that each client has on the way.
const WINDOW: u64 = 50;
/// Shorter than what the server gives clients that do not take their last replies.
const ENDS_WITHIN: Duration = Duration::from_secs(4);

/// Writes numbers into a node, one after the other, until the server ends. Returns the last that was acknowledged, and the
/// last that was sent.
fn write(running: &Running, client: usize, writing: &AtomicUsize) -> (u64, u64) {
    let path = format!("/{client}");
    let mut session = Client::new(running.address, 30_000);
    session.create(&path, b"0", 0);
    for number in 1..=WINDOW {
        session.send(op::SET_DATA, &set_data(&path, number.to_string().as_bytes()));
    }
    let mut acknowledged = 0;
    while let Some(reply) = session.reply() {
        assert_eq!(reply.err, 0);
        acknowledged += 1;
        if acknowledged == WINDOW {
            writing.fetch_add(1, Ordering::Relaxed);
        }
        let next = (acknowledged + WINDOW).to_string();
        if session
            .try_send(op::SET_DATA, &set_data(&path, next.as_bytes()))
            .is_err()
        {
            // What was answered before can still be read.
            while session.reply().is_some() {
                acknowledged += 1;
            }
            break;
        }
    }
    (acknowledged, acknowledged + WINDOW)
}

#[test]
fn what_was_acknowledged_before_a_server_ended_is_there_and_it_ended_at_once() {
    let running = start(|_| {});
    let writing = AtomicUsize::new(0);
    let last: Vec<(u64, u64)> = thread::scope(|threads| {
        let (running, writing) = (&running, &writing);
        let writers: Vec<_> = (0..CLIENTS)
            .map(|client| threads.spawn(move || write(running, client, writing)))
            .collect();
        until("all write", || writing.load(Ordering::Relaxed) == CLIENTS);
        let asked = Instant::now();
        running.server.request_stop();
        running.server.wait().unwrap();
        assert!(asked.elapsed() < ENDS_WITHIN, "{:?}", asked.elapsed());
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let Running { server, dir, .. } = running;
    drop(server);
    let server = Server::start(Config::for_test(dir.path())).unwrap();
    let mut session = Client::new(server.client_address(), 30_000);
    for (client, (acknowledged, sent)) in last.into_iter().enumerate() {
        let data = session.call(op::GET_DATA, &watch(&format!("/{client}"))).body;
        let len = u32::from_be_bytes(data[..4].try_into().unwrap()) as usize;
        let found: u64 = std::str::from_utf8(&data[4..4 + len]).unwrap().parse().unwrap();
        assert!(
            (acknowledged..=sent).contains(&found),
            "{acknowledged}, {found}, {sent}"
        );
    }
}
