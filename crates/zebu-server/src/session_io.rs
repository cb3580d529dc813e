//! What a client sends: cut into frames, the handshake first, then requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{MutexGuard, RwLockReadGuard};
use zebu_node::{After, Answered, Close, Connection, PendingConnect, Reader, Replica, SessionHandle, auth};
use zebu_proto::client::{ConnectRequest, ReplyHeader, Request};
use zebu_proto::{ErrorCode, Id, Millis, OpCode, SessionId, Xid, Zxid};

use crate::conn::ConnHandle;
use crate::connection_throttle::Wanted;
use crate::outbox::Queue;
use crate::shared::{NodeEvent, Shared};
use crate::stats::Replies;
use crate::words::Word;

/// The first frame of a connection has 45 bytes. Far larger ones come from nobody who speaks the protocol.
const CONNECT_BYTES_MAX: usize = 8 << 10;
/// After a read from the socket that brought so much, a connection lets others have their turn: a client that sends without
/// pause keeps its thread for about as long as some thousand requests take, and no longer.
const MUCH_BYTES: usize = 64 << 10;
/// What a connection keeps may have room for so many times as much: it grows by doubling.
const KEPT_SLACK: usize = 4;
/// Requests evaluated under one acquisition of the applied state: a writer waits no longer than these take.
const READS_PER_LOCK: usize = 256;

/// What the connection's task is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Read from the socket.
    Read,
    /// Not read: something must happen first, and the task will be woken.
    Wait,
    /// Answer a four-letter word and close.
    Word(Word),
    /// Close: the client is gone or does not speak the protocol.
    Closed,
}

/// The incoming side of a connection.
pub(crate) struct Incoming {
    shared: Arc<Shared>,
    conn: ConnHandle,
    state: State,
    /// Bytes that were received and not handled yet: part of a frame, or frames that wait.
    kept: Vec<u8>,
    /// `kept` as last reported to the limits.
    reported_kept: usize,
    has_received_much: bool,
    waits_for_others: bool,
    /// Bytes of the next reply, if there was no room for it.
    waits_for_room: Option<usize>,
    /// Since when what was received has waited for its turn, because too many requests are in work.
    throttled_since: Option<Millis>,
}

enum State {
    /// Nothing but part of the first frame has come.
    Start,
    /// The node judges the handshake. What the client sends meanwhile waits.
    Connecting,
    Open,
}

/// Bytes handled so far, and what comes next.
type Handled = (usize, Flow);

impl Incoming {
    pub(crate) fn new(shared: Arc<Shared>, conn: ConnHandle) -> Self {
        Self {
            shared,
            conn,
            state: State::Start,
            kept: Vec::new(),
            reported_kept: 0,
            has_received_much: false,
            waits_for_others: false,
            waits_for_room: None,
            throttled_since: None,
        }
    }

    /// The client has ended the connection.
    pub(crate) fn lost(&self) -> Flow {
        self.shared.stats.connections.dropped.add(1);
        Flow::Closed
    }

    /// Whether the connection is held back because all connections together are over a hard bound.
    pub(crate) const fn waits_for_others(&self) -> bool {
        self.waits_for_others
    }

    /// Whether the connection is held back because its next reply is large, and those of others that nobody takes hold too
    /// much memory.
    pub(crate) const fn waits_for_room(&self) -> bool {
        self.waits_for_room.is_some()
    }

    /// Whether the connection was held back because it did not take its replies, and has taken them since, or because it
    /// was the turn of others.
    pub(crate) fn may_go_on(&self) -> bool {
        self.conn.is_choked.load(Ordering::Acquire) && self.shared.limits.may_answer(self.conn.outbox.len())
    }

    /// Whether the last read from the socket brought so much that there may be more, and others should have their turn.
    pub(crate) const fn has_received_much(&self) -> bool {
        self.has_received_much
    }

    /// Handles bytes from the socket.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Flow {
        self.has_received_much = bytes.len() >= MUCH_BYTES;
        self.shared.stats.received_bytes.add(bytes.len() as u64);
        if self.kept.is_empty() {
            let (used, flow) = self.handle(bytes);
            self.kept.extend_from_slice(&bytes[used..]);
            self.settle(flow)
        } else {
            self.kept.extend_from_slice(bytes);
            self.resume()
        }
    }

    /// Goes on with what was received before, if what it waited for has happened.
    pub(crate) fn resume(&mut self) -> Flow {
        self.conn.is_paused.store(false, Ordering::Release);
        self.conn.is_choked.store(false, Ordering::Release);
        let kept = std::mem::take(&mut self.kept);
        let (used, flow) = self.handle(&kept);
        self.kept = kept;
        forget_front(&mut self.kept, used);
        self.settle(flow)
    }

    /// Reports what the connection holds, and closes it if that is too much.
    fn settle(&mut self, flow: Flow) -> Flow {
        let is_acceptable = self.shared.limits.partial(self.reported_kept, self.kept.len());
        self.reported_kept = self.kept.len();
        if !is_acceptable {
            tracing::warn!(peer = %self.conn.peer, bytes = self.kept.len(), "closed: too many incomplete requests are held for all clients together");
            return Flow::Closed;
        }
        flow
    }

    /// The connection is over.
    pub(crate) fn end(&mut self) {
        self.conn.outbox.give_up(&self.shared.limits);
        self.shared.limits.partial(self.reported_kept, 0);
        self.reported_kept = 0;
    }

    fn handle(&mut self, bytes: &[u8]) -> Handled {
        match self.state {
            State::Start => self.start(bytes),
            State::Connecting => match self.conn.session_handle() {
                None => (0, Flow::Wait),
                Some(_) => {
                    self.state = State::Open;
                    self.open(bytes)
                }
            },
            State::Open => self.open(bytes),
        }
    }

    // The first frame.

    fn start(&mut self, bytes: &[u8]) -> Handled {
        let Some((first, rest)) = bytes.split_first_chunk::<4>() else {
            return (0, Flow::Read);
        };
        if let Some(word) = Word::from_bytes(*first) {
            return match word.argument_bytes(&self.shared.config.four_letter_words) {
                needed if rest.len() < needed => (0, Flow::Read),
                needed => (bytes.len(), Flow::Word(word.with_argument(&rest[..needed]))),
            };
        }
        let len = match usize::try_from(i32::from_be_bytes(*first)) {
            Ok(len) if len <= CONNECT_BYTES_MAX.min(self.shared.frame_bytes_max) => len,
            _ => {
                let len = i32::from_be_bytes(*first);
                tracing::debug!(peer = %self.conn.peer, len, "closed: the first frame is no handshake");
                return (0, Flow::Closed);
            }
        };
        let Some(frame) = rest.get(..len) else {
            return (0, Flow::Read);
        };
        let Ok(request) = ConnectRequest::decode(frame) else {
            tracing::debug!(peer = %self.conn.peer, "closed: the handshake cannot be read");
            return (0, Flow::Closed);
        };
        let wanted = match request.session {
            SessionId::NONE if self.shared.has_local_sessions() => Wanted::NewLocal,
            SessionId::NONE => Wanted::New,
            _ => Wanted::Renewal,
        };
        if !self.is_admitted(wanted) {
            return (0, Flow::Closed);
        }
        self.state = State::Connecting;
        let request = PendingConnect {
            last_zxid_seen: request.last_zxid_seen,
            timeout_ms: request.timeout_ms,
            session: request.session,
            password: request.password.to_vec(),
            read_only: request.read_only,
        };
        self.conn.outbox.peek().stats.received += 1;
        self.shared.queue.push(NodeEvent::Connect {
            conn: self.conn.clone(),
            request,
        });
        (4 + len, Flow::Wait)
    }

    /// Counts a handshake, unless they come too fast.
    fn is_admitted(&self, wanted: Wanted) -> bool {
        let stats = &self.shared.stats;
        stats.received.add(1);
        let now = self.shared.clock.mono();
        let Some(deficit) = self.shared.connection_throttle.admit(wanted, now) else {
            stats.connections.rejected.add(1);
            tracing::debug!(peer = %self.conn.peer, "closed: new connections come too fast (connection_throttle_tokens)");
            return false;
        };
        stats.connections.requests.add(1);
        stats.connections.token_deficit.add(deficit, 1);
        if wanted == Wanted::Renewal {
            stats.connections.renewals.add(1);
            self.conn.is_renewal.store(true, Ordering::Relaxed);
        }
        true
    }

    // Requests.

    fn open(&mut self, bytes: &[u8]) -> Handled {
        self.waits_for_others = false;
        if self
            .waits_for_room
            .is_some_and(|bytes| !self.shared.limits.may_keep(bytes))
        {
            return (0, Flow::Wait);
        }
        self.waits_for_room = None;
        let Some(session) = self.conn.session_handle().cloned() else {
            return (0, Flow::Wait);
        };
        let now = self.shared.clock.mono();
        let mut turn = Turn {
            shared: &self.shared,
            conn: &self.conn,
            session: session.id(),
            handle: &session,
            is_touched: false,
            ids: self.conn.ids(),
            now,
            submitted: Vec::new(),
            submitted_count: 0,
            received: 0,
            is_throttled: false,
            waits_for_others: false,
            waits_for_room: None,
        };
        let waited_ms = self.throttled_since.map(|since| now.since(since));
        if waited_ms.is_some_and(|waited_ms| turn.is_stale(waited_ms)) {
            return (0, Flow::Closed);
        }
        // What was held back too long stays so, whether or not there is room when it is looked at.
        let mut is_late = waited_ms.is_some_and(|waited_ms| turn.is_late(waited_ms));
        let mut used = 0;
        let flow = loop {
            let rest = &bytes[used..];
            if let Some(held_back) = turn.held_back(rest) {
                break held_back;
            }
            let (more, flow) = if is_late {
                turn.late(rest, waited_ms.unwrap_or(0))
            } else {
                turn.run(rest)
            };
            used += more;
            // Nothing more could be done with what is there.
            if flow != Flow::Read || (more == 0 && !is_late) {
                break flow;
            }
            is_late = false;
        };
        turn.submit();
        self.throttled_since = match flow {
            Flow::Wait if turn.is_throttled || is_late => self.throttled_since.or(Some(now)),
            _ => None,
        };
        self.waits_for_others = flow == Flow::Wait && turn.waits_for_others;
        self.waits_for_room = turn.waits_for_room;
        (used, flow)
    }
}

/// The handling of what one read from the socket delivered.
struct Turn<'a> {
    shared: &'a Shared,
    conn: &'a ConnHandle,
    session: SessionId,
    handle: &'a SessionHandle,
    is_touched: bool,
    ids: Arc<[Id]>,
    now: Millis,
    /// Frames for the node.
    submitted: Vec<u8>,
    submitted_count: usize,
    received: u64,
    /// Whether the rest has to wait for its turn, because too many requests are in work.
    is_throttled: bool,
    /// Whether the rest has to wait although no request of the connection is in work.
    waits_for_others: bool,
    /// Bytes of the next reply, if there is no room for it at the moment.
    waits_for_room: Option<usize>,
}

/// The applied state and the connection's queue: who holds both answers from one state and in order.
struct Held<'a> {
    replica: RwLockReadGuard<'a, Replica>,
    queue: MutexGuard<'a, Queue>,
}

/// A whole frame, cut into its parts.
struct Frame<'a> {
    xid: Xid,
    op: i32,
    body: &'a [u8],
    /// With its length in front.
    whole: &'a [u8],
}

impl Frame<'_> {
    /// Its length as it is counted against limits.
    const fn bytes(&self) -> usize {
        self.whole.len() - 4
    }
}

impl Turn<'_> {
    /// Whether the connection must not go on for now: it has enough requests in flight, or does not take its replies.
    fn held_back(&mut self, bytes: &[u8]) -> Option<Flow> {
        let limits = &self.shared.limits;
        let outstanding = || self.conn.in_flight.load(Ordering::Acquire) + self.submitted_count;
        if !limits.may_answer(self.conn.outbox.len()) {
            self.submit();
            self.conn.is_choked.store(true, Ordering::Release);
            return Some(Flow::Wait);
        }
        let is_throttled = limits.room(self.submitted_count) == 0;
        if !is_throttled && limits.may_submit(outstanding()) {
            return None;
        }
        let has_request = matches!(cut(bytes, self.shared.frame_bytes_max), Ok(Some(_)));
        if is_throttled && !has_request && limits.may_gather() {
            // It may send one, so that it is known since when that waits.
            return None;
        }
        self.submit();
        let is_idle = !self.waits_for_answers();
        if is_idle && limits.may_submit(0) {
            return None;
        }
        // Without a request in work nobody will wake the connection. That it has to wait for others is decided here, once:
        // whether they still are in the way is looked at before the wait begins.
        self.waits_for_others = is_idle;
        if is_throttled && has_request {
            self.is_throttled = true;
            self.shared.stats.requests.throttle_waits.add(1);
        }
        Some(Flow::Wait)
    }

    /// Handles some frames: a run of reads, or a run of requests for the node, or one that is neither.
    fn run(&mut self, bytes: &[u8]) -> Handled {
        let frame = match cut(bytes, self.shared.frame_bytes_max) {
            Ok(Some(frame)) if self.has_room_for(&frame) => frame,
            Ok(Some(_)) => return (0, Flow::Closed),
            Ok(None) if self.will_have_room(bytes) => return (0, Flow::Read),
            Ok(None) => return (0, Flow::Closed),
            Err(len) => {
                tracing::warn!(peer = %self.conn.peer, session = %self.session, len, limit = self.shared.frame_bytes_max, "closed: the length of a request is out of range (jute.maxbuffer)");
                self.submit();
                return (0, Flow::Closed);
            }
        };
        if self.is_refused(&frame) {
            return (bytes.len(), Flow::Wait);
        }
        if frame.op == OpCode::Auth.code() {
            return self.authenticate(&frame);
        }
        // Every request is a sign of life, but for those that only concern the connection.
        if !self.is_touched && frame.op != OpCode::Sasl.code() {
            self.is_touched = true;
            if !self.handle.touch(self.now) {
                // The session is being closed: requests are dropped, and the connection's end says why.
                return (bytes.len(), Flow::Read);
            }
        }
        let mut is_node_idle = self.submitted.is_empty() && self.conn.in_flight.load(Ordering::Acquire) == 0;
        if !is_node_idle && is_costly(frame.op) {
            // The node, for which everybody waits, is not bothered with it.
            self.submit();
            if self.waits_for_answers() {
                return (0, Flow::Wait);
            }
            is_node_idle = true;
        }
        if is_node_idle && !self.needs_node(frame.op) {
            self.answer(bytes)
        } else {
            self.gather(bytes)
        }
    }

    /// Whether a request is more than a look at the applied state: a write, or in an ensemble a sync.
    fn needs_node(&self, op: i32) -> bool {
        is_write(op) || op == OpCode::Sync.code() && self.shared.config.is_distributed()
    }

    /// Answers a run of reads from the applied state.
    fn answer(&mut self, bytes: &[u8]) -> Handled {
        let mut held = Held {
            replica: self.shared.replica.read(),
            queue: self.conn.outbox.lock(),
        };
        if !held.replica.is_serving() {
            // There is no leader any more; the node is about to close all connections.
            return (0, Flow::Closed);
        }
        let reader = Reader {
            conn: self.conn,
            session: self.session,
            ids: &self.ids,
        };
        let limits = &self.shared.limits;
        let mut used = 0;
        let mut answers = 0;
        let mut replies = Replies::new();
        let mut last = None;
        let mut flow = Flow::Read;
        let mut has_cost = false;
        while let Ok(Some(frame)) = cut(&bytes[used..], self.shared.frame_bytes_max)
            && !self.needs_node(frame.op)
            && frame.op != OpCode::Auth.code()
            && answers < READS_PER_LOCK
            // The first one was judged before; to leave it would be to forget it.
            && (answers == 0
                || limits.large.fits(frame.bytes()) && limits.may_answer(self.conn.outbox.len_with(&held.queue)))
        {
            let Held { replica, queue } = &mut held;
            let before = queue.rope.len();
            let copied_before = queue.rope.copied();
            let mark = queue.rope.mark();
            let after = replica.read(
                &self.shared.watches,
                &reader,
                frame.xid,
                frame.op,
                frame.body,
                &mut queue.rope,
            );
            let copied = queue.rope.copied().saturating_sub(copied_before);
            if !limits.may_keep(copied) {
                // It is asked again once there is room: a read has no effect that it could not have twice.
                queue.rope.rollback(&mark);
                self.waits_for_room = Some(copied);
                break;
            }
            self.conn.outbox.count(queue, limits);
            used += frame.whole.len();
            answers += 1;
            replies.add(&self.shared.stats, frame.op, queue.rope.len().saturating_sub(before));
            last = Some((frame.op, frame.xid));
            if after == After::Close {
                flow = Flow::Wait;
                break;
            }
            if is_costly(frame.op) {
                has_cost = true;
                break;
            }
        }
        let zxid = held.replica.tree().last_zxid();
        if let Some((op, xid)) = last {
            let answered = Answered {
                op,
                is_refused: false,
                xid,
                zxid,
                received: self.now,
                bytes: 0,
            };
            held.queue.stats.sent += answers as u64;
            held.queue.stats.received += answers as u64;
            held.queue.stats.answered(&answered, answers as u64, 0, self.now);
        }
        drop(held);
        if answers > 0 {
            let stats = &self.shared.stats;
            stats.sent.add(answers as u64);
            stats.read_latency.add(0, answers as u64);
            replies.report(stats);
        }
        self.received += answers as u64;
        if flow == Flow::Wait {
            self.conn.close(Close::AfterOutput);
        }
        if self.waits_for_room.is_some() {
            flow = Flow::Wait;
        }
        if has_cost {
            // The lock is free for writers, and the others on this thread have their turn, before this one goes on.
            self.conn.is_choked.store(true, Ordering::Release);
            flow = Flow::Wait;
        }
        (used, flow)
    }

    /// Gathers a run of requests for the node: writes, and whatever comes behind them.
    fn gather(&mut self, bytes: &[u8]) -> Handled {
        let mut used = 0;
        let mut flow = Flow::Read;
        while let Ok(Some(frame)) = cut(&bytes[used..], self.shared.frame_bytes_max)
            && frame.op != OpCode::Auth.code()
            && !is_costly(frame.op)
            && (used == 0 || self.shared.limits.room(self.submitted_count) > 0)
        {
            if !self.conn.large.begin(frame.bytes()) {
                self.reject_large(frame.bytes());
                flow = Flow::Closed;
                break;
            }
            used += frame.whole.len();
            self.submitted_count += 1;
        }
        // Those before one that is too large are carried out.
        self.submitted.extend_from_slice(&bytes[..used]);
        (used, flow)
    }

    /// Whether a request is small, or there is room for one more large one.
    fn has_room_for(&self, frame: &Frame<'_>) -> bool {
        self.is_acceptable(frame.bytes())
    }

    /// The same for a request of which only a part has come, so that the rest need not be waited for.
    fn will_have_room(&self, bytes: &[u8]) -> bool {
        let len = bytes.first_chunk().map_or(0, |len| u32::from_be_bytes(*len));
        self.is_acceptable(len as usize)
    }

    fn is_acceptable(&self, bytes: usize) -> bool {
        let fits = self.shared.limits.large.fits(bytes);
        if !fits {
            self.reject_large(bytes);
        }
        fits
    }

    fn reject_large(&self, bytes: usize) {
        tracing::warn!(peer = %self.conn.peer, session = %self.session, bytes, "closed: too many bytes of large requests are in work (largeRequestMaxBytes)");
        self.shared.stats.requests.large_rejected.add(1);
    }

    /// Whether requests that had to wait for their turn waited for longer than their session lives without a sign of its
    /// client: the client has given this connection up. Source: `RequestThrottler.run`, `Request.isStale`.
    fn is_stale(&self, waited_ms: u64) -> bool {
        let throttle = &self.shared.config.request_throttle;
        let is_stale = throttle.drop_stale && throttle.stale_latency_check && waited_ms > self.handle.timeout_ms();
        if is_stale {
            tracing::warn!(peer = %self.conn.peer, session = %self.session, waited_ms, "closed: its requests waited for longer than the session's timeout (request_stale_latency_check)");
            self.shared.stats.requests.stale_dropped.add(1);
        }
        is_stale
    }

    /// Whether requests that had to wait for their turn waited for so long that they are not executed any more. Source:
    /// `RequestThrottler.run`.
    fn is_late(&self, waited_ms: u64) -> bool {
        let wait_ms_max = self.shared.config.request_throttle.throttled_op_wait_time_ms;
        wait_ms_max.is_some_and(|max| waited_ms > u64::from(max.get()))
    }

    /// Handles all requests that are there after they waited for too long.
    fn late(&mut self, bytes: &[u8], waited_ms: u64) -> Handled {
        self.handle.touch(self.now);
        let mut used = 0;
        let mut flow = Flow::Read;
        while let Ok(Some(frame)) = cut(&bytes[used..], self.shared.frame_bytes_max)
            && flow == Flow::Read
        {
            let handled = if is_throttlable(frame.op) {
                self.refuse_late(&frame, waited_ms)
            } else {
                self.run(frame.whole)
            };
            used += handled.0;
            flow = handled.1;
        }
        self.submit();
        (used, flow)
    }

    /// Whether requests of the connection are in work. If so, its task is woken when all of them are answered.
    fn waits_for_answers(&self) -> bool {
        // Whoever answers the last one counts it out before he looks at the mark, in this one order for all.
        self.conn.is_paused.store(true, Ordering::SeqCst);
        self.conn.in_flight.load(Ordering::SeqCst) > 0
    }

    /// Answers that a request is not executed, once everything before it is answered.
    fn refuse_late(&mut self, frame: &Frame<'_>, waited_ms: u64) -> Handled {
        self.submit();
        if self.waits_for_answers() {
            return (0, Flow::Wait);
        }
        let stats = &self.shared.stats;
        stats.requests.throttled.add(1);
        stats.received.add(1);
        stats.sent.add(1);
        let latency = if is_write(frame.op) {
            &stats.update_latency
        } else {
            &stats.read_latency
        };
        latency.add(waited_ms, 1);
        let zxid = self.shared.replica.read().tree().last_zxid();
        let mut queue = self.conn.outbox.lock();
        queue.stats.received += 1;
        queue.stats.sent += 1;
        let answered = Answered {
            op: frame.op,
            is_refused: true,
            xid: frame.xid,
            zxid,
            received: self.now,
            bytes: frame.bytes(),
        };
        queue.stats.answered(&answered, 1, waited_ms, self.now);
        queue
            .rope
            .reply(ReplyHeader::error(frame.xid, zxid, ErrorCode::ThrottledOp), |_| {});
        (frame.whole.len(), Flow::Read)
    }

    /// Hands what was gathered to the node.
    fn submit(&mut self) {
        if self.received > 0 {
            self.shared.stats.received.add(self.received);
            self.received = 0;
        }
        if self.submitted.is_empty() {
            return;
        }
        let frames = std::mem::take(&mut self.submitted);
        let count = std::mem::take(&mut self.submitted_count);
        self.shared.stats.received.add(count as u64);
        self.conn.outbox.peek().stats.received += count as u64;
        self.conn.in_flight.fetch_add(count, Ordering::AcqRel);
        // The node counts frames without their lengths.
        self.shared.limits.submit(count, frames.len() - 4 * count);
        let event = NodeEvent::Requests {
            conn: self.conn.id(),
            ids: self.ids.clone(),
            frames,
            received: self.now,
        };
        self.shared.queue.push(event);
    }

    /// With enforced authentication a request of a client that has not shown an identity of the right kind ends the
    /// connection.
    fn is_refused(&mut self, frame: &Frame<'_>) -> bool {
        let Some(schemes) = &self.shared.config.auth.enforced_schemes else {
            return false;
        };
        let is_exempt = frame.op == OpCode::Auth.code() || frame.op == OpCode::Sasl.code();
        if is_exempt || self.ids.iter().any(|id| schemes.contains(&id.scheme)) {
            return false;
        }
        self.submit();
        self.refuse(frame.xid, ErrorCode::SessionClosedRequireSaslAuth);
        true
    }

    fn refuse(&self, xid: Xid, error: ErrorCode) {
        self.conn
            .outbox
            .lock()
            .rope
            .reply(ReplyHeader::error(xid, Zxid::ZERO, error), |_| {});
        self.conn.close(Close::AfterOutput);
    }

    /// Identities count for what comes behind the packet, not for what came before.
    fn authenticate(&mut self, frame: &Frame<'_>) -> Handled {
        self.submit();
        self.received += 1;
        let used = frame.whole.len();
        let address = self.conn.peer.ip().to_canonical().to_string();
        let proved = match Request::decode(OpCode::Auth, frame.body) {
            Ok(Request::Auth { scheme, auth }) => auth::authenticate(&self.shared.auth, &scheme, auth, &address),
            _ => None,
        };
        if !proved.is_some_and(|proved| self.conn.add_ids(proved)) {
            self.shared.stats.requests.auth_failed.add(1);
            self.refuse(frame.xid, ErrorCode::AuthFailed);
            return (used, Flow::Wait);
        }
        self.ids = self.conn.ids();
        self.conn
            .outbox
            .lock()
            .rope
            .reply(ReplyHeader::ok(frame.xid, Zxid::ZERO), |_| {});
        (used, Flow::Read)
    }
}

/// Removes what was handled. What is left holds no more memory than it needs: nothing if that is nothing, and little if it is
/// the beginning of a frame behind a large one. For limits on what is held it is the length that counts.
fn forget_front(kept: &mut Vec<u8>, used: usize) {
    kept.drain(..used);
    if kept.len() <= kept.capacity() / KEPT_SLACK {
        kept.shrink_to_fit();
    }
}

/// Whether an operation may be refused because it waited for too long. What concerns the connection alone may not, and
/// never waits in the reference. Source: `Request.isThrottlable`.
fn is_throttlable(op: i32) -> bool {
    ![OpCode::Ping, OpCode::CloseSession, OpCode::Auth, OpCode::Sasl]
        .map(OpCode::code)
        .contains(&op)
}

/// Whether the time that a read takes may go with the size of the tree, and not with that of its request or reply. (A
/// multiRead may find out that it would answer too much only when it has put most of it together.)
fn is_costly(op: i32) -> bool {
    [OpCode::GetAllChildrenNumber, OpCode::GetEphemerals, OpCode::MultiRead]
        .map(OpCode::code)
        .contains(&op)
}

pub(crate) fn is_write(op: i32) -> bool {
    OpCode::from_i32(op).is_some_and(|op| op.is_client_request() && op.is_write())
}

/// The first frame of `bytes`, if all of it is there. The error is a length that no frame may have.
fn cut(bytes: &[u8], bytes_max: usize) -> Result<Option<Frame<'_>>, i32> {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let len = i32::from_be_bytes(*len);
    let Some(size) = usize::try_from(len).ok().filter(|size| (8..=bytes_max).contains(size)) else {
        return Err(len);
    };
    let Some(frame) = rest.get(..size) else { return Ok(None) };
    let Some((xid, after)) = frame.split_first_chunk::<4>() else {
        return Err(len);
    };
    let Some((op, body)) = after.split_first_chunk::<4>() else {
        return Err(len);
    };
    let whole = &bytes[..4 + size];
    Ok(Some(Frame {
        xid: Xid(i32::from_be_bytes(*xid)),
        op: i32::from_be_bytes(*op),
        body,
        whole,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_large_frame_holds_little() {
        for left in [0, 1, 1000, 100_000] {
            let mut kept = vec![1; 1 << 20];
            kept.extend(vec![2; left]);
            forget_front(&mut kept, 1 << 20);
            assert_eq!(kept, vec![2; left]);
            assert!(kept.capacity() <= KEPT_SLACK * left, "{} for {left}", kept.capacity());
        }
    }

    #[test]
    fn a_frame_that_comes_in_pieces_is_not_copied_with_each() {
        let mut kept = Vec::new();
        let mut moved = 0;
        for _ in 0..1000 {
            let before = kept.as_ptr();
            kept.extend([7; 1000]);
            forget_front(&mut kept, 0);
            moved += usize::from(kept.as_ptr() != before);
        }
        assert!(moved < 50, "{moved}");
    }
}
