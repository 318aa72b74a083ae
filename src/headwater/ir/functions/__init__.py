"""Every function, operator and cast that SQL can name: one declarative table.

In: names and types. Out: :class:`Signature` and :class:`Cast`, which say what the planner needs to
resolve overloads and what the optimizer may assume. Each names a *kernel*, which ``hw_expr``
implements; a test holds the two to each other.

Modules: ``signature`` (the structs, and how tables are written), one module a family
(``arithmetic``, ``comparison``, ``text``, ``datetime``, ``json``, ``container``, ``aggregate``,
``table``), ``casts``, ``schemas`` (where they are). Out of scope: choosing an overload (the
planner), evaluating (``hw_expr``), functions that are SQL over the catalog, and
``ir.scalar.UnmaterializableFunc``.
"""

from collections import defaultdict
from collections.abc import Iterable

from headwater.ir.functions import (
    aggregate,
    arithmetic,
    comparison,
    container,
    datetime,
    json,
    table,
    text,
)
from headwater.ir.functions.casts import CASTS, Cast, CastContext, lookup_cast
from headwater.ir.functions.signature import (
    AggregateClass,
    ArgType,
    Convey,
    FunctionKind,
    Pseudo,
    Signature,
    Volatility,
)

__all__ = [
    "CASTS",
    "SIGNATURES",
    "SYNTAX",
    "VOLATILE_KERNELS",
    "AggregateClass",
    "ArgType",
    "Cast",
    "CastContext",
    "Convey",
    "FunctionKind",
    "Pseudo",
    "Signature",
    "Volatility",
    "aggregate_class",
    "kernels",
    "lookup",
    "lookup_cast",
    "lookup_operator",
    "lookup_syntax",
]

SIGNATURES: tuple[Signature, ...] = (
    *arithmetic.SIGNATURES,
    *comparison.SIGNATURES,
    *text.SIGNATURES,
    *datetime.SIGNATURES,
    *json.SIGNATURES,
    *container.SIGNATURES,
    *aggregate.SIGNATURES,
    *table.SIGNATURES,
)
SYNTAX: tuple[Signature, ...] = (
    *comparison.SYNTAX,
    *container.SYNTAX,
    *datetime.SYNTAX,
)


def _by_name(signatures: Iterable[Signature]) -> dict[str, tuple[Signature, ...]]:
    found: dict[str, list[Signature]] = defaultdict(list)
    for signature in signatures:
        found[signature.name].append(signature)
    return {name: tuple(overloads) for name, overloads in found.items()}


VOLATILE_KERNELS = frozenset(s.kernel for s in SIGNATURES if s.volatility is Volatility.VOLATILE)
"""Kernels whose calls are never evaluated ahead of the rows that they belong to."""

_OPERATORS = _by_name(s for s in SIGNATURES if s.kind is FunctionKind.OPERATOR)
_FUNCTIONS = _by_name(s for s in SIGNATURES if s.kind is not FunctionKind.OPERATOR)
_CLASSES = {s.kernel: s.aggregate for s in SIGNATURES if s.aggregate is not None}
_SYNTAX = {signature.name: signature for signature in SYNTAX}


def lookup(name: str) -> tuple[Signature, ...]:
    """Return the overloads of a function, aggregate, table or window function; empty if unknown."""
    return _FUNCTIONS.get(name, ())


def lookup_operator(symbol: str) -> tuple[Signature, ...]:
    """Return the overloads of an operator; those of one argument are the prefix operator's."""
    return _OPERATORS.get(symbol, ())


def lookup_syntax(name: str) -> Signature:
    """Return what the parser's constructs call: ``and``, ``coalesce``, ``array_make``, …."""
    return _SYNTAX[name]


def aggregate_class(kernel: str) -> AggregateClass:
    """Return how the aggregate ``kernel`` is maintained; unknown ones from scratch."""
    return _CLASSES.get(kernel, AggregateClass.BASIC)


def kernels() -> frozenset[str]:
    """Return the names of all kernels that ``hw_expr`` has to implement."""
    rendered = (s.kernel for s in (*SIGNATURES, *SYNTAX) if s.kind is not FunctionKind.WINDOW)
    cast = (kernel for c in CASTS.values() for kernel in (c.kernel, c.assign_kernel))
    return frozenset((*rendered, *cast, "out_text"))
