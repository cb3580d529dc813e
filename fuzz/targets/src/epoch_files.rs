//! The files that hold one number.

use zebu_proto::Zxid;
use zebu_store::{Compression, EpochFile};

use crate::data_dir::DataDir;

/// Files in the order of the parts between the bytes 0xFF; an empty part is no file.
const NAMES: [&str; 4] = ["currentEpoch", "acceptedEpoch", "currentEpoch.tmp", "myid"];

/// What was accepted is accepted again, and is free of contradiction.
///
/// The last part is the zxid at which the data end, in hexadecimal.
pub fn run(bytes: &[u8]) {
    let dir = DataDir::new();
    let mut parts = bytes.split(|byte| *byte == 0xff);
    for name in NAMES {
        match parts.next() {
            None | Some([]) => {}
            Some(content) => dir.put(name, content),
        }
    }
    let last = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let last = Zxid(i64::from_str_radix(&last, 16).unwrap_or(0).max(0));
    let store = dir.open(Compression::None);
    if let Err(error) = store.read_myid() {
        assert!(error.to_string().contains("myid"), "{error}");
    }
    match store.load_epochs(last) {
        Ok(epochs) => {
            assert!(epochs.current >= last.epoch());
            assert!(epochs.accepted >= epochs.current);
            assert_eq!(
                store.load_epochs(last).expect("what was accepted is accepted again"),
                epochs
            );
            assert_eq!(
                store.read_epoch(EpochFile::Current).ok().flatten(),
                Some(epochs.current)
            );
        }
        Err(error) => assert!(error.to_string().contains("Epoch"), "{error}"),
    }
}
