//! The election port.

use super::*;

impl World {
    pub(super) fn index_of(&self, sid: Sid) -> Option<usize> {
        self.servers.iter().position(|server| server.sid == sid)
    }

    pub(super) fn delay(&mut self) -> u64 {
        if self.random.once_in(50) && !self.is_healed {
            self.random.between(50, 800)
        } else {
            self.random.between(1, 8)
        }
    }

    pub(super) fn send_notification(&mut self, from: usize, to: Sid, notification: Notification) {
        let Some(to) = self.index_of(to) else { return };
        self.links.entry((from, to)).or_insert((None, false)).0 = Some(notification);
        let delay = self.delay();
        let notify = Event::Notify { from, to, notification };
        self.at(delay, notify);
    }

    pub(super) fn notify(&mut self, from: usize, to: usize, notification: Notification) -> Outcome<()> {
        let sid = self.servers[from].sid;
        if self.blocked.contains(&(from, to)) {
            for pair in [(from, to), (to, from)] {
                self.links.entry(pair).or_insert((None, false)).1 = false;
            }
            return Ok(());
        }
        if self.servers[to].process.is_none() {
            let sid = self.servers[to].sid;
            let delay = self.random.between(1, 5);
            self.at(delay, Event::Unreachable { at: from, sid });
            return Ok(());
        }
        // A connection that is made anew repeats what was said last, in both directions.
        for pair in [(from, to), (to, from)] {
            let (last, is_connected) = self.links.entry(pair).or_insert((None, false));
            if !std::mem::replace(is_connected, true)
                && let Some(notification) = *last
                && pair == (to, from)
                && self.servers[to].process.is_some()
            {
                let delay = self.random.between(1, 8);
                let notify = Event::Notify {
                    from: to,
                    to: from,
                    notification,
                };
                self.at(delay, notify);
            }
        }
        let generation = self.servers[to].generation;
        self.act(to, generation, |peer, now, out| {
            peer.notified(sid, &notification, now, out);
        })
    }
}
