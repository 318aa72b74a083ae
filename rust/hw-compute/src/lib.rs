//! Dataflows: rendering, arrangements, peeks, subscriptions and the worker loop.
//!
//! What comes in: commands of the controller ([`protocol`]), dataflow descriptions within them ([`plan`]),
//! parts of shards from the shell ([`source`]; which are of use says [`selection`]). What goes out, through a
//! [`gather::Responder`]: frontiers, answers to peeks, updates of subscriptions, and requests to the shell. Out
//! of scope: all I/O.
//!
//! In order of reading: [`container`] and [`arrangement`] (how updates are kept), [`check`] and [`render`] (how plans
//! become operators), [`build`] (one dataflow), [`source`] and [`sink`] (its ends), [`peek`], [`worker`] (the loop),
//! [`gather`] (many workers, one answer), [`maintained`] (what it keeps of dataflows), [`inspect`] and [`logging`]
//! (what it all costs), [`server`] (what the shell holds).

pub mod arrangement;
pub mod build;
pub mod check;
pub mod container;
pub mod expr;
pub mod gather;
pub mod inspect;
pub mod logging;
pub mod maintained;
pub mod peek;
pub mod plan;
pub mod protocol;
pub mod render;
pub mod selection;
pub mod server;
pub mod sink;
pub mod source;
pub mod worker;

#[cfg(test)]
mod tests;
