"""Compute: views maintained over collections, on clusters of active-active replicas.

Both sides of the compute protocol are here, and between them only messages:

- ``protocol``: commands to a replica (create dataflow, allow compaction, peek, …), and answers.
- ``controller``: the side in headwaterd. Which dataflows run on which cluster; the compacted
  history of commands that brings a new replica up to date; frontiers and read holds of each export
  (``collections``; ``instance``: one cluster's).
- ``worker``: the side in a replica. A shell in Python that does I/O for the timely workers of
  ``rust/hw-compute``: it follows shards, hands them batches, and writes what they make.
- ``sink``: how a materialized view is written by several replicas at once: desired minus persisted.
- ``perseverance``: what both do when persist can't, until it can.
- ``reference``: the slow, obvious interpreter of physical plans that judges the workers in tests.

Frontiers: an export's since follows the controller's read holds; its upper is what all workers of
one replica have passed. Out of scope: SQL, the catalog, processes and sockets (``cluster``).
"""
