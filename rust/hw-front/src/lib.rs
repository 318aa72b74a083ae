//! PostgreSQL wire protocol connections, result encoding and the planned fast path.
