//! What all members of an ensemble must agree on when nothing goes on any more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::kinds::Remains;
use super::logs;
use crate::chaos::tree;
use crate::context::Context;
use crate::ensemble::{Ensemble, Member, Role};
use crate::interop::client::{Op, Session, code};
use crate::interop::datadir::dump::{Dump, Loader};
use crate::interop::log_file;
use crate::java::JavaVersion;
use crate::process;
use crate::server::Product;

/// Sessions that expire, containers and TTLs are looked after in steps of seconds by a loaded JVM.
const GONE_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
const SESSION_MS: i32 = 10_000;
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Faults of a kind that are told.
const SHOWN: usize = 5;
/// What each server itself puts there, from its own configuration.
const OWN: &str = "/zookeeper/config";

/// Waits until the servers have deleted what they delete by themselves, and compares what the members serve with each
/// other and with what clients were told. Returns what is wrong.
///
/// # Errors
/// When a member does not answer.
pub(super) fn served(ensemble: &Ensemble, remains: &[Remains]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let addresses: Vec<_> = ensemble.members().iter().map(|member| member.client()).collect();
    let mut session = Session::open(addresses[0], SESSION_MS)?;
    let deadline = Instant::now() + GONE_WITHIN;
    for path in remains.iter().flat_map(|remains| &remains.fleeting) {
        loop {
            session.must(&Op::Sync("/".to_owned()))?;
            let (reply, _) = session.call(&Op::Get(path.clone()))?;
            if reply.err == code::NO_NODE {
                break;
            }
            if Instant::now() > deadline {
                faults.push(format!("{path} should have been deleted by the servers"));
                break;
            }
            thread::sleep(POLL);
        }
    }
    session.close()?;
    faults.extend(tree::of_all(&addresses)?);
    let tree = tree::read(addresses[0])?;
    for remains in remains {
        faults.extend(remains.faults(&tree).into_iter().take(SHOWN));
    }
    Ok(faults)
}

/// How often members found their tree to be another than the leader's. Each counts since it was started.
///
/// None may, but a Java member while it joins a Java leader: that one sends its tree while it changes, and what is in it
/// already afterwards once more, which counts as difference until the learner has caught up.
#[derive(Debug, Default)]
pub(super) struct Digests {
    counts: BTreeMap<u8, i64>,
    /// Whether some members may learn from followers.
    masters: bool,
}

impl Digests {
    /// To be begun when the ensemble is.
    pub(super) fn new(masters: bool) -> Self {
        Self {
            masters,
            ..Self::default()
        }
    }

    /// To be called when all members serve, after something happened to them; returns what is wrong.
    pub(super) fn settled(&mut self, ensemble: &Ensemble, leader: usize) -> Vec<String> {
        let is_java = |member: &Member| member.program() != Product::Zebu;
        let by_java = is_java(&ensemble.members()[leader]) || self.masters && ensemble.members().iter().any(is_java);
        let last = std::mem::take(&mut self.counts);
        self.look(ensemble, |member, count| {
            let before = last.get(&member.sid()).copied().filter(|before| *before <= count);
            let is_new = count > before.unwrap_or(0);
            is_new && (!is_java(member) || !by_java && !logs::mismatched_while_loading(member))
        })
    }

    /// To be called while nothing has happened to the members since they had settled; returns what is wrong.
    pub(super) fn unchanged(&mut self, ensemble: &Ensemble) -> Vec<String> {
        let last = std::mem::take(&mut self.counts);
        self.look(ensemble, |member, count| last.get(&member.sid()) != Some(&count))
    }

    /// Takes all counts, and tells of those that are wrong.
    fn look(&mut self, ensemble: &Ensemble, is_wrong: impl Fn(&Member, i64) -> bool) -> Vec<String> {
        let mut faults = Vec::new();
        for member in ensemble
            .members()
            .iter()
            .filter(|member| member.program() != Product::Zebu)
        {
            let count = process::four_letter_word(member.client(), "mntr")
                .ok()
                .and_then(|answer| counter(&answer, "zk_digest_mismatches_count"));
            let Some(count) = count else {
                faults.push(format!("{} does not tell its digest mismatches", member.name()));
                continue;
            };
            if is_wrong(member, count) {
                faults.push(format!(
                    "{} found {count} digests that differ from the leader's",
                    member.name()
                ));
            }
            self.counts.insert(member.sid(), count);
        }
        faults
    }
}

/// A figure in an answer to `mntr`.
pub(super) fn counter(answer: &str, name: &str) -> Option<i64> {
    let line = answer.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.split_whitespace().next()?;
    number.parse::<f64>().ok().map(|number| {
        #[expect(clippy::cast_possible_truncation, reason = "Java writes counts as 3.0 at times")]
        let count = number as i64;
        count
    })
}

/// Stops all members and compares what is on their disks, as Java loads it: nodes with what no client sees, sessions,
/// owners of ephemerals, containers, TTLs, the last zxid, and the digest, which is computed anew as well.
///
/// # Errors
/// When a member cannot be stopped, or its directory cannot be loaded.
pub(super) fn on_disk(
    context: &Context,
    loader: &Loader,
    ensemble: &mut Ensemble,
    properties: &[(String, String)],
    remains: &[Remains],
) -> Result<Vec<String>> {
    for (member, role) in ensemble.members().iter().zip(ensemble.roles()) {
        if role == Role::Silent {
            anyhow::bail!("{} does not answer at the end", member.name());
        }
        // Whatever was committed is on each disk when it has been applied there.
        let mut session = Session::open(member.client(), SESSION_MS)?;
        session.must(&Op::Sync("/".to_owned()))?;
        // The last transactions of all are that these sessions end.
        session.close()?;
    }
    settle(ensemble)?;
    ensemble.stop(STOP_WITHIN)?;
    let directories: Vec<PathBuf> = ensemble
        .members()
        .iter()
        .map(|member| member.folder().to_owned())
        .collect();
    let dumps = loader.dump(context, JavaVersion::Maven39, properties, &directories)?;
    let mut faults = Vec::new();
    let mut cleaned: Vec<Dump> = Vec::new();
    for (member, dump) in ensemble.members().iter().zip(dumps) {
        let dump = dump.without(OWN);
        if !log_file::has_repeats(&member.data().join("version-2"))? {
            cleaned.push(dump);
            continue;
        }
        // A Java follower of 3.8 that fails while it joins writes what it was sent again at its next try. Whoever loads that
        // finds other trees on the way, and the right one in the end.
        cleaned.push(dump.without_mismatches());
        if member.program() == Product::Zebu {
            faults.push(format!("a transaction stands twice in the log of {}", member.name()));
        }
    }
    let dumps = cleaned;
    let names: Vec<String> = ensemble.members().iter().map(|member| member.name()).collect();
    for (name, dump) in names.iter().zip(&dumps) {
        faults.extend(dump.fault(true).map(|fault| format!("the disk of {name}: {fault}")));
        let sessions = dump.sessions()?;
        for remains in remains {
            if !sessions.contains_key(&remains.ticket.id) {
                faults.push(format!("{name} has forgotten the session {:#x}", remains.ticket.id));
            }
        }
    }
    let (first, others) = dumps.split_first().context("an ensemble without members")?;
    for (name, dump) in names.iter().skip(1).zip(others) {
        let difference = first.difference(dump);
        faults.extend(difference.map(|text| format!("the disks of {} and {name}: {text}", names[0])));
    }
    Ok(faults)
}

/// Waits until all members have applied the same.
///
/// # Errors
/// When they do not for a minute.
pub(super) fn settle(ensemble: &Ensemble) -> Result<()> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let zxids: Vec<Option<String>> = ensemble
            .members()
            .iter()
            .map(|member| {
                let answer = process::four_letter_word(member.client(), "srvr").ok()?;
                answer
                    .lines()
                    .find_map(|line| line.strip_prefix("Zxid: ").map(str::to_owned))
            })
            .collect();
        if zxids.iter().all(|zxid| zxid.is_some() && *zxid == zxids[0]) {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "the members do not come to rest: {zxids:?}");
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_as_whole_number() {
        let answer = "zk_version\t3.8.0\nzk_digest_mismatches_count\t0\nzk_synced_followers\t2.0\n";
        assert_eq!(counter(answer, "zk_digest_mismatches_count"), Some(0));
        assert_eq!(counter(answer, "zk_synced_followers"), Some(2));
        assert_eq!(counter(answer, "zk_none"), None);
    }
}
