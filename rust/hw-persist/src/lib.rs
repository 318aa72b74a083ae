//! Encoding, decoding and compaction of the parts of a durable collection.
//!
//! A part is a batch of updates at rest: flat (see [`hw_types::flat`]) or Parquet. In a Parquet part
//! each SQL column is a column of the nearest Arrow type, so that other tools can open it; `__time`
//! and `__diff` follow. A column with a value that its Arrow type cannot hold, and a column of a type
//! that Arrow lacks, is written as the bytes of its datums instead, part by part. The error half has
//! one text column, `__error`.
//!
//! * [`encode`]: updates to Parquet, with statistics per column.
//! * [`decode`]: a part to updates, or to a visitor, applying a [`PartFilter`].
//! * [`merge`]: many parts to few, times advanced to `since` and consolidated.
//! * [`columns`]: which SQL type is written as what.

pub mod columns;
pub mod decode;
pub mod encode;
pub mod error;
pub mod merge;

pub use decode::{PartFilter, decode_part, decode_part_filtered, visit_part};
pub use encode::{ColumnStats, Encoded, Half, PartInfo, encode_part};
pub use error::PartError;
pub use merge::{MergeInput, RowRange, merge_parts};
