"""What replicas say of errors and costs is put together."""

import asyncio

import pytest

from headwater.compute.inspection import Inspections
from headwater.compute.protocol import ErrorReport, Errors, Inspect, Inspected
from headwater.errors import ConnectionFailure
from headwater.types.ids import GlobalId, ReplicaId

VIEW = GlobalId("u1")
ONE, TWO = ReplicaId("u1"), ReplicaId("u2")
DIVISION = ErrorReport("22012", "division by zero", 2)
RANGE = ErrorReport("22003", "integer out of range", 1)


def test_errors_of_workers_add_up_and_replicas_do_not():
    said = Inspections()
    for replica in (ONE, TWO):
        said.report(replica, Errors(VIEW, 0, (DIVISION, RANGE), 2))
        said.report(replica, Errors(VIEW, 1, (DIVISION,), 1))
    assert said.errors(VIEW) == (RANGE, ErrorReport("22012", "division by zero", 4))
    # Another word of a worker is in the place of its last.
    said.report(ONE, Errors(VIEW, 0, (), 0))
    said.report(TWO, Errors(VIEW, 0, (), 0))
    assert said.errors(VIEW) == (DIVISION,)
    said.forget_replica(ONE)
    assert said.errors(VIEW) == (DIVISION,)
    said.forget(VIEW)
    assert said.errors(VIEW) == ()


def test_an_inspection_waits_for_every_worker():
    async def run() -> tuple[Inspected, ...]:
        asked = Inspections()

        def send(command: Inspect) -> None:
            asked.answer(Inspected(command.token + 1, 0, 1, ()))  # of another one
            asked.answer(Inspected(command.token, 1, 2, ()))
            asyncio.get_running_loop().call_soon(asked.answer, Inspected(command.token, 0, 2, ()))

        return await asked.ask(ONE, send)

    assert [answer.worker for answer in asyncio.run(run())] == [0, 1]


def test_a_replica_that_goes_away_fails_what_it_is_asked():
    async def run() -> None:
        asked = Inspections()
        await asked.ask(ONE, lambda _: asked.forget_replica(ONE))

    with pytest.raises(ConnectionFailure):
        asyncio.run(run())
