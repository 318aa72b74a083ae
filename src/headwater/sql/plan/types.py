"""Types of expressions under construction: categories, common types, nullability.

An expression whose type is still open (a quoted literal, NULL, an untyped parameter) has the type
``unknown`` until its place in the statement decides.

Source: PostgreSQL, sections 10.1 to 10.6 (``parse_coerce.c`` for the order of rules).
"""

from collections.abc import Iterable, Sequence

from headwater.errors import DatatypeMismatch, InternalError
from headwater.ir.functions import CastContext, lookup_cast
from headwater.ir.scalar import (
    CallUnmaterializable,
    Literal,
    LiteralError,
    Parameter,
)
from headwater.sql.plan.hir import (
    ColumnRef,
    Exists,
    HirCall,
    HirIf,
    HirScalar,
    ScalarSubquery,
    WindowCall,
)
from headwater.sql.resolve.datatypes import show_type
from headwater.types.scalar import BOOL, TEXT, UNKNOWN, BaseType, ColumnType, ScalarType

_CATEGORIES: dict[str, tuple[BaseType, ...]] = {
    "B": (BaseType.BOOL,),
    "N": (
        BaseType.INT2,
        BaseType.INT4,
        BaseType.INT8,
        BaseType.UINT2,
        BaseType.UINT4,
        BaseType.UINT8,
        BaseType.FLOAT4,
        BaseType.FLOAT8,
        BaseType.NUMERIC,
        BaseType.OID,
        BaseType.REGCLASS,
        BaseType.REGPROC,
        BaseType.REGTYPE,
    ),
    "S": (BaseType.TEXT, BaseType.VARCHAR, BaseType.BPCHAR, BaseType.NAME),
    "Z": (BaseType.CHAR,),
    "D": (BaseType.DATE, BaseType.TIME, BaseType.TIMESTAMP, BaseType.TIMESTAMPTZ),
    "T": (BaseType.INTERVAL,),
    "A": (BaseType.ARRAY, BaseType.INT2VECTOR),
    "C": (BaseType.RECORD,),
    "R": (BaseType.RANGE,),
    "L": (BaseType.LIST,),
    "M": (BaseType.MAP,),
    "X": (BaseType.UNKNOWN,),
}
CATEGORY: dict[BaseType, str] = {
    **dict.fromkeys(BaseType, "U"),
    **{base: letter for letter, bases in _CATEGORIES.items() for base in bases},
}
PREFERRED = frozenset(
    {
        BaseType.BOOL,
        BaseType.FLOAT8,
        BaseType.OID,
        BaseType.TEXT,
        BaseType.TIMESTAMPTZ,
        BaseType.INTERVAL,
    }
)
_BOOL_NOT_NULL = ColumnType(BOOL, False)
_NESTED = frozenset({BaseType.ARRAY, BaseType.LIST, BaseType.MAP, BaseType.RANGE})


_TYPED = frozenset(
    {
        ColumnRef,
        HirCall,
        Literal,
        Parameter,
        ScalarSubquery,
        WindowCall,
        CallUnmaterializable,
        LiteralError,
    }
)


def type_of(expr: HirScalar) -> ColumnType:
    """Return the type of a planned expression."""
    if type(expr) in _TYPED:
        return expr.type  # type: ignore[union-attr]
    if isinstance(expr, HirIf):
        return _type_of_if(expr)
    if isinstance(expr, Exists):
        return _BOOL_NOT_NULL
    raise InternalError("expression has no type", detail=type(expr).__name__)


def _type_of_if(expr: HirIf) -> ColumnType:
    """Walk a chain of branches without recursion: CASE may have hundreds."""
    nullable = False
    result: ColumnType | None = None
    last: HirScalar = expr
    while isinstance(last, HirIf):
        branch = type_of(last.then)
        nullable = nullable or branch.nullable
        if result is None and not isinstance(last.then, LiteralError):
            result = branch
        last = last.els
    final = type_of(last)
    result = final if result is None else result
    return ColumnType(result.type, nullable or final.nullable)


def is_unknown(expr: HirScalar) -> bool:
    """Return whether the expression's type is still open."""
    return type_of(expr).type is UNKNOWN or type_of(expr).type.base is BaseType.UNKNOWN


def same_type(left: ScalarType, right: ScalarType) -> bool:
    """Return whether two types are one but for modifiers and nullability of fields."""
    if left is right:
        return True
    if left.base is not right.base or left.custom != right.custom:
        return False
    if left.base in _NESTED:
        return (
            left.element is not None
            and right.element is not None
            and same_type(left.element, right.element)
        )
    if left.base is BaseType.RECORD:
        return len(left.fields) == len(right.fields) and all(
            same_type(a.type.type, b.type.type)
            for a, b in zip(left.fields, right.fields, strict=True)
        )
    return True


def can_coerce(source: ScalarType, target: ScalarType, context: CastContext) -> bool:
    """Return whether a value of ``source`` may become one of ``target`` here."""
    if source is target or source.base is BaseType.UNKNOWN or same_type(source, target):
        return True
    base, wanted = source.base, target.base
    if source.custom != target.custom:
        both = source.custom is not None and target.custom is not None
        if both and context is not CastContext.EXPLICIT:
            return False
        if base is wanted and _same_structure(source, target):
            return True
    if base is wanted:
        return _can_coerce_nested(source, target, context)
    if base is BaseType.INT2VECTOR and wanted is BaseType.ARRAY:
        return target.element is not None and target.element.base is BaseType.INT2
    if base is BaseType.ARRAY and wanted is BaseType.LIST:
        return (
            context is CastContext.EXPLICIT
            and source.element is not None
            and target.element is not None
            and same_type(source.element, target.element)
        )
    cast = lookup_cast(base, wanted)
    if cast is None:
        return through_text(base, wanted, context) is not None
    return cast.context <= context


_STRINGS = frozenset({BaseType.VARCHAR, BaseType.BPCHAR, BaseType.NAME})


def through_text(source: BaseType, target: BaseType, context: CastContext) -> BaseType | None:
    """Return text where a cast has to go through it, None if none may.

    Source: PostgreSQL, section "CREATE CAST": any type converts to strings on assignment and from
    strings where the cast is written, by their text form.
    """
    if target in _STRINGS and context >= CastContext.ASSIGNMENT:
        cast = lookup_cast(source, BaseType.TEXT)
        return BaseType.TEXT if cast is not None else None
    if source in _STRINGS and context is CastContext.EXPLICIT:
        cast = lookup_cast(BaseType.TEXT, target)
        return BaseType.TEXT if cast is not None else None
    return None


def _can_coerce_nested(source: ScalarType, target: ScalarType, context: CastContext) -> bool:
    base = source.base
    if base is BaseType.RECORD:
        return len(source.fields) == len(target.fields) and all(
            can_coerce(a.type.type, b.type.type, context)
            for a, b in zip(source.fields, target.fields, strict=True)
        )
    if base in (BaseType.ARRAY, BaseType.LIST):
        assert source.element is not None
        assert target.element is not None
        if source.element.base is BaseType.UNKNOWN:
            return True
        cast = lookup_cast(base, base)
        allowed = cast is not None and cast.context <= context
        return allowed and can_coerce(source.element, target.element, context)
    return False


def _same_structure(left: ScalarType, right: ScalarType) -> bool:
    if left.base is not right.base:
        return False
    if left.base in _NESTED:
        return (
            left.element is not None
            and right.element is not None
            and same_type(left.element, right.element)
        )
    if left.base is BaseType.RECORD:
        return len(left.fields) == len(right.fields) and all(
            same_type(a.type.type, b.type.type)
            for a, b in zip(left.fields, right.fields, strict=True)
        )
    return True


def common_type(types: Sequence[ScalarType], construct: str, position: int = 0) -> ScalarType:
    """Return the type that all of ``types`` unify to; text if all are unknown.

    Raises: DatatypeMismatch naming ``construct`` (``CASE``, ``UNION`` …) and the first clash.

    Source: PostgreSQL, section 10.5; ``select_common_type``.
    """
    result = try_common_type(types)
    if not isinstance(result, tuple):
        return result
    left, right = result
    if CATEGORY[left.base] == CATEGORY[right.base]:
        shown = f"{show_type(right, modifier=True)} to {show_type(left, modifier=True)}"
        raise DatatypeMismatch(f"{construct} could not convert type {shown}", position=position)
    raise DatatypeMismatch(
        f"{construct} types {show_type(left)} and {show_type(right)} cannot be matched",
        position=position,
    )


def try_common_type(
    types: Iterable[ScalarType],
) -> ScalarType | tuple[ScalarType, ScalarType]:
    """Return the common type, or the first two types that clash."""
    chosen: ScalarType | None = None
    has_open = False
    for candidate in types:
        if candidate.base is BaseType.UNKNOWN:
            has_open = True
            continue
        if chosen is None or chosen == candidate:
            chosen = candidate
            continue
        if same_type(chosen, candidate):
            chosen = _without_modifiers(chosen, candidate)
            continue
        if CATEGORY[chosen.base] != CATEGORY[candidate.base]:
            if not _mixes(chosen, candidate):
                return chosen, candidate
            chosen = _mixed(chosen, candidate)
            continue
        if chosen.base not in PREFERRED and _widens(chosen, candidate):
            chosen = candidate
        elif not can_coerce(candidate, chosen, CastContext.IMPLICIT):
            unsigned = unsigned_mix(chosen, candidate)
            if unsigned is None:
                return chosen, candidate
            chosen = unsigned
    if chosen is None:
        return TEXT
    # A literal of open type has no modifier, and only a modifier that all share survives.
    return chosen.without_modifier() if has_open else chosen


def _widens(chosen: ScalarType, candidate: ScalarType) -> bool:
    forth = can_coerce(chosen, candidate, CastContext.IMPLICIT)
    return forth and not can_coerce(candidate, chosen, CastContext.IMPLICIT)


def _mixes(left: ScalarType, right: ScalarType) -> bool:
    """Return whether types of two categories unify nonetheless: mz_timestamp, "char"."""
    implicit = CastContext.IMPLICIT
    return can_coerce(left, right, implicit) != can_coerce(right, left, implicit) and (
        BaseType.MZ_TIMESTAMP in (left.base, right.base) or "Z" in (CATEGORY[left.base],)
    )


def _mixed(left: ScalarType, right: ScalarType) -> ScalarType:
    return right if can_coerce(left, right, CastContext.IMPLICIT) else left


_UNSIGNED = {BaseType.UINT2: 2, BaseType.UINT4: 4, BaseType.UINT8: 8}
_SIGNED = {BaseType.INT2: 2, BaseType.INT4: 4, BaseType.INT8: 8}


def unsigned_mix(left: ScalarType, right: ScalarType) -> ScalarType | None:
    """Return the next wider signed type for a signed and an unsigned integer, or numeric."""
    for unsigned, signed in ((left.base, right.base), (right.base, left.base)):
        if unsigned in _UNSIGNED and signed in _SIGNED:
            width = max(2 * _UNSIGNED[unsigned], _SIGNED[signed])
            wider = {4: BaseType.INT4, 8: BaseType.INT8}.get(width, BaseType.NUMERIC)
            return ScalarType(wider)
    return None


def _without_modifiers(left: ScalarType, right: ScalarType) -> ScalarType:
    """Return the one type of two that differ in modifiers: only equal modifiers survive."""
    if left.base in _NESTED and left.element is not None and right.element is not None:
        element = left.element
        if left.element != right.element:
            element = _without_modifiers(left.element, right.element)
        return ScalarType(left.base, None, element, (), left.custom)
    if left.base is BaseType.RECORD:
        return left
    return left if left.modifier == right.modifier else left.without_modifier()


def any_nullable(args: Iterable[HirScalar]) -> bool:
    """Return whether any of ``args`` may be NULL."""
    return any(type_of(arg).nullable for arg in args)
