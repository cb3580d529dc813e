//! What a worker's part of the tree must look like: a slow and obvious second implementation of the writes.
//!
//! Only one session ever writes below a worker's root, so the outcome of each of its requests is known when it is sent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::interop::client::{Op, Stat, code};

/// A node as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) data: Arc<[u8]>,
    pub(super) version: i32,
    /// Children ever created; also the number that the next sequential child gets.
    pub(super) created: i32,
    pub(super) children: i32,
    /// The session of an ephemeral node, otherwise 0.
    pub(super) owner: i64,
    /// The transactions of creation and of the last change, where a reply told them.
    pub(super) czxid: Option<i64>,
    pub(super) mzxid: Option<i64>,
}

/// A node as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) data: Vec<u8>,
    pub(super) stat: Stat,
}

/// What a write should answer: the error code, or the codes of all elements of a multi that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) err: i32,
    /// Of each element.
    pub(super) elements: Vec<i32>,
    /// Paths of created nodes, with their numbers.
    pub(super) created: Vec<String>,
}

impl Outcome {
    /// Whether anything was changed.
    pub(super) fn is_success(&self) -> bool {
        self.err == code::OK
    }
}

/// A part of the tree, by full path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) nodes: BTreeMap<String, Node>,
}

impl Model {
    /// Does what the server should do. `zxid` is the transaction, if it is known.
    pub(super) fn apply(&mut self, op: &Op, session: i64, zxid: Option<i64>) -> Outcome {
        let Op::Multi(ops) = op else {
            let done = self.apply_one(op, session, zxid);
            return Outcome {
                err: done.as_ref().err().copied().unwrap_or(code::OK),
                elements: Vec::new(),
                created: done.ok().flatten().into_iter().collect(),
            };
        };
        let mut copy = self.clone();
        let mut elements = Vec::new();
        let mut created = Vec::new();
        let mut failed = code::OK;
        for op in ops {
            if failed != code::OK {
                elements.push(code::RUNTIME_INCONSISTENCY);
                continue;
            }
            match copy.apply_one(op, session, zxid) {
                Ok(path) => {
                    created.extend(path);
                    elements.push(code::OK);
                }
                Err(err) => {
                    failed = err;
                    elements.push(err);
                }
            }
        }
        if failed == code::OK {
            *self = copy;
        } else {
            created.clear();
        }
        Outcome {
            err: failed,
            elements,
            created,
        }
    }

    /// One write that is no multi: the path of a created node, or an error code.
    fn apply_one(&mut self, op: &Op, session: i64, zxid: Option<i64>) -> Result<Option<String>, i32> {
        match op {
            Op::Create { path, data, mode, .. } => {
                let parent = self.nodes.get(parent_of(path)).ok_or(code::NO_NODE)?;
                let path = if mode.is_sequential() {
                    format!("{path}{:010}", parent.created)
                } else {
                    path.clone()
                };
                if self.nodes.contains_key(&path) {
                    return Err(code::NODE_EXISTS);
                }
                if parent.owner != 0 {
                    return Err(code::NO_CHILDREN_FOR_EPHEMERALS);
                }
                let parent = self.nodes.get_mut(parent_of(&path)).ok_or(code::NO_NODE)?;
                parent.created += 1;
                parent.children += 1;
                let node = Node {
                    data: Arc::from(data.as_deref().unwrap_or_default()),
                    version: 0,
                    created: 0,
                    children: 0,
                    owner: if mode.is_ephemeral() { session } else { 0 },
                    czxid: zxid,
                    mzxid: zxid,
                };
                self.nodes.insert(path.clone(), node);
                Ok(Some(path))
            }
            Op::Delete { path, version } => {
                let node = self.nodes.get(path).ok_or(code::NO_NODE)?;
                check(node, *version)?;
                if node.children > 0 {
                    return Err(code::NOT_EMPTY);
                }
                self.nodes.remove(path);
                if let Some(parent) = self.nodes.get_mut(parent_of(path)) {
                    parent.children -= 1;
                }
                Ok(None)
            }
            Op::Set { path, data, version } => {
                let node = self.nodes.get_mut(path).ok_or(code::NO_NODE)?;
                check(node, *version)?;
                node.data = Arc::from(data.as_deref().unwrap_or_default());
                node.version += 1;
                node.mzxid = zxid;
                Ok(None)
            }
            Op::Check { path, version } => {
                let node = self.nodes.get(path).ok_or(code::NO_NODE)?;
                check(node, *version)?;
                Ok(None)
            }
            Op::SetAcl { .. }
            | Op::Multi(_)
            | Op::Get(_)
            | Op::Children(_)
            | Op::GetAcl(_)
            | Op::Auth { .. }
            | Op::Ping
            | Op::Sync(_)
            | Op::GetAndWatch(_)
            | Op::ChildrenAndWatch(_)
            | Op::SetWatches { .. }
            | Op::Close => unreachable!("the load makes no such write below a worker's root"),
        }
    }

    /// The first way in which what was read is not this; `None` if it is.
    pub(super) fn difference(&self, seen: &BTreeMap<&str, &Seen>) -> Option<Difference> {
        for (path, node) in &self.nodes {
            let Some(seen) = seen.get(path.as_str()) else {
                return Some(Difference::new(path, "is missing"));
            };
            if let Some(what) = node.difference(seen) {
                return Some(Difference::new(path, &what));
            }
        }
        let extra = seen.keys().find(|path| !self.nodes.contains_key(**path))?;
        Some(Difference::new(extra, "should not be there"))
    }

    /// Takes over from what was read the transactions that no reply told.
    pub(super) fn learn(&mut self, seen: &BTreeMap<&str, &Seen>) {
        for (path, node) in &mut self.nodes {
            if let Some(seen) = seen.get(path.as_str()) {
                node.czxid = Some(seen.stat.czxid);
                node.mzxid = Some(seen.stat.mzxid);
            }
        }
    }
}

impl Node {
    fn difference(&self, seen: &Seen) -> Option<String> {
        let stat = &seen.stat;
        let pairs = [
            ("version", i64::from(self.version), i64::from(stat.version)),
            (
                "cversion",
                i64::from(2 * self.created - self.children),
                i64::from(stat.cversion),
            ),
            ("numChildren", i64::from(self.children), i64::from(stat.num_children)),
            ("ephemeralOwner", self.owner, stat.ephemeral_owner),
            ("czxid", self.czxid.unwrap_or(stat.czxid), stat.czxid),
            ("mzxid", self.mzxid.unwrap_or(stat.mzxid), stat.mzxid),
        ];
        if *self.data != *seen.data {
            return Some(format!(
                "holds {:?} in place of {:?}",
                head(&seen.data),
                head(&self.data)
            ));
        }
        pairs
            .iter()
            .find(|(_, expected, found)| expected != found)
            .map(|(what, expected, found)| format!("has {what} {found:#x} in place of {expected:#x}"))
    }
}

/// A node that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    path: String,
    what: String,
}

impl Difference {
    fn new(path: &str, what: &str) -> Self {
        Self {
            path: path.to_owned(),
            what: what.to_owned(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.what)
    }
}

fn check(node: &Node, version: i32) -> Result<(), i32> {
    if version == -1 || version == node.version {
        Ok(())
    } else {
        Err(code::BAD_VERSION)
    }
}

/// The path of the parent; paths of workers have at least two parts.
pub(super) fn parent_of(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..at])
}

/// The part of a value that tells which write made it.
pub(super) fn head(data: &[u8]) -> String {
    let end = data.iter().position(|byte| *byte == b' ').unwrap_or(data.len());
    String::from_utf8_lossy(&data[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interop::client::Mode;

    fn model() -> Model {
        let mut model = Model::default();
        let root = Node {
            data: Arc::from(&b""[..]),
            version: 0,
            created: 0,
            children: 0,
            owner: 0,
            czxid: None,
            mzxid: None,
        };
        model.nodes.insert("/w0".to_owned(), root);
        model
    }

    fn as_seen(model: &Model) -> BTreeMap<String, Seen> {
        let seen = |node: &Node| Seen {
            data: node.data.to_vec(),
            stat: Stat {
                version: node.version,
                cversion: 2 * node.created - node.children,
                num_children: node.children,
                ephemeral_owner: node.owner,
                ..Stat::default()
            },
        };
        model
            .nodes
            .iter()
            .map(|(path, node)| (path.clone(), seen(node)))
            .collect()
    }

    fn difference(model: &Model, seen: &BTreeMap<String, Seen>) -> Option<String> {
        let seen = seen.iter().map(|(path, seen)| (path.as_str(), seen)).collect();
        model.difference(&seen).map(|difference| difference.to_string())
    }

    #[test]
    fn writes_answer_as_the_protocol_says() {
        let mut model = model();
        let mut check = |op: Op, expected: i32| assert_eq!(model.apply(&op, 7, None).err, expected, "{op:?}");
        check(Op::create("/w0/a", "x"), code::OK);
        check(Op::create("/w0/a", "x"), code::NODE_EXISTS);
        check(Op::create("/w0/b/c", "x"), code::NO_NODE);
        check(Op::set("/w0/a", "y", 1), code::BAD_VERSION);
        check(Op::set("/w0/a", "y", 0), code::OK);
        check(Op::create_as("/w0/e", "x", Mode::Ephemeral), code::OK);
        check(Op::create("/w0/e/c", "x"), code::NO_CHILDREN_FOR_EPHEMERALS);
        check(Op::create("/w0/a/c", "x"), code::OK);
        check(Op::delete("/w0/a", -1), code::NOT_EMPTY);
        check(Op::delete("/w0/a/c", 0), code::OK);
        check(Op::delete("/w0/a", 1), code::OK);
        check(Op::delete("/w0/a", -1), code::NO_NODE);
    }

    #[test]
    fn numbers_count_all_children_ever_created() {
        let mut model = model();
        model.apply(&Op::create("/w0/a", ""), 7, None);
        model.apply(&Op::delete("/w0/a", -1), 7, None);
        let outcome = model.apply(&Op::create_as("/w0/s-", "", Mode::Sequential), 7, None);
        assert_eq!(outcome.created, ["/w0/s-0000000001"]);
    }

    #[test]
    fn a_multi_is_all_or_nothing() {
        let mut model = model();
        let before = model.clone();
        let failing = Op::Multi(vec![
            Op::create("/w0/a", ""),
            Op::delete("/w0/b", -1),
            Op::set("/w0", "", -1),
        ]);
        let outcome = model.apply(&failing, 7, None);
        let expected = [code::OK, code::NO_NODE, code::RUNTIME_INCONSISTENCY];
        assert_eq!(outcome.elements, expected);
        assert_eq!(model, before);
        let whole = Op::Multi(vec![Op::create("/w0/a", ""), Op::delete("/w0/a", 0)]);
        assert!(model.apply(&whole, 7, None).is_success());
        assert_eq!(model.nodes["/w0"].created, 1);
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let mut model = model();
        model.apply(&Op::create("/w0/a", "1"), 7, None);
        model.apply(&Op::create_as("/w0/e", "2", Mode::Ephemeral), 7, None);
        let good = as_seen(&model);
        assert_eq!(difference(&model, &good), None);
        let check = |change: &dyn Fn(&mut BTreeMap<String, Seen>), expected: &str| {
            let mut seen = good.clone();
            change(&mut seen);
            let found = difference(&model, &seen).unwrap_or_default();
            assert!(found.contains(expected), "{found}");
        };
        check(&|seen| drop(seen.remove("/w0/a")), "/w0/a is missing");
        check(
            &|seen| drop(seen.insert("/w0/z".to_owned(), good["/w0/a"].clone())),
            "/w0/z should not",
        );
        check(&|seen| seen.get_mut("/w0/a").unwrap().data = b"3".to_vec(), "holds");
        check(&|seen| seen.get_mut("/w0/a").unwrap().stat.version = 1, "version 0x1");
        check(&|seen| seen.get_mut("/w0").unwrap().stat.cversion = 1, "cversion 0x1");
        check(
            &|seen| seen.get_mut("/w0").unwrap().stat.num_children = 1,
            "numChildren",
        );
        check(
            &|seen| seen.get_mut("/w0/e").unwrap().stat.ephemeral_owner = 8,
            "ephemeralOwner",
        );
    }
}
