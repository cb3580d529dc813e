//! Reading the fixtures of `testdata`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use zebu_proto::{SessionId, Sid, Stat, Zxid};

/// The releases that fixtures were recorded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    V380,
    V395,
}

/// A frame without its length.
pub(crate) struct Frame {
    /// The step that it belongs to: group, slash, kind.
    pub(crate) name: &'static str,
    pub(crate) direction: Direction,
    pub(crate) payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    /// Replies and events.
    Reply,
}

/// A record with a name.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// What was recorded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// A standalone server and everything that it can be asked.
    Standalone,
    /// The leader of three servers, and the same server once it was alone.
    Ensemble,
    /// A standalone server that wants SASL and has no TTL nodes.
    Secured,
}

/// One recording.
pub(crate) struct Run {
    pub(crate) release: Release,
    pub(crate) frames: Vec<Frame>,
    /// The records of the log, the first is that of counter 1.
    pub(crate) log: Vec<Named>,
    /// The parts of the standalone server's snapshot.
    pub(crate) snapshot: Vec<Named>,
}

/// A message between servers, as it stood in the stream.
pub(crate) struct Between {
    /// The step that it belongs to.
    pub(crate) step: &'static str,
    pub(crate) port: Port,
    pub(crate) connection: u32,
    /// Who opened the connection: the learner, on the quorum port.
    pub(crate) opener: Sid,
    pub(crate) sender: Sid,
    pub(crate) receiver: Sid,
    /// `initial`, `notification`, the name of the packet's type, or `snapshot`.
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Election,
    Quorum,
}

/// The text of a fixture of each release.
macro_rules! texts {
    ($kind:literal) => {
        [
            include_str!(concat!("../../testdata/", $kind, "-3.8.0.txt")),
            include_str!(concat!("../../testdata/", $kind, "-3.9.5.txt")),
        ]
    };
}

/// Runs a check for each release.
pub(crate) fn each_release(setup: Setup, check: impl Fn(&Run)) {
    let (wire, log, snapshot) = match setup {
        Setup::Standalone => (texts!("wire"), texts!("log"), texts!("snapshot")),
        Setup::Ensemble => (texts!("wire-ensemble"), texts!("log-ensemble"), [""; 2]),
        Setup::Secured => (texts!("wire-secured"), texts!("log-secured"), [""; 2]),
    };
    for (index, release) in [Release::V380, Release::V395].into_iter().enumerate() {
        check(&Run {
            release,
            frames: lines(wire[index]).filter_map(frame).collect(),
            log: lines(log[index]).map(named).collect(),
            snapshot: lines(snapshot[index]).map(named).collect(),
        });
    }
}

/// Runs a check for what the servers of each release said to each other.
pub(crate) fn each_release_between(check: impl Fn(&[Between])) {
    for text in texts!("between") {
        let mut messages: Vec<Between> = lines(text).map(between).collect();
        // On either port the one who opened a connection speaks first.
        let mut openers = BTreeMap::new();
        for message in &mut messages {
            message.opener = *openers.entry(message.connection).or_insert(message.sender);
        }
        check(&messages);
    }
}

/// The text of a configuration, and what a server makes of it.
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    /// What is written in its place; `None` if it is refused.
    pub(crate) written: Option<String>,
    /// The quorums of up to six voters: bit n is the nth.
    pub(crate) quorums: Vec<u32>,
}

/// Runs a check for the configurations that the classes of each release were given.
pub(crate) fn each_release_of_configs(check: impl Fn(&[Config])) {
    for text in texts!("config") {
        let lines: Vec<_> = lines(text).collect();
        let configs: Vec<_> = lines
            .chunks(3)
            .map(|three| {
                let name = three[0].split_once(' ').unwrap().0;
                let column = |n: usize, sign: &str| {
                    let text = three[n].strip_prefix(name).and_then(|text| text.strip_prefix(sign));
                    text.unwrap().trim_start_matches(' ').replace("\\n", "\n")
                };
                let quorums = column(2, " =");
                Config {
                    name,
                    text: column(0, " <"),
                    written: Some(column(1, " >")).filter(|written| written != "refused"),
                    quorums: quorums
                        .split_terminator(',')
                        .map(|bits| bits.parse().unwrap())
                        .collect(),
                }
            })
            .collect();
        check(&configs);
    }
}

impl Run {
    /// The session that was opened as the `n`th; the first is 0.
    pub(crate) fn session(&self, n: i64) -> SessionId {
        SessionId(i64::from_be_bytes(self.log[0].bytes[..8].try_into().unwrap()) + n)
    }

    /// When a transaction was proposed, by its header in the log: wall-clock milliseconds.
    pub(crate) fn time(&self, zxid: i64) -> i64 {
        let counter = usize::try_from(Zxid(zxid).counter()).unwrap();
        let record = &self.log[counter - 1].bytes;
        assert_eq!(record[12..20], zxid.to_be_bytes());
        i64::from_be_bytes(record[20..28].try_into().unwrap())
    }

    /// Metadata of a node without data and children that one transaction created and one changed last.
    pub(crate) fn stat(&self, created: i64, changed: i64) -> Stat {
        Stat {
            czxid: Zxid(created),
            mzxid: Zxid(changed),
            ctime: self.time(created),
            mtime: self.time(changed),
            pzxid: Zxid(created),
            ..Stat::default()
        }
    }
}

/// The lines of a fixture.
fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

fn frame(line: &'static str) -> Option<Frame> {
    let [name, _source, _connection, direction, payload]: [&str; 5] =
        line.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let direction = match direction {
        ">" => Direction::Request,
        "<" => Direction::Reply,
        "x" => return None,
        other => panic!("no direction: {other}"),
    };
    Some(Frame {
        name,
        direction,
        payload: unhex(payload),
    })
}

fn between(line: &'static str) -> Between {
    let [step, port, connection, servers, kind, bytes]: [&str; 6] =
        line.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let (sender, receiver) = servers.split_once('>').unwrap();
    let sid = |text: &str| Sid(text.parse().unwrap());
    Between {
        step,
        port: match port {
            "election" => Port::Election,
            "quorum" => Port::Quorum,
            other => panic!("no port: {other}"),
        },
        connection: connection.parse().unwrap(),
        opener: sid(sender),
        sender: sid(sender),
        receiver: sid(receiver),
        kind,
        bytes: unhex(bytes),
    }
}

/// A line whose first word is a name and whose last word is bytes.
fn named(line: &'static str) -> Named {
    Named {
        name: line.split_once(' ').unwrap().0,
        bytes: unhex(line.rsplit_once(' ').unwrap().1),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Bytes as a fixture has them: failed comparisons can be looked up.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
