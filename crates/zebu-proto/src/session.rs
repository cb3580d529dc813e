//! Session ids and passwords by ZooKeeper's formulas, so that clients can move between servers of either kind.

use crate::{SessionId, Sid, WallMillis};

/// Bytes of a session password.
pub const PASSWORD_BYTES: usize = 16;

/// A session's password: a pure function of its id.
pub type Password = [u8; PASSWORD_BYTES];

const SECRET: i64 = 0xB341_5C00;
const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

/// The password of a session: 16 bytes of `java.util.Random` seeded with the id and a constant.
///
/// Source: `org.apache.zookeeper.server.ZooKeeperServer.generatePasswd`.
#[must_use]
pub fn password(session: SessionId) -> Password {
    let mut state = ((session.0 ^ SECRET).cast_unsigned() ^ MULTIPLIER) & MASK;
    let mut password = [0; PASSWORD_BYTES];
    for chunk in password.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        chunk.copy_from_slice(&(state >> 16).to_le_bytes()[..4]);
    }
    password
}

/// The first session id of a server that starts now: the low byte of the server id, 40 bits of milliseconds, 16 zero
/// bits that count up.
///
/// Java takes its monotonic clock here; the wall clock does not repeat after a reboot.
///
/// Source: `org.apache.zookeeper.server.SessionTrackerImpl.initializeNextSessionId`.
#[must_use]
pub const fn first_session_id(sid: Sid, now: WallMillis) -> SessionId {
    let time = (now.0.cast_unsigned() << 24) >> 8;
    let server = sid.0.cast_unsigned() << 56;
    SessionId((time | server).cast_signed()).skip_container()
}

impl SessionId {
    /// The id after this one; skips the value that marks containers and the one that belongs to nobody.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1)).skip_container()
    }

    const fn skip_container(self) -> Self {
        if self.0 == i64::MIN || self.0 == 0 {
            Self(self.0 + 1)
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both vectors were seen on a Java server.
    #[test]
    fn passwords_are_those_of_java() {
        let hex = |bytes: [u8; 16]| u128::from_be_bytes(bytes);
        assert_eq!(
            hex(password(SessionId(0x0100_0011_3d57_0000))),
            0xbb20_5702_2c23_7a69_914d_2be1_5595_6e9c
        );
        assert_eq!(
            hex(password(SessionId(0x0200_0014_a5ac_0000))),
            0xb618_a786_0b3b_b6dd_84d1_c7bf_cc15_a361
        );
    }

    #[test]
    fn the_first_id_carries_the_server_and_the_time() {
        let id = first_session_id(Sid(1), WallMillis(0x0f_550d));
        assert_eq!(id.0, 0x0100_000f_550d_0000);
        assert_eq!(first_session_id(Sid(200), WallMillis(1)).0.cast_unsigned() >> 56, 200);
    }

    #[test]
    fn the_container_mark_is_never_a_session() {
        assert_eq!(SessionId(i64::MIN - -1 - 1).next().0, i64::MIN + 1);
        assert_eq!(SessionId(i64::MAX).next().0, i64::MIN + 1);
        assert_eq!(SessionId(-1).next().0, 1);
    }
}
