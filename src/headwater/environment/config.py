"""What the command line decides about one headwaterd."""

from pathlib import Path

import msgspec

from headwater.errors import InvalidParameterValue

DEFAULT_SQL_ADDRESS = "127.0.0.1:6875"
DEFAULT_INTERNAL_ADDRESS = "127.0.0.1:6877"
DEFAULT_HTTP_ADDRESS = "127.0.0.1:6876"


class EnvironmentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One environment.

    Attributes:
        data: The folder for everything local: parts and consensus unless they are elsewhere,
            sockets, replicas' logs.
        blob: URL of the object store; ``data``/blob by default.
        consensus: URL of the consensus store; SQLite in ``data`` by default.
        internal_sql_address: Where ``mz_system`` and ``mz_support`` may connect; None: nowhere.
        persist_address: Where replicas on other machines reach consensus; None: nowhere. Replicas
            on this machine use a socket in ``data``.
        memory_limit_bytes: Of all processes together; None: unlimited.
    """

    data: Path
    blob: str | None = None
    consensus: str | None = None
    sql_address: str = DEFAULT_SQL_ADDRESS
    internal_sql_address: str | None = DEFAULT_INTERNAL_ADDRESS
    http_address: str | None = DEFAULT_HTTP_ADDRESS
    persist_address: str | None = None
    memory_limit_bytes: int | None = None

    @property
    def blob_url(self) -> str:
        """Return where parts are."""
        return self.blob or f"file://{self.data / 'blob'}"

    @property
    def consensus_url(self) -> str:
        """Return where shards' states are."""
        return self.consensus or f"sqlite://{self.data / 'consensus.db'}"


_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_bytes(text: str) -> int:
    """Return a size such as ``512MiB`` or ``4g`` in bytes; units are powers of 1024.

    Raises:
        InvalidParameterValue: ``text`` is no size.
    """
    digits = text.strip().lower()
    unit = digits.lstrip("0123456789.")
    number = digits[: len(digits) - len(unit)]
    factor = _UNITS.get(unit.strip().removesuffix("ib").removesuffix("b") if unit else "")
    try:
        if factor is None:
            raise ValueError
        return int(float(number) * factor)
    except ValueError:
        raise InvalidParameterValue(
            f'invalid size "{text}"', hint="Write a number and a unit, such as 512MiB or 4GiB."
        ) from None
