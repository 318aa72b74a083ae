"""The page of what passes: numbers of each area, and every record that fails, by its cause.

Causes are told by what we answered, never by what a record expects. ``REASONS`` says more where
there is more to say.
"""

import re
from collections import Counter, defaultdict
from pathlib import Path

from tests.slt.corpus import Failure, Played
from tests.slt.ratchet import ranges

PAGE = Path(__file__).resolve().parents[2] / "docs" / "user" / "conformance.md"

_HEAD = """# Conformance

Three sqllogictest corpora are played against headwater: SQLite's, Materialize's and RisingWave's.
This page is written by `pytest tests/slt --rewrite-ratchet`; what passes is kept by the ratchet
files in `tests/slt`, against which every test run compares.

A record that fails is named by its file and the line it begins on. Causes are told by what
headwater answered. `materialize/rbac` is listed apart: privileges are kept but not enforced yet.
"""

# What we answered → why it is so. The first that matches counts.
REASONS: tuple[tuple[str, str], ...] = (
    (
        r"^expected an error .*got success",
        "An error is expected where headwater has an answer: a feature that the corpus' system "
        "lacks, or a limit that headwater does not have.",
    ),
    (
        r"^expected an error .*got db error",
        "An error is expected and given, in other words: where the condition is PostgreSQL's, the "
        "message is PostgreSQL's.",
    ),
    (
        r"current transaction is aborted",
        "A consequence of an earlier failure in the same transaction.",
    ),
    (
        r"^(timeout|file timeout|connection lost|cannot connect|no target|db error: FATAL)",
        "No answer in time.",
    ),
    (
        r"^(value \d+ differs|expected \[|column names|\d+ (rows|values|columns)|hash)",
        "Another answer.",
    ),
)
_REFUSED = re.compile(r"unexpected db error: ERROR: (.*?)(?:\n|$)", re.S)
_STATE = re.compile(r"\((\w{5})\)")


def cause_of(failure: Failure) -> str:
    """Return the heading under which a failure is listed."""
    for pattern, sentence in REASONS:
        if re.search(pattern, failure.reason):
            return sentence
    refused = _REFUSED.match(failure.reason)
    if refused is None:
        return "Another answer."
    state = _STATE.search(failure.reason)
    said = _STATE.sub("", refused[1]).strip()
    said = re.sub(r"(invalid input syntax for type [^:]+|out of range): .*", r"\1", said)
    said = re.sub(r'"[^"]*"|\'[^\']*\'', "…", said)
    said = re.sub(r"\d+", "n", said)
    return f"Refused: {said[:100]} ({state[1] if state else '?'})"


def write(played: list[Played]) -> None:
    """Write the page of a run over all parts."""
    parts = [_HEAD, "\n## Numbers\n", _numbers(played), "\n## Failures by cause\n"]
    rbac = [file for file in played if "/rbac/" in file.name]
    parts.append(_causes([file for file in played if file not in rbac]))
    parts += ["\n## materialize/rbac and risingwave/rbac\n", _causes(rbac)]
    PAGE.write_text("\n".join(parts))


def _numbers(played: list[Played]) -> str:
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for file in played:
        part, area = file.name.split("/")[:2]
        for key in ((part, area), (part, "")):
            counts[key].update(file.results)
            if area != "rbac":
                counts[part, "without rbac"].update(file.results if not key[1] else "")
    rows = ["| area | records | pass | fail | |", "| --- | ---: | ---: | ---: | ---: |"]
    for part, area in sorted(counts, key=lambda key: (key[0], not key[1], key[1])):
        count = counts[part, area]
        total = count["p"] + count["f"]
        if area == "without rbac" and total == counts[part, ""]["p"] + counts[part, ""]["f"]:
            continue
        name = f"**{part}**" if not area else f"{part} {area}"
        share = 100 * count["p"] / total if total else 100
        rows.append(f"| {name} | {total} | {count['p']} | {count['f']} | {share:.1f} % |")
    return "\n".join(rows) + "\n"


def _causes(played: list[Played]) -> str:
    places: defaultdict[str, defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    totals: Counter[str] = Counter()
    for file in played:
        for failure in file.failures:
            cause = cause_of(failure)
            totals[cause] += 1
            places[cause][file.name].add(failure.line)
    if not totals:
        return "None.\n"
    parts = []
    for cause, total in sorted(totals.items(), key=lambda each: (-each[1], each[0])):
        parts.append(f"\n**{cause}** {total} record{'s' if total > 1 else ''}.\n")
        parts += [
            f"- {name}: {ranges(frozenset(lines)).replace(',', ', ')}"
            for name, lines in sorted(places[cause].items())
        ]
    return "\n".join(parts) + "\n"
