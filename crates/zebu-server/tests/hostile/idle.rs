//! Sessions that do nothing.

use std::io;
use std::sync::Arc;

use libtest_mimic::Failed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;

use crate::attack::{self, Stage};
use crate::server::Target;
use crate::wire;

/// What an idle session may cost the server, bytes.
const SESSION_BYTES_MAX: u64 = 2048;
/// What a server takes for the first sessions already, and what it makes for them at the moment only.
const WARM_UP: usize = 500;
/// Sessions that work at the same time, so that what the server needs for their work is there after the first ones.
const AT_ONCE: usize = 20;
/// Requests that each session has sent before it does nothing.
const REQUESTS: i32 = 100;

/// All sessions are there and answered; then the process is looked at.
pub(crate) fn run() -> Result<(), Failed> {
    let count = attack::connections() - WARM_UP;
    // With huge pages the server's memory goes by 2 MiB for each kind of block and thread: room for sessions to come, and
    // up to half of what all these need.
    let target = Target::start_with(&[("MIMALLOC_ALLOW_THP", "0")]);
    let (_, nobody) = watch::channel(0);
    let stage = Stage::new(target.address(), nobody, count);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_first, before) = LocalSet::new().block_on(&runtime, open(&stage, &target, WARM_UP));
    let (_sessions, after) = LocalSet::new().block_on(&runtime, open(&stage, &target, count));
    let bytes = after.saturating_sub(before) / count as u64;
    eprintln!("    {bytes} bytes for each of {count} idle sessions");
    if bytes > SESSION_BYTES_MAX {
        return Err(format!("an idle session costs {bytes} bytes, {SESSION_BYTES_MAX} are allowed").into());
    }
    target.stop();
    Ok(())
}

/// A session that has had something to do: a pipeline of reads behind a write.
async fn work(stage: &Stage) -> io::Result<TcpStream> {
    let mut stream = stage.connect_with_session().await?;
    let mut requests = Vec::new();
    wire::set_data(&mut requests, 1, "/", b"");
    for xid in 2..=REQUESTS {
        wire::get_data(&mut requests, xid, "/");
    }
    stream.write_all(&requests).await?;
    for _ in 1..=REQUESTS {
        let len = stream.read_u32().await?;
        stream.read_exact(&mut vec![0; len as usize]).await?;
    }
    Ok(stream)
}

/// Opens sessions, and tells the server's memory with them.
async fn open(stage: &Stage, target: &Target, count: usize) -> (Vec<TcpStream>, u64) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let (stage, turns) = (stage.clone(), turns.clone());
            tokio::task::spawn_local(async move {
                let _turn = turns.acquire().await.expect("it is never closed");
                work(&stage).await
            })
        })
        .collect();
    let mut sessions = Vec::new();
    for task in tasks {
        let session = task.await.expect("a client that does not panic");
        sessions.push(session.expect("a session"));
    }
    (sessions, target.memory().now)
}
