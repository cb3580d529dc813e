//! Clients: they have sessions, write, read, watch, lose their connections, come back to other servers, fall silent.

use std::borrow::Cow;
use std::collections::VecDeque;

use zebu_node::PendingConnect;
use zebu_proto::client::{
    ConnectResponse, CreateRequest, MultiOp, MultiRequest, ReplyHeader, RequestHeader, WatchedEvent,
};
use zebu_proto::jute::{Reader, Write as _};
use zebu_proto::{AclList, CreateMode, ErrorCode, OpCode, RequestedAcl, SessionId, Stat, Xid};

use super::sockets::ToServer;
use super::*;
use crate::checker::{Answer, Given};

/// How often a client looks at what it has to do, virtual milliseconds.
const LOOK_MS: u64 = 100;
/// Requests that a client sends without an answer.
const WAITING_MAX: usize = 6;
/// Nodes that all clients write to and read.
const SHARED: [&str; 4] = ["/k0", "/k1", "/k2", "/k3"];
/// The node below which sequential nodes are made.
pub(super) const QUEUE: &str = "/q";
/// With everybody serving and no faults, a request on a live connection is answered within this.
const ANSWER_MS_MAX: u64 = 1500;
/// How long it takes, without faults, until the leader knows that a server has heard of a client, and more.
const HEARSAY_MS: u64 = 1000;

/// A client.
pub(super) struct Client {
    /// Whether it does something by chance.
    pub(super) acts_alone: bool,
    /// The only server that it goes to.
    home: Option<usize>,
    pub(super) session: SessionId,
    password: Vec<u8>,
    timeout_ms: i32,
    /// Whether its session was made by one server for itself.
    is_read_only: bool,
    /// The last state that it has seen.
    seen: Zxid,
    next_xid: i32,
    pub(super) state: State,
    waiting: VecDeque<Asked>,
    /// What it watches on this connection, and the state that the watch was set in.
    watches: BTreeMap<String, Zxid>,
    sent_at: u64,
    heard_at: u64,
    /// It does nothing until then, and has not said goodbye.
    silent_until: u64,
    /// Nodes that it has made, or tried to.
    own: Vec<String>,
    /// When it has sent what was answered lately.
    answered: VecDeque<u64>,
    /// What a scenario wants of it, and how it ended.
    pub(super) results: Vec<(Xid, i32)>,
}

/// Whether a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Away,
    /// Since when the handshake takes.
    Connecting(ConnId, u64),
    Open(ConnId),
}

/// A request without an answer.
struct Asked {
    xid: Xid,
    what: What,
    at: u64,
    /// The last write that was acknowledged to anybody when it was sent.
    floor: Zxid,
}

/// What was asked for.
enum What {
    Write {
        /// The bytes that tell it from all others, if it has any.
        data: Option<Vec<u8>>,
        /// Whether the reply names a path.
        names_path: bool,
    },
    Close,
    Read {
        path: String,
        has_data: bool,
        is_watching: bool,
        /// Whether a sync went before it.
        is_synced: bool,
    },
    Sync,
    Ping,
    Other,
}

impl What {
    fn write(data: Option<&[u8]>, names_path: bool) -> Self {
        Self::Write {
            data: data.map(<[u8]>::to_vec),
            names_path,
        }
    }
}

/// A request on its way into a frame.
pub(super) struct Request {
    op: OpCode,
    body: Vec<u8>,
    what: What,
}

impl Request {
    fn new(op: OpCode, what: What, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut body = Vec::new();
        write(&mut body);
        Self { op, body, what }
    }

    pub(super) fn create(path: &str, mode: CreateMode, data: &[u8]) -> Self {
        let create = create(path, mode, data);
        Self::new(OpCode::Create, What::write(Some(data), true), |out| create.encode(out))
    }

    pub(super) fn set(path: &str, data: &[u8], version: i32) -> Self {
        Self::new(OpCode::SetData, What::write(Some(data), false), |out| {
            out.string(path);
            out.buffer(Some(data));
            out.int(version);
        })
    }

    pub(super) fn delete(path: &str) -> Self {
        Self::new(OpCode::Delete, What::write(None, false), |out| {
            out.string(path);
            out.int(-1);
        })
    }

    pub(super) fn multi(ops: Vec<MultiOp<'_>>) -> Self {
        Self::new(OpCode::Multi, What::write(None, false), |out| {
            MultiRequest { ops }.encode(out)
        })
    }

    pub(super) fn close() -> Self {
        Self::new(OpCode::CloseSession, What::Close, |_| {})
    }

    pub(super) fn sync() -> Self {
        Self::new(OpCode::Sync, What::Sync, |out| out.string("/"))
    }

    pub(super) fn get(path: &str, is_watching: bool, is_synced: bool) -> Self {
        Self::read(OpCode::GetData, path, is_watching, is_synced)
    }

    pub(super) fn exists(path: &str, is_watching: bool) -> Self {
        Self::read(OpCode::Exists, path, is_watching, false)
    }

    fn read(op: OpCode, path: &str, is_watching: bool, is_synced: bool) -> Self {
        let what = What::Read {
            path: path.to_owned(),
            has_data: op == OpCode::GetData,
            is_watching,
            is_synced,
        };
        Self::new(op, what, |out| {
            out.string(path);
            out.bool(is_watching);
        })
    }

    fn children(path: &str) -> Self {
        Self::new(OpCode::GetChildren2, What::Other, |out| {
            out.string(path);
            out.bool(false);
        })
    }

    fn ping() -> Self {
        Self::new(OpCode::Ping, What::Ping, |_| {})
    }

    pub(super) const fn op(&self) -> OpCode {
        self.op
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

pub(super) fn create<'a>(path: &'a str, mode: CreateMode, data: &'a [u8]) -> CreateRequest<'a> {
    CreateRequest {
        op: OpCode::Create,
        path: Cow::Borrowed(path),
        data: Some(data),
        acl: RequestedAcl::List(AclList::OPEN),
        flags: mode.flags(),
        ttl_ms: -1,
    }
}

/// Whether a client counts its requests anew with each connection, as some do.
const fn counts_anew(number: usize) -> bool {
    number % 2 == 1
}

impl Client {
    /// Whether it waits for something that has to come.
    pub(super) fn waits(&self) -> bool {
        match self.state {
            State::Away => false,
            State::Connecting(..) => true,
            State::Open(_) => !self.waiting.is_empty(),
        }
    }

    fn forget_session(&mut self) {
        self.session = SessionId::NONE;
        self.password.clear();
        self.seen = Zxid::ZERO;
        self.next_xid = 1;
        self.own.clear();
    }
}

impl World {
    /// One more client; it goes to a server of its own, or to any.
    pub(super) fn add_client(&mut self, home: Option<usize>) -> usize {
        let timeout_ms = match home {
            Some(_) => 60_000,
            None => 2000 << self.random.below(3),
        };
        let number = self.clients.len();
        self.clients.push(Client {
            acts_alone: false,
            home,
            session: SessionId::NONE,
            password: Vec::new(),
            timeout_ms,
            is_read_only: false,
            seen: Zxid::ZERO,
            next_xid: 1,
            state: State::Away,
            waiting: VecDeque::new(),
            watches: BTreeMap::new(),
            sent_at: 0,
            heard_at: 0,
            silent_until: 0,
            own: Vec::new(),
            answered: VecDeque::new(),
            results: Vec::new(),
        });
        self.at(LOOK_MS, Event::Client(number));
        number
    }

    // What it does.

    /// Some client does something, or a server takes a snapshot.
    pub(super) fn request(&mut self) -> Outcome<()> {
        if !self.has_clients {
            return Ok(());
        }
        let most = self.plan.request_ms_max;
        let pause = self.random.between(most / 16, most).max(1);
        self.at(pause, Event::Request);
        // Not only when it serves: what a server has logged and applied when it looks for a leader may never be committed.
        if self.random.once_in(40) {
            let index = usize::try_from(self.random.below(self.servers.len() as u64)).unwrap_or(0);
            let server = &self.servers[index];
            if server.paused_until <= self.now && server.process.is_some() {
                return self.take_snapshot(index);
            }
        }
        let number = usize::try_from(self.random.below(self.clients.len() as u64)).unwrap_or(0);
        let Some(client) = self.clients.get(number) else {
            return Ok(());
        };
        if client.silent_until > self.now || client.waiting.len() >= WAITING_MAX {
            return Ok(());
        }
        match client.state {
            State::Away | State::Connecting(..) => {}
            State::Open(_) => self.act_by_chance(number),
        }
        Ok(())
    }

    fn act_by_chance(&mut self, number: usize) {
        match self.random.below(60) {
            0 => return self.hang_up(number),
            1 | 2 => {
                // Its connection breaks behind what it has just sent, and it is back before that has come to its end.
                let mut requests = Vec::new();
                self.requests_by_chance(number, &mut requests);
                self.ask(number, requests);
                self.hang_up(number);
                return self.connect_to_any(number);
            }
            3 => {
                // It is frozen, or its network is: its session may expire.
                self.clients[number].silent_until = self.now + self.random.between(500, 12_000);
                return;
            }
            4 => return self.ask(number, vec![Request::close()]),
            _ => {}
        }
        let mut requests = Vec::new();
        for _ in 0..=self.random.below(2) {
            self.requests_by_chance(number, &mut requests);
        }
        self.ask(number, requests);
    }

    fn requests_by_chance(&mut self, number: usize, requests: &mut Vec<Request>) {
        let data = self.random.next().to_be_bytes();
        let shared = SHARED[usize::try_from(self.random.below(4)).unwrap_or(0)];
        self.serial += 1;
        let fresh = format!("/n{number}-{}", self.serial);
        let own = &mut self.clients[number].own;
        match self.random.below(20) {
            0..3 => requests.push(Request::create(&fresh, CreateMode::Persistent, &data)),
            3..6 => requests.push(Request::set(shared, &data, -1)),
            6 => requests.push(Request::set(shared, &data, 3)),
            7 => requests.push(Request::create(shared, CreateMode::Persistent, &data)),
            8..10 => {
                requests.push(Request::create(&fresh, CreateMode::Ephemeral, &data));
                own.push(fresh);
            }
            10 => {
                if self.checker.node_is_absent(QUEUE) {
                    requests.push(Request::create(QUEUE, CreateMode::Persistent, &data));
                }
                let path = format!("{QUEUE}/s-");
                let mode = if self.random.once_in(2) {
                    CreateMode::PersistentSequential
                } else {
                    CreateMode::EphemeralSequential
                };
                requests.push(Request::create(&path, mode, &data));
            }
            11 => {
                if let Some(path) = own.pop() {
                    requests.push(Request::delete(&path));
                }
            }
            12 => {
                // One of the versions is wrong more often than not.
                let version = i32::try_from(self.random.below(3)).unwrap_or(0) - 1;
                requests.push(Request::multi(vec![
                    MultiOp::Create(create(&fresh, CreateMode::Ephemeral, &data)),
                    MultiOp::SetData {
                        path: shared.into(),
                        data: Some(&data),
                        version,
                    },
                    MultiOp::Check {
                        path: shared.into(),
                        version: -1,
                    },
                ]));
            }
            13..16 => {
                requests.push(Request::sync());
                requests.push(Request::get(shared, false, true));
            }
            16..18 => requests.push(Request::get(shared, self.random.once_in(2), false)),
            18 => requests.push(Request::exists(shared, true)),
            _ => requests.push(Request::children(QUEUE)),
        }
    }

    /// A client sends requests, in one piece.
    pub(super) fn ask(&mut self, number: usize, requests: Vec<Request>) {
        let floor = self.checker.last_acknowledged();
        let now = self.now;
        let client = &mut self.clients[number];
        let State::Open(conn) = client.state else { return };
        let mut frames = Vec::new();
        for Request { op, body, what } in requests {
            let xid = if op == OpCode::Ping {
                Xid::PING
            } else {
                client.next_xid += 1;
                Xid(client.next_xid - 1)
            };
            frames.length(RequestHeader::BYTES + body.len());
            RequestHeader { xid, op: op.code() }.encode(&mut frames);
            frames.extend_from_slice(&body);
            client.waiting.push_back(Asked {
                xid,
                what,
                at: now,
                floor,
            });
        }
        client.sent_at = now;
        self.say_to_server(conn, ToServer::Frames(frames));
    }

    /// A client ends its connection, or it breaks: what it waits for is unknown.
    pub(super) fn hang_up(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if let State::Open(conn) | State::Connecting(conn, _) = client.state {
            self.say_to_server(conn, ToServer::Gone);
        }
        self.cut_off(number);
    }

    fn cut_off(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.state = State::Away;
        client.waiting.clear();
        client.watches.clear();
    }

    /// A client looks whether it has to do something: come back, say that it is there, or give a connection up.
    pub(super) fn client_wakes(&mut self, number: usize) -> Outcome<()> {
        self.at(LOOK_MS, Event::Client(number));
        let (now, steady_since) = (self.now, self.steady_since);
        let client = &mut self.clients[number];
        if client.silent_until > now {
            return Ok(());
        }
        let timeout_ms = u64::try_from(client.timeout_ms).unwrap_or(0);
        match client.state {
            State::Away => self.connect_to_any(number),
            State::Connecting(_, since) => {
                let is_lost = steady_since.is_some_and(|steady| now > since.max(steady) + ANSWER_MS_MAX);
                if is_lost {
                    return Err(self.violation(format!("client {number} is never let in (I9)")));
                }
                if now > since + timeout_ms {
                    self.hang_up(number);
                }
            }
            State::Open(_) => {
                let oldest = client.waiting.front().map(|asked| asked.at);
                let is_lost = |at: u64| steady_since.is_some_and(|steady| now > at.max(steady) + ANSWER_MS_MAX);
                if oldest.is_some_and(is_lost) {
                    return Err(self.violation(format!("a request of client {number} is never answered (I9)")));
                }
                let heard_at = client.heard_at.max(client.silent_until);
                // Without faults it would hide that an answer is lost.
                if oldest.is_some() && now > heard_at + timeout_ms * 2 / 3 && steady_since.is_none() {
                    self.hang_up(number);
                } else if now > client.sent_at + timeout_ms / 3 {
                    self.ask(number, vec![Request::ping()]);
                }
            }
        }
        Ok(())
    }

    fn connect_to_any(&mut self, number: usize) {
        let any = usize::try_from(self.random.below(self.servers.len() as u64)).unwrap_or(0);
        let client = &self.clients[number];
        let request = PendingConnect {
            last_zxid_seen: client.seen,
            timeout_ms: client.timeout_ms,
            session: client.session,
            password: client.password.clone(),
            read_only: Some(self.plan.is_read_only),
        };
        let index = client.home.unwrap_or(any);
        if let Some(conn) = self.open_line(number, index, request) {
            let client = &mut self.clients[number];
            client.state = State::Connecting(conn, self.now);
            self.trace(index, || format!("client {number} connects"));
        }
    }

    // What it hears.

    /// Something has arrived at a client.
    pub(super) fn server_says(&mut self, conn: ConnId, told: Told) -> Outcome<()> {
        let Some(line) = self.lines.get(&conn) else {
            return Ok(());
        };
        let (number, index, epoch) = (line.client, line.server.server, line.epoch);
        let client = &mut self.clients[number];
        let is_its = matches!(client.state, State::Open(open) | State::Connecting(open, _) if open == conn);
        if matches!(told, Told::Closed) {
            self.lines.remove(&conn);
            if is_its {
                self.cut_off(number);
            }
            return Ok(());
        }
        if !is_its {
            return Ok(());
        }
        let outcome = match told {
            Told::Established(response) => self.established(number, conn, &response),
            Told::Bytes(bytes) => self.hears(number, &bytes, epoch),
            Told::Closed => Ok(()),
        };
        outcome.map_err(|what| {
            let sid = self.servers[index].sid;
            self.violation(format!("client {number} at server {sid}: {what}"))
        })
    }

    fn established(&mut self, number: usize, conn: ConnId, response: &ConnectResponse) -> Result<(), String> {
        let now = self.now;
        let client = &mut self.clients[number];
        let State::Connecting(_, since) = client.state else {
            return Err("a handshake is answered twice".to_owned());
        };
        if client.session != SessionId::NONE && client.session != response.session {
            return Err(format!(
                "its session was {} and is {}",
                client.session, response.session
            ));
        }
        let is_new = client.session == SessionId::NONE;
        let is_read_only = response.read_only == Some(true);
        client.is_read_only = is_new && is_read_only || client.is_read_only;
        client.session = response.session;
        client.password = response.password.to_vec();
        client.timeout_ms = response.timeout_ms;
        client.state = State::Open(conn);
        if counts_anew(number) {
            client.next_xid = 1;
        }
        client.heard_at = now;
        client.sent_at = now;
        if is_new {
            self.report.sessions += 1;
        } else {
            self.report.renewals += 1;
        }
        let has_local = self.plan.knows_local_sessions();
        self.checker.session_given(&Given {
            session: response.session,
            client: number,
            counts_anew: counts_anew(number),
            is_new,
            since,
            may_be_local: has_local,
        })?;
        if self.clients[number].acts_alone && self.has_clients && self.random.once_in(2) {
            self.act_by_chance(number);
        }
        Ok(())
    }

    fn hears(&mut self, number: usize, bytes: &[u8], epoch: Option<Epoch>) -> Result<(), String> {
        self.clients[number].heard_at = self.now;
        let mut rest = bytes;
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
            let (frame, after) = after.split_at_checked(len).ok_or("half a frame")?;
            rest = after;
            match self.clients[number].state {
                State::Away => return Ok(()),
                State::Connecting(..) => self.refused(number, frame, epoch)?,
                State::Open(_) => self.hears_frame(number, frame)?,
            }
        }
        Ok(())
    }

    /// The server says that the session does not exist.
    fn refused(&mut self, number: usize, frame: &[u8], epoch: Option<Epoch>) -> Result<(), String> {
        let response = ConnectResponse::decode(frame).map_err(|error| error.to_string())?;
        if response.session != SessionId::NONE {
            return Err("a session in place of a refusal".to_owned());
        }
        let client = &mut self.clients[number];
        let session = client.session;
        // A leader that does not know yet that there is another one does not know of sessions that began there.
        let is_deposed = epoch < self.checker.newest_epoch();
        let may_be_unknown = self.plan.knows_local_sessions() || is_deposed;
        client.forget_session();
        self.report.expirations += 1;
        self.hang_up(number);
        self.checker.session_refused(session, may_be_unknown)
    }

    fn hears_frame(&mut self, number: usize, frame: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(frame);
        let broken = |error: zebu_proto::jute::DecodeError| format!("a reply cannot be read: {error}");
        let header = ReplyHeader::decode(&mut reader).map_err(broken)?;
        if header.xid == Xid::NOTIFICATION {
            let event = WatchedEvent::decode(&mut reader).map_err(broken)?;
            let client = &mut self.clients[number];
            self.report.events += 1;
            if client.is_read_only {
                return Ok(());
            }
            let since = client.watches.remove(event.path);
            let since = since.ok_or_else(|| format!("{event:?} without a watch"))?;
            return self.checker.event(event.path, since, header.zxid);
        }
        let client = &mut self.clients[number];
        let asked = client.waiting.pop_front().ok_or("a reply to nothing")?;
        if asked.xid != header.xid {
            return Err(format!("a reply to {} before that to {}", header.xid.0, asked.xid.0));
        }
        client.answered.push_back(asked.at);
        if client.answered.len() > 32 {
            client.answered.pop_front();
        }
        if header.zxid < client.seen && asked.xid != Xid::PING {
            return Err(format!(
                "a reply with the state of {} after one with that of {}",
                header.zxid, client.seen
            ));
        }
        client.seen = client.seen.max(header.zxid);
        client.results.push((asked.xid, header.err));
        let is_read_only = client.is_read_only;
        self.judge(number, asked, header, reader, is_read_only)?;
        let client = &self.clients[number];
        if is_read_only {
            return Ok(());
        }
        for (path, since) in &client.watches {
            self.checker.no_event_missed(path, *since, header.zxid)?;
        }
        Ok(())
    }

    /// Whether a reply is what it must be.
    fn judge(
        &mut self,
        number: usize,
        asked: Asked,
        header: ReplyHeader,
        mut reader: Reader<'_>,
        is_read_only: bool,
    ) -> Result<(), String> {
        let broken = |error: zebu_proto::jute::DecodeError| format!("a reply cannot be read: {error}");
        let ReplyHeader { zxid, err, .. } = header;
        let session = self.clients[number].session;
        match asked.what {
            What::Write { .. } if is_read_only && err != 0 => {}
            What::Write { data, names_path } => {
                let path = match names_path && err == 0 {
                    true => reader.string("path").map_err(broken)?,
                    false => None,
                };
                let answer = Answer {
                    session,
                    xid: asked.xid,
                    zxid,
                    err,
                    path: path.as_deref(),
                    data: data.as_deref(),
                };
                self.checker.write_answered(&answer)?;
            }
            What::Close => {
                self.checker
                    .close_answered(session, zxid, self.plan.knows_local_sessions())?;
                self.clients[number].forget_session();
                self.hang_up(number);
            }
            What::Read { .. } if is_read_only => {}
            What::Read {
                path,
                has_data,
                is_watching,
                is_synced,
            } => {
                let found = match err {
                    0 if has_data => {
                        let data = reader.buffer("data").map_err(broken)?.unwrap_or_default().to_vec();
                        Some((Some(data), Stat::decode(&mut reader).map_err(broken)?.mzxid))
                    }
                    0 => Some((None, Stat::decode(&mut reader).map_err(broken)?.mzxid)),
                    err if err == ErrorCode::NoNode.code() => None,
                    err => return Err(format!("a read is refused with {err}")),
                };
                if is_watching && (found.is_some() || !has_data) {
                    self.clients[number].watches.entry(path.clone()).or_insert(zxid);
                }
                self.checker.read_answered(&path, zxid, found.as_ref())?;
                if is_synced && zxid < asked.floor {
                    return Err(format!(
                        "a read behind a sync sees the state of {zxid}, and {} was acknowledged before it",
                        asked.floor
                    ));
                }
                self.report.synced_reads += u64::from(is_synced);
            }
            What::Sync | What::Ping | What::Other => {}
        }
        Ok(())
    }

    /// The leader has closed a session of which it heard nothing for too long: its client must have been silent.
    pub(super) fn session_expired(&self, session: SessionId) -> Result<(), String> {
        let Some(steady) = self.steady_since else { return Ok(()) };
        let Some(client) = self.clients.iter().find(|client| client.session == session) else {
            return Ok(());
        };
        let heard = client.answered.iter().rev().find(|at| **at + HEARSAY_MS <= self.now);
        let timeout_ms = u64::try_from(client.timeout_ms).unwrap_or(0);
        match heard {
            Some(at) if *at >= steady && at + timeout_ms > self.now => Err(format!(
                "session {session} expires after {} ms of {timeout_ms} (I8)",
                self.now - at
            )),
            _ => Ok(()),
        }
    }

    // Servers.

    pub(super) fn take_snapshot(&mut self, index: usize) -> Outcome<()> {
        let process = self.process(index);
        if !process.is_trusted || !process.is_at_rest() {
            return Ok(());
        }
        let taken = process.snapshot();
        self.report.own_snapshots += 1;
        taken.or_else(|error| self.died(index, &error))
    }
}
