"""Appending to shards."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from headwater.errors import InternalError
from headwater.persist import flat, machine
from headwater.persist.holds import Committer, ShardLog
from headwater.persist.log import Change
from headwater.persist.parts import InlinePart, Part
from headwater.types.frontier import Frontier
from headwater.types.ids import ShardId
from headwater.types.relation import RelationDesc
from headwater.types.time import Timestamp

Data = bytes | Sequence[Part]


class Uploader(Committer, Protocol):
    """What makes parts: the client."""

    async def make_parts(
        self, shard: ShardId, desc: RelationDesc, data: bytes, *, errors: bool
    ) -> tuple[Part, ...]:
        """Return ``data`` as parts: inline while small, else written to the blob store."""
        ...


class WriteHandle:
    """A writer of one shard. Several may exist; compare-and-append decides between them.

    Attributes:
        shard: The shard.
        desc: Its shape.
        epoch: The owner's epoch; appends fail once a later one has fenced the shard. None: any.
    """

    def __init__(
        self, client: Uploader, log: ShardLog, desc: RelationDesc, epoch: int | None
    ) -> None:
        self.shard = log.shard
        self.desc = desc
        self.epoch = epoch
        self.log = log
        self._client = client

    @property
    def upper(self) -> Frontier:
        """Return the upper as this process knows it; the shard's may be beyond."""
        return self.log.state.upper

    async def refresh(self) -> Frontier:
        """Return the upper as of now."""
        await self.log.refresh()
        return self.upper

    async def upload(self, data: bytes, *, errors: bool = False) -> tuple[Part, ...]:
        """Make ``data`` (flat) durable as parts, to be appended later; nobody sees them yet."""
        return await self._client.make_parts(self.shard, self.desc, data, errors=errors)

    async def compare_and_append(
        self, data: Data, lower: Timestamp, upper: Frontier, *, errors: Data = b""
    ) -> None:
        """Add all updates at times ``lower <= time < upper``; durable on return.

        Args:
            data: The ok half: flat updates, or parts from :meth:`upload`. May be empty.
            lower: Must be the shard's upper.
            upper: The shard's upper on return; None closes the shard.
            errors: The error half, likewise.

        Raises:
            UpperMismatch: ``lower`` is not the upper; ``current`` is. Nothing was changed.
            Fenced: A later owner has taken over.
            DiskFull: Nothing was changed.
            ConnectionFailure: The outcome is unknown; trying the same again is safe: if it then
                raises UpperMismatch with ``current == upper``, this or an equal append happened.

        Cancellation: the append may or may not have happened.
        """
        await self._client.commit([await self.change(data, lower, upper, errors=errors)])

    async def change(
        self, data: Data, lower: Timestamp, upper: Frontier, *, errors: Data = b""
    ) -> Change:
        """Return the append as a change that can be committed together with others."""
        op = machine.Append(
            lower=lower,
            upper=upper,
            parts=await self._parts(data, lower, upper, errors=False),
            errors=await self._parts(errors, lower, upper, errors=True),
            epoch=self.epoch,
        )
        return Change(self.log, (op,))

    async def close(self) -> None:
        """Let go of the shard."""
        await self._client.let_go(self.log)

    async def _parts(
        self, data: Data, lower: Timestamp, upper: Frontier, *, errors: bool
    ) -> tuple[Part, ...]:
        if not isinstance(data, bytes):
            parts = tuple(data)
        elif data in (b"", flat.EMPTY):
            return ()
        else:
            check_times(self.shard, data, lower, upper)
            return await self.upload(data, errors=errors)
        for part in parts:
            if isinstance(part, InlinePart):
                check_times(self.shard, part.data, lower, upper)
        return tuple(part for part in parts if part.updates)


class ShardAppend(msgspec.Struct, frozen=True):
    """One of several appends that happen together; see ``PersistClient.append_many``."""

    writer: WriteHandle
    data: Data
    lower: Timestamp
    upper: Frontier
    errors: Data = b""


def check_times(shard: ShardId, data: bytes, lower: int, upper: Frontier) -> None:
    """Raise InternalError unless all times of ``data`` lie in ``[lower, upper)``."""
    all_times = flat.times(data)
    if not all_times:
        return
    first, last = min(all_times), max(all_times)
    if first < lower or (upper is not None and last >= upper):
        raise InternalError(
            f"append to shard {shard} has times outside its bounds",
            detail=f"Times {first} to {last}, lower {lower}, upper {upper}.",
        )
