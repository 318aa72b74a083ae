"""Maintained = recomputed, over the corpus: every query that can be a view is also maintained.

A file of the corpus is played into a database of its own, its results unread. Queries that follow
one another without a statement between them form a *batch* over one state of the tables. For each
query of a batch one of a materialized view and a view with an index is made while the tables are
empty, the other while they are filled (which is which changes from query to query). Then rows go,
change and come back, and after each step one transaction reads the query itself and both views:
they must be equal, row by row or error by error.

``python -m tests.slt.maintained [--all | --grouped | --queries N] [PATH …]`` runs it over files of
the corpus. A query that is not answered in time, by itself or as a view, is not compared but
counted. ``--grouped`` looks at all queries too, but at those beyond the ``N`` of a file in groups
that are one query, and one view, together; the members of a group that fails or disagrees are
looked at by themselves.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from tests.fixtures.headwater import Headwater
from tests.slt import corpus
from tests.slt.queries import QUERIES_A_FILE, Item, Query, files_of, grouped_items_of, items_of
from tests.slt.servers import servers

BATCH_MAX = 20
"""Queries whose views live at a time."""
ROWS_MAX = 500
"""Rows of a table that is changed; what is larger stays as it is."""
STATEMENT_SECONDS = 30
_STOPPED = "57014"

_HALF = "get_byte(decode(md5(coalesce({}::text, '')), 'hex'), 0) % 2 = {}"
_VIEWLESS = ("0A", "42", "25", "54", "28", "3D", "3F")
"""Classes of errors with which a query is refused as a view: it is none."""
_ROWS_ONLY = ("INSERT", "UPDATE", "DELETE", "COPY", "SELECT")
"""Statements that leave the tables' names and columns as they are."""

Connection = psycopg.Connection[tuple[object, ...]]
Answer = Counter[tuple[object, ...]] | str


@dataclass(frozen=True)
class Disagreement:
    """A view that is not what its query says. Answers are rows, or an error's SQLSTATE."""

    file: str
    line: int
    after: str
    view: str
    maintained: Answer
    recomputed: Answer


@dataclass
class Report:
    """What was compared."""

    file: str = ""
    queries: int = 0
    views: int = 0
    comparisons: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)

    def summary(self) -> str:
        """Return the counts as a line."""
        return (
            f"{self.queries:5} queries {self.views:5} views {self.comparisons:6} comparisons "
            f"{len(self.disagreements):3} disagree  {self.file}"
        )

    def add(self, other: "Report") -> None:
        """Take over another report's counts."""
        self.queries += other.queries
        self.views += other.views
        self.comparisons += other.comparisons
        self.refused += other.refused
        self.disagreements += other.disagreements


@dataclass(frozen=True)
class _Views:
    query: Query
    names: tuple[str, ...]


class FileRun:
    """One file in a database of its own."""

    def __init__(self, server: Headwater, name: str) -> None:
        self.name = name
        self.report = Report(name)
        self._server = server
        self._connection: Connection | None = None
        self._database = f"maintained_{time.monotonic_ns()}"
        self._count = 0
        self._grouped_no_more: set[Query] = set()
        self._apart: list[Query] = []
        self._columns: dict[str, list[str]] | None = None

    def run(self, items: Sequence[Item]) -> Report:
        """Play statements and queries; return what was compared."""
        with self._server.connect() as admin:
            admin.execute(f"CREATE DATABASE {self._database}".encode())
        batch: list[Query] = []
        for item in items:
            if isinstance(item, Query):
                batch.append(item)
                if len(batch) < BATCH_MAX:
                    continue
            self._look_at(batch)
            batch = []
            if isinstance(item, str):
                self._try(item)
                if not item.upper().startswith(_ROWS_ONLY):
                    self._columns = None
        self._look_at(batch)
        if self._connection is not None:
            self._connection.close()
        with self._server.connect() as admin:
            admin.execute(f"DROP DATABASE {self._database} CASCADE".encode())
        return self.report

    def _session(self) -> Connection:
        if self._connection is None or self._connection.closed:
            dsn = self._server.dsn.replace("dbname=materialize", f"dbname={self._database}")
            connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
            connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'".encode())
            self._connection = connection
        return self._connection

    def _try(self, statement: str) -> str:
        """Run a statement; return its SQLSTATE, empty for success."""
        try:
            self._session().execute(statement.encode())
        except psycopg.Error as error:
            return error.sqlstate or "lost"
        return ""

    # --- a batch ----------------------------------------------------------------------------------

    def _look_at(self, batch: list[Query]) -> None:
        """Compare a batch; one in which a step of our own fails is counted, not compared."""
        self.report.queries += sum(query.size for query in batch)
        while batch:
            try:
                self._compare(batch)
            except psycopg.Error as error:
                size = sum(query.size for query in batch)
                self.report.refused[f"the batch failed: {error.sqlstate}"] += size
            batch, self._apart = self._apart[:BATCH_MAX], self._apart[BATCH_MAX:]

    def _compare(self, batch: list[Query]) -> None:
        in_transaction = self._session().info.transaction_status
        if in_transaction != psycopg.pq.TransactionStatus.IDLE:
            self.report.refused["inside a transaction"] += sum(query.size for query in batch)
            return
        tables = self._tables()
        for table in tables:
            self._try(f"DELETE FROM {table.name}")
        views = {query: self._create(query, "empty", number) for number, query in enumerate(batch)}
        for table in tables:
            self._fill(table)
        for number, query in enumerate(batch):
            views[query] += self._create(query, "filled", number)
        made = [_Views(query, names) for query, names in views.items() if names]
        if made:
            self._check(made, "filling")
            for table in tables:
                self._change(table)
            self._check(made, "changing")
        for table in tables:
            self._try(f"DELETE FROM {table.name}")
            self._fill(table)
        if made and tables:
            self._check(made, "restoring")
        for each in made:
            for name in each.names:
                kind = "MATERIALIZED VIEW" if name.startswith("mv") else "VIEW"
                self._try(f"DROP {kind} {name}")

    def _tables(self) -> "list[_Table]":
        """Return the tables of the database that may be changed, with their rows."""
        if self._columns is None:
            self._columns = self._columns_of_tables()
        tables = []
        for name, columns in self._columns.items():
            rows = self._rows_of(name)
            if rows is not None:
                tables.append(_Table(name, columns, rows))
        return tables

    def _columns_of_tables(self) -> dict[str, list[str]]:
        """Return the columns of each table of the database that can be written to, if it has any.

        Names are quoted.
        """
        found = self._session().execute(
            """SELECT s.name, t.name, c.name FROM mz_tables t JOIN mz_columns c ON c.id = t.id
            JOIN mz_schemas s ON t.schema_id = s.id JOIN mz_databases d ON s.database_id = d.id
            WHERE d.name = current_database() AND t.source_id IS NULL
            ORDER BY t.oid, c.position"""
        )
        columns: dict[str, list[str]] = {}
        for schema, table, column in found.fetchall():
            name = f"{_quoted(str(schema))}.{_quoted(str(table))}"
            columns.setdefault(name, []).append(_quoted(str(column)))
        return columns

    def _rows_of(self, table: str) -> bytes | None:
        """Return a table's rows as COPY writes them, None where they are too many."""
        with self._session().cursor() as cursor:
            try:
                with cursor.copy(f"COPY (SELECT * FROM {table}) TO STDOUT".encode()) as copy:
                    lines = [bytes(line) for line in copy]
            except psycopg.Error:
                return None
        rows = b"".join(lines)
        return rows if rows.count(b"\n") <= ROWS_MAX else None

    def _fill(self, table: "_Table") -> None:
        with (
            self._session().cursor() as cursor,
            cursor.copy(f"COPY {table.name} FROM STDIN".encode()) as copy,
        ):
            copy.write(table.rows)

    def _change(self, table: "_Table") -> None:
        """Delete some rows and update others; what a constraint forbids is left out."""
        self._try(f"DELETE FROM {table.name} WHERE {_HALF.format(table.columns[0], 0)}")
        half = _HALF.format(table.columns[-1], 1)
        for column in table.columns[:3]:
            largest = f"(SELECT max({column}) FROM {table.name})"
            self._try(f"UPDATE {table.name} SET {column} = {largest} WHERE {half}")
        self._try(f"UPDATE {table.name} SET {table.columns[-1]} = NULL WHERE {half}")

    # --- views ------------------------------------------------------------------------------------

    def _create(self, query: Query, when: str, number: int) -> tuple[str, ...]:
        """Make a view that is maintained; return its name, or nothing where that is refused."""
        self._count += 1
        materialized = (number % 2 == 0) == (when == "empty")
        name = f"{'mv' if materialized else 'iv'}_{when}_{self._count}"
        word = "MATERIALIZED VIEW" if materialized else "VIEW"
        state = self._try(f"CREATE {word} {name} AS {query.text}")
        if not state and not materialized:
            state = self._try(f"CREATE DEFAULT INDEX ON {name}")
            if state:
                self._try(f"DROP VIEW {name}")
        if state and query.members:
            self._look_apart(query)
            return ()
        if state:
            self.report.refused[state] += 1
            if state[:2] not in _VIEWLESS and self._answer(query.text) != state:
                self._disagree(query, f"creating while {when}", name, state, "a view")
            return ()
        self.report.views += 1
        return (name,)

    def _check(self, made: list[_Views], after: str) -> None:
        """Compare all views with their queries, at one time where no query fails."""
        connection = self._session()
        for each in made:
            query = each.query
            texts = [query.text, *(f"SELECT * FROM {name}" for name in each.names)]
            answers: list[Answer] = []
            try:
                with connection.transaction():
                    for text in texts:
                        answers.append(_rows(connection, text))
            except psycopg.Error:
                # An error ends a transaction. No one else writes, so time does not matter here.
                answers = [self._answer(text) for text in texts]
            for name, answer in zip(each.names, answers[1:], strict=True):
                if query.members and (answer != answers[0] or isinstance(answer, str)):
                    self._look_apart(query)
                    continue
                if _STOPPED in (answer, answers[0]):
                    self.report.refused["stopped: no answer in time"] += 1
                    continue
                self.report.comparisons += query.size
                if answer != answers[0]:
                    self._disagree(query, after, name, answer, answers[0])

    def _look_apart(self, query: Query) -> None:
        """Have a group's members looked at by themselves, after this batch."""
        if query not in self._grouped_no_more:
            self._grouped_no_more.add(query)
            self._apart += query.members

    def _answer(self, text: str) -> Answer:
        try:
            return _rows(self._session(), text)
        except psycopg.Error as error:
            return error.sqlstate or "lost"

    def _disagree(
        self, query: Query, after: str, view: str, maintained: Answer, recomputed: Answer
    ) -> None:
        self.report.disagreements.append(
            Disagreement(self.name, query.line, after, view, maintained, recomputed)
        )


@dataclass(frozen=True)
class _Table:
    """A table, its columns, and its rows as COPY writes them."""

    name: str
    columns: list[str]
    rows: bytes


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _rows(connection: Connection, text: str) -> Answer:
    """Return a query's rows in text form, without their order."""
    result = connection.pgconn.exec_(text.encode())
    if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
        raise psycopg.errors.error_from_result(result)
    return Counter(
        tuple(result.get_value(row, column) for column in range(result.nfields))
        for row in range(result.ntuples)
    )


Items = Callable[[Path], list[Item]]


def compare(paths: list[str], items: Items) -> Iterator[Report]:
    """Compare the ``items`` of the files under ``paths``; yield each file's report.

    Files of a part that assume a server of their own get one in which nothing is left of others.
    """
    for part in corpus.PARTS:
        files = [p for p in files_of(paths) if p.relative_to(corpus.CORPUS).parts[0] == part.name]
        with servers() as shared:
            server: Headwater | None = None
            for path in files:
                if server is None or part.alone or part.areas_alone:
                    server = shared.clean()
                name = str(path.relative_to(corpus.CORPUS))
                yield FileRun(server, name).run(items(path))


def main() -> int:
    """Run; print counts and disagreements; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", help="files or folders, relative to the corpus")
    parser.add_argument("--queries", type=int, default=QUERIES_A_FILE, help="at most, of a file")
    parser.add_argument("--all", action="store_true", help="all queries of each file")
    parser.add_argument("--grouped", action="store_true", help="all, most of them in groups")
    options = parser.parse_args()
    if (why := corpus.missing()) is not None:
        print(why, file=sys.stderr)
        return 2
    total = Report()
    if options.grouped:
        items = partial(grouped_items_of, alone=options.queries)
    else:
        items = partial(items_of, queries_max=None if options.all else options.queries)
    for report in compare(options.paths, items):
        total.add(report)
        print(report.summary(), *_counts(report.refused), flush=True)
        for found in report.disagreements:
            print(
                f"  line {found.line} after {found.after}, {found.view}:",
                f"    maintained {_shown(found.maintained)}",
                f"    recomputed {_shown(found.recomputed)}",
                sep="\n",
                flush=True,
            )
    total.file = "in all"
    print(total.summary())
    print(f"refused as views: {dict(total.refused)}")
    return 1 if total.disagreements else 0


def _counts(refused: Counter[str]) -> list[str]:
    return [f" {why} {count}" for why, count in sorted(refused.items())]


def _shown(answer: Answer) -> str:
    text = answer if isinstance(answer, str) else str(sorted(answer.items(), key=str))
    return text if len(text) < 400 else text[:400] + "…"


if __name__ == "__main__":
    sys.exit(main())
