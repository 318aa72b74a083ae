"""What two outcomes say about each other, and the differences that are documented.

``docs/user/postgres-differences.md`` names each rule of ``RULES`` in words.
"""

import enum
import re
from collections.abc import Callable
from dataclasses import replace

from tests.differential.queries import Query
from tests.differential.systems import Outcome


class Verdict(enum.Enum):
    """How our outcome stands to PostgreSQL's."""

    AGREES = "agree"
    DOCUMENTED = "differ as documented"
    ORDER = "fail or not by the order of evaluation"
    MISSING = "ask for what is missing here"
    STOPPED = "were stopped by the statement's timeout"
    DIFFERS = "differ"


NUMERIC, INT8, TEXT, UNKNOWN = 1700, 20, 25, 705

# A rule sees (PostgreSQL's outcome, ours, the query) and says whether it explains the difference.
Rule = Callable[[Outcome, Outcome, Query], bool]


def _numeric_precision(theirs: Outcome, ours: Outcome, _query: Query) -> bool:
    """Numerics have 39 digits: what needs more is out of range."""
    return theirs.sqlstate is None and ours.sqlstate == "22003" and "numeric" in ours.message


def _declared_precision(theirs: Outcome, ours: Outcome, _query: Query) -> bool:
    """The precision of numeric(p, s) bounds nothing; the scale rounds."""
    return "A field with precision" in theirs.message and ours.sqlstate is None


def _character_number(theirs: Outcome, ours: Outcome, _query: Query) -> bool:
    """A negative character number is told in the same words as one that is too large."""
    negative = theirs.sqlstate == "22023" and theirs.message == "character number must be positive"
    return negative and "character too large for encoding: -" in ours.message


def _unknown_is_text(theirs: Outcome, ours: Outcome, _query: Query) -> bool:
    """A string without a type is text where any type is taken."""
    undetermined = theirs.sqlstate == "42804" and "polymorphic type" in theirs.message
    ambiguous = theirs.sqlstate == "42725" and "(unknown" in theirs.message
    return undetermined or ambiguous


def _text_of_intervals(theirs: Outcome, ours: Outcome, query: Query) -> bool:
    """Months are written out in texts made of intervals."""
    if theirs.sqlstate is not None or ours.sqlstate is not None:
        return False
    return not _rows_differ(_months_written_out(theirs), _months_written_out(ours), query)


def _months_written_out(outcome: Outcome) -> Outcome:
    rows = tuple(tuple(map(_month_written_out, row)) for row in outcome.rows)
    return replace(outcome, rows=rows)


def _month_written_out(value: object) -> object:
    """Return a value in whose texts, also in those of an array, months are written in one way."""
    if isinstance(value, tuple):
        return tuple(map(_month_written_out, value))
    return _MONTHS.sub("month", value) if isinstance(value, str) else value


_MONTHS = re.compile(r"\bmon(th)?s?\b")

RULES: dict[str, Rule] = {
    "character number": _character_number,
    "declared precision": _declared_precision,
    "numeric precision": _numeric_precision,
    "text of intervals": _text_of_intervals,
    "unknown is text": _unknown_is_text,
}

_ROW_ERRORS = ("22", "54000")
# What a conversion of a numeric NaN or infinity to an integer says, under the state of what is
# missing: PostgreSQL's words, and ours.
_UNCONVERTED = re.compile(
    r"cannot convert (NaN|infinity) to |int out of range|integer out of range"
)
MISSING_STATES = ("0A000", "42883", "42704")


def compare(theirs: Outcome, ours: Outcome, query: Query) -> tuple[Verdict, str]:
    """Return the verdict and, where it is a rule's or a disagreement, what about."""
    if theirs.sqlstate == ours.sqlstate:
        if theirs.sqlstate is not None:
            return Verdict.AGREES, ""
        what = _rows_differ(theirs, ours, query)
        if not what:
            return Verdict.AGREES, ""
    else:
        what = f"{theirs.sqlstate or 'rows'} there, {ours.sqlstate or 'rows'} here"
    for name, rule in RULES.items():
        if rule(theirs, ours, query):
            return Verdict.DOCUMENTED, name
    if "57014" in (theirs.sqlstate, ours.sqlstate):
        return Verdict.STOPPED, what
    if theirs.sqlstate is None and ours.sqlstate in MISSING_STATES and not _by_a_row(ours):
        return Verdict.MISSING, ours.message
    # Which of several rows' errors shows, and whether a row is looked at that no one asks for, is
    # nobody's promise. Where all there is is evaluated, it is determined.
    failed = [outcome for outcome in (theirs, ours) if outcome.sqlstate is not None]
    in_rows = bool(failed) and all(map(_by_a_row, failed))
    if in_rows and query.fallible and not query.strict:
        return Verdict.ORDER, what
    return Verdict.DIFFERS, what


def _by_a_row(failed: Outcome) -> bool:
    """Return whether it is a row's value that a statement failed by."""
    assert failed.sqlstate is not None
    unconverted = failed.sqlstate == "0A000" and _UNCONVERTED.search(failed.message) is not None
    return unconverted or failed.sqlstate.startswith(_ROW_ERRORS)


def _rows_differ(theirs: Outcome, ours: Outcome, query: Query) -> str:
    if theirs.types != ours.types:
        return f"types {theirs.types} there, {ours.types} here"
    if query.ordered and theirs.rows != ours.rows:
        return "rows or their order" if theirs.bag() == ours.bag() else "rows"
    return "" if theirs.bag() == ours.bag() else "rows"
