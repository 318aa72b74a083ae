"""Times of the timeline: milliseconds since the epoch."""

from typing import NewType

Timestamp = NewType("Timestamp", int)  # 0 <= t < 2**63, milliseconds since 1970-01-01 UTC

TIMESTAMP_MIN = Timestamp(0)
TIMESTAMP_MAX = Timestamp(2**63 - 1)
