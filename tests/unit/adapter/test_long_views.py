"""CREATE of views and indexes whose optimization takes long: the loop serves others meanwhile."""

import threading

import pytest

from adapter.fakes import Client, Server
from headwater.ir.relation import RelationExpr
from headwater.pgwire import protocol as p

# Joined with itself so often it counts as long (``planning.PLAN_NODES_LONG``); as text it is short.
COPIES = 14


def joined(copies: int) -> str:
    names = [f"t{i}" for i in range(copies)]
    sources = ", ".join(f"t AS {name}" for name in names)
    equal = " AND ".join(f"t0.a = {name}.a" for name in names[1:])
    return f"SELECT t0.a FROM {sources} WHERE {equal}"


@pytest.fixture
async def optimized_on(server: Server, client: Client, monkeypatch) -> list[int]:
    """The threads that optimize what is maintained, from now on."""
    for reply in await client.run("CREATE TABLE t (a int)"):
        assert isinstance(reply, p.Command)
    planner, threads = server.coord.planner, list[int]()
    maintained = planner.maintained

    def noted(expr: RelationExpr, *rest) -> RelationExpr:
        threads.append(threading.get_ident())
        return maintained(expr, *rest)

    monkeypatch.setattr(planner, "maintained", noted)
    return threads


async def create(client: Client, *statements: str) -> None:
    for statement in statements:
        (reply,) = await client.run(statement)
        assert isinstance(reply, p.Command), reply


async def test_a_long_materialized_view_is_optimized_beside_the_loop(client, optimized_on) -> None:
    await create(client, f"CREATE MATERIALIZED VIEW m AS {joined(COPIES)}")
    assert optimized_on
    assert threading.get_ident() not in optimized_on


async def test_an_index_on_a_view_of_views_is_as_long_as_they_are(client, optimized_on) -> None:
    await create(
        client,
        f"CREATE VIEW inner_view AS {joined(COPIES)}",
        "CREATE VIEW outer_view AS SELECT a + 1 AS b FROM inner_view",
        "CREATE INDEX outer_idx ON outer_view (b)",
    )
    assert optimized_on
    assert threading.get_ident() not in optimized_on


async def test_a_short_view_is_optimized_at_once(client, optimized_on) -> None:
    await create(client, "CREATE MATERIALIZED VIEW m AS SELECT a FROM t")
    assert set(optimized_on) == {threading.get_ident()}


async def test_in_a_transaction_it_sees_what_is_staged(client, optimized_on) -> None:
    await create(
        client,
        "BEGIN",
        f"CREATE VIEW v AS {joined(COPIES)}",
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM v",
        "COMMIT",
    )
    assert threading.get_ident() not in optimized_on
