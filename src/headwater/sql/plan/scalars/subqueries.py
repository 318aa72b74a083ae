"""Subqueries in expressions: scalar, EXISTS, IN, ANY and ALL, ARRAY, LIST, MAP.

Where only the truth of a condition counts (WHERE, ON, HAVING), IN and its kin become one EXISTS;
elsewhere NULL must be told from false, which takes a second one.
"""

from collections.abc import Callable, Sequence

from headwater.errors import SyntaxError_
from headwater.ir.functions import lookup_syntax
from headwater.ir.literals import FALSE, TRUE, literal_from_text, null_literal
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import Node
from headwater.sql.plan.calls import (
    call_operator,
    choose_function,
    conjunction,
    negation,
    truth,
)
from headwater.sql.plan.calls import is_null as call_is_null
from headwater.sql.plan.coerce import get_field, is_record_maker, require_bool
from headwater.sql.plan.context import ExprContext, Handler
from headwater.sql.plan.hir import (
    ColumnRef,
    Exists,
    HirAggregate,
    HirCall,
    HirFilter,
    HirIf,
    HirReduce,
    HirRelation,
    HirScalar,
    HirTableFunc,
    ScalarSubquery,
)
from headwater.sql.plan.hir_visit import shift
from headwater.sql.plan.overload import Choice, choose_operator
from headwater.sql.plan.scalars.operators import compare_rows
from headwater.sql.plan.scalars.rows import close_row, plan_operand
from headwater.sql.plan.scalars.rows import columns_of as _columns
from headwater.sql.plan.types import same_type, type_of
from headwater.sql.resolve.location import location
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import (
    BOOL,
    INT2,
    TEXT,
    BaseType,
    ColumnType,
    array_of,
    list_of,
    map_of,
    record_of,
)

_KERNELS = {"=": "eq", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def _plan_query(ctx: ExprContext, query: ast.Query) -> tuple[HirRelation, RelationDesc]:
    return ctx.statement.queries.subquery(ctx.statement, query, ctx.scope, ctx.ctes)


def _exists(ctx: ExprContext, node: ast.Exists) -> HirScalar:
    relation, _ = _plan_query(ctx, node.query)
    return Exists(relation)


def _scalar(ctx: ExprContext, node: ast.Subquery) -> HirScalar:
    relation, desc = _plan_query(ctx, node.query)
    if desc.arity != 1:
        raise _wrong_width(1, desc, node.position)
    return ScalarSubquery(relation, ColumnType(desc.columns[0].type, True))


def _wrong_width(expected: int, desc: RelationDesc, position: int) -> SyntaxError_:
    noun = "column" if expected == 1 else "columns"
    return SyntaxError_(
        f"Expected subselect to return {expected} {noun}, got {desc.arity} columns",
        detail=f"The subquery must return only {'one' if expected == 1 else 'two'} {noun}.",
        position=position,
    )


# --- quantified comparisons -----------------------------------------------------------------------


class Comparison:
    """``operand op ANY | ALL (relation)``: a test over each row of ``relation``."""

    __slots__ = ("is_all", "negated", "relation", "test")

    def __init__(
        self, relation: HirRelation, test: HirScalar, *, is_all: bool, negated: bool
    ) -> None:
        self.relation = relation
        self.test = test
        self.is_all = is_all
        self.negated = negated

    def value(self) -> HirScalar:
        """Return true, false or NULL, as the rows have it."""
        nullable = type_of(self.test).nullable
        if self.is_all:
            failed = self._exists(truth("is_false", self.test) if nullable else negation(self.test))
            decided, otherwise = FALSE, TRUE
        else:
            failed = self._exists(self.test)
            decided, otherwise = TRUE, FALSE
        if not nullable:
            result: HirScalar = negation(failed) if self.is_all else failed
        else:
            unknown = self._exists(call_is_null(self.test))
            result = HirIf(failed, decided, HirIf(unknown, null_literal(BOOL), otherwise))
        return negation(result) if self.negated else result

    def holds(self) -> HirScalar:
        """Return a condition that is true just where :meth:`value` is; false may stand for NULL."""
        nullable = type_of(self.test).nullable
        if self.is_all != self.negated:
            # Every row must pass (ALL), or must fail for certain (NOT … ANY).
            if self.is_all:
                spoils = negation(truth("is_true", self.test)) if nullable else negation(self.test)
            else:
                spoils = negation(truth("is_false", self.test)) if nullable else self.test
            return negation(self._exists(spoils))
        if self.is_all:
            return self._exists(truth("is_false", self.test) if nullable else negation(self.test))
        return self._exists(self.test)

    def _exists(self, predicate: HirScalar) -> HirScalar:
        return Exists(HirFilter(self.relation, (predicate,)))


def _compare(
    ctx: ExprContext,
    operand: HirScalar,
    operator: str,
    columns: Sequence[HirScalar],
    positions: Sequence[int],
    position: int,
) -> HirScalar:
    """Compare the operand, moved into the subquery, with the row's columns."""
    moved = shift(operand, 1)
    if len(columns) == 1 and not is_record_maker(operand):
        return call_operator(ctx, operator, (moved, columns[0]), positions, position)
    fields = len(type_of(operand).type.fields) if _is_record(operand) else 1
    if fields != len(columns):
        few = "few" if len(columns) < fields else "many"
        raise SyntaxError_(f"subquery has too {few} columns", position=position)
    if len(columns) == 1:
        columns_record: HirScalar = columns[0]
        moved = get_field(moved, 0)
        return call_operator(ctx, operator, (moved, columns_record), positions, position)
    kind = record_of(*((f"f{i}", type_of(c)) for i, c in enumerate(columns, 1)))
    record = HirCall("record_make", tuple(columns), ColumnType(kind, False))
    compared = compare_rows(ctx, operator, moved, record, positions, position)
    if compared is not None:
        return compared
    return call_operator(ctx, operator, (close_row(ctx, moved), record), positions, position)


def _is_record(expr: HirScalar) -> bool:
    return type_of(expr).type.base is BaseType.RECORD


def in_subquery(ctx: ExprContext, node: ast.InSubquery) -> Comparison:
    """Plan ``operand [NOT] IN (query)``."""
    operand = plan_operand(ctx, node.operand)
    relation, desc = _plan_query(ctx, node.query)
    positions = (node.operand.position, node.query.position)
    test = _compare(ctx, operand, "=", _columns(desc), positions, node.position)
    return Comparison(relation, test, is_all=False, negated=node.negated)


def any_all(ctx: ExprContext, node: ast.AnyAll) -> Comparison:
    """Plan ``operand op ANY | ALL (query or array)``."""
    operand = plan_operand(ctx, node.operand)
    positions = (node.operand.position, node.right.position)
    if isinstance(node.right, ast.Query):
        relation, desc = _plan_query(ctx, node.right)
        columns = _columns(desc)
    else:
        relation, columns = _elements(ctx, node, operand)
    test = _compare(ctx, operand, node.operator, columns, positions, node.position)
    if type_of(test).type.base is not BaseType.BOOL:
        raise SyntaxError_(
            "op ANY/ALL (array) requires operator to yield boolean", position=node.position
        )
    return Comparison(relation, test, is_all=node.is_all, negated=False)


def _elements(
    ctx: ExprContext, node: ast.AnyAll, operand: HirScalar
) -> tuple[HirRelation, tuple[HirScalar, ...]]:
    """Return the elements of an array or a list as a relation of one column."""
    assert not isinstance(node.right, ast.Query)
    container = _container(ctx, node.right, operand)
    declared = type_of(container).type
    choice = choose_function("unnest", (declared,), node.position)
    target = choice.targets[0]
    container = ctx.coerce(container, target, node.right.position)
    assert target.element is not None
    column = Column("unnest", target.element, True)
    desc = RelationDesc((column,))
    relation = HirTableFunc(choice.signature.kernel, (shift(container, 1),), desc)
    return relation, _columns(desc)


def _container(ctx: ExprContext, node: ast.Expr, operand: HirScalar) -> HirScalar:
    """Plan the right side of ANY or ALL; open literals become arrays of the operand's type."""
    container = ctx.plan(node)
    declared = type_of(container).type
    if declared.base is BaseType.UNKNOWN:
        element = type_of(operand).type
        element = TEXT if element.base is BaseType.UNKNOWN else element.without_modifier()
        return ctx.coerce(container, array_of(element), node.position)
    if declared.base is BaseType.INT2VECTOR:
        return ctx.coerce(container, array_of(INT2), node.position)
    if declared.base not in (BaseType.ARRAY, BaseType.LIST):
        raise SyntaxError_(
            "op ANY/ALL (array) requires array on right side", position=node.position
        )
    return container


def _value(plan: Callable[[ExprContext, ast.InSubquery], Comparison]) -> Handler:
    return lambda ctx, node: plan(ctx, node).value()


def _any_all_value(ctx: ExprContext, node: ast.AnyAll) -> HirScalar:
    if isinstance(node.right, ast.Query) or node.operator not in _KERNELS:
        return any_all(ctx, node).value()
    if isinstance(node.right, ast.ArrayExpr) and node.right.items:
        return _listed(ctx, node)
    return _over_container(ctx, node)


def _over_container(ctx: ExprContext, node: ast.AnyAll) -> HirScalar:
    """Plan a comparison with the elements of an array or a list by one kernel."""
    assert not isinstance(node.right, ast.Query)
    operand = ctx.plan(node.operand)
    container = _container(ctx, node.right, operand)
    element = type_of(container).type.element
    assert element is not None
    types = (type_of(operand).type, element)
    choice = choose_operator(node.operator, types)
    if not isinstance(choice, Choice) or not same_type(choice.targets[1], element):
        # The elements have to be converted, or the error to be told: row by row.
        return any_all(ctx, node).value()
    operand = ctx.coerce(operand, choice.targets[0], node.operand.position)
    kernel = f"{'all' if node.is_all else 'any'}_{_KERNELS[node.operator]}"
    return HirCall(kernel, (operand, container), ColumnType(BOOL, True))


def _listed(ctx: ExprContext, node: ast.AnyAll) -> HirScalar:
    """Plan ``x op ANY (ARRAY[…])`` of written elements as a disjunction of comparisons."""
    assert isinstance(node.right, ast.ArrayExpr)
    operand = ctx.plan(node.operand)
    array = ctx.plan(node.right)
    element = type_of(array).type.element
    if element is None or any(isinstance(item, ast.ArrayExpr) for item in node.right.items):
        return any_all(ctx, node).value()
    tests = []
    for item in node.right.items:
        member = ctx.coerce(ctx.plan(item), element, item.position)
        positions = (node.operand.position, item.position)
        tests.append(call_operator(ctx, node.operator, (operand, member), positions, node.position))
    if len(tests) == 1:
        return tests[0]
    nullable = any(type_of(test).nullable for test in tests)
    return HirCall("and" if node.is_all else "or", tuple(tests), ColumnType(BOOL, nullable))


# --- conditions -----------------------------------------------------------------------------------


def conjuncts(ctx: ExprContext, node: ast.Expr, clause: str) -> list[HirScalar]:
    """Plan a condition of which only the truth counts, as the conditions that must all hold."""
    stack, found = [node], []
    while stack:
        top = stack.pop()
        if isinstance(top, ast.And):
            stack.extend(reversed(top.operands))
        else:
            found.append(_holds(ctx, top, clause))
    return found


def condition(ctx: ExprContext, node: ast.Expr, clause: str) -> HirScalar:
    """Plan a condition of which only the truth counts."""
    return conjunction(conjuncts(ctx, node, clause))


def _holds(ctx: ExprContext, node: ast.Expr, clause: str) -> HirScalar:
    inner, negated = node, False
    while isinstance(inner, ast.Not):
        inner, negated = inner.operand, not negated
    if isinstance(inner, ast.InSubquery):
        comparison = in_subquery(ctx, inner)
        comparison.negated ^= negated
        return comparison.holds()
    if isinstance(inner, ast.AnyAll) and isinstance(inner.right, ast.Query):
        comparison = any_all(ctx, inner)
        comparison.negated ^= negated
        return comparison.holds()
    return require_bool(ctx.plan(node), clause, ctx.statement, location(node))


# --- containers of a query's rows -----------------------------------------------------------------


def _gathered(
    ctx: ExprContext, node: ast.ArrayQuery | ast.ListQuery | ast.MapQuery, name: str, width: int
) -> HirScalar:
    """Plan ``ARRAY(query)`` and its kin: an aggregate over the rows in the query's order."""
    ordered = ctx.statement.queries.ordered_subquery(ctx.statement, node.query, ctx.scope, ctx.ctes)
    desc = ordered.desc
    if desc.arity != width:
        raise _wrong_width(width, desc, node.position)
    columns = _columns(desc)
    value_type = desc.columns[-1].type
    if name == "map_agg":
        if desc.columns[0].type.base is not BaseType.TEXT:
            raise SyntaxError_("expected type text for the map's keys", position=node.position)
        result = map_of(value_type)
    elif name == "list_agg":
        result = list_of(value_type)
    elif value_type.base is BaseType.ARRAY:
        result, name = value_type, "array_agg"
    else:
        result = array_of(value_type)
    kernel = "array_agg_array" if value_type.base is BaseType.ARRAY and width == 1 else name
    kernel = kernel if result.base is BaseType.ARRAY else name
    keys = tuple(
        ColumnRef(0, order.column, ordered.types[order.column]) for order in ordered.order_by
    )
    expr: HirScalar = columns[0]
    order_by = ordered.order_by
    if width > 1 or keys:
        members = (*columns, *keys)
        kind = record_of(*((f"f{i}", type_of(m)) for i, m in enumerate(members, 1)))
        expr = HirCall("record_make", members, ColumnType(kind, False))
        order_by = ordered.renumbered(width)
    aggregate = HirAggregate(kernel, expr, ColumnType(result, True), False, order_by)
    reduced = HirReduce(ordered.relation, (), (aggregate,))
    gathered = ScalarSubquery(reduced, ColumnType(result, True))
    empty = literal_from_text("{}", result)
    return HirCall(lookup_syntax("coalesce").kernel, (gathered, empty), ColumnType(result, False))


HANDLERS: dict[type[Node], Handler] = {
    ast.Exists: _exists,
    ast.Subquery: _scalar,
    ast.InSubquery: _value(in_subquery),
    ast.AnyAll: _any_all_value,
    ast.ArrayQuery: lambda ctx, node: _gathered(ctx, node, "array_agg", 1),
    ast.ListQuery: lambda ctx, node: _gathered(ctx, node, "list_agg", 1),
    ast.MapQuery: lambda ctx, node: _gathered(ctx, node, "map_agg", 2),
}
