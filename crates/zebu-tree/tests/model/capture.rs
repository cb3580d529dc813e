//! Snapshots that are read while writes go on.

use std::collections::{BTreeMap, BTreeSet};

use zebu_proto::jute::Reader;
use zebu_proto::snapshot::{ACL_KEY_OPEN, NodeRecord};
use zebu_proto::{AclList, SessionId};
use zebu_tree::snapshot::Capture;
use zebu_tree::{Loader, Tree};

use crate::agree::Pair;
use crate::dump::Dump;
use crate::random::{self, QuotaNodes, each_seed};

/// A capture under way, what was read of it, and what it must turn out to be.
struct Reading {
    capture: Capture,
    bytes: Vec<u8>,
    expected: Dump,
}

impl Reading {
    fn begin(tree: &mut Tree) -> Self {
        let expected = Dump::of(tree);
        let capture = tree.begin_capture();
        let mut bytes = Vec::new();
        capture.encode_head(&mut bytes);
        assert_eq!(capture.nodes(), expected.nodes.len());
        assert_eq!(capture.digest(), expected.digest);
        assert_eq!(capture.zxid().0, expected.last_zxid);
        Self {
            capture,
            bytes,
            expected,
        }
    }

    fn check(&self, tree: &Tree) {
        let mut reader = Reader::new(&self.bytes);
        let mut loader = Loader::new(*tree.settings());
        let mut acls = BTreeMap::from([(ACL_KEY_OPEN, AclList::OPEN)]);
        for _ in 0..reader.count("sessions").unwrap().unwrap() {
            loader.session(SessionId(reader.long("id").unwrap()), reader.int("timeout").unwrap());
        }
        for _ in 0..reader.count("acls").unwrap().unwrap() {
            let key = reader.long("key").unwrap();
            let list = AclList::decode(&mut reader).unwrap().unwrap();
            loader.acl(key, list.clone());
            assert!(acls.insert(key, list).is_none());
        }
        let mut seen = BTreeSet::new();
        while let Some(node) = NodeRecord::decode(&mut reader).unwrap() {
            let path = node.path.to_string();
            if let Some(slash) = path.rfind('/') {
                assert!(seen.contains(&path[..slash]), "{path} before its parent");
            }
            let expected = self.expected.nodes.get(&path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(node.data.map(<[u8]>::to_vec), expected.data, "{path}");
            assert_eq!(node.stat, expected.stored, "{path}");
            assert_eq!(acls[&node.acl_key].to_vec(), expected.acl, "{path}");
            loader.node(&node).unwrap();
            assert!(seen.insert(path));
        }
        assert!(reader.is_at_end());
        assert_eq!(seen.len(), self.expected.nodes.len());
        let loaded = loader.finish(self.capture.zxid()).unwrap();
        assert_eq!(Dump::of(&loaded).without_usage(), self.expected.clone().without_usage());
    }
}

#[test]
fn a_snapshot_is_the_state_at_its_zxid() {
    each_seed(80, |random| {
        let mut pair = Pair::new(random::settings(random), QuotaNodes::Free);
        let mut readings: Vec<Reading> = Vec::new();
        for _ in 0..400 {
            pair.step(random);
            if readings.len() < 3 && random.one_in(15) {
                readings.push(Reading::begin(&mut pair.tree));
            }
            if readings.is_empty() || !random.one_in(2) {
                continue;
            }
            let at = random.below(readings.len());
            if random.one_in(40) {
                // Given up half-way.
                let reading = readings.swap_remove(at);
                drop(pair.tree.end_capture(&reading.capture));
                continue;
            }
            let reading = &mut readings[at];
            let wanted = reading.bytes.len() + random.below(400);
            if pair.tree.read_capture(&reading.capture, &mut reading.bytes, wanted) {
                reading.check(&pair.tree);
                let reading = readings.swap_remove(at);
                drop(pair.tree.end_capture(&reading.capture));
            }
        }
    });
}
