"""Load generators: rounds by the clock, made by ``hw_storage::generator``.

The offset counts rounds that are done; its binding is one row ``(offset uint8)``.
"""

from collections import Counter

import msgspec

from headwater.errors import invariant
from headwater.ir.ingestion import LoadGeneratorSource
from headwater.ir.literals import int_datum, literal_int
from headwater.ir.scalar import Literal
from headwater.native.loader import native
from headwater.persist import flat
from headwater.runtime.clock import Clock
from headwater.storage.sources.reader import OutputBatch, SourceBatch, Standing
from headwater.types.scalar import UINT8, ColumnType

# A reader that has fallen behind its ticks makes at most so many rounds in one batch.
ROUNDS_MAX = 1_000


def resume_offset(bindings: bytes) -> int | None:
    """Return the offset that the remap collection's rows say, None if there are none."""
    rows: Counter[bytes] = Counter()
    for row, _, diff in flat.updates(bindings) if bindings else ():
        rows[row] += diff
    live = [row for row, count in rows.items() if count]
    if not live:
        return None
    invariant(len(live) == 1, "a load generator has several offsets", rows=live)
    return literal_int(Literal(live[0], ColumnType(UINT8, nullable=False)))


class LoadGeneratorReader:
    """One generator, ``offset`` rounds done already.

    Rounds come ``tick_ms`` apart by the machine's monotonic clock, the first at once; time that
    passed while nothing ran is not made up for. A CLOCK's rounds are counted from the epoch, and it
    makes up for all of it.

    Args:
        until: Make the rounds before this offset, without waiting, and end.
    """

    def __init__(
        self,
        source: LoadGeneratorSource,
        offset: int | None,
        clock: Clock,
        *,
        until: int | None = None,
    ) -> None:
        self._is_clock = source.generator == "clock"
        first = source.as_of
        if self._is_clock and offset is None:
            # Where the clock begins; of one that is read up to an offset only the last row stands.
            first = clock.now_ms() // source.tick_ms if until is None else until - 1
            source = msgspec.structs.replace(source, as_of=first)
        self._source = source
        self._until = until
        self._bound = offset
        self._offset = max(offset or 0, first)
        self._step = 0
        self._clock = clock
        self._due = clock.monotonic()
        if self._is_clock:
            self._due += (self._offset * source.tick_ms - clock.now_ms()) / 1_000
        self._native = native.LoadGenerator(msgspec.msgpack.encode(source))

    async def next(self, wait_s: float) -> SourceBatch | None:
        """Return the next step of the round that is due; waits for it at most ``wait_s``."""
        if self._ended():
            raise StopAsyncIteration
        if self._step == 0 and self._until is None:
            pause = self._due - self._clock.monotonic()
            if pause > 0:
                await self._clock.sleep(min(pause, wait_s))
            if self._clock.monotonic() < self._due:
                return None
        outputs: dict[str, list[bytes]] = {}
        rounds = 0
        more = True
        while more:
            more = self._make_step(outputs)
            rounds += 1
            if more or rounds >= ROUNDS_MAX or self._ended():
                break
            more = self._until is not None or self._clock.monotonic() >= self._due
        made = {name: OutputBatch(flat.concat(parts)) for name, parts in outputs.items()}
        unfinished = self._step > 0
        return SourceBatch(
            outputs=made,
            bindings=flat.EMPTY if unfinished else self._bind(),
            more=unfinished,
            messages=sum(flat.count(output.updates) for output in made.values()),
            bytes=sum(len(output.updates) for output in made.values()),
        )

    def committed(self, batch: SourceBatch) -> None:
        """Nobody upstream is to be told."""

    def standing(self) -> Standing:
        """Return how the generator stands: it knows of no rounds but those it has made."""
        return Standing(offset_known=self._bound, offset_committed=self._bound)

    async def close(self) -> None:
        """Nothing is held."""

    def _ended(self) -> bool:
        limits = [limit for limit in (self._source.up_to, self._until) if limit is not None]
        return bool(limits) and self._offset >= min(limits)

    def _make_step(self, outputs: dict[str, list[bytes]]) -> bool:
        """Make one step of the current round; return whether the round has another."""
        now_micros = self._clock.now_ms() * 1_000
        made, more = self._native.step(self._offset, self._step, now_micros)
        for name, updates in made:
            outputs.setdefault(name, []).append(updates)
        if more:
            self._step += 1
        else:
            self._step = 0
            self._offset += 1
            self._due += self._source.tick_ms / 1000
            if not self._is_clock:
                self._due = max(self._due, self._clock.monotonic() - 1)
        return more

    def _bind(self) -> bytes:
        updates = [] if self._bound is None else [(int_datum(self._bound), 0, -1)]
        updates.append((int_datum(self._offset), 0, 1))
        self._bound = self._offset
        return flat.build(updates)
