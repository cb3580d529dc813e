//! The data of the nodes that hold a quota and what is used of it.

use zebu_tree::quota::Track;

/// What was read is read again from its own text.
pub fn run(bytes: &[u8]) {
    let track = Track::parse(bytes);
    assert_eq!(Track::parse(track.to_text().as_bytes()), track);
}
