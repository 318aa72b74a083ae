"""What Python may rely on of the extension, as protocols that tests can fake.

Types and expressions cross as MessagePack of the structs in ``headwater.types.scalar`` and
``headwater.ir``; rows and datums as bytes of the row encoding; batches in the flat update codec.
"""

from collections.abc import Sequence
from typing import Protocol


class Datums(Protocol):
    """Values, texts and rows."""

    def datum_from_text(self, type: bytes, text: str) -> bytes:
        """Return the datum that ``text`` writes.

        Raises: what the type's input function raises, a UserError.
        """
        ...

    def datum_to_text(self, type: bytes, datum: bytes) -> str | None:
        """Return PostgreSQL's text form of a datum; None for NULL."""
        ...

    def datum_to_binary(self, type: bytes, datum: bytes) -> bytes | None:
        """Return PostgreSQL's binary form of a datum; None for NULL."""
        ...

    def datum_from_binary(self, type: bytes, data: bytes) -> bytes:
        """Return the datum that PostgreSQL's binary form ``data`` holds."""
        ...

    def encode_rows(self, types: bytes, rows: Sequence[Sequence[object]]) -> bytes:
        """Return a flat batch of ``rows`` at time 0 with diff 1.

        Values may be None, bool, int, float, bytes, str (the text form of any type), Decimal, and
        lists, dicts and tuples of those for arrays, lists, maps and records.
        """
        ...

    def decode_rows(self, types: bytes, flat: bytes) -> list[tuple[object, ...]]:
        """Return the rows of a flat batch in order, whatever their times and diffs.

        Types without a Python counterpart among the plain ones come as their text form.
        """
        ...

    def row_split(self, row: bytes) -> list[bytes]:
        """Return the bytes of each datum of a row."""
        ...


class Evaluator(Protocol):
    """Expressions over rows; errors of evaluation are values, since they are data."""

    def eval_scalar(self, expr: bytes, row: bytes) -> bytes | tuple[str, str]:
        """Return the value over a row, or the SQLSTATE and message it fails with."""
        ...

    def eval_mfp(
        self, mfp: bytes, row: bytes
    ) -> tuple[bytes, int, int | None] | tuple[str, str] | None:
        """Return the row made, with the times between which it holds; None if it is dropped."""
        ...

    def eval_aggregate(
        self, func: str, values: Sequence[tuple[bytes, int]], order_by: bytes
    ) -> bytes | tuple[str, str]:
        """Return an aggregate over argument datums and how often each occurs."""
        ...

    def eval_table(self, func: str, args: bytes) -> list[tuple[bytes, int]] | tuple[str, str]:
        """Return the rows of a table function over a row of arguments, with their diffs."""
        ...

    def kernels(self) -> list[str]:
        """Return the names of all scalar, aggregate and table kernels."""
        ...
