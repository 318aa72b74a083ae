"""Messages between a consensus server and its clients: framed MessagePack.

A frame is a ``u32`` length, little-endian, and one message. The first frame of a client is
:class:`Hello`, and until it is welcomed nothing larger than ``HELLO_BYTES_MAX`` is read from it.
"""

from collections.abc import Iterator

import msgspec

from headwater.errors import (
    ConnectionFailure,
    DataCorrupted,
    DiskFull,
    ErrorFields,
    HeadwaterError,
    IncompatibleVersion,
    InternalError,
    IoError,
    ProtocolViolation,
)
from headwater.persist.consensus import COMMIT_BYTES_MAX, Cas, SeqNo
from headwater.types.ids import ShardId

PROTOCOL_VERSION = 1
HELLO_BYTES_MAX = 4 << 10
FRAME_BYTES_MAX = COMMIT_BYTES_MAX + (4 << 20)
SCAN_BYTES = 16 << 20  # versions of a long log come in several answers of about this size

_LENGTH_BYTES = 4


class Message(msgspec.Struct, frozen=True, tag_field="kind", array_like=True):
    """One frame's contents."""


class Hello(Message, frozen=True, tag="hello"):
    """The client's first message."""

    version: int
    secret: bytes = b""


class Commit(Message, frozen=True, tag="commit"):
    """Apply all ops or none; answered by Committed."""

    id: int
    ops: tuple[Cas, ...]


class Scan(Message, frozen=True, tag="scan"):
    """Read a log; answered by Versions."""

    id: int
    shard: ShardId
    from_seqno: SeqNo


class Truncate(Message, frozen=True, tag="truncate"):
    """Remove old versions; answered by Done."""

    id: int
    shard: ShardId
    before: SeqNo


class ListShards(Message, frozen=True, tag="list"):
    """Ask for the shards; answered by Shards."""

    id: int


class Watch(Message, frozen=True, tag="watch"):
    """Push a shard's versions from now on; answered by Done."""

    id: int
    shard: ShardId


class Unwatch(Message, frozen=True, tag="unwatch"):
    """Push a shard's versions no more; not answered."""

    shard: ShardId


Request = Hello | Commit | Scan | Truncate | ListShards | Watch | Unwatch


class Welcome(Message, frozen=True, tag="welcome"):
    """The client may go on."""

    version: int
    inline_bytes_max: int


class Committed(Message, frozen=True, tag="committed"):
    """The outcome of a commit; no mismatch: it happened."""

    id: int
    mismatched: tuple[ShardId, ...]


class Versions(Message, frozen=True, tag="versions"):
    """Some of a log, oldest first; ``more``: ask again after the last."""

    id: int
    versions: tuple[tuple[SeqNo, bytes], ...]
    more: bool


class Shards(Message, frozen=True, tag="shards"):
    """The shards that have a version."""

    id: int
    shards: tuple[ShardId, ...]


class Done(Message, frozen=True, tag="done"):
    """What was asked has been done."""

    id: int


class Failed(Message, frozen=True, tag="failed"):
    """What was asked has failed."""

    id: int
    error: ErrorFields


class Push(Message, frozen=True, tag="push"):
    """A version that someone else has committed."""

    shard: ShardId
    seqno: SeqNo
    data: bytes


Answer = Welcome | Committed | Versions | Shards | Done | Failed | Push

_encoder = msgspec.msgpack.Encoder()
request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
answer_decoder: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def frame(message: Message) -> bytes:
    """Return a message as a frame."""
    buffer = bytearray(_LENGTH_BYTES)
    _encoder.encode_into(message, buffer, _LENGTH_BYTES)
    buffer[:_LENGTH_BYTES] = (len(buffer) - _LENGTH_BYTES).to_bytes(_LENGTH_BYTES, "little")
    return bytes(buffer)


class Frames:
    """Splits a stream into frames; one that is too large is refused by its length alone."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the frames that ``data`` completes.

        Raises:
            ProtocolViolation: A frame is longer than allowed.
        """
        self._buffer += data
        at = 0
        try:
            while len(self._buffer) - at >= _LENGTH_BYTES:
                length = int.from_bytes(self._buffer[at : at + _LENGTH_BYTES], "little")
                if length > self.bytes_max:
                    raise ProtocolViolation(
                        f"frame of {length} bytes exceeds the limit of {self.bytes_max}"
                    )
                end = at + _LENGTH_BYTES + length
                if len(self._buffer) < end:
                    break
                yield bytes(memoryview(self._buffer)[at + _LENGTH_BYTES : end])
                at = end
        finally:
            del self._buffer[:at]


_CLASSES: dict[str, type[HeadwaterError]] = {
    cls.sqlstate: cls
    for cls in (
        ConnectionFailure,
        DataCorrupted,
        DiskFull,
        IncompatibleVersion,
        InternalError,
        IoError,
    )
}


def error_of(fields: ErrorFields) -> HeadwaterError:
    """Return the error that the server has met."""
    return _CLASSES.get(fields.sqlstate, IoError)(
        fields.message, detail=fields.detail, hint=fields.hint
    )
