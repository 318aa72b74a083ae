"""What a function's signature is, and the compact form in which the families' tables write it.

A table has one function a line: ``name: overload; overload``; indented lines continue it; an
operator's symbol is followed by the word that begins its kernels' names. An overload is

    ``types -> result [#oid] [=kernel] [flags]``

where ``types`` are separated by commas (``...`` after the last one: repeated), ``result`` may be
``setof type`` or ``setof (name type, name type)``, and flags are letters in braces:

    e  may raise an error                     n  may return NULL for arguments that are not
    c  NULL arguments reach the kernel        m  monotone in each argument, m2: in the second
    s  stable within a transaction            w  wants a type witness an argument
    j  arguments arrive as jsonb              t  arguments arrive as output text
    x  arguments arrive cast to text          v  volatile

The kernel's name, where none is given, is the function's followed by its arguments' base types.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from headwater.types import scalar
from headwater.types.scalar import BaseType, ScalarType, array_of, range_of


class FunctionKind(StrEnum):
    """Where a function may stand."""

    SCALAR = "scalar"
    OPERATOR = "operator"
    AGGREGATE = "aggregate"
    TABLE = "table"
    WINDOW = "window"


class Pseudo(StrEnum):
    """Argument and result types that stand for several; PostgreSQL's rules unify them."""

    ANY = "any"
    ANYELEMENT = "anyelement"
    ANYARRAY = "anyarray"
    ANYNONARRAY = "anynonarray"
    ANYRANGE = "anyrange"
    ANYCOMPATIBLE = "anycompatible"
    ANYCOMPATIBLEARRAY = "anycompatiblearray"
    ANYCOMPATIBLELIST = "anycompatiblelist"
    ANYCOMPATIBLEMAP = "anycompatiblemap"
    LIST = "list"
    LIST_ELEMENT = "list_element"  # the element of the ANYCOMPATIBLELIST beside it
    MAP = "map"
    MAP_VALUE = "map_value"  # the value of the MAP beside it
    RECORD = "record"


ArgType = ScalarType | Pseudo


class Volatility(StrEnum):
    """How long a result holds for equal arguments."""

    IMMUTABLE = "immutable"
    STABLE = "stable"
    VOLATILE = "volatile"  # another for each row: only where it is evaluated once


class AggregateClass(StrEnum):
    """How the dataflow maintains an aggregate."""

    ACCUMULABLE = "accumulable"
    HIERARCHICAL = "hierarchical"
    BASIC = "basic"


class Convey(StrEnum):
    """What the planner does to arguments before the kernel sees them."""

    AS_IS = "as_is"
    JSONB = "jsonb"  # wrapped in the kernel ``to_jsonb`` unless they are jsonb already
    TEXT = "text"  # wrapped in the kernel ``out_text`` unless they are text already
    CAST = "cast"  # cast to text unless they are text already
    WITNESS = "witness"  # followed by one typed NULL literal an argument, for the kernel to read


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One overload of a function or operator.

    Attributes:
        name: The SQL name, or the operator's symbol.
        kind: Where it may stand.
        args: Argument types; for operators one or two.
        variadic: Whether the last argument type may repeat (once or more).
        result: The result's type; for table functions of several columns a record.
        kernel: The name under which ``hw_expr`` has the implementation.
        propagates_nulls: Whether a NULL argument makes the result NULL; else the kernel decides.
        introduces_nulls: Whether the result may be NULL though no argument is.
        could_error: Whether evaluation may raise.
        monotone: The arguments (from 0) as any one of which rises the result never falls. If it
            may raise, those values of them for which it does not are an interval, but for
            infinities and NaN.
        volatility: How long a result holds.
        convey: What happens to arguments before the call.
        columns: Table functions: the names and types of the columns.
        aggregate: Aggregates: how they are maintained.
        oid: The object identifier, 0 where there is none.
    """

    name: str
    kind: FunctionKind
    args: tuple[ArgType, ...]
    result: ArgType
    kernel: str
    variadic: bool = False
    propagates_nulls: bool = True
    introduces_nulls: bool = False
    could_error: bool = False
    monotone: frozenset[int] = frozenset()
    volatility: Volatility = Volatility.IMMUTABLE
    convey: Convey = Convey.AS_IS
    columns: tuple[tuple[str, ArgType], ...] = field(default=())
    aggregate: AggregateClass | None = None
    oid: int = 0


_RANGES = {
    "int4range": range_of(scalar.INT4),
    "int8range": range_of(scalar.INT8),
    "numrange": range_of(scalar.NUMERIC),
    "daterange": range_of(scalar.DATE),
    "tsrange": range_of(scalar.TIMESTAMP),
    "tstzrange": range_of(scalar.TIMESTAMPTZ),
}
_KERNEL_WORDS = {
    Pseudo.ANYELEMENT: "any",
    Pseudo.ANYNONARRAY: "any",
    Pseudo.ANYCOMPATIBLE: "any",
    Pseudo.LIST_ELEMENT: "any",
    Pseudo.MAP_VALUE: "any",
    Pseudo.ANYARRAY: "array",
    Pseudo.ANYCOMPATIBLEARRAY: "array",
    Pseudo.ANYRANGE: "range",
    Pseudo.ANYCOMPATIBLELIST: "list",
    Pseudo.ANYCOMPATIBLEMAP: "map",
}
_OVERLOAD = re.compile(
    r"(?P<args>[^>]*?)\s*->\s*(?P<result>setof \([^)]*\)|setof \S+|\S+)"
    r"(?:\s+#(?P<oid>\d+))?(?:\s+=(?P<kernel>\w+))?(?:\s+\{(?P<flags>\w*)\})?\s*\Z"
)


def parse_type(text: str) -> ArgType:
    """Return the type or pseudo-type that a table writes as ``text``."""
    if text.endswith("[]"):
        element = parse_type(text[:-2])
        if isinstance(element, Pseudo):
            raise ValueError(f"no array of {text}")
        return array_of(element)
    if text in _RANGES:
        return _RANGES[text]
    if text in tuple(Pseudo):
        return Pseudo(text)
    return ScalarType(BaseType(text))


def kernel_word(arg: ArgType) -> str:
    """Return the word that stands for ``arg`` in a kernel's name."""
    if isinstance(arg, Pseudo):
        return _KERNEL_WORDS.get(arg, arg.value)
    return arg.base.value


def _columns(name: str, result: str) -> tuple[tuple[str, ArgType], ...]:
    """Read ``setof …``: one column called as the function, or those in parentheses."""
    body = result.removeprefix("setof ")
    if not body.startswith("("):
        return ((name, parse_type(body)),)
    pairs = (part.split() for part in body[1:-1].split(",") if part.strip())
    return tuple((column, parse_type(type_)) for column, type_ in pairs)


def _volatility(flags: str) -> Volatility:
    if "v" in flags:
        return Volatility.VOLATILE
    return Volatility.STABLE if "s" in flags else Volatility.IMMUTABLE


def _monotone(flags: str, arity: int) -> frozenset[int]:
    """Read ``m``: all arguments, or those whose numbers (from 1) follow it."""
    match = re.search(r"m(\d*)", flags)
    if match is None:
        return frozenset()
    return frozenset(int(digit) - 1 for digit in match[1]) or frozenset(range(arity))


def _convey(flags: str) -> Convey:
    match next((flag for flag in flags if flag in "wjtx"), ""):
        case "w":
            return Convey.WITNESS
        case "j":
            return Convey.JSONB
        case "t":
            return Convey.TEXT
        case "x":
            return Convey.CAST
        case _:
            return Convey.AS_IS


def parse_overload(
    name: str,
    text: str,
    kind: FunctionKind,
    *,
    word: str,
    aggregate: AggregateClass | None = None,
) -> Signature:
    """Return the signature that ``text`` writes; ``word`` begins its kernel's name."""
    match = _OVERLOAD.match(text.strip())
    if match is None:
        raise ValueError(f"malformed overload of {name}: {text!r}")
    listed = match["args"].strip()
    variadic = listed.endswith("...")
    names = [part.strip() for part in listed.removesuffix("...").split(",") if part.strip()]
    args = tuple(parse_type(part) for part in names)
    flags = match["flags"] or ""
    columns: tuple[tuple[str, ArgType], ...] = ()
    result: ArgType
    if kind is FunctionKind.TABLE:
        columns = _columns(name, match["result"])
        result = columns[0][1] if len(columns) == 1 else Pseudo.RECORD
    else:
        result = parse_type(match["result"])
    return Signature(
        name=name,
        kind=kind,
        args=args,
        result=result,
        kernel=match["kernel"] or "_".join([word, *map(kernel_word, args)]),
        variadic=variadic,
        propagates_nulls="c" not in flags,
        introduces_nulls="n" in flags,
        could_error="e" in flags,
        monotone=_monotone(flags, len(args)),
        volatility=_volatility(flags),
        convey=_convey(flags),
        columns=columns,
        aggregate=aggregate,
        oid=int(match["oid"] or 0),
    )


def parse_table(
    table: str,
    kind: FunctionKind = FunctionKind.SCALAR,
    *,
    aggregate: AggregateClass | None = None,
) -> tuple[Signature, ...]:
    """Return the signatures of a family's table, in its order."""
    found: list[Signature] = []
    for line in filter(None, re.sub(r"\n +", " ", table).splitlines()):
        name, _, overloads = line.partition(": ")
        symbol, _, word = name.partition(" ")
        found.extend(
            parse_overload(symbol, overload, kind, word=word or symbol, aggregate=aggregate)
            for overload in overloads.split(";")
        )
    return tuple(found)
