"""The statements and queries of the corpus' files, and queries that are one query together."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.slt import corpus

QUERIES_A_FILE = 60
"""Queries of a file that are looked at by themselves, spread evenly, unless all are asked for."""
QUERIES_A_GROUP = 20
"""Queries that are one query together."""


_ENDLESS = re.compile(r"(COPY\s*\(\s*)?SUBSCRIBE\b", re.IGNORECASE)
"""Statements that change nothing and may run for ever."""
_TIME_ZONE = re.compile(r"SET\s+((SESSION|LOCAL)\s+)?TIME\s*ZONE\b", re.IGNORECASE)
"""What queries that are answered at once follow, and views do not (postgres-differences)."""


@dataclass(frozen=True)
class Query:
    """A query of a file, without a semicolon; of a group, ``members`` are the queries in it."""

    line: int
    text: str
    members: "tuple[Query, ...]" = ()

    @property
    def size(self) -> int:
        """Return how many of the file's queries this is."""
        return len(self.members) or 1


Item = str | Query


def items_of(path: Path, queries_max: int | None = QUERIES_A_FILE) -> list[Item]:
    """Return a file's statements and queries in order; of its queries at most ``queries_max``."""
    items = _items(path)
    wanted = _sample(items, queries_max)
    return [item for item in items if isinstance(item, str) or item in wanted]


def grouped_items_of(path: Path, alone: int = QUERIES_A_FILE) -> list[Item]:
    """Return all of a file's items: ``alone`` queries by themselves, the others in groups.

    A group holds queries between which no statement stands. Its rows are its members' rows as
    texts, each with its member's number.
    """
    items = _items(path)
    wanted = _sample(items, alone)
    grouped: list[Item] = []
    waiting: list[Query] = []
    for item in items:
        if isinstance(item, Query) and item not in wanted:
            waiting.append(item)
            continue
        if isinstance(item, str):
            grouped += _groups(waiting)
            waiting = []
        grouped.append(item)
    return grouped + _groups(waiting)


def _groups(queries: list[Query]) -> list[Item]:
    starts = range(0, len(queries), QUERIES_A_GROUP)
    return [group(queries[start : start + QUERIES_A_GROUP]) for start in starts]


def group(members: Sequence[Query]) -> Query:
    """Return queries as one."""
    if len(members) == 1:
        return members[0]
    # A query may end in a comment, which a line feed ends.
    texts = (
        f"SELECT {number} AS member, row(t.*)::text AS answer FROM ({member.text}\n) AS t"
        for number, member in enumerate(members)
    )
    return Query(members[0].line, " UNION ALL ".join(texts), tuple(members))


def _items(path: Path) -> list[Item]:
    sys.path.insert(0, str(corpus.SHARED))
    from slt_parse import parse_file  # type: ignore[import-not-found]

    _, records = parse_file(path)
    items: list[Item] = []
    for record in records:
        if record.skip or record.error is not None or record.conn:
            continue
        text = record.sql.strip().rstrip(";")
        if record.kind == "query" and text.split(None, 1)[0].upper() in (
            "SELECT",
            "WITH",
            "VALUES",
        ):
            items.append(Query(record.line, text))
        elif record.kind in ("statement", "simple") and not _is_left_out(text):
            items.append(text)
    return items


def _is_left_out(text: str) -> bool:
    return bool(_ENDLESS.match(text) or _TIME_ZONE.match(text))


def _sample(items: list[Item], queries_max: int | None) -> set[Query]:
    """Return so many of the queries, spread evenly over the file; all if None."""
    queries = [item for item in items if isinstance(item, Query)]
    if queries_max is None or len(queries) <= queries_max:
        return set(queries)
    return {queries[len(queries) * i // queries_max] for i in range(queries_max)}


def files_of(paths: list[str]) -> Iterator[Path]:
    """Yield the corpus' files under ``paths``, all of them if there are none."""
    for path in paths or ["."]:
        found = corpus.CORPUS / path
        yield from sorted(found.rglob("*.slt")) if found.is_dir() else [found]
