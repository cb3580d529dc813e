//! Reads a data directory and writes all of it anew into another, with a chosen compression: for checking by hand that
//! Java's tools read what the store writes.
//!
//! `cargo run -p zebu-store --example rewrite -- FROM TO none|gz|snappy`, then for example
//! `java -cp '/usr/share/java/*' org.apache.zookeeper.server.SnapshotFormatter TO/version-2/snapshot.1e`.

use std::error::Error;
use std::sync::Arc;

use zebu_proto::jute::Write as _;
use zebu_proto::snapshot::{NodeRecord, encode_node};
use zebu_proto::txn::TxnRecord;
use zebu_proto::{AclList, SessionId, Value, Zxid};
use zebu_store::{Compression, RealDisk, RecoverySink, Sections, SinkError, SnapshotDigest, Store, StoreOptions};

/// The parts of a snapshot as they go into another, and the transactions after it.
#[derive(Default)]
struct Copy {
    sessions: (i32, Vec<u8>),
    acls: (i32, Vec<u8>),
    nodes: Vec<u8>,
    digest: Option<SnapshotDigest>,
    txns: Vec<(Zxid, Vec<u8>)>,
}

impl RecoverySink for Copy {
    fn begin(&mut self) {
        *self = Self::default();
    }

    fn session(&mut self, session: SessionId, timeout_ms: i32) -> Result<(), SinkError> {
        self.sessions.0 += 1;
        self.sessions.1.long(session.0);
        self.sessions.1.int(timeout_ms);
        Ok(())
    }

    fn acl(&mut self, key: i64, acl: AclList) -> Result<(), SinkError> {
        self.acls.0 += 1;
        self.acls.1.long(key);
        acl.encode(&mut self.acls.1);
        Ok(())
    }

    fn node(&mut self, node: NodeRecord<'_>) -> Result<(), SinkError> {
        let data = Value::from_option(node.data);
        encode_node(&mut self.nodes, &node.path, &data, node.acl_key, &node.stat);
        Ok(())
    }

    fn digest(&mut self, digest: SnapshotDigest) {
        self.digest = Some(digest);
    }

    fn txn(&mut self, record: TxnRecord, raw: &[u8]) -> Result<(), SinkError> {
        self.txns.push((record.header.zxid, raw.into()));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, from, to, compression] = &args[..] else {
        return Err("usage: rewrite FROM TO none|gz|snappy".into());
    };
    let compression = match compression.as_str() {
        "none" => Compression::None,
        "gz" => Compression::Gz,
        "snappy" => Compression::Snappy,
        other => return Err(format!("no compression {other}").into()),
    };
    let mut copy = Copy::default();
    let recovered = Store::open(Arc::new(RealDisk), StoreOptions::new(from))?.recover(&mut copy)?;
    let base = recovered.snapshot.map_or(Zxid::ZERO, |snapshot| snapshot.zxid);
    let options = StoreOptions {
        compression,
        ..StoreOptions::new(to)
    };
    let store = Store::open(Arc::new(RealDisk), options)?;
    let mut writer = store.snapshot_writer(base)?;
    for (count, records) in [&copy.sessions, &copy.acls] {
        writer.write(&count.to_be_bytes())?;
        writer.write(records)?;
    }
    copy.nodes.string("/");
    writer.write(&copy.nodes)?;
    let snapshot = writer.finish(Sections {
        digest: copy.digest,
        last_zxid: Some(base),
    })?;
    let mut log = store.log_writer(base);
    for (zxid, body) in &copy.txns {
        log.append(*zxid, body)?;
        log.flush()?;
    }
    log.roll()?;
    println!(
        "{} and {} transactions up to {}",
        snapshot.path.display(),
        copy.txns.len(),
        log.last_zxid()
    );
    Ok(())
}
