//! The election port: one connection to every other server, over which votes go.
//!
//! Of the two directions in which two servers can connect, the one that the server with the larger sid opened stays:
//!
//! | who | does |
//! |---|---|
//! | the larger | dials, sends its [`InitialMessage`], keeps the connection |
//! | the lower | dials, sends its [`InitialMessage`], closes, and waits to be dialled in turn |
//! | the larger, dialled | closes that connection and the one it had, dials back |
//! | the lower, dialled | keeps that connection in place of the one it had |
//!
//! A peer has one task ([`peer`]) that owns its connection and every attempt to make one, and one mailbox with room for
//! one frame and one arrival, of which newer ones take the place of older ones: a vote is of use only if it is the
//! latest. The listeners ([`listener`]) find out who is calling and put the connection into that mailbox.
//!
//! What differs from Java: a connection that is lost is made again without waiting for the next vote, so that it is known
//! at once whether the other server is still there; the number of callers that have not said who they are, and of those
//! that nobody knows, has a bound (H-25 of the reference: Java keeps them all).
//!
//! Source: `QuorumCnxManager`.

mod dial;
mod link;
mod listener;
mod peer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, watch};
use zebu_proto::quorum::{
    ConnectionVersion, HostPort, INITIAL_ADDRESS_BYTES_MAX, InitialMessage, Notification, PeerEpoch, PeerState, Round,
};
use zebu_proto::{Sid, Zxid};

use self::dial::SocketOptions;
use self::peer::{Arrival, Mailbox, PeerTask};

/// Most servers outside of the membership that have a connection at once: those that are about to join, mostly.
const STRANGERS_MAX: usize = 32;

/// What an election port needs to know.
#[derive(Clone, Debug)]
pub(crate) struct ElectionPortConfig {
    /// This server.
    pub(crate) sid: Sid,
    /// This server's election addresses. They are told to the others, and the port is open at them.
    pub(crate) addresses: Vec<HostPort>,
    /// Whether the port is open on every interface instead (`quorumListenOnAllIPs`).
    pub(crate) listen_on_all_ips: bool,
    /// The other servers, and their election addresses.
    pub(crate) others: BTreeMap<Sid, Vec<HostPort>>,
    /// What the initial message looks like: [`ConnectionVersion::V2`] with `multiAddress.enabled`, otherwise
    /// [`ConnectionVersion::V1`].
    pub(crate) version: ConnectionVersion,
    /// How long an attempt to connect may take, milliseconds (`zookeeper.cnxTimeout`).
    pub(crate) connect_timeout_ms: u64,
    /// How long a caller may take to say who it is, milliseconds (`quorumCnxnTimeoutMs`, or `syncLimit` ticks).
    pub(crate) initial_message_timeout_ms: u64,
    /// Whether the system looks after idle connections (`zookeeper.tcpKeepAlive`).
    pub(crate) tcp_keep_alive: bool,
    /// How often the port is tried, if it is taken, a second apart (`zookeeper.electionPortBindRetry`); `None`: for ever.
    pub(crate) bind_retry: Option<NonZeroU32>,
}

/// Between two attempts to open the port. Source: `QuorumCnxManager.Listener`.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// Something happened on the election port.
#[derive(Debug)]
pub(crate) enum ElectionEvent {
    /// A server says something.
    Notified {
        /// Which server. It need not be one of the membership.
        from: Sid,
        /// What it says.
        notification: Received,
    },
    /// There is a connection to this server now, and there was none when it was last reported on.
    Reachable(Sid),
    /// There is none, and an attempt to make one has failed, at once where the system refuses it since nobody listens
    /// there. As long as there is something to say to that server it goes on trying.
    Unreachable(Sid),
    /// A task of the port has panicked: a bug, for which the server has to end.
    Panicked,
}

/// A [`Notification`] that has left its buffer.
///
/// A peer has room for [`UNHANDLED_MAX`](peer::UNHANDLED_MAX) of them: until one is dropped no more is read from it.
#[derive(Debug)]
pub(crate) struct Received {
    /// What the sender does.
    pub(crate) state: PeerState,
    /// Whom it votes for, or follows.
    pub(crate) leader: Sid,
    /// The last zxid of that server.
    pub(crate) zxid: Zxid,
    /// The round in which it does.
    pub(crate) round: Round,
    /// The epoch of that server.
    pub(crate) peer_epoch: PeerEpoch,
    /// The version of the message.
    pub(crate) version: i32,
    /// The text of the sender's committed configuration.
    pub(crate) config: Option<Vec<u8>>,
    _room: OwnedSemaphorePermit,
}

impl Received {
    fn new(notification: &Notification<'_>, room: OwnedSemaphorePermit) -> Self {
        Self {
            state: notification.state,
            leader: notification.leader,
            zxid: notification.zxid,
            round: notification.round,
            peer_epoch: notification.peer_epoch,
            version: notification.version,
            config: notification.config.map(<[u8]>::to_vec),
            _room: room,
        }
    }
}

/// Takes what happens, on the port's runtime: it must not block.
pub(crate) type EventSink = Arc<dyn Fn(ElectionEvent) + Send + Sync>;

/// The election port of a server. It is open until it is dropped or stopped.
pub(crate) struct ElectionPort {
    inner: Arc<Inner>,
    listening: Vec<SocketAddr>,
    /// Ends the tasks of the present listeners.
    close_listeners: watch::Sender<bool>,
}

impl ElectionPort {
    /// Opens the port. Nobody is dialled before there is something to send.
    ///
    /// # Errors
    /// If an address cannot be resolved or bound, or the addresses do not fit in an initial message.
    pub(crate) fn start(runtime: &Handle, config: ElectionPortConfig, events: EventSink) -> io::Result<Self> {
        let mut tries = 1;
        let listeners = loop {
            match listener::bind(&config.addresses, config.listen_on_all_ips) {
                Ok(listeners) => break listeners,
                Err(error) if config.bind_retry.is_some_and(|tries_max| tries >= tries_max.get()) => return Err(error),
                Err(error) => tracing::warn!(%error, tries, "not free yet; trying again (electionPortBindRetry)"),
            }
            tries += 1;
            std::thread::sleep(BIND_PAUSE);
        };
        Self::start_on(runtime, listeners, config, events)
    }

    /// As [`ElectionPort::start`], with sockets that listen already.
    fn start_on(
        runtime: &Handle,
        listeners: Vec<TcpListener>,
        config: ElectionPortConfig,
        events: EventSink,
    ) -> io::Result<Self> {
        let stop = watch::Sender::new(false);
        let initial_message = initial_message(&config, &config.addresses)?;
        let inner = Arc::new(Inner {
            runtime: runtime.clone(),
            initial_message: Mutex::new(initial_message.into()),
            peers: Mutex::new(Peers {
                mailboxes: BTreeMap::new(),
                addresses: BTreeMap::new(),
                next_observer: Sid(-1),
            }),
            events,
            stop,
            config,
        });
        let mut port = Self {
            inner,
            listening: Vec::new(),
            close_listeners: watch::Sender::new(false),
        };
        port.listen(listeners)?;
        port.set_others(port.inner.config.others.clone());
        Ok(port)
    }

    fn listen(&mut self, listeners: Vec<TcpListener>) -> io::Result<()> {
        let inner = &self.inner;
        let _context = inner.runtime.enter();
        let mut listening = Vec::new();
        let mut sockets = Vec::new();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            listening.push(listener.local_addr()?);
            sockets.push(tokio::net::TcpListener::from_std(listener)?);
        }
        let close = watch::Sender::new(false);
        for socket in sockets {
            let serving = listener::serve(inner.clone(), socket, inner.stop.subscribe());
            let mut closing = close.subscribe();
            inner.runtime.spawn(async move {
                tokio::select! {
                    () = serving => {}
                    _ = closing.wait_for(|closes| *closes) => {}
                }
            });
        }
        self.listening = listening;
        self.close_listeners = close;
        Ok(())
    }

    /// The other servers have changed, or their addresses.
    pub(crate) fn set_others(&self, others: BTreeMap<Sid, Vec<HostPort>>) {
        let inner = &self.inner;
        let mut peers = inner.peers.lock();
        peers.addresses = others;
        peers.addresses.remove(&inner.config.sid);
        let known: Vec<Sid> = peers.addresses.keys().copied().collect();
        for sid in known {
            peers
                .mailboxes
                .entry(sid)
                .or_insert_with(|| inner.add_peer(sid, inner.stop.subscribe()));
        }
        // Who is gone is a stranger now, and finds out by itself.
        for mailbox in peers.mailboxes.values() {
            mailbox.wake();
        }
    }

    /// This server's addresses have changed: the port is open there from now on, and the others are told when they are
    /// connected to the next time.
    ///
    /// # Errors
    /// If an address cannot be resolved or bound, or the addresses do not fit in an initial message. The port stays where
    /// it is then.
    pub(crate) fn move_to(&mut self, addresses: &[HostPort]) -> io::Result<()> {
        let initial_message = initial_message(&self.inner.config, addresses)?;
        let listeners = listener::bind(addresses, self.inner.config.listen_on_all_ips)?;
        self.close_listeners.send_replace(true);
        self.listen(listeners)?;
        *self.inner.initial_message.lock() = initial_message.into();
        Ok(())
    }

    /// Where the port is open.
    pub(crate) fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Sends a frame to a server as soon as there is a connection, and makes one if there is none. A frame for the same
    /// server that is still waiting is dropped. The last frame that was sent is sent again on every new connection: it may
    /// have been lost with the old one.
    ///
    /// A server that is not in the membership is sent to while it has a connection.
    pub(crate) fn send(&self, to: Sid, frame: Vec<u8>) {
        match self.inner.peers.lock().mailboxes.get(&to) {
            Some(mailbox) => mailbox.put_frame(frame),
            None => tracing::debug!(sid = %to, "no such server in the configuration; a notification is dropped"),
        }
    }

    /// Closes the port and all connections, without waiting for it.
    pub(crate) fn stop(&self) {
        self.inner.stop.send_replace(true);
    }

    /// Waits until everything is closed after [`ElectionPort::stop`]: the addresses are free again.
    #[cfg(test)]
    pub(crate) async fn stopped(&self) {
        self.inner.stop.closed().await;
    }
}

impl Drop for ElectionPort {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The bytes with which this server introduces itself.
fn initial_message(config: &ElectionPortConfig, addresses: &[HostPort]) -> io::Result<Vec<u8>> {
    let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
    if addresses.is_empty() {
        return Err(invalid("a server in an ensemble needs an election address"));
    }
    let mut bytes = Vec::new();
    InitialMessage {
        version: config.version,
        sid: config.sid,
        addresses: addresses.to_vec(),
    }
    .encode(&mut bytes);
    /// Version, sid and length of the addresses.
    const HEAD_BYTES: usize = 20;
    if bytes.len() > HEAD_BYTES + INITIAL_ADDRESS_BYTES_MAX {
        return Err(invalid("the election addresses do not fit in an initial message"));
    }
    Ok(bytes)
}

/// What the tasks of a port share.
struct Inner {
    config: ElectionPortConfig,
    initial_message: Mutex<Arc<[u8]>>,
    runtime: Handle,
    peers: Mutex<Peers>,
    events: EventSink,
    /// Set when the port stops. Every task holds a receiver.
    stop: watch::Sender<bool>,
}

struct Peers {
    /// Of all other members, and of the strangers that have a connection or are being called back.
    mailboxes: BTreeMap<Sid, Arc<Mailbox>>,
    /// Where the other members are.
    addresses: BTreeMap<Sid, Vec<HostPort>>,
    /// What the next caller without a sid of its own is called.
    next_observer: Sid,
}

impl Inner {
    fn emit(&self, event: ElectionEvent) {
        (self.events)(event);
    }

    fn socket_options(&self) -> SocketOptions {
        SocketOptions {
            keep_alive: self.config.tcp_keep_alive,
        }
    }

    fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.config.connect_timeout_ms)
    }

    /// Where a member is; empty for strangers.
    fn configured_addresses(&self, sid: Sid) -> Vec<HostPort> {
        self.peers.lock().addresses.get(&sid).cloned().unwrap_or_default()
    }

    fn add_peer(self: &Arc<Self>, sid: Sid, stopping: watch::Receiver<bool>) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::default());
        let task = PeerTask::new(self.clone(), sid, mailbox.clone());
        self.runtime.spawn(task.run(stopping));
        mailbox
    }

    /// Gives an arrival to the task of its peer, which is started if nobody knows the peer yet. `false`: there are too
    /// many of those.
    fn deliver(self: &Arc<Self>, sid: Sid, arrival: Arrival, stopping: &watch::Receiver<bool>) -> bool {
        let mut peers = self.peers.lock();
        let strangers = peers.mailboxes.keys().filter(|sid| !peers.addresses.contains_key(sid));
        let strangers = strangers.count();
        match peers.mailboxes.entry(sid) {
            Entry::Occupied(mailbox) => mailbox.get().put_arrival(arrival),
            Entry::Vacant(_) if strangers >= STRANGERS_MAX => return false,
            Entry::Vacant(place) => place.insert(self.add_peer(sid, stopping.clone())).put_arrival(arrival),
        }
        true
    }

    /// Forgets a stranger, unless something has arrived for it in the meantime.
    fn retire(&self, sid: Sid) -> bool {
        let mut peers = self.peers.lock();
        let is_known = peers.addresses.contains_key(&sid);
        let is_over = !is_known && peers.mailboxes.get(&sid).is_none_or(|mailbox| !mailbox.has_arrival());
        if is_over {
            peers.mailboxes.remove(&sid);
        }
        is_over
    }

    /// A negative number for a caller that has no sid of its own.
    ///
    /// Source: `QuorumCnxManager.observerCounter`.
    fn name_observer(&self) -> Sid {
        let mut peers = self.peers.lock();
        let sid = peers.next_observer;
        peers.next_observer = Sid(sid.0.checked_sub(1).unwrap_or(-1));
        sid
    }
}

/// For every task to hold: its panic is reported, where the runtime would only forget the task.
struct PanicGuard(Arc<Inner>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.emit(ElectionEvent::Panicked);
        }
    }
}
