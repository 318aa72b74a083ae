//! Every operator against the reference, at every time of random histories, on one and two workers, from the
//! start and installed late over compacted indexes.

use hw_types::order::ColumnOrder;
use serde_bytes::ByteBuf;

use super::plans::{arranged, call, col, cols, dataflow, distinct, global, int8, ints, lit, local, project};
use super::reference::{Env, Relation, evaluate};
use super::rng::Rng;
use super::world::{Rows, Stored, World};
use crate::expr::{ErrorFields, EvalError, Mfp, ScalarExpr};
use crate::peek::read_error;
use crate::plan::{
    AggregateExpr, FrameBound, FrameBoundKind, FrameUnits, JoinPath, JoinStage, Plan, ReducePlan, RelationId,
    WindowFrame, WindowFunction,
};
use hw_expr::mfp::Predicate;

/// What a table function makes of a row.
pub fn table(func: &str, exprs: &[ScalarExpr], full: &[u8]) -> Result<Vec<Vec<u8>>, EvalError> {
    let arena = hw_types::arena::Arena::new();
    let mut columns = vec![];
    hw_types::row::unpack(full, &arena, &mut columns);
    let exprs: Vec<_> = exprs.iter().map(|expr| expr.compile().expect("a plan of the tests")).collect();
    let args: Result<Vec<_>, _> = exprs.iter().map(|expr| expr.eval(&columns, &arena)).collect();
    let mut rows = vec![];
    let function = hw_expr::table::TableFunc::resolve(func).expect("a function of the tests");
    function.eval(&args?, &arena, &mut |row, count| {
        let row = hw_types::row::pack(row.iter().copied());
        rows.extend(std::iter::repeat_n(row, usize::try_from(count).expect("not negative")));
        Ok(())
    })?;
    Ok(rows)
}

/// The relations of all tests: pairs of small numbers, some NULL.
const SOURCES: [(&str, usize); 3] = [("a", 2), ("b", 2), ("c", 2)];
const STEPS: u64 = 24;

fn random_row(rng: &mut Rng) -> Vec<u8> {
    let mut row = vec![];
    for _ in 0..2 {
        match rng.below(12) {
            0 => hw_types::row::push_null(&mut row),
            n => hw_types::row::push_int(&mut row, n as i64 - 4),
        }
    }
    row
}

/// Whether rows are taken away again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Changes {
    /// They come and go.
    Any,
    /// They stay.
    Additions,
}

/// Random changes that leave no negative multiplicity.
fn random_changes(rng: &mut Rng, now: &mut Rows, time: u64, kind: Changes) -> Vec<Stored> {
    let mut changes = vec![];
    for _ in 0..rng.below(6) {
        let retract = kind == Changes::Any && rng.below(3) == 0 && !now.is_empty();
        let row = if retract {
            let at = rng.below(now.len() as u64) as usize;
            now.keys().nth(at).expect("below its length").clone()
        } else {
            random_row(rng)
        };
        let diff = if retract { -1 } else { 1 };
        *now.entry(row.clone()).or_insert(0) += diff;
        now.retain(|_, count| *count != 0);
        changes.push(Stored { error: false, row, time, diff });
    }
    changes
}

fn env(world: &World, time: u64) -> Env {
    let mut env = Env { now: time, ..Env::default() };
    for (id, _) in SOURCES {
        let rows = world.shards[id].at(time, false);
        let relation = Relation { rows, errors: Default::default() };
        env.relations.insert(RelationId::Global { id: id.into() }, relation);
    }
    env
}

fn compare(world: &mut World, plan: &Plan, arity: usize, time: u64, what: &str) {
    compare_of(world, "i", plan, arity, time, what);
}

fn compare_of(world: &mut World, index: &str, plan: &Plan, arity: usize, time: u64, what: &str) {
    let want = evaluate(plan, &env(world, time));
    let got = world.peek(index, arity, time);
    match want.errors.first() {
        Some(least) => {
            let least = read_error(&EvalError::from_row(least).expect("an error"));
            assert_eq!(got, Err(least), "{what} at {time}");
        }
        None => assert_eq!(got, Ok(want.rows), "{what} at {time}"),
    }
}

/// One history: the dataflow is there from the start, or comes late and reads compacted indexes.
fn history(plan: &Plan, arity: usize, workers: usize, late: bool, seed: u64) {
    history_of(plan, arity, workers, late, seed, Changes::Any);
}

fn history_of(plan: &Plan, arity: usize, workers: usize, late: bool, seed: u64, kind: Changes) {
    let mut rng = Rng(seed);
    let mut world = World::new(workers);
    let mut now: [Rows; 3] = Default::default();
    if late {
        let mut base = dataflow("base", &SOURCES, 0);
        for (id, _) in SOURCES {
            base = base.index(&format!("{id}0"), id, &[0], 2).index(&format!("{id}1"), id, &[1], 2);
        }
        world.replica().create(base);
    } else {
        let built = dataflow("whole", &SOURCES, 0).object("o", plan.clone());
        let key: Vec<usize> = (0..arity.min(1)).collect();
        world.replica().create(built.index("i", "o", &key, arity));
    }
    let start = if late { STEPS / 2 } else { 0 };
    for time in 1..STEPS {
        for ((id, _), now) in SOURCES.iter().zip(&mut now) {
            let changes = random_changes(&mut rng, now, time, kind);
            world.append(id, changes, time + 1);
        }
        if late && time == start {
            // Different times for different indexes, none beyond the as_of.
            for (n, (id, _)) in SOURCES.iter().enumerate() {
                world.replica().allow_compaction(&format!("{id}0"), Some(time - n as u64));
                world.replica().allow_compaction(&format!("{id}1"), Some(time));
            }
            let mut built = dataflow("late", &[], time);
            for (id, _) in SOURCES {
                built = built.import(&format!("{id}0"), id, &[0], 2).import(&format!("{id}1"), id, &[1], 2);
            }
            let key: Vec<usize> = (0..arity.min(1)).collect();
            world.replica().create(built.object("o", plan.clone()).index("i", "o", &key, arity));
        }
        if time >= start {
            compare(&mut world, plan, arity, time, &format!("seed {seed}, {workers} workers, late {late}"));
            // An older time now and then, while it is there.
            if time > start + 2 && rng.below(3) == 0 {
                compare(&mut world, plan, arity, time - 2, "the past");
            }
            if rng.below(4) == 0 {
                world.replica().allow_compaction("i", Some(time.saturating_sub(2).max(start)));
            }
        }
    }
    assert_eq!(world.replica().failures(), vec![]);
}

fn check(plan: &Plan, arity: usize) {
    for seed in [11, 12] {
        history(plan, arity, 1, false, seed);
        history(plan, arity, 2, true, seed);
    }
    history(plan, arity, 2, false, 13);
    history(plan, arity, 1, true, 14);
}

/// The same where rows are only added.
fn check_growing(plan: &Plan, arity: usize) {
    for seed in [41, 42] {
        history_of(plan, arity, 1, false, seed, Changes::Additions);
        history_of(plan, arity, 2, true, seed, Changes::Additions);
    }
}

/// Dataflows for one time each, over rows that came and went before it.
fn check_once(plan: &Plan, arity: usize) {
    let (mut rng, mut world) = (Rng(51), World::new(2));
    let mut now: [Rows; 3] = Default::default();
    for time in 1..STEPS {
        for ((id, _), now) in SOURCES.iter().zip(&mut now) {
            let changes = random_changes(&mut rng, now, time, Changes::Any);
            world.append(id, changes, time + 1);
        }
        let mut built = dataflow("once", &SOURCES, time).object("o", plan.clone());
        built.until = Some(time + 1);
        let index = format!("i{time}");
        world.replica().create(built.index(&index, "o", &[], arity));
        compare_of(&mut world, &index, plan, arity, time, "once");
        world.replica().allow_compaction(&index, None);
    }
    assert_eq!(world.replica().failures(), vec![]);
}

/// Quotients fail on zeros; sums do not.
fn fallible() -> Mfp {
    Mfp {
        expressions: vec![call("div_int8_int8", vec![lit(60), col(1)])],
        predicates: vec![Predicate { support: 1, expr: call("lt", vec![col(0), lit(3)]) }],
        projection: vec![2, 0],
        ..Mfp::identity(2)
    }
}

fn mapped(input: Plan, mfp: Mfp) -> Plan {
    Plan::Mfp { input: Box::new(input), mfp, key: None, lookups: None }
}

#[test]
fn maps_filter_project_and_fail() {
    check(&mapped(global("a", 2), fallible()), 2);
}

#[test]
fn arrangements_are_read_by_key_and_by_lookup() {
    let input = || Box::new(arranged(global("a", 2), 2, &[&[0], &[1]]));
    let lookups =
        Some(vec![ByteBuf::from(ints(&[3])), ByteBuf::from(ints(&[-2])), ByteBuf::from(ints(&[99]))]);
    let looked_up = Plan::Mfp { input: input(), mfp: Mfp::identity(2), key: Some(cols(&[1])), lookups };
    check(&looked_up, 2);
    check(&Plan::Mfp { input: input(), mfp: fallible(), key: Some(cols(&[1])), lookups: None }, 2);
}

#[test]
fn unions_negations_and_thresholds() {
    let negated = Plan::Negate { input: Box::new(project(global("b", 2), 2, &[1, 0])) };
    for consolidate in [false, true] {
        let inputs = vec![global("a", 2), negated.clone(), global("c", 2)];
        let union = Plan::Union { inputs, consolidate };
        check(&Plan::Threshold { input: Box::new(union), arity: 2 }, 2);
    }
}

#[test]
fn bindings_and_constants() {
    let rows = vec![(ByteBuf::from(ints(&[1, 2])), 2), (ByteBuf::from(ints(&[3, 4])), 1)];
    let constant = Plan::Constant { rows, arity: 2, error: None };
    let inputs = vec![local(7, 2), global("a", 2), local(7, 2)];
    let body = Box::new(Plan::Union { inputs, consolidate: false });
    check(&Plan::Let { id: 7, value: Box::new(constant), body }, 2);
    let error = ErrorFields { sqlstate: "22012".into(), message: "division by zero".into() };
    check(&Plan::Constant { rows: vec![], arity: 1, error: Some(error) }, 1);
}

/// Each binding reads the one before twice: with the errors of both, the last would have 2^64 streams.
#[test]
fn errors_of_what_is_read_twice_are_reported_once() {
    let failing =
        Plan::Mfp { input: Box::new(global("a", 2)), mfp: closure(2, &[0, 2]), key: None, lookups: None };
    let twice = |id| {
        let negated = Plan::Negate { input: Box::new(local(id, 2)) };
        Plan::Union { inputs: vec![local(id, 2), negated], consolidate: true }
    };
    let plan = (0..64).rev().fold(local(64, 2), |body, id| Plan::Let {
        id: id + 1,
        value: Box::new(twice(id)),
        body: Box::new(body),
    });
    check(&Plan::Let { id: 0, value: Box::new(failing), body: Box::new(plan) }, 2);
}

/// `sum(b.1 / a.0)`-like closures: some rows fail.
fn closure(arity: usize, projection: &[usize]) -> Mfp {
    Mfp {
        expressions: vec![call("div_int8_int8", vec![col(arity - 1), col(0)])],
        projection: projection.to_vec(),
        ..Mfp::identity(arity)
    }
}

fn stage(lookup: usize, stream_key: &[usize], lookup_key: &[usize], closure: Mfp) -> JoinStage {
    JoinStage { lookup, stream_key: cols(stream_key), lookup_key: cols(lookup_key), lookup_arity: 2, closure }
}

fn path(source: usize, source_key: Option<&[usize]>, initial: Mfp, stages: Vec<JoinStage>) -> JoinPath {
    JoinPath { source, source_arity: 2, source_key: source_key.map(cols), initial, stages }
}

fn inputs() -> Vec<Plan> {
    ["a", "b", "c"].map(|id| arranged(global(id, 2), 2, &[&[0], &[1]])).to_vec()
}

#[test]
fn linear_joins_of_arrangements_and_streams() {
    // a.1 = b.0, b.1 = c.0
    let stages = || vec![stage(1, &[1], &[0], Mfp::identity(4)), stage(2, &[3], &[0], Mfp::identity(6))];
    for source_key in [None, Some(&[1usize][..]), Some(&[0][..])] {
        let path = path(0, source_key, Mfp::identity(2), stages());
        check(&Plan::LinearJoin { inputs: inputs(), path }, 6);
    }
}

#[test]
fn joins_carry_errors() {
    let stages = vec![stage(1, &[1], &[0], closure(4, &[4, 3])), stage(2, &[1], &[0], Mfp::identity(4))];
    let path = path(0, None, Mfp { projection: vec![1, 0], ..Mfp::identity(2) }, stages);
    check(&Plan::LinearJoin { inputs: inputs(), path }, 4);
}

#[test]
fn cross_joins_have_empty_keys() {
    let stages = vec![stage(1, &[], &[], Mfp::identity(4))];
    let inputs = vec![global("a", 2), arranged(global("b", 2), 2, &[&[]])];
    check(&Plan::LinearJoin { inputs, path: path(0, None, Mfp::identity(2), stages) }, 4);
}

#[test]
fn delta_joins_have_each_result_once() {
    // a(x, y), b(y, z), c(z, w): all columns, in the order of the inputs.
    let order = |projection: &[usize]| Mfp { projection: projection.to_vec(), ..Mfp::identity(6) };
    let from_a = path(
        0,
        Some(&[1]),
        Mfp::identity(2),
        vec![stage(1, &[1], &[0], Mfp::identity(4)), stage(2, &[3], &[0], order(&[0, 1, 2, 3, 4, 5]))],
    );
    let from_b = path(
        1,
        Some(&[0]),
        Mfp::identity(2),
        vec![stage(0, &[0], &[1], Mfp::identity(4)), stage(2, &[1], &[0], order(&[2, 3, 0, 1, 4, 5]))],
    );
    let from_c = path(
        2,
        Some(&[0]),
        Mfp::identity(2),
        vec![stage(1, &[0], &[1], Mfp::identity(4)), stage(0, &[2], &[1], order(&[4, 5, 2, 3, 0, 1]))],
    );
    check(&Plan::DeltaJoin { inputs: inputs(), paths: vec![from_a, from_b, from_c] }, 6);
}

fn aggregate(func: &str, column: usize, distinct: bool) -> AggregateExpr {
    AggregateExpr { func: func.into(), expr: col(column), ty: int8(), distinct, order_by: vec![] }
}

fn reduction(key: &[usize], aggregates: Vec<AggregateExpr>, plan: ReducePlan, after: Option<Mfp>) -> Plan {
    let arity = key.len() + aggregates.len();
    Plan::Reduce {
        input: Box::new(global("a", 2)),
        input_arity: 2,
        key: cols(key),
        aggregates,
        plan,
        mfp_after: after.unwrap_or_else(|| Mfp::identity(arity)),
        input_key: None,
    }
}

#[test]
fn distinct_rows() {
    check(&distinct(global("a", 2), 2), 2);
    check(&reduction(&[], vec![], ReducePlan::default(), None), 0);
}

#[test]
fn sums_and_counts() {
    let aggregates =
        vec![aggregate("sum_int8", 1, false), aggregate("count", 0, false), aggregate("count", 1, true)];
    let plan = ReducePlan { accumulable: vec![0, 1, 2], ..ReducePlan::default() };
    check(&reduction(&[0], aggregates.clone(), plan.clone(), None), 4);
    let after = Mfp { projection: vec![1, 0], ..Mfp::identity(3) };
    check(&reduction(&[], aggregates, plan, Some(after)), 2);
}

#[test]
fn arguments_and_keys_may_fail() {
    let failing = call("div_int8_int8", vec![lit(7), col(1)]);
    let aggregates = vec![AggregateExpr { expr: failing.clone(), ..aggregate("sum_int8", 0, false) }];
    let plan = ReducePlan { accumulable: vec![0], ..ReducePlan::default() };
    check(&reduction(&[0], aggregates, plan.clone(), None), 2);
    let reduce = reduction(&[0], vec![aggregate("count", 0, false)], plan, None);
    let Plan::Reduce { input, input_arity, aggregates, plan, mfp_after, input_key, .. } = reduce else {
        return;
    };
    let key = vec![failing];
    check(&Plan::Reduce { input, input_arity, key, aggregates, plan, mfp_after, input_key }, 2);
}

#[test]
fn extremes_in_stages_and_at_once() {
    for buckets in [vec![], vec![16, 4]] {
        let aggregates = vec![aggregate("min", 1, false), aggregate("max", 1, false)];
        let plan = ReducePlan { hierarchical: vec![0, 1], buckets, ..ReducePlan::default() };
        check(&reduction(&[0], aggregates.clone(), plan.clone(), None), 3);
        check(&reduction(&[], aggregates, plan, None), 2);
    }
}

#[test]
fn extremes_of_groups_that_only_grow() {
    let aggregates = || vec![aggregate("min", 1, false), aggregate("max", 1, false)];
    for key in [&[][..], &[0]] {
        let plan = ReducePlan { hierarchical: vec![0, 1], monotonic: true, ..ReducePlan::default() };
        let arity = key.len() + 2;
        check_growing(&reduction(key, aggregates(), plan.clone(), None), arity);
        let plan = ReducePlan { must_consolidate: true, ..plan };
        check_once(&reduction(key, aggregates(), plan, None), arity);
    }
}

/// A source that takes back what it said it would not.
#[test]
fn a_row_that_is_taken_from_a_group_that_only_grows_is_an_error() {
    let plan = ReducePlan { hierarchical: vec![0], monotonic: true, ..ReducePlan::default() };
    let max = reduction(&[], vec![aggregate("max", 1, false)], plan, None);
    let order = vec![ColumnOrder { column: 1, desc: true, nulls_last: false }];
    for plan in [max, top_k(&[], order, Some(lit(1)), 0, Growth::Always, vec![])] {
        let mut world = World::new(1);
        let arity = if matches!(plan, Plan::TopK { .. }) { 2 } else { 1 };
        let built = dataflow("d", &[("a", 2)], 0).object("o", plan);
        world.replica().create(built.index("i", "o", &[], arity));
        let stored = |time, diff| vec![Stored { error: false, row: ints(&[1, 2]), time, diff }];
        world.append("a", stored(1, 1), 2);
        assert_eq!(world.peek("i", arity, 1).expect("a row").len(), 1);
        world.append("a", stored(2, -1), 3);
        let error = world.peek("i", arity, 2).expect_err("an error");
        assert!(error.message.contains("does not exist"), "{error:?}");
    }
}

#[test]
fn all_kinds_of_aggregates_together() {
    let aggregates = vec![
        aggregate("array_agg", 1, false),
        aggregate("count", 1, false),
        aggregate("max", 1, false),
        aggregate("array_agg", 1, true),
        aggregate("sum_int8", 1, true),
    ];
    let plan = ReducePlan {
        accumulable: vec![1, 4],
        hierarchical: vec![2],
        basic: vec![0, 3],
        buckets: vec![8],
        ..ReducePlan::default()
    };
    check(&reduction(&[0], aggregates, plan, None), 6);
}

#[test]
fn top_k_of_groups() {
    let order = |column: usize, desc: bool, nulls_last: bool| ColumnOrder { column, desc, nulls_last };
    for buckets in [vec![], vec![8, 2]] {
        for (order_key, limit, offset) in [
            (vec![order(1, true, false)], Some(lit(2)), 0),
            (vec![order(1, false, true), order(0, true, true)], Some(lit(3)), 1),
            (vec![], None, 2),
            (vec![order(1, false, false)], Some(call("add_int8_int8", vec![col(0), lit(5)])), 0),
        ] {
            let top = top_k(&[0], order_key, limit, offset, Growth::Unknown, buckets.clone());
            history(&top, 2, 1, false, 21);
            history(&top, 2, 2, true, 22);
        }
    }
    for (group_key, order_key, limit, offset) in [
        (vec![0], vec![order(1, true, false)], 1, 0),
        (vec![0], vec![order(1, false, true), order(0, true, true)], 3, 1),
        (vec![], vec![order(1, true, true)], 2, 3),
        (vec![1], vec![], 0, 1),
    ] {
        let top = |growth| top_k(&group_key, order_key.clone(), Some(lit(limit)), offset, growth, vec![]);
        check_growing(&top(Growth::Always), 2);
        check_once(&top(Growth::OnceAddedUp), 2);
    }
}

/// What is known of the rows of a top-k.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Growth {
    Unknown,
    Always,
    OnceAddedUp,
}

fn top_k(
    group_key: &[usize],
    order_key: Vec<ColumnOrder>,
    limit: Option<ScalarExpr>,
    offset: u64,
    growth: Growth,
    buckets: Vec<u64>,
) -> Plan {
    Plan::TopK {
        input: Box::new(global("a", 2)),
        arity: 2,
        group_key: group_key.to_vec(),
        order_key,
        limit,
        offset,
        monotonic: growth != Growth::Unknown,
        must_consolidate: growth == Growth::OnceAddedUp,
        buckets,
    }
}

#[test]
fn window_functions() {
    let order = vec![ColumnOrder { column: 1, desc: true, nulls_last: false }];
    let bound = |kind, offset| FrameBound { kind, offset, column: None };
    let function = |func: &str, args: Vec<ScalarExpr>, start: FrameBound, end: FrameBound| WindowFunction {
        func: func.into(),
        args,
        frame: WindowFrame { units: FrameUnits::Rows, start, end, exclusion: Default::default() },
        ty: int8(),
        ignore_nulls: false,
        filter: None,
        order_by: vec![],
    };
    let (first, here) = (FrameBoundKind::UnboundedPreceding, FrameBoundKind::CurrentRow);
    let functions = vec![
        function("rank", vec![], bound(first, 0), bound(here, 0)),
        function("lag", vec![col(1), lit(1), lit(7)], bound(first, 0), bound(here, 0)),
        function("sum_int4", vec![col(1)], bound(FrameBoundKind::Preceding, 2), bound(here, 0)),
        function("max", vec![col(0)], bound(first, 0), bound(here, 0)),
    ];
    for partition in [vec![], vec![0]] {
        let input = Box::new(global("a", 2));
        let (order, functions) = (order.clone(), functions.clone());
        let plan = Plan::Window { input, arity: 2, partition, order, functions };
        history(&plan, 6, 1, false, 31);
        history(&plan, 6, 2, true, 32);
    }
}

#[test]
fn temporal_filters_come_and_go_by_themselves() {
    // Present from a.0 + 5 up to a.1 * 4 + 12, whatever else happens.
    let mfp = Mfp {
        lower_bounds: vec![call("add_int8_int8", vec![col(0), lit(5)])],
        upper_bounds: vec![call("add_int8_int8", vec![call("mul_int8_int8", vec![col(1), lit(4)]), lit(12)])],
        ..Mfp::identity(2)
    };
    let filtered = mapped(global("a", 2), mfp);
    check(&filtered, 2);
    let counted = Plan::Let { id: 1, value: Box::new(filtered), body: Box::new(distinct(local(1, 2), 2)) };
    check(&counted, 2);
}

#[test]
fn table_functions() {
    let exprs = vec![lit(0), call("div_int8_int8", vec![lit(12), col(1)])];
    let mfp = Mfp {
        predicates: vec![Predicate { support: 3, expr: call("gt", vec![col(2), col(0)]) }],
        projection: vec![2, 0],
        ..Mfp::identity(3)
    };
    let func = "generate_series_int8_int8".to_owned();
    for key in [None, Some(cols(&[1]))] {
        let input = Box::new(arranged(global("a", 2), 2, &[&[1]]));
        let (exprs, mfp, func) = (exprs.clone(), mfp.clone(), func.clone());
        check(&Plan::FlatMap { input, func, exprs, columns: vec![int8()], mfp, key }, 2);
    }
}

#[test]
fn a_row_may_become_more_than_a_container() {
    let mut world = World::new(1);
    let plan = Plan::FlatMap {
        input: Box::new(global("a", 2)),
        func: "generate_series_int8_int8".into(),
        exprs: vec![lit(1), col(1)],
        columns: vec![int8()],
        mfp: Mfp { projection: vec![2], ..Mfp::identity(3) },
        key: None,
    };
    world.replica().create(dataflow("d", &[("a", 2)], 0).object("o", plan).index("i", "o", &[0], 1));
    world.append("a", vec![Stored { error: false, row: ints(&[1, 50_000]), time: 1, diff: 1 }], 2);
    assert_eq!(world.peek("i", 1, 1).expect("rows").len(), 50_000);
}
