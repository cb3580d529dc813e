//! A whole state as a plain value, to compare.

use std::collections::{BTreeMap, BTreeSet};

use zebu_proto::{Acl, SessionId, Stat, StatPersisted};
use zebu_tree::Tree;

/// Everything that a tree shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dump {
    pub(crate) nodes: BTreeMap<String, NodeDump>,
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    pub(crate) ephemerals: BTreeMap<SessionId, BTreeSet<String>>,
    pub(crate) digest: u64,
    pub(crate) data_bytes: u64,
    pub(crate) last_zxid: i64,
}

/// Everything that a node shows. The root's path is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeDump {
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) acl: Vec<Acl>,
    pub(crate) stored: StatPersisted,
    pub(crate) stat: Stat,
    pub(crate) children: BTreeSet<String>,
}

impl Dump {
    pub(crate) fn of(tree: &Tree) -> Self {
        let mut nodes = BTreeMap::new();
        add(tree, "", &mut nodes);
        assert_eq!(nodes.len(), tree.node_count());
        for path in nodes.keys() {
            let prefix = format!("{path}/");
            let below = nodes.keys().filter(|other| other.starts_with(&prefix)).count();
            assert_eq!(tree.descendants(path), Some(below), "{path}");
        }
        let ephemerals: BTreeMap<_, BTreeSet<_>> = tree
            .sessions_with_ephemerals()
            .into_iter()
            .map(|session| (session, tree.ephemerals(session).into_iter().collect()))
            .collect();
        assert_eq!(
            ephemerals.values().map(BTreeSet::len).sum::<usize>(),
            tree.ephemeral_count()
        );
        Self {
            nodes,
            sessions: tree.sessions().collect(),
            ephemerals,
            digest: tree.digest(),
            data_bytes: tree.data_bytes(),
            last_zxid: tree.last_zxid().0,
        }
    }

    /// Without what usage nodes say, and so without the sum of bytes: a load counts anew.
    pub(crate) fn without_usage(mut self) -> Self {
        for (path, node) in &mut self.nodes {
            if path.starts_with("/zookeeper/quota") && path.ends_with("/zookeeper_stats") {
                node.data = None;
                node.stat.data_length = 0;
            }
        }
        self.data_bytes = 0;
        self
    }
}

fn add(tree: &Tree, path: &str, nodes: &mut BTreeMap<String, NodeDump>) {
    let node = tree.node(path).unwrap();
    let children: Vec<&str> = node.children().collect();
    assert_eq!(children.len(), node.children_count() as usize);
    for child in &children {
        add(tree, &format!("{path}/{child}"), nodes);
    }
    let dump = NodeDump {
        data: node.data().as_option().map(<[u8]>::to_vec),
        acl: node.acl().to_vec(),
        stored: node.stored_stat(),
        stat: node.stat(),
        children: children.into_iter().map(String::from).collect(),
    };
    assert_eq!(dump.children.len(), dump.stat.num_children as usize);
    nodes.insert(path.into(), dump);
}
