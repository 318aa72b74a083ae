//! Groups and their aggregates.
//!
//! * [`accumulable`]: the values are moved into the diff, so that a group is one update whatever its size.
//! * [`hierarchical`]: minima and maxima, within buckets first, so that a change costs the buckets' sizes.
//! * [`basic`]: over all values, for everything else.
//!
//! Each kind leaves an arrangement from the group's key to its aggregates; where a reduction has several,
//! [`collate`] puts them together. A negative multiplicity is an error of its group, never a panic.

pub mod accumulable;
pub mod basic;
pub mod hierarchical;

use hw_expr::aggregate::Aggregate;
use hw_types::row;

use super::bundle::{Arrangement, Bundle, concatenate};
use super::complete::consolidate;
use super::operators::{Logic, ReduceLogic, flat_map, flat_map_arranged, reduce};
use super::thinning::Picker;
use super::{Context, RenderError, RenderTime, all_columns};
use crate::arrangement::{RowArranged, arrange};
use crate::container::{Diff, RowStream, Time};
use crate::expr::{EvalError, INVALID_DATA, Mfp, ScalarExpr};
use crate::plan::{AggregateExpr, ReducePlan};

/// What is to be reduced, and how.
pub struct Shape<'a> {
    /// The input's columns.
    pub input_arity: usize,
    /// The groups.
    pub key: &'a [ScalarExpr],
    /// The aggregates.
    pub aggregates: &'a [AggregateExpr],
    /// How each is computed.
    pub plan: &'a ReducePlan,
}

/// From a key and its vals to output vals, or an error of the group. One is made for each half.
pub type Compute<R> = Box<dyn FnMut(&[u8], &[(&[u8], R)], &mut Vec<(Vec<u8>, i64)>) -> Result<(), EvalError>>;

/// Some of a reduction's aggregates, by key.
pub struct Part<'s, T: Time> {
    /// Which, in the order of the vals' datums.
    pub aggregates: Vec<usize>,
    /// From the group's key to their values.
    pub arranged: RowArranged<'s, T>,
}

/// The error of a group that holds fewer than no rows: of the data, which some query or source has made so.
pub fn negative(what: &str) -> EvalError {
    EvalError::raise(INVALID_DATA, format!("Invalid data in source, saw {what}"))
}

/// Reduces to rows and to errors: two reductions over one arrangement.
pub fn reduce_pair<'s, T: Time, R: Diff>(
    arranged: RowArranged<'s, T, R>,
    name: &str,
    make: &dyn Fn() -> Compute<R>,
) -> (RowArranged<'s, T>, RowStream<'s, T>) {
    let (mut compute, mut check) = (make(), make());
    let oks: ReduceLogic<R> = Box::new(move |key, vals, out| {
        if compute(key, vals, out).is_err() {
            out.clear();
        }
    });
    let errs: ReduceLogic<R> = Box::new(move |key, vals, out| {
        let result = check(key, vals, out);
        out.clear();
        if let Err(error) = result {
            out.push((error.to_row(), 1));
        }
    });
    let oks = reduce(arranged.clone(), name, oks);
    let errs = reduce(arranged, &format!("{name} errors"), errs);
    let logic: Logic<T> = Box::new(|_, val, time, diff, out| out.oks.push(val, &[], time.clone(), diff));
    let errs = flat_map_arranged(errs, "ReduceErrors", None, logic);
    (oks, errs.oks)
}

/// Rows of group key and the values of `exprs`, both over full rows.
pub fn keyed<'s, T: Time>(
    rows: RowStream<'s, T>,
    name: &str,
    shape: &Shape<'_>,
    exprs: &[ScalarExpr],
    errs: &mut Vec<RowStream<'s, T>>,
) -> Result<RowStream<'s, T>, RenderError> {
    let mut key = Picker::new(shape.key, shape.input_arity)?;
    let mut val = Picker::new(exprs, shape.input_arity)?;
    let logic: Logic<T> = Box::new(move |row, _, time, diff, out| {
        let tail = out.oks.tail();
        let mut split = || {
            key.pick(row, tail)?;
            let key_end = tail.len();
            val.pick(row, tail)?;
            Ok(key_end)
        };
        match split() {
            Ok(key_end) => out.oks.seal(key_end, time.clone(), diff),
            Err(error) => {
                out.oks.abandon();
                out.error(&error, time.clone(), diff);
            }
        }
    });
    let halves = flat_map(rows, name, logic);
    if shape.key.iter().chain(exprs).any(crate::expr::can_fail) {
        errs.push(halves.errs);
    }
    Ok(halves.oks)
}

/// See [`Plan::Reduce`](crate::plan::Plan::Reduce).
pub fn render<'s, T: RenderTime>(
    context: &mut Context<'s, T>,
    input: &Bundle<'s, T>,
    shape: &Shape<'_>,
    mfp_after: &Mfp,
    input_key: Option<&[ScalarExpr]>,
) -> Result<Bundle<'s, T>, RenderError> {
    if input.arity != shape.input_arity {
        return Err(RenderError::Malformed("a reduction's input has other columns".into()));
    }
    let mut errs = input.errs.clone();
    let rows = match input_key {
        None => input.stream("ReduceInput", context.times())?,
        Some(_) => {
            let only_rows = Bundle { errs: vec![], ..input.clone() };
            let identity = Mfp::identity(input.arity);
            let read = only_rows.map("ReduceInput", &identity, input_key, None, context.times())?;
            read.stream("ReduceInput", context.times())?
        }
    };
    let arranged = aggregate(context, rows, shape, &mut errs)?;
    let keys = shape.key.len();
    let arity = keys + shape.aggregates.len();
    let arrangements = vec![(all_columns(keys), Arrangement::Here(arranged))];
    let bundle = Bundle { arity, rows: None, errs, arrangements };
    if mfp_after.is_identity() {
        return Ok(bundle);
    }
    bundle.map("ReduceMfp", mfp_after, None, None, context.times())
}

fn aggregate<'s, T: RenderTime>(
    context: &Context<'s, T>,
    rows: RowStream<'s, T>,
    shape: &Shape<'_>,
    errs: &mut Vec<RowStream<'s, T>>,
) -> Result<RowArranged<'s, T>, RenderError> {
    let mut parts = vec![];
    if !shape.plan.accumulable.is_empty() {
        parts.push(accumulable::render(context, rows.clone(), shape, errs)?);
    }
    if !shape.plan.hierarchical.is_empty() {
        let must_consolidate = shape.plan.must_consolidate;
        let rows = if must_consolidate { consolidate(rows.clone(), "Extremes") } else { rows.clone() };
        for index in &shape.plan.hierarchical {
            parts.push(hierarchical::render(rows.clone(), shape, *index, errs)?);
        }
    }
    for index in &shape.plan.basic {
        parts.push(basic::render(rows.clone(), shape, *index, errs)?);
    }
    let planned: usize = parts.iter().map(|part| part.aggregates.len()).sum();
    if planned != shape.aggregates.len() {
        return Err(RenderError::Malformed("a reduction does not plan each aggregate once".into()));
    }
    if parts.is_empty() {
        return distinct(rows, shape, errs);
    }
    let whole: Vec<usize> = (0..shape.aggregates.len()).collect();
    if parts.len() == 1 && parts[0].aggregates == whole {
        return Ok(parts.remove(0).arranged);
    }
    collate(context, parts, shape.aggregates.len())
}

/// Each key once.
fn distinct<'s, T: Time>(
    rows: RowStream<'s, T>,
    shape: &Shape<'_>,
    errs: &mut Vec<RowStream<'s, T>>,
) -> Result<RowArranged<'s, T>, RenderError> {
    let rows = keyed(rows, "DistinctKey", shape, &[], errs)?;
    let (oks, failed) = reduce_pair(arrange(rows, "ArrangeDistinct"), "Distinct", &once);
    errs.push(failed);
    Ok(oks)
}

/// Any number of rows as one.
pub fn once() -> Compute<i64> {
    Box::new(|_, vals, out| {
        let count: i64 = vals.iter().map(|(_, diff)| *diff).sum();
        if count < 0 {
            return Err(negative("negative accumulation for a distinct key"));
        }
        if count > 0 {
            out.push((vec![], 1));
        }
        Ok(())
    })
}

/// The aggregate that `expr` names, where it is of the kind that `kind` accepts.
pub fn resolve<A>(expr: &AggregateExpr, kind: impl Fn(Aggregate) -> Option<A>) -> Result<A, RenderError> {
    let found = Aggregate::resolve(&expr.func).and_then(kind);
    found.ok_or_else(|| RenderError::Malformed(format!("\"{}\" is not an aggregate of its kind", expr.func)))
}

/// The aggregate at `index`.
pub fn at<'a>(shape: &Shape<'a>, index: usize) -> Result<&'a AggregateExpr, RenderError> {
    let missing = || RenderError::Malformed(format!("a reduction has no aggregate {index}"));
    shape.aggregates.get(index).ok_or_else(missing)
}

/// Puts parts together: vals of one part each, marked with its number, into vals of all.
///
/// A group that lacks a part has none at all: the part failed, and says so in its errors.
fn collate<'s, T: RenderTime>(
    context: &Context<'s, T>,
    parts: Vec<Part<'s, T>>,
    aggregates: usize,
) -> Result<RowArranged<'s, T>, RenderError> {
    let places: Vec<Vec<usize>> = parts.iter().map(|part| part.aggregates.clone()).collect();
    let marked = parts.into_iter().enumerate().map(|(number, part)| {
        let number =
            u16::try_from(number).map_err(|_| RenderError::Malformed("too many aggregates".into()))?;
        let logic: Logic<T> = Box::new(move |key, val, time, diff, out| {
            let tail = out.oks.tail();
            tail.extend_from_slice(key);
            let key_end = tail.len();
            tail.extend_from_slice(&number.to_be_bytes());
            tail.extend_from_slice(val);
            out.oks.seal(key_end, time.clone(), diff);
        });
        Ok(flat_map_arranged(part.arranged, "CollatePart", None, logic).oks)
    });
    let marked: Result<Vec<_>, RenderError> = marked.collect();
    let arranged = arrange(concatenate(context.scope, marked?), "ArrangeCollate");
    let collated = reduce(
        arranged,
        "Collate",
        Box::new(move |_, vals, out| {
            if vals.len() != places.len() {
                return;
            }
            let mut columns: Vec<&[u8]> = vec![&[]; aggregates];
            for ((val, _), places) in vals.iter().zip(&places) {
                for (datum, place) in row::split(&val[size_of::<u16>()..]).zip(places) {
                    columns[*place] = datum;
                }
            }
            out.push((columns.concat(), 1));
        }),
    );
    Ok(collated)
}
