//! Minima and maxima, within buckets first.
//!
//! A reduction looks at all values of a key whenever one changes. Buckets by a hash of the value, in stages,
//! make a change cost the sum of the stages' bucket sizes; and one large group is spread over the workers.
//! Groups that only grow need no more than their best value.

use hw_expr::aggregate::{Aggregate, Hierarchical};
use hw_types::order::ColumnOrder;
use hw_types::row;

use super::{Compute, Part, Shape, at, keyed, negative, reduce_pair, resolve};
use crate::arrangement::{RowArranged, arrange, sizes};
use crate::container::{RowStream, Time, hash};
use crate::render::RenderError;
use crate::render::best::{Finish, best};
use crate::render::operators::{Logic, flat_map, flat_map_arranged, reduce};
use crate::render::ordered::{datum_of, push_sort_key};

/// Of whom a row was taken away that was not there.
const NO_VALUE: &str = "retractions of a value that does not exist";

/// The bytes that a stage appends to the group's key.
const BUCKET_BYTES: usize = size_of::<u32>();

/// Reduces in stages of `buckets`, then as a whole. The first stage checks multiplicities for all: it leaves
/// none that are negative.
pub fn staged<'s, T: Time>(
    mut rows: RowStream<'s, T>,
    name: &str,
    buckets: &[u64],
    stage: &dyn Fn() -> Compute<i64>,
    last: &dyn Fn() -> Compute<i64>,
    errs: &mut Vec<RowStream<'s, T>>,
) -> RowArranged<'s, T> {
    for (number, buckets) in buckets.iter().enumerate() {
        let arranged = arrange(bucketed(rows, name, *buckets), &format!("Arrange{name}Stage"));
        sizes::is_stage(&arranged, number);
        let reduced = if number == 0 {
            let (oks, failed) = reduce_pair(arranged, &format!("{name}Stage"), stage);
            errs.push(failed);
            oks
        } else {
            unchecked(arranged, &format!("{name}Stage"), stage)
        };
        let logic: Logic<T> = Box::new(|key, val, time, diff, out| {
            out.oks.push(&key[..key.len() - BUCKET_BYTES], val, time.clone(), diff);
        });
        rows = flat_map_arranged(reduced, &format!("{name}Unbucket"), None, logic).oks;
    }
    let arranged = arrange(rows, &format!("Arrange{name}"));
    sizes::is_stage(&arranged, buckets.len());
    if buckets.is_empty() {
        let (oks, failed) = reduce_pair(arranged, name, last);
        errs.push(failed);
        return oks;
    }
    unchecked(arranged, name, last)
}

fn unchecked<'s, T: Time>(
    arranged: RowArranged<'s, T>,
    name: &str,
    make: &dyn Fn() -> Compute<i64>,
) -> RowArranged<'s, T> {
    let mut compute = make();
    reduce(
        arranged,
        name,
        Box::new(move |key, vals, out| {
            if compute(key, vals, out).is_err() {
                out.clear();
            }
        }),
    )
}

/// Appends the val's bucket to the key.
fn bucketed<'s, T: Time>(rows: RowStream<'s, T>, name: &str, buckets: u64) -> RowStream<'s, T> {
    let mask = buckets.next_power_of_two() - 1;
    let logic: Logic<T> = Box::new(move |key, val, time, diff, out| {
        // Low bits route rows to workers: others choose buckets.
        let bucket = ((hash(val) >> 24) & mask) as u32;
        let tail = out.oks.tail();
        tail.extend_from_slice(key);
        tail.extend_from_slice(&bucket.to_be_bytes());
        let key_end = tail.len();
        tail.extend_from_slice(val);
        out.oks.seal(key_end, time.clone(), diff);
    });
    flat_map(rows, &format!("{name}Bucket"), logic).oks
}

/// Computes one minimum or maximum.
pub fn render<'s, T: Time>(
    rows: RowStream<'s, T>,
    shape: &Shape<'_>,
    index: usize,
    errs: &mut Vec<RowStream<'s, T>>,
) -> Result<Part<'s, T>, RenderError> {
    let aggregate = at(shape, index)?;
    let extreme = resolve(aggregate, |aggregate| match aggregate {
        Aggregate::Hierarchical(extreme) => Some(extreme),
        _ => None,
    })?;
    let rows = keyed(rows, "ExtremeKey", shape, std::slice::from_ref(&aggregate.expr), errs)?;
    let arranged = if shape.plan.monotonic {
        growing(rows, extreme, errs)
    } else {
        let make = || extreme_of(extreme);
        staged(rows, "Extreme", &shape.plan.buckets, &make, &make, errs)
    };
    Ok(Part { aggregates: vec![index], arranged })
}

/// The extremes of groups that only grow: of each the best val so far, NULL being worse than any.
fn growing<'s, T: Time>(
    rows: RowStream<'s, T>,
    extreme: Hierarchical,
    errs: &mut Vec<RowStream<'s, T>>,
) -> RowArranged<'s, T> {
    let desc = extreme == Hierarchical::Max;
    let order = ColumnOrder { column: 0, desc, nulls_last: true };
    let by = order.clone();
    let finish: Finish = Box::new(move |vals, out| {
        out.extend(vals.next().map(|(sort_key, _)| (datum_of(sort_key, &order), 1)));
    });
    let logic: Logic<T> = Box::new(move |key, val, time, diff, out| {
        let tail = out.oks.tail();
        tail.extend_from_slice(key);
        let key_end = tail.len();
        push_sort_key(val, &by, tail);
        out.oks.seal(key_end, time.clone(), diff);
    });
    // A minimum's sort key is the value itself.
    let rows = if desc { flat_map(rows, "ExtremeOrder", logic).oks } else { rows };
    best(rows, "Extreme", 1, NO_VALUE, finish, errs)
}

/// The least or the greatest val that is not NULL; vals come in the order of their bytes.
fn extreme_of(extreme: Hierarchical) -> Compute<i64> {
    Box::new(move |_, vals, out| {
        let mut best = None;
        for (val, diff) in vals {
            if *diff < 0 {
                return Err(negative(NO_VALUE));
            }
            // NULL is the greatest of all bytes, and one val at most.
            match (extreme, best) {
                (_, None) => best = Some(*val),
                (Hierarchical::Max, _) if *val != row::NULL_BYTES => best = Some(*val),
                _ => {}
            }
        }
        out.extend(best.map(|val| (val.to_vec(), 1)));
        Ok(())
    })
}
