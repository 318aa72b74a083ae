"""A run of many queries from one seed, its counts, and the smallest forms of what disagrees."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from tests.differential.differences import MISSING_STATES, Verdict, compare
from tests.differential.expressions import probes
from tests.differential.queries import Queries, Query
from tests.differential.schema import Schema, draw_schema
from tests.differential.systems import System
from tests.differential.tree import smaller
from tests.differential.vocabulary import VALUES

QUERIES_A_SCHEMA = 150
SHRINKS_MAX = 120
"""Smaller forms of one query that are tried."""
STOPPED_SHOWN = 20

LITERALS = {type_: f"NULL::{type_}" for type_ in VALUES} | {"bool": "true", "int4": "1"}


@dataclass(frozen=True)
class Disagreement:
    """A query on which the systems differ, made small."""

    what: str
    query: str
    schema: Schema
    theirs: str
    ours: str


@dataclass
class Report:
    """What a campaign found."""

    seed: int
    counts: Counter[Verdict] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def summary(self) -> str:
        """Return the counts as text."""
        total = sum(self.counts.values())
        lines = [f"seed {self.seed}: {total} queries in {self.seconds:.0f} s"]
        lines += [f"  {self.counts[verdict]:7} {verdict.value}" for verdict in Verdict]
        lines += [f"          {n:7} {rule}" for rule, n in self.rules.most_common()]
        lines += [f"  missing {n:7} {what}" for what, n in self.missing.most_common()]
        states = ", ".join(f"{state} {n}" for state, n in self.errors.most_common(15))
        lines += [f"  stopped {query[:500]}" for query in self.stopped[:STOPPED_SHOWN]]
        lines.append(f"  errors in both: {states or 'none'}")
        return "\n".join(lines)


@dataclass
class Campaign:
    """Asks PostgreSQL (``theirs``) and us (``ours``) the same questions."""

    theirs: System
    ours: System
    seed: int
    shrink: bool = True

    def missing(self) -> dict[str, str]:
        """Return the templates and forms that PostgreSQL has and we don't, with our errors."""
        found = {}
        for name, probe in probes():
            if self.theirs.ask(probe).sqlstate is None:
                ours = self.ours.ask(probe)
                if ours.sqlstate in MISSING_STATES:
                    found[name] = ours.message
        return found

    def run(self, queries: int, seconds: float | None = None, schema: int = 0) -> Iterator[Report]:
        """Ask ``queries`` questions, or what fits in ``seconds``; yield the report as it grows.

        ``schema`` is the number of the seed's schema to begin with: ``QUERIES_A_SCHEMA`` are asked
        over each, so that a run that was ended goes on with those that it had not come to.
        """
        report = Report(self.seed)
        missing = self.missing()
        report.missing.update({f"{name}: {why}": 0 for name, why in missing.items()})
        began = time.monotonic()
        asked = 0
        number = schema
        while asked < queries and (seconds is None or time.monotonic() - began < seconds):
            rng = Random(f"{self.seed}/{number}")
            number += 1
            tables = draw_schema(rng)
            self._make(tables)
            drawn = Queries(rng, tables, frozenset(missing))
            for _ in range(min(QUERIES_A_SCHEMA, queries - asked)):
                self._ask(drawn.query(), tables, report)
                asked += 1
                report.seconds = time.monotonic() - began
                if seconds is not None and report.seconds > seconds:
                    break
            yield report

    def _make(self, schema: Schema) -> None:
        for system in (self.theirs, self.ours):
            for table in schema.tables:
                system.do(f"DROP TABLE IF EXISTS {table.name}")
                for statement in table.statements():
                    system.do(statement)

    def _ask(self, query: Query, schema: Schema, report: Report) -> None:
        theirs, ours = self.theirs.ask(str(query)), self.ours.ask(str(query))
        verdict, what = compare(theirs, ours, query)
        report.counts[verdict] += 1
        if verdict is Verdict.AGREES and theirs.sqlstate is not None:
            report.errors[theirs.sqlstate] += 1
        if verdict is Verdict.DOCUMENTED:
            report.rules[what] += 1
        if verdict is Verdict.MISSING:
            report.missing[what[:100]] += 1
        if verdict is Verdict.STOPPED:
            report.stopped.append(str(query))
        if verdict is Verdict.DIFFERS:
            small = self._smallest(query, what) if self.shrink else query
            theirs, ours = self.theirs.ask(str(small)), self.ours.ask(str(small))
            report.disagreements.append(
                Disagreement(what, str(small), schema, _shown(theirs), _shown(ours))
            )

    def _smallest(self, query: Query, what: str) -> Query:
        """Return a small query that differs in the same way."""
        tried = 0
        found = True
        while found:
            found = False
            for piece in smaller(query.piece, LITERALS):
                if len(str(piece)) >= len(str(query)):
                    continue
                tried += 1
                if tried > SHRINKS_MAX:
                    return query
                less = replace(query, piece=piece)
                verdict, why = compare(self.theirs.ask(str(less)), self.ours.ask(str(less)), less)
                if verdict is Verdict.DIFFERS and why == what:
                    query, found = less, True
                    break
        return query


def _shown(outcome: object) -> str:
    text = repr(outcome)
    return text if len(text) <= 600 else text[:600] + "…"
