"""What planning carries along: one context a statement, one an expression.

An :class:`ExprContext` says what may stand in a clause: which columns are in sight, whether
aggregates, window functions and table functions are welcome, and collects those that are met.
Modules that plan kinds of nodes get at each other through the tables that
:class:`StatementContext` holds, so that they need not import one another.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from headwater.catalog.snapshot import CatalogSnapshot
from headwater.errors import (
    AmbiguousParameter,
    FeatureNotSupported,
    GroupingError,
    UndefinedParameter,
    WindowingError,
)
from headwater.ir.functions import CastContext
from headwater.ir.scalar import CallUnmaterializable, ColumnOrder, Parameter
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node
from headwater.sql.plan.coerce import coerce
from headwater.sql.plan.hir import ColumnRef, HirAggregate, HirRelation, HirScalar
from headwater.sql.plan.rows import Rows
from headwater.sql.plan.statements import Notice, PlanSession
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.names import NameResolver
from headwater.sql.resolve.scope import Scope
from headwater.types.ids import GlobalId, SchemaId
from headwater.types.relation import RelationDesc
from headwater.types.scalar import INT4, TEXT, UNKNOWN, BaseType, ColumnType, ScalarType

PARAMETERS_MAX = 65_535

# Column indexes from here on stand for the results of aggregates, window functions and table
# functions while the list that they are in is planned; ``rewrite`` puts the real ones in place.
GROUPING_BASE = 1 << 23
AGGREGATE_BASE = 1 << 24
WINDOW_BASE = 1 << 25
TABLE_FUNCTION_BASE = 1 << 26


class CteBinding:
    """A name that WITH binds: what it reads, and its columns."""

    __slots__ = ("desc", "id")

    def __init__(self, id: int, desc: RelationDesc) -> None:
        self.id = id
        self.desc = desc


Ctes = Mapping[str, CteBinding]
Handler = Callable[["ExprContext", Any], HirScalar]


class OrderedRelation:
    """The rows of a subquery with what orders them.

    Attributes:
        relation: Yields the columns of ``desc``, then those that only order.
        types: The types of all its columns.
    """

    __slots__ = ("desc", "order_by", "relation", "types")

    def __init__(
        self,
        relation: HirRelation,
        desc: RelationDesc,
        types: tuple[ColumnType, ...],
        order_by: tuple[ColumnOrder, ...],
    ) -> None:
        self.relation = relation
        self.desc = desc
        self.types = types
        self.order_by = order_by

    def renumbered(self, width: int) -> tuple[ColumnOrder, ...]:
        """Return the order over records whose keys follow ``width`` values."""
        return tuple(
            ColumnOrder(width + number, order.desc, order.nulls_last)
            for number, order in enumerate(self.order_by)
        )


class QueryPlanner(Protocol):
    """Plans queries that stand in expressions and in FROM."""

    def rows(
        self,
        ctx: "StatementContext",
        query: ast.Query,
        outer: Scope | None,
        ctes: Ctes,
        *,
        keep_open: bool = False,
    ) -> Rows:
        """Return the query's rows, its last clauses still open."""

    def subquery(
        self, ctx: "StatementContext", query: ast.Query, outer: Scope | None, ctes: Ctes
    ) -> tuple[HirRelation, RelationDesc]:
        """Return the query's relation and columns; ``outer`` is level 1 in it."""

    def ordered_subquery(
        self, ctx: "StatementContext", query: ast.Query, outer: Scope | None, ctes: Ctes
    ) -> OrderedRelation:
        """Return the same with the query's ORDER BY."""


class StatementContext:
    """What the planning of one statement shares.

    Attributes:
        names: Resolves objects and remembers them.
        params: The types of ``$1 …``; None where not settled yet.
        notices: What to tell the client.
        handlers: How each kind of expression is planned.
        queries: How queries are planned.
        uses_now: Unmaterializable functions that the statement calls.
        reads: The relations that the statement's queries read.
        time_zone: The session's zone; None for UTC, and where a definition outlives the session.
    """

    __slots__ = (
        "_next_local",
        "catalog",
        "handlers",
        "names",
        "notices",
        "params",
        "queries",
        "reads",
        "session",
        "time_zone",
        "uses_now",
    )

    def __init__(
        self,
        catalog: CatalogSnapshot,
        session: PlanSession,
        params: tuple[ScalarType | None, ...],
        handlers: Mapping[type[Node], Handler],
        queries: QueryPlanner,
    ) -> None:
        self.catalog = catalog
        self.session = session
        temp: SchemaId | None = getattr(session, "temp_schema", None)
        self.names = NameResolver(catalog, session.search_path, session.database, temp)
        self.params: list[ScalarType | None] = list(params)
        self.notices: list[Notice] = []
        self.handlers = handlers
        self.queries = queries
        self.uses_now: list[CallUnmaterializable] = []
        self.reads: dict[GlobalId, None] = {}
        self._next_local = 0
        zone: str = getattr(session, "time_zone", "UTC")
        self.time_zone: str | None = None if zone == "UTC" else zone

    def next_local(self) -> int:
        """Return a fresh id for a CTE."""
        self._next_local += 1
        return self._next_local - 1

    def parameter(self, number: int, position: int) -> Parameter:
        """Return ``$number``, its type open if nothing has settled it.

        Raises: UndefinedParameter.
        """
        if not 1 <= number <= PARAMETERS_MAX:
            raise UndefinedParameter(f"there is no parameter ${number}", position=position)
        if number > len(self.params):
            self.params.extend([None] * (number - len(self.params)))
        settled = self.params[number - 1]
        return Parameter(number, ColumnType(UNKNOWN if settled is None else settled, True))

    def settle_parameter(self, number: int, type: ScalarType, position: int) -> ScalarType:
        """Give ``$number`` this type if it has none. Raises: AmbiguousParameter."""
        settled = self.params[number - 1]
        if settled is None:
            if type.base is BaseType.UNKNOWN:
                raise AmbiguousParameter(
                    f"could not determine data type of parameter ${number}", position=position
                )
            self.params[number - 1] = type
            return type
        return settled

    def param_types(self) -> tuple[ScalarType, ...]:
        """Return the types of all parameters; text where nothing said otherwise."""
        return tuple(TEXT if type is None else type for type in self.params)


class Aggregates:
    """The aggregates of one SELECT, each once.

    Attributes:
        found: Aggregates, each with the condition on its input rows that could not be folded into
            it, and their numbers.
        groupings: The arguments of GROUPING calls, in order.
    """

    __slots__ = ("found", "groupings")

    def __init__(self) -> None:
        self.found: dict[tuple[HirAggregate, HirScalar | None], int] = {}
        self.groupings: list[tuple[HirScalar, ...]] = []

    def add(self, aggregate: HirAggregate, name: str, keep: HirScalar | None = None) -> ColumnRef:
        """Return the column that will hold the aggregate's result."""
        index = self.found.setdefault((aggregate, keep), len(self.found))
        return ColumnRef(0, AGGREGATE_BASE + index, aggregate.type, name)

    def add_grouping(self, args: tuple[HirScalar, ...]) -> ColumnRef:
        """Return the column that will say which of ``args`` a row is not grouped by."""
        self.groupings.append(args)
        index = GROUPING_BASE + len(self.groupings) - 1
        return ColumnRef(0, index, ColumnType(INT4, False), "grouping")


class TableFunctions:
    """The table functions of a select list, in order; they advance together."""

    __slots__ = ("columns", "found", "planner")

    def __init__(self, planner: "Callable[[ExprContext, ast.Function], HirScalar]") -> None:
        self.found: list[tuple[ast.Function, HirRelation, RelationDesc]] = []
        self.columns = 0
        self.planner = planner


class ExprContext:
    """What may stand in one clause.

    Attributes:
        clause: As error messages name it: ``WHERE``, ``GROUP BY``.
        scope: Level 0 and outwards.
        ctes: The names that WITH has bound.
        aggregates: Collects aggregates; None where none may stand.
        windows: Whether window functions may stand.
        table_functions: Collects table functions; None where none may stand.
        named_windows: The WINDOW clause.
        in_aggregate: Inside the argument of an aggregate.
    """

    __slots__ = (
        "aggregates",
        "clause",
        "ctes",
        "in_aggregate",
        "named_windows",
        "scope",
        "statement",
        "table_functions",
        "windows",
    )

    def __init__(
        self,
        statement: StatementContext,
        scope: Scope,
        ctes: Ctes,
        clause: str,
        *,
        aggregates: Aggregates | None = None,
        windows: bool = False,
        table_functions: TableFunctions | None = None,
        named_windows: Mapping[str, ast.WindowSpec] | None = None,
    ) -> None:
        self.statement = statement
        self.scope = scope
        self.ctes = ctes
        self.clause = clause
        self.aggregates = aggregates
        self.windows = windows
        self.table_functions = table_functions
        self.named_windows = named_windows
        self.in_aggregate = False

    def plan(self, node: ast.Expr) -> HirScalar:
        """Plan an expression; its type may be left open."""
        handler = self.statement.handlers.get(type(node))
        if handler is None:
            raise FeatureNotSupported(
                f"{type(node).__name__} is not supported here", position=node.position
            )
        return handler(self, node)

    def plan_typed(self, node: ast.Expr) -> HirScalar:
        """Plan an expression; if its type is open it is text."""
        expr = self.plan(node)
        if type_of(expr).type.base is BaseType.UNKNOWN:
            return self.coerce(expr, TEXT, node.position)
        return expr

    def plan_as(
        self,
        node: ast.Expr,
        target: ScalarType,
        context: CastContext = CastContext.IMPLICIT,
    ) -> HirScalar:
        """Plan an expression and coerce it to ``target``."""
        return coerce(self.plan(node), target, context, self.statement, node.position)

    def coerce(
        self,
        expr: HirScalar,
        target: ScalarType,
        position: int = 0,
        context: CastContext = CastContext.IMPLICIT,
    ) -> HirScalar:
        """Return ``expr`` as a value of ``target``."""
        return coerce(expr, target, context, self.statement, position)

    def inside_aggregate(self) -> "ExprContext":
        """Return the context of an aggregate's arguments: no aggregates, no windows."""
        inner = ExprContext(self.statement, self.scope, self.ctes, "an aggregate function")
        inner.in_aggregate = True
        return inner

    def inside_window(self) -> "ExprContext":
        """Return the context of a window function's arguments: aggregates and windows may stand.

        PostgreSQL does not let windows nest; we compute the inner one first.
        """
        inner = ExprContext(
            self.statement,
            self.scope,
            self.ctes,
            self.clause,
            aggregates=self.aggregates,
            windows=True,
            named_windows=self.named_windows,
        )
        inner.in_aggregate = self.in_aggregate
        return inner

    def refuse_aggregate(self, name: str, position: int) -> GroupingError:
        """Return the error for the aggregate ``name`` where none may stand."""
        if self.in_aggregate:
            return GroupingError("nested aggregate functions are not allowed", position=position)
        return GroupingError(
            f"aggregate functions are not allowed in {self._place(name)}", position=position
        )

    def refuse_window(self, name: str, position: int) -> WindowingError | GroupingError:
        """Return the error for the window function ``name`` where none may stand."""
        if self.in_aggregate:
            return GroupingError(
                "aggregate function calls cannot contain window function calls", position=position
            )
        return WindowingError(
            f"window functions are not allowed in {self._place(name)}", position=position
        )

    def refuse_table_function(self, name: str, position: int) -> FeatureNotSupported:
        """Return the error for the table function ``name`` where none may stand."""
        place = "aggregate function calls" if self.in_aggregate else self.clause
        return FeatureNotSupported(
            f"table functions are not allowed in {place} (function pg_catalog.{name})",
            position=position,
        )

    def _place(self, name: str) -> str:
        return f"{self.clause} (function pg_catalog.{name})"
