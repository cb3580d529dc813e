//! Clients that ask for much and read nothing.

use std::io;

use libtest_mimic::Failed;
use tokio::io::AsyncWriteExt;

use crate::attack::{self, Stage};
use crate::wire;
use crate::witness::{self, LARGE, SMALL};

/// What the server holds of replies and events that nobody takes: 384 MiB altogether, and 16 KiB for each connection. The
/// buffers and the pages of the allocator around them were seen to take up to three times as much.
pub(crate) const UNSENT_BYTES_MAX: u64 = 1500 << 20;
/// Requests that each connection sends one behind the other.
const REQUESTS: i32 = 64;
/// Elements of a multiRead: a request of 3 KB, whose reply has 220 KB. All attackers ask at the same time; with more, the
/// witness would wait for no other reason than that others are served as well.
const ELEMENTS: usize = 200;

pub(crate) fn large_values() -> Result<(), Failed> {
    attack::run(UNSENT_BYTES_MAX, ask_for_large_values)
}

pub(crate) fn many_small_values() -> Result<(), Failed> {
    attack::run(UNSENT_BYTES_MAX, ask_for_many_small_values)
}

pub(crate) fn events() -> Result<(), Failed> {
    attack::run(UNSENT_BYTES_MAX, watch)
}

/// Every other attacker writes first: then it is the node that answers the reads.
pub(crate) async fn ask_for_large_values(stage: Stage, number: usize) {
    let mut requests = Vec::new();
    if number.is_multiple_of(2) {
        wire::set_data(&mut requests, 0, SMALL, &[7; 1024]);
    }
    for xid in 1..=REQUESTS {
        wire::get_data(&mut requests, xid, LARGE);
    }
    ask(&stage, &requests).await;
}

pub(crate) async fn ask_for_many_small_values(stage: Stage, _: usize) {
    let mut requests = Vec::new();
    for xid in 1..=2 {
        wire::multi_read(&mut requests, xid, SMALL, ELEMENTS);
    }
    ask(&stage, &requests).await;
}

pub(crate) async fn watch(stage: Stage, _: usize) {
    let mut requests = Vec::new();
    wire::add_watch(&mut requests, 1, &witness::hot());
    ask(&stage, &requests).await;
}

async fn ask(stage: &Stage, requests: &[u8]) {
    let asked = || async {
        let mut stream = stage.connect_with_session().await?;
        // The server stops reading when it holds enough for this client: not everything need be taken.
        let written = tokio::time::timeout(std::time::Duration::from_secs(5), stream.write_all(requests)).await;
        if let Ok(written) = written {
            written?;
        }
        stage.stand_with(&stream).await;
        Ok::<(), io::Error>(())
    };
    if asked().await.is_err() {
        stage.stand().await;
    }
}
