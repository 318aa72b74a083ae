"""Bad input in small: seeded streams of every source, and every nesting."""

from collections.abc import Iterator
from itertools import islice

import pytest

from tests.fixtures.headwater import running
from tests.fuzz.nesting import chained, flat, nested
from tests.fuzz.statements import SOURCES, TABLES
from tests.fuzz.victim import Victim

pytestmark = [pytest.mark.server, pytest.mark.slow]

LEVELS = 1000
SEED = 7
STATEMENTS = {"trees": 120, "meaningful": 100, "calls": 250, "mutants": 200, "noise": 200}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with running(tmp_path_factory.mktemp("fuzz")) as server:
        made = Victim(server)
        made.prepare(TABLES)
        yield made


@pytest.fixture(autouse=True)
def unharmed(victim: Victim) -> Iterator[None]:
    """After each test the server still computes, and no statement has harmed it."""
    yield
    victim.probe(b"")
    faults, victim.faults = victim.faults, []
    assert not faults, "\n\n".join(f"{f.what}\n{f.statement!r}" for f in faults)


@pytest.mark.parametrize("source", SOURCES)
def test_statements_are_answered_or_refused(victim: Victim, source: str) -> None:
    for statement in islice(SOURCES[source](SEED), STATEMENTS[source]):
        victim.ask(statement)


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        pytest.param(statement, sqlstate, id=name.replace(" ", "_"))
        for cases in (nested, chained, flat)
        for name, statement, sqlstate in cases(LEVELS)
    ],
)
def test_depth_is_refused_by_a_limit(victim: Victim, statement: str, sqlstate: str) -> None:
    assert victim.ask(statement.encode()) == sqlstate


@pytest.mark.parametrize("levels", [5, 60])
def test_what_people_write_is_not_refused(victim: Victim, levels: int) -> None:
    for name, statement, _ in (*nested(levels), *chained(levels), *flat(levels)):
        assert victim.ask(statement.encode()) != "54001" or levels > 50, name
