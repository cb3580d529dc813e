//! The four-letter words.
//!
//! A client sends one of 18 words as the first four bytes of a connection, gets a text, and the connection is closed.
//!
//! Source: `org.apache.zookeeper.server.command`.

use std::sync::Arc;

use crate::VERSION;
use crate::conn::Conn;
use crate::shared::Shared;

/// A word, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Ruok,
    Srvr,
    Isro,
}

impl Word {
    /// The word that these bytes are.
    pub(crate) fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        Some(match &bytes {
            b"ruok" => Self::Ruok,
            b"srvr" => Self::Srvr,
            b"isro" => Self::Isro,
            _ => return None,
        })
    }

    /// Bytes that follow the word.
    pub(crate) const fn argument_bytes(self) -> usize {
        0
    }

    /// The word with the bytes that followed it.
    pub(crate) const fn with_argument(self, _argument: &[u8]) -> Self {
        self
    }
}

/// The answer to a word.
pub(crate) async fn answer(shared: &Shared, _conn: &Arc<Conn>, word: Word) -> String {
    match word {
        Word::Ruok => "imok".into(),
        Word::Isro => "rw".into(),
        Word::Srvr => {
            let latency = shared.stats.latency();
            let replica = shared.replica.read();
            format!(
                "Zookeeper version: {VERSION}, built on 2026-01-01 00:00 UTC\nLatency min/avg/max: {}/{:.1}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {}\nMode: standalone\nNode count: {}\n",
                latency.min,
                latency.average(),
                latency.max,
                shared.stats.received(),
                shared.stats.sent(),
                shared.conns.lock().len(),
                shared.limits.outstanding(),
                replica.tree().last_zxid(),
                replica.tree().node_count() + 1
            )
        }
    }
}
