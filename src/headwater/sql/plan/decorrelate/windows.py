"""Window functions, made of grouping, lists and joins.

The rows of a partition are gathered into a list in the window's order and taken out again with
their position ``i``; whole rows break ties, so that the answer is definite. ``row_number`` is the
position, ``lag`` and its like read the list at another one. ``rank`` and frames that end at peers
need the first and last position of rows equal in the order: a grouping joined back. An aggregate
over the whole partition is a grouping joined back; over another frame it is a grouping of the pairs
of rows of a partition whose positions lie in the frame (quadratic in the partition, but exact).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.errors import FeatureNotSupported
from headwater.ir import kernels
from headwater.ir.literals import int_literal
from headwater.ir.relation import Filter, FlatMap, Get, Map, Reduce, RelationExpr, Union
from headwater.ir.scalar import AggregateExpr, Call, Column, ColumnOrder, If, ScalarExpr
from headwater.ir.typing import arity
from headwater.sql.plan.decorrelate.build import (
    distinct,
    join_on_columns,
    minus,
    project,
)
from headwater.sql.plan.decorrelate.scalars import lower_scalar
from headwater.sql.plan.decorrelate.scope import Context, Scope
from headwater.sql.plan.hir import FrameBound, FrameBoundKind, FrameUnits, WindowCall
from headwater.types.scalar import INT4, INT8, ColumnType, ScalarType, list_of, record_of

_POSITION = ColumnType(INT8, nullable=False)
_ONE = kernels.int8_literal(1)
_BY_POSITION = frozenset({"row_number", "lag", "lead", "first_value", "last_value"})
_RANKS = frozenset({"rank", "dense_rank"})
_OPEN = (FrameBoundKind.UNBOUNDED_PRECEDING, FrameBoundKind.UNBOUNDED_FOLLOWING)


@dataclass(frozen=True, slots=True)
class _Window:
    """The window's columns in ``rows``: which are the partition, the order, the arguments."""

    rows: Get
    width: int  # columns of the rows as they came, before those that the window computes
    partition: tuple[int, ...]
    order: tuple[ColumnOrder, ...]
    args: tuple[int, ...]

    @property
    def peers(self) -> tuple[int, ...]:
        """Return the columns in which peers are equal."""
        return tuple(dict.fromkeys((*self.partition, *(key.column for key in self.order))))


def lower_window(
    context: Context, call: WindowCall, scope: Scope, inner: RelationExpr, prefix: int
) -> RelationExpr:
    """Return ``inner`` followed by the value of ``call`` for each row.

    The first ``prefix`` columns are the context's: rows of different ones never meet.

    Raises:
        FeatureNotSupported: IGNORE NULLS; frames by distance (RANGE n, GROUPS n).
    """
    if call.ignore_nulls:
        raise FeatureNotSupported("IGNORE NULLS is not supported")
    for bound in (call.frame.start, call.frame.end):
        by_distance = bound.kind in (FrameBoundKind.PRECEDING, FrameBoundKind.FOLLOWING)
        if by_distance and call.frame.units is not FrameUnits.ROWS:
            raise FeatureNotSupported("RANGE and GROUPS frames by distance are not supported")
    width = arity(inner)
    partition = list(range(prefix))
    for expr in call.partition_by:
        value, inner = lower_scalar(context, expr, scope, inner)
        inner = Map(inner, (value,))
        partition.append(arity(inner) - 1)
    order = []
    for expr, desc, nulls_last in call.order_by:
        value, inner = lower_scalar(context, expr, scope, inner)
        inner = Map(inner, (value,))
        order.append(ColumnOrder(arity(inner) - 1, desc, nulls_last))
    args = []
    for expr in call.args:
        value, inner = lower_scalar(context, expr, scope, inner)
        inner = Map(inner, (value,))
        args.append(arity(inner) - 1)

    def over(rows: Get) -> RelationExpr:
        window = _Window(rows, width, tuple(partition), tuple(order), tuple(args))
        result = _value(context, call, window)
        return project(result, (*range(width), arity(result) - 1))

    return context.bind(inner, over)


def _value(context: Context, call: WindowCall, window: _Window) -> RelationExpr:
    """Return the window's rows, maybe with columns after them, and last the value of ``call``."""
    if call.func == "dense_rank":
        return _dense_rank(context, window)
    if call.func not in _BY_POSITION | _RANKS and _is_whole(call, window):
        return _over_partition(context, call, window)
    numbered = _numbered(context, window)
    if call.func == "row_number":
        return project(numbered, (*range(arity(window.rows)), arity(numbered) - 1))
    if call.func in ("lag", "lead"):
        return Map(numbered, (_shifted(call, window),))
    with_peers = _with_peers(context, window, numbered)
    if call.func == "rank":
        return project(with_peers, (*range(arity(window.rows)), arity(with_peers) - 2))
    if call.func in _BY_POSITION:
        return Map(with_peers, (_at_frame_end(call, window),))
    return _over_frame(context, call, window, with_peers)


def _is_whole(call: WindowCall, window: _Window) -> bool:
    """Return whether each row's frame is its whole partition."""
    start, end = call.frame.start.kind, call.frame.end.kind
    if (start, end) == _OPEN:
        return True
    by_peers = call.frame.units is not FrameUnits.ROWS and not window.order
    return by_peers and all(kind in (*_OPEN, FrameBoundKind.CURRENT_ROW) for kind in (start, end))


# Positions. Columns of a numbered relation: the window's rows, the partition's list, the position.


def _numbered(context: Context, window: _Window) -> RelationExpr:
    width = arity(window.rows)
    types = context.typer.types(window.rows)
    row_type = record_of(*((f"f{number}", type_) for number, type_ in enumerate(types)))
    row = Call(
        kernels.RECORD,
        tuple(Column(column) for column in range(width)),
        ColumnType(row_type, nullable=False),
    )
    keys: list[ScalarExpr] = [*(Column(key.column) for key in window.order), row]
    element = record_of(
        ("row", ColumnType(row_type, nullable=False)),
        *((f"k{number}", types[key.column]) for number, key in enumerate(window.order)),
        ("tie", ColumnType(row_type, nullable=False)),
    )
    gathered = AggregateExpr(
        "list_agg",
        Call(kernels.RECORD, (row, *keys), ColumnType(element, nullable=False)),
        ColumnType(list_of(row_type), nullable=False),
        order_by=(
            *(
                ColumnOrder(number + 1, key.desc, key.nulls_last)
                for number, key in enumerate(window.order)
            ),
            ColumnOrder(len(window.order) + 1),
        ),
    )
    group = tuple(Column(column) for column in window.partition)
    lists = Reduce(window.rows, group, (gathered,))
    held = len(group)
    positions = FlatMap(
        lists,
        "generate_series_int8_int8",
        (_ONE, _length(Column(held))),
        (_POSITION,),
    )
    item = _item(Column(held), Column(held + 1), row_type)
    fields = tuple(_field(item, column, type_) for column, type_ in enumerate(types))
    taken = Map(positions, fields)
    first = held + 2
    return project(taken, (*range(first, first + width), held, held + 1))


def _length(values: ScalarExpr) -> ScalarExpr:
    length = Call("list_length_list", (values,), ColumnType(INT4, nullable=False))
    return Call("cast_int4_int8", (length,), _POSITION)


def _item(values: ScalarExpr, position: ScalarExpr, row_type: ScalarType) -> ScalarExpr:
    return Call("list_index", (values, position), ColumnType(row_type))


def _field(item: ScalarExpr, column: int, type_: ColumnType) -> ScalarExpr:
    return Call(kernels.RECORD_GET, (item, kernels.int8_literal(column)), type_)


def _add(left: ScalarExpr, right: ScalarExpr) -> ScalarExpr:
    return Call("add_int8_int8", (left, right), _POSITION)


def _subtract(left: ScalarExpr, right: ScalarExpr) -> ScalarExpr:
    return Call("sub_int8_int8", (left, right), _POSITION)


def _compare(func: str, left: ScalarExpr, right: ScalarExpr) -> ScalarExpr:
    return Call(func, (left, right), kernels.BOOL_OR_NULL)


def _read(call: WindowCall, window: _Window, position: ScalarExpr) -> ScalarExpr:
    """Return the first argument's value in the row at ``position`` of a numbered partition."""
    width = arity(window.rows)
    item = _item(Column(width), position, record_of())
    return _field(item, window.args[0], ColumnType(call.type.type))


def _shifted(call: WindowCall, window: _Window) -> ScalarExpr:
    width = arity(window.rows)
    here: ScalarExpr = Column(width + 1)
    step: ScalarExpr = _ONE
    if len(window.args) > 1:
        step = Call("cast_int4_int8", (Column(window.args[1]),), ColumnType(INT8))
    move = _subtract if call.func == "lag" else _add
    position = move(here, step)
    inside = kernels.conjunction(
        (
            _compare(kernels.GTE, position, _ONE),
            _compare(kernels.LTE, position, _length(Column(width))),
        )
    )
    default: ScalarExpr = kernels.null_of(call.type.type)
    if len(window.args) > 2:
        # An unknown distance yields NULL, not the default.
        known = kernels.is_null(step)
        default = If(known, default, Column(window.args[2]))
    return If(inside, _read(call, window, position), default)


# Peers. After the numbered columns: the first and the last position of the row's peers.


def _with_peers(context: Context, window: _Window, numbered: RelationExpr) -> RelationExpr:
    width = arity(numbered)

    def joined(rows: Get) -> RelationExpr:
        extremes = tuple(
            AggregateExpr(func, Column(width - 1), _POSITION) for func in ("min", "max")
        )
        group = tuple(Column(column) for column in window.peers)
        peers = Reduce(rows, group, extremes)
        pairs = [(column, number) for number, column in enumerate(window.peers)]
        both = join_on_columns(context, rows, peers, pairs)
        first = width + len(group)
        return project(both, (*range(width), first, first + 1))

    return context.bind(numbered, joined)


def _dense_rank(context: Context, window: _Window) -> RelationExpr:
    """The position of the row's peers among the distinct peers of the partition."""
    width = arity(window.rows)
    groups = distinct(project(window.rows, window.peers))
    place = {column: number for number, column in enumerate(window.peers)}

    def joined(peers: Get) -> RelationExpr:
        inner = _Window(
            peers,
            arity(peers),
            tuple(place[column] for column in window.partition),
            tuple(ColumnOrder(place[key.column], key.desc, key.nulls_last) for key in window.order),
            (),
        )
        numbered = _numbered(context, inner)
        pairs = [(column, place[column]) for column in window.peers]
        both = join_on_columns(context, window.rows, numbered, pairs)
        return project(both, (*range(width), arity(both) - 1))

    return context.bind(groups, joined)


# Frames.


def _bound(bound: FrameBound, units: FrameUnits, window: _Window, *, is_start: bool) -> ScalarExpr:
    """Return the position at which the frame begins or ends; it may lie outside the partition."""
    width = arity(window.rows)
    here, first_peer, last_peer = Column(width + 1), Column(width + 2), Column(width + 3)
    match bound.kind:
        case FrameBoundKind.UNBOUNDED_PRECEDING:
            return _ONE
        case FrameBoundKind.UNBOUNDED_FOLLOWING:
            return _length(Column(width))
        case FrameBoundKind.PRECEDING:
            return _subtract(here, int_literal(bound.offset, INT8))
        case FrameBoundKind.FOLLOWING:
            return _add(here, int_literal(bound.offset, INT8))
        case FrameBoundKind.CURRENT_ROW:
            if units is FrameUnits.ROWS:
                return here
            return first_peer if is_start else last_peer


def _frame(call: WindowCall, window: _Window) -> tuple[ScalarExpr, ScalarExpr]:
    """Return the first and last position of the frame within the partition."""
    units = call.frame.units
    start = _bound(call.frame.start, units, window, is_start=True)
    end = _bound(call.frame.end, units, window, is_start=False)
    length = _length(Column(arity(window.rows)))
    if call.frame.start.kind is FrameBoundKind.PRECEDING:
        start = If(_compare(kernels.LT, start, _ONE), _ONE, start)
    if call.frame.end.kind is FrameBoundKind.FOLLOWING:
        end = If(_compare(kernels.GT, end, length), length, end)
    return start, end


def _at_frame_end(call: WindowCall, window: _Window) -> ScalarExpr:
    start, end = _frame(call, window)
    wanted = start if call.func == "first_value" else end
    return If(
        _compare(kernels.LTE, start, end),
        _read(call, window, wanted),
        kernels.null_of(call.type.type),
    )


def _aggregate(
    call: WindowCall, args: Sequence[ScalarExpr], types: Sequence[ColumnType]
) -> AggregateExpr:
    expr = args[0]
    if len(args) > 1:
        fields = ((f"f{number}", type_) for number, type_ in enumerate(types))
        record = ColumnType(record_of(*fields), nullable=False)
        expr = Call(kernels.RECORD, tuple(args), record)
    return AggregateExpr(call.func, expr, call.type)


def _over_partition(context: Context, call: WindowCall, window: _Window) -> RelationExpr:
    width = arity(window.rows)
    types = context.typer.types(window.rows)
    args = [Column(column) for column in window.args]
    aggregate = _aggregate(call, args, [types[column] for column in window.args])
    group = tuple(Column(column) for column in window.partition)
    reduced = Reduce(window.rows, group, (aggregate,))
    pairs = [(column, number) for number, column in enumerate(window.partition)]
    both = join_on_columns(context, window.rows, reduced, pairs)
    return project(both, (*range(width), arity(both) - 1))


def _over_frame(
    context: Context, call: WindowCall, window: _Window, numbered: RelationExpr
) -> RelationExpr:
    """Group the pairs of a row and the rows of its frame by the row's partition and position."""
    width = arity(numbered)
    base = arity(window.rows)

    def over(rows: Get) -> RelationExpr:
        types = context.typer.types(rows)
        start, end = _frame(call, window)
        framed = Map(rows, (start, end))
        pairs = [(column, column) for column in window.partition]
        both = join_on_columns(context, framed, rows, pairs)
        other = width + 2  # where the columns of the frame's rows begin
        position = Column(other + base + 1)
        inside = Filter(
            both,
            (
                _compare(kernels.GTE, position, Column(width)),
                _compare(kernels.LTE, position, Column(width + 1)),
            ),
        )
        args = [Column(other + column) for column in window.args]
        aggregate = _aggregate(call, args, [types[column] for column in window.args])
        group = (*window.partition, base + 1)
        reduced = Reduce(inside, tuple(Column(column) for column in group), (aggregate,))
        hits = join_on_columns(
            context, rows, reduced, [(column, number) for number, column in enumerate(group)]
        )
        hits = project(hits, (*range(width), arity(hits) - 1))
        return context.bind(
            hits,
            lambda found: Union(
                (
                    found,
                    Map(
                        minus(rows, project(found, range(width))),
                        (kernels.default_of(aggregate),),
                    ),
                )
            ),
        )

    return context.bind(numbered, over)
