"""Storage usage: bytes of what is stored, by shard and by object, at times."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, running
from tests.fixtures.replicas import rows
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

ROWS = 20_000
ENTROPY_BYTES = 16  # of an MD5 sum, whose text no encoding can make shorter than that
BY_SHARD = """
    SELECT count(*), count(DISTINCT u.id) FROM mz_internal.mz_storage_usage_by_shard AS u
    WHERE u.shard_id = '{}' AND u.collection_timestamp <= '{}'
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    """A server that looks at its storage every second."""
    with running(tmp_path_factory.mktemp("headwater")) as started:
        with started.internal() as system:
            system.execute("ALTER SYSTEM SET storage_usage_collection_interval = '1s'")
        yield started


def test_bytes_are_those_of_the_parts(scratch: Connection) -> None:
    scratch.execute("CREATE TABLE t (a text)")
    ((table, shard),) = rows(
        scratch,
        "SELECT s.object_id, s.shard_id FROM mz_internal.mz_storage_shards AS s"
        " JOIN mz_catalog.mz_tables AS t ON t.id = s.object_id"
        " WHERE t.name = 't' AND t.id LIKE 'u%'",
    )
    recent = f"""
        SELECT size_bytes::int8 FROM mz_catalog.mz_recent_storage_usage
        WHERE object_id = '{table}'
    """
    eventually(lambda: rows(scratch, recent), [(0,)])
    scratch.execute(f"INSERT INTO t SELECT md5(g::text) FROM generate_series(1, {ROWS}) g".encode())

    def stored() -> int:
        ((_, total, _, _, _),) = rows(scratch, "EXPLAIN FILTER PUSHDOWN FOR SELECT * FROM t")
        return int(str(total))

    eventually(lambda: rows(scratch, recent) == [(stored(),)], want=True)
    assert stored() > ROWS * ENTROPY_BYTES
    history = f"""
        SELECT max(collection_timestamp), min(size_bytes)::int8, max(size_bytes)::int8
        FROM mz_catalog.mz_storage_usage WHERE object_id = '{table}'
    """
    ((at, least, most),) = rows(scratch, history)
    assert least == 0
    assert isinstance(most, int)
    assert most > ROWS * ENTROPY_BYTES
    ((before, distinct),) = rows(scratch, BY_SHARD.format(shard, at))
    assert before == distinct
    # What is dropped is no object any more; what was recorded of its shard stays.
    scratch.execute("DROP TABLE t")
    assert rows(scratch, recent) == []
    assert rows(scratch, history) == [(None, None, None)]
    assert rows(scratch, BY_SHARD.format(shard, at)) == [(before, before)]


def test_records_outlive_the_server(server: Headwater) -> None:
    last = """
        SELECT count(*), max(collection_timestamp) FROM mz_internal.mz_storage_usage_by_shard
    """
    up_to = """
        SELECT count(*) FROM mz_internal.mz_storage_usage_by_shard
        WHERE collection_timestamp <= '{}'
    """
    newer = """
        SELECT count(*) = count(DISTINCT id) AND max(collection_timestamp) > '{}'
        FROM mz_internal.mz_storage_usage_by_shard
    """
    with server.connect() as connection:
        eventually(lambda: rows(connection, last)[0][0] != 0, want=True)
        ((before, seen),) = rows(connection, last)
    server.stop()
    server.start()
    with server.connect() as connection:
        # Some may have been taken between what was asked and the end.
        eventually(lambda: rows(connection, newer.format(seen)), [(True,)])
        assert rows(connection, up_to.format(seen)) == [(before,)]
