//! Work on a server: every kind of node, ACL, session and transaction, then many clients at once.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::interop::client::{Acl, Answer, Mode, Op, Session, Ticket, code};

/// Who may do everything.
pub(super) const SUPER: &str = "super:hop";
/// The same as servers are told: the name, and the SHA-1 of it with its password.
pub(super) const SUPER_DIGEST: &str = "super:elebGLi7JBvptHV9uUZywusZDE0=";
/// A user with a password, as it stands in ACLs.
const BOB: &str = "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=";
const BOB_CREDENTIALS: &str = "bob:secret";
/// Timeouts of sessions that outlive all servers of the suite.
const LONG_MS: [i32; 3] = [600_000, 900_000, 1_200_000];
/// The shortest that the servers grant.
const SHORT_MS: i32 = 1_000;
/// Clients that write at the same time.
const CROWD: u64 = 4;
/// Transactions of each of them.
const CROWD_WRITES: u64 = 250;
/// How long servers may take to delete what nobody uses any more: a JVM on a loaded machine is slow.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// Pause between two looks whether nodes have gone.
const POLL: Duration = Duration::from_millis(50);

/// Which ACLs many clients set at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lists {
    /// Ever new ones.
    New,
    /// One that nodes have already. The Java servers write the table of ACLs into a snapshot before the nodes, and go on
    /// meanwhile: a node with a list that is newer than the table makes a snapshot that no Java server can load.
    Known,
}

/// A session that nobody closed.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) ticket: Ticket,
    /// Its nodes.
    pub(super) paths: Vec<String>,
}

/// What one server after another is asked to do.
#[derive(Debug, Default)]
pub(super) struct Load {
    hop: u64,
    /// Sessions that are to be there on every later server.
    pub(super) kept: Vec<Kept>,
    /// Sessions that were closed or have expired, and must be nowhere.
    pub(super) over: BTreeSet<i64>,
}

impl Load {
    /// Comes back to the sessions that earlier servers knew: each must be there with all its nodes.
    pub(super) fn come_back(&mut self, address: SocketAddr) -> Result<()> {
        for kept in &self.kept {
            let session = Session::renew(address, kept.ticket, 0)?;
            let id = kept.ticket.id;
            let mut session = session.with_context(|| format!("session {id:#x} was forgotten"))?;
            for path in &kept.paths {
                let owner = match session.must(&Op::Get(path.clone()))? {
                    Answer::Data(_, stat) => stat.ephemeral_owner,
                    other => bail!("{path} is answered with {other:?}"),
                };
                ensure!(owner == id, "{path} belongs to {owner:#x}, not to {id:#x}");
            }
        }
        Ok(())
    }

    /// Everything once, one after the other, and what the server does by itself afterwards has been done in the end.
    pub(super) fn everything(&mut self, address: SocketAddr) -> Result<()> {
        self.hop += 1;
        let root = format!("/hop{}", self.hop);
        let mut session = connect(address, LONG_MS[0])?;
        session.must(&Op::create(&root, "root"))?;
        kinds(&mut session, &root)?;
        acls(&mut session, &root)?;
        transactions(&mut session, &root)?;
        quota(&mut session, &root)?;
        self.changes_of_earlier_nodes(&mut session)?;
        self.sessions(address, &root)?;
        self.close_an_earlier_session(address)?;
        await_gone(
            &mut session,
            &[
                format!("{root}/emptied"),
                format!("{root}/brief"),
                format!("{root}/expiring"),
            ],
        )?;
        let closing = session.ticket().id;
        session.close()?;
        self.over.insert(closing);
        Ok(())
    }

    /// Sessions that stay, one that is closed, one that expires.
    fn sessions(&mut self, address: SocketAddr, root: &str) -> Result<()> {
        for timeout_ms in LONG_MS {
            let mut session = connect(address, timeout_ms)?;
            let mut paths = Vec::new();
            for mode in [Mode::Ephemeral, Mode::EphemeralSequential, Mode::EphemeralSequential] {
                let create = Op::create_as(format!("{root}/kept-{timeout_ms}-"), "kept", mode);
                paths.push(created(session.must(&create)?)?);
            }
            let ticket = session.ticket();
            self.kept.push(Kept { ticket, paths });
        }
        let mut closing = connect(address, LONG_MS[0])?;
        closing.must(&Op::create_as(format!("{root}/closing"), "", Mode::Ephemeral))?;
        self.over.insert(closing.ticket().id);
        closing.close()?;
        let mut expiring = connect(address, SHORT_MS)?;
        expiring.must(&Op::create_as(format!("{root}/expiring"), "", Mode::Ephemeral))?;
        self.over.insert(expiring.ticket().id);
        Ok(())
    }

    /// A session that an earlier server opened ends on this one, with its nodes.
    fn close_an_earlier_session(&mut self, address: SocketAddr) -> Result<()> {
        // The newest three are of this server.
        if self.kept.len() <= LONG_MS.len() {
            return Ok(());
        }
        let kept = self.kept.remove(0);
        let session = Session::renew(address, kept.ticket, 0)?.context("a kept session was forgotten")?;
        session.close()?;
        self.over.insert(kept.ticket.id);
        let mut reader = connect(address, LONG_MS[0])?;
        for path in kept.paths {
            let (reply, _) = reader.call(&Op::Get(path.clone()))?;
            ensure!(reply.err == code::NO_NODE, "{path} outlives its session: {reply:?}");
        }
        self.over.insert(reader.ticket().id);
        reader.close()?;
        Ok(())
    }

    /// Nodes that earlier servers made are set, given other ACLs, deleted, and given children.
    fn changes_of_earlier_nodes(&self, session: &mut Session) -> Result<()> {
        for hop in 1..self.hop {
            let root = format!("/hop{hop}");
            let path = |name: &str| format!("{root}/{name}");
            session.must(&Op::set(path("text"), format!("set by hop {}", self.hop), -1))?;
            session.must(&Op::SetAcl {
                path: path("acl-setacl"),
                acl: vec![Acl::new(31, "digest", BOB), Acl::new(1, "world", "anyone")],
                version: -1,
            })?;
            session.must(&Op::create_as(path("seq-"), "later", Mode::Sequential))?;
            session.must(&Op::create(path(&format!("container/of-{}", self.hop)), "later"))?;
            session.must(&Op::create(path(&format!("quota/of-{}", self.hop)), "later"))?;
            session.must(&Op::set(path("ttl"), "touched", -1))?;
            if hop + 1 == self.hop {
                session.must(&Op::delete(path("null"), -1))?;
                session.must(&Op::delete(path("deleted-later"), 0))?;
            }
        }
        Ok(())
    }

    /// Many clients at once; ends when they are done, or when `acknowledged` is looked at by someone who ends the server.
    pub(super) fn crowd(&mut self, address: SocketAddr, lists: Lists, acknowledged: &AtomicU64) -> Result<()> {
        let hop = self.hop;
        let mut sessions = Vec::new();
        for _ in 0..CROWD {
            let session = connect(address, LONG_MS[1])?;
            let ticket = session.ticket();
            sessions.push(session);
            self.kept.push(Kept {
                ticket,
                paths: Vec::new(),
            });
        }
        let root = format!("/crowd{hop}");
        sessions[0].must(&Op::create(&root, ""))?;
        thread::scope(|scope| {
            for (number, session) in (0..).zip(sessions) {
                let root = format!("{root}/{number}");
                scope.spawn(move || {
                    // A connection that breaks is a server that was ended; what it did is compared, not assumed.
                    let _ = one_of_the_crowd(session, &root, number, lists, acknowledged);
                });
            }
        });
        Ok(())
    }
}

/// A session with all rights, that is bob's too.
fn connect(address: SocketAddr, timeout_ms: i32) -> io::Result<Session> {
    let mut session = Session::open(address, timeout_ms)?;
    for credentials in [SUPER, BOB_CREDENTIALS] {
        session.must(&Op::Auth {
            scheme: "digest".to_owned(),
            credentials: credentials.to_owned(),
        })?;
    }
    Ok(session)
}

fn created(answer: Answer) -> Result<String> {
    match answer {
        Answer::Created { path, .. } => Ok(path),
        other => bail!("a create is answered with {other:?}"),
    }
}

fn kinds(session: &mut Session, root: &str) -> Result<()> {
    let path = |name: &str| format!("{root}/{name}");
    session.must(&Op::Create {
        path: path("null"),
        data: None,
        acl: Acl::open(),
        mode: Mode::Persistent,
    })?;
    session.must(&Op::create(path("empty"), ""))?;
    session.must(&Op::create(path("text"), "text"))?;
    session.must(&Op::create(path("bytes"), (0..=255).collect::<Vec<u8>>()))?;
    session.must(&Op::create(path("long"), vec![b'x'; 3000]))?;
    session.must(&Op::create(path("gr\u{fc}\u{df}e \u{4f60}\u{597d}"), "\u{fc}"))?;
    session.must(&Op::create(path("deleted-later"), ""))?;
    for number in 0..3 {
        session.must(&Op::create_as(path("seq-"), number.to_string(), Mode::Sequential))?;
    }
    session.must(&Op::delete(path("seq-0000000008"), -1))?;
    session.must(&Op::create_as(path("container"), "kept", Mode::Container))?;
    session.must(&Op::create(path("container/child"), ""))?;
    session.must(&Op::create_as(path("never-used"), "kept", Mode::Container))?;
    session.must(&Op::create_as(path("emptied"), "", Mode::Container))?;
    session.must(&Op::create(path("emptied/child"), ""))?;
    session.must(&Op::delete(path("emptied/child"), -1))?;
    session.must(&Op::create_as(path("ttl"), "kept", Mode::Ttl(1_000_000_000)))?;
    session.must(&Op::create_as(
        path("ttl-"),
        "kept",
        Mode::TtlSequential(0xff_ffff_ffff),
    ))?;
    session.must(&Op::create_as(path("brief"), "", Mode::Ttl(100)))?;
    Ok(())
}

fn acls(session: &mut Session, root: &str) -> Result<()> {
    let world = |perms| Acl::new(perms, "world", "anyone");
    let lists = [
        ("read", vec![world(1)]),
        ("some", vec![world(5)]),
        ("digest", vec![Acl::new(31, "digest", BOB)]),
        (
            "ip",
            vec![Acl::new(31, "ip", "127.0.0.1"), Acl::new(1, "ip", "10.0.0.0/8")],
        ),
        ("auth", vec![Acl::new(31, "auth", "")]),
        (
            "several",
            vec![Acl::new(12, "digest", BOB), world(1), Acl::new(2, "ip", "127.0.0.1/8")],
        ),
        ("setacl", Acl::open()),
    ];
    for (name, acl) in lists {
        session.must(&Op::Create {
            path: format!("{root}/acl-{name}"),
            data: Some(name.as_bytes().to_vec()),
            acl,
            mode: Mode::Persistent,
        })?;
    }
    for version in 0..2 {
        session.must(&Op::SetAcl {
            path: format!("{root}/acl-setacl"),
            acl: vec![Acl::new(31, "ip", "127.0.0.1"), world(1 + version)],
            version,
        })?;
    }
    Ok(())
}

fn transactions(session: &mut Session, root: &str) -> Result<()> {
    let path = |name: &str| format!("{root}/{name}");
    session.must(&Op::create(path("multi"), ""))?;
    session.must(&Op::Multi(vec![
        Op::Check {
            path: path("multi"),
            version: 0,
        },
        Op::create(path("multi/a"), "a"),
        Op::set(path("multi/a"), "aa", 0),
        Op::create_as(path("multi/s-"), "s", Mode::Sequential),
        Op::create_as(path("multi/c"), "c", Mode::Container),
        Op::create_as(path("multi/t"), "t", Mode::Ttl(1_000_000_000)),
        Op::create(path("multi/b"), "b"),
        Op::delete(path("multi/b"), 0),
        Op::set(path("multi"), "set", 0),
    ]))?;
    // What fails takes a zxid too, and changes nothing.
    let failing = Op::Multi(vec![
        Op::create(path("multi/never"), ""),
        Op::set(path("multi"), "never", 77),
        Op::delete(path("multi/a"), -1),
    ]);
    let (_, answer) = session.call(&failing)?;
    ensure!(answer.multi_failure() == Some(code::BAD_VERSION), "{answer:?}");
    for (op, expected) in [
        (Op::create(path("multi"), ""), code::NODE_EXISTS),
        (Op::create(path("none/child"), ""), code::NO_NODE),
        (Op::delete(path("multi"), -1), code::NOT_EMPTY),
        (Op::set(path("multi"), "", 77), code::BAD_VERSION),
    ] {
        let (reply, _) = session.call(&op)?;
        ensure!(reply.err == expected, "{op:?} is answered with {reply:?}");
    }
    Ok(())
}

/// A quota, and nodes that it counts: the server keeps the counts in a node that no transaction writes.
fn quota(session: &mut Session, root: &str) -> Result<()> {
    let counted = format!("{root}/quota");
    session.must(&Op::create(&counted, "counted"))?;
    let mut parent = "/zookeeper/quota".to_owned();
    for name in counted.trim_start_matches('/').split('/') {
        parent = format!("{parent}/{name}");
        let (reply, _) = session.call(&Op::create(&parent, ""))?;
        ensure!(
            [code::OK, code::NODE_EXISTS].contains(&reply.err),
            "{parent}: {reply:?}"
        );
    }
    session.must(&Op::create(
        format!("{parent}/zookeeper_limits"),
        "count=1000,bytes=1000000",
    ))?;
    session.must(&Op::create(format!("{parent}/zookeeper_stats"), "count=1,bytes=7"))?;
    for number in 0..5 {
        session.must(&Op::create(format!("{counted}/{number}"), vec![b'.'; number * 100]))?;
    }
    session.must(&Op::set(format!("{counted}/1"), "shorter", -1))?;
    session.must(&Op::delete(format!("{counted}/2"), -1))?;
    Ok(())
}

fn await_gone(session: &mut Session, paths: &[String]) -> Result<()> {
    let deadline = Instant::now() + GONE_WITHIN;
    for path in paths {
        loop {
            let (reply, _) = session.call(&Op::Get(path.clone()))?;
            if reply.err == code::NO_NODE {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "{path} should have been deleted by the server"
            );
            thread::sleep(POLL);
        }
    }
    Ok(())
}

/// Writes of all kinds without pause below `root`, with answers outstanding.
fn one_of_the_crowd(
    mut session: Session,
    root: &str,
    number: u64,
    lists: Lists,
    acknowledged: &AtomicU64,
) -> io::Result<()> {
    /// Requests that wait for their answers.
    const WINDOW: u64 = 8;
    session.must(&Op::create(root, ""))?;
    for write in 0..CROWD_WRITES + WINDOW {
        if write < CROWD_WRITES {
            session.queue(&crowd_write(root, number, write, lists));
            session.flush()?;
        }
        if write >= WINDOW {
            // Refusals are part of it: they take a zxid and leave an error in the log.
            session.receive()?;
            acknowledged.fetch_add(1, Ordering::AcqRel);
        }
    }
    Ok(())
}

/// The write of this number: creates mostly, later ones on what earlier ones made.
fn crowd_write(root: &str, number: u64, write: u64, lists: Lists) -> Op {
    let older = write / 2;
    let data = |length: u64| vec![b'a' + u8::try_from(number).unwrap_or(0); usize::try_from(length).unwrap_or(0)];
    match write % 10 {
        0 | 5 => Op::create(format!("{root}/n{write}"), data(write * 7 % 500)),
        1 => Op::create_as(format!("{root}/e{write}"), data(5), Mode::Ephemeral),
        2 => Op::create_as(format!("{root}/s-"), data(write), Mode::Sequential),
        3 => Op::set(format!("{root}/n{}", older - older % 5), data(older), -1),
        4 => Op::delete(format!("{root}/n{}", older - older % 10), -1),
        6 => Op::Multi(vec![
            Op::create(format!("{root}/m{write}"), data(3)),
            Op::set(root, data(write), -1),
            Op::create_as(format!("{root}/m{write}/e"), data(3), Mode::Ephemeral),
        ]),
        7 => Op::SetAcl {
            path: format!("{root}/n{}", older - older % 5),
            acl: match lists {
                Lists::New => vec![
                    Acl::new(31, "world", "anyone"),
                    Acl::new(1, "digest", &format!("u{write}:x")),
                ],
                Lists::Known => vec![Acl::new(31, "digest", BOB)],
            },
            version: -1,
        },
        8 => Op::create_as(format!("{root}/es-"), data(2), Mode::EphemeralSequential),
        _ => Op::create_as(format!("{root}/c{write}"), data(2), Mode::Container),
    }
}
