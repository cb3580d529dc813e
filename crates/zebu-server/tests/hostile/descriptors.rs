//! More connections than the server may have open files.

use libtest_mimic::Failed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{FILES_VARIABLE, Target};
use crate::wire;

/// Open files that the server may have.
const FILES: usize = 150;
/// Each needs a new file of the log.
const WRITES: i32 = 50;

/// A server that cannot open the next file of its log has to end: connections must leave it some descriptors.
pub(crate) fn run() -> Result<(), Failed> {
    let target = Target::start_with(&[(FILES_VARIABLE, &FILES.to_string())]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = session(&target).await?;
        let mut others = Vec::new();
        for _ in 0..2 * FILES {
            others.push(TcpStream::connect(target.address()).await?);
        }
        // The last of them was accepted, or it is still waiting for it: either way there is none left for it.
        for xid in 0..WRITES {
            let mut request = Vec::new();
            wire::set_data(&mut request, xid, "/", b"");
            client.write_all(&request).await?;
            let len = client.read_u32().await?;
            client.read_exact(&mut vec![0; len as usize]).await?;
        }
        drop(others);
        Ok::<(), std::io::Error>(())
    })?;
    target.stop();
    Ok(())
}

async fn session(target: &Target) -> std::io::Result<TcpStream> {
    let mut client = TcpStream::connect(target.address()).await?;
    client.write_all(&wire::connect(60_000)).await?;
    client.read_exact(&mut [0; wire::CONNECT_RESPONSE_BYTES]).await?;
    Ok(client)
}
