"""Active subscriptions, as the rows that ``mz_subscriptions`` shows."""

from collections.abc import Iterable

from headwater.catalog import rows as r
from headwater.catalog.rows import TableRow
from headwater.types.ids import ClusterId, GlobalId

_MICROS_PER_MS = 1_000


def subscription_row(
    id: GlobalId, session: str, cluster: ClusterId, created_ms: int, relations: Iterable[GlobalId]
) -> TableRow:
    """Return the row of a subscription to ``relations``, begun at a time in ms since the epoch."""
    return (
        "mz_internal.mz_subscription_rows",
        b"".join(
            (
                r.text(id),
                r.text(session),
                r.text(cluster),
                r.integer(created_ms * _MICROS_PER_MS),
                r.text_list(sorted(relations)),
            )
        ),
    )
