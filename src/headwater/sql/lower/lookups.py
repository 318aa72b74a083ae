"""Conditions that fix all of an arrangement's key to literals become look-ups."""

from itertools import product

import msgspec

from headwater.ir import kernels
from headwater.ir.linear import Linear
from headwater.ir.physical import ArrangementKey
from headwater.ir.scalar import Call, Literal, Parameter, ScalarExpr

LOOKUPS_MAX = 1_000  # key values beyond which the arrangement is scanned instead

Value = Literal | Parameter
Choice = dict[ScalarExpr, Value]  # key part -> its value


class Lookup(msgspec.Struct, frozen=True):
    """Reading ``key`` at ``rows`` (values in the key's order), then the rest of the chain."""

    key: ArrangementKey
    rows: tuple[tuple[Value, ...], ...]
    rest: Linear

    @property
    def has_parameters(self) -> bool:
        """Return whether some value is only known when the statement is executed."""
        return any(isinstance(value, Parameter) for row in self.rows for value in row)

    def encoded(self) -> tuple[bytes, ...]:
        """Return the key rows; there must be no parameters."""
        return tuple(
            b"".join(value.data for value in row if isinstance(value, Literal)) for row in self.rows
        )


def find_lookup(linear: Linear, keys: tuple[ArrangementKey, ...]) -> Lookup | None:
    """Return the look-up with the longest key that ``linear``'s conditions allow."""
    if not linear.predicates:
        return None
    expanded = [linear.expand(item) for item in linear.predicates]
    best: Lookup | None = None
    for key in keys:
        if not key:
            continue
        found = _match(linear, expanded, key)
        if found is not None and (best is None or len(key) > len(best.key)):
            best = found
    return best


def _match(linear: Linear, predicates: list[ScalarExpr], key: ArrangementKey) -> Lookup | None:
    choices: list[list[Choice]] = []  # a conjunct that fixes parts of the key: its alternatives
    used: list[int] = []
    covered: set[ScalarExpr] = set()
    for number, predicate in enumerate(predicates):
        found = _alternatives(predicate, key)
        if found is None or set(found[0][0]) & covered:
            continue
        alternatives, exact = found
        covered |= set(alternatives[0])
        choices.append(alternatives)
        if exact:
            used.append(number)
    if covered != set(key):
        return None
    size = 1
    for alternatives in choices:
        size *= len(alternatives)
    if size > LOOKUPS_MAX:
        return None
    rows: dict[tuple[Value, ...], None] = {}
    for combination in product(*choices):
        merged: Choice = {}
        for choice in combination:
            merged.update(choice)
        row = tuple(merged[part] for part in key)
        if not any(kernels.is_null_literal(value) for value in row):
            rows[row] = None
    kept = tuple(item for number, item in enumerate(linear.predicates) if number not in used)
    rest = Linear(linear.input_arity, linear.expressions, kept, linear.outputs)
    return Lookup(key, tuple(rows), rest)


def _alternatives(predicate: ScalarExpr, key: ArrangementKey) -> tuple[list[Choice], bool] | None:
    """Return values of key parts outside which ``predicate`` is false.

    Each choice fixes the same parts. The second says whether that is all that ``predicate`` says.
    """
    found: list[Choice] = []
    exact = True
    for branch in kernels.disjuncts(predicate):
        choice: Choice = {}
        for item in kernels.conjuncts(branch):
            pair = _equality(item, key)
            if pair is None or pair[0] in choice:
                exact = False
            else:
                choice[pair[0]] = pair[1]
        if not choice or (found and set(choice) != set(found[0])):
            return None
        found.append(choice)
    return found, exact


def _equality(expr: ScalarExpr, key: ArrangementKey) -> tuple[ScalarExpr, Value] | None:
    if not isinstance(expr, Call) or expr.func != kernels.EQ:
        return None
    left, right = expr.args
    if isinstance(right, Literal | Parameter) and left in key:
        return left, right
    if isinstance(left, Literal | Parameter) and right in key:
        return right, left
    return None
