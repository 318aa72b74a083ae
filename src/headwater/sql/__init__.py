"""SQL: text becomes a plan that replicas can run. A pipeline; each stage has a type of its own.

::

    parse      text → ``ast``: one frozen struct per construct, with positions
    resolve    names, columns and types of one statement mean something
    plan       → ``plan.hir``: typed, with subqueries inside; ``plan.kinds`` has the statements
    plan.decorrelate  → ``ir.relation``: no subqueries left
    optimize   ``ir.relation`` → ``ir.relation``, rule by rule
    lower      → ``ir.physical`` in an ``ir.dataflow``, or a fast-path peek

A stage accepts only what the one before it makes, and never looks back (``.importlinter``).
``optimize`` and ``lower`` know no catalog, clock or statistics but those that come as arguments.
``EXPLAIN`` prints what each stage makes; tests/golden has a folder for each.

Out of scope: choosing timestamps, executing, anything that waits: that is ``adapter``.
"""
