"""The compiled module: what each file of ``rust/hw-native/src`` registers, in sections."""

from collections.abc import Sequence

# persist.rs

def persist_encode(desc: bytes, errors: bool, flat: bytes) -> tuple[bytes, bytes, int]: ...
def persist_decode(
    desc: bytes,
    encoding: str,
    data: bytes,
    stamp: int | None,
    lower: int,
    upper: int | None,
    as_of: int | None,
) -> bytes: ...
def persist_merge(
    desc: bytes,
    errors: bool,
    inputs: Sequence[tuple[str, bytes, int | None]],
    since: int,
    target_bytes: int,
) -> list[tuple[bytes, bytes, int]]: ...
