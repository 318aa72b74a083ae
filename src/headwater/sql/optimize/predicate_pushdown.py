"""Conditions move to where their columns come from; equalities become part of joins.

Also here, because both feed each other: what a join's classes imply is pushed into its inputs, as
``IS NOT NULL``, as equality with a literal, and as copies of conditions on equal columns. That is
what turns outer joins whose padding is rejected above into inner joins.
"""

from collections.abc import Callable, Iterable, Sequence

from headwater.ir import kernels
from headwater.ir.linear import extract, is_draw, subtracts
from headwater.ir.relation import (
    Constant,
    ConstantError,
    Filter,
    FlatMap,
    Get,
    Join,
    JoinKind,
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
)
from headwater.ir.scalar import Call, Column, Literal, ScalarExpr
from headwater.ir.typing import Typer, arity, scalar_type
from headwater.ir.visit import (
    columns_of,
    local_gets,
    map_inputs,
    map_tuple,
    remap,
    replace,
    shift,
    substitute,
    walk_scalar,
)
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.simplify_scalars import as_condition, simplify

Predicates = tuple[ScalarExpr, ...]
Unary = Project | Map | FlatMap | Reduce | TopK | Window | Negate | Threshold

INLINED_NODES_MAX = 100  # size beyond which a condition is not expanded to move below a Map


def push_predicates(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with every condition as far down as it can stand."""
    return _Pusher(context).push(expr, ())


class _Pusher:
    def __init__(self, context: OptimizerContext) -> None:
        self.context = context
        self.typer: Typer = context.typer
        # Conditions found directly above each use of a local, while its Let's body is walked.
        self.wanted: dict[int, list[Predicates]] = {}

    def push(  # noqa: C901, PLR0911, PLR0912 -- one case an operator
        self, expr: RelationExpr, predicates: Predicates
    ) -> RelationExpr:
        """Return ``expr`` under ``predicates``."""
        match expr:
            case Filter():
                own = tuple(
                    member for item in expr.predicates for member in kernels.conjuncts(item)
                )
                if own == expr.predicates and not predicates:
                    pushed = self.push(expr.input, own)
                    return expr if pushed == expr else pushed
                return self.push(expr.input, _distinct((*own, *predicates)))
            case Project():
                outputs = expr.outputs
                below = tuple(
                    substitute(item, lambda index: Column(outputs[index])) for item in predicates
                )
                return _with_input(expr, self.push(expr.input, below))
            case Map():
                return self._push_map(expr, predicates)
            case Join() if expr.implementation.kind is JoinKind.UNIMPLEMENTED:
                return self._push_join(expr, predicates)
            case FlatMap():
                return self._push_width(expr, predicates, arity(expr.input))
            case Reduce():
                return self._push_reduce(expr, predicates)
            case TopK():
                key = set(expr.group_key)
                return self._push_some(expr, predicates, lambda item: columns_of(item) <= key)
            case Window():
                key = set(expr.partition)
                return self._push_some(expr, predicates, lambda item: columns_of(item) <= key)
            case Negate() | Threshold():
                return self._push_some(expr, predicates, _is_safe)
            case Union():
                return self._push_union(expr, predicates)
            case Let():
                return self._push_let(expr, predicates)
            case LetRec():
                values = map_tuple(expr.values, lambda value: self.push(value, ()))
                body = self.push(expr.body, predicates)
                if values is expr.values and body is expr.body:
                    return expr
                return replace(expr, values=values, body=body)
            case Get():
                if isinstance(expr.id, LocalId):
                    self.wanted.setdefault(expr.id.id, []).append(predicates)
                return _filter(expr, predicates)
            case Constant() | ConstantError():
                return _filter(expr, predicates)
            case _:
                return _filter(map_inputs(expr, lambda child: self.push(child, ())), predicates)

    def _push_map(self, expr: Map, predicates: Predicates) -> RelationExpr:
        width = arity(expr.input)
        if is_draw(expr):
            return self._push_width(expr, predicates, width)
        below: list[ScalarExpr] = []
        above: list[ScalarExpr] = []
        inner_types = self.typer.types(expr.input) if predicates else ()
        for item in predicates:
            if all(column < width for column in columns_of(item)):
                below.append(item)
                continue
            expanded = _expand(item, width, expr.scalars)
            if _size(expanded) > INLINED_NODES_MAX:
                above.append(item)
                continue
            simple = as_condition(
                simplify(expanded, inner_types, self.context.fold),
                inner_types,
                self.context.fold,
            )
            below.extend(kernels.conjuncts(simple))
        pushed = _with_input(expr, self.push(expr.input, _distinct(below)))
        return _filter(pushed, tuple(above))

    def _push_union(self, expr: Union, predicates: Predicates) -> RelationExpr:
        below, above = predicates, Predicates()
        if subtracts(expr):
            # Rows that cancel must not fail before they do.
            below = tuple(filter(_is_safe, predicates))
            above = tuple(item for item in predicates if not _is_safe(item))
        members = [self.push(self._unless_rejected(m, above), below) for m in expr.inputs]
        return _filter(replace_inputs(expr, members), above)

    def _unless_rejected(self, member: RelationExpr, predicates: Predicates) -> RelationExpr:
        """Return no rows in place of ``member`` if a condition above is false or NULL for all."""
        linear, inner = extract(member)
        types = self.typer.types(inner) if predicates else ()
        for item in predicates:
            expanded = substitute(item, linear.output)
            if _size(expanded) <= INLINED_NODES_MAX and kernels.is_false_or_null(
                simplify(expanded, types, self.context.fold)
            ):
                return Constant((), self.typer.desc(member))
        return member

    def _push_width(self, expr: FlatMap | Map, predicates: Predicates, width: int) -> RelationExpr:
        return self._push_some(
            expr, predicates, lambda item: all(column < width for column in columns_of(item))
        )

    def _push_some(
        self, expr: Unary, predicates: Predicates, movable: Callable[[ScalarExpr], bool]
    ) -> RelationExpr:
        below = tuple(item for item in predicates if movable(item))
        above = tuple(item for item in predicates if not movable(item))
        return _filter(_with_input(expr, self.push(expr.input, below)), above)

    def _push_reduce(self, expr: Reduce, predicates: Predicates) -> RelationExpr:
        width = len(expr.group_key)
        below: list[ScalarExpr] = []
        above: list[ScalarExpr] = []
        for item in predicates:
            columns = columns_of(item)
            if columns and all(column < width for column in columns):
                below.append(substitute(item, lambda index: expr.group_key[index]))
            else:
                above.append(item)
        pushed = _with_input(expr, self.push(expr.input, tuple(below)))
        return _filter(pushed, tuple(above))

    def _push_let(self, expr: Let, predicates: Predicates) -> RelationExpr:
        """Conditions that stand above every use of the value move into it."""
        self.wanted.pop(expr.id, None)
        body = self.push(expr.body, predicates)
        wanted = self.wanted.pop(expr.id, [])
        common: Predicates = ()
        if wanted and len(wanted) == local_gets(body).get(expr.id, 0):
            common = tuple(
                item
                for item in wanted[0]
                if all(item in other for other in wanted[1:]) and not kernels.mentions_mz_now(item)
            )
        value = self.push(expr.value, common)
        if common:
            body = _drop_above(body, expr.id, set(common))
        if value is expr.value and body is expr.body:
            return expr
        return Let(expr.id, value, body)

    # Joins.

    def _push_join(self, expr: Join, predicates: Predicates) -> RelationExpr:
        state = _JoinState(expr, self.typer)
        above: list[ScalarExpr] = []
        classes = [state.unwrapped(members) for members in expr.equivalences]
        for item in predicates:
            owners = state.owners(item)
            if len(owners) == 1:
                state.add(owners.pop(), item)
            elif not owners:
                # A condition on no column holds for all rows or none; any input will do, but an
                # error must not depend on it.
                if kernels.may_fail(item) or kernels.mentions_mz_now(item):
                    above.append(item)
                else:
                    state.add(0, item)
            elif isinstance(item, Call) and _is_class(item):
                classes.append(list(item.args))
            else:
                above.append(item)
        remaining = state.localize(merge_classes(classes))
        state.copy_across(remaining)
        inputs = []
        for member, offset, pushed in zip(expr.inputs, state.offsets, state.pushed, strict=True):
            local = tuple(shift(item, -offset) for item in pushed)
            inputs.append(self.push(member, _distinct(local)))
        equivalences = tuple(tuple(members) for members in remaining)
        result: RelationExpr = expr
        if equivalences != expr.equivalences or any(
            new is not old for new, old in zip(inputs, expr.inputs, strict=True)
        ):
            result = Join(tuple(inputs), equivalences)
        return _filter(result, tuple(above))


class _JoinState:
    """The conditions gathered for each input of one join, over the join's columns."""

    def __init__(self, join: Join, typer: Typer) -> None:
        self.types = tuple(column for member in join.inputs for column in typer.types(member))
        self.offsets: list[int] = []
        self.owner: list[int] = []
        for number, member in enumerate(join.inputs):
            self.offsets.append(len(self.owner))
            self.owner.extend([number] * len(typer.types(member)))
        self.pushed: list[list[ScalarExpr]] = [[] for _ in join.inputs]

    def owners(self, expr: ScalarExpr) -> set[int]:
        return {self.owner[column] for column in columns_of(expr)}

    def unwrapped(self, members: tuple[ScalarExpr, ...]) -> list[ScalarExpr]:
        """Return a class of records of one field as one of the fields, if NULL cannot match."""
        fields = [
            item.args[0]
            for item in members
            if isinstance(item, Call) and item.func == kernels.RECORD and len(item.args) == 1
        ]
        if len(fields) < len(members) or all(
            scalar_type(field, self.types).nullable for field in fields
        ):
            return list(members)
        return fields

    def add(self, number: int, predicate: ScalarExpr) -> None:
        self.pushed[number].append(predicate)

    def localize(self, classes: list[list[ScalarExpr]]) -> list[list[ScalarExpr]]:
        """Push what each class says of single inputs; return what it says of several."""
        remaining = []
        for members in classes:
            literal = next((item for item in members if isinstance(item, Literal)), None)
            if literal is not None and self._push_literal(literal, members):
                continue
            by_owner: dict[int, list[ScalarExpr]] = {}
            kept: list[ScalarExpr] = []
            for item in members:
                owners = self.owners(item)
                if len(owners) != 1:
                    kept.append(item)
                    continue
                number = owners.pop()
                before = by_owner.setdefault(number, [])
                if not before:
                    kept.append(item)
                else:
                    self.add(number, kernels.eq(before[0], item))
                before.append(item)
            if len(kept) > 1:
                remaining.append(kept)
                for items in by_owner.values():
                    self._reject_null(items[0])
        return remaining

    def _push_literal(self, literal: Literal, members: list[ScalarExpr]) -> bool:
        """Replace the class by one equality with the literal a member, if each is one input's."""
        others = [item for item in members if item is not literal]
        if any(len(self.owners(item)) != 1 for item in others):
            return False
        for item in others:
            self.add(self.owners(item).pop(), kernels.eq(item, literal))
        return True

    def _reject_null(self, item: ScalarExpr) -> None:
        if isinstance(item, Column) and self.types[item.index].nullable:
            self.add(self.owner[item.index], kernels.is_not_null(item))

    def copy_across(self, classes: list[list[ScalarExpr]]) -> None:
        """Say of every input what is said of columns equal to its own."""
        equal: dict[int, dict[int, int]] = {}  # column -> owner -> its column of the class
        for members in classes:
            same = [item.index for item in members if isinstance(item, Column)]
            for column in same:
                equal[column] = {self.owner[other]: other for other in same if other != column}
        if not equal:
            return
        for number, items in enumerate([list(items) for items in self.pushed]):
            for item in items:
                columns = columns_of(item)
                if not columns or not all(column in equal for column in columns):
                    continue
                if kernels.may_fail(item) or _is_not_null_test(item):
                    continue
                for target in range(len(self.pushed)):
                    if target != number and all(target in equal[column] for column in columns):
                        mapping = {column: equal[column][target] for column in columns}
                        self.add(target, remap(item, mapping))


def merge_classes(classes: Iterable[Sequence[ScalarExpr]]) -> list[list[ScalarExpr]]:
    """Return classes without common members: those that share one become one."""
    merged: list[list[ScalarExpr]] = []
    where: dict[ScalarExpr, list[ScalarExpr]] = {}
    for members in classes:
        target: list[ScalarExpr] = []
        for item in members:
            known = where.get(item)
            if known is None:
                if item not in target:
                    target.append(item)
                    where[item] = target
            elif known is not target:
                for moved in target:
                    if moved not in known:
                        known.append(moved)
                    where[moved] = known
                merged = [other for other in merged if other is not target]
                target = known
        if not any(other is target for other in merged):
            merged.append(target)
    return [members for members in merged if len(members) > 1]


def _is_safe(item: ScalarExpr) -> bool:
    return not kernels.may_fail(item)


def _is_class(call: Call) -> bool:
    """Return whether ``call`` can be a join's class; a moment cannot be joined with."""
    return call.func == kernels.EQ and not kernels.mentions_mz_now(call)


def _is_not_null_test(expr: ScalarExpr) -> bool:
    if isinstance(expr, Call) and expr.func == kernels.NOT:
        inner = expr.args[0]
        return isinstance(inner, Call) and inner.func == kernels.IS_NULL
    return False


def _drop_above(expr: RelationExpr, number: int, common: set[ScalarExpr]) -> RelationExpr:
    def visit(node: RelationExpr) -> RelationExpr:
        if isinstance(node, Filter) and _is_local(node.input, number):
            return _filter(
                node.input, tuple(item for item in node.predicates if item not in common)
            )
        return map_inputs(node, visit)

    return visit(expr)


def _is_local(expr: RelationExpr, number: int) -> bool:
    return isinstance(expr, Get) and expr.id == LocalId(number)


def _expand(expr: ScalarExpr, width: int, scalars: tuple[ScalarExpr, ...]) -> ScalarExpr:
    def inner(index: int) -> ScalarExpr | None:
        return _expand(scalars[index - width], width, scalars) if index >= width else None

    return substitute(expr, inner)


def _size(expr: ScalarExpr) -> int:
    return sum(1 for _ in walk_scalar(expr))


def _distinct(predicates: Iterable[ScalarExpr]) -> Predicates:
    return tuple(dict.fromkeys(item for item in predicates if not kernels.is_true(item)))


def _filter(expr: RelationExpr, predicates: Predicates) -> RelationExpr:
    if not predicates:
        return expr
    if isinstance(expr, Filter):
        return Filter(expr.input, _distinct((*expr.predicates, *predicates)))
    return Filter(expr, predicates)


def _with_input(expr: Unary, child: RelationExpr) -> RelationExpr:
    return expr if child is expr.input else replace(expr, input=child)


def replace_inputs(expr: Union, inputs: list[RelationExpr]) -> RelationExpr:
    """Return ``expr`` over ``inputs``, itself if they are its own."""
    if all(new is old for new, old in zip(inputs, expr.inputs, strict=True)):
        return expr
    return Union(tuple(inputs))
