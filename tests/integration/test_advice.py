"""What sources know upstream, what is to replace what, and which indexes pay."""

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

REFERENCES = """
    SELECT r.namespace, r.name, r.columns, r.updated_at
    FROM mz_internal.mz_source_references AS r
    JOIN mz_catalog.mz_sources AS s ON s.id = r.source_id
    WHERE s.name = '{}' ORDER BY r.name
"""


def advice(connection: Connection) -> dict[str, tuple[str, str | None]]:
    """Return what is advised of the objects of the test: the hint, and whom it names."""
    names = dict(rows(connection, "SELECT id, name FROM mz_catalog.mz_objects WHERE id LIKE 'u%'"))
    found = rows(
        connection,
        "SELECT object_id, hint, referenced_object_ids::text FROM mz_internal.mz_index_advice",
    )
    said: dict[str, tuple[str, str | None]] = {}
    for id, hint, referenced in found:
        readers = None
        if referenced is not None:
            ids = str(referenced).strip("{}").split(",")
            readers = ",".join(sorted(str(names[each]) for each in ids))
        said[str(names[id])] = (str(hint), readers)
    return said


@pytest.fixture
def schema(scratch: Connection) -> Connection:
    """A connection in a schema with a table."""
    scratch.execute("CREATE TABLE t (a int, b int)")
    return scratch


def test_generators_and_what_tables_can_be_made_of(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE SOURCE bidding FROM LOAD GENERATOR AUCTION FOR ALL TABLES")
        connection.execute("CREATE SOURCE counting FROM LOAD GENERATOR COUNTER")
        found = rows(connection, REFERENCES.format("bidding"))
        # As the documentation of the generator lists its tables.
        assert [row[:3] for row in found] == [
            ("auction", "accounts", ["id", "org_id", "balance"]),
            ("auction", "auctions", ["id", "seller", "item", "end_time"]),
            ("auction", "bids", ["id", "buyer", "auction_id", "amount", "bid_time"]),
            ("auction", "organizations", ["id", "name"]),
            ("auction", "users", ["id", "org_id", "name"]),
        ]
        assert [row[:3] for row in rows(connection, REFERENCES.format("counting"))] == [
            (None, "counter", ["counter"])
        ]
        made = """
            SELECT occurred_at FROM mz_catalog.mz_audit_events
            WHERE object_type = 'source' AND event_type = 'create'
              AND details->>'item' = 'bidding'
        """
        assert {row[3] for row in found} == {at for (at,) in rows(connection, made)}
    server.stop()
    server.start()
    with server.connect() as connection:
        assert rows(connection, REFERENCES.format("bidding")) == found
        connection.execute("DROP SOURCE bidding CASCADE")
        connection.execute("DROP SOURCE counting CASCADE")
        assert rows(connection, "SELECT * FROM mz_internal.mz_source_references") == []


def test_replacements_are_listed_until_they_are_applied(schema: Connection) -> None:
    schema.execute("CREATE MATERIALIZED VIEW m AS SELECT a FROM t")
    schema.execute("CREATE REPLACEMENT MATERIALIZED VIEW r FOR m AS SELECT a FROM t WHERE a > 1")
    listed = """
        SELECT made.name, target.name FROM mz_internal.mz_replacements AS r
        JOIN mz_catalog.mz_materialized_views AS made ON made.id = r.id
        JOIN mz_catalog.mz_materialized_views AS target ON target.id = r.target_id
    """
    assert rows(schema, listed) == [("r", "m")]
    schema.execute("ALTER MATERIALIZED VIEW m APPLY REPLACEMENT r")
    assert rows(schema, listed) == []
    schema.execute("CREATE REPLACEMENT MATERIALIZED VIEW r FOR m AS SELECT b AS a FROM t")
    assert rows(schema, listed) == [("r", "m")]
    schema.execute("DROP MATERIALIZED VIEW r")
    assert rows(schema, "SELECT * FROM mz_internal.mz_replacements") == []


def test_an_index_pays_if_something_maintained_reads_it(schema: Connection) -> None:
    schema.execute("CREATE INDEX used ON t (a)")
    schema.execute("CREATE TABLE unread (a int)")
    schema.execute("CREATE INDEX idle ON unread (a)")
    schema.execute("CREATE VIEW j AS SELECT x.a FROM t AS x JOIN t AS y ON x.a = y.a")
    schema.execute("CREATE INDEX joined ON j (a)")
    eventually(
        lambda: advice(schema),
        {
            "used": ("keep", "joined"),
            "idle": ("drop unless queried directly", None),
            "joined": ("drop unless queried directly", None),
        },
    )
    schema.execute("DROP INDEX joined")
    drop = ("drop unless queried directly", None)
    eventually(lambda: advice(schema), {"used": drop, "idle": drop})


def test_a_materialized_view_pays_if_another_cluster_reads_it(schema: Connection) -> None:
    schema.execute("CREATE CLUSTER far (SIZE '25cc', REPLICATION FACTOR 1)")
    try:
        schema.execute("CREATE MATERIALIZED VIEW m AS SELECT a, count(*) AS n FROM t GROUP BY a")
        eventually(lambda: advice(schema), {"m": ("convert to a view with an index", None)})
        schema.execute("CREATE INDEX near ON m (a)")
        drop = ("drop unless queried directly", None)
        one = {"m": ("convert to a view", "near"), "near": drop}
        eventually(lambda: advice(schema), one)
        schema.execute("CREATE INDEX abroad IN CLUSTER far ON m (n)")
        kept = {"m": ("keep", "abroad"), "near": drop, "abroad": drop}
        eventually(lambda: advice(schema), kept)
        schema.execute("DROP INDEX abroad")
        eventually(lambda: advice(schema), one)
    finally:
        schema.execute("DROP CLUSTER far CASCADE")


def test_a_view_that_is_computed_twice_wants_an_index(schema: Connection) -> None:
    schema.execute("CREATE VIEW v AS SELECT a, sum(b) AS s FROM t GROUP BY a")
    schema.execute("CREATE VIEW w AS SELECT a FROM v WHERE s > 1")
    schema.execute("CREATE INDEX one ON w (a)")
    eventually(lambda: "one" in advice(schema), want=True)
    assert "v" not in advice(schema)
    # Another index of the same view reads the first one.
    schema.execute("CREATE INDEX same ON w ((a + 1))")
    eventually(lambda: "same" in advice(schema), want=True)
    assert "v" not in advice(schema)
    schema.execute("CREATE MATERIALIZED VIEW two AS SELECT s FROM v")
    eventually(lambda: advice(schema).get("v"), ("add index", "one,two"))
    schema.execute("CREATE INDEX shared ON v (a)")
    eventually(lambda: advice(schema).get("v"), None)
