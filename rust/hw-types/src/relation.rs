//! The shape of a relation, field by field as in `headwater.types.relation`.

use crate::scalar::ScalarType;
use serde::{Deserialize, Serialize};

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
}

impl RelationDesc {
    /// The number of columns.
    pub fn arity(&self) -> usize {
        self.columns.len()
    }
}
