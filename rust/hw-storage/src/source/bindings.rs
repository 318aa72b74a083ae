//! Bindings: the rows of a remap collection, which say up to which offsets its source was read.
//!
//! A Kafka source has one row a partition, `(partition numrange, offset uint8)` with the range
//! `[p,p]`: everything before `offset` is in the output.

use hw_types::arena::Arena;
use hw_types::container::{Bound, Bounds, push_range};
use hw_types::datum::{Datum, Range};
use hw_types::flat::Updates;
use hw_types::numeric::Numeric;
use hw_types::row::{RowError, push_datum, push_uint, try_skip};
use std::collections::BTreeMap;

/// The row that says partition `partition` was read up to `offset`.
pub fn kafka_row(partition: i32, offset: u64) -> Vec<u8> {
    let number = Numeric::from_parts(false, partition.max(0).unsigned_abs().into(), 0);
    let value = Datum::Numeric(number.expect("a partition's number has few digits"));
    let bound = Some(Bound { value, inclusive: true });
    let mut range = Vec::new();
    push_range(&mut range, Some(Bounds { lower: bound, upper: bound }));
    let mut row = Vec::new();
    push_datum(&mut row, Datum::Range(Range(&range)));
    push_uint(&mut row, offset);
    row
}

/// The offsets that the rows of a remap collection say, by partition.
pub fn kafka_offsets(rows: &Updates) -> Result<BTreeMap<i32, i64>, RowError> {
    let mut offsets = BTreeMap::new();
    for (row, _, diff) in rows.consolidate_times().iter() {
        if diff <= 0 {
            continue;
        }
        let arena = Arena::new();
        let len = try_skip(row)?;
        let (range, _) = hw_types::row::read_datum(row, &arena)?;
        let (offset, _) = hw_types::row::read_datum(&row[len..], &arena)?;
        let Datum::Range(range) = range else { return Err(RowError::Truncated) };
        let lower = range.try_bounds(&arena)?.and_then(|bounds| bounds.lower);
        let Some(Bound { value: Datum::Numeric(partition), .. }) = lower else {
            return Err(RowError::Truncated);
        };
        let (Some(partition), Datum::Int(offset)) = (small(&partition), offset) else {
            return Err(RowError::Truncated);
        };
        offsets.insert(partition, offset);
    }
    Ok(offsets)
}

/// A number that is a partition's.
fn small(number: &Numeric) -> Option<i32> {
    let scale = u32::try_from(number.exponent()).ok()?;
    let value = number.coefficient()?.checked_mul(10u128.checked_pow(scale)?)?;
    i32::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_back() {
        let mut rows = Updates::new();
        for (partition, offset) in [(0, 0), (1, 7), (10, 300), (1000, 1 << 40)] {
            rows.push(&kafka_row(partition, offset), 3, 1);
        }
        rows.push(&kafka_row(1, 7), 4, -1);
        rows.push(&kafka_row(1, 9), 4, 1);
        let offsets = kafka_offsets(&rows).expect("our own rows");
        assert_eq!(offsets, BTreeMap::from([(0, 0), (1, 9), (10, 300), (1000, 1 << 40)]));
    }
}
