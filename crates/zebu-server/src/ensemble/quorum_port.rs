//! The quorum port of a leader, and the port of a follower for observers: learners connect to them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use zebu_proto::quorum::{HostPort, QuorumPacket};
use zebu_zab::LearnerId;

use super::PeerEvent;
use super::link::Link;
use super::message::LearnerSays;
use crate::shared::{NodeEvent, Shared};

/// Connections at a time: many times what an ensemble has. Who connects has said nothing yet about who it is.
const CONNECTIONS_MAX: usize = 1024;
/// How often a port that is not free yet is tried again, and how long.
const BIND_RETRY: Duration = Duration::from_millis(50);
const BIND_ATTEMPTS: u32 = 60;
const READ_BYTES: usize = 64 << 10;

/// Whom a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// The quorum port of a leader.
    Quorum,
    /// The port of a follower for observers (`observerMasterPort`).
    Observers,
}

/// The open port. It is closed, with all connections that came by it, when this is dropped.
pub(crate) struct QuorumPort {
    _open: watch::Sender<()>,
}

/// What all connections of a port share.
struct Listener {
    shared: Arc<Shared>,
    port: Port,
    role: u64,
    next: Arc<AtomicU64>,
    connections: AtomicUsize,
}

impl QuorumPort {
    /// Opens the port at these addresses, for the role with this number.
    pub(crate) fn open(
        runtime: &Handle,
        shared: &Arc<Shared>,
        port: Port,
        addresses: Vec<HostPort>,
        role: u64,
        next: &Arc<AtomicU64>,
    ) -> Self {
        let (open, closed) = watch::channel(());
        let listener = Arc::new(Listener {
            shared: shared.clone(),
            port,
            role,
            next: next.clone(),
            connections: AtomicUsize::new(0),
        });
        for address in addresses {
            runtime.spawn(listener.clone().listen(address, closed.clone()));
        }
        Self { _open: open }
    }
}

impl Listener {
    async fn listen(self: Arc<Self>, address: HostPort, mut closed: watch::Receiver<()>) {
        let listener = tokio::select! {
            bound = bind_in_the_end(&address) => match bound {
                Ok(listener) => listener,
                Err(error) => {
                    match self.port {
                        Port::Quorum => tracing::error!(%address, %error, "the quorum port cannot be opened: no server can follow this one. Another process may have it, or the address in this server's line is not this machine's (quorumListenOnAllIPs=true listens on all)"),
                        Port::Observers => tracing::error!(%address, %error, "the port for observers cannot be opened (observerMasterPort): none can learn from this server, until it follows another leader. Another process may have the port"),
                    }
                    self.tell(PeerEvent::PortFailed { role: self.role });
                    return;
                }
            },
            _ = closed.changed() => return,
        };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = closed.changed() => return,
            };
            match accepted {
                Ok((socket, peer)) => {
                    if self.connections.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
                        self.connections.fetch_sub(1, Ordering::AcqRel);
                        tracing::warn!(%peer, limit = CONNECTIONS_MAX, "refused on the quorum port: there are too many connections");
                        continue;
                    }
                    tokio::spawn(self.clone().serve(socket, peer, closed.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the quorum port could not be accepted");
                    tokio::time::sleep(BIND_RETRY).await;
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, mut closed: watch::Receiver<()>) {
        let id = LearnerId(self.next.fetch_add(1, Ordering::Relaxed));
        let link = Link::new(peer);
        let _ = socket.set_nodelay(self.shared.config.ensemble.connections.leader_nodelay);
        let (mut reading, writing) = socket.into_split();
        let role = self.role;
        self.tell(PeerEvent::LearnerConnected {
            role,
            id,
            link: link.clone(),
        });
        tokio::select! {
            why = self.read(&mut reading, id, &link) => {
                match why {
                    Ok(()) => tracing::info!(%peer, "a learner has closed its connection"),
                    Err(error) => tracing::warn!(%peer, %error, "the connection of a learner has ended"),
                }
            }
            result = link.run(writing, &self.shared) => {
                if let Err(error) = result {
                    tracing::warn!(%peer, %error, "the connection of a learner has ended");
                }
            }
            _ = closed.changed() => {}
        }
        link.give_up(&self.shared);
        self.connections.fetch_sub(1, Ordering::AcqRel);
        self.tell(PeerEvent::LearnerLost { role, id });
    }

    fn tell(&self, event: PeerEvent) {
        self.shared.queue.push(NodeEvent::Peer(event));
    }

    /// Reads packets until the connection ends.
    async fn read(&self, socket: &mut (impl AsyncReadExt + Unpin), id: LearnerId, link: &Arc<Link>) -> io::Result<()> {
        let bytes_max = self.shared.packet_bytes_max();
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        loop {
            link.room().await;
            buffer.reserve(READ_BYTES / 2);
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            let mut said = Vec::new();
            let before = buffer.len();
            while let Some((packet, used)) = QuorumPacket::decode(&buffer, bytes_max).map_err(invalid)? {
                said.push(LearnerSays::decode(packet).map_err(invalid)?);
                buffer.advance(used);
            }
            if !said.is_empty() {
                let unhandled = link.received(before - buffer.len());
                self.tell(PeerEvent::LearnerSaid {
                    role: self.role,
                    id,
                    said,
                    unhandled,
                });
            }
        }
    }
}

pub(super) fn invalid(error: zebu_proto::jute::DecodeError) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it sent what is no packet: {error}"),
    )
}

/// Opens a port. The one before it, of this server's last leadership or of a process that has just ended, may still be
/// about to be closed.
async fn bind_in_the_end(address: &HostPort) -> io::Result<TcpListener> {
    let mut attempts = 0;
    loop {
        match bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if attempts == BIND_ATTEMPTS => return Err(error),
            Err(_) => {
                attempts += 1;
                tokio::time::sleep(BIND_RETRY).await;
            }
        }
    }
}

async fn bind(address: &HostPort) -> io::Result<TcpListener> {
    const BACKLOG: i32 = 128;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for resolved in tokio::net::lookup_host((address.host.as_str(), address.port)).await? {
        let listen = || {
            let socket = Socket::new(Domain::for_address(resolved), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&resolved.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket.into())
        };
        match listen() {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}
