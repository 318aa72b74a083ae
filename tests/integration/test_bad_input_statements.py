"""What is wrong in a statement or a row is said with SQLSTATE and place; nothing is lost."""

import threading

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module", autouse=True)
def relations(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE customers (id int, name text, born date)")
        connection.execute("INSERT INTO customers VALUES (1, 'ann', '1990-01-01')")


def refused(connection: Connection, statement: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode())
    assert rows(connection, "SELECT name FROM customers WHERE id = 1") == [("ann",)]
    return caught.value


@pytest.mark.parametrize(
    ("statement", "sqlstate", "position", "said"),
    [
        ("SELEC 1", "42601", "1", 'Expected a statement, found identifier "selec"'),
        ("SELECT id FORM customers", "42601", "16", "customers"),
        ("SELECT (1 + ", "42601", "13", "found EOF"),
        ("SELECT 'open", "42601", "8", "unterminated"),
        ("CREATE TABLE x (a int b)", "42601", "23", "b"),
        ("SELECT * FROM customer", "42P01", "15", 'relation "customer" does not exist'),
        ("SELECT nam FROM customers", "42703", "8", 'column "nam" does not exist'),
        ("SELECT uper(name) FROM customers", "42883", "8", '"uper" does not exist'),
        ("SELECT id + name FROM customers", "42883", "11", "operator does not exist"),
        ("SELECT id::colour FROM customers", "42704", "12", 'type "colour" does not exist'),
        ("SELECT 'x'::int", "22P02", "8", "invalid input syntax for type integer"),
        ("SELECT name FROM customers WHERE id", "42804", "34", "WHERE must be type boolean"),
        ("INSERT INTO customers VALUES (1, 2, 3, 4)", "42601", "40", "more expressions"),
        ("INSERT INTO customers (id) VALUES (true)", "42804", "36", "is of type integer"),
        ("SELECT name, count(*) FROM customers", "42803", "8", "GROUP BY"),
        ("SELECT 1 UNION SELECT 'a', 2", "42601", "23", "same number of columns"),
        ("SELECT id FROM customers a, customers b", "42702", "8", "ambiguous"),
        ("CREATE TABLE customers (a int)", "42P07", None, "already exists"),
        ("CREATE INDEX i IN CLUSTER nowhere ON customers (id)", "42704", "27", "nowhere"),
        ("SET cluster_size = 3", "42704", None, "unrecognized configuration parameter"),
        ("SELECT 1 / 0", "22012", None, "division by zero"),
        ("SELECT 2147483647 + 1", "22003", None, "numeric field overflow"),
        ("DROP TABLE nothing", "42P01", "12", "does not exist"),
    ],
)
def test_what_is_wrong_and_where(
    connection: Connection, statement: str, sqlstate: str, position: str | None, said: str
) -> None:
    error = refused(connection, statement)
    assert (error.sqlstate, error.diag.statement_position) == (sqlstate, position), str(error)
    assert said in str(error)


@pytest.mark.parametrize(
    ("statement", "near"),
    [
        ("SELECT * FROM customer", "customers"),
        ("SELECT nam FROM customers", "name"),
        ("SELECT uper(name) FROM customers", "upper"),
        ("SELECT * FROM customers WHERE customers.burn IS NULL", "born"),
    ],
)
def test_the_nearest_names_are_hinted_at(connection: Connection, statement: str, near: str) -> None:
    error = refused(connection, statement)
    assert near in (error.diag.message_hint or ""), error.diag.message_hint


@pytest.mark.parametrize(
    ("expression", "bad", "sqlstate"),
    [
        ("100 / n", "0", "22012"),
        ("(n + 2147483647)", "1", "22003"),
        ("('x' || n)::int", "5", "22P02"),
        ("(n::numeric * 2)::int2", "40000", "22003"),
    ],
)
def test_an_error_in_a_row_comes_and_goes_with_the_row(
    server: Headwater, expression: str, bad: str, sqlstate: str
) -> None:
    good = "-3"
    with server.connect() as connection:
        connection.execute("CREATE TABLE faulty (n int)")
        value = f"CASE WHEN n = {good} THEN 0 ELSE {expression} END"
        connection.execute(f"CREATE VIEW plain AS SELECT {value} AS v FROM faulty".encode())
        connection.execute(f"CREATE VIEW kept AS SELECT {value} AS v FROM faulty".encode())
        connection.execute("CREATE INDEX kept_idx ON kept (v)")
        connection.execute(
            f"CREATE MATERIALIZED VIEW summed AS SELECT sum({value}) AS v FROM faulty".encode()
        )
        relations = ("plain", "kept", "summed")
        try:
            connection.execute(f"INSERT INTO faulty VALUES ({good})".encode())
            for relation in relations:
                assert rows(connection, f"SELECT v FROM {relation}") == [(0,)]
            for _ in range(2):
                connection.execute(f"INSERT INTO faulty VALUES ({bad})".encode())
                for relation in relations:
                    error = refused(connection, f"SELECT v FROM {relation}")
                    assert error.sqlstate == sqlstate, (relation, str(error))
                connection.execute(f"DELETE FROM faulty WHERE n = {bad}".encode())
                for relation in relations:
                    assert rows(connection, f"SELECT v FROM {relation}") == [(0,)]
            assert rows(connection, "SELECT n FROM faulty") == [(int(good),)]
        finally:
            connection.execute("DROP TABLE faulty CASCADE")


def test_a_refused_statement_in_a_transaction_takes_all_of_it_back(connection: Connection) -> None:
    connection.execute("CREATE TABLE pending (a int)")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO pending VALUES (1)")
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("INSERT INTO pendin VALUES (2)")
    connection.execute("COMMIT")
    assert rows(connection, "SELECT * FROM pending") == []


@pytest.mark.parametrize(
    "nested",
    [
        f"SELECT {'(' * 1000}1{')' * 1000}",
        f"SELECT * FROM {'(SELECT * FROM ' * 1000}customers{') AS x' * 1000}",
        f"SELECT {'(SELECT ' * 1000}1{')' * 1000}",
        f"SELECT {'CASE WHEN true THEN ' * 1000}1{' END' * 1000}",
        f"SELECT {'ARRAY[' * 1000}1{']' * 1000}",
        f"SELECT {'NOT ' * 1000}true",
        f"SELECT {'(' * 100_000}",
    ],
    ids=["brackets", "relations", "subqueries", "cases", "arrays", "operators", "open"],
)
def test_nesting_has_a_limit(connection: Connection, nested: str) -> None:
    assert refused(connection, nested).sqlstate == "54001"


# 4096 grouping sets, to be planned each by itself.
CUBE = (
    f"SELECT count(*) FROM customers GROUP BY CUBE ({', '.join(f'(id + {n})' for n in range(12))})"
)


def test_planning_ends_with_the_statement_timeout_and_holds_nobody_up(
    server: Headwater, connection: Connection
) -> None:
    caught: list[str | None] = []

    def plan() -> None:
        with server.connect() as other:
            other.execute("SET statement_timeout = '2s'")
            try:
                other.execute(CUBE.encode())
            except psycopg.Error as error:
                caught.append(error.sqlstate)
            assert rows(other, "SELECT 1") == [(1,)]

    planning = threading.Thread(target=plan)
    planning.start()
    answered = 0
    while planning.is_alive():
        assert rows(connection, "SELECT name FROM customers WHERE id = 1") == [("ann",)]
        answered += planning.is_alive()
    planning.join()
    assert caught == ["57014"]
    assert answered > 5


@pytest.fixture(scope="module")
def large(server: Headwater) -> None:
    """Two megabytes in rows of a hundred bytes."""
    with server.connect() as connection:
        connection.execute("CREATE TABLE large (a int, b text)")
        connection.execute(
            "INSERT INTO large SELECT n, repeat(md5(n::text), 3) FROM generate_series(1, 20000) n"
        )


def copied(connection: Connection, query: str) -> int:
    """Return the number of bytes that COPY of a query sends."""
    with connection.cursor().copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
        return sum(len(data) for data in copy)


def fetched(connection: Connection, query: str) -> list[tuple[object, ...]]:
    """Return the first row by a cursor; the transaction is left open."""
    connection.execute("BEGIN")
    connection.execute(f"DECLARE c CURSOR FOR {query}".encode())
    return rows(connection, "FETCH 1 c")


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT a, b FROM large",
        "SELECT a, b FROM large ORDER BY a DESC LIMIT 15000",
        "SELECT n FROM generate_series(1, 500000) AS n",
        "SELECT 'the same again' FROM generate_series(1, 200000)",
        "VALUES " + ", ".join(f"('{'x' * 500}')" for _ in range(3000)),
    ],
)
def test_a_result_beyond_the_limit_is_refused_in_every_form(
    connection: Connection, query: str
) -> None:
    connection.execute("SET max_query_result_size = '1MB'")
    error = refused(connection, query)
    assert error.sqlstate == "53200"
    assert "result exceeds max size of 1.0 MB" in str(error)
    with pytest.raises(psycopg.errors.OutOfMemory):
        copied(connection, query)
    with pytest.raises(psycopg.errors.OutOfMemory):
        fetched(connection, query)
    connection.execute("ROLLBACK")
    few = rows(connection, f"SELECT * FROM ({query}) AS q LIMIT 3")
    assert len(few) == 3
    connection.execute("SET max_query_result_size = '100MB'")
    assert len(rows(connection, query)) >= 3000
