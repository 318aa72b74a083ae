//! The first rows of each group: a prefix of its rows in order.

use hw_types::datum::Datum;
use hw_types::order::ColumnOrder;
use hw_types::row;

use super::best::{Finish, best};
use super::bundle::Bundle;
use super::complete::consolidate;
use super::operators::{Logic, flat_map, flat_map_arranged};
use super::ordered::{push_val, row_of};
use super::reduce::hierarchical::staged;
use super::reduce::{Compute, negative};
use super::thinning::Picker;
use super::{Context, RenderError, RenderTime};
use crate::arrangement::RowArranged;
use crate::container::{RowStream, Time};
use crate::expr::{EvalError, Expr, ScalarExpr, Scratch, emptied};

/// Of whom a row was taken away that was not there.
const NO_ROW: &str = "retractions of a row that does not exist";

/// What is to be kept.
pub struct Shape<'a> {
    /// The input's columns.
    pub arity: usize,
    /// The groups.
    pub group_key: &'a [usize],
    /// The order within a group.
    pub order_key: &'a [ColumnOrder],
    /// How many, over those of the input's columns that are in the group key.
    pub limit: Option<&'a ScalarExpr>,
    /// How many to leave out before.
    pub offset: u64,
    /// Whether rows are only ever added.
    pub monotonic: bool,
    /// Whether that is so only once the changes of a time are added up.
    pub must_consolidate: bool,
    /// Stages.
    pub buckets: &'a [u64],
}

/// How many rows of a group are wanted.
struct Limit {
    expr: Option<Expr>,
    group_key: Vec<usize>,
    arity: usize,
    scratch: Scratch,
}

impl Limit {
    fn new(shape: &Shape<'_>) -> Result<Self, RenderError> {
        let expr = shape.limit.map(ScalarExpr::compile).transpose()?;
        let group_key = shape.group_key.to_vec();
        Ok(Limit { expr, group_key, arity: shape.arity, scratch: Scratch::new() })
    }
    /// The limit of the group `key`; none is no limit.
    fn of(&mut self, key: &[u8]) -> Result<Option<u64>, EvalError> {
        let Limit { expr: Some(expr), group_key, arity, scratch } = self else { return Ok(None) };
        let mut columns = scratch.take();
        columns.resize(*arity, Datum::Null);
        for (datum, column) in row::RowReader::new(key, scratch.arena()).zip(group_key.iter()) {
            columns[*column] = datum;
        }
        let limit = match expr.eval(&columns, scratch.arena()) {
            Ok(Datum::Null) => Ok(None),
            Ok(Datum::Int(limit)) if limit >= 0 => Ok(Some(limit.unsigned_abs())),
            Ok(Datum::UInt(limit)) => Ok(Some(limit)),
            Ok(_) => Err(EvalError::raise("2201W", "LIMIT must not be negative")),
            Err(error) => Err(error),
        };
        scratch.put(emptied(columns));
        limit
    }
}

/// Keeps rows `offset` to `offset + limit` of a group. `strip` leaves bare rows; within stages the offset is
/// kept, since other buckets may hold what comes before.
fn first(mut limit: Limit, offset: u64, bucket_bytes: usize, strip: bool) -> Compute<i64> {
    Box::new(move |key, vals, out| {
        let limit = limit.of(&key[..key.len() - bucket_bytes])?;
        let mut skip = if strip { offset } else { 0 };
        let mut left = match limit {
            Some(limit) if strip => limit,
            Some(limit) => limit.saturating_add(offset),
            None => u64::MAX,
        };
        for (val, diff) in vals {
            if *diff < 0 {
                return Err(negative(NO_ROW));
            }
            let count = diff.unsigned_abs();
            let skipped = skip.min(count);
            skip -= skipped;
            let take = left.min(count - skipped);
            left -= take;
            if take > 0 {
                let val = if strip { row_of(val) } else { val };
                out.push((val.to_vec(), i64::try_from(take).unwrap_or(i64::MAX)));
            }
        }
        Ok(())
    })
}

/// Keeps rows `offset` to `offset + limit` of a group that only grows.
fn growing<'s, T: Time>(
    keyed: RowStream<'s, T>,
    limit: u64,
    offset: u64,
    errs: &mut Vec<RowStream<'s, T>>,
) -> RowArranged<'s, T> {
    let finish: Finish = Box::new(move |vals, out| {
        let mut skip = offset;
        for (val, count) in vals {
            let skipped = skip.min(count);
            skip -= skipped;
            if count > skipped {
                out.push((row_of(val).to_vec(), i64::try_from(count - skipped).unwrap_or(i64::MAX)));
            }
        }
    });
    best(keyed, "TopK", limit.saturating_add(offset), NO_ROW, finish, errs)
}

fn no_literal() -> RenderError {
    RenderError::Malformed("a monotonic top-k whose limit is no literal".into())
}

/// See [`Plan::TopK`](crate::plan::Plan::TopK).
pub fn render<'s, T: RenderTime>(
    context: &mut Context<'s, T>,
    input: &Bundle<'s, T>,
    shape: &Shape<'_>,
) -> Result<Bundle<'s, T>, RenderError> {
    let out_of_range = |column: usize| column >= shape.arity;
    if shape.group_key.iter().copied().chain(shape.order_key.iter().map(|by| by.column)).any(out_of_range) {
        return Err(RenderError::Malformed("a top-k refers to columns that are not there".into()));
    }
    let mut rows = input.stream("TopK", context.times())?;
    if shape.must_consolidate {
        rows = consolidate(rows, "TopK");
    }
    let mut errs = input.errs.clone();
    let group: Vec<ScalarExpr> =
        shape.group_key.iter().map(|index| ScalarExpr::Column { index: *index }).collect();
    let mut key = Picker::new(&group, shape.arity)?;
    let order = shape.order_key.to_vec();
    let mut columns = vec![];
    let logic: Logic<T> = Box::new(move |row, _, time, diff, out| {
        let tail = out.oks.tail();
        if let Err(error) = key.pick(row, tail) {
            out.oks.abandon();
            return out.error(&error, time.clone(), diff);
        }
        let key_end = tail.len();
        push_val(row, &order, &mut columns, tail);
        out.oks.seal(key_end, time.clone(), diff);
    });
    let keyed = flat_map(rows, "TopKKey", logic).oks;
    // Compiled here once to have errors of the plan; the closures below compile it again.
    let mut limit = Limit::new(shape)?;
    let kept = if shape.monotonic {
        let Some(ScalarExpr::Literal { .. }) = shape.limit else { return Err(no_literal()) };
        let limit = limit.of(&[]).ok().flatten().ok_or_else(no_literal)?;
        growing(keyed, limit, shape.offset, &mut errs)
    } else {
        let make = |bucket_bytes: usize, strip: bool| {
            let limit = Limit::new(shape).expect("it was compiled above");
            first(limit, shape.offset, bucket_bytes, strip)
        };
        // Without a limit a stage would cut nothing.
        let buckets = if shape.limit.is_some() { shape.buckets } else { &[] };
        let (stage, last) = (|| make(size_of::<u32>(), false), || make(0, true));
        staged(keyed, "TopK", buckets, &stage, &last, &mut errs)
    };
    let rows = flat_map_arranged(
        kept,
        "TopKRows",
        None,
        Box::new(|_, val, time: &T, diff, out| out.oks.push(val, &[], Time::advanced_to(time, 0), diff)),
    );
    Ok(Bundle::of_rows(shape.arity, rows.oks, errs))
}
