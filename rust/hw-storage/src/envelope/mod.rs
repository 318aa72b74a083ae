//! Envelopes: what a message means for the collection.
//!
//! NONE: a row, for ever. UPSERT: the value that holds under its key from now on.

mod upsert;

pub use upsert::{Upsert, error_row};
