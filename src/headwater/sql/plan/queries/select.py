"""One SELECT.

In order: FROM, WHERE, then all expressions over FROM's rows (with marks for aggregates and table
functions), grouping, HAVING, windows and QUALIFY, table functions of the select list, DISTINCT and
ORDER BY.
"""

from collections.abc import Sequence

from headwater.errors import (
    AmbiguousColumn,
    GroupingError,
    InvalidColumnReference,
    InvalidParameterValue,
    StatementTooComplex,
    SyntaxError_,
    WindowingError,
    WrongObjectType,
)
from headwater.ir.functions import CastContext
from headwater.ir.literals import literal_int
from headwater.ir.scalar import ColumnOrder
from headwater.sql.ast import query as ast
from headwater.sql.plan.coerce import get_field
from headwater.sql.plan.context import (
    GROUPING_BASE,
    TABLE_FUNCTION_BASE,
    Aggregates,
    Ctes,
    ExprContext,
    StatementContext,
    TableFunctions,
)
from headwater.sql.plan.fold import must_be_constant
from headwater.sql.plan.hir import (
    ColumnRef,
    HirDistinct,
    HirFilter,
    HirMap,
    HirScalar,
    HirTopK,
    WindowCall,
)
from headwater.sql.plan.hir_visit import Rewriter, has_window, move_columns
from headwater.sql.plan.queries.expansion import expand, mark_table_function
from headwater.sql.plan.queries.from_clause import FromPlanner
from headwater.sql.plan.queries.grouping import GroupRewriter, Groups, reduce_groups
from headwater.sql.plan.queries.naming import column_name
from headwater.sql.plan.rows import Rows, project
from headwater.sql.plan.scalars.subqueries import conjuncts
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.scope import Scope
from headwater.types.scalar import INT4, INT8, TEXT, UINT8, BaseType, ColumnType

WINDOWS_NESTED_MAX = 8
"""Levels of window functions inside one another: each is a pass over all rows that carries the
rows of the one before, so that the cost of a level is a multiple of the last one's.
"""

_GROUP_SIZE_HINTS = {
    "aggregate input group size": "aggregate",
    "distinct on input group size": "distinct",
    "limit input group size": "limit",
}
_OLD_HINT = "expected group size"


def plan_select(
    ctx: StatementContext,
    select: ast.Select,
    order_by: Sequence[ast.OrderItem],
    outer: Scope | None,
    ctes: Ctes,
    *,
    keep_open: bool = False,
) -> Rows:
    """Plan a SELECT with the ORDER BY of the query that it is the body of.

    ``keep_open`` leaves output columns of unknown type to the caller; else they become text.
    """
    return _SelectPlanner(ctx, select, outer, ctes).plan(order_by, keep_open=keep_open)


class _SelectPlanner:
    """The state of planning one SELECT.

    Attributes:
        relation: What has been built so far, with columns of ``types``.
        exprs: The select list, over ``relation``.
        names: Its columns' names.
    """

    def __init__(
        self, ctx: StatementContext, select: ast.Select, outer: Scope | None, ctes: Ctes
    ) -> None:
        self.ctx = ctx
        self.select = select
        self.ctes = ctes
        self.hints = _hints(ctx, select)
        planner = FromPlanner(ctx, ctes, outer, outer)
        self.relation, self.scope = planner.plan(select.from_)
        self.types = [column.type for column in self.scope.columns]
        self.aggregates = Aggregates()
        self.table_functions = TableFunctions(mark_table_function)
        self.named_windows = _named_windows(select)
        self.exprs: list[HirScalar] = []
        self.names: list[str] = []
        self.rewriter: GroupRewriter | None = None

    def plan(self, order_items: Sequence[ast.OrderItem], *, keep_open: bool) -> Rows:
        select = self.select
        if select.where is not None:
            where = self._context("WHERE")
            predicates = conjuncts(where, select.where, "WHERE")
            self.relation = HirFilter(self.relation, tuple(predicates))
        self._select_list(keep_open=keep_open)
        outputs = len(self.exprs)
        having: list[HirScalar] = []
        if select.having is not None:
            context = self._context("HAVING", aggregates=True)
            having = conjuncts(context, select.having, "HAVING")
        qualify: list[HirScalar] = []
        if select.qualify is not None:
            context = self._context("QUALIFY", aggregates=True, windows=True)
            qualify = conjuncts(context, select.qualify, "QUALIFY")
        distinct_on = [self._on_item(node) for node in select.distinct_on]
        order = [self._order_item(item) for item in order_items]
        groups = self._groups()
        if groups is not None and any(map(has_table_function, groups.keys)):
            parts = (self.exprs, having, qualify, distinct_on, [expr for expr, _ in order])
            self.exprs, having, qualify, distinct_on, keys = self._expand_below(groups, parts)
            order = [(key, o) for key, (_, o) in zip(keys, order, strict=True)]
        grouped = self.aggregates.found or self.aggregates.groupings or select.having is not None
        if groups is not None or grouped:
            rewriter = self.rewriter = self._group(groups or Groups(self._group_key))
            self.exprs = [rewriter.rewrite(expr) for expr in self.exprs]
            having = [rewriter.rewrite(expr) for expr in having]
            qualify = [rewriter.rewrite(expr) for expr in qualify]
            distinct_on = [rewriter.rewrite(expr) for expr in distinct_on]
            order = [(rewriter.rewrite(expr), o) for expr, o in order]
            if having:
                self.relation = HirFilter(self.relation, tuple(having))
        extra = [*distinct_on, *(expr for expr, _ in order)]
        whole = self._compute_windows([*self.exprs, *extra, *qualify])
        self.exprs, extra = whole[:outputs], whole[outputs : outputs + len(extra)]
        if qualify:
            self.relation = HirFilter(self.relation, tuple(whole[-len(qualify) :]))
        if self.table_functions.found:
            self.exprs, extra = self._expand(self.exprs, extra)
        distinct_on, keys_of_order = extra[: len(distinct_on)], extra[len(distinct_on) :]
        rows = Rows(self.relation, self.types, self.names[:outputs], [])
        rows.outputs = [rows.add(expr) for expr in self.exprs]
        rows.group_size = self.hints.get("limit")
        orders = [item for _, item in order]
        if distinct_on:
            return self._distinct_on(rows, distinct_on, keys_of_order, orders)
        if select.distinct:
            return self._distinct(rows, keys_of_order, orders, order_items)
        rows.order_by = tuple(
            ColumnOrder(rows.add(key), item.desc, item.nulls_last)
            for key, item in zip(keys_of_order, orders, strict=True)
        )
        return rows

    def _context(
        self,
        clause: str,
        *,
        aggregates: bool = False,
        windows: bool = False,
        table_functions: bool = False,
    ) -> ExprContext:
        return ExprContext(
            self.ctx,
            self.scope,
            self.ctes,
            clause,
            aggregates=self.aggregates if aggregates else None,
            windows=windows,
            table_functions=self.table_functions if table_functions else None,
            named_windows=self.named_windows,
        )

    # --- the select list --------------------------------------------------------------------------

    def _select_list(self, *, keep_open: bool) -> None:
        # From here on, subqueries may hold aggregates that are this query's.
        self.scope.aggregates = self.aggregates
        context = self._context("SELECT", aggregates=True, windows=True, table_functions=True)
        for item in self.select.items:
            node = item.expression
            if isinstance(node, ast.Wildcard):
                self._star(node)
            elif isinstance(node, ast.QualifiedWildcard):
                self._table_star(node)
            elif isinstance(node, ast.RecordWildcard):
                self._record_star(context, node)
            else:
                expr = context.plan(node)
                if not keep_open and type_of(expr).type.base is BaseType.UNKNOWN:
                    expr = context.coerce(expr, TEXT, node.position)
                self._add(expr, item.alias or column_name(node))

    def _add(self, expr: HirScalar, name: str) -> None:
        self.exprs.append(expr)
        self.names.append(name)

    def _star(self, node: ast.Wildcard) -> None:
        if not self.select.from_:
            raise SyntaxError_(
                "SELECT * with no tables specified is not valid", position=node.position
            )
        for index in self.scope.star:
            self._add_column(index, self.scope.columns[index].name, node.position, 0, self.scope)

    def _table_star(self, node: ast.QualifiedWildcard) -> None:
        found = self.scope.find_table(node.parts, node.position)
        if found is None:
            column = self.scope.resolve(node.parts, node.position)
            if column is not None and column.type.type.base is BaseType.RECORD:
                ref = ColumnRef(column.level, column.index, column.type, column.name)
                self._add_fields(ref)
                return
            raise self.scope.missing_table(node.parts[-1], node.position)
        level, scope, table = found
        for name, index in table.columns:
            self._add_column(index, name, node.position, level, scope)

    def _add_column(self, index: int, name: str, position: int, level: int, scope: Scope) -> None:
        self.scope.note_use(level, index, position)
        self._add(ColumnRef(level, index, scope.columns[index].type, name), name)

    def _record_star(self, context: ExprContext, node: ast.RecordWildcard) -> None:
        operand = context.plan(node.operand)
        if type_of(operand).type.base is not BaseType.RECORD:
            raise WrongObjectType(
                'row expansion via "*" is not supported here', position=node.position
            )
        self._add_fields(operand)

    def _add_fields(self, operand: HirScalar) -> None:
        for number, field in enumerate(type_of(operand).type.fields):
            self._add(get_field(operand, number), field.name)

    # --- names of outputs -------------------------------------------------------------------------

    def _output(self, name: str, clause: str, position: int) -> HirScalar | None:
        """Return the output column of that name. Raises: AmbiguousColumn if they differ."""
        matches = {
            expr: None for expr, found in zip(self.exprs, self.names, strict=True) if found == name
        }
        if len(matches) > 1:
            raise AmbiguousColumn(f'column reference "{name}" is ambiguous', position=position)
        return next(iter(matches), None)

    def _ordinal(self, node: ast.Expr, clause: str) -> HirScalar | None:
        """Return the output column that a bare whole number means."""
        if not isinstance(node, ast.Number):
            if isinstance(node, ast.String | ast.Null | ast.Boolean):
                raise SyntaxError_(f"non-integer constant in {clause}", position=node.position)
            return None
        if not node.text.isdigit():
            raise SyntaxError_(f"non-integer constant in {clause}", position=node.position)
        number = int(node.text)
        if not 1 <= number <= len(self.exprs):
            raise InvalidColumnReference(
                f"column reference {number} in {clause} clause is out of range"
                f" (1 - {len(self.exprs)})",
                position=node.position,
            )
        return self.exprs[number - 1]

    def _order_item(self, item: ast.OrderItem) -> tuple[HirScalar, ColumnOrder]:
        nulls_first = item.descending if item.nulls_first is None else item.nulls_first
        order = ColumnOrder(0, item.descending, not nulls_first)
        return self._sort_key(item.expression, "ORDER BY"), order

    def _on_item(self, node: ast.Expr) -> HirScalar:
        return self._sort_key(node, "DISTINCT ON")

    def _sort_key(self, node: ast.Expr, clause: str) -> HirScalar:
        """Plan a key: an output's name wins, then an ordinal, then an expression over FROM."""
        found: HirScalar | None = None
        if isinstance(node, ast.Identifier) and len(node.parts) == 1:
            found = self._output(node.parts[0], clause, node.position)
        if found is None:
            found = self._ordinal(node, clause)
        if found is None:
            context = self._context(clause, aggregates=True, windows=True, table_functions=True)
            found = context.plan(node)
        if type_of(found).type.base is BaseType.UNKNOWN:
            found = self._context(clause).coerce(found, TEXT, node.position)
        return found

    # --- grouping ---------------------------------------------------------------------------------

    def _groups(self) -> Groups | None:
        """Return what GROUP BY says; None without one."""
        if not self.select.group_by:
            return None
        groups = Groups(self._group_key)
        groups.add(self.select.group_by)
        return groups

    def _group_key(self, node: ast.Expr) -> HirScalar:
        """Plan a group expression: a column of FROM wins over an output's name."""
        found = self._ordinal(node, "GROUP BY")
        if found is None and isinstance(node, ast.Identifier) and len(node.parts) == 1:
            column = self.scope.resolve(node.parts)
            if column is None or column.level > 0:
                found = self._output(node.parts[0], "GROUP BY", node.position)
        if found is None:
            found = self._context("GROUP BY").plan_typed(node)
        elif has_window(found):
            raise WindowingError(
                "window functions are not allowed in GROUP BY", position=node.position
            )
        elif has_mark(found):
            raise GroupingError(
                "aggregate functions are not allowed in GROUP BY", position=node.position
            )
        if type_of(found).type.base is BaseType.UNKNOWN:
            found = self._context("GROUP BY").coerce(found, TEXT, node.position)
        return found

    def _group(self, groups: Groups) -> GroupRewriter:
        """Reduce the relation. Returns: what moves expressions onto its columns."""
        self.relation, types = reduce_groups(
            self.ctx,
            self.relation,
            self.types,
            groups,
            self.aggregates,
            self.hints.get("aggregate"),
        )
        numbers = [ColumnType(INT4, False)] * len(self.aggregates.groupings)
        self.types = [*types, *numbers]
        return GroupRewriter(groups.keys, types, self.scope)

    # --- windows and table functions --------------------------------------------------------------

    def _compute_windows(self, exprs: list[HirScalar]) -> list[HirScalar]:
        """Add a column for each window function in ``exprs``. Returns: them, over the columns."""
        # One that stands inside another is computed before it.
        levels = 0
        while any(has_window(expr) for expr in exprs):
            levels += 1
            if levels > WINDOWS_NESTED_MAX:
                raise StatementTooComplex(
                    "window functions nest too deeply",
                    detail=f"Window functions may nest {WINDOWS_NESTED_MAX} levels.",
                )
            exprs = self._compute_innermost(exprs)
        return exprs

    def _compute_innermost(self, exprs: list[HirScalar]) -> list[HirScalar]:
        found: dict[WindowCall, int] = {}
        arity = len(self.types)

        def whole(expr: HirScalar, depth: int) -> HirScalar | None:
            if depth or not isinstance(expr, WindowCall):
                return None
            if any(map(has_window, expr.parts)):
                return None
            number = found.setdefault(expr, len(found))
            return ColumnRef(0, arity + number, expr.type)

        rewriter = Rewriter(lambda leaf, _: leaf, whole)
        rewritten = [rewriter.scalar(expr) if has_window(expr) else expr for expr in exprs]
        self.relation = HirMap(self.relation, tuple(found))
        self.types = [*self.types, *(call.type for call in found)]
        return rewritten

    def _expand_below(
        self, groups: Groups, parts: Sequence[list[HirScalar]]
    ) -> list[list[HirScalar]]:
        """Join the table functions to the rows before those are grouped by their results."""
        sizes = [len(part) for part in parts]
        whole = [expr for part in (*parts, list(groups.keys)) for expr in part]
        moved, _ = self._expand(whole, [])
        groups.keys = {key: number for number, key in enumerate(moved[sum(sizes) :])}
        self.table_functions.found.clear()
        taken = iter(moved)
        return [[next(taken) for _ in range(size)] for size in sizes]

    def _expand(
        self, exprs: list[HirScalar], extra: list[HirScalar]
    ) -> tuple[list[HirScalar], list[HirScalar]]:
        """Join the table functions of the select list to the rows."""
        context = self._context("SELECT", aggregates=True, table_functions=True)
        self.relation, self.types, place = expand(context, self.relation, self.types, self.rewriter)
        moved = [
            move_columns(expr, lambda index: place.get(index, index)) for expr in (*exprs, *extra)
        ]
        return moved[: len(exprs)], moved[len(exprs) :]

    # --- DISTINCT ---------------------------------------------------------------------------------

    def _distinct(
        self,
        rows: Rows,
        keys: list[HirScalar],
        orders: list[ColumnOrder],
        items: Sequence[ast.OrderItem],
    ) -> Rows:
        outputs = list(rows.outputs)
        order_by = []
        for key, order, item in zip(keys, orders, items, strict=True):
            index = rows.add(key)
            if index not in outputs:
                raise InvalidColumnReference(
                    "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                    position=item.expression.position,
                )
            order_by.append(ColumnOrder(outputs.index(index), order.desc, order.nulls_last))
        relation = project(rows.mapped(), outputs, len(rows.all_types()))
        types = [rows.column_type(index) for index in outputs]
        distinct = Rows(HirDistinct(relation), types, rows.names, list(range(len(outputs))))
        distinct.order_by = tuple(order_by)
        distinct.group_size = rows.group_size
        return distinct

    def _distinct_on(
        self,
        rows: Rows,
        keys: list[HirScalar],
        sort_keys: list[HirScalar],
        orders: list[ColumnOrder],
    ) -> Rows:
        group = list(dict.fromkeys(rows.add(key) for key in keys))
        order_by = tuple(
            ColumnOrder(rows.add(key), order.desc, order.nulls_last)
            for key, order in zip(sort_keys, orders, strict=True)
        )
        rest = set(group)
        for order in order_by:
            if not rest:
                break
            if order.column not in group:
                raise InvalidColumnReference(
                    "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
                    position=self.select.distinct_on[0].position,
                )
            rest.discard(order.column)
        one = self._context("DISTINCT ON").plan_as(ast.Number(text="1"), INT8)
        inner = tuple(order for order in order_by if order.column not in group)
        topk = HirTopK(rows.mapped(), tuple(group), inner, one, 0, self.hints.get("distinct"))
        kept = Rows(topk, rows.all_types(), rows.names, rows.outputs)
        kept.order_by = order_by
        kept.group_size = rows.group_size
        return kept


def has_mark(expr: HirScalar) -> bool:
    """Return whether an expression contains the mark of an aggregate."""
    found = False

    def see(index: int) -> int:
        nonlocal found
        found = found or GROUPING_BASE <= index < TABLE_FUNCTION_BASE
        return index

    move_columns(expr, see)
    return found


def has_table_function(expr: HirScalar) -> bool:
    """Return whether an expression contains the mark of a table function's result."""
    found = False

    def see(index: int) -> int:
        nonlocal found
        found = found or index >= TABLE_FUNCTION_BASE
        return index

    move_columns(expr, see)
    return found


def _named_windows(select: ast.Select) -> dict[str, ast.WindowSpec] | None:
    if not select.windows:
        return None
    named: dict[str, ast.WindowSpec] = {}
    for window in select.windows:
        if window.name in named:
            raise SyntaxError_(
                f'window "{window.name}" is already defined', position=window.position
            )
        named[window.name] = window.spec
    return named


def _hints(ctx: StatementContext, select: ast.Select) -> dict[str, int]:
    """Read OPTIONS. Raises: InvalidParameterValue (unknown, or the old one beside new ones)."""
    hints: dict[str, int] = {}
    for hint in select.hints:
        known = _GROUP_SIZE_HINTS.get(hint.name)
        if known is None and hint.name != _OLD_HINT:
            valid = ", ".join(name.upper() for name in _GROUP_SIZE_HINTS)
            raise InvalidParameterValue(
                f"unknown query hint {hint.name.upper()}",
                hint=f"Valid hints are {valid}.",
                position=hint.position,
            )
        if hint.value is None:
            raise InvalidParameterValue(
                f"{hint.name.upper()} requires a value", position=hint.position
            )
        context = ExprContext(ctx, Scope.empty(), {}, "OPTIONS")
        value = must_be_constant(
            context.plan_as(hint.value, UINT8, CastContext.ASSIGNMENT), "OPTIONS", hint.position
        )
        size = literal_int(value) or 0
        if known is None:
            if len(select.hints) > 1:
                raise InvalidParameterValue(
                    "EXPECTED GROUP SIZE cannot be provided simultaneously with any of"
                    " AGGREGATE INPUT GROUP SIZE, DISTINCT ON INPUT GROUP SIZE, or LIMIT INPUT"
                    " GROUP SIZE",
                    position=hint.position,
                )
            hints = dict.fromkeys(_GROUP_SIZE_HINTS.values(), size)
        else:
            hints[known] = size
    return hints
