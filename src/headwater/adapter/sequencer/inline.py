"""Answers that are made here: a few rows of texts."""

from collections.abc import Iterable, Sequence

from headwater.adapter.sequencer.select import result_columns
from headwater.catalog import rows as r
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import TEXT
from headwater.types.time import TIMESTAMP_MIN


def text_desc(*names: str) -> RelationDesc:
    """Return the shape of rows of texts."""
    return RelationDesc(tuple(Column(name, TEXT, nullable=True) for name in names))


def text_rows(rows: Iterable[Sequence[str | None]]) -> p.InlineRows:
    """Return rows of texts, in their order."""
    data = flat.build((b"".join(r.text(value) for value in row), TIMESTAMP_MIN, 1) for row in rows)
    return p.InlineRows(rows=data)


def text_answer(
    tag: str, desc: RelationDesc, rows: Iterable[Sequence[str | None]], *, counted: bool = False
) -> p.Rows:
    """Return an answer of rows of texts."""
    return p.Rows(source=text_rows(rows), columns=result_columns(desc), tag=tag, counted=counted)
