"""Maintained = recomputed over queries of our own, and over some files of the corpus."""

from pathlib import Path

import pytest

from tests.fixtures.headwater import running
from tests.slt import corpus
from tests.slt.maintained import FileRun
from tests.slt.queries import Query, group, items_of
from tests.slt.servers import servers

pytestmark = [pytest.mark.server, pytest.mark.slow]

TABLES = [
    "CREATE TABLE orders (id int, customer int, total numeric, day date)",
    "CREATE TABLE customers (id int, name text, tags text[])",
    """INSERT INTO orders VALUES (1, 1, 10, '2020-01-01'), (2, 1, 20.5, '2020-01-02'),
        (3, 2, -5, NULL), (4, NULL, 7, '2020-01-02'), (5, 3, NULL, '2020-02-29'),
        (5, 3, 1, NULL)""",
    """INSERT INTO customers VALUES (1, 'ann', '{a,b}'), (2, 'bob', NULL), (2, 'bob', '{}'),
        (4, NULL, '{b}')""",
]
QUERIES = [
    "SELECT o.id, total, name, tags FROM orders o JOIN customers c ON o.customer = c.id",
    "SELECT o.*, c.name FROM orders o FULL JOIN customers c ON o.customer = c.id AND o.total > 0",
    "SELECT customer, count(*), sum(total), min(day), max(total) FROM orders GROUP BY customer",
    "SELECT count(*), avg(total), count(DISTINCT day) AS days FROM orders WHERE total > 1000",
    "SELECT customer, day, sum(total) FROM orders GROUP BY ROLLUP (customer, day)",
    "SELECT DISTINCT ON (customer) * FROM orders ORDER BY customer, total DESC, id, day",
    "SELECT * FROM orders ORDER BY total, id, day LIMIT 2 OFFSET 1",
    "SELECT id FROM orders EXCEPT ALL SELECT id FROM customers",
    "SELECT id FROM orders INTERSECT SELECT id FROM customers",
    "SELECT * FROM customers c WHERE NOT EXISTS (SELECT FROM orders WHERE customer = c.id)",
    "SELECT * FROM customers WHERE id NOT IN (SELECT customer FROM orders)",
    "SELECT name, (SELECT max(total) FROM orders WHERE customer = c.id) FROM customers c",
    """SELECT id, row_number() OVER (PARTITION BY customer ORDER BY total, id),
        lag(total) OVER (PARTITION BY customer ORDER BY total, id) FROM orders""",
    "SELECT id, sum(total) OVER (ORDER BY day, id, total) FROM orders",
    "SELECT string_agg(name, ',' ORDER BY name), array_agg(id ORDER BY id) FROM customers",
    "SELECT name, tag FROM customers, unnest(tags) AS tag",
    "SELECT 10 / (total - 7) FROM orders",
    """WITH MUTUALLY RECURSIVE reached (id int) AS (SELECT 1 UNION
        SELECT o.id FROM reached r JOIN orders o ON o.customer = r.id) SELECT * FROM reached""",
    "SELECT c.name, o.id FROM customers c, LATERAL"
    " (SELECT * FROM orders WHERE customer = c.id ORDER BY total DESC, id LIMIT 1) o",
    "SELECT 1 WHERE (SELECT count(*) FROM orders) > 3",
]


def test_views_are_what_their_queries_say(tmp_path: Path) -> None:
    queries = [Query(line, text) for line, text in enumerate(QUERIES, 1)]
    with running(tmp_path) as server:
        report = FileRun(server, "own").run([*TABLES, *queries])
    assert not report.disagreements, "\n".join(map(str, report.disagreements))
    assert not report.refused
    assert report.views == 2 * len(QUERIES)
    assert report.comparisons == 3 * report.views


def test_queries_that_are_one_query_together_are_compared_and_those_that_fail_one_by_one(
    tmp_path: Path,
) -> None:
    queries = [Query(line, text) for line, text in enumerate(QUERIES, 1)]
    fails = next(query for query in queries if query.text.startswith("SELECT 10 /"))
    together = group([query for query in queries if query != fails])
    with running(tmp_path) as server:
        good = FileRun(server, "good").run([*TABLES, together])
        bad = FileRun(server, "bad").run([*TABLES, group([queries[0], fails])])
    assert not good.disagreements + bad.disagreements
    assert not good.refused + bad.refused
    assert (good.queries, good.views) == (together.size, 2)
    assert good.comparisons == 3 * 2 * together.size
    assert (bad.queries, bad.views) == (2, 2 + 2 * 2)


def test_tables_of_sources_are_read_and_not_written_to(tmp_path: Path) -> None:
    statements = [
        "CREATE TABLE t (a int)",
        "INSERT INTO t VALUES (1), (2)",
        "CREATE SOURCE auctions FROM LOAD GENERATOR AUCTION (UP TO 100)",
        "CREATE TABLE users FROM SOURCE auctions (REFERENCE users)",
    ]
    query = Query(1, "SELECT a, name FROM t LEFT JOIN users ON users.id = t.a")
    with running(tmp_path) as server:
        report = FileRun(server, "sources").run([*statements, query])
    assert not report.disagreements
    assert not report.refused
    assert (report.views, report.comparisons) == (2, 6)


def test_a_server_is_cleaned_of_what_a_file_left_or_else_made_anew() -> None:
    with servers() as shared:
        first = shared.clean()
        with first.internal() as connection:
            for statement in (
                "CREATE ROLE left_over",
                "CREATE CLUSTER left_over (SIZE '1', REPLICATION FACTOR 0)",
                "CREATE DATABASE left_over",
                "CREATE TABLE left_over.public.t (a int)",
                "ALTER SYSTEM SET max_tables = 7",
            ):
                connection.execute(statement.encode())
        again = shared.clean()
        assert shared.started == 1
        with again.internal() as connection:
            for kind in ("roles", "clusters", "databases"):
                names = connection.execute(f"SELECT name FROM mz_{kind}".encode()).fetchall()
                assert ("left_over",) not in names
            assert connection.execute("SHOW max_tables").fetchone() != ("7",)
            connection.execute("CREATE TABLE materialize.public.t (a int)")
        shared.clean()
        assert shared.started == 2


@pytest.mark.skipif(corpus.missing() is not None, reason=corpus.missing() or "")
@pytest.mark.parametrize(
    "name", ["materialize/joins/postgres__join-lateral.slt", "risingwave/benchmarks"]
)
def test_views_of_the_corpus_are_what_their_queries_say(name: str, tmp_path: Path) -> None:
    found = corpus.CORPUS / name
    paths = [found] if found.is_file() else sorted(found.glob("*nexmark*.slt"))[:1]
    with running(tmp_path) as server:
        for path in paths:
            report = FileRun(server, path.name).run(items_of(path, 15))
            assert not report.disagreements, "\n".join(map(str, report.disagreements))
            assert report.views > 0
