//! How long flushing, loading and replaying take on this machine.
//!
//! `cargo run --release -p zebu-store --example measure -- DIR`, where DIR does not exist yet and is left behind.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zebu_proto::jute::Write as _;
use zebu_proto::snapshot::{NodeRecord, encode_node};
use zebu_proto::txn::{Txn, TxnHeader, TxnRecord};
use zebu_proto::{AclList, SessionId, StatPersisted, Value, WallMillis, Xid, Zxid};
use zebu_store::{Compression, RealDisk, RecoverySink, Sections, SinkError, SnapshotDigest, Store, StoreOptions};

const NODES: i64 = 1_000_000;
const TXNS: i64 = 500_000;
const FLUSHES: usize = 1000;

/// Counts, as the cheapest receiver there is.
#[derive(Default)]
struct Count {
    bytes: usize,
}

impl RecoverySink for Count {
    fn begin(&mut self) {}

    fn session(&mut self, _: SessionId, _: i32) -> Result<(), SinkError> {
        Ok(())
    }

    fn acl(&mut self, _: i64, _: AclList) -> Result<(), SinkError> {
        Ok(())
    }

    fn node(&mut self, node: NodeRecord<'_>) -> Result<(), SinkError> {
        self.bytes += node.path.len() + node.data.map_or(0, <[u8]>::len);
        Ok(())
    }

    fn digest(&mut self, _: SnapshotDigest) {}

    fn txn(&mut self, _: TxnRecord, raw: &[u8]) -> Result<(), SinkError> {
        self.bytes += raw.len();
        Ok(())
    }
}

fn body(zxid: i64) -> Vec<u8> {
    let txn = Txn::SetData {
        path: format!("/measure/node-{:08}", zxid % 1000),
        data: Value::from(&[7; 100][..]),
        version: 1,
    };
    TxnRecord {
        header: TxnHeader {
            session: SessionId(1),
            cxid: Xid(1),
            zxid: Zxid(zxid),
            time: WallMillis(1_700_000_000_000),
            op: txn.op(),
        },
        txn,
        digest: None,
    }
    .to_vec()
}

fn open(dir: &Path, compression: Compression) -> Result<Store, Box<dyn Error>> {
    let options = StoreOptions {
        compression,
        ..StoreOptions::new(dir)
    };
    Ok(Store::open(Arc::new(RealDisk), options)?)
}

/// Median, 99 in 100, and the longest.
fn show(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{name}: median {:?}, p99 {:?}, longest {:?}", at(50), at(99), at(100));
}

fn flushes(dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = open(dir, Compression::None)?;
    let mut writer = store.log_writer(Zxid::ZERO);
    let mut zxid = 0;
    for records in [1, 10, 100, 500] {
        let mut times = Vec::new();
        for _ in 0..FLUSHES {
            let start = Instant::now();
            for _ in 0..records {
                zxid += 1;
                writer.append(Zxid(zxid), &body(zxid))?;
            }
            writer.flush()?;
            times.push(start.elapsed());
        }
        show(&format!("flush of {records} records"), times);
    }
    Ok(())
}

fn snapshots(dir: &Path) -> Result<(), Box<dyn Error>> {
    for compression in [Compression::None, Compression::Snappy, Compression::Gz] {
        let dir = dir.join(format!("{compression:?}"));
        let store = open(&dir, compression)?;
        let start = Instant::now();
        let mut writer = store.snapshot_writer(Zxid::ZERO)?;
        let mut bytes = Vec::new();
        bytes.long(0);
        let stat = StatPersisted::default();
        encode_node(&mut bytes, "", &Value::NULL, -1, &stat);
        let data = Value::from(&[7; 100][..]);
        let mut total = 0;
        for node in 0..NODES {
            encode_node(&mut bytes, &format!("/node-{node:010}"), &data, -1, &stat);
            if bytes.len() > 60_000 {
                total += bytes.len();
                writer.write(&bytes)?;
                bytes.clear();
            }
        }
        bytes.string("/");
        total += bytes.len();
        writer.write(&bytes)?;
        let file = writer.finish(Sections::default())?;
        let written = start.elapsed();
        let start = Instant::now();
        let mut count = Count::default();
        store.recover(&mut count)?;
        let loaded = start.elapsed();
        let mb = f64::from(u32::try_from(total)?) / 1e6;
        println!(
            "{compression:?}: {NODES} nodes, {mb:.0} MB, {} on disk: written in {written:?}, loaded in {loaded:?} ({:.0} MB/s)",
            file.len,
            mb / loaded.as_secs_f64()
        );
    }
    Ok(())
}

fn replay(dir: &Path) -> Result<(), Box<dyn Error>> {
    let options = StoreOptions {
        trust_empty: true,
        ..StoreOptions::new(dir)
    };
    let store = Store::open(Arc::new(RealDisk), options)?;
    let mut writer = store.log_writer(Zxid::ZERO);
    for zxid in 1..=TXNS {
        writer.append(Zxid(zxid), &body(zxid))?;
    }
    writer.flush()?;
    let start = Instant::now();
    let mut count = Count::default();
    let recovered = store.recover(&mut count)?;
    let took = start.elapsed();
    println!(
        "{} transactions, {} MB, replayed in {took:?}",
        recovered.txns,
        count.bytes / 1_000_000
    );
    Ok(())
}

fn empty(dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = open(dir, Compression::None)?;
    let mut writer = store.snapshot_writer(Zxid::ZERO)?;
    let mut bytes = Vec::new();
    bytes.long(0);
    encode_node(&mut bytes, "", &Value::NULL, -1, &StatPersisted::default());
    bytes.string("/");
    writer.write(&bytes)?;
    writer.finish(Sections::default())?;
    let mut log = store.log_writer(Zxid::ZERO);
    log.append(Zxid(1), &body(1))?;
    log.flush()?;
    drop((log, store));
    let start = Instant::now();
    open(dir, Compression::None)?.recover(&mut Count::default())?;
    println!(
        "one transaction in a preallocated log: opened and recovered in {:?}",
        start.elapsed()
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: measure DIR")?;
    let dir = Path::new(&dir);
    empty(&dir.join("empty"))?;
    flushes(&dir.join("flushes"))?;
    replay(&dir.join("replay"))?;
    snapshots(&dir.join("snapshots"))
}
