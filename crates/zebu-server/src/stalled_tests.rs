//! What happens while the node does nothing: requests wait for their turn, words and reads do not wait for the node.

use std::io::Write;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::shared::NodeEvent;
use crate::{Config, ExitCode, Fatal, Server};

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the other tests use more of it")]
pub(crate) mod support;

use support::{Client, create, op, set_data, string, until, word};

/// A server with its directory.
struct Running {
    server: Server,
    address: SocketAddr,
    dir: tempfile::TempDir,
}

/// How a server ended that nobody stops here. It must end soon.
pub(crate) fn end_of(server: Server) -> Result<(), Fatal> {
    let (ended, has_ended) = channel();
    std::thread::spawn(move || ended.send(server.wait()));
    let end = has_ended.recv_timeout(Duration::from_secs(20));
    end.expect("the server ends")
}

fn start(configure: impl FnOnce(&mut Config)) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::for_test(dir.path());
    configure(&mut config);
    let server = Server::start(config).unwrap();
    Running {
        address: server.client_address(),
        server,
        dir,
    }
}

impl Running {
    /// Stops the node until what is returned is dropped.
    fn stall(&self) -> Sender<()> {
        let (release, released) = channel::<()>();
        let (stalled, has_stalled) = channel();
        let inspect = NodeEvent::Inspect(Box::new(move |_| {
            let _ = stalled.send(());
            let _ = released.recv();
        }));
        self.server.shared.queue.push(inspect);
        has_stalled.recv().unwrap();
        release
    }

    fn wait_outstanding(&self, count: usize) {
        until("requests in work", || self.server.shared.limits.outstanding() == count);
    }

    /// Waits until somebody waits for his turn, and for longer than `ms` more: time enough for the other connection, on a
    /// thread of its own, to have read its requests.
    fn wait_throttled(&self, ms: u64) {
        let shared = &self.server.shared;
        until("somebody waits", || shared.stats.requests.throttle_waits.get() > 0);
        let since = shared.clock.mono();
        until("time passes", || shared.clock.mono().since(since) > ms);
    }
}

fn throttle_one(config: &mut Config) {
    config.request_throttle.max_requests = NonZeroU32::new(1);
}

#[test]
fn requests_above_the_throttle_wait_for_their_turn() {
    let running = start(throttle_one);
    let (mut one, mut other) = (
        Client::new(running.address, 30_000),
        Client::new(running.address, 30_000),
    );
    let release = running.stall();
    one.send(op::CREATE, &create("/one", b"", 0));
    running.wait_outstanding(1);
    other.send(op::CREATE, &create("/other", b"", 0));
    running.wait_throttled(0);
    assert_eq!(running.server.shared.limits.outstanding(), 1);
    drop(release);
    assert_eq!(one.reply().unwrap().err, 0);
    assert_eq!(other.reply().unwrap().err, 0);
    assert_eq!(running.server.shared.stats.requests.throttled.get(), 0);
}

/// A turn that comes free while a connection finds that it must wait for it is not missed.
#[test]
fn no_turn_is_missed() {
    let running = start(throttle_one);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut client = Client::new(running.address, 30_000);
                for _ in 0..2000 {
                    assert_eq!(client.call(op::SET_DATA, &set_data("/", b"")).err, 0);
                }
            });
        }
    });
}

#[test]
fn a_pipeline_is_handed_over_as_far_as_the_throttle_allows() {
    let running = start(throttle_one);
    let mut client = Client::new(running.address, 30_000);
    let release = running.stall();
    let xids: Vec<i32> = (0..20)
        .map(|number| client.send(op::CREATE, &create(&format!("/{number}"), b"", 0)))
        .collect();
    running.wait_throttled(0);
    assert_eq!(running.server.shared.limits.outstanding(), 1);
    drop(release);
    for xid in xids {
        let reply = client.reply().unwrap();
        assert_eq!((reply.xid, reply.err), (xid, 0));
    }
}

#[test]
fn requests_that_waited_for_too_long_are_refused_in_their_order() {
    let running = start(|config| {
        throttle_one(config);
        config.request_throttle.throttled_op_wait_time_ms = NonZeroU32::new(1);
    });
    let (mut one, mut other) = (
        Client::new(running.address, 30_000),
        Client::new(running.address, 30_000),
    );
    let release = running.stall();
    one.send(op::CREATE, &create("/one", b"", 0));
    running.wait_outstanding(1);
    let mut body = string("/");
    body.push(0);
    let xids = other.send_together(&[
        (op::SET_DATA, &set_data("/", b"x")),
        (op::PING, b""),
        (op::GET_DATA, &body),
    ]);
    running.wait_throttled(300);
    drop(release);
    assert_eq!(one.reply().unwrap().err, 0);
    let answers: Vec<_> = xids
        .iter()
        .map(|_| other.reply().map(|reply| (reply.xid, reply.err)).unwrap())
        .collect();
    // A ping is no request that could be late.
    let expected: Vec<_> = xids.into_iter().zip([-127, 0, -127]).collect();
    assert_eq!(answers, expected);
    assert_eq!(running.server.shared.stats.requests.throttled.get(), 2);
    assert_eq!(other.call(op::SET_DATA, &set_data("/", b"y")).err, 0, "it goes on");
}

#[test]
fn requests_that_waited_for_longer_than_their_session_lives_are_dropped_with_their_connection() {
    let running = start(|config| {
        throttle_one(config);
        config.request_throttle.stale_latency_check = true;
        // Sessions are short, but none expires while the test runs.
        config.sessions.min_timeout_ms = 1;
        config.tick_time_ms = 600_000;
    });
    let (mut one, mut other) = (Client::new(running.address, 30_000), Client::new(running.address, 1));
    let release = running.stall();
    one.send(op::CREATE, &create("/one", b"", 0));
    running.wait_outstanding(1);
    other.send(op::CREATE, &create("/other", b"", 0));
    running.wait_throttled(300);
    drop(release);
    assert_eq!(one.reply().unwrap().err, 0);
    assert_eq!(other.reply(), None);
    assert_eq!(running.server.shared.stats.requests.stale_dropped.get(), 1);
    assert_eq!(one.call(op::EXISTS, &[&string("/other")[..], &[0]].concat()).err, -101);
}

#[test]
fn large_requests_share_their_room() {
    let running = start(|config| {
        config.limits.large_requests.threshold_bytes = NonZeroU32::new(100);
        config.limits.large_requests.max_bytes = 1000;
    });
    let connect = || Client::new(running.address, 30_000);
    let (mut one, mut small, mut large, mut huge) = (connect(), connect(), connect(), connect());
    let release = running.stall();
    one.send(op::CREATE, &create("/one", &[0; 600], 0));
    running.wait_outstanding(1);
    large.send(op::CREATE, &create("/large", &[0; 600], 0));
    assert_eq!(large.reply(), None, "closed");
    // The length alone decides.
    huge.socket.write_all(&1001u32.to_be_bytes()).unwrap();
    assert_eq!(huge.reply(), None, "closed");
    small.send(op::CREATE, &create("/small", b"", 0));
    running.wait_outstanding(2);
    drop(release);
    assert_eq!(one.reply().unwrap().err, 0);
    assert_eq!(small.reply().unwrap().err, 0);
    one.create("/again", &[0; 600], 0);
    let monitor = word(running.address, b"mntr");
    assert!(monitor.contains("zk_large_requests_rejected\t2\n"), "{monitor}");
}

#[test]
fn what_a_lost_connection_had_in_work_is_given_back() {
    let running = start(|config| {
        config.limits.large_requests.threshold_bytes = NonZeroU32::new(100);
        config.limits.large_requests.max_bytes = 1000;
    });
    let (mut lost, mut other) = (
        Client::new(running.address, 30_000),
        Client::new(running.address, 30_000),
    );
    let release = running.stall();
    lost.send(op::CREATE, &create("/lost", &[0; 600], 0));
    running.wait_outstanding(1);
    drop(lost);
    drop(release);
    let large = &running.server.shared.limits.large;
    until("its room is free", || large.fits(1000));
    other.create("/other", &[0; 600], 0);
}

impl Running {
    /// Lets the node begin its work on a request, and be held up for so long in the middle of it, as by a disk.
    fn hold_up(&self, client: &mut Client, request: (i32, &[u8]), ms: u64) {
        let shared = &self.server.shared;
        let first = self.stall();
        // The next batch begins when the first stall ends, with this one in front and the request behind it.
        let (release, released) = channel::<()>();
        let (stalled, has_stalled) = channel();
        shared.queue.push(NodeEvent::Inspect(Box::new(move |_| {
            let _ = stalled.send(());
            let _ = released.recv();
        })));
        client.send(request.0, request.1);
        self.wait_outstanding(1);
        drop(first);
        has_stalled.recv().unwrap();
        let since = shared.clock.mono();
        until("time passes", || shared.clock.mono().since(since) > ms);
        drop(release);
    }
}

/// Writing the log is a part of it, also if the node does that by itself.
#[test]
fn latency_goes_up_to_the_answer() {
    let running = start(|_| {});
    let mut client = Client::new(running.address, 30_000);
    running.hold_up(&mut client, (op::SET_DATA, &set_data("/", b"x")), 50);
    assert_eq!(client.reply().unwrap().err, 0);
    let latency = || running.server.shared.stats.update_latency.read();
    until("it is counted", || latency().count > 0);
    assert!(latency().max >= 50, "{}", latency().max);
}

#[test]
fn a_session_has_its_whole_time_from_an_answer_that_came_late() {
    let running = start(|config| {
        config.tick_time_ms = 100;
        config.sessions.min_timeout_ms = 100;
    });
    let mut client = Client::new(running.address, 2000);
    running.hold_up(&mut client, (op::SET_DATA, &set_data("/", b"x")), 2500);
    assert_eq!(client.reply().unwrap().err, 0);
    for _ in 0..10 {
        let since = running.server.shared.clock.mono();
        until("a tick passes", || {
            running.server.shared.clock.mono().since(since) > 100
        });
        assert_eq!(running.server.shared.stats.sessions_expired.get(), 0);
    }
    assert_eq!(client.call(op::PING, b"").err, 0);
}

#[test]
fn costly_reads_wait_for_the_writes_before_them_without_the_node() {
    const GET_EPHEMERALS: i32 = 103;
    const GET_ALL_CHILDREN_NUMBER: i32 = 104;
    let running = start(|_| {});
    let mut client = Client::new(running.address, 30_000);
    let release = running.stall();
    let (write, path) = (set_data("/", b"x"), string("/zookeeper"));
    let xids = client.send_together(&[
        (op::SET_DATA, &write),
        (op::SET_DATA, &write),
        (GET_ALL_CHILDREN_NUMBER, &path),
        (GET_EPHEMERALS, &path),
        (op::SET_DATA, &write),
        (GET_ALL_CHILDREN_NUMBER, &path),
    ]);
    running.wait_outstanding(2);
    drop(release);
    for xid in xids {
        let reply = client.reply().unwrap();
        assert_eq!((reply.xid, reply.err), (xid, 0));
    }
    assert_eq!(running.server.shared.limits.outstanding(), 0);
}

#[test]
fn neither_words_nor_reads_wait_for_the_node() {
    let running = start(|_| {});
    let mut client = Client::new(running.address, 30_000);
    let release = running.stall();
    // This one asks the node.
    let mut dump = support::connect(running.address);
    dump.write_all(b"dump").unwrap();
    until("it is being answered", || running.server.shared.conns.lock().len() == 2);
    for other in [
        "ruok", "isro", "srvr", "envi", "wchs", "gtmk", "hash", "srst", "mntr", "conf", "dirs",
    ] {
        let answer = word(running.address, other.as_bytes());
        assert_eq!(answer.is_empty(), other == "hash", "{other}");
    }
    let mut body = string("/");
    body.push(0);
    assert_eq!(client.call(op::GET_DATA, &body).err, 0);
    drop(release);
    assert!(support::read_all(&mut dump).starts_with("SessionTracker dump:\n"));
}

#[test]
fn a_server_ends_although_a_word_waits_for_its_node() {
    let running = start(|_| {});
    let release = running.stall();
    let mut dump = support::connect(running.address);
    dump.write_all(b"dump").unwrap();
    until("it is being answered", || {
        running.server.shared.stats.received.get() == 1
    });
    running.server.request_stop();
    drop(release);
    let answer = support::read_all(&mut dump);
    assert!(answer.is_empty() || answer.starts_with("SessionTracker dump:\n"));
    running.server.stop();
}

/// The log cannot begin its next file, and the first transaction after the session's needs one.
fn check_log_that_fails_at_the_end(leave_it_to_the_log_thread: bool) {
    let running = start(|config| config.storage.txn_log_size_limit_bytes = NonZeroU64::new(1));
    let mut client = Client::new(running.address, 30_000);
    let release = running.stall();
    client.send(op::CREATE, &create("/lost", b"", 0));
    running.wait_outstanding(1);
    std::fs::remove_dir_all(running.dir.path()).unwrap();
    if leave_it_to_the_log_thread {
        // With more work at hand the node does not write the log itself.
        let shared = running.server.shared.clone();
        let more = NodeEvent::Inspect(Box::new(move |_| {
            shared.queue.push(NodeEvent::Inspect(Box::new(|_| {})));
        }));
        running.server.shared.queue.push(more);
    }
    running.server.request_stop();
    drop(release);
    assert_eq!(end_of(running.server).unwrap_err().code, ExitCode::TxnLog);
    assert_eq!(client.reply(), None, "it is not durable");
}

#[test]
fn a_log_that_fails_while_the_server_ends_is_why_it_ended() {
    check_log_that_fails_at_the_end(false);
}

#[test]
fn a_log_thread_that_fails_while_the_server_ends_is_not_waited_for() {
    check_log_that_fails_at_the_end(true);
}
