"""The slow, obvious interpreter of plans: the judge of optimizer, lowering and workers.

A collection is a multiset of rows at *one* time, computed from scratch from the inputs' multisets
at that time; what a dataflow maintains must equal it at every time. Errors are a multiset of
``"<SQLSTATE>:<message>"`` beside the rows. Nothing here is incremental or fast.

:func:`evaluate_relation` interprets the relational plan, :func:`evaluate_plan` the physical one;
the latter also checks that each arrangement a node reads was offered below it. A few kernels
are repeated here in Python; all others are the extension's (``ir.literals.fold_constant``).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from headwater.compute.reference_windows import OrderedPartition
from headwater.errors import InternalError, invariant
from headwater.ir import kernels
from headwater.ir import physical as lir
from headwater.ir import relation as mir
from headwater.ir.literals import fold_constant, int_datum, literal_int
from headwater.ir.physical import ArrangementKey, Mfp, Plan
from headwater.ir.relation import Global, LocalId, RelationExpr
from headwater.ir.rows import split_row
from headwater.ir.scalar import (
    AggregateExpr,
    Call,
    CallUnmaterializable,
    Column,
    ColumnOrder,
    If,
    Literal,
    LiteralError,
    Parameter,
    ScalarExpr,
)
from headwater.types.ids import GlobalId
from headwater.types.scalar import INT8, ColumnType, ScalarType
from headwater.types.time import Timestamp

ROUNDS_MAX = 10_000  # of a recursion that does not end by itself

Rows = Counter[bytes]
Datums = list[bytes]

_NULL, _FALSE, _TRUE = b"\xfe", b"\x02", b"\x03"


class EvaluationError(Exception):
    """A scalar failed; ``text`` is the error row's form."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(slots=True)
class Snapshot:
    """A collection at one time: rows and errors, with multiplicities."""

    rows: Rows = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Bundle:
    """A snapshot, and what a plan offers of it."""

    snapshot: Snapshot
    raw: bool = True
    keys: frozenset[ArrangementKey] = frozenset()


Inputs = Mapping[GlobalId, Snapshot]


# Scalars.


def evaluate_scalar(expr: ScalarExpr, datums: Datums, time: Timestamp | None = None) -> bytes:
    """Return the datum of ``expr`` over one row.

    Raises:
        EvaluationError: It failed.
    """
    match expr:
        case Column():
            return datums[expr.index]
        case Literal():
            return expr.data
        case LiteralError():
            raise EvaluationError(f"{expr.error.sqlstate}:{expr.error.message}")
        case If():
            taken = evaluate_scalar(expr.cond, datums, time) == _TRUE
            return evaluate_scalar(expr.then if taken else expr.els, datums, time)
        case CallUnmaterializable():
            if time is None or not kernels.is_mz_now(expr):
                raise InternalError("unmaterializable call in a plan")
            return int_datum(time)
        case Parameter():
            raise InternalError("parameter in a plan")
        case Call():
            return _call(expr, datums, time)


def _call(call: Call, datums: Datums, time: Timestamp | None) -> bytes:
    if call.func in (kernels.AND, kernels.OR):
        return _connective(call, datums, time)
    if call.func == kernels.COALESCE:
        for arg in call.args:
            value = evaluate_scalar(arg, datums, time)
            if value != _NULL:
                return value
        return _NULL
    args = [evaluate_scalar(arg, datums, time) for arg in call.args]
    known = _KERNELS.get(call.func)
    if known is not None:
        return known(args)
    literals = tuple(
        Literal(data, ColumnType(_type_of(arg), data == _NULL))
        for data, arg in zip(args, call.args, strict=True)
    )
    result = fold_constant(Call(call.func, literals, call.type))
    if isinstance(result, LiteralError):
        raise EvaluationError(f"{result.error.sqlstate}:{result.error.message}")
    return result.data


def _type_of(expr: ScalarExpr) -> ScalarType:
    """Return the type of an argument; kernels are chosen by name, so a column's does not matter."""
    if isinstance(expr, If):
        return _type_of(expr.then)
    return INT8 if isinstance(expr, Column) else expr.type.type


def _connective(call: Call, datums: Datums, time: Timestamp | None) -> bytes:
    decides = _FALSE if call.func == kernels.AND else _TRUE
    result = _TRUE if call.func == kernels.AND else _FALSE
    for arg in call.args:
        value = evaluate_scalar(arg, datums, time)
        if value == decides:
            return decides
        if value == _NULL:
            result = _NULL
    return result


def _bool(value: bool) -> bytes:
    return _TRUE if value else _FALSE


def _comparison(compare: Callable[[bytes, bytes], bool]) -> Callable[[Datums], bytes]:
    return lambda args: _NULL if _NULL in args else _bool(compare(args[0], args[1]))


def _integer(datum: bytes) -> int:
    value = literal_int(Literal(datum, ColumnType(INT8)))
    invariant(value is not None, "NULL where a number is needed")
    return value or 0


def _arithmetic(compute: Callable[[int, int], int], limit: int) -> Callable[[Datums], bytes]:
    def apply(args: Datums) -> bytes:
        if _NULL in args:
            return _NULL
        value = compute(_integer(args[0]), _integer(args[1]))
        if not -limit <= value < limit:
            raise EvaluationError("22003:numeric field overflow")
        return int_datum(value)

    return apply


def _divide(args: Datums) -> bytes:
    if _NULL in args:
        return _NULL
    left, right = _integer(args[0]), _integer(args[1])
    if right == 0:
        raise EvaluationError("22012:division by zero")
    quotient = abs(left) // abs(right)
    return int_datum(quotient if (left < 0) == (right < 0) else -quotient)


def _element(values: bytes, position: bytes) -> bytes:
    if _NULL in (values, position):
        return _NULL
    items = split_row(values[1:-1])
    index = _integer(position) - 1
    return items[index] if 0 <= index < len(items) else _NULL


def _moment(datum: bytes) -> bytes:
    if datum != _NULL and _integer(datum) < 0:
        raise EvaluationError("22003:mz_timestamp out of range")
    return datum


_KERNELS: dict[str, Callable[[Datums], bytes]] = {
    kernels.EQ: _comparison(lambda a, b: a == b),
    kernels.NOT_EQ: _comparison(lambda a, b: a != b),
    kernels.LT: _comparison(lambda a, b: a < b),
    kernels.LTE: _comparison(lambda a, b: a <= b),
    kernels.GT: _comparison(lambda a, b: a > b),
    kernels.GTE: _comparison(lambda a, b: a >= b),
    kernels.NOT: lambda args: _NULL if args[0] == _NULL else _bool(args[0] == _FALSE),
    kernels.IS_NULL: lambda args: _bool(args[0] == _NULL),
    kernels.IS_TRUE: lambda args: _bool(args[0] == _TRUE),
    kernels.IS_FALSE: lambda args: _bool(args[0] == _FALSE),
    kernels.IS_DISTINCT: lambda args: _bool(args[0] != args[1]),
    kernels.RECORD: lambda args: b"\x43" + b"".join(args) + b"\x00",
    kernels.RECORD_GET: lambda args: (
        _NULL if args[0] == _NULL else split_row(args[0][1:-1])[_integer(args[1])]
    ),
    "add_int4_int4": _arithmetic(lambda a, b: a + b, 2**31),
    "sub_int8_int8": _arithmetic(lambda a, b: a - b, 2**63),
    "sub_int4_int4": _arithmetic(lambda a, b: a - b, 2**31),
    "mul_int4_int4": _arithmetic(lambda a, b: a * b, 2**31),
    "div_int4_int4": _divide,
    "add_int8_int8": _arithmetic(lambda a, b: a + b, 2**63),
    "list_length_list": lambda args: (
        _NULL if args[0] == _NULL else int_datum(len(split_row(args[0][1:-1])))
    ),
    "list_index": lambda args: _element(args[0], args[1]),
    "cast_int4_int8": lambda args: args[0],
    "cast_int8_mz_timestamp": lambda args: _moment(args[0]),
    "cast_int4_mz_timestamp": lambda args: _moment(args[0]),
    "add_uint8_uint8": _arithmetic(lambda a, b: a + b, 2**64),
}


# Aggregates, orders, table functions.


def aggregate_of(aggregate: AggregateExpr, values: Counter[bytes]) -> bytes:
    """Return the aggregate over ``values``, each with its multiplicity."""
    present = Counter({value: count for value, count in values.items() if value != _NULL})
    if aggregate.distinct:
        present = Counter(dict.fromkeys(present, 1))
    match aggregate.func:
        case "count":
            return int_datum(sum(present.values()))
        case "min":
            return min(present, default=_NULL)
        case "max":
            return max(present, default=_NULL)
        case "bool_and":
            return _NULL if not present else _bool(_FALSE not in present)
        case "bool_or":
            return _NULL if not present else _bool(_TRUE in present)
        case "sum_int2" | "sum_int4":
            if not present:
                return _NULL
            return int_datum(sum(_integer(value) * count for value, count in present.items()))
        case "list_agg":
            return _gathered(aggregate.order_by, values)
        case _:
            raise InternalError("reference has no such aggregate", detail=aggregate.func)


def _gathered(order_by: tuple[ColumnOrder, ...], values: Counter[bytes]) -> bytes:
    """Return a list of values; with an order, of the first fields of records, by the others."""
    if not order_by:
        return b"\x41" + b"".join(sorted(values.elements())) + b"\x00"
    keyed = sorted(
        (sort_key(order_by, split_row(value[1:-1]), value), value) for value in values.elements()
    )
    return b"\x41" + b"".join(split_row(value[1:-1])[0] for _, value in keyed) + b"\x00"


def windowed(
    source: Snapshot,
    partition: tuple[int, ...],
    order: tuple[ColumnOrder, ...],
    functions: tuple[mir.WindowFunction, ...],
) -> Snapshot:
    """Return each row followed by the values of window functions."""
    partitions: dict[bytes, list[bytes]] = {}
    for row in source.rows.elements():
        datums = split_row(row)
        partitions.setdefault(b"".join(datums[column] for column in partition), []).append(row)
    result = Snapshot(errors=Counter(source.errors))
    for rows in partitions.values():
        rows.sort(key=lambda row: sort_key(order, split_row(row), row))
        datums_of = [split_row(row) for row in rows]
        ordered = OrderedPartition(datums_of, order, datum_key, aggregate_of)
        for at, row in enumerate(rows):
            values = (ordered.value(function, at) for function in functions)
            result.rows[row + b"".join(values)] += 1
    return result


def datum_key(item: ColumnOrder, datum: bytes) -> tuple[object, ...]:
    """Return a key that sorts datums as ``item`` says."""
    null = datum == _NULL
    falling = bytes(255 - byte for byte in datum) + b"\xff"
    return null if item.nulls_last else not null, falling if item.desc else datum


def sort_key(order: Iterable[ColumnOrder], datums: Datums, row: bytes) -> tuple[object, ...]:
    """Return a key that sorts rows by ``order``, then by themselves."""
    return (*(datum_key(item, datums[item.column]) for item in order), row)


def table_rows(func: str, args: Datums) -> list[bytes]:
    """Return the rows of a table function."""
    match func:
        case "generate_series_int4_int4" | "generate_series_int8_int8":
            if _NULL in args:
                return []
            first, last = _integer(args[0]), _integer(args[1])
            return [int_datum(value) for value in range(first, last + 1)]
        case "unnest_list":
            return [] if args[0] == _NULL else split_row(args[0][1:-1])
        case _:
            raise InternalError("reference has no such table function", detail=func)


# Steps that both interpreters share.


def _consolidated(rows: Rows) -> Rows:
    return Counter({row: count for row, count in rows.items() if count})


def _each(
    source: Snapshot, function: Callable[[bytes, Datums], Iterable[tuple[bytes, int]]]
) -> Snapshot:
    """Apply ``function`` to each row; what fails becomes an error."""
    result = Snapshot(errors=Counter(source.errors))
    for row, count in source.rows.items():
        try:
            produced = list(function(row, split_row(row)))
        except EvaluationError as error:
            result.errors[error.text] += count
            continue
        for new, times in produced:
            result.rows[new] += count * times
    result.rows = _consolidated(result.rows)
    return result


def _reduce(
    source: Snapshot,
    key: tuple[ScalarExpr, ...],
    aggregates: tuple[AggregateExpr, ...],
    time: Timestamp | None,
) -> Snapshot:
    result = Snapshot(errors=Counter(source.errors))
    groups: dict[bytes, list[Counter[bytes]]] = {}
    for row, count in source.rows.items():
        datums = split_row(row)
        try:
            group = b"".join(evaluate_scalar(item, datums, time) for item in key)
            values = [evaluate_scalar(item.expr, datums, time) for item in aggregates]
        except EvaluationError as error:
            result.errors[error.text] += count
            continue
        held = groups.setdefault(group, [Counter() for _ in aggregates])
        for counter, value in zip(held, values, strict=True):
            counter[value] += count
    for group, counters in groups.items():
        values = [
            aggregate_of(item, counter) for item, counter in zip(aggregates, counters, strict=True)
        ]
        result.rows[group + b"".join(values)] += 1
    return result


def _top_k(
    source: Snapshot,
    group_key: tuple[int, ...],
    order_key: tuple[ColumnOrder, ...],
    limit: ScalarExpr | None,
    offset: int,
    time: Timestamp | None,
) -> Snapshot:
    result = Snapshot(errors=Counter(source.errors))
    groups: dict[bytes, list[tuple[tuple[object, ...], bytes, int]]] = {}
    # The limit's columns are of the group key: any row of the group has their values.
    for row, count in source.rows.items():
        datums = split_row(row)
        group = b"".join(datums[column] for column in group_key)
        groups.setdefault(group, []).append((sort_key(order_key, datums, row), row, count))
    for members in groups.values():
        left: int | None = None
        if limit is not None:
            datum = evaluate_scalar(limit, split_row(members[0][1]), time)
            left = None if datum == _NULL else _integer(datum)
        skip = offset
        for _, row, count in sorted(members):
            dropped = min(skip, count)
            skip -= dropped
            taken = count - dropped
            if left is not None:
                taken = min(taken, left)
                left -= taken
            if taken:
                result.rows[row] += taken
    return result


def _union(snapshots: Iterable[Snapshot]) -> Snapshot:
    result = Snapshot()
    for snapshot in snapshots:
        for row, count in snapshot.rows.items():
            result.rows[row] += count
        for text, count in snapshot.errors.items():
            result.errors[text] += count
    result.rows = _consolidated(result.rows)
    return result


def _negate(source: Snapshot) -> Snapshot:
    rows = Counter({row: -count for row, count in source.rows.items()})
    return Snapshot(rows, Counter(source.errors))


def _threshold(source: Snapshot) -> Snapshot:
    rows = Counter({row: count for row, count in source.rows.items() if count > 0})
    return Snapshot(rows, Counter(source.errors))


# The relational plan.


def evaluate_relation(
    expr: RelationExpr, inputs: Inputs, time: Timestamp | None = None
) -> Snapshot:
    """Return what ``expr`` is at ``time``, given its inputs at that time."""
    return _relation(expr, inputs, {}, time)


def _relation(  # noqa: C901, PLR0912 -- one case an operator
    expr: RelationExpr, inputs: Inputs, bound: dict[int, Snapshot], time: Timestamp | None
) -> Snapshot:
    def child(node: RelationExpr) -> Snapshot:
        return _relation(node, inputs, bound, time)

    match expr:
        case mir.Constant():
            return Snapshot(_counter(expr.rows))
        case mir.ConstantError():
            return _error_snapshot(expr.error)
        case mir.Get(id=LocalId(id=number)):
            return bound[number]
        case mir.Get(id=Global(id=name)):
            return inputs[name]
        case mir.Let():
            return _relation(expr.body, inputs, {**bound, expr.id: child(expr.value)}, time)
        case mir.LetRec():
            return _let_rec(
                expr.ids,
                expr.limits,
                bound,
                lambda number, held: _relation(expr.values[number], inputs, held, time),
                lambda held: _relation(expr.body, inputs, held, time),
            )
        case mir.Join():
            return _mir_join(expr, [child(item) for item in expr.inputs], time)
        case mir.Reduce():
            return _reduce(child(expr.input), expr.group_key, expr.aggregates, time)
        case mir.TopK():
            return _top_k(
                child(expr.input), expr.group_key, expr.order_key, expr.limit, expr.offset, time
            )
        case mir.Window():
            return windowed(child(expr.input), expr.partition, expr.order, expr.functions)
        case mir.Negate():
            return _negate(child(expr.input))
        case mir.Threshold():
            return _threshold(child(expr.input))
        case mir.Union():
            return _union(child(item) for item in expr.inputs)
        case mir.ArrangeBy():
            return child(expr.input)
        case mir.Project() | mir.Map() | mir.Filter() | mir.FlatMap():
            return _each(child(expr.input), lambda row, datums: _linear(expr, row, datums, time))
        case _:
            raise InternalError("unknown operator", detail=repr(type(expr)))


def _linear(
    expr: mir.Project | mir.Map | mir.Filter | mir.FlatMap,
    row: bytes,
    datums: Datums,
    time: Timestamp | None,
) -> Iterable[tuple[bytes, int]]:
    match expr:
        case mir.Project():
            yield b"".join(datums[output] for output in expr.outputs), 1
        case mir.Map():
            for scalar in expr.scalars:
                datums.append(evaluate_scalar(scalar, datums, time))
            yield b"".join(datums), 1
        case mir.Filter():
            for predicate in expr.predicates:
                if evaluate_scalar(predicate, datums, time) != _TRUE:
                    return
            yield row, 1
        case mir.FlatMap():
            args = [evaluate_scalar(item, datums, time) for item in expr.exprs]
            for extra in table_rows(expr.func, args):
                yield row + extra, 1


def _mir_join(expr: mir.Join, inputs: list[Snapshot], time: Timestamp | None) -> Snapshot:
    result = Snapshot(errors=_sum_errors(inputs))
    product: Rows = Counter({b"": 1})
    for item in inputs:
        wider: Rows = Counter()
        for left, m in product.items():
            for right, n in item.rows.items():
                wider[left + right] += m * n
        product = wider

    def matches(row: bytes, datums: Datums) -> Iterable[tuple[bytes, int]]:
        for members in expr.equivalences:
            values = {evaluate_scalar(item, datums, time) for item in members}
            if len(values) > 1 or _NULL in values:
                return
        yield row, 1

    joined = _each(Snapshot(product), matches)
    return Snapshot(joined.rows, result.errors + joined.errors)


def _let_rec(
    ids: tuple[int, ...],
    limits: tuple[mir.LetRecLimit | None, ...],
    bound: dict[int, Snapshot],
    value: Callable[[int, dict[int, Snapshot]], Snapshot],
    body: Callable[[dict[int, Snapshot]], Snapshot],
) -> Snapshot:
    held = {**bound, **{number: Snapshot() for number in ids}}
    for round_number in range(ROUNDS_MAX):
        changed = False
        for index, number in enumerate(ids):
            limit = limits[index]
            if limit is not None and round_number >= limit.rounds:
                continue
            new = value(index, held)
            if new != held[number]:
                held[number] = new
                changed = True
        if not changed:
            return body(held)
    raise InternalError("recursion does not end")


def _counter(rows: tuple[tuple[bytes, int], ...]) -> Rows:
    counter: Rows = Counter()
    for row, diff in rows:
        counter[row] += diff
    return _consolidated(counter)


def _sum_errors(snapshots: Iterable[Snapshot]) -> Counter[str]:
    total: Counter[str] = Counter()
    for snapshot in snapshots:
        total.update(snapshot.errors)
    return total


def _error_snapshot(error: ScalarExpr) -> Snapshot:
    try:
        evaluate_scalar(error, [])
    except EvaluationError as failure:
        return Snapshot(errors=Counter({failure.text: 1}))
    raise InternalError("constant error without an error")


# The physical plan.


def evaluate_plan(
    plan: Plan,
    inputs: Mapping[GlobalId, Bundle],
    time: Timestamp | None = None,
) -> Bundle:
    """Return what ``plan`` is at ``time``, given its imports at that time.

    Raises:
        InternalError: A node reads an arrangement or a stream that its input does not offer.
    """
    return _plan(plan, inputs, {}, time)


def apply_mfp(mfp: Mfp, source: Snapshot, time: Timestamp | None) -> Snapshot:
    """Return the rows of ``source`` that ``mfp`` lets pass at ``time``, mapped."""

    def rows(_row: bytes, datums: Datums) -> Iterable[tuple[bytes, int]]:
        invariant(len(datums) == mfp.input_arity, "row has another arity than its plan")
        pending = list(mfp.predicates)
        for index in range(mfp.input_arity, mfp.input_arity + len(mfp.expressions) + 1):
            while pending and pending[0].support <= index:
                if evaluate_scalar(pending.pop(0).expr, datums, time) != _TRUE:
                    return
            if index < mfp.input_arity + len(mfp.expressions):
                expression = mfp.expressions[index - mfp.input_arity]
                datums.append(evaluate_scalar(expression, datums, time))
        for bounds, is_lower in ((mfp.lower_bounds, True), (mfp.upper_bounds, False)):
            for bound in bounds:
                value = evaluate_scalar(bound, datums, time)
                invariant(time is not None, "temporal filter without a time")
                if value == _NULL or ((time or 0) >= _integer(value)) != is_lower:
                    return
        yield b"".join(datums[output] for output in mfp.projection), 1

    return _each(source, rows)


def _read(
    bundle: Bundle, key: ArrangementKey | None, lookups: tuple[bytes, ...] | None = None
) -> Snapshot:
    if key is None:
        invariant(bundle.raw, "plan reads a raw stream that is not there")
        return bundle.snapshot
    invariant(key in bundle.keys, "plan reads an arrangement that is not there", key=key)
    if lookups is None:
        return bundle.snapshot
    wanted = set(lookups)

    def found(row: bytes, datums: Datums) -> Iterable[tuple[bytes, int]]:
        if b"".join(evaluate_scalar(item, datums) for item in key) in wanted:
            yield row, 1

    return _each(bundle.snapshot, found)


def _plan(
    plan: Plan,
    inputs: Mapping[GlobalId, Bundle],
    bound: dict[int, Bundle],
    time: Timestamp | None,
) -> Bundle:
    def child(node: Plan) -> Bundle:
        return _plan(node, inputs, bound, time)

    match plan:
        case lir.Constant():
            if plan.error is not None:
                text = f"{plan.error.sqlstate}:{plan.error.message}"
                return Bundle(Snapshot(errors=Counter({text: 1})))
            return Bundle(Snapshot(_counter(plan.rows)))
        case lir.Get():
            source = bound[plan.id.id] if isinstance(plan.id, LocalId) else inputs[plan.id.id]
            if plan.pass_through:
                invariant(plan.mfp.is_identity, "a bundle passed whole has a chain")
                return source
            return Bundle(apply_mfp(plan.mfp, _read(source, plan.key, plan.lookups), time))
        case lir.Let():
            return _plan(plan.body, inputs, {**bound, plan.id: child(plan.value)}, time)
        case lir.LetRec():
            return _plan_let_rec(plan, inputs, bound, time)
        case lir.MfpNode():
            return Bundle(
                apply_mfp(plan.mfp, _read(child(plan.input), plan.key, plan.lookups), time)
            )
        case lir.FlatMap():
            source_rows = _read(child(plan.input), plan.key)
            return Bundle(apply_mfp(plan.mfp, _flat_map(plan, source_rows, time), time))
        case lir.LinearJoin():
            return Bundle(_path(plan.path, [child(item) for item in plan.inputs], time))
        case lir.DeltaJoin():
            return _delta(plan, [child(item) for item in plan.inputs], time)
        case lir.Reduce():
            source_rows = _read(child(plan.input), plan.input_key)
            reduced = _reduce(source_rows, plan.key, plan.aggregates, time)
            if plan.mfp_after.is_identity:
                key = tuple(Column(index) for index in range(len(plan.key)))
                return Bundle(reduced, raw=False, keys=frozenset({key}))
            return Bundle(apply_mfp(plan.mfp_after, reduced, time))
        case _:
            return _plan_simple(plan, child, time)


def _plan_simple(plan: Plan, child: Callable[[Plan], Bundle], time: Timestamp | None) -> Bundle:
    match plan:
        case lir.TopK():
            source = _read(child(plan.input), None)
            return Bundle(
                _top_k(source, plan.group_key, plan.order_key, plan.limit, plan.offset, time)
            )
        case lir.Window():
            source = _read(child(plan.input), None)
            return Bundle(windowed(source, plan.partition, plan.order, plan.functions))
        case lir.Negate():
            return Bundle(_negate(_read(child(plan.input), None)))
        case lir.Threshold():
            key = tuple(Column(index) for index in range(plan.arity))
            return Bundle(
                _threshold(_read(child(plan.input), None)), raw=False, keys=frozenset({key})
            )
        case lir.Union():
            return Bundle(_union(_read(child(item), None) for item in plan.inputs))
        case lir.ArrangeBy():
            below = child(plan.input)
            return Bundle(below.snapshot, below.raw, below.keys | frozenset(plan.keys))
        case _:
            raise InternalError("unknown operator", detail=repr(type(plan)))


def _plan_let_rec(
    plan: lir.LetRec,
    inputs: Mapping[GlobalId, Bundle],
    bound: dict[int, Bundle],
    time: Timestamp | None,
) -> Bundle:
    def bundles(held: dict[int, Snapshot]) -> dict[int, Bundle]:
        return {**bound, **{number: Bundle(held[number]) for number in plan.ids}}

    return Bundle(
        _let_rec(
            plan.ids,
            plan.limits,
            {},
            lambda number, held: _read(
                _plan(plan.values[number], inputs, bundles(held), time), None
            ),
            lambda held: _plan(plan.body, inputs, bundles(held), time).snapshot,
        )
    )


def _flat_map(plan: lir.FlatMap, source: Snapshot, time: Timestamp | None) -> Snapshot:
    def rows(row: bytes, datums: Datums) -> Iterable[tuple[bytes, int]]:
        args = [evaluate_scalar(item, datums, time) for item in plan.exprs]
        for extra in table_rows(plan.func, args):
            yield row + extra, 1

    return _each(source, rows)


def _delta(plan: lir.DeltaJoin, inputs: list[Bundle], time: Timestamp | None) -> Bundle:
    """Each path alone computes the join from scratch; all must agree."""
    results = []
    for path in plan.paths:
        invariant(path.source_key is not None, "delta path without an arrangement")
        results.append(_path(path, inputs, time))
    for other in results[1:]:
        invariant(other.rows == results[0].rows, "delta paths disagree")
    return Bundle(results[0])


def _path(path: lir.JoinPath, inputs: list[Bundle], time: Timestamp | None) -> Snapshot:
    source = _read(inputs[path.source], path.source_key)
    errors = _sum_errors(item.snapshot for item in inputs)
    stream = apply_mfp(path.initial, Snapshot(source.rows), time)
    errors += stream.errors
    for stage in path.stages:
        held = _read(inputs[stage.lookup], stage.lookup_key)
        index: dict[bytes, list[tuple[bytes, int]]] = {}
        for row, count in held.rows.items():
            datums = split_row(row)
            key = b"".join(evaluate_scalar(item, datums) for item in stage.lookup_key)
            index.setdefault(key, []).append((row, count))
        joined: Rows = Counter()
        for row, count in stream.rows.items():
            datums = split_row(row)
            key = b"".join(evaluate_scalar(item, datums) for item in stage.stream_key)
            for other, times in index.get(key, ()):
                joined[row + other] += count * times
        stream = apply_mfp(stage.closure, Snapshot(joined), time)
        errors += stream.errors
    return Snapshot(stream.rows, errors)


def evaluate_dataflow_object(plan: Plan, inputs: Inputs, time: Timestamp | None = None) -> Snapshot:
    """Return what ``plan`` is over durable collections alone."""
    return evaluate_plan(
        plan, {name: Bundle(snapshot) for name, snapshot in inputs.items()}, time
    ).snapshot
