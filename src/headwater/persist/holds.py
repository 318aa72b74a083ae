"""Read holds: tokens that keep a shard's ``since`` from passing a time.

A shard's since is the earliest of its holds', but never goes back; without holds it stays where it
is, so that whoever makes a shard takes a durable hold on it first of all.

A *leased* hold ends by itself when its owner stops renewing it (the client renews all its leases in
one commit). A *durable* hold has a name, survives its owner, and is given up only by ``release``:
the controllers' are of that kind.
"""

from collections.abc import Sequence
from typing import Protocol

from headwater.persist.log import Change, VersionLog
from headwater.persist.machine import (
    DowngradeSince,
    Heartbeat,
    Release,
    ShardOp,
    ShardState,
)
from headwater.types.frontier import Frontier, precedes
from headwater.types.ids import ShardId

ShardLog = VersionLog[ShardState, ShardOp]


class Committer(Protocol):
    """What commits changes of logs: the client."""

    async def commit(self, changes: Sequence[Change]) -> None:
        """Apply all changes or none and raise the first one's error."""
        ...

    async def let_go(self, log: ShardLog) -> None:
        """Forget a shard when its last user is gone."""
        ...


class ReadHold:
    """A hold that this process owns; made by ``PersistClient.hold``.

    Attributes:
        name: The hold's name in the shard's state.
        since: What is held: reads at this time and later stay exact.
    """

    def __init__(
        self, client: Committer, log: ShardLog, name: str, since: Frontier, *, leased: bool
    ) -> None:
        self.name = name
        self.since = since
        self.leased = leased
        self.released = False
        self.log = log
        self._client = client

    @property
    def shard(self) -> ShardId:
        """Return the shard whose since is held."""
        return self.log.shard

    async def downgrade(self, since: Frontier) -> None:
        """Let the hold advance to ``since``; an earlier time changes nothing."""
        await downgrade_many(self._client, [(self, since)])

    async def release(self) -> None:
        """Give the hold up; doing so twice is no error."""
        if self.released:
            return
        self.released = True
        await self._client.commit([Change(self.log, (Release(self.name),))])
        await self._client.let_go(self.log)

    @staticmethod
    def heartbeats(holds: "list[ReadHold]", expires_ms: int) -> Change:
        """Return the change that renews the leases of one shard's holds."""
        log = holds[0].log
        return Change(log, tuple(Heartbeat(hold.name, expires_ms, log.seqno) for hold in holds))


async def downgrade_many(client: Committer, downgrades: "list[tuple[ReadHold, Frontier]]") -> None:
    """Advance many holds in one commit; those that would go back stay where they are."""
    latest: dict[ShardId, dict[str, tuple[ReadHold, Frontier]]] = {}
    for hold, since in downgrades:
        if hold.since != since and precedes(hold.since, since):
            latest.setdefault(hold.shard, {})[hold.name] = (hold, since)
    changes = [
        Change(
            next(iter(holds.values()))[0].log,
            tuple(DowngradeSince(name, since) for name, (_, since) in holds.items()),
        )
        for holds in latest.values()
    ]
    if not changes:
        return
    await client.commit(changes)
    for holds in latest.values():
        for hold, since in holds.values():
            hold.since = since
