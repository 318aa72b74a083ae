"""From the high-level plan to the relational plan: subqueries and correlation go away.

In: ``plan.hir``, where scalars hold relations and columns name enclosing scopes. Out:
``ir.relation``. The method is to compute each relation *for all rows of its context at once*:
``relations.lower_relation`` takes the context as a collection of distinct rows (``outer``) and
returns ``outer``'s columns followed by the relation's own, for every row of ``outer``. A subquery's
context is the distinct values of just the columns it mentions, and its result is joined back.

Modules, in the order they are needed: ``scope`` (levels, free columns, the context object),
``build`` (products, null-safe joins, default rows), ``scalars`` (expressions, subqueries in them),
``joins`` (outer and lateral joins), ``recursion``, ``windows``, ``ranked`` (conditions on row
numbers), ``relations`` (the walk and the entry point).

Out of scope: making the result fast. It is correct and regular; the optimizer knows its shapes.
"""

from headwater.sql.plan.decorrelate.relations import decorrelate

__all__ = ["decorrelate"]
