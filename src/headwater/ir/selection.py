"""What a part of a stored collection must be able to hold to be worth reading.

Mirrored by ``hw_compute::selection``. ``sql.lower.selection`` derives it from the chain that is
applied to rows as they are read; ``compute.selection`` holds it against the parts' statistics.
"""

import msgspec

from headwater.ir.scalar import ScalarExpr


class Range(msgspec.Struct, frozen=True, omit_defaults=True):
    """Encoded values from ``low`` on and before ``high``, by the order of bytes; never NULL.

    The least bytes after ``x`` are ``x`` and a zero byte: values up to and with ``x`` are before
    that, values beyond ``x`` begin there.
    """

    low: bytes = b""
    high: bytes | None = None


EVERYTHING = Range()


class Within(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="within"):
    """The value of ``expr``, over the collection's columns, is in one of ``ranges``.

    Attributes:
        expr: A column, or calls that are monotone in theirs (``ir.monotone``).
        ranges: Sorted, apart from each other.
        nulls: Whether NULL is fine too.
    """

    expr: ScalarExpr
    ranges: tuple[Range, ...]
    nulls: bool = False


class AllOf(msgspec.Struct, frozen=True, tag_field="kind", tag="all_of"):
    """All of the conditions hold."""

    conditions: tuple["Condition", ...]


class AnyOf(msgspec.Struct, frozen=True, tag_field="kind", tag="any_of"):
    """One of the conditions holds."""

    conditions: tuple["Condition", ...]


Condition = Within | AllOf | AnyOf


class Selection(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a row must fulfil to be of use, in the order in which that is looked at.

    A part is of no use if by its statistics no row fulfils one of ``conditions``, and no row of it
    can fail in that one or an earlier one. The same goes for the times at which rows hold: from
    all ``lower_bounds`` on and before all ``upper_bounds``, as in ``physical.Mfp``; these are
    looked at after all conditions and together.
    """

    conditions: tuple[Condition, ...] = ()
    lower_bounds: tuple[ScalarExpr, ...] = ()
    upper_bounds: tuple[ScalarExpr, ...] = ()
