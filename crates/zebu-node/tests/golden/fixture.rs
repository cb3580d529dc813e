//! Reading the recording.

use std::fmt::Write as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    V380,
    V395,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    /// Replies and events.
    Reply,
    /// The server closed the connection.
    ClosedByServer,
    /// The client closed it, or it was cut.
    Gone,
}

/// A frame without its length, or the end of a connection.
pub(super) struct Frame {
    pub(super) name: &'static str,
    pub(super) connection: u64,
    pub(super) direction: Direction,
    pub(super) payload: Vec<u8>,
}

/// A record of the log.
pub(super) struct Logged {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
}

pub(super) struct Run {
    pub(super) release: Release,
    pub(super) frames: Vec<Frame>,
    /// The first is that of zxid 1.
    pub(super) log: Vec<Logged>,
}

impl Run {
    pub(super) fn v380() -> Self {
        Self::load(
            Release::V380,
            include_str!("../../../zebu-proto/testdata/wire-3.8.0.txt"),
            include_str!("../../../zebu-proto/testdata/log-3.8.0.txt"),
        )
    }

    pub(super) fn v395() -> Self {
        Self::load(
            Release::V395,
            include_str!("../../../zebu-proto/testdata/wire-3.9.5.txt"),
            include_str!("../../../zebu-proto/testdata/log-3.9.5.txt"),
        )
    }

    fn load(release: Release, wire: &'static str, log: &'static str) -> Self {
        let lines = |text: &'static str| text.lines().filter(|line| !line.starts_with('#'));
        Self {
            release,
            frames: lines(wire).map(frame).collect(),
            log: lines(log).map(logged).collect(),
        }
    }

    /// When a transaction was proposed, wall-clock milliseconds; the last one's time for later ones.
    pub(super) fn time(&self, zxid: i64) -> i64 {
        let index = usize::try_from(zxid - 1).unwrap().min(self.log.len() - 1);
        i64::from_be_bytes(self.log[index].bytes[20..28].try_into().unwrap())
    }

    /// The first session.
    pub(super) fn first_session(&self) -> i64 {
        i64::from_be_bytes(self.log[0].bytes[..8].try_into().unwrap())
    }
}

fn frame(line: &'static str) -> Frame {
    let [name, _source, connection, direction, payload]: [&str; 5] =
        line.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let (direction, payload) = match (direction, payload) {
        (">", payload) => (Direction::Request, unhex(payload)),
        ("<", payload) => (Direction::Reply, unhex(payload)),
        ("x", "closed") => (Direction::ClosedByServer, Vec::new()),
        ("x", "gone" | "cut") => (Direction::Gone, Vec::new()),
        other => panic!("{other:?}"),
    };
    Frame {
        name,
        connection: connection.parse().unwrap(),
        direction,
        payload,
    }
}

fn logged(line: &'static str) -> Logged {
    let [name, _zxid, record]: [&str; 3] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
    Logged {
        name,
        bytes: unhex(record),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
