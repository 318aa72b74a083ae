"""Planning: a statement's tree becomes what the sequencer executes.

In: ``ast.Statement``, a ``CatalogSnapshot``, the session's settings. Out: ``statements.Planned``;
queries inside it are high-level plans (``hir``), whose subqueries ``decorrelate`` takes apart.

The way of a statement: ``planning`` (the entry) → ``kinds`` (one module a family of statements) →
``queries`` (SELECT and what surrounds it) → ``scalars`` (expressions) → ``overload``, ``coerce``,
``types`` (PostgreSQL's rules for overloads and casts) and ``calls``. ``context`` is what they all
carry along. ``statements``, ``ddl`` and ``external`` are the results; ``explain_hir`` prints them.

Out of scope: optimizing, timestamps, privileges, talking to external systems (``adapter.purify``).
"""

from headwater.sql.plan.planning import plan_statement
from headwater.sql.plan.statements import Planned, PlanSession, StatementPlan

__all__ = ["PlanSession", "Planned", "StatementPlan", "plan_statement"]
