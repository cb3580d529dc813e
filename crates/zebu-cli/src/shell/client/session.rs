//! The session and the thread that keeps it alive: connects, pings, reconnects, hands out answers and events.
//!
//! Two locks, taken in this order where both are: `writer`, held while a request gets its number and is written, so that
//! numbers are awaited in the order in which they are sent; `state`, held for moments. Events are told without a lock.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use zebu_proto::client::{
    ConnectRequest, ConnectResponse, EventType, ReplyHeader, Request, SetWatches, WatchedEvent, WatcherType,
};
use zebu_proto::jute::{Reader, begin_frame, end_frame};
use zebu_proto::session::{PASSWORD_BYTES, Password};
use zebu_proto::{ErrorCode, SessionId, Xid, Zxid};

use super::encode::encode_frame;
use super::error::{ClientError, Loss};
use super::frame::FrameReader;
use super::servers::Server;
use super::watches::{Removed, WatchKind, Watches};

/// Number of auth packets, as the clients of other languages send it.
const XID_AUTH: Xid = Xid(-4);
/// Number of setWatches, as the clients of other languages send it.
const XID_SET_WATCHES: Xid = Xid(-8);
/// Pause before the first attempt after a loss, and the longest: it doubles with each failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A connection that lived this long counts as a success that resets the pause.
const STABLE: Duration = Duration::from_secs(1);
/// Java's clients never ping more rarely; the lower bound keeps a server that negotiates an absurd timeout from making
/// us spin.
const PING_INTERVAL_MAX: Duration = Duration::from_secs(10);
const PING_INTERVAL_MIN: Duration = Duration::from_millis(20);
/// How long a close waits for the thread; it may be looking up a name, which nothing can interrupt.
const JOIN_WAIT: Duration = Duration::from_millis(500);

/// What a client is to do.
#[derive(Clone, Debug)]
pub(crate) struct ClientConfig {
    /// Tried one after the other, from a random one on.
    pub(crate) servers: Vec<Server>,
    /// Session timeout to ask for.
    pub(crate) timeout: Duration,
    /// Whether a server without a quorum will do.
    pub(crate) read_only: bool,
    /// Largest frame accepted from a server, and sent to one.
    pub(crate) frame_bytes_max: usize,
}

/// What a client tells without having been asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The state of the session has changed.
    State(SessionState),
    /// A watch has fired.
    Watch {
        /// What happened.
        event: EventType,
        /// The node, from the server's root.
        path: String,
    },
    /// A watch was removed on request.
    Removed(Removed, String),
}

/// How things stand between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// No connection; attempts go on.
    Connecting,
    /// Requests are answered.
    Connected,
    /// Only reads are answered.
    ConnectedReadOnly,
    /// Over for good.
    Ended(End),
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was closed here.
    Closed,
    /// The server has forgotten it, or was out of reach for as long as it takes to be forgotten.
    Expired,
    /// The server refused credentials on a new connection.
    AuthFailed,
}

impl End {
    /// What requests of such a session end with.
    pub(crate) const fn error(self) -> ClientError {
        match self {
            Self::Closed => ClientError::Closed,
            Self::Expired => ClientError::SessionExpired,
            Self::AuthFailed => ClientError::AuthFailed,
        }
    }
}

/// An answer: the code of its header, and what follows.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) code: i32,
    pub(crate) body: Vec<u8>,
}

/// An answer that will come.
pub(crate) struct Ticket {
    reply: Receiver<Result<Reply, ClientError>>,
}

impl Ticket {
    /// Waits for the answer. Whatever its code: a refusal is an answer too.
    ///
    /// # Errors
    /// If the connection is lost first, or `patience` runs out.
    pub(crate) fn wait(self, patience: Duration) -> Result<Reply, ClientError> {
        match self.reply.recv_timeout(patience) {
            Ok(result) => result,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Err(ClientError::Timeout(patience)),
            // The thread has ended without a word, which only its end brings about.
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Err(ClientError::Closed),
        }
    }
}

type Answer = SyncSender<Result<Reply, ClientError>>;

/// A request that awaits its answer.
struct Pending {
    xid: Xid,
    /// The watch that a good answer means.
    watch: Option<(WatchKind, String)>,
    closes_session: bool,
    answer: Answer,
}

struct State {
    phase: SessionState,
    session: SessionId,
    password: Password,
    /// As negotiated; before that, as asked for.
    timeout: Duration,
    last_zxid: Zxid,
    last_xid: Xid,
    pending: VecDeque<Pending>,
    /// Awaited answers to auth packets; `None` for those sent again after a reconnect, which nobody waits for.
    pending_auth: VecDeque<Option<Answer>>,
    auths: Vec<(String, Vec<u8>)>,
    watches: Watches,
    /// Times that all servers were tried in vain.
    failed_rounds: u64,
    last_loss: Loss,
    /// To end a read or write that is under way.
    stream: Option<TcpStream>,
    thread_ended: bool,
}

/// A session with a server, shared by the thread that keeps it and those that use it.
pub(super) struct Session {
    config: ClientConfig,
    on_event: Box<dyn Fn(Event) + Send + Sync>,
    writer: Mutex<Option<TcpStream>>,
    state: Mutex<State>,
    changed: Condvar,
}

/// A connection after its handshake.
struct Connection {
    stream: TcpStream,
    frames: FrameReader,
    timeout: Duration,
}

enum AttemptError {
    Lost(Loss),
    Expired,
}

impl From<Loss> for AttemptError {
    fn from(loss: Loss) -> Self {
        Self::Lost(loss)
    }
}

impl Session {
    pub(super) fn new(config: ClientConfig, on_event: Box<dyn Fn(Event) + Send + Sync>) -> Self {
        let state = State {
            phase: SessionState::Connecting,
            session: SessionId::NONE,
            password: [0; PASSWORD_BYTES],
            timeout: config.timeout,
            last_zxid: Zxid::ZERO,
            last_xid: Xid(0),
            pending: VecDeque::new(),
            pending_auth: VecDeque::new(),
            auths: Vec::new(),
            watches: Watches::default(),
            failed_rounds: 0,
            last_loss: Loss::Pending,
            stream: None,
            thread_ended: false,
        };
        Self {
            config,
            on_event,
            writer: Mutex::new(None),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub(super) fn phase(&self) -> SessionState {
        self.state.lock().phase
    }

    pub(super) fn session_id(&self) -> SessionId {
        self.state.lock().session
    }

    /// The negotiated session timeout.
    pub(super) fn timeout(&self) -> Duration {
        self.state.lock().timeout
    }

    /// Returns when there is a connection.
    ///
    /// # Errors
    /// When all servers were tried in vain, or the session is over.
    pub(super) fn wait_connected(&self) -> Result<(), ClientError> {
        let mut state = self.state.lock();
        let rounds = state.failed_rounds;
        loop {
            match state.phase {
                SessionState::Connected | SessionState::ConnectedReadOnly => return Ok(()),
                SessionState::Ended(end) => return Err(end.error()),
                SessionState::Connecting if state.failed_rounds > rounds => {
                    return Err(ClientError::NotConnected(state.last_loss.clone()));
                }
                SessionState::Connecting => self.changed.wait(&mut state),
            }
        }
    }

    /// Sends a request as soon as there is a connection.
    ///
    /// # Errors
    /// As [`Session::wait_connected`], or if the request is too large. Nothing was sent then.
    pub(super) fn submit(&self, request: &Request<'_>) -> Result<Ticket, ClientError> {
        loop {
            self.wait_connected()?;
            let writer = self.writer.lock();
            if writer.is_some() {
                return self.send(writer, request);
            }
            // Lost since: wait again.
        }
    }

    fn send(
        &self,
        mut writer: MutexGuard<'_, Option<TcpStream>>,
        request: &Request<'_>,
    ) -> Result<Ticket, ClientError> {
        let limit = self.config.frame_bytes_max;
        let (answer, reply) = sync_channel(1);
        let xid = if matches!(request, Request::Auth { .. }) {
            XID_AUTH
        } else {
            self.state.lock().next_xid()
        };
        let mut frame = Vec::new();
        check_size(data_bytes(request), limit)?;
        encode_frame(xid, request, &mut frame);
        check_size(frame.len() - 4, limit)?;
        let mut state = self.state.lock();
        if xid == XID_AUTH {
            state.pending_auth.push_back(Some(answer));
        } else {
            state.pending.push_back(Pending {
                xid,
                watch: watch_of(request),
                closes_session: matches!(request, Request::CloseSession),
                answer,
            });
        }
        drop(state);
        if let Some(stream) = writer.as_mut()
            && stream.write_all(&frame).is_err()
        {
            // Half a frame is worse than none. The session's thread sees the end and answers all that wait.
            let _ = stream.shutdown(Shutdown::Both);
        }
        Ok(Ticket { reply })
    }

    /// Credentials that the server has accepted: to be sent on every connection from now on.
    pub(super) fn remember_auth(&self, scheme: &str, auth: &[u8]) {
        let entry = (scheme.to_owned(), auth.to_vec());
        let mut state = self.state.lock();
        if !state.auths.contains(&entry) {
            state.auths.push(entry);
        }
    }

    /// Forgets watches that the server has removed, and tells so.
    pub(super) fn forget_watches(&self, kind: WatcherType, path: &str) -> bool {
        let removed = self.state.lock().watches.remove(kind, path);
        for kind in &removed {
            (self.on_event)(Event::Removed(*kind, path.to_owned()));
        }
        !removed.is_empty()
    }

    /// Ends the session on this side, and its connection, and waits for its thread, within bounds.
    pub(super) fn end(&self, end: End) {
        let mut state = self.state.lock();
        let news = state.end(end);
        self.changed.notify_all();
        drop(state);
        if news {
            (self.on_event)(Event::State(SessionState::Ended(end)));
        }
        let mut state = self.state.lock();
        self.changed
            .wait_while_for(&mut state, |state| !state.thread_ended, JOIN_WAIT);
    }

    /// The thread: ends when the session does.
    pub(super) fn run(&self) {
        let mut next_server = random_below(self.config.servers.len());
        let mut heard = Instant::now();
        let mut pause = PAUSE_MIN;
        while !matches!(self.phase(), SessionState::Ended(_)) {
            match self.connect_to_any(&mut next_server) {
                Ok(mut connection) => {
                    let connected = Instant::now();
                    let loss = self.serve(&mut connection, &mut heard);
                    self.lost(&connection, &loss);
                    if connected.elapsed() >= STABLE {
                        pause = PAUSE_MIN;
                    }
                }
                Err(AttemptError::Lost(loss)) => {
                    let mut state = self.state.lock();
                    state.failed_rounds += 1;
                    state.last_loss = loss;
                    self.changed.notify_all();
                }
                Err(AttemptError::Expired) => self.expire(),
            }
            let mut state = self.state.lock();
            if state.session != SessionId::NONE && heard.elapsed() > state.timeout {
                drop(state);
                self.expire();
                break;
            }
            self.changed.wait_while_for(
                &mut state,
                |state| !matches!(state.phase, SessionState::Ended(_)),
                pause,
            );
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.state.lock().thread_ended = true;
        self.changed.notify_all();
    }

    fn expire(&self) {
        let news = self.state.lock().end(End::Expired);
        self.changed.notify_all();
        if news {
            (self.on_event)(Event::State(SessionState::Ended(End::Expired)));
        }
    }

    /// Tries every server once, from `next` on, which it leaves at the one to try next time.
    fn connect_to_any(&self, next: &mut usize) -> Result<Connection, AttemptError> {
        let servers = &self.config.servers;
        let mut last = Loss::Pending;
        for _ in 0..servers.len() {
            let server = &servers[*next % servers.len()];
            *next = (*next + 1) % servers.len();
            match self.connect_to(server) {
                Ok(connection) => return Ok(connection),
                Err(AttemptError::Expired) => return Err(AttemptError::Expired),
                Err(AttemptError::Lost(loss)) => last = loss,
            }
            if matches!(self.phase(), SessionState::Ended(_)) {
                break;
            }
        }
        Err(last.into())
    }

    fn connect_to(&self, server: &Server) -> Result<Connection, AttemptError> {
        let io = |error| Loss::io(server.to_string(), error);
        // As Java: all servers together take no longer than the session lasts.
        let share = self.config.timeout / u32::try_from(self.config.servers.len()).unwrap_or(u32::MAX);
        let share = share.max(Duration::from_millis(1));
        let mut connected = Err(std::io::Error::from(ErrorKind::NotFound));
        for address in server.addresses().map_err(io)? {
            connected = TcpStream::connect_timeout(&address, share);
            if connected.is_ok() {
                break;
            }
        }
        let stream = connected.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        stream.set_write_timeout(Some(share)).map_err(io)?;
        let mut connection = Connection {
            stream,
            frames: FrameReader::new(self.config.frame_bytes_max),
            timeout: share,
        };
        let response = self.shake_hands(&mut connection, io)?;
        self.establish(&mut connection, &response, io)?;
        Ok(connection)
    }

    /// Sends the connect request and waits for its answer.
    fn shake_hands(
        &self,
        connection: &mut Connection,
        io: impl Fn(std::io::Error) -> Loss,
    ) -> Result<ConnectResponse, AttemptError> {
        let mut request = Vec::new();
        let frame = begin_frame(&mut request);
        let state = self.state.lock();
        let renews = state.session != SessionId::NONE;
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: state.last_zxid,
            timeout_ms: i32::try_from(self.config.timeout.as_millis()).unwrap_or(i32::MAX),
            session: state.session,
            password: &state.password,
            read_only: Some(self.config.read_only),
        }
        .encode(&mut request);
        drop(state);
        end_frame(&mut request, frame);
        connection.stream.write_all(&request).map_err(&io)?;
        let deadline = Instant::now() + connection.timeout;
        loop {
            if let Some(frame) = connection.frames.next_frame()? {
                let response = ConnectResponse::decode(frame).map_err(Loss::from)?;
                return match (response.timeout_ms > 0, renews) {
                    (true, _) => Ok(response),
                    (false, true) => Err(AttemptError::Expired),
                    (false, false) => Err(Loss::NoSession.into()),
                };
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Loss::Silent(connection.timeout).into());
            }
            connection.stream.set_read_timeout(Some(left)).map_err(&io)?;
            match connection.frames.fill(&mut connection.stream) {
                Ok(0) => return Err(Loss::Closed.into()),
                Ok(_) => {}
                Err(error) if is_pause(error.kind()) => {}
                Err(error) => return Err(io(error).into()),
            }
        }
    }

    /// Brings the connection to where the last one was, and opens it for requests.
    fn establish(
        &self,
        connection: &mut Connection,
        response: &ConnectResponse,
        io: impl Fn(std::io::Error) -> Loss,
    ) -> Result<(), AttemptError> {
        connection.timeout = Duration::from_millis(u64::from(response.timeout_ms.unsigned_abs()));
        let control = connection.stream.try_clone().map_err(&io)?;
        let mut stream = connection.stream.try_clone().map_err(&io)?;
        let mut writer = self.writer.lock();
        let mut frames = Vec::new();
        let mut state = self.state.lock();
        for (scheme, auth) in &state.auths {
            let scheme = scheme.into();
            encode_frame(
                XID_AUTH,
                &Request::Auth {
                    scheme,
                    auth: Some(auth),
                },
                &mut frames,
            );
        }
        state.pending_auth = state.auths.iter().map(|_| None).collect();
        let requests: Vec<SetWatches<'_>> = state.watches.to_requests(state.last_zxid);
        for request in requests {
            encode_frame(XID_SET_WATCHES, &Request::SetWatches(request), &mut frames);
        }
        drop(state);
        stream.write_all(&frames).map_err(&io)?;
        let mut state = self.state.lock();
        if matches!(state.phase, SessionState::Ended(_)) {
            return Err(Loss::Closed.into());
        }
        let phase = if response.read_only == Some(true) {
            SessionState::ConnectedReadOnly
        } else {
            SessionState::Connected
        };
        state.phase = phase;
        state.session = response.session;
        state.password = response.password;
        state.timeout = connection.timeout;
        state.stream = Some(control);
        *writer = Some(stream);
        drop(state);
        drop(writer);
        (self.on_event)(Event::State(phase));
        self.changed.notify_all();
        Ok(())
    }

    /// Reads answers and events until the connection is lost.
    fn serve(&self, connection: &mut Connection, heard: &mut Instant) -> Loss {
        let silence_max = (connection.timeout * 2 / 3).max(PING_INTERVAL_MIN * 2);
        let ping_interval = (connection.timeout / 3).clamp(PING_INTERVAL_MIN, PING_INTERVAL_MAX);
        let mut pinged = Instant::now();
        *heard = pinged;
        loop {
            loop {
                match connection.frames.next_frame() {
                    Ok(Some(frame)) => {
                        if let Err(loss) = self.receive(frame) {
                            return loss;
                        }
                    }
                    Ok(None) => break,
                    Err(loss) => return loss,
                }
            }
            let now = Instant::now();
            let silence = now.duration_since(*heard);
            if silence >= silence_max {
                return Loss::Silent(silence);
            }
            if now.duration_since(pinged) >= ping_interval {
                self.ping();
                pinged = now;
            }
            let wait = (silence_max - silence).min(ping_interval.saturating_sub(now.duration_since(pinged)));
            let wait = wait.max(Duration::from_millis(1));
            let filled = connection
                .stream
                .set_read_timeout(Some(wait))
                .and_then(|()| connection.frames.fill(&mut connection.stream));
            match filled {
                Ok(0) => return Loss::Closed,
                Ok(_) => *heard = Instant::now(),
                Err(error) if is_pause(error.kind()) => {}
                Err(error) => return Loss::io("the connection", error),
            }
        }
    }

    fn ping(&self) {
        // Somebody who writes keeps the session alive as well as a ping does.
        if let Some(mut writer) = self.writer.try_lock()
            && let Some(stream) = writer.as_mut()
        {
            let mut frame = Vec::new();
            encode_frame(Xid::PING, &Request::Ping, &mut frame);
            if stream.write_all(&frame).is_err() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// One frame of the server.
    fn receive(&self, frame: &[u8]) -> Result<(), Loss> {
        let mut reader = Reader::new(frame);
        let header = ReplyHeader::decode(&mut reader)?;
        match header.xid {
            Xid::NOTIFICATION => {
                let WatchedEvent { event, path } = WatchedEvent::decode(&mut reader)?;
                self.state.lock().watches.fired(event, path);
                let path = path.to_owned();
                (self.on_event)(Event::Watch { event, path });
                Ok(())
            }
            // A lost setWatches could only be noticed by events that fail to come; servers refuse none.
            Xid::PING | XID_SET_WATCHES => Ok(()),
            XID_AUTH => self.receive_auth(header),
            _ => self.receive_answer(header, reader.rest()),
        }
    }

    fn receive_auth(&self, header: ReplyHeader) -> Result<(), Loss> {
        let mut state = self.state.lock();
        match state.pending_auth.pop_front() {
            None => Err(Loss::UnexpectedReply {
                got: header.xid,
                expected: "no credentials".into(),
            }),
            Some(Some(answer)) => {
                let body = Vec::new();
                // Whoever asked may have lost patience.
                let _ = answer.try_send(Ok(Reply { code: header.err, body }));
                Ok(())
            }
            Some(None) if header.err == 0 => Ok(()),
            Some(None) => {
                let news = state.end(End::AuthFailed);
                drop(state);
                if news {
                    (self.on_event)(Event::State(SessionState::Ended(End::AuthFailed)));
                }
                Err(Loss::Closed)
            }
        }
    }

    fn receive_answer(&self, header: ReplyHeader, body: &[u8]) -> Result<(), Loss> {
        let mut state = self.state.lock();
        let pending = match state.pending.pop_front() {
            Some(pending) if pending.xid == header.xid => pending,
            other => {
                let expected = other
                    .as_ref()
                    .map_or("none".to_owned(), |pending| pending.xid.0.to_string());
                // It stays awaited: the loss that follows answers it.
                state.pending.extend(other);
                let got = header.xid;
                return Err(Loss::UnexpectedReply { got, expected });
            }
        };
        state.last_zxid = state.last_zxid.max(header.zxid);
        if let Some((kind, path)) = pending.watch {
            match kind {
                WatchKind::Exists if header.err == ErrorCode::NoNode.code() => state.watches.add(kind, &path),
                WatchKind::Exists if header.err == 0 => state.watches.add(WatchKind::Data, &path),
                WatchKind::Exists => {}
                WatchKind::Data | WatchKind::Child | WatchKind::Persistent(_) if header.err == 0 => {
                    state.watches.add(kind, &path);
                }
                WatchKind::Data | WatchKind::Child | WatchKind::Persistent(_) => {}
            }
        }
        let mut news = false;
        if pending.closes_session && header.err == 0 {
            news = state.end(End::Closed);
        }
        drop(state);
        let reply = Reply {
            code: header.err,
            body: body.to_vec(),
        };
        // Whoever asked may have lost patience.
        let _ = pending.answer.try_send(Ok(reply));
        if news {
            (self.on_event)(Event::State(SessionState::Ended(End::Closed)));
        }
        Ok(())
    }

    /// Clears up after a connection: everything that was awaited gets its answer, namely that none will come.
    fn lost(&self, connection: &Connection, loss: &Loss) {
        // First, since a writer may be stuck in it, holding the lock.
        let _ = connection.stream.shutdown(Shutdown::Both);
        *self.writer.lock() = None;
        let mut state = self.state.lock();
        state.stream = None;
        let error = match state.phase {
            SessionState::Ended(end) => end.error(),
            SessionState::Connecting | SessionState::Connected | SessionState::ConnectedReadOnly => {
                state.phase = SessionState::Connecting;
                ClientError::ConnectionLost(loss.clone())
            }
        };
        state.last_loss = loss.clone();
        let pending: Vec<_> = state.pending.drain(..).map(|pending| pending.answer).collect();
        let pending_auth: Vec<_> = state.pending_auth.drain(..).flatten().collect();
        let phase = state.phase;
        drop(state);
        for answer in pending.into_iter().chain(pending_auth) {
            // Whoever asked may have lost patience.
            let _ = answer.try_send(Err(error.clone()));
        }
        if phase == SessionState::Connecting {
            (self.on_event)(Event::State(phase));
        }
    }
}

impl State {
    /// Positive numbers, over and over.
    fn next_xid(&mut self) -> Xid {
        self.last_xid = Xid(self.last_xid.0.checked_add(1).unwrap_or(1));
        self.last_xid
    }

    /// Ends the session unless it is over; whether this was the end.
    fn end(&mut self, end: End) -> bool {
        if let Some(stream) = self.stream.take() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if matches!(self.phase, SessionState::Ended(_)) {
            return false;
        }
        self.phase = SessionState::Ended(end);
        true
    }
}

/// The watch that a request asks for.
fn watch_of(request: &Request<'_>) -> Option<(WatchKind, String)> {
    match request {
        Request::Exists { path, watch: true } => Some((WatchKind::Exists, path.to_string())),
        Request::GetData { path, watch: true } => Some((WatchKind::Data, path.to_string())),
        Request::GetChildren { path, watch: true } | Request::GetChildren2 { path, watch: true } => {
            Some((WatchKind::Child, path.to_string()))
        }
        Request::AddWatch { path, mode: Some(mode) } => Some((WatchKind::Persistent(*mode), path.to_string())),
        _ => None,
    }
}

/// The one field of a request that can be of any size.
fn data_bytes(request: &Request<'_>) -> usize {
    match request {
        Request::Create(create) => create.data.map_or(0, <[u8]>::len),
        Request::SetData { data, .. } => data.map_or(0, <[u8]>::len),
        _ => 0,
    }
}

fn check_size(bytes: usize, limit: usize) -> Result<(), ClientError> {
    if bytes > limit {
        return Err(ClientError::RequestTooLarge { bytes, limit });
    }
    Ok(())
}

/// Whether a read ended because its time was up or a signal came, and is to be done again.
const fn is_pause(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// The standard library draws the keys of its maps at random.
fn random_below(end: usize) -> usize {
    let random = RandomState::new().hash_one(0);
    usize::try_from(random % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
}
