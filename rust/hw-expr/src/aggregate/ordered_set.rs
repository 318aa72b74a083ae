//! Aggregates of values in an order that the call gives: percentiles, the mode, ranks of rows that are not there.

use hw_types::arena::Arena;
use hw_types::container;
use hw_types::datum::{Array, Datum};
use hw_types::order::{ColumnOrder, compare_datums};
use hw_types::row;

use super::basic::record_field;
use crate::error::EvalError;

/// An aggregate of ordered values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderedSet {
    /// The value at a fraction of the way, between its neighbours. Records of value and fraction.
    PercentileCont,
    /// The first value at or beyond a fraction of the way. Records of value and fraction.
    PercentileDisc,
    /// The value that occurs most often, of several the first.
    Mode,
    /// What `rank()` would be of a row. Records of the sort keys, then of that row's.
    Rank,
    /// What `dense_rank()` would be.
    DenseRank,
    /// What `percent_rank()` would be.
    PercentRank,
    /// What `cume_dist()` would be.
    CumeDist,
}

impl OrderedSet {
    /// Appends the result over a group's encoded arguments in order, and how often each stands there.
    pub fn finish(
        self,
        values: &[(&[u8], u64)],
        order_by: &[ColumnOrder],
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        match self {
            OrderedSet::Mode => mode(values, out),
            OrderedSet::PercentileCont | OrderedSet::PercentileDisc => self.percentiles(values, out)?,
            _ => self.hypothetical(values, order_by, out),
        }
        Ok(())
    }
    fn percentiles(self, values: &[(&[u8], u64)], out: &mut Vec<u8>) -> Result<(), EvalError> {
        let arena = Arena::new();
        let present: Vec<(&[u8], u64)> = values
            .iter()
            .map(|(record, count)| (record_field(record, 0), *count))
            .filter(|(value, _)| *value != row::NULL_BYTES)
            .collect();
        let total: u64 = present.iter().map(|(_, count)| count).sum();
        let fraction = values.first().map_or(row::NULL_BYTES, |(record, _)| record_field(record, 1));
        let (fraction, _) = row::read_datum(fraction, &arena)?;
        let one = |fraction: Datum<'_>, out: &mut Vec<u8>| match fraction {
            Datum::Float8(fraction) if !(0.0..=1.0).contains(&fraction) => {
                Err(EvalError::raise("22003", format!("percentile value {fraction} is not between 0 and 1")))
            }
            Datum::Float8(fraction) if total > 0 => self.percentile(&present, total, fraction, out),
            _ => {
                row::push_null(out);
                Ok(())
            }
        };
        let Datum::Array(fractions) = fraction else { return one(fraction, out) };
        if total == 0 {
            row::push_null(out);
            return Ok(());
        }
        let mut body = vec![];
        for fraction in fractions.items(&arena) {
            one(fraction, &mut body)?;
        }
        container::push_array_end(&mut body, &fractions.dimensions());
        row::push_datum(out, Datum::Array(Array(&body)));
        Ok(())
    }
    fn percentile(
        self,
        values: &[(&[u8], u64)],
        total: u64,
        fraction: f64,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        // Groups are far below 2^53 rows.
        if self == OrderedSet::PercentileDisc {
            let number = (fraction * total as f64).ceil().max(1.0) as u64;
            out.extend_from_slice(nth(values, number - 1));
            return Ok(());
        }
        let place = fraction * (total - 1) as f64;
        let (below, above) = (place.floor(), place.ceil());
        let (low, high) = (nth(values, below as u64), nth(values, above as u64));
        let (low_arena, high_arena) = (Arena::new(), Arena::new());
        let (low_value, _) = row::read_datum(low, &low_arena)?;
        let (high_value, _) = row::read_datum(high, &high_arena)?;
        let part = place - below;
        match (low_value, high_value) {
            _ if below == above => out.extend_from_slice(low),
            (Datum::Float8(low), Datum::Float8(high)) => {
                row::push_datum(out, Datum::Float8(low + part * (high - low)));
            }
            (Datum::Interval(low), Datum::Interval(high)) => {
                let between = crate::kernel::interval_between(&low, &high, part)?;
                row::push_datum(out, Datum::Interval(between));
            }
            _ => return Err(EvalError::internal("percentile_cont of neither numbers nor intervals")),
        }
        Ok(())
    }
    fn hypothetical(self, values: &[(&[u8], u64)], order_by: &[ColumnOrder], out: &mut Vec<u8>) {
        let keys = order_by.len();
        let compare = |record: &[u8]| {
            order_by
                .iter()
                .enumerate()
                .map(|(number, by)| {
                    let (key, given) = (record_field(record, by.column), record_field(record, keys + number));
                    compare_datums(key, given, by.desc, by.nulls_last)
                })
                .find(|ordering| ordering.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        };
        let (mut before, mut groups, mut equal, mut total) = (0, 0, 0, 0);
        let mut last: Option<&[u8]> = None;
        for (record, count) in values {
            total += count;
            let ordering = compare(record);
            if ordering.is_lt() {
                before += count;
                let key = |record| (0..keys).map(move |number| record_field(record, number));
                if last.is_none_or(|last| !key(last).eq(key(record))) {
                    groups += 1;
                }
                last = Some(record);
            }
            equal += if ordering.is_eq() { *count } else { 0 };
        }
        let fraction = |of: u64, by: u64| Datum::Float8(if by == 0 { 0.0 } else { of as f64 / by as f64 });
        let count = |count: u64| Datum::Int(i64::try_from(count).unwrap_or(i64::MAX));
        row::push_datum(
            out,
            match self {
                OrderedSet::DenseRank => count(groups + 1),
                OrderedSet::PercentRank => fraction(before, total),
                OrderedSet::CumeDist => fraction(before + equal + 1, total + 1),
                _ => count(before + 1),
            },
        );
    }
}

fn nth<'v>(values: &[(&'v [u8], u64)], mut number: u64) -> &'v [u8] {
    for (value, count) in values {
        if number < *count {
            return value;
        }
        number -= count;
    }
    values.last().map_or(row::NULL_BYTES, |(value, _)| value)
}

/// Equal values are neighbours only where the order tells all values apart, which one over them does.
fn mode(values: &[(&[u8], u64)], out: &mut Vec<u8>) {
    let mut best: (&[u8], u64) = (row::NULL_BYTES, 0);
    for (record, count) in values {
        let value = record_field(record, 0);
        if value != row::NULL_BYTES && *count > best.1 {
            best = (value, *count);
        }
    }
    out.extend_from_slice(best.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::datum::Record;

    fn record(fields: &[Datum<'_>]) -> Vec<u8> {
        let mut body = row::pack(fields.iter().copied());
        container::push_end(&mut body);
        Datum::Record(Record(&body)).to_bytes()
    }
    fn run(set: OrderedSet, records: &[(Vec<u8>, u64)]) -> Result<Vec<u8>, EvalError> {
        let values: Vec<(&[u8], u64)> = records.iter().map(|(record, count)| (&record[..], *count)).collect();
        let order = [ColumnOrder { column: 0, desc: false, nulls_last: true }];
        let mut out = vec![];
        set.finish(&values, &order, &mut out)?;
        Ok(out)
    }

    #[test]
    fn percentiles_lie_between() {
        let of = |value: f64, fraction: f64| record(&[Datum::Float8(value), Datum::Float8(fraction)]);
        let float = |value: f64| Ok(Datum::Float8(value).to_bytes());
        let at = |fraction: f64| vec![(of(1.0, fraction), 2), (of(4.0, fraction), 1), (of(8.0, fraction), 1)];
        assert_eq!(run(OrderedSet::PercentileCont, &at(0.5)), float(2.5));
        assert_eq!(run(OrderedSet::PercentileCont, &at(1.0)), float(8.0));
        assert_eq!(run(OrderedSet::PercentileDisc, &at(0.5)), float(1.0));
        assert_eq!(run(OrderedSet::PercentileDisc, &at(0.51)), float(4.0));
        assert_eq!(run(OrderedSet::PercentileDisc, &at(0.0)), float(1.0));
        assert!(run(OrderedSet::PercentileCont, &at(1.5)).is_err());
    }

    #[test]
    fn rows_that_are_not_there_have_ranks() {
        let of = |value: i64| record(&[Datum::Int(value), Datum::Int(3)]);
        let rows = [(of(1), 2), (of(2), 1), (of(3), 1), (of(5), 1)];
        assert_eq!(run(OrderedSet::Rank, &rows), Ok(Datum::Int(4).to_bytes()));
        assert_eq!(run(OrderedSet::DenseRank, &rows), Ok(Datum::Int(3).to_bytes()));
        assert_eq!(run(OrderedSet::PercentRank, &rows), Ok(Datum::Float8(0.6).to_bytes()));
        assert_eq!(run(OrderedSet::CumeDist, &rows), Ok(Datum::Float8(5.0 / 6.0).to_bytes()));
    }

    #[test]
    fn the_mode_is_what_occurs_most_often() {
        let of = |value: Datum<'_>| record(&[value]);
        let rows =
            [(of(Datum::Int(1)), 1), (of(Datum::Int(2)), 3), (of(Datum::Int(3)), 3), (of(Datum::Null), 9)];
        assert_eq!(run(OrderedSet::Mode, &rows), Ok(Datum::Int(2).to_bytes()));
    }
}
