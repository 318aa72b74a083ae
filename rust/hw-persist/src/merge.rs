//! Many parts to few.

use crate::decode::{PartFilter, visit_part};
use crate::encode::{Encoded, Half, encode_consolidated};
use crate::error::PartError;
use hw_types::flat::Updates;
use hw_types::relation::RelationDesc;

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

/// Merges parts: times before `since` become `since`, equal updates are summed, what cancels goes.
///
/// The caller bounds the inputs: all their updates are in memory at once. The outputs follow each
/// other in the order of rows and hold about `target_bytes` of flat updates each.
pub fn merge_parts(
    desc: &RelationDesc,
    half: Half,
    inputs: &[MergeInput<'_>],
    since: u64,
    target_bytes: usize,
) -> Result<Vec<Encoded>, PartError> {
    let mut all = Updates::new();
    for input in inputs {
        let filter = PartFilter { stamp: input.stamp, as_of: Some(since), ..PartFilter::default() };
        visit_part(desc, input.encoding, input.bytes, &filter, |row, time, diff| {
            all.push(row, time, diff);
        })?;
    }
    let desc = half.desc(desc);
    let all = all.consolidate();
    let mut outputs = Vec::new();
    let mut chunk = Updates::new();
    for (row, time, diff) in all.iter() {
        chunk.push(row, time, diff);
        if chunk.row_bytes() + chunk.len() * 20 >= target_bytes {
            outputs.push(encode_consolidated(&desc, half, &chunk)?);
            chunk = Updates::new();
        }
    }
    if !chunk.is_empty() {
        outputs.push(encode_consolidated(&desc, half, &chunk)?);
    }
    Ok(outputs)
}
