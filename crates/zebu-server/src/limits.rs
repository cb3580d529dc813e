//! Bounds on what all connections together may hold in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::config;

/// Requests handed to the node and not yet answered, in bytes, [`REQUEST_BYTES`] for each included: above it, connections
/// that wait for an answer are not read.
const IN_FLIGHT_BYTES_MAX: usize = 64 << 20;
/// Above this, no connection is read.
const IN_FLIGHT_BYTES_HARD_MAX: usize = 256 << 20;
/// What a request takes besides the bytes of its frame until it is answered: its place in the queue of its connection, its
/// transaction and that one's place, its record in the log. The smallest frame has 8 bytes.
const REQUEST_BYTES: usize = 512;
/// Replies that one connection has not taken yet: above it, the connection is not read.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// The same when all connections together are above [`UNSENT_BYTES_TOTAL_MAX`].
const UNSENT_BYTES_MAX_UNDER_PRESSURE: usize = 16 << 10;
const UNSENT_BYTES_TOTAL_MAX: usize = 256 << 20;
/// Above this, all connections together, nobody gets a reply above [`UNSENT_BYTES_MAX_UNDER_PRESSURE`] until those that
/// take nothing are gone.
const UNSENT_BYTES_TOTAL_HARD_MAX: usize = 384 << 20;
/// Less than this, on one connection, is not counted: most connections never come so far.
const UNSENT_BYTES_COUNTED_MIN: usize = UNSENT_BYTES_MAX_UNDER_PRESSURE;
/// A connection that takes less than this between two looks, while all together are above [`UNSENT_BYTES_TOTAL_MAX`],
/// takes nothing.
pub(crate) const PROGRESS_BYTES_MIN: u64 = 16 << 10;
/// Events, and replies to what was handed over in one piece, that a connection has not taken: above it the connection is
/// closed; a client that is so far behind learns more from its reconnect. Values that are shared with the tree do not count.
const UNSENT_BYTES_HARD_MAX: usize = 64 << 20;
/// The same when all connections together are above [`UNSENT_BYTES_TOTAL_HARD_MAX`].
const UNSENT_BYTES_HARD_MAX_UNDER_PRESSURE: usize = 64 << 10;
/// Frames that have not arrived whole, all connections together.
const PARTIAL_BYTES_TOTAL_MAX: usize = 256 << 20;
/// A frame that has not arrived whole may have this much in any case.
const PARTIAL_BYTES_MIN: usize = 16 << 10;

/// Above this, all connections together, who has to wait for his turn sends nothing until it has come.
const PARTIAL_BYTES_GATHERED_MAX: usize = PARTIAL_BYTES_TOTAL_MAX / 4;

/// What is held at the moment, and whether more may be.
pub(crate) struct Limits {
    requests_max: usize,
    /// Above it even a connection without any request in flight has to wait (`request_throttle_max_requests`).
    throttle_max: Option<usize>,
    /// Who waits looks again after this time at the latest (`request_throttle_stall_time`).
    stall: Duration,
    pub(crate) large: LargeRequests,
    requests: AtomicUsize,
    request_bytes: AtomicUsize,
    unsent_bytes: AtomicUsize,
    partial_bytes: AtomicUsize,
    waiters: AtomicUsize,
    below: Notify,
}

impl Limits {
    pub(crate) fn new(limits: &config::Limits, throttle: &config::RequestThrottle) -> Self {
        Self {
            requests_max: (limits.global_outstanding_limit as usize).max(1),
            throttle_max: throttle.max_requests.map(|max| max.get() as usize),
            stall: Duration::from_millis(u64::from(throttle.stall_time_ms).max(1)),
            large: LargeRequests::new(&limits.large_requests),
            requests: AtomicUsize::new(0),
            request_bytes: AtomicUsize::new(0),
            unsent_bytes: AtomicUsize::new(0),
            partial_bytes: AtomicUsize::new(0),
            waiters: AtomicUsize::new(0),
            below: Notify::new(),
        }
    }

    /// Requests that wait for an answer.
    pub(crate) fn outstanding(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn submit(&self, requests: usize, bytes: usize) {
        self.requests.fetch_add(requests, Ordering::Relaxed);
        self.request_bytes
            .fetch_add(bytes + requests * REQUEST_BYTES, Ordering::Relaxed);
    }

    pub(crate) fn finish(&self, requests: usize, bytes: usize) {
        self.requests.fetch_sub(requests, Ordering::Relaxed);
        self.request_bytes
            .fetch_sub(bytes + requests * REQUEST_BYTES, Ordering::Relaxed);
        if self.waiters.load(Ordering::Relaxed) > 0 && self.may_submit(0) {
            self.below.notify_waiters();
        }
    }

    /// Whether a connection with `outstanding` requests of its own may hand over more.
    pub(crate) fn may_submit(&self, outstanding: usize) -> bool {
        let bytes = self.request_bytes.load(Ordering::Relaxed);
        if self.room(0) == 0 {
            return false;
        }
        if outstanding == 0 {
            return bytes < IN_FLIGHT_BYTES_HARD_MAX;
        }
        self.requests.load(Ordering::Relaxed) < self.requests_max && bytes < IN_FLIGHT_BYTES_MAX
    }

    /// How many requests may be handed over before all further ones wait for their turn, when `gathered` are about to.
    pub(crate) fn room(&self, gathered: usize) -> usize {
        match self.throttle_max {
            None => usize::MAX,
            Some(max) => max.saturating_sub(self.requests.load(Ordering::Relaxed) + gathered),
        }
    }

    /// Waits until no bound that concerns all connections is exceeded any longer.
    pub(crate) async fn below_hard_bound(&self) {
        let _waiter = Waiter::new(&self.waiters);
        let notified = self.below.notified();
        if !self.may_submit(0) {
            // A bound on the wait covers a release between the two loads above.
            let _ = tokio::time::timeout(self.stall, notified).await;
        }
    }

    /// Notes that a connection of which `counted` bytes are counted has `unsent` now. Returns what is counted of it.
    pub(crate) fn unsent(&self, counted: usize, unsent: usize) -> usize {
        let after = if unsent > UNSENT_BYTES_COUNTED_MIN { unsent } else { 0 };
        adjust(&self.unsent_bytes, counted, after);
        after
    }

    /// Whether replies that are not taken hold so much memory that those who take nothing have to go.
    pub(crate) fn is_tight(&self) -> bool {
        self.unsent_bytes.load(Ordering::Relaxed) > UNSENT_BYTES_TOTAL_MAX
    }

    /// Whether there is room for a reply of so many copied bytes. Data that is shared with the tree takes none to speak of.
    pub(crate) fn may_keep(&self, reply: usize) -> bool {
        reply <= UNSENT_BYTES_MAX_UNDER_PRESSURE
            || self.unsent_bytes.load(Ordering::Relaxed).saturating_add(reply) <= UNSENT_BYTES_TOTAL_HARD_MAX
    }

    /// Whether a connection with `unsent` bytes may ask for more.
    pub(crate) fn may_answer(&self, unsent: usize) -> bool {
        unsent
            <= if self.is_tight() {
                UNSENT_BYTES_MAX_UNDER_PRESSURE
            } else {
                UNSENT_BYTES_MAX
            }
    }

    /// Whether a connection with so many copied bytes that are not sent is beyond help.
    pub(crate) fn is_hopeless(&self, copied: usize) -> bool {
        copied > UNSENT_BYTES_HARD_MAX
            || (copied > UNSENT_BYTES_HARD_MAX_UNDER_PRESSURE
                && self.unsent_bytes.load(Ordering::Relaxed) > UNSENT_BYTES_TOTAL_HARD_MAX)
    }

    /// Whether a connection whose requests will have to wait may send them all the same.
    pub(crate) fn may_gather(&self) -> bool {
        self.partial_bytes.load(Ordering::Relaxed) <= PARTIAL_BYTES_GATHERED_MAX
    }

    /// Notes that the incomplete frame of a connection went from `before` to `after` bytes. Returns whether that is
    /// still acceptable.
    pub(crate) fn partial(&self, before: usize, after: usize) -> bool {
        adjust(&self.partial_bytes, before, after);
        after <= PARTIAL_BYTES_MIN || self.partial_bytes.load(Ordering::Relaxed) <= PARTIAL_BYTES_TOTAL_MAX
    }
}

/// Somebody who waits. He may give up at any moment.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn new(waiters: &'a AtomicUsize) -> Self {
        waiters.fetch_add(1, Ordering::Relaxed);
        Self(waiters)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Requests that are larger than most, and how much of them may be in work at once.
pub(crate) struct LargeRequests {
    threshold: usize,
    bytes_max: usize,
    bytes: Arc<AtomicUsize>,
}

impl LargeRequests {
    fn new(config: &config::LargeRequests) -> Self {
        Self {
            threshold: config.threshold_bytes.map_or(usize::MAX, |bytes| bytes.get() as usize),
            bytes_max: config.max_bytes as usize,
            bytes: Arc::default(),
        }
    }

    /// Whether there is room for a request of so many bytes.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        bytes <= self.threshold || self.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= self.bytes_max
    }

    /// What a connection that begins has of them.
    pub(crate) fn share(&self) -> LargeShare {
        LargeShare {
            threshold: self.threshold,
            bytes_max: self.bytes_max,
            total: self.bytes.clone(),
            own: AtomicUsize::new(0),
        }
    }
}

/// Large requests of one connection that are in work. What is left of them when the connection is gone is given back.
pub(crate) struct LargeShare {
    threshold: usize,
    bytes_max: usize,
    total: Arc<AtomicUsize>,
    own: AtomicUsize,
}

impl LargeShare {
    /// A request of so many bytes begins. Returns whether there was room for it.
    pub(crate) fn begin(&self, bytes: usize) -> bool {
        if bytes <= self.threshold {
            return true;
        }
        let before = self.total.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.bytes_max {
            self.total.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.own.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    /// A request of so many bytes is answered.
    pub(crate) fn end(&self, bytes: usize) {
        if bytes > self.threshold {
            self.total.fetch_sub(bytes, Ordering::Relaxed);
            self.own.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for LargeShare {
    fn drop(&mut self) {
        self.total
            .fetch_sub(self.own.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

fn adjust(total: &AtomicUsize, before: usize, after: usize) {
    if after > before {
        total.fetch_add(after - before, Ordering::Relaxed);
    } else if before > after {
        total.fetch_sub(before - after, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn large_requests_share_their_bytes() {
        let large = LargeRequests::new(&config::LargeRequests {
            threshold_bytes: NonZeroU32::new(100),
            max_bytes: 1000,
        });
        let (one, other) = (large.share(), large.share());
        assert!(one.begin(100), "not larger than the threshold");
        assert!(one.begin(600));
        assert!(!large.fits(401) && !other.begin(401));
        assert!(large.fits(400) && other.begin(400));
        assert!(large.fits(100), "small ones are not asked");
        one.end(100);
        one.end(600);
        assert!(!large.fits(601) && large.fits(600));
        drop(other);
        assert!(large.fits(1000), "what a lost connection had is free again");
        assert!(!large.fits(1001));
    }

    #[test]
    fn what_is_not_taken_is_bounded_for_all_together() {
        const MIB: usize = 1 << 20;
        let limits = Limits::new(&config::Limits::default(), &config::RequestThrottle::default());
        assert_eq!(limits.unsent(0, 1000), 0, "a little is not counted");
        assert!(limits.may_answer(MIB) && !limits.may_answer(MIB + 1));
        let first = limits.unsent(0, 300 * MIB);
        assert!(limits.is_tight());
        assert!(!limits.may_answer(MIB) && limits.may_answer(16 << 10));
        assert!(limits.may_keep(80 * MIB) && !limits.may_keep(90 * MIB));
        assert!(!limits.is_hopeless(MIB));
        let second = limits.unsent(0, 300 * MIB);
        assert!(!limits.may_keep(MIB) && limits.may_keep(16 << 10));
        assert!(limits.is_hopeless(MIB) && !limits.is_hopeless(64 << 10));
        assert_eq!((limits.unsent(first, 0), limits.unsent(second, 10)), (0, 0));
        assert!(!limits.is_tight());
    }

    #[test]
    fn requests_of_a_few_bytes_take_more_than_these() {
        let config = config::Limits {
            global_outstanding_limit: u32::MAX,
            ..Default::default()
        };
        let limits = Limits::new(&config, &config::RequestThrottle::default());
        limits.submit(100_000, 800_000);
        assert!(limits.may_submit(1));
        limits.submit(100_000, 800_000);
        assert!(!limits.may_submit(1) && limits.may_submit(0));
        limits.submit(400_000, 3_200_000);
        assert!(!limits.may_submit(0), "nobody may");
        limits.finish(600_000, 4_800_000);
        assert!(limits.may_submit(1));
    }

    #[test]
    fn without_a_threshold_no_request_is_large() {
        let large = LargeRequests::new(&config::LargeRequests::default());
        assert!(large.fits(usize::MAX) && large.share().begin(usize::MAX));
    }

    #[test]
    fn who_gives_up_does_not_wait_any_more() {
        let throttle = config::RequestThrottle {
            max_requests: NonZeroU32::new(1),
            ..Default::default()
        };
        let limits = Limits::new(&config::Limits::default(), &throttle);
        limits.submit(1, 10);
        let mut waiting = Box::pin(limits.below_hard_bound());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = &mut waiting => panic!("the bound is exceeded"),
                () = std::future::ready(()) => {}
            }
        });
        assert_eq!(limits.waiters.load(Ordering::Relaxed), 1);
        drop(waiting);
        assert_eq!(limits.waiters.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_throttle_counts_what_is_about_to_be_handed_over() {
        let throttle = config::RequestThrottle {
            max_requests: NonZeroU32::new(3),
            ..Default::default()
        };
        let limits = Limits::new(&config::Limits::default(), &throttle);
        assert_eq!((limits.room(0), limits.room(2), limits.room(5)), (3, 1, 0));
        limits.submit(3, 30);
        assert!(!limits.may_submit(0), "nobody may, not even who has nothing in work");
        limits.finish(1, 10);
        assert!(limits.may_submit(0) && limits.room(0) == 1);
    }
}
