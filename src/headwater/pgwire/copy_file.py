"""COPY's text, CSV and binary formats in files: as clients send and get them, without messages."""

from collections.abc import Sequence

import msgspec

from headwater.errors import ErrorFields
from headwater.native.loader import native
from headwater.pgwire.protocol import CopyFormat, ResultColumn

_encoder = msgspec.msgpack.Encoder()
_fields = msgspec.msgpack.Decoder(ErrorFields)


class CopyFailed(Exception):
    """A value or a file that does not fit; ``fields`` say why, and where in the file."""

    def __init__(self, fields: ErrorFields) -> None:
        super().__init__(fields.message)
        self.fields = fields


def encode_file(
    format: CopyFormat, columns: Sequence[ResultColumn], rows: bytes, from_row: int, bytes_max: int
) -> tuple[bytes, int]:
    """Return a file of the rows of a flat batch, and the number of the first that is not in it.

    It begins with row ``from_row`` and ends with the row that brings it to ``bytes_max``.

    Raises: CopyFailed. Lets go of the interpreter meanwhile.
    """
    made, error = native.copy_encode(
        _encoder.encode(format), _encoder.encode(columns), rows, from_row, bytes_max
    )
    if error is not None:
        raise CopyFailed(_fields.decode(error))
    return made


class FileReader:
    """Reads a file that comes in chunks; ``name`` is for messages."""

    def __init__(self, name: str, format: CopyFormat, columns: Sequence[ResultColumn]) -> None:
        self._reader = native.CopyReader(name, _encoder.encode(format), _encoder.encode(columns))

    def feed(self, chunk: bytes | None) -> bytes:
        """Return the rows that end in a chunk as a flat batch; None is the end of the file.

        Raises: CopyFailed.
        """
        rows, error = self._reader.feed(chunk)
        if error is not None:
            raise CopyFailed(_fields.decode(error))
        return rows
