//! What Java's clients said to a Java server is said to this node, in the same order; it must answer with the same
//! bytes, and write the same bytes to its log.
//!
//! The recording is that of `crates/zebu-proto/testdata`, whose README says how it was made. Nothing in it is
//! translated: session ids follow from the time at which a server starts, passwords from the ids, and the times of
//! transactions are those of the recorded log. What is different all the same is listed in [`difference`].

mod difference;
mod fixture;
mod server;

use self::difference::Differences;
use self::fixture::{Direction, Run, hex};
use self::server::{Reads, Server};

#[test]
fn replies_and_log_are_those_of_java_3_9() {
    replay(&Run::v395(), Reads::ByNode);
}

#[test]
fn reads_that_wait_for_nothing_are_answered_as_by_java_3_9() {
    replay(&Run::v395(), Reads::ByReplica);
}

#[test]
fn replies_and_log_are_those_of_java_3_8_but_for_what_3_9_changed() {
    replay(&Run::v380(), Reads::ByNode);
}

fn replay(run: &Run, reads: Reads) {
    let mut server = Server::new(run, reads);
    let mut differences = Differences::new(run);
    for frame in &run.frames {
        match frame.direction {
            Direction::Request => server.request(frame.connection, &frame.payload),
            Direction::Reply => {
                if let Some(expected) = differences.expected(frame) {
                    let sent = differences.sent(frame, &server.next_sent(frame.connection));
                    assert_eq!(hex(&sent), hex(&expected), "{} (right: expected)", frame.name);
                }
            }
            Direction::ClosedByServer => assert!(server.has_closed(frame.connection), "{}", frame.name),
            Direction::Gone => server.disconnect(frame.connection),
        }
    }
    server.assert_nothing_more_was_sent();
    let mut ours = server.log().iter();
    for record in &run.log {
        if let Some(expected) = differences.expected_record(record) {
            let ours = difference::record_in_order(ours.next().unwrap());
            assert_eq!(hex(&ours), hex(&expected), "{} (right: expected)", record.name);
        }
    }
    assert_eq!(ours.next(), None);
    differences.assert_all_were_met();
}
