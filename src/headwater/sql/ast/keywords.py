"""The words that cannot stand for themselves everywhere, and how a name is quoted.

As in Materialize almost every keyword may name a column or a table; the grammar decides by place.
``RESERVED`` may never be a name without quotes, the other sets hold in one place each.
"""

import re


def words(text: str) -> frozenset[str]:
    """Return the words of ``text`` as a set."""
    return frozenset(text.split())


RESERVED = words(
    """
    AND AS EXCEPT FETCH FROM GROUP HAVING INTERSECT INTO LIMIT OFFSET ON OPTIONS OR
    ORDER QUALIFY RETURNING SELECT THEN UNION USING WHEN WHERE WITH
    """
)
"""Never a name unless quoted (after AS or a dot, any word is)."""

NOT_A_BARE_LABEL = RESERVED | words(
    """
    ASC DAY DESC ELSE END ESCAPE FILTER FOR HOUR ISNULL MINUTE MONTH NATURAL NOTNULL NULLS
    OVER OVERLAPS PRECISION SECOND TO VARYING WINDOW WITHIN WITHOUT YEAR
    """
)
"""Not a column's alias unless AS is before it. Source: PostgreSQL, appendix C, where it fits."""

NOT_A_TABLE_ALIAS = RESERVED | words(
    """
    CHECK CROSS DO ENVELOPE FOR FORMAT FULL INNER JOIN KEY LATERAL LEFT NATURAL OUTER RIGHT
    SET TABLESAMPLE TO VALUES WHEN WINDOW WITHIN
    """
)
"""Not a table's alias unless AS is before it."""

NOT_AN_EXPRESSION = (RESERVED - {"ON"}) | words(
    """
    ASC BETWEEN DESC ELSE FOR ILIKE IN IS ISNULL JOIN LIKE NOTNULL SIMILAR WINDOW
    """
)
"""No column's name at the beginning of an expression unless quoted.

SHOW INDEXES has a column ``on``, which users write without quotes.
"""

SPECIAL = words(
    """
    ALL ANY ARRAY BOTH CASE CAST COALESCE CURRENT_CATALOG CURRENT_DATE CURRENT_ROLE
    CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER DEFAULT DISTINCT DOUBLE
    EXISTS EXTRACT FALSE GREATEST INTERVAL LEADING LEAST LIST LOCALTIME LOCALTIMESTAMP MAP
    NORMALIZE NULL NULLIF OPERATOR OVERLAY POSITION ROW SESSION_USER SHOW SOME SUBSTRING
    SYMMETRIC TABLE TIME TIMESTAMP TRAILING TRIM TRUE VALUES VARIADIC CHAR CHARACTER BIT DEC
    DECIMAL INT INTEGER BIGINT SMALLINT REAL FLOAT BOOLEAN NATIONAL NCHAR NO NOT CUBE GROUPING
    ROLLUP ROWS RANGE GROUPS PARTITION IGNORE RESPECT CURRENT UNBOUNDED RECURSIVE MUTUALLY
    OF AT COLLATE ONLY REPLICA SECRET UP
    """
)
"""Words with a syntax of their own in some place; quoted when printed, free when read elsewhere."""

RENAMED_TYPES = {
    "BIGINT": "int8",
    "BOOLEAN": "bool",
    "BYTES": "bytea",
    "DEC": "numeric",
    "DECIMAL": "numeric",
    "INT": "int4",
    "INTEGER": "int4",
    "JSON": "jsonb",
    "REAL": "float4",
    "SMALLINT": "int2",
    "STRING": "text",
}
"""SQL's names of types, and PostgreSQL's; JSON is jsonb, as in Materialize."""

_SPELLED_TYPES = words(
    """
    BIT CHAR CHARACTER DOUBLE FLOAT MAP NATIONAL NCHAR
    """
)

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\Z")
_QUOTED_WHEN_PRINTED = RESERVED | NOT_A_BARE_LABEL | NOT_A_TABLE_ALIAS | NOT_AN_EXPRESSION | SPECIAL


def quote(name: str) -> str:
    """Return ``name`` as SQL: bare where it reads back as itself in every place."""
    if _PLAIN.match(name) and name.upper() not in _QUOTED_WHEN_PRINTED:
        return name
    return '"' + name.replace('"', '""') + '"'


def quote_type(name: str) -> str:
    """Return an unqualified type's name as SQL: bare where it reads back as the same type."""
    word = name.upper()
    if word in RENAMED_TYPES or word in _SPELLED_TYPES or word in RESERVED:
        return '"' + name + '"'
    return name if _PLAIN.match(name) else quote(name)
