//! Why a part cannot be written or read.

use hw_types::flat::FlatError;
use hw_types::row::RowError;
use thiserror::Error;

/// Why a part cannot be written or read.
#[derive(Debug, Error)]
pub enum PartError {
    /// The Parquet library refuses.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The Arrow library refuses.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// A flat batch is malformed.
    #[error(transparent)]
    Flat(#[from] FlatError),
    /// A row is malformed.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The part's columns are not those of the relation.
    #[error("part has {0}")]
    Shape(String),
    /// The part was written by a newer version, or by something else.
    #[error("part has the unknown encoding {0:?}")]
    Encoding(String),
    /// The Parquet library panicked: the file is damaged.
    #[error("part is damaged beyond what the reader checks")]
    Damaged,
}
