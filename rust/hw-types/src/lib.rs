//! Words that all crates share: scalar types, relation descriptions, datums, the row encoding and
//! the codec in which batches of updates cross borders.
//!
//! * [`scalar`]: SQL's types, mirrored from `headwater.types.scalar`.
//! * [`relation`]: columns and keys, mirrored from `headwater.types.relation`.
//! * [`datum`]: one value; [`numeric`], [`interval`], [`container`], [`jsonb`]: its richer kinds.
//! * [`row`]: the memcomparable encoding of datums and rows; [`order`]: ORDER BY over it.
//! * [`arena`]: where bytes live that evaluation makes.
//! * [`keys`]: which keys of a table are taken.
//! * [`flat`]: updates `(row, time, diff)` as one byte string.

pub mod arena;
mod check;
pub mod container;
pub mod datum;
pub mod flat;
pub mod interval;
pub mod jsonb;
pub mod keys;
pub mod numeric;
pub mod order;
pub mod relation;
pub mod row;
pub mod scalar;
