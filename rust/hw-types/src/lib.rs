//! Words that all crates share: scalar types, relation descriptions, datums, the row encoding and
//! the codec in which batches of updates cross borders.
//!
//! * [`scalar`]: SQL's types, mirrored from `headwater.types.scalar`.
//! * [`relation`]: columns and keys, mirrored from `headwater.types.relation`.
//! * [`flat`]: updates `(row, time, diff)` as one byte string.

pub mod flat;
pub mod relation;
pub mod scalar;
