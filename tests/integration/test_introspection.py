"""``mz_introspection``: what replicas know of themselves, read as relations."""

import re

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

RELATIONS = """
SELECT r.name FROM mz_catalog.mz_relations AS r
JOIN mz_catalog.mz_schemas AS s ON s.id = r.schema_id
WHERE s.name = 'mz_introspection' ORDER BY 1
"""
# What timely tells of reachability would cost every operator more than what it is good for.
UNKNOWN = re.compile("reachability")
# Nothing waits, fails or is larger than it need be here.
MAY_BE_EMPTY = re.compile("active_peeks|error_counts|batcher|advice|reachability")


@pytest.fixture(scope="module")
def connection(server: Headwater):
    with server.connect() as connection:
        connection.execute("CREATE TABLE sales (shop int, amount int)")
        connection.execute("INSERT INTO sales SELECT g % 10, g FROM generate_series(1, 500) AS g")
        connection.execute("CREATE VIEW best AS SELECT shop, max(amount) FROM sales GROUP BY shop")
        connection.execute("CREATE INDEX best_shop ON best (shop)")
        assert len(rows(connection, "SELECT * FROM best")) == 10
        yield connection


def test_every_relation_can_be_read_and_has_rows(connection: Connection) -> None:
    names = [name for (name,) in rows(connection, RELATIONS)]
    assert len(names) == 74
    for name in names:
        (found,) = rows(connection, f"SELECT EXISTS (SELECT 1 FROM mz_introspection.{name})")
        assert found == (True,) or MAY_BE_EMPTY.search(str(name)), name
        assert found == (False,) or not UNKNOWN.search(str(name)), name


def test_sizes_are_those_of_the_rows(connection: Connection) -> None:
    found = """
        SELECT r.records > 500, r.size > 0, r.capacity >= r.size, r.batches > 0, r.allocations > 0
        FROM mz_introspection.mz_records_per_dataflow AS r
        WHERE r.name = 'Dataflow: materialize.public.best_shop'
    """
    assert rows(connection, found) == [(True, True, True, True, True)]
    arranged = """
        SELECT a.records FROM mz_introspection.mz_arrangement_sizes AS a
        JOIN mz_introspection.mz_dataflow_operator_dataflows AS o ON o.id = a.operator_id
        WHERE o.dataflow_name = 'Dataflow: materialize.public.best_shop' ORDER BY 1
    """
    # The last reduction leaves a row for each shop; the first level holds all of them.
    held = [records for (records,) in rows(connection, arranged)]
    assert held[0] == 10
    assert held[-1] == 500


def test_levels_that_do_nothing_are_advised_against(connection: Connection) -> None:
    advice = """
        SELECT dataflow_name, region_name, levels, to_cut, savings > 0, hint
        FROM mz_introspection.mz_expected_group_size_advice
        WHERE dataflow_name LIKE '%best_shop'
    """
    assert rows(connection, advice) == [
        ("Dataflow: materialize.public.best_shop", "Reduce::Hierarchical", 4, 2, True, 4095.0)
    ]
    (said,) = rows(connection, "EXPLAIN ANALYZE HINTS FOR INDEX best_shop")[1:2]
    assert said[1:4] == (4, 2, 4095)


def test_structure_hangs_together(connection: Connection) -> None:
    lost = """
        SELECT count(*) FROM mz_introspection.mz_dataflow_channel_operators AS c
        JOIN mz_introspection.mz_dataflow_operator_dataflows AS o
          ON o.id = c.from_operator_id OR o.id = c.to_operator_id
        WHERE o.dataflow_name = 'Dataflow: materialize.public.best_shop'
          AND (c.from_operator_id IS NULL OR c.to_operator_id IS NULL)
    """
    assert rows(connection, lost) == [(0,)]
    orphans = """
        SELECT count(*) FROM mz_introspection.mz_dataflow_operators AS o
        JOIN mz_introspection.mz_dataflow_addresses AS a ON a.id = o.id
        LEFT JOIN mz_introspection.mz_dataflow_operator_parents AS p ON p.id = o.id
        WHERE (p.id IS NULL) <> (list_length(a.address) = 1)
    """
    assert rows(connection, orphans) == [(0,)]
    nodes = """
        SELECT m.operator, m.nesting::int FROM mz_introspection.mz_lir_mapping AS m
        JOIN mz_introspection.mz_mappable_objects AS o ON o.global_id = m.global_id
        WHERE o.name = 'materialize.public.best_shop' ORDER BY m.global_id, m.lir_id
    """
    found = rows(connection, nodes)
    assert ("Reduce::Hierarchical", 0) in found
    assert ("Index", 0) in found


def test_a_subscription_sees_dataflows_come_and_go(
    connection: Connection, server: Headwater
) -> None:
    with server.connect(autocommit=False) as watching, watching.cursor() as cursor:
        cursor.execute(
            "DECLARE c CURSOR FOR SUBSCRIBE (SELECT name FROM mz_introspection.mz_dataflows"
            " WHERE name LIKE '%passing')"
        )
        connection.execute("CREATE INDEX passing ON sales (shop)")
        cursor.execute("FETCH 1 c WITH (timeout = '30s')")
        (came,) = cursor.fetchall()
        assert came[1:] == (1, "Dataflow: materialize.public.passing")
        connection.execute("DROP INDEX passing")
        cursor.execute("FETCH 1 c WITH (timeout = '30s')")
        (went,) = cursor.fetchall()
        assert went[1:] == (-1, "Dataflow: materialize.public.passing")
        assert int(str(went[0])) > int(str(came[0]))


def test_a_view_of_logs_can_be_indexed_and_joined(connection: Connection) -> None:
    connection.execute(
        "CREATE VIEW costs AS SELECT o.name, r.records"
        " FROM mz_introspection.mz_records_per_dataflow r"
        " JOIN mz_introspection.mz_compute_exports e ON e.dataflow_id = r.id"
        " JOIN mz_catalog.mz_objects o ON o.id = e.export_id"
    )
    connection.execute("CREATE INDEX costs_name ON costs (name)")
    held = "SELECT records > 500 FROM costs WHERE name = 'best_shop'"
    assert rows(connection, held) == [(True,)]
    itself = "SELECT count(*) FROM costs WHERE name = 'costs_name'"
    eventually(lambda: rows(connection, itself), [(1,)])
    connection.execute("DROP VIEW costs CASCADE")


def test_logs_are_not_written_down(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot depend on log sources"):
        connection.execute(
            "CREATE MATERIALIZED VIEW kept AS SELECT * FROM mz_introspection.mz_dataflows"
        )


def test_of_several_replicas_one_is_asked(connection: Connection) -> None:
    connection.execute("CREATE CLUSTER twins REPLICAS (a (SIZE '25cc'), b (SIZE '25cc'))")
    connection.execute("SET cluster = twins")
    try:
        connection.execute("CREATE INDEX twin ON sales (amount)")
        dataflows = "SELECT name FROM mz_introspection.mz_dataflows WHERE name LIKE '%public.twin'"
        with pytest.raises(
            psycopg.errors.FeatureNotSupported, match="must target a replica"
        ) as refused:
            connection.execute(dataflows.encode())
        assert "SET cluster_replica" in str(refused.value.diag.message_hint)
        for replica in ("a", "b"):
            connection.execute(f"SET cluster_replica = {replica}".encode())
            found = [("Dataflow: materialize.public.twin",)]
            eventually(lambda: rows(connection, dataflows), found)
        connection.execute("BEGIN")
        connection.execute(f"DECLARE c CURSOR FOR SUBSCRIBE ({dataflows})".encode())
        assert [row[1:] for row in rows(connection, "FETCH 1 c")] == [(1, found[0][0])]
        connection.execute("COMMIT")
    finally:
        connection.execute("ROLLBACK")
        connection.execute("RESET cluster_replica")
        connection.execute("RESET cluster")
        connection.execute("DROP CLUSTER twins CASCADE")


def _as_sql(connection: Connection, statement: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """The columns and rows of the query that ``AS SQL`` gives."""
    ((sql,),) = rows(connection, f"{statement} AS SQL")
    cursor = connection.execute(str(sql).encode())
    assert cursor.description is not None
    return [column.name for column in cursor.description], cursor.fetchall()


@pytest.mark.parametrize(
    "properties",
    ["MEMORY", "CPU", "MEMORY, CPU", "CPU, MEMORY", "MEMORY WITH SKEW", "CPU, MEMORY WITH SKEW"],
)
@pytest.mark.parametrize("what", ["FOR INDEX best_shop", "CLUSTER"])
def test_explain_analyze_as_sql_says_the_same(
    connection: Connection, what: str, properties: str
) -> None:
    middle = f"CLUSTER {properties}"
    if what != "CLUSTER":
        words, skew, _ = properties.partition(" WITH SKEW")
        middle = f"{words}{skew} {what}"
    statement = f"EXPLAIN ANALYZE {middle}"
    cursor = connection.execute(statement.encode())
    assert cursor.description is not None
    names, said = [column.name for column in cursor.description], cursor.fetchall()
    columns, asked = _as_sql(connection, statement)
    assert columns == names
    counted = [at for at, name in enumerate(names) if name.endswith("records")]
    # Nodes come in the plan's order or in that of their numbers; what they hold is the same.
    key = [at for at, name in enumerate(names) if name in ("object", "global_id")]

    def held(found: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        return sorted(tuple(row[at] for at in (*key, *counted)) for row in found)

    assert held(asked) == held(said)
    assert any(row[-1] for row in asked)


def test_explain_analyze_hints_as_sql(connection: Connection) -> None:
    columns, asked = _as_sql(connection, "EXPLAIN ANALYZE HINTS FOR INDEX best_shop")
    assert columns == ["operator", "levels", "to_cut", "hint", "savings"]
    assert [row[1:4] for row in asked if row[1]] == [(4, 2, 4095)]
