//! Memory and speed of the tree alone: a million znodes of 100 bytes called `node-0000000123` under 1000 parents.
//!
//! `cargo run --release -p zebu-tree --example measure [nodes [part of a label]]`
//!
//! Bytes are those asked of the allocator, and the resident set as the kernel sees it (so with what the allocator
//! rounds up and keeps). Times are those on the processor (Linux), the best of many short rounds on one thread.
#![allow(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout};
use std::borrow::Cow;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use zebu_proto::client::{CreateRequest, Request};
use zebu_proto::jute::Reader;
use zebu_proto::snapshot::NodeRecord;
use zebu_proto::txn::TxnRecord;
use zebu_proto::{AclList, OpCode, RequestedAcl, SessionId, WallMillis, Xid, Zxid};
use zebu_tree::{Loader, Pending, RequestContext, Settings, Tree};

/// Counts what is asked for, and passes it on.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the allocator of the server, with the arguments that came in.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { mimalloc::MiMalloc.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BYTES.fetch_add(size, Ordering::Relaxed);
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { mimalloc::MiMalloc.realloc(at, layout, size) }
    }
}

const PARENTS: usize = 1000;
const ROUNDS: usize = 25;
const BATCH: usize = 20_000;

/// A server of one.
struct Server {
    tree: Tree,
    pending: Pending,
    zxid: Zxid,
}

impl Server {
    fn prepare(&mut self, request: &Request<'_>) -> TxnRecord {
        self.zxid = self.zxid.next();
        let context = RequestContext {
            session: SessionId(7),
            cxid: Xid(1),
            zxid: self.zxid,
            time: WallMillis(1_700_000_000_000 + self.zxid.0 / 100),
            ids: &[],
            session_is_live: true,
        };
        self.pending.prepare(&self.tree, &context, request)
    }

    /// Prepares and applies one after another.
    fn run(&mut self, request: &Request<'_>) {
        let record = self.prepare(request);
        black_box(self.tree.apply(&record, &mut ()));
        self.pending.applied(record.header.zxid);
    }
}

fn create<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    Request::Create(CreateRequest {
        op: OpCode::Create,
        path: path.into(),
        data: Some(data),
        acl: RequestedAcl::List(AclList::OPEN),
        flags: 0,
        ttl_ms: -1,
    })
}

fn path(at: usize) -> String {
    format!("/bench/parent-{:04}/node-{:010}", at % PARENTS, at)
}

/// A sequence without visible order.
fn scattered(at: usize, end: usize) -> usize {
    at.wrapping_mul(0x9e37_79b1).rotate_left(7) % end
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0)
        * 4096
}

/// Time that this thread has been on a processor, nanoseconds: other programs do not count.
fn processor_ns() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    schedstat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// Time per element of a batch, the best of some rounds; nothing if another label is asked for.
fn best(label: &str, mut round: impl FnMut(usize)) {
    if std::env::args().nth(2).is_some_and(|part| !label.contains(&part)) {
        return;
    }
    let mut best = u64::MAX;
    for at in 0..ROUNDS {
        let start = processor_ns();
        round(at);
        best = best.min((processor_ns() - start) / BATCH as u64);
    }
    println!("{label:<44} {best:>8} ns");
}

fn main() {
    let nodes: usize = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let data = [b'x'; 100];
    let tree = Tree::new(Settings::default());
    let pending = Pending::new(&tree);
    let mut server = Server {
        tree,
        pending,
        zxid: Zxid(0x1_0000_0000),
    };

    let (bytes, resident) = (BYTES.load(Ordering::Relaxed), resident_bytes());
    server.run(&create("/bench", b""));
    for at in 0..PARENTS {
        server.run(&create(&format!("/bench/parent-{at:04}"), b""));
    }
    let start = Instant::now();
    for at in 0..nodes {
        server.run(&create(&path(at), &data));
    }
    println!(
        "{:<44} {:>8} ns",
        "building, create each",
        start.elapsed().as_nanos() as usize / nodes
    );
    let per_node = |bytes: usize| bytes / nodes;
    println!(
        "{:<44} {:>8} B",
        "asked for per znode",
        per_node(BYTES.load(Ordering::Relaxed) - bytes)
    );
    println!(
        "{:<44} {:>8} B",
        "resident per znode",
        per_node(resident_bytes() - resident)
    );

    let paths: Vec<String> = (0..BATCH).map(|at| path(scattered(at, nodes))).collect();
    best("lookup of a random path of three", |_| {
        for path in &paths {
            black_box(server.tree.node(path));
        }
    });
    best("lookup and stat", |_| {
        for path in &paths {
            black_box(server.tree.node(path).map(|node| node.stat()));
        }
    });
    best("set 100 B, prepare and apply", |_| {
        for path in &paths {
            server.run(&Request::SetData {
                path: Cow::Borrowed(path),
                data: Some(&data),
                version: -1,
            });
        }
    });
    best("set 100 B, prepare alone", |_| {
        for chunk in paths.chunks(100) {
            for path in chunk {
                black_box(server.prepare(&Request::SetData {
                    path: Cow::Borrowed(path),
                    data: Some(&data),
                    version: -1,
                }));
            }
            server.pending = Pending::new(&server.tree);
        }
    });
    best("set 100 B, batches of 100", |_| {
        for chunk in paths.chunks(100) {
            let set = |path: &'_ String| Request::SetData {
                path: Cow::Owned(path.clone()),
                data: Some(&data),
                version: -1,
            };
            let records: Vec<TxnRecord> = chunk.iter().map(|path| server.prepare(&set(path))).collect();
            for record in &records {
                black_box(server.tree.apply(record, &mut ()));
                server.pending.applied(record.header.zxid);
            }
        }
    });
    let fresh: Vec<String> = (0..ROUNDS * BATCH).map(|at| path(nodes + at)).collect();
    best("create, prepare and apply", |round| {
        for path in &fresh[round * BATCH..][..BATCH] {
            server.run(&create(path, &data));
        }
    });
    best("delete, prepare and apply", |round| {
        for path in &fresh[round * BATCH..][..BATCH] {
            server.run(&Request::Delete {
                path: Cow::Borrowed(path),
                version: -1,
            });
        }
    });
    snapshot(&mut server);
}

#[allow(clippy::cast_precision_loss, reason = "figures to look at")]
fn snapshot(server: &mut Server) {
    let start = Instant::now();
    let capture = server.tree.begin_capture();
    println!("{:<44} {:>8} us", "begin of a snapshot", start.elapsed().as_micros());
    let mut all = Vec::new();
    let mut piece = Vec::with_capacity(2 << 20);
    let mut ns = 0;
    capture.encode_head(&mut all);
    let mut is_done = false;
    while !is_done {
        piece.clear();
        let start = processor_ns();
        is_done = server.tree.read_capture(&capture, &mut piece, 1 << 20);
        ns += processor_ns() - start;
        all.extend_from_slice(&piece);
    }
    drop(server.tree.end_capture(&capture));
    let megabytes = all.len() as f64 / 1e6;
    println!(
        "{:<44} {:>8.0} MB/s",
        "reading a snapshot",
        megabytes / (ns as f64 / 1e9)
    );

    let start = processor_ns();
    let mut reader = Reader::new(&all);
    let mut loader = Loader::new(*server.tree.settings());
    assert_eq!(reader.int("sessions"), Ok(0));
    for _ in 0..reader.int("acls").unwrap_or(0) {
        if let (Ok(key), Ok(Some(list))) = (reader.long("key"), AclList::decode(&mut reader)) {
            loader.acl(key, list);
        }
    }
    while let Ok(Some(node)) = NodeRecord::decode(&mut reader) {
        assert_eq!(loader.node(&node), Ok(()));
    }
    let loaded = loader.finish(capture.zxid());
    let seconds = (processor_ns() - start) as f64 / 1e9;
    assert_eq!(loaded.map(|tree| tree.digest()), Ok(capture.digest()));
    println!("{:<44} {:>8.0} MB/s", "loading it", megabytes / seconds);
}
