//! Everything that one server has, read by a client.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::interop::client::{Acl, Answer, Op, Session, Stat};

/// The walker's session is used without pause.
const SESSION_TIMEOUT_MS: i32 = 10_000;
/// A server at rest answers sooner.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server itself is configured with; where that never changed its Stat speaks of the server's own start.
const CONFIG: &str = "/zookeeper/config";

/// A node as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Data.
    pub(crate) data: Option<Vec<u8>>,
    /// Stat.
    pub(crate) stat: Stat,
    /// Who may do what.
    pub(crate) acl: Vec<Acl>,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.data.as_deref().map(String::from_utf8_lossy);
        write!(f, "{data:?} {:?} {:?}", self.stat, self.acl)
    }
}

/// Nodes by path.
pub(crate) type Tree = BTreeMap<String, Node>;

/// Reads all nodes of a server, after a `sync`.
///
/// # Errors
/// When the server does not answer, or a node goes away meanwhile.
pub(crate) fn read(address: SocketAddr) -> io::Result<Tree> {
    let mut session = Session::open_within(address, SESSION_TIMEOUT_MS, PATIENCE)?;
    session.must(&Op::Sync("/".to_owned()))?;
    let mut tree = Tree::new();
    let mut level = vec!["/".to_owned()];
    while !level.is_empty() {
        let lists: Vec<Op> = level.iter().cloned().map(Op::Children).collect();
        let gets: Vec<Op> = level.iter().cloned().map(Op::Get).collect();
        let acls: Vec<Op> = level.iter().cloned().map(Op::GetAcl).collect();
        let mut next = Vec::new();
        for (path, (_, answer)) in level.iter().zip(session.call_all(&lists)?) {
            let Answer::Children(names, _) = answer else {
                return Err(io::Error::other(format!("{path} went away")));
            };
            let parent = path.trim_end_matches('/');
            next.extend(names.iter().map(|name| format!("{parent}/{name}")));
        }
        let data = session.call_all(&gets)?;
        let acls = session.call_all(&acls)?;
        for ((path, (_, data)), (_, acl)) in level.into_iter().zip(data).zip(acls) {
            let (Answer::Data(data, stat), Answer::Acl(acl, _)) = (data, acl) else {
                return Err(io::Error::other(format!("{path} went away")));
            };
            let stat = if path == CONFIG { Stat::default() } else { stat };
            tree.insert(path, Node { data, stat, acl });
        }
        level = next;
    }
    session.close()?;
    Ok(tree)
}

/// The first differences between the trees of several servers, each in a line; empty when all have the same.
///
/// # Errors
/// When a server does not answer.
pub fn of_all(addresses: &[SocketAddr]) -> io::Result<Vec<String>> {
    let Some((first, others)) = addresses.split_first() else {
        return Ok(Vec::new());
    };
    let tree = read(*first)?;
    let mut lines = Vec::new();
    for other in others {
        let found = differences(&tree, &read(*other)?);
        lines.extend(found.into_iter().map(|line| format!("{first} and {other}: {line}")));
    }
    Ok(lines)
}

/// The first differences between two trees, each in a line; empty when they are the same.
pub(crate) fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    const SHOWN: usize = 5;
    let mut lines = Vec::new();
    for (path, node) in one {
        match other.get(path) {
            None => lines.push(format!("{path} is missing in the second")),
            Some(twin) if twin != node => lines.push(format!("{path} is {node} and {twin}")),
            Some(_) => {}
        }
    }
    for path in other.keys().filter(|path| !one.contains_key(*path)) {
        lines.push(format!("{path} is missing in the first"));
    }
    lines.truncate(SHOWN);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(version: i32) -> Node {
        Node {
            data: Some(Vec::new()),
            stat: Stat {
                version,
                ..Stat::default()
            },
            acl: Acl::open(),
        }
    }

    #[test]
    fn equal_trees_do_not_differ() {
        let tree = Tree::from([("/a".to_owned(), node(1))]);
        assert!(differences(&tree, &tree).is_empty());
    }

    #[test]
    fn a_missing_node_and_another_stat_are_differences() {
        let one = Tree::from([("/a".to_owned(), node(1)), ("/b".to_owned(), node(1))]);
        let other = Tree::from([("/a".to_owned(), node(2)), ("/c".to_owned(), node(1))]);
        let lines = differences(&one, &other);
        assert_eq!(lines.len(), 3, "{lines:?}");
    }
}
