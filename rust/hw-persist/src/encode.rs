//! Updates to Parquet, with statistics per column.

use crate::columns::ColumnBuilder;
use crate::error::PartError;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt64Array};
use arrow_schema::{Field, Schema};
use hw_types::arena::Arena;
use hw_types::flat::Updates;
use hw_types::relation::{Column, RelationDesc};
use hw_types::row::{RowError, read_datum};
use hw_types::scalar::{BaseType, ScalarType};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(crate) const FORMAT_KEY: &str = "headwater.format";
pub(crate) const FORMAT: &str = "1";
pub(crate) const HALF_KEY: &str = "headwater.half";
/// One letter a column: `t` for its Arrow type, `d` for the bytes of its datums.
pub(crate) const FORMS_KEY: &str = "headwater.forms";
pub(crate) const ERRORS: &str = "errors";
const TIME: &str = "__time";
const DIFF: &str = "__diff";
const ERROR: &str = "__error";

const ROW_GROUP_ROWS: usize = 128 << 10;
/// Bounds of a column longer than this are cut.
const BOUND_BYTES_MAX: usize = 64;
/// A dictionary pays where values repeat: of this many rows at most an eighth may be distinct.
const DICTIONARY_SAMPLE: usize = 4096;
const DICTIONARY_SHARE: usize = 8;
const ZSTD_LEVEL: i32 = 1;

/// Which half of a collection a part belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Rows.
    Ok,
    /// Errors: rows of one text.
    Errors,
}

impl Half {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Half::Ok => "ok",
            Half::Errors => ERRORS,
        }
    }
    /// The shape of the half's rows, where `desc` is the collection's.
    pub fn desc(self, desc: &RelationDesc) -> RelationDesc {
        match self {
            Half::Ok => desc.clone(),
            Half::Errors => RelationDesc {
                columns: vec![Column {
                    name: ERROR.to_owned(),
                    ty: ScalarType::simple(BaseType::Text),
                    nullable: false,
                }],
                keys: Vec::new(),
                added: Vec::new(),
            },
        }
    }
}

/// What is known of a column without reading it; as `headwater.persist.parts.ColumnStats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnStats {
    /// At or below every value's datum; absent where all are NULL.
    #[serde(default, with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub low: Option<Vec<u8>>,
    /// At or above every value's datum; absent where unknown.
    #[serde(default, with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub high: Option<Vec<u8>>,
    /// The number of updates with NULL.
    pub nulls: u64,
}

/// What is known of a part without reading it; as `headwater.persist.codec.PartInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// The number of updates.
    pub updates: usize,
    /// One entry a column.
    pub stats: Vec<ColumnStats>,
    /// At or below every row.
    #[serde(with = "serde_bytes")]
    pub first: Vec<u8>,
    /// At or above every row; absent where unknown.
    #[serde(default, with = "serde_bytes")]
    pub last: Option<Vec<u8>>,
}

/// A part and what is known of it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The Parquet file.
    pub bytes: Vec<u8>,
    /// What is known of it.
    pub info: PartInfo,
}

/// Writes updates as a part, sorted by row and consolidated; rows may lack columns that were added.
pub fn encode_part(desc: &RelationDesc, half: Half, updates: &Updates) -> Result<Encoded, PartError> {
    let desc = half.desc(desc);
    if desc.added.is_empty() {
        return encode_consolidated(&desc, half, &updates.consolidate());
    }
    let mut fitted = Updates::new();
    let mut room = Vec::new();
    for (row, time, diff) in updates.iter() {
        let whole = desc.fit(row, &mut room)?;
        if whole.len() < row.len() {
            return Err(RowError::Trailing.into());
        }
        fitted.push(whole, time, diff);
    }
    encode_consolidated(&desc, half, &fitted.consolidate())
}

/// Writes updates that are sorted by row; `desc` is the half's.
pub(crate) fn encode_consolidated(
    desc: &RelationDesc,
    half: Half,
    updates: &Updates,
) -> Result<Encoded, PartError> {
    let (mut builders, stats, failed) = typed_columns(desc, updates)?;
    for index in failed {
        builders[index] = datum_column(updates, index)?;
    }
    let forms: String = builders.iter().map(|b| if b.is_datums() { 'd' } else { 't' }).collect();
    let mut columns: Vec<ArrayRef> =
        builders.into_iter().zip(&desc.columns).map(|(b, column)| b.finish(&column.ty)).collect();
    let mut fields: Vec<Field> = desc
        .columns
        .iter()
        .zip(&columns)
        .map(|(column, array)| Field::new(&column.name, array.data_type().clone(), true))
        .collect();
    columns.push(Arc::new(UInt64Array::from(updates.times.clone())));
    fields.push(Field::new(TIME, arrow_schema::DataType::UInt64, false));
    columns.push(Arc::new(Int64Array::from(updates.diffs.clone())));
    fields.push(Field::new(DIFF, arrow_schema::DataType::Int64, false));
    let schema = Arc::new(Schema::new(fields));
    let properties = properties(&schema, half, forms, &repeating(desc.arity(), updates)?);
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
    writer.write(&batch)?;
    let bytes = writer.into_inner()?;
    let (first, last) = match updates.len() {
        0 => (Vec::new(), Some(Vec::new())),
        n => (cut(updates.row(0)), ceiling(updates.row(n - 1))),
    };
    Ok(Encoded { bytes, info: PartInfo { updates: updates.len(), stats, first, last } })
}

type Columns = (Vec<ColumnBuilder>, Vec<ColumnStats>, Vec<usize>);

/// The columns as their types want them, and which of them could not hold a value.
fn typed_columns(desc: &RelationDesc, updates: &Updates) -> Result<Columns, PartError> {
    let mut builders: Vec<ColumnBuilder> =
        desc.columns.iter().map(|column| ColumnBuilder::typed(&column.ty)).collect();
    let mut bounds: Vec<Bounds<'_>> = desc.columns.iter().map(|_| Bounds::default()).collect();
    let mut failed = vec![false; builders.len()];
    let mut arena = Arena::new();
    for (row, _, _) in updates.iter() {
        let mut rest = row;
        for (index, builder) in builders.iter_mut().enumerate() {
            let (datum, len) = read_datum(rest, &arena)?;
            let (bytes, tail) = rest.split_at(len);
            if !failed[index] && !builder.push(datum, bytes) {
                failed[index] = true;
            }
            if datum.is_null() {
                bounds[index].nulls += 1
            } else {
                bounds[index].include(bytes)
            }
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(RowError::Trailing.into());
        }
        arena.reset();
    }
    let failed = failed.iter().enumerate().filter_map(|(i, failed)| failed.then_some(i)).collect();
    Ok((builders, bounds.into_iter().map(Bounds::finish).collect(), failed))
}

fn datum_column(updates: &Updates, index: usize) -> Result<ColumnBuilder, PartError> {
    let mut builder = ColumnBuilder::datums();
    for (row, _, _) in updates.iter() {
        let bytes = datum_at(row, index)?;
        builder.push(hw_types::datum::Datum::Null, bytes);
    }
    Ok(builder)
}

fn datum_at(mut row: &[u8], index: usize) -> Result<&[u8], PartError> {
    for _ in 0..index {
        row = &row[hw_types::row::try_skip(row)?..];
    }
    Ok(&row[..hw_types::row::try_skip(row)?])
}

#[derive(Default)]
struct Bounds<'a> {
    low: Option<&'a [u8]>,
    high: Option<&'a [u8]>,
    nulls: u64,
}

impl<'a> Bounds<'a> {
    fn include(&mut self, datum: &'a [u8]) {
        if self.low.is_none_or(|low| datum < low) {
            self.low = Some(datum);
        }
        if self.high.is_none_or(|high| datum > high) {
            self.high = Some(datum);
        }
    }
    fn finish(self) -> ColumnStats {
        ColumnStats { low: self.low.map(cut), high: self.high.and_then(ceiling), nulls: self.nulls }
    }
}

/// Short bytes at or below `bytes` in order.
fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(BOUND_BYTES_MAX)].to_vec()
}

/// Short bytes at or above `bytes` in order.
fn ceiling(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() <= BOUND_BYTES_MAX {
        return Some(bytes.to_vec());
    }
    let mut cut = bytes[..BOUND_BYTES_MAX].to_vec();
    while let Some(last) = cut.pop() {
        if last < u8::MAX {
            cut.push(last + 1);
            return Some(cut);
        }
    }
    None
}

/// Which columns repeat their values enough for a dictionary, judged by a sample.
fn repeating(arity: usize, updates: &Updates) -> Result<Vec<bool>, PartError> {
    let step = (updates.len() / DICTIONARY_SAMPLE).max(1);
    let mut seen: Vec<FxHashSet<&[u8]>> = vec![FxHashSet::default(); arity];
    let mut rows = 0;
    for at in (0..updates.len()).step_by(step) {
        let mut rest = updates.row(at);
        for distinct in &mut seen {
            let (datum, tail) = rest.split_at(hw_types::row::try_skip(rest)?);
            distinct.insert(datum);
            rest = tail;
        }
        rows += 1;
    }
    Ok(seen.iter().map(|distinct| distinct.len() * DICTIONARY_SHARE <= rows).collect())
}

fn properties(schema: &Schema, half: Half, forms: String, repeating: &[bool]) -> WriterProperties {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("the level is one of zstd's");
    let entry = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("headwater ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![
            entry(FORMAT_KEY, FORMAT.to_owned()),
            entry(HALF_KEY, half.name().to_owned()),
            entry(FORMS_KEY, forms),
        ]));
    for (index, field) in schema.fields().iter().enumerate() {
        let path = ColumnPath::new(vec![field.name().clone()]);
        let dictionary = repeating.get(index).copied().unwrap_or(false);
        builder = builder.set_column_dictionary_enabled(path.clone(), dictionary);
        if let Some(encoding) = plain_encoding(field.data_type()) {
            builder = builder.set_column_encoding(path, encoding);
        }
    }
    builder.build()
}

/// The encoding of a column without a dictionary.
fn plain_encoding(ty: &arrow_schema::DataType) -> Option<Encoding> {
    use arrow_schema::DataType as T;
    match ty {
        T::Int16 | T::Int32 | T::Int64 | T::UInt16 | T::UInt32 | T::UInt64 => {
            Some(Encoding::DELTA_BINARY_PACKED)
        }
        T::Date32 | T::Time64(_) | T::Timestamp(_, _) => Some(Encoding::DELTA_BINARY_PACKED),
        T::Utf8 | T::Binary => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        T::Float32 | T::Float64 => Some(Encoding::BYTE_STREAM_SPLIT),
        _ => None,
    }
}
