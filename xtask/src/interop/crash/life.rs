//! One data directory: a server with one configuration that is ended again and again under load.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::ValueEnum;
use tempfile::TempDir;

use crate::interop::client::{Answer, Op, Session};
use crate::interop::datadir::copy_folder;
use crate::interop::log_file;
use crate::process;
use crate::random::Random;
use crate::server::{Product, Server, ServerConfig};
use crate::workspace::Workspace;

use super::check::{self, Promise, Tree};
use super::damage::{self, Expected};
use super::sessions::{self, CLOSING, Closings, MAYFLIES, Mayfly};
use super::worker::{COUNTER, LOG, Worker};

/// Sessions that write at the same time.
const WORKERS: u64 = 6;
/// Acknowledged writes of each worker before a fault is planted.
const ENOUGH_WRITES: u64 = 50;
/// The exit code of a server that does not trust its files.
const DATA_DIRECTORY_CODE: i32 = 3;
/// A server that ends by itself may still have a snapshot to write.
const END_WITHIN: Duration = Duration::from_secs(20);

/// A configuration to be tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// For messages.
    pub(super) name: &'static str,
    /// Lines of `zoo.cfg`.
    pub(super) lines: &'static [&'static str],
    /// Upper bound of the size of values.
    pub(super) value_bytes_max: u64,
    /// Whether the log lies in another folder than the snapshots.
    pub(super) separate_log: bool,
}

/// How a round ends the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum End {
    /// SIGKILL.
    Kill,
    /// Killed, and killed again while it recovers.
    KillTwice,
    /// SIGTERM.
    Stop,
    /// Asked to stop, and killed while it does.
    StopAndKill,
    /// Left to end by itself, because its disk fails.
    #[value(skip)]
    Fault,
}

/// What rounds add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    /// Servers that were ended under load.
    pub(super) rounds: u64,
    /// Writes that were answered.
    pub(super) acknowledged: u64,
    /// Writes that were sent and not answered.
    pub(super) unanswered: u64,
    /// Of those, the ones that had been done.
    pub(super) unanswered_done: u64,
    /// Snapshots that were there at the end, summed up.
    pub(super) snapshots: u64,
    /// Log files that were there at the end, summed up.
    pub(super) logs: u64,
}

impl Figures {
    /// The sums of both.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            rounds: self.rounds + other.rounds,
            acknowledged: self.acknowledged + other.acknowledged,
            unanswered: self.unanswered + other.unanswered,
            unanswered_done: self.unanswered_done + other.unanswered_done,
            snapshots: self.snapshots + other.snapshots,
            logs: self.logs + other.logs,
        }
    }
}

/// The directory, its server, and what all clients know.
#[derive(Debug)]
pub(super) struct Life {
    workspace: Workspace,
    dir: TempDir,
    config: ServerConfig,
    separate_log: bool,
    server: Option<Server>,
    /// How the last server ended.
    last_status: Option<ExitStatus>,
    started: Instant,
    workers: Vec<Worker>,
    mayflies: Vec<Mayfly>,
    /// The highest zxid that any client has seen.
    newest: AtomicI64,
    /// The highest version of the counter that a reader has seen.
    version_read: i32,
    random: Random,
    /// What all rounds so far add up to.
    pub(super) figures: Figures,
}

impl Life {
    /// Starts the first server in an empty directory and makes the nodes that the load works below.
    pub(super) fn begin(workspace: &Workspace, setup: &Setup, mut random: Random) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut config = ServerConfig::new()?
            .line("maxSessionTimeout=60000")
            .line("maxClientCnxns=0");
        config.tick_ms = 200;
        config.lines.extend(setup.lines.iter().map(|line| (*line).to_owned()));
        if setup.separate_log {
            config = config.line(format!("dataLogDir={}", dir.path().join("log").display()));
        }
        let workers = (0..WORKERS)
            .map(|index| Worker::new(index, setup.value_bytes_max, random.fork(index)))
            .collect();
        let mut life = Self {
            workspace: workspace.clone(),
            dir,
            config,
            separate_log: setup.separate_log,
            server: None,
            last_status: None,
            started: Instant::now(),
            workers,
            mayflies: Vec::new(),
            newest: AtomicI64::new(0),
            version_read: 0,
            random,
            figures: Figures::default(),
        };
        life.start()?;
        life.make_roots()?;
        Ok(life)
    }

    fn start(&mut self) -> Result<()> {
        self.started = Instant::now();
        self.server = Some(Server::start(
            &self.workspace,
            Product::Zebu,
            self.dir.path(),
            &self.config,
        )?);
        Ok(())
    }

    fn server(&self) -> Result<&Server> {
        self.server.as_ref().ok_or_else(|| anyhow!("no server runs"))
    }

    fn make_roots(&mut self) -> Result<()> {
        let mut session = Session::open(self.server()?.address(), 10_000)?;
        for path in ["/shared", LOG, COUNTER, MAYFLIES, CLOSING] {
            session.must(&Op::create(path, ""))?;
        }
        for worker in &mut self.workers {
            match session.must(&Op::create(&worker.root, ""))? {
                Answer::Created { stat: Some(stat), .. } => worker.begin(&stat),
                other => bail!("a create is answered with {other:?}"),
            }
        }
        session.close()?;
        Ok(())
    }

    /// Load, the end of the server, its next start, and the judgement. Without an `end` it is chosen at random.
    pub(super) fn round(&mut self, end: Option<End>) -> Result<()> {
        let random = match self.random.below(10) {
            0 | 1 => End::Stop,
            2 => End::StopAndKill,
            3 | 4 => End::KillTwice,
            _ => End::Kill,
        };
        let end = end.unwrap_or(random);
        let result = self.round_with(end);
        result.map_err(|error| anyhow!("{end:?}: {error:#}"))
    }

    fn round_with(&mut self, end: End) -> Result<()> {
        let round = self.figures.rounds;
        let (closings, ended) = self.load_until(end)?;
        self.figures.rounds += 1;
        self.mayflies.retain(|mayfly| mayfly.was_alive(ended));
        if end == End::KillTwice {
            self.kill_while_it_recovers()?;
        }
        self.start()?;
        let promise = if end == End::Stop {
            Promise::Answered
        } else {
            Promise::Acknowledged
        };
        self.judge(&closings, promise)
            .map_err(|error| anyhow!("round {round}: {error:#}"))
    }

    /// Runs all clients and ends the server in the middle.
    fn load_until(&mut self, end: End) -> Result<(Closings, Instant)> {
        let address = self.server()?.address();
        let round = self.figures.rounds;
        // Mostly short, so that also the first moments of a server are hit often.
        let load_ms = match self.random.below(4) {
            0 => self.random.below(30),
            1 | 2 => self.random.below(300),
            _ => self.random.below(900),
        };
        let stop_ms = self.random.below(20);
        let mut server = self.server.take().ok_or_else(|| anyhow!("no server runs"))?;
        let mut sessions = Vec::new();
        for worker in &mut self.workers {
            sessions.push(worker.connect(address).map_err(anyhow::Error::msg)?);
        }
        let mayfly = Mayfly::hatch(address, round).map_err(anyhow::Error::msg)?;
        self.mayflies.push(mayfly);
        let newest = &self.newest;
        let workers = &mut self.workers;
        let (closings, ended, complaints, status, version_read) = thread::scope(|scope| {
            let threads: Vec<_> = workers
                .iter_mut()
                .zip(sessions)
                .map(|(worker, session)| scope.spawn(move || worker.run(session, newest)))
                .collect();
            let reader = scope.spawn(move || read_on(address, newest));
            let closer = scope.spawn(move || Closings::run(address, round));
            thread::sleep(Duration::from_millis(load_ms));
            let ended = end_server(&mut server, end, Duration::from_millis(stop_ms));
            let status = server.process().ended().ok().flatten();
            let at = Instant::now();
            let mut complaints = Vec::new();
            for thread in threads {
                match thread.join() {
                    Ok(Ok(())) => {}
                    Ok(Err(complaint)) => complaints.push(complaint),
                    Err(_) => complaints.push("a worker panicked".to_owned()),
                }
            }
            let version_read = reader.join().unwrap_or_default();
            let closings = closer.join().unwrap_or_default();
            ended.map(|()| (closings, at, complaints, status, version_read))
        })?;
        self.last_status = status;
        self.version_read = self.version_read.max(version_read);
        if let Some(complaint) = complaints.into_iter().next() {
            bail!(complaint);
        }
        self.figures.unanswered += self
            .workers
            .iter()
            .map(|worker| worker.unanswered.len() as u64)
            .sum::<u64>();
        Ok((closings, ended))
    }

    /// Restarts the server with this environment, lets it run under load until its disk fails, starts it again on a
    /// disk that is well, and judges. The server must end with `code` and say `words`.
    pub(super) fn fail(&mut self, environment: &[(String, String)], code: i32, words: &[&str]) -> Result<String> {
        if let Some(server) = self.server.take() {
            server.stop()?;
        }
        self.config.environment = environment.to_vec();
        let started = self.start();
        self.config.environment.clear();
        started?;
        let (closings, ended) = self.load_until(End::Fault)?;
        self.figures.rounds += 1;
        self.mayflies.retain(|mayfly| mayfly.was_alive(ended));
        let said = self.ended_with(code, words)?;
        self.start()?;
        self.judge(&closings, Promise::Acknowledged)?;
        Ok(said)
    }

    /// The same for a server whose disk fails before it serves.
    pub(super) fn fail_at_start(
        &mut self,
        environment: &[(String, String)],
        code: i32,
        words: &[&str],
    ) -> Result<String> {
        if let Some(server) = self.server.take() {
            server.kill()?;
        }
        self.config.environment = environment.to_vec();
        let launched = Server::launch(&self.workspace, Product::Zebu, self.dir.path(), &self.config);
        self.config.environment.clear();
        let status = launched?.process().wait(END_WITHIN)?;
        self.last_status = Some(status);
        let said = self.ended_with(code, words)?;
        self.start()?;
        self.judge(&Closings::default(), Promise::Acknowledged)?;
        Ok(said)
    }

    /// Runs rounds until there are so many files of each kind that this configuration makes.
    pub(super) fn gather(&mut self, files: usize) -> Result<()> {
        while damage::files(&self.log_folder(), "log.")?.len() < files {
            self.round_with(End::Kill)?;
        }
        Ok(())
    }

    /// Damages the files of a killed server, looks what the next one does, and judges; after a refusal on a copy that
    /// was made before. Returns what the server said.
    pub(super) fn damage(&mut self, harm: fn(&Path) -> Result<String>, expected: Expected) -> Result<String> {
        let (closings, ended) = self.load_until(End::Kill)?;
        self.mayflies.retain(|mayfly| mayfly.was_alive(ended));
        let data = self.dir.path().join("data");
        let copy = self.dir.path().join("copy");
        copy_folder(&data, &copy)?;
        let name = harm(&data.join("version-2"))?;
        let said = match expected {
            Expected::Serve(words) => {
                self.start()?;
                let log = self.server_log();
                ensure!(log.contains(words), "the server does not say {words:?}:\n{log}");
                log.lines()
                    .rfind(|line| line.contains(words))
                    .unwrap_or_default()
                    .to_owned()
            }
            Expected::Refuse(words) => {
                let mut server = Server::launch(&self.workspace, Product::Zebu, self.dir.path(), &self.config)?;
                self.last_status = Some(server.process().wait(END_WITHIN)?);
                let said = self.ended_with(DATA_DIRECTORY_CODE, words)?;
                ensure!(said.contains(&name), "the refusal does not name {name}: {said}");
                fs::remove_dir_all(&data)?;
                fs::rename(&copy, &data)?;
                self.start()?;
                said
            }
        };
        self.judge(&closings, Promise::Acknowledged)?;
        Ok(said)
    }

    /// The error that the last server ended with, if it is the right one.
    fn ended_with(&self, code: i32, words: &[&str]) -> Result<String> {
        let status = self.last_status.context("no server has ended by itself")?;
        let log = self.server_log();
        let error = log.lines().rfind(|line| line.contains("ERROR")).unwrap_or_default();
        ensure!(
            status.code() == Some(code),
            "ended with {status} in place of {code}:\n{log}"
        );
        for word in words {
            ensure!(error.contains(word), "the error does not say {word:?}: {error}\n{log}");
        }
        Ok(error.to_owned())
    }

    fn kill_while_it_recovers(&mut self) -> Result<()> {
        let server = Server::launch(&self.workspace, Product::Zebu, self.dir.path(), &self.config)?;
        thread::sleep(Duration::from_millis(self.random.below(25)));
        server.kill()
    }

    fn judge(&mut self, closings: &Closings, promise: Promise) -> Result<()> {
        let address = self.server()?.address();
        let tree = check::read(address).map_err(anyhow::Error::msg)?;
        let read = Instant::now();
        self.judge_mayflies(&tree, read)?;
        let done = check::judge(&tree, &mut self.workers, promise).map_err(anyhow::Error::msg)?;
        closings.judge(&tree).map_err(anyhow::Error::msg)?;
        self.figures.unanswered_done += done;
        self.figures.acknowledged = self.workers.iter().map(|worker| worker.acknowledged).sum();
        let version = tree.get(COUNTER).map_or(0, |counter| counter.stat.version);
        ensure!(
            version >= self.version_read,
            "{COUNTER} is at version {version}, {} was read from it",
            self.version_read
        );
        let newest = self.newest.load(Ordering::Acquire);
        let zxid = served_zxid(&process::four_letter_word(address, "srvr")?)?;
        ensure!(
            zxid >= newest,
            "the server is at zxid {zxid:#x}, clients have seen {newest:#x}"
        );
        Ok(())
    }

    fn judge_mayflies(&self, tree: &Tree, read: Instant) -> Result<()> {
        for mayfly in &self.mayflies {
            mayfly.judge(tree, self.started, read).map_err(anyhow::Error::msg)?;
        }
        Ok(())
    }

    /// The last judgement: sessions that nobody came back to expire, the others are still there.
    pub(super) fn end(mut self) -> Result<Figures> {
        let address = self.server()?.address();
        let newest = self.newest.load(Ordering::Acquire);
        sessions::await_end(address, &self.mayflies, newest).map_err(anyhow::Error::msg)?;
        for worker in &mut self.workers {
            worker.connect(address).map_err(anyhow::Error::msg)?;
        }
        let data = self.folder("data");
        let log = self.log_folder();
        self.figures.snapshots += count(&data, "snapshot.")?;
        self.figures.logs += count(&log, "log.")?;
        if let Some(server) = self.server.take() {
            let status = server.stop()?;
            ensure!(status.success(), "a server without load stops with {status}");
        }
        Ok(self.figures)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name).join("version-2")
    }

    fn log_folder(&self) -> PathBuf {
        self.folder(if self.separate_log { "log" } else { "data" })
    }

    /// Takes acknowledged writes out of the log: the judgement must see it, and clients that have seen more must be sent
    /// away. Says what was found.
    pub(super) fn lose_writes(mut self) -> Result<String> {
        self.warm_up()?;
        let (closings, _) = self.load_until(End::Kill)?;
        let place = self.last_acknowledged()?;
        place.cut()?;
        self.start()?;
        let judgement = self.judge(&closings, Promise::Acknowledged);
        let Err(found) = judgement else {
            bail!("the log was cut and the check found nothing");
        };
        let address = self.server()?.address();
        let returned: Vec<_> = self.workers.iter_mut().map(|worker| worker.connect(address)).collect();
        ensure!(
            returned.iter().any(Result::is_err),
            "a client came back to a server that has less than it had seen"
        );
        Ok(format!("{found:#}"))
    }

    /// Turns over a bit in an acknowledged write: the server must refuse to start and say where. Returns what it said.
    pub(super) fn flip_bit(mut self) -> Result<String> {
        self.warm_up()?;
        self.load_until(End::Kill)?;
        let place = self.last_acknowledged()?;
        place.flip()?;
        let mut server = Server::launch(&self.workspace, Product::Zebu, self.dir.path(), &self.config)?;
        let status = server.process().wait(END_WITHIN)?;
        let said = server.process().log_tail(3);
        ensure!(
            status.code() == Some(3),
            "a damaged log ends the server with {status}: {said}"
        );
        let file = place.file.file_name().unwrap_or_default().to_string_lossy();
        ensure!(said.contains(&*file), "{file} is not named: {said}");
        ensure!(
            said.contains(&place.offset.to_string()),
            "byte {} is not named: {said}",
            place.offset
        );
        ensure!(said.contains("restore"), "no remedy is named: {said}");
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }

    /// Goes on until every worker has something to lose; single rounds may be too short for that.
    fn warm_up(&mut self) -> Result<()> {
        while self.workers.iter().any(|worker| worker.acknowledged < ENOUGH_WRITES) {
            self.round_with(End::Kill)?;
        }
        Ok(())
    }

    fn last_acknowledged(&self) -> Result<log_file::Place> {
        let mut zxids: Vec<i64> = self.workers.iter().map(Worker::last_own_zxid).collect();
        zxids.sort_unstable();
        // The lowest of the workers' last ones: others stand behind it, so that damage to it cannot be taken for the
        // end of an interrupted write.
        for zxid in zxids.into_iter().filter(|zxid| *zxid > 0) {
            if let Some(place) = log_file::find(&self.log_folder(), zxid)? {
                return Ok(place);
            }
        }
        bail!("no acknowledged write is in the log")
    }

    /// The log of the server, for failure texts.
    pub(super) fn server_log(&self) -> String {
        process::tail(&self.dir.path().join(format!("{}.log", Product::Zebu.name())), 15)
    }

    /// Keeps the directory for a person to look at.
    pub(super) fn keep(self) -> PathBuf {
        drop(self.server);
        self.dir.keep()
    }
}

/// Reads the counter until the connection breaks, and returns the highest version: what was read must stay.
fn read_on(address: SocketAddr, newest: &AtomicI64) -> i32 {
    let mut highest = 0;
    let Ok(mut session) = Session::open(address, 10_000) else {
        return highest;
    };
    while let Ok((reply, Answer::Data(_, stat))) = session.call(&Op::Get(COUNTER.to_owned())) {
        newest.fetch_max(reply.zxid, Ordering::AcqRel);
        highest = highest.max(stat.version);
    }
    highest
}

fn end_server(server: &mut Server, end: End, before_kill: Duration) -> Result<()> {
    match end {
        End::Kill | End::KillTwice => server.process().kill(),
        End::Stop => {
            let status = server.process().stop(END_WITHIN)?;
            ensure!(status.success(), "SIGTERM ends the server with {status}");
            Ok(())
        }
        End::StopAndKill => {
            server.process().signal(rustix::process::Signal::TERM)?;
            thread::sleep(before_kill);
            server.process().kill()
        }
        End::Fault => {
            server.process().wait(END_WITHIN)?;
            Ok(())
        }
    }
}

/// The line `Zxid: 0x1f` of the answer to `srvr`.
fn served_zxid(answer: &str) -> Result<i64> {
    let fields: BTreeMap<&str, &str> = answer.lines().filter_map(|line| line.split_once(": ")).collect();
    let zxid = fields.get("Zxid").and_then(|zxid| zxid.strip_prefix("0x"));
    let zxid = zxid.ok_or_else(|| anyhow!("srvr names no zxid: {answer}"))?;
    Ok(i64::from_str_radix(zxid, 16)?)
}

fn count(folder: &Path, prefix: &str) -> Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        count += u64::from(entry?.file_name().to_string_lossy().starts_with(prefix));
    }
    Ok(count)
}
