//! Transactions: what is logged, replicated and applied.
//!
//! One and the same byte string is the body of a log record, of a proposal between servers and of the message to
//! observers:
//!
//! | part | bytes |
//! |---|---|
//! | [`TxnHeader`] | 32 |
//! | the [`Txn`]'s record | by type, none for some |
//! | [`TxnDigest`] | 12, or absent |

mod body;
mod record;

pub use body::{CreateTxn, CreateTxnKind, Txn};
pub use record::{TxnDigest, TxnHeader, TxnRecord};
