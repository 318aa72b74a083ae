"""How each join is computed: in which order, over which arrangements, linear or delta.

A *linear* join extends one input by the others, arranging each intermediate result. A *delta* join
keeps no intermediate results but needs, for each input, a path of look-ups through all others. It
is taken when it needs no arrangement that a linear join would not need as well.
"""

from collections.abc import Sequence

from headwater.ir import kernels
from headwater.ir.linear import Linear, extract
from headwater.ir.relation import (
    ArrangeBy,
    Get,
    Global,
    Join,
    JoinImplementation,
    JoinKind,
    JoinStep,
    Let,
    LetRec,
    LocalId,
    Reduce,
    RelationExpr,
    Threshold,
    TopK,
)
from headwater.ir.scalar import Call, Column, Literal, ScalarExpr
from headwater.ir.typing import arity
from headwater.ir.visit import columns_of, map_inputs, replace, shift, substitute
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.join_order import Classes, JoinInput, Key, Order, order_from
from headwater.types.ids import GlobalId

DELTA_INPUTS_MIN = 3
ORDERED_INPUTS_MAX = 24  # inputs of a join beyond which not every input is tried as the first
STARTS_MAX = 4  # inputs that are tried then: those with the most selective conditions


def plan_joins(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with every join's implementation chosen and its inputs arranged."""
    return _Planner(context).plan(expr, recursive=False)


class _Planner:
    def __init__(self, context: OptimizerContext) -> None:
        self.context = context
        self.local: dict[int, tuple[Key, ...]] = {}

    def plan(self, expr: RelationExpr, *, recursive: bool) -> RelationExpr:
        match expr:
            case Let():
                value = self.plan(expr.value, recursive=recursive)
                self.local[expr.id] = self.arrangements(value)
                body = self.plan(expr.body, recursive=recursive)
                if value is expr.value and body is expr.body:
                    return expr
                return Let(expr.id, value, body)
            case LetRec():
                values = tuple(self.plan(value, recursive=True) for value in expr.values)
                return replace(expr, values=values, body=self.plan(expr.body, recursive=recursive))
            case Join():
                planned = map_inputs(expr, lambda child: self.plan(child, recursive=recursive))
                assert isinstance(planned, Join)
                if planned.implementation.kind is not JoinKind.UNIMPLEMENTED:
                    return planned
                return self.plan_join(planned, recursive=recursive)
            case _:
                return map_inputs(expr, lambda child: self.plan(child, recursive=recursive))

    def arrangements(self, expr: RelationExpr) -> tuple[Key, ...]:
        """Return the keys by which ``expr`` will be arranged anyway."""
        match expr:
            case ArrangeBy():
                return (*expr.keys, *self.arrangements(expr.input))
            case Get(id=LocalId(id=number)):
                return self.local.get(number, ())
            case Get():
                return self.index_keys(expr)
            case Reduce():
                if not expr.group_key:
                    return ()
                return (tuple(Column(index) for index in range(len(expr.group_key))),)
            case Threshold():
                return (tuple(Column(index) for index in range(arity(expr))),)
            case Let() | LetRec():
                return ()
            case TopK() | _:
                return ()

    def index_keys(self, get: Get) -> tuple[Key, ...]:
        if not isinstance(get.id, Global):
            return ()
        return tuple(index.key for index in self.context.indexes.get(get.id.id, ()))

    # One join.

    def plan_join(self, join: Join, *, recursive: bool) -> RelationExpr:
        lifted, above = self.lift(join)
        inputs = self.describe(lifted)
        classes = Classes(lifted, inputs)
        orders = [order_from(start, inputs, classes) for start in _starts(inputs)]
        best = max(orders, key=lambda order: order.score)
        implementation, needed = self.choose(best, orders, inputs, recursive=recursive)
        members = tuple(
            _arranged(item, needed.get(number, ())) for number, item in enumerate(inputs)
        )
        result: RelationExpr = Join(members, lifted.equivalences, implementation)
        return above.to_relation(result)

    def lift(self, join: Join) -> tuple[Join, Linear]:
        """Lift maps, filters, projections off inputs where an index can then be used below."""
        inputs: list[RelationExpr] = []
        predicates: list[ScalarExpr] = []
        columns: list[ScalarExpr] = []
        offset = old_offset = 0
        for member in join.inputs:
            width = arity(member)
            linear, inner = extract(member)
            if linear.is_identity or not self.worth_lifting(join, old_offset, linear, inner):
                linear, inner = Linear.identity(width), member
            inputs.append(inner)
            predicates.extend(shift(linear.expand(item), offset) for item in linear.predicates)
            columns.extend(shift(linear.output(number), offset) for number in range(width))
            offset += linear.input_arity
            old_offset += width
        if (
            offset == old_offset
            and not predicates
            and all(new is old for new, old in zip(inputs, join.inputs, strict=True))
        ):
            return join, Linear.identity(offset)
        classes = tuple(
            tuple(substitute(item, lambda index: columns[index]) for item in members)
            for members in join.equivalences
        )
        above = Linear.identity(offset).then_filter(predicates)
        above = above.then_map(columns).then_project(range(offset, offset + len(columns)))
        return Join(tuple(inputs), classes), above.simplified()

    def worth_lifting(self, join: Join, offset: int, linear: Linear, inner: RelationExpr) -> bool:
        if not isinstance(inner, Get) or any(map(kernels.mentions_mz_now, linear.predicates)):
            return False
        keys = self.arrangements(inner)
        if not keys or _has_lookup(linear, keys):
            return False
        width = len(linear.outputs)
        members = set()
        for items in join.equivalences:
            for item in items:
                columns = columns_of(item)
                if columns and all(offset <= column < offset + width for column in columns):
                    members.add(substitute(shift(item, -offset), linear.output))
        return any(set(key) <= members for key in keys)

    def describe(self, join: Join) -> list[JoinInput]:
        inputs = []
        offset = 0
        typer = self.context.typer
        for member in join.inputs:
            linear, inner = extract(member)
            rows = None
            if isinstance(inner, Get) and isinstance(inner.id, Global):
                rows = self.context.cardinalities.get(GlobalId(inner.id.id))
            width = arity(member)
            inputs.append(
                JoinInput(
                    member,
                    offset,
                    width,
                    self.arrangements(member),
                    tuple(frozenset(key) for key in typer.keys(member)),
                    _selectivity(linear.predicates),
                    rows,
                )
            )
            offset += width
        return inputs

    def choose(
        self,
        best: Order,
        orders: list[Order],
        inputs: list[JoinInput],
        *,
        recursive: bool,
    ) -> tuple[JoinImplementation, dict[int, tuple[Key, ...]]]:
        """Return the implementation, and by which keys each input is to be arranged for it."""
        linear_needs = _needs([best])
        if not recursive and len(inputs) >= DELTA_INPUTS_MIN and len(orders) == len(inputs):
            delta_needs = _needs(orders)
            new_delta = _missing(delta_needs, inputs)
            new_linear = _missing(linear_needs, inputs) + len(inputs) - 2
            crossless = all(step.key for order in orders for step in order.steps[1:])
            if crossless and new_delta <= new_linear:
                paths = tuple(
                    (
                        JoinStep(number, _source_key(number, inputs, delta_needs)),
                        *order.steps[1:],
                    )
                    for number, order in enumerate(orders)
                )
                return JoinImplementation(JoinKind.DELTA, paths), delta_needs
        first = best.steps[0]
        if len(best.steps) > 1 and best.start_key in inputs[first.input].available:
            first = JoinStep(first.input, best.start_key)
            linear_needs.setdefault(first.input, ())
            linear_needs[first.input] = (*linear_needs[first.input], best.start_key)
        order = (first, *best.steps[1:])
        return JoinImplementation(JoinKind.LINEAR, (order,)), linear_needs


def _starts(inputs: Sequence[JoinInput]) -> Sequence[int]:
    """Return the inputs that a join may start from."""
    numbers = range(len(inputs))
    if len(inputs) <= ORDERED_INPUTS_MAX:
        return numbers

    def rank(number: int) -> tuple[int, int, int]:
        rows = inputs[number].rows
        return -inputs[number].filters, rows if rows is not None else 0, number

    return sorted(sorted(numbers, key=rank)[:STARTS_MAX])


def _needs(orders: Sequence[Order]) -> dict[int, tuple[Key, ...]]:
    needed: dict[int, dict[Key, None]] = {}
    for order in orders:
        for step in order.steps[1:]:
            needed.setdefault(step.input, {})[step.key] = None
    return {number: tuple(keys) for number, keys in needed.items()}


def _missing(needs: dict[int, tuple[Key, ...]], inputs: list[JoinInput]) -> int:
    return sum(
        1 for number, keys in needs.items() for key in keys if key not in inputs[number].available
    )


def _source_key(number: int, inputs: list[JoinInput], needs: dict[int, tuple[Key, ...]]) -> Key:
    """Return an arrangement to read a delta path's source from; each input has one by now."""
    available = [key for key in inputs[number].available if key in needs[number]]
    return available[0] if available else needs[number][0]


def _arranged(item: JoinInput, keys: tuple[Key, ...]) -> RelationExpr:
    """Return the input with arrangements by ``keys``, except those it leaves by itself."""
    if isinstance(item.relation, ArrangeBy):
        inner, held = item.relation.input, item.relation.keys
        return ArrangeBy(inner, tuple(dict.fromkeys((*held, *keys))))
    if isinstance(item.relation, Reduce | Threshold):
        keys = tuple(key for key in keys if key not in item.available)
    keys = tuple(dict.fromkeys(keys))
    return ArrangeBy(item.relation, keys) if keys else item.relation


def _selectivity(predicates: Sequence[ScalarExpr]) -> int:
    """Rate how much conditions leave out: equality with a literal most."""
    rating = 0
    for item in predicates:
        if isinstance(item, Call) and item.func == kernels.EQ:
            rating += 4 if any(isinstance(arg, Literal) for arg in item.args) else 2
        elif not (isinstance(item, Call) and item.func == kernels.NOT):
            rating += 1
    return rating


def _has_lookup(linear: Linear, keys: tuple[Key, ...]) -> bool:
    """Return whether the conditions fix all of some index's key: better to look that up."""
    fixed = set()
    for item in linear.predicates:
        expanded = linear.expand(item)
        if isinstance(expanded, Call) and expanded.func == kernels.EQ:
            left, right = expanded.args
            if isinstance(right, Literal):
                fixed.add(left)
            if isinstance(left, Literal):
                fixed.add(right)
    return any(set(key) <= fixed for key in keys)
