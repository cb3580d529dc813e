//! zebu and Java servers in one ensemble: either kind leads the other, and in the end all have the same.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::chaos::tree;
use crate::context::{Context, Tally};
use crate::ensemble::{Ensemble, Place, Setup};
use crate::interop::client::{Mode, Op, Session};
use crate::interop::observer_masters;
use crate::java::JavaVersion;
use crate::server::Product;

pub(super) const SERVES_WITHIN: Duration = Duration::from_secs(60);
const SESSION_MS: i32 = 20_000;
const PATIENCE: Duration = Duration::from_secs(20);
/// Writes of each client in each part of a case.
const WRITES: usize = 50;
/// Of each member's log, when something is wrong.
const LOG_LINES: usize = 25;

/// Who is what: of servers without data the one with the highest id leads.
struct Case {
    name: &'static str,
    programs: [Product; 3],
}

/// The step.
///
/// # Errors
/// When a server cannot be started, or an ensemble does not come together.
pub fn run(context: &Context) -> Result<Tally> {
    let java = Product::Java(JavaVersion::Debian38);
    let newest = Product::Java(JavaVersion::Maven39);
    let zebu = Product::Zebu;
    let cases = [
        Case {
            name: "zebu leads Java 3.8.0 and 3.9",
            programs: [java, newest, zebu],
        },
        Case {
            name: "Java 3.8.0 leads two zebu",
            programs: [zebu, zebu, java],
        },
        Case {
            name: "Java 3.9 leads zebu and Java 3.8.0",
            programs: [zebu, java, newest],
        },
    ];
    let mut tally = Tally::default();
    for case in &cases {
        tally = tally.plus(check(context, case.name, || case.run(context)));
    }
    for case in &observer_masters::CASES {
        tally = tally.plus(check(context, case.name, || case.run(context)));
    }
    Ok(tally)
}

fn check(context: &Context, name: &str, run: impl FnOnce() -> Result<()>) -> Tally {
    context.say(name);
    match run() {
        Ok(()) => Tally::ONE_PASSED,
        Err(error) => {
            context.announce(&format!("{name}: {error:#}"));
            Tally { passed: 0, failed: 1 }
        }
    }
}

impl Case {
    fn run(&self, context: &Context) -> Result<()> {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let places = Place::loopback_free(3)?;
        let workspace = context.workspace();
        let mut ensemble = Ensemble::prepare(workspace, dir.path(), &Setup::default(), &self.programs, &places)?;
        self.lead_through(&mut ensemble).map_err(|error| {
            let logs = ensemble.members().iter().map(|member| member.log_tail(LOG_LINES));
            let logs: Vec<String> = logs.collect();
            error.context(format!("the members said:\n{}\nand", logs.join("\n--\n")))
        })
    }

    fn lead_through(&self, ensemble: &mut Ensemble) -> Result<()> {
        // The others must not find a leader among themselves while a JVM starts.
        ensemble.member(2).start()?;
        ensemble.member(2).wait_until_voting(SERVES_WITHIN)?;
        ensemble.start()?;
        let leader = ensemble.wait_until_all_serve(SERVES_WITHIN)?;
        if leader != 2 {
            bail!("the member with the id {} leads, and not the third", leader + 1);
        }
        work(ensemble, &[0, 1, 2], "first")?;
        // One that was not there learns what it missed, once by a part of the history and once by all of it.
        ensemble.member(0).kill()?;
        work(ensemble, &[1, 2], "second")?;
        ensemble.member(0).start()?;
        ensemble.wait_until_all_serve(SERVES_WITHIN)?;
        same(ensemble)?;
        // The others go on without their leader, and it comes back as a follower.
        ensemble.member(2).kill()?;
        wait_for_other_leader(ensemble)?;
        work(ensemble, &[0, 1], "third")?;
        ensemble.member(2).start()?;
        ensemble.wait_until_all_serve(SERVES_WITHIN)?;
        // One without any data gets the whole tree.
        let follower = (0..3).find(|index| ensemble.leader() != Some(*index)).unwrap_or(0);
        ensemble.member(follower).kill()?;
        let data = ensemble.members()[follower].data().join("version-2");
        std::fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        ensemble.member(follower).start()?;
        ensemble.wait_until_all_serve(SERVES_WITHIN)?;
        work(ensemble, &[0, 1, 2], "fourth")?;
        same(ensemble)
    }
}

fn wait_for_other_leader(ensemble: &mut Ensemble) -> Result<()> {
    ensemble.wait_for_leader(SERVES_WITHIN)?;
    for index in [0, 1] {
        ensemble.member(index).wait_until_serving(SERVES_WITHIN)?;
    }
    Ok(())
}

/// A client of each of these members writes, and sees what the others wrote after a sync.
pub(super) fn work(ensemble: &Ensemble, members: &[usize], part: &str) -> Result<()> {
    let mut sessions = Vec::new();
    for index in members {
        let address = ensemble.members()[*index].client();
        let session = Session::open_within(address, SESSION_MS, PATIENCE);
        sessions.push(session.with_context(|| format!("no session with member {}", index + 1))?);
    }
    let root = format!("/{part}");
    sessions[0].must(&Op::create(&root, part))?;
    for (index, session) in sessions.iter_mut().enumerate() {
        session.must(&Op::create_as(format!("{root}/eph{index}"), "e", Mode::Ephemeral))?;
        let sequential = Op::create_as(format!("{root}/seq-"), "s", Mode::Sequential);
        session.must(&sequential)?;
        let path = format!("{root}/n{index}");
        session.must(&Op::create(&path, "0"))?;
        for round in 0..WRITES {
            let version = i32::try_from(round).unwrap_or(-1);
            session.must(&Op::set(&path, round.to_string(), version))?;
        }
        let multi = Op::Multi(vec![
            Op::create(format!("{path}/a"), "a"),
            Op::create(format!("{path}/b"), "b"),
        ]);
        session.must(&multi)?;
        session.must(&Op::delete(format!("{path}/b"), 0))?;
    }
    let count = sessions.len();
    for session in &mut sessions {
        session.must(&Op::Sync("/".to_owned()))?;
        for index in 0..count {
            session.must(&Op::Get(format!("{root}/n{index}/a")))?;
            session.must(&Op::Get(format!("{root}/eph{index}")))?;
        }
    }
    for session in sessions {
        session.close()?;
    }
    Ok(())
}

/// All members have the same tree.
pub(super) fn same(ensemble: &Ensemble) -> Result<()> {
    let addresses: Vec<_> = ensemble.members().iter().map(|member| member.client()).collect();
    let differences = tree::of_all(&addresses)?;
    if !differences.is_empty() {
        bail!("the members differ: {}", differences.join("; "));
    }
    Ok(())
}
