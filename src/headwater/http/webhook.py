"""``POST /api/webhook/<database>/<schema>/<name>``: answered when the rows are durable."""

import logging
from collections.abc import Sequence
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from headwater.errors import (
    ConfigurationLimitExceeded,
    HeadwaterError,
    InvalidAuthorization,
    UndefinedObject,
    UserError,
)

logger = logging.getLogger(__name__)

WEBHOOK_PATH = "/api/webhook/{database}/{schema}/{name:path}"
# A larger body is refused before it is read to its end.
BODY_BYTES_MAX = 2 << 20

_BAD_REQUEST, _UNAUTHORIZED, _NOT_FOUND = 400, 401, 404
_TOO_LARGE, _TOO_MANY, _UNAVAILABLE = 413, 429, 503


class Webhooks(Protocol):
    """Who takes requests; see ``headwater.adapter.webhooks``."""

    async def accept(
        self,
        database: str,
        schema: str,
        name: str,
        headers: Sequence[tuple[str, bytes]],
        body: bytes,
    ) -> None:
        """Write the rows of one request, durably."""
        ...


class WebhookEndpoint:
    """Turns requests into calls, and errors into statuses."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    async def post(self, request: Request) -> Response:
        """Answer one request.

        Returns: 200; 400 if CHECK or the body's format refuse it, 401 for a header given twice, 404
        without such a webhook, 413 and 429 beyond the limits, 503 if it could not be written.
        """
        try:
            body = await _read(request)
        except ClientDisconnect:
            return Response(status_code=_BAD_REQUEST)
        if body is None:
            text = f"the body is larger than {BODY_BYTES_MAX} bytes"
            return PlainTextResponse(text, status_code=_TOO_LARGE)
        path = request.path_params
        headers = [(name.decode("latin-1").lower(), value) for name, value in request.headers.raw]
        try:
            await self._webhooks.accept(
                path["database"], path["schema"], path["name"], headers, body
            )
        except HeadwaterError as error:
            return PlainTextResponse(error.message, status_code=_status(error))
        return Response(status_code=200)


async def _read(request: Request) -> bytes | None:
    """Return the body, None if it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return None
    return bytes(body)


def _status(error: HeadwaterError) -> int:
    match error:
        case UndefinedObject():
            return _NOT_FOUND
        case ConfigurationLimitExceeded():
            return _TOO_MANY
        case InvalidAuthorization():
            return _UNAUTHORIZED
        case UserError():
            return _BAD_REQUEST
        case _:
            logger.warning("a webhook request could not be written", extra={"why": error.message})
            return _UNAVAILABLE
