//! What a tree keeps, and for how long.

use alloc::format;

use zebu_proto::StatPersisted;

use super::*;

/// A directory that comes and goes with its content, as locks, tasks and elections make them.
#[test]
fn slots_of_nodes_that_come_and_go_are_used_again() {
    let mut bench = Bench::new(Settings::default());
    for round in 0..500 {
        bench.run(&create(&format!("/d{round}"), CreateMode::Persistent));
        bench.run(&create(&format!("/d{round}/x"), CreateMode::Persistent));
        if round > 0 {
            bench.run(&delete(&format!("/d{}/x", round - 1)));
            bench.run(&delete(&format!("/d{}", round - 1)));
        }
    }
    assert_eq!(bench.tree.node_count(), 6);
    assert!(bench.tree.nodes.end() <= 10, "{} slots", bench.tree.nodes.end());
}

#[test]
fn descendants_are_counted_by_slot_as_they_are_one_by_one() {
    let mut bench = Bench::new(Settings::default());
    let mut paths = alloc::vec![String::new()];
    for number in 0..3000_usize {
        // Some far below, some beside each other, over more than one chunk of slots.
        let parent = &paths[(number * 7919) % paths.len()];
        let path = alloc::format!("{parent}/{number}");
        bench.run(&create(&path, CreateMode::Persistent));
        paths.push(path);
        if number % 5 == 4 {
            let leaf = paths.swap_remove((number * 104_729) % paths.len());
            if bench.run(&delete(&leaf)) != Outcome::Done {
                paths.push(leaf);
            }
        }
    }
    let tree = &bench.tree;
    let end = tree.nodes.end();
    assert!(end > 2048, "{end}");
    for slot in (0..end).filter(|slot| tree.nodes.contains(*slot)) {
        assert_eq!(tree.nodes.count_below(slot), tree.subtree(slot).count() - 1, "{slot}");
    }
}

#[test]
fn the_data_of_a_loaded_root_is_counted() {
    let mut loader = Loader::new(Settings::default());
    loader
        .node(&NodeRecord {
            path: "".into(),
            data: Some(b"some data"),
            acl_key: -1,
            stat: StatPersisted::default(),
        })
        .unwrap();
    let tree = loader.finish(Zxid(5)).unwrap();
    let mut bench = Bench {
        pending: Pending::new(&tree),
        tree,
        zxid: Zxid(5),
    };
    let system_paths = 10 + 16 + 17;
    assert_eq!(bench.tree.data_bytes(), system_paths + 9);
    bench.run(&set_data("/", b""));
    assert_eq!(bench.tree.data_bytes(), system_paths);
    assert_eq!(bench.tree.node("").unwrap().data().as_option(), Some(&b""[..]));
}
