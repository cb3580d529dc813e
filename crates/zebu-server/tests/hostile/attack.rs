//! What the attacks have in common.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;

use crate::server::{self, Target};
use crate::witness::Witness;
use crate::{deaf, garbage, slow, wire};

/// Hostile connections of one attack.
pub(crate) const CONNECTIONS: usize = 10_000;
/// Descriptors that a process needs beside them.
const OTHER_FILES: u64 = 200;
/// Connections being made at the same time; the queue of the listener has a thousand places.
const CONNECTING_MAX: usize = 200;
/// Rounds of the witness while all connections of an attack stand.
const ROUNDS: u64 = 200;
/// Attackers take no more than this from the server into their own sockets.
const RECEIVE_BUFFER_BYTES: u32 = 4096;
/// No attack takes nearly so long; a test that hangs is to say so.
const PATIENCE: Duration = Duration::from_secs(240);

/// What attackers know.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    connecting: Arc<Semaphore>,
    rounds: watch::Receiver<u64>,
    ready: watch::Sender<usize>,
    connections: usize,
}

impl Stage {
    /// A stage for so many connections to the server at this address, with a witness that has done so many rounds.
    pub(crate) fn new(address: SocketAddr, rounds: watch::Receiver<u64>, connections: usize) -> Self {
        Self {
            address,
            connecting: Arc::new(Semaphore::new(CONNECTING_MAX)),
            rounds,
            ready: watch::Sender::new(0),
            connections,
        }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let _turn = self.connecting.acquire().await.expect("it is never closed");
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.connect(self.address).await
    }

    /// A new connection with a session.
    pub(crate) async fn connect_with_session(&self) -> io::Result<TcpStream> {
        let mut stream = self.connect().await?;
        stream.write_all(&wire::connect(60_000)).await?;
        stream.read_exact(&mut [0; wire::CONNECT_RESPONSE_BYTES]).await?;
        Ok(stream)
    }

    /// As [`Stage::stand`], with an open connection.
    pub(crate) async fn stand_with(&self, _: &TcpStream) {
        self.stand().await;
    }

    /// Tells that an attacker has done its worst, and waits until all have, and the witness has worked for a while
    /// beside them.
    pub(crate) async fn stand(&self) {
        self.ready.send_modify(|ready| *ready += 1);
        let mut ready = self.ready.subscribe();
        let everybody = ready.wait_for(|ready| *ready >= self.connections).await;
        drop(everybody.expect("the stage has a sender"));
        let mut rounds = self.rounds.clone();
        let enough = *rounds.borrow() + ROUNDS;
        // An error is the end of the witness, which will be reported by itself.
        let _ = rounds.wait_for(|rounds| *rounds >= enough).await;
    }
}

/// Runs an attack by so many connections beside the witness, and checks what became of the server.
///
/// `memory_max` is what the server's process may have taken at its peak, beyond what it had before, bytes.
pub(crate) fn run<F, A>(memory_max: u64, attacker: A) -> Result<(), Failed>
where
    A: Fn(Stage, usize) -> F + Clone + 'static,
    F: Future<Output = ()> + 'static,
{
    let connections = connections();
    let target = Target::start();
    let witness = Witness::start(target.address());
    let before = target.memory();
    let stage = Stage::new(target.address(), witness.rounds(), connections);
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let attack = async {
        let tasks: Vec<_> = (0..connections)
            .map(|number| tokio::task::spawn_local(attacker(stage.clone(), number)))
            .collect();
        for task in tasks {
            task.await.expect("an attacker that does not panic");
        }
    };
    let ended = local.block_on(&runtime, async { tokio::time::timeout(PATIENCE, attack).await });
    let memory = target.memory();
    let report = witness.finish();
    eprintln!(
        "    {connections} connections in {:.1} s; witness: {} requests, slowest {:?}; server: {} MiB before, {} MiB at \
         most, {} MiB after",
        started.elapsed().as_secs_f64(),
        report.requests,
        report.slowest,
        before.now >> 20,
        memory.peak >> 20,
        memory.now >> 20
    );
    if ended.is_err() {
        return Err("the attack did not end".into());
    }
    if report.is_disturbed() {
        return Err(format!("the witness waited {:?} for an answer", report.slowest).into());
    }
    let grown = memory.peak.saturating_sub(before.now);
    if grown > memory_max {
        return Err(format!(
            "the server grew by {} MiB, {} MiB are allowed",
            grown >> 20,
            memory_max >> 20
        )
        .into());
    }
    target.stop();
    Ok(())
}

/// As many connections as wanted, or as the system lets a process have, which is then said.
pub(crate) fn connections() -> usize {
    let files = server::raise_file_limit();
    let possible = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(CONNECTIONS);
    if possible < CONNECTIONS {
        eprintln!(
            "    this system lets a process have {files} open files (ulimit -Hn): {possible} connections in place of \
             {CONNECTIONS}"
        );
    }
    possible.min(CONNECTIONS)
}

/// A fifth of the connections for each attack.
pub(crate) fn all_at_once() -> Result<(), Failed> {
    run(deaf::UNSENT_BYTES_MAX, |stage, number| async move {
        match number % 5 {
            0 => garbage::attack(stage, number).await,
            1 => slow::attack(stage, number).await,
            2 => deaf::ask_for_large_values(stage, number).await,
            3 => deaf::ask_for_many_small_values(stage, number).await,
            _ => deaf::watch(stage, number).await,
        }
    })
}
