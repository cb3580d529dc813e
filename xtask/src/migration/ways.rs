//! A learner of one kind is brought up to date by a leader of the other in every way there is: by a part of the history
//! (DIFF), by all of the tree (SNAP), and after it has given up what nobody else has (TRUNC).

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::agreement::{self, Digests};
use super::{logs, matrix};
use crate::chaos::tree;
use crate::context::Context;
use crate::ensemble::{Ensemble, Member, Place};
use crate::interop::client::{Answer, Mode, Op, Session};
use crate::interop::datadir::dump::Loader;
use crate::java::JavaVersion;
use crate::server::Product;

const SERVES_WITHIN: Duration = Duration::from_secs(90);
const SESSION_MS: i32 = 20_000;
const POLL: Duration = Duration::from_millis(5);
const LOG_LINES: usize = 15;
/// Index of the member that learns; the other two are of the other kind.
const LEARNER: usize = 2;
/// Data that only the learner ever has.
const NEVER: &str = "written-and-never-committed";

/// How a leader brings a learner up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Diff,
    Snap,
    Trunc,
}

/// Who leads whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// What leads.
    pub(super) leader: Product,
    /// What learns.
    pub(super) learner: Product,
}

/// Both ways round with each of these releases.
pub(super) fn all(versions: &[JavaVersion]) -> Vec<Case> {
    let both = |version: &JavaVersion| {
        let java = Product::Java(*version);
        [(Product::Zebu, java), (java, Product::Zebu)].map(|(leader, learner)| Case { leader, learner })
    };
    versions.iter().flat_map(both).collect()
}

impl Case {
    /// In words.
    pub(super) fn name(&self) -> String {
        format!("{} learns from {}", self.learner.name(), self.leader.name())
    }

    /// Runs it; returns what is wrong.
    ///
    /// # Errors
    /// When the ensemble does not come together, or a way is not taken.
    pub(super) fn run(&self, context: &Context, loader: &Loader) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let outcome = self.run_in(context, loader, dir.path());
        if !matches!(&outcome, Ok(faults) if faults.is_empty()) {
            context.announce(&format!("{}: kept: {}", self.name(), dir.keep().display()));
        }
        outcome
    }

    fn run_in(&self, context: &Context, loader: &Loader, dir: &Path) -> Result<Vec<String>> {
        let setup = matrix::setup(false);
        let programs = [self.leader, self.leader, self.learner];
        let places = Place::loopback_free(3)?;
        let ensemble = Ensemble::prepare(context.workspace(), dir, &setup, &programs, &places)?;
        let mut course = Course {
            context,
            name: self.name(),
            ensemble,
            digests: Digests::default(),
            faults: Vec::new(),
            writes: 0,
        };
        let outcome = course
            .run()
            .and_then(|()| agreement::on_disk(context, loader, &mut course.ensemble, &setup.java.properties, &[]));
        let Course {
            ensemble, mut faults, ..
        } = course;
        let found = outcome.map_err(|error| {
            let tails: Vec<String> = ensemble
                .members()
                .iter()
                .map(|member| member.log_tail(LOG_LINES))
                .collect();
            error.context(format!("the members said:\n{}\nand", tails.join("\n--\n")))
        })?;
        faults.extend(found);
        faults.extend(ensemble.members().iter().flat_map(logs::errors));
        Ok(faults)
    }
}

/// One case on its way.
struct Course<'a> {
    context: &'a Context,
    name: String,
    ensemble: Ensemble,
    digests: Digests,
    faults: Vec<String>,
    /// Numbers the nodes that are made.
    writes: u32,
}

impl Course<'_> {
    fn run(&mut self) -> Result<()> {
        // It leads first: only a leader can have in its log what no other has.
        matrix::start_led_by(&mut self.ensemble, LEARNER)?;
        self.write(&[0, 1, 2])?;
        self.learn_after(Way::Trunc, &[], Self::lead_alone)?;
        self.lead_again()?;
        // When the others have gone on in the next epoch, no leader of either kind cuts histories across the epochs.
        self.learn_after(Way::Snap, &[0, 1], Self::lead_alone)?;
        self.learn_after(Way::Diff, &[0, 1], |course| course.ensemble.member(LEARNER).kill())?;
        self.learn_after(Way::Snap, &[0, 1], |course| {
            course.ensemble.member(LEARNER).kill()?;
            let data = course.ensemble.members()[LEARNER].data().join("version-2");
            fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))
        })?;
        // Once more with leaders that have all of it from their own disks.
        self.learn_after(Way::Diff, &[0, 1], |course| {
            for index in [LEARNER, 0, 1] {
                course.ensemble.member(index).kill()?;
            }
            course.start_leaders()
        })
    }

    /// The learner leads once more.
    fn lead_again(&mut self) -> Result<()> {
        agreement::settle(&self.ensemble)?;
        for index in [LEARNER, 0, 1] {
            self.ensemble.member(index).kill()?;
        }
        matrix::start_led_by(&mut self.ensemble, LEARNER)
    }

    /// Does something to the learner, lets these others go on without it, and has it come back.
    fn learn_after(&mut self, way: Way, others: &[usize], happen: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        self.context.say(&format!("{}: {way:?}", self.name));
        happen(self)?;
        self.write(others)?;
        let from = logs::length(&self.ensemble.members()[LEARNER]);
        self.ensemble.member(LEARNER).start()?;
        let leader = self.ensemble.wait_until_all_serve(SERVES_WITHIN)?;
        ensure!(leader != LEARNER, "the learner leads");
        let taken = ways_since(&self.ensemble.members()[LEARNER], from);
        if !taken.contains(&way) {
            self.faults.push(format!("{way:?} was expected, and it was {taken:?}"));
        }
        let found = self.digests.settled(&self.ensemble, leader);
        self.faults.extend(found);
        self.write(&[0, 1, 2])?;
        let found = self.digests.unchanged(&self.ensemble);
        self.faults.extend(found);
        let addresses: Vec<_> = self.ensemble.members().iter().map(|member| member.client()).collect();
        self.faults.extend(tree::of_all(&addresses)?);
        Ok(())
    }

    /// The learner, which leads, logs what nobody else gets to see, and all are killed; the others start again.
    fn lead_alone(&mut self) -> Result<()> {
        let mut session = Session::open(self.ensemble.members()[LEARNER].client(), SESSION_MS)?;
        // What is in their sockets is lost with them.
        for index in [0, 1] {
            self.ensemble.member(index).pause()?;
            let pid = self.ensemble.members()[index].pid().context("a member does not run")?;
            while !is_stopped(pid)? {
                thread::sleep(POLL);
            }
        }
        session.queue(&Op::create("/never", NEVER));
        session.flush()?;
        let folder = self.ensemble.members()[LEARNER].data().join("version-2");
        let deadline = Instant::now() + SERVES_WITHIN;
        while !holds(&folder, NEVER.as_bytes())? {
            ensure!(Instant::now() < deadline, "the write does not come to the log");
            thread::sleep(POLL);
        }
        for index in [LEARNER, 0, 1] {
            self.ensemble.member(index).kill()?;
        }
        self.start_leaders()
    }

    fn start_leaders(&mut self) -> Result<()> {
        for index in [0, 1] {
            self.ensemble.member(index).start()?;
        }
        for index in [0, 1] {
            self.ensemble.member(index).wait_until_serving(SERVES_WITHIN)?;
        }
        Ok(())
    }

    /// Writes at each of these members; what was never committed is not there.
    fn write(&mut self, members: &[usize]) -> Result<()> {
        const NODES: u32 = 30;
        for index in members {
            let mut session = Session::open(self.ensemble.members()[*index].client(), SESSION_MS)?;
            self.writes += 1;
            let root = format!("/{}", self.writes);
            session.must(&Op::create(&root, ""))?;
            session.must(&Op::create_as(format!("{root}/ephemeral"), "", Mode::Ephemeral))?;
            for number in 0..NODES {
                session.must(&Op::create_as(
                    format!("{root}/s-"),
                    number.to_string(),
                    Mode::Sequential,
                ))?;
                session.must(&Op::set(&root, number.to_string(), -1))?;
            }
            session.must(&Op::Multi(vec![
                Op::create(format!("{root}/multi"), "multi"),
                Op::delete(format!("{root}/multi"), -1),
                Op::create_as(format!("{root}/container"), "multi", Mode::Persistent),
            ]))?;
            session.must(&Op::Sync("/".to_owned()))?;
            let Answer::Children(names, _) = session.must(&Op::Children("/".to_owned()))? else {
                bail!("the children of the root are something else");
            };
            ensure!(
                !names.contains(&"never".to_owned()),
                "what was never committed is there"
            );
            session.close()?;
        }
        Ok(())
    }
}

/// Whether all threads of a process have stopped, as they were told by a signal.
fn is_stopped(pid: u32) -> Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(thread?.path().join("stat"))?;
        // Behind the name, which may hold anything, and its bracket.
        let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
        if state != Some("T") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file of a log holds these bytes.
fn holds(folder: &Path, wanted: &[u8]) -> Result<bool> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with("log.") {
            continue;
        }
        let bytes = fs::read(entry.path())?;
        if bytes.windows(wanted.len()).any(|window| window == wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The ways that a member tells of in its log behind the first `from` bytes.
fn ways_since(member: &Member, from: usize) -> Vec<Way> {
    let said = |words| logs::said_since(member, from, words);
    let (diff, snap, trunc) = match member.program() {
        Product::Java(_) => (
            said("Getting a diff from the leader"),
            said("Getting a snapshot from leader"),
            said("Truncating log to get in sync with the leader"),
        ),
        Product::Zebu => {
            let snap = said("the leader has sent its tree");
            let trunc = said("transactions that were never committed are taken back");
            (said("following a leader") && !snap && !trunc, snap, trunc)
        }
    };
    [(diff, Way::Diff), (snap, Way::Snap), (trunc, Way::Trunc)]
        .into_iter()
        .filter(|(taken, _)| *taken)
        .map(|(_, way)| way)
        .collect()
}
