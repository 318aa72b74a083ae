"""What is known of how calls order their results: for conditions on what statistics bound.

The facts are the function table's (``ir.functions``); what depends on a constant argument is here.
"""

from headwater.ir import kernels
from headwater.ir.functions import CASTS, SIGNATURES, SYNTAX
from headwater.ir.literals import literal_text
from headwater.ir.scalar import Call, Literal
from headwater.types.scalar import BaseType

# An interval's months, after its tag and estimate; source: ``rust/hw-types/src/row.rs``.
_MONTHS = slice(11, 15)
_NO_MONTHS = b"\x80\x00\x00\x00"
# Fields that never fall as time goes on.
_RISING_FIELDS = frozenset({"epoch", "year"})
_EXTRACTS = frozenset(
    f"{name}_text_{moment}"
    for name in ("extract", "date_part")
    for moment in ("date", "timestamp", "timestamptz")
)


def _monotone() -> dict[str, frozenset[int]]:
    """Return the kernels that are monotone in some arguments, and in which.

    A kernel may serve several signatures: what is claimed holds for all of them.
    """
    found: dict[str, frozenset[int]] = {}
    for signature in (*SIGNATURES, *SYNTAX):
        within = signature.monotone if signature.propagates_nulls else frozenset()
        name = signature.kernel
        found[name] = found.get(name, within) & within
    for cast in CASTS.values():
        within = frozenset({0}) if cast.monotone else frozenset()
        for name in (cast.kernel, cast.assign_kernel):
            found[name] = found.get(name, within) & within
    return {name: within for name, within in found.items() if within}


_MONOTONE = _monotone()
_MONOTONE_CASTS = frozenset(cast.kernel for cast in CASTS.values() if cast.monotone)

RELABELS = frozenset({"identity", *(cast.kernel for cast in CASTS.values() if cast.relabel)})
"""Kernels of one argument whose result has the same bytes."""


def monotone_in(call: Call) -> frozenset[int]:
    """Return the arguments as any of which rises, the others fixed, ``call`` never falls.

    NULL is outside of the order: as such an argument it makes the result NULL.
    """
    if call.func in _EXTRACTS:
        field = call.args[0]
        rises = isinstance(field, Literal) and _text(field) in _RISING_FIELDS
        return frozenset({1}) if rises else frozenset()
    if any(map(_has_months, call.args)):
        # A month after January 30 and 31 is the same day, whatever the hour: the later comes first.
        return frozenset()
    return _MONOTONE.get(call.func, frozenset())


def may_introduce_null(func: str) -> bool:
    """Return whether a monotone kernel may return NULL of arguments that are not."""
    return func not in kernels.STRICT and func not in _MONOTONE_CASTS


def _has_months(expr: object) -> bool:
    return (
        isinstance(expr, Literal)
        and expr.type.type.base is BaseType.INTERVAL
        and expr.data != kernels.NULL_DATUM
        and expr.data[_MONTHS] != _NO_MONTHS
    )


def _text(literal: Literal) -> str | None:
    text = literal_text(literal)
    return text.lower() if text is not None else None
