//! The shape of a relation, field by field as in `headwater.types.relation`.

use crate::row::{RowError, try_skip};
use crate::scalar::ScalarType;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A named column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: ScalarType,
    /// Whether NULL may occur.
    #[serde(default = "yes")]
    pub nullable: bool,
}

fn yes() -> bool {
    true
}

/// Columns in row order and sets of columns known to be unique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationDesc {
    /// The columns.
    pub columns: Vec<Column>,
    /// Sets of column indexes.
    #[serde(default)]
    pub keys: Vec<Vec<usize>>,
    /// What rows that are older than the last columns hold in them: one datum for each column that
    /// was added to a table, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<ByteBuf>,
}

impl RelationDesc {
    /// The number of columns.
    pub fn arity(&self) -> usize {
        self.columns.len()
    }
    /// Brings a row to this shape: `older` rows get what the columns that they lack hold, of newer
    /// ones the columns that this shape has not are left out. `room` is where a longer row is made.
    ///
    /// # Errors
    /// Where the row is malformed, or lacks columns that were there from the beginning.
    pub fn fit<'r>(&self, row: &'r [u8], room: &'r mut Vec<u8>) -> Result<&'r [u8], RowError> {
        let mut at = 0;
        for present in 0..self.arity() {
            if at == row.len() {
                let missing = self.missing(present).ok_or(RowError::Truncated)?;
                room.clear();
                room.extend_from_slice(row);
                missing.iter().for_each(|datum| room.extend_from_slice(datum));
                return Ok(room);
            }
            at += try_skip(&row[at..])?;
        }
        Ok(&row[..at])
    }
    /// What rows of only the first `present` columns hold in the others; nothing where there never
    /// were such rows.
    pub fn missing(&self, present: usize) -> Option<&[ByteBuf]> {
        let lacking = self.arity().checked_sub(present)?;
        self.added.get(self.added.len().checked_sub(lacking)?..)
    }
}
