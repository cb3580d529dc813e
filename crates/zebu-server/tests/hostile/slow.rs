//! Bytes one at a time, and lengths that announce much.

use std::time::Duration;

use libtest_mimic::Failed;
use tokio::io::AsyncWriteExt;

use crate::attack::{self, Stage};
use crate::wire;

/// A connection is a socket and a task; what was sent of a frame is held, no more.
const MEMORY_MAX: u64 = 250 << 20;
/// Between two bytes. Ten thousand connections send some 50,000 packets a second so.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes that are sent so.
const BYTES: usize = 30;

pub(crate) fn run() -> Result<(), Failed> {
    attack::run(MEMORY_MAX, attack)
}

pub(crate) async fn attack(stage: Stage, number: usize) {
    // What breaks off here was closed by the server, which is its good right.
    if trickle(&stage, number).await.is_err() {
        stage.stand().await;
    }
}

async fn trickle(stage: &Stage, number: usize) -> std::io::Result<()> {
    match number % 3 {
        // A handshake that never ends.
        0 => {
            let mut stream = stage.connect().await?;
            send_slowly(&mut stream, &wire::connect(10_000)).await?;
            stage.stand_with(&stream).await;
        }
        // The first frame announces as much as it may.
        1 => {
            let mut stream = stage.connect().await?;
            send_slowly(&mut stream, &[0, 0, 0x1f, 0xff]).await?;
            send_slowly(&mut stream, &[0; BYTES]).await?;
            stage.stand_with(&stream).await;
        }
        // A session, and then a request of a megabyte of which little comes.
        _ => {
            let mut stream = stage.connect_with_session().await?;
            stream.write_all(&[0, 0x0f, 0xff, 0xff]).await?;
            stream.write_all(&[0; 4000]).await?;
            send_slowly(&mut stream, &[0; BYTES]).await?;
            stage.stand_with(&stream).await;
        }
    }
    Ok(())
}

async fn send_slowly(stream: &mut tokio::net::TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes.iter().take(BYTES) {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
