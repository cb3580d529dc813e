//! A client that writes without pause below a root of its own, and knows what every request must answer.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::interop::client::{self, Answer, Mode, Op, Reply, Session, Stat, Ticket, code};
use crate::random::Random;

use super::model::{Model, Node, Outcome};

/// Where all workers create numbered nodes, one for each of their shared writes.
pub(super) const LOG: &str = "/shared/log";
/// The node whose version counts all shared writes.
pub(super) const COUNTER: &str = "/shared/counter";
/// Requested session timeout; far above the length of a round, so that only a lost session is gone after it.
const TIMEOUT_MS: i32 = 30_000;
/// Names of each kind below one root; more would only make reading back slower.
const NAMES: u64 = 10;
/// Numbered children are deleted down to this many.
const NUMBERED_MAX: usize = 12;
/// A worker stops here even when nobody kills the server.
const WRITES_MAX: u64 = 5_000;

/// A request and what it must do.
#[derive(Clone, Debug)]
pub(super) struct Write {
    /// What is sent.
    op: Op,
    /// The part of it below the worker's root.
    own: Op,
    /// The mark in all data that it writes.
    id: String,
    /// Whether it also writes the shared nodes.
    pub(super) is_shared: bool,
    expected: Outcome,
    /// The highest zxid that any client had seen when this was sent: its own must be higher.
    floor: i64,
}

impl Write {
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// A shared write that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct SharedAck {
    pub(super) id: String,
    /// The numbered node.
    pub(super) name: String,
    /// Version of the counter after it.
    pub(super) version: i32,
    pub(super) zxid: i64,
}

/// What a worker did and knows, across all lives of the server.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) root: String,
    /// What is acknowledged.
    pub(super) state: Model,
    /// What was sent and not answered, in order.
    pub(super) unanswered: VecDeque<Write>,
    pub(super) shared_acks: Vec<SharedAck>,
    /// Marks of all shared writes that were done, acknowledged or found.
    pub(super) shared_done: Vec<String>,
    pub(super) acknowledged: u64,
    ticket: Option<Ticket>,
    zxid_seen: i64,
    last_own_zxid: i64,
    count: u64,
    value_bytes_max: u64,
    random: Random,
}

/// Why a worker stopped that should not have: a sentence for the report.
pub(super) type Complaint = String;

impl Worker {
    pub(super) fn new(index: u64, value_bytes_max: u64, random: Random) -> Self {
        Self {
            root: format!("/w{index}"),
            state: Model::default(),
            unanswered: VecDeque::new(),
            shared_acks: Vec::new(),
            shared_done: Vec::new(),
            acknowledged: 0,
            ticket: None,
            zxid_seen: 0,
            last_own_zxid: 0,
            count: 0,
            value_bytes_max,
            random,
        }
    }

    /// Takes the root as another client has just made it.
    pub(super) fn begin(&mut self, stat: &Stat) {
        let root = Node {
            data: Arc::from(&b""[..]),
            version: 0,
            created: 0,
            children: 0,
            owner: 0,
            czxid: Some(stat.czxid),
            mzxid: Some(stat.mzxid),
        };
        self.state.nodes.insert(self.root.clone(), root);
    }

    /// Opens the session, or comes back to it: the server must not have forgotten it.
    pub(super) fn connect(&mut self, address: SocketAddr) -> Result<Session, Complaint> {
        let session = match self.ticket {
            None => Session::open(address, TIMEOUT_MS).map(Some),
            Some(ticket) => Session::renew(address, ticket, self.zxid_seen),
        };
        match session {
            Ok(Some(session)) => {
                self.ticket = Some(session.ticket());
                Ok(session)
            }
            Ok(None) => Err(format!("{}: its session was forgotten", self.root)),
            Err(error) => Err(format!(
                "{}: cannot come back having seen {:#x}: {error}",
                self.root, self.zxid_seen
            )),
        }
    }

    /// Writes until the connection breaks. What is left in `unanswered` may or may not have been done.
    ///
    /// `newest` is the highest zxid that any client has seen.
    pub(super) fn run(&mut self, mut session: Session, newest: &AtomicI64) -> Result<(), Complaint> {
        let window = usize::try_from(1 + self.random.below(32)).unwrap_or(1);
        let mut sent = self.state.clone();
        let mut left = WRITES_MAX;
        loop {
            while self.unanswered.len() < window && left > 0 {
                let write = self.next_write(&mut sent, newest.load(Ordering::Acquire));
                session.queue(&write.op);
                self.unanswered.push_back(write);
                left -= 1;
            }
            // What cannot be sent any more stays unanswered; answers may still have arrived before.
            if session.flush().is_err() {
                left = 0;
            }
            let Some(write) = self.unanswered.front() else {
                return Ok(());
            };
            let reply = match session.receive() {
                Ok(reply) => reply,
                Err(error) => return self.broken(&error),
            };
            newest.fetch_max(reply.zxid, Ordering::AcqRel);
            let answer = match write.op.answer(&reply) {
                Ok(answer) => answer,
                Err(error) => return self.broken(&error),
            };
            if let Some(write) = self.unanswered.pop_front() {
                self.answered(&write, &reply, &answer)?;
            }
        }
    }

    /// A connection that goes away is what this is about; one that hangs or says nonsense is not.
    fn broken(&self, error: &io::Error) -> Result<(), Complaint> {
        if client::is_hang(error) || client::is_nonsense(error) {
            return Err(format!("{}: {error}", self.root));
        }
        Ok(())
    }

    /// Compares an answer with what it must be, and takes it into the state.
    fn answered(&mut self, write: &Write, reply: &Reply, answer: &Answer) -> Result<(), Complaint> {
        let complain = |what: String| Err(format!("{}: {what} in answer to {:?}: {reply:?}", self.root, write.own));
        if reply.zxid < self.zxid_seen {
            return complain(format!("zxid back from {:#x}", self.zxid_seen));
        }
        let found = codes(reply, answer);
        if found.0 != write.expected.err || found.1 != expected_elements(write) {
            return complain(format!("{found:?} in place of {:?}", write.expected));
        }
        let (created, own_zxid) = effects(answer);
        if write.expected.is_success() && !write.is_shared && created != write.expected.created {
            return complain(format!("created {created:?} in place of {:?}", write.expected.created));
        }
        if let Some(zxid) = own_zxid {
            if zxid <= write.floor || zxid <= self.last_own_zxid || zxid > reply.zxid {
                return complain(format!(
                    "zxid {zxid:#x} though {:#x} was seen before it was sent",
                    write.floor
                ));
            }
            self.last_own_zxid = zxid;
        }
        self.zxid_seen = reply.zxid;
        let session = self.ticket.map_or(0, |ticket| ticket.id);
        self.state.apply(&write.own, session, own_zxid);
        self.acknowledged += 1;
        if write.is_shared {
            self.shared_answered(write, answer)?;
        }
        Ok(())
    }

    fn shared_answered(&mut self, write: &Write, answer: &Answer) -> Result<(), Complaint> {
        let Answer::Multi(results) = answer else {
            return Err(format!("{}: no results of a multi: {answer:?}", self.root));
        };
        let [
            Ok(Answer::Stat(_)),
            Ok(Answer::Created { path, .. }),
            Ok(Answer::Stat(counter)),
        ] = &results[..]
        else {
            return Err(format!("{}: other results than asked for: {results:?}", self.root));
        };
        self.shared_acks.push(SharedAck {
            id: write.id.clone(),
            name: path.clone(),
            version: counter.version,
            zxid: counter.mzxid,
        });
        self.shared_done.push(write.id.clone());
        Ok(())
    }

    /// The transaction of the last acknowledged write whose answer told it, or 0.
    pub(super) fn last_own_zxid(&self) -> i64 {
        self.last_own_zxid
    }

    /// Does an unanswered write on `state`, as the server may have done.
    pub(super) fn redo(&self, state: &mut Model, write: &Write) {
        let session = self.ticket.map_or(0, |ticket| ticket.id);
        state.apply(&write.own, session, None);
    }

    fn next_write(&mut self, sent: &mut Model, floor: i64) -> Write {
        self.count += 1;
        let id = format!("{}-{}", self.root, self.count);
        let is_shared = self.random.once_in(12);
        let (op, own) = if is_shared {
            let own = Op::set(self.root.clone(), self.value(&id), -1);
            let numbered = Op::create_as(format!("{LOG}/x-"), self.value(&id), Mode::Sequential);
            let counter = Op::set(COUNTER, self.value(&id), -1);
            (Op::Multi(vec![own.clone(), numbered, counter]), own)
        } else {
            let op = self.own_write(sent, &id);
            (op.clone(), op)
        };
        let session = self.ticket.map_or(0, |ticket| ticket.id);
        let expected = sent.apply(&own, session, None);
        Write {
            op,
            own,
            id,
            is_shared,
            expected,
            floor,
        }
    }

    fn own_write(&mut self, sent: &Model, id: &str) -> Op {
        if self.random.once_in(6) {
            let mut copy = sent.clone();
            let elements = 2 + self.random.below(4);
            let ops = (0..elements).map(|_| {
                // Each element follows the ones before it, so that most multis succeed.
                let op = if self.random.once_in(5) {
                    let path = self.some_path(&copy);
                    let version = self.some_version(&copy, &path);
                    Op::Check { path, version }
                } else {
                    self.single_write(&copy, id)
                };
                copy.apply(&op, 1, None);
                op
            });
            return Op::Multi(ops.collect());
        }
        self.single_write(sent, id)
    }

    fn single_write(&mut self, sent: &Model, id: &str) -> Op {
        let numbered = format!("{}/s-", self.root);
        let oldest_numbered = sent.nodes.range(numbered.clone()..).next();
        let many = sent.nodes.keys().filter(|path| path.starts_with(&numbered)).count() > NUMBERED_MAX;
        if let Some((path, _)) = oldest_numbered.filter(|_| many) {
            return Op::delete(path, -1);
        }
        let value = self.value(id);
        let root = self.root.clone();
        let number = self.random.below(NAMES);
        match self.random.below(10) {
            0 => Op::set(root, value, -1),
            1 | 2 => Op::create(format!("{root}/n{number}"), value),
            3 => {
                let below = self.random.below(3);
                Op::create(format!("{root}/n{number}/m{below}"), value)
            }
            4 => Op::create_as(format!("{root}/e{number}"), value, Mode::Ephemeral),
            5 => {
                let mode = *self.random.pick(&[Mode::Sequential, Mode::EphemeralSequential]);
                Op::create_as(numbered, value, mode)
            }
            6 | 7 => {
                let path = self.some_path(sent);
                let version = self.some_version(sent, &path);
                if path == root {
                    Op::set(path, value, version)
                } else {
                    Op::delete(path, version)
                }
            }
            _ => {
                let path = self.some_path(sent);
                let version = self.some_version(sent, &path);
                Op::set(path, value, version)
            }
        }
    }

    /// Mostly a node that is there.
    fn some_path(&mut self, sent: &Model) -> String {
        if self.random.once_in(10) {
            return format!("{}/none", self.root);
        }
        let paths: Vec<&String> = sent.nodes.keys().collect();
        (*self.random.pick(&paths)).clone()
    }

    /// Mostly one that fits.
    fn some_version(&mut self, sent: &Model, path: &str) -> i32 {
        let version = sent.nodes.get(path).map_or(0, |node| node.version);
        match self.random.below(8) {
            0 => version + 1,
            1 | 2 => -1,
            _ => version,
        }
    }

    /// The mark, a space, and filling.
    fn value(&mut self, id: &str) -> Vec<u8> {
        let filling = usize::try_from(self.random.below(self.value_bytes_max)).unwrap_or(0);
        let mut value = format!("{id} ").into_bytes();
        value.resize(value.len() + filling, b'.');
        value
    }
}

/// The error code of a write, and those of the elements of a multi.
fn codes(reply: &Reply, answer: &Answer) -> (i32, Vec<i32>) {
    let Answer::Multi(results) = answer else {
        return (reply.err, Vec::new());
    };
    let elements = results
        .iter()
        .map(|result| result.as_ref().err().copied().unwrap_or(code::OK));
    (answer.multi_failure().unwrap_or(reply.err), elements.collect())
}

/// The shared part of a multi always succeeds.
fn expected_elements(write: &Write) -> Vec<i32> {
    if write.is_shared {
        vec![code::OK; 3]
    } else {
        write.expected.elements.clone()
    }
}

/// The paths that were created, and the transaction, where the answer tells.
fn effects(answer: &Answer) -> (Vec<String>, Option<i64>) {
    match answer {
        Answer::Created { path, stat } => (vec![path.clone()], stat.map(|stat| stat.czxid)),
        Answer::Stat(stat) => (Vec::new(), Some(stat.mzxid)),
        Answer::Multi(results) => {
            let mut all = (Vec::new(), None);
            for (paths, zxid) in results.iter().flatten().map(effects) {
                all.0.extend(paths);
                all.1 = all.1.or(zxid);
            }
            all
        }
        Answer::Nothing | Answer::Data(..) | Answer::Children(..) | Answer::Acl(..) => (Vec::new(), None),
    }
}
