"""Running one headwaterd: start, announce, wait for a signal or a failure, stop."""

import asyncio
import signal
from collections.abc import Callable

from headwater.environment.assemble import Environment
from headwater.environment.config import EnvironmentConfig
from headwater.errors import HeadwaterError


async def serve_until_stopped(
    config: EnvironmentConfig, announce: Callable[[EnvironmentConfig, str], None]
) -> None:
    """Run one headwaterd until it is asked to stop, or can't go on.

    Raises:
        Fenced: A newer server has taken the environment over.
    """
    environment = Environment(config)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def fail(error: HeadwaterError) -> None:
        if not ended.done():
            ended.set_exception(error)

    def stop() -> None:
        if not ended.done():
            ended.set_result(None)

    environment.on_failure = fail
    try:
        address = await environment.start()
        _on_signals(loop, stop)
        announce(config, address)
        await ended
    finally:
        await environment.close()


def _on_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Have ``stop`` called on SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
