//! How snapshots and log files must fit together.

use zebu_proto::Zxid;
use zebu_store::{LogProblem, Sections, Store, StoreError, StoreOptions};

use crate::support::{Bench, log_bytes, recover, txn, write_snapshot};

const EPOCH: i64 = 1 << 32;

#[test]
fn a_missing_file_in_the_middle_is_refused() {
    let bench = Bench::new();
    bench.put_log(1..=5);
    bench.put_log(6..=9);
    bench.put_log(10..=12);
    bench.remove("log.6");
    let damage = bench.damage();
    assert_eq!(damage.problem, LogProblem::Gap(Zxid(10)));
    assert_eq!(damage.before, Some(Zxid(5)));
}

#[test]
fn a_missing_file_behind_the_snapshot_is_refused() {
    let bench = Bench::new();
    bench.put_log(3..=5);
    assert_eq!(bench.damage().problem, LogProblem::Gap(Zxid(3)));
}

#[test]
fn a_gap_inside_a_file_is_refused() {
    let bench = Bench::new();
    bench.put_log([1, 2, 4]);
    assert_eq!(bench.damage().problem, LogProblem::Gap(Zxid(4)));
}

#[test]
fn an_epoch_begins_with_its_first_transaction() {
    let bench = Bench::new();
    bench.put_log([1, 2, EPOCH + 1, EPOCH + 2, 5 * EPOCH + 1]);
    assert_eq!(bench.recover().unwrap().0.txns.len(), 5);
    let bench = Bench::new();
    bench.put_log([1, 2, EPOCH + 2]);
    assert_eq!(bench.damage().problem, LogProblem::Gap(Zxid(EPOCH + 2)));
}

/// A snapshot from a leader: the log before it belongs to what the server had until then.
#[test]
fn what_is_missing_below_the_snapshot_does_not_count() {
    let bench = Bench::new();
    write_snapshot(&bench.open(), 2 * EPOCH + 7, 3, Sections::default());
    bench.put_log(1..=5);
    bench.put_log(2 * EPOCH + 8..=2 * EPOCH + 9);
    let (seen, recovered) = bench.recover().unwrap();
    assert_eq!(seen.zxids(), [2 * EPOCH + 8, 2 * EPOCH + 9]);
    assert_eq!(recovered.last_zxid, Zxid(2 * EPOCH + 9));
}

#[test]
fn a_snapshot_newer_than_the_log_is_the_end() {
    let bench = Bench::new();
    bench.put_log(1..=5);
    write_snapshot(&bench.open(), 8, 3, Sections::default());
    let (seen, recovered) = bench.recover().unwrap();
    assert!(seen.txns.is_empty());
    assert_eq!(recovered.last_zxid, Zxid(8));
    // The log goes on behind it.
    let store = bench.open();
    let mut writer = store.log_writer(Zxid(8));
    writer.append(Zxid(9), &txn(9, 10)).unwrap();
    writer.flush().unwrap();
    drop((writer, store));
    assert_eq!(bench.recover().unwrap().0.zxids(), [9]);
}

#[test]
fn a_torn_tail_that_java_left_behind_is_no_damage_if_nothing_is_missing() {
    for (next, fits) in [(5, true), (6, false), (EPOCH + 1, true)] {
        let bench = Bench::new();
        let name = bench.put_log(1..=5);
        bench.change(&name, |bytes| bytes.truncate(bytes.len() - 30));
        bench.put_log([next]);
        let result = bench.recover();
        assert_eq!(result.is_ok(), fits, "{result:?}");
        if let Ok((seen, recovered)) = result {
            assert_eq!(seen.zxids(), [1, 2, 3, 4, next]);
            assert!(recovered.cuts.is_empty());
        }
    }
}

#[test]
fn a_last_file_without_records_is_removed() {
    let header = log_bytes(&[]);
    let zeros = vec![0; 65_552];
    let padded = [&header[..], &zeros[..1000]].concat();
    for bytes in [&[][..], &zeros, &header, &header[..7], &padded] {
        let bench = Bench::new();
        bench.put_log(1..=5);
        bench.put("log.6", bytes);
        let (seen, recovered) = bench.recover().unwrap();
        assert_eq!(seen.zxids(), [1, 2, 3, 4, 5]);
        assert_eq!(recovered.cuts.len(), 1);
        assert_eq!(recovered.cuts[0].kept, None);
        assert!(!bench.exists("log.6"));
        // So that its name is free.
        let store = bench.open();
        store.log_writer(Zxid(5)).append(Zxid(6), &txn(6, 10)).unwrap();
    }
}

#[test]
fn an_empty_file_between_others_is_refused_but_a_bare_header_is_not() {
    for (bytes, fits) in [(&[][..], false), (&[0; 500][..], false), (&log_bytes(&[])[..], true)] {
        let bench = Bench::new();
        bench.put_log(1..=5);
        bench.put("log.6", bytes);
        bench.put_log([EPOCH + 1]);
        match bench.recover() {
            Ok(_) => assert!(fits),
            Err(_) => {
                assert!(!fits);
                let damage = bench.damage();
                assert_eq!(
                    (damage.problem, damage.path),
                    (LogProblem::EmptyFile, Bench::path("log.6"))
                );
            }
        }
    }
}

#[test]
fn a_transaction_may_come_again_if_it_is_the_same() {
    let bench = Bench::new();
    bench.put_log([1, 2, 3, 2, 3, 4, 4, 5]);
    assert_eq!(bench.recover().unwrap().0.zxids(), [1, 2, 3, 4, 5]);
    let bench = Bench::new();
    bench.put("log.1", &log_bytes(&[txn(1, 10), txn(2, 10), txn(1, 11), txn(3, 10)]));
    assert_eq!(bench.damage().problem, LogProblem::Order(Zxid(1)));
    let bench = Bench::new();
    bench.put_log(1..=3);
    bench.put("log.2", &log_bytes(&[txn(2, 100), txn(3, 100), txn(4, 100)]));
    assert_eq!(bench.recover().unwrap().0.zxids(), [1, 2, 3, 4]);
}

#[test]
fn a_file_under_another_name_is_refused() {
    let bench = Bench::new();
    bench.put_log(1..=5);
    bench.put("log.7", &log_bytes(&[txn(6, 10)]));
    assert_eq!(bench.damage().problem, LogProblem::Name(Zxid(6)));
}

#[test]
fn a_log_without_a_snapshot_is_replayed_only_when_that_is_wanted() {
    let bench = Bench::without_snapshot();
    drop(bench.open());
    bench.put_log(1..=5);
    let error = bench.recover().unwrap_err();
    assert!(matches!(error, StoreError::LogWithoutSnapshot { .. }), "{error}");
    let options = StoreOptions {
        trust_empty: true,
        ..Bench::options()
    };
    let store = Store::open(std::sync::Arc::new(bench.disk), options).unwrap();
    let (seen, recovered) = recover(&store).unwrap();
    assert_eq!(seen.txns.len(), 5);
    assert!(recovered.needs_snapshot);
}

#[test]
fn a_damaged_snapshot_is_made_up_for_by_an_older_one_and_the_log() {
    for index in [0, 20, 30, 100, 400] {
        let bench = Bench::new();
        bench.put_log(1..=5);
        bench.put_log(6..=9);
        write_snapshot(&bench.open(), 7, 30, Sections::default());
        bench.change("snapshot.7", |bytes| bytes[index] ^= 0x11);
        let (seen, recovered) = bench.recover().unwrap();
        // From an empty state: nothing of the damaged one is left.
        assert_eq!(seen.nodes.len(), 4, "byte {index}");
        assert_eq!(seen.begins, 2);
        assert_eq!(seen.zxids(), (1..=9).collect::<Vec<_>>());
        assert_eq!(recovered.damaged_snapshots.len(), 1);
        assert_eq!(recovered.snapshot.unwrap().zxid, Zxid(0));
    }
}

#[test]
fn a_damaged_snapshot_is_not_passed_over_when_the_log_does_not_lead_to_it() {
    let bench = Bench::new();
    bench.put_log(1..=5);
    write_snapshot(&bench.open(), 7, 30, Sections::default());
    bench.change("snapshot.7", |bytes| bytes[50] ^= 0x11);
    let error = bench.recover().unwrap_err();
    assert!(
        matches!(error, StoreError::SnapshotLost { zxid: Zxid(7), .. }),
        "{error}"
    );
    assert!(error.to_string().contains("snapshot.7"), "{error}");
}

#[test]
fn with_no_good_snapshot_at_all_the_start_is_refused() {
    let bench = Bench::new();
    bench.put_log(1..=5);
    bench.change("snapshot.0", |bytes| bytes[30] ^= 1);
    let error = bench.recover().unwrap_err();
    assert!(
        matches!(error, StoreError::NoUsableSnapshot { tried: 1, .. }),
        "{error}"
    );
}

#[test]
fn every_wrong_bit_in_a_snapshot_is_found() {
    let bench = Bench::new();
    let whole = bench.disk.contents(&Bench::path("snapshot.0")).unwrap();
    for index in 0..whole.len() {
        bench.put("snapshot.0", &whole);
        bench.change("snapshot.0", |bytes| bytes[index] ^= 1 << (index % 8));
        let result = bench.recover();
        // Bytes 4 to 15 are version and database id: not looked at by Java, but under the seal. A file whose end is not
        // that of a snapshot is an interrupted one.
        let interrupted = index >= whole.len() - 5;
        assert_eq!(result.is_ok(), interrupted, "byte {index}");
    }
    for len in 0..whole.len() {
        bench.put("snapshot.0", &whole[..len]);
        match bench.recover() {
            Ok((_, recovered)) => assert_eq!(recovered.snapshot, None, "{len} bytes"),
            // The end mark of the nodes looks like the end of a seal.
            Err(error) => assert!(
                matches!(error, StoreError::NoUsableSnapshot { .. }) && whole[..len].ends_with(b"\0\0\0\x01/"),
                "{len} bytes: {error}"
            ),
        }
    }
}

#[test]
fn misplaced_files_are_refused_when_the_directories_differ() {
    let options = StoreOptions {
        log_dir: "/logs".into(),
        ..Bench::options()
    };
    let bench = Bench::new();
    let open = || Store::open(std::sync::Arc::new(bench.disk.clone()), options.clone());
    open().unwrap();
    bench.put_log(1..=3);
    let error = open().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/zebu/version-2/log.1 does not belong there"),
        "{error}"
    );
    bench.remove("log.1");
    open().unwrap();
    bench
        .disk
        .damage("/logs/version-2/snapshot.9".as_ref(), |bytes| bytes.push(1));
    assert!(matches!(open(), Err(StoreError::Misplaced { .. })));
}

#[test]
fn missing_directories_are_made_unless_that_is_switched_off() {
    let bench = Bench::without_snapshot();
    let options = StoreOptions {
        auto_create_dir: false,
        ..Bench::options()
    };
    let open = |options: &StoreOptions| Store::open(std::sync::Arc::new(bench.disk.clone()), options.clone());
    assert!(matches!(open(&options), Err(StoreError::MissingDirectory { .. })));
    open(&Bench::options()).unwrap();
    open(&options).unwrap();
}

#[test]
fn an_empty_directory_is_trusted_only_as_configured() {
    let bench = Bench::without_snapshot();
    let options = StoreOptions {
        auto_create_db: false,
        ..Bench::options()
    };
    let trusted = || {
        let store = Store::open(std::sync::Arc::new(bench.disk.clone()), options.clone()).unwrap();
        recover(&store).unwrap().1.trustworthy
    };
    assert!(!trusted());
    bench.disk.damage("/zebu/initialize".as_ref(), |_| {});
    assert!(trusted());
    // The marker counts once.
    assert!(!trusted());
}
