"""Replicas as child processes on this machine.

Each runs ``headwater replica --listen …`` and lives at most as long as headwaterd: the kernel kills
it when its parent dies, so that a killed headwaterd leaves nothing behind that writes. A process
that ends is started again, at once the first time and then with growing pauses.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from headwater.cluster.orchestrator import ProcessEvent, ProcessSpec
from headwater.runtime.clock import Clock
from headwater.runtime.tasks import Tasks
from headwater.types.ids import ReplicaId

logger = logging.getLogger(__name__)

RESTART_PAUSE_MIN_S = 0.05
RESTART_PAUSE_MAX_S = 5.0
# A process that has run for so long is taken to be well: its next restart is immediate again.
RUNS_WELL_S = 10.0
# How long a process may take to stop when asked, before it is killed.
STOP_GRACE_S = 3.0


class ProcessOrchestrator:
    """See the module.

    Args:
        log_dir: Where each replica's output goes, one file a replica, appended.
    """

    def __init__(self, log_dir: Path, clock: Clock, tasks: Tasks) -> None:
        self._log_dir = log_dir
        self._clock = clock
        self._tasks = tasks
        self._keepers: dict[ReplicaId, asyncio.Task[None]] = {}
        self._running: dict[ReplicaId, asyncio.subprocess.Process] = {}
        self._listener: Callable[[ProcessEvent], None] = lambda _: None

    def set_listener(self, listener: Callable[[ProcessEvent], None]) -> None:
        """Have ``listener`` called with every start and end."""
        self._listener = listener

    def ensure(self, spec: ProcessSpec) -> None:
        """Start the process and start it again whenever it ends, until dropped."""
        if spec.replica not in self._keepers:
            self._keepers[spec.replica] = self._tasks.spawn(
                self._keep(spec), name=f"replica {spec.replica}"
            )

    def pid(self, replica: ReplicaId) -> int | None:
        """Return the process id of a replica that runs."""
        process = self._running.get(replica)
        return process.pid if process is not None else None

    def pids(self) -> list[int]:
        """Return the process ids of all replicas that run."""
        return [process.pid for process in self._running.values()]

    async def drop(self, replica: ReplicaId) -> None:
        """Stop a replica's process for good; returns when it has ended."""
        keeper = self._keepers.pop(replica, None)
        if keeper is None:
            return
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper

    async def close(self) -> None:
        """Stop everything; returns when all has ended."""
        await asyncio.gather(*(self.drop(replica) for replica in list(self._keepers)))

    async def _keep(self, spec: ProcessSpec) -> None:
        pause = 0.0
        while True:
            await self._clock.sleep(pause)
            started = self._clock.monotonic()
            reason = await self._run_once(spec)
            logger.warning("replica ended", extra={"replica": spec.replica, "reason": reason})
            if self._clock.monotonic() - started > RUNS_WELL_S:
                pause = 0.0
            else:
                pause = min(max(pause * 2, RESTART_PAUSE_MIN_S), RESTART_PAUSE_MAX_S)

    async def _run_once(self, spec: ProcessSpec) -> str:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        with (self._log_dir / f"replica-{spec.replica}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "headwater.cli.replica",
                "--listen",
                spec.address,
                "--workers",
                str(spec.workers),
                "--parent",
                str(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._running[spec.replica] = process
        self._listener(ProcessEvent(spec.replica, process.pid))
        try:
            code = await process.wait()
        finally:
            self._running.pop(spec.replica, None)
            await _stop(process)
        reason = _describe(code)
        self._listener(ProcessEvent(spec.replica, process.pid, reason))
        return reason


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_GRACE_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _describe(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    return f"killed by {signal.Signals(-code).name}"
