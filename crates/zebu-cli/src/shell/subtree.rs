//! Commands on a node and all below it.

use std::collections::VecDeque;

use zebu_proto::ErrorCode;
use zebu_proto::client::Request;

use super::client::{Client, ClientError, Ticket, child_path};
use super::error::{On as _, ShellError, Target};

/// Listings that are asked for before they are needed, so that a walk does not wait a round trip for each node.
const AHEAD: usize = 64;
/// Bytes of one transaction of deletes; servers refuse frames above `jute.maxbuffer`, 1 MiB unless configured.
const TXN_BYTES_MAX: usize = 512 * 1024;
/// What a delete takes in a transaction besides its path: headers and version.
const DELETE_BYTES: usize = 32;

/// Whether a walk is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    Go,
    Stop,
}

/// Nodes that a walk was not allowed to look into.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Denied {
    first: Option<String>,
    count: usize,
}

impl Denied {
    /// An error if there were any.
    pub(crate) fn check(self, shown: impl Fn(&str) -> String) -> Result<(), ShellError> {
        self.first.map_or(Ok(()), |first| {
            Err(ShellError::Denied {
                first: shown(&first),
                count: self.count,
            })
        })
    }
}

/// A node whose children are still to be visited, and the answer to the question for them, if it was asked already.
struct Waiting {
    path: String,
    children: Option<Ticket>,
}

/// Visits a node and all below it: first the node, then its children sorted, then what is below each of them in the same
/// way. Nodes that go away meanwhile are passed over. Not one moment's picture: others may change the tree during the walk.
///
/// # Errors
/// If the root is not there, the connection fails, or `visit` does.
pub(crate) fn walk(
    client: &Client,
    root: &str,
    watch: bool,
    visit: &mut dyn FnMut(&str) -> Result<Visit, ShellError>,
) -> Result<Denied, ShellError> {
    let mut denied = Denied::default();
    // The children still to be looked into, level by level. A list and no recursion: trees can be deeper than a stack.
    let mut levels: Vec<VecDeque<Waiting>> = Vec::new();
    let mut children = client.children(root, watch).reading(root)?.0;
    if visit(root)? == Visit::Stop {
        return Ok(denied);
    }
    let mut parent = root.to_owned();
    let mut asked = 0;
    loop {
        children.sort_unstable();
        let mut level = VecDeque::with_capacity(children.len());
        for name in &children {
            let path = child_path(&parent, name);
            if visit(&path)? == Visit::Stop {
                return Ok(denied);
            }
            level.push_back(Waiting { path, children: None });
        }
        levels.push(level);
        while levels.last().is_some_and(VecDeque::is_empty) {
            levels.pop();
        }
        let Some(level) = levels.last_mut() else {
            return Ok(denied);
        };
        ask_ahead(client, level, watch, &mut asked);
        let Some(next) = level.pop_front() else {
            return Ok(denied);
        };
        asked -= usize::from(next.children.is_some());
        parent = next.path;
        children = match answer(client, &parent, next.children, watch) {
            Ok(children) => children,
            Err(ClientError::Refused(ErrorCode::NoNode)) => Vec::new(),
            Err(ClientError::Refused(ErrorCode::NoAuth)) => {
                denied.count += 1;
                denied.first.get_or_insert_with(|| parent.clone());
                Vec::new()
            }
            Err(error) => return Err(error).reading(parent),
        };
    }
}

/// Asks for the children of the nodes that come next. What cannot be asked now is asked when it is needed.
fn ask_ahead(client: &Client, level: &mut VecDeque<Waiting>, watch: bool, asked: &mut usize) {
    for waiting in level.iter_mut().take(AHEAD) {
        if *asked >= 2 * AHEAD {
            return;
        }
        if waiting.children.is_some() {
            continue;
        }
        let path = waiting.path.as_str().into();
        match client.submit(&Request::GetChildren2 { path, watch }) {
            Ok(ticket) => {
                waiting.children = Some(ticket);
                *asked += 1;
            }
            Err(_) => return,
        }
    }
}

fn answer(client: &Client, path: &str, ticket: Option<Ticket>, watch: bool) -> Result<Vec<String>, ClientError> {
    match ticket.map(|ticket| client.wait_children(ticket)) {
        Some(Ok(children)) => Ok(children),
        // Lost with its connection; the next one may be better.
        None | Some(Err(ClientError::ConnectionLost(_))) => Ok(client.children(path, watch)?.0),
        Some(Err(error)) => Err(error),
    }
}

/// Deletes a node and all below it, at most `batch` nodes in one transaction. Returns how many there were.
///
/// # Errors
/// If some nodes cannot be looked into, before anything is deleted; later with the number of those that are gone.
pub(crate) fn delete(
    client: &Client,
    root: &str,
    batch: usize,
    shown: impl Fn(&str) -> String,
) -> Result<usize, ShellError> {
    let mut paths = Vec::new();
    let denied = walk(client, root, false, &mut |path| {
        paths.push(path.to_owned());
        Ok(Visit::Go)
    })?;
    denied.check(&shown)?;
    // A node was visited before all that is below it, so this way round those come first.
    paths.reverse();
    let mut deleted = 0;
    while deleted < paths.len() {
        let txn = &paths[deleted..deleted + txn_len(&paths[deleted..], batch)];
        if let Err((index, error)) = client.delete_all(txn) {
            let path = shown(index.and_then(|index| txn.get(index)).map_or(root, String::as_str));
            let error = ShellError::on(error, Target::Write(path));
            return Err(if deleted == 0 {
                error
            } else {
                ShellError::PartlyDeleted {
                    deleted,
                    total: paths.len(),
                    error: Box::new(error),
                }
            });
        }
        deleted += txn.len();
    }
    Ok(deleted)
}

/// How many of these paths make the next transaction; at least one.
fn txn_len(paths: &[String], batch: usize) -> usize {
    let mut bytes = 0;
    let fit = paths
        .iter()
        .take(batch)
        .take_while(|path| {
            bytes += path.len() + DELETE_BYTES;
            bytes <= TXN_BYTES_MAX
        })
        .count();
    fit.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_bounded_in_nodes_and_bytes() {
        let short = vec!["/a".to_owned(); 2500];
        assert_eq!(txn_len(&short, 1000), 1000);
        assert_eq!(txn_len(&short[..7], 1000), 7);
        let long = vec!["x".repeat(100_000); 20];
        assert_eq!(txn_len(&long, 1000), 5);
        assert_eq!(txn_len(&["x".repeat(1_000_000)], 1000), 1);
    }
}
