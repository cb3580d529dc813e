//! Transactions replayed onto a state that holds later ones already.

use super::*;
use crate::quota;

fn usage(tree: &Tree, limited: &str) -> (i64, i64) {
    let path = quota::stats_path(limited);
    let track = quota::Track::parse(tree.node(&path).unwrap().data().as_bytes());
    (track.count, track.bytes)
}

fn with_quota(bench: &mut Bench, limited: &str, limits: &[u8]) {
    let mut path = String::from("/zookeeper/quota");
    for name in limited.split('/').skip(1) {
        path.push('/');
        path.push_str(name);
        bench.run(&create(&path, CreateMode::Persistent));
    }
    bench.run(&create(&quota::limits_path(limited), CreateMode::Persistent));
    bench.run(&create(&quota::stats_path(limited), CreateMode::Persistent));
    bench.run(&set_data(&quota::limits_path(limited), limits));
}

#[test]
fn a_delete_replayed_onto_the_next_life_of_a_node_counts_what_it_takes_along() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&create("/q", CreateMode::Persistent));
    with_quota(&mut bench, "/q", b"count=100,bytes=-1");
    bench.run(&create("/q/a", CreateMode::Persistent));
    let mut range = Vec::new();
    for request in [
        delete("/q/a"),
        create("/q/a", CreateMode::Persistent),
        create("/q/a/b", CreateMode::Persistent),
        create("/q/a/b/c", CreateMode::Persistent),
    ] {
        let record = bench.prepare(&request);
        bench.apply(&record);
        range.push(record);
    }
    assert_eq!(usage(&bench.tree, "/q"), (4, 16));
    let digest = bench.tree.digest();
    for record in &range {
        bench.tree.apply(record, &mut ());
    }
    assert_eq!(usage(&bench.tree, "/q"), (4, 16));
    assert_eq!(bench.tree.digest(), digest);
}

/// Found by the model: `DataTree.updateQuotaForPath` writes what it counted, and that is nothing here.
#[test]
fn a_quota_of_a_path_that_is_not_there_starts_with_nothing_in_use() {
    let mut bench = Bench::new(Settings::default());
    with_quota(&mut bench, "/q", b"count=100,bytes=-1");
    assert_eq!(usage(&bench.tree, "/q"), (0, 0));
    bench.run(&create("/q", CreateMode::Persistent));
    assert_eq!(usage(&bench.tree, "/q"), (1, 4));
}

#[test]
fn only_the_limits_below_quota_end_a_quota() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&create("/zookeeper/q", CreateMode::Persistent));
    with_quota(&mut bench, "/zookeeper/q", b"count=100,bytes=-1");
    bench.run(&create("/zookeeper/q/zookeeper_limits", CreateMode::Persistent));
    assert_eq!(usage(&bench.tree, "/zookeeper/q"), (2, 8));
    bench.run(&delete("/zookeeper/q/zookeeper_limits"));
    assert_eq!(usage(&bench.tree, "/zookeeper/q"), (1, 4));
    bench.run(&create("/zookeeper/q/x", CreateMode::Persistent));
    assert_eq!(usage(&bench.tree, "/zookeeper/q"), (2, 8));
    bench.run(&delete("/zookeeper/quota/zookeeper/q/zookeeper_limits"));
    bench.run(&create("/zookeeper/q/y", CreateMode::Persistent));
    assert_eq!(usage(&bench.tree, "/zookeeper/q"), (2, 8));
}

/// As with Java, which counts it once and then no more: a quota on the root is none.
#[test]
fn the_usage_of_the_root_is_counted_when_its_node_is_made() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&create("/a", CreateMode::Persistent));
    bench.run(&create("/zookeeper/quota/zookeeper_limits", CreateMode::Persistent));
    bench.run(&create("/zookeeper/quota/zookeeper_stats", CreateMode::Persistent));
    // Four from the start, three more, and four bytes in each of these.
    assert_eq!(usage(&bench.tree, ""), (7, 12));
    bench.run(&create("/b", CreateMode::Persistent));
    assert_eq!(usage(&bench.tree, ""), (7, 12));
}

#[test]
fn a_name_that_starts_like_quota_is_no_quota() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&create("/zookeeper/quotaX", CreateMode::Persistent));
    bench.run(&create("/zookeeper/quotaX/zookeeper_limits", CreateMode::Persistent));
    bench.run(&create("/zookeeper/quotaX/zookeeper_stats", CreateMode::Persistent));
    let stats = bench.tree.node("/zookeeper/quotaX/zookeeper_stats").unwrap();
    assert_eq!(stats.data().as_bytes(), b"data");
}

/// Found by the model: the closing of a session that lists no nodes does not end a node that belongs to another by then.
#[test]
fn a_create_replayed_onto_a_later_life_of_the_node_begins_it_again() {
    let mut bench = Bench::new(Settings {
        close_session_txn: false,
        ..Settings::default()
    });
    let mut range = Vec::new();
    for request in [
        create("/e", CreateMode::Ephemeral),
        set_data("/e", b"of the first life"),
        Request::CloseSession,
        create("/e", CreateMode::Persistent),
        create("/e/child", CreateMode::Persistent),
    ] {
        let record = bench.prepare(&request);
        bench.apply(&record);
        range.push(record);
    }
    let (digest, bytes) = (bench.tree.digest(), bench.tree.data_bytes());
    for record in &range {
        bench.tree.apply(record, &mut ());
    }
    let node = bench.tree.node("/e").unwrap();
    assert_eq!((node.stat().version, node.stat().ephemeral_owner), (0, 0));
    assert_eq!(node.data().as_bytes(), b"data");
    assert_eq!(node.children_count(), 1);
    assert_eq!((bench.tree.digest(), bench.tree.data_bytes()), (digest, bytes));
}
