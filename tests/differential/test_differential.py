"""A short campaign: some hundred random queries, asked of PostgreSQL and of us."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.differential.campaign import LITERALS, Campaign
from tests.differential.differences import RULES, Verdict, compare
from tests.differential.queries import Queries, Query
from tests.differential.schema import draw_schema
from tests.differential.systems import Outcome, System
from tests.differential.tree import OPTIONAL, Piece, smaller
from tests.fixtures import headwater, postgres

ROOT = Path(__file__).resolve().parents[2]
SEED = 20
QUERIES = 300
SECONDS = 20.0


@pytest.fixture(scope="module")
def judge() -> Iterator[postgres.Postgres]:
    why = postgres.missing()
    if why is not None:
        pytest.skip(why)
    # PostgreSQL runs as a user of its own, which may not enter pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="differential-", dir="/tmp"))
    folder.chmod(0o755)
    server = postgres.make(folder / "postgres")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.server
@pytest.mark.postgres
@pytest.mark.slow
def test_answers_agree(judge: postgres.Postgres, tmp_path: Path) -> None:
    with headwater.running(tmp_path) as server:
        theirs, ours = System(judge.dsn), System(server.dsn)
        *_, report = Campaign(theirs, ours, SEED).run(QUERIES, SECONDS)
        theirs.close()
        ours.close()
    print(report.summary())
    assert not report.disagreements, "\n\n".join(map(str, report.disagreements))
    assert report.counts[Verdict.AGREES] > 0.9 * sum(report.counts.values())


def test_a_seed_gives_the_same_queries() -> None:
    def drawn() -> list[str]:
        rng = Random("seed")
        schema = draw_schema(rng)
        queries = Queries(rng, schema)
        return [s for t in schema.tables for s in t.statements()] + [
            str(queries.query()) for _ in range(50)
        ]

    assert drawn() == drawn()
    assert len(set(drawn())) > 40


def test_smaller_trees_leave_out_or_replace_one_piece() -> None:
    one, two = Piece("int4", ("a",)), Piece("int4", ("f(b)",))
    clause = Piece(OPTIONAL, (" WHERE ", Piece("bool", ("c",))))
    tree = Piece("query", ("SELECT ", Piece("int4", (one, " + ", two)), clause))
    found = {str(less) for less in smaller(tree, LITERALS)}
    assert {"SELECT a + f(b)", "SELECT a WHERE c", "SELECT f(b) WHERE c"} <= found
    assert {"SELECT 1 WHERE c", "SELECT a + 1 WHERE c"} <= found


TOO_LONG = Outcome(
    "22003",
    "numeric field overflow\nDETAIL:  A field with precision 3, scale 2 must round to an absolute"
    " value less than 10^1.",
)
NOT_POSITIVE = Outcome("22023", "character number must be positive")
NO_CHARACTER = Outcome("54000", "requested character too large for encoding: -1")
NO_INTEGER = Outcome("0A000", "cannot convert NaN to integer")
QUERY = Query(Piece("statement", ("SELECT 1",)), ordered=False, fallible=False, strict=False)
RISKY = Query(QUERY.piece, ordered=True, fallible=True, strict=False)
SURE = Query(QUERY.piece, ordered=True, fallible=True, strict=True)


def _array(*texts: str) -> Outcome:
    return Outcome(None, "", (1009,), ((("list", texts),),))


@pytest.mark.parametrize(
    ("theirs", "ours", "query", "verdict"),
    [
        (Outcome(None, "", (23,), ((1,), (2,))), Outcome(None, "", (23,), ((2,), (1,))), QUERY, 0),
        (Outcome(None, "", (23,), ((1,), (2,))), Outcome(None, "", (23,), ((2,), (1,))), RISKY, 5),
        (Outcome(None, "", (23,), ((1,), (1,))), Outcome(None, "", (23,), ((1,),)), QUERY, 5),
        (Outcome(None, "", (23,), ((1,),)), Outcome(None, "", (20,), ((1,),)), QUERY, 5),
        (Outcome("22012"), Outcome("22012"), QUERY, 0),
        (Outcome("22012"), Outcome(None, "", (23,), ((1,),)), RISKY, 2),
        (Outcome("22012"), Outcome(None, "", (23,), ((1,),)), SURE, 5),
        (Outcome("22012"), Outcome("42703"), RISKY, 5),
        (Outcome(None, "", (23,)), Outcome("42883", "no such function"), QUERY, 3),
        (Outcome(None, "", (23,)), Outcome("XX000", "bug"), RISKY, 5),
        (Outcome(None, "", (23,)), Outcome("57014", "stopped"), QUERY, 4),
        (Outcome(None), Outcome("22003", "value overflows numeric format"), QUERY, 1),
        (NO_INTEGER, Outcome(None, "", (23,)), RISKY, 2),
        (NO_INTEGER, Outcome(None, "", (23,)), SURE, 5),
        (Outcome(None, "", (23,)), Outcome("0A000", '"NaN" integer out of range'), RISKY, 2),
        (Outcome("0A000", "no such thing"), Outcome(None, "", (23,)), RISKY, 5),
        (TOO_LONG, Outcome(None, "", (1700,), (("1.01e+1",),)), SURE, 1),
        (TOO_LONG, Outcome("XX000", "bug"), SURE, 5),
        (NOT_POSITIVE, NO_CHARACTER, SURE, 1),
        (Outcome("22023", "another parameter"), NO_CHARACTER, SURE, 5),
        (
            Outcome(None, "", (25,), (("2 mons",),)),
            Outcome(None, "", (25,), (("2 months",),)),
            SURE,
            1,
        ),
        (_array("1 ye", "r 2 mons"), _array("1 ye", "r 2 months"), SURE, 1),
        (_array("1 ye", "r 2 mons"), _array("1 ye", "r 3 months"), SURE, 5),
    ],
)
def test_verdicts(theirs: Outcome, ours: Outcome, query: Query, verdict: int) -> None:
    assert compare(theirs, ours, query)[0] is list(Verdict)[verdict]


def test_every_rule_is_documented() -> None:
    text = (ROOT / "docs" / "user" / "postgres-differences.md").read_text()
    assert set(RULES) <= set(re.findall(r"\*\*(.+?)\*\*", text))
