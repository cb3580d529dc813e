//! Reads everything back and judges it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::interop::client::{Answer, Op, Session, code};

use super::model::{Model, Seen, head, parent_of};
use super::worker::{COUNTER, Complaint, LOG, SharedAck, Worker};

/// What the server serves, by path, without its own nodes.
pub(super) type Tree = BTreeMap<String, Seen>;

/// Whether the server was stopped gracefully: then it answered everything that it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// Killed: what it had no time to answer may have been done.
    Acknowledged,
    /// Stopped: nothing is done that was not answered.
    Answered,
}

/// Reads the whole tree through a session of its own.
pub(super) fn read(address: SocketAddr) -> Result<Tree, Complaint> {
    let mut session = Session::open(address, 10_000).map_err(|error| format!("no session to read with: {error}"))?;
    let mut tree = Tree::new();
    let mut level = vec!["/".to_owned()];
    while !level.is_empty() {
        let requests: Vec<Op> = level
            .iter()
            .flat_map(|path| [Op::Get(path.clone()), Op::Children(path.clone())])
            .collect();
        let answers = session
            .call_all(&requests)
            .map_err(|error| format!("cannot read the tree: {error}"))?;
        let mut next = Vec::new();
        for (path, pair) in level.iter().zip(answers.chunks(2)) {
            // An ephemeral node may go between two answers.
            let [(data, Answer::Data(bytes, stat)), (_, Answer::Children(names, _))] = pair else {
                if pair[0].0.err == code::NO_NODE || pair[1].0.err == code::NO_NODE {
                    continue;
                }
                return Err(format!("{path} cannot be read: {:?}", pair[0]));
            };
            let names = names
                .iter()
                .filter(|name| path != "/" || *name != "zookeeper")
                .map(|name| format!("{}/{name}", path.trim_end_matches('/')));
            next.extend(names);
            debug_assert_eq!(data.err, code::OK);
            let seen = Seen {
                data: bytes.clone().unwrap_or_default(),
                stat: *stat,
            };
            tree.insert(path.clone(), seen);
        }
        level = next;
    }
    session.close().map_err(|error| format!("cannot close: {error}"))?;
    Ok(tree)
}

/// Compares everything below the workers' roots and the shared nodes with what was acknowledged, and lets the workers go
/// on from what is there. Returns how many unanswered writes had been done.
pub(super) fn judge(tree: &Tree, workers: &mut [Worker], promise: Promise) -> Result<u64, Complaint> {
    let mut found = 0;
    for worker in workers.iter_mut() {
        found += judge_worker(tree, worker, promise)?;
    }
    judge_shared(tree, workers)?;
    Ok(found)
}

/// The server does what a session asks in order, so the state must be that after all acknowledged writes and some
/// number of the unanswered ones, from the first on.
fn judge_worker(tree: &Tree, worker: &mut Worker, promise: Promise) -> Result<u64, Complaint> {
    let below = format!("{}/", worker.root);
    let seen: BTreeMap<&str, &Seen> = tree
        .range(worker.root.clone()..)
        .take_while(|(path, _)| **path == worker.root || path.starts_with(&below))
        .map(|(path, seen)| (path.as_str(), seen))
        .collect();
    let mut state = worker.state.clone();
    let acknowledged = state.difference(&seen);
    let mut done = 0;
    let mut complaint = acknowledged.clone();
    while complaint.is_some() && done < worker.unanswered.len() {
        worker.redo(&mut state, &worker.unanswered[done]);
        done += 1;
        complaint = state.difference(&seen);
    }
    if complaint.is_some() {
        let what = acknowledged.map(|difference| difference.to_string());
        return Err(format!(
            "{}: not what was acknowledged, and not that with any of the {} unanswered writes after it: {}",
            worker.root,
            worker.unanswered.len(),
            what.unwrap_or_default()
        ));
    }
    if promise == Promise::Answered && done > 0 {
        return Err(format!(
            "{}: {done} writes were done and not answered by a server that was stopped, not killed",
            worker.root
        ));
    }
    settle(worker, state, &seen, done);
    Ok(done as u64)
}

/// Goes on from what is there.
fn settle(worker: &mut Worker, mut state: Model, seen: &BTreeMap<&str, &Seen>, done: usize) {
    state.learn(seen);
    worker.state = state;
    for write in worker.unanswered.drain(..).take(done) {
        if write.is_shared {
            worker.shared_done.push(write.id().to_owned());
        }
    }
}

/// The shared nodes are written in one multi with a worker's own: they must show exactly the same writes.
fn judge_shared(tree: &Tree, workers: &[Worker]) -> Result<(), Complaint> {
    let numbered: BTreeMap<&str, String> = tree
        .iter()
        .filter(|(path, _)| parent_of(path) == LOG)
        .map(|(path, seen)| (path.as_str(), head(&seen.data)))
        .collect();
    let found: BTreeSet<&str> = numbered.values().map(String::as_str).collect();
    let done: BTreeSet<&str> = workers
        .iter()
        .flat_map(|worker| &worker.shared_done)
        .map(String::as_str)
        .collect();
    if let Some(id) = done.difference(&found).next() {
        return Err(format!(
            "a multi by half: {id} is below its worker's root and not in {LOG}"
        ));
    }
    if let Some(id) = found.difference(&done).next() {
        return Err(format!(
            "a multi by half: {id} is in {LOG} and not below its worker's root"
        ));
    }
    if found.len() != numbered.len() {
        return Err(format!("{LOG} holds a write twice"));
    }
    let counter = tree.get(COUNTER).ok_or_else(|| format!("{COUNTER} is missing"))?;
    if usize::try_from(counter.stat.version) != Ok(done.len()) {
        let version = counter.stat.version;
        return Err(format!(
            "{COUNTER} was set {version} times, {} writes did it",
            done.len()
        ));
    }
    let mut acks: Vec<&SharedAck> = workers.iter().flat_map(|worker| &worker.shared_acks).collect();
    acks.sort_by_key(|ack| ack.zxid);
    for ack in &acks {
        if numbered.get(ack.name.as_str()) != Some(&ack.id) {
            return Err(format!("{} does not hold the acknowledged {}", ack.name, ack.id));
        }
    }
    for pair in acks.windows(2) {
        let in_order = pair[0].zxid < pair[1].zxid && pair[0].version < pair[1].version && pair[0].name < pair[1].name;
        if !in_order {
            return Err(format!(
                "zxid, version and number do not agree: {:?}, {:?}",
                pair[0], pair[1]
            ));
        }
    }
    Ok(())
}
