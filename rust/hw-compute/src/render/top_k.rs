//! The first rows of each group.
//!
//! A row's val is its sort key, memcomparable, then the row, then the sort key's length: so vals come in
//! the order asked for, ties in the order of whole rows, and a prefix of them is the answer.

use hw_types::datum::Datum;
use hw_types::order::ColumnOrder;
use hw_types::row;

use super::bundle::Bundle;
use super::operators::{Logic, flat_map, flat_map_arranged};
use super::reduce::hierarchical::staged;
use super::reduce::{Compute, negative};
use super::thinning::Picker;
use super::{Context, RenderError, RenderTime};
use crate::container::Time;
use crate::expr::{EvalError, Expr, ScalarExpr, Scratch, emptied};

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
    /// Stages.
    pub buckets: &'a [u64],
}

const LENGTH_BYTES: usize = size_of::<u32>();

/// Appends one column of a sort key, so that memcmp gives the order asked for.
fn push_sort_key(datum: &[u8], by: &ColumnOrder, out: &mut Vec<u8>) {
    let null = datum == row::NULL_BYTES;
    // NULL's own byte is the greatest, so it needs a mark only where that is not what is wanted.
    if by.desc || !by.nulls_last {
        out.push(u8::from(null == by.nulls_last));
    }
    match by.desc {
        _ if null => out.extend_from_slice(datum),
        false => out.extend_from_slice(datum),
        true => out.extend(datum.iter().map(|byte| !byte)),
    }
}

/// Appends sort key, row, length.
fn push_val(row: &[u8], order: &[ColumnOrder], columns: &mut Vec<usize>, out: &mut Vec<u8>) {
    columns.clear();
    columns.push(0);
    row::ends(row, columns);
    let start = out.len();
    for by in order {
        push_sort_key(&row[columns[by.column]..columns[by.column + 1]], by, out);
    }
    let length = u32::try_from(out.len() - start).expect("a row is far below 4 GiB");
    out.extend_from_slice(row);
    out.extend_from_slice(&length.to_be_bytes());
}

/// The row within a val.
fn row_of(val: &[u8]) -> &[u8] {
    let (rest, length) = val.split_at(val.len() - LENGTH_BYTES);
    let length = length.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    &rest[length as usize..]
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
                return Err(negative("retractions of a row that does not exist"));
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
    let rows = input.stream("TopK", context.times())?;
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
    Limit::new(shape)?;
    let make = |bucket_bytes: usize, strip: bool| {
        let limit = Limit::new(shape).expect("it was compiled above");
        first(limit, shape.offset, bucket_bytes, strip)
    };
    // Without a limit a stage would cut nothing.
    let buckets = if shape.limit.is_some() { shape.buckets } else { &[] };
    let (stage, last) = (|| make(size_of::<u32>(), false), || make(0, true));
    let kept = staged(keyed, "TopK", buckets, &stage, &last, &mut errs);
    let rows = flat_map_arranged(
        kept,
        "TopKRows",
        None,
        Box::new(|_, val, time: &T, diff, out| out.oks.push(val, &[], Time::advanced_to(time, 0), diff)),
    );
    Ok(Bundle::of_rows(shape.arity, rows.oks, errs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn sort_keys_order_as_order_by_does() {
        let values = [
            Datum::Null,
            Datum::Int(-7),
            Datum::Int(0),
            Datum::Int(900),
            Datum::Text("a"),
            Datum::Text("ab"),
        ];
        for desc in [false, true] {
            for nulls_last in [false, true] {
                let by = ColumnOrder { column: 0, desc, nulls_last };
                let key = |datum: &Datum<'_>| {
                    let (mut out, encoded) = (vec![], row::pack([*datum]));
                    push_sort_key(&encoded, &by, &mut out);
                    (encoded, out)
                };
                for a in &values {
                    for b in &values {
                        let ((a, a_key), (b, b_key)) = (key(a), key(b));
                        let want = hw_types::order::compare_datums(&a, &b, desc, nulls_last);
                        assert_eq!(a_key.cmp(&b_key), want, "{a:?} {b:?} {by:?}");
                        assert_eq!(want == Ordering::Equal, a == b);
                    }
                }
            }
        }
    }

    #[test]
    fn vals_give_their_row_back() {
        let order = [ColumnOrder { column: 1, desc: true, nulls_last: false }];
        let row = row::pack([Datum::Int(5), Datum::Text("x")]);
        let mut val = vec![];
        push_val(&row, &order, &mut vec![], &mut val);
        assert_eq!(row_of(&val), row);
    }
}
