//! Consensus in one SQLite file: versions of shards' logs, added by compare-and-set.
//!
//! One thread owns the file and commits for everyone, many requests in one transaction. Besides what
//! Python asks of it, it commits *rounds*: rows of prepared single-row INSERTs that the front hands it
//! directly, under a grant by which Python lends it the transaction shard:
//!
//! * [`store`]: the file and its index; [`checkpoint`]: the WAL folded back into it;
//! * [`grant`]: what Python lends; [`version`]: a round as a version of the shard, byte for byte what
//!   Python would have written; [`gathering`]: how long a round waits for more rows;
//! * [`rounds`]: rows, waiting for their round; [`inbox`]: requests, waiting for their turn; [`owner`]:
//!   the thread.
//!
//! Why: `docs/decisions/2026-11-27-rounds-of-inserts-in-rust.md`.

pub mod checkpoint;
pub mod clock;
pub mod gathering;
pub mod grant;
pub mod inbox;
pub mod owner;
pub mod rounds;
pub mod store;
pub mod version;
