"""Only columns that somebody reads are computed and carried.

Each operator is rewritten to yield exactly the columns asked for. What is read of a local binding
is collected over all its uses before its value is rewritten.
"""

from collections.abc import Iterable

from headwater.ir import kernels
from headwater.ir.functions import AggregateClass, aggregate_class
from headwater.ir.relation import (
    ArrangeBy,
    Constant,
    ConstantError,
    Filter,
    FlatMap,
    FrameExclusion,
    FrameUnits,
    Get,
    Join,
    Let,
    LetRec,
    LocalId,
    Map,
    Negate,
    Project,
    Reduce,
    RelationExpr,
    Threshold,
    TopK,
    Union,
    Window,
    WindowFunction,
)
from headwater.ir.scalar import ScalarExpr
from headwater.ir.typing import arity
from headwater.ir.visit import (
    columns_of,
    columns_of_all,
    columns_of_window_function,
    map_inputs,
    remap,
    remap_window_function,
    replace,
)
from headwater.sql.optimize.context import OptimizerContext
from headwater.types.relation import RelationDesc

Columns = list[int]

_SAME_FOR_PEERS = frozenset({"rank", "dense_rank", "percent_rank", "cume_dist"})


def push_projections(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` carrying no column that is not read."""
    pusher = _Pusher(context)
    return pusher.narrow(expr, list(range(arity(expr))))


class _Pusher:
    def __init__(self, context: OptimizerContext) -> None:
        self.typer = context.typer
        self.read: dict[int, set[int]] = {}

    def narrow(  # noqa: C901, PLR0912 -- one case an operator
        self, expr: RelationExpr, wanted: Columns
    ) -> RelationExpr:
        """Return a relation of exactly the columns ``wanted`` of ``expr``, in that order."""
        match expr:
            case Get():
                if isinstance(expr.id, LocalId):
                    self.read.setdefault(expr.id.id, set()).update(wanted)
                return _project(expr, wanted)
            case Constant() | ConstantError():
                return _project(expr, wanted)
            case Project():
                return self.narrow(expr.input, [expr.outputs[column] for column in wanted])
            case Map():
                return self._map(expr, wanted)
            case Filter():
                needed = _ordered(set(wanted) | columns_of_all(expr.predicates))
                inner = self.narrow(expr.input, needed)
                place = _places(needed)
                predicates = tuple(remap(item, place) for item in expr.predicates)
                rebuilt = _keep(expr, Filter(inner, predicates), inner is expr.input)
                return _project(rebuilt, [place[column] for column in wanted])
            case Join():
                return self._join(expr, wanted)
            case FlatMap():
                return self._flat_map(expr, wanted)
            case Reduce():
                return self._reduce(expr, wanted)
            case TopK():
                return self._top_k(expr, wanted)
            case Window():
                return self._window(expr, wanted)
            case Union():
                inputs = tuple(self.narrow(member, wanted) for member in expr.inputs)
                return _keep(
                    expr,
                    Union(inputs),
                    all(new is old for new, old in zip(inputs, expr.inputs, strict=True)),
                )
            case Negate():
                inner = self.narrow(expr.input, wanted)
                return _keep(expr, Negate(inner), inner is expr.input)
            case Threshold() | ArrangeBy():
                inner = self.narrow(expr.input, list(range(arity(expr))))
                rebuilt = expr if inner is expr.input else replace(expr, input=inner)
                return _project(rebuilt, wanted)
            case Let():
                return self._let(expr, wanted)
            case LetRec():
                values = tuple(
                    self.narrow(value, list(range(arity(value)))) for value in expr.values
                )
                body = self.narrow(expr.body, wanted)
                unchanged = body is expr.body and all(
                    new is old for new, old in zip(values, expr.values, strict=True)
                )
                return expr if unchanged else replace(expr, values=values, body=body)

    def _map(self, expr: Map, wanted: Columns) -> RelationExpr:
        width = arity(expr.input)
        needed = set(wanted)
        for index in range(len(expr.scalars) - 1, -1, -1):
            if width + index in needed:
                needed |= columns_of(expr.scalars[index])
        below = _ordered(column for column in needed if column < width)
        inner = self.narrow(expr.input, below)
        place = _places(below)
        scalars: list[ScalarExpr] = []
        for index, scalar in enumerate(expr.scalars):
            if width + index in needed:
                scalars.append(remap(scalar, place))
                place[width + index] = len(below) + len(scalars) - 1
        if not scalars:
            return _project(inner, [place[column] for column in wanted])
        unchanged = inner is expr.input and len(scalars) == len(expr.scalars)
        rebuilt = _keep(expr, Map(inner, tuple(scalars)), unchanged)
        return _project(rebuilt, [place[column] for column in wanted])

    def _join(self, expr: Join, wanted: Columns) -> RelationExpr:
        needed = set(wanted)
        for members in expr.equivalences:
            needed |= columns_of_all(members)
        place: dict[int, int] = {}
        inputs = []
        offset = 0
        for member in expr.inputs:
            width = arity(member)
            local = [column for column in range(width) if offset + column in needed]
            for column in local:
                place[offset + column] = len(place)
            inputs.append(self.narrow(member, local))
            offset += width
        unchanged = len(place) == offset and all(
            new is old for new, old in zip(inputs, expr.inputs, strict=True)
        )
        rebuilt = expr
        if not unchanged:
            classes = tuple(
                tuple(remap(item, place) for item in members) for members in expr.equivalences
            )
            rebuilt = replace(expr, inputs=tuple(inputs), equivalences=classes)
        return _project(rebuilt, [place[column] for column in wanted])

    def _flat_map(self, expr: FlatMap, wanted: Columns) -> RelationExpr:
        width = arity(expr.input)
        needed = {column for column in wanted if column < width} | columns_of_all(expr.exprs)
        below = _ordered(needed)
        inner = self.narrow(expr.input, below)
        place = _places(below)
        exprs = tuple(remap(item, place) for item in expr.exprs)
        for index in range(len(expr.columns)):
            place[width + index] = len(below) + index
        rebuilt = _keep(expr, replace(expr, input=inner, exprs=exprs), inner is expr.input)
        return _project(rebuilt, [place[column] for column in wanted])

    def _reduce(self, expr: Reduce, wanted: Columns) -> RelationExpr:
        width = len(expr.group_key)
        asked = set(wanted)
        kept = [number for number in range(len(expr.aggregates)) if width + number in asked]
        aggregates = [expr.aggregates[number] for number in kept]
        below = _ordered(
            columns_of_all(expr.group_key)
            | columns_of_all(aggregate.expr for aggregate in aggregates)
        )
        inner = self.narrow(expr.input, below)
        place = _places(below)
        unchanged = inner is expr.input and len(kept) == len(expr.aggregates)
        rebuilt: RelationExpr = expr
        if not unchanged:
            rebuilt = replace(
                expr,
                input=inner,
                group_key=tuple(remap(key, place) for key in expr.group_key),
                aggregates=tuple(
                    kernels.with_expr(aggregate, remap(aggregate.expr, place))
                    for aggregate in aggregates
                ),
            )
        outputs = {column: column for column in range(width)}
        outputs.update({width + number: width + new for new, number in enumerate(kept)})
        return _project(rebuilt, [outputs[column] for column in wanted])

    def _top_k(self, expr: TopK, wanted: Columns) -> RelationExpr:
        needed = _ordered({*wanted, *expr.group_key, *(key.column for key in expr.order_key)})
        inner = self.narrow(expr.input, needed)
        place = _places(needed)
        rebuilt = expr
        if inner is not expr.input:
            rebuilt = replace(
                expr,
                input=inner,
                group_key=tuple(place[column] for column in expr.group_key),
                limit=None if expr.limit is None else remap(expr.limit, place),
                order_key=tuple(replace(key, column=place[key.column]) for key in expr.order_key),
            )
        return _project(rebuilt, [place[column] for column in wanted])

    def _window(self, expr: Window, wanted: Columns) -> RelationExpr:
        """Drop functions that nobody reads, and the operator where none is left.

        Ties are broken by whole rows: where that matters all columns stay, so that a view says the
        same of a row whatever is read of it.
        """
        width = arity(expr.input)
        asked = set(wanted)
        kept = [number for number in range(len(expr.functions)) if width + number in asked]
        if not kept:
            return self.narrow(expr.input, wanted)
        functions = [expr.functions[number] for number in kept]
        read = {column for item in functions for column in columns_of_window_function(item)}
        read |= {*expr.partition, *(key.column for key in expr.order)}
        if any(map(_sees_ties, functions)) and not self._is_total(expr):
            read.update(range(width))
        below = _ordered(read | {column for column in asked if column < width})
        inner = self.narrow(expr.input, below)
        place = _places(below)
        rebuilt = expr
        if inner is not expr.input or len(kept) < len(expr.functions):
            rebuilt = Window(
                inner,
                tuple(place[column] for column in expr.partition),
                tuple(replace(key, column=place[key.column]) for key in expr.order),
                tuple(remap_window_function(item, place) for item in functions),
            )
        place.update({width + number: len(below) + new for new, number in enumerate(kept)})
        return _project(rebuilt, [place[column] for column in wanted])

    def _is_total(self, expr: Window) -> bool:
        """Return whether no two rows of a partition are peers."""
        ordered = {*expr.partition, *(key.column for key in expr.order)}
        return any(ordered.issuperset(key) for key in self.typer.keys(expr.input))

    def _let(self, expr: Let, wanted: Columns) -> RelationExpr:
        outside = self.read.pop(expr.id, None)
        body = self.narrow(expr.body, wanted)
        read = _ordered(self.read.pop(expr.id, set()))
        if outside is not None:
            self.read[expr.id] = outside
        width = arity(expr.value)
        value = self.narrow(expr.value, read)
        if len(read) < width:
            body = _narrow_gets(body, expr.id, self.typer.desc(value), _places(read))
        if value is expr.value and body is expr.body:
            return expr
        return Let(expr.id, value, body)


def _sees_ties(function: WindowFunction) -> bool:
    """Return whether peers may get different values."""
    if function.func in _SAME_FOR_PEERS:
        return False
    if aggregate_class(function.func) is AggregateClass.BASIC:
        return True
    exclusion = function.frame.exclusion
    by_row = exclusion in (FrameExclusion.CURRENT_ROW, FrameExclusion.TIES)
    return by_row or function.frame.units is FrameUnits.ROWS


def _narrow_gets(
    expr: RelationExpr, number: int, desc: RelationDesc, place: dict[int, int]
) -> RelationExpr:
    """Point every use of local ``number``, all under projections, to its fewer columns."""
    new = Get(LocalId(number), desc)

    def visit(node: RelationExpr) -> RelationExpr:
        if isinstance(node, Project) and _is_local(node.input, number):
            return _project(new, [place[column] for column in node.outputs])
        return map_inputs(node, visit)

    return visit(expr)


def _is_local(expr: RelationExpr, number: int) -> bool:
    return isinstance(expr, Get) and expr.id == LocalId(number)


def _project(expr: RelationExpr, outputs: Columns) -> RelationExpr:
    if outputs == list(range(arity(expr))):
        return expr
    return Project(expr, tuple(outputs))


def _keep(old: RelationExpr, new: RelationExpr, unchanged: bool) -> RelationExpr:
    return old if unchanged else new


def _ordered(columns: Iterable[int]) -> Columns:
    return sorted(columns)


def _places(columns: Iterable[int]) -> dict[int, int]:
    return {column: number for number, column in enumerate(columns)}
