"""What exists: databases, schemas, items, clusters, roles; durable, versioned, transactional.

Modules, in the order in which a transaction meets them::

    items.py      one frozen struct per kind of object
    snapshot.py   CatalogSnapshot: one immutable version, with all look-ups
    ops.py        what a transaction may do, one struct an operation
    transact.py   (snapshot, ops) -> (next snapshot, durable changes, changes of builtin tables)
    codec.py      items as rows (kind, key, value) of the catalog's shard
    durable.py    the catalog's shard: open (and fence), commit (one compare-and-append)
    builtin/      what every catalog starts with, and the relations that show the catalog

The catalog keeps ``create_sql``; planned forms (a view's relation) are made anew from it at boot by
``adapter.bootstrap``. It knows neither SQL nor controllers.
"""
