"""What replicas say of their dataflows beside frontiers: errors as they come, costs when asked.

Errors are kept for each replica and worker until they change or the replica goes; since replicas
agree, those of any one are the export's. Costs are asked for by a token and answered by each worker
of one replica; nothing is kept.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from headwater.compute.protocol import ErrorReport, Errors, Inspect, Inspected
from headwater.errors import ConnectionFailure
from headwater.types.ids import GlobalId, ReplicaId


class Inspection:
    """The answers of one replica's workers, as they come in."""

    def __init__(self, replica: ReplicaId) -> None:
        self.replica = replica
        self.answers: dict[int, Inspected] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, answer: Inspected) -> None:
        """Take in an answer; the last one completes."""
        self.answers[answer.worker] = answer
        if len(self.answers) == answer.workers and not self.done.done():
            self.done.set_result(None)


class Inspections:
    """What replicas have said, and what is being asked."""

    def __init__(self) -> None:
        self._asked: dict[int, Inspection] = {}
        self._next = 0
        self._errors: dict[GlobalId, dict[ReplicaId, dict[int, Errors]]] = {}

    async def ask(
        self, replica: ReplicaId, send: Callable[[Inspect], None]
    ) -> tuple[Inspected, ...]:
        """Return the answers of all workers of ``replica``, by worker.

        Raises: ConnectionFailure (the replica went away). Cancellation: leaves nothing behind.
        """
        self._next += 1
        token, inspection = self._next, Inspection(replica)
        self._asked[token] = inspection
        try:
            send(Inspect(token))
            await inspection.done
        finally:
            del self._asked[token]
        return tuple(inspection.answers[worker] for worker in sorted(inspection.answers))

    def answer(self, answer: Inspected) -> None:
        """Take in a worker's answer; one that nobody waits for is dropped."""
        inspection = self._asked.get(answer.token)
        if inspection is not None:
            inspection.take(answer)

    def report(self, replica: ReplicaId, errors: Errors) -> None:
        """Note the errors of an export on one worker."""
        by_worker = self._errors.setdefault(errors.id, {}).setdefault(replica, {})
        by_worker[errors.worker] = errors

    def forget_replica(self, replica: ReplicaId) -> None:
        """Forget what a replica has said, and fail what it is asked."""
        for by_replica in self._errors.values():
            by_replica.pop(replica, None)
        for inspection in self._asked.values():
            if inspection.replica == replica and not inspection.done.done():
                inspection.done.set_exception(ConnectionFailure("the replica went away"))

    def forget(self, id: GlobalId) -> None:
        """Forget an export."""
        self._errors.pop(id, None)

    def counts(self, id: GlobalId) -> dict[ReplicaId, int]:
        """Return for how many rows of an export each replica has told errors, if any."""
        counts = {
            replica: sum(error.count for part in by_worker.values() for error in part.errors)
            for replica, by_worker in self._errors.get(id, {}).items()
        }
        return {replica: count for replica, count in counts.items() if count}

    def errors(self, id: GlobalId) -> tuple[ErrorReport, ...]:
        """Return the errors of an export, as the replica says that has said most."""
        best: Counter[tuple[str, str]] = Counter()
        for by_worker in self._errors.get(id, {}).values():
            found = _merged(by_worker.values())
            if len(found) > len(best):
                best = found
        return tuple(ErrorReport(*key, count) for key, count in sorted(best.items()))


def _merged(parts: Iterable[Errors]) -> Counter[tuple[str, str]]:
    merged: Counter[tuple[str, str]] = Counter()
    for part in parts:
        for error in part.errors:
            merged[error.sqlstate, error.message] += error.count
    return merged
