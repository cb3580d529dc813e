//! The four-letter words.
//!
//! A client sends one of 18 words as the first four bytes of a connection, gets a text, and the connection is closed.
//!
//! No word holds up a client. What grows with the number of connections, sessions, watches or files (*long* words) is
//! gathered away from the threads that serve connections, one listing at a time, and takes each lock of the server for
//! a bounded piece only. So what such a word shows is not one moment: what changes while it is gathered may be missed.
//! The others look at a few numbers and are answered on the spot.
//!
//! Source: `org.apache.zookeeper.server.command`. Where an answer differs from that of Java's 3.9 line:
//!
//! * dates are in UTC, whatever the zone of the machine; Java's are in its own;
//! * lists are in order (connections by age, sessions by id, paths by name), Java's as its hash tables have them;
//! * `mntr` has the keys that are measured here, and none about processors, queues and learners that do not exist;
//! * `envi` says `<NA>` for what only a JVM has, and speaks of the process and the machine in its lines on memory.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zebu_node::Close;
use zebu_proto::jute::Write as _;

use crate::config::FourLetterWords;
use crate::conn::Conn;
use crate::outbox::Flushed;
use crate::shared::{ServerRole, Shared};

mod connections;
mod dump;
mod environment;
mod files;
mod monitor;
mod overview;
mod text;
mod watches;

/// A word, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Conf,
    Cons,
    Crst,
    Dirs,
    Dump,
    Envi,
    Gtmk,
    Hash,
    Isro,
    Mntr,
    Ruok,
    Srst,
    Srvr,
    Stat,
    /// With the mask that follows it.
    Stmk(i64),
    Wchc,
    Wchp,
    Wchs,
    /// What telnet sends when its user interrupts it.
    TelnetClose,
}

impl Word {
    /// The word that these bytes are.
    pub(crate) const fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        Some(match &bytes {
            b"conf" => Self::Conf,
            b"cons" => Self::Cons,
            b"crst" => Self::Crst,
            b"dirs" => Self::Dirs,
            b"dump" => Self::Dump,
            b"envi" => Self::Envi,
            b"gtmk" => Self::Gtmk,
            b"hash" => Self::Hash,
            b"isro" => Self::Isro,
            b"mntr" => Self::Mntr,
            b"ruok" => Self::Ruok,
            b"srst" => Self::Srst,
            b"srvr" => Self::Srvr,
            b"stat" => Self::Stat,
            b"stmk" => Self::Stmk(0),
            b"wchc" => Self::Wchc,
            b"wchp" => Self::Wchp,
            b"wchs" => Self::Wchs,
            b"\xff\xf4\xff\xfd" => Self::TelnetClose,
            _ => return None,
        })
    }

    /// As Java calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Conf => "conf",
            Self::Cons => "cons",
            Self::Crst => "crst",
            Self::Dirs => "dirs",
            Self::Dump => "dump",
            Self::Envi => "envi",
            Self::Gtmk => "gtmk",
            Self::Hash => "hash",
            Self::Isro => "isro",
            Self::Mntr => "mntr",
            Self::Ruok => "ruok",
            Self::Srst => "srst",
            Self::Srvr => "srvr",
            Self::Stat => "stat",
            Self::Stmk(_) => "stmk",
            Self::Wchc => "wchc",
            Self::Wchp => "wchp",
            Self::Wchs => "wchs",
            Self::TelnetClose => "telnet close",
        }
    }

    /// Whether it is only answered by a server that serves clients. Source: `AbstractFourLetterCommand` and those who ask
    /// its `isZKServerRunning`.
    const fn needs_service(self) -> bool {
        !matches!(
            self,
            Self::Envi | Self::Gtmk | Self::Stmk(_) | Self::Isro | Self::Ruok | Self::TelnetClose
        )
    }

    /// Bytes that follow the word. A word that is not answered needs none.
    pub(crate) fn argument_bytes(self, allowed: &FourLetterWords) -> usize {
        match self {
            Self::Stmk(_) if allowed.allows(self.name()) => size_of::<i64>(),
            _ => 0,
        }
    }

    /// The word with the bytes that followed it.
    pub(crate) fn with_argument(self, argument: &[u8]) -> Self {
        match (self, argument.first_chunk()) {
            (Self::Stmk(_), Some(mask)) => Self::Stmk(i64::from_be_bytes(*mask)),
            (word, _) => word,
        }
    }
}

/// Where long words wait for their turn.
pub(crate) struct WordDesk {
    /// Words that ask the file system.
    files: Arc<Semaphore>,
    /// Words that list connections, sessions or watches, and may be long.
    listings: Arc<Semaphore>,
}

impl WordDesk {
    /// One word of each kind at a time: it can keep no more than one core busy, and monitors that ask for `mntr` do not
    /// wait for a listing.
    pub(crate) fn new() -> Self {
        Self {
            files: Arc::new(Semaphore::new(1)),
            listings: Arc::new(Semaphore::new(1)),
        }
    }
}

/// So much of an answer is put into the connection's outbox at once.
const PIECE_BYTES: usize = 64 << 10;
/// A client that takes nothing of its answer for so long is not waited for. (Whoever has no session is closed after
/// `nio.sessionlessCnxnTimeout` in any case.)
const STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers a word. What is left in the outbox afterwards is the caller's to write.
pub(crate) async fn serve(shared: &Arc<Shared>, conn: &Arc<Conn>, word: Word) {
    shared.stats.received.add(1);
    conn.outbox.peek().stats.received += 1;
    let answer = tokio::select! {
        biased;
        answer = answer(shared, conn, word) => answer,
        () = until_closed(conn) => None,
    };
    let Some(answer) = answer else { return };
    tracing::debug!(peer = %conn.peer, word = word.name(), bytes = answer.len(), "word answered");
    shared.stats.sent.add(1);
    // A long answer is not copied as a whole: the outbox takes one piece at a time.
    for piece in answer.as_bytes().chunks(PIECE_BYTES) {
        conn.outbox.lock().rope.put(piece);
        while conn.flush() == Flushed::Blocked {
            let is_stalled = tokio::time::timeout(STALL_TIMEOUT, conn.writable()).await.is_err();
            if is_stalled {
                conn.close(Close::Now);
            }
            if conn.closing() == Some(Close::Now) {
                return;
            }
        }
    }
}

async fn until_closed(conn: &Conn) {
    while conn.closing().is_none() {
        conn.wake.notified().await;
    }
}

/// The text to be sent; `None` if there is none.
async fn answer(shared: &Arc<Shared>, conn: &Arc<Conn>, word: Word) -> Option<String> {
    let name = word.name();
    if !shared.config.four_letter_words.allows(name) && !is_telnet_close_allowed(shared, word) {
        return Some(format!("{name} is not executed because it is not in the whitelist.\n"));
    }
    if !shared.serves_clients() && word.needs_service() {
        return Some("This ZooKeeper instance is not currently serving requests\n".into());
    }
    let desk = &shared.words;
    Some(match word {
        Word::Ruok => "imok".into(),
        Word::Isro if !shared.serves_clients() => "null".into(),
        Word::Isro if shared.role() == ServerRole::ReadOnly => "ro".into(),
        Word::Isro => "rw".into(),
        Word::Gtmk => overview::trace_mask(shared),
        Word::Stmk(mask) => overview::set_trace_mask(shared, mask),
        Word::Srvr => overview::server(shared),
        Word::Srst => overview::reset(shared),
        Word::Hash => overview::digests(shared),
        Word::Wchs => watches::summary(shared),
        Word::Envi => aside(&desk.files, shared, |_| environment::environment()).await?,
        Word::Conf => aside(&desk.files, shared, files::configuration).await?,
        Word::Dirs => aside(&desk.files, shared, files::sizes).await?,
        Word::Mntr => aside(&desk.files, shared, monitor::values).await?,
        Word::Stat => {
            let conn = conn.clone();
            aside(&desk.listings, shared, move |shared| {
                overview::with_clients(shared, &conn)
            })
            .await?
        }
        Word::Cons => {
            let conn = conn.clone();
            aside(&desk.listings, shared, move |shared| {
                connections::details(shared, &conn)
            })
            .await?
        }
        Word::Crst => aside(&desk.listings, shared, connections::reset).await?,
        Word::Wchc => aside(&desk.listings, shared, watches::by_session).await?,
        Word::Wchp => aside(&desk.listings, shared, watches::by_path).await?,
        Word::Dump => {
            let turn = turn(&desk.listings).await?;
            let sessions = dump::Sessions::gather(shared).await?;
            on_another_thread(turn, shared, move |shared| dump::dump(shared, &sessions)).await?
        }
        Word::TelnetClose => return None,
    })
}

/// Java closes without a word when all words are allowed; its list of words cannot name this one.
fn is_telnet_close_allowed(shared: &Shared, word: Word) -> bool {
    word == Word::TelnetClose && shared.config.four_letter_words == FourLetterWords::all()
}

/// Gathers a long answer when its turn has come.
async fn aside(
    turns: &Arc<Semaphore>,
    shared: &Arc<Shared>,
    gather: impl FnOnce(&Shared) -> String + Send + 'static,
) -> Option<String> {
    on_another_thread(turn(turns).await?, shared, gather).await
}

async fn turn(turns: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // It is never closed.
    turns.clone().acquire_owned().await.ok()
}

/// The turn is over when the work is done, even if the client has gone by then.
async fn on_another_thread(
    turn: OwnedSemaphorePermit,
    shared: &Arc<Shared>,
    gather: impl FnOnce(&Shared) -> String + Send + 'static,
) -> Option<String> {
    let shared = shared.clone();
    let work = move || {
        let answer = gather(&shared);
        drop(turn);
        answer
    };
    // The runtime panics if the system has no thread for it, which is no reason to end.
    let spawned = std::panic::catch_unwind(AssertUnwindSafe(|| tokio::task::spawn_blocking(work)));
    let Ok(spawned) = spawned else {
        tracing::error!("a four-letter word could not be answered: there are no more threads");
        return None;
    };
    match spawned.await {
        Ok(answer) => Some(answer),
        Err(error) => {
            // The server ends, or the word has a bug that concerns nobody else.
            tracing::error!(%error, "a four-letter word could not be answered");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_configuration_is_known_by_its_bytes() {
        let all = FourLetterWords::all();
        let mut count = 0;
        for name in all.iter() {
            let bytes = name.as_bytes().try_into().unwrap();
            assert_eq!(Word::from_bytes(bytes).unwrap().name(), name);
            count += 1;
        }
        assert_eq!(count, 18);
        assert_eq!(Word::from_bytes(*b"RUOK"), None);
        assert_eq!(Word::from_bytes([0, 0, 0, 45]), None);
    }

    #[test]
    fn the_mask_is_waited_for_only_where_it_is_used() {
        let stmk = Word::from_bytes(*b"stmk").unwrap();
        assert_eq!(stmk.argument_bytes(&FourLetterWords::all()), 8);
        assert_eq!(stmk.argument_bytes(&FourLetterWords::harmless()), 0);
        assert_eq!(stmk.with_argument(&(-5i64).to_be_bytes()), Word::Stmk(-5));
        assert_eq!(Word::Ruok.with_argument(&[0; 8]), Word::Ruok);
    }
}
