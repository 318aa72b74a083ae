//! The framed channel between headwaterd and a replica process, and the bookkeeping of reads over it.
//!
//! In order of reading:
//!
//! * [`frame`]: the bytes on the socket; [`address`]: where sockets are;
//! * [`pipe`]: one connection: a bounded queue out, heartbeats, frames in;
//! * [`events`]: the bounded queue with an eventfd through which Python learns of anything;
//! * [`client`]: headwaterd's end: [`client::Links`] keeps replicas connected;
//! * [`server`]: the replica's end;
//! * [`response`]: answers to reads, as they travel on channel 1;
//! * [`peeks`], [`subscribes`]: which reads are under way, and which replica's answer counts;
//! * [`finishing`]: ORDER BY, LIMIT, OFFSET over the rows of an answer.
//!
//! Nothing here knows Python or what commands say; both ends' heartbeats run on a thread that no
//! busy interpreter can hold up.

pub mod address;
pub mod client;
pub mod events;
pub mod finishing;
pub mod frame;
pub mod peeks;
pub mod pipe;
pub mod response;
pub mod runtime;
pub mod server;
pub mod subscribes;

/// Bytes as they travel.
pub use bytes::Bytes;
