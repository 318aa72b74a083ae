"""Calls of kernels: from an overload and arguments to an expression; errors for what fits none."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache

from headwater.errors import AmbiguousFunction, DatatypeMismatch, UndefinedFunction, UserError
from headwater.ir import functions
from headwater.ir.functions import CastContext, Convey, Signature, Volatility, lookup
from headwater.ir.literals import int_literal, literal_from_text, literal_text, null_literal
from headwater.ir.scalar import CallUnmaterializable, Literal, UnmaterializableFunc
from headwater.sql.plan import overload
from headwater.sql.plan.context import ExprContext
from headwater.sql.plan.hir import HirCall, HirScalar
from headwater.sql.plan.overload import AMBIGUOUS, Ambiguous, Choice, choose_operator
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.types.scalar import (
    BOOL,
    DATE,
    INT8,
    INTERVAL,
    JSONB,
    TEXT,
    BaseType,
    ColumnType,
    ScalarType,
)

_BOOL_NULLABLE = ColumnType(BOOL, True)
_BOOL_NOT_NULL = ColumnType(BOOL, False)
_FUNCTION_HINT = (
    "No function matches the given name and argument types."
    " You might need to add explicit type casts."
)
_OPERATOR_HINT = (
    "No operator matches the given name and argument types."
    " You might need to add explicit type casts."
)


def call_operator(
    ctx: ExprContext,
    symbol: str,
    args: Sequence[HirScalar],
    positions: Sequence[int],
    position: int,
) -> HirScalar:
    """Return the operator applied to one or two arguments.

    Raises: UndefinedFunction, AmbiguousFunction.
    """
    types = tuple([type_of(arg).type for arg in args])
    if symbol == "-" and types[0].base is BaseType.DATE and _is_interval(args[-1]):
        types = (types[0], INTERVAL)
    choice = choose_operator(symbol, types)
    if choice is None or choice is AMBIGUOUS or isinstance(choice, Ambiguous):
        raise _operator_error(symbol, types, position, ambiguous=choice is AMBIGUOUS)
    return apply(ctx, choice, args, positions)


def _is_interval(arg: HirScalar) -> bool:
    """Return whether an operand is a text that reads as an interval, and not as a date.

    PostgreSQL takes any text that is subtracted from a date for one; Materialize has
    ``date - '7 days'``.
    """
    if not isinstance(arg, Literal) or arg.type.type.base is not BaseType.UNKNOWN:
        return False
    text = literal_text(arg)
    return text is not None and not _reads_as(text, DATE) and _reads_as(text, INTERVAL)


def _reads_as(text: str, type: ScalarType) -> bool:
    try:
        literal_from_text(text, type)
    except UserError:
        return False
    return True


def _operator_error(
    symbol: str, types: tuple[ScalarType, ...], position: int, *, ambiguous: bool
) -> UndefinedFunction | AmbiguousFunction:
    shown = [show_type(type) for type in types]
    text = f"{symbol} {shown[0]}" if len(shown) == 1 else f"{shown[0]} {symbol} {shown[1]}"
    if ambiguous:
        return AmbiguousFunction(
            f"operator is not unique: {text}",
            hint="Could not choose a best candidate operator."
            " You might need to add explicit type casts.",
            position=position,
        )
    return UndefinedFunction(
        f"operator does not exist: {text}", hint=_OPERATOR_HINT, position=position
    )


def choose_function(
    name: str, types: tuple[ScalarType, ...], position: int, *, exists: bool = True
) -> Choice:
    """Return the overload that a call means; there is none of this name where not ``exists``.

    Raises: UndefinedFunction, AmbiguousFunction.
    """
    choice = overload.choose_function(name, types)
    if isinstance(choice, Choice):
        return choice
    shown = f"{name}({', '.join(show_type(type) for type in types)})"
    open_count = 0 if choice is not None else overload.open_overloads(name, types)
    if open_count == 1:
        raise DatatypeMismatch(
            "could not determine polymorphic type because input has type unknown",
            position=position,
        )
    if choice is not None or open_count:
        raise AmbiguousFunction(
            f"function {shown} is not unique",
            hint="Could not choose a best candidate function."
            " You might need to add explicit type casts.",
            position=position,
        )
    hint = _FUNCTION_HINT
    if not lookup(name):
        if not exists:
            # Materialize's words: whatever the arguments, there is none.
            shown = f'"{name}"'
        near = get_close_matches(name, function_names(), n=3, cutoff=0.7)
        if near:
            hint = "Perhaps you meant " + " or ".join(f'"{match}"' for match in near) + "."
    raise UndefinedFunction(f"function {shown} does not exist", hint=hint, position=position)


@lru_cache(maxsize=1)
def function_names() -> tuple[str, ...]:
    """Return the names of all functions of the table, sorted."""
    return tuple(sorted({s.name for s in functions.SIGNATURES if s.name[0].isalpha()}))


def overloads_of(name: str) -> tuple[Signature, ...]:
    """Return the overloads of a function of any kind."""
    return lookup(name)


def apply(
    ctx: ExprContext, choice: Choice, args: Sequence[HirScalar], positions: Sequence[int]
) -> HirScalar:
    """Return the call of a chosen overload, its arguments coerced."""
    signature = choice.signature
    conveyed = convey(ctx, choice, args, positions)
    assert choice.result is not None
    nullable = signature.introduces_nulls or any(type_of(arg).nullable for arg in args)
    if signature.kernel == "identity":
        return conveyed[0]
    if signature.volatility is Volatility.VOLATILE:
        # The first argument refuses maintained views, the second keeps this call apart from others.
        once = CallUnmaterializable(UnmaterializableFunc.EVALUATION, ColumnType(INT8, False))
        ctx.statement.uses_now.append(once)
        conveyed = (once, int_literal(ctx.statement.next_local(), INT8), *conveyed)
        nullable = False
    return HirCall(signature.kernel, conveyed, ColumnType(choice.result, nullable))


def convey(
    ctx: ExprContext, choice: Choice, args: Sequence[HirScalar], positions: Sequence[int]
) -> tuple[HirScalar, ...]:
    """Return the arguments as the kernel wants them."""
    coerced: list[HirScalar] = []
    for arg, target, position in zip(args, choice.targets, positions, strict=True):
        declared = type_of(arg).type
        # A text form shows the length that a blank-padded type declares.
        keeps = declared is target or (
            choice.signature.convey is Convey.TEXT and declared.base is target.base
        )
        coerced.append(arg if keeps else ctx.coerce(arg, target, position))
    match choice.signature.convey:
        case Convey.AS_IS:
            return tuple(coerced)
        case Convey.WITNESS:
            return (*coerced, *(null_literal(type_of(arg).type) for arg in coerced))
        case Convey.JSONB:
            return tuple(to_jsonb(arg) for arg in coerced)
        case Convey.CAST:
            return tuple(ctx.coerce(arg, TEXT, 0, CastContext.EXPLICIT) for arg in coerced)
        case Convey.TEXT:
            return tuple(to_output_text(arg) for arg in coerced)


def to_jsonb(expr: HirScalar) -> HirScalar:
    """Return the value as jsonb; SQL's NULL stays NULL."""
    declared = type_of(expr)
    if declared.type.base is BaseType.JSONB:
        return expr
    witness = null_literal(declared.type)
    return HirCall("to_jsonb", (expr, witness), ColumnType(JSONB, declared.nullable))


def to_output_text(expr: HirScalar) -> HirScalar:
    """Return the value's text form, as output shows it."""
    declared = type_of(expr)
    if declared.type.base in (BaseType.TEXT, BaseType.VARCHAR, BaseType.UNKNOWN):
        return expr
    witness = null_literal(declared.type)
    return HirCall("out_text", (expr, witness), ColumnType(TEXT, declared.nullable))


# --- the kernels that syntax stands for -----------------------------------------------------------


def conjunction(operands: Sequence[HirScalar]) -> HirScalar:
    """Return the AND of conditions."""
    if len(operands) == 1:
        return operands[0]
    return HirCall("and", tuple(operands), _bool_type(operands))


def disjunction(operands: Sequence[HirScalar]) -> HirScalar:
    """Return the OR of conditions."""
    if len(operands) == 1:
        return operands[0]
    return HirCall("or", tuple(operands), _bool_type(operands))


def negation(operand: HirScalar) -> HirScalar:
    """Return NOT of a condition."""
    return HirCall("not", (operand,), _bool_type((operand,)))


def is_null(operand: HirScalar) -> HirScalar:
    """Return whether the value is NULL."""
    return HirCall("is_null", (operand,), _BOOL_NOT_NULL)


def truth(kernel: str, operand: HirScalar) -> HirScalar:
    """Return ``is_true`` or ``is_false`` of a condition."""
    return HirCall(kernel, (operand,), _BOOL_NOT_NULL)


def is_distinct(left: HirScalar, right: HirScalar) -> HirScalar:
    """Return whether two values of one type differ, NULL being equal to NULL."""
    return HirCall("is_distinct", (left, right), _BOOL_NOT_NULL)


def _bool_type(operands: Sequence[HirScalar]) -> ColumnType:
    nullable = any(type_of(operand).nullable for operand in operands)
    return _BOOL_NULLABLE if nullable else _BOOL_NOT_NULL
