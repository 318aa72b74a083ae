//! Readers of external systems, each a thread that decodes and gathers until it is asked.

pub mod bindings;
mod decoding;
pub mod kafka;
mod partitions;
