"""Conditions on ``mz_now()`` in the one form that can be maintained: bounds of a row's presence.

What is maintained is a conjunct ``mz_now() op bound`` (op one of =, <, <=, >, >=). Two things are
brought into that form. *Arithmetic* on the moment goes to the other side: ``mz_now()`` cast to a
timestamp, intervals added to it, or cast through text to a whole number. *Any Boolean expression*
over such comparisons (OR, NOT, CASE, IS NULL …) becomes a union of branches, one for each way in
which its comparisons can come out, each with those outcomes as conditions of its own. The branches
exclude one another, so a row is in at most one of them at any time.

What remains is refused by lowering, where a dataflow is to be maintained; a one-off query has the
moment's value in its place and is not concerned.
"""

from collections.abc import Iterator

from headwater.ir import kernels
from headwater.ir.literals import int_literal, interval_datum, literal_interval
from headwater.ir.relation import Constant, Filter, RelationExpr, Union
from headwater.ir.scalar import (
    Call,
    CallUnmaterializable,
    If,
    Literal,
    ScalarExpr,
    UnmaterializableFunc,
)
from headwater.ir.typing import Types, scalar_type
from headwater.ir.visit import map_inputs, map_tuple
from headwater.sql.optimize.context import OptimizerContext
from headwater.sql.optimize.simplify_scalars import as_condition, simplify
from headwater.types.scalar import BOOL, INT8, INTERVAL, MZ_TIMESTAMP, ColumnType, ScalarType

BRANCHES_MAX = 64  # branches beyond which a condition is left as it is, and so refused

Conditions = tuple[ScalarExpr, ...]
_ROUNDED_UP = (kernels.LT, kernels.GTE)
_SUB_MILLISECOND = 999  # microseconds that bring a moment past the next millisecond's begin
_FROM_NOW = {
    "cast_mz_timestamp_timestamp": "timestamp",
    "cast_mz_timestamp_timestamptz": "timestamptz",
}
_TEXT_OF_NOW = "cast_mz_timestamp_text"
_NUMBER_OF_TEXT = "cast_text_int8"
_NOW = (UnmaterializableFunc.NOW, UnmaterializableFunc.CURRENT_TIMESTAMP)
_MZ_NOW = CallUnmaterializable(
    UnmaterializableFunc.MZ_NOW, ColumnType(MZ_TIMESTAMP, nullable=False)
)


def split_temporal(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` with conditions on ``mz_now()`` as bounds, in branches where need be."""

    def visit(node: RelationExpr) -> RelationExpr:
        node = map_inputs(node, visit)
        return _split(node, context) if isinstance(node, Filter) else node

    return visit(expr)


def now_as_moment(expr: RelationExpr) -> RelationExpr:
    """Return ``expr`` with ``now()`` in its conditions as the moment: a clock that goes on.

    That is what it means where a query is maintained; elsewhere ``now()`` has no meaning there.
    """

    def scalar(node: ScalarExpr) -> ScalarExpr:
        if isinstance(node, CallUnmaterializable) and node.func in _NOW:
            return Call("cast_mz_timestamp_timestamptz", (_MZ_NOW,), node.type)
        if isinstance(node, Call):
            args = map_tuple(node.args, scalar)
            return node if args is node.args else Call(node.func, args, node.type)
        if isinstance(node, If):
            return If(scalar(node.cond), scalar(node.then), scalar(node.els))
        return node

    def visit(node: RelationExpr) -> RelationExpr:
        node = map_inputs(node, visit)
        if not isinstance(node, Filter):
            return node
        predicates = map_tuple(node.predicates, scalar)
        return node if predicates is node.predicates else Filter(node.input, predicates)

    return visit(expr)


def _split(node: Filter, context: OptimizerContext) -> RelationExpr:
    if not any(map(kernels.mentions_mz_now, node.predicates)):
        return node
    types = context.typer.types(node.input)
    predicates = map_tuple(node.predicates, lambda item: _with_bounds(item, types))
    plain = tuple(item for item in predicates if _is_maintained(item))
    mixed = tuple(item for item in predicates if not _is_maintained(item))
    if not mixed:
        return node if predicates is node.predicates else Filter(node.input, predicates)
    branches = _Branches(types, context).of(kernels.conjunction(mixed))
    if branches is None:
        return node
    members = tuple(Filter(node.input, (*plain, *branch)) for branch in branches)
    if not members:
        return Constant((), context.typer.desc(node))
    return members[0] if len(members) == 1 else Union(members)


def _is_maintained(predicate: ScalarExpr) -> bool:
    if not kernels.mentions_mz_now(predicate):
        return True
    bound = _bound_of(predicate)
    return bound is not None and bound[0] != kernels.NOT_EQ


def _bound_of(expr: ScalarExpr) -> tuple[str, ScalarExpr] | None:
    """Return ``op, bound`` of ``mz_now() op bound``."""
    if not isinstance(expr, Call) or expr.func not in kernels.COMMUTED or len(expr.args) != 2:
        return None
    left, right = expr.args
    if kernels.is_mz_now(left) and not kernels.mentions_mz_now(right):
        return expr.func, right
    return None


# Arithmetic.


def _with_bounds(expr: ScalarExpr, types: Types) -> ScalarExpr:
    """Return ``expr`` with its comparisons of ``mz_now()`` as ``mz_now() op bound``."""
    if not kernels.mentions_mz_now(expr):
        return expr
    if isinstance(expr, Call) and expr.func in kernels.COMMUTED and len(expr.args) == 2:
        bound = _isolated(expr, types)
        if bound is not None:
            return bound
    if isinstance(expr, Call):
        args = map_tuple(expr.args, lambda arg: _with_bounds(arg, types))
        return expr if args is expr.args else Call(expr.func, args, expr.type)
    if isinstance(expr, If):
        parts = (expr.cond, expr.then, expr.els)
        cond, then, els = (_with_bounds(part, types) for part in parts)
        return If(cond, then, els)
    return expr


def _isolated(expr: Call, types: Types) -> ScalarExpr | None:
    """Return a comparison solved for ``mz_now()``; None if one of its steps has no inverse."""
    func, (left, right) = expr.func, expr.args
    if kernels.mentions_mz_now(right):
        func, left, right = kernels.COMMUTED[func], right, left
    if kernels.mentions_mz_now(right):
        return None
    while not kernels.is_mz_now(left):
        solved = _step(func, left, right, types)
        if solved is None:
            return None
        func, left, right = solved
    return _comparison(func, left, right, types)


def _comparison(func: str, left: ScalarExpr, right: ScalarExpr, types: Types) -> Call:
    nullable = any(scalar_type(item, types).nullable for item in (left, right))
    return Call(func, (left, right), ColumnType(BOOL, nullable))


def _step(
    func: str, left: ScalarExpr, right: ScalarExpr, types: Types
) -> tuple[str, ScalarExpr, ScalarExpr] | None:
    """Undo the outermost operation on the side of ``mz_now()``."""
    if not isinstance(left, Call):
        return None
    if left.func in _FROM_NOW and func not in (kernels.EQ, kernels.NOT_EQ):
        return func, left.args[0], _to_moment(func, right, _FROM_NOW[left.func], types)
    inner = left.args[0]
    if left.func == _NUMBER_OF_TEXT and isinstance(inner, Call) and inner.func == _TEXT_OF_NOW:
        return _through_text(func, inner.args[0], right, types)
    operation, _, operands = left.func.partition("_")
    if operation not in ("add", "sub") or len(left.args) != 2:
        return None
    first, second = left.args
    if operands == "int8_int8":
        if kernels.mentions_mz_now(first):
            inverse = "sub_int8_int8" if operation == "add" else "add_int8_int8"
            return func, first, _call(inverse, (right, second), INT8, types)
        other = (right, first) if operation == "add" else (first, right)
        func = func if operation == "add" else kernels.COMMUTED[func]
        return func, second, _call("sub_int8_int8", other, INT8, types)
    kind = operands.replace("interval", "").strip("_")
    if kind not in _FROM_NOW.values():
        return None
    if kernels.mentions_mz_now(second):
        first, second = second, first
    if not isinstance(second, Literal) or second.type.type != INTERVAL or _months(second):
        return None
    inverse = f"{'sub' if operation == 'add' else 'add'}_{kind}_interval"
    return func, first, _call(inverse, (right, second), scalar_type(right, types).type, types)


def _months(literal: Literal) -> int:
    return 1 if kernels.is_null_literal(literal) else literal_interval(literal)[0]


def _to_moment(func: str, right: ScalarExpr, kind: str, types: Types) -> ScalarExpr:
    """Return a timestamp as the moment that compares with ``mz_now()`` as it does.

    Moments are whole milliseconds; the cast drops the microseconds beyond them.
    """
    declared = scalar_type(right, types).type
    if func in _ROUNDED_UP:
        step = Literal(interval_datum(0, 0, _SUB_MILLISECOND), ColumnType(INTERVAL, nullable=False))
        right = _call(f"add_{kind}_interval", (right, step), declared, types)
    moment = _call(f"cast_{kind}_mz_timestamp", (right,), MZ_TIMESTAMP, types)
    epoch = Literal(kernels.ZERO_DATUM, ColumnType(declared, nullable=False))
    return _from_epoch_on(func, right, epoch, moment, types)


def _from_epoch_on(
    func: str, value: ScalarExpr, epoch: Literal, moment: ScalarExpr, types: Types
) -> ScalarExpr:
    """Return ``moment``; for a ``value`` before ``epoch``, which is before all moments, a bound.

    As a lower bound it is the first moment; an upper one is never kept, as NULL is not.
    """
    is_low = func in (kernels.GT, kernels.GTE)
    below: Literal = int_literal(0, MZ_TIMESTAMP) if is_low else kernels.null_of(MZ_TIMESTAMP)
    return If(_comparison(kernels.LT, value, epoch, types), below, moment)


def _through_text(
    func: str, now: ScalarExpr, right: ScalarExpr, types: Types
) -> tuple[str, ScalarExpr, ScalarExpr]:
    """Compare the moment itself: numbers below zero are before all moments."""
    if func == kernels.GT:
        func, right = (
            kernels.GTE,
            _call("add_int8_int8", (right, kernels.int8_literal(1)), INT8, types),
        )
    moment = _call("cast_int8_mz_timestamp", (right,), MZ_TIMESTAMP, types)
    return func, now, _from_epoch_on(func, right, kernels.int8_literal(0), moment, types)


def _call(func: str, args: Conditions, type: ScalarType, types: Types) -> Call:
    nullable = any(scalar_type(arg, types).nullable for arg in args)
    return Call(func, args, ColumnType(type, nullable))


# Boolean expressions.


class _Branches:
    """The ways in which a condition can be true, by the outcomes of its comparisons."""

    def __init__(self, types: Types, context: OptimizerContext) -> None:
        self.types = types
        self.context = context
        self.found: list[Conditions] = []

    def of(self, condition: ScalarExpr) -> list[Conditions] | None:
        """Return conditions that exclude one another and are together ``condition``.

        Returns: None if it cannot be split, or into too many.
        """
        return self.found if self._expand(condition, ()) else None

    def _expand(self, rest: ScalarExpr, given: Conditions) -> bool:
        rest = as_condition(self._simplify(rest), self.types, self.context.fold)
        if kernels.is_false_or_null(rest):
            return True
        atom = next(_atoms(rest), None)
        if atom is None:
            if kernels.mentions_mz_now(rest) or len(self.found) >= BRANCHES_MAX:
                return False
            own = () if kernels.is_true(rest) else kernels.conjuncts(rest)
            self.found.append((*given, *own))
            return True
        return all(
            self._expand(_replaced(rest, atom, outcome), (*given, condition))
            for condition, outcome in self._outcomes(atom)
        )

    def _simplify(self, expr: ScalarExpr) -> ScalarExpr:
        return simplify(expr, self.types, self.context.fold)

    def _outcomes(self, atom: Call) -> Iterator[tuple[ScalarExpr, Literal]]:
        now, bound = atom.args
        inequality = atom.func in (kernels.EQ, kernels.NOT_EQ)
        yes, no = kernels.TRUE, kernels.FALSE
        if inequality:
            equal, other = (yes, no) if atom.func == kernels.EQ else (no, yes)
            for func, outcome in ((kernels.EQ, equal), (kernels.LT, other), (kernels.GT, other)):
                yield _comparison(func, now, bound, self.types), outcome
        else:
            yield atom, yes
            yield _comparison(kernels.NEGATED[atom.func], now, bound, self.types), no
        if scalar_type(bound, self.types).nullable:
            yield kernels.is_null(bound), kernels.null_of(BOOL)


def _atoms(expr: ScalarExpr) -> Iterator[Call]:
    if _bound_of(expr) is not None:
        assert isinstance(expr, Call)
        yield expr
    elif isinstance(expr, Call):
        for arg in expr.args:
            yield from _atoms(arg)
    elif isinstance(expr, If):
        for part in (expr.cond, expr.then, expr.els):
            yield from _atoms(part)


def _replaced(expr: ScalarExpr, old: ScalarExpr, new: ScalarExpr) -> ScalarExpr:
    if expr == old:
        return new
    if isinstance(expr, Call):
        args = map_tuple(expr.args, lambda arg: _replaced(arg, old, new))
        return expr if args is expr.args else Call(expr.func, args, expr.type)
    if isinstance(expr, If):
        parts = (expr.cond, expr.then, expr.els)
        cond, then, els = (_replaced(part, old, new) for part in parts)
        return If(cond, then, els)
    return expr
