//! Whatever happens to the disk at whatever operation, what was acknowledged is there afterwards, and nothing by half.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zebu_proto::{Epoch, Zxid};
use zebu_store::sim_disk::{Fault, SimDisk, Tear};
use zebu_store::{Compression, EpochFile, Epochs, Sections, Store, StoreError, StoreOptions};

use crate::support::{Dice, recover, snapshot_body, txn};

const DIR: &str = "/zebu";

fn options() -> StoreOptions {
    StoreOptions {
        prealloc_bytes: 16 << 10,
        log_size_limit_bytes: 40 << 10,
        ..StoreOptions::new(DIR)
    }
}

/// What the disk's user was told, over all lives of the server.
#[derive(Debug, Default)]
struct Promised {
    flushed: i64,
    appended: i64,
    snapshot: i64,
    accepted: u32,
    current: u32,
}

/// The record of each zxid is the same in every life: half of what a crash left may be appended again.
fn body(zxid: i64) -> Vec<u8> {
    txn(zxid, Dice::new(zxid.cast_unsigned()).below(1500))
}

/// One life of a server: opens, checks what it finds, works until `batches` are done or something fails.
fn live(disk: &SimDisk, promised: &mut Promised, dice: &mut Dice, batches: usize) -> Result<(), StoreError> {
    let compression = [Compression::None, Compression::Gz, Compression::Snappy][dice.below(3)];
    let options = StoreOptions {
        compression,
        prealloc_bytes: [0, 4 << 10, 16 << 10][dice.below(3)],
        ..options()
    };
    let store = Store::open(Arc::new(disk.clone()), options)?;
    let (seen, recovered) = recover(&store)?;
    let last = recovered.last_zxid.0;
    assert!(last >= promised.flushed, "lost: {last:#x} of {promised:x?}");
    assert!(last <= promised.appended, "made up: {last:#x} of {promised:x?}");
    let base = recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.zxid.0);
    assert!(
        base >= promised.snapshot,
        "an older snapshot: {base:#x} of {promised:x?}"
    );
    assert!(recovered.damaged_snapshots.is_empty(), "{recovered:?}");
    let expected: Vec<_> = (base + 1..=last).map(|zxid| (Zxid(zxid), body(zxid))).collect();
    assert!(seen.txns == expected, "other transactions than were logged");
    // Having been found, they may be told to the world.
    promised.flushed = last;
    promised.appended = last;
    let epochs = store.load_epochs(recovered.last_zxid)?;
    check_epochs(epochs, promised);
    if recovered.needs_snapshot {
        snapshot(&store, last, promised)?;
    }
    work(&store, promised, dice, batches)
}

fn check_epochs(found: Epochs, promised: &mut Promised) {
    assert!(found.accepted.0 >= promised.accepted, "{found:?} {promised:?}");
    assert!(found.current.0 >= promised.current, "{found:?} {promised:?}");
    promised.accepted = found.accepted.0;
    promised.current = found.current.0;
}

fn work(store: &Store, promised: &mut Promised, dice: &mut Dice, batches: usize) -> Result<(), StoreError> {
    let mut writer = store.log_writer(Zxid(promised.flushed));
    for _ in 0..batches {
        for _ in 0..=dice.below(20) {
            promised.appended += 1;
            writer.append(Zxid(promised.appended), &body(promised.appended))?;
        }
        writer.flush()?;
        promised.flushed = promised.appended;
        if dice.below(6) == 0 {
            writer.roll()?;
            snapshot(store, promised.flushed, promised)?;
        }
        if dice.below(10) == 0 {
            store.purge(2)?;
        }
        if dice.below(8) == 0 {
            let next = promised.accepted + 1;
            store.write_epoch(EpochFile::Accepted, Epoch(next))?;
            promised.accepted = next;
            store.write_epoch(EpochFile::Current, Epoch(next))?;
            promised.current = next;
        }
    }
    Ok(())
}

fn snapshot(store: &Store, zxid: i64, promised: &mut Promised) -> Result<(), StoreError> {
    let mut writer = store.snapshot_writer(Zxid(zxid))?;
    for piece in snapshot_body(zxid, 30).chunks(700) {
        writer.write(piece)?;
    }
    writer.finish(Sections {
        digest: None,
        last_zxid: Some(Zxid(zxid)),
    })?;
    promised.snapshot = zxid;
    Ok(())
}

#[test]
fn power_fails_at_each_operation() {
    let whole = SimDisk::new(0);
    live(&whole, &mut Promised::default(), &mut Dice::new(7), 25).unwrap();
    let operations = whole.operations();
    assert!(operations > 100, "{operations}");
    for operation in 0..operations {
        for seed in 0..4 {
            let disk = SimDisk::new(seed);
            disk.set_tear(if seed == 0 { Tear::Prefix } else { Tear::Sectors });
            disk.fail_at(operation, Fault::Crash);
            let mut promised = Promised::default();
            live(&disk, &mut promised, &mut Dice::new(7), 25).unwrap_err();
            assert!(disk.has_crashed());
            disk.restart();
            let after = live(&disk, &mut promised, &mut Dice::new(8), 1);
            after.unwrap_or_else(|error| panic!("operation {operation}, seed {seed}: {error}"));
        }
    }
}

#[test]
fn lives_end_in_every_way_again_and_again() {
    for seed in 0..150 {
        let disk = SimDisk::new(seed);
        let mut dice = Dice::new(seed + 1_000_000);
        let mut promised = Promised::default();
        for life in 0..12 {
            let fault = [Fault::Crash, Fault::Crash, Fault::Error, Fault::Full][dice.below(4)];
            disk.fail_at(disk.operations() + dice.below(120) as u64, fault);
            let result = live(&disk, &mut promised, &mut dice, 30);
            if let Err(error) = &result {
                assert!(
                    matches!(error, StoreError::Io { .. }),
                    "seed {seed}, life {life}: {error}"
                );
            }
            if dice.below(2) == 0 && !disk.has_crashed() {
                disk.kill();
            } else {
                disk.restart();
            }
        }
        live(&disk, &mut promised, &mut dice, 1).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// A batch so large that it goes to the system in several writes before its one sync.
#[test]
fn power_fails_while_a_large_batch_is_written() {
    let large = |zxid| txn(zxid, 200_000);
    let append = |disk: &SimDisk| {
        let store = Store::open(Arc::new(disk.clone()), options())?;
        let mut writer = store.log_writer(Zxid(0));
        for zxid in 1..=20 {
            writer.append(Zxid(zxid), &large(zxid))?;
            if zxid == 3 {
                writer.flush()?;
            }
        }
        writer.flush()
    };
    let whole = SimDisk::new(0);
    append(&whole).unwrap();
    for operation in 0..whole.operations() {
        for seed in 0..6 {
            let disk = SimDisk::new(seed);
            disk.fail_at(operation, Fault::Crash);
            append(&disk).unwrap_err();
            disk.restart();
            // The last operation before the end of the first flush is unknown here; a log that is there is whole.
            let trusting = StoreOptions {
                trust_empty: true,
                ..options()
            };
            let store = Store::open(Arc::new(disk.clone()), trusting).unwrap();
            let (seen, recovered) = recover(&store).unwrap_or_else(|error| panic!("{operation}, {seed}: {error}"));
            assert_eq!(seen.zxids(), (1..=recovered.last_zxid.0).collect::<Vec<_>>());
            assert!(seen.txns.iter().all(|(zxid, body)| *body == large(zxid.0)));
            let last_operation = operation + 1 == whole.operations();
            assert!(!last_operation || recovered.last_zxid.0 >= 3);
        }
    }
}

#[test]
fn a_failed_flush_is_final() {
    for fault in [Fault::Error, Fault::Full] {
        let disk = SimDisk::new(1);
        let store = Store::open(Arc::new(disk.clone()), options()).unwrap();
        let mut writer = store.log_writer(Zxid(0));
        writer.append(Zxid(1), &body(1)).unwrap();
        writer.flush().unwrap();
        writer.append(Zxid(2), &body(2)).unwrap();
        // The write, then the sync.
        disk.fail_at(disk.operations() + 1, fault);
        let first = writer.flush().unwrap_err().to_string();
        assert!(first.contains("/zebu/version-2/log.1"), "{first}");
        let operations = disk.operations();
        assert_eq!(writer.append(Zxid(3), &body(3)).unwrap_err().to_string(), first);
        assert_eq!(writer.flush().unwrap_err().to_string(), first);
        assert_eq!(writer.roll().unwrap_err().to_string(), first);
        assert_eq!(disk.operations(), operations, "a poisoned writer leaves the disk alone");
    }
}

/// Found by simulation: the second start found the directory, and did not ask whether its name was durable.
#[test]
fn a_directory_that_one_start_could_not_make_durable_is_made_so_by_the_next() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        disk.fail_at(disk.operations() + 1, Fault::Error);
        Store::open(Arc::new(disk.clone()), options()).unwrap_err();
        disk.kill();
        let mut promised = Promised::default();
        live(&disk, &mut promised, &mut Dice::new(seed), 3).unwrap();
        disk.restart();
        live(&disk, &mut promised, &mut Dice::new(seed), 3).unwrap();
    }
}

#[test]
fn a_full_disk_stops_the_writer_and_everything_flushed_is_there() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(100 << 10));
    let mut promised = Promised::default();
    let error = live(&disk, &mut promised, &mut Dice::new(3), 1000).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    disk.kill();
    disk.set_capacity(None);
    live(&disk, &mut promised, &mut Dice::new(3), 10).unwrap();
}

#[test]
fn power_fails_at_each_operation_of_a_truncation() {
    let prepare = |seed| {
        let disk = SimDisk::new(seed);
        let store = Store::open(Arc::new(disk.clone()), options()).unwrap();
        let mut promised = Promised::default();
        snapshot(&store, 0, &mut promised).unwrap();
        for end in [30, 60, 90] {
            let mut writer = store.log_writer(Zxid(promised.flushed));
            for zxid in promised.flushed + 1..=end {
                writer.append(Zxid(zxid), &body(zxid)).unwrap();
            }
            writer.roll().unwrap();
            promised.flushed = end;
            snapshot(&store, end, &mut promised).unwrap();
        }
        disk
    };
    let to = 47;
    let truncate = |disk: &SimDisk| Store::open(Arc::new(disk.clone()), options())?.truncate_log(Zxid(to));
    let whole = prepare(0);
    let start = whole.operations();
    whole.kill();
    assert_eq!(truncate(&whole).unwrap(), Zxid(to));
    for operation in start..whole.operations() {
        for seed in 0..4 {
            let disk = prepare(seed);
            disk.kill();
            disk.fail_at(operation, Fault::Crash);
            truncate(&disk).unwrap_err();
            disk.restart();
            let store = Store::open(Arc::new(disk.clone()), options()).unwrap();
            let (seen, recovered) = recover(&store).unwrap();
            let base = recovered.snapshot.unwrap().zxid.0;
            assert!(recovered.last_zxid.0 >= to, "operation {operation}, seed {seed}");
            assert_eq!(seen.zxids(), (base + 1..=recovered.last_zxid.0).collect::<Vec<_>>());
            // A second try finishes it.
            assert_eq!(store.truncate_log(Zxid(to)).unwrap(), Zxid(to));
            let (_, recovered) = recover(&store).unwrap();
            assert_eq!(recovered.last_zxid, Zxid(to));
            assert!(recovered.snapshot.unwrap().zxid.0 <= to);
        }
    }
}

#[test]
fn temporary_files_of_an_interrupted_write_are_gone_after_the_next_start() {
    let disk = SimDisk::new(1);
    let leftover = PathBuf::from("/zebu/version-2/snapshot.5.zebu-tmp");
    disk.damage(&leftover, |bytes| bytes.extend_from_slice(b"half"));
    let _store = Store::open(Arc::new(disk.clone()), options()).unwrap();
    assert_eq!(disk.contents(&leftover), None);
    assert_eq!(disk.contents(Path::new("/zebu/version-2/snapshot.5")), None);
}
