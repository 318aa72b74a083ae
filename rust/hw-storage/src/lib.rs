//! Sources and sinks: reading, decoding, envelopes, and writing to external systems.
