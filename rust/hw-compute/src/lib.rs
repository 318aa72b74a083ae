//! Dataflows: rendering, arrangements, peeks, subscriptions and the worker loop.

pub mod arrangement;
pub mod container;

#[cfg(test)]
mod testing;
