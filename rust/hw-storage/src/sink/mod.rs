//! Writers to external systems.

pub mod encode;
pub mod kafka;
pub mod partition;
