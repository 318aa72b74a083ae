"""What is known of each operator's output: column types, nullability, keys, monotonicity.

Everything is derived bottom-up from ``Get`` and ``Constant``, which carry a description; nothing
needs an environment of bindings. Derivation is memoised by node identity in a :class:`Typer`.
"""

from collections.abc import Callable, Iterable

from headwater.errors import InternalError
from headwater.ir import kernels
from headwater.ir.relation import (
    ArrangeBy,
    Constant,
    ConstantError,
    Filter,
    FlatMap,
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
)
from headwater.ir.scalar import AggregateExpr, Call, Column, If, Literal, ScalarExpr
from headwater.ir.visit import columns_of
from headwater.types.ids import GlobalId
from headwater.types.relation import Column as DescColumn
from headwater.types.relation import RelationDesc
from headwater.types.scalar import ColumnType

Types = tuple[ColumnType, ...]
Key = tuple[int, ...]

KEYS_MAX = 16  # keys kept of one operator; joins multiply them, and few are ever used


def scalar_type(expr: ScalarExpr, types: Types) -> ColumnType:
    """Return the type of ``expr`` over columns of ``types``, as nullable as can be shown.

    A call's declared nullability is a bound; strict kernels over arguments that are not null are
    not null either.
    """
    if isinstance(expr, Column):
        return types[expr.index]
    if isinstance(expr, Call):
        if expr.type.nullable and not _call_nullable(expr, types):
            return ColumnType(expr.type.type, nullable=False)
        return expr.type
    if isinstance(expr, If):
        then, els = scalar_type(expr.then, types), scalar_type(expr.els, types)
        if els.nullable and not then.nullable:
            return ColumnType(then.type, nullable=True)
        return then
    return expr.type


def _call_nullable(call: Call, types: Types) -> bool:
    func = call.func
    if func in kernels.NEVER_NULL:
        return False
    if func in kernels.STRICT or func in (kernels.AND, kernels.OR):
        return any(scalar_type(arg, types).nullable for arg in call.args)
    if func == kernels.COALESCE:
        return all(scalar_type(arg, types).nullable for arg in call.args)
    return True


def arity(expr: RelationExpr) -> int:
    """Return the number of columns of ``expr``."""
    more = 0
    while True:
        kind = type(expr)
        if kind is Get or kind is Constant or kind is ConstantError:
            return more + len(expr.desc.columns)  # type: ignore[union-attr]
        if kind is Project:
            return more + len(expr.outputs)  # type: ignore[union-attr]
        if kind is Reduce:
            return more + len(expr.group_key) + len(expr.aggregates)  # type: ignore[union-attr]
        if isinstance(expr, Join):
            return more + sum(map(arity, expr.inputs))
        if kind is Map:
            more += len(expr.scalars)  # type: ignore[union-attr]
        elif kind is FlatMap:
            more += len(expr.columns)  # type: ignore[union-attr]
        elif kind is Window:
            more += len(expr.functions)  # type: ignore[union-attr]
        elif kind is Let or kind is LetRec:
            expr = expr.body  # type: ignore[union-attr]
            continue
        elif kind is Union:
            expr = expr.inputs[0]  # type: ignore[union-attr]
            continue
        expr = expr.input  # type: ignore[union-attr]


def anonymous_desc(types: Iterable[ColumnType], keys: tuple[Key, ...] = ()) -> RelationDesc:
    """Return a description with columns named ``column1`` and so on."""
    return RelationDesc(
        tuple(
            DescColumn(f"column{number}", column.type, column.nullable)
            for number, column in enumerate(types, 1)
        ),
        keys,
    )


class Typer:
    """Derives types and keys, remembering them by node identity.

    The memo holds the nodes, so that no identity is reused while it lives.
    """

    def __init__(self) -> None:
        self._types: dict[int, tuple[RelationExpr, Types]] = {}
        self._keys: dict[int, tuple[RelationExpr, tuple[Key, ...]]] = {}

    def types(self, expr: RelationExpr) -> Types:
        """Return the column types of ``expr``."""
        known = self._types.get(id(expr))
        if known is not None:
            return known[1]
        types = self._derive_types(expr)
        self._types[id(expr)] = (expr, types)
        return types

    def keys(self, expr: RelationExpr) -> tuple[Key, ...]:
        """Return sets of columns of ``expr``, sorted, whose values no two rows share.

        A key also says that every row occurs once.
        """
        known = self._keys.get(id(expr))
        if known is not None:
            return known[1]
        keys = minimal_keys(self._derive_keys(expr))
        self._keys[id(expr)] = (expr, keys)
        return keys

    def desc(self, expr: RelationExpr) -> RelationDesc:
        """Return the description of ``expr``, with its columns' names where they are known."""
        names = column_names(expr)
        return RelationDesc(
            tuple(
                DescColumn(name or f"column{number}", column.type, column.nullable)
                for number, (name, column) in enumerate(
                    zip(names, self.types(expr), strict=True), 1
                )
            ),
            self.keys(expr),
        )

    def scalar(self, expr: ScalarExpr, over: RelationExpr) -> ColumnType:
        """Return the type of ``expr`` over the columns of ``over``."""
        return scalar_type(expr, self.types(over))

    def _derive_types(self, expr: RelationExpr) -> Types:
        match expr:
            case Constant() | ConstantError() | Get():
                return expr.desc.types
            case Let() | LetRec():
                return self.types(expr.body)
            case Project():
                inner = self.types(expr.input)
                return tuple(inner[output] for output in expr.outputs)
            case Map():
                types = list(self.types(expr.input))
                for scalar in expr.scalars:
                    types.append(scalar_type(scalar, tuple(types)))
                return tuple(types)
            case Filter():
                return _not_null(self.types(expr.input), _required_columns(expr.predicates))
            case FlatMap():
                return (*self.types(expr.input), *expr.columns)
            case Window():
                return (*self.types(expr.input), *(item.type for item in expr.functions))
            case Join():
                types = []
                for member in expr.inputs:
                    types.extend(self.types(member))
                required = {
                    item.index
                    for members in expr.equivalences
                    for item in members
                    if isinstance(item, Column)
                }
                return _not_null(tuple(types), required)
            case Reduce():
                inner = self.types(expr.input)
                return (
                    *(scalar_type(key, inner) for key in expr.group_key),
                    *(_of_group(item, inner) for item in expr.aggregates if expr.group_key),
                    *(item.type for item in expr.aggregates if not expr.group_key),
                )
            case Union():
                return self._union_types(expr)
            case _:
                return self.types(expr.input)

    def _union_types(self, expr: Union) -> Types:
        first, *rest = (self.types(member) for member in expr.inputs)
        types = list(first)
        for other in rest:
            for index, column in enumerate(other):
                if column.nullable and not types[index].nullable:
                    types[index] = ColumnType(types[index].type, nullable=True)
        return tuple(types)

    def _derive_keys(self, expr: RelationExpr) -> Iterable[Key]:
        match expr:
            case Constant():
                if len(expr.rows) == 0 or (len(expr.rows) == 1 and expr.rows[0][1] == 1):
                    return ((),)
                return expr.desc.keys
            case ConstantError():
                return ((),)
            case Get():
                return expr.desc.keys
            case Let() | LetRec():
                return self.keys(expr.body)
            case Project():
                return _project_keys(self.keys(expr.input), expr.outputs)
            case Filter():
                fixed = _fixed_columns(expr.predicates)
                return [
                    tuple(column for column in key if column not in fixed)
                    for key in self.keys(expr.input)
                ]
            case Map() | Threshold() | ArrangeBy():
                return self.keys(expr.input)
            case Window():
                return self._window_keys(expr)
            case Join():
                return self._join_keys(expr)
            case Reduce():
                return self._reduce_keys(expr)
            case TopK():
                keys = list(self.keys(expr.input))
                if isinstance(expr.limit, Literal) and expr.limit.data == kernels.ONE_DATUM:
                    keys.append(tuple(sorted(set(expr.group_key))))
                return keys
            case FlatMap() | Negate() | Union():
                return self._union_keys(expr) if isinstance(expr, Union) else ()

    def _window_keys(self, expr: Window) -> Iterable[Key]:
        """A row's number and its partition are its own; so is what was before."""
        width = arity(expr.input)
        yield from self.keys(expr.input)
        for number, item in enumerate(expr.functions):
            if item.func == "row_number":
                yield tuple(sorted({*expr.partition, width + number}))

    def _reduce_keys(self, expr: Reduce) -> Iterable[Key]:
        width = len(expr.group_key)
        yield tuple(range(width))
        where: dict[int, int] = {}
        for position, scalar in enumerate(expr.group_key):
            if isinstance(scalar, Column):
                where.setdefault(scalar.index, position)
        for key in self.keys(expr.input):
            if all(column in where for column in key):
                yield tuple(sorted(where[column] for column in key))

    def _union_keys(self, expr: Union) -> Iterable[Key]:
        """Recognize A and B less C where those cannot share a key.

        That is the shape decorrelation gives a default row: rows of a collection keyed by ``k``,
        and for each key that is missing there one row.
        """
        return padded_keys(self, expr)

    def _join_keys(self, expr: Join) -> Iterable[Key]:
        """Keys of the product, less those that the classes tie to other inputs.

        Starting from each input, inputs one of whose keys is tied to columns reached already
        contribute no columns; any other contributes its first key.
        """
        offsets: list[int] = []
        total = 0
        for member in expr.inputs:
            offsets.append(total)
            total += arity(member)
        owner = [index for index, member in enumerate(expr.inputs) for _ in range(arity(member))]
        input_keys = [self.keys(member) for member in expr.inputs]
        if any(not keys for keys in input_keys):
            return
        classes = [
            [(item, {owner[column] for column in columns_of(item)}) for item in members]
            for members in expr.equivalences
        ]
        for start, keys in enumerate(input_keys):
            for key in keys:
                yield tuple(sorted(_extend_key(start, key, input_keys, offsets, classes)))


def _extend_key(
    start: int,
    key: Key,
    input_keys: list[tuple[Key, ...]],
    offsets: list[int],
    classes: list[list[tuple[ScalarExpr, set[int]]]],
) -> set[int]:
    reached = {start}
    columns = {offsets[start] + column for column in key}
    missing = set(range(len(input_keys))) - reached
    while missing:
        for index in sorted(missing):
            tied = _tied_columns(index, offsets[index], reached, classes)
            if any(tied.issuperset(member) for member in input_keys[index]):
                chosen = index
                break
        else:
            chosen = min(missing)
            tied = _tied_columns(chosen, offsets[chosen], reached, classes)
            best = min(input_keys[chosen], key=lambda member: len(set(member) - tied))
            columns |= {offsets[chosen] + column for column in best if column not in tied}
        reached.add(chosen)
        missing.discard(chosen)
    return columns


def _tied_columns(
    index: int,
    offset: int,
    reached: set[int],
    classes: list[list[tuple[ScalarExpr, set[int]]]],
) -> set[int]:
    """Columns of input ``index`` equal to something over the ``reached`` inputs (or a constant)."""
    tied = set()
    for members in classes:
        if not any(owners <= reached for _, owners in members):
            continue
        for item, owners in members:
            if owners == {index}:
                column = item
                if isinstance(item, Call) and item.func == kernels.RECORD and len(item.args) == 1:
                    column = item.args[0]
                if isinstance(column, Column):
                    tied.add(column.index - offset)
    return tied


def padded_keys(typer: Typer, expr: Union) -> Iterable[Key]:
    """Keys of hits, padded rows, less padded rows of hits, as decorrelation makes them.

    If ``rows`` has a key and what is negated are the rows of ``hits``, cut to the columns of
    ``rows``, then no row can be there twice: each occurs in ``hits`` at most once, or padded.
    """
    branches = [(member, *extract_chain(member)) for member in _union_parts(expr)]
    if len(branches) != 3:
        return
    for _, outputs, source in branches:
        if not isinstance(source, Negate):
            continue
        _, hit_columns, hits = (None, *extract_chain(source.input))
        others = [item for item in branches if item[2] is not source]
        for (_, rows_at, rows), (_, hits_at, found) in (others, reversed(others)):
            if found != hits or outputs != rows_at:
                continue
            for key in typer.keys(rows):
                places = [_position(rows_at, column) for column in key]
                if all(
                    place is not None
                    and column < len(hit_columns)
                    and hits_at[place] == hit_columns[column]
                    and hits_at[place] is not None
                    for place, column in zip(places, key, strict=True)
                ):
                    yield tuple(sorted(place for place in places if place is not None))


def _union_parts(expr: RelationExpr) -> list[RelationExpr]:
    """Return the members of nested unions, chains above a union repeated over its members."""
    parts: list[RelationExpr] = []
    for member in expr.inputs if isinstance(expr, Union) else ():
        chain: list[Map | Project] = []
        inner = member
        while isinstance(inner, Map | Project):
            chain.append(inner)
            inner = inner.input
        if not isinstance(inner, Union):
            parts.append(member)
            continue
        for part in _union_parts(inner):
            for node in reversed(chain):
                if isinstance(node, Map):
                    part = Map(part, node.scalars)
                else:
                    part = Project(part, node.outputs)
            parts.append(part)
    return parts


def extract_chain(expr: RelationExpr) -> tuple[tuple[int | None, ...], RelationExpr]:
    """Return which column of what is below a chain of Map and Project each column is, or None."""
    columns: list[int | None] = list(range(arity(expr)))
    while isinstance(expr, Map | Project):
        if isinstance(expr, Project):
            columns = [None if column is None else expr.outputs[column] for column in columns]
        else:
            width = arity(expr.input)
            columns = [
                column if column is not None and column < width else None for column in columns
            ]
        expr = expr.input
    return tuple(columns), expr


def _position(columns: tuple[int | None, ...], column: int) -> int | None:
    return columns.index(column) if column in columns else None


def minimal_keys(keys: Iterable[Key]) -> tuple[Key, ...]:
    """Return ``keys`` without duplicates and without those that contain another."""
    found: list[frozenset[int]] = []
    for key in sorted({frozenset(key) for key in keys}, key=lambda key: (len(key), sorted(key))):
        if not any(known <= key for known in found):
            found.append(key)
        if len(found) == KEYS_MAX:
            break
    return tuple(tuple(sorted(key)) for key in found)


def _project_keys(keys: tuple[Key, ...], outputs: tuple[int, ...]) -> Iterable[Key]:
    where: dict[int, int] = {}
    for position, output in enumerate(outputs):
        where.setdefault(output, position)
    for key in keys:
        if all(column in where for column in key):
            yield tuple(sorted(where[column] for column in key))


def _fixed_columns(predicates: tuple[ScalarExpr, ...]) -> set[int]:
    """Columns that ``predicates`` make equal to a literal."""
    fixed = set()
    for predicate in predicates:
        if isinstance(predicate, Call) and predicate.func == kernels.EQ:
            left, right = predicate.args
            if isinstance(left, Column) and isinstance(right, Literal):
                fixed.add(left.index)
            if isinstance(right, Column) and isinstance(left, Literal):
                fixed.add(right.index)
    return fixed


def _required_columns(predicates: tuple[ScalarExpr, ...]) -> set[int]:
    """Columns that cannot be null in a row for which ``predicates`` hold."""
    required: set[int] = set()
    for predicate in predicates:
        required |= null_rejected(predicate)
    return required


def null_rejected(predicate: ScalarExpr) -> set[int]:
    """Return columns whose being null keeps ``predicate`` from being true."""
    if isinstance(predicate, Column):
        return {predicate.index}
    if not isinstance(predicate, Call):
        return set()
    if predicate.func == kernels.NOT:
        inner = predicate.args[0]
        if isinstance(inner, Call) and inner.func == kernels.IS_NULL:
            return strict_columns(inner.args[0])
    if predicate.func == kernels.AND:
        return set().union(*(null_rejected(arg) for arg in predicate.args))
    if predicate.func == kernels.OR:
        return set.intersection(*(null_rejected(arg) for arg in predicate.args))
    if predicate.func in kernels.NULL_REJECTING:
        return set().union(*(strict_columns(arg) for arg in predicate.args))
    return set()


def strict_columns(expr: ScalarExpr) -> set[int]:
    """Return columns whose being null makes ``expr`` null."""
    if isinstance(expr, Column):
        return {expr.index}
    if isinstance(expr, Call) and expr.func in kernels.NULL_REJECTING:
        return set().union(*(strict_columns(arg) for arg in expr.args))
    return set()


def _of_group(aggregate: AggregateExpr, types: Types) -> ColumnType:
    """Return the type of an aggregate of a group, which has a row."""
    func = aggregate.func
    value = aggregate.expr
    if func.startswith("string_agg_"):  # of a record of the string and its delimiter
        while isinstance(value, Call) and value.func == kernels.RECORD:
            value = value.args[0]
    elif kernels.of_any_row(func):
        return ColumnType(aggregate.type.type, nullable=False)
    elif not kernels.keeps_not_null(func):
        return aggregate.type
    return ColumnType(aggregate.type.type, scalar_type(value, types).nullable)


def _not_null(types: Types, required: set[int]) -> Types:
    if not any(types[column].nullable for column in required):
        return types
    return tuple(
        ColumnType(column.type, nullable=False) if index in required and column.nullable else column
        for index, column in enumerate(types)
    )


def column_names(expr: RelationExpr) -> tuple[str | None, ...]:
    """Return the columns' names as far as they can be traced to a description."""
    match expr:
        case Constant() | ConstantError() | Get():
            return expr.desc.names
        case Let() | LetRec():
            return column_names(expr.body)
        case Project():
            inner = column_names(expr.input)
            return tuple(inner[output] for output in expr.outputs)
        case Map():
            names = list(column_names(expr.input))
            for scalar in expr.scalars:
                names.append(names[scalar.index] if isinstance(scalar, Column) else None)
            return tuple(names)
        case FlatMap():
            return (*column_names(expr.input), *(None for _ in expr.columns))
        case Join():
            return tuple(name for member in expr.inputs for name in column_names(member))
        case Reduce():
            inner = column_names(expr.input)
            return (
                *(inner[key.index] if isinstance(key, Column) else None for key in expr.group_key),
                *(aggregate.func.split("_")[0] for aggregate in expr.aggregates),
            )
        case Window():
            return (*column_names(expr.input), *(None for _ in expr.functions))
        case Union():
            return column_names(expr.inputs[0])
        case _:
            return column_names(expr.input)


# Monotonicity.


def is_monotonic(
    expr: RelationExpr,
    append_only: Callable[[GlobalId], bool],
    locals_: dict[int, bool] | None = None,
) -> bool:
    """Return whether rows of ``expr`` are only ever added, given which global ids are such."""
    bound = {} if locals_ is None else locals_

    def check(node: RelationExpr) -> bool:
        match node:
            case Constant():
                return all(diff > 0 for _, diff in node.rows)
            case ConstantError():
                return True
            case Get(id=LocalId(id=number)):
                return bound.get(number, False)
            case Get():
                return append_only(node.id.id)  # type: ignore[arg-type]
            case Let():
                bound[node.id] = check(node.value)
                return check(node.body)
            case Project() | Map() | ArrangeBy():
                return check(node.input)
            case Filter():
                return not any(map(kernels.mentions_mz_now, node.predicates)) and check(node.input)
            case FlatMap():
                return node.func != kernels.REPEAT_ROW and check(node.input)
            case Join() | Union():
                return all(check(member) for member in node.inputs)
            case Reduce():
                return not node.aggregates and check(node.input)
            case Threshold():
                return check(node.input)
            case TopK() | Window() | Negate() | LetRec():
                return False
            case _:
                raise InternalError("unknown operator", detail=repr(type(node)))

    return check(expr)
