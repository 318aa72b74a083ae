//! What a part must be able to hold to be read: `headwater.ir.selection`, field by field.
//!
//! It goes through the workers untouched: the shell, which knows the parts' statistics, decides.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::expr::ScalarExpr;

/// Values from `low` on and before `high`, by the order of bytes; none of them NULL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first; empty for all.
    #[serde(default)]
    pub low: ByteBuf,
    /// The first no more; `None` for no bound.
    #[serde(default)]
    pub high: Option<ByteBuf>,
}

/// What a row must fulfil.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Condition {
    /// The value of an expression is among these.
    Within {
        /// Over the shard's columns.
        expr: ScalarExpr,
        /// Sorted, apart from each other.
        ranges: Vec<Range>,
        /// Whether NULL is among them.
        #[serde(default)]
        nulls: bool,
    },
    /// All of them hold.
    AllOf {
        /// Which.
        conditions: Vec<Condition>,
    },
    /// One of them holds.
    AnyOf {
        /// Which.
        conditions: Vec<Condition>,
    },
}

/// What a row must fulfil to be of use, in the order in which it is looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// All of them, one after the other.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// The row holds from these times on.
    #[serde(default)]
    pub lower_bounds: Vec<ScalarExpr>,
    /// The row holds up to, and without, these times.
    #[serde(default)]
    pub upper_bounds: Vec<ScalarExpr>,
}
