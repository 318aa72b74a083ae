"""Which collections only grow: no row is ever retracted, so that queries keep less of them."""

from headwater.catalog.items import CatalogItem, Source, Table
from headwater.catalog.snapshot import CatalogSnapshot
from headwater.sql.plan.ddl import CreateSourcePlan, CreateTableFromSourcePlan
from headwater.sql.plan.external import (
    KafkaSource,
    LoadGeneratorKind,
    LoadGeneratorSource,
    NoneEnvelope,
    SourceDetails,
    WebhookSource,
)

# The others replace rows by newer ones.
_GROWING_GENERATORS = frozenset(
    {LoadGeneratorKind.AUCTION, LoadGeneratorKind.COUNTER, LoadGeneratorKind.DATUMS}
)


def is_append_only(item: CatalogItem | None, snapshot: CatalogSnapshot) -> bool:
    """Return whether rows of ``item`` are only ever added.

    So are those of a source (and its parts, and tables FROM SOURCE) that is a webhook, a Kafka
    topic with ENVELOPE NONE, or a load generator that forgets nothing. A source's progress is one
    row that changes.
    """
    if not isinstance(item, Source | Table):
        return False
    if isinstance(item, Source) and item.parent is not None:
        parent = snapshot.item(item.parent)
        is_progress = isinstance(parent, Source) and parent.progress == item.id
        return not is_progress and is_append_only(parent, snapshot)
    plan = item.details
    if not isinstance(plan, CreateSourcePlan | CreateTableFromSourcePlan):
        return False
    return plan.details is not None and _grows(plan.details)


def _grows(details: SourceDetails) -> bool:
    match details:
        case KafkaSource(contents=contents):
            return contents is not None and isinstance(contents.envelope, NoneEnvelope)
        case LoadGeneratorSource():
            return details.generator in _GROWING_GENERATORS and details.max_cardinality is None
        case WebhookSource():
            return True
        case _:
            return False
