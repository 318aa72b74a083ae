"""A replica process: timely workers in Rust, and the Python shell that does their I/O.

The process listens on its link, obeys the controller with the newest epoch, and knows nothing but
what that controller tells it. When another controller takes over, everything begins anew: the
process replaces itself, which is the one way of forgetting that can't forget to forget.
"""

import asyncio
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence

import msgspec

from headwater.cluster.protocol import (
    PROTOCOL_VERSION,
    Hello,
    PartsRead,
    Ready,
    ShardFailed,
    ShellCommand,
)
from headwater.cluster.transport import (
    CHANNEL_SHELL,
    ControllerConnected,
    ControllerDisconnected,
    ControllerMessage,
    LinkServer,
    ServerEvent,
)
from headwater.compute.protocol import RefreshSink
from headwater.compute.worker import ComputeShell
from headwater.errors import HeadwaterError, IncompatibleVersion
from headwater.native.loader import native
from headwater.persist.blob import open_blob
from headwater.persist.client import PersistClient, PersistConfig
from headwater.persist.stores import open_consensus
from headwater.runtime.clock import SystemClock
from headwater.runtime.rng import SystemRng
from headwater.runtime.tasks import SupervisedTasks
from headwater.storage.worker import StorageShell
from headwater.types.ids import ShardId

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
# headwaterd compacts; a replica's client only renews leases and polls for what pushes missed.
_PERSIST = PersistConfig()
_commands = msgspec.msgpack.Decoder(ShellCommand)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent, process ``parent``, ends.

    Source: prctl(2); a parent that ended before the call is noticed by the second check.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started this replica is gone")


class Replica:
    """One replica process, from listening to its end."""

    def __init__(self, address: str, workers: int, arguments: Sequence[str]) -> None:
        self._address = address
        self._workers_count = workers
        self._arguments = arguments
        self._clock = SystemClock()
        self._stopping = asyncio.Event()
        self._epoch: int | None = None
        self._shells: tuple[ComputeShell, StorageShell] | None = None
        self._early: list[bytes] = []
        self._link: LinkServer | None = None

    async def run(self) -> None:
        """Serve until asked to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._tasks = SupervisedTasks()
        self._workers = native.ComputeServer(self._workers_count)
        self._link = LinkServer(self._address, self._workers)
        self._link.start(self._event)
        logger.info("replica listens", extra={"address": self._link.address})
        try:
            await self._stopping.wait()
        finally:
            await self._tasks.close()
            self._link.close()
            self._workers.shutdown()

    def _event(self, event: ServerEvent) -> None:
        match event:
            case ControllerConnected(hello=hello):
                self._controller_connected(msgspec.msgpack.decode(hello, type=Hello))
            case ControllerDisconnected(reason=reason):
                logger.warning("controller is gone", extra={"reason": reason})
            case ControllerMessage(payload=payload):
                if self._shells is None:
                    self._early.append(payload)
                else:
                    self._handle(*self._shells, payload)

    def _handle(self, compute: ComputeShell, storage: StorageShell, payload: bytes) -> None:
        command = _commands.decode(payload)
        if isinstance(command, RefreshSink):
            compute.refresh_sink(command)
        else:
            storage.handle(command)

    def _controller_connected(self, hello: Hello) -> None:
        if self._epoch is not None:
            logger.info("another controller takes over", extra={"epoch": hello.epoch})
            os.execv(
                sys.executable, [sys.executable, "-m", "headwater.cli.replica", *self._arguments]
            )
        if hello.version != PROTOCOL_VERSION:
            raise IncompatibleVersion(
                f"controller speaks version {hello.version}, this replica {PROTOCOL_VERSION}"
            )
        self._epoch = hello.epoch
        self._tasks.spawn(self._join(hello), name="join")

    async def _join(self, hello: Hello) -> None:
        assert self._link is not None
        blob = await open_blob(hello.blob)
        rng = SystemRng()
        consensus = await open_consensus(
            hello.consensus, self._clock, rng, self._tasks, secret=hello.secret
        )
        persist = PersistClient(blob, consensus, self._clock, rng, self._tasks, config=_PERSIST)
        await persist.start()
        txns = ShardId(hello.txns)
        compute = ComputeShell(
            self._workers,
            persist,
            self._tasks,
            txns,
            self._shard_failed,
            self._parts_read,
            self._link.take_all,
        )
        compute.start()
        storage = StorageShell(persist, txns, self._clock, self._tasks, self._send_shell)
        for payload in self._early:
            self._handle(compute, storage, payload)
        self._early.clear()
        self._shells = compute, storage
        ready = Ready(PROTOCOL_VERSION, os.getpid(), self._workers_count)
        self._send_shell(msgspec.msgpack.encode(ready))

    def _send_shell(self, payload: bytes) -> None:
        assert self._link is not None
        self._link.respond(CHANNEL_SHELL, payload)

    def _parts_read(self, fetched: int, skipped: int) -> None:
        self._send_shell(msgspec.msgpack.encode(PartsRead(fetched, skipped)))

    def _shard_failed(self, shard: ShardId, error: HeadwaterError | None) -> None:
        fields = error.fields() if error is not None else None
        self._send_shell(msgspec.msgpack.encode(ShardFailed(shard, fields)))
