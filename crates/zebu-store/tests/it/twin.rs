//! Any order of operations against a vector that does the same.

use proptest::prelude::*;
use zebu_proto::Zxid;
use zebu_store::{LogWriter, Sections};

use crate::support::{Bench, recover, txn, write_snapshot};

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    NewEpoch,
    Flush,
    Roll,
    Snapshot,
    Purge,
    /// The process ends without a word and starts again.
    Kill,
    /// Takes back to the transaction this many places before the end.
    Truncate(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1..2000_usize).prop_map(Step::Append),
        1 => Just(Step::NewEpoch),
        4 => Just(Step::Flush),
        1 => Just(Step::Roll),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Purge),
        1 => Just(Step::Kill),
        1 => (0..20_usize).prop_map(Step::Truncate),
    ];
    prop::collection::vec(step, 1..80)
}

/// What the log should hold.
#[derive(Debug, Default)]
struct Twin {
    flushed: Vec<(i64, usize)>,
    pending: Vec<(i64, usize)>,
    next_epoch: bool,
}

impl Twin {
    fn last(&self) -> i64 {
        self.pending.last().or(self.flushed.last()).map_or(0, |(zxid, _)| *zxid)
    }

    fn next(&mut self) -> i64 {
        let last = self.last();
        if std::mem::take(&mut self.next_epoch) {
            (((last >> 32) + 1) << 32) + 1
        } else {
            last + 1
        }
    }

    fn flush(&mut self) {
        self.flushed.append(&mut self.pending);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_log_holds_what_its_twin_holds(steps in steps()) {
        let bench = Bench::new();
        let mut store = bench.open();
        let mut writer: LogWriter = store.log_writer(Zxid(0));
        let mut twin = Twin::default();
        for step in steps {
            match step {
                Step::Append(size) => {
                    let zxid = twin.next();
                    writer.append(Zxid(zxid), &txn(zxid, size)).unwrap();
                    twin.pending.push((zxid, size));
                }
                Step::NewEpoch => twin.next_epoch = true,
                Step::Flush => {
                    writer.flush().unwrap();
                    twin.flush();
                }
                Step::Roll => {
                    writer.roll().unwrap();
                    twin.flush();
                }
                Step::Snapshot => {
                    writer.roll().unwrap();
                    twin.flush();
                    if twin.last() > 0 {
                        write_snapshot(&store, twin.last(), 2, Sections::default());
                    }
                }
                Step::Purge => {
                    store.purge(2).unwrap();
                }
                Step::Kill => {
                    // What was appended and not flushed is in the writer's buffer, and gone.
                    twin.pending.clear();
                    drop(writer);
                    drop(store);
                    bench.disk.kill();
                    store = bench.open();
                    check(&store, &twin);
                    writer = store.log_writer(Zxid(twin.last()));
                }
                Step::Truncate(back) => {
                    writer.roll().unwrap();
                    twin.flush();
                    let keep = twin.flushed.len().saturating_sub(back);
                    let to = keep.checked_sub(1).map_or(0, |index| twin.flushed[index].0);
                    if let Ok(last) = store.truncate_log(Zxid(to)) {
                        prop_assert_eq!(last, Zxid(to));
                        twin.flushed.truncate(keep);
                    }
                    check(&store, &twin);
                    writer = store.log_writer(Zxid(twin.last()));
                }
            }
        }
        writer.flush().unwrap();
        twin.flush();
        check(&store, &twin);
    }
}

fn check(store: &zebu_store::Store, twin: &Twin) {
    let (seen, recovered) = recover(store).unwrap();
    let base = recovered.snapshot.map_or(0, |snapshot| snapshot.zxid.0);
    let after = twin.flushed.iter().filter(|(zxid, _)| *zxid > base);
    let wanted: Vec<_> = after.map(|(zxid, size)| (Zxid(*zxid), txn(*zxid, *size))).collect();
    assert_eq!(seen.zxids(), wanted.iter().map(|(zxid, _)| zxid.0).collect::<Vec<_>>());
    assert!(seen.txns == wanted);
    assert_eq!(recovered.last_zxid.0, twin.last());
    // A file that was created and not flushed goes; nothing else is ever cut without a crash of the disk.
    assert!(
        recovered.cuts.iter().all(|cut| cut.problem.is_none()),
        "{:?}",
        recovered.cuts
    );
}
