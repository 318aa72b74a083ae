"""What a client does in the background: leases, roll-ups, compaction, the backstop poll.

Roll-ups and compaction are the work of the processes that write a shard; one that only reads it
rolls it up when nobody else has for long.
"""

import asyncio
import logging
import zlib
from typing import Any

from headwater.errors import HeadwaterError, InternalError
from headwater.persist import compact
from headwater.persist.holds import ReadHold, ShardLog
from headwater.persist.log import Rejected, VersionLog, commit
from headwater.persist.machine import ShardState, UnknownHold
from headwater.types.ids import ShardId

logger = logging.getLogger(__name__)

PATIENCE = 4  # a mere reader rolls up a log that is so many times too long
COMPACTIONS_MAX = 2  # at once, in this process
TOGETHER = 16  # logs that are looked after at once, so that consensus commits them together
JITTER = 0.3  # of the period, so that processes do not compact the same shard together


class Maintenance:
    """The background work of one client; ``client`` is a PersistClient."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._compacting: set[ShardId] = set()
        self._renewed_ms = 0

    async def run(self) -> None:
        """Work until the client is closed."""
        client = self._client
        since_poll_s = 0.0
        while not client.closed:
            period = client.config.maintenance_s
            pause = period * client.rng.uniform(1 - JITTER, 1 + JITTER)
            await client.clock.sleep(pause)
            since_poll_s += pause
            await self._guarded(self.renew())
            poll = since_poll_s >= client.config.backstop_s
            if poll:
                since_poll_s = 0.0
            logs = [log for log in client.logs.values() if poll or self._is_due(log)]
            for start in range(0, len(logs), TOGETHER):
                if client.closed:
                    return
                some = logs[start : start + TOGETHER]
                await asyncio.gather(
                    *(self._guarded(self._look_after(log, poll=poll)) for log in some)
                )

    async def renew(self) -> None:
        """Renew all leases in one commit, at a third of their time.

        A hold whose lease ran out all the same (the process was suspended, say) is marked lost.
        """
        client = self._client
        now = client.clock.now_ms()
        if not client.holds or now - self._renewed_ms < client.config.lease_ms / 3:
            return
        by_log: dict[ShardId, list[ReadHold]] = {}
        for hold in list(client.holds.values()):
            if hold.released:
                del client.holds[hold.shard, hold.name]
            else:
                by_log.setdefault(hold.shard, []).append(hold)
        while by_log:
            expires_ms = now + client.config.lease_ms
            changes = [holds[0].heartbeats(holds, expires_ms) for holds in by_log.values() if holds]
            rejected = await commit(
                client.consensus,
                client.clock,
                changes,
                client.rng.token(),
                client.config.consensus_timeout_s,
            )
            if rejected is None:
                break
            self._lose(rejected, by_log)
        self._renewed_ms = now

    def _lose(self, rejected: Rejected, by_log: dict[ShardId, list[ReadHold]]) -> None:
        shard, reason = rejected.log.shard, rejected.reason
        if not isinstance(reason, UnknownHold):
            raise InternalError(f"shard {shard} refuses a lease's renewal", detail=repr(reason))
        logger.warning("read hold has run out", extra={"shard": shard, "hold": reason.hold})
        lost = self._client.holds.pop((shard, reason.hold), None)
        if lost is not None:
            lost.released = True
        by_log[shard] = [hold for hold in by_log[shard] if hold.name != reason.hold]
        if not by_log[shard]:
            del by_log[shard]

    def _is_due(self, log: VersionLog[Any, Any]) -> bool:
        """Return whether :meth:`_look_after` would do anything but poll."""
        if log.failure is not None:
            return False
        client = self._client
        owned = log.shard in client.owned
        if self._is_long(log, owned=owned):
            return True
        if not owned or not isinstance(log.state, ShardState):
            return False
        return compact.is_work_due(log.state, client.clock.now_ms(), client.config)

    def _is_long(self, log: VersionLog[Any, Any], *, owned: bool) -> bool:
        """Return whether the log is to be rolled up; shards that tick together take turns."""
        due = log.rollup_every * (1 if owned else PATIENCE)
        length = log.seqno - log.rollup_seqno
        return length >= due and length >= due + zlib.crc32(log.shard.encode()) % log.rollup_every

    async def _look_after(self, log: VersionLog[Any, Any], *, poll: bool) -> None:
        if log.failure is not None:
            return
        if poll:
            await log.refresh()
        owned = log.shard in self._client.owned
        if self._is_long(log, owned=owned):
            await log.rollup(self._client.rng.token())
        if owned and isinstance(log.state, ShardState):
            self._compact(log)

    def _compact(self, log: ShardLog) -> None:
        client = self._client
        if len(self._compacting) >= COMPACTIONS_MAX or log.shard in self._compacting:
            return
        if compact.is_work_due(log.state, client.clock.now_ms(), client.config):
            self._compacting.add(log.shard)
            client.tasks.spawn(self._compact_one(log), name=f"persist-compact-{log.shard}")

    async def _compact_one(self, log: ShardLog) -> None:
        try:
            await compact.maintain(self._client, log, self._client.config)
        finally:
            self._compacting.discard(log.shard)

    async def _guarded(self, work: Any) -> None:
        """Do what is tried again anyway; its failure is a warning."""
        try:
            await work
        except InternalError:
            if not self._client.closed:
                raise
        except HeadwaterError as error:
            logger.warning("persist maintenance failed", extra={"why": str(error)})
