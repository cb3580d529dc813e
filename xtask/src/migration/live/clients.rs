//! Those who must notice nothing but a lost connection: some who write without pause, some who watch.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::interop::client::{Answer, Event, Mode, Op, Reply, code, is_nonsense};
use crate::migration::roaming::Roaming;

/// As many clients are configured.
const SESSION_MS: i32 = 10_000;
/// Between two writes of one client.
const THINK: Duration = Duration::from_millis(5);
/// Every so many writes a child is made, and the one before goes.
const CHILD_EVERY: u64 = 8;
/// Above all that these clients write.
pub(super) const ROOT: &str = "/live";
/// Below this stand children that come and go.
const CHILDREN: &str = "/live/children";
/// What is set between two steps, to see that watchers see it.
pub(super) const MARKER: &str = "/live/marker";

/// What all clients of a run share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Client ports.
    pub(super) servers: Vec<SocketAddr>,
    /// Writes that were acknowledged.
    pub(super) progress: AtomicU64,
    /// Set when writers shall end.
    pub(super) stop: AtomicBool,
}

/// The node that a writer has for itself.
pub(super) fn register(number: usize) -> String {
    format!("{ROOT}/register-{number}")
}

fn ephemeral(number: usize) -> String {
    format!("{ROOT}/ephemeral-{number}")
}

/// Makes the nodes that all others need.
///
/// # Errors
/// When a node cannot be made.
pub(super) fn prepare(shared: &Shared, writers: usize) -> Result<()> {
    let mut session = Roaming::new(&shared.servers, 0, SESSION_MS);
    let mut paths: Vec<String> = [ROOT, CHILDREN, MARKER].map(str::to_owned).into();
    paths.extend((0..writers).map(register));
    for path in paths {
        let (reply, _) = session.ask(&Op::create(&path, "0"))?;
        ensure!(reply.err == code::OK, "{path} cannot be made: {reply:?}");
    }
    session.ask(&Op::Close)?;
    Ok(())
}

/// One that writes rising numbers to its own node, one after the other.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    shared: &'a Shared,
    number: usize,
    session: Roaming,
    value: u64,
    acknowledged: Vec<Instant>,
    child: Option<String>,
}

/// What a writer was told.
#[derive(Debug)]
pub(super) struct Written {
    /// Its node.
    pub(super) register: String,
    /// The last number that was acknowledged.
    pub(super) value: u64,
    /// When each write was acknowledged.
    pub(super) acknowledged: Vec<Instant>,
    /// When connections were lost.
    pub(super) lost: Vec<Instant>,
}

impl<'a> Writer<'a> {
    /// A writer that begins at the server with this index.
    ///
    /// # Errors
    /// When its ephemeral node cannot be made.
    pub(super) fn new(shared: &'a Shared, number: usize) -> Result<Self> {
        let mut session = Roaming::new(&shared.servers, number, SESSION_MS);
        let create = Op::create_as(ephemeral(number), "", Mode::Ephemeral);
        let (reply, _) = session.ask(&create)?;
        ensure!(reply.err == code::OK, "no ephemeral node: {reply:?}");
        Ok(Self {
            shared,
            number,
            session,
            value: 0,
            acknowledged: Vec::new(),
            child: None,
        })
    }

    /// Writes until it shall end; its session must have lived all the time.
    ///
    /// # Errors
    /// When the session was lost, or a write was refused.
    pub(super) fn run(mut self) -> Result<Written> {
        let path = register(self.number);
        while !self.shared.stop.load(Ordering::Acquire) {
            self.value += 1;
            let value = self.value.to_string();
            self.write(&Op::set(&path, value.as_str(), -1), &path, Some(value.as_bytes()))?;
            if self.value.is_multiple_of(CHILD_EVERY) {
                self.change_child()?;
            }
            thread::sleep(THINK);
        }
        let session = self.session.ticket().context("there was no session")?.id;
        let (reply, answer) = self.session.ask_fresh(&Op::Get(ephemeral(self.number)))?;
        match answer {
            Answer::Data(_, stat) if stat.ephemeral_owner == session => {}
            _ => bail!("the ephemeral node of session {session:#x} is gone: {reply:?}"),
        }
        Ok(Written {
            register: path,
            value: self.value,
            acknowledged: self.acknowledged,
            lost: self.session.lost().to_vec(),
        })
    }

    fn change_child(&mut self) -> Result<()> {
        let child = format!("{CHILDREN}/{}-{}", self.number, self.value);
        self.write(&Op::create(&child, ""), &child, Some(b""))?;
        if let Some(old) = self.child.replace(child) {
            self.write(&Op::delete(&old, -1), &old, None)?;
        }
        Ok(())
    }

    /// Writes exactly once: where an answer is lost, it looks what the node holds (`None`: it is not there).
    fn write(&mut self, op: &Op, path: &str, wanted: Option<&[u8]>) -> Result<()> {
        loop {
            match self.session.call(op)? {
                Some((reply, _)) => ensure!(reply.err == code::OK, "{op:?} is refused with {}", reply.err),
                None => {
                    let (_, answer) = self.session.ask_fresh(&Op::Get(path.to_owned()))?;
                    let found = match &answer {
                        Answer::Data(data, _) => data.as_deref(),
                        _ => None,
                    };
                    if found != wanted {
                        continue;
                    }
                }
            }
            self.acknowledged.push(Instant::now());
            self.shared.progress.fetch_add(1, Ordering::AcqRel);
            return Ok(());
        }
    }
}

/// One that never looks twice at a node without having been told that it changed: an event that is missing stops it.
#[derive(Debug)]
pub(super) struct Watcher<'a> {
    shared: &'a Watched,
    session: Roaming,
    data: Vec<String>,
    /// Watches that stand on the present connection or are to be set again on the next.
    armed: BTreeSet<String>,
    /// Requests on their way.
    asked: BTreeMap<i32, String>,
    /// Nodes of which an event told that they changed, which the answer must show.
    changed: BTreeSet<String>,
    /// The last change that was seen of a node.
    zxids: BTreeMap<String, i64>,
    values: BTreeMap<String, u64>,
    events: u64,
}

/// What a watcher shares with those who wait for it.
#[derive(Debug)]
pub(super) struct Watched {
    /// Client ports.
    pub(super) servers: Vec<SocketAddr>,
    /// The last marker that it has seen.
    pub(super) marker: AtomicU64,
    /// Set when it shall end.
    pub(super) stop: AtomicBool,
}

/// What a watcher saw.
#[derive(Debug)]
pub(super) struct Seen {
    /// The last number in each node.
    pub(super) values: BTreeMap<String, u64>,
    /// Events that came.
    pub(super) events: u64,
    /// When connections were lost.
    pub(super) lost: Vec<Instant>,
}

impl<'a> Watcher<'a> {
    /// A watcher of the nodes of so many writers, that begins at the server with this index.
    pub(super) fn new(shared: &'a Watched, at: usize, writers: usize) -> Self {
        let mut data: Vec<String> = (0..writers).map(register).collect();
        data.push(MARKER.to_owned());
        Self {
            shared,
            session: Roaming::new(&shared.servers, at, SESSION_MS),
            data,
            armed: BTreeSet::new(),
            asked: BTreeMap::new(),
            changed: BTreeSet::new(),
            zxids: BTreeMap::new(),
            values: BTreeMap::new(),
            events: 0,
        }
    }

    /// Watches until it shall end, which it notices at the next event.
    ///
    /// # Errors
    /// When the session was lost, or an event came that nothing happened for.
    pub(super) fn run(mut self) -> Result<Seen> {
        while !self.shared.stop.load(Ordering::Acquire) {
            if self.session.connect()? {
                self.set_up();
            }
            if self.turn()?.is_none() {
                self.session.lose();
            }
        }
        Ok(Seen {
            values: self.values,
            events: self.events,
            lost: self.session.lost().to_vec(),
        })
    }

    /// On a new connection: the watches of the last one are set again, and what was on its way is asked again.
    fn set_up(&mut self) {
        self.asked.clear();
        // Another server may not have what the last one told of.
        self.changed.clear();
        let zxid = self.session.zxid_seen();
        let (children, data): (Vec<String>, Vec<String>) =
            self.armed.iter().cloned().partition(|path| path == CHILDREN);
        let mut unarmed: Vec<String> = self.data.clone();
        unarmed.push(CHILDREN.to_owned());
        unarmed.retain(|path| !self.armed.contains(path));
        if let Some(connection) = self.session.connection() {
            connection.queue(&Op::SetWatches { zxid, data, children });
        }
        for path in unarmed {
            self.look(path);
        }
    }

    fn look(&mut self, path: String) {
        let op = look(&path);
        if let Some(connection) = self.session.connection() {
            let xid = connection.queue(&op);
            self.asked.insert(xid, path);
        }
    }

    /// One message; `None` when the connection is lost.
    fn turn(&mut self) -> Result<Option<()>> {
        let Some(connection) = self.session.connection() else {
            return Ok(None);
        };
        if connection.flush().is_err() {
            return Ok(None);
        }
        let reply = match connection.receive() {
            Ok(reply) => reply,
            Err(error) if is_nonsense(&error) => return Err(error.into()),
            // Silence too: something changes all the time.
            Err(_) => return Ok(None),
        };
        match Event::of(&reply)? {
            Some(event) => self.event(event)?,
            None => self.answer(&reply)?,
        }
        Ok(Some(()))
    }

    fn event(&mut self, event: Event) -> Result<()> {
        self.events += 1;
        ensure!(
            self.armed.remove(&event.path),
            "an event that was not asked for: {event:?}"
        );
        self.changed.insert(event.path.clone());
        self.look(event.path);
        Ok(())
    }

    fn answer(&mut self, reply: &Reply) -> Result<()> {
        self.session.note(reply);
        // That watches are set again is answered too.
        let Some(path) = self.asked.remove(&reply.xid) else {
            return Ok(());
        };
        let (zxid, value) = match look(&path).answer(reply)? {
            Answer::Data(data, stat) => {
                let text = String::from_utf8(data.unwrap_or_default())?;
                (
                    stat.mzxid,
                    text.parse().with_context(|| format!("{path} holds {text}"))?,
                )
            }
            Answer::Children(_, stat) => (stat.pzxid, 0),
            other => bail!("{path} is answered with {reply:?} {other:?}"),
        };
        let last = self.zxids.insert(path.clone(), zxid).unwrap_or(0);
        ensure!(last <= zxid, "{path} was at {last:#x} and is at {zxid:#x}");
        let changed = self.changed.remove(&path);
        ensure!(
            !changed || last < zxid,
            "an event said that {path} had changed, and it is at {last:#x} still"
        );
        if path == MARKER {
            self.shared.marker.store(value, Ordering::Release);
        }
        self.values.insert(path.clone(), value);
        self.armed.insert(path);
        Ok(())
    }
}

fn look(path: &str) -> Op {
    if path == CHILDREN {
        Op::ChildrenAndWatch(path.to_owned())
    } else {
        Op::GetAndWatch(path.to_owned())
    }
}
