//! Identifiers and quantities that must not be swapped for one another.

use core::fmt;

/// A transaction id: epoch in the high 32 bits, counter in the low 32 bits; compared as a signed 64-bit number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(pub i64);

impl Zxid {
    /// The zxid before any transaction.
    pub const ZERO: Self = Self(0);

    /// The zxid that starts `epoch`; it never names a transaction.
    #[must_use]
    pub const fn epoch_start(epoch: Epoch) -> Self {
        Self((epoch.0 as i64) << 32)
    }

    /// The epoch (leadership) that this zxid belongs to.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the high half fits")]
    pub const fn epoch(self) -> Epoch {
        Epoch((self.0.cast_unsigned() >> 32) as u32)
    }

    /// The counter inside the epoch.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
    pub const fn counter(self) -> u32 {
        self.0.cast_unsigned() as u32
    }

    /// The zxid that follows. The caller keeps the counter below its end.
    ///
    /// # Panics
    /// When the counter is exhausted: crossing into the next epoch without an election would break the order.
    #[must_use]
    pub const fn next(self) -> Self {
        assert!(self.counter() < u32::MAX, "the zxid counter of this epoch is exhausted");
        Self(self.0 + 1)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// The number of a leadership; never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A server id, as in the file `myid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(pub i64);

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A session id. 0 belongs to no session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl SessionId {
    /// The id of a client that has no session yet, and of transactions made by the server itself.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A client's request number, echoed in the reply and never interpreted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub i32);

impl Xid {
    /// Watch notifications carry this in place of a request's number.
    pub const NOTIFICATION: Self = Self(-1);
    /// Replies to pings carry this, whatever the ping carried.
    pub const PING: Self = Self(-2);
}

/// A point on the server's monotonic clock, milliseconds since an arbitrary start; also a span between two points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// This point or span plus `ms` milliseconds, without wrapping.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this point, 0 if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A wall-clock time, milliseconds since 1970-01-01 UTC: what `ctime` and `mtime` hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMillis(pub i64);
