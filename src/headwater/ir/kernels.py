"""The few kernels, datums and literals that planning itself makes or understands.

The function table (``ir.functions``) knows all kernels by name; the optimizer must *recognize* some
(comparisons, connectives) and be careful with the rest. What it may assume of a kernel that is not
listed here is the least: it may fail, and it may return NULL. ``rust/hw-types/src/row.rs`` defines
the datums.
"""

from headwater.errors import CardinalityViolation, ErrorFields
from headwater.ir import literals
from headwater.ir.functions import CASTS, SIGNATURES, SYNTAX, VOLATILE_KERNELS, Convey
from headwater.ir.literals import int_literal, literal_from_text, literal_int
from headwater.ir.scalar import (
    AggregateExpr,
    Call,
    CallUnmaterializable,
    If,
    Literal,
    LiteralError,
    Parameter,
    ScalarExpr,
    UnmaterializableFunc,
)
from headwater.ir.visit import walk_scalar
from headwater.types.scalar import BOOL, INT8, BaseType, ColumnType, ScalarType, record_of

ZERO_DATUM = b"\x18"
ONE_DATUM = b"\x19\x01"

NULL_DATUM = literals.NULL_DATUM
FALSE_DATUM = literals.FALSE_DATUM
TRUE_DATUM = literals.TRUE_DATUM
TRUE = literals.TRUE
FALSE = literals.FALSE

EQ = "eq"
NOT_EQ = "ne"
LT = "lt"
LTE = "le"
GT = "gt"
GTE = "ge"
AND = "and"
OR = "or"
NOT = "not"
IS_NULL = "is_null"
IS_TRUE = "is_true"
IS_FALSE = "is_false"
COALESCE = "coalesce"
IS_DISTINCT = "is_distinct"
RECORD = "record_make"
RECORD_GET = "record_get"
COUNT = "count"
REPEAT_ROW = "repeat_row_int8"
UNNEST_LIST = "unnest_list"

BOOL_TYPE = ColumnType(BOOL, nullable=False)
BOOL_OR_NULL = ColumnType(BOOL, nullable=True)
COUNT_TYPE = ColumnType(INT8, nullable=False)

NULL_BOOL = Literal(NULL_DATUM, BOOL_OR_NULL)
SEVERAL_ROWS = ErrorFields(
    CardinalityViolation.sqlstate, "more than one record produced in subquery"
)

# The comparison that says the same with its arguments exchanged, and the one that is its negation.
COMMUTED = {EQ: EQ, NOT_EQ: NOT_EQ, LT: GT, LTE: GTE, GT: LT, GTE: LTE}
NEGATED = {EQ: NOT_EQ, NOT_EQ: EQ, LT: GTE, LTE: GT, GT: LTE, GTE: LT}

NEVER_NULL = frozenset({IS_NULL, IS_TRUE, IS_FALSE, IS_DISTINCT, RECORD})
COUNTS = frozenset({COUNT, "regr_count_float8_float8"})
# Of a row that is not there, among no rows.
RANKS_OF_NOTHING = {
    "hypothetical_rank": "1",
    "hypothetical_dense_rank": "1",
    "hypothetical_percent_rank": "0",
    "hypothetical_cume_dist": "1",
}
LAZY = frozenset({AND, OR, COALESCE})


def _facts() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the kernels that cannot fail, those NULL makes NULL, and those only NULL does.

    A kernel may serve several signatures: what is claimed holds for all of them.
    """
    fails: dict[str, bool] = {}
    strict: dict[str, bool] = {}
    introduces: dict[str, bool] = {}
    for signature in (*SIGNATURES, *SYNTAX):
        name = signature.kernel
        fails[name] = fails.get(name, False) or signature.could_error
        # A witness is a NULL argument beside the value, of which it says only the type.
        passes = signature.propagates_nulls and signature.convey is not Convey.WITNESS
        strict[name] = strict.get(name, True) and passes
        introduces[name] = introduces.get(name, False) or signature.introduces_nulls
    for cast in CASTS.values():
        for name in (cast.kernel, cast.assign_kernel):
            fails[name] = fails.get(name, False) or cast.could_error
    # AND, OR and COALESCE are lazy: what they return of NULLs is known to ``ir.typing``.
    return (
        frozenset(name for name, value in fails.items() if not value),
        frozenset(name for name, value in strict.items() if value),
        frozenset(name for name, value in strict.items() if value and not introduces[name]),
    )


# Kernels that never fail; that return NULL if an argument is NULL; and that do so only then.
INFALLIBLE, NULL_REJECTING, STRICT = _facts()


def null_of(type: ScalarType) -> Literal:
    """Return the NULL of ``type``."""
    return Literal(NULL_DATUM, ColumnType(type, nullable=True))


def is_true(expr: ScalarExpr) -> bool:
    """Return whether ``expr`` is the literal true."""
    return type(expr) is Literal and expr.data == TRUE_DATUM


def is_false_or_null(expr: ScalarExpr) -> bool:
    """Return whether ``expr`` is a literal false or NULL: as a condition, it never holds."""
    return type(expr) is Literal and expr.data in (FALSE_DATUM, NULL_DATUM)


def is_null_literal(expr: ScalarExpr) -> bool:
    """Return whether ``expr`` is a literal NULL."""
    return type(expr) is Literal and expr.data == NULL_DATUM


def is_literal(expr: ScalarExpr) -> bool:
    """Return whether ``expr`` is a literal value, not an error."""
    return type(expr) is Literal


def int8_literal(value: int) -> Literal:
    """Return a bigint literal."""
    return int_literal(value, INT8)


def _nullable(expr: ScalarExpr) -> bool:
    if type(expr) is Call or type(expr) is Literal or type(expr) is Parameter:
        return expr.type.nullable
    return True


def eq(left: ScalarExpr, right: ScalarExpr) -> Call:
    """Return ``left = right``; NULL if either is."""
    return Call(EQ, (left, right), BOOL_OR_NULL)


def gt(left: ScalarExpr, right: ScalarExpr) -> Call:
    """Return ``left > right``; NULL if either is."""
    return Call(GT, (left, right), BOOL_OR_NULL)


def negation(expr: ScalarExpr) -> Call:
    """Return ``NOT expr``."""
    return Call(NOT, (expr,), ColumnType(BOOL, _nullable(expr)))


def is_null(expr: ScalarExpr) -> Call:
    """Return ``expr IS NULL``."""
    return Call(IS_NULL, (expr,), BOOL_TYPE)


def is_not_null(expr: ScalarExpr) -> Call:
    """Return ``expr IS NOT NULL``."""
    return negation(is_null(expr))


def conjunction(exprs: tuple[ScalarExpr, ...]) -> ScalarExpr:
    """Return the AND of ``exprs``, true if there are none."""
    if not exprs:
        return TRUE
    if len(exprs) == 1:
        return exprs[0]
    return Call(AND, exprs, ColumnType(BOOL, any(_nullable(expr) for expr in exprs)))


def disjunction(exprs: tuple[ScalarExpr, ...]) -> ScalarExpr:
    """Return the OR of ``exprs``, false if there are none."""
    if not exprs:
        return FALSE
    if len(exprs) == 1:
        return exprs[0]
    return Call(OR, exprs, ColumnType(BOOL, any(_nullable(expr) for expr in exprs)))


def conjuncts(expr: ScalarExpr) -> tuple[ScalarExpr, ...]:
    """Return the members of a (nested) AND; ``expr`` itself if it is none."""
    if type(expr) is Call and expr.func == AND:
        return tuple(member for arg in expr.args for member in conjuncts(arg))
    return (expr,)


def disjuncts(expr: ScalarExpr) -> tuple[ScalarExpr, ...]:
    """Return the members of a (nested) OR; ``expr`` itself if it is none."""
    if type(expr) is Call and expr.func == OR:
        return tuple(member for arg in expr.args for member in disjuncts(arg))
    return (expr,)


def null_safe(expr: ScalarExpr, type: ColumnType) -> ScalarExpr:
    """Return an expression, never null, that is equal for equal ``expr``, NULL included.

    A join's classes never match NULL; a record of one field does.
    """
    if not type.nullable:
        return expr
    return Call(RECORD, (expr,), ColumnType(record_of(("f1", type)), nullable=False))


def may_fail(expr: ScalarExpr) -> bool:
    """Return whether evaluating ``expr`` on some row might be an error."""
    for node in walk_scalar(expr):
        if type(node) is LiteralError:
            return True
        if type(node) is Call and node.func not in INFALLIBLE:
            return True
    return False


def is_volatile_call(expr: ScalarExpr) -> bool:
    """Return whether ``expr`` is itself a call that has another value at each evaluation."""
    return type(expr) is Call and expr.func in VOLATILE_KERNELS


def is_volatile(expr: ScalarExpr) -> bool:
    """Return whether evaluating ``expr`` again may give another value."""
    return any(map(is_volatile_call, walk_scalar(expr)))


def is_mz_now(expr: ScalarExpr) -> bool:
    """Return whether ``expr`` is the call ``mz_now()``."""
    return type(expr) is CallUnmaterializable and expr.func is UnmaterializableFunc.MZ_NOW


def mentions_mz_now(expr: ScalarExpr) -> bool:
    """Return whether ``mz_now()`` occurs in ``expr``."""
    return any(is_mz_now(node) for node in walk_scalar(expr))


def literal_error(sqlstate: str, message: str, type: ScalarType) -> LiteralError:
    """Return the expression that fails with this error."""
    return LiteralError(ErrorFields(sqlstate, message), ColumnType(type, nullable=False))


def has_conditional(expr: ScalarExpr) -> bool:
    """Return whether parts of ``expr`` are evaluated only if others allow it."""
    return any(
        type(node) is If or (type(node) is Call and node.func in LAZY) for node in walk_scalar(expr)
    )


def int_of(datum: bytes) -> int:
    """Return the whole number that ``datum`` encodes, which is not NULL."""
    return literal_int(Literal(datum, COUNT_TYPE)) or 0


def literal_index(literal: Literal) -> int:
    """Return the number that a literal field index holds, from 0."""
    value = literal_int(literal)
    return 0 if value is None else value


def default_of(aggregate: AggregateExpr) -> Literal:
    """Return the aggregate's value over no rows."""
    if aggregate.func in COUNTS:
        return int8_literal(0)
    if aggregate.func in RANKS_OF_NOTHING:
        return literal_from_text(RANKS_OF_NOTHING[aggregate.func], aggregate.type.type)
    return null_of(aggregate.type.type)


def keeps_not_null(func: str) -> bool:
    """Return whether the aggregate of a group's values, none of them NULL, is not NULL either."""
    return func in ("min", "max", "bool_and", "bool_or") or func.startswith(("sum_", "bit_"))


def of_any_row(func: str) -> bool:
    """Return whether the aggregate of a group is not NULL whatever its values are."""
    return func in ("array_agg", "list_agg", "jsonb_agg", COUNT)


def with_expr(aggregate: AggregateExpr, expr: ScalarExpr) -> AggregateExpr:
    """Return ``aggregate`` over ``expr``."""
    return AggregateExpr(
        aggregate.func, expr, aggregate.type, aggregate.distinct, aggregate.order_by
    )


def is_boolean(type: ColumnType) -> bool:
    """Return whether ``type`` is boolean."""
    return type.type.base is BaseType.BOOL
