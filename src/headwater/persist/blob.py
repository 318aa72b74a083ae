"""Blobs: immutable objects by key, in a folder or in any object store.

Keys are relative paths of ``[A-Za-z0-9_.-]`` joined by ``/``. An object is written once; a ``put``
of the same key writes the same bytes. The folder store does its own writing: obstore's LocalStore
does not fsync, neither the file nor its folder.

Source: design, section 11 (0.4 ms for a durable local part).
"""

import asyncio
import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.exceptions import NotFoundError as ObjectNotFound
from obstore.store import ObjectStore, from_url

from headwater.errors import (
    DataCorrupted,
    DiskFull,
    HeadwaterError,
    InvalidParameterValue,
    IoError,
    SystemError_,
    invariant,
)
from headwater.runtime.clock import Clock, SystemClock

T = TypeVar("T")
Keys = list[str]

LEFT_OVER_MS = 3_600_000  # no write takes longer

_KEY = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*\Z")
_TEMPORARY = re.compile(r"#[0-9]+\Z")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Blob(Protocol):
    """A store of immutable objects.

    Raises:
        DataCorrupted: From ``get``: there is no such object.
        DiskFull: From ``put``: nothing was written.
        IoError, SystemError_: The store failed; trying again may help.
    """

    async def get(self, key: str) -> bytes:
        """Return the object."""
        ...

    async def put(self, key: str, data: bytes) -> None:
        """Write the object; durable on return, whole or not at all."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the object; one that is gone already is no error."""
        ...

    async def list(self, prefix: str) -> Keys:
        """Return the keys that begin with ``prefix``, sorted."""
        ...


async def open_blob(url: str) -> Blob:
    """Open the store that ``url`` names.

    Args:
        url: A path or ``file:///path``; or what obstore knows, such as
            ``s3://bucket/prefix?endpoint=http://…&region=…&access_key_id=…&secret_access_key=…``
            (what is not given comes from the environment: ``AWS_ACCESS_KEY_ID`` and so on).

    Raises:
        InvalidParameterValue: The URL names no store.
    """
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        path = Path(unquote(parts.path) if parts.scheme else url)
        return await asyncio.to_thread(LocalBlob, path)
    options = dict(parse_qsl(parts.query))
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if options.get("endpoint", "").startswith("http:"):
        options.setdefault("allow_http", "true")
    client = {"allow_http": True} if options.pop("allow_http", "") == "true" else {}
    try:
        store = from_url(base, config=options, client_options=client)  # type: ignore[call-overload]
    except (BaseError, ValueError) as err:
        raise InvalidParameterValue(f'"{base}" is not a blob store', detail=f"{err}.") from err
    return ObjectBlob(store)


class LocalBlob:
    """A folder.

    Left-overs of interrupted writes (``name#1``) are removed on opening once they are an hour old:
    other processes may be writing at this moment.
    """

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._root = root
        self._writes = 0
        oldest = ((clock or SystemClock()).now_ms() - LEFT_OVER_MS) / 1000
        try:
            root.mkdir(parents=True, exist_ok=True)
            for path in root.rglob("*#*"):
                if _TEMPORARY.search(path.name) and path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)
        except OSError as err:
            raise _translated(err, str(root)) from err

    async def get(self, key: str) -> bytes:
        """Return the object."""
        return await self._do(key, lambda path: path.read_bytes())

    async def put(self, key: str, data: bytes) -> None:
        """Write the object, its folder entry included, to the disk."""
        self._writes += 1
        temporary = f"#{self._writes}"
        await self._do(key, lambda path: _write(path, path.with_name(path.name + temporary), data))

    async def delete(self, key: str) -> None:
        """Remove the object."""
        await self._do(key, lambda path: path.unlink(missing_ok=True))

    async def list(self, prefix: str) -> Keys:
        """Return the keys that begin with ``prefix``, sorted."""
        return await asyncio.to_thread(self._list, prefix)

    def _list(self, prefix: str) -> Keys:
        folder = self._root / prefix.rpartition("/")[0]
        keys = (
            path.relative_to(self._root).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and not _TEMPORARY.search(path.name)
        )
        return sorted(key for key in keys if key.startswith(prefix))

    async def _do(self, key: str, work: Callable[[Path], T]) -> T:
        _check_key(key)
        try:
            return await asyncio.to_thread(work, self._root / key)
        except FileNotFoundError as err:
            raise _missing(key) from err
        except OSError as err:
            raise _translated(err, key) from err


def _write(path: Path, temporary: Path, data: bytes) -> None:
    made = []
    folder = path.parent
    while not folder.exists():
        made.append(folder)
        folder = folder.parent
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    for entry in (path, *made):
        _fsync_folder(entry.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ObjectBlob:
    """Any object store that obstore speaks to."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def get(self, key: str) -> bytes:
        """Return the object."""
        _check_key(key)
        try:
            response = await obstore.get_async(self._store, key)
            return bytes(await response.bytes_async())
        except (ObjectNotFound, FileNotFoundError) as err:
            raise _missing(key) from err
        except BaseError as err:
            raise _store_failed(key, err) from err

    async def put(self, key: str, data: bytes) -> None:
        """Write the object."""
        _check_key(key)
        try:
            await obstore.put_async(self._store, key, data)
        except (BaseError, OSError) as err:
            raise _store_failed(key, err) from err

    async def delete(self, key: str) -> None:
        """Remove the object."""
        _check_key(key)
        try:
            await obstore.delete_async(self._store, key)
        except (ObjectNotFound, FileNotFoundError):
            return
        except BaseError as err:
            raise _store_failed(key, err) from err

    async def list(self, prefix: str) -> Keys:
        """Return the keys that begin with ``prefix``, sorted."""
        # Stores list by whole path segments; the rest of the prefix is ours to match.
        folder = prefix.rpartition("/")[0]
        try:
            found = []
            async for batch in obstore.list(self._store, folder or None, chunk_size=1000):
                found += [entry["path"] for entry in batch]
        except BaseError as err:
            raise _store_failed(prefix, err) from err
        return sorted(key for key in found if key.startswith(prefix))


def _check_key(key: str) -> None:
    invariant(_KEY.match(key) is not None and ".." not in key, "blob key is well formed", key=key)


def _missing(key: str) -> DataCorrupted:
    return DataCorrupted(f'blob "{key}" is missing')


def _store_failed(key: str, error: BaseException) -> SystemError_:
    return SystemError_(f'blob store failed at "{key}"', detail=f"{error}.")


def _translated(error: OSError, key: str) -> HeadwaterError:
    if error.errno in _NO_SPACE:
        return DiskFull(f'could not write blob "{key}": no space left on device')
    return IoError(f'could not access blob "{key}": {(error.strerror or str(error)).lower()}')
