//! One server of an ensemble: its files and its process.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::Signal;

use super::Setup;
use crate::java::{self, JavaOptions};
use crate::process::{self, Process};
use crate::server::Product;
use crate::workspace::Workspace;
use crate::zebu;

/// How long a server may take to answer a four-letter word before it counts as silent. One that is cut off or paused
/// must not hold up the looks at the others.
const WORD_WITHIN: Duration = Duration::from_millis(700);

/// Where a member listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address of all three ports.
    pub address: Ipv4Addr,
    /// For clients.
    pub client_port: u16,
    /// For learners, while this member leads.
    pub quorum_port: u16,
    /// For the election.
    pub election_port: u16,
    /// A process whose network namespace is the member's; the one of this program when absent.
    pub namespace_pid: Option<u32>,
}

impl Place {
    /// Places for `count` members on the loopback address: client ports from `first` on, quorum ports from `first` + 707
    /// and election ports from `first` + 1707, as 2181, 2888 and 3888 lie.
    pub fn loopback(first: u16, count: u16) -> Vec<Self> {
        let place = |index| Self {
            address: Ipv4Addr::LOCALHOST,
            client_port: first + index,
            quorum_port: first + 707 + index,
            election_port: first + 1707 + index,
            namespace_pid: None,
        };
        (0..count).map(place).collect()
    }

    /// Places for `count` members on free ports of the loopback address.
    ///
    /// # Errors
    /// When there are not enough free ports.
    pub fn loopback_free(count: u16) -> Result<Vec<Self>> {
        let first = crate::ports::free_ports(3 * count)?;
        let place = |index| Self {
            address: Ipv4Addr::LOCALHOST,
            client_port: first + 3 * index,
            quorum_port: first + 3 * index + 1,
            election_port: first + 3 * index + 2,
            namespace_pid: None,
        };
        Ok((0..count).map(place).collect())
    }

    /// The client port's address.
    pub fn client(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address), self.client_port)
    }
}

/// What a server says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It leads.
    Leader,
    /// It follows and votes.
    Follower,
    /// It follows and does not vote.
    Observer,
    /// It is alone.
    Standalone,
    /// It serves reads without a quorum.
    ReadOnly,
    /// It answers, but serves nobody.
    Idle,
    /// It does not answer.
    Silent,
}

impl Role {
    /// Whether clients are served with reads and writes.
    pub fn serves(&self) -> bool {
        matches!(self, Self::Leader | Self::Follower | Self::Observer | Self::Standalone)
    }

    /// What the answer to `srvr` says.
    fn of(answer: &str) -> Self {
        let mode = answer.lines().find_map(|line| line.strip_prefix("Mode: "));
        match mode {
            Some("leader") => Self::Leader,
            Some("follower") => Self::Follower,
            Some("observer") => Self::Observer,
            Some("standalone") => Self::Standalone,
            Some("read-only") => Self::ReadOnly,
            _ => Self::Idle,
        }
    }
}

/// The id of the member with this index.
pub(super) fn sid(index: usize) -> u8 {
    u8::try_from(index + 1).expect("ensembles of tests are small")
}

/// A member: running, paused, or not running. Dropping it kills its process.
#[derive(Debug)]
pub struct Member {
    sid: u8,
    program: Product,
    place: Place,
    folder: PathBuf,
    workspace: Workspace,
    java: JavaOptions,
    process: Option<Process>,
    is_paused: bool,
}

impl Member {
    /// Writes the files of a member into `folder`: `zoo.cfg` and `data/myid`.
    pub(super) fn prepare(
        workspace: &Workspace,
        folder: &Path,
        sid: u8,
        program: Product,
        setup: &Setup,
        place: &Place,
        places: &[Place],
    ) -> Result<Self> {
        let data = folder.join("data");
        fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let write = |file: PathBuf, text: String| {
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
        };
        write(data.join("myid"), format!("{sid}\n"))?;
        write(folder.join("zoo.cfg"), configuration(&data, sid, setup, places))?;
        Ok(Self {
            sid,
            program,
            place: place.clone(),
            folder: folder.to_path_buf(),
            workspace: workspace.clone(),
            java: setup.java.clone(),
            process: None,
            is_paused: false,
        })
    }

    /// Its id in the ensemble.
    pub fn sid(&self) -> u8 {
        self.sid
    }

    /// Its name in messages: `server 2 (zebu)`.
    pub fn name(&self) -> String {
        format!("server {} ({})", self.sid, self.program.name())
    }

    /// What it runs.
    pub fn program(&self) -> Product {
        self.program
    }

    /// Lets it run another program from its next start on, on the same data.
    pub fn change_program(&mut self, program: Product) {
        self.program = program;
    }

    /// The client port's address.
    pub fn client(&self) -> SocketAddr {
        self.place.client()
    }

    /// Where its files lie: `zoo.cfg`, `server.log` and the folder `data`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The file with everything that its processes printed, one after the other.
    pub fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        process::tail(&self.log(), lines)
    }

    /// The command that starts it, as [`Member::start`] does.
    ///
    /// # Errors
    /// When the program is not installed.
    pub fn command(&self) -> Result<Command> {
        let mut command = match self.program {
            Product::Zebu => zebu::serve_command(&self.workspace, &self.java.properties)?,
            Product::Java(version) => java::command(&self.workspace, version, &self.java, java::SERVER_MAIN)?,
        };
        command.arg(self.folder.join("zoo.cfg"));
        if let Some(pid) = self.place.namespace_pid {
            command = entering(pid, &command);
        }
        command.current_dir(&self.folder);
        Ok(command)
    }

    /// Starts its process, unless it runs, and does not wait.
    ///
    /// # Errors
    /// When the program is not installed or cannot be started.
    pub fn start(&mut self) -> Result<()> {
        if self.is_running()? {
            return Ok(());
        }
        let mut command = self.command()?;
        // A group of its own: ^C at a terminal goes to the harness, which ends its servers in its own order.
        command.process_group(0);
        self.process = Some(Process::spawn(&self.name(), &mut command, &self.log())?);
        self.is_paused = false;
        Ok(())
    }

    /// Whether it has a process that has not ended; a paused one has.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.is_some() && self.ended()?.is_none())
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// The id of its process, if it was started.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// How its process ended by itself, if it did.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.as_mut().map_or(Ok(None), Process::ended)
    }

    /// Kills its process where it stands (SIGKILL), if it has one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.is_paused = false;
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Ends its process with SIGTERM, if it has one; a paused one goes on for that.
    ///
    /// # Errors
    /// When it does not end `within` this time: it is killed then.
    pub fn stop(&mut self, within: Duration) -> Result<Option<ExitStatus>> {
        self.resume()?;
        let Some(mut process) = self.process.take() else {
            return Ok(None);
        };
        process.stop(within).map(Some)
    }

    /// Asks its process to end (SIGTERM), and does not wait.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn ask_to_stop(&mut self) -> Result<()> {
        self.process
            .as_mut()
            .map_or(Ok(()), |process| process.signal(Signal::TERM))
    }

    /// Freezes its process (SIGSTOP).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn pause(&mut self) -> Result<()> {
        if let Some(process) = &mut self.process {
            process.signal(Signal::STOP)?;
            self.is_paused = true;
        }
        Ok(())
    }

    /// Lets a frozen process go on (SIGCONT).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn resume(&mut self) -> Result<()> {
        if let Some(process) = self.process.as_mut().filter(|_| self.is_paused) {
            process.signal(Signal::CONT)?;
        }
        self.is_paused = false;
        Ok(())
    }

    /// What it says it is.
    pub fn role(&self) -> Role {
        match process::four_letter_word_within(self.client(), "srvr", WORD_WITHIN) {
            Ok(answer) => Role::of(&answer),
            Err(_) => Role::Silent,
        }
    }

    /// Waits until it answers four-letter words, whether it serves clients or not.
    ///
    /// # Errors
    /// As [`Member::wait_until_serving`].
    pub fn wait_until_answering(&mut self, within: Duration) -> Result<()> {
        let (address, name) = (self.client(), self.name());
        let process = self.process.as_mut().ok_or_else(|| anyhow!("{name} does not run"))?;
        process.wait_until(within, || {
            process::four_letter_word_within(address, "ruok", WORD_WITHIN).is_ok()
        })
    }

    /// Waits until its election port is open: others hear of it from then on. A Java server answers four-letter words
    /// before that.
    ///
    /// # Errors
    /// As [`Member::wait_until_answering`].
    pub fn wait_until_voting(&mut self, within: Duration) -> Result<()> {
        let (address, name) = ((self.place.address, self.place.election_port), self.name());
        let process = self.process.as_mut().ok_or_else(|| anyhow!("{name} does not run"))?;
        process.wait_until(within, || TcpStream::connect(address).is_ok())
    }

    /// Waits until it serves clients.
    ///
    /// # Errors
    /// When it has no process, its process ends first, or it does not serve `within` this time.
    pub fn wait_until_serving(&mut self, within: Duration) -> Result<Role> {
        let deadline = Instant::now() + within;
        let address = self.client();
        let name = self.name();
        let process = self.process.as_mut().ok_or_else(|| anyhow!("{name} does not run"))?;
        let mut role = Role::Silent;
        process.wait_until(deadline.saturating_duration_since(Instant::now()), || {
            role = process::four_letter_word_within(address, "srvr", WORD_WITHIN)
                .map_or(Role::Silent, |answer| Role::of(&answer));
            role.serves()
        })?;
        Ok(role)
    }
}

/// The text of a member's `zoo.cfg`.
fn configuration(data: &Path, own: u8, setup: &Setup, places: &[Place]) -> String {
    let own = usize::from(own - 1);
    let place = &places[own];
    let mut text = format!(
        "dataDir={}\nclientPort={}\nclientPortAddress={}\ntickTime={}\ninitLimit={}\nsyncLimit={}\n\
         admin.enableServer=false\n4lw.commands.whitelist=*\n",
        data.display(),
        place.client_port,
        place.address,
        setup.tick_ms,
        setup.init_limit_ticks,
        setup.sync_limit_ticks
    );
    for (index, other) in places.iter().enumerate() {
        let role = if setup.observers.contains(&index) {
            ":observer"
        } else {
            ""
        };
        text.push_str(&format!(
            "server.{}={}:{}:{}{role}\n",
            sid(index),
            other.address,
            other.quorum_port,
            other.election_port
        ));
    }
    if setup.observers.contains(&own) {
        text.push_str("peerType=observer\n");
    }
    for line in setup.lines.iter().chain(setup.lines_of.get(&own).into_iter().flatten()) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// `command` in the network namespace of another process; it keeps the process id that this one is given.
fn entering(pid: u32, command: &Command) -> Command {
    let mut inside = Command::new("nsenter");
    inside.arg(format!("--net=/proc/{pid}/ns/net")).arg("--");
    inside.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_told_of_all_places() {
        let places = Place::loopback(2181, 2);
        let setup = Setup {
            lines: vec!["snapCount=500".to_owned()],
            ..Setup::default()
        };
        let text = configuration(Path::new("/data"), 2, &setup, &places);
        let expected = "\
dataDir=/data
clientPort=2182
clientPortAddress=127.0.0.1
tickTime=2000
initLimit=10
syncLimit=5
admin.enableServer=false
4lw.commands.whitelist=*
server.1=127.0.0.1:2888:3888
server.2=127.0.0.1:2889:3889
snapCount=500
";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_observer_is_told_so_and_known_as_one() {
        let places = Place::loopback(2181, 2);
        let setup = Setup {
            observers: [1].into(),
            lines_of: [(1, vec!["observerMasterPort=2191".to_owned()])].into(),
            ..Setup::default()
        };
        let [voter, observer] = [1, 2].map(|sid| configuration(Path::new("/data"), sid, &setup, &places));
        assert!(voter.ends_with("server.2=127.0.0.1:2889:3889:observer\n"), "{voter}");
        assert!(observer.ends_with(":observer\npeerType=observer\nobserverMasterPort=2191\n"));
    }

    #[test]
    fn the_answer_to_srvr_tells_the_role() {
        assert_eq!(Role::of("Zookeeper version: x\nMode: leader\n"), Role::Leader);
        assert_eq!(Role::of("Mode: follower"), Role::Follower);
        let idle = Role::of("This ZooKeeper instance is not currently serving requests\n");
        assert_eq!(idle, Role::Idle);
        assert!(!idle.serves());
    }

    #[test]
    fn a_command_keeps_its_environment_inside_of_a_namespace() {
        let mut command = Command::new("java");
        command.args(["-cp", "x"]).env("A", "1").env_remove("B");
        let inside = entering(7, &command);
        assert_eq!(
            crate::context::describe(&inside),
            "nsenter --net=/proc/7/ns/net -- java -cp x"
        );
        assert_eq!(inside.get_envs().count(), 2);
    }
}
