//! The threads that serve connections.
//!
//! Each has a runtime of its own, and a connection stays on the thread it was given to: what it reads and answers needs
//! no other thread, unless it writes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;
use zebu_node::{Close, ConnId};

use crate::conn::{Conn, ConnHandle};
use crate::exit::{ExitCode, Fatal};
use crate::outbox::Flushed;
use crate::server;
use crate::session_io::{Flow, Incoming};
use crate::shared::{NodeEvent, Shared};
use crate::words;

/// Most connection threads; more would only wait for the node.
const WORKERS_MAX: usize = 8;
/// Read from a socket at once. Shared by all connections of a thread, since only one is read at a time.
const READ_BYTES: usize = 128 << 10;
/// Connections leave so many descriptors to files: the log and its next file, a snapshot, their folders, the small files
/// beside them, and what four-letter words look at, one of a kind at a time. These are a dozen.
const DESCRIPTORS_RESERVED: u64 = 32;
/// A connection that is told to close gets this long to take what is meant for it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a closed connection is kept for the client to close its side.
const LINGER_TIMEOUT: Duration = Duration::from_millis(500);
/// How often connections without a session are looked over.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// How often a connection looks whether there is room for its large reply by now.
const ROOM_INTERVAL: Duration = Duration::from_millis(50);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A connection that was accepted and goes to a worker.
type Accepted = (TcpStream, SocketAddr);

/// Connections by client address, for `maxClientCnxns`.
type PerAddress = Arc<Mutex<HashMap<IpAddr, u32>>>;

/// Starts the threads; the first one accepts connections.
///
/// # Errors
/// If there can be no more threads or sockets.
pub(crate) fn start(shared: &Arc<Shared>, listener: TcpListener) -> std::io::Result<Vec<JoinHandle<()>>> {
    let count = std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(WORKERS_MAX);
    let per_address = PerAddress::default();
    let mut threads = Vec::new();
    let mut senders = Vec::new();
    let mut receivers = Vec::new();
    for _ in 0..count {
        let (sender, receiver) = unbounded_channel();
        senders.push(sender);
        receivers.push(receiver);
    }
    let mut acceptor = Some((listener, senders));
    for (number, receiver) in receivers.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker {
            shared: shared.clone(),
            per_address: per_address.clone(),
        };
        let acceptor = acceptor.take();
        threads.push(server::guarded(shared, &format!("zebu-conn-{number}"), move || {
            let local = LocalSet::new();
            local.block_on(&runtime, worker.run(acceptor, receiver));
        })?);
    }
    Ok(threads)
}

/// For every task to hold: its panic ends the server. The runtime would only forget the task, and leave its connection
/// half alive. (A wrapper around the tasks would double their size.)
struct PanicGuard(Arc<Shared>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(Fatal {
                code: ExitCode::UnexpectedError,
                message: "a task that serves connections has panicked; this is a bug in zebu".into(),
            });
        }
    }
}

#[derive(Clone)]
struct Worker {
    shared: Arc<Shared>,
    per_address: PerAddress,
}

impl Worker {
    async fn run(
        self,
        acceptor: Option<(TcpListener, Vec<UnboundedSender<Accepted>>)>,
        mut accepted: UnboundedReceiver<Accepted>,
    ) {
        if let Some((listener, workers)) = acceptor {
            tokio::task::spawn_local(self.clone().accept(listener, workers));
            tokio::task::spawn_local(sweep(self.shared.clone()));
        }
        let mut end = self.shared.end();
        let serving = async {
            while let Some((socket, peer)) = accepted.recv().await {
                self.clone().serve(socket, peer);
            }
        };
        tokio::select! {
            () = serving => {}
            _ = end.wait_for(Option::is_some) => {}
        }
        self.drain().await;
    }

    /// At the end: waits until the node has answered what it had accepted and the connections are closed.
    async fn drain(&self) {
        let deadline = tokio::time::Instant::now() + DRAIN_TIMEOUT;
        while !self.shared.conns.lock().is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn accept(self, listener: TcpListener, workers: Vec<UnboundedSender<Accepted>>) {
        let _guard = PanicGuard(self.shared.clone());
        let mut listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "the client port cannot be served");
                return;
            }
        };
        let descriptors_max = descriptors_for_connections();
        let mut end = self.shared.end();
        let mut next = 0;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                moved = self.shared.new_client_port.wait() => {
                    match tokio::net::TcpListener::from_std(moved) {
                        Ok(moved) => listener = moved,
                        Err(error) => tracing::error!(%error, "the client port stays where it is"),
                    }
                    continue;
                }
                _ = end.wait_for(Option::is_some) => return,
            };
            match accepted {
                Ok((socket, peer)) => {
                    // The system gives the lowest number that is free: about as many are in use.
                    let is_last = u64::try_from(socket.as_raw_fd()).is_ok_and(|number| number >= descriptors_max);
                    if is_last {
                        tracing::warn!(%peer, "too many open files for one more connection (ulimit -n); closed");
                    }
                    if is_last || !self.admit(peer) {
                        self.shared.stats.connections.rejected.add(1);
                        continue;
                    }
                    let connections = &self.shared.stats.connections;
                    if peer.ip().to_canonical().is_loopback() {
                        connections.plain_local.add(1);
                    } else {
                        connections.plain_remote.add(1);
                    }
                    let sent = socket
                        .into_std()
                        .map(|socket| workers[next % workers.len()].send((socket, peer)));
                    if !matches!(sent, Ok(Ok(()))) {
                        leave(&self.per_address, peer);
                    }
                    next += 1;
                }
                Err(error) => {
                    // Out of descriptors, mostly. Waiting a moment lets some connections end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Counts a connection against the limits. What is over a limit is closed at once, as the reference does.
    fn admit(&self, peer: SocketAddr) -> bool {
        let limits = &self.shared.config.limits;
        let mut per_address = self.per_address.lock();
        let total: u32 = per_address.values().sum();
        if let Some(max) = limits.max_cnxns
            && total >= max.get()
        {
            tracing::warn!(%peer, limit = max.get(), "too many connections (maxCnxns); closed");
            return false;
        }
        let count = per_address.entry(peer.ip()).or_default();
        if let Some(max) = limits.max_client_cnxns
            && *count >= max.get()
        {
            tracing::warn!(%peer, limit = max.get(), "too many connections from this address (maxClientCnxns; 0 lifts the limit); closed");
            return false;
        }
        *count += 1;
        true
    }

    /// Serves a connection until it ends.
    fn serve(self, socket: TcpStream, peer: SocketAddr) {
        match prepare(socket, self.shared.config.client_tcp_keep_alive) {
            Ok(socket) => {
                let mut client = self.client(socket, peer);
                // Only the client lives on in the task, and it is not moved any more: there are many.
                tokio::task::spawn_local(async move {
                    let _guard = PanicGuard(client.shared.clone());
                    client.run().await;
                    client.end();
                });
            }
            Err(_gone) => leave(&self.per_address, peer),
        }
    }

    fn client(self, socket: tokio::net::TcpStream, peer: SocketAddr) -> Client {
        let shared = self.shared;
        let (read_half, write_half) = socket.into_split();
        let id = ConnId(shared.next_conn.fetch_add(1, Ordering::Relaxed));
        let large = shared.limits.large.share();
        let conn = Arc::new(Conn::new(id, peer, shared.clock.mono(), write_half, large));
        shared.conns.lock().insert(id, conn.clone());
        Client {
            incoming: Incoming::new(shared.clone(), ConnHandle(conn.clone())),
            shared,
            per_address: self.per_address,
            conn,
            read_half,
        }
    }
}

/// Descriptors up to this number are for connections, the others for files: without the next file of its log a server has
/// to end.
fn descriptors_for_connections() -> u64 {
    // A limit that cannot be read is none that could be kept.
    let limit = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(u64::MAX, |(limit, _)| limit);
    limit - DESCRIPTORS_RESERVED.min(limit / 4)
}

/// Counts a connection out.
fn leave(per_address: &PerAddress, peer: SocketAddr) {
    let mut per_address = per_address.lock();
    if let Some(count) = per_address.get_mut(&peer.ip()) {
        *count -= 1;
        if *count == 0 {
            per_address.remove(&peer.ip());
        }
    }
}

fn prepare(socket: TcpStream, keep_alive: bool) -> std::io::Result<tokio::net::TcpStream> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    if keep_alive {
        socket2::SockRef::from(&socket).set_keepalive(true)?;
    }
    tokio::net::TcpStream::from_std(socket)
}

/// Closes connections that have not asked for a session in time, and, when memory gets tight, those that take nothing.
async fn sweep(shared: Arc<Shared>) {
    let _guard = PanicGuard(shared.clone());
    let timeout_ms = u64::from(shared.config.limits.sessionless_cnxn_timeout_ms).max(1);
    let mut end = shared.end();
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
            _ = end.wait_for(Option::is_some) => return,
        }
        let now = shared.clock.mono();
        let is_tight = shared.limits.is_tight();
        for conn in shared.conns.lock().values() {
            let has_stalled = conn.has_stalled();
            if is_tight && has_stalled {
                tracing::warn!(peer = %conn.peer, "closed: the client does not take its replies, and those of all clients hold too much memory");
                conn.close(Close::Now);
            }
            if conn.session_handle().is_none() && now.since(conn.opened) > timeout_ms {
                tracing::debug!(peer = %conn.peer, "closed: no session was asked for in time");
                shared.stats.connections.sessionless_expired.add(1);
                conn.close(Close::Now);
            }
        }
    }
}

/// A connection with the task that serves it.
struct Client {
    shared: Arc<Shared>,
    per_address: PerAddress,
    conn: Arc<Conn>,
    incoming: Incoming,
    read_half: OwnedReadHalf,
}

impl Client {
    /// What most connections do nearly always stands here and in [`Client::wait`]. Everything else is boxed, so that idle
    /// connections do not keep the room for it.
    async fn run(&mut self) {
        let mut flow = Flow::Read;
        loop {
            if self.shared.is_stopping() {
                return Box::pin(self.finish()).await;
            }
            match self.conn.closing() {
                Some(Close::Now) => return,
                Some(Close::AfterOutput) => return Box::pin(self.drain()).await,
                None => {}
            }
            if let Flow::Word(word) = flow {
                Box::pin(words::serve(&self.shared, &self.conn, word)).await;
                return Box::pin(self.drain()).await;
            }
            flow = match flow {
                Flow::Read | Flow::Wait => self.incoming.resume(),
                other => other,
            };
            if matches!(flow, Flow::Closed) {
                return Box::pin(self.drain()).await;
            }
            let is_blocked = self.conn.flush() == Flushed::Blocked;
            self.conn
                .outbox
                .count(&mut self.conn.outbox.peek(), &self.shared.limits);
            if flow == Flow::Wait && !is_blocked && self.incoming.may_go_on() {
                // What held it back went out at once. Others on this thread have their turn first.
                tokio::task::yield_now().await;
                continue;
            }
            if let Some(next) = self.wait(is_blocked, flow == Flow::Read).await {
                flow = next;
                if self.incoming.has_received_much() {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Waits for whatever comes first: bytes to read (if they are wanted), room to write (if some wait), a call from
    /// the node or from whoever ends the server. `None`: nothing was read.
    async fn wait(&mut self, is_blocked: bool, wants_bytes: bool) -> Option<Flow> {
        if is_blocked || self.incoming.waits_for_others() || self.incoming.waits_for_room() {
            return Box::pin(self.wait_held_back(is_blocked, wants_bytes)).await;
        }
        let Self {
            conn,
            incoming,
            read_half,
            ..
        } = self;
        tokio::select! {
            biased;
            () = conn.wake.notified() => None,
            flow = read(read_half, incoming), if wants_bytes => Some(flow),
        }
    }

    /// The same, for a connection that does not take what is sent to it, or that bounds for all connections hold back.
    async fn wait_held_back(&mut self, is_blocked: bool, wants_bytes: bool) -> Option<Flow> {
        let Self {
            conn,
            incoming,
            read_half,
            shared,
            ..
        } = self;
        let waits_for_others = incoming.waits_for_others();
        let waits_for_room = incoming.waits_for_room();
        tokio::select! {
            biased;
            () = conn.wake.notified() => None,
            flow = read(read_half, incoming), if wants_bytes => Some(flow),
            () = conn.writable(), if is_blocked => None,
            () = shared.limits.below_hard_bound(), if waits_for_others => None,
            () = tokio::time::sleep(ROOM_INTERVAL), if waits_for_room => None,
        }
    }

    /// Forgets the connection.
    fn end(&mut self) {
        let id = self.conn.id;
        self.incoming.end();
        self.shared.conns.lock().remove(&id);
        self.shared.queue.push(NodeEvent::Disconnected(id));
        leave(&self.per_address, self.conn.peer);
    }

    /// Writes what is left, then ends the connection in an orderly way.
    async fn drain(&mut self) {
        self.write_out().await;
        self.linger().await;
    }

    /// Writes what is left and says that it was the last.
    async fn write_out(&self) {
        let draining = async {
            while !self.conn.outbox.is_drained() && self.conn.closing() != Some(Close::Now) {
                if self.conn.flush() == Flushed::Blocked {
                    self.conn.writable().await;
                }
            }
        };
        // A client that does not take its last bytes is not waited for longer than this.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, draining).await;
        self.conn.end_output();
    }

    /// Waits a moment for the client to close as well. Closing a socket with unread bytes resets the connection, and the
    /// client may lose what it has not read yet: the answer to closeSession, when more requests came behind it.
    async fn linger(&mut self) {
        let read_half = &mut self.read_half;
        let discarding = async { while discard(read_half).await {} };
        let _ = tokio::time::timeout(LINGER_TIMEOUT, discarding).await;
    }

    /// The server ends: requests that were accepted are still answered.
    async fn finish(&mut self) {
        let deadline = tokio::time::Instant::now() + DRAIN_TIMEOUT;
        while self.conn.in_flight.load(Ordering::Acquire) > 0
            && self.conn.closing().is_none()
            && !self.shared.has_failed()
            && !self.shared.has_node_ended()
            && tokio::time::Instant::now() < deadline
        {
            let _ = tokio::time::timeout(Duration::from_millis(5), self.conn.wake.notified()).await;
        }
        self.write_out().await;
    }
}

/// Reads once and forgets what came. `false` at the end.
async fn discard(read_half: &mut OwnedReadHalf) -> bool {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let read = Pin::new(&mut *read_half).poll_read(context, &mut buffer);
            read.map(|result| result.is_ok() && !buffer.filled().is_empty())
        })
    })
    .await
}

/// Reads once and handles what came.
async fn read(read_half: &mut OwnedReadHalf, incoming: &mut Incoming) -> Flow {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut *read_half).poll_read(context, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(_)) => Poll::Ready(incoming.lost()),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(incoming.lost()),
                Poll::Ready(Ok(())) => Poll::Ready(incoming.receive(buffer.filled())),
            }
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stalled_tests::end_of;
    use crate::{Config, Server};

    #[test]
    fn a_task_that_panics_ends_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(Config::for_test(dir.path())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let guard = PanicGuard(server.shared.clone());
            let task = tokio::task::spawn_local(async move {
                let _guard = guard;
                panic!("a bug");
            });
            task.await.unwrap_err();
        });
        assert_eq!(end_of(server).unwrap_err().code, ExitCode::UnexpectedError);
    }
}
