//! Random requests over small domains, so that they meet.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use zebu_proto::client::{CreateRequest, MultiOp, MultiRequest, Request};
use zebu_proto::{Acl, AclList, CreateMode, Id, OpCode, OwnerRules, Perms, RequestedAcl};
use zebu_tree::Settings;

/// Runs a test for many seeds, or for the one that the environment names, and says which failed.
pub(crate) fn each_seed(runs: u64, test: impl Fn(&mut Random)) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("TREE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TREE_RUNS").unwrap_or(runs),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(&mut Random::new(seed)))) {
            eprintln!("replay with TREE_SEED={seed}");
            resume_unwind(panic);
        }
    }
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

pub(crate) fn settings(random: &mut Random) -> Settings {
    let extended_types = random.one_in(2);
    Settings {
        owner_rules: OwnerRules {
            extended_types,
            emulate_353: extended_types && random.one_in(4),
        },
        skip_acl: random.one_in(8),
        digest_scheme: !random.one_in(8),
        enforce_quota: random.one_in(2),
        digest: !random.one_in(8),
        close_session_txn: !random.one_in(4),
        hash_seed: random.next(),
        ..Settings::default()
    }
}

/// What is done to the nodes of quotas.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaNodes {
    /// There are two from the start, side by side, and they stay.
    Fixed,
    /// They come and go in any order, and clients write to them. What usage nodes say is then no longer what is there.
    Free,
}

/// How a quota of `limited` is made: the path, the nodes on the way, the pair at the end.
pub(crate) fn quota(limited: &str) -> [Request<'static>; 4] {
    let node = |path: String, data| {
        Request::Create(CreateRequest {
            op: OpCode::Create,
            path: path.into(),
            data: Some(data),
            acl: RequestedAcl::List(AclList::OPEN),
            flags: 0,
            ttl_ms: -1,
        })
    };
    [
        node(limited.into(), b"12"),
        node(format!("/zookeeper/quota{limited}"), b""),
        node(
            format!("/zookeeper/quota{limited}/zookeeper_limits"),
            b"count=3,bytes=10=;byteHardLimit=60;countHardLimit=8",
        ),
        node(format!("/zookeeper/quota{limited}/zookeeper_stats"), b""),
    ]
}

/// Long enough to be kept apart from the node.
const LONG: &[u8] = &[b'l'; 1500];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const ODD_PATHS: [&str; 16] = [
    "",
    "/",
    "//",
    "a",
    "/a/",
    "//a",
    "/a//b",
    "/.",
    "/a/..",
    "/\u{1}",
    "/a\0b",
    "/zookeeper",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/zookeeper/quotaX/zookeeper_limits",
    "/zookeeper/quota/zookeeper_limits",
];

pub(crate) fn path(random: &mut Random, quotas: QuotaNodes) -> String {
    if random.one_in(25) {
        return random.pick(&ODD_PATHS).into();
    }
    let mut path = String::new();
    if random.one_in(12) {
        path.push_str("/zookeeper");
    }
    for _ in 0..=random.below(3) {
        path.push('/');
        if random.one_in(6) {
            // Enough of them for a table of children.
            path.push_str(&random.below(30).to_string());
        } else {
            path.push_str(random.pick(&NAMES));
        }
    }
    if quotas == QuotaNodes::Free && random.one_in(4) {
        // The quota of this path: the nodes on the way, or the pair at the end.
        path.insert_str(0, "/zookeeper/quota");
        match random.below(3) {
            0 => path.push_str("/zookeeper_limits"),
            1 => path.push_str("/zookeeper_stats"),
            _ => {}
        }
    }
    path
}

pub(crate) fn data(random: &mut Random, path: &str) -> Option<&'static [u8]> {
    if path.ends_with("/zookeeper_limits") || path.ends_with("/zookeeper_stats") {
        return Some(random.pick(&[
            b"count=3,bytes=10".as_slice(),
            b"count=-1,bytes=-1=;byteHardLimit=12;countHardLimit=5",
            b"count=2,bytes=-1=;countHardLimit=8",
            b"bytes=;;,count=x",
            b"",
        ]));
    }
    random.pick(&[
        None,
        Some(b"".as_slice()),
        Some(b"x"),
        Some(b"12345"),
        Some(b"0123456789abcdef"),
        Some(LONG),
    ])
}

fn acl(random: &mut Random) -> RequestedAcl {
    let one = |perms: Perms, scheme: &str, id: &str| vec![Acl::new(perms, scheme, id)];
    let entries = match random.below(16) {
        0 => one(Perms::READ, "world", "anyone"),
        1 => one(Perms::ALL, "auth", ""),
        2 => one(Perms::ALL, "digest", "bob:h"),
        3 => [
            one(Perms::READ, "digest", "eve:h"),
            one(Perms(12), "ip", "10.0.0.1"),
            one(Perms(12), "ip", "10.0.0.1"),
        ]
        .concat(),
        4 => [one(Perms(3), "world", "anyone"), one(Perms::CREATE, "auth", "x")].concat(),
        5 => one(Perms(15), "world", "anyone"),
        6 => one(Perms::ALL, "digest", "bob"),
        7 => one(Perms::ALL, "super", ""),
        8 => vec![],
        9 => return RequestedAcl::Invalid,
        _ => AclList::OPEN.to_vec(),
    };
    RequestedAcl::List(AclList::new(entries))
}

/// What a connection may have proved.
pub(crate) fn ids(random: &mut Random) -> Vec<Id> {
    let mut ids = vec![Id::new("ip", random.pick(&["10.0.0.1", "10.0.0.2"]))];
    for (scheme, id, chance) in [("digest", "bob:h", 2), ("digest", "eve:h", 3), ("super", "", 8)] {
        if random.one_in(chance) {
            ids.push(Id::new(scheme, id));
        }
    }
    ids
}

fn version(random: &mut Random) -> i32 {
    random.pick(&[-1, -1, -1, -1, 0, 0, 1, 2, -2])
}

fn create(random: &mut Random, quotas: QuotaNodes) -> CreateRequest<'static> {
    let mut path = path(random, quotas);
    let mode = random.pick(&[
        CreateMode::Persistent,
        CreateMode::Persistent,
        CreateMode::Ephemeral,
        CreateMode::Ephemeral,
        CreateMode::PersistentSequential,
        CreateMode::EphemeralSequential,
        CreateMode::Container,
        CreateMode::PersistentWithTtl,
        CreateMode::PersistentSequentialWithTtl,
    ]);
    if mode.is_sequential() && random.one_in(4) {
        path.push('/');
    }
    let fitting = match mode {
        CreateMode::Container => OpCode::CreateContainer,
        mode if mode.is_ttl() => OpCode::CreateTtl,
        _ => random.pick(&[OpCode::Create, OpCode::Create2]),
    };
    let op = if random.one_in(20) {
        random.pick(&[
            OpCode::Create,
            OpCode::Create2,
            OpCode::CreateContainer,
            OpCode::CreateTtl,
        ])
    } else {
        fitting
    };
    let ttl_ms = match op {
        OpCode::CreateTtl => random.pick(&[1, 5, 30, 30, 30, 0, -1, 0xff_ffff_ffff, 0x100_0000_0000]),
        _ => -1,
    };
    CreateRequest {
        op,
        data: data(random, &path),
        path: path.into(),
        acl: acl(random),
        flags: if random.one_in(40) { 7 } else { mode.flags() },
        ttl_ms,
    }
}

pub(crate) fn request(random: &mut Random, quotas: QuotaNodes) -> Request<'static> {
    match random.below(16) {
        0..=6 => Request::Create(create(random, quotas)),
        7..=9 => Request::Delete {
            path: path(random, quotas).into(),
            version: version(random),
        },
        10..=11 => {
            let path = path(random, quotas);
            Request::SetData {
                data: data(random, &path),
                path: path.into(),
                version: version(random),
            }
        }
        12 => Request::SetAcl {
            path: path(random, quotas).into(),
            acl: acl(random),
            version: version(random),
        },
        13 if random.one_in(3) => Request::CloseSession,
        _ => Request::Multi(multi(random, quotas)),
    }
}

fn multi(random: &mut Random, quotas: QuotaNodes) -> MultiRequest<'static> {
    let mut ops = Vec::new();
    for _ in 0..random.below(6) {
        ops.push(match random.below(8) {
            0..=3 => MultiOp::Create(create(random, quotas)),
            4..=5 => MultiOp::Delete {
                path: path(random, quotas).into(),
                version: version(random),
            },
            6 => {
                let path = path(random, quotas);
                MultiOp::SetData {
                    data: data(random, &path),
                    path: path.into(),
                    version: version(random),
                }
            }
            _ => MultiOp::Check {
                path: path(random, quotas).into(),
                version: version(random),
            },
        });
    }
    MultiRequest { ops }
}
