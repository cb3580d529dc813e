//! Transactions onto states that hold them already.

use zebu_proto::txn::TxnRecord;
use zebu_tree::{Settings, Tree};

use crate::agree::Pair;
use crate::dump::Dump;
use crate::random::{self, QuotaNodes, Random, each_seed};

fn records(random: &mut Random, settings: Settings, quotas: QuotaNodes) -> Vec<TxnRecord> {
    let mut pair = Pair::new(settings, quotas);
    let mut records = Vec::new();
    for _ in 0..120 {
        records.append(&mut pair.step(random));
    }
    records.extend(std::iter::from_fn(|| pair.apply_next()));
    records
}

fn apply(tree: &mut Tree, records: &[TxnRecord]) {
    for record in records {
        tree.apply(record, &mut ());
    }
}

/// Number of ACLs that a snapshot would have in its table.
fn acls(tree: &mut Tree) -> i32 {
    let capture = tree.begin_capture();
    let mut head = Vec::new();
    capture.encode_head(&mut head);
    drop(tree.end_capture(&capture));
    let sessions = i32::from_be_bytes(head[..4].try_into().unwrap());
    let at = 4 + 12 * sessions as usize;
    i32::from_be_bytes(head[at..at + 4].try_into().unwrap())
}

#[test]
fn a_suffix_applied_again_over_any_later_state_gives_the_same_end() {
    each_seed(30, |random| {
        let settings = random::settings(random);
        let quotas = random.pick(&[QuotaNodes::Fixed, QuotaNodes::Free]);
        let records = records(random, settings, quotas);
        let mut tree = Tree::new(settings);
        apply(&mut tree, &records);
        let end = dump(&tree, quotas);
        let acls_at_end = acls(&mut tree);
        let check = |tree: &mut Tree, reached: usize, from: usize| {
            let ours = dump(tree, quotas);
            let place = format!("reached {reached}, then from {from}");
            for (path, node) in &end.nodes {
                assert_eq!(ours.nodes.get(path), Some(node), "{path}: {place}");
            }
            assert_eq!(ours, end, "{place}");
            assert_eq!(acls(tree), acls_at_end, "{place}");
        };
        for reached in 0..=records.len() {
            let from = random.below(reached + 1);
            let mut tree = Tree::new(settings);
            apply(&mut tree, &records[..reached]);
            apply(&mut tree, &records[from..]);
            check(&mut tree, reached, from);
            let from = random.below(records.len() + 1);
            apply(&mut tree, &records[from..]);
            check(&mut tree, records.len(), from);
        }
    });
}

fn dump(tree: &Tree, quotas: QuotaNodes) -> Dump {
    match quotas {
        QuotaNodes::Fixed => Dump::of(tree),
        // Counted while there were no limits, or with others nearer by: as with Java, that is not found again.
        QuotaNodes::Free => Dump::of(tree).without_usage(),
    }
}
