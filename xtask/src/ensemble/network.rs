//! A network of its own for every server, with a router between them that can drop what goes from one to another.
//!
//! Each host is a network namespace with one cable to the router, which is the namespace of this program; clients run
//! there too. Host `i` has the address `10.77.i.2` and the router `10.77.i.1` on that cable. A cut is a routing rule
//! "what comes from A and goes to B is dropped", so it has a direction, works on connections that stand, and is silent:
//! neither side hears anything, as with a broken switch. It needs nothing but iproute2 (no firewall, no packet scheduler).
//!
//! To be used inside of [`super::isolation`] only.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::isolation;
use super::member::Place;

/// A cut of what goes from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// Who is not heard.
    pub from: End,
    /// Who does not hear.
    pub to: End,
}

/// One end of a way through the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The host with this index.
    Host(usize),
    /// The clients of the host at the other end.
    Clients,
}

impl Cut {
    /// What host `from` sends to host `to`.
    pub fn hosts(from: usize, to: usize) -> Self {
        Self {
            from: End::Host(from),
            to: End::Host(to),
        }
    }

    /// Both directions between each host of `some` and each other one of `count`.
    pub fn around(some: &[usize], count: usize) -> BTreeSet<Self> {
        let mut cuts = BTreeSet::new();
        for inside in some {
            for outside in (0..count).filter(|host| !some.contains(host)) {
                cuts.insert(Self::hosts(*inside, outside));
                cuts.insert(Self::hosts(outside, *inside));
            }
        }
        cuts
    }

    /// The answers of host `host` to its clients; they get none, and it gets what they send.
    pub fn answers_of(host: usize) -> Self {
        Self {
            from: End::Host(host),
            to: End::Clients,
        }
    }

    fn rule(self) -> Result<String> {
        let (from, to) = match (self.from, self.to) {
            (End::Host(from), End::Host(to)) => (host_address(from)?, host_address(to)?),
            (End::Host(from), End::Clients) => (host_address(from)?, router_address(from)?),
            (End::Clients, End::Host(to)) => bail!("what clients send to {to} would be refused, not dropped"),
            (End::Clients, End::Clients) => bail!("clients are one host"),
        };
        Ok(format!("from {from} to {to} blackhole"))
    }
}

/// Hosts and the router between them. They are gone when this is dropped, at the latest when the program ends.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Host>,
    cuts: BTreeSet<Cut>,
}

/// A process that does nothing but hold a network namespace open. It ends when its standard input is closed.
#[derive(Debug)]
struct Host(Child);

impl Host {
    fn new() -> Result<Self> {
        let child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start unshare")?;
        let mut host = Self(child);
        // The first line says that the process is in its namespace; before, it is still in ours.
        let mut line = [0];
        let stdout = host.0.stdout.as_mut().context("no pipe")?;
        std::io::Read::read_exact(stdout, &mut line).context("unshare made no network namespace")?;
        Ok(host)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both fail only for a child that is gone already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Network {
    /// Builds the network for so many hosts.
    ///
    /// # Errors
    /// When this program is not isolated, or a namespace, interface or route cannot be made.
    pub fn build(hosts: usize) -> Result<Self> {
        ensure!(
            isolation::is_inside(),
            "a network is only built inside of namespaces of this program's own"
        );
        for (file, value) in [
            ("ip_forward", "1"),
            // The answers to what is dropped in one direction must pass in the other: no look at the way back.
            ("conf/all/rp_filter", "0"),
            ("conf/default/rp_filter", "0"),
        ] {
            let file = format!("/proc/sys/net/ipv4/{file}");
            fs::write(&file, value).with_context(|| format!("cannot write {file}"))?;
        }
        // Rules of cuts must stand before the rule for what is addressed to this host, which comes first otherwise.
        batch(
            None,
            "link set lo up\nrule add pref 200 lookup local\nrule del pref 0 lookup local\n",
        )?;
        let hosts: Vec<Host> = (0..hosts).map(|_| Host::new()).collect::<Result<_>>()?;
        for (index, host) in hosts.iter().enumerate() {
            let pid = host.pid();
            let (router, address) = (router_address(index)?, host_address(index)?);
            batch(
                None,
                &format!(
                    "link add host{index} type veth peer name eth0 netns /proc/{pid}/ns/net\n\
                     addr add {router}/24 dev host{index}\nlink set host{index} up\n"
                ),
            )?;
            batch(
                Some(pid),
                &format!(
                    "link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\nroute add default via {router}\n"
                ),
            )?;
        }
        Ok(Self {
            hosts,
            cuts: BTreeSet::new(),
        })
    }

    /// Where a server of the host with this index listens, with ZooKeeper's usual ports.
    ///
    /// # Errors
    /// When the host's number does not fit its address.
    pub fn places(&self) -> Result<Vec<Place>> {
        let place = |(index, host): (usize, &Host)| {
            Ok(Place {
                address: host_address(index)?,
                client_port: 2181,
                quorum_port: 2888,
                election_port: 3888,
                namespace_pid: Some(host.pid()),
            })
        };
        self.hosts.iter().enumerate().map(place).collect()
    }

    /// What is cut just now.
    pub fn cuts(&self) -> &BTreeSet<Cut> {
        &self.cuts
    }

    /// Cuts exactly these ways; those that were cut and are not named are open again.
    ///
    /// # Errors
    /// When the rules cannot be changed.
    pub fn cut(&mut self, cuts: BTreeSet<Cut>) -> Result<()> {
        let mut rules = String::new();
        for cut in self.cuts.difference(&cuts) {
            rules.push_str(&format!("rule del pref 100 {}\n", cut.rule()?));
        }
        for cut in cuts.difference(&self.cuts) {
            rules.push_str(&format!("rule add pref 100 {}\n", cut.rule()?));
        }
        if !rules.is_empty() {
            batch(None, &rules)?;
        }
        self.cuts = cuts;
        Ok(())
    }

    /// Opens all ways.
    ///
    /// # Errors
    /// When the rules cannot be changed.
    pub fn heal(&mut self) -> Result<()> {
        self.cut(BTreeSet::new())
    }
}

fn host_address(index: usize) -> Result<Ipv4Addr> {
    Ok(Ipv4Addr::new(10, 77, u8::try_from(index)?, 2))
}

fn router_address(index: usize) -> Result<Ipv4Addr> {
    Ok(Ipv4Addr::new(10, 77, u8::try_from(index)?, 1))
}

/// Runs lines of `ip` in the namespace of a process, or in ours.
fn batch(namespace_pid: Option<u32>, lines: &str) -> Result<()> {
    let mut command = match namespace_pid {
        None => Command::new("ip"),
        Some(pid) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net=/proc/{pid}/ns/net")).args(["--", "ip"]);
            command
        }
    };
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start ip: it comes with iproute2")?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    stdin.write_all(lines.as_bytes()).context("ip takes no lines")?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "ip fails at one of these lines:\n{lines}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_around_some_goes_both_ways_and_leaves_them_together() {
        let cuts = Cut::around(&[0, 1], 3);
        let expected: BTreeSet<Cut> = [(0, 2), (2, 0), (1, 2), (2, 1)]
            .map(|(from, to)| Cut::hosts(from, to))
            .into();
        assert_eq!(cuts, expected);
    }

    #[test]
    fn rules_name_both_addresses() {
        assert_eq!(
            Cut::hosts(0, 4).rule().unwrap(),
            "from 10.77.0.2 to 10.77.4.2 blackhole"
        );
        assert_eq!(
            Cut::answers_of(3).rule().unwrap(),
            "from 10.77.3.2 to 10.77.3.1 blackhole"
        );
    }

    #[test]
    fn no_network_is_built_outside_of_namespaces() {
        assert!(Network::build(1).is_err());
    }
}
