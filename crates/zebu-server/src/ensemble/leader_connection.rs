//! A learner's connection to its leader, or an observer's to the follower that it learns from. It has a thread of its own: a whole tree may come by it, which is taken apart and
//! written to disk as it comes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use zebu_proto::jute::Write as _;
use zebu_proto::quorum::{HostPort, QuorumPacket, SnapshotPart, SnapshotStream};
use zebu_proto::snapshot::END_MARK;
use zebu_proto::{Sid, Zxid};
use zebu_store::SnapshotWriter;
use zebu_tree::{Loader, Tree};
use zebu_zab::ToLearner;

use super::PeerEvent;
use super::link::Link;
use super::message::LeaderSays;
use super::quorum_port::invalid;
use crate::server;
use crate::shared::{NodeEvent, Shared};

/// Between two attempts. A leader opens its port as soon as it knows that it is one, which its learners may know before.
const RETRY: Duration = Duration::from_millis(5);
const RETRY_MAX: Duration = Duration::from_millis(100);
/// One attempt: behind a cut nobody answers.
const ATTEMPT: Duration = Duration::from_millis(1000);
/// A server that cannot be reached for so long leads no more, if it ever did: it has given up since, or was cut off. Who it
/// is now the others know.
const GIVE_UP: Duration = Duration::from_millis(1500);
const READ_BYTES: usize = 128 << 10;

/// A tree that a leader has sent. It is in memory, and on disk under a temporary name.
pub(crate) struct ReceivedTree {
    /// The transaction of the SNAP packet.
    pub(crate) zxid: Zxid,
    pub(crate) tree: Tree,
    pub(crate) writer: SnapshotWriter,
}

/// A server to learn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) sid: Sid,
    pub(crate) addresses: Vec<HostPort>,
}

/// The connection, or the attempt at it. It ends when this is dropped.
pub(crate) struct LeaderConnection {
    _open: watch::Sender<()>,
}

struct Task {
    shared: Arc<Shared>,
    connection: u64,
}

impl LeaderConnection {
    /// Connects, after `delay`, to the first of these that can be reached. What comes of it is told as events with this number.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(crate) fn open(shared: &Arc<Shared>, routes: Vec<Route>, delay: Duration, connection: u64) -> io::Result<Self> {
        let (open, closed) = watch::channel(());
        let task = Task {
            shared: shared.clone(),
            connection,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        server::guarded(shared, "zebu-learner", move || {
            runtime.block_on(task.run(&routes, delay, closed));
        })?;
        Ok(Self { _open: open })
    }
}

impl Task {
    async fn run(self, routes: &[Route], delay: Duration, mut closed: watch::Receiver<()>) {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = closed.changed() => return,
        }
        let connected = tokio::select! {
            connected = tokio::time::timeout(GIVE_UP, connect(routes)) => connected,
            _ = closed.changed() => return,
        };
        let connection = self.connection;
        let Ok((sid, socket)) = connected else {
            tracing::warn!("the leader cannot be reached");
            return self.tell(PeerEvent::LeaderLost { connection });
        };
        if let Err(error) = self.serve(sid, socket, &mut closed).await {
            tracing::warn!(%error, "the connection to the leader has ended");
        }
        self.tell(PeerEvent::LeaderLost { connection });
    }

    fn tell(&self, event: PeerEvent) {
        self.shared.queue.push(NodeEvent::Peer(event));
    }

    async fn serve(&self, sid: Sid, socket: TcpStream, closed: &mut watch::Receiver<()>) -> io::Result<()> {
        socket.set_nodelay(self.shared.config.ensemble.connections.follower_nodelay)?;
        let link = Link::new(socket.peer_addr()?);
        let (mut reading, writing) = socket.into_split();
        self.tell(PeerEvent::LeaderConnected {
            connection: self.connection,
            sid,
            link: link.clone(),
        });
        let ended = tokio::select! {
            ended = self.read(&mut reading, &link) => ended,
            ended = link.run(writing, &self.shared) => ended,
            _ = closed.changed() => Ok(()),
        };
        link.give_up(&self.shared);
        ended
    }

    async fn read(&self, socket: &mut (impl AsyncReadExt + Unpin), link: &Arc<Link>) -> io::Result<()> {
        let bytes_max = self.shared.packet_bytes_max();
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        loop {
            link.room().await;
            buffer.reserve(READ_BYTES / 2);
            if socket.read_buf(&mut buffer).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the leader has closed it"));
            }
            loop {
                let mut said = Vec::new();
                let mut tree_at = None;
                let before = buffer.len();
                while let Some((packet, used)) = QuorumPacket::decode(&buffer, bytes_max).map_err(invalid)? {
                    let says = LeaderSays::decode(&packet).map_err(invalid)?;
                    buffer.advance(used);
                    if let LeaderSays::Protocol(ToLearner::Snap { zxid }) = &says {
                        tree_at = Some(*zxid);
                    }
                    said.push(says);
                    if tree_at.is_some() {
                        break;
                    }
                }
                if !said.is_empty() {
                    let unhandled = link.received(before - buffer.len());
                    self.tell(PeerEvent::LeaderSaid {
                        connection: self.connection,
                        said,
                        unhandled,
                    });
                }
                let Some(zxid) = tree_at else { break };
                self.receive_tree(zxid, socket, &mut buffer).await?;
            }
        }
    }

    /// Reads the tree behind SNAP.
    async fn receive_tree(
        &self,
        zxid: Zxid,
        socket: &mut (impl AsyncReadExt + Unpin),
        buffer: &mut BytesMut,
    ) -> io::Result<()> {
        let settings = *self.shared.replica.read().tree().settings();
        let mut stream = SnapshotStream::new(self.shared.packet_bytes_max());
        let mut loader = Loader::new(settings);
        let mut writer = self.shared.store.snapshot_writer(zxid).map_err(io::Error::other)?;
        let mut received: u64 = 0;
        loop {
            let mut at = 0;
            let is_complete = loop {
                let part = stream.decode(&buffer[at..]);
                let Some((part, used)) = part.map_err(|error| {
                    let what =
                        format!("the tree that it sent cannot be read, {received} bytes from its start: {error}");
                    io::Error::new(io::ErrorKind::InvalidData, what)
                })?
                else {
                    break false;
                };
                match part {
                    SnapshotPart::Session { session, timeout_ms } => loader.session(session, timeout_ms),
                    SnapshotPart::Acl { key, list } => loader.acl(key, list),
                    SnapshotPart::Node(node) => loader.node(&node).map_err(|error| {
                        let what = format!("the tree that it sent is none: {error}");
                        io::Error::new(io::ErrorKind::InvalidData, what)
                    })?,
                    SnapshotPart::End => {
                        buffer.advance(at + used);
                        break true;
                    }
                }
                writer.write(&buffer[at..at + used]).map_err(io::Error::other)?;
                at += used;
                received += used as u64;
            };
            if is_complete {
                break;
            }
            buffer.advance(at);
            buffer.reserve(READ_BYTES / 2);
            if socket.read_buf(buffer).await? == 0 {
                let what = format!("the leader has closed it in the middle of a tree, {received} bytes from its start");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
        }
        let mut end = Vec::new();
        end.string(END_MARK);
        writer.write(&end).map_err(io::Error::other)?;
        let tree = loader.finish(zxid).map_err(|error| {
            let what = format!("the tree that it sent is none: {error}");
            io::Error::new(io::ErrorKind::InvalidData, what)
        })?;
        tracing::info!(%zxid, nodes = tree.node_count(), bytes = received, "the leader has sent its tree");
        let tree = Box::new(ReceivedTree { zxid, tree, writer });
        self.tell(PeerEvent::TreeReceived {
            connection: self.connection,
            tree,
        });
        Ok(())
    }
}

/// Connects to the leader, or to one of those who stand for it, however long that takes: whoever waits gives up.
async fn connect(routes: &[Route]) -> (Sid, TcpStream) {
    let mut delay = RETRY;
    loop {
        let addresses = routes
            .iter()
            .flat_map(|route| route.addresses.iter().map(|address| (route.sid, address)));
        for (sid, address) in addresses {
            // The name is looked up anew: servers move.
            let attempt = TcpStream::connect((address.host.as_str(), address.port));
            match tokio::time::timeout(ATTEMPT, attempt).await {
                Ok(Ok(socket)) => return (sid, socket),
                Ok(Err(error)) => tracing::debug!(%address, %error, "the leader cannot be reached yet"),
                Err(_) => tracing::debug!(%address, "the leader does not answer yet"),
            }
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(RETRY_MAX);
    }
}
