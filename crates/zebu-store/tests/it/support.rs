//! A receiver that remembers everything, and short ways to make records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zebu_proto::jute::Write as _;
use zebu_proto::snapshot::{NodeRecord, encode_node};
use zebu_proto::txn::{Txn, TxnHeader, TxnRecord};
use zebu_proto::{AclList, SessionId, StatPersisted, Value, WallMillis, Xid, Zxid};
use zebu_store::sim_disk::SimDisk;
use zebu_store::{
    Disk, LogDamage, RealDisk, Recovered, RecoverySink, Sections, SinkError, SnapshotDigest, SnapshotFile, Store,
    StoreError, StoreOptions,
};

/// Everything that recovery gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) sessions: BTreeMap<i64, i32>,
    pub(crate) acls: BTreeMap<i64, AclList>,
    pub(crate) nodes: BTreeMap<String, (Option<Vec<u8>>, i64, StatPersisted)>,
    pub(crate) digest: Option<SnapshotDigest>,
    pub(crate) txns: Vec<(Zxid, Vec<u8>)>,
    pub(crate) begins: usize,
    pub(crate) loaded: Option<Zxid>,
}

impl RecoverySink for Seen {
    fn begin(&mut self) {
        *self = Self {
            begins: self.begins + 1,
            ..Self::default()
        };
    }

    fn session(&mut self, session: SessionId, timeout_ms: i32) -> Result<(), SinkError> {
        self.sessions.insert(session.0, timeout_ms);
        Ok(())
    }

    fn acl(&mut self, key: i64, acl: AclList) -> Result<(), SinkError> {
        self.acls.insert(key, acl);
        Ok(())
    }

    fn node(&mut self, node: NodeRecord<'_>) -> Result<(), SinkError> {
        if node.acl_key != -1 && !self.acls.contains_key(&node.acl_key) {
            return Err(format!("unknown ACL {}", node.acl_key).into());
        }
        let data = node.data.map(<[u8]>::to_vec);
        self.nodes
            .insert(node.path.into_owned(), (data, node.acl_key, node.stat));
        Ok(())
    }

    fn digest(&mut self, digest: SnapshotDigest) {
        self.digest = Some(digest);
    }

    fn loaded(&mut self, zxid: Zxid) -> Result<(), SinkError> {
        self.loaded = Some(zxid);
        Ok(())
    }

    fn txn(&mut self, record: TxnRecord, raw: &[u8]) -> Result<(), SinkError> {
        assert_eq!(record.to_vec(), raw);
        self.txns.push((record.header.zxid, raw.to_vec()));
        Ok(())
    }
}

impl Seen {
    pub(crate) fn zxids(&self) -> Vec<i64> {
        self.txns.iter().map(|(zxid, _)| zxid.0).collect()
    }
}

fn byte(zxid: i64) -> u8 {
    u8::try_from(zxid & 0x7f).unwrap()
}

/// A transaction of `zxid` whose body depends on it, `size` bytes of data.
pub(crate) fn txn(zxid: i64, size: usize) -> Vec<u8> {
    let txn = Txn::SetData {
        path: format!("/node-{zxid:012}"),
        data: Value::from(&vec![byte(zxid); size][..]),
        version: 1,
    };
    TxnRecord {
        header: TxnHeader {
            session: SessionId(0x1234),
            cxid: Xid(i32::from(byte(zxid))),
            zxid: Zxid(zxid),
            time: WallMillis(1_700_000_000_000),
            op: txn.op(),
        },
        txn,
        digest: None,
    }
    .to_vec()
}

pub(crate) fn options(dir: &Path) -> StoreOptions {
    StoreOptions {
        prealloc_bytes: 64 << 10,
        ..StoreOptions::new(dir)
    }
}

pub(crate) fn open(options: &StoreOptions) -> Store {
    Store::open(Arc::new(RealDisk), options.clone()).unwrap()
}

pub(crate) fn recover(store: &Store) -> Result<(Seen, Recovered), StoreError> {
    let mut seen = Seen::default();
    let recovered = store.recover(&mut seen)?;
    Ok((seen, recovered))
}

/// A snapshot of a root node with `children` below it.
pub(crate) fn write_snapshot(store: &Store, zxid: i64, children: usize, sections: Sections) -> SnapshotFile {
    let mut writer = store.snapshot_writer(Zxid(zxid)).unwrap();
    writer.write(&snapshot_body(zxid, children)).unwrap();
    writer.finish(sections).unwrap()
}

/// The same, in the place of everything else.
pub(crate) fn install_snapshot(store: &Store, zxid: i64, children: usize) -> Result<(), StoreError> {
    let mut writer = store.snapshot_writer(Zxid(zxid))?;
    writer.write(&snapshot_body(zxid, children))?;
    writer.install(Sections::default())
}

/// Sessions, ACL table and nodes.
pub(crate) fn snapshot_body(zxid: i64, children: usize) -> Vec<u8> {
    let mut body = Vec::new();
    body.int(1);
    body.long(77);
    body.int(6000);
    body.int(1);
    body.long(1);
    AclList::OPEN.encode(&mut body);
    let stat = StatPersisted {
        czxid: Zxid(zxid),
        ..StatPersisted::default()
    };
    encode_node(&mut body, "", &Value::NULL, -1, &stat);
    for child in 0..children {
        let data = Value::from(&vec![b'd'; child % 200][..]);
        encode_node(&mut body, &format!("/child-{child}"), &data, 1, &stat);
    }
    body.string("/");
    body
}

pub(crate) fn write_log(store: &Store, after: i64, zxids: impl IntoIterator<Item = i64>) {
    let mut writer = store.log_writer(Zxid(after));
    for zxid in zxids {
        writer.append(Zxid(zxid), &txn(zxid, 100)).unwrap();
    }
    writer.flush().unwrap();
}

/// Numbers from a seed, for picking what a test does next.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// A log file's bytes as a Java server writes them, without preallocation.
pub(crate) fn log_bytes(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0".to_vec();
    for body in records {
        bytes.long(i64::from(simd_adler32::adler32(&&body[..])));
        bytes.buffer(Some(body));
        bytes.byte(b'B');
    }
    bytes
}

/// Bytes of a record around its body.
pub(crate) const RECORD_OVERHEAD: usize = 13;

/// A directory on a simulated disk, with files put there by hand.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) disk: SimDisk,
}

impl Bench {
    /// With a snapshot of zxid 0.
    pub(crate) fn new() -> Self {
        let bench = Self::without_snapshot();
        write_snapshot(&bench.open(), 0, 3, Sections::default());
        bench
    }

    pub(crate) fn without_snapshot() -> Self {
        Self { disk: SimDisk::new(1) }
    }

    pub(crate) fn options() -> StoreOptions {
        StoreOptions {
            prealloc_bytes: 4 << 10,
            ..StoreOptions::new("/zebu")
        }
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(Arc::new(self.disk.clone()), Self::options()).unwrap()
    }

    pub(crate) fn path(name: &str) -> PathBuf {
        Path::new("/zebu/version-2").join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        self.disk.damage(&Self::path(name), |file| *file = bytes.to_vec());
    }

    /// A log of these transactions, as Java writes it, named after the first.
    pub(crate) fn put_log(&self, zxids: impl IntoIterator<Item = i64>) -> String {
        let zxids: Vec<i64> = zxids.into_iter().collect();
        let name = format!("log.{:x}", zxids[0]);
        let records: Vec<_> = zxids.into_iter().map(|zxid| txn(zxid, 100)).collect();
        self.put(&name, &log_bytes(&records));
        name
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.disk.damage(&Self::path(name), change);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.disk.remove(&Self::path(name)).unwrap();
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.disk.contents(&Self::path(name)).is_some()
    }

    pub(crate) fn recover(&self) -> Result<(Seen, Recovered), StoreError> {
        recover(&self.open())
    }

    /// What the log does not check out for.
    pub(crate) fn damage(&self) -> LogDamage {
        match self.recover() {
            Err(StoreError::Log(damage)) => *damage,
            other => panic!("no damage: {other:?}"),
        }
    }
}
