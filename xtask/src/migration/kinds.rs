//! A client that makes use of everything, and knows to the last byte what must be left of it.
//!
//! It alone writes below its root, one request after the other, so what a request met is never in doubt: where an answer
//! is lost, the client comes back to its session on another server, lets that catch up, and looks.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::roaming::Roaming;
use crate::chaos::tree::Tree;
use crate::interop::client::{Acl, Answer, Mode, Op, Reply, Session, Ticket, code};

/// Sessions outlive every election; the servers are told to allow it.
const SESSION_MS: i32 = 60_000;
/// A session that nobody closed is over soon.
const OTHER_SESSION_MS: i32 = 4_000;
/// A server that does not answer for so long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two requests, so that the load is the same on any machine.
const THINK: Duration = Duration::from_millis(4);
/// A TTL that is over soon, and one that is not.
const BRIEF_MS: i64 = 500;
const LONG_MS: i64 = 3_600_000;
/// A user with a password, as it stands in ACLs.
const BOB: &str = "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=";
/// Above the roots of all clients.
const ALL: &str = "/all";

/// What all clients of a run share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Client ports.
    pub(super) servers: Vec<SocketAddr>,
    /// Requests that were answered.
    pub(super) progress: AtomicU64,
    /// Set when clients shall end.
    pub(super) stop: AtomicBool,
}

/// A node that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    data: Option<Vec<u8>>,
    version: i32,
    acl: Vec<Acl>,
    is_ephemeral: bool,
}

/// What must be there when all is at rest.
#[derive(Debug)]
pub(super) struct Remains {
    root: String,
    /// The session, which is left open with its nodes.
    pub(super) ticket: Ticket,
    nodes: BTreeMap<String, Expected>,
    /// Nodes that servers delete by themselves sooner or later.
    pub(super) fleeting: BTreeSet<String>,
    /// How often the client had to connect again without having wished to.
    pub(super) lost: usize,
}

/// How to find out whether a write was carried out whose answer is lost.
enum Look {
    /// The node is there.
    Made(String),
    /// A node is there whose name begins so, below this parent.
    Named(String, String),
    /// The node is not there.
    Gone(String),
    /// It has this data.
    Data(String, Vec<u8>),
    /// It has this ACL.
    Acl(String, Vec<Acl>),
}

/// One client.
#[derive(Debug)]
pub(super) struct Client<'a> {
    shared: &'a Shared,
    root: String,
    session: Roaming,
    round: u32,
    nodes: BTreeMap<String, Expected>,
    fleeting: BTreeSet<String>,
}

impl<'a> Client<'a> {
    /// A client that begins at the server with this index, and has its root and a first ephemeral node.
    ///
    /// # Errors
    /// When no server serves.
    pub(super) fn new(shared: &'a Shared, number: usize) -> Result<Self> {
        let mut client = Self {
            shared,
            root: format!("{ALL}/{number}"),
            session: Roaming::new(&shared.servers, number, SESSION_MS),
            round: 0,
            nodes: BTreeMap::new(),
            fleeting: BTreeSet::new(),
        };
        let root = client.root.clone();
        client.make_shared(ALL)?;
        client.make(&root, Mode::Persistent, b"root")?;
        // A session with such a node is known to all servers, also where sessions are local at first.
        client.make(&format!("{root}/first"), Mode::Ephemeral, b"first")?;
        client.quota()?;
        Ok(client)
    }

    /// Works until it shall end, and says what must be left.
    ///
    /// # Errors
    /// When something is not as it must be, in words.
    pub(super) fn run(mut self) -> Result<Remains> {
        while !self.shared.stop.load(Ordering::Acquire) {
            self.round += 1;
            let (round, root) = (self.round, self.root.clone());
            self.one_round()
                .with_context(|| format!("{root}, round {round}, at the server with index {}", self.session.at()))?;
        }
        Ok(Remains {
            root: self.root,
            ticket: self.session.ticket().context("there was no session")?,
            nodes: self.nodes,
            fleeting: self.fleeting,
            lost: self.session.lost().len(),
        })
    }

    fn one_round(&mut self) -> Result<()> {
        let round = self.round;
        let root = self.root.clone();
        let path = |name: &str| format!("{root}/{name}{round}");
        self.make(&path("n"), Mode::Persistent, b"made")?;
        self.set(&path("n"), b"set", 0)?;
        self.set_acl(&path("n"))?;
        self.make_null(&path("null"))?;
        self.make_sequential(&path("s"), Mode::Sequential)?;
        self.make_sequential(&path("ts"), Mode::TtlSequential(LONG_MS))?;
        self.make_sequential(&path("es"), Mode::EphemeralSequential)?;
        self.make(&path("e"), Mode::Ephemeral, b"ephemeral")?;
        self.make(&path("t"), Mode::Ttl(LONG_MS), b"long")?;
        self.make(&format!("{root}/quota/{round}"), Mode::Persistent, &[b'.'; 100])?;
        self.transactions(round)?;
        self.fleeting(round)?;
        self.refused(round)?;
        self.other_session(round)?;
        self.tidy(round)?;
        self.move_on()
    }

    /// A multi that is carried out, and one that is not.
    fn transactions(&mut self, round: u32) -> Result<()> {
        let root = self.root.clone();
        let path = |name: &str| format!("{root}/{name}{round}");
        let multi = Op::Multi(vec![
            Op::Check {
                path: path("n"),
                version: 1,
            },
            Op::create(path("m"), "multi"),
            Op::set(path("n"), "multi", 1),
            Op::delete(path("null"), 0),
        ]);
        self.carry_out(&multi, &Look::Made(path("m")))?;
        self.expect(path("m"), Mode::Persistent, b"multi");
        self.nodes.remove(&path("null"));
        if let Some(node) = self.nodes.get_mut(&path("n")) {
            node.data = Some(b"multi".to_vec());
            node.version = 2;
        }
        let failing = Op::Multi(vec![
            Op::create(path("never"), ""),
            Op::set(path("n"), "never", 77),
            Op::delete(path("m"), -1),
        ]);
        let (reply, answer) = self.ask(&failing)?;
        let failure = answer.multi_failure().unwrap_or(reply.err);
        ensure!(
            failure == code::BAD_VERSION,
            "a multi that must fail is answered with {reply:?}"
        );
        Ok(())
    }

    /// Nodes that the servers delete by themselves.
    fn fleeting(&mut self, round: u32) -> Result<()> {
        let brief = format!("{}/brief{round}", self.root);
        let create = Op::create_as(&brief, "", Mode::Ttl(BRIEF_MS));
        // One that was made and is gone already when it is looked for is made again: it is the same in the end.
        self.carry_out(&create, &Look::Made(brief.clone()))?;
        self.fleeting.insert(brief);
        let container = format!("{}/c{round}", self.root);
        self.make(&container, Mode::Container, b"container")?;
        let child = format!("{container}/child");
        self.make(&child, Mode::Persistent, b"")?;
        if round.is_multiple_of(2) {
            self.delete(&child)?;
            self.nodes.remove(&container);
            self.fleeting.insert(container);
        }
        Ok(())
    }

    /// What must be refused takes a number too, and changes nothing.
    fn refused(&mut self, round: u32) -> Result<()> {
        let path = |name: &str| format!("{}/{name}{round}", self.root);
        let child = |name: &str| format!("{}/child", path(name));
        for (op, expected) in [
            (Op::create(path("n"), ""), code::NODE_EXISTS),
            (Op::create(child("none"), ""), code::NO_NODE),
            (Op::create(child("e"), ""), code::NO_CHILDREN_FOR_EPHEMERALS),
            (Op::set(path("n"), "", 77), code::BAD_VERSION),
            (Op::delete(path("none"), -1), code::NO_NODE),
            (Op::delete(self.root.clone(), -1), code::NOT_EMPTY),
        ] {
            let (reply, _) = self.ask(&op)?;
            ensure!(
                reply.err == expected,
                "{op:?} is answered with {} and not {expected}",
                reply.err
            );
        }
        Ok(())
    }

    /// A second session, at another server, that ends: its node goes with it.
    fn other_session(&mut self, round: u32) -> Result<()> {
        let path = format!("{}/x{round}", self.root);
        let address = self.shared.servers[(self.session.at() + 1) % self.shared.servers.len()];
        // One that cannot be closed is left to expire.
        self.fleeting.insert(path.clone());
        let other = || -> io::Result<()> {
            let mut session = Session::open_within(address, OTHER_SESSION_MS, PATIENCE)?;
            session.must(&Op::Get(ALL.to_owned()))?;
            session.must(&Op::create_as(&path, "other", Mode::Ephemeral))?;
            session.close()
        };
        if other().is_ok() {
            let (reply, _) = self.ask_fresh(&Op::Get(path.clone()))?;
            ensure!(reply.err == code::NO_NODE, "{path} outlives its session: {reply:?}");
        }
        Ok(())
    }

    /// Some of what earlier rounds made is changed or goes.
    fn tidy(&mut self, round: u32) -> Result<()> {
        let Some(older) = round.checked_sub(2).filter(|older| *older > 0) else {
            return Ok(());
        };
        let root = self.root.clone();
        let path = |name: &str| format!("{root}/{name}{older}");
        self.delete(&path("e"))?;
        match older % 3 {
            0 => self.delete(&path("n"))?,
            1 => self.set(&path("n"), b"again", 2)?,
            _ => self.set(&path("t"), b"touched", 0)?,
        }
        Ok(())
    }

    /// To the next server, with everything that belongs to the session.
    fn move_on(&mut self) -> Result<()> {
        self.session.move_on();
        let first = format!("{}/first", self.root);
        let (reply, answer) = self.ask_fresh(&Op::Get(first.clone()))?;
        let Answer::Data(_, stat) = answer else {
            bail!("{first} went while its session lives: {reply:?}");
        };
        let session = self.session.ticket().map(|ticket| ticket.id);
        ensure!(
            Some(stat.ephemeral_owner) == session,
            "{first} belongs to {:#x}",
            stat.ephemeral_owner
        );
        Ok(())
    }

    /// A quota, and a place that it counts.
    fn quota(&mut self) -> Result<()> {
        let counted = format!("{}/quota", self.root);
        self.make(&counted, Mode::Persistent, b"counted")?;
        let mut parent = "/zookeeper/quota".to_owned();
        for name in counted.trim_start_matches('/').split('/') {
            parent = format!("{parent}/{name}");
            self.make_shared(&parent)?;
        }
        let limits = Op::create(format!("{parent}/zookeeper_limits"), "count=100000,bytes=100000000");
        self.carry_out(&limits, &Look::Made(format!("{parent}/zookeeper_limits")))?;
        let stats = Op::create(format!("{parent}/zookeeper_stats"), "count=1,bytes=7");
        self.carry_out(&stats, &Look::Made(format!("{parent}/zookeeper_stats")))?;
        Ok(())
    }

    /// A node that several clients want.
    fn make_shared(&mut self, path: &str) -> Result<()> {
        let (reply, _) = self.ask(&Op::create(path, ""))?;
        ensure!(
            [code::OK, code::NODE_EXISTS].contains(&reply.err),
            "{path} cannot be made: {reply:?}"
        );
        Ok(())
    }

    fn make(&mut self, path: &str, mode: Mode, data: &[u8]) -> Result<()> {
        self.carry_out(&Op::create_as(path, data, mode), &Look::Made(path.to_owned()))?;
        self.expect(path.to_owned(), mode, data);
        Ok(())
    }

    fn make_null(&mut self, path: &str) -> Result<()> {
        let create = Op::Create {
            path: path.to_owned(),
            data: None,
            acl: Acl::open(),
            mode: Mode::Persistent,
        };
        self.carry_out(&create, &Look::Made(path.to_owned()))?;
        self.expect(path.to_owned(), Mode::Persistent, b"");
        if let Some(node) = self.nodes.get_mut(path) {
            node.data = None;
        }
        Ok(())
    }

    /// `path` is unlike that of any other round, so the node is found by what its name begins with.
    fn make_sequential(&mut self, path: &str, mode: Mode) -> Result<()> {
        let path = format!("{path}-");
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let look = Look::Named(self.root.clone(), name);
        let made = self.carry_out(&Op::create_as(&path, "sequential", mode), &look)?;
        let made = made.with_context(|| format!("the answer to the create of {path} names no node"))?;
        ensure!(made.starts_with(&path), "{path} became {made}");
        self.expect(made, mode, b"sequential");
        Ok(())
    }

    fn set(&mut self, path: &str, data: &[u8], version: i32) -> Result<()> {
        let look = Look::Data(path.to_owned(), data.to_vec());
        self.carry_out(&Op::set(path, data, version), &look)?;
        if let Some(node) = self.nodes.get_mut(path) {
            node.data = Some(data.to_vec());
            node.version = version + 1;
        }
        Ok(())
    }

    fn set_acl(&mut self, path: &str) -> Result<()> {
        let acl = vec![Acl::new(1, "digest", BOB), Acl::new(31, "world", "anyone")];
        let op = Op::SetAcl {
            path: path.to_owned(),
            acl: acl.clone(),
            version: 0,
        };
        self.carry_out(&op, &Look::Acl(path.to_owned(), acl.clone()))?;
        if let Some(node) = self.nodes.get_mut(path) {
            node.acl = acl;
        }
        Ok(())
    }

    fn delete(&mut self, path: &str) -> Result<()> {
        self.carry_out(&Op::delete(path, -1), &Look::Gone(path.to_owned()))?;
        self.nodes.remove(path);
        Ok(())
    }

    fn expect(&mut self, path: String, mode: Mode, data: &[u8]) {
        let expected = Expected {
            data: Some(data.to_vec()),
            version: 0,
            acl: Acl::open(),
            is_ephemeral: mode.is_ephemeral(),
        };
        self.nodes.insert(path, expected);
    }

    /// Has a write carried out exactly once; returns the path of a node that was made.
    fn carry_out(&mut self, op: &Op, look: &Look) -> Result<Option<String>> {
        loop {
            self.pace();
            match self.session.call(op)? {
                Some((reply, answer)) => {
                    let failure = answer.multi_failure().unwrap_or(reply.err);
                    ensure!(failure == code::OK, "{op:?} is refused with {failure}");
                    return Ok(match answer {
                        Answer::Created { path, .. } => Some(path),
                        _ => None,
                    });
                }
                None => {
                    if let Some(done) = self.look(look)? {
                        return Ok(Some(done));
                    }
                }
            }
        }
    }

    /// Whether a write was carried out, with the path of what it is about.
    fn look(&mut self, look: &Look) -> Result<Option<String>> {
        let (path, op) = match look {
            Look::Made(path) | Look::Gone(path) | Look::Data(path, _) => (path, Op::Get(path.clone())),
            Look::Acl(path, _) => (path, Op::GetAcl(path.clone())),
            Look::Named(parent, _) => (parent, Op::Children(parent.clone())),
        };
        let (reply, answer) = self.ask_fresh(&op)?;
        let is_done = match (look, answer) {
            (Look::Gone(_), _) => reply.err == code::NO_NODE,
            (Look::Made(_), Answer::Data(..)) => true,
            (Look::Data(_, wanted), Answer::Data(data, _)) => data.as_ref() == Some(wanted),
            (Look::Acl(_, wanted), Answer::Acl(acl, _)) => acl == *wanted,
            (Look::Named(parent, prefix), Answer::Children(names, _)) => {
                let name = names.iter().find(|name| name.starts_with(prefix));
                return Ok(name.map(|name| format!("{parent}/{name}")));
            }
            _ => false,
        };
        Ok(is_done.then(|| path.clone()))
    }

    fn ask(&mut self, op: &Op) -> Result<(Reply, Answer)> {
        self.pace();
        self.session.ask(op)
    }

    fn ask_fresh(&mut self, op: &Op) -> Result<(Reply, Answer)> {
        self.pace();
        self.session.ask_fresh(op)
    }

    fn pace(&mut self) {
        thread::sleep(THINK);
        self.shared.progress.fetch_add(1, Ordering::AcqRel);
    }
}

impl Remains {
    /// What is not as it must be in a tree.
    pub(super) fn faults(&self, tree: &Tree) -> Vec<String> {
        let mut faults = Vec::new();
        for (path, expected) in &self.nodes {
            let Some(node) = tree.get(path) else {
                faults.push(format!("{path} was acknowledged and is lost"));
                continue;
            };
            let found = Expected {
                data: node.data.clone(),
                version: node.stat.version,
                acl: node.acl.clone(),
                is_ephemeral: node.stat.ephemeral_owner == self.ticket.id,
            };
            if found != *expected {
                faults.push(format!("{path} is {found:?} and must be {expected:?}"));
            }
        }
        let below = format!("{}/", self.root);
        let unexpected = tree
            .keys()
            .filter(|path| path.starts_with(&below) && !self.nodes.contains_key(*path));
        faults.extend(unexpected.map(|path| format!("{path} must not be there")));
        faults
    }

    /// How many nodes are compared.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }
}
