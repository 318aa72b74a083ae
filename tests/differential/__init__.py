"""The same questions to PostgreSQL and to us: random queries over random tables, answers compared.

A *campaign* goes from one seed: it draws a schema with its rows, then queries over it, asks both
systems, and compares rows as multisets (in order where the query orders them), types by OID and
errors by SQLSTATE. What disagrees is made smaller until nothing can be left out, and shown.

``vocabulary``   types, their values, templates of expressions: add a function here
``tree``         SQL in pieces that can be left out
``expressions``  typed expressions over the columns of a scope
``schema``       tables and rows
``queries``      queries whose answers don't depend on the order in which rows are met
``systems``      a connection and the outcomes of statements, in a comparable form
``differences``  the verdict on two outcomes; the documented differences, as rules
``campaign``     the loop, its counts, and the search for the smallest query

``python -m tests.differential --seed 1 --queries 20000`` is the long run; ``test_differential`` a
short one. A rule in ``differences`` needs its paragraph in ``docs/user/postgres-differences.md``.
"""
