//! The generator against a small stand-in for a server: what it sends, what it counts, and what it refuses to count.

#![allow(clippy::unwrap_used, reason = "a test that cannot do its steps has failed")]

mod stand_in;

use std::time::Duration;

use zebu_bench::fill::Tree;
use zebu_bench::load::{Extent, Load, Outcome};
use zebu_bench::workload::Keys;
use zebu_bench::{BenchError, probe};

use stand_in::{Fault, StandIn};

fn load(server: &StandIn, op: &str, extent: Extent) -> Result<Outcome, BenchError> {
    Load {
        servers: vec![server.address()],
        server_pids: vec![std::process::id()],
        connections: 3,
        outstanding: 20,
        threads: 2,
        mix: op.parse().unwrap(),
        keys: Keys::new(10, 50).unwrap(),
        extent,
    }
    .run()
}

#[test]
fn a_bounded_run_sends_exactly_its_operations() {
    for op in ["get", "set", "create", "mixed:0.5"] {
        let server = StandIn::start(Fault::None);
        let outcome = load(&server, op, Extent::Ops(1000)).unwrap();
        assert_eq!(outcome.ops, 1000, "{op}");
        assert_eq!(outcome.op, op);
        assert!(outcome.ops_per_second > 0.0);
        assert!(outcome.latency_us.p50 <= outcome.latency_us.max);
        assert!(outcome.server_cpu_us_per_op.is_some());
        // Ten keys are created and set before; a parent for all, and one per connection if it creates.
        let creates = if op == "create" { 1000 + 3 } else { 0 };
        assert_eq!(server.creates(), 11 + creates, "{op}");
    }
}

#[test]
fn a_timed_run_ends_by_itself_and_counts_only_its_window() {
    let server = StandIn::start(Fault::None);
    let measured = Duration::from_millis(50);
    let extent = Extent::Time {
        warm_up: Duration::from_millis(20),
        measured,
    };
    let outcome = load(&server, "get", extent).unwrap();
    assert!(outcome.ops > 0);
    assert!((outcome.seconds - 0.05).abs() < 1e-9);
    assert!(
        server.gets() > outcome.ops,
        "replies before and after the window are not counted"
    );
}

#[test]
fn a_wrong_reply_ends_the_run() {
    for (fault, expected) in [
        (Fault::WrongXid, "xid"),
        (Fault::ErrorCode, "error code -101"),
        (Fault::ShortData, "were due"),
        (Fault::Close, "connection"),
    ] {
        let server = StandIn::start(fault);
        let error = load(&server, "get", Extent::Ops(1000)).unwrap_err().to_string();
        assert!(error.contains(expected), "{fault:?}: {error}");
    }
}

#[test]
fn a_tree_is_made_with_multis_and_read_back() {
    let server = StandIn::start(Fault::None);
    let tree = Tree {
        parents: 7,
        children: 11,
        data_bytes: 50,
        per_multi: 10,
    };
    assert_eq!(tree.make(server.address()).unwrap().znodes, 1 + 7 + 77);
    assert_eq!(server.creates(), 1 + 7 + 77);
    assert_eq!(tree.check(server.address()).unwrap().znodes, 77);
    assert_eq!(server.gets(), 77);
}

#[test]
fn a_serving_server_is_noticed_and_an_absent_one_is_named() {
    let server = StandIn::start(Fault::None);
    probe::until_serving(server.address(), Duration::from_secs(10)).unwrap();
    let address = server.address();
    drop(server);
    let error = probe::until_serving(address, Duration::ZERO).unwrap_err();
    assert!(matches!(error, BenchError::NotServing { .. }), "{error}");
}
