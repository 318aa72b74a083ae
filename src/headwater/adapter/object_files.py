"""Files in object stores and on the web, as COPY reads and writes them.

``s3://bucket/prefix`` with the credentials of an AWS connection, ``https://host/path`` with none.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.exceptions import NotFoundError as ObjectNotFound
from obstore.store import HTTPStore, ObjectStore, S3Store

from headwater.errors import (
    FeatureNotSupported,
    HeadwaterError,
    InvalidParameterValue,
    IoError,
    ProgramLimitExceeded,
    UndefinedFile,
)
from headwater.sql.plan.external import AwsConnection, StringOrSecret

# Files of one statement.
FILES_MAX = 10_000
# Bytes that are asked for at once.
CHUNK_BYTES = 1 << 20
_WEB = ("http", "https")
Reveal = Callable[[StringOrSecret | None], str | None]
"""From what a connection holds to the text itself."""


class Location:
    """A store, and where in it a URL points to."""

    def __init__(self, store: ObjectStore, url: str, path: str) -> None:
        self._store = store
        self._url = url
        self.path = path

    async def find(self, files: Sequence[str], pattern: str | None) -> list[str]:
        """Return the paths to read: those named, or all at the URL, if they match ``pattern``.

        Names and the pattern are relative to the URL, which is a folder then. Raises:
        UndefinedFile (there are none), ProgramLimitExceeded, IoError.
        """
        if files:
            return [self._within(name) for name in files]
        if isinstance(self._store, HTTPStore):
            if pattern is not None:
                raise FeatureNotSupported("COPY FROM a web address with PATTERN", hint=_NO_LISTS)
            return [self.path]
        if pattern is None and await self._is_file():
            return [self.path]
        folder = self._within("")
        found = [
            path
            for path in await self._list()
            if pattern is None or fnmatchcase(path.removeprefix(folder), pattern)
        ]
        if not found:
            raise UndefinedFile(f'there is no file "{folder}{pattern or "*"}" in {self._url}')
        return sorted(found)

    async def chunks(self, path: str) -> AsyncIterator[bytes]:
        """Yield the bytes of a file. Raises: UndefinedFile, IoError."""
        try:
            result = await obstore.get_async(self._store, path)
            async for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)
        except (BaseError, OSError) as error:
            raise self._translated(error, path) from error

    async def read(self, path: str, bytes_max: int) -> bytes:
        """Return a file whole. Raises: ProgramLimitExceeded, UndefinedFile, IoError."""
        try:
            result = await obstore.get_async(self._store, path)
            size = result.meta["size"]
            if size > bytes_max:
                raise ProgramLimitExceeded(
                    f'"{path}" has {size} bytes, and {bytes_max} can be read as one'
                )
            return bytes(await result.bytes_async())
        except (BaseError, OSError) as error:
            raise self._translated(error, path) from error

    async def write(self, name: str, data: bytes) -> None:
        """Write a file below the URL, whole or not at all. Raises: IoError."""
        path = self._within(name)
        try:
            await obstore.put_async(self._store, path, data)
        except (BaseError, OSError) as error:
            raise self._translated(error, path) from error

    async def _is_file(self) -> bool:
        """Return whether the URL is a file itself. Raises: IoError."""
        if not self.path or self.path.endswith("/"):
            return False
        try:
            await obstore.head_async(self._store, self.path)
        except (ObjectNotFound, FileNotFoundError):
            return False
        except (BaseError, OSError) as error:
            raise self._translated(error, self.path) from error
        return True

    async def _list(self) -> list[str]:
        found: list[str] = []
        try:
            async for batch in obstore.list(self._store, prefix=self.path or None):
                found.extend(entry["path"] for entry in batch)
                if len(found) > FILES_MAX:
                    raise ProgramLimitExceeded(
                        f"more than {FILES_MAX} files are at {self._url}",
                        hint="Name some with FILES.",
                    )
        except (BaseError, OSError) as error:
            raise self._translated(error, self.path) from error
        return found

    def _within(self, name: str) -> str:
        folder = self.path.rstrip("/")
        return f"{folder}/{name}" if folder else name

    def _translated(self, error: Exception, path: str) -> HeadwaterError:
        if isinstance(error, ObjectNotFound | FileNotFoundError):
            return UndefinedFile(f'"{path}" is not in {self._url}')
        return IoError(f"{self._url} can not be read or written", detail=f"{error}")


_NO_LISTS = "A web address names one file; name others next to it with FILES."


def open_location(url: str, aws: AwsConnection | None, reveal: Reveal) -> Location:
    """Return where ``url`` points to; nothing is asked of it yet.

    Raises: InvalidParameterValue (it is no such URL, or lacks a connection), FeatureNotSupported.
    """
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    if parts.scheme == "s3" and parts.netloc:
        if aws is None:
            raise InvalidParameterValue("COPY of an S3 URL requires the option AWS CONNECTION")
        return Location(_bucket(parts.netloc, aws, reveal), f"s3://{parts.netloc}", path)
    if parts.scheme in _WEB and parts.netloc:
        base = f"{parts.scheme}://{parts.netloc}"
        options = {"allow_http": True} if parts.scheme == "http" else {}
        return Location(HTTPStore(base, client_options=options), base, path)  # type: ignore[arg-type]
    raise InvalidParameterValue(
        f'"{url}" is not a URL that COPY knows', hint="Such are s3://… and https://…"
    )


def _bucket(name: str, aws: AwsConnection, reveal: Reveal) -> S3Store:
    if aws.assume_role_arn is not None:
        raise FeatureNotSupported(
            "an AWS connection that assumes a role",
            hint="Use ACCESS KEY ID and SECRET ACCESS KEY.",
        )
    given = {
        "region": aws.region,
        "endpoint": aws.endpoint,
        "access_key_id": reveal(aws.access_key_id),
        "secret_access_key": reveal(aws.secret_access_key),
        "session_token": reveal(aws.session_token),
    }
    config = {key: value for key, value in given.items() if value is not None}
    plain = (aws.endpoint or "").startswith("http:")
    options = {"allow_http": True} if plain else {}
    return S3Store(name, config=config, client_options=options)  # type: ignore[arg-type]
