"""Words that all layers share: scalar types, shapes of relations, ids, times and frontiers.

Modules: ``scalar`` (types of datums), ``relation`` (columns and keys), ``ids``, ``time``,
``frontier``. Nothing here does any work; the same words in Rust are in ``rust/hw-types``.
"""
