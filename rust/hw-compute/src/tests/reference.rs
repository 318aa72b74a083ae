//! The slow obvious evaluator of physical plans at one time: multisets in, multiset out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hw_expr::aggregate::Aggregate;
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::order::ColumnOrder;
use hw_types::{order, row};

use super::world::Rows;
use crate::expr::{EvalError, Mfp, ScalarExpr, Scratch};
use crate::plan::{AggregateExpr, JoinPath, Plan, RelationId, WindowFunction};

/// A relation: rows, and the errors of computing it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relation {
    /// Rows, multiplicities of any sign.
    pub rows: Rows,
    /// Errors, as texts of their rows.
    pub errors: BTreeSet<Vec<u8>>,
}

impl Relation {
    fn add(&mut self, row: Vec<u8>, count: i64) {
        let entry = self.rows.entry(row).or_insert(0);
        *entry += count;
    }
    fn fail(&mut self, error: &EvalError) {
        self.errors.insert(error.to_row());
    }
    fn settle(mut self) -> Self {
        self.rows.retain(|_, count| *count != 0);
        self
    }
}

/// What names stand for, and when it is.
#[derive(Clone, Default)]
pub struct Env {
    /// Relations.
    pub relations: HashMap<RelationId, Relation>,
    /// The time, for temporal filters.
    pub now: u64,
}

fn datums<R>(full: &[u8], use_them: impl FnOnce(&[Datum<'_>], &Arena) -> R) -> R {
    let arena = Arena::new();
    let mut columns = vec![];
    row::unpack(full, &arena, &mut columns);
    use_them(&columns, &arena)
}

fn eval(expr: &ScalarExpr, full: &[u8]) -> Result<Vec<u8>, EvalError> {
    let compiled = expr.compile().expect("a plan of the tests");
    let arena = Arena::new();
    let mut columns = vec![];
    row::unpack(full, &arena, &mut columns);
    compiled.eval(&columns, &arena).map(|datum| datum.to_bytes())
}

fn key(exprs: &[ScalarExpr], full: &[u8]) -> Result<Vec<u8>, EvalError> {
    let mut out = vec![];
    for expr in exprs {
        out.extend(eval(expr, full)?);
    }
    Ok(out)
}

fn map(input: &Relation, mfp: &Mfp, now: u64) -> Relation {
    let plan = mfp.compile().expect("a plan of the tests");
    let mut out = Relation { rows: Rows::new(), errors: input.errors.clone() };
    for (full, count) in &input.rows {
        let mut mapped = vec![];
        match plan.evaluate_row_temporal(full, &mut Scratch::new(), &mut mapped) {
            Ok(Some(validity)) if validity.lower <= now && validity.upper.is_none_or(|upper| now < upper) => {
                out.add(mapped, *count);
            }
            Ok(_) => {}
            Err(error) => out.fail(&error),
        }
    }
    out.settle()
}

fn window(
    input: &Relation,
    partition: &[usize],
    order: &[ColumnOrder],
    functions: &[WindowFunction],
) -> Relation {
    let mut partitions: BTreeMap<Vec<Vec<u8>>, Rows> = BTreeMap::new();
    for (full, count) in &input.rows {
        let key = partition.iter().map(|index| order::column(full, *index).to_vec()).collect();
        partitions.entry(key).or_default().insert(full.clone(), *count);
    }
    let mut out = Relation { rows: Rows::new(), errors: input.errors.clone() };
    for rows in partitions.values() {
        let values = crate::render::window::tests::expected(rows, functions, order);
        values.into_iter().for_each(|(row, count)| out.add(row, count));
    }
    out
}

/// Evaluates a plan.
pub fn evaluate(plan: &Plan, env: &Env) -> Relation {
    match plan {
        Plan::Constant { rows, error, .. } => {
            let mut out = Relation::default();
            match error {
                Some(error) => out.fail(&EvalError::raise(&error.sqlstate, error.message.clone())),
                None => rows.iter().for_each(|(row, count)| out.add(row.to_vec(), *count)),
            }
            out.settle()
        }
        Plan::Get { id, mfp, .. } => map(&env.relations[id], mfp, env.now),
        Plan::Mfp { input, mfp, lookups, key: by } => {
            let mut input = evaluate(input, env);
            if let (Some(lookups), Some(by)) = (lookups, by) {
                input.rows.retain(|full, _| {
                    let found = key(by, full).expect("keys of the tests never fail");
                    lookups.iter().any(|lookup| **lookup == found)
                });
            }
            map(&input, mfp, env.now)
        }
        Plan::Let { id, value, body } => {
            let mut inner = env.clone();
            inner.relations.insert(RelationId::Local { id: *id }, evaluate(value, env));
            evaluate(body, &inner)
        }
        Plan::LetRec { .. } => recursion(plan, env),
        Plan::LinearJoin { inputs, path } => join(inputs, path, env),
        // Every path gives the same columns and the same rows.
        Plan::DeltaJoin { inputs, paths } => join(inputs, &paths[0], env),
        Plan::Reduce { input, key: by, aggregates, mfp_after, .. } => {
            map(&reduce(&evaluate(input, env), by, aggregates), mfp_after, env.now)
        }
        Plan::TopK { input, group_key, order_key, limit, offset, .. } => {
            let input = evaluate(input, env);
            top_k(input, group_key, order_key, limit.as_ref(), *offset)
        }
        Plan::Window { input, partition, order, functions, .. } => {
            window(&evaluate(input, env), partition, order, functions)
        }
        Plan::Negate { input } => {
            let mut out = evaluate(input, env);
            out.rows.values_mut().for_each(|count| *count = -*count);
            out
        }
        Plan::Threshold { input, .. } => {
            let mut out = evaluate(input, env);
            out.rows.retain(|_, count| *count > 0);
            out
        }
        Plan::Union { inputs, .. } => {
            let mut out = Relation::default();
            for input in inputs {
                let input = evaluate(input, env);
                input.rows.into_iter().for_each(|(row, count)| out.add(row, count));
                out.errors.extend(input.errors);
            }
            out.settle()
        }
        Plan::ArrangeBy { input, .. } => evaluate(input, env),
        Plan::FlatMap { input, func, exprs, mfp, .. } => {
            let input = evaluate(input, env);
            let mut out = Relation { rows: Rows::new(), errors: input.errors.clone() };
            for (full, count) in &input.rows {
                match super::operators::table(func, exprs, full) {
                    Ok(rows) => rows.into_iter().for_each(|row| out.add([&full[..], &row].concat(), *count)),
                    Err(error) => out.fail(&error),
                }
            }
            map(&out.settle(), mfp, env.now)
        }
    }
}

fn top_k(
    input: Relation,
    group_key: &[usize],
    order_key: &[ColumnOrder],
    limit: Option<&ScalarExpr>,
    offset: u64,
) -> Relation {
    let mut groups: BTreeMap<Vec<u8>, Vec<(Vec<u8>, i64)>> = BTreeMap::new();
    for (full, count) in &input.rows {
        let by: Vec<u8> = group_key.iter().flat_map(|c| order::column(full, *c)).copied().collect();
        groups.entry(by).or_default().push((full.clone(), *count));
    }
    let mut out = Relation { rows: Rows::new(), errors: input.errors };
    for rows in groups.values_mut() {
        rows.sort_by(|a, b| order::compare(&a.0, &b.0, order_key));
        let limit = limit.map(|limit| eval(limit, &rows[0].0).expect("limits never fail"));
        let limit = limit.map(|limit| {
            datums(&limit, |datum, _| match datum[0] {
                Datum::Int(limit) => limit as usize,
                _ => usize::MAX,
            })
        });
        let single = rows.iter().flat_map(|(row, count)| std::iter::repeat_n(row, *count as usize));
        for row in single.skip(offset as usize).take(limit.unwrap_or(usize::MAX)) {
            out.add(row.clone(), 1);
        }
    }
    out
}

fn join(inputs: &[Plan], path: &JoinPath, env: &Env) -> Relation {
    let relations: Vec<Relation> = inputs.iter().map(|input| evaluate(input, env)).collect();
    let mut so_far = map(&relations[path.source], &path.initial, env.now);
    for stage in &path.stages {
        let mut out = Relation { rows: Rows::new(), errors: so_far.errors };
        for (left, m) in &so_far.rows {
            for (right, n) in &relations[stage.lookup].rows {
                if key(&stage.stream_key, left) == key(&stage.lookup_key, right) {
                    out.add([&left[..], right].concat(), m * n);
                }
            }
        }
        so_far = map(&out.settle(), &stage.closure, env.now);
    }
    relations.into_iter().for_each(|relation| so_far.errors.extend(relation.errors));
    so_far
}

fn reduce(input: &Relation, by: &[ScalarExpr], aggregates: &[AggregateExpr]) -> Relation {
    let mut out = Relation { rows: Rows::new(), errors: input.errors.clone() };
    let mut groups: BTreeMap<Vec<u8>, Vec<(&[u8], i64)>> = BTreeMap::new();
    for (full, count) in &input.rows {
        match key(by, full) {
            Ok(group) => groups.entry(group).or_default().push((full, *count)),
            Err(error) => out.fail(&error),
        }
    }
    for (group, rows) in groups {
        let values: Result<Vec<Vec<u8>>, EvalError> =
            aggregates.iter().map(|aggregate| value(aggregate, &rows)).collect();
        match values {
            Ok(values) => out.add([group, values.concat()].concat(), 1),
            Err(error) => out.fail(&error),
        }
    }
    out
}

fn value(aggregate: &AggregateExpr, rows: &[(&[u8], i64)]) -> Result<Vec<u8>, EvalError> {
    let mut args: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    for (full, count) in rows {
        *args.entry(eval(&aggregate.expr, full)?).or_insert(0) += count;
    }
    if aggregate.distinct {
        args.values_mut().for_each(|count| *count = 1);
    }
    match Aggregate::resolve(&aggregate.func).expect("an aggregate of the tests") {
        Aggregate::Accumulable(sum) => {
            let mut slots = vec![0; sum.slots()];
            for (arg, count) in &args {
                datums(arg, |datum, _| sum.explode(datum[0], *count, &mut slots));
            }
            Ok(sum.finish(&slots)?.to_bytes())
        }
        Aggregate::Hierarchical(extreme) => Ok(extreme.reduce(args.keys().map(Vec::as_slice)).to_vec()),
        Aggregate::Basic(basic) => {
            let mut out = vec![];
            let values = args.iter().map(|(arg, count)| (&arg[..], count.unsigned_abs()));
            basic.finish(values, &aggregate.order_by, &mut out)?;
            Ok(out)
        }
    }
}

/// Rounds until nothing changes, each binding updated in order.
fn recursion(plan: &Plan, env: &Env) -> Relation {
    let Plan::LetRec { ids, values, limits, body, .. } = plan else { return Relation::default() };
    let mut env = env.clone();
    let mut errors = BTreeSet::new();
    for id in ids {
        env.relations.insert(RelationId::Local { id: *id }, Relation::default());
    }
    for round in 0.. {
        let mut changed = false;
        for ((id, value), limit) in ids.iter().zip(values).zip(limits) {
            let mut next = evaluate(value, &env);
            errors.append(&mut next.errors);
            let id = RelationId::Local { id: *id };
            if next.rows == env.relations[&id].rows {
                continue;
            }
            if let Some(limit) = limit.as_ref().filter(|limit| round >= limit.rounds) {
                if !limit.return_at_limit {
                    let message = format!("recursive query exceeded the recursion limit {}", limit.rounds);
                    errors.insert(EvalError::raise("54000", message).to_row());
                }
                continue;
            }
            changed = true;
            env.relations.insert(id, next);
        }
        if !changed {
            break;
        }
    }
    let mut out = evaluate(body, &env);
    out.errors.append(&mut errors);
    out
}
