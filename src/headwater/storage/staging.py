"""What a source has read and not committed: durable parts, and updates that wait to be part of one.

A reader hands over what there is, be it a few hundred records at a time, and of a backlog nothing
is committed before its end. Small batches are joined, so that a commit's inline parts stay small
however many batches it has, and the collection is kept in few parts.
"""

from headwater.persist import flat
from headwater.persist.parts import Part
from headwater.persist.write import WriteHandle

STAGE_BYTES = 4 << 20
"""Updates of one half that wait in memory; with that much they are written as a part."""


class _Half:
    """The ok half, or the errors, of one collection."""

    def __init__(self, writer: WriteHandle, *, errors: bool) -> None:
        self._writer = writer
        self._errors = errors
        self._parts: list[Part] = []
        self._waiting: list[bytes] = []
        self._bytes = 0

    async def add(self, updates: bytes) -> None:
        if updates == flat.EMPTY:
            return
        self._waiting.append(updates)
        self._bytes += len(updates)
        if self._bytes >= STAGE_BYTES:
            await self.parts()

    async def parts(self) -> tuple[Part, ...]:
        if self._waiting:
            updates = flat.concat(self._waiting)
            self._parts += await self._writer.upload(updates, errors=self._errors)
            self._waiting, self._bytes = [], 0
        return tuple(self._parts)


class Staged:
    """What is to be appended to one collection; nobody sees it yet."""

    def __init__(self, writer: WriteHandle) -> None:
        self._rows = _Half(writer, errors=False)
        self._row_errors = _Half(writer, errors=True)

    async def add(self, updates: bytes, errors: bytes = flat.EMPTY) -> None:
        """Stage updates of both halves, flat; some are written to the blob store now."""
        await self._rows.add(updates)
        await self._row_errors.add(errors)

    async def parts(self) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        """Return all that is staged, both halves; one part of each, the last, may be inline."""
        return await self._rows.parts(), await self._row_errors.parts()
