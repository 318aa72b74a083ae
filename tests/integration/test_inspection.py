"""What maintained plans cost and which rows fail in them can be asked."""

from decimal import Decimal

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

FAILING = """
SELECT sqlstate, message, rows FROM mz_internal.mz_dataflow_errors e
JOIN mz_catalog.mz_objects o ON o.id = e.object_id WHERE o.name = 'ratios' ORDER BY 2
"""


@pytest.fixture(scope="module")
def connection(server: Headwater):
    with server.connect() as connection:
        connection.execute("CREATE TABLE sales (shop int, amount int, of int)")
        connection.execute("INSERT INTO sales SELECT g % 10, g, 1 FROM generate_series(1, 500) g")
        connection.execute(
            "CREATE VIEW ranked AS SELECT shop, amount, rank() OVER (PARTITION BY shop"
            " ORDER BY amount DESC) FROM sales"
        )
        connection.execute("CREATE INDEX ranked_shop ON ranked (shop)")
        connection.execute(
            "CREATE MATERIALIZED VIEW ratios AS SELECT shop, sum(amount / of) FROM sales GROUP BY 1"
        )
        yield connection


def test_explain_analyze_says_what_each_node_holds(connection: Connection) -> None:
    rows(connection, "SELECT * FROM ranked WHERE shop = 1")
    found = rows(connection, "EXPLAIN ANALYZE MEMORY FOR INDEX ranked_shop")
    assert found[0][0] == "→Arrange"
    assert found[0][2] == Decimal(500)
    assert any("Window" in str(line[0]) for line in found)
    assert len(rows(connection, "SELECT * FROM ratios")) == 10  # waits for the dataflow
    found = rows(connection, "EXPLAIN ANALYZE MEMORY, CPU FOR MATERIALIZED VIEW ratios")
    reduce = next(line for line in found if "GroupAggregate" in str(line[0]))
    # Ten groups of sums before they are finished, and ten after.
    assert reduce[2] >= Decimal(20)
    assert str(reduce[3]).startswith("00:00:")
    skewed = rows(connection, "EXPLAIN ANALYZE CPU WITH SKEW FOR INDEX ranked_shop")
    assert "0" in {str(line[1]) for line in skewed}
    whole = rows(connection, "EXPLAIN ANALYZE CLUSTER MEMORY")
    assert {str(line[0]).rpartition(".")[2] for line in whole} >= {"ranked_shop", "ratios"}


def test_hints_say_how_large_groups_are(connection: Connection) -> None:
    connection.execute(
        "CREATE MATERIALIZED VIEW pairs AS SELECT amount / 2, max(amount) FROM sales GROUP BY 1"
    )
    assert len(rows(connection, "SELECT * FROM pairs")) == 251  # waits for the dataflow
    found = rows(connection, "EXPLAIN ANALYZE HINTS FOR MATERIALIZED VIEW pairs")
    (reduce,) = (line for line in found if "GroupAggregate" in str(line[0]))
    # Three stages and what they leave to the last; two rows a group seldom meet in any.
    assert reduce[1:4] == (4, 3, 255)
    assert reduce[4]
    assert all(line[1:] == (None,) * 4 for line in found if line is not reduce)
    connection.execute(
        "CREATE MATERIALIZED VIEW hinted AS SELECT amount / 2, max(amount) FROM sales GROUP BY 1"
        " OPTIONS (AGGREGATE INPUT GROUP SIZE = 255)"
    )
    assert len(rows(connection, "SELECT * FROM hinted")) == 251
    found = rows(connection, "EXPLAIN ANALYZE HINTS FOR MATERIALIZED VIEW hinted")
    assert (1, 0, None, None) in [line[1:] for line in found]


def test_errors_of_a_view_come_and_go_with_their_rows(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO sales VALUES (3, 7, 0), (4, 8, 0)")
        cursor.execute("BEGIN")
        cursor.execute(f"DECLARE c CURSOR FOR SUBSCRIBE ({FAILING.partition(' ORDER')[0]})")
        seen: dict[tuple[object, ...], int] = {}

        def until(wanted: dict[tuple[object, ...], int]) -> None:
            while seen != wanted:
                for _, diff, *row in cursor.execute("FETCH 1 c").fetchall():
                    seen[tuple(row)] = seen.get(tuple(row), 0) + int(diff)
                    if not seen[tuple(row)]:
                        del seen[tuple(row)]

        until({("22012", "division by zero", 2): 1})
        cursor.execute("ROLLBACK")
        cursor.execute("DELETE FROM sales WHERE of = 0 AND shop = 3")
        cursor.execute("BEGIN")
        cursor.execute(f"DECLARE c CURSOR FOR SUBSCRIBE ({FAILING.partition(' ORDER')[0]})")
        seen.clear()
        until({("22012", "division by zero", 1): 1})
        cursor.execute("ROLLBACK")
        cursor.execute("DELETE FROM sales WHERE of = 0")
    assert rows(connection, "SELECT count(*) FROM ratios") == [(10,)]


def test_a_series_without_end_does_not_hold_others_up(connection: Connection) -> None:
    connection.execute("SET statement_timeout = '1s'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT count(*) FROM generate_series(1, 1000000000000)")
    connection.execute("SET statement_timeout = '30s'")
    assert rows(
        connection, "SELECT count(*) FROM generate_series(1, 300000) g WHERE g % 2 = 0"
    ) == [(150_000,)]
    connection.execute("RESET statement_timeout")


def test_what_replicas_maintain_is_listed(connection: Connection) -> None:
    connection.execute("CREATE TABLE listed (a int)")
    connection.execute('CREATE VIEW "Listed" AS SELECT count(*) AS n FROM listed')
    connection.execute('CREATE INDEX listed_index ON "Listed" (n)')
    connection.execute('CREATE MATERIALIZED VIEW "Kept" AS SELECT a + 1 AS b FROM listed')
    connection.execute("CREATE CLUSTER listed_nobody REPLICAS ()")
    connection.execute("CREATE INDEX listed_idle IN CLUSTER listed_nobody ON listed (a)")
    dataflows = (
        "SELECT name FROM mz_introspection.mz_dataflows WHERE name ~ 'isted|Kept' ORDER BY 1"
    )
    names = [
        ("Dataflow: materialize.public.Kept",),
        ("Dataflow: materialize.public.listed_index",),
    ]
    eventually(lambda: rows(connection, dataflows), names)
    listed = """
        SELECT m.name, d.name = 'Dataflow: ' || replace(m.name, '"', ''), f.time > 0
        FROM mz_introspection.mz_mappable_objects AS m
        JOIN mz_introspection.mz_dataflow_global_ids AS g ON g.global_id = m.global_id
        JOIN mz_introspection.mz_dataflows AS d ON d.id = g.id
        JOIN mz_introspection.mz_compute_frontiers AS f ON f.export_id = m.global_id
        WHERE m.name ~ 'isted|Kept' ORDER BY 1
    """
    found = [
        ('materialize.public."Kept"', True, True),
        ("materialize.public.listed_index", True, True),
    ]
    eventually(lambda: rows(connection, listed), found)
    connection.execute("DROP TABLE listed CASCADE")
    connection.execute("DROP CLUSTER listed_nobody CASCADE")
    eventually(lambda: rows(connection, dataflows), [])
