//! Epoch files, `myid`, purging, truncation, sizes.

use zebu_proto::{Epoch, Sid, Zxid};
use zebu_store::sim_disk::Fault;
use zebu_store::{EpochFile, Epochs, Sections, StoreError};

use crate::support::{Bench, install_snapshot, recover, txn, write_snapshot};

const EPOCH: i64 = 1 << 32;

fn epochs(accepted: u32, current: u32) -> Epochs {
    Epochs {
        accepted: Epoch(accepted),
        current: Epoch(current),
    }
}

#[test]
fn missing_epoch_files_are_made_from_the_data() {
    let bench = Bench::new();
    assert_eq!(bench.open().load_epochs(Zxid(3 * EPOCH + 5)).unwrap(), epochs(3, 3));
    let number = |name| bench.disk.contents(&Bench::path(name)).unwrap();
    assert_eq!(number("currentEpoch"), b"3");
    assert_eq!(number("acceptedEpoch"), b"3");
}

#[test]
fn epochs_read_back_as_written_and_as_java_writes_them() {
    let bench = Bench::new();
    let store = bench.open();
    assert_eq!(store.read_epoch(EpochFile::Current).unwrap(), None);
    store.write_epoch(EpochFile::Accepted, Epoch(12)).unwrap();
    store.write_epoch(EpochFile::Current, Epoch(11)).unwrap();
    assert_eq!(store.load_epochs(Zxid(11 * EPOCH)).unwrap(), epochs(12, 11));
    bench.put("currentEpoch", b"7\n");
    assert_eq!(store.read_epoch(EpochFile::Current).unwrap(), Some(Epoch(7)));
    bench.put("currentEpoch", b"seven");
    let error = store.read_epoch(EpochFile::Current).unwrap_err();
    assert!(matches!(error, StoreError::NotANumber { .. }), "{error}");
}

#[test]
fn contradicting_epochs_are_refused() {
    let bench = Bench::new();
    let store = bench.open();
    bench.put("currentEpoch", b"2");
    bench.put("acceptedEpoch", b"5");
    let error = store.load_epochs(Zxid(3 * EPOCH + 1)).unwrap_err();
    assert!(error.to_string().contains("currentEpoch: epoch 2"), "{error}");
    // Java crashed before renaming.
    bench.put("currentEpoch.tmp", b"3");
    assert_eq!(store.load_epochs(Zxid(3 * EPOCH + 1)).unwrap(), epochs(5, 3));
    assert!(!bench.exists("currentEpoch.tmp"));
    bench.put("acceptedEpoch", b"1");
    let error = store.load_epochs(Zxid(3 * EPOCH + 1)).unwrap_err();
    assert!(error.to_string().contains("acceptedEpoch: epoch 1"), "{error}");
}

/// A crash while a history is taken over leaves a part of it: it is one of the epoch of its last transaction, whatever
/// epoch it was on the way to.
#[test]
fn an_announced_epoch_explains_a_log_that_is_later_than_the_file() {
    let bench = Bench::new();
    let store = bench.open();
    store.write_epoch(EpochFile::Accepted, Epoch(7)).unwrap();
    store.write_epoch(EpochFile::Current, Epoch(2)).unwrap();
    store.announce_epoch(Epoch(7)).unwrap();
    assert_eq!(store.load_epochs(Zxid(2 * EPOCH + 9)).unwrap(), epochs(7, 2));
    assert_eq!(store.load_epochs(Zxid(5 * EPOCH + 1)).unwrap(), epochs(7, 5));
    assert!(!bench.exists("currentEpoch.tmp"));
    store.announce_epoch(Epoch(7)).unwrap();
    store.write_epoch(EpochFile::Current, Epoch(7)).unwrap();
    assert!(!bench.exists("currentEpoch.tmp"), "it has come true");
}

#[test]
fn the_server_id_is_the_first_line() {
    let bench = Bench::new();
    let store = bench.open();
    assert_eq!(store.read_myid().unwrap(), None);
    for (text, sid) in [
        ("3", Some(3)),
        (" 17 \nx", Some(17)),
        ("\n3", None),
        ("x", None),
        ("", None),
    ] {
        bench
            .disk
            .damage("/zebu/myid".as_ref(), |bytes| *bytes = text.as_bytes().to_vec());
        assert_eq!(store.read_myid().ok(), sid.map(|sid| Some(Sid(sid))), "{text:?}");
    }
}

/// Four logs of ten transactions, a snapshot in the middle of each.
fn many() -> Bench {
    let bench = Bench::new();
    for start in [1, 11, 21, 31] {
        bench.put_log(start..start + 10);
        write_snapshot(&bench.open(), start + 4, 3, Sections::default());
    }
    bench
}

fn names(bench: &Bench) -> Vec<String> {
    let store = bench.open();
    let logs = store.logs().unwrap().into_iter().map(|log| log.path);
    let snapshots = store.snapshots().unwrap().into_iter().map(|snapshot| snapshot.path);
    logs.chain(snapshots)
        .map(|path| path.file_name().unwrap().to_str().unwrap().into())
        .collect()
}

#[test]
fn purging_keeps_the_newest_snapshots_and_the_log_that_the_oldest_needs() {
    let bench = many();
    let purged = bench.open().purge(2).unwrap();
    assert_eq!(purged.paths.len(), 5);
    assert!(purged.bytes > 2000);
    assert_eq!(names(&bench), ["log.15", "log.1f", "snapshot.23", "snapshot.19"]);
    assert_eq!(bench.recover().unwrap().1.last_zxid, Zxid(40));
    // The oldest kept one is enough by itself.
    bench.change("snapshot.23", |bytes| bytes[40] ^= 1);
    assert_eq!(bench.recover().unwrap().1.last_zxid, Zxid(40));
    assert_eq!(bench.open().purge(3).unwrap().paths.len(), 0);
}

#[test]
fn purging_counts_only_snapshots_that_check_out() {
    let bench = many();
    bench.change("snapshot.23", |bytes| bytes[40] ^= 1);
    bench.change("snapshot.f", |bytes| bytes.truncate(100));
    bench.open().purge(2).unwrap();
    assert_eq!(
        names(&bench),
        [
            "log.1",
            "log.b",
            "log.15",
            "log.1f",
            "snapshot.23",
            "snapshot.19",
            "snapshot.f",
            "snapshot.5"
        ]
    );
    bench.change("snapshot.19", |bytes| bytes[40] ^= 1);
    assert_eq!(bench.open().purge(4).unwrap().paths.len(), 0);
}

#[test]
fn truncation_is_exact_wherever_it_cuts() {
    for to in 0..=40 {
        let bench = many();
        let store = bench.open();
        assert_eq!(store.truncate_log(Zxid(to)).unwrap(), Zxid(to));
        let (seen, recovered) = recover(&store).unwrap();
        assert_eq!(recovered.last_zxid, Zxid(to));
        assert!(recovered.snapshot.unwrap().zxid <= Zxid(to));
        assert!(seen.txns.iter().all(|(zxid, body)| *body == txn(zxid.0, 100)));
        // And the log goes on from there, in this epoch or a later one.
        let mut writer = store.log_writer(Zxid(to));
        writer.append(Zxid(to + 1), &txn(to + 1, 3)).unwrap();
        writer.flush().unwrap();
        drop(writer);
        assert_eq!(recover(&store).unwrap().0.txns.pop().unwrap().1, txn(to + 1, 3));
    }
}

#[test]
fn truncation_to_a_transaction_that_is_not_there_leaves_nothing_after_it() {
    let bench = Bench::new();
    bench.put_log([1, 2, 3, EPOCH + 1, EPOCH + 2]);
    bench.put_log([2 * EPOCH + 1]);
    assert_eq!(bench.open().truncate_log(Zxid(EPOCH)).unwrap(), Zxid(3));
    assert_eq!(bench.recover().unwrap().0.zxids(), [1, 2, 3]);
    let bench = Bench::new();
    bench.put_log([EPOCH + 1, EPOCH + 2]);
    assert_eq!(bench.open().truncate_log(Zxid(EPOCH)).unwrap(), Zxid(0));
    assert!(bench.recover().unwrap().0.txns.is_empty());
}

#[test]
fn truncation_discards_snapshots_that_hold_more_than_their_name_says() {
    let bench = Bench::new();
    bench.put_log(1..=10);
    let sections = Sections {
        digest: None,
        last_zxid: Some(Zxid(8)),
    };
    write_snapshot(&bench.open(), 4, 3, sections);
    bench.open().truncate_log(Zxid(6)).unwrap();
    assert_eq!(names(&bench), ["log.1", "snapshot.0"]);
}

#[test]
fn truncation_without_a_snapshot_to_start_from_changes_nothing() {
    let bench = many();
    let store = bench.open();
    store.purge(1).unwrap();
    let before = names_of(&store);
    let error = store.truncate_log(Zxid(20)).unwrap_err();
    assert!(matches!(error, StoreError::TruncateImpossible { .. }), "{error}");
    assert_eq!(names_of(&store), before);
}

fn names_of(store: &zebu_store::Store) -> (usize, usize) {
    (store.logs().unwrap().len(), store.snapshots().unwrap().len())
}

/// The power fails at each operation of an installation: the directory holds the old history, all of it, or the new one
/// and nothing else.
#[test]
fn a_state_from_a_leader_replaces_everything_at_once() {
    // Lower than what is there, as from a leader that does not know the end of this history.
    for zxid in [12, 2 * EPOCH + 3] {
        let mut has_ended = false;
        for fail_in in 0.. {
            let bench = many();
            let store = bench.open();
            let before = contents(&store);
            let operation = bench.disk.operations() + fail_in;
            bench.disk.fail_at(operation, Fault::Crash);
            let result = install_snapshot(&store, zxid, 3);
            has_ended = result.is_ok() && !bench.disk.has_crashed();
            drop(store);
            bench.disk.restart();
            let after = contents(&bench.open());
            if has_ended {
                assert_eq!(names(&bench), [format!("snapshot.{zxid:x}")]);
                break;
            }
            let is_new = names(&bench) == [format!("snapshot.{zxid:x}")];
            assert!(
                is_new || after == before,
                "crash at operation {fail_in}: {:?}",
                names(&bench)
            );
        }
        assert!(has_ended);
    }
}

fn contents(store: &zebu_store::Store) -> (Zxid, Vec<i64>) {
    let (seen, recovered) = recover(store).unwrap();
    (recovered.last_zxid, seen.zxids())
}

#[test]
fn sizes_are_those_of_all_files() {
    let bench = Bench::new();
    bench.put("x", &[0; 1000]);
    let store = bench.open();
    let sizes = store.dir_sizes().unwrap();
    assert_eq!(sizes.data_bytes, sizes.log_bytes);
    let snapshot = store.snapshots().unwrap()[0].len;
    assert_eq!(sizes.data_bytes, 1000 + snapshot);
}

/// The writer is in the middle of a batch; what was flushed before is there.
#[test]
fn the_flushed_part_of_the_log_is_read_beside_its_writer() {
    let bench = Bench::new();
    let store = bench.open();
    let mut writer = store.log_writer(Zxid(0));
    for zxid in 1..=5 {
        writer.append(Zxid(zxid), &txn(zxid, 100)).unwrap();
    }
    writer.flush().unwrap();
    bench.change("log.1", |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        bytes[end - 41..end + 20].fill(0x77);
    });
    let mut log = store.log_between(Zxid(2), Zxid(5)).unwrap();
    let mut zxids = Vec::new();
    while let Some(record) = log.next().unwrap() {
        zxids.push(record.zxid.0);
    }
    assert_eq!(zxids, [3, 4, 5]);
}

#[test]
fn the_log_is_read_from_any_transaction_on() {
    let bench = many();
    let store = bench.open();
    for base in 0..=40 {
        let mut log = store.log_after(Zxid(base)).unwrap();
        let mut zxid = base;
        while let Some(record) = log.next().unwrap() {
            zxid += 1;
            assert_eq!((record.zxid, record.body), (Zxid(zxid), &txn(zxid, 100)[..]));
        }
        assert_eq!(zxid, 40);
        assert_eq!(log.last_zxid(), Some(Zxid(40)));
        for last in base..=40 {
            let mut log = store.log_between(Zxid(base), Zxid(last)).unwrap();
            let mut zxid = base;
            while let Some(record) = log.next().unwrap() {
                zxid += 1;
                assert_eq!(record.zxid, Zxid(zxid));
            }
            assert_eq!(zxid, last);
        }
    }
}
