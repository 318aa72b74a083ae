"""SQL on several lines: expected forms from Materialize's documentation of SHOW CREATE."""

import pytest

from headwater.sql.ast.pretty import pretty
from headwater.sql.parse.parser import parse_statements

VIEW = "CREATE MATERIALIZED VIEW db.s.v IN CLUSTER c WITH (REFRESH = ON COMMIT) AS SELECT 1"
LONG = "CREATE VIEW v AS SELECT a, b FROM t WHERE a = 1 GROUP BY a, b ORDER BY a LIMIT 3"


def shown(sql: str, width: int) -> str:
    (parsed,) = parse_statements(sql)
    return pretty(parsed.statement, width=width)


@pytest.mark.parametrize(
    ("sql", "width", "expected"),
    [
        ("select 1,2,3", 100, "SELECT 1, 2, 3;"),
        ("select 1,2,3", 0, "SELECT\n    1,\n    2,\n    3;"),
        (VIEW, 100, f"{VIEW};"),
        (
            VIEW,
            60,
            "CREATE MATERIALIZED VIEW db.s.v\n"
            "    IN CLUSTER c\n"
            "    WITH (REFRESH = ON COMMIT)\n"
            "    AS SELECT 1;",
        ),
        (
            "CREATE INDEX i IN CLUSTER c ON db.s.t (a) WITH (RETAIN HISTORY = FOR '1h')",
            60,
            "CREATE INDEX i\nIN CLUSTER c\nON db.s.t (a)\nWITH (RETAIN HISTORY = FOR '1h');",
        ),
        ("CREATE TABLE t (a int4, b text)", 20, "CREATE TABLE t (\n    a int4,\n    b text\n);"),
        (
            LONG,
            40,
            "CREATE VIEW v\n"
            "    AS\n"
            "        SELECT a, b\n"
            "        FROM t\n"
            "        WHERE a = 1\n"
            "        GROUP BY a, b\n"
            "        ORDER BY a\n"
            "        LIMIT 3;",
        ),
    ],
)
def test_what_does_not_fit_is_broken_from_the_outside(sql, width, expected):
    assert shown(sql, width) == expected


@pytest.mark.parametrize("width", [0, 20, 40, 80, 200])
@pytest.mark.parametrize("sql", [VIEW, LONG, "CREATE VIEW v AS SELECT 'a\nb' UNION SELECT 'c'"])
def test_line_breaks_change_no_meaning(sql, width):
    (parsed,) = parse_statements(sql)
    (again,) = parse_statements(shown(sql, width))
    assert pretty(again.statement) == pretty(parsed.statement)
