"""Of groups that only grow the best rows are kept, and the others are forgotten as they come."""

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

# What a view of the greatest is called, and a view of the first.
KEPT = ("→Monotonic GroupAggregate", "→Monotonic Top1")
ALL = ("→Bucketed Hierarchical GroupAggregate", "→Non-monotonic TopK")


@pytest.fixture(scope="module")
def connection(server: Headwater):
    with server.connect() as connection:
        generator = "CREATE SOURCE {} FROM LOAD GENERATOR {} (TICK INTERVAL '10ms'{})"
        connection.execute(generator.format("counter", "COUNTER", "").encode())
        forgetful = generator.format("forgetful", "COUNTER", ", MAX CARDINALITY 3")
        connection.execute(forgetful.encode())
        house = generator.format("house", "AUCTION", "") + " FOR ALL TABLES"
        connection.execute(house.encode())
        connection.execute(
            "CREATE SOURCE keyed FROM LOAD GENERATOR KEY VALUE (SEED 7, KEYS 4, VALUE SIZE 2,"
            " SNAPSHOT ROUNDS 1, PARTITIONS 2, BATCH SIZE 2)"
        )
        connection.execute("CREATE TABLE counted FROM SOURCE counter")
        connection.execute("CREATE SOURCE hook FROM WEBHOOK BODY FORMAT TEXT")
        connection.execute("CREATE TABLE plain (a int)")
        yield connection


def title_of(connection: Connection, query: str) -> str:
    """Return what EXPLAIN calls the operator of a maintained query that keeps the best of it."""
    ((plan,),) = rows(
        connection, f"EXPLAIN PHYSICAL PLAN FOR CREATE MATERIALIZED VIEW v AS {query}"
    )
    (title,) = {
        line.strip()
        for line in str(plan).splitlines()
        if any(title in line for title in (*KEPT, *ALL))
    }
    return title


@pytest.mark.parametrize(
    ("relation", "column", "titles"),
    [
        ("counter", "counter", KEPT),
        ("counted", "counter", KEPT),
        ("bids", "amount", KEPT),
        ("hook", "body", KEPT),
        ("(SELECT amount AS a FROM bids JOIN auctions ON auctions.id = auction_id)", "a", KEPT),
        (
            "(SELECT amount AS a FROM bids WHERE amount > 5 UNION ALL SELECT id FROM users)",
            "a",
            KEPT,
        ),
        ("(SELECT DISTINCT amount AS a FROM bids)", "a", KEPT),
        ("(SELECT amount AS a FROM bids WHERE mz_now() < amount)", "a", ALL),
        ("(SELECT count(*) AS a FROM bids GROUP BY amount)", "a", ALL),
        ("(SELECT amount AS a FROM bids JOIN plain ON a = amount)", "a", ALL),
        ("forgetful", "counter", ALL),
        ("counter_progress", '"offset"', ALL),
        ("keyed", "key", ALL),
        ("plain", "a", ALL),
    ],
)
def test_explain_says_which_groups_only_grow(
    connection: Connection, relation: str, column: str, titles: tuple[str, str]
) -> None:
    greatest = f"SELECT max({column}) FROM {relation} AS x GROUP BY {column} IS NULL"
    assert title_of(connection, greatest) == titles[0]
    first = f"SELECT * FROM (SELECT * FROM {relation} AS x ORDER BY {column} DESC LIMIT 1) AS y"
    assert title_of(connection, first) == titles[1]


def test_the_best_are_right_and_few_are_kept(connection: Connection) -> None:
    connection.execute(
        "CREATE MATERIALIZED VIEW extremes AS SELECT counter % 3 AS third, min(counter) AS least,"
        " max(counter) AS greatest, count(*) AS n FROM counter GROUP BY 1"
    )
    connection.execute(
        "CREATE MATERIALIZED VIEW last_two AS SELECT counter FROM"
        " (SELECT counter FROM counter ORDER BY counter DESC LIMIT 2) AS x"
    )
    eventually(lambda: rows(connection, "SELECT count(*) >= 200 FROM counter"), [(True,)])
    wrong = rows(
        connection,
        "SELECT * FROM extremes EXCEPT ALL SELECT counter % 3, min(counter), max(counter),"
        " count(*) FROM counter GROUP BY 1",
    )
    assert wrong == []
    assert rows(
        connection,
        "SELECT (SELECT max(counter) FROM last_two) = (SELECT max(counter) FROM counter),"
        " (SELECT count(*) FROM last_two)",
    ) == [(True, 2)]
    for view, title in (("extremes", "GroupAggregate"), ("last_two", "TopK")):
        costs = rows(connection, f"EXPLAIN ANALYZE MEMORY FOR MATERIALIZED VIEW {view}")
        (records,) = (int(str(line[2])) for line in costs if title in str(line[0]))
        assert records < 100, costs


def test_a_query_that_is_answered_once_adds_up_first(connection: Connection) -> None:
    connection.execute("INSERT INTO plain SELECT * FROM generate_series(1, 50)")
    connection.execute("DELETE FROM plain WHERE a > 40")
    query = "SELECT max(a), min(a) FROM plain"
    ((plan,),) = rows(connection, f"EXPLAIN PHYSICAL PLAN FOR {query}")
    assert "Consolidating Monotonic GroupAggregate" in str(plan)
    assert rows(connection, query) == [(40, 1)]
    query = "SELECT sum(a) FROM (SELECT a FROM plain ORDER BY a DESC LIMIT 3 OFFSET 1) AS x"
    ((plan,),) = rows(connection, f"EXPLAIN PHYSICAL PLAN FOR {query}")
    assert "Consolidating Monotonic TopK" in str(plan)
    assert rows(connection, query) == [(39 + 38 + 37,)]
