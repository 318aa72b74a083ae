//! Dataflows that would make more than anyone can wait for: the worker still obeys, and dropping them ends them.

use hw_expr::mfp::Predicate;

use super::plans::{arranged, call, col, cols, dataflow, distinct, global, ints, lit, local};
use super::world::{Stored, World};
use crate::expr::Mfp;
use crate::plan::{AggregateExpr, DataflowDescription, JoinPath, JoinStage, Plan, ReducePlan};

/// Rows of the large input: their pairs take minutes, whatever the machine.
const ROWS: i64 = 100_000;

fn stage(lookup: usize, arity: usize, closure: Mfp) -> JoinStage {
    JoinStage { lookup, stream_key: vec![], lookup_key: vec![], lookup_arity: arity, closure }
}

/// Both columns, where their sum is negative: never.
fn dropped() -> Mfp {
    let sum = call("add_int8_int8", vec![col(0), col(1)]);
    Mfp {
        predicates: vec![Predicate { support: 2, expr: call("lt", vec![sum, lit(0)]) }],
        ..Mfp::identity(2)
    }
}

fn path(source: usize, lookup: usize, closure: Mfp) -> JoinPath {
    JoinPath {
        source,
        source_arity: 1,
        source_key: Some(vec![]),
        initial: Mfp::identity(1),
        stages: vec![stage(lookup, 1, closure)],
    }
}

fn inputs() -> Vec<Plan> {
    vec![arranged(global("large", 1), 1, &[&[]]), arranged(global("large", 1), 1, &[&[]])]
}

/// How many pairs there are.
fn counted(pairs: Plan) -> Plan {
    let count = AggregateExpr {
        func: "count".into(),
        expr: col(0),
        ty: super::plans::int8(),
        distinct: false,
        order_by: vec![],
    };
    Plan::Reduce {
        input: Box::new(pairs),
        input_arity: 2,
        key: vec![],
        aggregates: vec![count],
        plan: ReducePlan { accumulable: vec![0], ..ReducePlan::default() },
        mfp_after: Mfp::identity(1),
        input_key: None,
    }
}

fn world(workers: usize) -> World {
    let mut world = World::new(workers);
    let stored = |row, time| Stored { error: false, row, time, diff: 1 };
    world.append("large", (0..ROWS).map(|value| stored(ints(&[value]), 0)).collect(), 2);
    world.append("small", vec![stored(ints(&[7]), 0)], 2);
    let small = dataflow("small", &[("small", 1)], 0).object("s", global("small", 1));
    world.replica().create(small.index("small_index", "s", &[0], 1));
    world.peek("small_index", 1, 1).expect("an index");
    world
}

/// Builds the dataflow; the other index answers as before, while it works and after it is dropped.
fn check(workers: usize, endless: DataflowDescription) {
    let mut world = world(workers);
    world.replica().create(endless);
    for time in 2..6 {
        world.append("small", vec![], time + 1);
        world.append("large", vec![], time + 1);
        let rows = world.peek("small_index", 1, time).expect("an index");
        assert_eq!(rows.into_iter().collect::<Vec<_>>(), [(ints(&[7]), 1)]);
    }
    let peek = world.peek_of("endless", 1, 5);
    let never = world.send_peek(0, peek);
    assert!(!world.pump(), "all sources are open");
    world.replica().allow_compaction("endless", None);
    let answer = world.answer(0, &never).expect_err("no answer was possible");
    assert!(answer.message.contains("dropped"), "{answer:?}");
    world.peek("small_index", 1, 5).expect("an index");
}

fn over_large(name: &str, plan: Plan) -> DataflowDescription {
    dataflow(name, &[("large", 1)], 1).object("e", plan).index("endless", "e", &[0], 1)
}

#[test]
fn a_cross_join_that_keeps_nothing() {
    let join = Plan::LinearJoin { inputs: inputs(), path: path(0, 1, dropped()) };
    check(1, over_large("dropping", counted(join.clone())));
    check(2, over_large("dropping", counted(join)));
}

#[test]
fn a_cross_join_whose_rows_are_summed_up() {
    let join = Plan::LinearJoin { inputs: inputs(), path: path(0, 1, Mfp::identity(2)) };
    check(1, over_large("counting", counted(join)));
}

#[test]
fn a_delta_join_with_one_key() {
    for closure in [dropped(), Mfp::identity(2)] {
        let paths = vec![path(0, 1, closure.clone()), path(1, 0, closure)];
        check(1, over_large("delta", counted(Plan::DeltaJoin { inputs: inputs(), paths })));
    }
}

/// Rows that are one greater than those before, without end: `n` of them in each round.
fn counting_up(from: Plan) -> Plan {
    let next = Mfp {
        expressions: vec![call("add_int8_int8", vec![col(0), lit(ROWS)])],
        projection: vec![1],
        ..Mfp::identity(1)
    };
    let step = Plan::Mfp { input: Box::new(local(1, 1)), mfp: next, key: None, lookups: None };
    let all = distinct(Plan::Union { inputs: vec![from, step], consolidate: false }, 1);
    Plan::LetRec {
        ids: vec![1],
        values: vec![all],
        limits: vec![None],
        arities: vec![1],
        body: Box::new(local(1, 1)),
    }
}

#[test]
fn a_recursion_without_end() {
    check(1, over_large("counting up", counting_up(global("large", 1))));
    check(2, over_large("counting up", counting_up(global("large", 1))));
}

#[test]
fn a_recursion_that_multiplies() {
    let closure = Mfp {
        expressions: vec![call("add_int8_int8", vec![call("mul_int8_int8", vec![col(0), lit(3)]), col(1)])],
        projection: vec![2],
        ..Mfp::identity(2)
    };
    let path = JoinPath {
        source: 0,
        source_arity: 1,
        source_key: None,
        initial: Mfp::identity(1),
        stages: vec![JoinStage { lookup_key: cols(&[]), ..stage(1, 1, closure) }],
    };
    let pairs = Plan::LinearJoin { inputs: vec![local(1, 1), arranged(local(1, 1), 1, &[&[]])], path };
    let all = distinct(Plan::Union { inputs: vec![global("large", 1), pairs], consolidate: false }, 1);
    let plan = Plan::LetRec {
        ids: vec![1],
        values: vec![all],
        limits: vec![None],
        arities: vec![1],
        body: Box::new(local(1, 1)),
    };
    check(1, over_large("multiplying", plan));
}
