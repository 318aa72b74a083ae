//! Whether a description fits together, before any of it is rendered.
//!
//! Evaluation indexes columns without looking: a plan that refers to a column that is not there must be
//! refused here, since a panic would end the replica and everything else on it.

use std::collections::HashMap;

use crate::expr::{Mfp, ScalarExpr};
use crate::plan::{DataflowDescription, JoinPath, Plan, RelationId};
use crate::render::RenderError;

type Checked<T = ()> = Result<T, RenderError>;

fn malformed<T>(what: impl Into<String>) -> Checked<T> {
    Err(RenderError::Malformed(what.into()))
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { malformed(what()) }
}

/// Every column that `exprs` read is among the first `arity`.
fn exprs<'a>(exprs: impl IntoIterator<Item = &'a ScalarExpr>, arity: usize, what: &str) -> Checked {
    let mut beyond = None;
    for expr in exprs {
        expr.columns(&mut |column| {
            if column >= arity {
                beyond = Some(column);
            }
        });
    }
    beyond.map_or(Ok(()), |column| malformed(format!("{what} reads column {column} of {arity}")))
}

/// Checks `mfp` over rows of `arity` columns; returns how many its output has.
pub fn mfp(mfp: &Mfp, arity: usize) -> Checked<usize> {
    require(mfp.input_arity == arity, || {
        format!("an mfp takes {} columns where there are {arity}", mfp.input_arity)
    })?;
    for (i, expr) in mfp.expressions.iter().enumerate() {
        exprs([expr], arity + i, "an expression")?;
    }
    let all = arity + mfp.expressions.len();
    for predicate in &mfp.predicates {
        let support = predicate.support;
        require(support <= all, || format!("a predicate needs {support} columns of {all}"))?;
        // It is evaluated once so many columns are there, and all of the input's are from the beginning.
        exprs([&predicate.expr], support.max(arity), "a predicate")?;
    }
    require(mfp.projection.iter().all(|column| *column < all), || {
        format!("a projection takes columns {:?} of {all}", mfp.projection)
    })?;
    exprs(mfp.lower_bounds.iter().chain(&mfp.upper_bounds), all, "a temporal bound")?;
    Ok(mfp.projection.len())
}

/// What names stand for: their numbers of columns.
#[derive(Default)]
struct Names(HashMap<RelationId, usize>);

impl Names {
    fn bind<R>(&mut self, id: u64, arity: usize, body: impl FnOnce(&mut Self) -> R) -> R {
        let id = RelationId::Local { id };
        let shadowed = self.0.insert(id.clone(), arity);
        let result = body(self);
        match shadowed {
            Some(arity) => self.0.insert(id, arity),
            None => self.0.remove(&id),
        };
        result
    }
    fn plans(&mut self, plans: &[Plan]) -> Checked<Vec<usize>> {
        plans.iter().map(|plan| self.plan(plan)).collect()
    }
    /// Checks a plan; returns how many columns its rows have.
    fn plan(&mut self, plan: &Plan) -> Checked<usize> {
        match plan {
            Plan::Constant { rows, arity, .. } => {
                for (row, _) in rows {
                    hw_types::row::check(row, *arity)
                        .map_err(|error| RenderError::Malformed(format!("a constant's row: {error}")))?;
                }
                Ok(*arity)
            }
            Plan::Get { id, arity, mfp: map, key, pass_through, .. } => {
                let found = *self.0.get(id).ok_or_else(|| RenderError::Unbound(id.clone()))?;
                require(found == *arity, || format!("{id:?} has {found} columns, not {arity}"))?;
                exprs(key.iter().flatten(), *arity, "a key")?;
                if *pass_through { Ok(*arity) } else { mfp(map, *arity) }
            }
            Plan::Mfp { input, mfp: map, key, .. } => {
                let arity = self.plan(input)?;
                exprs(key.iter().flatten(), arity, "a key")?;
                mfp(map, arity)
            }
            Plan::Let { id, value, body } => {
                let arity = self.plan(value)?;
                self.bind(*id, arity, |names| names.plan(body))
            }
            Plan::LetRec { ids, values, arities, body, .. } => self.let_rec(ids, values, arities, body),
            Plan::FlatMap { input, exprs: args, columns, mfp: map, key, .. } => {
                let arity = self.plan(input)?;
                exprs(key.iter().flatten().chain(args), arity, "a table function")?;
                mfp(map, arity + columns.len())
            }
            Plan::LinearJoin { inputs, path } => {
                let arities = self.plans(inputs)?;
                join(path, &arities)
            }
            Plan::DeltaJoin { inputs, paths } => {
                let arities = self.plans(inputs)?;
                let made: Vec<usize> =
                    paths.iter().map(|path| join(path, &arities)).collect::<Checked<_>>()?;
                require(made.windows(2).all(|pair| pair[0] == pair[1]), || {
                    format!("the paths of a delta join make {made:?} columns")
                })?;
                made.first().copied().map_or_else(|| malformed("a delta join without paths"), Ok)
            }
            Plan::Reduce { .. } | Plan::TopK { .. } | Plan::Window { .. } => self.grouped(plan),
            Plan::Negate { input } => self.plan(input),
            Plan::Threshold { input, arity } => self.same(input, *arity, "a threshold"),
            Plan::ArrangeBy { input, arity, keys } => {
                exprs(keys.iter().flatten(), *arity, "a key")?;
                self.same(input, *arity, "an arrangement")
            }
            Plan::Union { inputs, .. } => {
                let arities = self.plans(inputs)?;
                require(arities.windows(2).all(|pair| pair[0] == pair[1]), || {
                    format!("a union of {arities:?} columns")
                })?;
                arities.first().copied().map_or_else(|| malformed("a union of nothing"), Ok)
            }
        }
    }
    fn grouped(&mut self, plan: &Plan) -> Checked<usize> {
        match plan {
            Plan::Reduce { input, input_arity, key, aggregates, mfp_after, .. } => {
                let arity = self.plan(input)?;
                require(arity == *input_arity, || {
                    format!("a reduction of {input_arity} columns gets {arity}")
                })?;
                exprs(
                    key.iter().chain(aggregates.iter().map(|aggregate| &aggregate.expr)),
                    arity,
                    "a reduction",
                )?;
                mfp(mfp_after, key.len() + aggregates.len())
            }
            Plan::TopK { input, arity, group_key, order_key, limit, .. } => {
                self.same(input, *arity, "a top-k")?;
                let columns = group_key.iter().copied().chain(order_key.iter().map(|by| by.column));
                let beyond = columns.max().filter(|column| column >= arity);
                require(beyond.is_none(), || format!("a top-k reads column {beyond:?} of {arity}"))?;
                exprs(limit, *arity, "a limit")?;
                Ok(*arity)
            }
            Plan::Window { input, arity, partition, order, functions } => {
                self.same(input, *arity, "a window")?;
                let bounds = functions.iter().flat_map(|function| {
                    let frame = &function.frame;
                    [frame.start.column, frame.end.column, function.filter].into_iter().flatten()
                });
                let columns = partition.iter().copied().chain(order.iter().map(|by| by.column));
                let beyond = columns.chain(bounds).max().filter(|column| column >= arity);
                require(beyond.is_none(), || format!("a window reads column {beyond:?} of {arity}"))?;
                exprs(functions.iter().flat_map(|function| &function.args), *arity, "a window function")?;
                Ok(*arity + functions.len())
            }
            _ => malformed("not a plan of groups"),
        }
    }
    fn same(&mut self, input: &Plan, arity: usize, what: &str) -> Checked<usize> {
        let found = self.plan(input)?;
        require(found == arity, || format!("{what} of {arity} columns gets {found}"))?;
        Ok(arity)
    }
    fn let_rec(&mut self, ids: &[u64], values: &[Plan], arities: &[usize], body: &Plan) -> Checked<usize> {
        let shadowed = self.0.clone();
        for (id, arity) in ids.iter().zip(arities) {
            self.0.insert(RelationId::Local { id: *id }, *arity);
        }
        for (value, arity) in values.iter().zip(arities) {
            self.same(value, *arity, "a recursive binding")?;
        }
        let arity = self.plan(body);
        self.0 = shadowed;
        arity
    }
}

fn join(path: &JoinPath, arities: &[usize]) -> Checked<usize> {
    let input = |index: usize| {
        let found = arities.get(index).copied();
        found.map_or_else(|| malformed(format!("a join has no input {index}")), Ok)
    };
    let source = input(path.source)?;
    require(source == path.source_arity, || format!("a join's source has {source} columns"))?;
    exprs(path.source_key.iter().flatten(), source, "a join's source key")?;
    let mut arity = mfp(&path.initial, source)?;
    for stage in &path.stages {
        let lookup = input(stage.lookup)?;
        require(lookup == stage.lookup_arity, || format!("a join's input has {lookup} columns"))?;
        require(stage.stream_key.len() == stage.lookup_key.len(), || {
            "a join's keys differ in length".into()
        })?;
        exprs(&stage.stream_key, arity, "a join's key")?;
        exprs(&stage.lookup_key, lookup, "a join's key")?;
        arity = mfp(&stage.closure, arity + lookup)?;
    }
    Ok(arity)
}

/// Checks a whole description.
pub fn check(description: &DataflowDescription) -> Checked {
    let mut names = Names::default();
    let global = |id: &String| RelationId::Global { id: id.clone() };
    for source in &description.sources {
        let arity = source.desc.arity();
        let arity = source.mfp.as_ref().map_or(Ok(arity), |map| mfp(map, arity))?;
        names.0.insert(global(&source.id), arity);
    }
    for log in &description.logs {
        let arity = log.desc.arity();
        let arity = log.mfp.as_ref().map_or(Ok(arity), |map| mfp(map, arity))?;
        names.0.insert(global(&log.id), arity);
    }
    for index in &description.indexes {
        exprs(&index.key, index.arity, "an index")?;
        names.0.insert(global(&index.on), index.arity);
    }
    for object in &description.objects {
        let arity = names.plan(&object.plan)?;
        names.0.insert(global(&object.id), arity);
    }
    let arity_of = |id: &String| {
        let id = global(id);
        names.0.get(&id).copied().ok_or(RenderError::Unbound(id))
    };
    for export in &description.index_exports {
        let (arity, found) = (export.arity, arity_of(&export.on)?);
        require(arity == found, || format!("index {} is of {arity} columns of {found}", export.id))?;
        exprs(&export.key, arity, "an index")?;
    }
    for export in &description.sink_exports {
        let found = arity_of(&export.on)?;
        if let crate::plan::Sink::MaterializedView { desc, .. } = &export.sink {
            let arity = desc.arity();
            require(arity == found, || format!("view {} is of {arity} columns of {found}", export.id))?;
        }
    }
    Ok(())
}
