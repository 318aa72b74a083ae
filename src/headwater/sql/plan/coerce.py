"""Making an expression of one type into one of another, by PostgreSQL's rules."""

from typing import Protocol

import msgspec

from headwater.errors import CannotCoerce, DatatypeMismatch, HeadwaterError, InternalError
from headwater.ir.functions import Cast, CastContext, lookup_cast
from headwater.ir.literals import (
    INT_RANGES,
    is_null,
    literal_from_text,
    literal_int,
    literal_text,
    null_literal,
    text_literal,
)
from headwater.ir.scalar import Literal, Parameter
from headwater.sql.plan.hir import ColumnRef, HirCall, HirIf, HirScalar
from headwater.sql.plan.types import can_coerce, same_type, through_text, type_of
from headwater.sql.resolve.datatypes import show_type
from headwater.types.scalar import (
    BOOL,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    BaseType,
    ColumnType,
    ScalarType,
)

_RECORD_MAKE = "record_make"
_RECORD_GET = "record_get"
_CONTAINERS = frozenset({BaseType.ARRAY, BaseType.LIST, BaseType.MAP, BaseType.RECORD})
_LENGTH_LIMITED = frozenset({BaseType.VARCHAR, BaseType.BPCHAR})
_TEXTS = frozenset({BaseType.TEXT, *_LENGTH_LIMITED, BaseType.NAME})


class ParameterTypes(Protocol):
    """Where the types of a statement's parameters are settled, and in which zone it speaks.

    Attributes:
        time_zone: The session's zone, None for UTC and for what outlives the session.
    """

    time_zone: str | None

    def settle_parameter(self, number: int, type: ScalarType, position: int) -> ScalarType:
        """Give parameter ``number`` this type if it has none yet; return the one that it has."""


def coerce(
    expr: HirScalar,
    target: ScalarType,
    context: CastContext,
    params: ParameterTypes,
    position: int = 0,
) -> HirScalar:
    """Return ``expr`` as a value of ``target``.

    Raises: DatatypeMismatch or CannotCoerce (no such cast here); for literals whatever reading the
        text as ``target`` raises, at ``position``.
    """
    source = type_of(expr).type
    if source is target or source == target:
        return expr
    if params.time_zone is not None:
        zoned = _in_zone(expr, target, context, params.time_zone)
        if zoned is not None:
            return zoned
    if source.base is BaseType.UNKNOWN:
        return _settle(expr, target, context, params, position)
    if not can_coerce(source, target, context):
        raise _no_cast(source, target, context, position)
    if target.base is BaseType.RECORD and is_record_maker(expr):
        # A row as it is written: its fields may be of open type.
        fields = tuple(
            coerce(get_field(expr, index), field.type.type, context, params, position)
            for index, field in enumerate(target.fields)
        )
        return make_record(fields, target)
    return cast(expr, target, context)


_OTHER_SIGN = {"+": "-", "-": "+"}


def zone_argument(zone: str) -> str:
    """Return the session's zone as a function's argument names it.

    A bare offset there is POSIX's: what lies east of Greenwich is negative.
    """
    sign = _OTHER_SIGN.get(zone[:1])
    return zone if sign is None else sign + zone[1:]


_LOCAL = frozenset({BaseType.TIMESTAMP, BaseType.DATE, BaseType.TIME})


def _in_zone(
    expr: HirScalar, target: ScalarType, context: CastContext, zone: str
) -> HirScalar | None:
    """Return a conversion from or to ``timestamptz`` that depends on the zone; None for others.

    Source: PostgreSQL, section 8.5.3: such a value is shown, read and converted in the session's.
    """
    declared = type_of(expr)
    source = declared.type.base
    name, argument = text_literal(zone), text_literal(zone_argument(zone))
    moment, nullable = ColumnType(TIMESTAMPTZ, declared.nullable), declared.nullable
    made: HirScalar
    if isinstance(expr, Literal) and is_null(expr):
        return None
    if target.base is BaseType.TIMESTAMPTZ:
        if source in _LOCAL and can_coerce(declared.type, TIMESTAMP, CastContext.IMPLICIT):
            local = cast(expr, TIMESTAMP, context)
            made = HirCall("timezone_text_timestamp", (argument, local), moment)
        elif source is BaseType.UNKNOWN and isinstance(expr, Literal):
            text = retype(expr, TEXT)
            made = HirCall("timestamptz_of_text_in", (text, name), moment)
        elif source in _TEXTS and context is CastContext.EXPLICIT:
            text = cast(expr, TEXT, context)
            made = HirCall("timestamptz_of_text_in", (text, name), moment)
        else:
            return None
        return cast(made, target, context)
    if source is not BaseType.TIMESTAMPTZ or not can_coerce(declared.type, target, context):
        return None
    if target.base in _LOCAL:
        local_type = ColumnType(TIMESTAMP, nullable)
        made = HirCall("timezone_text_timestamptz", (argument, expr), local_type)
        return cast(made, target, CastContext.EXPLICIT)
    if target.base in _TEXTS:
        made = HirCall("text_of_timestamptz_in", (expr, name), ColumnType(TEXT, nullable))
        return cast(made, target, context)
    return None


def _no_cast(
    source: ScalarType, target: ScalarType, context: CastContext, position: int = 0
) -> CannotCoerce:
    """Return the error of a conversion that is not in the table."""
    shown = f"{show_type(source)} to {show_type(target)}"
    if context is CastContext.EXPLICIT:
        return CannotCoerce(f"CAST does not support casting from {shown}", position=position)
    return CannotCoerce(f"cannot cast type {shown}", position=position)


def _settle(
    expr: HirScalar,
    target: ScalarType,
    context: CastContext,
    params: ParameterTypes,
    position: int,
) -> HirScalar:
    """Give an expression of open type the type ``target``."""
    if isinstance(expr, Literal):
        return literal_of(expr, target, context, position)
    if isinstance(expr, Parameter):
        settled = params.settle_parameter(expr.number, target.without_modifier(), position)
        typed = Parameter(expr.number, ColumnType(settled, True))
        return cast(typed, target, context) if settled != target else typed
    if isinstance(expr, HirIf):
        then = coerce(expr.then, target, context, params, position)
        return HirIf(expr.cond, then, coerce(expr.els, target, context, params, position))
    # A column of a subquery whose literal was left open: its text is read at run time.
    return cast(retype(expr, TEXT), target, CastContext.EXPLICIT)


def literal_of(
    literal: Literal, target: ScalarType, context: CastContext, position: int
) -> HirScalar:
    """Return an open literal as one of ``target``."""
    if is_null(literal):
        return null_literal(target)
    text = literal_text(literal)
    assert text is not None
    plain = target.without_modifier()
    try:
        settled = literal_from_text(text, plain)
    except HeadwaterError as error:
        if error.position == 0:
            error.position = position
        raise
    if plain is target:
        return settled
    if target.base in _LENGTH_LIMITED or target.modifier is not None:
        return cast(settled, target, context)
    return settled


def retype(expr: HirScalar, type: ScalarType) -> HirScalar:
    """Return ``expr`` declared to be of ``type``: its datum stays the same."""
    if isinstance(expr, HirIf):
        return HirIf(expr.cond, retype(expr.then, type), retype(expr.els, type))
    declared = type_of(expr)
    if not hasattr(expr, "type"):
        raise InternalError("expression's type is fixed", detail=str(declared.type.base))
    retyped: HirScalar = msgspec.structs.replace(expr, type=ColumnType(type, declared.nullable))
    return retyped


def cast(expr: HirScalar, target: ScalarType, context: CastContext) -> HirScalar:
    """Return ``expr`` converted to ``target``, which :func:`can_coerce` has allowed."""
    declared = type_of(expr)
    source = declared.type
    if source == target:
        return expr
    if isinstance(expr, Literal) and is_null(expr):
        return null_literal(target)
    if source.base is target.base and _is_relabelling(source, target):
        return _relabelled(expr, declared, target)
    if source.base is BaseType.RECORD and target.base is BaseType.RECORD:
        return _cast_record(expr, target, context)
    found = lookup_cast(source.base, target.base)
    through = None if found is not None else through_text(source.base, target.base, context)
    if through is not None:
        return cast(cast(expr, TEXT, context), target, context)
    if found is None:
        raise _no_cast(source, target, context)
    if isinstance(expr, Literal) and (found.relabel or _fits(expr, source, target)):
        return Literal(expr.data, ColumnType(target, declared.nullable))
    return _call(found, expr, declared, target, context)


def _relabelled(expr: HirScalar, declared: ColumnType, target: ScalarType) -> HirScalar:
    """Return an expression declared to be of ``target``, whose values its values are.

    A call's type may tell its kernel what to do, a length or a scale, so that it stays as it is.
    """
    if isinstance(expr, ColumnRef | Literal | Parameter):
        return retype(expr, target)
    found = lookup_cast(target.base, target.base)
    if found is None or target.base in _CONTAINERS:
        return expr
    return HirCall(found.assign_kernel, (expr,), ColumnType(target, declared.nullable))


def _fits(literal: Literal, source: ScalarType, target: ScalarType) -> bool:
    """Return whether a whole number is one of the target's: all are encoded alike."""
    limits = INT_RANGES.get(target.base)
    if limits is None or source.base not in INT_RANGES:
        return False
    value = literal_int(literal)
    return value is not None and limits[0] <= value <= limits[1]


def _call(
    found: Cast, expr: HirScalar, declared: ColumnType, target: ScalarType, context: CastContext
) -> HirScalar:
    kernel = found.kernel if context is CastContext.EXPLICIT else found.assign_kernel
    args: tuple[HirScalar, ...] = (expr,)
    if found.witness:
        args = (expr, null_literal(declared.type))
    # JSON's null is not SQL's, but casting it to a number is an error, not NULL.
    return HirCall(kernel, args, ColumnType(target, declared.nullable))


def _is_relabelling(source: ScalarType, target: ScalarType) -> bool:
    """Return whether values of ``source`` are values of ``target`` as they are."""
    base = target.base
    if base in (BaseType.ARRAY, BaseType.LIST, BaseType.MAP, BaseType.RANGE):
        assert source.element is not None
        assert target.element is not None
        return source.element == target.element or (
            same_type(source.element, target.element)
            and _is_relabelling(source.element, target.element)
        )
    if base is BaseType.RECORD:
        return len(source.fields) == len(target.fields) and all(
            a.type.type == b.type.type
            or (a.type.type.base is b.type.type.base and _is_relabelling(a.type.type, b.type.type))
            for a, b in zip(source.fields, target.fields, strict=True)
        )
    if target.modifier is None:
        return True
    if source.modifier is None:
        return False
    if base in _LENGTH_LIMITED:
        # A bpchar is stored without its padding, so that only a longer length needs no check.
        return source.modifier <= target.modifier
    if base in (BaseType.NUMERIC, BaseType.TIMESTAMP, BaseType.TIMESTAMPTZ, BaseType.TIME):
        return source.modifier <= target.modifier
    return source.modifier == target.modifier


def _cast_record(expr: HirScalar, target: ScalarType, context: CastContext) -> HirScalar:
    declared = type_of(expr)
    fields = tuple(
        cast(get_field(expr, index), field.type.type, context)
        for index, field in enumerate(target.fields)
    )
    made = HirCall(_RECORD_MAKE, fields, ColumnType(target, declared.nullable))
    if not declared.nullable or is_record_maker(expr):
        return made
    is_missing = HirCall("is_null", (expr,), ColumnType(BOOL, False))
    return HirIf(is_missing, null_literal(target), made)


def is_record_maker(expr: HirScalar) -> bool:
    """Return whether the expression makes a record of its arguments."""
    return isinstance(expr, HirCall) and expr.func == _RECORD_MAKE


def make_record(fields: tuple[HirScalar, ...], type: ScalarType) -> HirScalar:
    """Return the record of ``fields``, of the record type ``type``."""
    return HirCall(_RECORD_MAKE, fields, ColumnType(type, False))


def get_field(expr: HirScalar, index: int) -> HirScalar:
    """Return field ``index``, from 0, of a record."""
    if isinstance(expr, HirCall) and expr.func == _RECORD_MAKE:
        return expr.args[index]
    declared = type_of(expr)
    field = declared.type.fields[index]
    position = literal_from_text(str(index), ScalarType(BaseType.INT8))
    return HirCall(
        _RECORD_GET,
        (expr, position),
        ColumnType(field.type.type, field.type.nullable or declared.nullable),
    )


def require_bool(
    expr: HirScalar, clause: str, params: ParameterTypes, position: int = 0
) -> HirScalar:
    """Return ``expr`` as a condition. Raises: DatatypeMismatch if it is not boolean."""
    found = type_of(expr).type
    if found is BOOL or found.base is BaseType.BOOL:
        return expr
    if found.base is BaseType.UNKNOWN:
        return coerce(expr, BOOL, CastContext.IMPLICIT, params, position)
    raise DatatypeMismatch(
        f"argument of {clause} must be type boolean, not type {show_type(found)}",
        position=position,
    )
