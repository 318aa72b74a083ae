"""Readers of external systems, one module a kind.

A :class:`~headwater.storage.sources.reader.SourceReader` yields batches of updates with the offsets
they reach; ``storage.ingestion`` gives them times and commits them. Rows are made and decoded in
Rust and pass here as bytes.
"""
