//! The body of a log record: header, transaction, digest.

use zebu_proto::txn::TxnRecord;

/// What decodes reads back as written.
pub fn run(bytes: &[u8]) {
    let Ok(record) = TxnRecord::decode(bytes) else {
        return;
    };
    let again = record.to_vec();
    assert_eq!(TxnRecord::decode(&again).as_ref(), Ok(&record));
}
