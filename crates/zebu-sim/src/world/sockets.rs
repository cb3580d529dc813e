//! Connections between clients and servers, and what a server's connection workers do, as `worker.rs` and `session_io.rs` of
//! `zebu-server` do it.

use zebu_node::{After, Connection, PendingConnect, Reader, Rope};
use zebu_proto::client::RequestHeader;
use zebu_proto::{OpCode, Xid};

use super::*;
use crate::socket::Socket;

/// A connection between a client and a server.
pub(super) struct Line {
    pub(super) client: usize,
    pub(super) server: Side,
    socket: Socket,
    /// When the last thing arrives, at the server and at the client: nothing overtakes it.
    last: [u64; 2],
    /// Whether the server has it open.
    is_open: bool,
    /// The epoch in which the server spoke last.
    pub(super) epoch: Option<Epoch>,
}

/// What a server gets from a client.
#[derive(Debug)]
pub(super) enum ToServer {
    Connect(PendingConnect),
    /// Whole frames, each with its length in front.
    Frames(Vec<u8>),
    /// The connection is gone.
    Gone,
}

/// The operation and the length of the first of some whole frames.
fn first_frame(frames: &[u8]) -> Option<(Xid, i32, &[u8], usize)> {
    let (len, rest) = frames.split_first_chunk::<4>()?;
    let len = usize::try_from(i32::from_be_bytes(*len)).ok()?;
    let frame = rest.get(..len)?;
    let header = RequestHeader::decode(&mut zebu_proto::jute::Reader::new(frame)).ok()?;
    Some((header.xid, header.op, &frame[RequestHeader::BYTES..], len + 4))
}

fn needs_node(op: i32) -> bool {
    OpCode::from_i32(op).is_some_and(|op| op.is_client_request() && op.is_write() || op == OpCode::Sync)
}

impl World {
    /// A client connects to a server; `None` if nobody answers there.
    pub(super) fn open_line(&mut self, client: usize, index: usize, request: PendingConnect) -> Option<ConnId> {
        self.servers[index].process.as_ref()?;
        self.serial += 1;
        let conn = ConnId(self.serial);
        let line = Line {
            client,
            server: self.side(index),
            socket: Socket::new(conn),
            last: [self.now; 2],
            is_open: true,
            epoch: None,
        };
        self.lines.insert(conn, line);
        self.say_to_server(conn, ToServer::Connect(request));
        Some(conn)
    }

    /// When something that is sent now arrives at one end of a connection: 0 is the server.
    fn arrival(&mut self, conn: ConnId, end: usize) -> Option<u64> {
        let at = self.now + self.random.between(1, 6);
        let line = self.lines.get_mut(&conn)?;
        line.last[end] = at.max(line.last[end]);
        Some(line.last[end] - self.now)
    }

    pub(super) fn say_to_server(&mut self, conn: ConnId, said: ToServer) {
        if let Some(delay) = self.arrival(conn, 0) {
            self.at(delay, Event::ClientSays(conn, said));
        }
    }

    /// Sends what a server has for its clients.
    pub(super) fn tell_clients(&mut self, side: Side) {
        let Some(process) = self.process_of(side) else { return };
        let epoch = process.serving;
        for (conn, told) in std::mem::take(&mut process.outbox.told) {
            let Some(line) = self.lines.get_mut(&conn).filter(|line| line.is_open) else {
                continue;
            };
            line.epoch = epoch;
            if matches!(told, Told::Closed) {
                line.is_open = false;
                // The node hears of it like of any other end.
                self.at(1, Event::ClientSays(conn, ToServer::Gone));
            }
            if let Some(delay) = self.arrival(conn, 1) {
                self.at(delay, Event::ServerSays(conn, told));
            }
        }
    }

    /// The process is over: its clients find out.
    pub(super) fn close_sockets(&mut self, side: Side) {
        let of_it = |line: &Line| line.is_open && line.server == side;
        let conns: Vec<ConnId> = self
            .lines
            .iter()
            .filter(|(_, line)| of_it(line))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in conns {
            if let Some(line) = self.lines.get_mut(&conn) {
                line.is_open = false;
            }
            if let Some(delay) = self.arrival(conn, 1) {
                self.at(delay, Event::ServerSays(conn, Told::Closed));
            }
        }
    }

    /// Something has arrived at a server.
    pub(super) fn client_says(&mut self, conn: ConnId, said: ToServer) -> Outcome<()> {
        let Some(line) = self.lines.get(&conn) else {
            return Ok(());
        };
        let (side, socket, is_open) = (line.server, line.socket.clone(), line.is_open);
        let now = self.now_at(side.server);
        self.trace(side.server, || {
            format!("hears from {conn:?} of session {:?}: {said:?}", socket.session())
        });
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        match said {
            ToServer::Gone => {
                process.node.disconnected(conn);
                process.watches.get_mut().remove_connection(conn);
                if let Some(line) = self.lines.get_mut(&conn) {
                    line.is_open = false;
                }
            }
            _ if !is_open => return Ok(()),
            ToServer::Connect(request) => {
                process.outbox.now = now.mono;
                process
                    .node
                    .connect(&process.replica, &socket, &request, now, &mut process.outbox);
            }
            ToServer::Frames(frames) => {
                self.receive(side, &socket, &frames);
                self.tell_clients(side);
            }
        }
        self.wants_turn(side);
        Ok(())
    }

    /// Requests: reads with nothing before them are answered at once, the others go to the node.
    fn receive(&mut self, side: Side, socket: &Socket, frames: &[u8]) {
        let now = self.now_at(side.server);
        let Some(session) = socket.handle() else { return };
        let Some(process) = self.process_of(side) else { return };
        process.outbox.now = now.mono;
        if !session.touch(now.mono) {
            // The session is being closed: requests are dropped, and the connection's end says why.
            return;
        }
        let ids = socket.ids();
        let mut rest = frames;
        while let Some((xid, op, body, len)) = first_frame(rest) {
            if !socket.is_idle() || needs_node(op) {
                break;
            }
            if !process.replica.is_serving() {
                process.outbox.told.push((socket.id(), Told::Closed));
                return;
            }
            let reader = Reader {
                conn: socket,
                session: session.id(),
                ids: &ids,
            };
            let mut rope = Rope::default();
            let after = process
                .replica
                .read(&process.watches, &reader, xid, op, body, &mut rope);
            process.outbox.put(socket.id(), rope);
            if after == After::Close {
                process.outbox.told.push((socket.id(), Told::Closed));
                return;
            }
            rest = &rest[len..];
        }
        let (mut count, mut at) = (0, 0);
        while let Some((.., len)) = first_frame(&rest[at..]) {
            count += 1;
            at += len;
        }
        if count > 0 {
            socket.hands_over(count);
            process
                .node
                .requests(&process.replica, socket.id(), &ids, &rest[..at], now.mono, now);
        }
    }
}
