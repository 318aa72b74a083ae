"""Conversions that depend on the session's time zone, as PostgreSQL 15 has them."""

from types import SimpleNamespace

import msgspec
import pytest

from headwater.ir.scalar import Literal
from headwater.native.loader import native
from headwater.sql.parse.parser import parse_expression
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.fold import fold
from headwater.sql.plan.kinds.reading import QUERIES
from headwater.sql.plan.scalars.handlers import HANDLERS
from headwater.sql.plan.types import type_of
from headwater.sql.resolve.scope import Scope
from tests.golden.plan.small_catalog import CATALOG


def value(sql, zone):
    session = SimpleNamespace(
        search_path=("public",), database="materialize", cluster="quickstart", user="u"
    )
    session.time_zone = zone
    statement = StatementContext(CATALOG, session, (), HANDLERS, QUERIES)
    expr = ExprContext(statement, Scope([], [], [], None), {}, "a test").plan(parse_expression(sql))
    found = fold(expr)
    assert isinstance(found, Literal)
    return native.datum_to_text(msgspec.msgpack.encode(type_of(found).type), found.data)


@pytest.mark.parametrize(
    ("sql", "zone", "expected"),
    [
        # Results are shown in UTC here; the front shows them in the session's zone.
        ("'2024-07-01 12:00'::timestamptz", "America/New_York", "2024-07-01 16:00:00+00"),
        ("'2024-07-01 12:00+02'::timestamptz", "America/New_York", "2024-07-01 10:00:00+00"),
        ("'2024-01-01 12:00'::timestamp::timestamptz", "Europe/Berlin", "2024-01-01 11:00:00+00"),
        ("'2024-07-01 12:00+00'::timestamptz::timestamp", "Asia/Kolkata", "2024-07-01 17:30:00"),
        ("'2024-07-01 23:00+00'::timestamptz::date", "Asia/Kolkata", "2024-07-02"),
        ("'2024-07-01 12:00+00'::timestamptz::text", "-05:00", "2024-07-01 07:00:00-05"),
        ("date '2024-03-10'::timestamptz", "America/New_York", "2024-03-10 05:00:00+00"),
        ("extract(hour from '2024-07-01 12:00+00'::timestamptz)", "Asia/Tokyo", "21"),
        ("extract(epoch from '2023-06-01 00:00Z'::timestamptz)", "PST8PDT", "1685577600"),
        ("extract(day from '2023-06-01 00:00Z'::timestamptz)", "PST8PDT", "31"),
        ("extract(timezone from '2023-06-01 00:00Z'::timestamptz)", "PST8PDT", "-25200"),
        ("date_part('timezone_hour', '2023-01-01 00:00Z'::timestamptz)", "PST8PDT", "-8"),
        ("extract(timezone_minute from '2023-01-01'::timestamptz)", "Asia/Kolkata", "30"),
        ("extract(hour from '2023-01-01 00:00Z'::timestamptz)", "+05:30", "5"),
        ("'2024-01-01 12:00'::timestamp::timestamptz", "+02:00", "2024-01-01 10:00:00+00"),
        (
            "date_trunc('day', '2024-07-01 23:00+00'::timestamptz)",
            "+02:00",
            "2024-07-01 22:00:00+00",
        ),
        ("'2021-03-14 02:30'::timestamptz", "America/New_York", "2021-03-14 07:30:00+00"),
        ("'2021-11-07 01:30'::timestamptz", "America/New_York", "2021-11-07 06:30:00+00"),
        (
            "date_trunc('day', '2024-07-01 12:00+00'::timestamptz)",
            "Asia/Tokyo",
            "2024-06-30 15:00:00+00",
        ),
        ("'2024-07-01 12:00'::timestamptz", "UTC", "2024-07-01 12:00:00+00"),
    ],
)
def test_values(sql, zone, expected):
    assert value(sql, zone) == expected
