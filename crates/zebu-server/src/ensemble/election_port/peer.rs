//! One peer: its connection, and the attempts to make one.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use zebu_proto::Sid;
use zebu_proto::quorum::{HostPort, Notification};

use super::link::Link;
use super::{ElectionEvent, Inner, PanicGuard, Received, dial};

/// Notifications of a peer that may wait to be handled; then no more is read from it.
pub(super) const UNHANDLED_MAX: usize = 8;
/// Messages in a row that are no notifications, of which the last one ends the connection. Java drops any number: a
/// connection that is made anew brings the same message again.
const MALFORMED_MAX: u32 = 8;
/// Time between two attempts to connect when there is a reason to try at once.
const DIAL_INTERVAL_MIN: Duration = Duration::from_millis(20);
/// After the first failure; it doubles with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// It doubles no further.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long a larger peer that was called may take to call back.
const CALL_BACK_TIMEOUT: Duration = Duration::from_secs(1);
/// A larger peer that closes the connection mostly does so because it is about to make another one. If it were called in
/// that moment, it would close that one as well, and so on.
const CALL_BACK_GRACE: Duration = Duration::from_millis(100);
/// A connection that has lasted so long, or brought something, was worth to be made.
const WORTHWHILE: Duration = Duration::from_secs(1);

/// What a listener found out about a caller.
pub(super) enum Arrival {
    /// It has the larger sid: this is the connection.
    Connection(Box<Link>),
    /// It has the lower sid: it is to be called back, here first. There may be no address.
    CallBack(Vec<HostPort>),
}

/// What a peer's task has not taken yet. Newer things take the place of older ones.
#[derive(Default)]
pub(super) struct Mailbox {
    slots: Mutex<Slots>,
    changed: Notify,
}

#[derive(Default)]
struct Slots {
    frame: Option<Vec<u8>>,
    /// Whether the frame was put here after the latest attempt to connect began.
    is_frame_new: bool,
    arrival: Option<Arrival>,
}

impl Mailbox {
    pub(super) fn put_frame(&self, frame: Vec<u8>) {
        let mut slots = self.slots.lock();
        slots.frame = Some(frame);
        slots.is_frame_new = true;
        drop(slots);
        self.changed.notify_one();
    }

    pub(super) fn put_arrival(&self, arrival: Arrival) {
        self.slots.lock().arrival = Some(arrival);
        self.changed.notify_one();
    }

    /// Lets the task look around: something has changed.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(super) fn has_arrival(&self) -> bool {
        self.slots.lock().arrival.is_some()
    }

    fn take_arrival(&self) -> Option<Arrival> {
        self.slots.lock().arrival.take()
    }

    fn take_frame(&self) -> Option<Vec<u8>> {
        self.slots.lock().frame.take()
    }

    fn has_frame(&self) -> bool {
        self.slots.lock().frame.is_some()
    }

    fn has_new_frame(&self) -> bool {
        let slots = self.slots.lock();
        slots.frame.is_some() && slots.is_frame_new
    }

    /// An attempt to connect begins.
    fn begin_attempt(&self) {
        self.slots.lock().is_frame_new = false;
    }

    /// Drops what asks for a connection that has just been made.
    fn drop_call_back(&self) {
        self.slots
            .lock()
            .arrival
            .take_if(|arrival| matches!(arrival, Arrival::CallBack(_)));
    }

    /// Waits for a connection. It takes nothing else.
    async fn connection(&self) -> Box<Link> {
        loop {
            let taken = self
                .slots
                .lock()
                .arrival
                .take_if(|arrival| matches!(arrival, Arrival::Connection(_)));
            if let Some(Arrival::Connection(link)) = taken {
                return link;
            }
            self.changed.notified().await;
        }
    }
}

/// The task of a peer.
pub(super) struct PeerTask {
    port: Arc<Inner>,
    sid: Sid,
    mailbox: Arc<Mailbox>,
    /// What it was sent last, to be repeated on the next connection.
    last: Option<Vec<u8>>,
    unhandled: Arc<Semaphore>,
    /// What was reported last.
    is_reachable: Option<bool>,
    /// A lower peer waits for a connection, and these are the addresses that it gave.
    call_back: Option<Vec<HostPort>>,
    /// A larger peer was called and has until then to call back.
    is_called_until: Option<Instant>,
    /// A larger peer is not called before.
    is_calling_back_until: Option<Instant>,
    /// When the latest attempt to connect began.
    dialled_at: Option<Instant>,
    /// When the next attempt is due if there is no other reason for one.
    retry_at: Instant,
    /// Attempts, and connections of no use, in a row.
    failures: u32,
}

/// What a peer's task does next.
enum Step {
    /// Wait for a reason to connect.
    Rest,
    /// Connect.
    Dial,
    /// Use this connection.
    Serve(Box<Link>),
    /// Forget the peer.
    End,
}

/// Why a connection is over.
enum Ended {
    /// There is something new to do.
    Arrival(Arrival),
    /// It is broken, or the peer cannot be understood.
    Gone(String),
}

impl PeerTask {
    pub(super) fn new(port: Arc<Inner>, sid: Sid, mailbox: Arc<Mailbox>) -> Self {
        Self {
            port,
            sid,
            mailbox,
            last: None,
            unhandled: Arc::new(Semaphore::new(UNHANDLED_MAX)),
            is_reachable: None,
            call_back: None,
            is_called_until: None,
            is_calling_back_until: None,
            dialled_at: None,
            retry_at: Instant::now(),
            failures: 0,
        }
    }

    /// Runs until the port stops, or the peer is a stranger and gone.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let _guard = PanicGuard(self.port.clone());
        tokio::select! {
            () = self.live() => {}
            _ = stopping.wait_for(|stops| *stops) => {}
        }
    }

    async fn live(&mut self) {
        let mut step = Step::Rest;
        loop {
            step = match step {
                Step::Rest => self.rest().await,
                Step::Dial => self.dial().await,
                Step::Serve(link) => self.serve(link).await,
                Step::End => return,
            };
        }
    }

    fn is_larger(&self) -> bool {
        self.sid > self.port.config.sid
    }

    /// Strangers have no address, and are dialled only if they have called.
    fn is_stranger(&self) -> bool {
        self.port.configured_addresses(self.sid).is_empty()
    }

    async fn rest(&mut self) -> Step {
        loop {
            match self.mailbox.take_arrival() {
                Some(Arrival::Connection(link)) => return Step::Serve(link),
                Some(Arrival::CallBack(addresses)) => self.call_back = Some(addresses),
                None => {}
            }
            if self.is_stranger() && self.call_back.is_none() {
                if self.port.retire(self.sid) {
                    return Step::End;
                }
                continue;
            }
            let dial_at = self.dial_at();
            tokio::select! {
                () = self.mailbox.changed.notified() => {}
                () = tokio::time::sleep_until(dial_at.unwrap_or(self.retry_at)), if dial_at.is_some() => {
                    return Step::Dial;
                }
            }
        }
    }

    /// When the next attempt is due; `None` as long as there is nothing to say.
    fn dial_at(&self) -> Option<Instant> {
        let soonest = self.dialled_at.map_or_else(Instant::now, |at| at + DIAL_INTERVAL_MIN);
        if self.call_back.is_some() {
            Some(soonest)
        } else if self.is_called_until.is_some() {
            self.is_called_until
        } else if self.mailbox.has_new_frame() {
            Some(soonest.min(self.retry_at))
        } else {
            self.has_something_to_say().then_some(self.retry_at)
        }
    }

    fn has_something_to_say(&self) -> bool {
        self.last.is_some() || self.mailbox.has_frame()
    }

    async fn dial(&mut self) -> Step {
        if self.is_called_until.take().is_some() {
            let message = format!("it was called, and did not call back within {CALL_BACK_TIMEOUT:?}");
            self.fail(&message);
        }
        self.mailbox.begin_attempt();
        self.dialled_at = Some(Instant::now());
        let timeout = self.port.connect_timeout();
        let connecting = dial::connect(self.addresses(), self.port.socket_options(), timeout);
        let connected = tokio::select! {
            biased;
            link = self.mailbox.connection() => return Step::Serve(link),
            connected = connecting => connected,
        };
        let greeted = match connected {
            Ok(socket) => {
                // Nobody listens where nobody is: that it could be connected to says that a call makes sense.
                if let Some(until) = self.is_calling_back_until.take() {
                    tokio::select! {
                        biased;
                        link = self.mailbox.connection() => return Step::Serve(link),
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
                let initial_message = self.port.initial_message.lock().clone();
                tokio::time::timeout(timeout, greet(socket, &initial_message))
                    .await
                    .unwrap_or_else(|_| Err("it does not take the initial message".to_owned()))
            }
            Err(error) => Err(error),
        };
        match greeted {
            Ok(link) if self.is_larger() => {
                drop(link);
                self.is_called_until = Some(Instant::now() + CALL_BACK_TIMEOUT);
                Step::Rest
            }
            Ok(link) => {
                self.mailbox.drop_call_back();
                Step::Serve(link)
            }
            Err(error) => {
                self.fail(&error);
                self.retry_at = Instant::now() + backoff(self.failures);
                Step::Rest
            }
        }
    }

    /// Where to try: what a peer said itself is newer than the configuration.
    fn addresses(&mut self) -> Vec<HostPort> {
        let mut addresses = self.call_back.take().unwrap_or_default();
        let said = addresses.len();
        for address in self.port.configured_addresses(self.sid) {
            if !addresses.get(..said).is_some_and(|said| said.contains(&address)) {
                addresses.push(address);
            }
        }
        addresses
    }

    fn fail(&mut self, error: &str) {
        self.failures = self.failures.saturating_add(1);
        if self.is_reachable == Some(false) {
            tracing::debug!(sid = %self.sid, error, "a server cannot be reached on its election port");
        } else {
            tracing::warn!(sid = %self.sid, error, "a server cannot be reached on its election port");
        }
        self.report(false);
    }

    fn report(&mut self, is_reachable: bool) {
        if self.is_reachable != Some(is_reachable) {
            self.is_reachable = Some(is_reachable);
            self.port.emit(if is_reachable {
                ElectionEvent::Reachable(self.sid)
            } else {
                ElectionEvent::Unreachable(self.sid)
            });
        }
    }

    async fn serve(&mut self, mut link: Box<Link>) -> Step {
        self.is_called_until = None;
        self.is_calling_back_until = None;
        tracing::info!(sid = %self.sid, peer = %link.address, "a server is connected on the election port");
        self.report(true);
        if !self.mailbox.has_frame()
            && let Some(last) = &self.last
        {
            link.begin(last.clone());
        }
        let since = Instant::now();
        let mut is_worthwhile = false;
        let ended = self.exchange(&mut link, &mut is_worthwhile).await;
        let address = link.address;
        drop(link);
        let reason = match ended {
            Ended::Arrival(Arrival::Connection(link)) => return Step::Serve(link),
            Ended::Arrival(Arrival::CallBack(addresses)) => {
                self.call_back = Some(addresses);
                return Step::Rest;
            }
            Ended::Gone(reason) => reason,
        };
        tracing::warn!(sid = %self.sid, peer = %address, reason, "a connection on the election port is over");
        let now = Instant::now();
        if is_worthwhile || now - since >= WORTHWHILE {
            self.failures = 0;
            self.retry_at = now;
        } else {
            self.failures = self.failures.saturating_add(1);
            self.retry_at = now + backoff(self.failures);
        }
        if self.is_larger() {
            self.is_calling_back_until = Some(now + CALL_BACK_GRACE);
        }
        // Who accepts and closes again and again cannot be talked to either.
        if self.is_stranger() || !self.has_something_to_say() || self.failures > 1 {
            self.report(false);
        }
        Step::Rest
    }

    /// Sends and receives until the connection is over.
    async fn exchange(&mut self, link: &mut Link, is_worthwhile: &mut bool) -> Ended {
        let mut malformed = 0;
        loop {
            if let Some(arrival) = self.mailbox.take_arrival() {
                return Ended::Arrival(arrival);
            }
            if !link.is_sending()
                && let Some(frame) = self.mailbox.take_frame()
            {
                self.last = Some(frame.clone());
                link.begin(frame);
            }
            let has_room = match self.take_notifications(link, &mut malformed, is_worthwhile) {
                Ok(has_room) => has_room,
                Err(reason) => return Ended::Gone(reason),
            };
            let moved = tokio::select! {
                readable = link.readable(), if has_room => readable.and_then(|()| link.receive()),
                writable = link.writable(), if link.is_sending() => writable.and_then(|()| link.flush()),
                () = self.mailbox.changed.notified() => Ok(()),
                _room = self.unhandled.acquire(), if !has_room => Ok(()),
            };
            match moved {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ended::Gone("closed by the other server".to_owned());
                }
                Err(error) => return Ended::Gone(error.to_string()),
            }
        }
    }

    /// Passes on what has arrived, as far as there is room. Returns whether there is room for more.
    fn take_notifications(
        &self,
        link: &mut Link,
        malformed: &mut u32,
        is_worthwhile: &mut bool,
    ) -> Result<bool, String> {
        while let Ok(room) = self.unhandled.clone().try_acquire_owned() {
            let decode = |payload: &[u8]| decode(payload, room);
            match link.take_frame(decode).map_err(|error| error.to_string())? {
                None => return Ok(true),
                Some(Ok(notification)) => {
                    *malformed = 0;
                    *is_worthwhile = true;
                    let from = self.sid;
                    self.port.emit(ElectionEvent::Notified { from, notification });
                }
                Some(Err(error)) => {
                    *malformed += 1;
                    if *malformed >= MALFORMED_MAX {
                        return Err(format!("{malformed} messages in a row are no notifications: {error}"));
                    }
                    tracing::warn!(sid = %self.sid, peer = %link.address, error, "a notification was dropped");
                }
            }
        }
        Ok(false)
    }
}

/// How long to wait after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    BACKOFF_MAX.min(BACKOFF_MIN * (1 << doublings))
}

fn decode(payload: &[u8], room: OwnedSemaphorePermit) -> Result<Received, String> {
    match Notification::decode(payload) {
        Ok(notification) => Ok(Received::new(&notification, room)),
        Err(error) => Err(error.to_string()),
    }
}

/// Introduces this server. The message leaves in one write, see [`zebu_proto::quorum::InitialMessage`].
async fn greet(mut socket: TcpStream, initial_message: &[u8]) -> Result<Box<Link>, String> {
    let address = socket.peer_addr().map_err(|error| error.to_string())?;
    let written = socket.write_all(initial_message).await;
    written.map_err(|error| format!("{address}: {error}"))?;
    Ok(Box::new(Link::new(socket, address, Vec::new())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_up_to_one_in_a_second() {
        let waits: Vec<_> = (1..=7).map(|failures| backoff(failures).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }
}
