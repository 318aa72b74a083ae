"""The transaction shard as the group commit sees it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from headwater.types.frontier import Frontier
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

# Flat batches by table.
Updates = Mapping[ShardId, bytes]


class Txns(Protocol):
    """The transaction shard; see ``headwater.persist.txns``."""

    @property
    def upper(self) -> Frontier:
        """Return the upper of all tables."""
        ...

    async def commit(self, time: Timestamp, writes: Mapping[ShardId, bytes]) -> None:
        """Commit updates of several tables at ``time``."""
        ...

    async def advance(self, time: Timestamp) -> None:
        """Make ``time + 1`` the upper of all tables."""
        ...

    async def register(
        self, time: Timestamp, tables: Sequence[tuple[ShardId, RelationDesc]]
    ) -> None:
        """Let tables take part, from ``time`` on."""
        ...

    async def forget(self, time: Timestamp, tables: Sequence[ShardId]) -> None:
        """Let tables no longer take part."""
        ...

    async def confirm(self) -> None:
        """Ask whether there is no newer server. Raises: Fenced."""
        ...

    async def leave(self) -> None:
        """Say that this server is gone."""
        ...

    @property
    def is_untidy(self) -> bool:
        """Return whether :meth:`tidy` has something to do."""
        ...

    async def tidy(self) -> None:
        """Do what is put off while the shard is lent."""
        ...
