"""The HTTP application: ``/api/livez``, ``/api/readyz``, ``/metrics``, ``/api/webhook/…``."""

import asyncio
import contextlib
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from headwater.http.metrics import Observed, metrics_text
from headwater.http.webhook import WEBHOOK_PATH, WebhookEndpoint, Webhooks
from headwater.runtime.tasks import Tasks

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# How long requests under way may take to end when the server stops.
_STOP_GRACE_S = 2
_DATE_TICK_S = 1.0


class HttpServer:
    """Serves the application on one address, on the running event loop."""

    def __init__(self, observed: Observed, webhooks: Webhooks, tasks: Tasks) -> None:
        self._observed = observed
        self._webhooks = webhooks
        self._tasks = tasks
        self._server: _QuietServer | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, address: str) -> str:
        """Listen on ``host:port`` and return the address, with a real port.

        Raises:
            OSError: The address is in use, or none of ours.
        """
        host, _, port = address.rpartition(":")
        listener = socket.create_server((host, int(port)))
        config = uvicorn.Config(
            self._app(),
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_STOP_GRACE_S,
        )
        self._server = _QuietServer(config)
        self._task = self._tasks.spawn(self._server.serve([listener]), name="http")
        bound_host, bound_port = listener.getsockname()[:2]
        return f"{bound_host}:{bound_port}"

    async def close(self) -> None:
        """Stop listening, and return when requests under way have ended."""
        if self._server is not None and self._task is not None:
            self._server.stop()
            await asyncio.wait((self._task,))

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/livez", _alive),
                Route("/api/readyz", _alive),
                Route("/metrics", self._metrics),
                Route(WEBHOOK_PATH, WebhookEndpoint(self._webhooks).post, methods=["POST"]),
            ]
        )

    async def _metrics(self, _: Request) -> Response:
        return Response(metrics_text(self._observed), media_type=_METRICS_TYPE)


class _QuietServer(uvicorn.Server):
    """uvicorn that leaves signals to the environment and wakes once a second, not ten times."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Have the server end, at once."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Tick until it is the end: once a second, as the header Date does."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _DATE_TICK_S)

    def install_signal_handlers(self) -> None:
        """Leave signals to the environment."""

    def capture_signals(self) -> contextlib.nullcontext[None]:  # type: ignore[override]
        """Leave signals to the environment."""
        return contextlib.nullcontext()


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ready")
