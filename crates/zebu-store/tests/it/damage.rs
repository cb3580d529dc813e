//! What each kind of damage to the last log file leads to: a cut, or a refusal that names the place. Never other
//! transactions than were written, and never fewer without a word.

use zebu_proto::Zxid;
use zebu_store::sim_disk::SECTOR_BYTES;
use zebu_store::{LogDamage, LogProblem, Recovered, StoreError};

use crate::support::{Bench, RECORD_OVERHEAD, Seen, log_bytes, txn};

/// Records per log.
const COUNT: i64 = 6;
const HEADER: usize = 16;

/// A log that Java wrote: nothing in it but records.
fn java() -> (Bench, String) {
    let bench = Bench::new();
    let name = bench.put_log(1..=COUNT);
    (bench, name)
}

/// A log that a store wrote, each record flushed by itself.
fn own() -> (Bench, String) {
    let bench = Bench::new();
    let store = bench.open();
    let mut writer = store.log_writer(Zxid(0));
    for zxid in 1..=COUNT {
        writer.append(Zxid(zxid), &txn(zxid, 100)).unwrap();
        writer.flush().unwrap();
    }
    (bench, "log.1".into())
}

fn len() -> usize {
    txn(1, 100).len() + RECORD_OVERHEAD
}

/// Where record number `zxid` starts.
fn start(zxid: i64) -> usize {
    HEADER + usize::try_from(zxid - 1).unwrap() * len()
}

/// Record that byte `index` is in.
fn record_at(index: usize) -> i64 {
    i64::try_from((index - HEADER) / len()).unwrap() + 1
}

fn check_prefix(seen: &Seen, last: i64) {
    assert_eq!(seen.zxids(), (1..=last).collect::<Vec<_>>());
    let same = |(zxid, body): &(Zxid, Vec<u8>)| *body == txn(zxid.0, 100);
    assert!(seen.txns.iter().all(same), "other transactions than were written");
}

#[test]
fn a_wrong_bit_is_refused_unless_it_is_in_the_last_record() {
    for make in [java, own] {
        let (whole, name) = make();
        let end = start(COUNT + 1);
        let bytes = whole.disk.contents(&Bench::path(&name)).unwrap();
        for index in 0..end {
            let (bench, _) = make();
            bench.put(&name, &bytes);
            bench.change(&name, |bytes| bytes[index] ^= 1 << (index % 8));
            let result = bench.recover();
            match index {
                0..4 => assert!(result.is_err(), "byte {index}"),
                // Version and database id are not looked at, as in Java.
                4..HEADER => check_prefix(&result.unwrap().0, COUNT),
                _ => check_flipped(&bench, &name, index, result),
            }
        }
    }
}

fn check_flipped(bench: &Bench, name: &str, index: usize, result: Result<(Seen, Recovered), StoreError>) {
    let record = record_at(index);
    let offset = start(record);
    let in_length = (8..12).contains(&(index - offset));
    match result {
        Ok((seen, recovered)) => {
            assert_eq!(record, COUNT, "byte {index}");
            check_prefix(&seen, COUNT - 1);
            let cut = &recovered.cuts[0];
            assert_eq!(cut.offset, offset as u64);
            // What was cut is kept, and the next start finds everything in order.
            let kept = bench.disk.contents(cut.kept.as_ref().unwrap()).unwrap();
            assert!(kept.len() >= len() - 1);
            let (seen, recovered) = bench.recover().unwrap();
            check_prefix(&seen, COUNT - 1);
            assert!(recovered.cuts.is_empty());
        }
        Err(error) => {
            assert!(record < COUNT || in_length, "byte {index}: {error}");
            let damage = bench.damage();
            assert_eq!(damage.path, Bench::path(name));
            assert_eq!(damage.offset, offset as u64);
            assert_eq!(damage.before, (record > 1).then_some(Zxid(record - 1)));
            let text = damage.to_string();
            assert!(text.contains(&format!("byte {offset}")), "{text}");
            assert!(text.contains("restore the directory from a copy"), "{text}");
        }
    }
}

#[test]
fn a_file_cut_anywhere_gives_its_whole_records() {
    for make in [java, own] {
        let (whole, name) = make();
        let end = start(COUNT + 1);
        let bytes = whole.disk.contents(&Bench::path(&name)).unwrap();
        for len in 0..end {
            let (bench, _) = make();
            bench.put(&name, &bytes[..len]);
            let (seen, recovered) = bench.recover().unwrap_or_else(|error| panic!("{len} bytes: {error}"));
            let left = if len < HEADER { 0 } else { record_at(len) - 1 };
            check_prefix(&seen, left);
            // The first half of a checksum is zeros, and zeros are no loss.
            let whole = left > 0 && len - start(left + 1) <= 4;
            assert_eq!(recovered.cuts.len(), usize::from(!whole), "{len} bytes");
            assert_eq!(bench.exists(&name), left > 0, "{len} bytes");
            assert!(bench.recover().unwrap().1.cuts.is_empty());
        }
    }
}

#[test]
fn zeros_to_the_end_are_a_torn_write_and_a_hole_is_damage() {
    for make in [java, own] {
        let (whole, name) = make();
        let end = start(COUNT + 1);
        let bytes = whole.disk.contents(&Bench::path(&name)).unwrap();
        for hole in (HEADER..end).step_by(7) {
            let (bench, _) = make();
            bench.put(&name, &bytes);
            bench.change(&name, |bytes| bytes[hole..].fill(0));
            check_prefix(&bench.recover().unwrap().0, record_at(hole) - 1);

            let (bench, _) = make();
            bench.put(&name, &bytes);
            let hole_end = (hole + 40).min(end);
            bench.change(&name, |bytes| bytes[hole..hole_end].fill(0));
            let first = record_at(hole);
            let nothing_behind = hole_end > start(COUNT);
            if first == COUNT || (nothing_behind && !bench.exists("zebu.newest-log")) {
                check_prefix(&bench.recover().unwrap().0, first - 1);
            } else {
                // Before the last batch, by the mark, or with whole records behind.
                let damage = bench.damage();
                assert_eq!(damage.offset, start(first) as u64);
                assert_eq!(damage.after.is_none(), nothing_behind);
            }
        }
    }
}

#[test]
fn a_length_that_no_record_has_is_refused_even_at_the_end() {
    for length in [-1_i32, i32::MIN, i32::MAX] {
        let (bench, name) = java();
        let offset = start(COUNT);
        bench.change(&name, |bytes| {
            bytes[offset + 8..offset + 12].copy_from_slice(&length.to_be_bytes());
        });
        assert_eq!(bench.damage().problem, LogProblem::Length(length));
    }
}

#[test]
fn the_refusal_names_the_neighbours_and_what_to_do() {
    let (bench, name) = java();
    let offset = start(3);
    bench.change(&name, |bytes| bytes[offset + 60] ^= 0x40);
    let damage = bench.damage();
    let wanted = LogDamage {
        path: Bench::path("log.1"),
        offset: offset as u64,
        problem: LogProblem::Checksum,
        before: Some(Zxid(2)),
        after: Some(Zxid(4)),
    };
    assert_eq!(damage, wanted);
    assert_eq!(
        damage.to_string(),
        format!(
            "/zebu/version-2/log.1: wrong checksum at byte {offset}, behind zxid 0x2, next whole transaction 0x4. The \
             file is damaged: restore the directory from a copy and look after the disk; in an ensemble whose other \
             members are well, empty the directory and let the leader fill it"
        )
    );
}

/// One batch over many sectors, of which any may be missing after a crash: whole records behind the hole were never
/// acknowledged. A batch that was flushed before is another matter.
#[test]
fn a_missing_sector_is_a_torn_write_in_the_last_batch_and_damage_before_it() {
    let bench = Bench::new();
    let store = bench.open();
    let mut writer = store.log_writer(Zxid(0));
    for batch in [1..=20, 21..=40] {
        for zxid in batch {
            writer.append(Zxid(zxid), &txn(zxid, 100)).unwrap();
        }
        writer.flush().unwrap();
    }
    drop((writer, store));
    let bytes = bench.disk.contents(&Bench::path("log.1")).unwrap();
    let sector = usize::try_from(SECTOR_BYTES).unwrap();
    let batch_start = start(21);
    let mut torn = 0;
    for first in (sector..start(40)).step_by(sector) {
        bench.put("log.1", &bytes);
        bench.change("log.1", |bytes| bytes[first..first + sector].fill(0));
        if first >= batch_start {
            let (seen, _) = bench.recover().unwrap();
            check_prefix(&seen, record_at(first) - 1);
            torn += 1;
        } else {
            assert!(bench.damage().offset < batch_start as u64);
        }
    }
    assert!(torn > 3, "{torn}");
    // A wrong bit is no missing sector, even there.
    bench.put("log.1", &bytes);
    bench.change("log.1", |bytes| bytes[start(30) + 50] ^= 1);
    assert_eq!(bench.damage().before, Some(Zxid(29)));
}

#[test]
fn a_record_with_a_right_checksum_and_no_known_transaction_is_refused() {
    let bench = Bench::new();
    let mut unknown = txn(2, 10);
    unknown[31] = 99;
    bench.put("log.1", &log_bytes(&[txn(1, 10), unknown, txn(3, 10)]));
    let text = bench.recover().unwrap_err().to_string();
    assert!(text.contains("log.1: the transaction 0x2 at byte"), "{text}");
    let bench = Bench::new();
    bench.put("log.1", &log_bytes(&[txn(1, 10), vec![1; 20], txn(3, 10)]));
    assert_eq!(bench.damage().problem, LogProblem::NoTransaction);
}
