//! Sessions and their expiry.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use zebu_proto::{Millis, SessionId};

/// What a connection's reader and the node share about a session.
pub struct SessionHandle {
    id: SessionId,
    timeout_ms: AtomicU64,
    touched_ms: AtomicU64,
    is_closing: AtomicBool,
}

impl SessionHandle {
    fn new(id: SessionId, timeout_ms: u64, now: Millis) -> Self {
        Self {
            id,
            timeout_ms: AtomicU64::new(timeout_ms),
            touched_ms: AtomicU64::new(now.0),
            is_closing: AtomicBool::new(false),
        }
    }

    /// The session.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Negotiated timeout in milliseconds.
    #[must_use]
    pub fn timeout_ms(&self) -> u64 {
        self.timeout_ms.load(Ordering::Relaxed)
    }

    /// Notes a sign of life. Returns whether the session still takes requests.
    pub fn touch(&self, now: Millis) -> bool {
        self.touched_ms.fetch_max(now.0, Ordering::Relaxed);
        !self.is_closing.load(Ordering::Relaxed)
    }

    /// When it last showed a sign of life.
    #[must_use]
    pub fn touched(&self) -> Millis {
        Millis(self.touched_ms.load(Ordering::Relaxed))
    }

    /// Whether the session is being closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// When the session expires unless it shows a sign of life, the rounding aside.
    #[must_use]
    pub fn deadline(&self) -> Millis {
        Millis(self.touched_ms.load(Ordering::Relaxed)).plus(self.timeout_ms())
    }
}

/// Sessions in buckets by the time at which they expire: all of a standalone server or of an ensemble, or those that only
/// one server knows.
///
/// Source: `org.apache.zookeeper.server.SessionTrackerImpl`, `ExpiryQueue`.
pub struct SessionTracker {
    tick_ms: u64,
    sessions: BTreeMap<SessionId, Tracked>,
    buckets: BTreeMap<u64, BTreeSet<SessionId>>,
}

struct Tracked {
    handle: Arc<SessionHandle>,
    bucket: u64,
}

impl SessionTracker {
    /// No sessions; buckets of `tick_ms` milliseconds.
    #[must_use]
    pub fn new(tick_ms: u64) -> Self {
        Self {
            tick_ms: tick_ms.max(1),
            sessions: BTreeMap::new(),
            buckets: BTreeMap::new(),
        }
    }

    /// Number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are no sessions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The session's handle, if it is known.
    #[must_use]
    pub fn handle(&self, session: SessionId) -> Option<&Arc<SessionHandle>> {
        self.sessions.get(&session).map(|tracked| &tracked.handle)
    }

    /// Whether the session is known and not being closed.
    #[must_use]
    pub fn is_live(&self, session: SessionId) -> bool {
        self.handle(session).is_some_and(|handle| !handle.is_closing())
    }

    /// Starts to track a session.
    pub fn add(&mut self, session: SessionId, timeout_ms: u64, now: Millis) -> Arc<SessionHandle> {
        let handle = Arc::new(SessionHandle::new(session, timeout_ms, now));
        self.adopt(handle.clone());
        handle
    }

    /// Starts to track a session that another tracker has released.
    pub(crate) fn adopt(&mut self, handle: Arc<SessionHandle>) {
        let bucket = self.bucket(handle.deadline());
        let session = handle.id();
        self.buckets.entry(bucket).or_default().insert(session);
        self.sessions.insert(session, Tracked { handle, bucket });
    }

    /// Stops to track a session, which goes on elsewhere.
    pub(crate) fn release(&mut self, session: SessionId) -> Option<Arc<SessionHandle>> {
        let tracked = self.sessions.remove(&session)?;
        self.leave_bucket(session, tracked.bucket);
        Some(tracked.handle)
    }

    /// Renews a live session with a newly negotiated timeout.
    pub fn renew(&mut self, session: SessionId, timeout_ms: u64, now: Millis) -> Option<Arc<SessionHandle>> {
        let handle = self.handle(session).filter(|handle| !handle.is_closing())?.clone();
        handle.timeout_ms.store(timeout_ms, Ordering::Relaxed);
        handle.touch(now);
        // A shorter timeout may call for an earlier bucket; a later one is found when the earlier comes due.
        self.move_to(session, self.bucket(handle.deadline()));
        Some(handle)
    }

    /// Marks a session as being closed: it takes no more requests and no more signs of life.
    pub fn set_closing(&self, session: SessionId) {
        if let Some(handle) = self.handle(session) {
            handle.is_closing.store(true, Ordering::Relaxed);
        }
    }

    /// Forgets a session.
    pub fn remove(&mut self, session: SessionId) {
        if let Some(handle) = self.release(session) {
            handle.is_closing.store(true, Ordering::Relaxed);
        }
    }

    /// The sessions that expired by `now`. They stay tracked, and are marked as being closed.
    pub fn expire(&mut self, now: Millis) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some(first) = self.buckets.first_entry()
            && *first.key() <= now.0
        {
            for session in first.remove() {
                let Some(tracked) = self.sessions.get(&session) else {
                    continue;
                };
                // Signs of life do not move a session; where it belongs is found when its bucket comes due.
                let bucket = self.bucket(tracked.handle.deadline());
                if bucket > now.0 && !tracked.handle.is_closing() {
                    self.buckets.entry(bucket).or_default().insert(session);
                    if let Some(tracked) = self.sessions.get_mut(&session) {
                        tracked.bucket = bucket;
                    }
                } else if !tracked.handle.is_closing() {
                    tracked.handle.is_closing.store(true, Ordering::Relaxed);
                    expired.push(session);
                }
            }
        }
        expired
    }

    /// Some sessions by their ids: at most `count`, those after `after`. For those who must not hold up the node for as
    /// long as all of them take.
    pub fn page(&self, after: Option<SessionId>, count: usize) -> impl Iterator<Item = &Arc<SessionHandle>> + '_ {
        self.sessions
            .range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
            .take(count)
            .map(|(_, tracked)| &tracked.handle)
    }

    fn bucket(&self, deadline: Millis) -> u64 {
        bucket_end(deadline, self.tick_ms).0
    }

    fn move_to(&mut self, session: SessionId, bucket: u64) {
        let Some(tracked) = self.sessions.get_mut(&session) else {
            return;
        };
        let old = core::mem::replace(&mut tracked.bucket, bucket);
        self.leave_bucket(session, old);
        self.buckets.entry(bucket).or_default().insert(session);
    }

    fn leave_bucket(&mut self, session: SessionId, bucket: u64) {
        if let Some(sessions) = self.buckets.get_mut(&bucket) {
            sessions.remove(&session);
            if sessions.is_empty() {
                self.buckets.remove(&bucket);
            }
        }
    }
}

/// The end of the bucket that a deadline falls into: deadlines are looked at every `interval_ms`.
#[must_use]
pub const fn bucket_end(deadline: Millis, interval_ms: u64) -> Millis {
    Millis((deadline.0 / interval_ms + 1).saturating_mul(interval_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    #[test]
    fn a_silent_session_lives_between_its_timeout_and_a_tick_more() {
        let mut tracker = SessionTracker::new(2000);
        tracker.add(A, 4000, Millis(1000));
        assert_eq!(tracker.expire(Millis(5000)), []);
        assert_eq!(tracker.expire(Millis(5999)), []);
        assert_eq!(tracker.expire(Millis(6000)), [A]);
        assert_eq!(tracker.expire(Millis(60_000)), [], "once");
        assert!(!tracker.is_live(A));
    }

    #[test]
    fn a_sign_of_life_moves_the_end() {
        let mut tracker = SessionTracker::new(2000);
        let handle = tracker.add(A, 4000, Millis(0));
        tracker.add(B, 4000, Millis(0));
        assert!(handle.touch(Millis(3000)));
        assert_eq!(tracker.expire(Millis(6000)), [B]);
        assert_eq!(tracker.expire(Millis(8000)), [A]);
        assert!(!handle.touch(Millis(8001)));
    }

    #[test]
    fn a_renewal_may_shorten_the_timeout() {
        let mut tracker = SessionTracker::new(1000);
        tracker.add(A, 40_000, Millis(0));
        assert!(tracker.renew(A, 2000, Millis(0)).is_some());
        assert_eq!(tracker.expire(Millis(3000)), [A]);
        assert!(tracker.renew(A, 2000, Millis(3000)).is_none(), "it is being closed");
        assert!(tracker.renew(B, 2000, Millis(3000)).is_none(), "it is unknown");
    }

    #[test]
    fn a_removed_session_is_gone_from_its_bucket() {
        let mut tracker = SessionTracker::new(1000);
        tracker.add(A, 4000, Millis(0));
        tracker.remove(A);
        assert!(tracker.is_empty());
        assert_eq!(tracker.expire(Millis(100_000)), []);
        assert!(tracker.buckets.is_empty());
    }

    #[test]
    fn pages_hold_all_sessions_in_order() {
        let mut tracker = SessionTracker::new(1000);
        let all: Vec<SessionId> = (-2..3).map(SessionId).collect();
        for session in &all {
            tracker.add(*session, 4000, Millis(0));
        }
        let page = |after, count| -> Vec<SessionId> { tracker.page(after, count).map(|handle| handle.id()).collect() };
        assert_eq!(page(None, 2), all[..2]);
        assert_eq!(page(Some(all[1]), 2), all[2..4]);
        assert_eq!(page(Some(all[3]), 2), all[4..]);
        assert_eq!(page(Some(all[4]), 2), []);
    }
}
