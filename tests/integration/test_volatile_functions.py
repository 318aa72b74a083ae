"""``random()`` and ``gen_random_uuid()``: one value for each row, wherever the row goes.

What is expected is PostgreSQL's: counts of rows do not depend on what was drawn.
"""

import psycopg
import pytest


@pytest.fixture
def rows(connection):
    """Seven rows of which some are equal, and one was taken away again."""
    connection.autocommit = True
    connection.execute("CREATE TABLE d (x int)")
    connection.execute("INSERT INTO d VALUES (1), (1), (2), (3), (4), (5), (5)")
    connection.execute("DELETE FROM d WHERE x = 4")
    connection.execute("INSERT INTO d VALUES (5)")
    yield connection
    connection.execute("DROP TABLE d CASCADE")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT count(*), count(DISTINCT random()) FROM d", (7, 7)),
        ("SELECT count(*), count(DISTINCT r) FROM (SELECT random() r FROM d) q", (7, 7)),
        (
            "SELECT count(*), count(DISTINCT r)"
            " FROM (SELECT random() r FROM (SELECT * FROM d LIMIT 5) q) q",
            (5, 5),
        ),
        (
            "SELECT count(*), count(DISTINCT r)"
            " FROM (SELECT random() r FROM (VALUES (1), (1), (1)) q) q",
            (3, 3),
        ),
        ("SELECT count(*), max(n) FROM (SELECT row_number() OVER (ORDER BY random()) n FROM d) q",
         (7, 7)),
        # Read twice, it is one value; called twice, they are two.
        ("WITH q AS (SELECT random() r FROM d) SELECT count(*) FROM q JOIN q p USING (r)", (7,)),
        ("SELECT count(*) FROM (SELECT random() r FROM d) q"
         " JOIN (SELECT random() r FROM d) p USING (r)", (0,)),
        ("SELECT count(*) FROM v JOIN (SELECT random() r FROM d) p USING (r)", (0,)),
        ("SELECT count(*) FROM (SELECT r < 0.5 AS low, r FROM (SELECT random() r FROM d) q) q"
         " WHERE low <> (r < 0.5)", (0,)),
        # Every row has its pad or its partners, never both.
        ("SELECT count(*) FROM generate_series(1, 100) x LEFT JOIN generate_series(1, 100) y"
         " ON x = y AND random() < 0.5", (100,)),
        ("SELECT count(*) FROM (SELECT random() r, e.x FROM d RIGHT JOIN d e"
         " ON EXISTS (SELECT 1 FROM d WHERE x = 9) OR d.x IS NULL) q"
         " LEFT JOIN (SELECT x FROM d WHERE x = 2) s ON q.x IS NOT NULL", (7,)),
        ("SELECT count(*) FROM (SELECT random() r, d.x, e.x y FROM d FULL JOIN d e"
         " ON d.x = e.x + 1) q", (12,)),
        # Above: 3 pairs, 5 rows of d and 4 of e without one. Below, each row goes one way.
        ("SELECT count(*), count(y) FROM (SELECT CASE WHEN random() < 0.5"
         " THEN (SELECT max(x) FROM d WHERE d.x <= e.x)"
         " ELSE (SELECT min(x) FROM d WHERE d.x <= e.x) END y"
         " FROM generate_series(1, 100) e (x)) q", (100, 100)),
    ],
)  # fmt: skip
def test_rows_keep_what_was_drawn_for_them(rows, sql, expected):
    rows.execute("CREATE VIEW v AS SELECT random() r FROM d")
    assert rows.execute(sql).fetchone() == expected


def test_rows_in_a_random_order(rows):
    found = rows.execute("SELECT x FROM d ORDER BY random()").fetchall()
    assert sorted(x for (x,) in found) == [1, 1, 2, 3, 5, 5, 5]


def test_rows_written_from_a_query_have_identifiers_of_their_own(rows):
    rows.execute("CREATE TABLE u (id uuid DEFAULT gen_random_uuid(), x int)")
    rows.execute("INSERT INTO u (x) VALUES (1), (1)")
    rows.execute("INSERT INTO u (x) SELECT 1 FROM d")
    counted = "SELECT count(*), count(DISTINCT id) FROM u"
    assert rows.execute(counted).fetchone() == (9, 9)
    rows.execute("UPDATE u SET id = gen_random_uuid()")
    assert rows.execute(counted).fetchone() == (9, 9)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE MATERIALIZED VIEW m AS SELECT random() FROM d",
        "CREATE DEFAULT INDEX ON v",
        "COPY (SUBSCRIBE (SELECT r FROM v)) TO STDOUT",
        "WITH MUTUALLY RECURSIVE r (x int, f float8) AS (SELECT x, 0::float8 FROM d"
        " UNION SELECT x + 1, random() FROM r WHERE x < 10) SELECT count(*) FROM r",
    ],
)
def test_what_is_kept_up_to_date_draws_nothing(rows, sql):
    rows.execute("CREATE VIEW v AS SELECT random() r FROM d")
    with pytest.raises(psycopg.errors.FeatureNotSupported) as refused:
        _run(rows.cursor(), sql)
    assert "evaluation" not in str(refused.value)


def _run(cursor, sql):
    if not sql.startswith("COPY"):
        cursor.execute(sql)
        return
    with cursor.copy(sql) as stream:
        stream.read()
