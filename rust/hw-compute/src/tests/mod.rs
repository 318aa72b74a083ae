//! Whole workers against a slow reference, over random histories.
//!
//! * [`world`]: replicas, and simulated shards between them; [`plans`]: short names for plans;
//!   [`reference`]: the slow obvious evaluator; [`rng`]: random numbers.
//! * [`endless`], [`logs`], [`operators`], [`recursion`], [`sinks`], [`turns`], [`protocols`]: the tests.

mod endless;
mod logs;
mod operators;
mod plans;
mod protocols;
mod recursion;
mod reference;
pub mod rng;
mod sinks;
mod turns;
mod world;
