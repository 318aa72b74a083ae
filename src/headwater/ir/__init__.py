"""The plans: typed, immutable, complete in themselves. What SQL becomes and replicas run.

Nothing here names a catalog or parses text; a plan can be printed, checked, encoded and run alone.

- ``scalar``: expressions over one row. ``functions``: the table of all functions, operators and
  casts; ``kernels``: the few that planning must recognize; ``literals``, ``rows``: constants.
- ``relation``: what the optimizer rewrites. ``typing`` derives columns, keys and monotonicity;
  ``check`` is what every transform must leave true; ``linear`` composes Map, Filter and Project.
- ``physical``: what a replica renders. ``dataflow``: plans with their imports and exports.
  ``ingestion``: what runs a source or a sink.
- ``visit``, ``visit_physical``: walks. ``explain``: text. ``encode``: versioned bytes, whose other
  side is ``rust/hw-compute/src/plan.rs``; tests hold the two to one contract.

Rows inside plans are the encoding of ``rust/hw-types/src/row.rs``.
"""
