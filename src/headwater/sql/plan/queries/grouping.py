"""Expressions of a grouped SELECT in terms of what grouping yields.

They are planned over the rows of FROM, with marks for aggregates. Here each part that equals a
group expression becomes that column, each mark the aggregate's column; a column of FROM that
remains is the error 42803.

Source: PostgreSQL compares analyzed expressions in just this way (``parse_agg.c``).
"""

from collections.abc import Callable, Sequence
from itertools import combinations

from headwater.errors import GroupingError, ProgramLimitExceeded
from headwater.ir import kernels
from headwater.ir.literals import TRUE, int_literal, null_literal
from headwater.ir.scalar import Literal, Parameter
from headwater.sql.ast import query as ast
from headwater.sql.plan.context import (
    AGGREGATE_BASE,
    GROUPING_BASE,
    WINDOW_BASE,
    Aggregates,
    StatementContext,
)
from headwater.sql.plan.hir import (
    ColumnRef,
    HirAggregate,
    HirCall,
    HirFilter,
    HirGetLocal,
    HirJoin,
    HirJoinKind,
    HirLet,
    HirMap,
    HirProject,
    HirReduce,
    HirRelation,
    HirScalar,
    HirUnion,
)
from headwater.sql.plan.hir_visit import Rewriter, shift
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.scope import Scope
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BOOL, INT4, ColumnType, record_of

GROUPING_SETS_MAX = 4096  # as PostgreSQL's


class GroupRewriter:
    """Moves expressions from the rows of FROM to the rows of the groups.

    Attributes:
        keys: Group expressions, and the column of each.
        types: The types of the keys, and then of the aggregates.
    """

    def __init__(self, keys: dict[HirScalar, int], types: list[ColumnType], scope: Scope) -> None:
        self.keys = keys
        self.types = types
        self.columns = {
            key.index: column
            for key, column in keys.items()
            if isinstance(key, ColumnRef) and key.level == 0
        }
        self.has_expressions = any(not isinstance(key, ColumnRef) for key in keys)
        self.scope = scope
        self.rewriter = Rewriter(self._leaf, self._whole if self.has_expressions else None)

    def rewrite(self, expr: HirScalar) -> HirScalar:
        """Return ``expr`` over the groups. Raises: GroupingError."""
        return self.rewriter.scalar(expr)

    def _whole(self, expr: HirScalar, depth: int) -> HirScalar | None:
        if isinstance(expr, ColumnRef | Literal | Parameter):
            return None
        key = expr if depth == 0 else shift(expr, -depth)
        column = self.keys.get(key)
        if column is None:
            return None
        return ColumnRef(depth, column, self.types[column])

    def _leaf(self, found: HirScalar, depth: int) -> HirScalar:
        if not isinstance(found, ColumnRef) or found.level != depth:
            return found
        index = found.index
        if index >= AGGREGATE_BASE:
            if index >= WINDOW_BASE:
                return found
            column = len(self.keys) + index - AGGREGATE_BASE
            return ColumnRef(depth, column, self.types[column], found.name)
        if index >= GROUPING_BASE:
            column = len(self.types) + index - GROUPING_BASE
            return ColumnRef(depth, column, found.type, found.name)
        grouped = self.columns.get(index)
        if grouped is None:
            raise self._ungrouped(found, depth)
        return ColumnRef(depth, grouped, self.types[grouped], found.name)

    def _ungrouped(self, found: ColumnRef, depth: int) -> GroupingError:
        index, name = found.index, found.name
        if index < len(self.scope.columns):
            name = self.scope.columns[index].name
        for table in self.scope.tables:
            if any(at == index for _, at in table.columns):
                name = f"{table.name}.{name}"
                break
        position = self.scope.uses.get(index, 0)
        if depth:
            return GroupingError(
                f'subquery uses ungrouped column "{name}" from outer query', position=position
            )
        return GroupingError(
            f'column "{name}" must appear in the GROUP BY clause or be used in an aggregate'
            " function",
            position=position,
        )


# --- grouping sets --------------------------------------------------------------------------------


class Groups:
    """What GROUP BY says: the keys, and the sets of them that rows are grouped by."""

    __slots__ = ("_plan", "keys", "sets")

    def __init__(self, plan: Callable[[ast.Expr], HirScalar]) -> None:
        self._plan = plan
        self.keys: dict[HirScalar, int] = {}
        self.sets: list[tuple[int, ...]] = [()]

    @property
    def is_plain(self) -> bool:
        """Return whether all rows are grouped by all keys, and that once."""
        return self.sets == [tuple(range(len(self.keys)))]

    def add(self, elements: Sequence[ast.Expr | ast.Grouping]) -> None:
        """Take in the elements of GROUP BY: their sets multiply.

        Raises: ProgramLimitExceeded.
        """
        for element in elements:
            alternatives = self._alternatives(element)
            if len(self.sets) * len(alternatives) > GROUPING_SETS_MAX:
                raise ProgramLimitExceeded(
                    f"too many grouping sets present (maximum {GROUPING_SETS_MAX})",
                    position=element.position,
                )
            self.sets = [_union(left, right) for left in self.sets for right in alternatives]

    def _alternatives(self, element: ast.Expr | ast.Grouping) -> list[tuple[int, ...]]:
        if not isinstance(element, ast.Grouping):
            return [self._composite(element)]
        if element.kind is ast.GroupingKind.EMPTY:
            return [()]
        if element.kind is ast.GroupingKind.SETS:
            return [found for inner in element.elements for found in self._alternatives(inner)]
        parts = [self._alternatives(inner)[0] for inner in element.elements]
        if element.kind is ast.GroupingKind.ROLLUP:
            counts = range(len(parts), -1, -1)
            return [_union(*parts[:count]) for count in counts]
        if len(parts) > GROUPING_SETS_MAX.bit_length() - 1:
            raise ProgramLimitExceeded("CUBE is limited to 12 elements", position=element.position)
        sizes = range(len(parts), -1, -1)
        return [_union(*chosen) for size in sizes for chosen in combinations(parts, size)]

    def _composite(self, node: ast.Expr) -> tuple[int, ...]:
        nodes = node.items if isinstance(node, ast.Row) else (node,)
        return _union(*((self._key(item),) for item in nodes))

    def _key(self, node: ast.Expr) -> int:
        return self.keys.setdefault(self._plan(node), len(self.keys))


def _union(*sets: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(key for keys in sets for key in keys))


def reduce_groups(
    ctx: StatementContext,
    relation: HirRelation,
    types: list[ColumnType],
    groups: Groups,
    aggregates: Aggregates,
    group_size: int | None,
) -> tuple[HirRelation, list[ColumnType]]:
    """Return the groups of a relation with columns of ``types``.

    Shape: the keys, the aggregates, the numbers that GROUPING calls yield. Types leave the last
    out.
    """
    scalars: list[HirScalar] = []
    indexes: list[int] = []
    for key in groups.keys:
        if isinstance(key, ColumnRef) and key.level == 0:
            indexes.append(key.index)
        else:
            indexes.append(len(types) + len(scalars))
            scalars.append(key)
    if scalars:
        relation = HirMap(relation, tuple(scalars))
    found = list(aggregates.found)
    key_types = [type_of(key) for key in groups.keys]
    results = [aggregate.type for aggregate, _ in found]
    if groups.is_plain:
        if groups.keys:
            results = [
                aggregate.type if keep else _of_group(aggregate) for aggregate, keep in found
            ]
        relation = _reduce(relation, indexes, key_types, found, group_size)
        relation = _with_groupings(relation, groups, aggregates, groups.sets[0])
        return relation, [*key_types, *results]
    whole = [*types, *(type_of(scalar) for scalar in scalars)]
    columns = tuple(Column(f"column{i}", t.type, t.nullable) for i, t in enumerate(whole, 1))
    local = ctx.next_local()
    get = HirGetLocal(local, RelationDesc(columns))
    branches = []
    for chosen in groups.sets:
        kept = [indexes[key] for key in chosen]
        part = _reduce(get, kept, [key_types[key] for key in chosen], found, group_size)
        part = _padded(part, chosen, key_types, results)
        branches.append(_with_groupings(part, groups, aggregates, chosen))
    union = branches[0] if len(branches) == 1 else HirUnion(tuple(branches))
    nullable = [ColumnType(t.type, True) for t in key_types]
    return HirLet("groups", local, relation, union), [*nullable, *results]


def _of_group(aggregate: HirAggregate) -> ColumnType:
    """Return the type of an aggregate of a group, which has a row."""
    value = aggregate.expr
    if aggregate.func.startswith("string_agg_"):  # of a record of the string and its delimiter
        while isinstance(value, HirCall) and value.func == kernels.RECORD:
            value = value.args[0]
    elif kernels.of_any_row(aggregate.func):
        return ColumnType(aggregate.type.type, False)
    elif not kernels.keeps_not_null(aggregate.func):
        return aggregate.type
    return ColumnType(aggregate.type.type, type_of(value).nullable)


def _padded(
    part: HirRelation,
    chosen: tuple[int, ...],
    key_types: list[ColumnType],
    results: list[ColumnType],
) -> HirRelation:
    """Return a set's groups with NULL for the keys that are not in it."""
    missing = [key for key in range(len(key_types)) if key not in chosen]
    arity = len(chosen) + len(results)
    nulls = tuple(null_literal(key_types[key].type) for key in missing)
    outputs = [
        chosen.index(key) if key in chosen else arity + missing.index(key)
        for key in range(len(key_types))
    ]
    outputs.extend(range(len(chosen), arity))
    return HirProject(HirMap(part, nulls) if nulls else part, tuple(outputs))


def _with_groupings(
    relation: HirRelation, groups: Groups, aggregates: Aggregates, chosen: tuple[int, ...]
) -> HirRelation:
    if not aggregates.groupings:
        return relation
    numbers: list[HirScalar] = []
    for args in aggregates.groupings:
        bits = 0
        for arg in args:
            if arg not in groups.keys:
                raise GroupingError(
                    "arguments to GROUPING must be grouping expressions of the associated query"
                    " level"
                )
            bits = bits * 2 + (groups.keys[arg] not in chosen)
        numbers.append(int_literal(bits, INT4))
    return HirMap(relation, tuple(numbers))


def _reduce(
    relation: HirRelation,
    keys: Sequence[int],
    key_types: Sequence[ColumnType],
    found: Sequence[tuple[HirAggregate, HirScalar | None]],
    group_size: int | None,
) -> HirRelation:
    """Return the aggregates by ``keys``; those over some rows only are joined to the others.

    An aggregate that counts NULLs cannot have its FILTER folded into its argument.
    """
    conditions = list(dict.fromkeys(keep for _, keep in found if keep is not None))
    plain = [aggregate for aggregate, keep in found if keep is None]
    result: HirRelation = HirReduce(relation, tuple(keys), tuple(plain), group_size)
    if not conditions:
        return result
    arity = len(keys) + len(plain)
    places = {aggregate: len(keys) + number for number, aggregate in enumerate(plain)}
    filtered: dict[tuple[HirAggregate, HirScalar | None], int] = {}
    for condition in conditions:
        own = [aggregate for aggregate, keep in found if keep == condition]
        part = HirReduce(HirFilter(relation, (condition,)), tuple(keys), tuple(own), group_size)
        on = _same_keys(len(keys), arity, key_types)
        result = HirJoin(result, part, on, HirJoinKind.LEFT)
        for number, aggregate in enumerate(own):
            filtered[aggregate, condition] = arity + len(keys) + number
        arity += len(keys) + len(own)
    outputs = list(range(len(keys)))
    for aggregate, keep in found:
        outputs.append(places[aggregate] if keep is None else filtered[aggregate, keep])
    return HirProject(result, tuple(outputs))


def _same_keys(width: int, offset: int, types: Sequence[ColumnType]) -> HirScalar:
    """Return that two groups have the same keys, NULL being equal to NULL as in records."""
    if width == 0:
        return TRUE
    kind = record_of(*((f"f{number}", type) for number, type in enumerate(types, 1)))

    def record(first: int) -> HirScalar:
        fields = tuple(ColumnRef(0, first + i, type) for i, type in enumerate(types))
        return HirCall("record_make", fields, ColumnType(kind, False))

    return HirCall("eq", (record(0), record(offset)), ColumnType(BOOL, False))
