//! Mutual recursion against the reference: closures with retraction, limits, nesting.

use super::plans::{arranged, cols, dataflow, distinct, global, ints, local, project};
use super::reference::{Env, Relation, evaluate};
use super::rng::Rng;
use super::world::{Rows, Stored, World};
use crate::expr::{EvalError, Mfp};
use crate::peek::read_error;
use crate::plan::{JoinPath, JoinStage, LetRecLimit, Plan, RelationId};

/// `over(x, y), edge(y, z)` as `(x, z)`; the edges are an arrangement brought in from outside.
fn step(over: Plan) -> Plan {
    let stage = JoinStage {
        lookup: 1,
        stream_key: cols(&[1]),
        lookup_key: cols(&[0]),
        lookup_arity: 2,
        closure: Mfp { projection: vec![0, 3], ..Mfp::identity(4) },
    };
    let path = JoinPath {
        source: 0,
        source_arity: 2,
        source_key: None,
        initial: Mfp::identity(2),
        stages: vec![stage],
    };
    Plan::LinearJoin { inputs: vec![over, local(9, 2)], path }
}

fn union(inputs: Vec<Plan>) -> Plan {
    Plan::Union { inputs, consolidate: false }
}

/// With the edges arranged by their source, as relation 9.
fn over_edges(body: Plan) -> Plan {
    Plan::Let { id: 9, value: Box::new(arranged(global("edge", 2), 2, &[&[0]])), body: Box::new(body) }
}

fn let_rec(bindings: Vec<(u64, Plan, Option<LetRecLimit>)>, body: Plan) -> Plan {
    let arities = vec![2; bindings.len()];
    let ids = bindings.iter().map(|binding| binding.0).collect();
    let limits = bindings.iter().map(|binding| binding.2.clone()).collect();
    let values = bindings.into_iter().map(|binding| binding.1).collect();
    Plan::LetRec { ids, values, limits, arities, body: Box::new(body) }
}

fn closure(limit: Option<LetRecLimit>) -> Plan {
    let reach = distinct(union(vec![global("edge", 2), step(local(1, 2))]), 2);
    over_edges(let_rec(vec![(1, reach, limit)], local(1, 2)))
}

fn env(edges: &Rows) -> Env {
    let mut env = Env::default();
    let relation = Relation { rows: edges.clone(), errors: Default::default() };
    env.relations.insert(RelationId::Global { id: "edge".into() }, relation);
    env
}

fn check(plan: &Plan, nodes: u64, rounds: u64, workers: usize) {
    let mut world = World::new(workers);
    let built = dataflow("recursive", &[("edge", 2)], 0).object("o", plan.clone());
    world.replica().create(built.index("i", "o", &[0], 2));
    let (mut rng, mut edges) = (Rng(4711), Rows::new());
    let mut failed = 0;
    for time in 1..=rounds {
        let mut changes = vec![];
        for _ in 0..if time == 1 { nodes } else { 3 } {
            let edge = ints(&[rng.below(nodes) as i64, rng.below(nodes) as i64]);
            let diff = if edges.remove(&edge).is_some() { -1 } else { 1 };
            if diff == 1 {
                edges.insert(edge.clone(), 1);
            }
            changes.push(Stored { error: false, row: edge, time, diff });
        }
        if time.is_multiple_of(2) {
            let (row, diff) = (edges.pop_first().expect("there are edges").0, -1);
            changes.push(Stored { error: false, row, time, diff });
        }
        world.append("edge", changes, time + 1);
        let want = evaluate(plan, &env(&edges));
        let got = world.peek("i", 2, time);
        match want.errors.first() {
            Some(error) => {
                failed += 1;
                assert_eq!(got, Err(read_error(&EvalError::from_row(error).expect("an error"))), "at {time}");
            }
            None => assert_eq!(got, Ok(want.rows), "at {time}"),
        }
    }
    assert_eq!(world.replica().failures(), vec![]);
    assert!(failed < rounds, "some time has an answer");
}

#[test]
fn transitive_closure_with_retractions() {
    check(&closure(None), 20, 10, 1);
    check(&closure(None), 20, 8, 2);
}

#[test]
fn limits_return_what_there_is() {
    for rounds in 1..4 {
        check(&closure(Some(LetRecLimit { rounds, return_at_limit: true })), 20, 6, 1);
    }
}

#[test]
fn limits_are_errors_while_they_are_exceeded() {
    check(&closure(Some(LetRecLimit { rounds: 4, return_at_limit: false })), 12, 20, 2);
}

#[test]
fn bindings_are_updated_in_order() {
    // Pairs joined by a path of odd length, and of even length.
    let odd = distinct(union(vec![global("edge", 2), step(local(2, 2))]), 2);
    let even = distinct(step(local(1, 2)), 2);
    let body = union(vec![local(1, 2), Plan::Negate { input: Box::new(local(2, 2)) }]);
    let plan = over_edges(let_rec(vec![(1, odd, None), (2, even, None)], body));
    check(&Plan::Threshold { input: Box::new(plan), arity: 2 }, 12, 10, 1);
    // With a limit the order shows.
    let limit = Some(LetRecLimit { rounds: 2, return_at_limit: true });
    let odd = distinct(union(vec![global("edge", 2), step(local(2, 2))]), 2);
    let even = distinct(step(local(1, 2)), 2);
    let both = union(vec![local(1, 2), local(2, 2)]);
    check(&over_edges(let_rec(vec![(1, odd, limit.clone()), (2, even, limit)], both)), 12, 8, 2);
}

#[test]
fn recursion_within_recursion() {
    // The closure of the pairs that reach each other, three rounds of it.
    let inner_step = {
        let stage = JoinStage {
            lookup: 1,
            stream_key: cols(&[1]),
            lookup_key: cols(&[0]),
            lookup_arity: 2,
            closure: Mfp { projection: vec![0, 3], ..Mfp::identity(4) },
        };
        let path = JoinPath {
            source: 0,
            source_arity: 2,
            source_key: None,
            initial: Mfp::identity(2),
            stages: vec![stage],
        };
        Plan::LinearJoin { inputs: vec![local(2, 2), arranged(local(1, 2), 2, &[&[0]])], path }
    };
    let reach = distinct(union(vec![local(1, 2), inner_step]), 2);
    let inner = let_rec(vec![(2, reach, None)], local(2, 2));
    let symmetric = distinct(union(vec![global("edge", 2), project(inner, 2, &[1, 0])]), 2);
    let limit = Some(LetRecLimit { rounds: 3, return_at_limit: true });
    check(&let_rec(vec![(1, symmetric, limit)], local(1, 2)), 9, 8, 1);
}

#[test]
fn recursion_that_cannot_be_rendered_fails_alone() {
    let mut world = World::new(1);
    let missing = Plan::Mfp {
        input: Box::new(global("edge", 2)),
        mfp: Mfp::identity(2),
        key: Some(cols(&[0])),
        lookups: None,
    };
    let bindings = vec![(1, global("edge", 2), None), (2, missing, None), (3, local(1, 2), None)];
    let built = dataflow("broken", &[("edge", 2)], 0).object("o", let_rec(bindings, local(3, 2)));
    world.replica().create(built.index("i", "o", &[0], 2));
    let failed = world.wait("the failure", |world| world.replica().failures().first().cloned());
    assert!(failed.1.contains("arrangement"), "{}", failed.1);
    assert!(world.peek("i", 2, 0).is_err());
}
