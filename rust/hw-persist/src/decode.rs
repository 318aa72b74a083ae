//! A part to updates, or to a visitor.

use crate::columns::ColumnReader;
use crate::encode::{ERRORS, FORMAT, FORMAT_KEY, FORMS_KEY, HALF_KEY, Half};
use crate::error::PartError;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, UInt64Array};
use bytes::Bytes;
use hw_types::flat::Updates;
use hw_types::relation::RelationDesc;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::panic::{AssertUnwindSafe, catch_unwind};

const BATCH_ROWS: usize = 8192;

/// Which updates of a part count, and at which times; see `headwater.persist.parts.PartRef`.
///
/// In this order: times are replaced by `stamp`; updates with `lower <= time < upper` stay; times
/// advance to at least `as_of`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFilter {
    /// The time of all updates, in place of those that are stored.
    #[serde(default)]
    pub stamp: Option<u64>,
    /// Earlier updates do not count.
    #[serde(default)]
    pub lower: u64,
    /// Updates at this time and later do not count.
    #[serde(default)]
    pub upper: Option<u64>,
    /// Earlier times become this one.
    #[serde(default)]
    pub as_of: Option<u64>,
}

impl PartFilter {
    /// The time at which an update counts, if it does.
    #[inline]
    pub fn time(&self, stored: u64) -> Option<u64> {
        let time = self.stamp.unwrap_or(stored);
        let inside = time >= self.lower && self.upper.is_none_or(|upper| time < upper);
        inside.then(|| self.as_of.map_or(time, |as_of| time.max(as_of)))
    }
}

/// Reads a part whole.
///
/// `encoding` is `flat` or `parquet`; of a part of the error half `desc` is not looked at.
pub fn decode_part(desc: &RelationDesc, encoding: &str, bytes: &[u8]) -> Result<Updates, PartError> {
    decode_part_filtered(desc, encoding, bytes, &PartFilter::default())
}

/// Reads what counts of a part.
pub fn decode_part_filtered(
    desc: &RelationDesc,
    encoding: &str,
    bytes: &[u8],
    filter: &PartFilter,
) -> Result<Updates, PartError> {
    if encoding == "flat" && *filter == PartFilter::default() && desc.added.is_empty() {
        return Ok(Updates::decode(bytes)?);
    }
    let mut updates = Updates::new();
    visit_part(desc, encoding, bytes, filter, |row, time, diff| updates.push(row, time, diff))?;
    Ok(updates)
}

/// Hands what counts of a part to `visit`, update by update.
///
/// A part may be older than the last columns of `desc`, whose rows get what these hold in older rows;
/// a Parquet part may also have columns that `desc` has not, which are left out. Rows of a flat part
/// are otherwise handed on as they are.
///
/// # Errors
/// Where the part is malformed; what was visited before stays visited.
pub fn visit_part(
    desc: &RelationDesc,
    encoding: &str,
    bytes: &[u8],
    filter: &PartFilter,
    mut visit: impl FnMut(&[u8], u64, i64),
) -> Result<(), PartError> {
    match encoding {
        "flat" => {
            let mut room = Vec::new();
            for (row, time, diff) in Updates::decode(bytes)?.iter() {
                let Some(time) = filter.time(time) else { continue };
                let row = if desc.added.is_empty() { row } else { desc.fit(row, &mut room)? };
                visit(row, time, diff);
            }
            Ok(())
        }
        "parquet" => {
            let bytes = Bytes::copy_from_slice(bytes);
            // The checksum was verified, so this is for files that were written wrongly: the library
            // checks much but not all of what it reads.
            catch_unwind(AssertUnwindSafe(|| visit_parquet(desc, bytes, filter, &mut visit)))
                .unwrap_or(Err(PartError::Damaged))
        }
        other => Err(PartError::Encoding(other.to_owned())),
    }
}

fn visit_parquet(
    desc: &RelationDesc,
    bytes: Bytes,
    filter: &PartFilter,
    visit: &mut impl FnMut(&[u8], u64, i64),
) -> Result<(), PartError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let metadata = builder.metadata().file_metadata().key_value_metadata();
    let value = |key: &str| {
        let entry = metadata.into_iter().flatten().find(|entry| entry.key == key);
        entry.and_then(|entry| entry.value.as_deref()).unwrap_or_default()
    };
    if value(FORMAT_KEY) != FORMAT {
        return Err(PartError::Encoding(format!("parquet {}", value(FORMAT_KEY))));
    }
    let half = if value(HALF_KEY) == ERRORS { Half::Errors } else { Half::Ok };
    let forms = value(FORMS_KEY).as_bytes().to_vec();
    let desc = half.desc(desc);
    let found = forms.len();
    let shape = || PartError::Shape(format!("{found} columns where {} are expected", desc.arity()));
    let missing = if found < desc.arity() { desc.missing(found).ok_or_else(shape)? } else { &[] };
    for batch in builder.with_batch_size(BATCH_ROWS).build()? {
        visit_batch(&desc, &forms, missing, &batch?, filter, visit)?;
    }
    Ok(())
}

fn visit_batch(
    desc: &RelationDesc,
    forms: &[u8],
    missing: &[ByteBuf],
    batch: &RecordBatch,
    filter: &PartFilter,
    visit: &mut impl FnMut(&[u8], u64, i64),
) -> Result<(), PartError> {
    let arity = forms.len();
    if batch.num_columns() != arity + 2 {
        return Err(PartError::Shape(format!("{} columns", batch.num_columns())));
    }
    let columns = desc
        .columns
        .iter()
        .zip(forms)
        .zip(batch.columns())
        .map(|((column, form), array)| ColumnReader::new(&column.ty, *form == b'd', array))
        .collect::<Result<Vec<_>, _>>()?;
    let times = numbers::<UInt64Array>(batch.column(arity))?;
    let diffs = numbers::<Int64Array>(batch.column(arity + 1))?;
    let mut row = Vec::new();
    for i in 0..batch.num_rows() {
        let Some(time) = filter.time(times.value(i)) else { continue };
        row.clear();
        for column in &columns {
            column.push(i, &mut row)?;
        }
        missing.iter().for_each(|datum| row.extend_from_slice(datum));
        visit(&row, time, diffs.value(i));
    }
    Ok(())
}

fn numbers<A: Array + 'static>(array: &ArrayRef) -> Result<&A, PartError> {
    let shape = || PartError::Shape(format!("times or diffs of type {}", array.data_type()));
    array.as_any().downcast_ref::<A>().filter(|a| a.null_count() == 0).ok_or_else(shape)
}
