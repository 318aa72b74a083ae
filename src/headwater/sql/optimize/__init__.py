"""The relational plan made cheap: pure rewrites, one rule a module, in one ordered list.

In: ``ir.relation`` as ``plan.decorrelate`` leaves it, and an :class:`OptimizerContext` (views,
indexes, append-only collections, cardinalities). Out: ``ir.relation`` with every join implemented,
ready for ``lower``. Start at ``pipeline``, which has the list; ``context`` says what may be known.

Logical rules, repeated until nothing changes: ``inline_views``, ``normalize_lets`` (all bindings at
the top), ``fuse`` (canonical chains, flat joins and unions), ``simplify_scalars``,
``fold_constants``, ``predicate_pushdown`` (with what joins imply), ``simplify_aggregates``,
``reduce_elision``, ``limits``, ``semijoin``, ``relation_cse`` (before branches are narrowed to
what each reads), ``projection_pushdown``, ``union_cancel``. Physical ones, once: ``relation_cse``
again, ``join_implementation``, ``monotonic``.

``draws`` comes first and between the two: volatile calls are operators that no rule sees through.

Out of scope: the catalog, the clock, statistics gathering (all are arguments), and anything about
arrangements that is not a choice of plan (``lower``).
"""
