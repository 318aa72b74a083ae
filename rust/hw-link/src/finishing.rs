//! What is done to the rows of an answer once they are all there: sort, skip, cut, project.

use crate::response::ReadError;
use hw_types::flat::Updates;
use hw_types::order::{self, ColumnOrder};
use hw_types::row;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Mirrors `headwater.ir.relation.RowSetFinishing`. An empty `project` of rows that have columns is
/// taken at its word: rows without columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowSetFinishing {
    /// Sort keys; whole rows decide ties.
    pub order_by: Vec<ColumnOrder>,
    /// Rows kept at most.
    pub limit: Option<u64>,
    /// Rows skipped first.
    pub offset: u64,
    /// Columns of the unsorted row, in output order.
    pub project: Vec<usize>,
}

/// Sorts, skips, cuts and projects the parts of an answer.
///
/// The result's diffs are the multiplicities of adjacent equal rows, all positive. Without sort keys rows
/// are in the order of their bytes, so that every replica gives the same answer.
pub fn finish(parts: &[Updates], finishing: &RowSetFinishing) -> Result<Updates, ReadError> {
    let mut rows: Vec<(&[u8], i64)> =
        parts.iter().flat_map(|part| part.iter().map(|(row, _, diff)| (row, diff))).collect();
    if rows.iter().any(|(_, diff)| *diff <= 0) {
        rows = cancel(rows)?;
    }
    sort(&mut rows, &finishing.order_by);
    let mut out = Updates::new();
    let mut skip = finishing.offset;
    let mut left = finishing.limit.unwrap_or(u64::MAX);
    let mut ends = Vec::new();
    for (row, diff) in rows {
        let count = diff.unsigned_abs();
        let skipped = skip.min(count);
        skip -= skipped;
        let kept = (count - skipped).min(left);
        left -= kept;
        if kept > 0 {
            project(row, &finishing.project, &mut ends, &mut out, kept as i64);
        }
        if left == 0 {
            break;
        }
    }
    Ok(out)
}

/// Sums the diffs of equal rows; what is negative then is our bug or bad data in a source.
fn cancel(mut rows: Vec<(&[u8], i64)>) -> Result<Vec<(&[u8], i64)>, ReadError> {
    rows.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let mut out: Vec<(&[u8], i64)> = Vec::with_capacity(rows.len());
    for (row, diff) in rows {
        match out.last_mut() {
            Some((last, sum)) if *last == row => *sum += diff,
            _ => out.push((row, diff)),
        }
    }
    out.retain(|(_, diff)| *diff != 0);
    match out.iter().find(|(_, diff)| *diff < 0) {
        None => Ok(out),
        Some((_, diff)) => Err(ReadError::new(
            "22000",
            format!(
                "Invalid data in source, saw retractions ({}) for row that does not exist",
                diff.unsigned_abs()
            ),
        )),
    }
}

fn sort(rows: &mut [(&[u8], i64)], order_by: &[ColumnOrder]) {
    let compare = |a: &(&[u8], i64), b: &(&[u8], i64)| -> Ordering { order::compare(a.0, b.0, order_by) };
    if !rows.is_sorted_by(|a, b| compare(a, b) != Ordering::Greater) {
        rows.sort_unstable_by(compare);
    }
}

fn project(row: &[u8], columns: &[usize], ends: &mut Vec<usize>, out: &mut Updates, diff: i64) {
    ends.clear();
    row::ends(row, ends);
    if columns.iter().copied().eq(0..ends.len()) {
        return out.push(row, 0, diff);
    }
    let write = |bytes: &mut Vec<u8>| {
        for column in columns {
            let start = if *column == 0 { 0 } else { ends[column - 1] };
            bytes.extend_from_slice(&row[start..ends[*column]]);
        }
    };
    out.push_with(write, 0, diff);
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::datum::Datum;

    fn rows(values: &[(Option<i64>, &str, i64)]) -> Updates {
        let mut out = Updates::new();
        for (number, text, diff) in values {
            let number = number.map_or(Datum::Null, Datum::Int);
            out.push(&row::pack([number, Datum::Text(text)]), 0, *diff);
        }
        out
    }

    fn finishing(order_by: Vec<ColumnOrder>, limit: Option<u64>, offset: u64) -> RowSetFinishing {
        RowSetFinishing { order_by, limit, offset, project: vec![1] }
    }

    fn texts(updates: &Updates) -> Vec<(Vec<u8>, i64)> {
        updates.iter().map(|(row, _, diff)| (row.to_vec(), diff)).collect()
    }

    fn text(text: &str, diff: i64) -> (Vec<u8>, i64) {
        (row::pack([Datum::Text(text)]), diff)
    }

    #[test]
    fn order_limit_and_offset_count_multiplicities() {
        let parts =
            [rows(&[(Some(1), "a", 2), (None, "n", 1)]), rows(&[(Some(3), "c", 1), (Some(2), "b", 3)])];
        let desc = |nulls_last| vec![ColumnOrder { column: 0, desc: true, nulls_last }];
        let got = finish(&parts, &finishing(desc(false), None, 0)).expect("valid");
        assert_eq!(texts(&got), vec![text("n", 1), text("c", 1), text("b", 3), text("a", 2)]);
        let got = finish(&parts, &finishing(desc(true), Some(3), 2)).expect("valid");
        assert_eq!(texts(&got), vec![text("b", 2), text("a", 1)]);
        let got = finish(&parts, &finishing(desc(true), Some(0), 0)).expect("valid");
        assert!(got.is_empty());
    }

    #[test]
    fn retractions_cancel_or_are_an_error() {
        let parts = [rows(&[(Some(1), "a", 2)]), rows(&[(Some(1), "a", -1)])];
        let got = finish(&parts, &finishing(vec![], None, 0)).expect("valid");
        assert_eq!(texts(&got), vec![text("a", 1)]);
        let error =
            finish(&[rows(&[(Some(1), "a", -2)])], &finishing(vec![], None, 0)).expect_err("negative");
        assert_eq!(error.sqlstate, "22000");
        assert!(error.message.starts_with("Invalid data in source, saw retractions (2)"));
    }
}
