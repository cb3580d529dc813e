//! Flush marks: how recovery tells an interrupted write from damage.
//!
//! When the power fails during a flush, any of the sectors of that write may have reached the disk: whole records may
//! stand behind a hole. In the format of the log that looks like damage to records that were acknowledged long ago,
//! which must not be cut off. So each write is followed by a mark that says where the batch began. It stands behind
//! twelve zeros, where every reader of the format, Java's included, takes the log for ended; the next batch overwrites
//! it.
//!
//! | part | bytes |
//! |---|---|
//! | zeros: no checksum, no length | 12 |
//! | magic | 8 |
//! | long: where the last sync ended, so that nothing before it can be torn | 8 |
//! | long: where this mark begins, which is where the records end | 8 |
//! | int: Adler-32 of the two longs | 4 |
//! | end mark, never zero | 1 |
//!
//! With the mark of a batch in place, damage before the batch is refused, and a hole inside of it is the work of the
//! crash. Without any mark in a file that is known to have them ([`crate::layout::NEWEST_LOG_FILE`]), the mark itself
//! is in the hole. In files of a Java server there are none, and a hole is always refused.

use super::END_MARK;
use crate::sim_disk::SECTOR_BYTES;

/// Bytes of a mark.
pub(super) const MARK_BYTES: usize = ZEROS + MAGIC.len() + 8 + 8 + 4 + 1;

const ZEROS: usize = 12;
const MAGIC: [u8; 8] = *b"zebuMark";

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Everything before this was synced before the marked batch was written.
    pub(super) batch_start: u64,
    /// End of the last record, and start of the mark.
    pub(super) end: u64,
}

impl Mark {
    pub(super) fn encode(self) -> [u8; MARK_BYTES] {
        let mut longs = [0; 16];
        longs[..8].copy_from_slice(&self.batch_start.to_be_bytes());
        longs[8..].copy_from_slice(&self.end.to_be_bytes());
        let mut bytes = [0; MARK_BYTES];
        bytes[ZEROS..][..8].copy_from_slice(&MAGIC);
        bytes[ZEROS + 8..][..16].copy_from_slice(&longs);
        bytes[ZEROS + 24..][..4].copy_from_slice(&simd_adler32::adler32(&longs).to_be_bytes());
        bytes[MARK_BYTES - 1] = END_MARK;
        bytes
    }

    /// Reads a mark from the last [`MARK_BYTES`] bytes of what a file holds, which begin at `offset`.
    pub(super) fn decode(bytes: &[u8], offset: u64) -> Option<Self> {
        let longs = bytes.get(ZEROS + 8..ZEROS + 24)?;
        let (batch_start, end) = longs.split_at(8);
        let mark = Self {
            batch_start: u64::from_be_bytes(batch_start.try_into().ok()?),
            end: u64::from_be_bytes(end.try_into().ok()?),
        };
        (mark.encode() == bytes && mark.end == offset && mark.batch_start <= offset).then_some(mark)
    }
}

/// Whether a sector of the record that should stand at `offset` still holds what it held before the write: zeros, or the
/// mark of the batch before. `bytes` begin at `offset` and reach to the end of the last sector of the record.
///
/// Single wrong bits never look like this.
pub(super) fn sector_missing(bytes: &[u8], offset: u64) -> bool {
    let room = SECTOR_BYTES - offset % SECTOR_BYTES;
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
    let (first, rest) = bytes.split_at(room);
    // The mark may begin in the first sector and end in the second.
    let mut old_mark = [0; ZEROS + MAGIC.len()];
    old_mark[ZEROS..].copy_from_slice(&MAGIC);
    let compared = first.len().min(old_mark.len());
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    is_zero(first)
        || first[..compared] == old_mark[..compared]
        || rest
            .chunks(to_len(SECTOR_BYTES))
            .any(|sector| sector.len() > MARK_BYTES && is_zero(&sector[MARK_BYTES..]))
}

const fn to_len(bytes: u64) -> usize {
    #[allow(clippy::cast_possible_truncation, reason = "a sector is small")]
    let len = bytes as usize;
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_read_back_as_written_and_nothing_else_does() {
        let mark = Mark {
            batch_start: 100,
            end: 5000,
        };
        let bytes = mark.encode();
        assert_eq!(Mark::decode(&bytes, 5000), Some(mark));
        assert_eq!(Mark::decode(&bytes, 5001), None);
        for index in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[index] ^= 1;
            assert_eq!(Mark::decode(&damaged, 5000), None, "byte {index}");
        }
    }

    #[test]
    fn a_sector_of_zeros_or_with_the_old_mark_is_missing() {
        let mut whole = vec![7; 1500];
        assert!(!sector_missing(&whole, 16));
        whole[600] = 0;
        assert!(!sector_missing(&whole, 16));
        let mut hole = whole.clone();
        hole[512 - 16..1024 - 16].fill(0);
        assert!(sector_missing(&hole, 16));
        let mut old = whole.clone();
        old[..MARK_BYTES].copy_from_slice(
            &Mark {
                batch_start: 0,
                end: 16,
            }
            .encode(),
        );
        assert!(sector_missing(&old, 16));
        let mut start = whole;
        start[..6].fill(0);
        assert!(sector_missing(&start, 506));
    }
}
