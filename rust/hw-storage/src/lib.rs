//! Sources and sinks: reading, decoding, envelopes, and writing to external systems.
//!
//! * [`generator`]: load generators, deterministic by offset.
//! * [`source`]: readers of external systems.
//! * [`decode`]: payloads into datums.
//! * [`envelope`]: what a message means for the collection.
//! * [`sink`]: writers to external systems.
//!
//! Python decides when a reader reads and commits what it yields; everything that touches a row is
//! here.

pub mod decode;
pub mod envelope;
pub mod generator;
pub mod rng;
pub mod sink;
pub mod source;
