"""The tree that SQL text becomes: one frozen struct per construct, with source positions.

In: nothing (``sql.parse`` makes the tree). Out: what ``sql.resolve`` and ``sql.plan`` read, and SQL
text again (``printer``). Modules, from the leaves up: ``base`` (names, data types), ``query``
(expressions and queries), ``column``, ``option``, ``dml``, ``session``, ``show``, ``explain``,
``connector`` (sources, sinks, connections), ``ddl``, ``control`` (clusters, roles, privileges),
``statement`` (the union of all statements), ``visit`` (walking and comparing), ``printer``.

Out of scope: whether names exist, types agree, or a statement is supported. All of Materialize's
grammar has a node; the planner refuses what is not built yet.

Invariants: ``parse(print(tree))`` equals ``tree`` but for positions. Names are folded and unquoted.
"""
