//! What befalls the servers of a run, drawn from a seed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use super::Options;
use crate::ensemble::Ensemble;
use crate::ensemble::disk::Disk;
use crate::ensemble::network::{Cut, Network};
use crate::random::Random;
use crate::server::Product;

/// A server that is asked to end has so long; Java was seen to take 2 seconds on a loaded machine.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// After all faults are over, all servers serve within this time: an election, a synchronization, and the start of JVMs
/// on a loaded machine.
const BACK_WITHIN: Duration = Duration::from_secs(45);
/// Rounds of faults between two waits for all servers.
const ROUNDS_BEFORE_REST: u64 = 4;

/// One thing that can befall an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// One server is killed.
    Kill,
    /// One server is killed and started again at once.
    Restart,
    /// One server after the other is asked to end, and started again as soon as it has.
    Roll,
    /// All servers are killed at about the same time.
    KillAll,
    /// One server is asked to end.
    Stop,
    /// One server stands still.
    Pause,
    /// One server is cut off from all others.
    Isolate,
    /// The servers fall into two groups.
    Split,
    /// One server is not heard by any other.
    Mute,
    /// One server hears no other.
    Deafen,
    /// One server is not heard by one other.
    OneWay,
    /// One server's clients get no answers.
    NoAnswers,
    /// One server's disk is full.
    FillDisk,
}

/// As often as each stands here.
const CHOICE: [Fault; 20] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Restart,
    Fault::Restart,
    Fault::Restart,
    Fault::Roll,
    Fault::KillAll,
    Fault::Stop,
    Fault::Stop,
    Fault::Pause,
    Fault::Pause,
    Fault::Isolate,
    Fault::Isolate,
    Fault::Split,
    Fault::Mute,
    Fault::Deafen,
    Fault::OneWay,
    Fault::NoAnswers,
    Fault::FillDisk,
];

/// The servers with all that can be done to them.
#[derive(Debug)]
pub(super) struct Faults {
    ensemble: Ensemble,
    network: Network,
    disks: Vec<Disk>,
    random: Random,
    start: Instant,
    timeline: File,
    /// Servers whose disk was full since all served the last time: one may be on its way to its end because of that.
    full: BTreeSet<usize>,
    /// When the last fault was over.
    mended: Instant,
    /// Divides the times between faults.
    haste: u32,
    /// What may befall, as often as each stands here.
    choice: Vec<Fault>,
    figures: Figures,
}

/// What was done and seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// Faults by name, in the order of their first use.
    pub(super) faults: Vec<(String, u32)>,
    /// How long it took until all servers served again after the last of some faults was over.
    pub(super) recoveries: Vec<Duration>,
    /// Zebu servers that ended by themselves, or did not come back: none may.
    pub(super) wrong: Vec<String>,
    /// Java servers that did so.
    pub(super) odd: Vec<String>,
}

impl Faults {
    /// Takes the servers over; what is done to them is told in `timeline.log`.
    pub(super) fn new(
        ensemble: Ensemble,
        network: Network,
        disks: Vec<Disk>,
        random: Random,
        start: Instant,
        options: &Options,
        folder: &Path,
    ) -> Result<Self> {
        let choice: Vec<Fault> = CHOICE
            .into_iter()
            .filter(|fault| !options.without.contains(fault))
            .collect();
        ensure!(!choice.is_empty(), "no fault is left");
        let file = folder.join("timeline.log");
        Ok(Self {
            ensemble,
            network,
            disks,
            random,
            start,
            timeline: File::create(&file).with_context(|| format!("cannot make {}", file.display()))?,
            full: BTreeSet::new(),
            mended: start,
            haste: options.haste,
            choice,
            figures: Figures::default(),
        })
    }

    /// The servers.
    pub(super) fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// Kills all servers: their files change no more.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn kill_all(&mut self) -> Result<()> {
        (0..self.count()).try_for_each(|index| self.ensemble.member(index).kill())
    }

    /// What was done so far.
    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Lets things befall the servers for so long, and mends all.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub(super) fn run(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            for _ in 1..ROUNDS_BEFORE_REST {
                self.round()?;
                self.sleep(100, 2000);
            }
            self.round()?;
            self.rest()?;
        }
        Ok(())
    }

    /// One to three faults that overlap, and their end.
    fn round(&mut self) -> Result<()> {
        let count = 1 + self.random.below(5) / 2;
        for _ in 0..count {
            let fault = *self.random.pick(&self.choice);
            let target = self.target();
            self.strike(fault, target)?;
            self.sleep(100, 1500);
        }
        // Now and then longer than sessions live.
        let hold_ms = if self.random.once_in(5) { 8000 } else { 3500 };
        self.sleep(200, hold_ms);
        // Sometimes what is cut heals before what is down comes back, sometimes the other way round.
        if self.random.once_in(2) {
            self.tell("the network is whole");
            self.network.heal()?;
            self.sleep(0, 1000);
        }
        self.mend()
    }

    /// The leader, or any server.
    fn target(&mut self) -> usize {
        if self.random.once_in(2)
            && let Some(leader) = self.ensemble.leader()
        {
            return leader;
        }
        self.any()
    }

    /// Any server that runs, or any at all when none does.
    fn any(&mut self) -> usize {
        let count = self.count();
        let first = self.draw(count);
        let mut turn = (0..count).map(|step| (first + step) % count);
        turn.find(|index| self.ensemble.member(*index).is_running().unwrap_or(false))
            .unwrap_or(first)
    }

    fn count(&self) -> usize {
        self.ensemble.members().len()
    }

    fn draw(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap_or(0)
    }

    fn strike(&mut self, fault: Fault, target: usize) -> Result<()> {
        self.count_one(fault);
        let count = self.count();
        let others = (0..count).filter(|other| *other != target);
        let mut cuts = self.network.cuts().clone();
        let told = format!("{fault:?} {}", self.ensemble.members()[target].name());
        match fault {
            Fault::Kill => {
                self.tell(&told);
                self.ensemble.member(target).kill()?;
            }
            Fault::Restart => {
                self.tell(&told);
                self.ensemble.member(target).kill()?;
                self.ensemble.member(target).start()?;
            }
            Fault::Roll => {
                self.tell("Roll");
                for step in 0..count {
                    let index = (target + step) % count;
                    self.stop(index)?;
                    self.ensemble.member(index).start()?;
                    self.sleep(100, 1500);
                }
            }
            Fault::KillAll => {
                self.tell("KillAll");
                for index in 0..count {
                    self.ensemble.member(index).kill()?;
                }
            }
            Fault::Stop => {
                self.tell(&told);
                self.stop(target)?;
            }
            Fault::Pause => {
                self.tell(&told);
                self.ensemble.member(target).pause()?;
            }
            Fault::Isolate => cuts.extend(Cut::around(&[target], count)),
            Fault::Split => {
                let size = 1 + self.draw(count - 1);
                let group: Vec<usize> = (0..size).map(|step| (target + step) % count).collect();
                cuts.extend(Cut::around(&group, count));
            }
            Fault::Mute => cuts.extend(others.map(|other| Cut::hosts(target, other))),
            Fault::Deafen => cuts.extend(others.map(|other| Cut::hosts(other, target))),
            Fault::OneWay => {
                let other = (target + 1 + self.draw(count - 1)) % count;
                cuts.insert(Cut::hosts(target, other));
            }
            Fault::NoAnswers => {
                cuts.insert(Cut::answers_of(target));
            }
            Fault::FillDisk => {
                self.tell(&told);
                self.full.insert(target);
                self.disks[target].fill()?;
            }
        }
        if cuts != *self.network.cuts() {
            self.tell(&format!("{told}: cut are {cuts:?}"));
            self.network.cut(cuts)?;
        }
        Ok(())
    }

    fn count_one(&mut self, fault: Fault) {
        let name = format!("{fault:?}");
        match self.figures.faults.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.figures.faults.push((name, 1)),
        }
    }

    /// SIGTERM; what does not end is killed.
    fn stop(&mut self, target: usize) -> Result<()> {
        if !self.ensemble.member(target).is_running()? {
            return Ok(());
        }
        let name = self.ensemble.members()[target].name();
        if let Err(error) = self.ensemble.member(target).stop(STOP_WITHIN) {
            let line = format!("{error:#}");
            let first = line.lines().next().unwrap_or_default();
            self.note(target, &format!("{name} does not end at SIGTERM: {first}"));
        }
        Ok(())
    }

    /// Ends all faults and starts what is down.
    fn mend(&mut self) -> Result<()> {
        self.tell("all is mended");
        self.mended = Instant::now();
        self.network.heal()?;
        for index in 0..self.count() {
            self.disks[index].relieve()?;
            self.ensemble.member(index).resume()?;
            self.note_end(index)?;
            self.ensemble.member(index).start()?;
        }
        Ok(())
    }

    /// Writes down a process that has ended by itself.
    fn note_end(&mut self, index: usize) -> Result<()> {
        let was_full = self.full.contains(&index);
        let Some(status) = self.ensemble.member(index).ended()? else {
            return Ok(());
        };
        let member = &self.ensemble.members()[index];
        let text = format!("{} ended by itself: {status}", member.name());
        // A server without room for its log ends: that is what it is to do.
        let expected = was_full && status.code().is_some_and(|code| code > 0);
        if expected {
            self.tell(&format!("{text}, as its disk was full"));
        } else {
            let tail = member.log_tail(3);
            self.note(index, &format!("{text}: {tail}"));
        }
        Ok(())
    }

    /// Waits until all servers serve.
    fn rest(&mut self) -> Result<()> {
        let begin = self.mended;
        while let Err(error) = self.ensemble.wait_until_all_serve(BACK_WITHIN) {
            // Java is helped, so that its run can go on; zebu has failed.
            let roles = self.ensemble.roles();
            let text = format!("{error:#}");
            let first = text.lines().next().unwrap_or_default().to_owned();
            let silent: Vec<usize> = (0..self.count()).filter(|index| !roles[*index].serves()).collect();
            let helped: Vec<usize> = if silent.is_empty() {
                (0..self.count()).collect()
            } else {
                silent
            };
            for index in helped {
                let name = self.ensemble.members()[index].name();
                self.note(index, &format!("{name} had to be started again: {first}"));
                self.ensemble.member(index).kill()?;
                self.ensemble.member(index).start()?;
            }
            if begin.elapsed() > 3 * BACK_WITHIN {
                return Err(error);
            }
        }
        // Whoever is still there has got over it.
        self.full.clear();
        self.figures.recoveries.push(begin.elapsed());
        self.tell(&format!(
            "all serve after {:?}: {:?}",
            begin.elapsed(),
            self.ensemble.roles()
        ));
        self.sleep(300, 1500);
        Ok(())
    }

    fn note(&mut self, index: usize, text: &str) {
        self.tell(text);
        let list = match self.ensemble.members()[index].program() {
            Product::Zebu => &mut self.figures.wrong,
            Product::Java(_) => &mut self.figures.odd,
        };
        list.push(text.to_owned());
    }

    fn sleep(&mut self, from_ms: u64, to_ms: u64) {
        let ms = from_ms + self.random.below(to_ms - from_ms);
        thread::sleep(Duration::from_millis(ms) / self.haste);
    }

    /// A timeline that cannot be written does not change what is found.
    fn tell(&mut self, line: &str) {
        let _ = writeln!(self.timeline, "{:9.3} {line}", self.start.elapsed().as_secs_f64());
    }
}
