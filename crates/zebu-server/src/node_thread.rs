//! The thread that owns the node: decides on writes, makes them durable, applies them, answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use zebu_node::{Answered, Close, LogBatch, Node, Outputs, Rope, SessionHandle};
use zebu_proto::client::ConnectResponse;
use zebu_proto::{Millis, Zxid};

use crate::clock;
use crate::conn::ConnHandle;
use crate::ensemble::Ensemble;
use crate::log_thread::Log;
use crate::outbox::Flushed;
use crate::session_io::is_write;
use crate::shared::{NodeEvent, Shared};
use crate::snapshots::Snapshots;
use crate::stats::{Replies, Run};

/// The node of a server.
pub(crate) type ServerNode = Node<ConnHandle>;

/// Transactions applied under one acquisition of the writer's lock: readers wait no longer than these take.
const COMMITS_PER_LOCK: usize = 512;
/// How long a leader that ends waits for others to commit what it has accepted.
const HANDOVER_MS_MAX: u64 = 1000;

/// Runs until the server ends.
pub(crate) struct NodeThread {
    pub(crate) shared: Arc<Shared>,
    pub(crate) node: ServerNode,
    /// In an ensemble: this server's part in it.
    pub(crate) ensemble: Option<Box<Ensemble>>,
    pub(crate) log: Log,
    pub(crate) snapshots: Snapshots,
    pub(crate) outputs: ServerOutputs,
    /// Whether the log thread has a batch.
    pub(crate) is_flushing: bool,
    /// A batch that was used before, for its memory.
    spare: LogBatch,
    next_tick: Millis,
    /// Everything up to here is durable in the log of this server.
    pub(crate) logged: Zxid,
}

/// Carries out what the node decides about connections: appends to their outboxes, and notes which are to be written.
pub(crate) struct ServerOutputs {
    shared: Arc<Shared>,
    noted: Vec<ConnHandle>,
    now: Millis,
    /// Requests that are over, and the bytes of their frames.
    answers: usize,
    answered_bytes: usize,
    /// Packets, and the length of the last one.
    sent: u64,
    sent_bytes: usize,
    read_latency: Run,
    update_latency: Run,
    replies: Replies,
}

impl Outputs<ConnHandle> for ServerOutputs {
    fn send(&mut self, conn: &ConnHandle, encode: impl FnOnce(&mut Rope)) {
        let mut queue = conn.outbox.lock();
        if queue.is_over || conn.closing() == Some(Close::Now) {
            // The connection is closed, and what would be sent is not made: a client must not get the answer to what it
            // asked for behind something that it gets no answer to.
            self.sent_bytes = 0;
            return;
        }
        let before = queue.rope.len();
        encode(&mut queue.rope);
        let after = queue.rope.len();
        let limits = &self.shared.limits;
        conn.outbox.count(&mut queue, limits);
        let is_hopeless = after > before && limits.is_hopeless(conn.outbox.copied_with(&queue));
        queue.stats.sent += 1;
        let is_noted = std::mem::replace(&mut queue.is_noted, true);
        drop(queue);
        if !is_noted {
            self.noted.push(conn.clone());
        }
        self.sent += 1;
        self.sent_bytes = after.saturating_sub(before);
        if is_hopeless {
            tracing::warn!(peer = %conn.peer, "closed: the client does not take what is sent to it");
            conn.close(Close::Now);
            conn.outbox.give_up(&self.shared.limits);
        }
    }

    fn answered(&mut self, conn: &ConnHandle, answered: Answered) {
        let latency_ms = self.now.since(answered.received);
        self.answers += 1;
        self.answered_bytes += answered.bytes;
        let stats = &self.shared.stats;
        if is_write(answered.op) {
            self.update_latency.add(&stats.update_latency, latency_ms);
        } else {
            self.read_latency.add(&stats.read_latency, latency_ms);
        }
        self.replies
            .add(stats, answered.op, std::mem::take(&mut self.sent_bytes));
        conn.large.end(answered.bytes);
        if let Some(session) = conn.session_handle() {
            // Its client waited for this server, however long that took.
            session.touch(self.now);
        }
        let mut queue = conn.outbox.peek();
        queue.stats.answered(&answered, 1, latency_ms, self.now);
        let is_noted = std::mem::replace(&mut queue.is_noted, true);
        drop(queue);
        if !is_noted {
            self.noted.push(conn.clone());
        }
        // Before `is_paused` is looked at: see `waits_for_answers`.
        conn.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    fn abandoned(&mut self, bytes: usize) {
        self.answers += 1;
        self.answered_bytes += bytes;
    }

    fn established(&mut self, conn: &ConnHandle, session: &Arc<SessionHandle>, response: &ConnectResponse) {
        conn.establish(session, response, clock::wall());
        self.sent += 1;
        if !conn.is_renewal.load(Ordering::Relaxed) {
            self.shared.stats.ops.add_session();
        }
        if !std::mem::replace(&mut conn.outbox.lock().is_noted, true) {
            self.noted.push(conn.clone());
        }
    }

    fn close(&mut self, conn: &ConnHandle, close: Close) {
        conn.close(close);
    }
}

impl ServerOutputs {
    /// Writes what was appended. What a socket does not take its own task writes later.
    fn flush(&mut self) {
        if self.answers > 0 {
            self.shared.limits.finish(self.answers, self.answered_bytes);
            self.answers = 0;
            self.answered_bytes = 0;
            let stats = &self.shared.stats;
            self.read_latency.report(&stats.read_latency);
            self.update_latency.report(&stats.update_latency);
            self.replies.report(stats);
        }
        if self.sent > 0 {
            self.shared.stats.sent.add(std::mem::take(&mut self.sent));
        }
        for conn in self.noted.drain(..) {
            conn.outbox.peek().is_noted = false;
            let is_blocked = conn.flush() == Flushed::Blocked;
            conn.outbox.count(&mut conn.outbox.peek(), &self.shared.limits);
            let may_resume = conn.is_choked.load(Ordering::Acquire)
                || conn.is_paused.load(Ordering::SeqCst) && conn.in_flight.load(Ordering::SeqCst) == 0;
            if is_blocked || may_resume {
                conn.wake.notify_one();
            }
        }
    }
}

impl NodeThread {
    pub(crate) fn new(
        shared: Arc<Shared>,
        node: ServerNode,
        ensemble: Option<Box<Ensemble>>,
        log: Log,
        snapshots: Snapshots,
    ) -> Self {
        let outputs = ServerOutputs {
            shared: shared.clone(),
            noted: Vec::new(),
            now: shared.clock.mono(),
            answers: 0,
            answered_bytes: 0,
            sent: 0,
            sent_bytes: 0,
            read_latency: Run::default(),
            update_latency: Run::default(),
            replies: Replies::new(),
        };
        let next_tick = node.deadline(shared.clock.now());
        let logged = node.applied();
        Self {
            logged,
            shared,
            node,
            ensemble,
            log,
            snapshots,
            outputs,
            is_flushing: false,
            spare: LogBatch::default(),
            next_tick,
        }
    }

    pub(crate) fn run(mut self) {
        let mut events = Vec::new();
        if self.ensemble.is_none() {
            let shared = self.shared.clone();
            self.node.close_orphans(&shared.replica.read(), shared.clock.now());
        }
        self.begin_ensemble();
        self.handle_all(&mut events);
        let mut is_stopping = false;
        while !is_stopping {
            let ensemble = self.ensemble.as_ref();
            let peer_deadline = ensemble.and_then(|ensemble| ensemble.deadline());
            let deadline = peer_deadline.map_or(self.next_tick, |deadline| deadline.min(self.next_tick));
            let wait = Duration::from_millis(deadline.since(self.shared.clock.mono()));
            self.shared.queue.take(&mut events, wait);
            is_stopping = self.handle_all(&mut events);
        }
        self.finish();
    }

    /// Handles what has arrived, and everything that follows from it. Returns whether the server ends.
    fn handle_all(&mut self, events: &mut Vec<NodeEvent>) -> bool {
        let shared = self.shared.clone();
        let mut is_stopping = false;
        let now = shared.clock.now();
        self.outputs.now = now.mono;
        for event in events.drain(..) {
            match event {
                NodeEvent::Connect { conn, request } => {
                    let replica = shared.replica.read();
                    if !replica.is_serving() {
                        self.outputs.close(&conn, Close::Now);
                        continue;
                    }
                    self.node.connect(&replica, &conn, &request, now, &mut self.outputs);
                }
                NodeEvent::Requests {
                    conn,
                    ids,
                    frames,
                    received,
                } => {
                    let replica = shared.replica.read();
                    let abandoned = self.node.requests(&replica, conn, &ids, &frames, received, now);
                    drop(replica);
                    shared.limits.finish(abandoned.requests, abandoned.bytes);
                }
                NodeEvent::Disconnected(conn) => {
                    let abandoned = self.node.disconnected(conn);
                    shared.limits.finish(abandoned.requests, abandoned.bytes);
                    shared.watches.0.lock().remove_connection(conn);
                }
                NodeEvent::Flushed(zxid, batch) => {
                    self.spare = batch;
                    self.is_flushing = false;
                    self.logged = zxid;
                    self.flushed(zxid);
                }
                NodeEvent::Peer(event) => self.peer_event(event),
                NodeEvent::Inspect(inspect) => inspect(&self.node),
                NodeEvent::Stop => is_stopping = true,
            }
        }
        // A leader that was held up for long may find out that it is none any more, and then nobody's session expires.
        self.tick_peer();
        if now.mono >= self.next_tick {
            self.next_tick = self.node.deadline(now);
            let expired = self.node.tick(&shared.replica.read(), now);
            let expired_local = self.node.expire_local(now, &mut self.outputs);
            for session in expired.into_iter().chain(expired_local) {
                tracing::info!(%session, "session expired");
                shared.stats.sessions_expired.add(1);
            }
        }
        self.propose();
        self.forward();
        if shared.has_failed() {
            // The log failed: whatever is in flight stays unacknowledged.
            return true;
        }
        self.make_durable();
        self.settle_in_the_end();
        // Requests are answered now, not when their batch began: the disk may have taken its time.
        self.outputs.now = shared.clock.mono();
        self.commit();
        shared
            .sessions
            .store(self.node.sessions().len() as u64, Ordering::Relaxed);
        shared
            .local_sessions
            .store(self.node.local_sessions().len() as u64, Ordering::Relaxed);
        is_stopping
    }

    /// Gets prepared transactions onto the disk. With nothing else to do this thread writes the log itself, which saves
    /// two hand-overs; when more work has arrived already, the log thread does it, and neither waits for the other.
    fn make_durable(&mut self) {
        if self.is_flushing || !self.node.has_log() {
            return;
        }
        // The file with the transactions before the snapshot ends here, at the first moment at which nobody writes it.
        if self.snapshots.wants_roll() && !self.log.roll() {
            return;
        }
        let mut empty = std::mem::take(&mut self.spare);
        empty.clear();
        let batch = self.node.take_log(empty);
        if !self.writes_log() {
            let last = batch.last_zxid();
            self.spare = batch;
            if let Some(zxid) = last {
                self.flushed(zxid);
            }
        } else if !self.shared.queue.is_empty() {
            self.is_flushing = true;
            self.log.hand_over(batch);
        } else if self.log.flush_here(&batch) {
            let last = batch.last_zxid();
            self.spare = batch;
            if let Some(zxid) = last {
                self.logged = zxid;
                self.flushed(zxid);
            }
        }
    }

    /// Applies what is committed, answers, and writes the answers.
    pub(crate) fn commit(&mut self) {
        let shared = self.shared.clone();
        while self.node.can_commit() {
            {
                let mut replica = shared.replica.write();
                let mut watches = shared.watches.0.lock();
                self.node
                    .commit(&mut replica, &mut watches, &mut self.outputs, COMMITS_PER_LOCK);
                let log_bytes = self.log.bytes();
                let txns = self.node.applied_count();
                // A snapshot holds nothing that the log does not: it may be that of a history that is taken back.
                if self.snapshots.is_due(txns, log_bytes)
                    && self.node.applied() <= self.logged
                    && !self.is_disk_behind()
                {
                    self.snapshots
                        .begin(replica.tree_mut(), shared.tree_generation(), txns, log_bytes);
                }
            }
            self.outputs.now = shared.clock.mono();
            self.outputs.flush();
        }
        self.outputs.flush();
    }

    /// Finishes what was accepted before the end, unless the log cannot be written any more.
    fn finish(mut self) {
        let mut events = Vec::new();
        let deadline = self.shared.clock.mono().plus(HANDOVER_MS_MAX);
        self.begin_to_end();
        loop {
            let is_here = self.is_flushing || self.node.has_log() || self.node.can_commit();
            // A leader's last proposals need the others, and what a learner forwarded comes back.
            let is_elsewhere = self.ensemble.is_some()
                && (self.is_leading() || self.node.has_waiting())
                && self.shared.clock.mono() < deadline;
            if self.shared.has_failed() || !(is_here || is_elsewhere) {
                break;
            }
            self.shared.queue.take(&mut events, Duration::from_millis(100));
            self.handle_all(&mut events);
        }
        self.end_ensemble();
        self.log.stop();
        self.snapshots.stop();
        // Whoever still waits for an answer need not wait any longer.
        self.shared.node_has_ended();
    }
}
