//! Peeks, frontiers, drops and broken plans, as a controller sees them.

use hw_types::order::ColumnOrder;
use serde_bytes::ByteBuf;

use super::plans::{arranged, call, col, cols, dataflow, global, ints, lit};
use super::world::{Rows, Stored, World};
use crate::expr::Mfp;
use crate::plan::Plan;
use crate::protocol::ComputeCommand;
use hw_expr::mfp::Predicate;

fn numbers(time: u64, of: std::ops::Range<i64>) -> Vec<Stored> {
    of.map(|n| Stored { error: false, row: ints(&[n % 7, n]), time, diff: 1 }).collect()
}

fn indexed(workers: usize) -> World {
    let mut world = World::new(workers);
    world.replica().create(dataflow("i", &[("a", 2)], 0).index("i", "a", &[0], 2));
    world.append("a", numbers(1, 0..100), 2);
    world
}

fn rows(of: impl IntoIterator<Item = i64>) -> Rows {
    of.into_iter().map(|n| (ints(&[n % 7, n]), 1)).collect()
}

#[test]
fn peeks_wait_until_the_index_is_complete() {
    let mut world = indexed(2);
    let peek = world.peek_of("i", 2, 2);
    let uuid = world.send_peek(0, peek);
    assert_eq!(world.peek("i", 2, 1), Ok(rows(0..100)));
    world.append("a", numbers(2, 100..110), 3);
    assert_eq!(world.answer(0, &uuid), Ok(rows(0..110)));
    assert_eq!(world.peek("i", 2, 0), Ok(Rows::new()));
}

#[test]
fn peeks_look_up_keys_and_apply_their_mfp() {
    let mut world = indexed(2);
    let mut peek = world.peek_of("i", 2, 1);
    peek.keys = Some([3, 5, 3, 40].map(|key| ByteBuf::from(ints(&[key]))).to_vec());
    peek.mfp.predicates = vec![Predicate { support: 2, expr: call("lt", vec![col(1), lit(30)]) }];
    let uuid = world.send_peek(0, peek);
    let want = rows((0..30).filter(|n| n % 7 == 3 || n % 7 == 5));
    assert_eq!(world.answer(0, &uuid), Ok(want));
}

#[test]
fn workers_cut_their_part_by_the_limit() {
    let mut world = indexed(2);
    world.append("a", numbers(2, 100..4000), 3);
    let mut peek = world.peek_of("i", 2, 2);
    peek.finishing.order_by = vec![ColumnOrder { column: 1, desc: true, nulls_last: false }];
    (peek.finishing.limit, peek.finishing.offset) = (Some(5), 2);
    let uuid = world.send_peek(0, peek);
    let got = world.answer(0, &uuid).expect("rows");
    assert!(got.len() <= 14, "two workers send seven rows at most");
    assert!(rows(3993..4000).keys().all(|row| got.contains_key(row)));
}

#[test]
fn results_are_bounded() {
    let mut world = indexed(2);
    let mut peek = world.peek_of("i", 2, 1);
    peek.result_bytes_max = 100;
    let uuid = world.send_peek(0, peek);
    let error = world.answer(0, &uuid).expect_err("too large");
    assert_eq!((&error.sqlstate[..], &error.message[..]), ("53200", "result exceeds max size of 100 B"));
}

#[test]
fn peeks_of_what_is_not_there_are_errors() {
    let mut world = indexed(2);
    assert_eq!(world.peek("j", 2, 1).expect_err("unknown").sqlstate, "XX000");
    world.replica().allow_compaction("i", Some(1));
    let error = world.peek("i", 2, 0).expect_err("compacted");
    assert!(error.message.contains("compacted"), "{}", error.message);
    let peek = world.peek_of("i", 2, 9);
    let uuid = world.send_peek(0, peek);
    world.replica().allow_compaction("i", None);
    assert!(world.answer(0, &uuid).expect_err("dropped").message.contains("dropped"));
    assert!(world.peek("i", 2, 1).is_err());
}

#[test]
fn canceled_peeks_are_said_to_be() {
    let mut world = indexed(2);
    let peek = world.peek_of("i", 2, 9);
    let uuid = world.send_peek(0, peek);
    world.replica().command(&ComputeCommand::CancelPeek { uuid: ByteBuf::from(uuid.clone()) });
    world.wait("the cancel", |world| world.replica().canceled().contains(&uuid).then_some(()));
}

#[test]
fn negative_multiplicities_are_errors_of_the_read() {
    let mut world = indexed(1);
    world.append("a", vec![Stored { error: false, row: ints(&[1, 999]), time: 2, diff: -2 }], 3);
    let error = world.peek("i", 2, 2).expect_err("negative");
    assert!(error.message.starts_with("Invalid data in source"), "{}", error.message);
    assert_eq!(world.peek("i", 2, 1), Ok(rows(0..100)));
}

#[test]
fn negative_multiplicities_are_errors_of_reductions() {
    let plans = [
        super::plans::distinct(global("a", 2), 2),
        Plan::TopK {
            input: Box::new(global("a", 2)),
            arity: 2,
            group_key: vec![0],
            order_key: vec![],
            limit: Some(lit(1)),
            offset: 0,
            monotonic: false,
            must_consolidate: false,
            buckets: vec![4],
        },
    ];
    for plan in plans {
        let mut world = World::new(2);
        world.replica().create(dataflow("d", &[("a", 2)], 0).object("o", plan).index("i", "o", &[0], 2));
        world.append("a", vec![Stored { error: false, row: ints(&[1, 1]), time: 1, diff: -1 }], 2);
        world.append("a", vec![Stored { error: false, row: ints(&[1, 1]), time: 2, diff: 2 }], 3);
        let error = world.peek("i", 2, 1).expect_err("negative");
        assert_eq!(error.sqlstate, "22000");
        assert!(error.message.starts_with("Invalid data in source"), "{}", error.message);
        assert_eq!(world.peek("i", 2, 2).map(|rows| rows.len()), Ok(1));
    }
}

#[test]
fn source_errors_are_errors_of_the_read_until_retracted() {
    let mut world = indexed(2);
    let error = hw_expr::error::EvalError::raise("22P02", "bad input").to_row();
    world.append("a", vec![Stored { error: true, row: error.clone(), time: 2, diff: 1 }], 3);
    let got = world.peek("i", 2, 2).expect_err("an error");
    assert_eq!((&got.sqlstate[..], &got.message[..]), ("22P02", "bad input"));
    world.append("a", vec![Stored { error: true, row: error, time: 3, diff: -1 }], 4);
    assert_eq!(world.peek("i", 2, 3), Ok(rows(0..100)));
}

#[test]
fn frontiers_are_reported_as_they_move() {
    let mut world = indexed(2);
    world.wait("a frontier", |world| (world.replica().upper("i") == Some(2)).then_some(()));
    world.append("a", vec![], 50);
    world.wait("a frontier", |world| (world.replica().upper("i") == Some(50)).then_some(()));
}

#[test]
fn a_dataflow_lives_as_long_as_others_read_from_it() {
    let mut world = indexed(2);
    let plan = arranged(global("a", 2), 2, &[&[1]]);
    let described = dataflow("second", &[], 1).import("i", "a", &[0], 2).object("o", plan);
    world.replica().create(described.index("j", "o", &[1], 2));
    assert_eq!(world.peek("j", 2, 1), Ok(rows(0..100)));
    world.replica().allow_compaction("i", None);
    world.append("a", numbers(2, 100..110), 3);
    assert_eq!(world.peek("j", 2, 2), Ok(rows(0..110)));
    assert_eq!(world.replica().open_sources(), 1);
    world.replica().allow_compaction("j", None);
    world.wait("the source to close", |world| (world.replica().open_sources() == 0).then_some(()));
}

#[test]
fn broken_plans_fail_and_harm_nothing_else() {
    let mut world = indexed(2);
    let unknown = Plan::Mfp {
        input: Box::new(global("a", 2)),
        mfp: Mfp { expressions: vec![call("no_such_kernel", vec![])], ..Mfp::identity(2) },
        key: None,
        lookups: None,
    };
    let no_arrangement = Plan::Mfp {
        input: Box::new(global("a", 2)),
        mfp: Mfp::identity(2),
        key: Some(cols(&[1])),
        lookups: None,
    };
    let out_of_range = Plan::Mfp {
        input: Box::new(global("a", 2)),
        mfp: Mfp { projection: vec![5], ..Mfp::identity(2) },
        key: None,
        lookups: None,
    };
    for (n, plan) in [unknown, no_arrangement, global("nothing", 2), out_of_range].into_iter().enumerate() {
        let id = format!("b{n}");
        let described = dataflow("broken", &[("a", 2)], 0).object("o", plan);
        world.replica().create(described.index(&id, "o", &[0], 1));
        world.wait("the failure", |world| {
            world.replica().failures().iter().any(|failure| failure.0 == id).then_some(())
        });
    }
    assert_eq!(world.peek("i", 2, 1), Ok(rows(0..100)));
    world.wait("one source", |world| (world.replica().open_sources() == 1).then_some(()));
}

#[test]
fn malformed_commands_are_refused() {
    let world = World::new(1);
    let config = crate::server::Config { workers: 1, process: 0, addresses: vec![] };
    drop(world);
    struct Nobody;
    impl crate::gather::Responder for Nobody {
        fn respond(&self, _: u8, _: bytes::Bytes) {}
        fn shell(&self, _: crate::protocol::ShellRequest) {}
    }
    let server = crate::server::ComputeServer::start(&config, std::sync::Arc::new(Nobody)).expect("threads");
    assert!(server.command(b"\xc1").is_err());
    assert!(server.command(&rmp_serde::to_vec_named("no command").expect("text")).is_err());
    server.stop();
    let since = ComputeCommand::AllowCompaction { id: "i".into(), since: None };
    assert!(server.command(&rmp_serde::to_vec_named(&since).expect("plain data")).is_err());
}
