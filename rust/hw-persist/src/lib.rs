//! Encoding, decoding and compaction of the parts of a durable collection.
