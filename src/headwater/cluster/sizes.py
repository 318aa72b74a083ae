"""Sizes of replicas: how many processes and timely workers a name stands for.

The names are Materialize's, so that its scripts run; what counts on one machine is the number of
workers. ``scale=p,workers=w`` says it directly.
"""

import re

import msgspec

from headwater.errors import InvalidParameterValue

_GIB = 1 << 30


class ReplicaSize(msgspec.Struct, frozen=True):
    """What a size stands for. ``memory_bytes`` is for people to compare; nothing enforces it."""

    name: str
    processes: int
    workers: int
    memory_bytes: int
    credits_per_hour: float


def _sizes() -> dict[str, ReplicaSize]:
    rows = [
        ("25cc", 1, 1, 4, 0.25),
        ("50cc", 1, 1, 8, 0.5),
        ("100cc", 1, 2, 16, 1),
        ("200cc", 1, 4, 32, 2),
        ("300cc", 1, 6, 48, 3),
        ("400cc", 1, 8, 64, 4),
        ("600cc", 1, 12, 96, 6),
        ("800cc", 1, 16, 128, 8),
        ("3xsmall", 1, 1, 4, 0.25),
        ("2xsmall", 1, 1, 8, 0.5),
        ("xsmall", 1, 1, 8, 1),
        ("small", 1, 2, 16, 2),
        ("medium", 1, 4, 32, 4),
        ("large", 1, 8, 64, 8),
        ("1", 1, 1, 4, 1),
        ("2", 1, 2, 8, 2),
        ("4", 1, 4, 16, 4),
        ("8", 1, 8, 32, 8),
        ("16", 1, 16, 64, 16),
        ("32", 1, 32, 128, 32),
    ]
    return {
        name: ReplicaSize(name, processes, workers, gib * _GIB, float(credits))
        for name, processes, workers, gib, credits in rows
    }


SIZES = _sizes()
_EXPLICIT = re.compile(r"scale=(\d{1,3}),workers=(\d{1,3})(?:,[a-z_]+=[^,]*)*\Z")


def size_named(name: str) -> ReplicaSize:
    """Return what ``name`` stands for.

    Raises:
        InvalidParameterValue: There is no such size.
    """
    size = SIZES.get(name)
    if size is not None:
        return size
    match = _EXPLICIT.match(name)
    if match is None:
        known = ", ".join(SIZES)
        raise InvalidParameterValue(
            f"unknown cluster replica size {name}",
            hint=f'Valid sizes are {known}, or "scale=<processes>,workers=<threads>".',
        )
    processes, workers = int(match[1]), int(match[2])
    if processes != 1 or not 1 <= workers <= 64:
        raise InvalidParameterValue(
            f"unsupported cluster replica size {name}",
            detail="A replica has one process of 1 to 64 workers.",
        )
    return ReplicaSize(name, processes, workers, 4 * workers * _GIB, float(workers))
