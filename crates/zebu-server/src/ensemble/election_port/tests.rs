//! Ports with each other, and with callers that are no servers.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

/// For everything that is waited for; it only matters if the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// An address that nothing else on this machine uses, not even as the near end of a connection: so it is free again after
/// a restart.
fn own_ip() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) * 64 + std::process::id() % 64;
    let [_, a, b, c] = (number % 0x3f_ffff + 0x40_0001).to_be_bytes();
    Ipv4Addr::new(127, a, b, c)
}

async fn patient<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, wait).await {
        Ok(result) => result,
        Err(_) => panic!("in vain: {what}"),
    }
}

fn frame(round: i64) -> Vec<u8> {
    Notification {
        state: PeerState::Looking,
        leader: Sid(1),
        zxid: Zxid(7),
        round: Round(round),
        peer_epoch: PeerEpoch(0),
        version: Notification::VERSION,
        config: Some(b"version=0"),
    }
    .to_frame()
}

/// Where the servers of a test are to be.
struct Plan {
    listeners: Vec<Option<TcpListener>>,
    addresses: Vec<SocketAddr>,
    config: ElectionPortConfig,
}

impl Plan {
    /// Servers 1 to `count`.
    fn new(count: i64) -> Self {
        let mut others = BTreeMap::new();
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for sid in 1..=count {
            let listener = TcpListener::bind((own_ip(), 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let place = HostPort::new(&address.ip().to_string(), address.port());
            others.insert(Sid(sid), vec![place]);
            listeners.push(Some(listener));
            addresses.push(address);
        }
        let config = ElectionPortConfig {
            sid: Sid(0),
            addresses: Vec::new(),
            listen_on_all_ips: false,
            others,
            version: ConnectionVersion::V1,
            connect_timeout_ms: 5000,
            initial_message_timeout_ms: 20_000,
            tcp_keep_alive: true,
            bind_retry: NonZeroU32::new(1),
        };
        Self {
            listeners,
            addresses,
            config,
        }
    }

    fn address(&self, sid: i64) -> SocketAddr {
        self.addresses[usize::try_from(sid - 1).unwrap()]
    }

    fn listener(&mut self, sid: i64) -> TcpListener {
        self.listeners[usize::try_from(sid - 1).unwrap()]
            .take()
            .expect("a listener is used once")
    }

    /// Starts a server, again if it was started before and is stopped.
    fn start(&mut self, sid: i64) -> Server {
        let address = self.address(sid);
        let config = ElectionPortConfig {
            sid: Sid(sid),
            addresses: vec![HostPort::new(&address.ip().to_string(), address.port())],
            ..self.config.clone()
        };
        let (sender, events) = mpsc::unbounded_channel();
        let sink: EventSink = Arc::new(move |event| drop(sender.send(event)));
        let place = &mut self.listeners[usize::try_from(sid - 1).unwrap()];
        let port = match place.take() {
            Some(listener) => ElectionPort::start_on(&Handle::current(), vec![listener], config, sink),
            None => ElectionPort::start(&Handle::current(), config, sink),
        }
        .unwrap();
        assert_eq!(port.listening(), [address]);
        Server { port, events, address }
    }

    /// A caller that behaves as server `sid`.
    async fn call(&self, to: &Server, sid: i64, address: &str) -> TcpStream {
        let mut socket = TcpStream::connect(to.address).await.unwrap();
        socket.write_all(&greeting(sid, address)).await.unwrap();
        socket
    }
}

fn greeting(sid: i64, address: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    InitialMessage {
        version: ConnectionVersion::V1,
        sid: Sid(sid),
        addresses: vec![HostPort::parse(address).unwrap()],
    }
    .encode(&mut bytes);
    bytes
}

struct Server {
    port: ElectionPort,
    events: mpsc::UnboundedReceiver<ElectionEvent>,
    address: SocketAddr,
}

impl Server {
    async fn event(&mut self) -> ElectionEvent {
        patient("an event", self.events.recv()).await.unwrap()
    }

    /// The round of the next notification from a server, past all other events.
    async fn round_from(&mut self, sid: i64) -> i64 {
        loop {
            if let ElectionEvent::Notified { from, notification } = self.event().await
                && from == Sid(sid)
            {
                assert_eq!(notification.config.as_deref(), Some(&b"version=0"[..]));
                return notification.round.0;
            }
        }
    }

    /// Waits for a notification of that round, past all other events.
    async fn hears(&mut self, sid: i64, round: i64) {
        while self.round_from(sid).await != round {}
    }

    async fn becomes(&mut self, is_reachable: bool, sid: i64) {
        loop {
            match self.event().await {
                ElectionEvent::Reachable(other) if is_reachable && other == Sid(sid) => return,
                ElectionEvent::Unreachable(other) if !is_reachable && other == Sid(sid) => return,
                _ => {}
            }
        }
    }

    async fn stop(self) {
        self.port.stop();
        patient("the end of the port", self.port.stopped()).await;
    }
}

async fn is_closed(mut socket: TcpStream) {
    let mut bytes = [0; 1];
    match patient("the end of a connection", socket.read(&mut bytes)).await {
        Ok(0) | Err(_) => {}
        Ok(_) => panic!("there is something to read, not the end"),
    }
}

async fn reads(socket: &mut TcpStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    patient("bytes", socket.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(bytes, expected);
}

async fn accept(listener: TcpListener) -> (tokio::net::TcpListener, TcpStream) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let (socket, _) = patient("a connection", listener.accept()).await.unwrap();
    (listener, socket)
}

/// Waits until so many connections stand that these servers have accepted. The system's table of them changes while it is
/// read, and then shows lines twice or not at all.
async fn have_connections(accepted_by: &[SocketAddr], count: usize) {
    let wait = async {
        while connections(accepted_by) != count {
            tokio::task::yield_now().await;
        }
    };
    patient("the right number of connections", wait).await;
}

fn connections(accepted_by: &[SocketAddr]) -> usize {
    const ESTABLISHED: &str = "01";
    let near_ends: BTreeSet<String> = accepted_by
        .iter()
        .map(|address| {
            let std::net::IpAddr::V4(ip) = address.ip() else {
                panic!("the tests use IPv4");
            };
            let number = u32::from_ne_bytes(ip.octets());
            format!("{number:08X}:{:04X}", address.port())
        })
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ends: BTreeSet<_> = lines
        .filter(|fields| fields.get(3) == Some(&ESTABLISHED))
        .filter(|fields| fields.get(1).is_some_and(|near| near_ends.contains(*near)))
        .map(|fields| (fields[1].to_owned(), fields[2].to_owned()))
        .collect();
    ends.len()
}

#[tokio::test]
async fn whoever_speaks_first_both_can_speak() {
    for first in [1, 2] {
        let second = 3 - first;
        let mut plan = Plan::new(2);
        let mut a = plan.start(first);
        let mut b = plan.start(second);
        a.port.send(Sid(second), frame(1));
        b.hears(first, 1).await;
        b.port.send(Sid(first), frame(2));
        a.hears(second, 2).await;
        have_connections(&[a.address, b.address], 1).await;
        have_connections(&[plan.address(1)], 1).await;
    }
}

#[tokio::test]
async fn when_all_speak_at_once_one_connection_remains_for_each_two() {
    let mut plan = Plan::new(3);
    let mut servers: Vec<_> = (1..=3).map(|sid| plan.start(sid)).collect();
    for round in 1..=50 {
        for (n, server) in (1..).zip(&servers) {
            for to in (1..=3).filter(|to| *to != n) {
                server.port.send(Sid(to), frame(round));
            }
        }
        for (n, server) in (1..).zip(&mut servers) {
            // The notifications of two servers come in any order.
            let mut missing: BTreeSet<i64> = (1..=3).filter(|from| *from != n).collect();
            while !missing.is_empty() {
                if let ElectionEvent::Notified { from, notification } = server.event().await
                    && notification.round == Round(round)
                {
                    missing.remove(&from.0);
                }
            }
        }
    }
    have_connections(&plan.addresses, 3).await;
    have_connections(&[plan.address(3)], 0).await;
}

#[tokio::test]
async fn a_server_that_comes_back_hears_what_was_said_last() {
    for restarted in [1, 2] {
        let other = 3 - restarted;
        let mut plan = Plan::new(2);
        let mut stays = plan.start(other);
        let mut goes = plan.start(restarted);
        stays.port.send(Sid(restarted), frame(1));
        goes.hears(other, 1).await;
        goes.port.send(Sid(other), frame(2));
        stays.hears(restarted, 2).await;

        goes.stop().await;
        stays.becomes(false, restarted).await;
        let mut back = plan.start(restarted);
        stays.becomes(true, restarted).await;
        back.hears(other, 1).await;
        back.port.send(Sid(other), frame(3));
        stays.hears(restarted, 3).await;
        have_connections(&plan.addresses, 1).await;
    }
}

#[tokio::test]
async fn a_server_that_nobody_runs_is_unreachable_at_once() {
    let mut plan = Plan::new(2);
    drop(plan.listener(2));
    let mut server = plan.start(1);
    server.port.send(Sid(2), frame(1));
    server.becomes(false, 2).await;
}

#[tokio::test]
async fn a_server_that_takes_calls_and_does_nothing_is_unreachable() {
    for silent in [1, 2] {
        let mut plan = Plan::new(2);
        let listener = plan.listener(silent);
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let mut server = plan.start(3 - silent);
        server.port.send(Sid(silent), frame(1));
        let closes_all = async {
            loop {
                drop(listener.accept().await.unwrap());
            }
        };
        tokio::select! {
            () = closes_all => {}
            () = server.becomes(false, silent) => {}
        }
        // It is called again, and may come to its senses.
        let mut socket = if silent == 1 {
            patient("a call", listener.accept()).await.unwrap().0
        } else {
            plan.call(&server, silent, "127.0.0.1:1").await
        };
        socket.write_all(&frame(2)).await.unwrap();
        assert_eq!(server.round_from(silent).await, 2);
    }
}

#[tokio::test]
async fn of_what_could_not_be_sent_only_the_latest_is_sent() {
    let mut plan = Plan::new(2);
    drop(plan.listener(1));
    let mut server = plan.start(2);
    server.port.send(Sid(1), frame(1));
    server.becomes(false, 1).await;
    server.port.send(Sid(1), frame(2));
    server.port.send(Sid(1), frame(3));

    let (_listener, mut socket) = accept(TcpListener::bind(plan.address(1)).unwrap()).await;
    reads(&mut socket, &greeting(2, &server.address.to_string())).await;
    reads(&mut socket, &frame(3)).await;
    server.port.send(Sid(1), frame(4));
    reads(&mut socket, &frame(4)).await;
    server.port.send(Sid(9), frame(5));
    server.becomes(true, 1).await;
}

/// What the port of the lower server does when the larger one is played by the test, in Java's way.
#[tokio::test]
async fn a_larger_server_is_called_and_calls_back() {
    let mut plan = Plan::new(2);
    let listener = plan.listener(2);
    let mut server = plan.start(1);
    server.port.send(Sid(2), frame(1));
    let (listener, mut socket) = accept(listener).await;
    reads(&mut socket, &greeting(1, &server.address.to_string())).await;
    is_closed(socket).await;

    let there = plan.address(2).to_string();
    let mut first = plan.call(&server, 2, &there).await;
    reads(&mut first, &frame(1)).await;
    server.becomes(true, 2).await;
    first.write_all(&frame(5)).await.unwrap();
    assert_eq!(server.round_from(2).await, 5);

    let mut second = plan.call(&server, 2, &there).await;
    is_closed(first).await;
    reads(&mut second, &frame(1)).await;
    server.port.send(Sid(2), frame(2));
    reads(&mut second, &frame(2)).await;

    // The connection is lost without another one: the server asks for one, with its name only after it has waited for
    // one to come by itself.
    drop(second);
    let (mut socket, _) = patient("a call", listener.accept()).await.unwrap();
    let mut third = plan.call(&server, 2, &there).await;
    reads(&mut third, &frame(2)).await;
    let mut bytes = Vec::new();
    patient("the end of a call", socket.read_to_end(&mut bytes))
        .await
        .unwrap();
    let whole = greeting(1, &server.address.to_string());
    assert!(bytes.is_empty() || bytes == whole, "{bytes:?}");
}

/// The same with the lower server played by the test.
#[tokio::test]
async fn a_lower_server_that_calls_is_called_back() {
    let mut plan = Plan::new(2);
    let listener = plan.listener(1);
    let mut server = plan.start(2);
    let introduction = greeting(2, &server.address.to_string());

    // It is not where the configuration has it: what it says itself counts.
    let elsewhere = TcpListener::bind((own_ip(), 0)).unwrap();
    let address = elsewhere.local_addr().unwrap().to_string();
    is_closed(plan.call(&server, 1, &address).await).await;
    let (_elsewhere, mut socket) = accept(elsewhere).await;
    reads(&mut socket, &introduction).await;
    server.becomes(true, 1).await;
    socket.write_all(&frame(3)).await.unwrap();
    assert_eq!(server.round_from(1).await, 3);
    server.port.send(Sid(1), frame(4));
    reads(&mut socket, &frame(4)).await;

    // It calls again: what was there is closed. Nobody can be reached at the address of all interfaces.
    is_closed(plan.call(&server, 1, "0.0.0.0:1").await).await;
    is_closed(socket).await;
    let (_listener, mut socket) = accept(listener).await;
    reads(&mut socket, &introduction).await;
    reads(&mut socket, &frame(4)).await;

    // A server before 3.5 says its sid only.
    let mut old = TcpStream::connect(server.address).await.unwrap();
    old.write_all(&1_i64.to_be_bytes()).await.unwrap();
    is_closed(old).await;
    is_closed(socket).await;
    let (mut socket, _) = patient("a call", _listener.accept()).await.unwrap();
    reads(&mut socket, &introduction).await;
}

/// Two servers still understand each other.
async fn is_unharmed(a: &mut Server, b: &mut Server, round: i64) {
    a.port.send(Sid(2), frame(round));
    b.hears(1, round).await;
    b.port.send(Sid(1), frame(round));
    a.hears(2, round).await;
}

#[tokio::test]
async fn whoever_does_not_introduce_himself_properly_is_turned_away() {
    let mut plan = Plan::new(3);
    let mut a = plan.start(1);
    let mut b = plan.start(2);
    let with_length = |length: i32| {
        let mut bytes = greeting(3, "127.0.0.1:1")[..16].to_vec();
        bytes.extend(length.to_be_bytes());
        bytes
    };
    let with_version = |version: i64| {
        let mut bytes = greeting(3, "127.0.0.1:1");
        bytes[..8].copy_from_slice(&version.to_be_bytes());
        bytes
    };
    let mut wrong_address = greeting(3, "127.0.0.1:12345");
    let last = wrong_address.len() - 1;
    wrong_address[last] = b'x';
    for bytes in [
        with_length(0),
        with_length(-1),
        with_length(i32::MIN),
        with_length(2049),
        with_length(i32::MAX),
        with_version(-1),
        with_version(-65_537),
        with_version(-65_534),
        with_version(i64::MIN),
        wrong_address,
        b"\xffGET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut socket = TcpStream::connect(a.address).await.unwrap();
        socket.write_all(&bytes).await.unwrap();
        is_closed(socket).await;
    }
    // Its own sid, in both forms; it is never heard.
    let mut twin = plan.call(&a, 1, "127.0.0.1:1").await;
    let _ = twin.write_all(&frame(99)).await;
    is_closed(twin).await;
    let mut twin = TcpStream::connect(a.address).await.unwrap();
    twin.write_all(&1_i64.to_be_bytes()).await.unwrap();
    is_closed(twin).await;
    // In the middle of the message, and before it.
    let whole = greeting(3, "127.0.0.1:1");
    for part in [&whole[..0], &whole[..7], &whole[..8], &whole[..19], &whole[..25]] {
        let mut socket = TcpStream::connect(a.address).await.unwrap();
        socket.write_all(part).await.unwrap();
        socket.shutdown().await.unwrap();
        is_closed(socket).await;
    }
    is_unharmed(&mut a, &mut b, 1).await;
}

#[tokio::test]
async fn whoever_takes_too_long_to_introduce_himself_is_turned_away() {
    let mut plan = Plan::new(2);
    plan.config.initial_message_timeout_ms = 50;
    let server = plan.start(1);
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(&greeting(2, "127.0.0.1:1")[..20]).await.unwrap();
    is_closed(slow).await;
    is_closed(TcpStream::connect(server.address).await.unwrap()).await;
}

#[tokio::test]
async fn of_too_many_silent_callers_the_oldest_goes() {
    let mut plan = Plan::new(2);
    let mut server = plan.start(1);
    let mut silent = Vec::new();
    for _ in 0..=listener::SILENT_MAX {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    is_closed(silent.remove(0)).await;
    let mut socket = plan.call(&server, 2, "127.0.0.1:1").await;
    socket.write_all(&frame(1)).await.unwrap();
    assert_eq!(server.round_from(2).await, 1);
}

#[tokio::test]
async fn frames_of_impossible_length_end_the_connection() {
    let mut plan = Plan::new(3);
    let mut a = plan.start(1);
    let mut b = plan.start(2);
    for length in [0, -1, i32::MIN, 524_289, i32::MAX] {
        let mut socket = plan.call(&a, 3, "127.0.0.1:1").await;
        a.becomes(true, 3).await;
        socket.write_all(&frame(1)).await.unwrap();
        assert_eq!(a.round_from(3).await, 1);
        socket.write_all(&length.to_be_bytes()).await.unwrap();
        is_closed(socket).await;
        a.becomes(false, 3).await;
    }
    let mut cut = plan.call(&a, 3, "127.0.0.1:1").await;
    cut.write_all(&frame(1)[..30]).await.unwrap();
    a.becomes(true, 3).await;
    drop(cut);
    a.becomes(false, 3).await;
    is_unharmed(&mut a, &mut b, 1).await;
}

#[tokio::test]
async fn some_messages_that_are_no_notifications_are_dropped_and_many_end_the_connection() {
    let mut plan = Plan::new(2);
    let mut server = plan.start(1);
    let mut socket = plan.call(&server, 2, "127.0.0.1:1").await;
    let mut unknown_state = frame(1);
    unknown_state[7] = 9;
    let malformed = [&[0, 0, 0, 3, 1, 2, 3][..], &unknown_state, &[0, 0, 0, 1, 0]].concat();
    for round in 1..=3 {
        socket.write_all(&malformed).await.unwrap();
        socket.write_all(&frame(round)).await.unwrap();
        assert_eq!(server.round_from(2).await, round);
    }
    for _ in 0..3 {
        socket.write_all(&malformed).await.unwrap();
    }
    is_closed(socket).await;
    server.becomes(false, 2).await;
}

#[tokio::test]
async fn a_stranger_is_heard_and_answered_while_it_is_there() {
    let mut plan = Plan::new(2);
    let mut server = plan.start(2);
    server.port.send(Sid(7), frame(1));
    let mut larger = plan.call(&server, 7, "127.0.0.1:1").await;
    larger.write_all(&frame(2)).await.unwrap();
    assert_eq!(server.round_from(7).await, 2);
    server.port.send(Sid(7), frame(3));
    reads(&mut larger, &frame(3)).await;
    drop(larger);
    server.becomes(false, 7).await;

    let listener = TcpListener::bind((own_ip(), 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    is_closed(plan.call(&server, -5, &address).await).await;
    let (listener, mut lower) = accept(listener).await;
    reads(&mut lower, &greeting(2, &server.address.to_string())).await;
    server.becomes(true, -5).await;
    lower.write_all(&frame(4)).await.unwrap();
    assert_eq!(server.round_from(-5).await, 4);
    drop(lower);
    server.becomes(false, -5).await;

    // One without a sid gets a number of this server's.
    is_closed(plan.call(&server, i64::MAX, &address).await).await;
    let (mut nameless, _) = patient("a call", listener.accept()).await.unwrap();
    nameless.write_all(&frame(6)).await.unwrap();
    assert_eq!(server.round_from(-1).await, 6);

    // One that cannot be called back is not kept either.
    is_closed(plan.call(&server, -6, "0.0.0.0:1").await).await;
    let refusing = TcpListener::bind((own_ip(), 0)).unwrap();
    let nowhere = refusing.local_addr().unwrap().to_string();
    drop(refusing);
    is_closed(plan.call(&server, -7, &nowhere).await).await;
    server.becomes(false, -7).await;
}

#[tokio::test]
async fn strangers_are_only_so_many() {
    let mut plan = Plan::new(2);
    let mut server = plan.start(1);
    let mut strangers = Vec::new();
    let count = i64::try_from(STRANGERS_MAX).unwrap();
    for sid in 100..100 + count {
        strangers.push(plan.call(&server, sid, "127.0.0.1:1").await);
        server.becomes(true, sid).await;
    }
    is_closed(plan.call(&server, 99, "127.0.0.1:1").await).await;
    // Members have their place, and so has the next one when one is gone.
    let mut member = plan.call(&server, 2, "127.0.0.1:1").await;
    member.write_all(&frame(1)).await.unwrap();
    assert_eq!(server.round_from(2).await, 1);
    drop(strangers.remove(0));
    server.becomes(false, 100).await;
    let retired = async {
        while server.port.inner.peers.lock().mailboxes.contains_key(&Sid(100)) {
            tokio::task::yield_now().await;
        }
    };
    patient("the stranger is forgotten", retired).await;
    let _socket = plan.call(&server, 99, "127.0.0.1:1").await;
    server.becomes(true, 99).await;
}

#[tokio::test]
async fn no_more_is_read_from_a_server_than_is_handled() {
    let mut plan = Plan::new(3);
    let mut server = plan.start(1);
    let other = plan.start(2);
    let mut flood = plan.call(&server, 3, "127.0.0.1:1").await;
    for round in 1..=20 {
        flood.write_all(&frame(round)).await.unwrap();
    }
    let mut held = Vec::new();
    while held.len() < peer::UNHANDLED_MAX {
        if let ElectionEvent::Notified { notification, .. } = server.event().await {
            held.push(notification);
        }
    }
    // The others are not held up by it, and it says nothing more meanwhile.
    other.port.send(Sid(1), frame(7));
    loop {
        if let ElectionEvent::Notified { from, .. } = server.event().await {
            assert_eq!(from, Sid(2));
            break;
        }
    }
    assert_eq!(held.last().unwrap().round, Round(8));
    drop(held);
    for round in 9..=20 {
        assert_eq!(server.round_from(3).await, round);
    }
}

#[tokio::test]
async fn several_addresses_are_told_in_the_second_version_and_each_is_open() {
    let mut plan = Plan::new(2);
    let listener = plan.listener(1);
    let [a, b] = [own_ip(), own_ip()].map(|ip| HostPort::new(&ip.to_string(), 0));
    let config = ElectionPortConfig {
        sid: Sid(2),
        addresses: vec![a, b],
        version: ConnectionVersion::V2,
        ..plan.config.clone()
    };
    let port = ElectionPort::start(&Handle::current(), config.clone(), Arc::new(|_| {})).unwrap();
    assert_eq!(port.listening().len(), 2);
    port.send(Sid(1), frame(1));
    let (_listener, mut socket) = accept(listener).await;
    let mut expected = Vec::new();
    InitialMessage {
        version: ConnectionVersion::V2,
        sid: Sid(2),
        addresses: config.addresses.clone(),
    }
    .encode(&mut expected);
    reads(&mut socket, &expected).await;

    let everywhere = ElectionPortConfig {
        listen_on_all_ips: true,
        ..config.clone()
    };
    let everywhere = ElectionPort::start(&Handle::current(), everywhere, Arc::new(|_| {})).unwrap();
    let [address] = everywhere.listening() else {
        panic!("one socket for one port");
    };
    assert!(address.ip().is_unspecified());

    let taken = ElectionPortConfig {
        addresses: vec![HostPort::new(
            &port.listening()[0].ip().to_string(),
            port.listening()[0].port(),
        )],
        ..config.clone()
    };
    let error = ElectionPort::start(&Handle::current(), taken, Arc::new(|_| {}))
        .err()
        .unwrap();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let nowhere = ElectionPortConfig {
        addresses: Vec::new(),
        ..config
    };
    assert!(ElectionPort::start(&Handle::current(), nowhere, Arc::new(|_| {})).is_err());
}
