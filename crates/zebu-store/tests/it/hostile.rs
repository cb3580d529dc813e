//! Bytes of any kind are read or refused, and never more memory taken than there are bytes.

use proptest::prelude::*;
use zebu_store::Sections;

use crate::support::{Bench, log_bytes, txn, write_snapshot};

/// A change to the bytes of a good file.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Swap(usize, usize, usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len().max(1);
        match self {
            Self::Set(at, byte) => {
                if let Some(slot) = bytes.get_mut(at % len) {
                    *slot = *byte;
                }
            }
            Self::Cut(at) => bytes.truncate(at % len),
            Self::Insert(at, more) => {
                let at = at % len;
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), more.iter().copied());
            }
            Self::Swap(from, to, count) => {
                let piece: Vec<u8> = bytes.iter().skip(from % len).take(count % 100).copied().collect();
                for (slot, byte) in bytes.iter_mut().skip(to % len).zip(piece) {
                    *slot = byte;
                }
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        any::<usize>().prop_map(Change::Cut),
        (any::<usize>(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(at, more)| Change::Insert(at, more)),
        (any::<usize>(), any::<usize>(), any::<usize>()).prop_map(|(from, to, count)| Change::Swap(from, to, count)),
    ];
    prop::collection::vec(change, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_changed_log_is_read_as_a_beginning_of_what_it_was_or_refused(changes in changes()) {
        let bench = Bench::new();
        let bodies: Vec<Vec<u8>> = (1..=8).map(|zxid| txn(zxid, 40)).collect();
        bench.put("log.1", &log_bytes(&bodies));
        bench.change("log.1", |bytes| changes.iter().for_each(|change| change.apply(bytes)));
        if let Ok((seen, _)) = bench.recover() {
            let read: Vec<Vec<u8>> = seen.txns.into_iter().map(|(_, body)| body).collect();
            prop_assert_eq!(&read[..], &bodies[..read.len()]);
            prop_assert!(bench.recover().is_ok());
        }
    }

    #[test]
    fn a_changed_snapshot_is_read_as_it_was_or_not_at_all(changes in changes(), kind in 0..3_usize) {
        let compression = [
            zebu_store::Compression::None,
            zebu_store::Compression::Gz,
            zebu_store::Compression::Snappy,
        ][kind];
        let bench = Bench::without_snapshot();
        let options = zebu_store::StoreOptions { compression, ..Bench::options() };
        let store = zebu_store::Store::open(std::sync::Arc::new(bench.disk.clone()), options).unwrap();
        let file = write_snapshot(&store, 0, 10, Sections::default());
        drop(store);
        let (whole, _) = bench.recover().unwrap();
        bench.disk.damage(&file.path, |bytes| changes.iter().for_each(|change| change.apply(bytes)));
        if let Ok((seen, recovered)) = bench.recover()
            && recovered.snapshot.is_some()
        {
            prop_assert_eq!(seen.nodes, whole.nodes);
        }
    }

    #[test]
    fn any_bytes_at_all_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bench = Bench::new();
        bench.put("log.1", &[&log_bytes(&[])[..], &bytes].concat());
        let _ = bench.recover();
        bench.put("log.1", &bytes);
        let _ = bench.recover();
        bench.put("snapshot.1", &[&b"ZKSN\0\0\0\x02\0\0\0\0\0\0\0\0"[..], &bytes, b"\0\0\0\x01/"].concat());
        bench.put("snapshot.2.gz", &[&[0x1f, 0x8b, 8][..], &bytes].concat());
        let _ = bench.recover();
    }
}
