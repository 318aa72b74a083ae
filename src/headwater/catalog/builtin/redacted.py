"""Stored statements without the values of their literals, for ``redacted_create_sql``.

The printer (``sql.ast.printer``) does this for trees; here is only text, as it prints it: strings
in single quotes with quotes doubled, identifiers in double quotes where they need them, objects as
``[id AS name]``. Sizes in types (``numeric(10,2)``) are no literals.
"""

import re

REDACTED = "'<REDACTED>'"

_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*'                                      # a string
    | (?P<number> (?<![\w$.]) -? (?:\d+\.?\d*|\.\d+) (?:[eE][+-]?\d+)? )
    | "(?:[^"]|"")*"                                    # an identifier
    | \[\w+\ AS\ (?:"(?:[^"]|"")*"|[^\]"])*\]           # an object: its id and name
    | \b(?:numeric|varchar|character\ varying|char|character|bpchar|bit|timestamp|timestamptz|time
        |interval|SECOND)\ ?\(\d+(?:,\ ?\d+)*\)     # a type with its size
    | \$?\w+                                            # a word, or a parameter
    """,
    re.VERBOSE,
)


def redacted(sql: str) -> str:
    """Return a printed statement with ``'<REDACTED>'`` in place of strings and numbers."""
    return _TOKEN.sub(_hide, sql)


def _hide(match: re.Match[str]) -> str:
    text = match[0]
    return REDACTED if text.startswith("'") or match["number"] is not None else text
