//! Many parts to few.

use crate::decode::{PartFilter, visit_part};
use crate::encode::{Encoded, Half, encode_consolidated};
use crate::error::PartError;
use hw_types::flat::Updates;
use hw_types::relation::RelationDesc;

/// What an update takes in the flat codec beside its row.
const UPDATE_BYTES: usize = 20;

/// A part to be merged.
#[derive(Clone, Copy, Debug)]
pub struct MergeInput<'a> {
    /// `flat` or `parquet`.
    pub encoding: &'a str,
    /// As stored.
    pub bytes: &'a [u8],
    /// The time of all updates, in place of those that are stored.
    pub stamp: Option<u64>,
}

/// Rows from `low` on and before `high`, by the order of bytes; nothing: no bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowRange<'a> {
    /// The first row that counts, or a prefix that bounds it.
    pub low: Option<&'a [u8]>,
    /// The first row that counts no more.
    pub high: Option<&'a [u8]>,
}

impl RowRange<'_> {
    fn contains(&self, row: &[u8]) -> bool {
        self.low.is_none_or(|low| row >= low) && self.high.is_none_or(|high| row < high)
    }
}

/// Merges parts: times before `since` become `since`, equal updates are summed, what cancels goes.
///
/// Only rows in `range` count, so that the caller, by going range by range, bounds the updates that
/// are in memory at once. The outputs follow each
/// other in the order of rows and hold about `target_bytes` of flat updates each.
pub fn merge_parts(
    desc: &RelationDesc,
    half: Half,
    inputs: &[MergeInput<'_>],
    range: RowRange<'_>,
    since: u64,
    target_bytes: usize,
) -> Result<Vec<Encoded>, PartError> {
    let desc = half.desc(desc);
    let mut all = Updates::new();
    for input in inputs {
        let filter = PartFilter { stamp: input.stamp, as_of: Some(since), ..PartFilter::default() };
        visit_part(&desc, input.encoding, input.bytes, &filter, |row, time, diff| {
            if range.contains(row) {
                all.push(row, time, diff);
            }
        })?;
    }
    let all = all.consolidate();
    let mut outputs = Vec::new();
    let mut chunk = Updates::new();
    for (row, time, diff) in all.iter() {
        let full = !chunk.is_empty() && chunk.row_bytes() + chunk.len() * UPDATE_BYTES >= target_bytes;
        // A row's updates stay together, so that no two outputs have a row in common.
        if full && chunk.row(chunk.len() - 1) != row {
            outputs.push(encode_consolidated(&desc, half, &chunk)?);
            chunk = Updates::new();
        }
        chunk.push(row, time, diff);
    }
    if !chunk.is_empty() {
        outputs.push(encode_consolidated(&desc, half, &chunk)?);
    }
    Ok(outputs)
}
