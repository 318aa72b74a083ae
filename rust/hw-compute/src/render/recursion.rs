//! Mutually recursive bindings: nested iteration with a dynamic point stamp.
//!
//! A `LetRec` at `u64` opens the one scope whose time is [`Dyn`]; a `LetRec` inside that scope opens none: it
//! takes the next coordinate of the point stamp, for which `level` stands.
//!
//! * In: streams enter by `Collection::enter`, arrangements by `Arranged::enter`, which copies nothing.
//! * Around: `Variable`, each fed its definition's consolidated value, one round later. Definitions are rendered
//!   in order, and see those before them in the same round.
//! * Out: [`leave_dynamic`] strips the coordinate, and at level 1 `Collection::leave` leaves the scope.
//!
//! Errors do not go around: every round's are added to all the bindings', so no error keeps a loop alive.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use differential_dataflow::collection::{AsCollection, Collection};
use differential_dataflow::dynamic::feedback_summary;
use differential_dataflow::dynamic::pointstamp::{PointStamp, PointStampSummary};
use differential_dataflow::operators::iterate::Variable;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::order::Product;
use timely::progress::Antichain;

use super::bundle::{Arrangement, Bundle, concatenate};
use super::complete::consolidate;
use super::operators::{Halves, Logic, flat_map, flat_map_arranged, reduce};
use super::{Context, RenderError, render};
use crate::arrangement::arrange;
use crate::container::{Dyn, Flat, FlatBuilder, RowStream, hash};
use crate::expr::EvalError;
use crate::plan::{LetRecLimit, Plan, RelationId};

/// One binding.
pub struct Binding<'a> {
    id: u64,
    value: &'a Plan,
    limit: Option<&'a LetRecLimit>,
    arity: usize,
}

/// The bindings of a plan, which must be of one number.
pub fn bindings<'a>(
    ids: &'a [u64],
    values: &'a [Plan],
    limits: &'a [Option<LetRecLimit>],
    arities: &'a [usize],
) -> Result<Vec<Binding<'a>>, RenderError> {
    if [values.len(), limits.len(), arities.len()].iter().any(|len| *len != ids.len()) {
        return Err(RenderError::Malformed("recursive bindings of unequal numbers".into()));
    }
    let parts = ids.iter().zip(values).zip(limits).zip(arities);
    Ok(parts
        .map(|(((id, value), limit), arity)| Binding { id: *id, value, limit: limit.as_ref(), arity: *arity })
        .collect())
}

/// Renders bindings at `u64`, in a scope of their own.
pub fn enter<'s>(
    context: &mut Context<'s, u64>,
    bindings: &[Binding<'_>],
) -> Result<Vec<Bundle<'s, u64>>, RenderError> {
    let outer = context.scope;
    let mut used = HashSet::new();
    bindings.iter().for_each(|binding| names(binding.value, &mut used));
    outer.iterative::<PointStamp<u64>, _, _>(|scope: Scope<'_, Dyn>| {
        let mut inner = Context {
            scope,
            as_of: context.as_of,
            until: context.until,
            level: 0,
            globals: HashMap::new(),
            locals: HashMap::new(),
            nodes: Rc::clone(&context.nodes),
        };
        for (id, bundle) in &context.globals {
            if used.contains(&RelationId::Global { id: id.clone() }) {
                inner.globals.insert(id.clone(), brought_in(bundle, scope)?);
            }
        }
        for (id, bundle) in &context.locals {
            if used.contains(&RelationId::Local { id: *id }) {
                inner.locals.insert(*id, brought_in(bundle, scope)?);
            }
        }
        let bundles = nest(&mut inner, bindings)?;
        let left = bundles.into_iter().map(|bundle| {
            let rows = bundle.stream("Leave", (context.as_of, None))?;
            let errs = bundle.errors(scope).as_collection().leave(outer).inner;
            Ok(Bundle::of_rows(bundle.arity, rows.as_collection().leave(outer).inner, vec![errs]))
        });
        left.collect()
    })
}

fn brought_in<'i, 'o>(
    bundle: &Bundle<'o, u64>,
    scope: Scope<'i, Dyn>,
) -> Result<Bundle<'i, Dyn>, RenderError> {
    let enter = |rows: &RowStream<'o, u64>| rows.clone().as_collection().enter(scope).inner;
    let mut arrangements = vec![];
    for (key, arrangement) in &bundle.arrangements {
        match arrangement {
            Arrangement::Here(arranged) => {
                arrangements.push((key.clone(), Arrangement::Entered(arranged.clone().enter(scope))));
            }
            Arrangement::Entered(_) => {
                return Err(RenderError::Malformed("an arrangement entered the outermost scope".into()));
            }
        }
    }
    Ok(Bundle {
        arity: bundle.arity,
        rows: bundle.rows.as_ref().map(enter),
        errs: bundle.errs.iter().map(enter).collect(),
        arrangements,
    })
}

/// Renders bindings within the recursive scope, one level deeper.
pub fn nest<'s>(
    context: &mut Context<'s, Dyn>,
    bindings: &[Binding<'_>],
) -> Result<Vec<Bundle<'s, Dyn>>, RenderError> {
    context.level += 1;
    let shadowed = context.locals.clone();
    let result = iterate(context, bindings);
    context.locals = shadowed;
    context.level -= 1;
    result
}

fn iterate<'s>(
    context: &mut Context<'s, Dyn>,
    bindings: &[Binding<'_>],
) -> Result<Vec<Bundle<'s, Dyn>>, RenderError> {
    let level = context.level;
    let mut variables = vec![];
    for binding in bindings {
        let step = Product::new(Default::default(), feedback_summary::<u64>(level, 1));
        let (variable, rows) = Variable::<Dyn, Flat<Dyn, i64>>::new(context.scope, step);
        variables.push(variable);
        context.locals.insert(binding.id, Bundle::of_rows(binding.arity, rows.inner, vec![]));
    }
    let (mut results, mut errs) = (vec![], vec![]);
    let mut failure = None;
    for (binding, variable) in bindings.iter().zip(variables) {
        // timely insists that every loop is closed, also where rendering has failed.
        let rows = match failure.is_none().then(|| definition(context, binding, &mut errs)) {
            Some(Ok(rows)) => rows,
            Some(Err(error)) => {
                failure = Some(error);
                concatenate(context.scope, vec![])
            }
            None => concatenate(context.scope, vec![]),
        };
        variable.set(Collection::new(rows.clone()));
        // The bindings that follow see this round's value.
        context.locals.insert(binding.id, Bundle::of_rows(binding.arity, rows.clone(), vec![]));
        results.push((binding.arity, leave_dynamic(rows, level)));
    }
    if let Some(error) = failure {
        return Err(error);
    }
    let errs = leave_dynamic(concatenate(context.scope, errs), level);
    Ok(results.into_iter().map(|(arity, rows)| Bundle::of_rows(arity, rows, vec![errs.clone()])).collect())
}

/// Renders one definition; its rows are consolidated, so that what changes nothing ends the loop.
fn definition<'s>(
    context: &mut Context<'s, Dyn>,
    binding: &Binding<'_>,
    errs: &mut Vec<RowStream<'s, Dyn>>,
) -> Result<RowStream<'s, Dyn>, RenderError> {
    let value = render(context, binding.value)?;
    let mut rows = value.stream("LetRec", context.times())?;
    errs.push(value.errors(context.scope));
    if let Some(limit) = binding.limit {
        let limited = keep_rounds(rows, context.level, limit.clone());
        rows = limited.oks;
        if !limit.return_at_limit {
            errs.push(limit_error(limited.errs, limit));
        }
    }
    Ok(consolidate(rows, "LetRecVariable"))
}

/// Divides updates at round `limit.rounds` (from 0) and later from those before: what a definition computes
/// in round `i` is the value after `i + 1` applications.
fn keep_rounds<'s>(rows: RowStream<'s, Dyn>, level: usize, limit: LetRecLimit) -> Halves<'s, Dyn> {
    let logic: Logic<Dyn> = Box::new(move |row, _, time, diff, out| {
        if time.inner.get(level - 1).copied().unwrap_or(0) < limit.rounds {
            out.oks.push(row, &[], time.clone(), diff);
        } else if !limit.return_at_limit {
            // Weighted by the row's hash, so that a row that comes and one that goes do not make zero.
            let weight = (hash(row) >> 44) as i64 + 1;
            out.errs.push(&[], &[], time.clone(), diff * weight);
        }
    });
    flat_map(rows, "LetRecLimit", logic)
}

/// One error as long as there is anything beyond the limit.
fn limit_error<'s>(beyond: RowStream<'s, Dyn>, limit: &LetRecLimit) -> RowStream<'s, Dyn> {
    let message = format!("recursive query exceeded the recursion limit {}", limit.rounds);
    let error = EvalError::raise("54000", message).to_row();
    let any = reduce(
        arrange(beyond, "ArrangeLetRecLimit"),
        "LetRecLimitError",
        Box::new(move |_, vals, out| {
            if vals.iter().any(|(_, diff)| *diff != 0) {
                out.push((error.clone(), 1));
            }
        }),
    );
    let logic: Logic<Dyn> = Box::new(|_, val, time, diff, out| out.oks.push(val, &[], time.clone(), diff));
    flat_map_arranged(any, "LetRecLimitError", None, logic).oks
}

/// Forgets the coordinates from `level` on, as differential's operator of this name does for vectors.
fn leave_dynamic<'s>(rows: RowStream<'s, Dyn>, level: usize) -> RowStream<'s, Dyn> {
    let truncate = move |time: &Dyn| {
        let mut inner = time.inner.clone().into_inner();
        inner.truncate(level - 1);
        Product::new(time.outer, PointStamp::new(inner))
    };
    let mut builder = OperatorBuilder::new("LeaveDynamic".to_owned(), rows.scope());
    let (output, stream) = builder.new_output::<Flat<Dyn, i64>>();
    let mut output = OutputBuilder::<_, FlatBuilder<Dyn>>::from(output);
    // The summary tells progress tracking the same: without it no frontier would ever leave the loop.
    let inner = PointStampSummary { retain: Some(level - 1), actions: Vec::new() };
    let summary = Product { outer: Default::default(), inner };
    let mut input = builder.new_input_connection(rows, Pipeline, [(0, Antichain::from_elem(summary))]);
    builder.build(move |_| {
        move |_| {
            let mut output = output.activate();
            input.for_each(|cap, data| {
                // A message may carry several times: a capability for each.
                let caps: CapabilitySet<_> =
                    cap.stamp().iter().map(|time| cap.delayed(&truncate(time), 0)).collect();
                for time in &mut data.times {
                    *time = truncate(time);
                }
                output.session(&caps).give_container(data);
            });
        }
    });
    stream
}

/// The names that a plan reads.
fn names(plan: &Plan, into: &mut HashSet<RelationId>) {
    match plan {
        Plan::Constant { .. } => {}
        Plan::Get { id, .. } => {
            into.insert(id.clone());
        }
        Plan::Let { value, body, .. } => [value, body].into_iter().for_each(|part| names(part, into)),
        Plan::LetRec { values, body, .. } => {
            values.iter().for_each(|value| names(value, into));
            names(body, into);
        }
        Plan::Mfp { input, .. }
        | Plan::FlatMap { input, .. }
        | Plan::Reduce { input, .. }
        | Plan::TopK { input, .. }
        | Plan::Window { input, .. }
        | Plan::Negate { input }
        | Plan::Threshold { input, .. }
        | Plan::ArrangeBy { input, .. } => names(input, into),
        Plan::LinearJoin { inputs, .. } | Plan::DeltaJoin { inputs, .. } | Plan::Union { inputs, .. } => {
            inputs.iter().for_each(|input| names(input, into));
        }
    }
}
