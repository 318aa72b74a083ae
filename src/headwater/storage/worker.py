"""The replica's side of storage: runs the sources and sinks that the controller places here.

Each runs as one task. A new description of a running one replaces it: the old task ends, the new
one goes on from what is durable.
"""

import logging
from collections.abc import Callable

import msgspec

from headwater.ir.ingestion import (
    IngestionDescription,
    KafkaSource,
    LoadGeneratorSource,
    SinkDescription,
)
from headwater.persist.client import PersistClient
from headwater.runtime.clock import Clock
from headwater.runtime.tasks import Tasks
from headwater.storage.ingestion import Ingestion
from headwater.storage.protocol import (
    Nudge,
    RunIngestion,
    RunSink,
    Stop,
    StorageCommand,
    StorageInitialized,
    StorageResponse,
)
from headwater.storage.sinks.running import RunningSink
from headwater.storage.sources.kafka import open_kafka
from headwater.storage.sources.load_generator import LoadGeneratorReader, resume_offset
from headwater.storage.sources.reader import SourceReader
from headwater.types.ids import GlobalId, ShardId

logger = logging.getLogger(__name__)

_encoder = msgspec.msgpack.Encoder()


class StorageShell:
    """Serves one controller connection of one replica process."""

    def __init__(
        self,
        persist: PersistClient,
        txns: ShardId,
        clock: Clock,
        tasks: Tasks,
        send: Callable[[bytes], None],
    ) -> None:
        self._persist = persist
        self._txns = txns
        self._clock = clock
        self._tasks = tasks
        self._send = send
        self._ingestions: dict[GlobalId, Ingestion] = {}
        self._sinks: dict[GlobalId, RunningSink] = {}
        self._running: dict[GlobalId, _Run] = {}

    def handle(self, command: StorageCommand) -> None:
        """Carry out one command."""
        match command:
            case RunIngestion(ingestion=ingestion):
                self._run_ingestion(ingestion)
            case RunSink(sink=sink):
                self._run_sink(sink)
            case Stop(id=id):
                self._stop(id)
            case Nudge(id=id, time=time):
                if id in self._ingestions:
                    self._ingestions[id].nudge(time)
                if id in self._sinks:
                    self._sinks[id].nudge(time)
            case StorageInitialized():
                pass  # a replica's process begins empty: there is nothing to stop

    def report(self, response: StorageResponse) -> None:
        """Send a status or statistics to the controller."""
        self._send(_encoder.encode(response))

    def _run_ingestion(self, description: IngestionDescription) -> None:
        running = self._running.get(description.id)
        if running is not None and running.description == description:
            return
        self._stop(description.id)
        ingestion = Ingestion(
            description, self._persist, self._clock, self._open_reader, self.report
        )
        self._ingestions[description.id] = ingestion
        task = self._tasks.spawn(ingestion.run(), name=f"source {description.id}")
        self._running[description.id] = _Run(description, task.cancel)

    def _run_sink(self, description: SinkDescription) -> None:
        running = self._running.get(description.id)
        if running is not None and running.description == description:
            return
        self._stop(description.id)
        sink = RunningSink(description, self._persist, self._txns, self._clock, self.report)
        self._sinks[description.id] = sink
        task = self._tasks.spawn(sink.run(), name=f"sink {description.id}")
        self._running[description.id] = _Run(description, task.cancel)

    def _stop(self, id: GlobalId) -> None:
        self._ingestions.pop(id, None)
        self._sinks.pop(id, None)
        running = self._running.pop(id, None)
        if running is not None:
            running.cancel()

    async def _open_reader(
        self,
        description: IngestionDescription,
        bindings: bytes,
        persist: PersistClient,
        *,
        backfill: bool = False,
    ) -> SourceReader:
        match description.source:
            case LoadGeneratorSource() as source:
                offset = resume_offset(bindings)
                if backfill:
                    return LoadGeneratorReader(source, None, self._clock, until=offset)
                return LoadGeneratorReader(source, offset, self._clock)
            case KafkaSource() as source:
                return await open_kafka(
                    source, description, bindings, persist, self._clock, backfill=backfill
                )


class _Run:
    """A source or sink under way."""

    def __init__(
        self,
        description: IngestionDescription | SinkDescription,
        cancel: Callable[[], object],
    ) -> None:
        self.description = description
        self.cancel = cancel
