"""Random high-level plans over small tables, and an oracle that evaluates them by nested loops."""

from collections import Counter

from hypothesis import strategies as st

from headwater.compute.reference import (
    EvaluationError,
    Snapshot,
    aggregate_of,
    evaluate_scalar,
    sort_key,
    table_rows,
)
from headwater.errors import ErrorFields
from headwater.ir import kernels
from headwater.ir.literals import int_datum
from headwater.ir.rows import split_row
from headwater.ir.scalar import (
    AggregateExpr,
    Call,
    ColumnOrder,
    If,
    Literal,
    LiteralError,
    ScalarExpr,
)
from headwater.sql.plan.hir import (
    ColumnRef,
    Exists,
    HirAggregate,
    HirCall,
    HirConstant,
    HirDistinct,
    HirFilter,
    HirGet,
    HirGetLocal,
    HirIf,
    HirJoin,
    HirJoinKind,
    HirLet,
    HirMap,
    HirNegate,
    HirProject,
    HirReduce,
    HirTableFunc,
    HirThreshold,
    HirTopK,
    HirUnion,
    ScalarSubquery,
)
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BOOL, INT4, INT8, ColumnType

INT = ColumnType(INT4, True)
BIG = ColumnType(INT8, False)
TRUTH = ColumnType(BOOL, True)
TRUE, FALSE, NULL = b"\x03", b"\x02", b"\xfe"


def desc(*names: str, keys=(), not_null=()) -> RelationDesc:
    return RelationDesc(
        tuple(Column(name, INT4, name not in not_null) for name in names), tuple(keys)
    )


TABLES = {
    "u1": desc("a", "b"),
    "u2": desc("c", "d", "e"),
    "u3": desc("k", "v", keys=((0,),), not_null=("k",)),
}


def datum(value: int | None) -> bytes:
    return NULL if value is None else int_datum(value)


def literal(value: int | None) -> Literal:
    return Literal(datum(value), ColumnType(INT4, value is None))


def row(*values: int | None) -> bytes:
    return b"".join(map(datum, values))


def python_fold(expr: ScalarExpr) -> Literal | LiteralError:
    """Evaluate a constant expression in Python, as the extension would."""
    type_ = expr
    while isinstance(type_, If):
        type_ = type_.then
    try:
        data = evaluate_scalar(expr, [])
    except EvaluationError as error:
        sqlstate, _, message = error.text.partition(":")
        return LiteralError(ErrorFields(sqlstate, message), type_.type)
    return Literal(data, ColumnType(type_.type.type, data == NULL))


# --- the oracle -----------------------------------------------------------------------------------

SEVERAL = "21000:more than one record produced in subquery"


def evaluate_hir(relation, inputs, outer=(), ctes=None) -> Counter:  # noqa: C901
    """Return the rows of ``relation``; raises EvaluationError where any row's expression fails.

    ``outer`` are the datums of enclosing rows, the innermost first.
    """
    ctes = ctes or {}

    def child(node):
        return evaluate_hir(node, inputs, outer, ctes)

    match relation:
        case HirConstant():
            return Counter(dict(relation.rows))
        case HirGet():
            return Counter(inputs[relation.id].rows)
        case HirGetLocal():
            value, depth, bound = ctes[relation.id]
            return evaluate_hir(value, inputs, outer[len(outer) - depth :], bound)
        case HirLet():
            bound = {**ctes, relation.id: (relation.value, len(outer), ctes)}
            return evaluate_hir(relation.body, inputs, outer, bound)
        case HirProject():
            return _each(child(relation.input), lambda d: b"".join(d[i] for i in relation.outputs))
        case HirMap():

            def extend(datums):
                datums = list(datums)
                for scalar in relation.scalars:
                    datums.append(scalar_of(scalar, (datums, *outer), inputs, ctes))
                return b"".join(datums)

            return _each(child(relation.input), extend)
        case HirFilter():

            def passes(datums):
                for scalar in relation.predicates:
                    if scalar_of(scalar, (datums, *outer), inputs, ctes) != TRUE:
                        return None
                return b"".join(datums)

            return _each(child(relation.input), passes)
        case HirTableFunc():
            args = [scalar_of(arg, ((), *outer), inputs, ctes) for arg in relation.args]
            return Counter(table_rows(relation.func, args))
        case HirJoin():
            return _join(relation, inputs, outer, ctes)
        case HirReduce():
            return _reduce(relation, child(relation.input), inputs, outer, ctes)
        case HirDistinct():
            return Counter(dict.fromkeys(child(relation.input), 1))
        case HirTopK():
            return _top_k(relation, child(relation.input), inputs, outer, ctes)
        case HirNegate():
            return Counter({r: -n for r, n in child(relation.input).items()})
        case HirThreshold():
            return Counter({r: n for r, n in child(relation.input).items() if n > 0})
        case HirUnion():
            total: Counter = Counter()
            for member in relation.inputs:
                for r, n in child(member).items():
                    total[r] += n
            return Counter({r: n for r, n in total.items() if n})
    raise AssertionError(relation)


def _each(rows, function):
    result: Counter = Counter()
    for r, n in rows.items():
        new = function(split_row(r))
        if new is not None:
            result[new] += n
    return result


def _join(join, inputs, outer, ctes):
    left = evaluate_hir(join.left, inputs, outer, ctes)
    result: Counter = Counter()
    plain = None if join.lateral else evaluate_hir(join.right, inputs, outer, ctes)
    matched_right = set()
    right_width = hir_arity(join.right)
    left_width = hir_arity(join.left)
    for r, n in left.items():
        datums = split_row(r)
        right = evaluate_hir(join.right, inputs, (datums, *outer), ctes) if join.lateral else plain
        found = False
        for other, m in right.items():
            both = datums + split_row(other)
            if scalar_of(join.on, (both, *outer), inputs, ctes) == TRUE:
                found = True
                matched_right.add(other)
                result[r + other] += n * m
        if not found and join.join_kind in (HirJoinKind.LEFT, HirJoinKind.FULL):
            result[r + NULL * right_width] += n
    if join.join_kind in (HirJoinKind.RIGHT, HirJoinKind.FULL):
        for other, m in plain.items():
            if other not in matched_right:
                result[NULL * left_width + other] += m
    return result


def _reduce(reduce, rows, inputs, outer, ctes):
    groups: dict[bytes, list[Counter]] = {}
    if not reduce.group_key:
        groups[b""] = [Counter() for _ in reduce.aggregates]
    for r, n in rows.items():
        datums = split_row(r)
        key = b"".join(datums[i] for i in reduce.group_key)
        held = groups.setdefault(key, [Counter() for _ in reduce.aggregates])
        for counter, aggregate in zip(held, reduce.aggregates, strict=True):
            counter[scalar_of(aggregate.expr, (datums, *outer), inputs, ctes)] += n
    result: Counter = Counter()
    for key, held in groups.items():
        values = [
            aggregate_of(AggregateExpr(item.func, literal(0), item.type, item.distinct), counter)
            for counter, item in zip(held, reduce.aggregates, strict=True)
        ]
        result[key + b"".join(values)] += 1
    return result


def _top_k(top, rows, inputs, outer, ctes):
    groups: dict[bytes, list] = {}
    for r, n in rows.items():
        datums = split_row(r)
        key = b"".join(datums[i] for i in top.group_key)
        groups.setdefault(key, []).append((sort_key(top.order_key, datums, r), r, n))
    limit = None
    if top.limit is not None:
        limit = scalar_of(top.limit, ((), *outer), inputs, ctes)
    result: Counter = Counter()
    for members in groups.values():
        flat = [r for _, r, n in sorted(members) for _ in range(n)][top.offset :]
        if limit is not None:
            flat = flat[: limit[1] if len(limit) > 1 else 0]
        result.update(flat)
    return result


def scalar_of(expr, scopes, inputs, ctes) -> bytes:
    """Return the value of ``expr`` over ``scopes``, innermost row first."""

    def value(node):
        return scalar_of(node, scopes, inputs, ctes)

    match expr:
        case ColumnRef():
            return scopes[expr.level][expr.index]
        case HirIf():
            return value(expr.then) if value(expr.cond) == TRUE else value(expr.els)
        case Exists():
            return TRUE if evaluate_hir(expr.relation, inputs, scopes, ctes) else FALSE
        case ScalarSubquery():
            rows = evaluate_hir(expr.relation, inputs, scopes, ctes)
            if sum(rows.values()) > 1:
                raise EvaluationError(SEVERAL)
            return next(iter(rows), NULL)
        case HirCall(func=kernels.COALESCE):
            for arg in expr.args:
                found = value(arg)
                if found != NULL:
                    return found
            return NULL
        case HirCall(func=kernels.AND | kernels.OR):
            decides = FALSE if expr.func == kernels.AND else TRUE
            values = [value(arg) for arg in expr.args]
            if decides in values:
                return decides
            return NULL if NULL in values else (TRUE if decides == FALSE else FALSE)
        case HirCall():
            args = tuple(Literal(value(arg), INT) for arg in expr.args)
            return evaluate_scalar(Call(expr.func, args, expr.type), [])
        case _:
            return evaluate_scalar(expr, [])


def hir_arity(relation) -> int:
    match relation:
        case HirConstant() | HirGet() | HirGetLocal() | HirTableFunc():
            return relation.desc.arity
        case HirLet():
            return hir_arity(relation.body)
        case HirProject():
            return len(relation.outputs)
        case HirMap():
            return hir_arity(relation.input) + len(relation.scalars)
        case HirJoin():
            return hir_arity(relation.left) + hir_arity(relation.right)
        case HirReduce():
            return len(relation.group_key) + len(relation.aggregates)
        case HirUnion():
            return hir_arity(relation.inputs[0])
        case _:
            return hir_arity(relation.input)


# --- strategies -----------------------------------------------------------------------------------

VALUES = st.one_of(st.none(), st.integers(0, 3))


@st.composite
def databases(draw):
    """Draw the tables' contents."""

    def table(width, keyed=False):
        rows = draw(st.lists(st.tuples(*[VALUES] * width), max_size=5))
        if keyed:
            unique = {r[0]: r for r in rows if r[0] is not None}
            rows = list(unique.values())
        return Snapshot(Counter(row(*r) for r in rows))

    return {"u1": table(2), "u2": table(3), "u3": table(2, keyed=True)}


@st.composite
def scalars(draw, widths, depth, ctes=()):
    """Draw an integer expression over scopes of ``widths`` columns, innermost first."""
    levels = [level for level, width in enumerate(widths) if width]
    kinds = ["literal"]
    if levels:
        kinds += ["column"] * 4
    if depth > 0:
        kinds += ["add", "if", "coalesce", "subquery", "aggregate"]
    kind = draw(st.sampled_from(kinds))
    inner = scalars(widths, depth - 1, ctes)
    match kind:
        case "literal":
            return literal(draw(VALUES))
        case "column":
            level = draw(st.sampled_from(levels))
            index = draw(st.integers(0, widths[level] - 1))
            return ColumnRef(level, index, INT)
        case "add":
            return HirCall("add_int4_int4", (draw(inner), draw(inner)), INT)
        case "if":
            return HirIf(draw(conditions(widths, depth - 1, ctes)), draw(inner), draw(inner))
        case "coalesce":
            return HirCall(kernels.COALESCE, (draw(inner), draw(inner)), INT)
        case "subquery":
            relation = draw(relations((0, *widths)[1:], depth - 1, ctes))
            column = draw(st.integers(0, hir_arity(relation) - 1))
            return ScalarSubquery(
                HirTopK(HirProject(relation, (column,)), (), (ColumnOrder(0),), ONE, 0), INT
            )
        case _:
            relation = draw(relations(widths, depth - 1, ctes))
            column = draw(st.integers(0, hir_arity(relation) - 1))
            func = draw(st.sampled_from(["min", "max"]))
            aggregate = HirAggregate(func, ColumnRef(0, column, INT), INT)
            return ScalarSubquery(HirReduce(relation, (), (aggregate,)), INT)


ONE = Literal(int_datum(1), BIG)


@st.composite
def conditions(draw, widths, depth, ctes=()):
    """Draw a boolean expression."""
    kinds = ["compare"] * 3 + ["is_null"]
    if depth > 0:
        kinds += ["and", "or", "not", "exists", "exists", "in"]
    kind = draw(st.sampled_from(kinds))
    inner = conditions(widths, depth - 1, ctes)
    number = scalars(widths, max(depth - 1, 0), ctes)
    match kind:
        case "compare":
            func = draw(st.sampled_from([kernels.EQ, kernels.EQ, kernels.NOT_EQ, kernels.LT]))
            return HirCall(func, (draw(number), draw(number)), TRUTH)
        case "is_null":
            return HirCall(kernels.IS_NULL, (draw(number),), ColumnType(BOOL, False))
        case "and" | "or":
            return HirCall(kind, (draw(inner), draw(inner)), TRUTH)
        case "not":
            return HirCall(kernels.NOT, (draw(inner),), TRUTH)
        case "exists":
            return Exists(draw(relations(widths, depth - 1, ctes)))
        case _:
            relation = draw(relations(widths, depth - 1, ctes))
            column = draw(st.integers(0, hir_arity(relation) - 1))
            wanted = draw(scalars((0, *widths), 0, ctes).filter(lambda e: True))
            test = HirCall(kernels.EQ, (ColumnRef(0, column, INT), wanted), TRUTH)
            return Exists(HirFilter(relation, (test,)))


@st.composite
def relations(draw, outer, depth, ctes=()):  # noqa: C901
    """Draw a relation of integer columns in scopes of ``outer`` widths."""
    kinds = ["get"] * 3
    if ctes:
        kinds += ["cte"]
    if depth > 0:
        kinds += [
            "filter",
            "filter",
            "map",
            "project",
            "join",
            "join",
            "outer",
            "lateral",
            "reduce",
            "distinct",
            "top",
            "union",
            "except",
            "let",
            "series",
        ]
    kind = draw(st.sampled_from(kinds))
    inner = relations(outer, depth - 1, ctes)
    match kind:
        case "get":
            name = draw(st.sampled_from(sorted(TABLES)))
            return HirGet(name, TABLES[name])
        case "cte":
            number, width = draw(st.sampled_from(ctes))
            return HirGetLocal(number, desc(*(f"x{i}" for i in range(width))))
        case "filter":
            source = draw(inner)
            widths = (hir_arity(source), *outer)
            return HirFilter(source, (draw(conditions(widths, depth - 1, ctes)),))
        case "map":
            source = draw(inner)
            widths = (hir_arity(source), *outer)
            return HirMap(source, (draw(scalars(widths, depth - 1, ctes)),))
        case "project":
            source = draw(inner)
            columns = st.integers(0, hir_arity(source) - 1)
            return HirProject(source, tuple(draw(st.lists(columns, min_size=1, max_size=3))))
        case "join" | "outer":
            left, right = draw(inner), draw(inner)
            kinds_ = [HirJoinKind.INNER] if kind == "join" else list(HirJoinKind)[1:]
            return draw(_joins(left, right, kinds_, outer, depth, ctes, False))
        case "lateral":
            left = draw(inner)
            right = draw(relations((hir_arity(left), *outer), depth - 1, ctes))
            kinds_ = [HirJoinKind.INNER, HirJoinKind.LEFT]
            return draw(_joins(left, right, kinds_, outer, depth, ctes, True))
        case "reduce":
            return draw(_reduces(draw(inner), outer, depth, ctes))
        case "distinct":
            return HirDistinct(draw(inner))
        case "top":
            source = draw(inner)
            width = hir_arity(source)
            # A total order, so that the answer does not depend on the plan.
            order = tuple(
                ColumnOrder(i, draw(st.booleans()), draw(st.booleans())) for i in range(width)
            )
            group = draw(st.sampled_from([(), (0,)]))
            limit = Literal(int_datum(draw(st.integers(0, 2))), BIG)
            return HirTopK(source, group, order, limit, draw(st.integers(0, 1)))
        case "union" | "except":
            left, right = draw(inner), draw(inner)
            width = min(hir_arity(left), hir_arity(right))
            left, right = (HirProject(side, tuple(range(width))) for side in (left, right))
            if kind == "union":
                return HirUnion((left, right))
            return HirThreshold(HirUnion((left, HirNegate(right))))
        case "let":
            value = draw(inner)
            number = draw(st.integers(0, 10**6))
            bound = (*ctes, (number, hir_arity(value)))
            return HirLet("w", number, value, draw(relations(outer, depth - 1, bound)))
        case _:
            bounds = st.integers(0, 3).map(lambda n: Literal(datum(n), ColumnType(INT4, False)))
            high = draw(bounds)
            levels = [level for level, width in enumerate(outer) if width]
            if levels and draw(st.booleans()):
                level = draw(st.sampled_from(levels))
                high = ColumnRef(level + 1, draw(st.integers(0, outer[level] - 1)), INT)
            return HirTableFunc(
                "generate_series_int4_int4", (literal(1), high), desc("s", not_null=("s",))
            )


@st.composite
def _joins(draw, left, right, kinds, outer, depth, ctes, lateral):
    widths = (hir_arity(left) + hir_arity(right), *outer)
    equality = HirCall(
        kernels.EQ,
        (
            ColumnRef(0, draw(st.integers(0, hir_arity(left) - 1)), INT),
            ColumnRef(0, widths[0] - 1 - draw(st.integers(0, hir_arity(right) - 1)), INT),
        ),
        TRUTH,
    )
    on = draw(
        st.one_of(
            st.just(equality),
            st.just(kernels.TRUE),
            conditions(widths, max(depth - 2, 0), ctes),
            conditions(widths, 0, ctes).map(
                lambda other: HirCall(kernels.AND, (equality, other), TRUTH)
            ),
        )
    )
    return HirJoin(left, right, on, draw(st.sampled_from(kinds)), lateral)


@st.composite
def _reduces(draw, source, outer, depth, ctes):
    width = hir_arity(source)
    group = tuple(draw(st.lists(st.integers(0, width - 1), max_size=2, unique=True)))
    aggregates = []
    for _ in range(draw(st.integers(0 if group else 1, 2))):
        func = draw(st.sampled_from(["min", "max", "min"]))
        expr = draw(scalars((width, *outer), max(depth - 2, 0), ctes))
        aggregates.append(HirAggregate(func, expr, INT, draw(st.booleans())))
    return HirReduce(source, group, tuple(aggregates))
