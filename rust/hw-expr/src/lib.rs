//! Scalar functions, aggregates, table functions and their interpreter over row bytes.
//!
//! * [`scalar`]: expressions as plans carry them, and compiled, with kernels resolved.
//! * [`mfp`]: map, filter, project, fused, with temporal bounds.
//! * [`kernel`]: one implementation under each kernel name of `headwater.ir.functions`.
//! * [`aggregate`]: accumulable, hierarchical and basic aggregates; [`table`]: table functions.
//! * [`format`](mod@format), [`parse`]: PostgreSQL's text and binary forms of every type.
//! * [`error`]: what evaluation may raise, and its form as a row.

pub mod aggregate;
pub mod calendar;
pub mod error;
pub mod format;
pub mod kernel;
pub mod mfp;
pub mod parse;
pub mod scalar;
pub mod table;
