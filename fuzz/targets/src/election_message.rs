//! What comes in on the election port.

use zebu_proto::quorum::{
    ConnectionVersion, INITIAL_ADDRESS_BYTES_MAX, InitialMessage, Notification, QuorumConfig, election_frame,
};

/// The bytes as a whole connection, as frames, and as the payload of one.
pub fn run(bytes: &[u8]) {
    let rest = match InitialMessage::decode(bytes) {
        Ok(Some((message, taken))) => {
            assert_eq!(InitialMessage::decode(&bytes[..taken - 1]), Ok(None));
            check_initial(message);
            &bytes[taken..]
        }
        Ok(None) | Err(_) => bytes,
    };
    check_frames(rest);
    check_notification(bytes);
}

/// What decodes reads back as written, as far as it is anything that a server sends.
fn check_initial(mut message: InitialMessage) {
    match message.version {
        ConnectionVersion::SidOnly => assert!(message.addresses.is_empty()),
        ConnectionVersion::V1 => message.addresses.truncate(1),
        ConnectionVersion::V2 => {}
    }
    let mut again = Vec::new();
    message.encode(&mut again);
    // Addresses may get longer, since they are written out.
    let fits = again.len() <= 20 + INITIAL_ADDRESS_BYTES_MAX;
    let is_sent = message.version == ConnectionVersion::SidOnly || !message.addresses.is_empty();
    if fits && is_sent {
        let len = again.len();
        assert_eq!(InitialMessage::decode(&again), Ok(Some((message, len))));
    }
}

fn check_frames(mut bytes: &[u8]) {
    while let Ok(Some((payload, taken))) = election_frame(bytes) {
        assert_eq!(taken, 4 + payload.len());
        assert_eq!(election_frame(&bytes[..taken - 1]), Ok(None));
        check_notification(payload);
        bytes = &bytes[taken..];
    }
}

fn check_notification(payload: &[u8]) {
    let Ok(message) = Notification::decode(payload) else {
        return;
    };
    assert!(payload.len() >= 28);
    if let Some(config) = message.config {
        let frame = message.to_frame();
        assert_eq!(frame[4..], payload[..44 + config.len()]);
        let _ = QuorumConfig::from_bytes(config);
    } else {
        let mut again = Vec::new();
        message.encode(&mut again);
        let expected = Notification { version: 0, ..message };
        assert_eq!(Notification::decode(&again), Ok(expected));
    }
}
