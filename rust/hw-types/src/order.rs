//! The order of ORDER BY over encoded rows.

use crate::row;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// How one column orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnOrder {
    /// The column's index.
    pub column: usize,
    /// Greatest first.
    #[serde(default)]
    pub desc: bool,
    /// NULL after everything else.
    #[serde(default = "yes")]
    pub nulls_last: bool,
}

fn yes() -> bool {
    true
}

use crate::row::NULL_BYTES as NULL;

/// Compares two encoded datums in a column's order.
pub fn compare_datums(a: &[u8], b: &[u8], desc: bool, nulls_last: bool) -> Ordering {
    match (a == NULL, b == NULL) {
        (true, true) => Ordering::Equal,
        (true, false) if nulls_last => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, true) if nulls_last => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) if desc => b.cmp(a),
        (false, false) => a.cmp(b),
    }
}

/// Compares two rows of one arity by `order`, and whole rows where that leaves them equal.
pub fn compare(a: &[u8], b: &[u8], order: &[ColumnOrder]) -> Ordering {
    for by in order {
        let (x, y) = (column(a, by.column), column(b, by.column));
        let ordering = compare_datums(x, y, by.desc, by.nulls_last);
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    a.cmp(b)
}

/// The bytes of one column of a row; empty where the row is shorter.
pub fn column(row: &[u8], index: usize) -> &[u8] {
    let mut rest = row;
    for _ in 0..index {
        rest = &rest[row::skip(rest)..];
    }
    &rest[..row::skip(rest)]
}
