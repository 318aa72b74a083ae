"""The whole corpus against the ratchet. Skipped, loudly, where the corpus is absent."""

import time

import pytest

from tests.slt import conformance, corpus, ratchet
from tests.slt.corpus import PARTS, Failure, Part, Played


@pytest.fixture(scope="module")
def played() -> dict[str, list[Played]]:
    """What each part came to, as its test adds it."""
    return {}


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.skipif(corpus.missing() is not None, reason=corpus.missing() or "")
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_what_passed_still_passes(
    part: Part, played: dict[str, list[Played]], pytestconfig: pytest.Config
) -> None:
    rewrite = pytestconfig.getoption("--rewrite-ratchet")
    if not rewrite and not ratchet.path_of(part.name).exists():
        pytest.skip("no ratchet yet: run pytest tests/slt --rewrite-ratchet")
    began = time.monotonic()
    files = played[part.name] = corpus.play(part, recording=rewrite)
    results = "".join(file.results for file in files)
    print(
        f"{part.name}: {results.count('p')} of {len(results)} records pass, "
        f"{time.monotonic() - began:.0f} s"
    )
    if rewrite:
        ratchet.write(part.name, files)
        if len(played) == len(PARTS):
            conformance.write([file for each in played.values() for file in each])
    else:
        lost = ratchet.lost(part.name, files)
        # Files share a server: what one has done there may be in another's way.
        known = {file.name for file in files}
        names = known & {line.split(":")[0] for line in lost}
        if names and not part.alone:
            print(f"{part.name}: played once more, alone: {', '.join(sorted(names))}")
            again = corpus.play_alone(sorted(names))
            files = [file for file in files if file.name not in names] + again
            lost = ratchet.lost(part.name, files)
        assert not lost, "\n".join(lost)


def test_ranges_are_read_as_they_are_written() -> None:
    numbers = frozenset({1, 2, 3, 7, 9, 10})
    assert ratchet.ranges(numbers) == "1-3,7,9-10"
    assert ratchet.unranges("1-3,7,9-10") == numbers
    assert ratchet.unranges("-") == frozenset()


def test_the_ratchet_tells_what_is_lost(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratchet, "HERE", tmp_path)
    before = [Played("a", "1", "ppfp"), Played("b", "1", "pp"), Played("c", "1", "p")]
    ratchet.write("part", before)
    assert ratchet.lost("part", before) == []
    now = [Played("a", "1", "pffp"), Played("b", "2", "fp"), Played("d", "1", "p")]
    assert ratchet.lost("part", now) == [
        "a: records 2 passed before",
        "b: 2 records passed, now 1",
        "c was not played",
    ]


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (
            'unexpected db error: ERROR: type "x" does not exist (42704)',
            "Refused: type … does not exist (42704)",
        ),
        ("timeout", "No answer in time."),
        ("value 3 differs", "Another answer."),
    ],
)
def test_failures_have_causes(reason: str, cause: str) -> None:
    assert conformance.cause_of(Failure(1, reason)) == cause
