"""``kill -9`` of any process at random moments, under a mixed load whose clients remember.

Every client records what was acknowledged and what it does not know. Afterwards, and in every
read on the way, nothing acknowledged is missing, nothing is there twice, and all reads fit one
serial order: the order of the times they were answered at.

``HEADWATER_KILLS`` sets the number of kills, ``HEADWATER_SEED`` whom they hit and when.
"""

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.headwater import Headwater, kill_process, running
from tests.fixtures.replicas import replica_ids, rows, wait_for_process
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.server

Connection = psycopg.Connection[tuple[object, ...]]

KILLS = int(os.environ.get("HEADWATER_KILLS", "50"))
SEED = int(os.environ.get("HEADWATER_SEED", "3"))
ACCOUNTS = 8
BALANCE = 100

SETUP = (
    "CREATE CLUSTER work REPLICAS (r1 (SIZE '1'), r2 (SIZE '2'))",
    "CREATE CLUSTER sources SIZE '1'",
    "CREATE TABLE log (client int, n int)",
    "CREATE TABLE debits (client int, n int, amount int)",
    "CREATE TABLE credits (client int, n int, amount int)",
    "CREATE TABLE accounts (id int, balance int, moves int)",
    f"INSERT INTO accounts SELECT id, {BALANCE}, 0 FROM generate_series(1, {ACCOUNTS}) AS id",
    "CREATE MATERIALIZED VIEW log_counts IN CLUSTER work AS "
    "SELECT client, count(*) AS c, max(n) AS m FROM log GROUP BY client",
    "CREATE VIEW ledger AS SELECT client, sum(amount) AS s FROM "
    "(SELECT client, amount FROM credits UNION ALL SELECT client, -amount FROM debits) AS both "
    "GROUP BY client",
    "CREATE INDEX ledger_idx IN CLUSTER work ON ledger (client)",
    "CREATE MATERIALIZED VIEW wealth IN CLUSTER work AS "
    "SELECT sum(balance) AS total, sum(moves) AS moves, count(*) AS c FROM accounts",
    "CREATE SOURCE ticks IN CLUSTER sources FROM LOAD GENERATOR COUNTER (TICK INTERVAL '20ms')",
    "CREATE MATERIALIZED VIEW ticked IN CLUSTER work AS "
    "SELECT count(*) AS c, count(DISTINCT counter) AS d, max(counter) AS m FROM ticks",
)


@dataclass
class Writes:
    """What one writing client knows: numbers acknowledged, and numbers whose fate is unknown."""

    acknowledged: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)

    def check(self, found: Counter[int], known: int, what: str) -> None:
        """Check what a read has found, begun when all below ``known`` had been decided."""
        repeated = [n for n, count in found.items() if count != 1]
        assert not repeated, f"{what}: twice: {repeated}"
        # The writer goes on while a reader looks: a copy is made at once.
        lost = {n for n in self.acknowledged.copy() if n < known} - found.keys()
        assert not lost, f"{what}: acknowledged and lost: {sorted(lost)}"


class Load:
    """Clients in threads; the first thing that goes wrong stops all of them."""

    def __init__(self, server: Headwater) -> None:
        self.server = server
        self.operations = 0
        self.failures: list[BaseException] = []
        self.logged = {client: Writes() for client in range(3)}
        self.paired = {client: Writes() for client in range(2)}
        self.moved = {client: Writes() for client in range(2)}
        self.decided: Counter[tuple[str, int]] = Counter()
        self.history: dict[int, tuple[object, ...]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for client in self.logged:
            self._spawn(self._writer("log", client, self.logged[client], self._log))
        for client in self.paired:
            self._spawn(self._writer("pair", client, self.paired[client], self._pair))
        for client in self.moved:
            self._spawn(self._writer("move", client, self.moved[client], self._move))
        for number in range(3):
            self._spawn(self._reader(number))

    def _spawn(self, step: Callable[[Connection], None]) -> None:
        def run() -> None:
            try:
                while not self._stopping.is_set():
                    self._session(step)
            except BaseException as error:
                self.failures.append(error)
                self._stopping.set()

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()

    def _session(self, step: Callable[[Connection], None]) -> None:
        """Repeat ``step`` on one connection for as long as that lives."""
        try:
            connection = self.server.connect(connect_timeout=10)
        except psycopg.OperationalError:
            return  # the server is being restarted
        with connection:
            while not self._stopping.is_set():
                try:
                    step(connection)
                except psycopg.OperationalError as error:
                    # Only the end of headwaterd ends a session; replicas' ends are not seen.
                    if error.sqlstate is None or error.sqlstate.startswith(("08", "57P0")):
                        return
                    raise
                with self._lock:
                    self.operations += 1

    # Writers

    def _writer(
        self,
        kind: str,
        client: int,
        writes: Writes,
        write: Callable[[Connection, int, int], None],
    ) -> Callable[[Connection], None]:
        def step(connection: Connection) -> None:
            n = self.decided[kind, client]
            try:
                write(connection, client, n)
                writes.acknowledged.add(n)
            except psycopg.OperationalError:
                writes.unknown.add(n)
                raise
            finally:
                self.decided[kind, client] = n + 1

        return step

    def _log(self, connection: Connection, client: int, n: int) -> None:
        # Prepared, so that the store commits it by itself while nobody else writes.
        connection.execute("INSERT INTO log VALUES (%s, %s)", (client, n), prepare=True)

    def _pair(self, connection: Connection, client: int, n: int) -> None:
        with connection.transaction():
            connection.execute("INSERT INTO debits VALUES (%s, %s, %s)", (client, n, n % 9))
            connection.execute("INSERT INTO credits VALUES (%s, %s, %s)", (client, n, n % 9))

    def _move(self, connection: Connection, client: int, n: int) -> None:
        giver, taker = 1 + (n + client) % ACCOUNTS, 1 + (n * 3 + client + 1) % ACCOUNTS
        if giver == taker:
            taker = 1 + taker % ACCOUNTS
        moved = connection.execute(
            f"UPDATE accounts SET moves = moves + 1, balance = balance + "
            f"CASE WHEN id = {giver} THEN -1 ELSE 1 END WHERE id IN ({giver}, {taker})".encode()
        )
        assert moved.rowcount == 2

    # Readers

    def _reader(self, number: int) -> Callable[[Connection], None]:
        steps = (self._read_tables, self._read_views, self._read_ticks)

        def step(connection: Connection) -> None:
            cluster = "work" if number % 2 else "quickstart"
            connection.execute(f"SET cluster = {cluster}".encode())
            for read in steps:
                read(connection)

        return step

    def _read_tables(self, connection: Connection) -> None:
        known = Counter(self.decided)
        with connection.transaction():
            log = rows(connection, "SELECT client, n FROM log")
            debits = rows(connection, "SELECT client, n FROM debits")
            credits = rows(connection, "SELECT client, n FROM credits")
            accounts = rows(connection, "SELECT balance, moves FROM accounts")
            time = now(connection)
        assert Counter(debits) == Counter(credits), "half a transaction is visible"
        self.check_rows("log", self.logged, log, known)
        self.check_rows("pair", self.paired, debits, known)
        self.check_accounts(accounts, known)
        self._remember(time, summary(log), total_moves(accounts), len(debits))

    def _read_views(self, connection: Connection) -> None:
        known = Counter(self.decided)
        with connection.transaction():
            counts = rows(connection, "SELECT client, c, m FROM log_counts")
            log = rows(connection, "SELECT client, n FROM log")
            ledger = rows(connection, "SELECT client, s FROM ledger WHERE s <> 0")
            debits = rows(connection, "SELECT client, n FROM debits")
            ((total, moves, number),) = rows(connection, "SELECT total, moves, c FROM wealth")
            accounts = rows(connection, "SELECT balance, moves FROM accounts")
            time = now(connection)
        assert ledger == [], f"half a transaction is visible: {ledger}"
        assert (total, number) == (ACCOUNTS * BALANCE, ACCOUNTS)
        assert moves == total_moves(accounts)
        assert {client: c for client, c, _ in counts} == dict(summary(log))
        self.check_rows("log", self.logged, log, known)
        self._remember(time, summary(log), total_moves(accounts), len(debits))

    def _read_ticks(self, connection: Connection) -> None:
        ((count, distinct, maximum),) = rows(connection, "SELECT c, d, m FROM ticked")
        assert count == distinct
        assert maximum is None or count == maximum

    def check_rows(
        self,
        kind: str,
        clients: dict[int, Writes],
        found: list[tuple[object, ...]],
        known: Counter[tuple[str, int]],
    ) -> None:
        """Check that the rows (client, n) are what clients have written, each once."""
        for client, writes in clients.items():
            mine = Counter(int(str(n)) for by, n in found if by == client)
            writes.check(mine, known[kind, client], f"{kind} of client {client}")
            invented = [n for n in mine if n > self.decided[kind, client]]
            assert not invented, f"never written: {invented}"

    def check_accounts(
        self, accounts: list[tuple[object, ...]], known: Counter[tuple[str, int]]
    ) -> None:
        """Check that money is neither made nor lost and that each move is made once."""
        assert sum(int(str(balance)) for balance, _ in accounts) == ACCOUNTS * BALANCE
        least = sum(
            sum(n < known["move", client] for n in list(writes.acknowledged))
            for client, writes in self.moved.items()
        )
        most = sum(self.decided["move", client] + 1 for client in self.moved)
        assert 2 * least <= total_moves(accounts) <= 2 * most

    def _remember(self, time: int, *seen: object) -> None:
        with self._lock:
            before = self.history.setdefault(time, seen)
        assert before == seen, f"two answers at {time}: {before} and {seen}"

    def check_serial(self) -> None:
        """Check that in the order of their times no read sees less than one before it."""
        assert self.history
        last: tuple[object, ...] = ((), 0, 0)
        for time in sorted(self.history):
            log, moves, pairs = self.history[time]
            assert isinstance(log, tuple)
            earlier = dict(last[0])  # type: ignore[call-overload]
            assert all(dict(log).get(client, 0) >= c for client, c in earlier.items()), time
            assert int(str(moves)) >= int(str(last[1])), time
            assert int(str(pairs)) >= int(str(last[2])), time
            last = (log, moves, pairs)

    # The run

    def passes(self, operations: int) -> None:
        """Wait until so many more operations are done; fail with the first failure."""
        target = self.operations + operations
        eventually(lambda: bool(self.failures) or self.operations >= target, want=True, seconds=90)
        if self.failures:
            raise self.failures[0]

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"
        if self.failures:
            raise self.failures[0]


def now(connection: Connection) -> int:
    """Return the transaction's time."""
    ((time,),) = rows(connection, "SELECT mz_now()::text")
    return int(str(time))


def summary(log: list[tuple[object, ...]]) -> tuple[tuple[object, int], ...]:
    """Return how many rows each client has."""
    return tuple(sorted(Counter(client for client, _ in log).items(), key=str))


def total_moves(accounts: list[tuple[object, ...]]) -> int:
    """Return how often an account has taken part in a move."""
    return sum(int(str(moves)) for _, moves in accounts)


@contextmanager
def loaded(server: Headwater) -> Iterator[Load]:
    """Run the mixed load beside the block."""
    load = Load(server)
    load.start()
    try:
        yield load
    finally:
        load.stop()


def kill_one(server: Headwater, random_: random.Random, replicas: dict[str, list[str]]) -> str:
    """Kill one process of a random kind; return which."""
    victim = random_.choice(("headwaterd", "work", "work", "sources"))
    if victim == "headwaterd":
        server.kill()
        server.start()
    else:
        kill_process(wait_for_process(server, random_.choice(replicas[victim])))
    return victim


def kill_under_load(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill ``kills`` processes under load and check everything; return who was killed."""
    random_ = random.Random(seed)
    killed: Counter[str] = Counter()
    with running(folder) as server:
        with server.connect() as connection:
            for statement in SETUP:
                connection.execute(statement.encode())
        replicas = {
            cluster: sorted(replica_ids(server, cluster).values())
            for cluster in ("work", "sources")
        }
        with loaded(server) as load:
            load.passes(100)
            for _ in range(kills):
                killed[kill_one(server, random_, replicas)] += 1
                load.passes(random_.randrange(10, 200))
        load.check_serial()
        with server.connect() as connection:
            known = Counter(load.decided)
            log = rows(connection, "SELECT client, n FROM log")
            load.check_rows("log", load.logged, log, known)
            pairs = rows(connection, "SELECT client, n FROM debits")
            load.check_rows("pair", load.paired, pairs, known)
            load.check_accounts(rows(connection, "SELECT balance, moves FROM accounts"), known)
            ((before,),) = rows(connection, "SELECT c FROM ticked")
            eventually(
                lambda: int(str(rows(connection, "SELECT c FROM ticked")[0][0])) > int(str(before)),
                want=True,
            )
        print(
            f"{sum(killed.values())} kills {dict(killed)}, {load.operations} operations,"
            f" {len(load.history)} times read"
        )
    return killed


def test_nothing_acknowledged_is_lost_and_nothing_appears_twice(tmp_path: Path) -> None:
    killed = kill_under_load(tmp_path, KILLS, SEED)
    assert sum(killed.values()) == KILLS
