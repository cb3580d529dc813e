//! Requests: what they are turned into while others are on their way.

use alloc::format;
use alloc::vec;

use zebu_proto::client::{MultiOp, MultiRequest};
use zebu_proto::txn::CreateTxnKind;
use zebu_proto::{Owner, OwnerRules};

use super::*;

fn create_request(path: &str, mode: CreateMode) -> CreateRequest<'_> {
    match create(path, mode) {
        Request::Create(create) => create,
        _ => unreachable!("that is what it makes"),
    }
}

fn with_ttl_nodes() -> Settings {
    Settings {
        owner_rules: OwnerRules {
            extended_types: true,
            emulate_353: false,
        },
        ..Settings::default()
    }
}

/// Records of one transaction share a zxid, and in a table many of them share the bits by which it looks for them.
#[test]
fn nothing_is_pending_after_the_last_transaction_is_applied() {
    let mut bench = Bench::new(Settings::default());
    for round in 0..20 {
        let paths: Vec<String> = (0..200).map(|at| format!("/n{round}-{at}")).collect();
        let ops = paths
            .iter()
            .map(|path| MultiOp::Create(create_request(path, CreateMode::Persistent)));
        bench.run(&Request::Multi(MultiRequest { ops: ops.collect() }));
        assert_eq!(bench.pending.len(), 0, "round {round}");
    }
}

#[test]
fn a_transaction_that_is_taken_back_late_does_not_bring_back_what_was_applied_meanwhile() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&create("/a", CreateMode::Persistent));
    let first = bench.prepare(&set_data("/a", b"1"));
    let context = bench.context();
    bench.pending.prepare(&bench.tree, &context, &set_data("/a", b"2"));
    bench.apply(&first);
    let refusal = bench.pending.refuse_last(&context, ErrorCode::MarshallingError);
    bench.apply(&refusal);
    assert_eq!(bench.pending.len(), 0);
    assert_eq!(bench.run(&delete("/a")), Outcome::Done);
    bench.run(&create("/a", CreateMode::Persistent));
}

#[test]
fn a_node_that_came_twice_goes_once_with_its_session() {
    let mut bench = Bench::new(Settings::default());
    let records = [
        create("/e", CreateMode::Ephemeral),
        delete("/e"),
        create("/e", CreateMode::Ephemeral),
        Request::CloseSession,
    ]
    .map(|request| bench.prepare(&request));
    let paths = Some(vec!["/e".into()]);
    assert_eq!(records[3].txn, Txn::CloseSession { paths });
    for record in &records {
        bench.apply(record);
    }
    assert_eq!(bench.pending.len(), 0);
}

#[test]
fn a_multi_that_is_refused_leaves_no_trace() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&create("/p", CreateMode::Persistent));
    let before = bench.prepare(&create("/p/n", CreateMode::PersistentSequential));
    let digest = before.digest;
    let refused = bench.prepare(&Request::Multi(MultiRequest {
        ops: vec![
            MultiOp::Create(create_request("/p/n", CreateMode::PersistentSequential)),
            MultiOp::SetData {
                path: "/p".into(),
                data: Some(b"x"),
                version: 0,
            },
            MultiOp::Delete {
                path: "/p/n0000000000".into(),
                version: -1,
            },
            MultiOp::Check {
                path: "/p".into(),
                version: 7,
            },
            MultiOp::Delete {
                path: "/p".into(),
                version: -1,
            },
        ],
    }));
    let codes = [
        0,
        0,
        0,
        ErrorCode::BadVersion.code(),
        ErrorCode::RuntimeInconsistency.code(),
    ];
    let errors = codes.map(|err| Txn::Error { err });
    assert_eq!(refused.txn, Txn::Multi(errors.to_vec()));
    assert_eq!(refused.digest, digest);
    let after = bench.prepare(&create("/p/n", CreateMode::PersistentSequential));
    let Txn::Create(created) = &after.txn else {
        panic!("{after:?}")
    };
    assert_eq!(created.path, "/p/n0000000001");
    for record in [before, refused, after] {
        bench.apply(&record);
    }
    assert_eq!(bench.pending.len(), 0);
}

#[test]
fn the_counter_of_children_stays_at_its_end() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&create("/p", CreateMode::Persistent));
    bench.run(&create("/p/a", CreateMode::Persistent));
    let mut record = bench.prepare(&create("/p/b", CreateMode::Persistent));
    let Txn::Create(create_txn) = &mut record.txn else {
        panic!("{record:?}")
    };
    create_txn.parent_cversion = i32::MAX;
    bench.tree.apply(&record, &mut ());
    bench.pending = Pending::new(&bench.tree);
    // The name is free, so it is made; the next one would have the same name.
    let last = bench.prepare(&create("/p/n", CreateMode::PersistentSequential));
    let next = bench.prepare(&create("/p/n", CreateMode::PersistentSequential));
    assert_eq!(
        next.txn,
        Txn::Error {
            err: ErrorCode::NodeExists.code()
        }
    );
    let other = bench.prepare(&create("/p/c", CreateMode::Persistent));
    let Txn::Create(created) = &last.txn else {
        panic!("{last:?}")
    };
    assert_eq!((&*created.path, created.parent_cversion), ("/p/n2147483647", i32::MIN));
    let pzxid = bench.tree.node("/p").unwrap().stat().pzxid;
    for record in [last, next, other] {
        bench.apply(&record);
    }
    let stat = bench.tree.node("/p").unwrap().stored_stat();
    assert_eq!((stat.cversion, stat.pzxid), (i32::MAX, pzxid));
}

#[test]
fn a_reconfiguration_is_not_for_the_tree_to_judge() {
    let mut bench = Bench::new(Settings::default());
    let request = Request::Reconfig {
        joining: None,
        leaving: None,
        new_members: None,
        config_id: -1,
    };
    assert_eq!(bench.run(&request), error(ErrorCode::Unimplemented));
}

/// Java takes −1 with the flags of any other node, and dies of the transaction.
#[test]
fn a_time_to_live_is_given_to_nodes_that_are_made_for_it_only() {
    for mode in [
        CreateMode::Persistent,
        CreateMode::EphemeralSequential,
        CreateMode::Container,
    ] {
        for ttl_ms in [-1, 0, 5] {
            let mut bench = Bench::new(with_ttl_nodes());
            let create = CreateRequest {
                op: OpCode::CreateTtl,
                ttl_ms,
                ..create_request("/n", mode)
            };
            let outcome = bench.run(&Request::Create(create));
            assert_eq!(outcome, error(ErrorCode::BadArguments), "{mode:?} {ttl_ms}");
        }
    }
}

#[test]
fn a_node_with_a_time_to_live_that_was_written_to_stays() {
    let mut bench = Bench::new(with_ttl_nodes());
    let ttl = CreateRequest {
        op: OpCode::CreateTtl,
        ttl_ms: 10,
        ..create_request("/t", CreateMode::PersistentWithTtl)
    };
    bench.run(&Request::Create(ttl));
    let written = bench.tree.node("/t").unwrap().stat().mtime;
    assert_eq!(bench.tree.expired_containers(written + 10, 0), [""; 0]);
    assert_eq!(bench.tree.expired_containers(written + 11, 0), ["/t"]);

    let mut context = bench.context();
    context.time = WallMillis(written + 11);
    let touch = bench.pending.prepare(&bench.tree, &context, &set_data("/t", b"again"));
    let context = RequestContext {
        time: WallMillis(written + 12),
        ..bench.context()
    };
    let refused = bench.pending.delete_container(&bench.tree, &context, "/t");
    assert_eq!(
        bench.apply(&touch),
        Outcome::Stat(bench.tree.node("/t").unwrap().stat())
    );
    assert_eq!(bench.apply(&refused), error(ErrorCode::BadVersion));
    let context = RequestContext {
        time: WallMillis(written + 22),
        ..bench.context()
    };
    let removed = bench.pending.delete_container(&bench.tree, &context, "/t");
    assert_eq!(bench.apply(&removed), Outcome::Done);
}

#[test]
fn a_container_that_became_an_ordinary_node_stays() {
    let mut bench = Bench::new(Settings::default());
    bench.run(&Request::Create(CreateRequest {
        op: OpCode::CreateContainer,
        ..create_request("/c", CreateMode::Container)
    }));
    bench.run(&create("/c/x", CreateMode::Persistent));
    bench.run(&delete("/c/x"));
    assert_eq!(bench.tree.expired_containers(0, 0), ["/c"]);
    bench.run(&delete("/c"));
    bench.run(&create("/c", CreateMode::Persistent));
    let context = bench.context();
    let refused = bench.pending.delete_container(&bench.tree, &context, "/c");
    assert_eq!(bench.apply(&refused), error(ErrorCode::BadVersion));
}

/// `Op.Create.getOpcode` and the two forms of `Op.create`.
#[test]
fn inside_a_multi_the_flags_decide_the_kind_of_node() {
    for (op, mode, ttl_ms, expected) in [
        (OpCode::Create, CreateMode::Container, -1, Ok(CreateTxnKind::Container)),
        (OpCode::Create2, CreateMode::Container, -1, Ok(CreateTxnKind::Container)),
        (
            OpCode::CreateContainer,
            CreateMode::Persistent,
            -1,
            Ok(CreateTxnKind::Container),
        ),
        (
            OpCode::CreateTtl,
            CreateMode::PersistentWithTtl,
            5,
            Ok(CreateTxnKind::Ttl { ttl_ms: 5 }),
        ),
        (
            OpCode::CreateTtl,
            CreateMode::PersistentWithTtl,
            0,
            Err(ErrorCode::BadArguments),
        ),
        (
            OpCode::Create2,
            CreateMode::PersistentWithTtl,
            -1,
            Err(ErrorCode::BadArguments),
        ),
        (
            OpCode::CreateTtl,
            CreateMode::Ephemeral,
            5,
            Ok(CreateTxnKind::Create { ephemeral: true }),
        ),
        (
            OpCode::CreateTtl,
            CreateMode::Container,
            5,
            Ok(CreateTxnKind::Container),
        ),
    ] {
        let mut bench = Bench::new(with_ttl_nodes());
        let create = CreateRequest {
            op,
            ttl_ms,
            ..create_request("/n", mode)
        };
        let record = bench.prepare(&Request::Multi(MultiRequest {
            ops: vec![MultiOp::Create(create)],
        }));
        let Txn::Multi(elements) = &record.txn else {
            panic!("{record:?}")
        };
        let kind = match &elements[0] {
            Txn::Create(create) => Ok(create.kind),
            Txn::Error { err } => Err(*err),
            other => panic!("{other:?}"),
        };
        assert_eq!(kind, expected.map_err(ErrorCode::code), "{op:?} {mode:?} {ttl_ms}");
        bench.apply(&record);
    }
}

/// `EphemeralType.TTL` writes its own form whatever is emulated, and reads the low 40 bits of either.
#[test]
fn times_to_live_have_one_form_when_written() {
    let rules = OwnerRules {
        extended_types: true,
        emulate_353: true,
    };
    assert_eq!(Owner::Ttl(5000).raw(rules).cast_unsigned(), 0xff00_0000_0000_1388);
    assert_eq!(rules.owner(Owner::Ttl(5000).raw(rules)), Owner::Ttl(5000));
    assert_eq!(rules.owner(i64::MIN | 5000), Owner::Ttl(5000));
    assert_eq!(rules.owner(i64::MIN), Owner::Container);
}
