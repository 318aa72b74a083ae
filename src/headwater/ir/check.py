"""The checker of relational plans: what every transform must leave true.

It is for tests and for debugging (``HEADWATER_DEBUG=plan``): it walks the whole plan and raises
:class:`InternalError` at the first operator that is not well formed. Checked are column references,
arities, types of union branches and join classes, booleans where conditions stand, bindings of
locals, and that keys name columns.
"""

from headwater.errors import InternalError
from headwater.ir import kernels
from headwater.ir.relation import (
    ArrangeBy,
    Constant,
    Filter,
    FlatMap,
    Get,
    Join,
    JoinKind,
    Let,
    LetRec,
    LocalId,
    Map,
    Project,
    Reduce,
    RelationExpr,
    TopK,
    Union,
    Window,
)
from headwater.ir.rows import split_row
from headwater.ir.scalar import Call, Column, If, Literal, ScalarExpr
from headwater.ir.typing import Typer, Types, arity, scalar_type
from headwater.ir.visit import columns_of, inputs_of, walk_scalar

Bound = dict[int, int]  # local id -> arity of its value


def check_plan(expr: RelationExpr, expected: Types | None = None) -> None:
    """Check ``expr``, and that its columns have the types ``expected``, nullability aside.

    Raises:
        InternalError: It is not well formed; the detail names the operator.
    """
    typer = Typer()
    _check(expr, {}, typer)
    if expected is not None:
        _same_types(expr, expected, typer.types(expr))


def _fail(node: RelationExpr, message: str, **fields: object) -> None:
    detail = ", ".join(f"{name} = {value!r}" for name, value in fields.items())
    raise InternalError(message, detail=f"{type(node).__name__}: {detail}")


def _check(expr: RelationExpr, bound: Bound, typer: Typer) -> None:
    if isinstance(expr, Let):
        if expr.id in bound:
            _fail(expr, "local id is bound twice", id=expr.id)
        _check(expr.value, bound, typer)
        _check(expr.body, {**bound, expr.id: arity(expr.value)}, typer)
        return
    if isinstance(expr, LetRec):
        inside = {
            **bound,
            **{number: desc.arity for number, desc in zip(expr.ids, expr.descs, strict=True)},
        }
        for value, desc in zip(expr.values, expr.descs, strict=True):
            _check(value, inside, typer)
            _same_types(expr, desc.types, typer.types(value))
        _check(expr.body, inside, typer)
        return
    for child in inputs_of(expr):
        _check(child, bound, typer)
    _check_node(expr, bound, typer)
    width = arity(expr)
    if len(typer.types(expr)) != width:
        _fail(expr, "types and arity differ", types=len(typer.types(expr)), arity=width)
    for key in typer.keys(expr):
        if any(not 0 <= column < width for column in key):
            _fail(expr, "key names a column that is not there", key=key)


def _check_node(  # noqa: C901, PLR0912 -- one case an operator
    expr: RelationExpr, bound: Bound, typer: Typer
) -> None:
    match expr:
        case Constant():
            for row, _ in expr.rows:
                if len(split_row(row)) != expr.desc.arity:
                    _fail(expr, "row has another arity than its constant")
        case Get(id=LocalId(id=number)):
            if bound.get(number) != expr.desc.arity:
                _fail(expr, "local is not bound, or has another arity", id=number)
        case Project():
            width = arity(expr.input)
            if any(not 0 <= output < width for output in expr.outputs):
                _fail(expr, "projection of a column that is not there", outputs=expr.outputs)
        case Map():
            types = list(typer.types(expr.input))
            for scalar in expr.scalars:
                _check_scalar(expr, scalar, tuple(types))
                types.append(scalar_type(scalar, tuple(types)))
        case Filter():
            for predicate in expr.predicates:
                _check_condition(expr, predicate, typer.types(expr.input))
        case FlatMap():
            for scalar in expr.exprs:
                _check_scalar(expr, scalar, typer.types(expr.input))
        case Join():
            _check_join(expr, typer)
        case Reduce():
            types_ = typer.types(expr.input)
            for scalar in (*expr.group_key, *(item.expr for item in expr.aggregates)):
                _check_scalar(expr, scalar, types_)
        case TopK():
            _check_top_k(expr, typer)
        case Window():
            _check_window(expr)
        case Union():
            for member in expr.inputs[1:]:
                _same_types(expr, typer.types(expr.inputs[0]), typer.types(member))
        case ArrangeBy():
            for key in expr.keys:
                for scalar in key:
                    _check_scalar(expr, scalar, typer.types(expr.input))
        case _:
            pass


def _check_join(expr: Join, typer: Typer) -> None:
    types = tuple(column for member in expr.inputs for column in typer.types(member))
    for members in expr.equivalences:
        for item in members:
            _check_scalar(expr, item, types)
        bases = {scalar_type(item, types).type.base for item in members}
        if len(bases) > 1:
            _fail(expr, "join class of several types", members=members)
    if expr.implementation.kind is JoinKind.UNIMPLEMENTED:
        return
    for order in expr.implementation.orders:
        if sorted(step.input for step in order) != list(range(len(expr.inputs))):
            _fail(expr, "join order does not visit each input once")
        for step in order:
            for item in step.key:
                _check_scalar(expr, item, typer.types(expr.inputs[step.input]))


def _check_top_k(expr: TopK, typer: Typer) -> None:
    types = typer.types(expr.input)
    columns = (*expr.group_key, *(item.column for item in expr.order_key))
    if any(not 0 <= column < len(types) for column in columns):
        _fail(expr, "top-k names a column that is not there", columns=columns)
    if expr.limit is not None:
        _check_scalar(expr, expr.limit, types)
        if not columns_of(expr.limit) <= set(expr.group_key):
            _fail(expr, "limit reads a column that is not of the group key", limit=expr.limit)


def _check_window(expr: Window) -> None:
    width = arity(expr.input)
    columns = [*expr.partition, *(item.column for item in expr.order)]
    for function in expr.functions:
        for bound in (function.frame.start, function.frame.end):
            columns.extend([] if bound.column is None else [bound.column])
        columns.extend([] if function.filter is None else [function.filter])
        for arg in function.args:
            if not isinstance(arg, Column | Literal):
                _fail(expr, "argument of a window function is computed", arg=arg)
            columns.extend(columns_of(arg))
    if any(not 0 <= column < width for column in columns):
        _fail(expr, "window names a column that is not there", columns=columns)


def _check_condition(node: RelationExpr, expr: ScalarExpr, types: Types) -> None:
    _check_scalar(node, expr, types)
    if not kernels.is_boolean(scalar_type(expr, types)):
        _fail(node, "condition is not boolean", expr=expr)


def _check_scalar(node: RelationExpr, expr: ScalarExpr, types: Types) -> None:
    if any(not 0 <= column < len(types) for column in columns_of(expr)):
        _fail(node, "expression names a column that is not there", expr=expr)
    for part in walk_scalar(expr):
        if isinstance(part, Literal) and len(split_row(part.data)) != 1:
            _fail(node, "literal is not one datum", data=part.data)
        if isinstance(part, If) and not kernels.is_boolean(scalar_type(part.cond, types)):
            _fail(node, "condition is not boolean", expr=part.cond)
        if isinstance(part, Call) and part.func in (kernels.AND, kernels.OR, kernels.NOT):
            for arg in part.args:
                if not kernels.is_boolean(scalar_type(arg, types)):
                    _fail(node, "operand is not boolean", expr=arg)


def _same_types(node: RelationExpr, expected: Types, found: Types) -> None:
    if [column.type.base for column in expected] != [column.type.base for column in found]:
        _fail(
            node,
            "column types differ",
            expected=[column.type.base.value for column in expected],
            found=[column.type.base.value for column in found],
        )
