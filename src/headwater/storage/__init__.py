"""Storage: durable collections, and the sources and sinks that connect them to other systems.

- ``protocol``: which sources and sinks a replica runs, and how they fare.
- ``controller``: the side in headwaterd. Creates and drops collections' shards, keeps their since
  where read holds and retention want it (``collections``), places each source and sink on one
  replica of its cluster at a time.
- ``worker``: the side in a replica, with ``ingestion`` (read, give a time, commit rows and the
  offsets they reach in one append; ``tally`` counts), ``sources`` (Kafka, load generators: where a
  reader starts) and ``sinks`` (follow a shard; write records and progress in one transaction).

The bytes move in Rust (``rust/hw-storage``): polling, decoding, envelopes, encoding. What is
durable, and at which time, is decided here.

Out of scope: SQL and the catalog (descriptions arrive as ``ir.ingestion``), how a shard is kept
(``persist``), tables' writes (``adapter.group_commit`` over ``persist.txns``).
"""
