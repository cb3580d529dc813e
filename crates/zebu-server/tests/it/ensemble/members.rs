//! An ensemble in this process: every member a server of its own, with its own directory and ports.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;

use tempfile::TempDir;
use zebu_proto::Sid;
use zebu_proto::quorum::{MemberAddress, QuorumConfig, Role};
use zebu_server::config::{FourLetterWords, Listen, SystemProperties};
use zebu_server::{Config, Server, StartError};

use crate::support::ports::free_port;
use crate::support::{self, Client, Handshake, until};

/// What the members are told beside who they are.
type Configure = Box<dyn Fn(&mut Config)>;

/// The members of an ensemble, running or not. Voters have the numbers from 1 on, observers those behind them.
pub(crate) struct Members {
    members: Vec<Member>,
    membership: QuorumConfig,
    configure: Configure,
    /// So many of them are the ensemble when it begins; it changes, and every server keeps it in files. `None`: it never
    /// does.
    first: Option<usize>,
}

struct Member {
    dir: TempDir,
    client: SocketAddr,
    server: Option<Server>,
}

impl Members {
    /// An ensemble of so many voters, all running, with a leader that a quorum follows.
    pub(crate) fn start(voters: usize, configure: impl Fn(&mut Config) + 'static) -> Self {
        let mut members = Self::with_observers(voters, 0, configure);
        members.start_all();
        members.leader();
        members
    }

    /// The same with observers, and none of them started yet.
    pub(crate) fn with_observers(voters: usize, observers: usize, configure: impl Fn(&mut Config) + 'static) -> Self {
        Self::at(|_| Ipv4Addr::LOCALHOST, voters, observers, configure)
    }

    /// The same, each member at an address of its own, as if they were on different machines.
    pub(crate) fn apart(voters: usize, observers: usize, configure: impl Fn(&mut Config) + 'static) -> Self {
        let host = |number| Ipv4Addr::new(127, 0, 0, u8::try_from(number).unwrap());
        Self::at(host, voters, observers, configure)
    }

    fn at(
        host: impl Fn(usize) -> Ipv4Addr,
        voters: usize,
        observers: usize,
        configure: impl Fn(&mut Config) + 'static,
    ) -> Self {
        let mut membership = QuorumConfig::default();
        let mut members = Vec::new();
        for number in 1..=voters + observers {
            let (quorum, election, client) = (free_port(), free_port(), free_port());
            let part = if number > voters { ":observer" } else { "" };
            let line = format!("{}:{quorum}:{election}{part}", host(number));
            membership.add(&format!("server.{number}"), &line).unwrap();
            members.push(Member {
                dir: tempfile::tempdir().unwrap(),
                client: (Ipv4Addr::LOCALHOST, client).into(),
                server: None,
            });
        }
        Self {
            members,
            membership,
            configure: Box::new(configure),
            first: None,
        }
    }

    /// Servers of which the first ones are an ensemble, and the others may join it. None of them is started.
    pub(crate) fn changing(count: usize, first: usize, configure: impl Fn(&mut Config) + 'static) -> Self {
        let members = Self {
            first: Some(first),
            ..Self::with_observers(count, 0, configure)
        };
        for number in members.all() {
            let mut text = format!(
                "tickTime=100\nreconfigEnabled=true\ninitLimit=100\nsyncLimit=50\ndataDir={}\n",
                members.path(number).display()
            );
            for other in members.all().filter(|other| *other <= first || *other == number) {
                text += &(members.line(other) + "\n");
            }
            if first == 1 {
                text += "standaloneEnabled=false\n";
            }
            std::fs::write(members.path(number).join("zoo.cfg"), text).unwrap();
            std::fs::write(members.path(number).join("myid"), number.to_string()).unwrap();
        }
        members
    }

    fn path(&self, number: usize) -> &Path {
        self.members[number - 1].dir.path()
    }

    /// Its line in a list of servers, as that of a voter.
    pub(crate) fn line(&self, number: usize) -> String {
        let addresses = self.addresses(number);
        let client = self.members[number - 1].client;
        format!("server.{number}={addresses}:participant;{client}")
    }

    /// Whether it runs.
    pub(crate) fn is_running(&self, number: usize) -> bool {
        self.members[number - 1].server.is_some()
    }

    /// The numbers of all members.
    pub(crate) fn all(&self) -> impl Iterator<Item = usize> + use<> {
        1..=self.members.len()
    }

    /// Members that are started from now on are told this as well.
    pub(crate) fn configure(&mut self, more: impl Fn(&mut Config) + 'static) {
        let before = std::mem::replace(&mut self.configure, Box::new(|_| {}));
        self.configure = Box::new(move |config| {
            before(config);
            more(config);
        });
    }

    /// Starts a member that is not running.
    pub(crate) fn run(&mut self, number: usize) {
        self.try_to_run(number).unwrap();
    }

    /// The same, when its ports may be taken.
    pub(crate) fn try_to_run(&mut self, number: usize) -> Result<(), StartError> {
        let member = &mut self.members[number - 1];
        assert!(member.server.is_none(), "{number} runs already");
        let sid = Sid(i64::try_from(number).unwrap());
        let mut config = Config::for_test(member.dir.path());
        if self.first.is_some() {
            let file = member.dir.path().join("zoo.cfg");
            (config, _) = Config::load(Some(&file), &SystemProperties::default()).unwrap();
            config.four_letter_words = FourLetterWords::all();
            config.limits.max_client_cnxns = None;
            config.sessions.max_timeout_ms = 60_000;
            (self.configure)(&mut config);
            member.server = Some(Server::start(config)?);
            return Ok(());
        }
        config.client = Some(Listen {
            host: Some(member.client.ip()),
            port: member.client.port(),
        });
        config.server_id = Some(sid);
        config.ensemble.membership = self.membership.clone();
        if !self.membership.is_participant(sid) {
            config.ensemble.role = Role::Observer;
        }
        // Ten seconds and five: a busy machine must not look like a broken one.
        config.ensemble.init_limit_ticks = NonZeroU32::new(100);
        config.ensemble.sync_limit_ticks = NonZeroU32::new(50);
        (self.configure)(&mut config);
        member.server = Some(Server::start(config)?);
        Ok(())
    }

    /// Starts all that are not running.
    pub(crate) fn start_all(&mut self) {
        for number in self.all() {
            if self.members[number - 1].server.is_none() {
                self.run(number);
            }
        }
    }

    /// Stops a member and waits until it has ended.
    pub(crate) fn stop(&mut self, number: usize) {
        self.members[number - 1].server.take().unwrap().stop();
    }

    /// Where its clients connect.
    pub(crate) fn address(&self, number: usize) -> SocketAddr {
        self.members[number - 1].client
    }

    /// Where learners reach it while it leads.
    pub(crate) fn quorum_port(&self, number: usize) -> SocketAddr {
        (self.host(number), self.addresses(number).quorum_port).into()
    }

    /// Where votes are exchanged.
    pub(crate) fn election_port(&self, number: usize) -> SocketAddr {
        (self.host(number), self.addresses(number).election_port).into()
    }

    /// Where other servers reach it.
    pub(crate) fn host(&self, number: usize) -> Ipv4Addr {
        self.addresses(number).host.parse().unwrap()
    }

    fn addresses(&self, number: usize) -> &MemberAddress {
        &self.membership.members[&Sid(i64::try_from(number).unwrap())].addresses[0]
    }

    /// A member that does not run loses everything that it has on disk.
    pub(crate) fn wipe(&self, number: usize) {
        let member = &self.members[number - 1];
        assert!(member.server.is_none(), "{number} runs");
        std::fs::remove_dir_all(member.dir.path().join("version-2")).unwrap();
    }

    /// The names of the files that it has on disk.
    pub(crate) fn files(&self, number: usize) -> Vec<String> {
        let folder = std::fs::read_dir(self.members[number - 1].dir.path().join("version-2")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// A client of it with a new session, as soon as it serves clients.
    pub(crate) fn client(&self, number: usize, timeout_ms: i32) -> Client {
        let mut client = None;
        until(&format!("{number} serves a client"), || {
            client = Client::shake_hands(self.address(number), &Handshake::new(timeout_ms));
            client.is_some()
        });
        client.unwrap()
    }

    /// Its answer to a four-letter word.
    pub(crate) fn word(&self, number: usize, word: &str) -> String {
        support::word(self.address(number), word.as_bytes())
    }

    /// What `mntr` says of it under this key, without the prefix.
    pub(crate) fn value(&self, number: usize, key: &str) -> Option<String> {
        let answer = self.word(number, "mntr");
        let mut lines = answer
            .lines()
            .filter_map(|line| line.strip_prefix("zk_")?.split_once('\t'));
        lines.find_map(|(found, value)| (found == key).then(|| value.to_owned()))
    }

    /// What it is at the moment, as `srvr` calls it; nothing if it serves nobody.
    pub(crate) fn mode(&self, number: usize) -> Option<String> {
        self.members[number - 1].server.as_ref()?;
        let answer = self.word(number, "srvr");
        let mode = answer.lines().find_map(|line| line.strip_prefix("Mode: "))?;
        Some(mode.to_owned())
    }

    /// Waits until it is this.
    pub(crate) fn until_mode(&self, number: usize, mode: &str) {
        until(&format!("{number} is {mode}"), || {
            self.mode(number).as_deref() == Some(mode)
        });
    }

    /// Waits until all members that run serve their clients. Returns the leader.
    pub(crate) fn leader(&self) -> usize {
        let mut leader = None;
        until("all serve, one leads", || {
            let running = self.all().filter(|number| self.members[number - 1].server.is_some());
            let modes: Vec<_> = running.map(|number| (number, self.mode(number))).collect();
            let mut leaders = modes.iter().filter(|(_, mode)| mode.as_deref() == Some("leader"));
            leader = leaders.next().map(|(number, _)| *number);
            let is_one = leader.is_some() && leaders.next().is_none();
            is_one && modes.iter().all(|(_, mode)| mode.is_some())
        });
        leader.unwrap()
    }

    /// A member that runs and does not lead.
    pub(crate) fn follower(&self) -> usize {
        self.other_than(self.leader())
    }

    /// The first member that runs and is another.
    pub(crate) fn other_than(&self, not: usize) -> usize {
        let mut others = self.all().filter(|number| *number != not);
        others.find(|number| self.members[number - 1].server.is_some()).unwrap()
    }
}
