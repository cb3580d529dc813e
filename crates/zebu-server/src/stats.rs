//! Counters that the administrative words show.

use std::sync::atomic::{AtomicU64, Ordering};

use zebu_node::Answered;
use zebu_proto::Millis;

/// Counters of the whole server.
#[derive(Default)]
pub(crate) struct ServerStats {
    received: AtomicU64,
    sent: AtomicU64,
    latency: Latency,
}

/// Latency in milliseconds: smallest, largest, sum and number.
#[derive(Default)]
pub(crate) struct Latency {
    min: AtomicU64,
    max: AtomicU64,
    total: AtomicU64,
    count: AtomicU64,
}

/// A reading of [`Latency`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LatencyReading {
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) total: u64,
    pub(crate) count: u64,
}

impl LatencyReading {
    pub(crate) fn average(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "an average for people")]
        if self.count == 0 {
            0.0
        } else {
            self.total as f64 / self.count as f64
        }
    }

    /// One latency of `count` requests.
    pub(crate) fn add(&mut self, latency_ms: u64, count: u64) {
        self.min = if self.count == 0 {
            latency_ms
        } else {
            self.min.min(latency_ms)
        };
        self.max = self.max.max(latency_ms);
        self.total += latency_ms * count;
        self.count += count;
    }
}

impl Latency {
    fn add(&self, reading: &LatencyReading) {
        if reading.count == 0 {
            return;
        }
        if self.count.fetch_add(reading.count, Ordering::Relaxed) == 0 {
            self.min.store(reading.min, Ordering::Relaxed);
        } else {
            self.min.fetch_min(reading.min, Ordering::Relaxed);
        }
        self.max.fetch_max(reading.max, Ordering::Relaxed);
        self.total.fetch_add(reading.total, Ordering::Relaxed);
    }

    fn read(&self) -> LatencyReading {
        LatencyReading {
            min: self.min.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            count: self.count.load(Ordering::Relaxed),
        }
    }

    fn reset(&self) {
        for counter in [&self.min, &self.max, &self.total, &self.count] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

impl ServerStats {
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn latency(&self) -> LatencyReading {
        self.latency.read()
    }

    pub(crate) fn add_received(&self, packets: u64) {
        self.received.fetch_add(packets, Ordering::Relaxed);
    }

    pub(crate) fn add_answers(&self, packets: u64, latency: &LatencyReading) {
        self.sent.fetch_add(packets, Ordering::Relaxed);
        self.latency.add(latency);
    }

    /// For the word `srst`.
    pub(crate) fn reset(&self) {
        self.received.store(0, Ordering::Relaxed);
        self.sent.store(0, Ordering::Relaxed);
        self.latency.reset();
    }
}

/// Counters of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnStats {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) latency: LatencyReading,
    pub(crate) last_latency_ms: u64,
    /// Number of the last operation answered, as the client sent it.
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
            latency: LatencyReading {
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

    /// Notes the answer to a request.
    pub(crate) fn answered(&mut self, answered: &Answered, latency_ms: u64, now: Millis) {
        self.sent += 1;
        self.latency.add(latency_ms, 1);
        self.last_latency_ms = latency_ms;
        self.last_op = Some(answered.op);
        if answered.xid.0 >= 0 {
            self.last_cxid = i64::from(answered.xid.0);
        }
        self.last_zxid = answered.zxid.0;
        self.last_response_ms = now.0;
    }
}
