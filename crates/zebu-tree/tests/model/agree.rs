//! The tree and its twin side by side.

use std::collections::{BTreeSet, VecDeque};

use zebu_proto::client::Request;
use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{AclList, Id, SessionId, WallMillis, Xid, Zxid};
use zebu_tree::{Change, Changes, Outcome, Pending, RequestContext, Settings, Tree};

use crate::dump::Dump;
use crate::random::{self, QuotaNodes, Random, each_seed};
use crate::twin::{Event, Twin};

/// Events as they come.
#[derive(Default)]
struct Events(Vec<Event>);

impl Changes for Events {
    fn change(&mut self, change: Change, path: &str, acl: &AclList, parent_acl: Option<&AclList>) {
        let parent_acl = parent_acl.map(AclList::to_vec);
        self.0.push((change, path.into(), acl.to_vec(), parent_acl));
    }
}

/// A leader's tree and its twin.
pub(crate) struct Pair {
    pub(crate) tree: Tree,
    pending: Pending,
    pub(crate) twin: Twin,
    /// Prepared, with the digest that the twin foresees, and not applied.
    in_flight: VecDeque<(TxnRecord, u64)>,
    pub(crate) zxid: Zxid,
    time: WallMillis,
    /// Sessions, and whether requests of them are still accepted.
    sessions: Vec<(SessionId, bool)>,
    quotas: QuotaNodes,
}

impl Pair {
    pub(crate) fn new(settings: Settings, quotas: QuotaNodes) -> Self {
        let tree = Tree::new(settings);
        let mut pair = Self {
            pending: Pending::new(&tree),
            tree,
            twin: Twin::new(settings),
            in_flight: VecDeque::new(),
            zxid: Zxid(0x1_0000_0000),
            time: WallMillis(1_000_000),
            sessions: Vec::new(),
            quotas,
        };
        if quotas == QuotaNodes::Fixed {
            for request in ["/a", "/b"].map(random::quota).as_flattened() {
                pair.zxid = pair.zxid.next();
                let context = pair.context(SessionId(1), true, &[]);
                let record = pair.pending.prepare(&pair.tree, &context, request);
                let txn = pair.twin.prepare(&context, request);
                pair.queue(record, &txn);
            }
        }
        pair
    }

    /// One random step: something is prepared, or some of what was prepared is applied.
    pub(crate) fn step(&mut self, random: &mut Random) -> Vec<TxnRecord> {
        if self.in_flight.len() < 12 && !random.one_in(4) {
            self.prepare(random);
            return Vec::new();
        }
        let count = random.below(self.in_flight.len() + 1);
        (0..count).filter_map(|_| self.apply_next()).collect()
    }

    fn prepare(&mut self, random: &mut Random) {
        self.zxid = self.zxid.next();
        self.time.0 += random.below(4) as i64;
        let ids = random::ids(random);
        if self.sessions.len() < 2 || random.one_in(30) {
            self.open_session(&ids);
            return;
        }
        let (session, session_is_live) = random.pick(&self.sessions);
        let context = self.context(session, session_is_live, &ids);
        if random.one_in(12) {
            let path = match self.tree.expired_containers(self.time.0, 10) {
                expired if !expired.is_empty() && random.one_in(2) => random.pick(&expired),
                _ => random::path(random, self.quotas),
            };
            let record = self.pending.delete_container(&self.tree, &context, &path);
            let txn = self.twin.delete_container(&context, &path);
            self.queue(record, &txn);
            return;
        }
        let request = random::request(random, self.quotas);
        if request == Request::CloseSession {
            if !session_is_live {
                return;
            }
            self.sessions.retain(|(other, _)| *other != session || random.one_in(2));
            for entry in &mut self.sessions {
                entry.1 &= entry.0 != session;
            }
        }
        let record = self.pending.prepare(&self.tree, &context, &request);
        if random.one_in(20) {
            // As when it turns out to be too large.
            let refusal = self
                .pending
                .refuse_last(&context, zebu_proto::ErrorCode::MarshallingError);
            let err = zebu_proto::ErrorCode::MarshallingError.code();
            if request != Request::CloseSession {
                self.queue(refusal, &Txn::Error { err });
                return;
            }
            let again = self.pending.prepare(&self.tree, &context, &request);
            assert_eq!(again, record);
        }
        let txn = self.twin.prepare(&context, &request);
        self.queue(record, &txn);
    }

    fn open_session(&mut self, ids: &[Id]) {
        let session = SessionId(0x1000 + (self.zxid.0 & 0xffff));
        self.sessions.push((session, true));
        let context = self.context(session, true, ids);
        let record = self.pending.create_session(self.tree.settings(), &context, 4000);
        let txn = self.twin.create_session(&context, 4000);
        self.queue(record, &txn);
    }

    fn context<'a>(&self, session: SessionId, session_is_live: bool, ids: &'a [Id]) -> RequestContext<'a> {
        RequestContext {
            session,
            cxid: Xid(7),
            zxid: self.zxid,
            time: self.time,
            ids,
            session_is_live,
        }
    }

    fn queue(&mut self, record: TxnRecord, expected: &Txn) {
        assert_eq!(&sorted(record.txn.clone()), expected, "at {}", self.zxid);
        if let Some(digest) = record.digest {
            assert_eq!(digest.tree, self.twin.decided.digest(), "{record:?}");
        } else {
            assert!(!self.tree.settings().digest || matches!(record.txn, Txn::Error { .. }));
        }
        self.in_flight.push_back((record, self.twin.decided.digest()));
    }

    pub(crate) fn apply_next(&mut self) -> Option<TxnRecord> {
        let (record, digest) = self.in_flight.pop_front()?;
        let mut events = Events::default();
        let outcome = self.tree.apply(&record, &mut events);
        self.pending.applied(record.header.zxid);
        let expected: (Outcome, Vec<Event>) = self.twin.applied.apply(&record);
        assert_eq!(outcome, expected.0, "{record:?}");
        if matches!(record.txn, Txn::CloseSession { .. }) {
            // No order among the nodes of a session.
            let key = |event: &Event| event.1.clone();
            events.0.sort_by_key(key);
            let mut expected = expected.1;
            expected.sort_by_key(key);
            assert_eq!(events.0, expected, "{record:?}");
        } else {
            assert_eq!(events.0, expected.1, "{record:?}");
        }
        assert_eq!(self.tree.digest(), digest, "{record:?}");
        Some(record)
    }

    pub(crate) fn compare(&self) {
        let (ours, twins) = (Dump::of(&self.tree), self.twin.applied.dump());
        for (path, node) in &twins.nodes {
            assert_eq!(ours.nodes.get(path), Some(node), "{path} at {}", self.zxid);
        }
        assert_eq!(ours, twins, "at {}", self.zxid);
        let expired: BTreeSet<String> = self.tree.expired_containers(self.time.0, 10).into_iter().collect();
        assert_eq!(expired, self.twin.applied.expired(self.time.0, 10));
    }
}

fn sorted(txn: Txn) -> Txn {
    match txn {
        Txn::CloseSession { paths: Some(mut paths) } => {
            paths.sort();
            Txn::CloseSession { paths: Some(paths) }
        }
        other => other,
    }
}

#[test]
fn the_tree_does_what_its_twin_does() {
    each_seed(80, |random| {
        let mut pair = Pair::new(random::settings(random), QuotaNodes::Free);
        for _ in 0..300 {
            pair.step(random);
            if random.one_in(10) {
                pair.compare();
            }
        }
        while pair.apply_next().is_some() {
            pair.compare();
        }
    });
}
