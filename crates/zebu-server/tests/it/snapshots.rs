//! Snapshots while clients write without pause.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use zebu_server::{Config, Server};

use crate::support::{Client, Reply, op, set_data, until, watch};
use crate::{Running, start};

const CLIENTS: usize = 8;
/// Requests that each client has on the way, so that there always is more work when a batch is durable.
const WINDOW: usize = 50;
/// The log and the snapshots have gone on so many times in the end.
const ROUNDS: usize = 6;

fn configure(config: &mut Config) {
    config.storage.snap_count = 500;
    // Files of the usual size would only take time to fill with zeros.
    config.storage.pre_alloc_bytes = NonZeroU64::new(1 << 16);
}

fn node_of(client: usize) -> String {
    format!("/{client}")
}

/// Zxids in the names of the files of one kind: `log`, `snapshot`.
fn zxids(dir: &Path, kind: &str) -> BTreeSet<u64> {
    let Ok(entries) = std::fs::read_dir(dir.join("version-2")) else {
        return BTreeSet::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let zxid = |name: String| u64::from_str_radix(name.strip_prefix(kind)?.strip_prefix('.')?, 16).ok();
    names.filter_map(zxid).collect()
}

/// Writes numbers into a node, one after the other, until told to end. Returns the last that was acknowledged.
fn write(running: &Running, client: usize, end: &AtomicBool) -> u64 {
    let path = node_of(client);
    let mut session = Client::new(running.address, 30_000);
    session.create(&path, b"0", 0);
    let acknowledged = |reply: Option<Reply>| assert_eq!(reply.expect("a reply").err, 0);
    let mut written = 0;
    let mut on_the_way = 0;
    while !end.load(Ordering::Relaxed) {
        written += 1;
        session.send(op::SET_DATA, &set_data(&path, written.to_string().as_bytes()));
        on_the_way += 1;
        if on_the_way == WINDOW {
            acknowledged(session.reply());
            on_the_way -= 1;
        }
    }
    for _ in 0..on_the_way {
        acknowledged(session.reply());
    }
    written
}

/// Ends the writers, also when a test fails: they would be waited for.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets all clients write until `enough`, and checks that a server that starts anew has what they wrote.
fn check(running: Running, enough: impl Fn(&Path) -> bool) {
    let end = AtomicBool::new(false);
    let last: Vec<u64> = thread::scope(|threads| {
        let (running, end) = (&running, &end);
        let writers: Vec<_> = (0..CLIENTS)
            .map(|client| threads.spawn(move || write(running, client, end)))
            .collect();
        let ending = End(end);
        until("snapshots under load", || enough(running.dir.path()));
        drop(ending);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let Running { server, dir, .. } = running;
    server.stop();
    let server = Server::start(Config::for_test(dir.path())).unwrap();
    let mut session = Client::new(server.client_address(), 30_000);
    for (client, written) in last.iter().enumerate() {
        let data = session.call(op::GET_DATA, &watch(&node_of(client))).body;
        let len = u32::from_be_bytes(data[..4].try_into().unwrap()) as usize;
        assert_eq!(data[4..4 + len], *written.to_string().as_bytes());
    }
}

#[test]
fn snapshots_are_taken_and_the_log_goes_on_in_new_files_while_clients_write_without_pause() {
    let running = start(configure);
    check(running, |dir| {
        let (logs, snapshots) = (zxids(dir, "log"), zxids(dir, "snapshot"));
        // The log that a snapshot needs begins before it, and the next one behind it.
        let between = snapshots
            .iter()
            .filter(|snapshot| logs.iter().any(|log| log > *snapshot))
            .count();
        between >= ROUNDS && logs.len() > ROUNDS
    });
}

#[test]
fn a_purge_beside_it_leaves_what_a_start_needs() {
    let running = start(|config| {
        configure(config);
        config.purge.interval_ms = NonZeroU64::new(1);
        config.purge.snap_retain_count = 3;
    });
    let gone = |dir: &Path| zxids(dir, "snapshot").first().copied();
    let first = gone(running.dir.path());
    check(running, |dir| {
        let (logs, snapshots) = (zxids(dir, "log"), zxids(dir, "snapshot"));
        let newest = snapshots.last().copied().unwrap_or(0);
        newest > 500 * ROUNDS as u64 && gone(dir) > first && logs.first().is_some_and(|log| *log > 500)
    });
}
