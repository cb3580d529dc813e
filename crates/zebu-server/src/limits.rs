//! Bounds on what all connections together may hold in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Requests handed to the node and not yet answered, in bytes: above it, connections that wait for an answer are not
/// read.
const IN_FLIGHT_BYTES_MAX: usize = 64 << 20;
/// Above this, no connection is read.
const IN_FLIGHT_BYTES_HARD_MAX: usize = 256 << 20;
/// Replies that one connection has not taken yet: above it, the connection is not read.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// The same when all connections together are above [`UNSENT_BYTES_TOTAL_MAX`].
const UNSENT_BYTES_MAX_UNDER_PRESSURE: usize = 16 << 10;
const UNSENT_BYTES_TOTAL_MAX: usize = 256 << 20;
/// Events that a connection has not taken: above it the connection is closed; a client that is so far behind learns more
/// from its reconnect.
const UNSENT_BYTES_HARD_MAX: usize = 64 << 20;
/// Frames that have not arrived whole, all connections together.
const PARTIAL_BYTES_TOTAL_MAX: usize = 256 << 20;
/// A frame that has not arrived whole may have this much in any case.
const PARTIAL_BYTES_MIN: usize = 16 << 10;

/// What is held at the moment, and whether more may be.
pub(crate) struct Limits {
    requests_max: usize,
    requests: AtomicUsize,
    request_bytes: AtomicUsize,
    unsent_bytes: AtomicUsize,
    partial_bytes: AtomicUsize,
    waiters: AtomicUsize,
    below: Notify,
}

impl Limits {
    /// `requests_max` is `globalOutstandingLimit`.
    pub(crate) fn new(requests_max: usize) -> Self {
        Self {
            requests_max: requests_max.max(1),
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
        self.request_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn finish(&self, requests: usize, bytes: usize) {
        self.requests.fetch_sub(requests, Ordering::Relaxed);
        let before = self.request_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let is_below = before.saturating_sub(bytes) < IN_FLIGHT_BYTES_HARD_MAX;
        if is_below && self.waiters.load(Ordering::Relaxed) > 0 {
            self.below.notify_waiters();
        }
    }

    /// Whether a connection with `outstanding` requests of its own may hand over more.
    pub(crate) fn may_submit(&self, outstanding: usize) -> bool {
        let bytes = self.request_bytes.load(Ordering::Relaxed);
        if outstanding == 0 {
            return bytes < IN_FLIGHT_BYTES_HARD_MAX;
        }
        self.requests.load(Ordering::Relaxed) < self.requests_max && bytes < IN_FLIGHT_BYTES_MAX
    }

    /// Waits until the hard bound on requests is no longer exceeded.
    pub(crate) async fn below_hard_bound(&self) {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        let notified = self.below.notified();
        if self.request_bytes.load(Ordering::Relaxed) >= IN_FLIGHT_BYTES_HARD_MAX {
            // A bound on the wait covers a release between the two loads above.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(100), notified).await;
        }
        self.waiters.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that unsent bytes of a connection went from `before` to `after`.
    pub(crate) fn unsent(&self, before: usize, after: usize) {
        adjust(&self.unsent_bytes, before, after);
    }

    /// Whether a connection with `unsent` bytes may ask for more.
    pub(crate) fn may_answer(&self, unsent: usize) -> bool {
        let is_tight = self.unsent_bytes.load(Ordering::Relaxed) > UNSENT_BYTES_TOTAL_MAX;
        unsent
            <= if is_tight {
                UNSENT_BYTES_MAX_UNDER_PRESSURE
            } else {
                UNSENT_BYTES_MAX
            }
    }

    /// Whether a connection with `unsent` bytes of events is beyond help.
    pub(crate) fn is_hopeless(&self, unsent: usize) -> bool {
        unsent > UNSENT_BYTES_HARD_MAX
            || (unsent > UNSENT_BYTES_MAX && self.unsent_bytes.load(Ordering::Relaxed) > 2 * UNSENT_BYTES_TOTAL_MAX)
    }

    /// Notes that the incomplete frame of a connection went from `before` to `after` bytes. Returns whether that is
    /// still acceptable.
    pub(crate) fn partial(&self, before: usize, after: usize) -> bool {
        adjust(&self.partial_bytes, before, after);
        after <= PARTIAL_BYTES_MIN || self.partial_bytes.load(Ordering::Relaxed) <= PARTIAL_BYTES_TOTAL_MAX
    }
}

fn adjust(total: &AtomicUsize, before: usize, after: usize) {
    if after > before {
        total.fetch_add(after - before, Ordering::Relaxed);
    } else if before > after {
        total.fetch_sub(before - after, Ordering::Relaxed);
    }
}
