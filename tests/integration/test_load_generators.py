"""Load generators: what each makes, tables of one source, ends and restarts."""

import psycopg
import pytest

from tests.fixtures.headwater import Headwater
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]


def rows(connection: Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def test_tables_of_one_generator_agree_whenever_they_are_made(server: Headwater) -> None:
    with server.connect() as connection:
        connection.execute("CREATE SOURCE house FROM LOAD GENERATOR AUCTION (TICK INTERVAL '20ms')")
        connection.execute("CREATE TABLE auctions FROM SOURCE house (REFERENCE auctions)")
        eventually(lambda: rows(connection, "SELECT count(*) > 5 FROM auctions"), [(True,)])
        connection.execute("CREATE TABLE bids FROM SOURCE house (REFERENCE auction.bids)")
        connection.execute("CREATE TABLE people FROM SOURCE house (REFERENCE users)")
        # Each round opens an auction and places ten bids on those that were opened by then.
        agree = (
            "SELECT (SELECT count(*) FROM bids) = 10 * count(*), count(*) > 5, "
            "(SELECT max(auction_id) FROM bids) <= max(id) FROM auctions"
        )
        assert rows(connection, agree) == [(True, True, True)]
        assert rows(connection, "SELECT count(*) FROM people") == [(200,)]
        with pytest.raises(psycopg.errors.UndefinedTable) as caught:
            connection.execute("CREATE TABLE t FROM SOURCE house (REFERENCE horses)")
        assert "bids" in str(caught.value.diag.message_hint)
    server.kill()
    server.start()
    with server.connect() as connection:
        assert rows(connection, agree) == [(True, True, True)]
        connection.execute("DROP SOURCE house CASCADE")


def test_a_table_of_a_generator_that_has_ended(connection: Connection) -> None:
    connection.execute("CREATE SOURCE tpch FROM LOAD GENERATOR TPCH (SCALE FACTOR 0.001)")
    connection.execute("CREATE TABLE nation FROM SOURCE tpch (REFERENCE nation)")
    assert rows(connection, "SELECT count(*) FROM nation") == [(25,)]
    connection.execute("CREATE TABLE region FROM SOURCE tpch (REFERENCE tpch.region)")
    assert rows(connection, "SELECT count(*) FROM region") == [(5,)]
    assert rows(
        connection, "SELECT count(*) FROM nation JOIN region ON n_regionkey = r_regionkey"
    ) == [(25,)]


def test_marketing(connection: Connection) -> None:
    connection.execute(
        "CREATE SOURCE market FROM LOAD GENERATOR MARKETING (TICK INTERVAL '10ms', UP TO 100) "
        "FOR ALL TABLES"
    )
    eventually(lambda: rows(connection, "SELECT count(*) FROM impressions"), [(99,)])
    assert rows(connection, "SELECT count(*), count(DISTINCT email) > 900 FROM customers") == [
        (1000, True)
    ]
    assert rows(
        connection,
        "SELECT count(*) FROM clicks WHERE impression_id NOT IN (SELECT id FROM impressions)",
    ) == [(0,)]
    leads = (
        "SELECT count(*) > 0, count(*) = count(p.lead_id), "
        "bool_and((converted_at IS NULL) = (conversion_amount IS NULL)) "
        "FROM leads LEFT JOIN conversion_predictions AS p ON p.lead_id = leads.id"
    )
    assert rows(connection, leads) == [(True, True, True)]
    eventually(
        lambda: rows(
            connection,
            "SELECT DISTINCT status FROM mz_internal.mz_source_statuses "
            "WHERE name IN ('market', 'leads')",
        ),
        [("ceased",)],
    )


def test_clock(connection: Connection) -> None:
    connection.execute("CREATE SOURCE clock FROM LOAD GENERATOR CLOCK (TICK INTERVAL '100ms')")
    near = "SELECT count(*), bool_and(time BETWEEN now() - interval '5 s' AND now()) FROM clock"
    eventually(lambda: rows(connection, near), [(1, True)])
    ((before,),) = rows(connection, "SELECT time FROM clock")
    eventually(
        lambda: rows(connection, f"SELECT time > '{before}'::timestamptz FROM clock"), [(True,)]
    )


def test_datums(connection: Connection) -> None:
    connection.execute("CREATE SOURCE datums FROM LOAD GENERATOR DATUMS (TICK INTERVAL '10ms')")
    eventually(lambda: rows(connection, "SELECT count(*), max(rowid) FROM datums"), [(8, 8)])
    extremes = (
        "SELECT min(int2), max(int8), max(uint8)::text, bool_or(float8 = 'Infinity'), "
        "bool_or(bool IS NULL), max(date)::text FROM datums"
    )
    assert rows(connection, extremes) == [
        (-32768, 2**63 - 1, "18446744073709551615", True, True, "9999-12-31")
    ]
    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            found = cursor.execute(
                'SELECT bool, int4, float8, "numeric", text, bytea, date, "time", '
                '"interval", uuid, jsonb, int4_array FROM datums ORDER BY rowid'
            ).fetchall()
            assert len(found) == 8
            assert found[0][1] == 0
