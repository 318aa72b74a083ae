"""Maintained = recomputed, over the corpus: every query that can be a view is also maintained.

A file of the corpus is played into a database of its own, its results unread. Queries that follow
one another without a statement between them form a *batch* over one state of the tables. For each
query of a batch one of a materialized view and a view with an index is made while the tables are
empty, the other while they are filled (which is which changes from query to query). Then rows go,
change and come back, and after each step one transaction reads the query itself and both views:
they must be equal, row by row or error by error.

``python -m tests.slt.maintained [--all | --queries N] [PATH …]`` runs it over files of the corpus.
A query that is not answered in time, by itself or as a view, is not compared but counted.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.fixtures.headwater import Headwater, running
from tests.slt import corpus

BATCH_MAX = 20
"""Queries whose views live at a time."""
ROWS_MAX = 500
"""Rows of a table that is changed; what is larger stays as it is."""
QUERIES_A_FILE = 60
"""Queries of a file that are looked at, spread evenly, unless all are asked for."""
STATEMENT_SECONDS = 30
_STOPPED = "57014"

_HALF = "get_byte(decode(md5(coalesce({}::text, '')), 'hex'), 0) % 2 = {}"
_VIEWLESS = ("0A", "42", "25", "54", "28", "3F")
"""Classes of errors with which a query is refused as a view: it is none."""

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
class Query:
    """A query of a file, without a semicolon."""

    line: int
    text: str


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

    def run(self, items: "list[str | Query]") -> Report:
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
        try:
            self._compare(batch)
        except psycopg.Error as error:
            self.report.refused[f"the batch failed: {error.sqlstate}"] += len(batch)

    def _compare(self, batch: list[Query]) -> None:
        if not batch:
            return
        self.report.queries += len(batch)
        in_transaction = self._session().info.transaction_status
        if in_transaction != psycopg.pq.TransactionStatus.IDLE:
            self.report.refused["inside a transaction"] += len(batch)
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
        found = self._session().execute(
            """SELECT t.id, s.name, t.name FROM mz_tables t JOIN mz_schemas s ON t.schema_id = s.id
            JOIN mz_databases d ON s.database_id = d.id WHERE d.name = current_database()"""
        )
        tables = []
        for id_, schema, name in found.fetchall():
            columns = self._session().execute(
                "SELECT name FROM mz_columns WHERE id = %s ORDER BY position", (id_,)
            )
            quoted = [_quoted(str(column)) for (column,) in columns]
            full = f"{_quoted(str(schema))}.{_quoted(str(name))}"
            rows = self._rows_of(full)
            if quoted and rows is not None:
                tables.append(_Table(full, quoted, rows))
        return tables

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
            texts = [each.query.text, *(f"SELECT * FROM {name}" for name in each.names)]
            answers: list[Answer] = []
            try:
                with connection.transaction():
                    for text in texts:
                        answers.append(_rows(connection, text))
            except psycopg.Error:
                # An error ends a transaction. No one else writes, so time does not matter here.
                answers = [self._answer(text) for text in texts]
            for name, answer in zip(each.names, answers[1:], strict=True):
                if _STOPPED in (answer, answers[0]):
                    self.report.refused["stopped: no answer in time"] += 1
                    continue
                self.report.comparisons += 1
                if answer != answers[0]:
                    self._disagree(each.query, after, name, answer, answers[0])

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


def items_of(path: Path, queries_max: int | None = QUERIES_A_FILE) -> "list[str | Query]":
    """Return a file's statements and queries in order; of its queries at most ``queries_max``."""
    sys.path.insert(0, str(corpus.SHARED))
    from slt_parse import parse_file  # type: ignore[import-not-found]

    _, records = parse_file(path)
    items: list[str | Query] = []
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
        elif record.kind in ("statement", "simple"):
            items.append(text)
    total = sum(isinstance(item, Query) for item in items)
    if queries_max is None or total <= queries_max:
        return items
    wanted = {total * i // queries_max for i in range(queries_max)}
    numbers = iter(range(total))
    return [item for item in items if isinstance(item, str) or next(numbers) in wanted]


def files_of(paths: list[str]) -> Iterator[Path]:
    """Yield the corpus' files under ``paths``, all of them if there are none."""
    for path in paths or ["."]:
        found = corpus.CORPUS / path
        yield from sorted(found.rglob("*.slt")) if found.is_dir() else [found]


@contextmanager
def _server() -> Iterator[Headwater]:
    with (
        tempfile.TemporaryDirectory(prefix="maintained-") as folder,
        running(Path(folder)) as server,
    ):
        yield server


def compare(paths: list[str], queries_max: int | None) -> Iterator[Report]:
    """Compare the files under ``paths``; yield each file's report.

    Files of a part that assume a server of their own get one.
    """
    for part in corpus.PARTS:
        files = [p for p in files_of(paths) if p.relative_to(corpus.CORPUS).parts[0] == part.name]
        for group in [[file] for file in files] if part.alone else [files] if files else []:
            with _server() as server:
                for path in group:
                    name = str(path.relative_to(corpus.CORPUS))
                    yield FileRun(server, name).run(items_of(path, queries_max))


def main() -> int:
    """Run; print counts and disagreements; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", help="files or folders, relative to the corpus")
    parser.add_argument("--queries", type=int, default=QUERIES_A_FILE, help="at most, of a file")
    parser.add_argument("--all", action="store_true", help="all queries of each file")
    options = parser.parse_args()
    if (why := corpus.missing()) is not None:
        print(why, file=sys.stderr)
        return 2
    total = Report()
    for report in compare(options.paths, None if options.all else options.queries):
        total.add(report)
        print(report.summary(), flush=True)
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


def _shown(answer: Answer) -> str:
    text = answer if isinstance(answer, str) else str(sorted(answer.items(), key=str))
    return text if len(text) < 400 else text[:400] + "…"


if __name__ == "__main__":
    sys.exit(main())
