//! `sync`: what is read behind it is not older than any write that was answered before it was sent.

use std::collections::BTreeMap;

use super::super::history::{Outcome, Record, Request};
use super::describe;
use super::order::Told;

/// Returns how many reads came behind a `sync`, and those that were stale.
pub(super) fn check(records: &[Record]) -> (u64, Vec<String>) {
    let written = Told::new(records, |record| record.request.is_write() && record.outcome.is_done());
    // By connection: a session that has gone elsewhere has lost the promise of the server it left.
    let mut synced: BTreeMap<(u32, u32), i64> = BTreeMap::new();
    let mut count = 0;
    let mut stale = Vec::new();
    for record in records {
        let connection = (record.client, record.connection);
        let Outcome::Done { zxid, .. } = record.outcome else {
            continue;
        };
        match record.request {
            Request::Sync => {
                synced.insert(connection, written.before(record.sent_ns));
            }
            // Only the first one: those behind it see no less.
            Request::Get(_) | Request::Children(_) => {
                let Some(bound) = synced.remove(&connection) else {
                    continue;
                };
                count += 1;
                if zxid < bound {
                    stale.push(format!(
                        "{bound:#x} had been written before the sync of {}",
                        describe(record)
                    ));
                }
            }
            Request::Create { .. }
            | Request::Set { .. }
            | Request::Delete { .. }
            | Request::Check { .. }
            | Request::Multi(_)
            | Request::Close => {}
        }
    }
    (count, stale)
}
