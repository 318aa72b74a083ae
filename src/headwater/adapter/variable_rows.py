"""Variables as rows of a builtin table: ``pg_settings`` puts a session's values beside them."""

from collections.abc import Iterator

from headwater.adapter.variables import (
    VARIABLES,
    Scope,
    Variable,
    choices_of,
    kind_of,
    range_of,
    shown_name,
)
from headwater.catalog import rows as r
from headwater.catalog.rows import TableRow

# Who may set it, in PostgreSQL's words.
_CONTEXTS = {Scope.SESSION: "user", Scope.SYSTEM: "superuser", Scope.FIXED: "internal"}


def variable_rows() -> Iterator[TableRow]:
    """Yield a row for every variable that is there from the beginning."""
    for variable in VARIABLES.values():
        if variable.listed:
            yield "mz_internal.mz_variables", _row(variable)


def _row(variable: Variable) -> bytes:
    bounds, words = range_of(variable), choices_of(variable)
    datums = (
        r.text(shown_name(variable)),
        r.text(variable.description),
        r.text(_CONTEXTS[variable.scope]),
        r.text(kind_of(variable)),
        r.text(variable.default),
        r.text(None if bounds is None else str(bounds[0])),
        r.text(None if bounds is None else str(bounds[1])),
        r.NULL if words is None else r.text_array(list(words)),
    )
    return b"".join(datums)
