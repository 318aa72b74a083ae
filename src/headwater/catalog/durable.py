"""The catalog's shard: opened by one server at a time, changed by compare-and-append.

The shard holds rows ``(kind, key, value)`` of texts; its time counts commits. Opening it increments
the epoch, itself a row, so that of two servers only the later can commit; the earlier learns of it
as ``Fenced``. A data folder whose format is newer than this program's is refused.
"""

import logging
from collections.abc import Iterable

from headwater.catalog.codec import Change, Kind, State
from headwater.catalog.rows import read_texts, text
from headwater.errors import DataCorrupted, Fenced, IncompatibleVersion, invariant
from headwater.persist import flat
from headwater.persist.client import PersistClient
from headwater.persist.errors import UpperMismatch
from headwater.persist.holds import ReadHold
from headwater.persist.write import WriteHandle
from headwater.types import scalar
from headwater.types.ids import ShardId
from headwater.types.relation import Column, RelationDesc
from headwater.types.time import Timestamp

logger = logging.getLogger(__name__)

CATALOG_SHARD = ShardId("catalog")
# Raised whenever an older program could misread what a newer one has written.
FORMAT_VERSION = 1
CATALOG_DESC = RelationDesc(
    (
        Column("kind", scalar.TEXT, nullable=False),
        Column("key", scalar.TEXT, nullable=False),
        Column("value", scalar.TEXT, nullable=False),
    )
)
_HOLD = "catalog"
# History of so many commits is kept at most before the hold follows.
_HOLD_STEP = 64
_FORMAT = (Kind.META.value, "format")
_EPOCH = (Kind.META.value, "epoch")


class DurableCatalog:
    """The opened catalog.

    Attributes:
        epoch: Which opening of this catalog this is, from 1.
        state: All rows as of the last commit.
        is_new: Whether the catalog was empty when it was opened.
    """

    def __init__(
        self, persist: PersistClient, shard: ShardId, writer: WriteHandle, hold: ReadHold
    ) -> None:
        self._persist = persist
        self._shard = shard
        self._writer = writer
        self._hold = hold
        self._next = Timestamp(0)
        self.epoch = 0
        self.state: State = {}
        self.is_new = True

    @staticmethod
    async def open(persist: PersistClient, shard: ShardId = CATALOG_SHARD) -> "DurableCatalog":
        """Open the catalog and fence whoever has it open.

        Raises:
            IncompatibleVersion: A newer program has written it.
        """
        writer = await persist.open_writer(shard, CATALOG_DESC)
        hold = await persist.hold(shard, Timestamp(0), name=_HOLD, lease=False)
        catalog = DurableCatalog(persist, shard, writer, hold)
        while True:
            await catalog._load()
            try:
                await catalog._take_over()
            except UpperMismatch:
                continue  # another server has opened it in the same moment; fence that one
            break
        await persist.fence(shard, catalog.epoch)
        catalog._writer = await persist.open_writer(shard, CATALOG_DESC, epoch=catalog.epoch)
        await catalog._compact()
        logger.info("catalog opened", extra={"epoch": catalog.epoch, "new": catalog.is_new})
        return catalog

    async def commit(self, changes: Iterable[Change]) -> None:
        """Make ``changes`` durable, all or none.

        Raises:
            Fenced: Another server has opened the catalog meanwhile. Nothing was changed.
        """
        changes = [change for change in changes if change.old != change.new]
        if not changes:
            return
        for change in changes:
            invariant(
                self.state.get(change.key) == change.old or change.key[0] == Kind.SECRET,
                "a catalog change starts from another state",
                key=change.key,
            )
        try:
            await self._append(changes)
        except UpperMismatch as err:
            raise Fenced(
                "a newer server has taken this environment over",
                hint="Connect to the newer server, or stop it.",
            ) from err
        if self._next % _HOLD_STEP == 0:
            await self._compact()

    async def _load(self) -> None:
        reader = await self._persist.open_reader(self._shard)
        try:
            upper = await self._writer.refresh()
            if upper is None:
                raise DataCorrupted("the catalog's collection is closed")
            self._next = upper
            self.is_new = upper == 0
            self.state = {}
            if upper == 0:
                return
            snapshot = await reader.snapshot(Timestamp(upper - 1))
            batches = [await reader.fetch_flat(ref) for ref in snapshot.parts]
        finally:
            await reader.close()
        for row, _, diff in flat.consolidate(flat.concat(batches)):
            columns = read_texts(row)
            if diff != 1 or len(columns) != 3 or (columns[0], columns[1]) in self.state:
                raise DataCorrupted("the catalog holds a row that it never wrote")
            self.state[columns[0], columns[1]] = columns[2]
        self._check_format()

    def _check_format(self) -> None:
        found = int(self.state.get(_FORMAT, FORMAT_VERSION))
        if found > FORMAT_VERSION:
            raise IncompatibleVersion(
                f"the data were written by a newer version "
                f"(format {found}, known {FORMAT_VERSION})",
                hint="Start them with the version that wrote them, or a newer one.",
            )

    async def _take_over(self) -> None:
        old = self.state.get(_EPOCH)
        self.epoch = int(old or 0) + 1
        await self._append(
            [
                Change(_EPOCH, old, str(self.epoch)),
                Change(_FORMAT, self.state.get(_FORMAT), str(FORMAT_VERSION)),
            ]
        )

    async def _append(self, changes: "list[Change]") -> None:
        updates: list[flat.Update] = []
        for change in changes:
            kind, key = change.key
            old = self.state.get(change.key)
            if old == change.new:
                continue
            if old is not None:
                updates.append((text(kind) + text(key) + text(old), self._next, -1))
            if change.new is not None:
                updates.append((text(kind) + text(key) + text(change.new), self._next, 1))
        after = Timestamp(self._next + 1)
        await self._writer.compare_and_append(flat.build(updates), self._next, after)
        self._next = after
        for change in changes:
            if change.new is None:
                self.state.pop(change.key, None)
            else:
                self.state[change.key] = change.new

    async def _compact(self) -> None:
        await self._hold.downgrade(Timestamp(max(self._next - 1, 0)))
