//! What comes in on the quorum port, from a learner or from a leader.

use zebu_proto::quorum::{
    LeaderMessage, LearnerMessage, PacketType, QuorumConfig, QuorumPacket, SnapshotPart, SnapshotStream,
};
use zebu_proto::txn::TxnRecord;

/// Less than the fuzzer's inputs can have, so that the limit is met.
const DATA_BYTES_MAX: usize = 4000;

/// Packets one behind the other; each reads back as written, as a packet and as what either side takes it for.
pub fn run(mut bytes: &[u8]) {
    while let Ok(Some((packet, taken))) = QuorumPacket::decode(bytes, DATA_BYTES_MAX) {
        assert_eq!(QuorumPacket::decode(&bytes[..taken - 1], DATA_BYTES_MAX), Ok(None));
        assert!(packet.data.is_none_or(|data| data.len() <= DATA_BYTES_MAX));
        check_packet(&packet);
        check_leader(&packet);
        let is_snap = packet.kind == PacketType::Snap.code();
        check_learner(packet);
        bytes = &bytes[taken..];
        if is_snap {
            bytes = behind_snapshot(bytes);
        }
    }
}

/// What follows the snapshot at the start; nothing if it does not end.
fn behind_snapshot(mut bytes: &[u8]) -> &[u8] {
    let mut stream = SnapshotStream::new(DATA_BYTES_MAX);
    while let Ok(Some((part, taken))) = stream.decode(bytes) {
        bytes = &bytes[taken..];
        if part == SnapshotPart::End {
            return bytes;
        }
        assert!(taken > 0);
    }
    &[]
}

fn check_packet(packet: &QuorumPacket<'_>) {
    let mut again = Vec::new();
    packet.encode(&mut again);
    // Malformed UTF-8 gets longer, since it is replaced.
    let len = again.len();
    assert_eq!(
        QuorumPacket::decode(&again, 3 * DATA_BYTES_MAX).as_ref(),
        Ok(&Some((packet.clone(), len)))
    );
}

fn check_leader(packet: &QuorumPacket<'_>) {
    let Ok(message) = LeaderMessage::decode(packet) else {
        return;
    };
    assert_eq!(PacketType::from_i32(packet.kind), Some(message.packet_type()));
    let again = message.to_vec();
    let (written, taken) = decode(&again);
    assert_eq!(taken, again.len());
    assert_eq!(LeaderMessage::decode(&written), Ok(message));
    match message {
        LeaderMessage::Proposal { txn, .. }
        | LeaderMessage::Inform { txn, .. }
        | LeaderMessage::InformAndActivate { txn, .. } => drop(TxnRecord::decode(txn)),
        LeaderMessage::NewLeader {
            config: Some(config), ..
        } => drop(QuorumConfig::from_bytes(config)),
        _ => {}
    }
}

fn check_learner(packet: QuorumPacket<'_>) {
    let kind = packet.kind;
    let Ok(message) = LearnerMessage::decode(packet) else {
        return;
    };
    assert_eq!(PacketType::from_i32(kind), Some(message.packet_type()));
    let again = message.to_vec();
    let (written, taken) = decode(&again);
    assert_eq!(taken, again.len());
    assert_eq!(LearnerMessage::decode(written), Ok(message));
}

fn decode(bytes: &[u8]) -> (QuorumPacket<'_>, usize) {
    let packet = QuorumPacket::decode(bytes, 3 * DATA_BYTES_MAX).expect("written by zebu");
    packet.expect("written whole")
}
