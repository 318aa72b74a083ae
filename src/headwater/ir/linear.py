"""Chains of Map, Filter and Project as one value that can be composed, simplified and moved.

Both the optimizer (canonical chains, pushdown) and lowering (``physical.Mfp``) work on it.
"""

from collections.abc import Iterable, Sequence

import msgspec

from headwater.ir import kernels
from headwater.ir.relation import Filter, Map, Negate, Project, RelationExpr, Union
from headwater.ir.scalar import Column, Literal, LiteralError, Parameter, ScalarExpr
from headwater.ir.typing import arity
from headwater.ir.visit import columns_of, remap, substitute, walk_scalar


class Linear(msgspec.Struct, frozen=True):
    """What a chain of Map, Filter and Project does to rows of ``input_arity`` columns.

    Column ``input_arity + i`` is ``expressions[i]``, over the columns before it; ``predicates``
    may refer to all; ``outputs`` are the columns that come out.
    """

    input_arity: int
    expressions: tuple[ScalarExpr, ...]
    predicates: tuple[ScalarExpr, ...]
    outputs: tuple[int, ...]

    @staticmethod
    def identity(input_arity: int) -> "Linear":
        """Return the chain of no operators."""
        return Linear(input_arity, (), (), tuple(range(input_arity)))

    @property
    def is_identity(self) -> bool:
        """Return whether rows pass unchanged."""
        return (
            not self.expressions
            and not self.predicates
            and self.outputs == tuple(range(self.input_arity))
        )

    @property
    def may_fail(self) -> bool:
        """Return whether some row might be an error."""
        return any(map(kernels.may_fail, (*self.expressions, *self.predicates)))

    @property
    def width(self) -> int:
        """Return the number of input columns and expressions."""
        return self.input_arity + len(self.expressions)

    def output(self, column: int) -> ScalarExpr:
        """Return output ``column`` as an expression over the input's columns alone."""
        return self.expand(Column(self.outputs[column]))

    def expand(self, expr: ScalarExpr) -> ScalarExpr:
        """Return ``expr``, over input and expressions, over the input's columns alone."""

        def inner(index: int) -> ScalarExpr | None:
            if index < self.input_arity:
                return None
            return self.expand(self.expressions[index - self.input_arity])

        return substitute(expr, inner)

    def then_map(self, scalars: Sequence[ScalarExpr]) -> "Linear":
        """Return this chain followed by a Map."""
        outputs = list(self.outputs)
        expressions = list(self.expressions)
        for scalar in scalars:
            expressions.append(_over(scalar, outputs))
            outputs.append(self.input_arity + len(expressions) - 1)
        return Linear(self.input_arity, tuple(expressions), self.predicates, tuple(outputs))

    def then_filter(self, predicates: Iterable[ScalarExpr]) -> "Linear":
        """Return this chain followed by a Filter."""
        moved = tuple(
            member
            for predicate in predicates
            for member in kernels.conjuncts(_over(predicate, self.outputs))
        )
        return Linear(self.input_arity, self.expressions, self.predicates + moved, self.outputs)

    def then_project(self, outputs: Sequence[int]) -> "Linear":
        """Return this chain followed by a Project."""
        return Linear(
            self.input_arity,
            self.expressions,
            self.predicates,
            tuple(self.outputs[output] for output in outputs),
        )

    def then(self, after: "Linear") -> "Linear":
        """Return this chain followed by ``after``."""
        return (
            self.then_map(after.expressions)
            .then_filter(after.predicates)
            .then_project(after.outputs)
        )

    def demand(self) -> set[int]:
        """Return the input columns that are read."""
        needed = {output for output in self.outputs if output < self.input_arity}
        for expr in (*self.expressions, *self.predicates):
            needed |= {column for column in columns_of(expr) if column < self.input_arity}
        return needed

    def renumbered(self, mapping: dict[int, int], input_arity: int) -> "Linear":
        """Return the chain over another input: input column ``i`` is now ``mapping[i]``."""
        full = dict(mapping)
        for index in range(len(self.expressions)):
            full[self.input_arity + index] = input_arity + index
        return Linear(
            input_arity,
            tuple(remap(expr, full) for expr in self.expressions),
            tuple(remap(expr, full) for expr in self.predicates),
            tuple(full[output] for output in self.outputs),
        )

    def simplified(self) -> "Linear":
        """Return the chain without unused, repeated or trivial expressions.

        An expression read once is put where it is read; predicates occur once.
        """
        if not self.expressions:
            predicates = _distinct(self.predicates)
            if len(predicates) == len(self.predicates):
                return self
            return Linear(self.input_arity, (), predicates, self.outputs)
        return _simplify(self)

    def to_relation(self, expr: RelationExpr) -> RelationExpr:
        """Return ``expr`` under this chain, as Filter, Map, Filter, Project in that order.

        Conditions on the input alone come first: a row that they leave out must not fail in an
        expression.
        """
        below = self.predicates
        above: tuple[ScalarExpr, ...] = ()
        if self.expressions:
            arity_ = self.input_arity
            early = [all(c < arity_ for c in columns_of(item)) for item in self.predicates]
            below = tuple(p for p, first in zip(self.predicates, early, strict=True) if first)
            above = tuple(p for p, first in zip(self.predicates, early, strict=True) if not first)
        if below:
            expr = Filter(expr, below)
        if self.expressions:
            expr = Map(expr, self.expressions)
        if above:
            expr = Filter(expr, above)
        if self.outputs != tuple(range(self.width)):
            expr = Project(expr, self.outputs)
        return expr


def is_draw(expr: RelationExpr) -> bool:
    """Return whether ``expr`` evaluates volatile calls: the Map that has nothing else in it.

    Its rows are what they are only where they are made: it may neither be computed twice, nor for
    rows that others cancel. ``sql.optimize.draws`` brings plans into this form.
    """
    if type(expr) is not Map or not expr.scalars:
        return False
    return all(map(kernels.is_volatile_call, expr.scalars))


def is_linear(expr: RelationExpr) -> bool:
    """Return whether ``expr`` is a link of a chain: a Map, Filter or Project that is no draw."""
    kind = type(expr)
    if kind is Map:
        return not is_draw(expr)
    return kind is Filter or kind is Project


def extract(expr: RelationExpr) -> tuple[Linear, RelationExpr]:
    """Split ``expr`` into the chain of Map, Filter, Project on top, and what is below.

    A chain ends above a draw, which is thereby an operator that no rule sees through.
    """
    chain: list[RelationExpr] = []
    while is_linear(expr):
        chain.append(expr)
        expr = expr.input  # type: ignore[union-attr]
    linear = Linear.identity(arity(expr))
    for node in reversed(chain):
        if isinstance(node, Map):
            linear = linear.then_map(node.scalars)
        elif isinstance(node, Filter):
            linear = linear.then_filter(node.predicates)
        elif isinstance(node, Project):
            linear = linear.then_project(node.outputs)
    return linear, expr


def subtracts(union: Union) -> bool:
    """Return whether members may take away what others add: then rows can cancel."""
    return any(isinstance(extract(member)[1], Negate) for member in union.inputs)


def is_trivial(expr: ScalarExpr) -> bool:
    """Return whether computing ``expr`` twice costs nothing."""
    return isinstance(expr, Column | Literal | LiteralError | Parameter)


def _over(expr: ScalarExpr, outputs: Sequence[int]) -> ScalarExpr:
    return substitute(expr, lambda index: Column(outputs[index]))


def _distinct(exprs: Iterable[ScalarExpr]) -> tuple[ScalarExpr, ...]:
    return tuple(dict.fromkeys(expr for expr in exprs if not kernels.is_true(expr)))


def _simplify(linear: Linear) -> Linear:  # noqa: C901 -- three passes over one table
    base = linear.input_arity
    # Pass 1: inline what is trivial, and find repeats.
    resolved: list[ScalarExpr] = []  # expression i, trivial ones inlined
    canonical: dict[ScalarExpr, int] = {}
    alias: dict[int, ScalarExpr] = {}
    for index, expr in enumerate(linear.expressions):
        expr = substitute(expr, alias.get)
        if is_trivial(expr):
            alias[base + index] = expr
        else:
            first = canonical.setdefault(expr, base + index)
            if first != base + index:
                alias[base + index] = Column(first)
        resolved.append(expr)
    predicates = [substitute(predicate, alias.get) for predicate in linear.predicates]
    outputs: list[ScalarExpr] = [alias.get(output, Column(output)) for output in linear.outputs]
    # Pass 2: count uses from the end, so that uses by unused expressions do not count.
    uses: dict[int, int] = {}

    def count(expr: ScalarExpr, by: int = 1) -> None:
        for node in walk_scalar(expr):
            if type(node) is Column and node.index >= base:
                uses[node.index] = uses.get(node.index, 0) + by

    for expr in predicates:
        count(expr)
    for expr in outputs:
        # A column that is given out keeps its expression: nothing can be put in its place.
        count(expr, 2)
    for index in range(len(resolved) - 1, -1, -1):
        if uses.get(base + index, 0):
            count(resolved[index])
    # Pass 3: rebuild.
    place: dict[int, ScalarExpr] = {}
    expressions: list[ScalarExpr] = []
    for index, expr in enumerate(resolved):
        number = uses.get(base + index, 0)
        if number == 0:
            continue
        expr = substitute(expr, place.get)
        if number == 1:
            place[base + index] = expr
        else:
            place[base + index] = Column(base + len(expressions))
            expressions.append(expr)
    columns: list[int] = []
    constants: dict[ScalarExpr, int] = {}
    for expr in outputs:
        expr = substitute(expr, place.get)
        if isinstance(expr, Column):
            columns.append(expr.index)
            continue
        if expr not in constants:
            constants[expr] = base + len(expressions)
            expressions.append(expr)
        columns.append(constants[expr])
    return Linear(
        base,
        tuple(expressions),
        _distinct(substitute(predicate, place.get) for predicate in predicates),
        tuple(columns),
    )
