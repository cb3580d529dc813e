//! `cargo xtask ensemble`: servers on this machine to try things with.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Ensemble, Member, Place, Role, Setup};
use crate::context;
use crate::java::JavaVersion;
use crate::server::Product;
use crate::workspace::Workspace;

/// A JVM on a loaded machine takes some seconds, and three of them share it.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// More than this is a hang.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How soon a change of leader is told.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What `cargo xtask ensemble` takes.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How many servers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    servers: u16,
    /// The first server's client port; the others follow, and 707 and 1707 higher the ports between servers
    #[arg(long, default_value_t = 2181, value_parser = clap::value_parser!(u16).range(1024..60000))]
    port: u16,
    /// Start Debian's Java servers in place of zebu
    #[arg(long)]
    java: bool,
    /// Go on with the data of the last run
    #[arg(long)]
    keep_data: bool,
}

/// Starts the servers, says who leads whenever that changes, and ends them at ^C.
///
/// # Errors
/// When the servers cannot be built or started, or one does not end when asked.
pub fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen to signals")?;
    let program = if options.java {
        Product::Java(JavaVersion::Debian38)
    } else {
        build(workspace)?;
        Product::Zebu
    };
    let folder = workspace.target().join("ensemble");
    if !options.keep_data && folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let places = Place::loopback(options.port, options.servers);
    let programs = vec![program; places.len()];
    let mut ensemble = Ensemble::prepare(workspace, &folder, &Setup::default(), &programs, &places)?;
    // From here on a signal is an event, so that the servers end in every case.
    let (asked_to_end, end) = mpsc::channel();
    thread::spawn(move || {
        for _ in signals.forever() {
            // Nobody waits any more when the servers are ending already.
            let _ = asked_to_end.send(());
        }
    });
    ensemble.start()?;
    println!("starting {} servers of {}", options.servers, program.name());
    if wait(&mut ensemble, &end)? {
        introduce(&ensemble, &folder)?;
        watch(&mut ensemble, &end)?;
    }
    println!("ending the servers");
    ensemble.stop(STOP_WITHIN)?;
    Ok(true)
}

/// The release build of zebu, as a user would make it.
fn build(workspace: &Workspace) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "zebu-cli"])
        .current_dir(workspace.root())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the build of zebu fails");
    Ok(())
}

/// Waits until all serve; `false` when asked to end before.
fn wait(ensemble: &mut Ensemble, end: &mpsc::Receiver<()>) -> Result<bool> {
    // A look takes no longer than its own short limit, so ^C is heard at once.
    let looks = READY_WITHIN.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        if end.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
            return Ok(false);
        }
        if ensemble.wait_until_all_serve(Duration::ZERO).is_ok() {
            return Ok(true);
        }
        if ensemble
            .members
            .iter_mut()
            .any(|member| !matches!(member.ended(), Ok(None)))
        {
            break;
        }
    }
    // Its error says why.
    ensemble.wait_until_all_serve(Duration::ZERO).map(|_| true)
}

fn introduce(ensemble: &Ensemble, folder: &Path) -> Result<()> {
    println!("\n  id  leads  process  clients          log");
    for (member, role) in ensemble.members().iter().zip(ensemble.roles()) {
        println!(
            "  {:<2}  {:5}  {:7}  {:15}  {}",
            member.sid(),
            if role == Role::Leader { "leads" } else { "" },
            member.pid().unwrap_or(0),
            member.client().to_string(),
            member.log().display()
        );
    }
    let addresses: Vec<String> = ensemble
        .members()
        .iter()
        .map(|member| member.client().to_string())
        .collect();
    println!("\nclients connect to {}", addresses.join(","));
    if let Some(leader) = ensemble.leader().map(|leader| &ensemble.members()[leader]) {
        println!("kill the leader:   kill -9 {}", leader.pid().unwrap_or(0));
        println!("start it again:    {}", context::describe(&brief(leader)?));
    }
    println!("files lie in       {}", folder.display());
    println!("^C ends all servers\n");
    Ok(())
}

/// The command that starts a member, as one would type it.
fn brief(member: &Member) -> Result<Command> {
    let command = member.command()?;
    if member.program() == Product::Zebu {
        return Ok(command);
    }
    // Debian's own script sets the class path that the harness sets by hand.
    let mut brief = Command::new("/usr/share/zookeeper/bin/zkServer.sh");
    brief.arg("start-foreground").arg(member.folder().join("zoo.cfg"));
    Ok(brief)
}

/// Tells what changes until asked to end.
fn watch(ensemble: &mut Ensemble, end: &mpsc::Receiver<()>) -> Result<()> {
    let mut leader = ensemble.leader();
    while end.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        for member in &mut ensemble.members {
            if let Some(status) = member.ended()? {
                println!("{} has ended: {status}", member.name());
                // Only once.
                member.kill()?;
            }
        }
        let now = ensemble.leader();
        if now != leader {
            match now {
                Some(index) => println!("{} leads", ensemble.members()[index].name()),
                None => println!("nobody leads"),
            }
            leader = now;
        }
    }
    Ok(())
}
