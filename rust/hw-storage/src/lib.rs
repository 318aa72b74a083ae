//! Sources and sinks: reading, decoding, envelopes, and writing to external systems.
//!
//! * [`generator`]: load generators, deterministic by offset.
//!
//! Python decides when a reader reads and commits what it yields; everything that touches a row is
//! here.

pub mod generator;
pub mod rng;
