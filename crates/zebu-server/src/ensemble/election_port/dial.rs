//! Making a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use zebu_proto::quorum::HostPort;

/// An address that has not answered for so long is no longer waited for alone: the next one is tried beside it.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Bytes that the other end has not acknowledged for so long mean that it is gone, whether the system said so or not.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(3);

/// How sockets between servers are set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct SocketOptions {
    pub(super) keep_alive: bool,
}

impl SocketOptions {
    /// Sets up a socket of ours, connected or not.
    pub(super) fn apply<'s>(self, socket: impl Into<socket2::SockRef<'s>>) -> io::Result<()> {
        let socket = socket.into();
        socket.set_tcp_nodelay(true)?;
        socket.set_keepalive(self.keep_alive)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
        Ok(())
    }
}

/// Connects to the first of the addresses that answers. Names are resolved here, each time anew.
///
/// # Errors
/// What was wrong with each address, if none answers within the timeout.
pub(super) async fn connect(
    addresses: Vec<HostPort>,
    options: SocketOptions,
    timeout: Duration,
) -> Result<TcpStream, String> {
    let mut failures = Vec::new();
    let mut attempts = JoinSet::new();
    let mut addresses = addresses.into_iter();
    loop {
        let is_last = match addresses.next() {
            Some(address) => {
                attempts.spawn(attempt(address, options, timeout));
                false
            }
            None => true,
        };
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(socket))) => return Ok(socket),
                Some(Ok(Err(failure))) => failures.push(failure),
                Some(Err(failure)) => failures.push(failure.to_string()),
                None => return Err(failures.join("; ")),
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if !is_last => {}
        }
    }
}

async fn attempt(address: HostPort, options: SocketOptions, timeout: Duration) -> Result<TcpStream, String> {
    match tokio::time::timeout(timeout, resolve_and_connect(&address, options)).await {
        Ok(result) => result.map_err(|error| format!("{address}: {error}")),
        Err(_) => Err(format!("{address}: no answer within {} ms", timeout.as_millis())),
    }
}

async fn resolve_and_connect(address: &HostPort, options: SocketOptions) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for resolved in tokio::net::lookup_host((address.host.as_str(), address.port)).await? {
        match connect_to(resolved, options).await {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn connect_to(address: SocketAddr, options: SocketOptions) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    options.apply(&socket)?;
    let socket = socket.connect(address).await?;
    // Where nobody listens on a port of this machine, the system may pick just that port for our end, and connects the
    // socket with itself.
    if socket.local_addr()? == socket.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const OPTIONS: SocketOptions = SocketOptions { keep_alive: true };

    #[tokio::test]
    async fn the_first_address_that_answers_is_taken() {
        let free = TcpListener::bind("127.91.0.1:0").unwrap();
        let dead = HostPort::new("127.91.0.1", free.local_addr().unwrap().port());
        drop(free);
        let listener = TcpListener::bind("127.91.0.2:0").unwrap();
        let alive = HostPort::new("127.91.0.2", listener.local_addr().unwrap().port());
        let unknown = HostPort::new("no such name", 1);
        let timeout = Duration::from_secs(10);
        let socket = connect(vec![dead.clone(), unknown.clone(), alive.clone()], OPTIONS, timeout)
            .await
            .unwrap();
        assert_eq!(socket.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert!(socket.nodelay().unwrap());

        let failure = connect(vec![dead.clone(), unknown], OPTIONS, timeout)
            .await
            .unwrap_err();
        assert!(failure.contains(&dead.to_string()), "{failure}");
        assert!(failure.contains("no such name"), "{failure}");
    }
}
