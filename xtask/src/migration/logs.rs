//! What servers have to say about each other in their logs: no error, but for what stands here with its reason.

use std::fs;

use crate::ensemble::Member;
use crate::server::Product;

/// An error that Java servers write in ensembles of Java servers alone as well, when a peer is killed.
#[derive(Debug)]
struct Tolerated {
    /// Part of the line.
    line: &'static str,
    /// Part of the line behind it, where the exception is named.
    next: &'static str,
    /// Why it says nothing about zebu.
    _reason: &'static str,
}

const TOLERATED: &[Tolerated] = &[
    Tolerated {
        line: "LearnerHandler - Unexpected exception in LearnerHandler",
        next: "java.io.EOFException",
        _reason: "the leader's word for a learner that was killed",
    },
    Tolerated {
        line: "LearnerHandler - Unexpected exception in LearnerHandler",
        next: "java.net.SocketException",
        _reason: "the same, when the leader was just sending to it",
    },
    Tolerated {
        line: "LearnerHandler - Exception while sending packets in LearnerHandler",
        next: "java.net.SocketException",
        _reason: "the same, from the leader's thread that sends",
    },
    Tolerated {
        line: "Severe unrecoverable error, from thread : FollowerRequestProcessor",
        next: "java.net.SocketException",
        _reason: "a follower was just forwarding a request when its leader was killed",
    },
    Tolerated {
        line: "Severe unrecoverable error, from thread : SyncThread",
        next: "\"this.learner.sock\" is null",
        _reason: "a follower of 3.8.0 that gave its leader up still wants to send acknowledgements (ZOOKEEPER-4409)",
    },
    Tolerated {
        line: "LearnerHandler - Unhandled scenario for peer sid",
        next: "",
        _reason: "the leader sends its whole tree to one that was killed with a proposal that nobody else has",
    },
    Tolerated {
        line: "Learner - Unexpected exception, retries exceeded",
        next: "java.net.ConnectException",
        _reason: "a learner asks for a leader that was killed, an observer all servers in turn: a leader is nobody's master",
    },
    Tolerated {
        line: "Learner - Failed connect to",
        next: "java.net.ConnectException",
        _reason: "the same, told once more",
    },
    Tolerated {
        line: "NIOServerCnxn - Error sending data synchronously",
        next: "java.nio.channels.AsynchronousCloseException",
        _reason: "a four-letter word of this program was asked while the server ended its role",
    },
    Tolerated {
        line: "DataTree - First digest mismatch on txn",
        next: "",
        _reason: "the counter is judged, with more care than a line allows",
    },
    Tolerated {
        line: "(next log) for type",
        next: "",
        _reason: "3.8.0 writes what a leader sends twice into its log, if it is killed while it joins",
    },
];

/// The first line of a Java server's process.
const BEGIN: &str = "QuorumPeerConfig - Reading configuration from";
/// It has loaded its data and has met no other server yet.
const LOADED: &str = "QuorumPeer - LOOKING";

/// Whether a member has begun to take part in elections, by its log behind the first `from` bytes.
pub(super) fn votes_since(member: &Member, from: usize) -> bool {
    let words = match member.program() {
        Product::Zebu => "votes are exchanged on the election port",
        Product::Java(_) => "FastLeaderElection - New election",
    };
    said_since(member, from, words)
}

/// Whether a Java server counted differences in what it found on its own disk when it was started last.
pub(super) fn mismatched_while_loading(member: &Member) -> bool {
    let bytes = fs::read(member.log()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let last = text.rsplit(BEGIN).next().unwrap_or_default();
    let loading = last.split(LOADED).next().unwrap_or_default();
    loading.contains("Digests are not matching")
}

/// Lines of a member's log that are errors and not tolerated.
pub(super) fn errors(member: &Member) -> Vec<String> {
    let bytes = fs::read(member.log()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let is_java = member.program() != Product::Zebu;
    let lines: Vec<&str> = text.lines().collect();
    let behind = lines.iter().skip(1).chain([&""]);
    lines
        .iter()
        .zip(behind)
        .filter(|(line, next)| is_error(line, next, is_java))
        .map(|(line, next)| format!("{} says: {line} / {next}", member.name()))
        .collect()
}

fn is_error(line: &str, next: &str, is_java: bool) -> bool {
    let is_known = |known: &Tolerated| line.contains(known.line) && next.contains(known.next);
    line.contains(" ERROR ") && !(is_java && TOLERATED.iter().any(is_known))
}

/// Whether a line with these words stands in the member's log behind its first `from` bytes.
pub(super) fn said_since(member: &Member, from: usize, words: &str) -> bool {
    let bytes = fs::read(member.log()).unwrap_or_default();
    String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).contains(words)
}

/// How long the member's log is, in bytes.
pub(super) fn length(member: &Member) -> usize {
    fs::metadata(member.log()).map_or(0, |metadata| usize::try_from(metadata.len()).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_count_and_only_java_is_excused() {
        assert!(!is_error("2026 [main] WARN org.apache.x - odd", "", true));
        assert!(is_error("2026 [main] ERROR org.apache.x - odd", "", true));
        let known =
            "1 [x] ERROR org.apache.zookeeper.server.quorum.LearnerHandler - Unexpected exception in LearnerHandler: ";
        assert!(!is_error(known, "java.io.EOFException", true));
        assert!(is_error(known, "java.lang.NullPointerException", true));
        assert!(is_error(known, "java.io.EOFException", false));
    }
}
