"""What there is upstream of a source, of which tables can be made, as far as that is known here."""

from headwater.catalog.items import SourceReference
from headwater.sql.plan.external import KafkaSource, LoadGeneratorSource, SourceDetails
from headwater.sql.plan.kinds import generators
from headwater.types.relation import RelationDesc


def references_of(details: SourceDetails) -> tuple[SourceReference, ...]:
    """Return what a source can refer to: a generator's relations, or a topic.

    The columns of a topic are not known: each table of it says how it is to be decoded.
    """
    if isinstance(details, KafkaSource):
        return (SourceReference(details.topic),)
    if not isinstance(details, LoadGeneratorSource):
        return ()
    schema = details.generator.value.replace(" ", "_")
    tables = generators.TABLES.get(details.generator)
    if tables is None:
        desc = generators.SINGLE[details.generator]
        return (SourceReference(schema, columns=_names(desc)),)
    return tuple(SourceReference(name, schema, _names(desc)) for name, desc in tables.items())


def _names(desc: RelationDesc) -> tuple[str, ...]:
    return tuple(column.name for column in desc.columns)
