"""Who starts and stops the processes of managed replicas.

:class:`Orchestrator` is the border; ``process`` starts child processes on this machine.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from headwater.types.ids import ReplicaId


class ProcessSpec(msgspec.Struct, frozen=True):
    """One process of a replica: where it listens and how many timely workers it has."""

    replica: ReplicaId
    address: str
    workers: int


class ProcessEvent(msgspec.Struct, frozen=True):
    """A process has started (``reason`` None) or ended, and why."""

    replica: ReplicaId
    pid: int
    reason: str | None = None


class Orchestrator(Protocol):
    """Keeps processes running that are wanted, and no others."""

    def ensure(self, spec: ProcessSpec) -> None:
        """Start the process and start it again whenever it ends, until dropped."""
        ...

    async def drop(self, replica: ReplicaId) -> None:
        """Stop a replica's process for good; returns when it has ended."""
        ...

    async def close(self) -> None:
        """Stop everything; returns when all has ended."""
        ...

    def set_listener(self, listener: Callable[[ProcessEvent], None]) -> None:
        """Have ``listener`` called with every start and end."""
        ...
