//! Whole workers against a slow reference, over random histories.
//!
//! * [`world`]: replicas, and simulated shards between them; [`plans`]: short names for plans;
//!   [`reference`]: the slow obvious evaluator; [`rng`]: random numbers.
//! * [`operators`], [`recursion`], [`sinks`], [`protocols`]: the tests.

mod operators;
mod plans;
mod protocols;
mod recursion;
mod reference;
pub mod rng;
mod sinks;
mod world;
