//! Events on their way to the node.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A queue that is emptied as a whole: whatever gathered while the reader was busy is handled together.
///
/// Its length is bounded by the limits on requests in flight: nobody puts anything in without having asked them.
pub(crate) struct NodeQueue<E> {
    events: Mutex<Vec<E>>,
    arrived: Condvar,
}

impl<E> NodeQueue<E> {
    pub(crate) const fn new() -> Self {
        Self {
            events: Mutex::new(Vec::new()),
            arrived: Condvar::new(),
        }
    }

    /// Adds an event and wakes the reader if it sleeps.
    pub(crate) fn push(&self, event: E) {
        let mut events = self.events.lock();
        events.push(event);
        // A reader sleeps only on an empty queue.
        if events.len() == 1 {
            drop(events);
            self.arrived.notify_one();
        }
    }

    /// Whether nothing has arrived.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.lock().is_empty()
    }

    /// Swaps all events into `batch`, which must be empty; waits for one at most for `timeout`.
    pub(crate) fn take(&self, batch: &mut Vec<E>, timeout: Duration) {
        let mut events = self.events.lock();
        if events.is_empty() && !timeout.is_zero() {
            self.arrived.wait_for(&mut events, timeout);
        }
        std::mem::swap(&mut *events, batch);
    }
}
