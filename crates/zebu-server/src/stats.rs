//! What is counted and measured while the server runs, for the words `srvr`, `cons` and `mntr`.
//!
//! Counters are relaxed atomics that many requests at once are added to: with [`Run`] and [`Replies`], which gather what
//! one turn of a thread brings.

use std::sync::atomic::{AtomicU64, Ordering};

use zebu_node::Answered;
use zebu_proto::{Millis, OpCode};

/// Counters of the whole server.
#[derive(Default)]
pub(crate) struct ServerStats {
    /// Packets from clients: requests, handshakes, four-letter words.
    pub(crate) received: Counter,
    /// Packets to clients: replies and events.
    pub(crate) sent: Counter,
    /// Bytes from clients.
    pub(crate) received_bytes: Counter,
    /// Bytes of replies, without the four of a frame's length.
    pub(crate) reply_bytes: Counter,
    pub(crate) reply_sizes: Sizes,
    /// Milliseconds from a read to its answer.
    pub(crate) read_latency: Distribution,
    /// Milliseconds from a write to its answer.
    pub(crate) update_latency: Distribution,
    pub(crate) ops: OpCounts,
    pub(crate) connections: ConnectionCounts,
    pub(crate) requests: RequestCounts,
    /// Sessions that ended because they showed no sign of life.
    pub(crate) sessions_expired: Counter,
    /// Milliseconds of one flush of the log to the disk.
    pub(crate) fsync_ms: Summary,
    /// Transactions that shared a flush.
    pub(crate) flushed_txns: Summary,
    /// Milliseconds of writing one snapshot, beside which requests go on.
    pub(crate) snapshot_ms: Summary,
    pub(crate) startup: Startup,
}

/// Connections by what became of them.
#[derive(Default)]
pub(crate) struct ConnectionCounts {
    /// Handshakes that were let in.
    pub(crate) requests: Counter,
    /// Handshakes that renewed a session.
    pub(crate) renewals: Counter,
    /// Refused because there are too many, or they come too fast.
    pub(crate) rejected: Counter,
    /// Accepted from this machine, without TLS. Counted for good.
    pub(crate) plain_local: Counter,
    /// Accepted from elsewhere, without TLS. Counted for good.
    pub(crate) plain_remote: Counter,
    /// Ended by the client, in the middle of whatever it did.
    pub(crate) dropped: Counter,
    /// Closed because they asked for no session in time.
    pub(crate) sessionless_expired: Counter,
    /// Tokens that were missing in the bucket when a handshake was let in.
    pub(crate) token_deficit: Summary,
}

/// Requests that did not go the straight way.
#[derive(Default)]
pub(crate) struct RequestCounts {
    /// Wrong passwords, unknown schemes.
    pub(crate) auth_failed: Counter,
    /// Times that a connection had to wait because too many requests are in work.
    pub(crate) throttle_waits: Counter,
    /// Refused because they had waited for too long.
    pub(crate) throttled: Counter,
    /// Dropped because they had waited for longer than their session's timeout.
    pub(crate) stale_dropped: Counter,
    /// Large ones for which there was no room.
    pub(crate) large_rejected: Counter,
}

/// How the database was loaded.
#[derive(Default)]
pub(crate) struct Startup {
    /// Milliseconds, altogether.
    pub(crate) load_ms: Summary,
    /// Transactions replayed onto the snapshot.
    pub(crate) txns: Summary,
}

impl ServerStats {
    /// Latency of all requests, reads and writes.
    pub(crate) fn latency(&self) -> Reading {
        let mut all = self.read_latency.read();
        all.merge(&self.update_latency.read());
        all
    }

    /// Forgets everything that was counted and measured, for the word `srst`. What is added at the same moment may be
    /// forgotten by half; the next measurement does not suffer from it.
    pub(crate) fn reset(&self) {
        let connections = &self.connections;
        let requests = &self.requests;
        for counter in [
            &self.received,
            &self.sent,
            &self.received_bytes,
            &self.reply_bytes,
            &self.sessions_expired,
            &connections.requests,
            &connections.renewals,
            &connections.rejected,
            &connections.dropped,
            &connections.sessionless_expired,
            &requests.auth_failed,
            &requests.throttle_waits,
            &requests.throttled,
            &requests.stale_dropped,
            &requests.large_rejected,
        ] {
            counter.reset();
        }
        for summary in [
            &connections.token_deficit,
            &self.fsync_ms,
            &self.flushed_txns,
            &self.snapshot_ms,
            &self.startup.load_ms,
            &self.startup.txns,
        ] {
            summary.reset();
        }
        self.reply_sizes.reset();
        self.read_latency.reset();
        self.update_latency.reset();
        self.ops.reset();
    }
}

/// A number that grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Smallest, largest, sum and number of what was measured.
pub(crate) struct Summary {
    /// `u64::MAX` before anything was measured.
    min: AtomicU64,
    max: AtomicU64,
    total: AtomicU64,
    count: AtomicU64,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            total: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }
}

impl Summary {
    /// Adds `count` measurements of `value`.
    pub(crate) fn add(&self, value: u64, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
        if value > 0 {
            self.total.fetch_add(value.saturating_mul(count), Ordering::Relaxed);
        }
        // Both hardly ever change: looking first leaves the cache line to its readers.
        if value < self.min.load(Ordering::Relaxed) {
            self.min.fetch_min(value, Ordering::Relaxed);
        }
        if value > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Reading {
        let count = self.count.load(Ordering::Relaxed);
        if count == 0 {
            return Reading::default();
        }
        Reading {
            min: self.min.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            count,
        }
    }

    fn reset(&self) {
        self.min.store(u64::MAX, Ordering::Relaxed);
        for part in [&self.max, &self.total, &self.count] {
            part.store(0, Ordering::Relaxed);
        }
    }
}

/// A reading of a [`Summary`], or a summary of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) total: u64,
    pub(crate) count: u64,
}

impl Reading {
    pub(crate) fn average(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "an average for people")]
        if self.count == 0 {
            0.0
        } else {
            self.total as f64 / self.count as f64
        }
    }

    /// Adds `count` measurements of `value`.
    pub(crate) fn add(&mut self, value: u64, count: u64) {
        self.merge(&Self {
            min: value,
            max: value,
            total: value.saturating_mul(count),
            count,
        });
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 {
            other.min
        } else {
            self.min.min(other.min)
        };
        self.max = self.max.max(other.max);
        self.total = self.total.saturating_add(other.total);
        self.count += other.count;
    }
}

/// Values up to this are counted one by one.
const EXACT: u64 = 16;
/// Steps between a power of two and the next.
const STEPS: usize = 8;
/// One for each exact value, then eight for each power of two from 2^4 to 2^31: what is longer counts as the longest.
const BUCKETS: usize = 16 + 28 * STEPS;

/// A [`Summary`] that knows how its values are spread: each to an eighth of its size.
pub(crate) struct Distribution {
    summary: Summary,
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Distribution {
    fn default() -> Self {
        Self {
            summary: Summary::default(),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl Distribution {
    /// Adds `count` measurements of `value`.
    pub(crate) fn add(&self, value: u64, count: u64) {
        self.summary.add(value, count);
        self.buckets[bucket(value)].fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Reading {
        self.summary.read()
    }

    /// The values below which `shares` of all measurements lie; 0 before there are any. Shares go from 0 to 1.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [u64; N] {
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        let all: u64 = counts.iter().sum();
        let reading = self.read();
        shares.map(|share| {
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rank between 1 and the number of measurements"
            )]
            let rank = ((all as f64 * share).ceil() as u64).max(1);
            let mut below = 0;
            let found = counts.iter().position(|count| {
                below += count;
                below >= rank
            });
            // A bucket's largest value may be larger than any that was measured.
            found.map_or(0, |bucket| bucket_max(bucket).clamp(reading.min, reading.max))
        })
    }

    fn reset(&self) {
        self.summary.reset();
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

fn bucket(value: u64) -> usize {
    if value < EXACT {
        return usize::try_from(value).unwrap_or(0);
    }
    let power = value.ilog2() as usize;
    let step = usize::try_from((value >> (power - 3)) & 7).unwrap_or(0);
    (16 + (power - 4) * STEPS + step).min(BUCKETS - 1)
}

fn bucket_max(bucket: usize) -> u64 {
    let Some(above) = bucket.checked_sub(16) else {
        return bucket as u64;
    };
    let (power, step) = (above / STEPS + 4, above % STEPS);
    (((STEPS + step + 1) as u64) << (power - 3)) - 1
}

/// Last, smallest and largest reply in bytes. -1 stands for none, as in the reference.
pub(crate) struct Sizes {
    /// `u64::MAX` for none in all three.
    last: AtomicU64,
    min: AtomicU64,
    max_plus_one: AtomicU64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            last: AtomicU64::new(u64::MAX),
            min: AtomicU64::new(u64::MAX),
            max_plus_one: AtomicU64::new(0),
        }
    }
}

impl Sizes {
    fn add(&self, replies: &Replies) {
        self.last.store(replies.last, Ordering::Relaxed);
        if replies.min < self.min.load(Ordering::Relaxed) {
            self.min.fetch_min(replies.min, Ordering::Relaxed);
        }
        if replies.max >= self.max_plus_one.load(Ordering::Relaxed) {
            self.max_plus_one.fetch_max(replies.max + 1, Ordering::Relaxed);
        }
    }

    /// Last, smallest, largest.
    pub(crate) fn read(&self) -> [i64; 3] {
        [
            self.last.load(Ordering::Relaxed),
            self.min.load(Ordering::Relaxed),
            self.max_plus_one.load(Ordering::Relaxed).wrapping_sub(1),
        ]
        .map(|size| i64::try_from(size).unwrap_or(-1))
    }

    fn reset(&self) {
        self.last.store(u64::MAX, Ordering::Relaxed);
        self.min.store(u64::MAX, Ordering::Relaxed);
        self.max_plus_one.store(0, Ordering::Relaxed);
    }
}

/// Replies of one turn of a thread, before they are added to [`ServerStats`].
pub(crate) struct Replies {
    bytes: u64,
    last: u64,
    min: u64,
    max: u64,
    count: u64,
    op: i32,
    op_count: u64,
}

impl Replies {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: 0,
            last: 0,
            min: u64::MAX,
            max: 0,
            count: 0,
            op: 0,
            op_count: 0,
        }
    }

    /// A reply of `frame_bytes` with its length in front to an operation with this number.
    pub(crate) fn add(&mut self, stats: &ServerStats, op: i32, frame_bytes: usize) {
        let size = (frame_bytes as u64).saturating_sub(4);
        self.bytes += size;
        self.last = size;
        self.min = self.min.min(size);
        self.max = self.max.max(size);
        self.count += 1;
        if op != self.op {
            // Most of what comes together is of one kind.
            stats.ops.add(self.op, self.op_count);
            self.op = op;
            self.op_count = 0;
        }
        self.op_count += 1;
    }

    /// Adds what was gathered, and begins anew.
    pub(crate) fn report(&mut self, stats: &ServerStats) {
        if self.count == 0 {
            return;
        }
        stats.ops.add(self.op, self.op_count);
        stats.reply_bytes.add(self.bytes);
        stats.reply_sizes.add(self);
        *self = Self::new();
    }
}

/// Measurements of one turn of a thread: equal ones that follow one another are added together.
#[derive(Default)]
pub(crate) struct Run {
    value: u64,
    count: u64,
}

impl Run {
    pub(crate) fn add(&mut self, to: &Distribution, value: u64) {
        if value != self.value {
            self.report(to);
            self.value = value;
        }
        self.count += 1;
    }

    /// Adds what was gathered, and begins anew.
    pub(crate) fn report(&mut self, to: &Distribution) {
        let count = std::mem::take(&mut self.count);
        if count > 0 {
            to.add(self.value, count);
        }
    }
}

/// Answered requests by operation.
#[derive(Default)]
pub(crate) struct OpCounts([Counter; OP_NAMES.len()]);

/// The names under which operations are counted. Source: the metrics `op_count_*` of Java's 3.10.
const OP_NAMES: [&str; 23] = [
    "add_watch",
    "check",
    "check_watches",
    "close_session",
    "create",
    "create_session",
    "delete",
    "exists",
    "get_acl",
    "get_all_children_number",
    "get_children",
    "get_data",
    "get_ephemerals",
    "multi",
    "multi_read",
    "ping",
    "reconfig",
    "remove_watches",
    "set_acl",
    "set_data",
    "set_watches",
    "sync",
    "who_am_i",
];

impl OpCounts {
    fn add(&self, op: i32, count: u64) {
        if count > 0
            && let Some(place) = OpCode::from_i32(op).and_then(op_place)
        {
            self.0[place].add(count);
        }
    }

    /// A session was made for a client.
    pub(crate) fn add_session(&self) {
        self.add(OpCode::CreateSession.code(), 1);
    }

    /// Every operation with its number of requests, in the order of the alphabet.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        OP_NAMES
            .into_iter()
            .zip(&self.0)
            .map(|(name, counter)| (name, counter.get()))
    }

    fn reset(&self) {
        self.0.iter().for_each(Counter::reset);
    }
}

/// Where in [`OP_NAMES`] an operation counts.
const fn op_place(op: OpCode) -> Option<usize> {
    Some(match op {
        OpCode::AddWatch => 0,
        OpCode::Check => 1,
        OpCode::CheckWatches => 2,
        OpCode::CloseSession => 3,
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => 4,
        OpCode::CreateSession => 5,
        OpCode::Delete | OpCode::DeleteContainer => 6,
        OpCode::Exists => 7,
        OpCode::GetAcl => 8,
        OpCode::GetAllChildrenNumber => 9,
        OpCode::GetChildren | OpCode::GetChildren2 => 10,
        OpCode::GetData => 11,
        OpCode::GetEphemerals => 12,
        OpCode::Multi => 13,
        OpCode::MultiRead => 14,
        OpCode::Ping => 15,
        OpCode::Reconfig => 16,
        OpCode::RemoveWatches => 17,
        OpCode::SetAcl => 18,
        OpCode::SetData => 19,
        OpCode::SetWatches | OpCode::SetWatches2 => 20,
        OpCode::Sync => 21,
        OpCode::WhoAmI => 22,
        OpCode::Auth | OpCode::Sasl | OpCode::Notification | OpCode::Error => return None,
    })
}

/// Counters of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnStats {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// Milliseconds.
    pub(crate) latency: Reading,
    pub(crate) last_latency_ms: u64,
    /// Number of the last operation answered, as the client sent it; none if it was refused.
    pub(crate) last_op: Option<i32>,
    /// Last client number that was not negative.
    pub(crate) last_cxid: i64,
    pub(crate) last_zxid: i64,
    /// Monotonic milliseconds.
    pub(crate) last_response_ms: u64,
}

impl ConnStats {
    pub(crate) const fn new() -> Self {
        Self {
            received: 0,
            sent: 0,
            latency: Reading {
                min: 0,
                max: 0,
                total: 0,
                count: 0,
            },
            last_latency_ms: 0,
            last_op: None,
            last_cxid: -1,
            last_zxid: -1,
            last_response_ms: 0,
        }
    }

    /// Notes the answers to `count` requests that came together; `last` is the last of them.
    pub(crate) fn answered(&mut self, last: &Answered, count: u64, latency_ms: u64, now: Millis) {
        self.latency.add(latency_ms, count);
        self.last_latency_ms = latency_ms;
        self.last_op = (!last.is_refused).then_some(last.op);
        if last.xid.0 >= 0 {
            self.last_cxid = i64::from(last.xid.0);
        }
        self.last_zxid = last.zxid.0;
        self.last_response_ms = now.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zebu_proto::{Xid, Zxid};

    #[test]
    fn a_refused_request_has_no_name() {
        let mut stats = ConnStats::new();
        let mut last = Answered {
            op: OpCode::SetData.code(),
            is_refused: false,
            xid: Xid(3),
            zxid: Zxid(4),
            received: Millis(5),
            bytes: 6,
        };
        stats.answered(&last, 1, 2, Millis(7));
        assert_eq!(stats.last_op, Some(OpCode::SetData.code()));
        last.is_refused = true;
        stats.answered(&last, 1, 2, Millis(8));
        assert_eq!((stats.last_op, stats.last_cxid, stats.latency.count), (None, 3, 2));
    }

    #[test]
    fn a_summary_is_exact() {
        let summary = Summary::default();
        assert_eq!(summary.read(), Reading::default());
        summary.add(5, 3);
        summary.add(2, 1);
        let reading = summary.read();
        assert_eq!((reading.min, reading.max, reading.total, reading.count), (2, 5, 17, 4));
        assert!((reading.average() - 4.25).abs() < f64::EPSILON);
        summary.reset();
        assert_eq!(summary.read(), Reading::default());
    }

    #[test]
    fn buckets_follow_one_another_and_hold_an_eighth() {
        for bucket_number in 0..BUCKETS {
            let max = bucket_max(bucket_number);
            assert_eq!(bucket(max), bucket_number);
            if bucket_number + 1 < BUCKETS {
                assert_eq!(bucket(max + 1), bucket_number + 1);
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_at_most_an_eighth_too_large() {
        let distribution = Distribution::default();
        assert_eq!(distribution.quantiles([0.5, 0.999]), [0, 0]);
        for value in 1..=1000 {
            distribution.add(value, 1);
        }
        for (share, exact) in [(0.0, 1), (0.5, 500), (0.95, 950), (0.99, 990), (1.0, 1000)] {
            let [found] = distribution.quantiles([share]);
            assert!(found >= exact, "{share}: {found}");
            assert!(found <= exact + exact / 8, "{share}: {found}");
        }
    }

    #[test]
    fn a_run_adds_equal_values_together() {
        let distribution = Distribution::default();
        let mut run = Run::default();
        for value in [3, 3, 3, 0, 0, 3] {
            run.add(&distribution, value);
        }
        assert_eq!(distribution.read().count, 5, "the last is not reported yet");
        run.report(&distribution);
        run.report(&distribution);
        let reading = distribution.read();
        assert_eq!((reading.count, reading.total), (6, 12));
    }

    #[test]
    fn replies_are_counted_by_operation() {
        let stats = ServerStats::default();
        assert_eq!(stats.reply_sizes.read(), [-1, -1, -1]);
        let mut replies = Replies::new();
        for (op, bytes) in [
            (OpCode::GetData, 104),
            (OpCode::GetData, 204),
            (OpCode::Create2, 20),
            (OpCode::Create, 24),
        ] {
            replies.add(&stats, op.code(), bytes);
        }
        replies.add(&stats, 4711, 20);
        replies.report(&stats);
        let counts: Vec<_> = stats.ops.read().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [("create", 2), ("get_data", 2)]);
        assert_eq!(stats.reply_sizes.read(), [16, 16, 200]);
        assert_eq!(stats.reply_bytes.get(), 100 + 200 + 16 + 20 + 16);
    }
}
