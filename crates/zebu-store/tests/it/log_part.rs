//! Parts of the log for learners.

use zebu_proto::Zxid;
use zebu_store::Sections;

use crate::support::{Bench, write_snapshot};

const EPOCH: i64 = 1 << 32;

/// Files with 1 to 5, 6 to 9, and the first two of the next epoch.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.put_log(1..=5);
    bench.put_log(6..=9);
    bench.put_log(EPOCH + 1..=EPOCH + 2);
    bench
}

/// What is found between two transactions: the last one before, and those behind it.
fn part(bench: &Bench, after: i64, until: i64, bytes_max: u64) -> Option<(i64, Vec<i64>)> {
    let part = bench.open().log_part(Zxid(after), Zxid(until), bytes_max).unwrap()?;
    let zxids = part.records.iter().map(|(zxid, _)| zxid.0).collect();
    Some((part.before.0, zxids))
}

#[test]
fn everything_behind_a_transaction_is_found_across_files_and_epochs() {
    let bench = bench();
    let wanted = vec![5, 6, 7, 8, 9, EPOCH + 1];
    assert_eq!(part(&bench, 4, EPOCH + 1, u64::MAX), Some((4, wanted)));
    assert_eq!(part(&bench, 9, 9, u64::MAX), Some((9, vec![])));
    // One that is not there: what stands before it is told.
    let wanted = vec![EPOCH + 1, EPOCH + 2];
    assert_eq!(part(&bench, 12, EPOCH + 2, u64::MAX), Some((9, wanted)));
}

#[test]
fn what_is_not_all_there_is_no_part() {
    let bench = bench();
    assert_eq!(part(&bench, 0, 9, u64::MAX), None, "it does not reach back that far");
    assert_eq!(part(&bench, 4, EPOCH + 3, u64::MAX), None, "it ends before");
    assert_eq!(part(&bench, 4, 9, 100), None, "it is too much");
    bench.remove("log.6");
    assert_eq!(part(&bench, 4, 5, u64::MAX), Some((4, vec![5])));
    // Where an epoch ends, the log alone cannot tell.
    let wanted = vec![EPOCH + 1, EPOCH + 2];
    assert_eq!(part(&bench, 5, EPOCH + 2, u64::MAX), Some((5, wanted)));
    write_snapshot(&bench.open(), 9, 3, Sections::default());
    assert_eq!(
        part(&bench, 5, EPOCH + 2, u64::MAX),
        None,
        "a snapshot of what is missing"
    );

    let bench = Bench::new();
    bench.put_log(1..=5);
    bench.put_log(8..=9);
    assert_eq!(part(&bench, 5, 9, u64::MAX), None, "a hole");
}

#[test]
fn how_much_is_worth_sending_goes_by_the_newest_snapshot() {
    let bench = bench();
    let store = bench.open();
    for (zxid, sessions) in [(3, 1), (9, 40)] {
        write_snapshot(&store, zxid, sessions, Sections::default());
    }
    let newest = store.snapshots().unwrap()[0].path.clone();
    let len = bench.disk.contents(&newest).unwrap().len() as u64;
    assert_eq!(store.log_part_bytes_max(-1.0).unwrap(), 0);
    assert_eq!(store.log_part_bytes_max(0.0).unwrap(), u64::MAX);
    assert_eq!(store.log_part_bytes_max(0.5).unwrap(), len / 2);
}
