//! What is inside of a snapshot, compressed and sealed by zebu itself.

use zebu_proto::Zxid;
use zebu_store::{Compression, Sections, SnapshotDigest, StoreError};

use crate::data_dir::{DataDir, Dump};

/// The first byte chooses the sections behind the nodes; the rest stands between header and seal. In every compression
/// it loads to the same state, or not at all.
pub fn run(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else {
        return;
    };
    let sections = Sections {
        digest: (choice & 1 != 0).then_some(SnapshotDigest {
            zxid: Zxid(9),
            version: i32::from(choice >> 4),
            digest: 1,
        }),
        last_zxid: (choice & 2 != 0).then_some(Zxid(8)),
    };
    let plain = load(body, Compression::None, sections);
    for compression in [Compression::Gz, Compression::Snappy] {
        let compressed = load(body, compression, sections);
        match (&plain, &compressed) {
            (Ok(plain), Ok(compressed)) => assert_eq!(plain, compressed),
            (Err(_), Err(_)) => {}
            (plain, compressed) => panic!("{compression:?}: {plain:?}, but {compressed:?}"),
        }
    }
}

fn load(body: &[u8], compression: Compression, sections: Sections) -> Result<Dump, StoreError> {
    let dir = DataDir::new();
    let store = dir.open(compression);
    let mut writer = store.snapshot_writer(Zxid(7)).expect("a disk without faults");
    writer.write(body).expect("a disk without faults");
    writer.finish(sections).expect("a disk without faults");
    drop(store);
    dir.recover().map(|found| found.dump())
}
