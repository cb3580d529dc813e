//! Who calls: from an accepted connection to its peer's mailbox.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use zebu_proto::Sid;
use zebu_proto::quorum::{HostPort, InitialMessage, InitialMessageError};

use super::link::Link;
use super::peer::Arrival;
use super::{Inner, PanicGuard};

/// Most callers, at one address, that have not said who they are. One more, and the one that has been silent for longest
/// goes: a server says who it is at once.
pub(super) const SILENT_MAX: usize = 64;
/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 128;
/// The sid of those that have none of their own.
///
/// Source: `QuorumPeer.OBSERVER_ID`.
const NO_SID: Sid = Sid(i64::MAX);
/// Most addresses of a caller that are dialled.
const ADDRESSES_MAX: usize = 8;

/// Opens the port at these addresses, or at their ports on every interface.
pub(super) fn bind(addresses: &[HostPort], on_all_ips: bool) -> io::Result<Vec<TcpListener>> {
    let mut ports = Vec::new();
    let mut listeners = Vec::new();
    for address in addresses {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("election port {address}: {error}"));
        if !on_all_ips {
            listeners.push(bind_to(resolve(address).map_err(named)?).map_err(named)?);
        } else if !ports.contains(&address.port) {
            ports.push(address.port);
            listeners.push(bind_everywhere(address.port).map_err(named)?);
        }
    }
    Ok(listeners)
}

fn resolve(address: &HostPort) -> io::Result<SocketAddr> {
    let mut resolved = (address.host.as_str(), address.port).to_socket_addrs()?;
    let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    resolved.next().ok_or_else(none)
}

/// Both families on one socket, or only the older one where the machine has no other.
fn bind_everywhere(port: u16) -> io::Result<TcpListener> {
    bind_to((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Err(error),
        _ => bind_to((Ipv4Addr::UNSPECIFIED, port).into()),
    })
}

fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections until the port stops.
pub(super) async fn serve(port: Arc<Inner>, listener: tokio::net::TcpListener, mut stopping: watch::Receiver<bool>) {
    let _guard = PanicGuard(port.clone());
    let stopping_of_tasks = stopping.clone();
    tokio::select! {
        () = accept(&port, &listener, &stopping_of_tasks) => {}
        _ = stopping.wait_for(|stops| *stops) => {}
    }
}

async fn accept(port: &Arc<Inner>, listener: &tokio::net::TcpListener, stopping: &watch::Receiver<bool>) {
    let mut silent = Silent::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = silent.tasks.join_next() => continue,
        };
        match accepted {
            Ok((socket, address)) => {
                silent.add(greet(port.clone(), socket, address, stopping.clone()), address);
            }
            Err(error) => {
                // Out of descriptors, mostly. Waiting a moment lets some connections end.
                tracing::warn!(%error, "a connection to the election port could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The callers that have not said who they are, in the order in which they came.
#[derive(Default)]
struct Silent {
    tasks: JoinSet<()>,
    callers: VecDeque<(AbortHandle, SocketAddr)>,
}

impl Silent {
    fn add(&mut self, greeting: impl Future<Output = ()> + Send + 'static, address: SocketAddr) {
        self.callers.retain(|(task, _)| !task.is_finished());
        if self.callers.len() >= SILENT_MAX
            && let Some((oldest, peer)) = self.callers.pop_front()
        {
            tracing::warn!(%peer, limit = SILENT_MAX, "closed: it did not say who it is, and too many others neither");
            oldest.abort();
        }
        self.callers.push_back((self.tasks.spawn(greeting), address));
    }
}

/// Why a caller is turned away.
#[derive(Debug, Error)]
enum Refusal {
    #[error("no initial message within {0} ms")]
    Slow(u64),
    #[error("the connection ended after {0} bytes of the initial message")]
    Truncated(usize),
    #[error("{0}")]
    Malformed(#[from] InitialMessageError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it has the sid of this server, {0}: two servers have the same myid")]
    SameSid(Sid),
    #[error("server {0} is not in the configuration and has no address where it could be called back")]
    NoAddress(Sid),
    #[error("server {0} is not in the configuration, and too many of that kind are connected")]
    TooManyStrangers(Sid),
}

/// Finds out who calls, and what becomes of the connection.
async fn greet(port: Arc<Inner>, socket: TcpStream, address: SocketAddr, stopping: watch::Receiver<bool>) {
    let _guard = PanicGuard(port.clone());
    let timeout_ms = port.config.initial_message_timeout_ms;
    let read = read_initial_message(&port, socket);
    let greeted = match tokio::time::timeout(Duration::from_millis(timeout_ms), read).await {
        Ok(Ok((message, socket, rest))) => {
            let link = Link::new(socket, address, rest);
            hand_over(&port, message, link, &stopping)
        }
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::Slow(timeout_ms)),
    };
    match greeted {
        Ok(()) => {}
        // Somebody looked whether the port is open.
        Err(Refusal::Truncated(0)) => tracing::debug!(peer = %address, "a caller has left without a word"),
        Err(refusal) => {
            tracing::warn!(peer = %address, %refusal, "a connection to the election port was closed");
        }
    }
}

/// The message, the connection, and what came behind the message.
async fn read_initial_message(
    port: &Inner,
    mut socket: TcpStream,
) -> Result<(InitialMessage, TcpStream, Vec<u8>), Refusal> {
    port.socket_options().apply(&socket)?;
    let mut bytes = Vec::with_capacity(256);
    loop {
        if let Some((message, taken)) = InitialMessage::decode(&bytes)? {
            bytes.drain(..taken);
            return Ok((message, socket, bytes));
        }
        // The decoder wants more until it has a message, whose length has a limit, or finds it wrong.
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(Refusal::Truncated(bytes.len()));
        }
    }
}

/// The larger sid's connection stays; who has the lower one is called back.
fn hand_over(
    port: &Arc<Inner>,
    message: InitialMessage,
    link: Link,
    stopping: &watch::Receiver<bool>,
) -> Result<(), Refusal> {
    let own = port.config.sid;
    let sid = match message.sid {
        NO_SID => port.name_observer(),
        sid => sid,
    };
    if sid == own {
        return Err(Refusal::SameSid(own));
    }
    let arrival = if sid > own {
        Arrival::Connection(Box::new(link))
    } else {
        drop(link);
        let mut addresses = message.addresses;
        addresses.retain(|address| !address.is_wildcard());
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() && port.configured_addresses(sid).is_empty() {
            return Err(Refusal::NoAddress(sid));
        }
        Arrival::CallBack(addresses)
    };
    if port.deliver(sid, arrival, stopping) {
        Ok(())
    } else {
        Err(Refusal::TooManyStrangers(sid))
    }
}
