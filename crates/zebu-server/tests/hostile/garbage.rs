//! Bytes that are no protocol.

use libtest_mimic::Failed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::attack::{self, Stage};
use crate::wire;

/// A connection without a session is a socket, a task and a buffer of a few bytes.
const MEMORY_MAX: u64 = 200 << 20;
/// Connections that each attacker makes one after the other.
const LIVES: usize = 3;

pub(crate) fn run() -> Result<(), Failed> {
    attack::run(MEMORY_MAX, attack)
}

/// Sends garbage until the connection is closed, some times over.
pub(crate) async fn attack(stage: Stage, number: usize) {
    for life in 0..LIVES {
        let kind = number + life;
        let Ok(mut stream) = stage.connect().await else {
            continue;
        };
        let garbage = garbage(kind);
        // The server may close the connection before it has read everything.
        if stream.write_all(&garbage).await.is_err() {
            continue;
        }
        if closes(kind) {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
    stage.stand().await;
}

/// Whether the server is to close the connection by itself. The others are broken off by the attacker.
const fn closes(kind: usize) -> bool {
    kind % 8 < 5
}

fn garbage(kind: usize) -> Vec<u8> {
    match kind % 8 {
        // Lengths that no frame has.
        0 => vec![0xff; 100],
        1 => b"GET / HTTP/1.1\r\nHost: zookeeper\r\n\r\n".to_vec(),
        // A TLS handshake.
        2 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        // A first frame that is too short to be one.
        3 => b"\0\0\0\x08rubbish!".to_vec(),
        // A session, and then nothing that the protocol knows.
        4 => {
            let mut bytes = wire::connect(10_000);
            bytes.extend_from_slice(b"\x7f\xff\xff\xffand so on");
            bytes
        }
        // Halves of a handshake, and a connection that ends before it is answered.
        5 => wire::connect(10_000)[..20].to_vec(),
        6 => wire::connect(10_000),
        _ => b"rui".to_vec(),
    }
}
