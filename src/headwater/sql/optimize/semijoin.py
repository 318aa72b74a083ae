"""Joins with distinct values that are given anyway are dropped.

Decorrelation computes a subquery for the distinct values ``K = DISTINCT π(A)`` of the enclosing
rows ``A``, and joins the result back to ``A``. Where the subquery equates each column of ``K`` with
one of its own (``k = s.x``), restricting it to ``K`` only leaves out rows that the join with ``A``
would leave out: the inner join with ``K`` is redundant, and the subquery can be computed once for
all values, or shared.

A *restriction* says: of this relation, only rows matter whose columns hold values that occur in
``A``. It starts at a join (of its other inputs, by the classes) and is carried down through
operators that treat each value of those columns apart. Nothing that may fail may lie in between:
rows that were left out before must not raise errors now.
"""

import msgspec

from headwater.ir import kernels
from headwater.ir.linear import Linear, extract
from headwater.ir.relation import (
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
    Negate,
    Project,
    Reduce,
    RelationExpr,
    Threshold,
    TopK,
    Union,
    Window,
)
from headwater.ir.scalar import Call, Column, ScalarExpr
from headwater.ir.typing import Typer, arity
from headwater.ir.visit import (
    columns_of,
    local_gets,
    map_inputs,
    replace,
    substitute,
)
from headwater.sql.optimize.context import OptimizerContext


class Source(msgspec.Struct, frozen=True):
    """The relation whose values restrict: rows of ``inner`` for which ``predicates`` hold."""

    inner: RelationExpr
    predicates: frozenset[ScalarExpr]


class Restriction(msgspec.Struct, frozen=True):
    """Only rows matter in which column ``c`` and the others hold ``values[c]`` of one source row.

    ``values`` are over the columns of the source's ``inner``.
    """

    source: Source
    values: dict[int, ScalarExpr]


Restrictions = list[Restriction]


def drop_semijoins(expr: RelationExpr, context: OptimizerContext) -> RelationExpr:
    """Return ``expr`` without joins with distinct values of what is joined above anyway."""
    return _Dropper(context.typer).plan(expr)


class _Distinct(msgspec.Struct, frozen=True):
    """``DISTINCT key`` of the rows of ``inner`` for which ``predicates`` hold."""

    inner: RelationExpr
    predicates: frozenset[ScalarExpr]
    key: tuple[ScalarExpr, ...]


class _Dropper:
    def __init__(self, typer: Typer) -> None:
        self.typer = typer
        # For each local, what every use so far is restricted by; and how many uses were met.
        self.uses: dict[int, list[Restrictions]] = {}
        self.values: dict[int, RelationExpr] = {}

    def plan(self, expr: RelationExpr) -> RelationExpr:
        """Rewrite a plan whose Lets are at the top: bodies first, then the values they restrict."""
        if isinstance(expr, Let):
            self.values[expr.id] = expr.value
            body = self.plan(expr.body)
            met = self.uses.pop(expr.id, [])
            shared: Restrictions = []
            if met and len(met) == local_gets(expr.body).get(expr.id, 0):
                shared = [item for item in met[0] if all(item in other for other in met[1:])]
            value = self.visit(expr.value, shared)
            if value is expr.value and body is expr.body:
                return expr
            return Let(expr.id, value, body)
        if isinstance(expr, LetRec):
            body = self.plan(expr.body)
            values = tuple(_Dropper(self.typer).plan(value) for value in expr.values)
            for value in expr.values:
                for number, count in local_gets(value).items():
                    self.uses.setdefault(number, []).extend([[]] * count)
            return replace(expr, values=values, body=body)
        return self.visit(expr, [])

    def visit(self, expr: RelationExpr, given: Restrictions) -> RelationExpr:
        """Rewrite ``expr``, of which only rows matter that satisfy all of ``given``."""
        match expr:
            case Get(id=LocalId(id=number)):
                self.uses.setdefault(number, []).append(given)
                return expr
            case Join() if expr.implementation.kind is JoinKind.UNIMPLEMENTED:
                return self.join(expr, given)
            case Filter():
                carried = given if _safe(expr.predicates) else []
                return _with_input(expr, self.visit(expr.input, carried))
            case Map():
                carried = _below(given, _map_columns(expr)) if _safe(expr.scalars) else []
                return _with_input(expr, self.visit(expr.input, carried))
            case Project():
                carried = _below(given, dict(enumerate(expr.outputs)))
                return _with_input(expr, self.visit(expr.input, carried))
            case FlatMap():
                columns = {column: column for column in range(arity(expr.input))}
                carried = _below(given, columns) if _safe(expr.exprs) else []
                return _with_input(expr, self.visit(expr.input, carried))
            case Reduce():
                return _with_input(expr, self.visit(expr.input, _through_reduce(expr, given)))
            case TopK():
                columns = {column: column for column in expr.group_key}
                return _with_input(expr, self.visit(expr.input, _below(given, columns)))
            case Window():
                columns = {column: column for column in expr.partition}
                return _with_input(expr, self.visit(expr.input, _below(given, columns)))
            case Negate() | Threshold():
                return _with_input(expr, self.visit(expr.input, given))
            case Union():
                return map_inputs(expr, lambda member: self.visit(member, given))
            case _:
                return map_inputs(expr, lambda child: self.visit(child, []))

    def join(self, expr: Join, given: Restrictions) -> RelationExpr:
        frame = _Frame(expr)
        # Each with the input that says it; what an input says of itself tells it nothing new.
        facts = [*((None, item) for item in given), *frame.own_restrictions()]
        for number in range(len(expr.inputs)):
            values = self.distinct_values(expr.inputs[number])
            if values is None:
                continue
            for teller, fact in facts:
                if teller == number:
                    continue
                rebuilt = self.without(expr, frame, number, values, fact)
                if rebuilt is not None:
                    return self.visit(rebuilt, given)
        inputs = []
        for number, member in enumerate(expr.inputs):
            if isinstance(extract(member)[1], Get | Constant) and not local_gets(member):
                inputs.append(member)  # nothing below it could use a fact
                continue
            carried = []
            for teller, fact in facts:
                moved = frame.into(number, fact) if teller != number else None
                if moved is not None:
                    carried.append(moved)
            inputs.append(self.visit(member, carried))
        if all(new is old for new, old in zip(inputs, expr.inputs, strict=True)):
            return expr
        return replace(expr, inputs=tuple(inputs))

    def distinct_values(self, expr: RelationExpr) -> _Distinct | None:
        """Read ``expr``, or the local it names, as the distinct values of a chain."""
        if isinstance(expr, Get) and isinstance(expr.id, LocalId):
            expr = self.values.get(expr.id.id, expr)
        if not isinstance(expr, Reduce):
            return self.keyed_values(expr)
        if expr.aggregates:
            return None
        linear, inner = extract(expr.input)
        if any(map(kernels.mentions_mz_now, linear.predicates)):
            return None
        key = tuple(linear.expand(_over(item, linear)) for item in expr.group_key)
        predicates = frozenset(linear.expand(item) for item in linear.predicates)
        return _Distinct(inner, predicates, key)

    def keyed_values(self, expr: RelationExpr) -> _Distinct | None:
        """Read a chain that has a key as the distinct values of all its columns."""
        linear, inner = extract(expr)
        if not self.typer.keys(expr) or any(map(kernels.mentions_mz_now, linear.predicates)):
            return None
        key = tuple(linear.output(column) for column in range(len(linear.outputs)))
        predicates = frozenset(linear.expand(item) for item in linear.predicates)
        return _Distinct(inner, predicates, key)

    def without(
        self,
        expr: Join,
        frame: "_Frame",
        number: int,
        values: "_Distinct",
        fact: Restriction,
    ) -> RelationExpr | None:
        """Return the join without input ``number``, if ``fact`` makes it redundant."""
        if values.inner != fact.source.inner or len(expr.inputs) < 2:
            return None
        offset = frame.offsets[number]
        stand_ins: dict[int, ScalarExpr] = {}
        rejected: list[ScalarExpr] = []
        nullable_kept: set[ScalarExpr] = set()
        for position, value in enumerate(values.key):
            column = offset + position
            found = frame.stand_in(number, column, value, fact)
            if found is None:
                return None
            stand_in, null_safe = found
            stand_ins[column] = stand_in
            if null_safe:
                nullable_kept.add(value)
            else:
                rejected.append(stand_in)
        for item in values.predicates - fact.source.predicates:
            # A value that is equated is not null in any row that remains.
            if not _is_not_null_of(item, values.key) or _tested(item) in nullable_kept:
                return None
        return self.remove(expr, frame, number, stand_ins, rejected)

    def remove(
        self,
        expr: Join,
        frame: "_Frame",
        number: int,
        stand_ins: dict[int, ScalarExpr],
        rejected: list[ScalarExpr],
    ) -> RelationExpr:
        offset, width = frame.offsets[number], frame.widths[number]

        def moved(index: int) -> ScalarExpr:
            if index in stand_ins:
                return substitute(stand_ins[index], moved)
            return Column(index if index < offset else index - width)

        classes = []
        for members in expr.equivalences:
            new = tuple(dict.fromkeys(substitute(item, moved) for item in members))
            if len(new) > 1:
                classes.append(new)
        inputs = tuple(member for index, member in enumerate(expr.inputs) if index != number)
        result: RelationExpr = Join(inputs, tuple(classes))
        types = self.typer.types(result)
        linear = Linear.identity(len(types))
        tests = [substitute(item, moved) for item in rejected]
        linear = linear.then_filter(
            kernels.is_not_null(item)
            for item in tests
            if not isinstance(item, Column) or types[item.index].nullable
        )
        total = len(types) + width
        linear = linear.then_map([moved(index) for index in range(total)])
        linear = linear.then_project(range(len(types), len(types) + total))
        return linear.simplified().to_relation(result)


class _Frame:
    """The columns of a join: whose they are, and which are equal."""

    def __init__(self, join: Join) -> None:
        self.join = join
        self.widths = [arity(member) for member in join.inputs]
        self.offsets = [sum(self.widths[:number]) for number in range(len(self.widths))]
        self.owner = [number for number, width in enumerate(self.widths) for _ in range(width)]
        # For each plain column: the classes it is in, with whether NULLs match there.
        self.classes: list[tuple[list[tuple[ScalarExpr, ScalarExpr]], bool]] = []
        for members in join.equivalences:
            null_safe = any(_is_record(item) for item in members)
            self.classes.append(([(item, _plain(item)) for item in members], null_safe))
        self.of_column: dict[int, list[int]] = {}
        for number, (pairs, _) in enumerate(self.classes):
            for index in {plain.index for _, plain in pairs if isinstance(plain, Column)}:
                self.of_column.setdefault(index, []).append(number)

    def own_restrictions(self) -> list[tuple[int | None, Restriction]]:
        """Return what each input says of its own columns: they hold its values."""
        facts: list[tuple[int | None, Restriction]] = []
        for number, member in enumerate(self.join.inputs):
            linear, inner = extract(member)
            if any(kernels.mentions_mz_now(item) for item in linear.predicates):
                continue
            source = Source(inner, frozenset(linear.expand(item) for item in linear.predicates))
            offset = self.offsets[number]
            fact = Restriction(
                source,
                {offset + column: linear.output(column) for column in range(self.widths[number])},
            )
            facts.append((number, fact))
        return facts

    def equals(self, column: int) -> list[tuple[ScalarExpr, bool]]:
        """Return the expressions equal to ``column``, and whether by a class that matches NULL."""
        found: list[tuple[ScalarExpr, bool]] = []
        for number in self.of_column.get(column, ()):
            members, null_safe = self.classes[number]
            found.extend((plain, null_safe) for _, plain in members if plain != Column(column))
        return found

    def stand_in(
        self, number: int, column: int, value: ScalarExpr, fact: Restriction
    ) -> tuple[ScalarExpr, bool] | None:
        """Return what can be read in place of ``column`` of the redundant input ``number``.

        The column must hold what ``fact`` restricts to ``value``, itself or by a class; what stands
        in comes from another input.
        """
        equal = self.equals(column)
        outside = [
            (plain, null_safe)
            for plain, null_safe in equal
            if columns_of(plain) and all(self.owner[c] != number for c in columns_of(plain))
        ]
        if not outside:
            return None
        if fact.values.get(column) == value:
            return outside[0]
        for plain, null_safe in outside:
            if isinstance(plain, Column) and fact.values.get(plain.index) == value:
                return plain, null_safe
        return None

    def into(self, number: int, fact: Restriction) -> Restriction | None:
        """Return ``fact`` over the columns of input ``number``, as far as they are tied to it."""
        offset = self.offsets[number]
        values: dict[int, ScalarExpr] = {}
        for column, value in fact.values.items():
            for plain in (Column(column), *(item for item, _ in self.equals(column))):
                if isinstance(plain, Column) and self.owner[plain.index] == number:
                    values.setdefault(plain.index - offset, value)
        return Restriction(fact.source, values) if values else None


def _over(expr: ScalarExpr, linear: Linear) -> ScalarExpr:
    return substitute(expr, lambda index: Column(linear.outputs[index]))


def _safe(exprs: tuple[ScalarExpr, ...]) -> bool:
    return not any(map(kernels.may_fail, exprs))


def _below(given: Restrictions, columns: dict[int, int]) -> Restrictions:
    """Return ``given`` over an input's columns; ``columns`` says where they come from."""
    carried = []
    for item in given:
        values = {
            columns[column]: value for column, value in item.values.items() if column in columns
        }
        if values:
            carried.append(Restriction(item.source, values))
    return carried


def _map_columns(expr: Map) -> dict[int, int]:
    width = arity(expr.input)
    columns = {column: column for column in range(width)}
    for number, scalar in enumerate(expr.scalars):
        if isinstance(scalar, Column) and scalar.index in columns:
            columns[width + number] = columns[scalar.index]
    return columns


def _through_reduce(expr: Reduce, given: Restrictions) -> Restrictions:
    arguments = tuple(item.expr for item in expr.aggregates)
    if not _safe((*expr.group_key, *arguments)):
        return []
    columns = {
        number: key.index for number, key in enumerate(expr.group_key) if isinstance(key, Column)
    }
    return _below(given, columns)


def _is_record(expr: ScalarExpr) -> bool:
    return isinstance(expr, Call) and expr.func == kernels.RECORD and len(expr.args) == 1


def _plain(expr: ScalarExpr) -> ScalarExpr:
    if isinstance(expr, Call) and expr.func == kernels.RECORD and len(expr.args) == 1:
        return expr.args[0]
    return expr


def _tested(expr: ScalarExpr) -> ScalarExpr | None:
    """Return ``x`` of ``x IS NOT NULL``."""
    if isinstance(expr, Call) and expr.func == kernels.NOT:
        inner = expr.args[0]
        if isinstance(inner, Call) and inner.func == kernels.IS_NULL:
            return inner.args[0]
    return None


def _is_not_null_of(expr: ScalarExpr, key: tuple[ScalarExpr, ...]) -> bool:
    tested = _tested(expr)
    return tested is not None and tested in key


def _with_input(
    expr: Filter | Map | Project | FlatMap | Reduce | TopK | Window | Negate | Threshold,
    child: RelationExpr,
) -> RelationExpr:
    return expr if child is expr.input else replace(expr, input=child)
