"""Kafka sinks: the Python side of ``hw_storage::sink::kafka``, whose calls block in a thread."""

import asyncio

import msgspec

from headwater.errors import ConnectionFailure, InvalidParameterValue
from headwater.ir.ingestion import SinkDescription
from headwater.native.loader import native


class KafkaWriter:
    """One sink's transactional producer."""

    def __init__(self, writer: native.KafkaWriter, version: int) -> None:
        self._writer = writer
        self._version = version

    def progress(self) -> int | None:
        """Return the time before which everything is written, None if nothing ever was."""
        return self._writer.progress()

    async def write(self, batches: list[bytes], frontier: int) -> tuple[int, int]:
        """Write all changes before ``frontier`` in one transaction; return records and bytes.

        Raises:
            ConnectionFailure: The outcome is unknown; open a new writer and ask its progress.

        Cancellation: takes effect when the transaction has ended.
        """
        work = asyncio.ensure_future(
            asyncio.to_thread(self._writer.write, batches, frontier, self._version)
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait((work,))
            raise
        except native.SourceUnavailable as error:
            raise ConnectionFailure(str(error)) from error


async def open_writer(description: SinkDescription) -> KafkaWriter:
    """Open the sink's producer, fencing any older one.

    Raises:
        ConnectionFailure: The brokers are out of reach.
        InvalidParameterValue: The sink can't be written as described.
    """
    options = msgspec.msgpack.encode(description.sink)
    desc = msgspec.msgpack.encode(description.desc)
    try:
        writer = await asyncio.to_thread(native.KafkaWriter, options, desc)
    except native.SourceUnavailable as error:
        raise ConnectionFailure(str(error)) from error
    except native.SourceDefinite as error:
        raise InvalidParameterValue(str(error)) from error
    return KafkaWriter(writer, description.version)
