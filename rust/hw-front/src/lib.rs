//! The PostgreSQL wire protocol: connections, prepared statements, portals, COPY, encoding of rows.
//!
//! What a statement means is Python's business: a connection asks by [`protocol::Request`] and gets
//! one [`protocol::Reply`], whose row source (rows, a peek, a subscription, a cursor) is read and
//! encoded here. In order of reading:
//!
//! * [`frames`]: messages split out of the byte stream, checked reads; [`wire`]: messages to clients;
//! * [`protocol`]: the conversation with Python; [`front`]: its queue, replies and connections;
//! * [`server`]: listeners; [`startup`]: from the first byte to ReadyForQuery;
//! * [`connection`]: one client's socket and everything it can wait for at once; [`presence`]: whether
//!   there is still somebody at its other end;
//! * [`session`]: statements, portals, transaction status; [`simple`], [`extended`]: the two query
//!   protocols; [`execute`]: what both do with a reply; [`stream`]: row sources;
//! * [`codec`], [`encode`]: datums and rows as clients want them; [`copy_out`], [`copy_text`],
//!   [`copy_csv`], [`copy_in`], [`copy_file`]: COPY;
//! * [`fast`]: prepared point reads and inserts that never ask; `answers`: to inserts, by the store's thread.
//!
//! Every message is split out whole before it is looked at, every read is checked, and every
//! buffer has a bound; nothing a client sends is a panic or an allocation of its choosing.

mod answers;
pub mod codec;
pub mod connection;
pub mod copy_binary;
pub mod copy_csv;
pub mod copy_file;
pub mod copy_in;
pub mod copy_out;
pub mod copy_text;
pub mod encode;
pub mod execute;
pub mod extended;
pub mod fast;
pub mod frames;
pub mod front;
pub mod presence;
pub mod protocol;
pub mod server;
pub mod session;
pub mod simple;
pub mod startup;
pub mod stream;
pub mod subscribe;
pub mod wire;
