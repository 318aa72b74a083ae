"""Redacted stored statements have no literals, and are otherwise what the printer prints."""

import pytest

from headwater.catalog.builtin.redacted import redacted
from headwater.sql.ast.printer import to_sql
from headwater.sql.parse.parser import parse_statements


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW v AS SELECT a, 'it''s', 1.5e3, .5 FROM t WHERE b = 'x' AND c < 10",
        'CREATE VIEW "it\'s" AS SELECT "a 1", t1.a2 FROM [u17 AS "d\'b".s.t1] WHERE "1" = 2',
        "CREATE TABLE t (a numeric(10, 2) DEFAULT 7, b varchar(5) DEFAULT 'b', c timestamp(3))",
        "CREATE VIEW v AS SELECT INTERVAL '2.5' SECOND (3), a - 1 FROM t ORDER BY 1 LIMIT 3",
        "CREATE SOURCE s FROM KAFKA CONNECTION k (TOPIC = 'secret', GROUP ID PREFIX = 'p1')",
        "CREATE CONNECTION k TO KAFKA (BROKER 'h:9092', SASL PASSWORD = SECRET p)",
        "CREATE SINK s FROM t INTO KAFKA CONNECTION k (TOPIC = 'x''y') ENVELOPE UPSERT",
    ],
)
def test_what_is_redacted_is_what_the_printer_redacts(sql: str) -> None:
    (parsed,) = parse_statements(sql)
    assert redacted(to_sql(parsed.statement)) == to_sql(parsed.statement, redacted=True)


def test_values_are_gone_and_names_stay() -> None:
    shown = redacted(
        "CREATE VIEW db.s.v1 AS SELECT x2, 'hush', 31337, '' FROM [u1 AS db.s.\"t'9\"]"
    )
    hidden = "'<REDACTED>'"
    assert shown == (
        f'CREATE VIEW db.s.v1 AS SELECT x2, {hidden}, {hidden}, {hidden} FROM [u1 AS db.s."t\'9"]'
    )
